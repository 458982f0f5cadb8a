"""Queries of the shipped packs, run by promtool over what the exporters expose."""

from pathlib import Path

import pytest

from controlplane.rules.load import shipped_platforms
from tests.rules.packs_queries import AT, FOLDER, INTERVAL, Expectations, expectations, promtool, queried

SERIES = {
    # node_exporter: 2 cores, 25 % idle; a link of 1 GB/s that sends more than it receives, and one without a speed
    'node_cpu_seconds_total{instance="db-1:9100",cpu="0",mode="idle"}': "0+15x40",
    'node_cpu_seconds_total{instance="db-1:9100",cpu="1",mode="idle"}': "0+15x40",
    'node_cpu_seconds_total{instance="db-1:9100",cpu="0",mode="user"}': "0+45x40",
    'node_network_receive_bytes_total{instance="db-1:9100",device="eth0"}': "0+6000000000x40",
    'node_network_transmit_bytes_total{instance="db-1:9100",device="eth0"}': "0+24000000000x40",
    'node_network_speed_bytes{instance="db-1:9100",device="eth0"}': "1000000000x40",
    'node_network_transmit_bytes_total{instance="db-1:9100",device="virbr0"}': "0+90000000000x40",
    'node_network_speed_bytes{instance="db-1:9100",device="virbr0"}': "-125000x40",
    'node_filesystem_size_bytes{instance="db-1:9100",device="/dev/sda",fstype="xfs",mountpoint="/data"}': "1000x40",
    'node_filesystem_avail_bytes{instance="db-1:9100",device="/dev/sda",fstype="xfs",mountpoint="/data"}': "100x40",
    'node_filesystem_size_bytes{instance="db-1:9100",device="tmpfs",fstype="tmpfs",mountpoint="/run"}': "1000x40",
    'node_filesystem_avail_bytes{instance="db-1:9100",device="tmpfs",fstype="tmpfs",mountpoint="/run"}': "0x40",
    # kafka_exporter: two exporters of one cluster; partition 1 has no commit
    'kafka_consumergroup_lag{instance="a:9308",consumergroup="g",topic="t",partition="0"}': "40x40",
    'kafka_consumergroup_lag{instance="b:9308",consumergroup="g",topic="t",partition="0"}': "50x40",
    'kafka_consumergroup_lag{instance="a:9308",consumergroup="g",topic="t",partition="1"}': "-1x40",
    'kafka_consumergroup_current_offset{instance="a:9308",consumergroup="g",topic="t",partition="0"}': "450x40",
    'kafka_consumergroup_current_offset{instance="a:9308",consumergroup="g",topic="t",partition="1"}': "-1x40",
    'kafka_topic_partition_current_offset{instance="a:9308",topic="t",partition="0"}': "500x40",
    'kafka_consumergroup_members{instance="a:9308",consumergroup="g"}': "3x40",
    'kafka_topic_partitions{instance="a:9308",topic="t"}': "2x40",
    # Prometheus' own
    'up{job="billing",instance="app-1:8080"}': "0x40",
    'up{job="billing",instance="app-1:8081"}': "1x40",
    'up{job="node",instance="app-1:9100"}': "0x40",
    'up{job="redis",instance="redis-001:9121",zone="a"}': "1x40",
    'up{job="prism-proxy",instance="proxy-001:9090",zone="a"}': "0x40",
    'up{job="redis",instance="redis-002:9121",zone="b"}': "0x40",
    # Patroni: cluster c is well, one of its replicas has something to replay; cluster d has lost its primary
    'patroni_primary{scope="c",name="c1"}': "1x40",
    'patroni_postgres_running{scope="c",name="c1"}': "1x40",
    'patroni_replica{scope="c",name="c1"}': "0x40",
    'patroni_sync_standby{scope="c",name="c1"}': "0x40",
    'patroni_xlog_location{scope="c",name="c1"}': "1000x40",
    'patroni_xlog_received_location{scope="c",name="c1"}': "0x40",
    'patroni_xlog_replayed_location{scope="c",name="c1"}': "0x40",
    'patroni_xlog_replayed_timestamp{scope="c",name="c1"}': "0x40",
    'patroni_primary{scope="c",name="c2"}': "0x40",
    'patroni_postgres_running{scope="c",name="c2"}': "1x40",
    'patroni_replica{scope="c",name="c2"}': "1x40",
    'patroni_sync_standby{scope="c",name="c2"}': "1x40",
    'patroni_xlog_location{scope="c",name="c2"}': "0x40",
    'patroni_xlog_received_location{scope="c",name="c2"}': "990x40",
    'patroni_xlog_replayed_location{scope="c",name="c2"}': "980x40",
    'patroni_xlog_replayed_timestamp{scope="c",name="c2"}': "1198x40",
    'patroni_primary{scope="d",name="d2"}': "0x40",
    'patroni_postgres_running{scope="d",name="d2"}': "1x40",
    'patroni_replica{scope="d",name="d2"}': "1x40",
    'patroni_sync_standby{scope="d",name="d2"}': "0x40",
    'patroni_xlog_location{scope="d",name="d2"}': "0x40",
    'patroni_xlog_received_location{scope="d",name="d2"}': "700x40",
    'patroni_xlog_replayed_location{scope="d",name="d2"}': "700x40",
    'patroni_xlog_replayed_timestamp{scope="d",name="d2"}': "900x40",
    # redis_exporter
    'redis_memory_used_bytes{instance="redis-001:9121",zone="a"}': "64000x40",
    'redis_cpu_sys_main_thread_seconds_total{instance="redis-001:9121",zone="a"}': "0+6x40",
    'redis_cpu_user_main_thread_seconds_total{instance="redis-001:9121",zone="a"}': "0+24x40",
    # blackbox_exporter and the MQTT broker
    'probe_success{job="mqtt",instance="tcp://mqtt-1:1883"}': "1x40",
    'probe_success{job="mqtt",instance="mqtt-2:1883"}': "0x40",
    'probe_success{job="http",instance="mqtt-3:80"}': "0x40",
    'mqtt_connections_current{instance="mqtt-1"}': "70000x40",
    # OpenTelemetry eBPF Instrumentation: 100 B/s within a zone, 25 B/s across, and the far end of the same bytes
    'obi_network_flow_bytes_total{cluster="p",iface_direction="egress",src_name="proxy",dst_name="redis",'
    'src_cidr="a",dst_cidr="a"}': "0+6000x40",
    'obi_network_flow_bytes_total{cluster="p",iface_direction="egress",src_name="proxy",dst_name="redis",'
    'src_cidr="a",dst_cidr="b"}': "0+1500x40",
    'obi_network_flow_bytes_total{cluster="p",iface_direction="ingress",src_name="proxy",dst_name="redis",'
    'src_cidr="a",dst_cidr="b"}': "0+1500x40",
    'obi_network_flow_bytes_total{cluster="p",iface_direction="egress",src_name="proxy",dst_name="internet",'
    'src_cidr="a",dst_cidr=""}': "0+9000x40",
}

EXPECTED: dict[tuple[str, str], dict[str, float]] = {
    ("catalyst", "system.cpu.utilization"): {'{host="db-1"}': 0.75},
    ("prism", "system.cpu.utilization"): {'{host="db-1"}': 0.75},
    ("catalyst", "system.network.utilization"): {'{host="db-1"}': 0.4},
    ("absmach", "system.filesystem.utilization"): {'{host="db-1",mountpoint="/data"}': 0.9},
    ("datalyptica", "system.filesystem.usage"): {'{host="db-1",mountpoint="/data"}': 900},
    ("catalyst_hybrid", "system.filesystem.limit"): {'{host="db-1",mountpoint="/data"}': 1000},
    ("catalyst", "kafka.consumer.lag"): {'{consumergroup="g",partition="0",topic="t"}': 50},
    ("catalyst", "kafka.consumer.offset"): {'{consumergroup="g",partition="0",topic="t"}': 450},
    ("catalyst", "kafka.partition.offset"): {'{partition="0",topic="t"}': 500},
    ("catalyst", "kafka.consumer.members"): {'{consumergroup="g"}': 3},
    ("catalyst", "kafka.topic.partitions"): {'{topic="t"}': 2},
    ("datalyptica", "service.up"): {
        '{host="app-1",job="billing"}': 0,
        '{host="redis-001",job="redis"}': 1,
        '{host="proxy-001",job="prism-proxy"}': 0,
        '{host="redis-002",job="redis"}': 0,
    },
    ("catalyst", "postgresql.primary.count"): {'{scope="c"}': 1, '{scope="d"}': 0},
    ("catalyst_hybrid", "postgresql.wal.position"): {
        '{name="c1",scope="c"}': 1000,
        '{name="c2",scope="c"}': 990,
        '{name="d2",scope="d"}': 700,
    },
    ("catalyst", "postgresql.replication.lag"): {'{name="c2",scope="c"}': 2, '{name="d2",scope="d"}': 0},
    ("catalyst", "postgresql.replication.synchronous"): {'{name="c2",scope="c"}': 1, '{name="d2",scope="d"}': 0},
    ("prism", "instance.up"): {
        '{host="redis-001",zone="a"}': 1,
        '{host="proxy-001",zone="a"}': 0,
        '{host="redis-002",zone="b"}': 0,
    },
    ("prism", "zone.up.ratio"): {'{zone="a"}': 0.5, '{zone="b"}': 0},
    ("prism", "redis.memory.usage"): {'{host="redis-001",zone="a"}': 64000},
    ("prism", "redis.cpu.utilization"): {'{host="redis-001",zone="a"}': 0.5},
    ("absmach", "mqtt.node.up"): {'{node="mqtt-1"}': 1, '{node="mqtt-2"}': 0},
    ("absmach", "mqtt.connection.active"): {'{node="mqtt-1"}': 70000},
    ("prism", "network.throughput"): {'{cluster="p"}': 125},
    ("prism", "network.cross_az.ratio"): {'{cluster="p"}': 0.2},
    ("prism", "network.cross_az.throughput"): {
        '{cluster="p",dst_cidr="b",dst_name="redis",flow="proxy to redis",src_cidr="a",src_name="proxy"}': 25
    },
}


def given(platform: str) -> tuple[Expectations, str, str]:
    """Expectations with their interval and time: the pack's own file, or those that packs without one share."""
    if (FOLDER / f"{platform}.yaml").exists():
        return expectations(platform), INTERVAL, AT
    shared = {signal: samples for (_, signal), samples in EXPECTED.items() if signal in queried(platform)}
    listed = {
        signal: [{"labels": labels[1:-1], "value": value} for labels, value in samples.items()]
        for signal, samples in shared.items()
    }
    return Expectations(SERIES, listed), "1m", "20m"


@pytest.mark.parametrize("platform", shipped_platforms())
def test_every_query_has_an_expectation(platform: str) -> None:
    expected = given(platform)[0].signals
    assert set(queried(platform)) - set(expected) == set(), f"tests/rules/queries/{platform}.yaml doesn't expect these"
    assert set(expected) - set(queried(platform)) == set(), "these are no signals with a query"


@pytest.mark.parametrize("platform", shipped_platforms())
def test_every_query_gives_its_signal(tmp_path: Path, platform: str) -> None:
    queries = {name: signal.prometheus or "" for name, signal in queried(platform).items()}
    done = promtool(tmp_path / f"{platform}.yaml", queries, *given(platform))
    assert done.returncode == 0, done.stdout + done.stderr


GOOD = """
series: {'a{x="1"}': 1+1x40}
signals: {s.a: [{labels: 'x="1"', value: 41}]}
"""


@pytest.mark.parametrize(
    ("text", "query", "code"),
    [
        (GOOD, "sum by (x) (a)", 0),
        (GOOD.replace("41", "40"), "sum by (x) (a)", 1),
        (GOOD, "sum by (y) (a)", 1),
        (GOOD, "absent(a)", 1),
        (GOOD, "sum by (x) (", 1),
    ],
    ids=["right", "another value", "other labels", "nothing", "no query"],
)
def test_promtool_tells_right_from_wrong(tmp_path: Path, text: str, query: str, code: int) -> None:
    (tmp_path / "p.yaml").write_text(text)
    done = promtool(tmp_path / "promtool.yaml", {"s.a": query}, expectations("p", tmp_path))
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "series: {}",
        GOOD.replace("[{labels: 'x=\"1\"', value: 41}]", "[]"),
        GOOD.replace("value", "val"),
        GOOD + "other: 1\n",
    ],
    ids=["no signals", "no samples", "no value", "another key"],
)
def test_what_is_no_expectation(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(AssertionError, match=r"p\.yaml"):
        expectations("p", tmp_path)
