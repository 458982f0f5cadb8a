"""A cache behind Sentinel: who takes over from a lost primary, by whom, and what makes it ready while it lives."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from tests.advice_cases import (
    HOSTILE,
    Points,
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

OFFSET, PRIORITY = "redis.replication.offset", "redis.replica.priority"


def node(name: str, **fields: Any) -> Resource:
    return resource(name, "host", role="cache", **({"cluster": "sessions", "price": "server"} | fields))


NODES = (node("c-1", attributes={"started_as": "primary"}), node("c-2"), node("c-3"))


def primary(offset: float = 1000, name: str = "c-1", silent: float = 2) -> list[Series]:
    """One that was last heard of so many minutes before AT."""
    points = [(offset_, value) for offset_, value in steady(offset) if offset_ <= -timedelta(minutes=silent)]
    return [(OFFSET, {"host": name}, points)]


def replica(name: str, offset: float = 1000, priority: float = 100, silent: float = 0) -> list[Series]:
    until = -timedelta(minutes=silent)
    return [
        (signal, {"host": name}, [(at, value_) for at, value_ in steady(value) if at <= until])
        for signal, value in ((OFFSET, offset), (PRIORITY, priority))
    ]


def sentinel(
    up: float | None, replicas: int = 2, ok: int = 3, known: int = 3, quorum: int = 2, cluster: str = "sessions"
) -> list[Series]:
    values = {"primary.up": up, "replicas.ok": replicas, "sentinels.ok": ok, "sentinels.known": known, "quorum": quorum}
    return [
        (f"redis.sentinel.{name}", {"cluster": cluster}, steady(float(value)))
        for name, value in values.items()
        if value is not None
    ]


def ask(*parts: list[Series], nodes: tuple[Resource, ...] = NODES, cluster: str = "sessions", **keys: Any) -> Proposal:
    samples = history(*(entry for series in parts for entry in series))
    proposal = take_over("cache", keys, alert("== 0", "1", cluster=cluster), samples, *nodes)
    check_complete(proposal)
    return proposal


LOOK = [
    "redis-cli -h c-2 -p 26379 sentinel ckquorum sessions",
    "redis-cli -h c-2 -p 26379 sentinel replicas sessions",
]


def test_sentinel_is_told_to_fail_over_where_it_can() -> None:
    proposal = ask(primary(5000), replica("c-2", 4000), replica("c-3", 4500), sentinel(0))
    assert (proposal.kind, proposal.target, proposal.to) == ("failover", "cache sessions", "c-3")
    assert list(proposal.commands) == [*LOOK, "redis-cli -h c-2 -p 26379 sentinel failover sessions"]
    assert "500 B of writes are lost" in proposal.why
    trigger = next(step for step in proposal.plan if "Have Sentinel" in step.do)
    assert "ckquorum is OK" in trigger.before[0]
    assert {item.option: item.reason for item in proposal.rejected}["Promote c-2"] == "500 B behind c-3"
    assert [item.ok for item in proposal.survives] == [True, True]


def test_without_enough_sentinels_a_person_promotes_in_this_order() -> None:
    proposal = ask(primary(5000), replica("c-2", 4000), replica("c-3", 4500), sentinel(0, ok=1))
    assert list(proposal.commands)[2:] == [
        "redis-cli -h c-3 -p 6379 replicaof no one",
        "redis-cli -h c-2 -p 6379 replicaof c-3 6379",
    ]
    does = [step.do.split()[0] for step in proposal.plan]
    assert does == ["Ask", "Fence", "Promote", "Have", "Restart", "Start", "Bring"]
    promote = proposal.plan[2]
    assert promote.before[0] == "c-1 is fenced"
    assert "Sentinels that still run are stopped" in promote.before[2]
    # Nothing measured of Sentinel: nobody counts on it either.
    assert "replicaof no one" in ask(primary(), replica("c-2")).commands[2]


@pytest.mark.parametrize(
    ("second", "third", "to"),
    [
        (replica("c-2", 10, 50), replica("c-3", 99, 100), "c-2"),
        (replica("c-2", 10, 0), replica("c-3", 5, 100), "c-3"),
        (replica("c-2", 10), replica("c-3", 10), "c-2"),
        (replica("c-2", 10, silent=1), replica("c-3", 5), "c-2"),
        (replica("c-2", 10, silent=1.25), replica("c-3", 5), "c-3"),
    ],
)
def test_priority_then_position_then_name_decide(second: list[Series], third: list[Series], to: str) -> None:
    assert ask(primary(), second, third, sentinel(0)).to == to


@pytest.mark.parametrize(
    ("second", "third", "to", "reason"),
    [
        (replica("c-2", 10, 50), replica("c-3", 99, 100), "c-3", "89 B behind c-3"),
        (replica("c-2", 99, 50), replica("c-3", 99, 100), "c-2", "its priority 100 comes after 50"),
        (replica("c-2", 99, 0), replica("c-3", 10, 100), "c-3", "its priority 0 excludes it"),
        (replica("c-2", 99), replica("c-3", 99), "c-2", "as far as c-2, which comes first by name"),
    ],
)
@pytest.mark.parametrize("seen", [[], sentinel(0, ok=1)])
def test_by_hand_the_furthest_comes_before_the_priority(
    second: list[Series], third: list[Series], to: str, reason: str, seen: list[Series]
) -> None:
    proposal = ask(primary(), second, third, seen)
    assert proposal.to == to
    assert f"{to} comes first by position and priority" in proposal.why
    assert proposal.rejected[0].reason == reason
    promote = next(step for step in proposal.plan if step.do == f"Promote {to}")
    assert f"no other replica that may take over has a further position than {to}, asked once more" in promote.before


MB = 1e6


def writing(silent: float = 2, over: timedelta = timedelta(minutes=30)) -> list[Series]:
    """A primary at 1 MB/s that was at 10 GB at its last write, so many minutes before AT."""
    points = moving(lambda s: 10_000 * MB + MB * (s + silent * 60), over, timedelta(minutes=silent))
    return [(OFFSET, {"host": "c-1"}, points)]


CUT_OFF = "its link had been broken for more than {} when the primary wrote last"


@pytest.mark.parametrize(
    ("behind", "keys", "to"),
    [
        (0, {}, "c-2"),
        (300 * MB, {}, "c-2"),
        (300 * MB + 1, {}, "c-3"),
        (2_000 * MB, {}, "c-3"),
        (600 * MB, {"down_after": "1m"}, "c-2"),
        (600 * MB + 1, {"down_after": "1m"}, "c-3"),
    ],
)
def test_whose_link_was_broken_for_long_before_the_loss_is_not_promoted(
    behind: float, keys: dict[str, Any], to: str
) -> None:
    second = replica("c-2", 10_000 * MB - behind, 50)
    proposal = ask(writing(), second, replica("c-3", 10_000 * MB, 100), sentinel(0), **keys)
    assert proposal.to == to
    alone = ask(writing(), second, sentinel(0, ok=1), nodes=NODES[:2], **keys)
    assert alone.kind == ("failover" if to == "c-2" else "investigate")
    if to == "c-3":
        for told in (proposal, alone):
            assert told.rejected[0].reason == CUT_OFF.format("10m" if keys else "5m")


@pytest.mark.parametrize(
    "points",
    [
        # Its last position is told on and on.
        [*moving(lambda s: 10_000 * MB + MB * min(0.0, s + 600), timedelta(minutes=30))],
        # It began anew with an empty memory.
        [*moving(lambda s: MB * (s + 240) if s >= -240 else 90_000 * MB, timedelta(minutes=30), timedelta(minutes=2))],
        # It is heard of for too short a time.
        [*moving(lambda s: 10_000 * MB + MB * s, timedelta(minutes=6), timedelta(minutes=2))],
    ],
)
def test_a_broken_link_is_told_by_what_the_primary_wrote(points: Points) -> None:
    last = max((at, value) for at, value in points if value is not None)[1]
    near = ask([(OFFSET, {"host": "c-1"}, points)], replica("c-2", max(0.0, (last or 0.0) - 250 * MB)), sentinel(0))
    assert (near.kind, near.to) == ("failover", "c-2")


def test_a_link_that_is_broken_while_the_primary_lives_is_mended() -> None:
    behind = (replica("c-2", 5_000 * MB, 50), replica("c-3", 6_000 * MB), sentinel(1))
    proposal = ask(writing(0), *behind)
    assert (proposal.kind, proposal.to) == ("repair", "c-3 follows again")
    assert proposal.commands[-1] == "redis-cli -h c-3 -p 6379 replicaof c-1 6379"
    assert f"c-2: {CUT_OFF.format('5m')}" in proposal.why
    assert proposal.cost.per_month == 0
    # One that is fit is enough.
    assert ask(writing(0), behind[0], replica("c-3", 10_000 * MB), sentinel(1)).to.startswith("as it is")
    # Who is excluded isn't mended.
    assert ask(writing(0), replica("c-2", 5_000 * MB, 0), sentinel(1), nodes=NODES[:2]).to == "c-2 may take over"


def test_nobody_may_take_over() -> None:
    proposal = ask(primary(), replica("c-2", priority=0), replica("c-3", silent=5), sentinel(0))
    assert proposal.kind == "investigate"
    reasons = {item.option: item.reason for item in proposal.rejected}
    assert reasons["Promote c-2"] == "its priority 0 excludes it"
    assert reasons["Promote c-3"] == "it isn't heard of"
    assert all("replicaof" not in command and "failover" not in command for command in proposal.commands)


@pytest.mark.parametrize(
    ("parts", "nodes", "to", "program"),
    [
        ([replica("c-2"), sentinel(1, ok=1)], NODES[:2], "enough Sentinels", "ssh"),
        ([replica("c-2", silent=5), sentinel(1, replicas=0)], NODES[:2], "c-2 follows again", "ssh"),
        ([replica("c-2", priority=0), sentinel(1)], NODES[:2], "c-2 may take over", "redis-cli"),
        ([sentinel(1, replicas=0)], NODES[:1], "a replica that Sentinel may promote", "redis-cli"),
        ([sentinel(1, replicas=0, ok=1)], NODES[:2], "enough Sentinels and c-2 follows again", "ssh"),
    ],
)
def test_what_makes_it_ready_while_the_primary_lives(
    parts: list[list[Series]], nodes: tuple[Resource, ...], to: str, program: str
) -> None:
    proposal = ask(primary(silent=0), *parts, nodes=nodes)
    assert (proposal.kind, proposal.to) == ("repair", to)
    assert proposal.commands[-1].split()[0] == program
    assert proposal.cost.per_month == (Decimal(400) if "Sentinel may promote" in to else 0)
    assert all(step.before for step in proposal.plan[1:])


@pytest.mark.parametrize(("earlier", "lost"), [(30, "c-2"), (3.5, "c-2"), (2.5, None)])
def test_a_primary_that_was_lost_earlier_is_not_lost_again(earlier: float, lost: str | None) -> None:
    promoted = replica("c-2", 9000, silent=2)
    signal, labels, points = promoted[1]
    promoted[1] = (signal, labels, [(at, value) for at, value in points if at <= -timedelta(minutes=earlier)])
    proposal = ask(primary(8000, silent=earlier), promoted, replica("c-3", 9000), sentinel(0, ok=1))
    assert proposal.to == "c-3"
    # Within the time in which one counts as heard of, both may be writing: the inventory's word decides.
    assert proposal.plan[1].do.startswith(f"Fence {lost or 'c-1'}")


def test_a_promoted_replica_is_the_primary() -> None:
    # Its priority is older than its position: it isn't a replica any more, whatever the inventory says.
    was = replica("c-2")
    promoted: list[Series] = [was[0], (PRIORITY, {"host": "c-2"}, [(timedelta(minutes=-3), 100.0)])]
    proposal = ask(replica("c-1"), promoted, sentinel(1, ok=1), nodes=NODES[:2])
    assert "take over from c-2" in proposal.from_


def test_a_cache_that_the_inventory_doesnt_know() -> None:
    with pytest.raises(AdviceError, match="the inventory has no resource with cluster sessions"):
        ask(primary(), nodes=(node("c-1", cluster="other"),))


def test_hostile_names_stay_text() -> None:
    nodes = (node(f"a{HOSTILE}", cluster=HOSTILE), node(f"b{HOSTILE}", cluster=HOSTILE))
    proposal = ask(
        primary(name=nodes[0].id),
        replica(nodes[1].id),
        sentinel(0, ok=1, cluster=HOSTILE),
        nodes=nodes,
        cluster=HOSTILE,
    )
    assert arguments(proposal.commands[2]) == ["-h", nodes[1].id, "-p", "6379", "replicaof", "no", "one"]


@given(
    offsets=st.lists(st.integers(0, 1000), min_size=2, max_size=2),
    priorities=st.lists(st.sampled_from([0, 10, 100]), min_size=2, max_size=2),
    ok=st.integers(0, 5),
    known=st.integers(1, 5),
    quorum=st.integers(1, 5),
)
@settings(max_examples=30, deadline=None)
def test_same_input_same_record_and_sentinel_is_asked_only_where_it_can_act(
    offsets: list[int], priorities: list[int], ok: int, known: int, quorum: int
) -> None:
    parts = [
        primary(),
        *(
            replica(name, offset, priority)
            for name, offset, priority in zip(("c-2", "c-3"), offsets, priorities, strict=True)
        ),
        sentinel(0, ok=ok, known=known, quorum=quorum),
    ]
    proposal = ask(*parts)
    assert proposal == ask(*parts)
    acts = ok >= max(quorum, known // 2 + 1)
    assert any("sentinel failover" in command for command in proposal.commands) == (acts and any(priorities))
    if proposal.kind == "failover":
        best = NODES[1:][[node_.id for node_ in NODES[1:]].index(proposal.to)]
        assert priorities[NODES[1:].index(best)] > 0
