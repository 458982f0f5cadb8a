"""A primary that has nobody to take over: the least that makes a member ready, and when nothing may be touched."""

from datetime import timedelta
from decimal import Decimal
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
    arguments,
    check_complete,
    history,
    moving,
    resource,
    steady,
    take_over,
)

WAL, LAG, SYNC = "postgresql.wal.position", "postgresql.replication.lag", "postgresql.replication.synchronous"
BASE, MIB = 1e12, 2**20
TEN = timedelta(minutes=10)


def node(name: str, **fields: Any) -> Resource:
    return resource(name, "database", role="postgresql", **({"cluster": "orders", "price": "node"} | fields))


NODES = (node("pg-1", zone="a", host="h1"), node("pg-2", zone="b", host="h2"), node("pg-3", zone="c", host="h3"))


def primary(name: str = "pg-1", until: timedelta = timedelta(0), cluster: str = "orders") -> list[Series]:
    return [(WAL, {"cluster": cluster, "host": name}, moving(lambda s: BASE + 1e6 * s, until=until))]


def replica(
    name: str,
    behind: float = 0.0,
    *,
    pace: float = 0.0,
    lag: float = 0.05,
    sync: float | None = None,
    until: timedelta = timedelta(0),
    cluster: str = "orders",
) -> list[Series]:
    """`behind` bytes at AT; `pace` bytes a second fewer each second until then."""
    labels = {"cluster": cluster, "host": name}
    series: list[Series] = [
        (WAL, labels, moving(lambda s: BASE + 1e6 * s - behind + pace * s, until=until)),
        (LAG, labels, moving(lambda _: lag, until=until)),
    ]
    return series if sync is None else [*series, (SYNC, labels, steady(sync))]


def ask(*members: list[Series], nodes: tuple[Resource, ...] = NODES, cluster: str = "orders", **keys: Any) -> Proposal:
    samples: Samples = history(*(entry for series in members for entry in series))
    proposal = take_over("standby", keys, alert("< 1", "{member}", cluster=cluster), samples, *nodes)
    check_complete(proposal)
    return proposal


def programs(proposal: Proposal) -> list[str]:
    return [" ".join(command.split()[:2]) for command in proposal.commands]


FAR = 50 * MIB


@pytest.mark.parametrize(
    ("member", "keys", "to", "commands"),
    [
        (replica("pg-2", FAR), {}, "pg-2 is rebuilt", ["patronictl list", "patronictl reinit"]),
        # 50 MiB at 100 kB/s are gone in under nine minutes.
        (replica("pg-2", FAR, pace=1e5), {}, "pg-2 catches up by itself", ["patronictl list"]),
        (replica("pg-2", FAR, pace=1e4), {}, "pg-2 is rebuilt", ["patronictl list", "patronictl reinit"]),
        (
            replica("pg-2", FAR, pace=1e4),
            {"catch_up_within": "2h"},
            "pg-2 catches up by itself",
            ["patronictl list"],
        ),
        (replica("pg-2", until=timedelta(minutes=2)), {}, "pg-2 follows again", ["patronictl list", "ssh --"]),
        ([], {}, "pg-2 follows again", ["patronictl list", "ssh --"]),
        (
            replica("pg-2", lag=0.2),
            {"maximum_lag_time": "100ms"},
            "pg-2 replays what it has",
            ["patronictl list", "psql --host=h2"],
        ),
        (
            replica("pg-2"),
            {"synchronous_only": True},
            "pg-2 becomes synchronous",
            ["patronictl list", "patronictl edit-config"],
        ),
        (
            replica("pg-2"),
            {"rpo_target": "10s"},
            "pg-2 becomes synchronous",
            ["patronictl list", "patronictl edit-config"],
        ),
        (
            replica("pg-2", lag=31),
            {"rpo_target": "60s"},
            "pg-2 replays what it has",
            ["patronictl list", "psql --host=h2"],
        ),
    ],
)
def test_the_least_that_makes_a_member_ready(
    member: list[Series], keys: dict[str, Any], to: str, commands: list[str]
) -> None:
    proposal = ask(primary(), member, nodes=NODES[:2], **keys)
    assert (proposal.kind, proposal.target, proposal.to) == ("repair", "database cluster orders", to)
    assert programs(proposal) == commands
    assert proposal.cost.one_off == 0
    assert "1,471.68" in next(item.reason for item in proposal.rejected if item.option == "Add a replica")
    assert all(step.before for step in proposal.plan[1:])


def test_the_nearest_member_comes_first_and_the_others_are_told() -> None:
    proposal = ask(primary(), replica("pg-2", until=timedelta(minutes=5)), replica("pg-3", FAR, pace=1e6))
    assert proposal.title == "Make pg-3 ready to take over orders"
    assert "Instead: pg-2 follows again" in [item.option for item in proposal.rejected]
    assert [item.ok for item in proposal.survives] == [True, False, True, True]
    assert "If pg-1 died now, nobody may take over" in proposal.why
    assert proposal.gain == "0 → 1 member that may take over"


def test_a_rebuild_throws_no_last_copy_away() -> None:
    rebuild = ask(primary(), replica("pg-2", FAR), nodes=NODES[:2])
    step = next(step for step in rebuild.plan if "Rebuild" in step.do)
    assert any("backup succeeded" in condition for condition in step.before)
    for members in (
        (primary(until=timedelta(seconds=75)), replica("pg-2", FAR)),
        (replica("pg-1"), replica("pg-2", FAR)),
    ):
        proposal = ask(*members, nodes=NODES[:2])
        assert (proposal.kind, proposal.commands) == ("investigate", ("patronictl list -- orders",))
    assert ask(primary(until=timedelta(seconds=60)), replica("pg-2", FAR), nodes=NODES[:2]).kind == "repair"


def test_a_cluster_of_one_gets_a_replica_with_its_price() -> None:
    proposal = ask(primary(), nodes=NODES[:1])
    assert (proposal.title, proposal.cost.per_month) == ("Add a replica to orders", Decimal("1471.68"))
    other = ask(primary(), nodes=NODES[:1], replica_price="server")
    assert other.cost.per_month == 400
    unknown = ask(primary(), nodes=(node("pg-1", price="nothing"),))
    assert (unknown.cost.per_month, unknown.cost.known) == (None, False)


def test_an_excluded_member_is_for_a_person_to_decide() -> None:
    proposal = ask(primary(), replica("pg-2"), nodes=(NODES[0], node("pg-2", attributes={"nofailover": "true"})))
    assert "Decide whether pg-2 may take over" in proposal.plan[1].do


@pytest.mark.parametrize("nodes", [(), (node("pg-1", cluster="other"),)])
def test_without_members_there_is_no_advice(nodes: tuple[Resource, ...]) -> None:
    with pytest.raises(AdviceError, match="the inventory has no resource with cluster orders"):
        ask(primary(), nodes=nodes or (resource("x", "host"),))


def test_without_positions_there_is_no_advice() -> None:
    with pytest.raises(AdviceError, match="has no sample of a member in the inventory"):
        ask(replica("stranger"))


def test_hostile_names_stay_text() -> None:
    nodes = tuple(node(name, cluster=HOSTILE) for name in (f"-{HOSTILE}", f"z{HOSTILE}"))
    proposal = ask(
        primary(nodes[0].id, cluster=HOSTILE), replica(nodes[1].id, FAR, cluster=HOSTILE), nodes=nodes, cluster=HOSTILE
    )
    assert arguments(proposal.commands[1]) == ["reinit", "--", HOSTILE, nodes[1].id]


@given(
    behinds=st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=3),
    silent=st.lists(st.integers(0, 8), min_size=3, max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_same_input_same_record_and_no_command_touches_the_primary(behinds: list[float], silent: list[int]) -> None:
    names = [f"pg-{n}" for n in range(2, 2 + len(behinds))]
    nodes = (node("pg-1"), *(node(name) for name in names))
    members = [
        replica(name, behind, until=timedelta(seconds=15 * quiet))
        for name, behind, quiet in zip(names, behinds, silent, strict=False)
    ]
    first = ask(primary(), *members, nodes=nodes)
    assert first == ask(primary(), *members, nodes=nodes)
    assert not any("pg-1" in command for command in first.commands)
