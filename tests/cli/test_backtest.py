"""`controlplane backtest` as a program: results, exit codes, mistakes, and text that is hostile."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.backtest_cases import SIGNAL, at, comma_separated, ms, parquet, rows, rule, rules
from tests.cli.conftest import Evening, Run

OVER = 'when: "> 100"'
VALUES = "101 101 101 101 80 79 101 1"


@pytest.fixture
def lag(here: Path) -> Path:
    (here / "rules.yaml").write_text(rules(rule(OVER, 'clear: "< 80"', "for: 30s")))
    return here / "rules.yaml"


@pytest.fixture
def samples(here: Path) -> Path:
    return parquet(here / "s.parquet", rows(VALUES))


EXPECTED = [
    ("lag", {"group": "a"}, "pending", at(0), 101.0),
    ("lag", {"group": "a"}, "firing", at(2), 101.0),
    ("lag", {"group": "a"}, "resolved", at(5), 79.0),
    ("lag", {"group": "a"}, "pending", at(6), 101.0),
    ("lag", {"group": "a"}, "inactive", at(7), 1.0),
]


@pytest.mark.parametrize("kind", ["parquet", "csv", "iso.csv"])
def test_the_document(run: Run, here: Path, lag: Path, kind: str) -> None:
    found = rows(VALUES)
    file = here / f"s.{kind}"
    if kind == "parquet":
        parquet(file, found)
    else:
        comma_separated(file, found, iso=kind == "iso.csv")
    done = run("backtest", "--rules", lag, "--samples", file, "--json")
    assert done.code == 0, done.err
    shown = [tuple(one[key] for key in ("rule", "labels", "state", "at", "value")) for one in done.json["transitions"]]
    assert shown == EXPECTED
    assert set(done.json) == {"transitions", "recommendations", "notifications", "summary"}
    assert [(n["queued_at"], n["action"], n["channel"]) for n in done.json["notifications"]] == [
        (at(4), "trigger", "slack"), (at(4), "trigger", "pagerduty"),
    ]  # fmt: skip
    summary = done.json["summary"]
    assert summary.pop("seconds") > 0
    assert summary == {
        "from": at(0),
        "to": at(7),
        "step": "15s",
        "samples": 8,
        "series": 1,
        "steps": 8,
        "rules": 1,
        "rule_problems": [],
        "alerts": 1,
        "pages": 1,
        "pages_at_night": 1,
        "pages_by_channel": {"pagerduty": 1, "slack": 1},
        "pages_at_night_by_channel": {"pagerduty": 1, "slack": 1},
        "night": "22:00-07:00",
        "recommendations": 0,
        "advice_failed": [],
        "duplicates": [],
        "rules_without_data": [],
    }
    assert not (here / ".controlplane").exists(), "nothing is stored"


def test_two_files_of_a_folder_are_both_backtested(run: Run, here: Path, lag: Path, samples: Path) -> None:
    other = here / "other.yaml"
    other.write_text(rules(rule('when: "> 90"', id="less")).replace("component: ", "component: other-"))
    for named in ((lag, other), (other, lag), (lag, other, lag)):
        asked = [word for path in named for word in ("--rules", path)]
        done = run("backtest", *asked, "--samples", samples, "--json")
        assert done.code == 0, done.err
        assert {one["rule"] for one in done.json["transitions"]} == {"lag", "less"}


@pytest.mark.parametrize("form", ["iso", "ms"])
def test_from_and_to(run: Run, lag: Path, samples: Path, form: str) -> None:
    begin, end = (at(1), at(3)) if form == "iso" else (str(ms(1)), str(ms(3)))
    done = run("backtest", "--rules", lag, "--samples", samples, "--from", begin, "--to", end, "--json")
    assert [(one["state"], one["at"]) for one in done.json["transitions"]] == [("pending", at(1)), ("firing", at(3))]
    longer = run("backtest", "--rules", lag, "--samples", samples, "--step", "30s", "--json")
    assert longer.json["summary"]["steps"] == 5


def test_infinity_and_nan_are_texts(run: Run, here: Path, lag: Path) -> None:
    file = comma_separated(here / "s.csv", rows("inf nan"))
    done = run("backtest", "--rules", lag, "--samples", file, "--json")
    assert [one["value"] for one in done.json["transitions"]] == ["Infinity", "NaN"]


@pytest.mark.parametrize(("most", "code"), [("0", 1), ("1", 0)])
def test_max_pages(run: Run, lag: Path, samples: Path, most: str, code: int) -> None:
    done = run("backtest", "--rules", lag, "--samples", samples, "--max-pages", most, "--json")
    assert done.code == code
    assert done.json["summary"]["pages"] == 1
    assert ("1 pages are more than 0" in done.err) is (code == 1)


@pytest.mark.parametrize(
    ("night", "pages"), [("22:00-07:00", 1), ("22:02-07:00", 0), ("21:00-22:02", 1), ("00:00-22:00", 0)]
)
def test_night(run: Run, lag: Path, samples: Path, night: str, pages: int) -> None:
    done = run("backtest", "--rules", lag, "--samples", samples, "--night", night, "--json")
    assert done.json["summary"]["pages_at_night"] == pages


def test_text(run: Run, lag: Path, samples: Path) -> None:
    done = run("backtest", "--rules", lag, "--samples", samples)
    assert done.code == 0
    assert "101 behind" in done.out
    assert "2026-03-12 22:00:30Z" in done.out
    assert "> 100 messages" in done.out
    assert "slack, pagerduty" in done.out
    assert "1 alert, 1 page (1 at night, 22:00-07:00 UTC), 0 recommendations" in done.out
    assert "Looking through the samples · 100%" in done.err


def test_hostile_labels(run: Run, here: Path) -> None:
    (here / "rules.yaml").write_text(rules(rule(OVER).replace('"{value:,.0f} behind"', '"{group} is behind"')))
    labels = {"group": "[red]\x1b[31m\u202e'; DROP TABLE x;" + "y" * 10_000}
    file = parquet(here / "s.parquet", rows("101 1", labels=labels))
    done = run("backtest", "--rules", here / "rules.yaml", "--samples", file)
    assert done.code == 0
    assert "[red]\ufffd[31m\ufffd'; DROP" in done.out.replace("\n", "")
    assert "\x1b" not in done.out + done.err
    assert "\u202e" not in done.out + done.err
    document = run("backtest", "--rules", here / "rules.yaml", "--samples", file, "--json")
    assert "\x1b" not in document.out
    assert document.json["transitions"][0]["labels"] == labels


def test_every_mistake_is_told(run: Run, here: Path, lag: Path) -> None:
    bad = lag.read_text().replace("severity: critical", "severity: critcal").replace("> 100", "> 100 bananas")
    (here / "bad.yaml").write_text(bad)
    (here / "inventory.yaml").write_text("resources: [{id: a, kind: hots}]")
    (here / "prices.yaml").write_text("prices: [{id: a}]")
    lines = [f'{ms(0)},{SIGNAL},"{{}}",1', f'yesterday,{SIGNAL},"{{}}",x', f'{ms(0)},9,"[1]",1']
    (here / "s.csv").write_text("ts,signal,labels,value\n" + "\n".join(lines))
    done = run(
        "backtest", "--rules", here / "bad.yaml", "--rules", here / "gone", "--samples", here / "s.csv",
        "--inventory", here / "inventory.yaml", "--prices", here / "prices.yaml", "--json",
    )  # fmt: skip
    assert (done.code, done.out) == (2, "")
    for text in (
        "bad.yaml:12:5 (rules.0.severity)",
        "gone: there is no such rule file or folder",
        "inventory.yaml:1:",
        "prices.yaml:1:",
        "s.csv:3 (ts): 'yesterday' can't be used. Write ISO 8601",
        "s.csv:3 (value): 'x' can't be used. Write a number",
        "s.csv:4 (signal): '9' can't be used",
        "s.csv:4 (labels): '[1]' can't be used",
    ):
        assert text in done.err, text


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "s.csv",
            "ts,signal,label,value\n1,a.b,{},1",
            "s.csv:1 (labels): the column 'labels' is missing. Did you mean",
        ),
        ("s.csv", 'ts,signal,labels,value\n1,a.b,"{}",1\n1,a.b,"{}",1,2', "s.csv:3: 5 cells, but the header has 4"),
        ("s.csv", "ts,signal,labels,value\n", "has no rows"),
        ("s.csv", 'ts,signal,labels,value\n2026-03-12T22:00:00,a.b,"{}",1', "s.csv:2 (ts)"),
        ("s.parquet", "not parquet", "Is it the parquet file that its name says?"),
        ("s.txt", "x", "is neither Parquet nor CSV by its name"),
        ("gone.csv", None, "gone.csv: can't be read: No such file or directory"),
    ],
)
def test_samples_that_can_not_be_used(
    run: Run, here: Path, lag: Path, name: str, content: str | None, says: str
) -> None:
    if content is not None:
        (here / name).write_text(content)
    done = run("backtest", "--rules", lag, "--samples", here / name)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_bad_cells_of_parquet_have_rows(run: Run, here: Path, lag: Path) -> None:
    file = parquet(here / "s.parquet", [(ms(0), SIGNAL, {}, 1.0), (-5, SIGNAL, {}, 1.0)], order="as given")
    done = run("backtest", "--rules", lag, "--samples", file)
    assert "s.parquet (ts): row 2: '-5' can't be used" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rules", "rules.yaml"], "name --rules and --samples"),
        (["--samples", "s.parquet"], "name --rules and --samples"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--from", "yesterday"], "is not a time"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--from", "2026-03-12T22:00:00"], "has no zone"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--from", "2", "--to", "1"], "--to lies before --from"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--from", "1", "--to", "2"], "there is no step of 15s"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--step", "7s"], "divides a day"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--step", "15"], "is not a duration"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--night", "25:00-07:00"], "is no part of the day"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--max-pages", "-1"], "--max-pages"),
        (["--rules", "rules.yaml", "--samples", "s.parquet", "--since", "1d"], "--since belongs to --compare"),
        (["--rules", "rules.yaml", "--compare", "rules.yaml", "rules.yaml"], "exclude each other"),
        (["--compare", "rules.yaml", "rules.yaml", "--from", "1"], "take --since"),
        (["--compare", "rules.yaml", "rules.yaml"], "there is no configuration"),
    ],
)
def test_wrong_use(run: Run, lag: Path, samples: Path, arguments: list[str], says: str) -> None:
    done = run("backtest", *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_folders_and_several_files(run: Run, here: Path, samples: Path) -> None:
    (here / "pack").mkdir()
    (here / "pack" / "a.yaml").write_text(rules(rule(OVER, id="one")))
    (here / "pack" / "figures.yaml").write_text("{}")
    (here / "b.yaml").write_text(rules(rule(OVER, id="two")))
    done = run("backtest", "--rules", here / "pack", "--rules", here / "b.yaml", "--rules", here / "pack" / "a.yaml",
               "--samples", samples, "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert {one["rule"] for one in done.json["transitions"]} == {"one", "two"}


# Recommendations


def recorded(here: Path, pack: str = "datalyptica") -> list[Any]:
    from importlib import resources

    root = resources.files("fixtures") / pack
    return [
        "--rules", str(resources.files("alert_rules") / pack / "hosts.yaml"),
        "--samples", str(root / "evening.parquet"), "--inventory", str(root / "inventory.yaml"),
        "--prices", str(root / "prices.yaml"), "--to", "2026-03-12T20:00:00Z",
    ]  # fmt: skip


def test_a_priced_recommendation(run: Run, here: Path) -> None:
    done = run("backtest", *recorded(here), "--json")
    assert done.code == 0, done.err
    (one,) = [one for one in done.json["recommendations"] if one["status"] == "proposed"]
    alert = next(t for t in done.json["transitions"] if t["state"] == "firing")
    assert one["at"] >= alert["at"]
    assert one["cost"]["known"] is True
    assert one["cost"]["lines"]
    text = run("backtest", *recorded(here))
    assert one["title"].split()[0] in text.out


# Compare


def test_compare_over_a_file(run: Run, here: Path, lag: Path, samples: Path) -> None:
    (here / "new.yaml").write_text(lag.read_text().replace("30s", "15s") + rule('when: "< 80"', id="low"))
    done = run("backtest", "--compare", lag, here / "new.yaml", "--samples", samples, "--json")
    assert done.code == 0, done.err
    changes = [(one["rule"], one["change"], one["fired_seconds"], one["ended_seconds"]) for one in done.json["alerts"]]
    assert changes == [("lag", "earlier", -15.0, 0.0), ("low", "added", None, None), ("low", "added", None, None)]
    assert [(one["rule"], one["at"], one["night"]) for one in done.json["pages"]["added"]] == [
        ("low", at(7), True),
    ]
    assert done.json["pages"]["removed"] == []
    assert done.json["pages"]["added_at_night"] == 1
    assert [done.json["summary"][name]["pages"] for name in ("old", "new")] == [1, 2]
    assert run("backtest", "--compare", lag, here / "new.yaml", "--samples", samples, "--max-pages", "1").code == 1
    assert run("backtest", "--compare", here / "new.yaml", lag, "--samples", samples, "--max-pages", "1").code == 0
    text = run("backtest", "--compare", here / "new.yaml", lag, "--samples", samples)
    assert "15s later" in text.out
    assert "0 pages added (0 at night), 1 removed (1 at night)" in text.out
    same = run("backtest", "--compare", lag, lag, "--samples", samples, "--json").json
    assert (same["alerts"], same["pages"]["added"], same["recommendations"]) == ([], [], [])


def test_compare_over_the_store(run: Run, home: Path, here: Path, lag: Path) -> None:
    from controlplane.telemetry.store import SampleStore
    from tests.rules.machine import samples as frames

    nothing = run("backtest", "--compare", lag, lag)
    assert nothing.code == 2
    assert "there are no stored samples" in nothing.err
    # `x` is no answer: what isn't known ends nothing.
    start = ms(0) // 15_000
    store = SampleStore(home / "telemetry.duckdb")
    store.write([frames({"a": "101 101 101 x x 101 101"}, start=start)])
    (here / "new.yaml").write_text(lag.read_text().replace("30s", "0s"))
    done = run("backtest", "--compare", lag, here / "new.yaml", "--since", "1h", "--json")
    assert done.code == 0, done.err
    (one,) = done.json["alerts"]
    assert (one["change"], one["fired_seconds"]) == ("earlier", -30.0)
    assert one["new"] == {"fired_at": at(0), "ended_at": None}
    short = run("backtest", "--compare", lag, here / "new.yaml", "--since", "15s", "--json")
    assert short.json["summary"]["new"]["steps"] == 1
    assert [one["change"] for one in short.json["alerts"]] == ["added"]
    assert datetime.fromisoformat(short.json["summary"]["new"]["to"]) == datetime.fromtimestamp(ms(6) / 1000, UTC)
    assert json.dumps(short.json["monthly_cost"]["old"])


def test_a_backtest_of_the_evening_finds_what_the_ticks_found(run: Run, here: Path, evening: Evening) -> None:
    pack = "datalyptica"
    asked = [*recorded(here, pack)[:-2], "--from", "2026-03-12T18:00:15Z", "--to", "2026-03-12T20:24:00Z"]
    asked[1] = str(Path(asked[1]).parent)
    done = run("backtest", *asked, "--json")
    assert done.code == 0, done.err
    alerts = [one for one in evening.document["alerts"] if one["platform"] == pack]
    found = [one for one in done.json["transitions"] if one["state"] == "firing"]
    assert [(one["rule"], one["labels"], one["at"], one["value"]) for one in found] == [
        (one["rule"], one["labels"], one["fired_at"], one["value"]) for one in alerts
    ]
    told = [one for one in evening.document["recommendations"] if one["platform"] == pack]
    assert told
    # The numbers behind it differ: the first tick of the demo has five minutes of history, a backtest all of it.
    keys = ("rule", "at", "status", "title", "to")
    assert [[one[key] for key in keys] for one in done.json["recommendations"]] == [
        [one[key] for key in keys] for one in told
    ]
