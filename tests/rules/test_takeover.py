"""Signals of takeover at their boundaries: who may take over a database, a cache behind Sentinel, a partition."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory, Resource
from controlplane.model.signals import Signal
from controlplane.rules.derive import NO_PAST, Past, derive

STEP = 15_000
WAL, LAG, SYNC = "postgresql.wal.position", "postgresql.replication.lag", "postgresql.replication.synchronous"
MIB = 2**20
Row = tuple[str, Mapping[str, str], Sequence[float | None]]
"""signal, labels, and a value a step from step 1 on; None = no sample."""


def window(*rows: Row, signals: Sequence[str] = (), start: int = 1) -> Samples:
    """Samples of a source that answers for the signals of its rows, and for `signals`, at every step."""
    named = [(sid, "prometheus", "shop", signal, canonical(labels)) for sid, (signal, labels, _) in enumerate(rows)]
    samples = [
        (sid, index * STEP, float(value))
        for sid, (_, _, values) in enumerate(rows)
        for index, value in enumerate(values, start=start)
        if value is not None
    ]
    length = max(len(values) for _, _, values in rows)
    answered = sorted({signal for signal, _, _ in rows} | set(signals))
    coverage = [("prometheus", "shop", signal, start * STEP, (start + length - 1) * STEP) for signal in answered]
    return Samples(
        pl.DataFrame(named, schema=SERIES, orient="row"),
        pl.DataFrame(samples, schema=SAMPLES, orient="row"),
        pl.DataFrame(coverage, schema=COVERAGE, orient="row"),
    )


def values(
    method: str, samples: Samples, *resources: Resource, past: Past = NO_PAST, **keys: Any
) -> dict[str, list[float]]:
    """Labels → the value of every step that has one."""
    what = Signal.model_validate({"name": "derived.signal", "unit": "1", "derive": {"method": method, **keys}})
    made = derive([("shop", what)], samples, Inventory(resources=resources), past, STEP)
    series = made.series.filter(pl.col("signal") == "derived.signal")
    found: dict[str, list[float]] = {}
    for labels, value in made.samples.join(series, on="sid").sort("ts").select("labels", "value").iter_rows():
        found.setdefault(labels, []).append(value)
        assert canonical(json.loads(labels)) == labels
    return found


def member(name: str, **fields: Any) -> Resource:
    return Resource.model_validate(
        {"id": name, "platform": "shop", "kind": "database", "role": "postgresql", "cluster": "orders", **fields}
    )


PAIR = (member("pg-1"), member("pg-2"))
TRIO = (*PAIR, member("pg-3"))
ORDERS = '{"cluster":"orders"}'


def of(name: str) -> dict[str, str]:
    return {"cluster": "orders", "host": name}


def primary(positions: Sequence[float | None], name: str = "pg-1") -> list[Row]:
    return [(WAL, of(name), positions)]


def replica(
    name: str, positions: Sequence[float | None], lag: float | None = 0.05, sync: float | None = None
) -> list[Row]:
    def where(value: float | None) -> list[float | None]:
        return [None if position is None else value for position in positions]

    rows: list[Row] = [(WAL, of(name), positions)]
    if lag is not None:
        rows.append((LAG, of(name), where(lag)))
    if sync is not None:
        rows.append((SYNC, of(name), where(sync)))
    return rows


def orders(*rows: Row) -> Samples:
    return window(*rows, signals=(WAL, LAG, SYNC))


@pytest.mark.parametrize(
    ("behind", "keys", "expected"),
    [
        (0, {}, 1),
        (MIB, {}, 1),
        (MIB + 1, {}, 0),
        (5_000_000, {"maximum_lag": "5 MBy"}, 1),
        (5_000_001, {"maximum_lag": "5 MBy"}, 0),
        (0, {"maximum_lag_time": "50ms"}, 1),
        (0, {"maximum_lag_time": "49ms"}, 0),
        (0, {"synchronous_only": True}, 0),
        (0, {"role": "postgresql"}, 1),
    ],
)
def test_who_may_take_over_is_patronis_rule(behind: int, keys: dict[str, Any], expected: int) -> None:
    samples = orders(*primary([1e12, 1e12]), *replica("pg-2", [1e12 - behind] * 2))
    assert values("failover_candidates", samples, *PAIR, **keys) == {ORDERS: [expected, expected]}


def test_a_replica_that_nobody_hears_of_counts_for_a_minute() -> None:
    # The 61st second is the fifth step after its last sample.
    heard: list[float | None] = [1e12] + [None] * 5
    samples = orders(*primary([1e12] * 6), *replica("pg-2", heard))
    assert values("failover_candidates", samples, *PAIR) == {ORDERS: [1, 1, 1, 1, 1, 0]}
    assert values("failover_candidates", samples, *PAIR, reachable_within="45s") == {ORDERS: [1, 1, 1, 1, 0, 0]}


def test_the_last_position_of_a_dead_primary_stays_the_reference() -> None:
    written = [1e12, 1e12 + 2 * MIB]
    samples = orders(
        *primary([*written, None, None, None]), *replica("pg-2", [1e12] * 5), *replica("pg-3", [written[1]] * 5)
    )
    assert values("failover_candidates", samples, *TRIO) == {ORDERS: [2, 1, 1, 1, 1]}


def test_the_loss_goes_on_counting_what_the_primary_wrote() -> None:
    # 15 MB a step are 1 MB/s; the rate is that of the time before its last sample, dead or alive.
    written: list[float | None] = [1e12 + n * 15e6 for n in range(3)]
    samples = orders(*primary([*written, None, None]), *replica("pg-2", [1e12 + 30e6 - 500] * 5))
    found = values("failover_loss", samples, *PAIR, measure="bytes")[ORDERS]
    assert found[2:] == pytest.approx([500 + 30e6] * 3)
    assert values("failover_loss", samples, *PAIR, measure="seconds")[ORDERS] == pytest.approx([30.05] * 5)
    assert values("failover_loss", samples, *PAIR, measure="bytes", ttl="10s")[ORDERS][4] == pytest.approx(500 + 10e6)


def test_a_synchronous_standby_loses_nothing_acknowledged() -> None:
    samples = orders(*primary([1e12]), *replica("pg-2", [1e12 - 100], sync=1), *replica("pg-3", [1e12], sync=0))
    assert values("failover_loss", samples, *TRIO, measure="bytes") == {ORDERS: [0]}
    assert values("failover_loss", samples, *TRIO, measure="seconds") == {ORDERS: [0]}
    assert values("failover_candidates", samples, *TRIO, synchronous_only=True) == {ORDERS: [1]}


def test_the_loss_counts_who_may_be_forced_and_is_unbounded_without_anyone() -> None:
    far = orders(*primary([1e12] * 6), *replica("pg-2", [1e9] + [None] * 5, lag=90))
    assert values("failover_loss", far, *PAIR, measure="seconds") == {ORDERS: [120.0] * 5 + [float("inf")]}


def test_the_lag_is_that_of_the_moment_when_the_primary_was_last_seen() -> None:
    rows: list[Row] = [
        *primary([1e12, None, None]),
        (WAL, of("pg-2"), [1e12] * 3),
        (LAG, of("pg-2"), [0.05, 15.05, 30.05]),
    ]
    samples = orders(*rows)
    assert values("failover_candidates", samples, *PAIR, maximum_lag_time="100ms") == {ORDERS: [1, 1, 1]}
    assert values("failover_loss", samples, *PAIR, measure="seconds") == {ORDERS: pytest.approx([30.05] * 3)}


def test_a_promoted_replica_is_the_primary_and_nobody_stands_by() -> None:
    rows: list[Row] = [
        *primary([1e12, None, None, None]),
        (WAL, of("pg-2"), [1e12 - 100, 1e12 - 100, 1e12 - 50, 1e12 + 5e6]),
        (LAG, of("pg-2"), [0.05, 0.0, None, None]),
    ]
    assert values("failover_candidates", orders(*rows), *PAIR, reachable_within="20s") == {ORDERS: [1, 1, 0, 0]}


def test_members_are_those_of_the_inventory() -> None:
    samples = orders(*primary([1e12]), *replica("pg-2", [1e12]), *replica("stranger", [1e12]))
    assert values("failover_candidates", samples, *PAIR) == {ORDERS: [1]}
    assert values("failover_candidates", samples, PAIR[0], member("pg-2", attributes={"nofailover": "true"})) == {
        ORDERS: [0]
    }
    assert values("failover_candidates", samples, *PAIR, role="other") == {}
    assert values("failover_candidates", samples) == {}
    hosted = (member("a", host="pg-1"), member("b", host="pg-2"))
    assert values("failover_candidates", samples, *hosted) == {ORDERS: [1]}
    foreign = Resource.model_validate(PAIR[1].model_dump() | {"platform": "other"})
    assert values("failover_candidates", samples, PAIR[0], foreign) == {ORDERS: [0]}


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    gone: list[float | None] = [1e12, *[None] * 241]
    samples = orders(*primary(gone), *replica("pg-2", gone))
    assert values("failover_candidates", samples, *PAIR) == {ORDERS: [1.0] * 5 + [0.0] * 235}
    assert values("failover_loss", samples, *PAIR, measure="seconds")[ORDERS][5:] == [float("inf")] * 235


@given(
    lags=st.lists(st.integers(0, 3 * MIB), min_size=1, max_size=4),
    more=st.lists(st.integers(0, 3 * MIB), min_size=4, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_more_lag_never_makes_a_candidate(lags: list[int], more: list[int]) -> None:
    nodes = (member("pg-0"), *(member(f"pg-{n}") for n in range(1, len(lags) + 1)))

    def count(behind: Sequence[int]) -> tuple[float, float]:
        rows = [row for n, bytes_ in enumerate(behind, start=1) for row in replica(f"pg-{n}", [1e12 - bytes_])]
        samples = orders(*primary([1e12], "pg-0"), *rows)
        loss = values("failover_loss", samples, *nodes, measure="bytes")[ORDERS][0]
        return values("failover_candidates", samples, *nodes)[ORDERS][0], loss

    able, lost = count(lags)
    assert able == sum(bytes_ <= MIB for bytes_ in lags)
    fewer, greater = count([a + b for a, b in zip(lags, more, strict=False)])
    assert fewer <= able
    assert greater >= lost


@given(
    cut=st.integers(1, 11),
    dead=st.integers(2, 12),
    promoted=st.integers(3, 12),
)
@settings(max_examples=30, deadline=None)
def test_a_step_is_worth_the_same_in_whatever_window(cut: int, dead: int, promoted: int) -> None:
    steps = range(1, 13)
    rows: list[Row] = [
        *primary([1e12 + n * 1e5 if n < dead else None for n in steps]),
        (WAL, of("pg-2"), [1e12 + min(n, dead) * 1e5 for n in steps]),
        (LAG, of("pg-2"), [0.1 * n if n < promoted else None for n in steps]),
    ]
    whole = orders(*rows)
    first = orders(*((signal, labels, points[:cut]) for signal, labels, points in rows))
    second = window(
        *((signal, labels, points[cut:]) for signal, labels, points in rows), signals=(WAL, LAG, SYNC), start=cut + 1
    )

    def read(signals: Any, after: int, until: int) -> Samples:
        kept = whole.samples.filter(pl.col("ts") > after, pl.col("ts") <= until)
        return Samples(whole.series.filter(pl.col("signal").is_in(list(signals))), kept, whole.coverage)

    for method, keys in (("failover_candidates", {}), ("failover_loss", {"measure": "bytes"})):
        at_once = values(method, whole, *PAIR, **keys)[ORDERS]
        parts = (
            values(method, first, *PAIR, **keys)[ORDERS]
            + values(method, second, *PAIR, past=Past(read), **keys)[ORDERS]
        )
        assert parts == at_once


@pytest.mark.parametrize(
    ("replicas", "reachable", "known", "quorum", "able", "margin"),
    [
        (2, 3, 3, 2, 2, 1),
        (2, 2, 3, 2, 2, 0),  # exactly the quorum, and a majority
        (2, 1, 3, 2, 0, -1),
        (2, 2, 3, 3, 0, -1),  # a majority, but not the quorum
        (2, 2, 5, 2, 0, -1),  # the quorum, but no majority
        (2, 3, 5, 2, 2, 0),
        (2, 2, 4, 1, 0, -1),  # half is no majority
        (0, 3, 3, 2, 0, 1),
        (1, 1, 1, 1, 1, 0),
    ],
)
def test_sentinel_decides_with_the_quorum_and_acts_with_a_majority(
    replicas: int, reachable: int, known: int, quorum: int, able: int, margin: int
) -> None:
    labels = {"cluster": "cache"}
    samples = window(
        ("redis.sentinel.replicas.ok", labels, [replicas]),
        ("redis.sentinel.sentinels.ok", labels, [reachable]),
        ("redis.sentinel.sentinels.known", labels, [known]),
        ("redis.sentinel.quorum", labels, [quorum]),
    )
    assert values("sentinel_candidates", samples) == {'{"cluster":"cache"}': [able]}
    assert values("sentinel_margin", samples) == {'{"cluster":"cache"}': [margin]}


@pytest.mark.parametrize(
    ("in_sync", "minimum", "expected"),
    [((3, 3), 2, 1), ((3, 2), 2, 0), ((3, 1), 2, -1), ((3, 0), 2, -2), ((1, 1), None, 0), ((2, 3), None, 1)],
)
def test_the_worst_partition_of_a_topic_tells_its_margin(
    in_sync: tuple[int, int], minimum: int | None, expected: int
) -> None:
    rows: list[Row] = [
        ("kafka.partition.replicas_in_sync", {"topic": "orders", "partition": str(n)}, [count])
        for n, count in enumerate(in_sync)
    ]
    if minimum is not None:
        rows.append(("kafka.topic.min_insync_replicas", {"topic": "orders"}, [minimum]))
    samples = window(*rows, signals=("kafka.topic.min_insync_replicas",))
    assert values("isr_margin", samples) == {'{"topic":"orders"}': [expected]}


def test_the_default_of_a_minimum_can_be_stated() -> None:
    samples = window(
        ("kafka.partition.replicas_in_sync", {"topic": "orders", "partition": "0", "cluster": "k"}, [2]),
        signals=("kafka.topic.min_insync_replicas",),
    )
    assert values("isr_margin", samples, or_else=2) == {'{"cluster":"k","topic":"orders"}': [0]}
