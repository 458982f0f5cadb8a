"""The state of a partition by its last commits, case by case as Burrow's evaluator decides them."""

import itertools
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.burrow import LagStatus, group_status, lag_status

COMMITS = {"topic": pl.String, "partition": pl.String, "ts": pl.Int64, "offset": pl.Float64, "lag": pl.Float64}
LOG = {"topic": pl.String, "partition": pl.String, "ts": pl.Int64, "offset": pl.Float64}
STEP = 15_000
Numbers = list[float | None]

OK, WARN, STOP, STALL, REWIND = LagStatus


def commits(offsets: Numbers, lags: Numbers, partition: str = "0") -> pl.DataFrame:
    rows = [("t", partition, n * STEP, o, lag) for n, (o, lag) in enumerate(zip(offsets, lags, strict=True))]
    return pl.DataFrame(rows, schema=COMMITS, orient="row")


def ends(offsets: Numbers, partition: str = "0") -> pl.DataFrame:
    rows = [("t", partition, n * STEP, offset) for n, offset in enumerate(offsets)]
    return pl.DataFrame(rows, schema=LOG, orient="row")


def judge(offsets: Numbers, lags: Numbers, log: Numbers, after: int = 0, **options: float) -> LagStatus:
    """The state of one partition `after` milliseconds after its last commit."""
    now = (len(offsets) - 1) * STEP + after
    result = lag_status(commits(offsets, lags), ends(log), now, **options)
    return LagStatus(result["status"][0])


UP10: Numbers = [100.0 * n for n in range(1, 11)]
SAME10: Numbers = [500.0] * 10
GROW: Numbers = [10.0 * n for n in range(1, 11)]
FLAT: Numbers = [50.0] * 10
SAW: Numbers = [50.0, 40, 60, 50, 70, 60, 80, 70, 90, 80]
ZERO: Numbers = [0.0] * 10
AHEAD: Numbers = [2000.0] * 10
SPAN = 9 * STEP


@pytest.mark.parametrize(
    ("name", "offsets", "lags", "log", "after", "expected"),
    [
        ("no lag", UP10, ZERO, UP10, 0, OK),
        ("no lag now, lag before", UP10, [*GROW[:-1], 0.0], AHEAD, 0, OK),
        ("no lag, long silent", UP10, ZERO, AHEAD, 10 * SPAN, OK),
        ("lag falls and rises", UP10, SAW, AHEAD, 0, OK),
        ("lag falls", UP10, GROW[::-1], AHEAD, 0, OK),
        ("lag rises", UP10, GROW, AHEAD, 0, WARN),
        ("lag flat while reading", UP10, FLAT, AHEAD, 0, WARN),
        ("lag rises, one step back at the end", UP10, [*GROW[:-1], 89.0], AHEAD, 0, OK),
        ("zero lag once in the window", UP10, [0.0, *GROW[1:]], AHEAD, 0, OK),
        ("zero lag once, offsets unchanged", SAME10, [0.0, *GROW[1:]], AHEAD, 0, OK),
        ("offsets unchanged", SAME10, GROW, AHEAD, 0, STALL),
        ("offsets unchanged, lag flat", SAME10, FLAT, AHEAD, 0, STALL),
        ("offsets unchanged but no lag", SAME10, ZERO, [500.0] * 10, 0, OK),
        ("silent as long as the window", UP10, GROW, AHEAD, SPAN, WARN),
        ("silent longer than the window", UP10, GROW, AHEAD, SPAN + 1, STOP),
        ("silent, log at the last commit", UP10, GROW, [1000.0] * 10, SPAN + 1, WARN),
        ("silent, log was at the last commit", UP10, SAW, [1000.0, *AHEAD[1:]], SPAN + 1, OK),
        ("silent, log one ahead", UP10, GROW, [1001.0] * 10, SPAN + 1, STOP),
        ("silent, log unknown", UP10, GROW, [], SPAN + 1, STOP),
        ("silent before rewound", [*UP10[:-1], 1.0], GROW, AHEAD, SPAN + 1, STOP),
        ("rewound at the end", [*UP10[:-1], 50.0], GROW, AHEAD, 0, REWIND),
        ("rewound, not regained", [900.0, 100, 200, 300, 400, 500, 600, 700, 800, 899], GROW, AHEAD, 0, REWIND),
        ("rewound, regained exactly", [900.0, 100, 200, 300, 400, 500, 600, 700, 800, 900], GROW, AHEAD, 0, WARN),
        ("rewound twice, once regained", [300.0, 100, 400, 200, 250, 260, 270, 280, 290, 300], GROW, AHEAD, 0, REWIND),
        ("rewound before no lag", [*UP10[:-1], 50.0], [0.0, *GROW[1:]], AHEAD, 0, REWIND),
        ("lag not measured now, rising", UP10, [*GROW[:-1], None], AHEAD, 0, WARN),
        ("lag not measured now, none before", UP10, [*ZERO[:-1], None], AHEAD, 0, OK),
        ("lag not measured now, offsets unchanged", SAME10, [*FLAT[:-1], None], AHEAD, 0, STALL),
        ("lag measured once, offsets unchanged", SAME10, [50.0, *[None] * 9], AHEAD, 0, STALL),
        ("lag measured now and then, rising", UP10, [10.0, None, 20, None, 30, None, 40, None, 50, 60], AHEAD, 0, WARN),
    ],
)
def test_first_match_counts(
    name: str, offsets: Numbers, lags: Numbers, log: Numbers, after: int, expected: LagStatus
) -> None:
    assert judge(offsets, lags, log, after) is expected, name


def test_a_partition_without_a_known_lag_is_not_judged() -> None:
    frame = pl.concat([commits(SAME10, [None] * 10, "0"), commits(SAME10, FLAT, "1")])
    result = lag_status(frame, pl.concat([ends(AHEAD, "0"), ends(AHEAD, "1")]), SPAN)
    assert result.rows() == [("t", "1", STALL, 50.0)]


@pytest.mark.parametrize(("count", "expected"), [(1, OK), (4, OK), (5, STALL), (10, STALL)])
def test_an_incomplete_window_says_nothing(count: int, expected: LagStatus) -> None:
    assert judge(SAME10[:count], FLAT[:count], AHEAD, minimum_complete=0.5) is expected


@pytest.mark.parametrize(("allowed", "expected"), [(0, WARN), (9, WARN), (10, OK), (99, OK), (100, OK)])
def test_allowed_lag_counts_as_none(allowed: float, expected: LagStatus) -> None:
    assert judge(UP10, GROW, AHEAD, allowed_lag=allowed) is expected


def test_only_the_window_and_nothing_after_now_is_looked_at() -> None:
    frame = commits([900.0, *UP10], [0.0, *GROW])
    assert lag_status(frame, ends(AHEAD), 10 * STEP)["status"].to_list() == [WARN]
    assert lag_status(frame, ends(AHEAD), 10 * STEP, window=11)["status"].to_list() == [OK]
    later = pl.concat([frame, commits([1.0], [999.0]).with_columns(pl.col("ts") + 100 * STEP)])
    assert lag_status(later, ends(AHEAD), 10 * STEP)["status"].to_list() == [WARN]


def test_partitions_are_judged_apart_and_the_worst_is_the_groups() -> None:
    frame = pl.concat([commits(UP10, GROW, "0"), commits(SAME10, FLAT, "1"), commits(UP10, ZERO, "2")])
    log = pl.concat([ends(AHEAD, "0"), ends(AHEAD, "1"), ends(UP10, "2")])
    result = lag_status(frame.sample(fraction=1.0, shuffle=True, seed=7), log, SPAN)
    assert dict(result.select("partition", "status").rows()) == {"0": WARN, "1": STALL, "2": OK}
    assert group_status(result) is STALL
    assert group_status(result.clear()) is OK
    assert result.columns == ["topic", "partition", "status", "lag"]


offsets_ = st.lists(st.integers(0, 50), min_size=1, max_size=14)


@given(offsets_, st.data(), st.integers(0, 20) | st.just(500))
def test_agrees_with_a_plain_reading_of_the_rules(offsets: list[int], data: st.DataObject, silence: int) -> None:
    lags = data.draw(st.lists(st.integers(0, 9), min_size=len(offsets), max_size=len(offsets)))
    log = data.draw(st.lists(st.integers(0, 60), max_size=12))
    got = judge([*map(float, offsets)], [*map(float, lags)], [*map(float, log)], silence * STEP)
    # The log may have been read after `now`; the plain reading has to leave those out, too.
    now = (len(offsets) - 1) + silence
    assert got is plainly(offsets[-10:], lags[-10:], log[: now + 1][-10:], silence)


def plainly(offsets: list[int], lags: list[int], log: list[int], silence: int) -> LagStatus:
    if len(offsets) < 5 or lags[-1] <= 0:
        return OK
    if silence > len(offsets) - 1 and not any(end <= offsets[-1] for end in log):
        return STOP
    for n in range(1, len(offsets)):
        if offsets[n] < offsets[n - 1] and max(offsets[n:], default=-math.inf) < offsets[n - 1]:
            return REWIND
    if min(lags) <= 0:
        return OK
    if len(set(offsets)) == 1:
        return STALL
    return WARN if all(b >= a for a, b in itertools.pairwise(lags)) else OK
