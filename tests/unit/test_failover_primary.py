"""A lost primary: who was it, who may take over, what is lost at most, and when no advice is given."""

import re
from collections.abc import Callable
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
from controlplane.model.units import human
from tests.advice_cases import (
    HOSTILE,
    PRICES,
    Points,
    Series,
    alert,
    arguments,
    both,
    check_complete,
    history,
    moving,
    resource,
    stage,
    take_over,
)

WAL, LAG, SYNC = "postgresql.wal.position", "postgresql.replication.lag", "postgresql.replication.synchronous"
MB = 1e6
BASE = 1e12
RATE = MB  # By/s
LOST = timedelta(minutes=2)


def written(behind: float = 0.0, until: timedelta = timedelta(0)) -> Points:
    """The position of a member that follows the primary until it dies 2 minutes before AT."""
    return moving(lambda s: BASE + RATE * min(s, -135.0) - behind, until=until)


def member(
    name: str,
    *,
    behind: float = 0.0,
    lag: float | None = 0.05,
    sync: float | None = None,
    until: timedelta = timedelta(0),
    cluster: str = "orders",
) -> list[Series]:
    """A replica that still answers, `behind` bytes when the primary died."""
    labels = {"cluster": cluster, "host": name}
    series: list[Series] = [(WAL, labels, written(behind, until))]
    if lag is not None:
        # After the loss the replay timestamp gets older although nothing is missing.
        series.append((LAG, labels, moving(lambda s: lag if s <= -135 else lag + 135 + s, until=until)))
    if sync is not None:
        series.append((SYNC, labels, [(offset, sync) for offset, _ in written(until=until)]))
    return series


def primary(name: str = "pg-1", until: timedelta = timedelta(seconds=135), cluster: str = "orders") -> list[Series]:
    return [(WAL, {"cluster": cluster, "host": name}, written(until=until))]


def node(name: str, **fields: Any) -> Resource:
    return resource(name, "database", role="postgresql", **({"cluster": "orders", "price": "node"} | fields))


NODES = (node("pg-1", zone="a", host="h1"), node("pg-2", zone="b", host="h2"), node("pg-3", zone="c", host="h3"))


def ask(samples: Samples, *nodes: Resource, cluster: str = "orders", **parameters: Any) -> Proposal:
    facts = alert("< 1", "{primary}", began=LOST, cluster=cluster)
    return take_over("primary", parameters, facts, samples, *(nodes or NODES))


def cluster_of(*members: list[Series]) -> Samples:
    return history(*(entry for series in members for entry in series))


def refused(proposal: Proposal) -> dict[str, str]:
    return {item.option: item.reason for item in proposal.rejected}


def test_a_reachable_replica_takes_over() -> None:
    proposal = ask(cluster_of(primary(), member("pg-2", behind=500_000), member("pg-3", behind=200_000)))
    check_complete(proposal)
    assert (proposal.kind, proposal.from_, proposal.to) == ("failover", "pg-1 (lost)", "pg-3")
    assert proposal.commands == (
        "patronictl list -- orders",
        "patronictl failover --candidate=pg-3 -- orders",
    )
    assert proposal.revert == (
        "patronictl reinit -- orders pg-1",
        "patronictl switchover --leader=pg-3 --candidate=pg-1 -- orders",
    )
    # What is missing, and 1 MB/s × 30 s that may have been written unseen.
    assert stage(proposal, "missing") == 200_000
    assert stage(proposal, "unseen") == pytest.approx(30 * MB)
    assert stage(proposal, "loss at most") == pytest.approx(30.2 * MB)
    # The lag of 0.05 s when the primary was last seen counts, not the 135 s that it shows by now.
    assert "at most 30.2 MB or 30.1 s" in proposal.why
    assert proposal.inputs["replication lag of pg-3"] == "0.05 s"
    assert refused(proposal)["Promote pg-2"].startswith("eligible: 500 kB of WAL behind; pg-3 comes first")
    # Nothing for the promotion, 2.016 × 730 for a replacement.
    promotion, replacement = proposal.cost.lines
    assert (promotion.per_month, promotion.one_off) == (0, 0)
    assert replacement.per_month == proposal.cost.per_month == Decimal("1471.68")
    assert [item.ok for item in proposal.survives] == [True, True, True, True]


def test_a_synchronous_standby_comes_first_and_loses_nothing_acknowledged() -> None:
    proposal = ask(
        cluster_of(primary(), member("pg-2", behind=900_000, sync=1), member("pg-3", sync=0)), rpo_target="0s"
    )
    assert proposal.to == "pg-2"
    assert "No acknowledged transaction is lost; unacknowledged ones may be" in proposal.why
    assert "not synchronous as pg-2 is" in refused(proposal)["Promote pg-3"]
    assert {item.signal: item.verdict for item in proposal.evidence}["RPO objective"] == "met"
    other = ask(cluster_of(primary(), member("pg-3", sync=0)), rpo_target="30s")
    assert {item.signal: item.verdict for item in other.evidence}["RPO objective"] == "missed"


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"pg-2": ("b", "h2"), "pg-3": ("c", "h3")}, "pg-2"),
        ({"pg-2": ("a", "h2"), "pg-3": ("c", "h3")}, "pg-3"),
        ({"pg-2": ("b", "h1"), "pg-3": ("a", "h3")}, "pg-3"),
        ({"pg-2": ("", ""), "pg-3": ("c", "h3")}, "pg-2"),
        ({"pg-2": ("a", "h1"), "pg-3": ("a", "h1")}, "pg-2"),
    ],
)
def test_another_host_and_zone_than_the_lost_one_are_preferred(
    places: dict[str, tuple[str, str]], expected: str
) -> None:
    nodes = [node(name, zone=zone, host=host) for name, (zone, host) in places.items()]
    samples = cluster_of(primary(), member("pg-2", behind=10), member("pg-3", behind=20))
    assert ask(samples, NODES[0], *nodes).to == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "pg-2"),
        ({"failover_priority": "5"}, "pg-3"),
        ({"failover_priority": "lots"}, "pg-2"),
        ({"failover_priority": "9" * 30}, "pg-2"),
    ],
)
def test_ties_go_to_the_priority_and_then_the_name(tags: dict[str, str], expected: str) -> None:
    nodes = (node("pg-1"), node("pg-2"), node("pg-3", attributes=tags))
    assert ask(cluster_of(primary(), member("pg-2"), member("pg-3")), *nodes).to == expected


@pytest.mark.parametrize(
    ("series", "parameters", "reason"),
    [
        (member("pg-3", behind=2**20), {}, None),
        (member("pg-3", behind=2**20 + 1), {}, "1.049 MB of WAL behind, more than 1.049 MB"),
        (member("pg-3", behind=5), {"maximum_lag": "4 By"}, "5 B of WAL behind, more than 4 B"),
        (member("pg-3", until=timedelta(seconds=60)), {}, None),
        (member("pg-3", until=timedelta(seconds=75)), {}, "no sample for 1m 15s, longer than 1m"),
        (member("pg-3", until=timedelta(seconds=75)), {"reachable_within": "2m"}, None),
        (member("pg-3", lag=0.1), {"maximum_lag_time": "100ms"}, None),
        (member("pg-3", lag=0.101), {"maximum_lag_time": "100ms"}, "0.101 s behind, more than"),
        (member("pg-3", lag=None, behind=5), {"maximum_lag_time": "100ms"}, "its replication lag isn't known"),
        (member("pg-3", sync=0), {"synchronous_only": True}, "it isn't a synchronous standby"),
        (member("pg-3")[1:], {}, "its WAL position isn't known"),
        ([], {}, "it has never sent a sample"),
    ],
)
def test_who_may_take_over(series: list[Series], parameters: dict[str, Any], reason: str | None) -> None:
    # pg-2 is always fit but shares the host of the lost primary, so that pg-3 comes first wherever it is fit, too.
    nodes = (NODES[0], node("pg-2", zone="a", host="h1"), NODES[2])
    synchronous = 1 if parameters.get("synchronous_only") else None
    proposal = ask(cluster_of(primary(), member("pg-2", sync=synchronous), series), *nodes, **parameters)
    check_complete(proposal)
    if reason is None:
        assert proposal.to == "pg-3"
    else:
        assert proposal.to == "pg-2"
        assert refused(proposal)["Promote pg-3"].startswith(reason)


def test_the_tag_nofailover_excludes() -> None:
    nodes = (*NODES[:2], node("pg-3", attributes={"nofailover": "true"}))
    proposal = ask(cluster_of(primary(), member("pg-2", behind=9e5), member("pg-3")), *nodes)
    assert proposal.to == "pg-2"
    assert refused(proposal)["Promote pg-3"] == "its tag nofailover excludes it"


def test_nobody_may_take_over() -> None:
    samples = cluster_of(primary(), member("pg-2", behind=50 * MB), member("pg-3", until=timedelta(minutes=3)))
    proposal = ask(samples)
    check_complete(proposal)
    assert (proposal.kind, proposal.commands) == ("investigate", ("patronictl list -- orders",))
    assert "None of the 2 other members may take over" in proposal.why
    assert set(refused(proposal)) == {"Promote pg-2", "Promote pg-3"}
    assert [item.ok for item in proposal.survives] == [False]
    alone = ask(cluster_of(primary()), NODES[0])
    assert "None of the 0 other members" in alone.why


def test_hosts_outside_the_inventory_arent_promoted() -> None:
    proposal = ask(cluster_of(primary(), member("pg-2"), member("stranger", sync=1)))
    assert proposal.to == "pg-2"
    assert refused(proposal)["Promote stranger"] == "it isn't in the inventory"


def test_members_are_found_by_the_host_that_carries_them() -> None:
    nodes = tuple(node(f"db-{n}", host=f"pg-{n}", attributes={"member": f"patroni-{n}"}) for n in (1, 2))
    proposal = ask(cluster_of(primary(), member("pg-2")), *nodes)
    assert (proposal.from_, proposal.to) == ("patroni-1 (lost)", "patroni-2")


def test_a_replica_read_later_isnt_taken_for_the_primary() -> None:
    # The replica has lag samples and, read once more after the loss, a higher position than the primary's last.
    ahead = [
        (WAL, {"cluster": "orders", "host": "pg-2"}, [*written(until=timedelta(seconds=135)), (-LOST, BASE + 9)]),
        *member("pg-2")[1:],
    ]
    assert ask(cluster_of(primary(), ahead), *NODES[:2]).from_ == "pg-1 (lost)"


def test_without_lag_the_furthest_when_all_were_read_was_the_primary() -> None:
    ahead = [(WAL, {"cluster": "orders", "host": "pg-2"}, [*written(10, timedelta(seconds=135)), (-LOST, BASE + 9)])]
    proposal = ask(cluster_of(primary(), ahead), *NODES[:2], reachable_within="5m")
    assert (proposal.from_, proposal.to) == ("pg-1 (lost)", "pg-2")


def test_equal_positions_are_settled_by_the_inventory() -> None:
    equal = cluster_of(primary(), member("pg-2", lag=None))
    with pytest.raises(AdviceError, match="which member of cluster orders was the primary can't be told"):
        ask(equal, *NODES[:2])
    stated = (node("pg-1", attributes={"started_as": "primary"}), NODES[1])
    assert ask(equal, *stated).to == "pg-2"


HISTORY = timedelta(hours=6)


def role(
    name: str, position: Callable[[float], float], *, leads: tuple[float, float], until: float = 0
) -> list[Series]:
    """A member with a lag sample wherever it doesn't lead; times are seconds before AT, `leads` from and to."""
    labels, begin = {"cluster": "orders", "host": name}, -leads[0]
    end = timedelta(seconds=until)
    return [
        (WAL, labels, moving(position, HISTORY, end)),
        (LAG, labels, moving(lambda s: None if begin < s <= -leads[1] else 0.05, HISTORY, end)),
    ]


@pytest.mark.parametrize("earlier", [10_800, 3_900, 3_720, 3_705, 1_200, 240])
def test_a_primary_that_was_lost_earlier_isnt_the_one_that_is_lost_now(earlier: int) -> None:
    # pg-1 dies, pg-2 takes over and dies too; pg-3 has received nothing since pg-1 died.
    parts = (
        role("pg-1", lambda s: BASE + RATE * s, leads=(30_000, 0), until=earlier),
        role("pg-2", lambda s: BASE + RATE * s - 9, leads=(earlier - 15, 0), until=135),
        role("pg-3", lambda s: BASE + RATE * min(s, -earlier) - 9, leads=(0, 0)),
    )
    nodes = (node("pg-1", attributes={"started_as": "primary"}), *NODES[1:])
    proposal = ask(cluster_of(*parts), *nodes)
    assert (proposal.kind, proposal.from_) == ("investigate", "pg-2 (lost)")
    assert (
        refused(proposal)["Promote pg-3"] == f"{human((earlier - 135) * RATE, 'By')} of WAL behind, more than 1.049 MB"
    )
    assert refused(proposal)["Promote pg-1"].startswith("no sample for")


@pytest.mark.parametrize(("silent", "lost"), [(3_720, "pg-2"), (3_705, "pg-1")])
def test_an_idle_primary_that_was_lost_earlier_is_remembered_for_an_hour(silent: int, lost: str) -> None:
    # Nothing was written since, so that positions don't tell who was the last one; the inventory does.
    parts = (
        role("pg-1", lambda s: BASE, leads=(30_000, 0), until=silent),
        role("pg-2", lambda s: BASE, leads=(silent, 0), until=135),
        role("pg-3", lambda s: BASE, leads=(0, 0)),
    )
    nodes = (node("pg-1", attributes={"started_as": "primary"}), *NODES[1:])
    assert ask(cluster_of(*parts), *nodes).from_ == f"{lost} (lost)"


@pytest.mark.parametrize("ago", [18_000, 3_600, 600, 165])
def test_after_a_switchover_the_new_primary_is_the_lost_one_whatever_the_inventory_says(ago: int) -> None:
    # Nobody writes: all positions are equal.
    parts = (
        role("pg-1", lambda s: BASE, leads=(30_000, ago)),
        role("pg-2", lambda s: BASE, leads=(ago, 0), until=135),
        role("pg-3", lambda s: BASE, leads=(0, 0)),
    )
    nodes = (node("pg-1", attributes={"started_as": "primary"}), *NODES[1:])
    proposal = ask(cluster_of(*parts), *nodes)
    assert (proposal.from_, proposal.to) == ("pg-2 (lost)", "pg-1")
    assert any("Fence pg-2" in step.do for step in proposal.plan)
    assert not any("Fence pg-1" in step.do for step in proposal.plan)


def test_who_gave_up_being_the_primary_as_the_alert_began_was_it() -> None:
    parts = (role("pg-1", lambda s: BASE, leads=(30_000, 135)), role("pg-2", lambda s: BASE, leads=(0, 0)))
    assert ask(cluster_of(*parts), *NODES[:2]).from_ == "pg-1 (lost)"


def test_a_loss_long_before_the_alert_is_found_where_nobody_wrote_since() -> None:
    parts = (
        role("pg-1", lambda s: BASE, leads=(30_000, 0), until=10_800),
        role("pg-2", lambda s: BASE - 9, leads=(0, 0)),
    )
    proposal = ask(cluster_of(*parts), *NODES[:2])
    assert (proposal.from_, proposal.to) == ("pg-1 (lost)", "pg-2")


def test_where_all_follow_only_a_silent_member_can_be_the_lost_one() -> None:
    replica = role("pg-2", lambda s: BASE - 9, leads=(0, 0))
    silent = role("pg-1", lambda s: BASE, leads=(0, 0), until=135)
    assert ask(cluster_of(silent, replica), *NODES[:2]).from_ == "pg-1 (lost)"
    with pytest.raises(AdviceError, match="all that were heard of before the alert follow another one"):
        ask(cluster_of(role("pg-1", lambda s: BASE, leads=(0, 0)), replica), *NODES[:2])


def test_a_frozen_last_position_isnt_taken_for_a_living_primary() -> None:
    # The collector goes on telling the last known position after the loss.
    proposal = ask(cluster_of(primary(until=timedelta(0)), member("pg-2")), *NODES[:2])
    assert proposal.to == "pg-2"
    assert stage(proposal, "unseen") == pytest.approx(30 * MB, rel=0.1)
    assert "last seen at 18:58:00 UTC" in proposal.why


def test_a_primary_that_still_writes_isnt_failed_over() -> None:
    writes = [(WAL, {"cluster": "orders", "host": "pg-1"}, moving(lambda s: BASE + RATE * s))]
    with pytest.raises(AdviceError, match="pg-1 of cluster orders still writes after the alert began"):
        ask(cluster_of(writes, member("pg-2")), *NODES[:2])


@pytest.mark.parametrize(
    ("samples", "nodes", "told"),
    [
        (Samples.empty(), NODES, "postgresql.wal.position of cluster orders has no sample"),
        (cluster_of(primary(), member("pg-2")), (node("x", cluster="other"),), "no resource with cluster orders"),
        (cluster_of(member("pg-9"), member("pg-8")), NODES, "none of the hosts that report postgresql.wal.position"),
        (cluster_of(member("pg-2")[1:]), NODES, "postgresql.wal.position of cluster orders has no sample"),
    ],
)
def test_missing_inputs_are_named(samples: Samples, nodes: tuple[Resource, ...], told: str) -> None:
    with pytest.raises(AdviceError, match=re.escape(told)):
        ask(samples, *nodes)


def test_the_role_narrows_the_members() -> None:
    pooler = resource("pgbouncer", "database", cluster="orders", role="pgbouncer")
    assert "Promote pgbouncer" in refused(ask(cluster_of(primary(), member("pg-2")), *NODES[:2], pooler))
    narrowed = ask(cluster_of(primary(), member("pg-2")), *NODES[:2], pooler, role="postgresql")
    assert "Promote pgbouncer" not in refused(narrowed)
    with pytest.raises(AdviceError, match="cluster orders and role mysql"):
        ask(cluster_of(primary()), role="mysql")


def test_an_unknown_price_of_a_replacement_is_not_zero() -> None:
    for name in (None, "nothing", "secret"):
        nodes = (node("pg-1", price=name), NODES[1])
        proposal = ask(cluster_of(primary(), member("pg-2")), *nodes)
        assert (proposal.cost.per_month, proposal.cost.known) == (None, False)
    assert PRICES.get("nothing") is None


@pytest.mark.parametrize(("target", "verdict"), [("2m", "missed"), ("3m", "met"), ("2s", "missed")])
def test_the_recovery_time_is_held_against_the_objective(target: str, verdict: str) -> None:
    # Down for 2 minutes, and one until the first write.
    proposal = ask(cluster_of(primary(), member("pg-2")), *NODES[:2], rto_target=target)
    found = next(item for item in proposal.evidence if item.signal == "RTO objective")
    assert (found.value, found.verdict) == (180, verdict)


@pytest.mark.parametrize(
    ("nodes", "verdicts"),
    [
        (NODES[:2], [False, False, False, False]),
        ((NODES[0], NODES[1], node("pg-3", zone="b", host="h2")), [True, False, False, True]),
        ((NODES[0], NODES[1], node("pg-3", zone="b", host="h9")), [True, True, False, True]),
        ((NODES[0], NODES[1], node("pg-3")), [True, None, None, True]),
    ],
)
def test_survival_of_one_more_loss(nodes: tuple[Resource, ...], verdicts: list[bool | None]) -> None:
    proposal = ask(cluster_of(primary(), member("pg-2", sync=1), member("pg-3")), *nodes)
    assert proposal.to == "pg-2"
    assert [item.ok for item in proposal.survives] == verdicts


def test_hostile_names_stay_text() -> None:
    nodes = (
        node("one", cluster=HOSTILE, attributes={"member": HOSTILE}),
        node(HOSTILE, cluster=HOSTILE, attributes={"member": "-" + HOSTILE}),
    )
    samples = cluster_of(primary("one", cluster=HOSTILE), member(HOSTILE, cluster=HOSTILE))
    proposal = ask(samples, *nodes, cluster=HOSTILE)
    check_complete(proposal)
    assert arguments(proposal.commands[1]) == ["failover", f"--candidate=-{HOSTILE}", "--", HOSTILE]
    assert arguments(proposal.revert[0]) == ["reinit", "--", HOSTILE, HOSTILE]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5e6), st.booleans(), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=6),
    st.integers(0, 3_000_000),
)
def test_the_one_that_takes_over_is_eligible_and_none_is_better(
    replicas: list[tuple[float, bool, str]], maximum: int
) -> None:
    names = [f"r{n}" for n in range(len(replicas))]
    nodes = (node("pg-1", zone="a"), *(node(n, zone=zone) for n, (_, _, zone) in zip(names, replicas, strict=True)))
    samples = both(
        cluster_of(primary()),
        cluster_of(*(member(n, behind=b, sync=float(s)) for n, (b, s, _) in zip(names, replicas, strict=True))),
    )
    proposal = ask(samples, *nodes, maximum_lag=f"{maximum} By")
    check_complete(proposal)
    # Positions are floats near 10¹²: a tenth of a byte is lost.
    able = {n: r for n, r in zip(names, replicas, strict=True) if r[0] <= maximum - 1}
    unable = {n for n, r in zip(names, replicas, strict=True) if r[0] > maximum + 1}
    if proposal.kind == "investigate":
        assert not able
        return
    assert proposal.to not in unable
    if any(synchronous for _, synchronous, _ in able.values()):
        assert replicas[names.index(proposal.to)][1]


def test_the_runbook_fences_the_old_primary_before_it_promotes_and_then_repoints() -> None:
    proposal = ask(cluster_of(primary(), member("pg-2", behind=500_000)), *NODES[:2])
    does = [step.do.split()[0] for step in proposal.plan]
    assert does == ["Look", "Fence", "Promote", "Point", "Rebuild"]
    promote = proposal.plan[2]
    assert promote.commands == ("patronictl failover --candidate=pg-2 -- orders",)
    assert promote.before[0] == "pg-1 is fenced"
    assert any(text.startswith("the last position of pg-2 was read once more: 9") for text in promote.before)
    assert any("at most 30.5 MB or 30.1 s" in text for text in promote.before)
    assert [step.commands for step in proposal.plan if step.commands] == [
        ("patronictl list -- orders",),
        ("patronictl failover --candidate=pg-2 -- orders",),
    ]
    only = ask(cluster_of(primary(), member("pg-2")), *NODES[:2], commands=[["promote", "{candidate}"]])
    assert (only.commands, only.plan[0].commands) == (("promote pg-2",), ())
