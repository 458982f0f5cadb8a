"""Derived signals, computed by hand: each method at its boundaries, and what must not depend on the window."""

import json
import math
import random
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from controlplane.burrow import LagStatus, lag_status
from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory, Resource
from controlplane.model.signals import Signal
from controlplane.rules.compile import compile_rules
from controlplane.rules.derive import NO_PAST, Past, derive
from controlplane.rules.evaluate import STATE, evaluate
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules

MINUTE = 60_000
Row = tuple[str, str, Mapping[str, str], str]
"""source, signal, labels, and a word a step from step 1 on: a number, `_` (no sample), `nan` or `?` (no answer)."""
Found = dict[tuple[str, str], dict[int, float]]
"""(source, labels) → step → value."""


def given_(*rows: Row, step: int = MINUTE, start: int = 1) -> Samples:
    """Samples; a source answers for the signals of its rows at every step but those with `?`."""
    named, samples, answers = [], [], set()
    for sid, (source, signal, labels, text) in enumerate(rows):
        named.append((sid, source, "shop", signal, canonical(labels)))
        for index, word in enumerate(text.split(), start=start):
            if word != "?":
                answers.add((source, signal, index))
            if word not in {"?", "_"}:
                samples.append((sid, index * step, None if word == "nan" else float(word)))
    coverage = [(source, "shop", signal, n * step, n * step) for source, signal, n in sorted(answers)]
    present = {sid for sid, _, _ in samples}
    return Samples(
        pl.DataFrame([row for row in named if row[0] in present], schema=SERIES, orient="row"),
        pl.DataFrame(samples, schema=SAMPLES, orient="row"),
        pl.DataFrame(coverage, schema=COVERAGE, orient="row"),
    )


def signal(method: str, **keys: Any) -> Signal:
    return Signal.model_validate({"name": "derived.signal", "unit": "1", "derive": {"method": method, **keys}})


def values(
    what: Signal,
    window: Samples,
    *,
    inventory: Sequence[Mapping[str, Any]] = (),
    past: Past = NO_PAST,
    step: int = MINUTE,
) -> Found:
    stock = Inventory(resources=tuple(Resource.model_validate(one) for one in inventory))
    made = derive([("shop", what)], window, stock, past, step)
    mine = made.series.filter(pl.col("signal") == what.name)
    assert not mine.select("source", "labels").is_duplicated().any()
    found: Found = {}
    for source, labels, ts, value in (
        made.samples.join(mine, on="sid").select("source", "labels", "ts", "value").sort("ts").iter_rows()
    ):
        assert canonical(json.loads(labels)) == labels
        found.setdefault((source, labels), {})[ts // step] = value
    return found


def answered(what: Signal, window: Samples, past: Past = NO_PAST) -> list[tuple[str, int]]:
    made = derive([("shop", what)], window, Inventory(), past, MINUTE)
    mine = made.coverage.filter(pl.col("signal") == what.name)
    return [(source, ts // MINUTE) for source, ts in mine.select("source", "first").sort("source", "first").iter_rows()]


def last(found: Found) -> float | None:
    """The value at the last step of the only series."""
    if not found:
        return None
    (only,) = found.values()
    return only[max(only)]


def line(values_: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values_)


# utilization

BROKER = {"id": "k1", "platform": "shop", "kind": "broker", "limits": {"kafka.message.rate": 60_000}}
UTILIZATION = signal("utilization", of=["kafka.message.rate", "system.filesystem.usage"], by="host")


@pytest.mark.parametrize(
    ("rows", "inventory", "expected"),
    [
        pytest.param([({"host": "k1"}, "60000")], [BROKER], 1.0, id="exactly at the limit"),
        pytest.param([({"host": "k1"}, "60001")], [BROKER], 60_001 / 60_000, id="over it"),
        pytest.param([({"host": "k1"}, "0")], [BROKER], 0.0, id="no load"),
        pytest.param(
            [({"host": "k1", "topic": "a"}, "20000"), ({"host": "k1", "topic": "b"}, "10000")],
            [BROKER],
            0.5,
            id="summed by the label",
        ),
        pytest.param([({"host": "k2"}, "60000")], [BROKER], None, id="a resource that isn't in the inventory"),
        pytest.param([({}, "60000")], [BROKER], None, id="a series without the label"),
        pytest.param([({"host": "k1"}, "6")], [{**BROKER, "limits": {}}], None, id="no limit is stated"),
        pytest.param([({"host": "k1"}, "6")], [{**BROKER, "limits": {"kafka.message.rate": 0}}], None, id="limit zero"),
        pytest.param([({"host": "k1"}, "6")], [{**BROKER, "platform": "other"}], None, id="another platform"),
        pytest.param([({"host": "k1"}, "nan")], [BROKER], None, id="not a number"),
        pytest.param([({"host": "k1"}, "inf")], [BROKER], None, id="infinite"),
        *(
            pytest.param(
                [({"host": "k1"}, load)],
                [{**BROKER, "limits": {"kafka.message.rate": limit}}],
                float(load) / limit,
                id=f"{load} of {limit:g}",
            )
            for limit in (1e15, 1e18, 1e24)
            for load in ("8.5e14", "1e15", "1.0001e15", "1e18", "1.01e18", "1e24", "1.01e24")
        ),
    ],
)
def test_utilization(rows: list[tuple[dict[str, str], str]], inventory: list[Any], expected: float | None) -> None:
    window = given_(*(("s", "kafka.message.rate", labels, text) for labels, text in rows))
    found = values(UTILIZATION, window, inventory=inventory)
    assert last(found) == expected
    if expected is not None:
        assert list(found) == [("s", '{"host":"k1","limit":"kafka.message.rate"}')]


def test_utilization_of_a_capacity_and_of_several_signals() -> None:
    host = {**BROKER, "capacity": {"disk_bytes": 4e12}}
    window = given_(
        ("s", "kafka.message.rate", {"host": "k1"}, "30000 _"),
        ("s", "system.filesystem.usage", {"host": "k1", "mountpoint": "/"}, "1e12 2e12"),
        ("s", "system.filesystem.usage", {"host": "k1", "mountpoint": "/data"}, "1e12 2e12"),
    )
    assert values(UTILIZATION, window, inventory=[host]) == {
        ("s", '{"host":"k1","limit":"kafka.message.rate"}'): {1: 0.5},
        ("s", '{"host":"k1","limit":"system.filesystem.usage"}'): {1: 0.5, 2: 1.0},
    }
    # A limit that is stated comes before the capacity.
    stated = {**host, "limits": {"system.filesystem.usage": 8e12}}
    assert values(UTILIZATION, window, inventory=[stated]) == {
        ("s", '{"host":"k1","limit":"system.filesystem.usage"}'): {1: 0.25, 2: 0.5},
    }


# time_to_limit

TIME_TO_LIMIT = signal("time_to_limit", of="a.usage", limit="a.limit", over="10m")


@pytest.mark.parametrize(
    ("usage", "limit", "expected"),
    [
        pytest.param("10 20 30 40", "100", None, id="four of ten minutes: less than half"),
        pytest.param("10 20 30 40 50", "100", 300.0, id="five: half; 50 are left at 10 a minute"),
        pytest.param("_ _ _ _ 10 _ _ _ 50", "100", 300.0, id="half is reached by time, not by the number of samples"),
        pytest.param("10 20 30 40 50 60 70 80 90 100", "100", 0.0, id="at the limit"),
        pytest.param("10 20 30 40 50 60 70 80 90 101", "100", 0.0, id="over it"),
        pytest.param("100 90 80 70 60", "50", 0.0, id="over it and falling"),
        pytest.param("50 50 50 50 50", "100", math.inf, id="no growth"),
        pytest.param("90 80 70 60 50", "100", math.inf, id="falling"),
        pytest.param("10 20 nan 40 50", "100", 300.0, id="what isn't a number is left out"),
        pytest.param("10 20 30 40 nan", "100", None, id="not a number now"),
        pytest.param("10 20 30 40 _", "100", None, id="gone now"),
        pytest.param("10 20 30 40 50", "nan", None, id="a limit that isn't a number"),
        pytest.param("10 20 30 40 50", "_", None, id="no limit"),
        pytest.param("99 " + line(range(1, 11)), "20", 600.0, id="what is older than the window doesn't count"),
        # Least squares through 0, 10, 5, 15, 10: slope 2.5 a minute.
        pytest.param("0 10 5 15 10", "35", 600.0, id="a line through what goes up and down"),
        pytest.param("1.10e15 1.11e15 1.12e15 1.13e15 1.14e15", "1.2e15", 360.0, id="above a petabyte"),
        pytest.param("9.6e14 9.7e14 9.8e14 9.9e14 1e15", "1e15", 0.0, id="at one"),
        pytest.param("9.6e17 9.7e17 9.8e17 9.9e17 1e18", "1.2e18", 1200.0, id="an exabyte"),
        pytest.param("9.7e17 9.8e17 9.9e17 1e18 1.01e18", "1.2e18", None, id="above an exabyte"),
    ],
)
def test_time_to_limit(usage: str, limit: str, expected: float | None) -> None:
    steps = len(usage.split())
    window = given_(("s", "a.usage", {"host": "x"}, usage), ("s", "a.limit", {"host": "x"}, " ".join([limit] * steps)))
    (found,) = [*values(TIME_TO_LIMIT, window).values()] or [{}]
    value = found.get(steps)
    assert value == (None if expected is None else pytest.approx(expected, rel=1e-9))


def test_a_line_is_right_where_the_sums_before_it_went_round() -> None:
    steps, now = 7_000, 29_000_000
    usage = line([1e18 - 1e12 * n for n in range(steps)][::-1])
    window = given_(
        ("s", "a.usage", {}, usage), ("s", "a.limit", {}, line([1e18 + 1e13] * steps)), start=now - steps + 1
    )
    assert sum(n * 2**30 * 10**18 for n in range(now - steps, now)) > 2**127
    assert last(values(TIME_TO_LIMIT, window)) == pytest.approx(600.0, rel=1e-9)


def test_time_to_limit_goes_by_equal_labels() -> None:
    window = given_(
        ("s", "a.usage", {"host": "x"}, "1 2 3 4 5"),
        ("s", "a.limit", {"host": "y"}, "9 9 9 9 9"),
        ("t", "a.limit", {"host": "x"}, "9 9 9 9 9"),
    )
    assert values(TIME_TO_LIMIT, window) == {}


# time_to_drain

DRAIN = signal("time_to_drain", over="10m")


@pytest.mark.parametrize(
    ("lag", "expected"),
    [
        ("500 400 300 200", None),
        ("500 400 300 200 100", 60.0),
        ("500 400 300 200 0", 0.0),
        ("0 0 0 0 0", 0.0),
        ("100 100 100 100 100", math.inf),
        ("100 200 300 400 500", math.inf),
        ("500 400 nan 200 100", 60.0),
        ("5e15 4e15 3e15 2e15 1e15", 60.0),
        ("1e15 2e15 3e15 4e15 5e15", math.inf),
    ],
)
def test_time_to_drain(lag: str, expected: float | None) -> None:
    # Half of it in each of two topics.
    half = " ".join(word if word == "nan" else str(float(word) / 2) for word in lag.split())
    window = given_(
        *(("s", "kafka.consumer.lag", {"consumer_group": "g", "topic": topic}, half) for topic in ("a", "b"))
    )
    found = values(DRAIN, window)
    assert last(found) == (None if expected is None else pytest.approx(expected, rel=1e-9))
    assert list(found) in ([], [("s", '{"consumer_group":"g"}')])


# burn_rate

BURN = signal("burn_rate", of="a.success", objective=0.999, windows=["1h", "5m"])


@pytest.mark.parametrize(
    ("failed", "rate"),
    # 30 days of 99.9 %: 2 % of the budget in an hour, 5 % in six hours, 10 % in three days (SRE workbook, table 5-6).
    [(0.0144, 14.4), (0.006, 6.0), (0.001, 1.0), (0.0005, 0.5), (0.0, 0.0), (1.0, 1000.0)],
)
def test_burn_rate_of_a_steady_failure(failed: float, rate: float) -> None:
    window = given_(("s", "a.success", {}, line([1 - failed] * 60)))
    assert last(values(BURN, window)) == pytest.approx(rate, abs=1e-5)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param([0.9] * 29, None, id="29 minutes of an hour"),
        pytest.param([0.9] * 30, 100.0, id="half an hour"),
        pytest.param([0.9] * 55 + [1.0] * 5, 0.0, id="it is over: the short window is clean"),
        pytest.param([1.0] * 55 + [0.9] * 5, 100 * 5 / 60, id="it has just begun: the long window counts"),
        pytest.param([1.0] * 58 + [0.9] * 2, 100 * 2 / 60, id="both are dirty: the smaller one"),
        pytest.param([0.5] * 60 + [1.0] * 60, 0.0, id="longer ago than the long window"),
    ],
)
def test_burn_rate_is_that_of_the_better_window(shares: list[float], expected: float | None) -> None:
    found = last(values(BURN, given_(("s", "a.success", {}, line(shares)))))
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-5))


# baseline_ratio

BASELINE = signal("baseline_ratio", of="a.rate", before="7d", over="10m")
WEEK = 7 * 24 * 60


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        pytest.param("100 100 100", 1.5, id="of rollups every five minutes"),
        pytest.param("50 100 200", 1.0, id="the last two lie in the ten minutes"),
        pytest.param("_ _ 100", 1.5, id="one is enough"),
        pytest.param("100 _ _", None, id="none in the ten minutes"),
        pytest.param("0 0 0", None, id="nothing to compare with"),
        pytest.param("-100 -100 -100", -1.5, id="negative"),
    ],
)
def test_baseline_ratio_with_rollups(then: str, expected: float | None) -> None:
    """Now is minute WEEK + 20; a week ago it was minute 20, and the rollups begin at minutes 10, 15 and 20."""
    earlier = given_(("s", "a.rate", {}, then), step=5 * MINUTE, start=2)
    window = given_(("s", "a.rate", {}, line([150] * 10)), start=WEEK + 11)
    asked: list[tuple[int, int]] = []

    def read(signals: Collection[str], after: int, until: int) -> Samples:
        assert set(signals) == {"a.rate"}
        asked.append((after, until))
        inside = pl.col("ts").is_between(after, until, closed="right")
        return Samples(earlier.series, earlier.samples.filter(inside), earlier.coverage.clear())

    of_now = values(BASELINE, window, past=Past(read)).get(("s", "{}"), {})
    found = of_now.get(WEEK + 20)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-9))
    assert all(after < 10 * MINUTE and until >= 20 * MINUTE for after, until in asked if after < WEEK * MINUTE // 2)


@pytest.mark.parametrize(("then", "now", "known"), [("1e15", "1.5e16", True), ("1e18", "1e18", True),
                                                     ("1e18", "1.1e18", False), ("1.1e18", "1e18", False)])  # fmt: skip
def test_baseline_ratio_of_large_values(then: str, now: str, *, known: bool) -> None:
    earlier = given_(("s", "a.rate", {}, " ".join([then] * 20)))
    window = given_(("s", "a.rate", {}, " ".join([now] * 10)), start=WEEK + 11)
    found = last(values(BASELINE, window, past=Past(_reading(earlier))))
    assert found == (float(now) / float(then) if known else None)


@pytest.mark.parametrize(("minutes", "known"), [(4, False), (5, True)])
def test_baseline_ratio_needs_half_of_the_time_now(minutes: int, *, known: bool) -> None:
    then = given_(("s", "a.rate", {}, line([100] * 20)))
    window = given_(("s", "a.rate", {}, line([150] * minutes)), start=WEEK + 20 - minutes + 1)
    assert bool(values(BASELINE, window, past=Past(_reading(then)))) is known


# lag_status

LAG = signal("lag_status")


@pytest.mark.parametrize("seed", range(12))
def test_lag_status_is_that_of_burrow(seed: int) -> None:
    """The worst partition of each group, judged by `controlplane.burrow`, at every step."""
    chance = random.Random(seed)
    rows: list[Row] = []
    for topic in ("t", "u"):
        rows.append(("s", "kafka.partition.offset", {"topic": topic, "partition": "0"}, _walk(chance, 0, 5)))
        for group in ("g", "h"):
            labels = {"consumer_group": group, "topic": topic, "partition": "0"}
            rows.append(("s", "kafka.consumer.offset", labels, _walk(chance, -1, 4)))
            rows.append(("s", "kafka.consumer.lag", labels, _walk(chance, -2, 3)))
    window = given_(*rows)
    found = values(LAG, window)
    frame = window.samples.join(window.series, on="sid").with_columns(
        pl.col("labels").str.json_decode(
            pl.Struct({"consumer_group": pl.String, "topic": pl.String, "partition": pl.String})
        )
    )
    frame = frame.unnest("labels")
    of = {
        name: frame.filter(pl.col("signal") == name)
        for name in ("kafka.consumer.lag", "kafka.consumer.offset", "kafka.partition.offset")
    }
    for group in ("g", "h"):
        commits = (
            of["kafka.consumer.offset"]
            .filter(pl.col("consumer_group") == group)
            .select("topic", "partition", "ts", pl.col("value").alias("offset"))
            .join(
                of["kafka.consumer.lag"]
                .filter(pl.col("consumer_group") == group)
                .select("topic", "partition", "ts", pl.col("value").alias("lag")),
                on=["topic", "partition", "ts"],
                how="left",
            )
        )
        ends = of["kafka.partition.offset"].select("topic", "partition", "ts", pl.col("value").alias("offset"))
        got = found.get(("s", f'{{"consumer_group":"{group}"}}'), {})
        for step in range(1, 16):
            judged = lag_status(commits, ends, step * MINUTE)["status"].to_list()
            assert got.get(step) == (max(judged) if judged else None), (group, step)


def _walk(chance: random.Random, least: int, most: int) -> str:
    now, words = 100, []
    still = chance.random() < 0.3
    for _ in range(15):
        now = max(0, now + (0 if still else chance.randint(least, most)))
        words.append("_" if chance.random() < 0.1 else str(now))
    return " ".join(words)


def test_a_stalled_group_is_told_from_one_that_drains() -> None:
    def rows(group: str, offsets: str, lags: str) -> list[Row]:
        labels = {"consumer_group": group, "topic": "t", "partition": "0"}
        return [("s", "kafka.consumer.offset", labels, offsets), ("s", "kafka.consumer.lag", labels, lags)]

    ten = range(1, 11)
    window = given_(
        *rows("drains", line([100 * n for n in ten]), line([1000 - 50 * n for n in ten])),
        *rows("stalls", line([100] * 10), line([50 * n for n in ten])),
        ("s", "kafka.partition.offset", {"topic": "t", "partition": "0"}, line([2000] * 10)),
    )
    at_end = {labels: found[10] for (_, labels), found in values(LAG, window).items()}
    assert at_end == {'{"consumer_group":"drains"}': LagStatus.OK, '{"consumer_group":"stalls"}': LagStatus.STALL}


# absent

ABSENT = signal("absent", of=["a.up", "b.up"])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("1", "1", {"a.up": 0.0, "b.up": 0.0}),
        ("1", "_", {"a.up": 0.0, "b.up": 1.0}),
        ("_", "_", {"a.up": 1.0, "b.up": 1.0}),
        # Answered for one signal only: whether the other one is there isn't known, so nothing is said.
        ("1", "?", {}),
        ("?", "_", {}),
        ("?", "?", {}),
        # There is a series, whatever it says.
        ("nan", "1", {"a.up": 0.0, "b.up": 0.0}),
        ("inf", "1e300", {"a.up": 0.0, "b.up": 0.0}),
    ],
)
def test_absent(a: str, b: str, expected: dict[str, float]) -> None:
    window = given_(("s", "a.up", {"host": "x"}, a), ("s", "b.up", {}, b))
    has = Past(offered=[("s", "shop", "a.up"), ("s", "shop", "b.up")])
    found = values(ABSENT, window, past=has)
    assert found == {("s", f'{{"signal":"{name}"}}'): {1: value} for name, value in expected.items()}


def test_a_source_that_does_not_have_a_signal_cannot_miss_it() -> None:
    window = given_(("s", "a.up", {}, "1"), ("t", "b.up", {}, "_"))
    has = Past(offered=[("s", "shop", "a.up"), ("t", "shop", "b.up")])
    assert values(ABSENT, window, past=has) == {
        ("s", '{"signal":"a.up"}'): {1: 0.0},
        ("t", '{"signal":"b.up"}'): {1: 1.0},
    }


# what holds for all methods


def test_an_input_that_fails_makes_the_result_unknown_not_absent() -> None:
    limit = ("s", "a.limit", {"host": "x"}, "100 100 100 100 100 ? 100 ?")
    window = given_(("s", "a.usage", {"host": "x"}, "10 20 30 40 50 60 70 80"), limit)
    (found,) = values(TIME_TO_LIMIT, window).values()
    assert sorted(found) == [5, 7]
    assert answered(TIME_TO_LIMIT, window) == [("s", step) for step in (1, 2, 3, 4, 5, 7)]
    # A window in which it doesn't answer at all says nothing either, if the source has it.
    silent = given_(("s", "a.usage", {"host": "x"}, "10 20"), ("s", "a.limit", {"host": "x"}, "? ?"))
    has = Past(offered=[("s", "shop", "a.usage"), ("s", "shop", "a.limit")])
    assert answered(TIME_TO_LIMIT, silent, has) == []


def test_sources_are_apart() -> None:
    window = given_(
        ("s", "a.success", {}, line([0.9] * 30)),
        ("t", "a.success", {}, line([0.99] * 30)),
        ("u", "a.success", {}, " ".join(["?"] * 29) + " 0.9"),
    )
    found = values(BURN, window)
    assert {key: pytest.approx(series[30], abs=1e-5) for key, series in found.items()} == {
        ("s", "{}"): 100.0,
        ("t", "{}"): 10.0,
    }
    assert ("u", 30) in answered(BURN, window)


HOSTILE = 'x","y":"\\ \u202e\x1b[31m{}<b>' + "é" * 10 + "z" * 10_000


@pytest.mark.parametrize("name", [HOSTILE, "'; DROP TABLE samples; --", "\x7f\u2028\ud7ff", '"', "\\"])
def test_hostile_labels(name: str) -> None:
    rate = given_(("s", "kafka.message.rate", {"host": name[:200]}, "30000"))
    found = values(UTILIZATION, rate, inventory=[{**BROKER, "id": name[:200]}])
    assert found == {("s", canonical({"host": name[:200], "limit": "kafka.message.rate"})): {1: 0.5}}
    lag = given_(("s", "kafka.consumer.lag", {"consumer_group": name, "topic": name}, "5 4 3 2 1"))
    assert list(values(DRAIN, lag)) == [("s", canonical({"consumer_group": name}))]


@pytest.mark.parametrize("labels", [{}, {"topic": "t", "partition": "0"}], ids=["none", "others"])
def test_a_series_without_the_label_has_none_in_the_result(labels: dict[str, str]) -> None:
    lag = given_(("s", "kafka.consumer.lag", labels, "5 4 3 2 1"))
    assert list(values(DRAIN, lag)) == [("s", "{}")]
    group = given_(
        ("s", "kafka.consumer.lag", labels, "5 5 5 5 5"),
        ("s", "kafka.consumer.offset", labels, "5 5 5 5 5"),
        ("s", "kafka.partition.offset", labels, "10 10 10 10 10"),
    )
    assert list(values(LAG, group)) == [("s", "{}")]


# how time is cut into windows

METHODS = [
    signal("time_to_limit", of="a.usage", limit="a.limit", over="4m"),
    signal("burn_rate", of="a.usage", objective=0.999, windows=["6m", "2m"]),
    signal("baseline_ratio", of="a.usage", before="8m", over="3m"),
    signal("time_to_drain", of="a.usage", over="5m"),
    signal("lag_status", of="a.usage", offset="a.limit", end="a.limit", window=4),
    signal("absent", of=["a.usage", "a.limit"]),
    signal("utilization", of=["a.usage"], by="host"),
]
LONG = signal("burn_rate", of="a.usage", objective=0.99, windows=["7h", "10m"])
STOCK = Inventory(resources=(Resource.model_validate({**BROKER, "id": "x", "limits": {"a.usage": 3.0}}),))


def _reading(whole: Samples) -> Any:
    def read(signals: Collection[str], after: int, until: int) -> Samples:
        inside = pl.col("ts").is_between(after, until, closed="right")
        series = whole.series.filter(pl.col("signal").is_in(list(signals)))
        samples = whole.samples.join(series.select("sid"), on="sid", how="semi").filter(inside)
        return Samples(series, samples, whole.coverage.clear())

    return read


def _cut(whole: Samples, first: int, end: int) -> Samples:
    inside = pl.col("ts").is_between(first, end, closed="right")
    samples = whole.samples.filter(inside)
    series = whole.series.join(samples.select("sid").unique(), on="sid", how="semi")
    return Samples(series, samples, whole.coverage.filter(pl.col("last").is_between(first, end, closed="right")))


def _derived(what: Signal, window: Samples, past: Past, step: int) -> pl.DataFrame:
    made = derive([("shop", what)], window, STOCK, past, step)
    mine = made.series.filter(pl.col("signal") == what.name)
    return made.samples.join(mine, on="sid").select("source", "labels", "ts", "value")


def _assert_independent(what: Signal, whole: Samples, cuts: Sequence[int], end: int, step: int) -> None:
    past = Past(_reading(whole), [(s, "shop", name) for s in ("s", "t") for name in what.inputs])
    at_once = _derived(what, whole, past, step)
    bounds = [0, *cuts, end]
    parts = [_derived(what, _cut(whole, a * step, b * step), past, step) for a, b in pairwise(bounds)]
    order = ["ts", "source", "labels"]
    assert pl.concat(parts).sort(order).rows() == at_once.sort(order).rows()


INPUTS = [(source, name) for source in ("s", "t") for name in ("a.usage", "a.limit")]


def _assert_unmoved(what: Signal, whole: Samples, begins: Mapping[tuple[str, str], int], end: int, step: int) -> None:
    """Where each input was known before up to another step, the samples are those that there would have been."""
    past = Past(_reading(whole), [(source, "shop", name) for source, name in begins if name in what.inputs])
    after = pl.DataFrame(
        [(*key, first * step) for key, first in begins.items()], ["source", "signal", "after"], orient="row"
    )
    fresh = whole.series.join(after, on=["source", "signal"])
    samples = whole.samples.join(fresh.select("sid", "after"), on="sid").filter(pl.col("ts") > pl.col("after"))
    coverage = whole.coverage.join(after, on=["source", "signal"]).filter(pl.col("first") > pl.col("after"))
    series = whole.series.join(samples.select("sid").unique(), on="sid", how="semi")
    window = Samples(series, samples.drop("after"), coverage.drop("after"))
    of_all = after.filter(pl.col("signal").is_in(what.inputs)).group_by("source").agg(pl.col("after").max())
    expected = _derived(what, whole, past, step).join(of_all, on="source").filter(pl.col("ts") > pl.col("after"))
    order = ["ts", "source", "labels"]
    assert _derived(what, window, past, step).sort(order).rows() == expected.drop("after").sort(order).rows()


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False) | st.sampled_from([0.1, 1.0, 1e-9, 1e14, 1e18, 1e19, 1e300])
WORDS = NUMBERS.map(repr) | st.sampled_from(["_", "nan", "inf", "?"])


@pytest.mark.parametrize("what", METHODS, ids=lambda what: what.derive.method)
@settings(max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    series=st.lists(st.lists(WORDS, min_size=30, max_size=30), min_size=6, max_size=6),
    cuts=st.sets(st.integers(1, 29), min_size=1, max_size=5),
    begins=st.lists(st.integers(0, 29), min_size=4, max_size=4),
)
def test_a_derived_sample_is_the_same_however_time_is_cut(
    what: Signal, series: list[list[str]], cuts: set[int], begins: list[int]
) -> None:
    keys = [
        ("s", "a.usage", "x"), ("s", "a.limit", "x"), ("s", "a.usage", "y"), ("t", "a.usage", "x"),
        ("t", "a.limit", "x"), ("t", "a.limit", "y"),
    ]  # fmt: skip
    # What a source doesn't answer it doesn't answer for any series of the signal.
    silent = {
        (source, name, n)
        for (source, name, _), words in zip(keys, series, strict=True)
        for n, word in enumerate(words)
        if word == "?"
    }
    rows: list[Row] = []
    for (source, name, host), words in zip(keys, series, strict=True):
        heard = ["?" if (source, name, n) in silent else word for n, word in enumerate(words)]
        labels = {"host": host, "consumer_group": host, "topic": "t", "partition": host}
        rows.append((source, name, labels, " ".join(heard)))
    whole = given_(*rows)
    _assert_independent(what, whole, sorted(cuts), 30, MINUTE)
    _assert_unmoved(what, whole, dict(zip(INPUTS, begins, strict=True)), 30, MINUTE)


@pytest.mark.parametrize(("seed", "cuts"), [(1, [300]), (2, [1, 299, 300, 301, 599]), (3, [577, 578])])
def test_so_is_one_over_a_long_window(seed: int, cuts: list[int]) -> None:
    chance = random.Random(seed)
    words = ["_" if chance.random() < 0.1 else repr(chance.random()) for _ in range(600)]
    whole = given_(("s", "a.usage", {}, " ".join(words)), ("t", "a.usage", {}, line([0.5] * 600)))
    _assert_independent(LONG, whole, cuts, 600, MINUTE)


@pytest.mark.parametrize("lag", [1, 2, 29, 30, 59])
@pytest.mark.parametrize("who", ["another source", "another signal"])
def test_an_input_that_is_caught_up_moves_nothing(who: str, lag: int) -> None:
    whole = given_(
        ("s", "a.success", {}, line([0.95] * 60)),
        ("t", "a.success", {}, line([0.9] * 60)),
        ("t", "other", {}, line([1.0] * 60)),
    )
    late = ("t", "a.success") if who == "another source" else ("t", "other")
    begins = {("s", "a.success"): 59, ("t", "a.success"): 59, ("t", "other"): 59, late: 59 - lag}
    _assert_unmoved(BURN, whole, begins, 60, MINUTE)


def test_a_long_window_over_rollups_is_the_one_over_samples() -> None:
    chance = random.Random(5)
    shares = [chance.random() for _ in range(600)]
    whole = given_(("s", "a.usage", {}, line(shares)))
    window = _cut(whole, 580 * MINUTE, 600 * MINUTE)
    # Buckets begin at multiples of five minutes; step n lies at minute n.
    means = [sum(shares[5 * n - 1 : 5 * n + 4]) / 5 for n in range(1, 116)]
    rollups = given_(("s", "a.usage", {}, line(means)), step=5 * MINUTE)
    of_samples = values(LONG, window, past=Past(_reading(whole)))
    since = 560 * MINUTE
    parts = [
        rollups.samples.filter(pl.col("ts") < since),
        _cut(whole, 550 * MINUTE, 600 * MINUTE).samples.filter(pl.col("ts") >= since),
    ]
    both = Samples(rollups.series, pl.concat(parts), rollups.coverage)
    of_rollups = values(LONG, window, past=Past(_reading(both)))
    assert of_samples[("s", "{}")].keys() == of_rollups[("s", "{}")].keys() == set(range(581, 601))
    for step, value in of_samples[("s", "{}")].items():
        assert of_rollups[("s", "{}")][step] == pytest.approx(value, abs=1e-5)


# a rule on a derived signal

RULES = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: kafka.drain, unit: s, derive: {method: time_to_drain, over: 2m}}
rules:
  - id: drain
    kind: alert
    title: Slow
    signal: kafka.drain
    when: "> 60"
    for: 1m
    severity: info
    summary: "{value}"
    basis: house
    rationale: a test
"""


def test_an_alert_on_a_series_without_the_label_keeps_its_state_from_tick_to_tick() -> None:
    loaded = load_rules([RuleText("shop.yaml", RULES)])
    assert not loaded.problems
    compiled = compile_rules(loaded.rules)
    whole = given_(("s", "kafka.consumer.lag", {"topic": "t"}, "100 200 300 400 500 600"))
    state, kinds = STATE.to_frame(), []
    for first in range(6):
        # The log keeps labels without empty ones.
        kept = state.with_columns(pl.col("labels").map_elements(lambda text: canonical(json.loads(text)), pl.String))
        done = evaluate(
            compiled, kept, _cut(whole, first * MINUTE, (first + 1) * MINUTE), MINUTE, past=Past(_reading(whole))
        )
        state = done.state
        kinds += done.transitions["kind"].to_list()
    assert kinds == ["pending", "fired"]
