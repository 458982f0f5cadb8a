"""Readiness of caches and Kafka brokers at their boundaries."""

from datetime import timedelta
from typing import Any

import pytest

from controlplane.failover.assess import ASSESS
from controlplane.failover.moment import Moment
from controlplane.model.methods import Broker, Cache
from controlplane.model.readiness import Readiness
from controlplane.model.resources import Inventory, Resource
from tests.advice_cases import AT, HOSTILE, PRICES, Series, history
from tests.unit.test_failover_broker import THREE, broker, load, topic
from tests.unit.test_failover_cache import NODES, node, primary, replica, sentinel


def assess(
    kind: type[Broker] | type[Cache], parts: list[list[Series]], nodes: tuple[Resource, ...], **keys: Any
) -> list[Readiness]:
    samples = history(*(entry for series in parts for entry in series))
    moment = Moment("shop", samples, Inventory(resources=nodes), PRICES, AT)
    rows = ASSESS[kind](moment, kind.model_validate(keys))
    assert rows == ASSESS[kind](moment, kind.model_validate(keys))
    return rows


ALIVE = primary(5000, silent=0)


@pytest.mark.parametrize(
    ("parts", "nodes", "mode", "ready", "told"),
    [
        ([ALIVE, replica("c-2", 4000), sentinel(1)], NODES[:2], "automatic", True, "Sentinel promotes it"),
        ([ALIVE, replica("c-2", 4000), sentinel(1, ok=2)], NODES[:2], "automatic", True, "Sentinel promotes it"),
        ([ALIVE, replica("c-2", 4000), sentinel(1, ok=1)], NODES[:2], "manual", False, "1 of 3 Sentinels answer"),
        ([ALIVE, replica("c-2", 4000), sentinel(1, quorum=4)], NODES[:2], "manual", False, "(quorum 4)"),
        ([ALIVE, replica("c-2", 4000)], NODES[:2], "manual", None, "what Sentinel sees isn't measured"),
        ([ALIVE, replica("c-2", priority=0), sentinel(1)], NODES[:2], "none", False, "priority 0 excludes it"),
        ([ALIVE, replica("c-2", silent=2), sentinel(1)], NODES[:2], "none", False, "c-2: it isn't heard of"),
        ([ALIVE, replica("c-2", 4000), sentinel(0)], NODES[:2], "automatic", False, "c-1 is lost already"),
        ([], NODES[:1], "none", False, "the cache has no replica"),
        ([], NODES[:2], "none", None, "no replica has a sample"),
    ],
)
def test_a_cache(
    parts: list[list[Series]], nodes: tuple[Resource, ...], mode: str, ready: bool | None, told: str
) -> None:
    (row,) = assess(Cache, parts, nodes)
    assert (row.kind, row.cell, row.mode, row.ready) == ("cache", "sessions", mode, ready)
    assert told in row.reason
    assert bool(row.remedy) is (ready is False)
    if mode == "automatic":
        assert (row.takes_over, row.rpo_bytes, row.rto_seconds) == ("c-2", 1000, 90)


def test_a_lone_cache_is_told_what_a_replica_costs_and_needs_no_cluster() -> None:
    rows = assess(Cache, [], (node("a", cluster=""), node("other").model_copy(update={"role": "web"})), role="cache")
    assert [(row.cell, row.remedy) for row in rows] == [("a", "a replica that Sentinel may promote ($400 a month)")]


def test_an_objective_that_sentinel_cant_hold() -> None:
    parts = [ALIVE, replica("c-2"), sentinel(1)]
    assert assess(Cache, parts, NODES[:2], rto_target="90s")[0].ready is True
    assert assess(Cache, parts, NODES[:2], rto_target="89s")[0].ready is False


@pytest.mark.parametrize(
    ("parts", "ready", "told"),
    [
        ([topic("orders", (3, 3))], True, "2 partitions with a replica to spare"),
        ([topic("orders", (3, 2))], False, "1 partition of orders, if it has one"),
        ([topic("orders", (0, 3))], False, "offline already: 1 partition of orders"),
        ([topic("orders", (2,), minimum=1)], True, "1 partition with"),
        ([topic("orders", (1,), minimum=1)], False, "1 partition of orders"),
        ([topic("orders", (3,), unclean=1)], False, "unclean elections are allowed: orders"),
        ([], None, "kafka.partition.replicas_in_sync isn't measured"),
    ],
)
def test_a_broker(parts: list[list[Series]], ready: bool | None, told: str) -> None:
    alive = [(signal, labels, list(points)) for signal, labels, points in load(0.3)]
    alive = [
        (signal, labels, [(at + timedelta(minutes=2), value) for at, value in points])
        for signal, labels, points in alive
    ]
    rows = assess(Broker, [alive, *parts], THREE)
    assert [row.cell for row in rows] == ["k-1", "k-2", "k-3"]
    assert {(row.kind, row.mode, row.takes_over) for row in rows} == {("broker", "automatic", "the other 2 brokers")}
    assert {row.ready for row in rows} == {ready}
    assert all(told in row.reason for row in rows)
    assert rows[1].load_after == pytest.approx(0.45)


@pytest.mark.parametrize(("cpu", "ready"), [(0.4666, True), (0.467, False)])
def test_the_others_have_to_carry_it(cpu: float, ready: bool) -> None:
    now = [
        (signal, labels, [(at + timedelta(minutes=3), value) for at, value in points])
        for signal, labels, points in load(cpu)
    ]
    rows = assess(Broker, [now, topic("orders", (3,))], THREE)
    assert {row.ready for row in rows} == {ready}


def test_a_single_broker_has_nobody_and_an_unmeasured_load_is_no_verdict() -> None:
    (alone,) = assess(Broker, [topic("orders", (3,))], THREE[:1])
    assert (alone.ready, alone.mode, alone.takes_over, alone.remedy) == (False, "none", "", "more brokers")
    rows = assess(Broker, [topic("orders", (3,))], THREE)
    assert {row.ready for row in rows} == {None}
    hostile = assess(Broker, [topic(HOSTILE, (1,))], (broker(HOSTILE), broker("b")))
    assert all(row.reason.isprintable() for row in hostile)
