"""Backtests: states against what is worked out by hand, and the same result however the samples are read."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from controlplane.backtest import stretches
from controlplane.backtest.report import Night
from controlplane.model.errors import InvalidInput
from controlplane.model.time import from_ms
from tests.backtest_cases import (
    SIGNAL,
    Row,
    at,
    comma_separated,
    judged,
    ms,
    parquet,
    rows,
    rule,
    rules,
    story,
)

OVER = 'when: "> 100"'


@pytest.mark.parametrize(
    ("lines", "values", "expected"),
    [
        pytest.param([OVER], "100 101", [(1, "firing")], id="for 0 fires in the step, without pending"),
        pytest.param(['when: ">= 100"'], "99.9 100", [(1, "firing")], id="at the threshold"),
        pytest.param(
            [OVER, "for: 30s"], "101 101 101 1", [(0, "pending"), (2, "firing"), (3, "resolved")], id="for 30 s"
        ),
        pytest.param(
            [OVER, "for: 30s"], "101 101 1 101", [(0, "pending"), (2, "inactive"), (3, "pending")], id="short"
        ),
        pytest.param([OVER, "for: 30s"], "101 101 _ 101", [(0, "pending"), (2, "inactive"), (3, "pending")], id="gap"),
        pytest.param([OVER], "101 _ 101", [(0, "firing"), (1, "resolved"), (2, "firing")], id="no look-back"),
        pytest.param([OVER], "101 nan 101", [(0, "firing"), (1, "resolved"), (2, "firing")], id="NaN"),
        pytest.param([OVER], "-inf inf", [(1, "firing")], id="infinite"),
        pytest.param(
            [OVER, 'clear: "< 80"'], "101 80 79.9 101", [(0, "firing"), (2, "resolved"), (3, "firing")], id="hysteresis"
        ),
        pytest.param(
            [OVER, "missing: {keep: 30s}"], "101 _ _ _ 101", [(0, "firing"), (3, "resolved"), (4, "firing")], id="keep"
        ),
        pytest.param(
            [OVER, "missing: {keep: 30s}"], "101 _ _ 101 1", [(0, "firing"), (4, "resolved")], id="back in time"
        ),
        pytest.param([OVER, "keep_firing_for: 30s"], "101 1 1 1", [(0, "firing"), (3, "resolved")], id="keep firing"),
        pytest.param([OVER, "missing: alert"], "_ 1 _ 1", [(2, "firing"), (3, "resolved")], id="no data"),
    ],
)
@pytest.mark.parametrize("window", [None, 1, 2])
def test_states(tmp_path: Path, lines: list[str], values: str, expected: list[Any], window: int | None) -> None:
    # A second series makes sure that the signal is covered at every step.
    found = [*rows(values), *rows(" ".join("0" for _ in values.split()), labels={"group": "b"})]
    document = judged(tmp_path, rules(rule(*lines)), parquet(tmp_path / "s.parquet", found), window=window)
    mine = {"transitions": [one for one in document["transitions"] if one["labels"] == {"group": "a"}]}
    assert story(mine) == expected


def test_values_and_reasons(tmp_path: Path) -> None:
    text = rules(rule(OVER, "for: 15s"), rule(OVER, "missing: alert", id="watched"))
    document = judged(
        tmp_path, text, parquet(tmp_path / "s.parquet", [*rows("101 inf nan _"), *rows("1 1 1 1", labels={})])
    )
    shown = [(one["rule"], one["state"], one["value"], one.get("reason")) for one in document["transitions"]]
    assert str(shown) == str(
        [
            ("lag", "pending", 101.0, None),
            ("watched", "firing", 101.0, None),
            ("lag", "firing", math.inf, None),
            ("lag", "resolved", math.nan, None),
            ("watched", "resolved", math.nan, None),
            ("watched", "firing", None, "no_data"),
        ]
    )
    assert document["transitions"][0]["at"] == at(0)
    assert document["transitions"][0]["labels"] == {"group": "a"}


def test_the_grid_includes_both_ends_and_a_late_sample_belongs_to_the_next_step(tmp_path: Path) -> None:
    found: list[Row] = [(ms(step), SIGNAL, {}, 101.0) for step in (-0.2, 0.8, 1, 2.1, 3.5)]
    samples = parquet(tmp_path / "s.parquet", found)
    text = rules(rule(OVER, "for: 15s"))
    assert story(judged(tmp_path, text, samples)) == [(0, "pending"), (1, "firing"), (2, "resolved"), (3, "pending"),
                                                      (4, "firing")]  # fmt: skip
    cut = judged(tmp_path, text, samples, begin=ms(0.9), end=ms(3))
    assert story(cut) == [(1, "pending"), (2, "inactive"), (3, "pending")]
    assert (cut["summary"]["from"], cut["summary"]["to"], cut["summary"]["steps"]) == (at(1), at(3), 3)
    assert cut["summary"]["samples"] == 2, "two of one step are one"
    with pytest.raises(InvalidInput, match="there is no step of 15s"):
        judged(tmp_path, text, samples, begin=ms(0.1), end=ms(0.9))


def test_the_newest_sample_of_a_step_counts(tmp_path: Path) -> None:
    found: list[Row] = [(ms(0.5), SIGNAL, {}, 1.0), (ms(0.9), SIGNAL, {}, 101.0), (ms(0.6), SIGNAL, {}, 2.0)]
    for order in ("as given", "time"):
        document = judged(tmp_path, rules(rule(OVER)), parquet(tmp_path / "s.parquet", found, order=order))
        assert story(document) == [(1, "firing")]


def test_beyond_the_samples_a_series_is_absent(tmp_path: Path) -> None:
    samples = parquet(tmp_path / "s.parquet", rows("101 101"))
    document = judged(tmp_path, rules(rule(OVER)), samples, begin=ms(-2), end=ms(4))
    assert story(document) == [(0, "firing"), (2, "resolved")]
    assert document["summary"]["steps"] == 7


def test_samples_before_the_beginning_are_history_alone(tmp_path: Path) -> None:
    samples = parquet(tmp_path / "s.parquet", rows("101 101 101 101"))
    document = judged(
        tmp_path, rules(rule(OVER, "for: 30s"), rule(OVER, "missing: alert", id="w")), samples, begin=ms(2)
    )
    assert story(document) == [(2, "pending")]
    assert story(document, "w") == [(2, "firing")]
    gone = parquet(tmp_path / "s.parquet", [*rows("1 1"), *rows("1 1 1 1", labels={"group": "b"})])
    document = judged(tmp_path, rules(rule(OVER, "missing: alert")), gone, begin=ms(2))
    assert document["transitions"] == [], "what was gone before is not missed"


DERIVED = """
platform: shop
component: kafka
signals:
  - {name: disk.used, unit: By}
  - {name: disk.size, unit: By}
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: disk.left, unit: s, derive: {method: time_to_limit, of: disk.used, limit: disk.size, over: 2m}}
  - {name: lag.ratio, unit: "1", derive: {method: baseline_ratio, of: kafka.consumer.lag, before: 2m, over: 30s}}
  - {name: lag.drain, unit: s, derive: {method: time_to_drain, over: 1m}}
  - {name: signal.gone, unit: "1", derive: {method: absent, of: [disk.used, kafka.consumer.lag]}}
  - {name: use, unit: "1", derive: {method: utilization, of: [kafka.consumer.lag], by: group}}
rules:
"""


def derived() -> str:
    of = {
        "left": 'when: "< 600"', "ratio": 'when: "> 1.4"', "drain": 'when: "> 40"', "gone": 'when: "> 0"',
        "use": 'when: "> 90 %"',
    }  # fmt: skip
    names = {"left": "disk.left", "ratio": "lag.ratio", "drain": "lag.drain", "gone": "signal.gone", "use": "use"}
    made = "".join(
        rule(line, id=name).replace("signal: kafka.consumer.lag", f"signal: {names[name]}") for name, line in of.items()
    )
    drift = """
  - id: threads
    kind: drift
    title: Configured differently
    of: {kind: broker}
    settings: [{setting: kafka.threads, expect: "== 8"}]
    for: 30s
    severity: warning
    basis: house
    rationale: a test
"""
    return DERIVED + made + drift


INVENTORY = """
resources:
  - {id: a, kind: broker, limits: {kafka.consumer.lag: 200}, settings: {kafka.threads: 4}}
  - {id: b, kind: broker, limits: {kafka.consumer.lag: 200}, settings: {kafka.threads: 8}}
"""


def test_derived_signals_and_drift(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    lag = "100 " * 10 + "150 " * 6 + "181 190"
    found = [
        *rows(lag),
        *rows(" ".join(["1"] * 18), signal="disk.used"),
        *rows(" ".join(["9"] * 18), signal="disk.size"),
    ]
    for begin in (None, ms(10)):
        document = judged(
            tmp_path,
            derived(),
            parquet(tmp_path / "s.parquet", found),
            begin=begin,
            inventory=tmp_path / "inventory.yaml",
        )
        assert story(document, "use") == [(16, "firing")], "181 of 200"
        # The mean of two steps is 150 from step 11 on; at 125 by 100 it isn't over 1.4 yet.
        assert story(document, "ratio")[0] == (11, "firing")
        first = 0 if begin is None else 10
        assert story(document, "threads") == [(first, "pending"), (first + 2, "firing")]
        drift = next(one for one in document["transitions"] if one["rule"] == "threads")
        assert drift["labels"] == {"resource": "a", "setting": "kafka.threads"}
        assert drift["value"] == 4


def test_rules_without_data_are_absent(tmp_path: Path) -> None:
    other = rule('when: "> 0"', id="other").replace(f"signal: {SIGNAL}", "signal: other.signal")
    nowhere = rule(OVER, "where: {group: z}", id="nowhere")
    text = rules(rule(OVER, "where: {group: a}"), other, nowhere)
    document = judged(tmp_path, text, parquet(tmp_path / "s.parquet", rows("1 1")))
    assert document["summary"]["rules_without_data"] == [
        {"rule": "other", "state": "absent", "signals": ["other.signal"], "where": {}},
        {"rule": "nowhere", "state": "absent", "signals": [SIGNAL], "where": {"group": "z"}},
    ]


def test_clashing_results_are_told(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    lines = [f'{ms(step)},{SIGNAL},{platform},"{{}}",101' for step in range(3) for platform in ("", "shop")]
    path.write_text("ts,signal,platform,labels,value\n" + "\n".join(lines))
    document = judged(tmp_path, rules(rule(OVER)), path)
    assert document["transitions"] == []
    assert document["summary"]["duplicates"] == [
        {"rule": "lag", "labels": {}, "source": "samples", "at": at(0), "steps": 3}
    ]


def test_platforms(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    head = "ts,signal,labels,value,platform\n"
    path.write_text(head + f'{ms(0)},{SIGNAL},"{{""group"":""a""}}",101,shop\n{ms(0)},{SIGNAL},"{{}}",101,mill')
    assert [one["labels"] for one in judged(tmp_path, rules(rule(OVER)), path)["transitions"]] == [{"group": "a"}]


# However the samples are read


SERIES = [{"group": "a"}, {"group": "b", "host": "x"}, {"group": "b", "host": "y"}, {}]
VALUES = st.sampled_from([None, 0.1, 100.0, 101.0, 150.0, 60.0, math.nan, math.inf])


def everything() -> str:
    lag = derived()
    lines = {
        "plain": [OVER], "slow": [OVER, "for: 45s", 'clear: "< 80"'], "kept": [OVER, "missing: {keep: 45s}"],
        "held": [OVER, "keep_firing_for: 30s"], "watched": ["when: \"< 0\"", "missing: alert"],
        "sum": [OVER, "by: [group]", "fold: sum", "for: 15s"], "avg": ['when: ">= 100"', "by: []", "fold: avg"],
    }  # fmt: skip
    return lag + "".join(rule(*of, id=f"w-{name}") for name, of in lines.items())


@settings(max_examples=5, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    values=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=3, max_size=10),
    begin=st.integers(0, 8),
    size=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
)
def test_the_result_does_not_depend_on_how_samples_are_read(
    values: list[tuple[float | None, ...]], begin: int, size: int, order: Any
) -> None:
    found: list[Row] = [
        (ms(step), SIGNAL, labels, value)
        for step, there in enumerate(values)
        for labels, value in zip(SERIES, there, strict=True)
        if value is not None
    ] + [(ms(step), name, {}, 10.0 + step) for step in range(len(values)) for name in ("disk.used", "disk.size")]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "inventory.yaml").write_text(INVENTORY)
        asked = {"begin": ms(min(begin, len(values) - 1)), "inventory": folder / "inventory.yaml"}
        whole = parquet(folder / "s.parquet", found)
        expected = json.dumps(judged(folder, everything(), whole, **asked))
        shuffled = list(found)
        order.shuffle(shuffled)
        pieces = parquet(folder / "pieces.parquet", shuffled, order="as given", row_group_size=size)
        for samples in (whole, pieces):
            for window in (1, 7, None):
                assert json.dumps(judged(folder, everything(), samples, window=window, **asked)) == expected
        assert json.dumps(judged(folder, everything(), comma_separated(folder / "s.csv", found), **asked)) == expected
        limit, stretches._HELD_ROWS = stretches._HELD_ROWS, 0
        try:
            for window in (3, None):
                assert json.dumps(judged(folder, everything(), pieces, window=window, **asked)) == expected
        finally:
            stretches._HELD_ROWS = limit


def test_stretches_are_as_long_as_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from controlplane.backtest.samplefile import open_samples

    found = [*rows("1 1 1 1 1 1"), *rows("_ _ 1 1", labels={}), *rows("_ _ 1 1", labels={"group": "c"})]
    file = open_samples(parquet(tmp_path / "s.parquet", found), 15_000, tmp_path, lambda what, share: None)
    assert file.counts.tolist() == [1, 1, 3, 3, 1, 1]
    monkeypatch.setattr(stretches, "TARGET_ROWS", 4)
    planned = [((a - ms(0)) // 15_000, (b - ms(0)) // 15_000) for a, b in stretches.plan(file, ms(-1), ms(7))]
    assert planned == [(-1, 1), (2, 2), (3, 4), (5, 7)]
    monkeypatch.setattr(stretches, "MAX_STEPS", 2)
    planned = [((a - ms(0)) // 15_000, (b - ms(0)) // 15_000) for a, b in stretches.plan(file, ms(-1), ms(7))]
    assert planned == [(-1, 0), (1, 2), (3, 4), (5, 6), (7, 7)]


@pytest.mark.parametrize("kind", ["string", "categorical", "datetime", "integers"])
def test_types_of_parquet(tmp_path: Path, kind: str) -> None:
    frame = pl.read_parquet(parquet(tmp_path / "s.parquet", rows("100 101 1")))
    changed = {
        "string": pl.col("ts").cast(pl.String),
        "categorical": pl.col("labels", "signal").cast(pl.Categorical),
        "datetime": pl.from_epoch("ts", "ms").dt.replace_time_zone("UTC"),
        "integers": pl.col("value").cast(pl.Int32),
    }[kind]
    frame.with_columns(changed).write_parquet(tmp_path / "t.parquet")
    assert story(judged(tmp_path, rules(rule(OVER)), tmp_path / "t.parquet")) == [(1, "firing"), (2, "resolved")]


@pytest.mark.parametrize(
    ("begin", "end", "at_ms", "expected"),
    [
        (22 * 60, 7 * 60, 21 * 3600 + 3599, False),
        (22 * 60, 7 * 60, 22 * 3600, True),
        (22 * 60, 7 * 60, 0, True),
        (22 * 60, 7 * 60, 7 * 3600 - 1, True),
        (22 * 60, 7 * 60, 7 * 3600, False),
        (60, 120, 3600, True),
        (60, 120, 7200, False),
        (60, 120, 0, False),
    ],
)
def test_night(begin: int, end: int, at_ms: int, expected: bool) -> None:
    assert Night(begin, end).has(from_ms(at_ms * 1000)) is expected


# Reading ahead


def test_reading_ahead_gives_the_same_and_passes_errors_on() -> None:
    from threading import active_count

    from controlplane.backtest.ahead import ahead

    def numbers(upto: int, fails: bool) -> Iterator[int]:
        yield from range(upto)
        if fails:
            raise ValueError("no more")

    before = active_count()
    assert list(ahead(numbers(5, fails=False))) == [0, 1, 2, 3, 4]
    failing = ahead(numbers(2, fails=True))
    assert [next(failing), next(failing)] == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        next(failing)
    left = ahead(numbers(1_000_000, fails=False))
    assert next(left) == 0
    left.close()
    assert active_count() == before
