"""Readiness of database clusters: who takes over, what is lost, how long, and does the one that is left carry it."""

from typing import Any

import pytest

from controlplane.failover.assess import ASSESS
from controlplane.failover.moment import Moment
from controlplane.model.methods import Primary
from controlplane.model.readiness import Readiness
from controlplane.model.resources import Inventory, Resource
from tests.advice_cases import AT, HOSTILE, PRICES, Series, history, steady
from tests.unit.test_failover_standby import FAR, node, primary, replica

PAIR = (node("pg-1", capacity={"cores": 8}), node("pg-2", capacity={"cores": 4}))


def cpu(host: str, share: float) -> list[Series]:
    return [("system.cpu.utilization", {"host": host}, steady(share))]


def assess(*members: list[Series], nodes: tuple[Resource, ...] = PAIR, **keys: Any) -> list[Readiness]:
    samples = history(*(entry for series in members for entry in series))
    moment = Moment("shop", samples, Inventory(resources=nodes), PRICES, AT)
    return ASSESS[Primary](moment, Primary.model_validate(keys))


def one(*members: list[Series], **keys: Any) -> Readiness:
    (row,) = assess(*members, **keys)
    assert (row.platform, row.kind, row.cell, row.at) == ("shop", "primary", "orders", AT)
    return row


def test_a_fit_replica_takes_over_by_itself() -> None:
    row = one(primary(), replica("pg-2", 1000), rpo_target="60s", rto_target="5m")
    assert (row.takes_over, row.mode, row.ready) == ("pg-2", "automatic", True)
    assert row.rpo_bytes == pytest.approx(1000 + 30e6)
    assert (row.rpo_seconds, row.rpo_target) == (pytest.approx(30.05), 60)
    # Its TTL of 30 s and a loop of 10 s.
    assert (row.rto_seconds, row.rto_target, row.remedy) == (40, 300, "")


def test_a_synchronous_standby_loses_nothing() -> None:
    row = one(primary(), replica("pg-2", 1000, sync=1), rpo_target="0s")
    assert (row.rpo_bytes, row.rpo_seconds, row.ready) == (0, 0, True)


@pytest.mark.parametrize(
    ("replica_", "keys", "reason", "remedy"),
    [
        (replica("pg-2", FAR), {}, "pg-2: 52.43 MB of WAL behind, more than 1.049 MB", "pg-2 is rebuilt"),
        ([], {}, "pg-2: it has never sent a sample", "pg-2 follows again"),
    ],
)
def test_nobody_may_take_over(replica_: list[Series], keys: dict[str, Any], reason: str, remedy: str) -> None:
    row = one(primary(), replica_, **keys)
    assert (row.takes_over, row.mode, row.ready, row.reason, row.remedy) == ("", "none", False, reason, remedy)


@pytest.mark.parametrize(
    ("keys", "ready", "told"),
    [
        ({"rpo_target": "31s"}, True, "may take over"),
        ({"rpo_target": "30s"}, False, "up to 30.05 s of writes would be lost"),
        ({"rto_target": "40s"}, True, "may take over"),
        ({"rto_target": "39s"}, False, "takes over 40s after"),
        ({"rto_target": "2s"}, False, "takes over 40s after"),
    ],
)
def test_objectives_that_would_be_missed_aren_t_ready(keys: dict[str, Any], ready: bool, told: str) -> None:
    row = one(primary(), replica("pg-2"), **keys)
    assert row.ready is ready
    assert told in row.reason
    assert bool(row.remedy) is not ready


@pytest.mark.parametrize(("busy", "after", "ready"), [(0.25, 0.75, True), (0.375, 1.0, True), (0.376, 1.002, False)])
def test_the_one_that_is_left_has_to_carry_both_loads(busy: float, after: float, ready: bool) -> None:
    # Shares of 8 cores on the primary; a quarter of the replica's 4 is its own.
    row = one(primary(), replica("pg-2"), cpu("pg-1", busy), cpu("pg-2", 0.25))
    assert (row.load_after, row.ready) == (pytest.approx(after), ready)
    assert one(primary(), replica("pg-2"), cpu("pg-1", busy)).load_after is None


def test_what_cant_be_told_is_no_verdict() -> None:
    assert (one().ready, one().mode) == (None, "none")
    gone = one(replica("pg-1"), replica("pg-2"))
    assert (gone.ready, gone.reason) == (False, "nobody is the primary")
    assert one(primary(), nodes=PAIR[:1]).remedy == "a replica"


def test_each_cluster_stands_by_itself_and_hostile_names_stay_text() -> None:
    nodes = (*PAIR, node(f"a{HOSTILE}", cluster=HOSTILE), node("b", cluster=HOSTILE), node("alone", cluster=""))
    rows = assess(
        primary(),
        replica("pg-2"),
        primary(f"a{HOSTILE}", cluster=HOSTILE),
        replica("b", FAR, cluster=HOSTILE),
        nodes=nodes,
    )
    assert [(row.cell, row.ready) for row in rows] == [("orders", True), (HOSTILE, False)]
    assert rows == assess(
        primary(),
        replica("pg-2"),
        primary(f"a{HOSTILE}", cluster=HOSTILE),
        replica("b", FAR, cluster=HOSTILE),
        nodes=nodes,
    )
