"""Queries of the shipped packs, run by promtool over what the exporters expose."""

from pathlib import Path

import pytest

from controlplane.rules.files import shipped_platforms
from tests.rules.packs_queries import expectations, promtool, queried


@pytest.mark.parametrize("platform", shipped_platforms())
def test_every_query_has_an_expectation(platform: str) -> None:
    expected = expectations(platform).signals
    assert set(queried(platform)) - set(expected) == set(), f"tests/rules/queries/{platform}.yaml doesn't expect these"
    assert set(expected) - set(queried(platform)) == set(), "these are no signals with a query"


@pytest.mark.parametrize("platform", shipped_platforms())
def test_every_query_gives_its_signal(tmp_path: Path, platform: str) -> None:
    queries = {name: signal.prometheus or "" for name, signal in queried(platform).items()}
    done = promtool(tmp_path / f"{platform}.yaml", queries, expectations(platform))
    assert done.returncode == 0, done.stdout + done.stderr


GOOD = """
series: {'a{x="1"}': 1+1x40}
signals: {s.a: [{labels: 'x="1"', value: 41}]}
"""


@pytest.mark.parametrize(
    ("text", "query", "code"),
    [
        (GOOD, "sum by (x) (a)", 0),
        (GOOD.replace("41", "40"), "sum by (x) (a)", 1),
        (GOOD.replace("41", "41.000001"), "sum by (x) (a)", 1),
        (GOOD.replace("41", "0.41"), "sum by (x) (a) / 100", 0),
        (GOOD, "sum by (x) (a) * NaN", 1),
        (GOOD, "sum by (x) (a) * Inf", 1),
        (GOOD, "sum by (x) (a) or sum(a)", 1),
        (GOOD, "sum by (y) (a)", 1),
        (GOOD, "absent(a)", 1),
        (GOOD, "sum by (x) (", 1),
    ],
    ids=[
        "right",
        "another value",
        "a bit off",
        "rounded",
        "no number",
        "infinite",
        "one more",
        "other labels",
        "nothing",
        "no query",
    ],
)
def test_promtool_tells_right_from_wrong(tmp_path: Path, text: str, query: str, code: int) -> None:
    (tmp_path / "p.yaml").write_text(text)
    done = promtool(tmp_path / "promtool.yaml", {"s.a": query}, expectations("p", tmp_path))
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "series: {}",
        GOOD.replace("[{labels: 'x=\"1\"', value: 41}]", "[]"),
        GOOD.replace("value", "val"),
        GOOD + "other: 1\n",
    ],
    ids=["no signals", "no samples", "no value", "another key"],
)
def test_what_is_no_expectation(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(AssertionError, match=r"p\.yaml"):
        expectations("p", tmp_path)
