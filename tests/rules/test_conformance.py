"""The state of every alert at every step is the one that Prometheus has: 600 random rules, checked by promtool."""

from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.model.time import format_duration
from tests.rules.promtool import STEPS, Case, States, draw, promtool, states_in_one_window, states_in_windows

SEEDS = 600
BATCH = 100
CUTS = (1, 2, 13, 14, 40, 61, 89)
"""First steps of the windows in which the same cases are evaluated once more."""


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_states_are_those_of_prometheus(tmp_path: Path, first: int) -> None:
    cases = [draw(seed) for seed in range(first, first + BATCH)]
    states = states_in_one_window(cases)
    done = promtool(tmp_path, cases, states)
    assert done.returncode == 0, "\n".join(_parted(tmp_path, cases))
    windows = states_in_windows(cases, CUTS)
    assert sorted(windows) == [*(cut - 1 for cut in CUTS), STEPS - 1]
    for step, now in windows.items():
        assert now == states[step], f"step {step} depends on how the time is cut into windows"


def _parted(folder: Path, cases: list[Case]) -> list[str]:
    """The seeds at which the engine and Prometheus part, each with its rule and what promtool says."""
    found = []
    for case in cases:
        done = promtool(folder, [case], states_in_one_window([case]))
        if done.returncode:
            series = "\n".join(f"{dict(labels)}: {' '.join(words)}" for labels, words in case.series.items())
            said = (done.stdout + done.stderr)[:2_000]
            found.append(f"seed {case.seed}: {case.rule()}\n{case.alerting_rule()['expr']}\n{series}\n{said}")
    return found or ["the cases differ only together"]


def test_the_seeds_cover_what_matters() -> None:
    cases = [draw(seed) for seed in range(SEEDS)]
    assert {case.operator for case in cases} == {">", ">=", "<", "<=", "==", "!="}
    assert {case.hold for case in cases} >= {"0s", "1m", "3m", "5m", "15m"}
    assert {case.fold for case in cases} == {None, "sum", "max", "min", "avg", "count"}
    long = [case for case in cases if case.hold == "15m"]
    fired = {
        rule for now in states_in_one_window(long) for (rule, _), state in now.items() if state == "firing"
    }  # fmt: skip
    assert len(fired) >= 20
    words = [words for case in cases for series in case.series.values() for words in series]
    assert {"100", "NaN", "Inf", "-Inf", "_"} <= set(words)


def _firing_after_a_minute() -> tuple[list[Case], list[States]]:
    values = ("_",) * 2 + ("101",) * 10 + ("_",) * 3 + ("101",) * (STEPS - 15)
    cases = [Case(1, ">", "1m", "0s", None, None, False, {(("series", "a"),): values})]
    return cases, states_in_one_window(cases)


KEY = ("case_1", (("series", "a"),))


@pytest.mark.parametrize(
    ("step", "state"),
    [(0, "pending"), (2, None), (2, "firing"), (5, "firing"), (6, "pending"), (11, None), (12, "firing"), (89, None)],
)
def test_a_single_wrong_state_is_noticed(tmp_path: Path, step: int, state: str | None) -> None:
    cases, states = _firing_after_a_minute()
    assert promtool(tmp_path, cases, states).returncode == 0
    assert [now.get(KEY) for now in states[:13]] == [None] * 2 + ["pending"] * 4 + ["firing"] * 6 + [None]
    wrong = {**states[step], KEY: state} if state else {}
    done = promtool(tmp_path, cases, [*states[:step], wrong, *states[step + 1 :]])
    assert done.returncode == 1
    assert f"time: {format_duration(timedelta(seconds=step * 15))}," in done.stdout + done.stderr


@pytest.mark.parametrize(("value", "ours", "theirs"), [("NaN", None, "firing"), ("Inf", "firing", "firing")])
def test_nan_is_unequal_to_nothing_here_and_to_everything_there(
    tmp_path: Path, value: str, ours: str | None, theirs: str
) -> None:
    """The one difference from Prometheus, on purpose: docs/adr/0006-missing-data.md."""
    case = Case(1, "!=", "0s", "0s", None, None, False, {(("series", "a"),): (value,) * STEPS})
    assert {now.get(KEY) for now in states_in_one_window([case])} == {ours}
    plain = {**case.alerting_rule(), "expr": "case_1 != 100"}
    done = promtool(tmp_path, [case], [{KEY: theirs}] * STEPS, [plain])
    assert done.returncode == 0, done.stdout + done.stderr
