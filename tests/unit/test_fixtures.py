"""Shipped data: the recordings are what the generator makes, obey arithmetic, and agree with topology and prices."""

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import fixtures
from controlplane.costs import PriceBook, read_price_book
from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory
from controlplane.model.rules import ScalingRule
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.telemetry.inventory_file import read_inventory
from fixtures import generate
from fixtures.evening import blocks

PLATFORMS = ("absmach", "catalyst", "catalyst_hybrid", "datalyptica", "prism")
END_MS = blocks.START_MS + (blocks.STEPS - 1) * blocks.STEP_S * 1000


def recording(platform: str) -> pl.DataFrame:
    return pl.read_parquet(fixtures.path(platform, "evening.parquet"))


def wide(platform: str, signal: str, *labels: str) -> pl.DataFrame:
    """The samples of a signal with the named labels as columns."""
    fields = pl.Struct([pl.Field(name, pl.String) for name in labels])
    return (
        recording(platform)
        .filter(pl.col("signal") == signal)
        .with_columns(pl.col("labels").str.json_decode(fields).alias("_"))
        .unnest("_")
        .select("ts", *labels, "value")
    )


def at(clock: str) -> int:
    return blocks.START_MS + blocks.step(clock) * blocks.STEP_S * 1000


def between(frame: pl.DataFrame, begin: str, end: str) -> pl.DataFrame:
    return frame.filter(pl.col("ts").is_between(at(begin), at(end), closed="left"))


def inventory(platform: str) -> Inventory:
    return Inventory(resources=read_inventory(fixtures.path(platform, "inventory.yaml"), platform))


def prices(platform: str) -> PriceBook:
    return read_price_book(fixtures.path(platform, "prices.yaml"))


# the generator


def test_the_shipped_recordings_are_what_the_generator_makes() -> None:
    assert generate.differences() == []
    assert tuple(generate.PACKS) == PLATFORMS == fixtures.platforms()


def test_check_runs_as_a_module_whatever_the_hash_seed() -> None:
    command = [sys.executable, "-m", "fixtures.generate", "--check"]
    root = Path(fixtures.__file__).parents[1]
    for seed in ("0", "4711"):
        done = subprocess.run(
            command, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_check_tells_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check", "--seed", "1"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == list(PLATFORMS)
    assert all(re.search(r"\d+ of \d+ rows differ", line) for line in told)


def test_writing_elsewhere_leaves_the_shipped_files_alone(tmp_path: Path) -> None:
    before = recording("absmach")
    assert generate.main(["--seed", "7", "--out", str(tmp_path)]) == 0
    other = pl.read_parquet(tmp_path / "absmach" / "evening.parquet")
    assert not other.equals(before)
    assert other.schema == before.schema
    assert recording("absmach").equals(before)


def test_unknown_packs_and_files_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no shipped pack 'prisma'; there are absmach, .*prism"):
        fixtures.path("prisma", "inventory.yaml")
    with pytest.raises(FileNotFoundError, match=r"no file 'price\.yaml'; it has .*prices\.yaml"):
        fixtures.path("prism", "price.yaml")
    with pytest.raises(FileNotFoundError):
        fixtures.path("..", "pyproject.toml")


@pytest.mark.parametrize(
    ("clock", "step"), [("18:00", 0), ("18:00:15", 1), ("19:35", 380), ("20:59:45", 719), ("21:00", 720)]
)
def test_steps_of_the_clock(clock: str, step: int) -> None:
    assert blocks.step(clock) == step


@pytest.mark.parametrize("clock", ["17:59:45", "21:00:15", "19:00:07"])
def test_times_off_the_grid_are_refused(clock: str) -> None:
    with pytest.raises(ValueError, match="not a step"):
        blocks.step(clock)


# form


@pytest.mark.parametrize("platform", PLATFORMS)
def test_recordings_have_the_form_that_collectors_read(platform: str) -> None:
    frame = recording(platform)
    assert dict(frame.schema) == {"ts": pl.Int64, "signal": pl.String, "labels": pl.String, "value": pl.Float64}
    assert frame["ts"].min() == blocks.START_MS
    assert frame["ts"].max() == END_MS
    assert frame.filter((pl.col("ts") - blocks.START_MS) % (blocks.STEP_S * 1000) != 0).is_empty()
    assert frame.filter(pl.col("value").is_null() | ~pl.col("value").is_finite()).is_empty()
    assert frame.select("signal", "labels", "ts").is_duplicated().sum() == 0
    for labels in frame["labels"].unique().to_list():
        assert (
            canonical(pl.Series([labels]).str.json_decode(_fields(labels)).struct.unnest().row(0, named=True)) == labels
        )


def _fields(labels: str) -> pl.Struct:
    return pl.Struct([pl.Field(name, pl.String) for name in re.findall(r'"(\w+)":', labels)])


def test_all_recordings_together_are_small() -> None:
    files = [fixtures.path(platform, "evening.parquet") for platform in PLATFORMS]
    assert sum(file.stat().st_size for file in files) < 3_000_000
    assert sum(recording(platform).n_unique(["signal", "labels"]) for platform in PLATFORMS) < 600


@pytest.mark.parametrize("platform", PLATFORMS)
def test_scrapes_are_missed_and_the_source_has_one_hole(platform: str) -> None:
    frame = recording(platform)
    steps = frame["ts"].unique().sort()
    holes = steps.diff().drop_nulls()
    longer = holes.filter(holes > blocks.STEP_S * 1000)
    assert len(longer) == 1
    assert 45_000 <= longer.item() - blocks.STEP_S * 1000 <= 60_000
    counts = frame.group_by("signal", "labels").len()["len"]
    assert (counts < len(steps)).any()


# arithmetic


def test_lag_is_end_offset_less_committed_offset() -> None:
    lag = wide("catalyst", "kafka.consumer.lag", "consumer_group", "topic", "partition")
    done = wide("catalyst", "kafka.consumer.offset", "consumer_group", "topic", "partition")
    end = wide("catalyst", "kafka.partition.offset", "topic", "partition")
    all_ = lag.join(done, on=["ts", "consumer_group", "topic", "partition"], suffix="_done").join(
        end, on=["ts", "topic", "partition"], suffix="_end"
    )
    assert len(all_) == len(lag)
    assert all_.filter(pl.col("value") != pl.col("value_end") - pl.col("value_done")).is_empty()
    assert lag["value"].min() >= 0


@pytest.mark.parametrize(
    ("signal", "labels"),
    [
        ("kafka.consumer.offset", ("consumer_group", "topic", "partition")),
        ("kafka.partition.offset", ("topic", "partition")),
    ],
)
def test_offsets_never_fall(signal: str, labels: tuple[str, ...]) -> None:
    frame = wide("catalyst", signal, *labels).sort("ts")
    assert frame.filter(pl.col("value").diff().over(labels) < 0).is_empty()


def test_each_partition_is_recorded_and_groups_have_no_more_members_than_partitions() -> None:
    ends = wide("catalyst", "kafka.partition.offset", "topic", "partition")
    counted = ends.group_by("topic").agg(pl.col("partition").n_unique().cast(pl.Float64).alias("counted"))
    told = wide("catalyst", "kafka.topic.partitions", "topic").group_by("topic").agg(pl.col("value").max())
    assert sorted(counted.rows()) == sorted(told.rows())
    members = wide("catalyst", "kafka.consumer.members", "consumer_group")
    topics = (
        wide("catalyst", "kafka.consumer.lag", "consumer_group", "topic").select("consumer_group", "topic").unique()
    )
    most = members.group_by("consumer_group").agg(pl.col("value").max().alias("members"))
    assert (
        most.join(topics, on="consumer_group")
        .join(told, on="topic")
        .filter(pl.col("members") > pl.col("value"))
        .is_empty()
    )


def test_the_backlog_is_the_consumers_own() -> None:
    worst = between(wide("catalyst", "kafka.consumer.members", "consumer_group"), "19:15", "19:50")
    assert worst.filter(pl.col("consumer_group") == "billing")["value"].unique().to_list() == [6.0]
    for signal, limit in (("system.cpu.utilization", 0.6), ("system.network.utilization", 0.5)):
        brokers = between(wide("catalyst", signal, "host"), "19:10", "20:20").filter(
            pl.col("host").str.starts_with("kafka-broker")
        )
        assert brokers["host"].n_unique() == 3
        assert brokers["value"].max() < limit


def test_the_lag_of_billing_passes_the_threshold_peaks_and_recovers() -> None:
    lag = wide("catalyst", "kafka.consumer.lag", "consumer_group").filter(pl.col("consumer_group") == "billing")
    total = lag.group_by("ts").agg(pl.col("value").sum()).sort("ts")
    above = total.filter(pl.col("value") > 100_000)
    assert at("19:12") < above["ts"][0] < at("19:20")
    assert 380_000 < total["value"].max() < 450_000
    assert between(total, "20:40", "21:00")["value"].max() < 5_000


@pytest.mark.parametrize("platform", PLATFORMS)
def test_filesystem_utilisation_is_usage_over_limit(platform: str) -> None:
    keys = ["ts", "host", "mountpoint"]
    share, usage, limit = (
        wide(platform, f"system.filesystem.{kind}", "host", "mountpoint") for kind in ("utilization", "usage", "limit")
    )
    all_ = share.join(usage, on=keys, suffix="_usage").join(limit, on=keys, suffix="_limit")
    assert len(all_) > 1000
    off = (pl.col("value") - pl.col("value_usage") / pl.col("value_limit")).abs()
    assert all_.filter(off > 5.1e-7).is_empty()


def test_the_cross_zone_ratio_is_the_flows_over_all_bytes() -> None:
    flows = wide("prism", "network.cross_az.throughput", "cluster", "source_zone", "destination_zone", "flow")
    assert flows.filter(pl.col("source_zone") == pl.col("destination_zone")).is_empty()
    crossing = flows.group_by("ts", "cluster").agg(pl.col("value").sum().alias("crossing"))
    all_ = (
        wide("prism", "network.cross_az.ratio", "cluster")
        .join(crossing, on=["ts", "cluster"])
        .join(wide("prism", "network.throughput", "cluster"), on=["ts", "cluster"], suffix="_all")
    )
    assert len(all_) > 700
    assert all_.filter((pl.col("value") - pl.col("crossing") / pl.col("value_all")).abs() > 5.1e-7).is_empty()


def test_flows_of_the_lost_zone_stop() -> None:
    flows = between(
        wide("prism", "network.cross_az.throughput", "source_zone", "destination_zone", "flow"), "20:10", "20:35"
    )
    lost = pl.any_horizontal(pl.col("source_zone", "destination_zone") == "us-west-2c")
    assert flows.filter(lost)["value"].unique().to_list() == [0.0]
    assert flows.filter(~lost & (pl.col("value") <= 0)).is_empty()


def test_the_zone_ratio_is_the_mean_of_its_instances() -> None:
    mean = wide("prism", "instance.up", "zone", "host").group_by("ts", "zone").agg(pl.col("value").mean().alias("mean"))
    all_ = wide("prism", "zone.up.ratio", "zone").join(mean, on=["ts", "zone"])
    assert len(all_) == len(mean)
    assert all_.filter((pl.col("value") - pl.col("mean")).abs() > 5.1e-7).is_empty()
    lost = all_.filter(pl.col("value") == 0)
    assert lost["zone"].unique().to_list() == ["us-west-2c"]
    assert (lost["ts"].min(), lost["ts"].max()) == (at("20:10"), at("20:34:45"))


def test_lost_hosts_report_nothing_of_their_own() -> None:
    gone = between(recording("prism"), "20:10", "20:35").filter(
        pl.col("signal").is_in(["redis.memory.usage", "redis.cpu.utilization"])
    )
    assert gone.filter(pl.col("labels").str.contains("us-west-2c", literal=True)).is_empty()
    host = between(recording("catalyst_hybrid"), "19:35", "20:25").filter(
        pl.col("labels").str.contains('"host":"postgres-primary"', literal=True)
    )
    assert host["signal"].unique().to_list() == ["service.up"]
    assert host["value"].unique().to_list() == [0.0]


@pytest.mark.parametrize(("platform", "cluster"), [("catalyst", "catalyst-pg"), ("catalyst_hybrid", "hybrid-pg")])
def test_a_replica_follows_the_primary_closely(platform: str, cluster: str) -> None:
    wal = wide(platform, "postgresql.wal.position", "cluster", "host").pivot("host", index="ts", values="value")
    before = between(wal, "18:00", "19:35").drop_nulls()
    behind = before["postgres-primary"] - before["postgres-replica"]
    assert len(before) > 300
    assert behind.min() > 0
    assert behind.max() < 5_000_000
    assert before.sort("ts").select(pl.col("postgres-primary").diff().min()).item() > 0
    assert wide(platform, "postgresql.primary.count", "cluster")["cluster"].unique().to_list() == [cluster]


def test_the_replica_stands_still_after_the_loss_until_it_is_promoted() -> None:
    wal = wide("catalyst_hybrid", "postgresql.wal.position", "host").sort("ts")
    replica = wal.filter(pl.col("host") == "postgres-replica")
    last = between(wal.filter(pl.col("host") == "postgres-primary"), "19:34", "19:35")["value"][-1]
    alone = between(replica, "19:35", "19:58")["value"].unique().to_list()
    assert len(alone) == 1
    assert 0 < last - alone[0] < 5_000_000
    assert between(replica, "19:58", "20:25")["value"].diff().min() > 0
    back = between(wal, "20:25", "21:00").pivot("host", index="ts", values="value").drop_nulls()
    assert (back["postgres-replica"] > back["postgres-primary"]).all()
    count = wide("catalyst_hybrid", "postgresql.primary.count").filter(pl.col("value") == 0)
    assert (count["ts"].min(), count["ts"].max()) == (at("19:35"), at("19:57:45"))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_shares_are_shares_and_states_are_states(platform: str) -> None:
    frame = recording(platform)
    shares = frame.filter(pl.col("signal").str.contains(r"\.(utilization|ratio)$"))
    assert shares.filter(~pl.col("value").is_between(0, 1)).is_empty()
    states = frame.filter(pl.col("signal").str.ends_with(".up"))
    assert set(states["value"].unique().to_list()) <= {0.0, 1.0}


def test_clients_of_the_lost_node_move_and_none_is_invented() -> None:
    clients = wide("absmach", "mqtt.connection.active", "node").pivot("node", index="ts", values="value").sort("ts")
    assert between(clients, "20:20", "20:26")["mqtt-2"].null_count() == len(between(clients, "20:20", "20:26"))
    before, after = (between(clients, *hole).drop_nulls() for hole in (("20:15", "20:20"), ("20:35", "20:40")))
    total = [frame.select(pl.sum_horizontal("mqtt-1", "mqtt-2", "mqtt-3").mean()).item() for frame in (before, after)]
    assert total[1] == pytest.approx(total[0], rel=0.05)
    assert after["mqtt-1"].mean() > before["mqtt-1"].mean() + 10_000
    assert clients.select(pl.max_horizontal("mqtt-1", "mqtt-2", "mqtt-3").max()).item() < 91_750


# topology and prices


@pytest.mark.parametrize(
    ("platform", "kinds", "count", "cores", "memory", "disk"),
    [
        ("catalyst", {"broker", "database", "host"}, 19, 352, 2688, 203.0),
        ("catalyst_hybrid", {"host"}, 3, 768, 6144, 120.0),
        ("catalyst_hybrid", {"vm"}, 17, 1328, 9216, 0.0),
        ("datalyptica", {"vm"}, 66, 920, 3656, 63.25),
        ("absmach", {"host"}, 3, 24, 96, 1.5),
        ("prism", {"instance"}, 96, 1152, 6912, 9.6),
    ],
)
def test_topologies_add_up_to_the_corrected_totals(
    platform: str, kinds: set[str] | None, count: int, cores: int, memory: int, disk: float
) -> None:
    resources = [r for r in inventory(platform).resources if kinds is None or r.kind in kinds]
    assert len(resources) == count
    assert sum(r.capacity.cores or 0 for r in resources) == cores
    assert sum(r.capacity.memory_bytes or 0 for r in resources) == memory * 1e9
    assert sum(r.capacity.disk_bytes or 0 for r in resources) == pytest.approx(disk * 1e12)


def test_datalyptica_keeps_the_totals_of_each_tier() -> None:
    found: dict[str, list[float]] = {}
    for resource in inventory("datalyptica").of("datalyptica", kind="vm"):
        capacity = resource.capacity
        one = [1, capacity.cores or 0, (capacity.memory_bytes or 0) / 1e9, (capacity.disk_bytes or 0) / 1e9]
        tier = found.setdefault(resource.attributes["tier"], [0, 0, 0, 0])
        found[resource.attributes["tier"]] = [a + b for a, b in zip(tier, one, strict=True)]
    assert found == {
        "load-balancer": [3, 12, 24, 150],
        "catalog": [6, 80, 320, 6500],
        "coordination": [3, 12, 48, 300],
        "streaming": [11, 148, 592, 25300],
        "processing": [12, 272, 1088, 8400],
        "query": [9, 208, 832, 8900],
        "analytics": [7, 80, 320, 2800],
        "monitoring": [9, 68, 272, 10300],
        "iam": [6, 40, 160, 600],
    }


def test_prism_is_spread_evenly_over_three_zones() -> None:
    for role in ("redis-hot-tier", "proxy-nodes"):
        zones = [r.zone for r in inventory("prism").of("prism", role=role)]
        assert {zone: zones.count(zone) for zone in zones} == dict.fromkeys(
            ("us-west-2a", "us-west-2b", "us-west-2c"), 16
        )


@pytest.mark.parametrize("platform", PLATFORMS)
def test_hosts_nodes_zones_and_clusters_of_the_series_stand_in_the_inventory(platform: str) -> None:
    resources = {r.id: r for r in inventory(platform).resources}
    clusters, zones = {r.cluster for r in resources.values()}, {r.zone for r in resources.values()}
    for text in recording(platform)["labels"].unique().to_list():
        labels = dict(re.findall(r'"(\w+)":"([^"]*)"', text))
        for name in ("host", "node"):
            assert name not in labels or labels[name] in resources
        assert labels.get("cluster", "") in clusters | {""}
        assert {labels.get(name, "") for name in ("zone", "source_zone", "destination_zone")} <= zones | {""}
        if "zone" in labels and "host" in labels:
            assert resources[labels["host"]].zone == labels["zone"]
        if "cluster" in labels and "host" in labels:
            assert resources[labels["host"]].cluster == labels["cluster"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_file_systems_fit_on_their_hosts(platform: str) -> None:
    resources = {r.id: r for r in inventory(platform).resources}
    sizes = wide(platform, "system.filesystem.limit", "host", "mountpoint").group_by("host").agg(pl.col("value").max())
    for host, size in sizes.iter_rows():
        disk = resources[host].capacity.disk_bytes
        assert disk is None or size <= disk


def test_every_instance_of_prism_reports_whether_it_is_up() -> None:
    recorded = set(wide("prism", "instance.up", "host")["host"].unique().to_list())
    assert recorded == {r.id for r in inventory("prism").of("prism", kind="instance")}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_prices_are_cited_and_those_that_are_used_exist(platform: str) -> None:
    book = prices(platform)
    for price in book.prices:
        assert price.source.document
        assert price.source.section
        assert price.source.quote
        assert price.source.date in {"2025-11-16", "2025-12-03", "2025-12-30", "2026-11-21"}
        assert price.amount is None or price.amount > 0
        assert price.reserved is None or (price.amount is not None and price.reserved < price.amount)
        assert price.amount is not None or price.note.startswith("unknown")
    used = {r.price for r in inventory(platform).resources} - {None}
    for placed in load_rules(read_rule_texts([platform])[0]).rules.rules:
        if isinstance(placed.rule, ScalingRule):
            named = placed.rule.parameters.model_dump()
            used |= {value for key, value in named.items() if key.endswith("price") and value is not None}
            used |= set(named.get("sizes", ()))
    assert used
    assert {price_id for price_id in used if price_id and book.get(price_id) is None} == set()


def test_doubtful_prices_keep_the_documents_figure_and_say_so() -> None:
    kafka, redis = prices("catalyst").get("aws-i3en-3xlarge"), prices("prism").get("r6i.4xlarge")
    assert kafka is not None
    assert redis is not None
    assert kafka.amount == Decimal("13.29")
    assert (redis.amount, redis.reserved) == (Decimal("2.016"), Decimal("1.008"))
    assert kafka.note.startswith("doubtful")
    assert redis.note.startswith("doubtful")
