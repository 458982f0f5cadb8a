"""The whole path on real servers, by the code that a user runs: from a controlplane.yaml to Slack and PagerDuty."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import PROJECTIONS, RESOURCES
from controlplane.model.alerts import AlertState
from controlplane.model.time import to_ms
from controlplane.tick.collect import collect
from controlplane.tick.run import catch_up
from tests.end_to_end import (
    Plane,
    Relay,
    assert_no_gap,
    forward,
    house_rule,
    prometheus,
    retuned,
    write_rules,
)
from tests.provider_proxy import (
    PAGERDUTY,
    ROUTING_KEY,
    SECRETS,
    WEBHOOK,
    Providers,
    providers_on_loopback,
)
from tests.servers import eventually, free_port, missing, start_prometheus
from tests.servers_exporters import (
    Disk,
    Monitoring,
    postgresql_exporter,
    redis,
    redis_exporter,
)
from tests.servers_hostile import Asked, Handler, hostile_server
from tests.servers_kafka import Cluster
from tests.servers_postgresql import PostgresqlServer
from tests.servers_prometheus import exposition, import_openmetrics, prometheus_server

__all__ = ["providers_on_loopback"]

pytestmark = pytest.mark.integration

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
STEP = timedelta(seconds=15)
PAST = datetime(2026, 3, 12, 6, tzinfo=UTC)
"""When imported histories begin."""


@pytest.fixture
def channels(tmp_path: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Slack by a file next to the settings, PagerDuty by a variable."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("E2E_PAGERDUTY", f"pdevents://{ROUTING_KEY}")
    (tmp_path / "slack-url").write_text(f"slackops://hooks/{'/'.join(WEBHOOK)}\n")
    return [
        {"name": "slack", "url": {"file": "slack-url"}},
        {"name": "pagerduty", "url": {"env": "E2E_PAGERDUTY"}},
    ]


def at_once(channels: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything to all channels, without waiting for others to join."""
    names = [channel["name"] for channel in channels]
    root = {"channels": names, "group_wait": "0s", "group_interval": "1s"}
    return {"channels": channels, "route": root}


def of_rule(rule: str, notify: dict[str, Any]) -> dict[str, Any]:
    """The same for one rule alone."""
    root = notify["route"]
    only = {"match": [f'rule="{rule}"'], "channels": root["channels"]}
    return {**notify, "route": {**root, "channels": [], "routes": [only]}}


def assert_no_secret(plane: Plane) -> None:
    text = "".join(event.model_dump_json() for event in plane.plane.log.read())
    assert not [secret for secret in SECRETS if secret in text]


# a disk


def test_a_disk_that_fills_up_pages_and_its_clean_up_resolves(
    tmp_path: Path, monitoring: Monitoring, full_disk: Disk, providers: Providers, channels: list[dict[str, Any]]
) -> None:
    if full_disk.kind == "tmpfs":
        missing("loop devices aren't permitted here, and the pack leaves tmpfs out")
    alert = retuned(
        "hosts", "catalyst-disk-usage", "quick-disk", **{"for": "3s", "where": {"mountpoint": str(full_disk.path)}}
    )
    advice = retuned("hosts", "catalyst-storage-growth", "quick-storage", on=["quick-disk"])
    advice["parameters"] |= {"minimum_history": "3s", "minimum_samples": 3}
    write_rules(tmp_path / "rules" / "hosts.yaml", "catalyst", [alert, advice])
    source = {"document": "Offer", "date": "2026-03-01"}
    price = {"id": "nvme-tb", "item": "NVMe", "unit": "USD", "amount": "120", "source": source}
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump({"currency": "USD", "prices": [price]}))

    with Plane(
        tmp_path,
        step="1s",
        platforms=["catalyst"],
        rules=["rules"],
        prices={"catalyst": "prices.yaml"},
        sources=[{"name": "prometheus", "type": "prometheus", "url": monitoring.url, "lookback": "5s"}],
        notify=at_once(channels),
    ) as plane:
        assert plane.plane.rule_problems == ()

        def seen() -> bool:
            usage = plane.plane.store.query(
                "SELECT count(*) AS n FROM samples JOIN series USING (sid) WHERE signal = 'system.filesystem.usage'"
                f" AND labels LIKE '%{full_disk.path}%'"
            )
            return bool(usage["n"][0] >= 3)

        plane.follow(seen, "the empty disk is measured")
        assert plane.of_rule("quick-disk", "alert_pending") == []
        full_disk.fill(0.86)
        filled = datetime.now(UTC)
        (fired,) = plane.follow(lambda: plane.of_rule("quick-disk", "alert_fired"), "the full disk fires")

        (pending,) = plane.of_rule("quick-disk", "alert_pending")
        assert fired.occurred_at - pending.occurred_at == 3 * SECOND
        assert filled - 2 * SECOND < pending.occurred_at < filled + 5 * SECOND
        facts = fired.payload.facts
        assert facts.value == pytest.approx(full_disk.utilization, abs=0.001)
        assert facts.labels == {"host": "127.0.0.1", "mountpoint": str(full_disk.path)}
        assert facts.active_at == pending.occurred_at

        (proposed,) = plane.events("recommendation_proposed")
        assert proposed.cause == fired.id
        cost = proposed.payload.recommendation.proposal.cost
        assert proposed.payload.recommendation.proposal.kind == "add_storage"
        assert cost.known
        assert cost.one_off == 120 * cost.lines[0].quantity >= 120

        assert plane.deliver().delivered == 2
        (message,) = providers.slack
        assert message["text"].startswith("WARNING firing")
        assert str(full_disk.path) in str(message)
        assert f"{cost.one_off:,.0f}" in str(message), message
        (dedup_key,) = providers.open_incidents()

        full_disk.empty()
        until = time.monotonic() + 40
        delivered = 0
        while not plane.of_rule("quick-disk", "alert_resolved"):
            assert time.monotonic() < until, "the clean-up resolves"
            code, report = plane.cli("tick", "--json")
            assert code == 0
            assert [got["failures"] for got in report["collected"]] == [[]] * len(report["collected"])
            delivered += report["delivered"]["delivered"]
        assert delivered == 2
        assert providers.open_incidents() == set()
        trigger, resolve = providers.to(PAGERDUTY)
        assert (trigger.body["event_action"], resolve.body["event_action"]) == ("trigger", "resolve")
        assert trigger.body["dedup_key"] == resolve.body["dedup_key"] == dedup_key
        assert providers.slack[-1]["text"].startswith("RESOLVED")
        assert [event.payload.reason for event in plane.events("recommendation_withdrawn")] == ["the alert is over"]
        assert_no_gap(plane.windows("prometheus"))
        assert providers.refused == []
        assert_no_secret(plane)


# Kafka


class Backlog:
    """A topic of four partitions and what consumer groups have committed in it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.topic = f"orders.{uuid4().hex}"
        self.ends = dict.fromkeys(range(4), 0)
        cluster.admin.create_topics([NewTopic(self.topic, 4, 1)])[self.topic].result(30)
        eventually(self._led, "every partition has a leader")
        self._producer = Producer({"bootstrap.servers": cluster.bootstrap, "queue.buffering.max.messages": 500_000})

    def _led(self) -> bool:
        found = self.cluster.admin.list_topics(self.topic, timeout=5).topics[self.topic].partitions
        return len(found) == 4 and all(each.leader > 0 for each in found.values())

    def produce(self, count: int, partition: int) -> None:
        """Append messages."""
        errors: list[object] = []
        for _ in range(count):
            self._producer.produce(self.topic, b"m", partition=partition, on_delivery=lambda e, _: errors.append(e))
        assert self._producer.flush(30) == 0
        assert set(errors) == {None}
        self.ends[partition] += count

    def places(self, offsets: dict[int, int]) -> list[TopicPartition]:
        """Offsets by partition, as Kafka takes them."""
        return [TopicPartition(self.topic, partition, offset) for partition, offset in offsets.items()]

    def commit(self, group: str, offsets: dict[int, int]) -> None:
        """Set the offsets of a group without members."""
        wanted = [ConsumerGroupTopicPartitions(group, self.places(offsets))]
        for place in self.cluster.admin.alter_consumer_group_offsets(wanted)[group].result(30).topic_partitions:
            assert place.error is None

    @contextlib.contextmanager
    def member(self, group: str) -> Iterator[Consumer]:
        """A consumer of the group that has every partition."""
        reader = Consumer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        reader.subscribe([self.topic])

        def assigned() -> bool:
            reader.poll(0.05)
            return len(reader.assignment()) == 4

        eventually(assigned, "the consumer has its partitions")
        try:
            yield reader
        finally:
            reader.close()


def kafka_source(servers: str, groups: str) -> dict[str, Any]:
    return {
        "name": "brokers",
        "type": "kafka",
        "platform": "catalyst",
        "bootstrap_servers": servers,
        "groups": groups,
        "topics": "none",
        "timeout": "3s",
    }


def ten_minutes_ago() -> datetime:
    """A step in the past: telemetry time is a parameter, and brokers answer as they are now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(minutes=10, seconds=now.second % 15)


LAG = "catalyst-kafka-consumer-lag"


def test_100_001_messages_behind_pages_and_100_000_do_not(
    tmp_path: Path, kafka: Cluster, providers: Providers, channels: list[dict[str, Any]]
) -> None:
    backlog = Backlog(kafka)
    late, edge = f"late-{backlog.topic}", f"edge-{backlog.topic}"
    for partition in range(4):
        backlog.produce(27_000, partition)
    done = dict.fromkeys(range(4), 2_000)
    with (
        backlog.member(late) as reader,
        Plane(
            tmp_path,
            platforms=["catalyst"],
            sources=[kafka_source(kafka.bootstrap, f"(late|edge)-{backlog.topic}")],
            notify=of_rule(LAG, at_once(channels)),
        ) as plane,
    ):
        now = ten_minutes_ago()

        def step(produced: int = 0) -> None:
            """A step in which the group reads what comes in, 250 messages a partition, and so many more come in."""
            nonlocal now
            for partition in range(4):
                backlog.produce(250 + (produced if partition == 0 else 0), partition)
                done[partition] += 250
            reader.commit(offsets=backlog.places(done), asynchronous=False)
            backlog.commit(edge, {p: end - 25_000 for p, end in backlog.ends.items()})
            now += STEP
            assert plane.tick(now).collected[0].failures == ()

        for _ in range(4):
            step()
        assert sum(backlog.ends.values()) - sum(done.values()) == 100_000
        assert plane.of_rule(LAG, "alert_pending") == []

        step(produced=1)
        (pending,) = plane.of_rule(LAG, "alert_pending")
        assert pending.payload.facts.value == 100_001
        for _ in range(7):
            step()
        assert plane.of_rule(LAG, "alert_fired") == []
        step()
        (fired,) = plane.of_rule(LAG, "alert_fired")
        assert fired.occurred_at - pending.occurred_at == 2 * MINUTE
        assert fired.payload.facts.value == 100_001
        assert fired.payload.facts.labels == {"consumer_group": late}
        assert fired.payload.facts.rule == LAG

        (proposed,) = plane.events("recommendation_proposed")
        proposal = proposed.payload.recommendation.proposal
        # 66.7 messages/s come in and are read by one consumer; 100,001 within 10 minutes take 166.7 more.
        assert (proposal.kind, proposal.from_, proposal.to) == ("scale_out", "1 consumer", "4 consumers")
        assert proposal.cost.known
        assert proposal.cost.per_month == Decimal("802.42")  # 3 × 730 h × 0.3664 USD/h

        assert plane.deliver().delivered == 2
        (message,) = providers.slack
        assert "100,001 messages behind" in str(message)
        (dedup_key,) = providers.open_incidents()
        assert providers.incidents[dedup_key].summary

        # Exactly at the exit threshold it still fires.
        done = {p: end - 20_000 for p, end in backlog.ends.items()}
        reader.commit(offsets=backlog.places(done), asynchronous=False)
        now += STEP
        plane.tick(now)
        assert [alert.state for alert in plane.alerts(LAG)] == [AlertState.FIRING]

        left = sum(backlog.ends.values())
        until = time.monotonic() + 30
        while left and time.monotonic() < until:
            left -= len(reader.consume(10_000, timeout=0.5))
        assert left == 0
        reader.commit(asynchronous=False)
        now += STEP
        plane.tick(now)
        (resolved,) = plane.of_rule(LAG, "alert_resolved")
        assert (resolved.occurred_at, resolved.payload.facts.value) == (now, 0)
        assert plane.deliver().delivered == 2
        assert providers.open_incidents() == set()
        assert [r.body["dedup_key"] for r in providers.to(PAGERDUTY)] == [dedup_key] * 2
        assert {event.payload.facts.labels["consumer_group"] for event in plane.of_rule(LAG, "alert_pending")} == {late}
        assert_no_secret(plane)


def test_a_broker_that_hangs_up_neither_resolves_nor_stops_the_others(
    tmp_path: Path, kafka: Cluster, monitoring: Monitoring
) -> None:
    backlog = Backlog(kafka)
    group = f"late-{backlog.topic}"
    backlog.produce(100_001, 0)
    backlog.commit(group, {0: 0})
    with (
        Relay(kafka.bootstrap) as relay,
        Plane(
            tmp_path,
            platforms=["catalyst"],
            sources=[
                kafka_source(relay.address, f"late-{backlog.topic}"),
                {"name": "prometheus", "type": "prometheus", "url": monitoring.url, "lookback": "1m"},
            ],
        ) as plane,
    ):
        now = ten_minutes_ago()
        plane.tick(now)
        (pending,) = plane.of_rule(LAG, "alert_pending")
        relay.broken = True
        for _ in range(2):
            now += STEP
            report = plane.tick(now)
            assert [(got.source, bool(got.failures)) for got in report.collected] == [
                ("brokers", True),
                ("prometheus", False),
            ]
        assert relay.hung_up
        (failed,) = plane.events("source_failed")
        assert failed.payload.source == "brokers"
        assert relay.address in failed.payload.error
        assert failed.payload.remedy
        assert [alert.state for alert in plane.alerts(LAG)] == [AlertState.PENDING]
        assert plane.health("brokers").through_ms == to_ms(pending.occurred_at)
        assert plane.health("prometheus").through_ms == to_ms(now)

        relay.broken = False
        now = pending.occurred_at + 2 * MINUTE
        plane.tick(now)
        (recovered,) = plane.events("source_recovered")
        assert recovered.payload.failed_since == failed.occurred_at
        (fired,) = plane.of_rule(LAG, "alert_fired")
        assert (fired.occurred_at, fired.payload.facts.active_at) == (now, pending.occurred_at)


# exporters and rules of one's own


def test_rules_of_ones_own_over_postgresql_and_redis(tmp_path: Path, postgresql_server: PostgresqlServer) -> None:
    database = postgresql_server.create_database()
    redis_port, exporter_port = free_port(), free_port()
    signals = [
        {"name": "redis.up", "unit": "1", "prometheus": "redis_up", "labels": {"instance": "exporter"}},
        {
            "name": "db.connections",
            "unit": "{connection}",
            "prometheus": f'sum by (datname) (pg_stat_database_numbackends{{datname="{database}"}})',
            "labels": {"datname": "database"},
        },
    ]
    write_rules(
        tmp_path / "rules" / "house.yaml",
        "house",
        [
            house_rule("redis-down", "redis.up", "== 0", **{"for": "2s", "summary": "{exporter} can't reach Redis"}),
            house_rule("connections", "db.connections", ">= 5", summary="{database} has {value:.0f} connections"),
        ],
        signals,
    )
    down = retuned("services", "catalyst-service-down", "quick-service-down", **{"for": "2s"})
    write_rules(tmp_path / "rules" / "services.yml", "catalyst", [down])
    rules = ("redis-down", "connections", "quick-service-down")
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(redis(tmp_path, redis_port))
        cache_exporter = stack.enter_context(redis_exporter(tmp_path, cache.address))
        exporter = stack.enter_context(postgresql_exporter(tmp_path, postgresql_server, port=exporter_port))
        scrapes = "".join(
            f"- {{job_name: {job}, static_configs: [{{targets: ['{one.address}']}}]}}\n"
            for job, one in {"redis": cache_exporter, "postgresql": exporter}.items()
        )
        config = f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{scrapes}"
        url = stack.enter_context(start_prometheus(config, tmp_path))
        plane = stack.enter_context(
            Plane(
                tmp_path / "plane",
                step="1s",
                platforms=["catalyst"],
                rules=["../rules"],
                sources=[{"name": "prometheus", "type": "prometheus", "url": url, "lookback": "5s"}],
            )
        )
        assert plane.plane.rule_problems == ()

        def measured() -> bool:
            count = "SELECT count(DISTINCT signal) AS n FROM samples JOIN series USING (sid) WHERE signal IN "
            found = plane.plane.store.query(f"{count} ('redis.up', 'db.connections', 'service.up')")
            return bool(found["n"][0] == 3)

        def fired(*expected: str) -> Callable[[], bool]:
            return lambda: {rule for rule in rules if plane.of_rule(rule, "alert_fired")} >= set(expected)

        plane.follow(measured, "all three signals are measured")
        assert not any(plane.of_rule(rule, "alert_pending") for rule in rules)

        cache.server.kill()
        with contextlib.ExitStack() as busy:
            for _ in range(5):
                busy.enter_context(psycopg.connect(postgresql_server.dsn(database)))
            plane.follow(fired("redis-down", "connections"), "Redis and the connections fire")
            exporter.server.kill()
            plane.follow(fired(*rules), "the service fires")
        (alert,) = plane.of_rule("redis-down", "alert_fired")
        assert alert.payload.facts.summary == f"{cache_exporter.address} can't reach Redis"
        (alert,) = plane.of_rule("connections", "alert_fired")
        assert alert.payload.facts.summary == f"{database} has 5 connections"
        (alert,) = plane.of_rule("quick-service-down", "alert_fired")
        assert alert.payload.facts.labels == {"service": "postgresql", "host": "127.0.0.1"}

        stack.enter_context(redis(tmp_path, redis_port))
        stack.enter_context(postgresql_exporter(tmp_path, postgresql_server, port=exporter_port))
        plane.follow(lambda: all(plane.of_rule(rule, "alert_resolved") for rule in rules), "all three resolve")
        assert [alert for rule in rules for alert in plane.alerts(rule)] == []
        assert_no_gap(plane.windows("prometheus"))


# event stores


def test_postgresql_holds_the_same_events_as_sqlite(
    tmp_path: Path, postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E2E_EVENTS", postgresql_server.url(postgresql_server.create_database()))
    recorded = Path(str(resources.files("fixtures"))) / "catalyst"
    settings = {
        "environment": "evening",
        "platforms": ["catalyst"],
        "sources": [
            {"name": "evening", "type": "recorded", "path": str(recorded / "evening.parquet"), "lookback": "5m"}
            | {"platform": "catalyst"},
            {"name": "hosts", "type": "inventory", "platform": "catalyst", "path": str(recorded / "inventory.yaml")},
        ],
        "notify": at_once([{"name": "slack", "url": {"env": "E2E_NONE"}}]),
    }

    def replay(folder: str, **more: Any) -> tuple[list[tuple[Any, ...]], list[Any]]:
        with Plane(tmp_path / folder, **settings, **more) as plane:
            plane.ticks(demo.START, demo.END, timedelta(minutes=10))
            log = plane.plane.log
            events = [(event.position, event.id, event.type, event.hash) for event in log.read()]
            return events, [log.rows(projection) for projection in PROJECTIONS] + [log.readings()]

    events, rows = replay("sqlite")
    assert {kind for _, _, kind, _ in events} >= {"alert_fired.v1", "recommendation_proposed.v1", "alert_resolved.v1"}
    assert (tmp_path / "sqlite" / "state" / "events.db").exists()
    assert replay("postgresql", events={"env": "E2E_EVENTS"}) == (events, rows)
    assert not (tmp_path / "postgresql" / "state" / "events.db").exists()
    with bootstrap.open_log(bootstrap.load_settings(tmp_path / "postgresql" / "controlplane.yaml")) as log:
        assert [event.hash for event in log.read()] == [row[3] for row in events]


# sources that fail


def depth_rule(path: Path, platform: str, metric: str, **more: Any) -> None:
    """A pack with one rule, `<platform>-deep`: a queue is deeper than 10."""
    signal = {"name": "queue.depth", "unit": "1", "prometheus": f"max by (host) ({metric})"}
    rule = house_rule(f"{platform}-deep", "queue.depth", "> 10", **more)
    write_rules(path / f"{platform}.yaml", platform, [rule], [signal])


def test_a_prometheus_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    for platform, metric in {"alpha": "alpha_depth", "beta": "beta_depth"}.items():
        depth_rule(tmp_path / "rules", platform, metric, **{"for": "2s"})
    ports = {"alpha": free_port(), "beta": free_port()}
    sources = [
        {
            "name": name,
            "type": "prometheus",
            "url": f"http://127.0.0.1:{port}",
            "platforms": [name],
            "lookback": "3s",
            "timeout": "2s",
        }
        for name, port in ports.items()
    ]
    with contextlib.ExitStack() as stack:
        shown = stack.enter_context(exposition())

        def expose(alpha: int, beta: int) -> None:
            shown.expose(f'alpha_depth{{host="a"}} {alpha}\nbeta_depth{{host="b"}} {beta}\n')

        servers = {
            name: stack.enter_context(prometheus(tmp_path / name, port, [shown.address]))
            for name, port in ports.items()
        }
        plane = stack.enter_context(Plane(tmp_path / "plane", step="1s", rules=["../rules"], sources=sources))
        expose(alpha=50, beta=50)

        def firing() -> set[str]:
            found = [*plane.alerts("alpha-deep"), *plane.alerts("beta-deep")]
            return {alert.rule for alert in found if alert.state is AlertState.FIRING}

        plane.follow(lambda: firing() == {"alpha-deep", "beta-deep"}, "both fire")

        servers["alpha"].kill()
        expose(alpha=3, beta=3)
        plane.follow(lambda: firing() == {"alpha-deep"}, "the other source resolves its alert")
        (failed,) = plane.events("source_failed")
        assert failed.payload.source == "alpha"
        assert "refused" in failed.payload.error
        assert plane.health("alpha").failed.keys() == {""}
        gone = plane.health("alpha").through_ms
        assert gone is not None
        assert plane.health("beta").through_ms > gone + 2_000

        stack.enter_context(prometheus(tmp_path / "alpha", ports["alpha"], [shown.address]))
        plane.follow(lambda: not firing(), "the alert of the returned source resolves")
        (recovered,) = plane.events("source_recovered")
        assert recovered.payload.failed_since == failed.occurred_at
        assert plane.health("alpha").failed == {}
        (resolved,) = plane.of_rule("alpha-deep", "alert_resolved")
        assert to_ms(resolved.occurred_at) > gone + 2_000
        assert_no_gap(plane.windows("alpha"))
        assert_no_gap(plane.windows("beta"))
        coverage = plane.plane.store.query("SELECT first, last FROM coverage WHERE source = 'alpha'")
        assert coverage.height == 1
        assert coverage["last"][0] == plane.health("alpha").through_ms
        assert len(plane.of_rule("alpha-deep", "alert_fired")) == 1


def say_503(handler: Handler, asked: Asked) -> None:
    handler.reply(b"overloaded", 503, "text/plain")


def say_html(handler: Handler, asked: Asked) -> None:
    handler.reply(b"<html><body>Please log in</body></html>", 200, "text/html")


def hang_up(handler: Handler, asked: Asked) -> None:
    handler.hang_up()


def half(handler: Handler, asked: Asked) -> None:
    handler.reply(b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"val')


@contextlib.contextmanager
def history_of(folder: Path, samples: dict[str, list[tuple[datetime, float]]]) -> Iterator[str]:
    """A Prometheus that holds these samples: `name{labels}` → (time, value)."""
    folder.mkdir()
    lines: list[str] = []
    for name in sorted({series.partition("{")[0] for series in samples}):
        lines.append(f"# TYPE {name} gauge")
        lines += [
            f"{series} {value!r} {at.timestamp():.3f}"
            for series, points in samples.items()
            if series.partition("{")[0] == name
            for at, value in points
        ]
    import_openmetrics(folder, "\n".join([*lines, "# EOF", ""]))
    with prometheus_server(folder) as url:
        yield url


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prometheus each in the north and in the south: a queue fills up in both at the same step and empties later."""
    folder = tmp_path_factory.mktemp("zones")

    def depth(begin: int, end: int) -> list[tuple[datetime, float]]:
        """Deep from one minute (inclusive) to another."""
        steps = [PAST + n * STEP for n in range(-20, 160)]
        return [(at, 50.0 if PAST + begin * MINUTE <= at < PAST + end * MINUTE else 5.0) for at in steps]

    with contextlib.ExitStack() as stack:
        yield {
            zone: stack.enter_context(history_of(folder / zone, samples))
            for zone, samples in {
                "north": {'depth{host="north-1"}': depth(8, 20)},
                "south": {'depth{host="south-1"}': depth(8, 20), 'depth{host="south-2"}': depth(1, 6)},
            }.items()
        }


@pytest.mark.parametrize(
    ("broken", "told"),
    [(say_503, "HTTP 503"), (say_html, "JSON"), (hang_up, "closed|reset|aborted"), (half, "JSON|truncated")],
    ids=["503", "html", "hang up", "half an answer"],
)
def test_a_source_that_answers_nonsense_is_caught_up_with(
    tmp_path: Path,
    zones: dict[str, str],
    broken: Callable[[Handler, Asked], None],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The south is away while one of its alerts should end and another one begins, at the same step as in the north."""
    depth_rule(tmp_path / "rules", "queues", "depth", **{"for": "1m"})

    def sources(south: str) -> list[dict[str, Any]]:
        urls = {"north": zones["north"], "south": south}
        common = {"type": "prometheus", "lookback": "2m", "retries": 0, "timeout": "3s"}
        return [{"name": name, "url": url, **common} for name, url in urls.items()]

    notify = at_once([{"name": "slack", "url": {"env": "E2E_NONE"}}])
    end = PAST + 24 * MINUTE
    common: dict[str, Any] = {"rules": [str(tmp_path / "rules")], "notify": notify}
    with hostile_server() as front, Plane(tmp_path / "a", sources=sources(front.url), **common) as plane:
        front.behave = forward(zones["south"])
        plane.ticks(PAST, PAST + 4 * MINUTE, 2 * STEP)
        (south,) = plane.alerts("queues-deep")
        assert (south.state, south.labels) == (AlertState.FIRING, {"host": "south-2"})

        front.behave = broken
        plane.ticks(PAST + 4 * MINUTE, PAST + 12 * MINUTE, 2 * STEP)
        (failed,) = plane.events("source_failed")
        assert failed.occurred_at == PAST + 4 * MINUTE + 2 * STEP
        assert any(part in failed.payload.error for part in told.split("|")), failed.payload.error
        assert failed.payload.error.isprintable()
        states = {alert.labels["host"]: alert.state for alert in plane.alerts("queues-deep")}
        assert states == {"south-2": AlertState.FIRING, "north-1": AlertState.FIRING}

        front.behave = forward(zones["south"])
        plane.ticks(PAST + 12 * MINUTE, end, 2 * STEP)
        (recovered,) = plane.events("source_recovered")
        assert recovered.occurred_at == PAST + 12 * MINUTE + 2 * STEP
        assert recovered.payload.failed_since == failed.occurred_at
        ended = {
            event.payload.facts.labels["host"]: event.occurred_at
            for event in plane.of_rule("queues-deep", "alert_resolved")
        }
        assert ended["south-2"] == PAST + 6 * MINUTE
        assert ended["south-1"] == ended["north-1"]
        assert plane.alerts("queues-deep") == []
        assert_no_gap(plane.windows("north"))
        assert_no_gap(plane.windows("south"))

        with Plane(tmp_path / "b", sources=sources(zones["south"]), **common) as undisturbed:
            undisturbed.tick(PAST + 2 * STEP)
            undisturbed.ticks(PAST + 2 * STEP, end, 4 * MINUTE)

            def transitions(one: Plane) -> list[tuple[Any, ...]]:
                found = one.events("alert_pending", "alert_fired", "alert_resolved")
                return sorted((str(event.id), event.occurred_at, event.payload.model_dump_json()) for event in found)

            assert transitions(plane) == transitions(undisturbed)


# late ticks


def quiet_and_busy_hours(busy: datetime) -> dict[str, list[tuple[datetime, float]]]:
    """Seven quiet hours, and forty minutes from `busy` on in which everything that the pack watches goes wrong."""
    steps = [PAST + n * MINUTE for n in range(7 * 60 + 41)]

    def series(value: Callable[[float], float | None]) -> list[tuple[datetime, float]]:
        """Values by minutes after `busy`."""
        values = [(at, value((at - busy) / MINUTE)) for at in steps]
        return [(at, found) for at, found in values if found is not None]

    size = 4e12
    disk = 'instance="db-1:9100",mountpoint="/data",fstype="ext4"'
    samples = {
        f"node_filesystem_size_bytes{{{disk}}}": series(lambda m: size),
        f"node_filesystem_avail_bytes{{{disk}}}": series(
            lambda m: size * (0.45 if m >= 30 else 0.16 - 0.005 * m if m >= 0 else 0.16 - 0.0008 * m)
        ),
        'node_cpu_seconds_total{mode="idle",cpu="0",instance="db-1:9100"}': series(lambda m: 30 * (m + 420)),
        'up{job="billing",instance="app-1:8080"}': series(lambda m: float(not 12 <= m < 18)),
        'up{job="heartbeat",instance="cron-1:80"}': series(lambda m: None if 15 <= m < 30 else 1.0),
        'kafka_consumergroup_members{consumergroup="billing"}': series(lambda m: 2),
        'kafka_topic_partitions{topic="orders"}': series(lambda m: 4),
    }
    for partition in range(4):
        of = f'topic="orders",partition="{partition}"'

        def lag(m: float, partition: int = partition) -> float:
            return 30_000 + 10 * m + partition if 14 <= m < 33 else 1_000

        samples[f'kafka_consumergroup_lag{{consumergroup="billing",{of}}}'] = series(lag)
        samples[f"kafka_topic_partition_current_offset{{{of}}}"] = series(lambda m: 6_000 * (m + 430))
        samples[f'kafka_consumergroup_current_offset{{consumergroup="billing",{of}}}'] = series(
            lambda m, lag=lag: 6_000 * (m + 430) - lag(m)
        )
    for number, host in enumerate(("pg-1", "pg-2", "pg-3")):
        of = f'scope="main",name="{host}"'
        leads = number == 0

        def alive(m: float, leads: bool = leads) -> bool:
            return not (leads and 22 <= m < 28)

        def position(m: float, alive: Callable[[float], bool] = alive) -> float | None:
            return 1e9 + 1e6 * (m + 430) if alive(m) else None

        samples |= {
            f"patroni_primary{{{of}}}": series(lambda m, a=alive, leads=leads: float(leads and a(m))),
            f"patroni_postgres_running{{{of}}}": series(lambda m, a=alive: float(a(m))),
            f"patroni_replica{{{of}}}": series(lambda m, leads=leads: float(not leads)),
            f"patroni_sync_standby{{{of}}}": series(lambda m, n=number: float(n == 1)),
            f"patroni_xlog_location{{{of}}}": series(position if leads else lambda m: 0.0),
            f"patroni_xlog_received_location{{{of}}}": series((lambda m: 0.0) if leads else position),
            f"patroni_xlog_replayed_location{{{of}}}": series((lambda m: 0.0) if leads else position),
            f"patroni_xlog_replayed_timestamp{{{of}}}": series(lambda m: (busy + m * MINUTE).timestamp()),
        }
    return samples


def test_decisions_do_not_depend_on_when_ticks_run(tmp_path: Path) -> None:
    busy, end = PAST + timedelta(hours=7), PAST + timedelta(hours=7, minutes=40)
    watched = house_rule(
        "heartbeat", "service.up", "== 0", by=["service"], fold="min", where={"service": "heartbeat"}, missing="alert"
    )
    write_rules(tmp_path / "rules" / "heartbeat.yaml", "catalyst", [watched | {"summary": "{service}"}])
    inventory = str(resources.files("fixtures") / "catalyst" / "inventory.yaml")
    with history_of(tmp_path / "history", quiet_and_busy_hours(busy)) as url, contextlib.ExitStack() as stack:

        def plane(name: str, lookback: str) -> Plane:
            return stack.enter_context(
                Plane(
                    tmp_path / name,
                    step="1m",
                    platforms=["catalyst"],
                    rules=["../rules"],
                    sources=[
                        {"name": "prometheus", "type": "prometheus", "url": url}
                        | {"lookback": lookback, "max_catch_up": "8h"},
                        {"name": "hosts", "type": "inventory", "platform": "catalyst", "path": inventory},
                    ],
                    notify=at_once([{"name": "slack", "url": {"env": "E2E_NONE"}}]),
                )
            )

        each, once, uneven, late = (
            plane("each", "7h"),
            plane("once", "7h"),
            plane("uneven", "7h"),
            plane("late", "460m"),
        )
        for one in (each, once, uneven):
            one.tick(busy)
        each.ticks(busy, end, MINUTE)
        once.tick(end)
        for minute in (3, 4, 11, 13, 14, 23, 29, 40):
            uneven.tick(busy + minute * MINUTE)
        report = late.tick(end)
        assert [done.steps for done in report.decided] == [96] * 4 + [76]

        found = each.decisions()
        fired = {event.payload.facts.rule for event in each.events("alert_fired", "alert_no_data")}
        assert fired == {
            "catalyst-disk-usage",
            "catalyst-storage-scaling",
            "catalyst-service-down",
            "catalyst-filesystem-runway",
            "catalyst-kafka-consumer-lag",
            "catalyst-kafka-backlog-drain",
            "catalyst-postgresql-primary-lost",
            "catalyst-signal-absent",
            "heartbeat",
        }
        resolved = {event.payload.facts.rule for event in each.events("alert_resolved")}
        # This Prometheus never has the others.
        assert resolved == fired - {"catalyst-signal-absent"}
        assert {event.payload.recommendation.rule for event in each.events("recommendation_proposed")} >= {
            "catalyst-storage-growth",
            "catalyst-kafka-lag-capacity",
        }
        assert each.events("recommendation_revised")
        for other in (once, uneven, late):
            assert other.decisions() == found
            assert other.board() == each.board()

        before = each.plane.log.head()
        each.tick(end)
        assert each.plane.log.head() == before


# bad input


BROKEN_RULES = """\
platform: house
component: own
rules:
  - id: typo
    kind: alert
    title: A rule with a key that isn't one
    signal: queue.depth
    wehn: "> 10"
    severity: critical
    summary: "{value}"
    basis: house
    rationale: None.
"""

TWICE = """\
resources:
  - {id: web-1, kind: host}
  - {id: web-2, kind: host}
  - {id: web-1, kind: host}
"""


def test_bad_input_is_told_and_everything_else_works(tmp_path: Path, zones: dict[str, str]) -> None:
    depth_rule(tmp_path / "rules", "queues", "depth")
    (tmp_path / "rules" / "typo.yaml").write_text(BROKEN_RULES)
    (tmp_path / "rules" / "torn.yaml").write_bytes(b"platform: [house\nrules: \xff")
    (tmp_path / "twice.yaml").write_text(TWICE)
    (tmp_path / "good.yaml").write_text("resources: [{id: web-1, kind: host, zone: a}, {id: web-3, kind: host}]")
    (tmp_path / "also.yaml").write_text("resources: [{id: web-1, kind: host, zone: b}, {id: web-4, kind: host}]")
    inventory = {"type": "inventory", "platform": "queues"}
    with Plane(
        tmp_path,
        platforms=["catalyts"],
        rules=["rules", "nowhere"],
        sources=[
            {"name": "twice", "path": "twice.yaml", **inventory},
            {"name": "good", "path": "good.yaml", **inventory},
            {"name": "also", "path": "also.yaml", **inventory},
            {"name": "nothing", "type": "recorded", "path": "nothing.parquet"},
            {"name": "north", "type": "prometheus", "url": zones["north"], "lookback": "2m"},
        ],
    ) as plane:
        at = (PAST + 9 * MINUTE).isoformat()
        code, report = plane.cli("tick", "--json", "--at", at)
        assert code == 1
        assert {got["source"]: bool(got["failures"]) for got in report["collected"]} == {
            "nothing": True,
            "north": False,
        }
        assert sum(done["fired"] for done in report["decided"]) == 1

        (rule_set,) = plane.events("rule_set_activated")
        told = "\n".join(rule_set.payload.problems)
        for part in ("typo.yaml:8", "when", "torn.yaml", "nowhere", "catalyts", "catalyst"):
            assert part in told
        assert rule_set.payload.rules == 1
        failed = {event.payload.source: event.payload for event in plane.events("source_failed")}
        assert failed.keys() == {"twice", "nothing"}
        assert "web-1" in failed["twice"].error
        assert "twice.yaml:4" in failed["twice"].error
        assert "nothing.parquet" in failed["nothing"].error

        # A host that two inventories hold is that of the first one; it doesn't go to and fro.
        def hosts() -> dict[str, tuple[str, str]]:
            rows = plane.plane.log.rows(RESOURCES).values()
            return {row.resource.id: (row.source, row.resource.zone) for row in rows}

        assert hosts() == {"web-1": ("good", "a"), "web-3": ("good", ""), "web-4": ("also", "")}
        plane.cli("tick", "--json", "--at", at)
        plane.tick(PAST + 9 * MINUTE + STEP)
        assert len(plane.events("resource_added", "resource_changed", "resource_removed")) == 3
        assert len(plane.events("source_failed")) == 2
        assert len(plane.events("rule_set_activated")) == 1

        # Mended within the same step, and the other inventory takes over what the first one drops.
        (tmp_path / "twice.yaml").write_text(TWICE.replace("{id: web-1, kind: host}", "", 1).replace("  - \n", ""))
        (tmp_path / "good.yaml").write_text("resources: [{id: web-3, kind: vm}]")
        (tmp_path / "rules" / "typo.yaml").unlink()
        plane.reload()
        plane.tick(PAST + 9 * MINUTE + STEP)
        assert [event.payload.source for event in plane.events("source_recovered")] == ["twice"]
        assert hosts() == {
            "web-1": ("twice", ""),
            "web-2": ("twice", ""),
            "web-3": ("good", ""),
            "web-4": ("also", ""),
        }
        assert len(plane.events("rule_set_activated")) == 2


def test_a_source_that_fails_in_two_ways_within_a_step(tmp_path: Path, zones: dict[str, str]) -> None:
    depth_rule(tmp_path / "rules", "queues", "depth")
    now = PAST + 9 * MINUTE
    with hostile_server() as front:
        source = {"name": "north", "type": "prometheus", "url": front.url, "lookback": "2m", "retries": 0}
        with Plane(tmp_path, rules=["rules"], sources=[source]) as plane:
            for behave in (say_503, say_503, say_html, forward(zones["north"])):
                front.behave = behave
                plane.tick(now)
            assert len(plane.events("source_failed")) == 2
            assert len(plane.events("source_recovered")) == 1
            assert plane.health("north").failed == {}
            assert len(plane.of_rule("queues-deep", "alert_fired")) == 1

            # The stages one by one, as separate processes run them: the second one asks again who failed.
            front.behave = say_503
            collect(plane.plane, now + STEP)
            front.behave = say_html
            catch_up(plane.plane, now + STEP)
            assert len(plane.events("source_failed")) == 4
            front.behave = forward(zones["north"])
            passes, _ = catch_up(plane.plane, now + STEP)
            assert [done.steps for done in passes] == [0, 1]
            assert len(plane.events("source_recovered")) == 2


def test_one_signal_that_fails_holds_up_no_other_and_is_caught_up_with(tmp_path: Path, zones: dict[str, str]) -> None:
    depth_rule(tmp_path / "rules", "queues", "depth")
    depth_rule(tmp_path / "rules", "others", "depth + 0")

    def fail_one(handler: Handler, asked: Asked) -> None:
        if "+ 0" in asked.form.get("query", ""):
            answer = {"status": "error", "errorType": "execution", "error": "many-to-many matching not allowed"}
            handler.reply_json(answer, 422)
        else:
            forward(zones["north"])(handler, asked)

    with hostile_server() as front:
        source = {"name": "north", "type": "prometheus", "url": front.url, "lookback": "2m", "max_catch_up": "1h"}
        with Plane(tmp_path, rules=["rules"], sources=[source]) as plane:
            front.behave = fail_one
            plane.tick(PAST)
            plane.ticks(PAST, PAST + 30 * MINUTE, 5 * MINUTE)
            (failed,) = plane.events("source_failed")
            assert failed.payload.signal == "others/queue.depth"
            assert "many-to-many" in failed.payload.error
            assert plane.health("north").behind == {"others/queue.depth": to_ms(PAST - 2 * MINUTE)}
            assert len(plane.of_rule("queues-deep", "alert_resolved")) == 1

            # In the same step, and beyond one bite.
            front.behave = forward(zones["north"])
            plane.tick(PAST + 30 * MINUTE)
            assert plane.health("north").behind == {}
            assert plane.health("north").failed == {}
            times = {
                rule: [event.occurred_at for event in plane.of_rule(rule, "alert_fired", "alert_resolved")]
                for rule in ("queues-deep", "others-deep")
            }
            assert times["others-deep"] == times["queues-deep"] == [PAST + 8 * MINUTE, PAST + 20 * MINUTE]

        # What lies beyond the longest absence is given up, so that it isn't looked for again and again.
        front.behave = fail_one
        with Plane(tmp_path / "short", rules=["../rules"], sources=[source | {"max_catch_up": "10m"}]) as plane:
            plane.ticks(PAST, PAST + 30 * MINUTE, 10 * MINUTE)
            assert plane.health("north").behind == {"others/queue.depth": to_ms(PAST + 20 * MINUTE)}


def test_rules_that_change_while_they_fire(tmp_path: Path, zones: dict[str, str]) -> None:
    depth_rule(tmp_path / "rules", "queues", "depth", **{"for": "15s"})
    source = {"name": "north", "type": "prometheus", "url": zones["north"], "lookback": "2m"}
    notify = at_once([{"name": "slack", "url": {"env": "E2E_NONE"}}])
    with Plane(tmp_path, rules=["rules"], sources=[source], notify=notify) as plane:
        plane.tick(PAST + 9 * MINUTE)
        assert [alert.state for alert in plane.alerts("queues-deep")] == [AlertState.FIRING]
        depth_rule(tmp_path / "rules", "queues", "depth", **{"for": "5m"})
        plane.reload()
        plane.tick(PAST + 10 * MINUTE)
        assert [alert.state for alert in plane.alerts("queues-deep")] == [AlertState.PENDING]
        plane.tick(PAST + 14 * MINUTE)
        assert [alert.state for alert in plane.alerts("queues-deep")] == [AlertState.FIRING]
        (tmp_path / "rules" / "queues.yaml").unlink()
        depth_rule(tmp_path / "rules", "queues2", "depth")
        plane.reload()
        plane.tick(PAST + 15 * MINUTE)
        assert plane.alerts("queues-deep") == []
        assert len(plane.alerts("queues2-deep")) == 1
        reasons = [event.payload.reason for event in plane.of_rule("queues-deep", "alert_resolved")]
        assert reasons == ["rule_changed", "rule_removed"]
        queued = [event.payload.delivery.message for event in plane.events("notification_queued")]
        assert [(message.rule, message.action.value) for message in queued] == [
            ("queues-deep", "trigger"),
            ("queues-deep", "resolve"),
            ("queues-deep", "trigger"),
            ("queues-deep", "resolve"),
            ("queues2-deep", "trigger"),
        ]


def test_two_control_planes_on_one_folder_do_the_work_once(tmp_path: Path, zones: dict[str, str]) -> None:
    depth_rule(tmp_path / "rules", "queues", "depth", **{"for": "30s"})
    settings: dict[str, Any] = {
        "rules": ["../rules"],
        "sources": [{"name": "north", "type": "prometheus", "url": zones["north"], "lookback": "1m"}],
        "notify": at_once([{"name": "slack", "url": {"env": "E2E_NONE"}}]),
    }
    start, end = PAST + 7 * MINUTE, PAST + 10 * MINUTE
    with (
        Plane(tmp_path / "shared", **settings) as one,
        Plane(tmp_path / "shared", **settings) as other,
        Plane(tmp_path / "alone", **settings) as alone,
        ThreadPoolExecutor(2) as pool,
    ):
        for now in (start + n * STEP for n in range((end - start) // STEP + 1)):
            list(pool.map(lambda plane, now=now: plane.tick(now), (one, other)))
            alone.tick(now)
        assert one.decisions() == alone.decisions()
        assert len(one.of_rule("queues-deep", "alert_fired")) == 1
        assert one.windows("north") == alone.windows("north")
