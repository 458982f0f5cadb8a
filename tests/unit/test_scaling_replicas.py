"""Servers of a database: reads, writes or connections, at the boundaries of each answer."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from tests.advice_cases import (
    HOSTILE,
    Series,
    alert,
    both,
    check_complete,
    history,
    limit,
    resource,
    size,
    stage,
    steady,
)

CPU = "system.cpu.utilization"
FACTS = alert("> 0.8", "1", host="pg-1")
NAMED: dict[str, Any] = {"writes": "db.transaction.rate", "connections": "db.client.connection.count"}


def servers(number: int, **fields: Any) -> tuple[Resource, ...]:
    return (
        *(
            resource(
                f"pg-{n}",
                "database",
                role="postgresql",
                cluster="main",
                price="broker",
                limits={"db.client.connection.count": 500},
                attributes={"started_as": "primary" if n == 1 else "replica"},
                **fields,
            )
            for n in range(1, number + 1)
        ),
        resource("main", "cluster", limits={"db.transaction.rate": 100_000}),
    )


def load(*cpu: float | None, writes: float | None = None, connections: float | None = None) -> Samples:
    series: list[Series] = [(CPU, {"host": f"pg-{n}"}, steady(value)) for n, value in enumerate(cpu, start=1)]
    if writes is not None:
        series.append(("db.transaction.rate", {"cluster": "main"}, steady(writes)))
    if connections is not None:
        series.append(("db.client.connection.count", {"host": "pg-1"}, steady(connections)))
    return history(*series)


def ask(samples: Samples, resources: Sequence[Resource], facts: Any = FACTS, **parameters: Any) -> Proposal:
    return size("replicas", NAMED | parameters, facts, samples, *resources)


def after(proposal: Proposal) -> int:
    return int(proposal.stages[-1].value)


@pytest.mark.parametrize(
    ("cpu", "kind", "number", "told"),
    [
        ((0.8, 0.2), "investigate", 2, "main keeps its 2 servers"),
        ((0.801, 0.2), "rebalance", 2, "Move reads of main to its other servers"),
        ((0.9, 0.7), "rebalance", 2, "Move reads of main to its other servers"),
        ((0.91, 0.7), "scale_out", 3, "Add 1 read replica to main"),
        ((1.0, 1.0), "scale_out", 3, "Add 1 read replica to main"),
        ((0.801,), "scale_out", 2, "Add 1 read replica to main"),
        ((1.0,), "scale_out", 2, "Add 1 read replica to main"),
    ],
)
def test_reads_are_spread_before_servers_are_added(cpu: tuple[float, ...], kind: str, number: int, told: str) -> None:
    proposal = ask(load(*cpu), servers(len(cpu)))
    check_complete(proposal)
    assert (proposal.kind, after(proposal), proposal.title) == (kind, number, told)
    assert proposal.target == "database cluster main"
    assert proposal.cost.one_off == 50_000 * (number - len(cpu))


@pytest.mark.parametrize(
    ("known", "kind", "told"),
    [
        ({"writes": 80_000.0}, "scale_out", "Add 1 read replica"),
        ({"writes": 80_001.0}, "investigate", "Writes of main are at what one primary takes"),
        ({"connections": 400.0}, "scale_out", "Add 1 read replica"),
        ({"connections": 401.0}, "investigate", "The pool of main is the limit"),
        ({"connections": 401.0, "writes": 99_000.0}, "investigate", "The pool of main is the limit"),
    ],
)
def test_writes_and_connections_are_not_answered_with_replicas(known: dict[str, float], kind: str, told: str) -> None:
    proposal = ask(load(0.95, 0.9, **known), servers(2))
    check_complete(proposal)
    assert proposal.kind == kind
    assert proposal.title.startswith(told)
    if kind == "investigate":
        assert any(item.option == "Add a replica" and "reads alone" in item.reason for item in proposal.rejected)
        assert proposal.commands[0].startswith("psql --host=pg-1 ")


@pytest.mark.parametrize(
    ("parameters", "number", "bit"),
    [
        ({}, 8, "at most 2 at once"),
        ({"maximum_step": 9}, 8, None),
        ({"maximum_step": 1}, 7, "at most 1 at once"),
        ({"maximum": 7}, 7, "at most 7 servers"),
        ({"maximum": 6}, 6, "at most 6 servers"),
    ],
)
def test_limits(parameters: dict[str, Any], number: int, bit: str | None) -> None:
    # (6 − 4.8) ÷ 0.8 = 1.5 → 2; at 70 % it is 3.
    loads = [{"signal": CPU, "limit": 0.7 if bit == "at most 2 at once" else 0.8}]
    proposal = ask(load(*[1.0] * 6), servers(6), loads=loads, **parameters)
    assert after(proposal) == number
    assert next((item.limit for item in reversed(proposal.stages) if item.limit), None) == bit


def test_who_is_the_primary_is_measured_before_it_is_read() -> None:
    lag = history(("postgresql.replication.lag", {"host": "pg-1", "cluster": "main"}, steady(0.01)))
    switched = ask(both(load(0.95, 0.9), lag), servers(2))
    assert switched.inputs["primary"] == "pg-2"
    assert "pg-1, a replica, is at 95 %" in switched.why
    assert "--host=pg-2" in switched.plan[0].before[0]
    assert any(command.startswith("pg_basebackup --host=pg-1 ") for command in switched.commands)
    started = ask(load(0.95, 0.9), servers(2))
    assert started.inputs["primary"] == "pg-1"
    unknown = tuple(one.model_copy(update={"attributes": {}}) for one in servers(2))
    assert ask(load(0.95, 0.9), unknown).inputs["primary"] == "not known"


def test_the_alert_may_name_the_cluster_alone() -> None:
    proposal = ask(load(0.95, 0.9, writes=90_000.0), servers(2), alert("> 0.8", "1", cluster="main"))
    assert proposal.title == "Writes of main are at what one primary takes"
    with pytest.raises(AdviceError, match="other isn't in the inventory"):
        ask(load(0.95, 0.9), servers(2), alert("> 0.8", "1", cluster="other"))


def test_a_new_replica_is_copied_from_the_least_loaded_one() -> None:
    proposal = ask(load(0.95, 0.9, 0.85), servers(3))
    assert any("--host=pg-3 " in command for command in proposal.commands)


def test_the_plan_asks_first_whether_it_is_reads() -> None:
    proposal = ask(load(0.95, 0.9), servers(2, zone="a"))
    assert "pg_stat_statements" in proposal.plan[0].before[0]
    assert "synchronous standby" in proposal.plan[0].before[2]
    assert [item.loss for item in proposal.survives] == ["the primary", "one replica", "one zone"]
    assert [item.ok for item in proposal.survives] == [True, True, False]
    assert proposal.gain.startswith(f"{CPU} 92 % → 62 %")
    alone = ask(load(0.95), servers(1), maximum=1)
    assert [(item.loss, item.ok) for item in alone.survives] == [("its only server", False)]


def test_a_server_without_a_cluster_stands_alone() -> None:
    analytics = resource("ts-1", "database", role="timescaledb", price="secret")
    samples = history((CPU, {"host": "ts-1"}, steady(0.9)))
    proposal = ask(samples, (analytics, *servers(2)), alert("> 0.8", "1", host="ts-1"))
    check_complete(proposal)
    assert (proposal.target, proposal.from_, after(proposal)) == ("database cluster ts-1", "1 server", 2)
    assert (proposal.cost.one_off, proposal.cost.known) == (None, False)


def test_operations_of_a_cache_against_what_one_server_carries() -> None:
    cache = resource("cache-1", "host", role="cache", price="server", limits={"redis.commands.rate": 1e6})
    samples = history(("redis.commands.rate", {"host": "cache-1"}, steady(850_000.0)))
    proposal = ask(
        samples,
        (cache,),
        alert("> 0.8", "1", host="cache-1", limit="redis.commands.rate"),
        loads=[{"signal": "redis.commands.rate", "limit": 0.8, "capacity": "inventory"}],
        target="group",
        replica_signal=None,
        commands=[["redis-cli", "-h", "$NEW", "REPLICAOF", "{primary}", "6379"]],
    )
    check_complete(proposal)
    assert (proposal.target, after(proposal), proposal.cost.per_month) == ("group cache-1", 2, 400)


@pytest.mark.parametrize(
    ("samples", "facts", "told"),
    [
        (load(0.9, None), FACTS, r"of pg-2 isn't known \(1 of 2 servers are\)"),
        (load(0.9, float("nan")), FACTS, "of pg-2 isn't known"),
        (load(0.9, -0.1), FACTS, "of pg-2 isn't known"),
        (load(90.0, 20.0), FACTS, "pg-1 is 90, which is no share"),
        (Samples.empty(), FACTS, "system.cpu.utilization of main has no sample"),
        (load(0.9, 0.9), alert("> 0.8", "1", host="web-1"), "web-1 isn't in the inventory"),
        (load(0.9, 0.9), alert("> 0.8", "1"), "has no label host"),
    ],
)
def test_missing_and_wrong_inputs_are_named(samples: Samples, facts: Any, told: str) -> None:
    with pytest.raises(AdviceError, match=told):
        ask(samples, servers(2), facts)


def test_hostile_names_stay_text() -> None:
    server = resource(HOSTILE, "database", cluster=HOSTILE, price="broker")
    proposal = ask(history((CPU, {"host": HOSTILE}, steady(0.9))), (server,), alert("> 0.8", "1", host=HOSTILE))
    check_complete(proposal)
    assert proposal.kind == "scale_out"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(1, 3))
def test_more_load_never_means_fewer_servers(cpu: list[float], factor: float) -> None:
    low, high = (ask(load(*values), servers(len(cpu))) for values in (cpu, [min(1.0, share * factor) for share in cpu]))
    assert len(cpu) <= after(low) <= after(high)
    assert stage(low, "largest") >= 0
    assert limit(low, "largest") is None


def test_the_same_question_has_the_same_answer() -> None:
    samples = load(0.95, 0.83, 0.71)
    shuffled = Samples(
        samples.series.sample(fraction=1.0, shuffle=True, seed=3),
        samples.samples.sample(fraction=1.0, shuffle=True, seed=4),
        samples.coverage,
    )
    assert ask(samples, servers(3)) == ask(shuffled, servers(3))
