"""Thinning of histories: what is kept, and that it doesn't depend on when it is done."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.tick.thinning import BUCKET_MS, FULL_MS, KEPT_MS, extremes, thinned

STEP = 15_000
NOW = 1_773_338_400_000
"""On a full five minutes."""

Pairs = list[tuple[int, float | None]]


def thin(points: Pairs) -> Pairs:
    made = thinned(
        np.zeros(len(points), np.int64),
        np.array([at for at, _ in points], np.int64),
        np.array([value for _, value in points], float),
    )
    values = [None if math.isnan(value) else value for value in made.value.tolist()]
    return list(zip(made.at.tolist(), values, strict=True))


def stretch(begin: int, values: list[float | None]) -> Pairs:
    return [(begin + STEP * number, value) for number, value in enumerate(values)]


def test_the_last_half_hour_is_kept_whole() -> None:
    points = stretch(NOW - FULL_MS + STEP, [float(n % 7) for n in range(120)])
    assert points[-1][0] == NOW
    assert thin(points) == points


OLD = NOW - FULL_MS - 2 * BUCKET_MS
"""A stretch that is old by now begins here."""


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([3.0, 1.0, 9.0, 2.0], [1, 2]),
        ([9.0, 2.0, 1.0, 3.0], [0, 2]),
        ([4.0, 4.0, 4.0], [0]),
        ([4.0, 1.0, 4.0, 1.0], [0, 1]),
        ([None, 2.0, None], [1]),
        ([None, None], [0]),
        ([math.inf, 2.0, 5.0, math.inf], [0, 1]),
        ([5.0], [0]),
        ([float(n) for n in range(20)], [0, 19]),
    ],
)
def test_the_first_lowest_and_highest_of_an_old_stretch_are_kept(values: list[float | None], kept: list[int]) -> None:
    points = stretch(OLD, values)
    assert thin([*points, (NOW, 1.0)]) == [*(points[number] for number in kept), (NOW, 1.0)]


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        (FULL_MS, True),
        (FULL_MS + BUCKET_MS, False),
        (KEPT_MS, True),
        (KEPT_MS + BUCKET_MS, False),
    ],
)
def test_what_is_old(age: int, kept: bool) -> None:
    # The second of two equal points is what the half hour keeps; a lone point is what six hours keep.
    begin = NOW - age
    points: Pairs = [(begin, 1.0), (begin + STEP, 1.0), (NOW, 1.0)]
    lone = age >= KEPT_MS
    assert ((begin if lone else begin + STEP, 1.0) in thin(points)) is kept


def test_the_size_is_bounded() -> None:
    points = stretch(NOW - 2 * KEPT_MS, [float(n * 7919 % 1000) for n in range(2 * KEPT_MS // STEP + 1)])
    kept = thin(points)
    assert len(kept) <= 2 * (KEPT_MS - FULL_MS) // BUCKET_MS + (FULL_MS + BUCKET_MS) // STEP + 2
    assert kept[-1] == points[-1]
    assert kept[0][0] > NOW - KEPT_MS - BUCKET_MS


def test_the_later_of_two_points_of_one_time_counts() -> None:
    assert thin([(NOW, 1.0), (NOW - STEP, 5.0), (NOW, 2.0)]) == [(NOW - STEP, 5.0), (NOW, 2.0)]


def test_owners_are_apart() -> None:
    owner = np.array([1, 0, 1, 0], np.int64)
    at = np.array([NOW, NOW, NOW - KEPT_MS, NOW + KEPT_MS + BUCKET_MS], np.int64)
    made = thinned(owner, at, np.ones(4))
    assert [*zip(made.owner.tolist(), made.at.tolist(), strict=True)] == [
        (0, NOW + KEPT_MS + BUCKET_MS),
        (1, NOW - KEPT_MS),
        (1, NOW),
    ]


values = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf, -math.inf]), st.floats(-1e9, 1e9))


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.integers(1, 120), min_size=1, max_size=60),
    drawn=st.data(),
    begin=st.integers(NOW, NOW + BUCKET_MS),
)
def test_it_doesnt_matter_how_often_it_is_done(steps: list[int], drawn: st.DataObject, begin: int) -> None:
    at, points = begin - begin % STEP, []
    for step in steps:
        at += step * STEP
        points.append((at, drawn.draw(values)))
    whole = thin(points)
    assert thin(whole) == whole
    kept: Pairs = []
    rest = points
    while rest:
        size = drawn.draw(st.integers(1, len(rest)))
        kept, rest = thin([*kept, *rest[:size]]), rest[size:]
    assert kept == whole


@settings(max_examples=40, deadline=None)
@given(drawn=st.lists(values, min_size=1, max_size=400), most=st.integers(3, 120))
def test_a_chart_has_so_many_points_at_most(drawn: list[float | None], most: int) -> None:
    at = np.arange(len(drawn), dtype=np.int64) * STEP + NOW
    value = np.array(drawn, float)
    kept = extremes(at, value, most)
    assert 0 < kept.sum() <= most
    assert kept[-1]
    if not np.isnan(value).all():
        assert np.nanmin(value[kept]) == np.nanmin(value)
        assert np.nanmax(value[kept]) == np.nanmax(value)
