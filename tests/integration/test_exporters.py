"""The servers of the end-to-end tests give what those tests build on."""

import time

import pytest

from tests.servers import eventually
from tests.servers_exporters import Disk, Monitoring

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
