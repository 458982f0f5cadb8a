"""Histories with uneven distances: their shares, gaps, sparklines and rates."""

import pytest
from rich.console import Console

from tests.tui import sample
from tests.tui.sample import NOW
from tui.data.outlook import per_minute
from tui.data.shares import is_gap, shares
from tui.describe.advice import evidence_table
from tui.text import spark

MINUTE = 60_000
HOUR = 60 * MINUTE


def steps(begin: int, every: int, *values: float | None) -> tuple[tuple[int, float | None], ...]:
    return tuple((begin + every * number, value) for number, value in enumerate(values))


@pytest.mark.parametrize(
    ("before", "after", "gap"),
    [
        (5 * HOUR, 5 * HOUR + 10 * MINUTE, False),
        (5 * HOUR, 5 * HOUR + 10 * MINUTE + 1, True),
        (6 * HOUR - 5 * MINUTE, 6 * HOUR, False),
        (6 * HOUR - 5 * MINUTE - 1, 6 * HOUR, True),
        (6 * HOUR - 38 * MINUTE, 6 * HOUR - 30 * MINUTE, False),
        (6 * HOUR - 36 * MINUTE, 6 * HOUR - 30 * MINUTE + 1, True),
    ],
)
def test_far_apart_is_a_gap(before: int, after: int, gap: bool) -> None:
    assert is_gap(before, after, 6 * HOUR) is gap


@pytest.mark.parametrize(
    ("history", "most", "shown"),
    [
        ((), 5, []),
        (steps(0, 15_000, 1, 2, 3), 0, []),
        (steps(0, 15_000, 1, 2, 3), 5, [1, 2, 3]),
        (steps(0, 15_000, 1, 2, 3, 4), 2, [2, 4]),
        (steps(0, 15_000, 1, None, 3), 3, [1, None, 3]),
        (steps(0, 15_000, 1, None, float("inf"), 4), 2, [1, 4]),
        # Six minutes apart in the last half hour: something is missing.
        ((*steps(0, MINUTE, 1, 2), *steps(7 * MINUTE, MINUTE, 3, 4)), 4, [2, None, None, 4]),
        # Two minutes apart and then 15 s: nothing is.
        ((*steps(0, 2 * MINUTE, 1, 2, 3), *steps(4 * MINUTE + 15_000, 15_000, 4, 5, 6)), 6, [1, 1, 2, 2, 2, 6]),
    ],
)
def test_shares_are_of_time(history, most: int, shown: list[float | None]) -> None:
    assert shares(history, most, max) == shown


def test_a_sparkline_has_room_by_time_and_not_by_number() -> None:
    calm = steps(0, 5 * MINUTE, *[0.0] * 66)
    high = steps(calm[-1][0] + 15_000, 15_000, *[7.0] * 120)
    found = spark((*calm, *high), 12)
    assert (found[:10], found[-1]) == ("▁" * 10, "█")


def test_a_rate_weighs_time() -> None:
    # It stood still for eight minutes and rises by 1 in each of the last two.
    still, rising = (
        steps(0, 2 * MINUTE, 0, 0, 0, 0, 0),
        steps(8 * MINUTE + 15_000, 15_000, *[n / 4 for n in range(1, 9)]),
    )
    even = [(ms, 0.0 if ms <= 8 * MINUTE else ms / MINUTE - 8) for ms in range(0, 10 * MINUTE + 1, 15_000)]
    found, alike = per_minute((*still, *rising)), per_minute(tuple(even))
    assert found is not None
    assert alike is not None
    assert found == pytest.approx(alike, rel=0.12)


def shown(trend: tuple[float | None, ...]) -> str:
    advised = sample.scale_out(sample.facts().alert)
    item = advised.proposal.evidence[0].model_copy(update={"trend": trend, "reference": "samples 1"})
    proposal = advised.proposal.model_copy(update={"evidence": (item,)})
    console = Console(width=100, no_color=True)
    with console.capture() as capture:
        console.print(evidence_table(advised.model_copy(update={"proposal": proposal}), NOW))
    return capture.get()


@pytest.mark.parametrize(
    ("trend", "line"),
    [
        ((), None),
        ((1.0,), None),
        ((None, None, 1.0, 2.0, 3.0), "▁▄█"),
        ((1.0, None, 3.0), "▁ █"),
    ],
)
def test_evidence_shows_its_trend(trend: tuple[float | None, ...], line: str | None) -> None:
    text = shown(trend)
    assert any(block in text for block in "▁▄█") is (line is not None)
    assert line is None or line in text
