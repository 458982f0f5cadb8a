"""Catalyst's scaling policies: the answer to each trigger of the guide, from samples to priced advice."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import alert_rules
import fixtures
from controlplane.backtest.report import Night
from controlplane.backtest.setup import Asked, backtest, prepare
from tests.backtest_cases import STEP, Row, ms, parquet

STEPS = 129
"""Half an hour: the longest `for` of the triggers."""
BROKERS = tuple(f"kafka-broker-{n}" for n in (1, 2, 3))
IDLE: dict[str, tuple[float, float]] = {
    **dict.fromkeys(BROKERS, (0.4, 0.3)),
    "postgres-primary": (0.6, 0.4),
    "postgres-replica": (0.4, 0.3),
    "timescaledb-analytics": (0.5, 0.2),
    "dragonflydb-cache": (0.5, 0.4),
    **{f"microservice-{n}": (0.5, 0.4) for n in range(1, 9)},
}
"""Host → CPU and network."""
TIERS = {"kafka": "kafka", "postg": "database", "times": "database", "drago": "cache"}


def rows(
    hosts: Mapping[str, tuple[float, float]],
    *,
    disk: float = 0.5,
    io: float = 20e6,
    rates: Mapping[str, float] | None = None,
    transactions: float = 50_000,
    connections: float = 300,
    commands: float = 400_000,
) -> Iterator[Row]:
    """Samples of the platform where everything is idle but what is given."""
    series: list[tuple[str, dict[str, str], float]] = []
    for host, (cpu, network) in {**IDLE, **hosts}.items():
        tier = TIERS.get(host[:5])
        labels = {"host": host} | ({"tier": tier} if tier else {})
        series += [("system.cpu.utilization", labels, cpu), ("system.network.utilization", labels, network)]
    for broker in BROKERS:
        mounted = {"host": broker, "mountpoint": "/data"}
        series += [
            ("system.filesystem.utilization", mounted, disk),
            ("system.filesystem.usage", mounted, disk * 4e12),
            ("system.filesystem.limit", mounted, 4e12),
            ("kafka.broker.io", {"host": broker}, io),
        ]
    for number in range(4):
        partition = {"topic": "billing.events", "partition": str(number)}
        series += [
            ("kafka.partition.offset", partition, 1e9),
            ("kafka.partition.replicas", partition, 3),
            ("kafka.partition.replicas_in_sync", partition, 3),
        ]
    series += [
        ("kafka.topic.partitions", {"topic": "billing.events"}, 4),
        ("kafka.cluster.io", {"cluster": "catalyst-kafka"}, 3 * io),
        ("kafka.message.rate", {"cluster": "catalyst-kafka"}, 90_000),
        ("postgresql.replication.lag", {"cluster": "catalyst-pg", "host": "postgres-replica"}, 0.01),
        ("db.transaction.rate", {"cluster": "catalyst-pg"}, transactions),
        ("db.client.connection.count", {"host": "postgres-primary"}, connections),
        ("redis.commands.rate", {"host": "dragonflydb-cache"}, commands),
    ]
    for service, rate in (rates or {}).items():
        series.append(("messaging.transaction.rate", {"deployment": "production", "service": service}, rate))
    for step in range(STEPS):
        for signal, labels, value in series:
            yield ms(step), signal, labels, value


def advice(folder: Path, **given: Any) -> dict[str, dict[str, Any]]:
    """Target → recommendation of the shipped rules; whatever has no advice fails the test, but for a standing one."""
    asked = Asked(
        ((Path(alert_rules.__file__).parent / "catalyst",),),
        parquet(folder / "samples.parquet", rows(given.pop("hosts", {}), **given)),
        STEP,
        inventory=fixtures.path("catalyst", "inventory.yaml"),
        prices=fixtures.path("catalyst", "prices.yaml"),
    )
    ready = prepare(asked, folder, lambda what, share: None)
    (document,) = backtest(ready, folder, Night(), lambda what, share: None, None).documents
    failed = [one["error"] for one in document["summary"]["advice_failed"]]
    assert [error for error in failed if "for the same target covers it" not in error] == []
    return {one["target"]: one for one in document["recommendations"]}


KAFKA, PG, ANALYTICS, CACHE = (
    "kafka cluster catalyst-kafka",
    "database cluster catalyst-pg",
    "database cluster timescaledb-analytics",
    "group catalyst-cache",
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        # A broker brings 60,000 transactions a second, of which 80 % count: (550,000 − 144,000) ÷ 48,000 = 8.5.
        ({"rates": {"rcs": 550_000}}, {KAFKA: ("scale_out", "6 brokers", "150000.00")}),
        ({"hosts": dict.fromkeys(BROKERS, (0.75, 0.3))}, {KAFKA: ("scale_out", "4 brokers", "50000.00")}),
        ({"hosts": {BROKERS[0]: (0.75, 0.3)}}, {KAFKA: ("rebalance", "3 brokers, evenly loaded", "0")}),
        ({"hosts": dict.fromkeys(BROKERS, (0.4, 0.65))}, {KAFKA: ("scale_out", "4 brokers", "50000.00")}),
        ({"io": 50e6}, {KAFKA: ("scale_out", "4 brokers", "50000.00")}),
        # Full disks: another broker for 82 %, and terabytes for each of them.
        (
            {"disk": 0.82},
            {KAFKA: ("scale_out", "4 brokers", "50000.00")}
            | {f"volume {broker}:/data": ("add_storage", "5 TB, 65.6 % used", None) for broker in BROKERS},
        ),
        ({"disk": 0.8}, {}),
        # Channels: 2,000 and 5,000 an instance, in pairs.
        ({"rates": {"sms": 26_000}}, {"group sms": ("scale_out", "18 instances", "0")}),
        ({"rates": {"whatsapp": 33_000}}, {"group whatsapp": ("scale_out", "10 instances", "0")}),
        ({"rates": {"sms": 25_600, "whatsapp": 32_000}}, {}),
        # Databases: reads first, then servers; writes and pools aren't a matter of replicas.
        ({"hosts": {"postgres-primary": (0.9, 0.4)}}, {PG: ("rebalance", "2 servers, evenly loaded", "0")}),
        (
            {"hosts": {"postgres-primary": (0.9, 0.4), "postgres-replica": (0.85, 0.3)}},
            {PG: ("scale_out", "3 servers", "60000.00")},
        ),
        ({"transactions": 81_000}, {PG: ("investigate", "2 servers, fewer writes", "0")}),
        ({"connections": 410}, {PG: ("investigate", "2 servers, fewer or shorter connections", "0")}),
        ({"hosts": {"timescaledb-analytics": (0.9, 0.3)}}, {ANALYTICS: ("scale_out", "2 servers", "60000.00")}),
        ({"hosts": {"dragonflydb-cache": (0.5, 0.75)}}, {CACHE: ("scale_out", "2 servers", "50000.00")}),
        ({"commands": 850_000}, {CACHE: ("scale_out", "2 servers", "50000.00")}),
        # Links of the servers that carry the services.
        (
            {"hosts": {f"microservice-{n}": (0.5, 0.72) for n in range(1, 9)}},
            {"group microservices": ("scale_out", "9 servers", "20000.00")},
        ),
    ],
)
def test_each_trigger_has_its_answer(
    tmp_path: Path, given: dict[str, Any], expected: dict[str, tuple[str, str, str]]
) -> None:
    found = advice(tmp_path, **given)
    assert {target: (one["kind"], one["to"], one["cost"]["one_off"]) for target, one in found.items()} == expected
    for one in found.values():
        assert one["cost"]["known"] is (one["kind"] != "add_storage")
        assert one["survives"]
        assert one["rejected"]
        assert one["revert"]
