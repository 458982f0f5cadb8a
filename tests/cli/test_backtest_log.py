"""`controlplane backtest --log`: a whole log or none, which the terminal can open."""

from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from tests.backtest_cases import parquet, rows, rule, rules
from tests.cli.conftest import Run
from tui.data import SnapshotReader, utc_now

VALUES = "101 101 101 101 80 79 101 1"


@pytest.fixture
def given(here: Path) -> list[str]:
    """Rules and samples."""
    (here / "rules.yaml").write_text(rules(rule('when: "> 100"', 'clear: "< 80"', "for: 30s")))
    parquet(here / "s.parquet", rows(VALUES))
    return ["--rules", "rules.yaml", "--samples", "s.parquet"]


def test_the_log_holds_every_decision_of_the_document(here: Path, run: Run, given: list[str]) -> None:
    done = run("backtest", *given, "--log", "kept.db", "--json")
    assert done.code == 0, done.err
    with EventLog.open(f"sqlite:///{here / 'kept.db'}") as log:
        assert log.verify().ok
        types = [event.type for event in log.read()]
        snapshot = SnapshotReader(log).poll(utc_now())
    fired = [one for one in done.json["transitions"] if one["state"] == "firing"]
    assert types.count("alert_fired.v1") == len(fired) == 1
    assert types.count("alert_resolved.v1") == 1
    assert snapshot is not None
    assert [entry.what for entry in snapshot.entries if entry.what in {"FIRING", "ENDED"}] == ["FIRING", "ENDED"]
    assert sorted(path.name for path in here.iterdir()) == ["kept.db", "rules.yaml", "s.parquet"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--log", "rules.yaml"], "--log rules.yaml exists already; name another file, or remove it"),
        (["--log", "none/kept.db"], "--log: there is no folder"),
    ],
)
def test_where_it_can_not_be_kept_nothing_is_run(
    here: Path, run: Run, given: list[str], more: list[str], said: str
) -> None:
    before = sorted(path.name for path in here.iterdir())
    done = run("backtest", *given, *more)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert sorted(path.name for path in here.iterdir()) == before


def test_a_comparison_has_no_log(here: Path, run: Run, given: list[str]) -> None:
    done = run("backtest", "--compare", "rules.yaml", "rules.yaml", *given[2:], "--log", "kept.db")
    assert done.code == 2
    assert "--log keeps one backtest" in " ".join(done.err.split())
    assert not (here / "kept.db").exists()


def test_a_run_that_fails_leaves_no_log(here: Path, run: Run, given: list[str]) -> None:
    (here / "s.parquet").write_bytes(b"PAR1 no parquet")
    done = run("backtest", *given, "--log", "kept.db")
    assert done.code == 2
    assert sorted(path.name for path in here.iterdir()) == ["rules.yaml", "s.parquet"]
