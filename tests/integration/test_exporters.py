"""The servers of the end-to-end tests give what those tests build on."""

import json
import re
import time

import pytest

from controlplane.cli import main
from controlplane.rules.files import read_rule_texts, shipped_platforms
from controlplane.rules.load import load_rules
from tests.servers import eventually
from tests.servers_exporters import Disk, Monitoring
from tests.servers_probes import Exporters

pytestmark = pytest.mark.integration


def test_every_target_is_up(monitoring: Monitoring) -> None:
    def up() -> bool:
        return {each["metric"]["job"]: each["value"][1] for each in monitoring.query("up")} == {
            "node": "1",
            "postgresql": "1",
            "redis": "1",
        }

    eventually(up, "all three targets are scraped")


@pytest.mark.parametrize(
    ("query", "low", "high"),
    [
        ("pg_up", 1, 1),
        ("pg_settings_max_connections", 1, 10_000),
        ('pg_stat_database_numbackends{datname="postgres"}', 0, 100),
        ("redis_up", 1, 1),
        ("redis_memory_used_bytes", 1, 1e9),
        ("rate(redis_cpu_sys_main_thread_seconds_total[10s])", 0, 1),
        ("node_memory_MemTotal_bytes", 1e6, 1e15),
    ],
)
def test_metrics_are_there(monitoring: Monitoring, query: str, low: float, high: float) -> None:
    (series,) = eventually(lambda: monitoring.query(query), f"{query} has a value")
    assert low <= float(series["value"][1]) <= high


def test_a_disk_that_fills_up_is_seen_through_range_queries(monitoring: Monitoring, full_disk: Disk) -> None:
    at = f'{{mountpoint="{full_disk.path}",fstype="{full_disk.kind}"}}'
    query = f"1 - node_filesystem_avail_bytes{at} / node_filesystem_size_bytes{at}"
    started = time.time()

    def seen(low: float, high: float) -> list[list[float]]:
        result = monitoring.query_range(query, started, time.time())
        points = [[float(at), float(value)] for at, value in result[0]["values"]] if result else []
        return points if points and low <= points[-1][1] <= high else []

    assert full_disk.utilization < 0.2
    eventually(lambda: seen(0.0, 0.2), "the empty disk is scraped")
    full_disk.fill(0.85)
    assert 0.85 <= full_disk.utilization < 0.87
    points = eventually(lambda: seen(0.85, 0.87), "the full disk is scraped")
    assert points[0][1] < 0.2
    assert points[-1][1] == pytest.approx(full_disk.utilization, abs=0.001)
    full_disk.fill(0.95)
    eventually(lambda: seen(0.95, 0.97), "the growth is scraped")
    full_disk.empty()
    eventually(lambda: seen(0.0, 0.2), "the recovery is scraped")


# the shipped queries over real exporters

RUNNING = {
    "node_exporter",
    "postgres_exporter",
    "redis_exporter",
    "blackbox_exporter",
    "smokeping_prober",
    "etcd",
    "prometheus",
}
"""What `exporters` starts."""
NAMED = re.compile(r"[a-z_-]+[_-]exporter|smokeping_prober|\betcd\b|\bprometheus\b(?!-)")

_SPEED = "an interface that tells its speed, which virtual ones don't"
_BROKER = "the broker's own metrics besides those of its host"
_GUESTS = "virtual machines on the host"
_DEVICES = "disks with the names that they have there"
_NFS = "a mounted NFS export"
_SENTINEL = "Sentinels beside the Redis"

ABSENT: dict[str, str] = {
    "mqtt.connection.delta": _BROKER,
    "mqtt.connection.memory": _BROKER,
    "mqtt.connection.memory.total": _BROKER,
    "system.network.connection.ratio": "more than 1,000 TCP connections",
    "system.network.utilization": _SPEED,
    "hypervisor.cpu.overhead": _GUESTS,
    "hypervisor.vcpu.effective": _GUESTS,
    "system.disk.operation.latency": _DEVICES,
    "system.disk.operation.latency.delta": _DEVICES,
    "system.disk.io": _DEVICES,
    "system.disk.operations": _DEVICES,
    "ipam.range.used": "addresses of the plan",
    "nfs.mount.usage": _NFS,
    "redis.sentinel.primary.up": _SENTINEL,
    "redis.sentinel.quorum": _SENTINEL,
    "redis.sentinel.replicas.ok": _SENTINEL,
    "redis.sentinel.sentinels.known": _SENTINEL,
    "redis.sentinel.sentinels.ok": _SENTINEL,
    "region.up": "targets with a region",
    "tier.cpu.utilization": "hosts with a tier",
}
"""Signals that a machine for tests may not have → what it takes."""


def shipped() -> dict[tuple[str, str], str]:
    """(pack, signal) → query, of the signals whose exporters all run here."""
    loaded = load_rules(read_rule_texts(shipped_platforms())[0]).rules
    found = {}
    for platform, signal in loaded.signals:
        named = set(NAMED.findall(str(signal.exporter).lower()))
        if signal.prometheus and named and named <= RUNNING:
            found[platform, signal.name] = signal.prometheus
    return found


def test_every_shipped_query_gives_series(exporters: Exporters) -> None:
    silent = {key: query for key, query in shipped().items() if key[1] not in ABSENT}
    assert len(silent) >= 60

    def all_there() -> bool:
        exporters.work()
        for key, query in list(silent.items()):
            if exporters.query(query):
                del silent[key]
        time.sleep(1)
        return not silent

    try:
        eventually(all_there, "every query gives series", 90)
    except AssertionError:
        pytest.fail(f"no series: {sorted(silent)}")


def test_what_a_machine_may_not_have_is_still_a_query(exporters: Exporters) -> None:
    """The API refuses what is no query, and duplicates wherever there are series."""
    queries = shipped()
    assert {name for _, name in queries} >= set(ABSENT), "these are no signals of a running exporter any more"
    for (_, name), query in queries.items():
        if name in ABSENT:
            exporters.query(query)


def test_check_against_tells_the_same(exporters: Exporters, capsys: pytest.CaptureFixture[str]) -> None:
    """`rules check --against` finds what is there and what isn't, on a real server."""
    code = main(["rules", "check", "--against", exporters.url, "--json"])
    found = json.loads(capsys.readouterr().out)["against"]
    states = {(one["platform"], one["signal"]): one["state"] for one in found["signals"]}
    assert code == 1, "no machine for tests has everything"
    assert {states[key] for key in shipped() if key[1] not in ABSENT} == {"present"}
    assert "error" not in states.values()
    rules = {one["rule"]: one["state"] for one in found["rules"]}
    assert rules["catalyst-kafka-consumer-lag"] == "absent"
    assert rules["absmach-node-unreachable"] == "present"
