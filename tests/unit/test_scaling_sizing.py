"""Numbers of consumers and brokers: every stage, its limits and boundaries, and what always holds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.methods import ConsumerLag, Step
from controlplane.scaling.sizing import Sized, brokers_needed, consumers, largest_step, smallest_step, whole


def sized(required: float, current: int = 4, partitions: int = 100, **parameters: object) -> Sized:
    """Consumers of 100 messages/s each."""
    before = parameters.pop("before", ())
    return consumers(
        required=required,
        per_consumer=100,
        current=current,
        partitions=partitions,
        lag=250_000,
        threshold=100_000,
        required_before=before,
        parameters=ConsumerLag.model_validate(parameters),
    )


def bits(result: Sized) -> dict[str, str]:
    return {stage.name: stage.limit for stage in result.stages if stage.limit}


@pytest.mark.parametrize(
    ("number", "expected"), [(0, 0), (2, 2), (2.0000000001, 2), (2.00001, 3), (2.9999999999, 3), (-0.5, 0)]
)
def test_whole(number: float, expected: int) -> None:
    assert whole(number) == expected


@pytest.mark.parametrize(
    ("current", "step", "expected"),
    [
        (4, Step(percent=100, count=4), 8),
        (3, Step(percent=100, count=4), 7),
        (10, Step(percent=100, count=4), 20),
        (10, Step(percent=15), 12),
        (10, Step(percent=20), 12),
        (10, Step(count=0), 10),
        (10, Step(percent=0, count=1), 11),
        (0, Step(percent=100), 0),
    ],
)
def test_the_largest_step_is_the_larger_of_percent_and_count(current: int, step: Step, expected: int) -> None:
    assert largest_step(current, step) == expected


@pytest.mark.parametrize(
    ("required", "wanted", "count", "short"),
    [
        (0, 0, 4, False),
        (100, 1, 4, False),
        (359, 4, 4, False),
        (400, 4, 4, False),
        (440, 5, 4, False),  # 1.1 of the capacity is held still
        (440.1, 5, 5, True),
        (500, 5, 5, True),
        (500.1, 6, 6, True),
        (800, 8, 8, True),
        (801, 9, 8, True),
    ],
)
def test_demand_tolerance_and_step(required: float, wanted: int, count: int, short: bool) -> None:
    result = sized(required)
    assert (result.wanted, result.count, result.short) == (wanted, count, short)


def test_the_stages_name_each_limit() -> None:
    result = sized(1_950, zones=3, max_step={"count": 10}, maximum=13)
    assert [(stage.name, stage.value) for stage in result.stages] == [
        ("lag ÷ threshold", 3),
        ("raw", 20),
        ("tolerance", 20),
        ("stabilised", 20),
        ("spread", 21),
        ("rate-limited", 14),
        ("clamped", 13),
    ]
    assert bits(result) == {
        "spread": "3 zones",
        "rate-limited": "one step from 4 reaches 14",
        "clamped": "maximum 13",
    }
    assert bits(sized(430)) == {"tolerance": "tolerance 0.1"}
    assert bits(sized(100)) == {"tolerance": "lag never takes consumers away"}


@pytest.mark.parametrize(
    ("partitions", "maximum", "expected", "name"),
    [
        (100, None, 8, None),
        (8, None, 8, None),
        (7, None, 7, "7 partitions"),
        (7, 7, 7, "7 partitions"),
        (7, 6, 6, "maximum 6"),
        (7, 9, 7, "7 partitions"),
    ],
)
def test_clamped_to_partitions_and_maximum(
    partitions: int, maximum: int | None, expected: int, name: str | None
) -> None:
    result = sized(800, partitions=partitions, maximum=maximum)
    assert (result.count, bits(result).get("clamped")) == (expected, name)


def test_the_minimum_lifts_a_small_group() -> None:
    result = sized(100, current=1, minimum=3)
    assert (result.count, bits(result)["clamped"]) == (3, "minimum 3")
    assert sized(100, current=1, minimum=3, partitions=2).count == 2


@pytest.mark.parametrize(
    ("before", "expected"), [((), 8), ((900.0,), 8), ((600.0, 900.0), 6), ((100.0, 900.0), 4), ((800.0,), 8)]
)
def test_the_smallest_demand_of_the_window_counts_upwards(before: tuple[float, ...], expected: int) -> None:
    assert sized(800, before=before, stabilise="5m").count == expected


@pytest.mark.parametrize(
    ("load", "brokers", "threshold", "expected"),
    [
        (2.1, 3, 0.7, 0),
        (2.11, 3, 0.7, 1),
        (2.7, 3, 0.7, 1),
        (2.8, 3, 0.7, 1),  # exactly four brokers at 70 %
        (2.81, 3, 0.7, 2),
        (6.0, 6, 0.6, 4),
        (1.41, 3, 0.7, 0),  # one less would be above
        (1.4, 3, 0.7, -1),
        (0.0, 3, 0.7, -3),
    ],
)
def test_brokers_by_cruise_control(load: float, brokers: int, threshold: float, expected: int) -> None:
    assert brokers_needed(load, brokers * threshold, threshold) == expected


@pytest.mark.parametrize(
    ("current", "step", "expected"),
    [
        (10, Step(count=1), 9),
        (10, Step(percent=25), 7),
        (10, Step(percent=25, count=1), 7),
        (10, Step(percent=5, count=1), 9),
        (10, Step(percent=200), 0),
        (3, Step(count=5), 0),
    ],
)
def test_the_largest_step_down(current: int, step: Step, expected: int) -> None:
    assert smallest_step(current, step) == expected


sizes = st.integers(1, 300)
rates = st.floats(0, 1e7, allow_nan=False)
steps = st.builds(Step, percent=st.floats(0, 400), count=st.integers(0, 50))
settings = st.fixed_dictionaries(
    {
        "tolerance": st.floats(0, 0.5),
        "max_step": steps,
        "minimum": st.integers(0, 20),
        "maximum": st.none() | sizes,
        "zones": st.integers(1, 4),
    }
)


@given(rates, rates, sizes, sizes, settings)
def test_limits_always_hold(
    first: float, second: float, current: int, partitions: int, given_: dict[str, object]
) -> None:
    parameters = ConsumerLag.model_validate(given_)
    low, high = (
        consumers(
            required=required,
            per_consumer=100,
            current=current,
            partitions=partitions,
            lag=required,
            threshold=None,
            required_before=(),
            parameters=parameters,
        )
        for required in sorted((first, second))
    )
    assert low.count <= high.count
    for result in (low, high):
        assert result.count <= partitions
        assert parameters.maximum is None or result.count <= parameters.maximum
        assert result.count >= min(parameters.minimum, partitions, parameters.maximum or math.inf)
        upper = min(partitions, parameters.maximum or partitions)
        assert result.count <= max(largest_step(current, parameters.max_step), min(parameters.minimum, upper))
        assert result.count >= min(current, upper)
        assert result.stages[-1].value == result.count


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.1, 1))
def test_enough_brokers_are_added_and_not_one_too_many(utilisation: list[float], threshold: float) -> None:
    load, count = math.fsum(utilisation), len(utilisation)
    after = count + brokers_needed(load, count * threshold, threshold)
    assert load <= after * threshold + 1e-6
    assert load > (after - 1) * threshold - 1e-6
