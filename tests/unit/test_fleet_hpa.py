"""Target tracking gives the numbers that Kubernetes' replica calculator and horizontal controller give."""

from collections.abc import Callable

import polars as pl
import pytest

from controlplane.model.methods.fleet import Ratio
from controlplane.scaling.fleet.asks import asked
from tests.advice_cases import Samples, history, limit, moving, stage
from tests.fleet_cases import CPU, HALF_AN_HOUR, ask, count, fleet, of_each, told, ups

# name, values of ready members, missing, not ready, target, tolerance, expected size (worked out by the rules of
# replica_calculator.go: missing at the target when below it and idle above it, not ready idle above it)
CALCULATED = [
    ("up by the mean", [0.3, 0.5, 0.7], 0, 0, 0.3, 0.1, 5),
    ("at the target", [0.5, 0.5, 0.5], 0, 0, 0.5, 0.1, 3),
    ("busy and idle even out", [0.0, 1.0, 0.0, 1.0], 0, 0, 0.5, 0.1, 4),
    ("one spike", [10.0, 0.0, 0.0, 0.0], 0, 0, 0.5, 0.1, 20),
    ("tolerance 1.1 holds", [0.55] * 10, 0, 0, 0.5, 0.1, 10),
    ("just above 1.1", [0.55005] * 10, 0, 0, 0.5, 0.1, 12),
    ("tolerance 0.9 holds", [0.45] * 10, 0, 0, 0.5, 0.1, 10),
    ("just below 0.9", [0.44995] * 10, 0, 0, 0.5, 0.1, 9),
    ("no tolerance, up", [0.505] * 100, 0, 0, 0.5, 0.0, 101),
    ("no tolerance, down", [0.495] * 100, 0, 0, 0.5, 0.0, 99),
    ("tolerance 0.2 holds at 1.2", [0.6] * 10, 0, 0, 0.5, 0.2, 10),
    ("tolerance 0.2, just above", [0.601] * 10, 0, 0, 0.5, 0.2, 13),
    ("rounding error is no member", [0.55] * 10, 0, 0, 0.5, 0.0, 11),
    ("rounding error of a third", [0.3] * 7, 0, 0, 0.1, 0.1, 21),
    ("down to one", [0.1], 0, 0, 0.5, 0.1, 1),
    ("down to none", [0.0] * 5, 0, 0, 0.5, 0.1, 0),
    ("halved", [0.25] * 4, 0, 0, 0.5, 0.1, 2),
    ("rounded up", [0.26] * 4, 0, 0, 0.5, 0.1, 3),
    ("in its own unit", [300.0] * 3, 0, 0, 100.0, 0.1, 9),
    ("large", [0.7] * 2000, 0, 0, 0.5, 0.1, 2800),
    ("missing are idle above: hold", [1.0, 1.0], 2, 0, 0.5, 0.1, 4),
    ("missing are idle above: fewer", [1.0] * 3, 1, 0, 0.5, 0.1, 6),
    ("missing turn the direction down", [0.6], 3, 0, 0.5, 0.1, 4),
    ("missing are at the target below", [0.25] * 2, 2, 0, 0.5, 0.1, 3),
    ("missing bring it within the tolerance", [0.25], 9, 0, 0.5, 0.1, 10),
    ("all known are idle", [0.0], 1, 0, 0.5, 0.1, 1),
    ("missing at the target exactly", [0.5] * 3, 1, 0, 0.5, 0.0, 4),
    ("not ready are idle above", [1.0, 1.0], 0, 1, 0.5, 0.1, 4),
    ("not ready turn the direction", [0.6, 0.6], 0, 2, 0.5, 0.1, 4),
    ("not ready: within the tolerance", [1.0] * 3, 0, 3, 0.5, 0.1, 6),
    ("not ready don't count below", [0.25] * 4, 0, 2, 0.5, 0.1, 2),
    ("missing and not ready above", [2.0, 2.0], 1, 1, 0.5, 0.1, 8),
    ("missing and not ready below", [0.25, 0.25], 1, 1, 0.5, 0.1, 2),
]


@pytest.mark.parametrize(
    ("name", "values", "missing", "unready", "target", "tolerance", "expected"), CALCULATED, ids=lambda v: str(v)[:40]
)
def test_replica_calculator(
    name: str, values: list[float], missing: int, unready: int, target: float, tolerance: float, expected: int
) -> None:
    row = {"ts": [0], "total": [sum(values)], "known": [len(values)], "missing": [missing]}
    metric = Ratio(form="ratio", signal=CPU, target=target, tolerance=tolerance)
    found = asked(metric, pl.DataFrame(row), unready, len(values) + missing + unready)
    assert found["asked"].item() == expected, name


def test_nothing_known_asks_for_nothing() -> None:
    row = {"ts": [0], "total": [0.0], "known": [0], "missing": [3]}
    found = asked(Ratio(form="ratio", signal=CPU, target=0.5), pl.DataFrame(row), 0, 3)
    assert found.select("ratio", "raw", "asked").row(0) == (None, None, None)


RATIO = {"form": "ratio", "signal": CPU, "target": 0.5}


def test_the_whole_way_counts_members_without_samples_and_without_an_answer() -> None:
    # Six ready at 1.0, two without a sample, one that doesn't answer and is left out: 6 ÷ (9 × 0.5) = 1.33
    values = [1.0] * 6 + [None] * 2 + [5.0]
    proposal = ask([RATIO], [of_each(CPU, values), ups(9, down=[8])], fleet(9))
    assert (stage(proposal, "raw"), count(proposal)) == (12, 12)
    assert "3 unknown" in proposal.why
    assert "Without an answer elsewhere: 1 instance, counted as idle." in proposal.why


# stabilisation: the smallest number upwards, the largest downwards, recomputed at every instant of the window

SPIKE, CALM = 1.0, 0.25
WINDOW = {"scale_in": {"stabilise": "5m", "step": {"percent": 100}, "cooldown": "0s"}}


def at(value: float, seconds: int, otherwise: float) -> Callable[[float], float]:
    return lambda s: value if s == -seconds else otherwise


def series(value: Callable[[float], float | None], members: int = 4) -> Samples:
    return history(*((CPU, {"host": f"web-{n:03}"}, moving(value, HALF_AN_HOUR)) for n in range(members)))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 8), (15, 8), (285, 8), (300, 2), (600, 2)],
)
def test_downwards_the_largest_number_of_the_window_holds(seconds: int, expected: int) -> None:
    samples = [series(at(SPIKE, seconds, CALM))]
    if 0 < seconds < 300:
        assert "largest number within 5m" in told([RATIO], samples, fleet(4), **WINDOW)
        return
    proposal = ask([RATIO], samples, fleet(4), **WINDOW)
    assert count(proposal) == expected


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [(0, True), (15, True), (105, True), (120, False), (300, False)],
)
def test_upwards_the_smallest_number_of_the_window_counts(seconds: int, holds: bool) -> None:
    samples = [series(at(CALM, seconds, SPIKE))]
    window = {"scale_out": {"stabilise": "2m"}, "scale_in": None}
    if holds:
        assert "keeps its 4 instances" in told([RATIO], samples, fleet(4), **window)
    else:
        assert count(ask([RATIO], samples, fleet(4), **window)) == 8


def test_a_number_between_counts_where_the_window_only_rose() -> None:
    samples = [series(lambda s: 1.0 if s > -60 else 0.75)]
    proposal = ask([RATIO], samples, fleet(4), scale_out={"stabilise": "2m"})
    assert (stage(proposal, "tolerance"), stage(proposal, "stabilised")) == (8, 6)
    assert limit(proposal, "stabilised") == "smallest number within 2m"


@pytest.mark.parametrize(("known", "complete"), [(600, True), (301, True), (300, True), (285, False), (60, False)])
def test_a_window_that_isnt_known_from_its_beginning_takes_nothing_away(known: int, complete: bool) -> None:
    samples = [series(lambda s: CALM if s >= -known else None)]
    if complete:
        assert count(ask([RATIO], samples, fleet(4), **WINDOW)) == 2
    else:
        assert "isn't known from its beginning" in told([RATIO], samples, fleet(4), **WINDOW)


def test_a_hole_within_the_window_of_five_minutes_and_more_takes_nothing_away() -> None:
    wide = {"scale_in": {"stabilise": "15m", "step": {"percent": 100}, "cooldown": "0s"}}
    short = [series(lambda s: CALM if not -600 < s < -315 else None)]
    assert count(ask([RATIO], short, fleet(4), **wide)) == 2
    long = [series(lambda s: CALM if not -700 < s < -100 else None)]
    assert "isn't known from its beginning" in told([RATIO], long, fleet(4), **wide)


# rate limits: of percent and count the larger change, from the size at the beginning of the period


@pytest.mark.parametrize(
    ("members", "step", "expected"),
    [
        (4, {"percent": 100, "count": 4}, 8),
        (3, {"percent": 100, "count": 4}, 7),
        (10, {"percent": 10}, 11),
        (11, {"percent": 10}, 13),
        (10, {"count": 3}, 13),
        (10, {"percent": 50, "count": 3}, 15),
        (10, {"percent": 0, "count": 0}, 10),
    ],
)
def test_growing_is_limited(members: int, step: dict[str, float], expected: int) -> None:
    samples = [of_each(CPU, [2.0] * members)]
    if expected == members:
        assert "a step from 10 reaches 10" in told([RATIO], samples, fleet(members), scale_out={"step": step})
        return
    proposal = ask([RATIO], samples, fleet(members), scale_out={"step": step})
    assert count(proposal) == expected
    assert limit(proposal, "rate-limited") == f"a step from {members} reaches {expected}"


@pytest.mark.parametrize(
    ("members", "step", "expected"),
    [
        (10, {"percent": 10}, 9),
        (11, {"percent": 10}, 9),
        (19, {"percent": 10}, 17),
        (10, {"count": 4}, 6),
        (10, {"percent": 10, "count": 4}, 6),
        (10, {"percent": 60, "count": 4}, 4),
        (10, {"percent": 100}, 1),
        (10, {"percent": 500}, 1),
    ],
)
def test_shrinking_is_limited(members: int, step: dict[str, float], expected: int) -> None:
    samples = [of_each(CPU, [0.01] * members)]
    proposal = ask([RATIO], samples, fleet(members), scale_in={"step": step, "cooldown": "0s"})
    assert count(proposal) == expected


def test_the_largest_of_several_metrics_counts() -> None:
    other = RATIO | {"signal": "other"}
    samples = [of_each(CPU, [1.0] * 4), of_each("other", [2.0] * 4)]
    proposal = ask([RATIO, other], samples, fleet(4), scale_out={"step": {"percent": 1000}})
    assert count(proposal) == 16
    assert proposal.why.startswith("other: ")
