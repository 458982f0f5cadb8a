"""The Kafka collector against real brokers."""

import json
import logging
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from controlplane.model.labels import canonical
from controlplane.model.time import Window
from controlplane.settings import KafkaSource, Secret
from controlplane.telemetry.collector import Batch, SignalKey, SourceError
from controlplane.telemetry.kafka import KafkaCollector
from tests.servers import eventually
from tests.servers_kafka import PASSWORD, USER, Cluster, kafka_cluster

pytestmark = pytest.mark.integration

STEP = 15_000
WINDOW = Window(STEP * 10, STEP * 14, STEP)
BEHIND = 100_001


def collector(cluster: Cluster, *, step_ms: int = STEP, **options: Any) -> KafkaCollector:
    source = {"name": "brokers", "type": "kafka", "platform": "catalyst", "bootstrap_servers": cluster.bootstrap}
    return KafkaCollector(KafkaSource.model_validate(source | options), step_ms)


def collect(cluster: Cluster, **options: Any) -> Batch:
    it = collector(cluster, **options)
    return it.collect(dict.fromkeys(it.signals(), WINDOW))


def values(batch: Batch, signal: str, **labels: str) -> dict[tuple[str, ...], float]:
    """Values of a signal by the labels that weren't given, in name order."""
    rows = batch.samples.samples.join(batch.samples.series, on="sid").filter(pl.col("signal") == signal)
    found = {}
    for text, value in rows.select("labels", "value").iter_rows():
        parsed = json.loads(text)
        assert canonical(parsed) == text
        if labels.items() <= parsed.items():
            found[tuple(parsed[name] for name in sorted(parsed) if name not in labels)] = value
    return found


@pytest.fixture
def topic(kafka: Cluster) -> str:
    """A topic of three partitions that no other test uses."""
    return create(kafka, 3)


def create(cluster: Cluster, partitions: int, name: str = "", **config: str) -> str:
    name = name or f"topic.{uuid4().hex}"
    cluster.admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)

    def led() -> bool:
        found = cluster.admin.list_topics(name, timeout=5).topics[name].partitions
        return len(found) == partitions and all(each.leader > 0 for each in found.values())

    eventually(led, "every partition of the topic has a leader")
    return name


def produce(cluster: Cluster, topic: str, counts: dict[int, int]) -> None:
    """Append so many messages to each partition."""
    producer = Producer(
        {"bootstrap.servers": cluster.bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 200_000}
    )
    errors: list[object] = []
    for partition, count in counts.items():
        for _ in range(count):
            producer.produce(
                topic, b"m", b"key", partition, on_delivery=lambda error, _: errors.append(error) if error else None
            )
    assert producer.flush(30) == 0
    assert errors == []


def commit(cluster: Cluster, group: str, topic: str, offsets: dict[int, int]) -> None:
    places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
    wanted = [ConsumerGroupTopicPartitions(group, places)]
    for place in cluster.admin.alter_consumer_group_offsets(wanted)[group].result(30).topic_partitions:
        assert place.error is None


def consumer(cluster: Cluster, group: str, **options: str | int) -> Consumer:
    base = {"bootstrap.servers": cluster.bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    return Consumer(base | {"enable.auto.commit": False, "log_level": 3} | options)


def assigned(*readers: Consumer) -> bool:
    """Whether each has partitions. All are polled first: one that holds them all gives some up only while it polls."""
    for reader in readers:
        reader.poll(0.05)
    return all(reader.assignment() for reader in readers)


def test_a_group_that_is_100_001_messages_behind_and_catches_up(kafka: Cluster, topic: str) -> None:
    produce(kafka, topic, {0: 50_000, 1: 50_001, 2: 3})
    commit(kafka, "billing", topic, {0: 1, 1: 0, 2: 2})

    batch = collect(kafka, groups="billing")

    lag = values(batch, "kafka.consumer.lag", topic=topic)
    assert lag == {("billing", "0"): 49_999, ("billing", "1"): 50_001, ("billing", "2"): 1}
    assert sum(lag.values()) == BEHIND
    assert values(batch, "kafka.consumer.offset", topic=topic) == {
        ("billing", "0"): 1,
        ("billing", "1"): 0,
        ("billing", "2"): 2,
    }
    assert values(batch, "kafka.partition.offset", topic=topic) == {("0",): 50_000, ("1",): 50_001, ("2",): 3}
    assert values(batch, "kafka.topic.partitions", topic=topic) == {(): 3}
    assert values(batch, "kafka.consumer.members") == {("billing",): 0}
    assert batch.failures == ()
    assert batch.warnings == ()

    reader = consumer(kafka, "billing", **{"fetch.wait.max.ms": 20})
    reader.subscribe([topic])
    left = BEHIND
    until = time.monotonic() + 30
    while left and time.monotonic() < until:
        left -= len(reader.consume(10_000, timeout=0.5))
    assert left == 0
    assert values(collect(kafka, groups="billing"), "kafka.consumer.members") == {("billing",): 1}
    reader.commit(asynchronous=False)
    reader.close()

    assert set(values(collect(kafka, groups="billing"), "kafka.consumer.lag", topic=topic).values()) == {0}


def test_it_answers_for_the_last_step_of_each_window_only(kafka: Cluster, topic: str) -> None:
    it = collector(kafka, groups="nobody")
    lag, partitions = (SignalKey("catalyst", name) for name in ("kafka.consumer.lag", "kafka.topic.partitions"))
    members = SignalKey("catalyst", "kafka.consumer.members")
    later = Window(WINDOW.end, WINDOW.end + STEP, STEP)

    batch = it.collect({lag: WINDOW, partitions: later, members: Window(STEP, STEP, STEP)})

    assert batch.samples.coverage.sort("signal").rows() == [
        ("brokers", "catalyst", "kafka.consumer.lag", WINDOW.end, WINDOW.end),
        ("brokers", "catalyst", "kafka.topic.partitions", later.end, later.end),
    ]
    assert batch.samples.samples["ts"].unique().to_list() == [later.end]
    assert not values(batch, "kafka.consumer.lag")
    assert it.collect({members: Window(STEP, STEP, STEP)}).samples.coverage.is_empty()


def test_a_group_without_a_commit_has_members_but_no_lag(kafka: Cluster, topic: str) -> None:
    produce(kafka, topic, {0: 5})
    group = f"new-{topic}"
    reader = consumer(kafka, group)
    reader.subscribe([topic])
    try:
        eventually(lambda: assigned(reader), "the consumer has partitions")
        batch = collect(kafka, groups=group)
    finally:
        reader.close()
    assert values(batch, "kafka.consumer.members") == {(group,): 1}
    assert values(batch, "kafka.consumer.lag") == {}
    assert values(batch, "kafka.consumer.offset") == {}
    assert batch.warnings == ()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_are_counted_while_they_live(kafka: Cluster, topic: str, protocol: str) -> None:
    group = f"{protocol}-{topic}"
    readers = [consumer(kafka, group, **{"group.protocol": protocol}) for _ in range(2)]
    try:
        for reader in readers:
            reader.subscribe([topic])
        eventually(lambda: assigned(*readers), "both consumers have partitions")
        assert values(collect(kafka, groups=group), "kafka.consumer.members") == {(group,): 2}
    finally:
        for reader in readers:
            reader.close()
    assert values(collect(kafka, groups=group), "kafka.consumer.members") == {(group,): 0}


def test_a_rewound_group_is_further_behind(kafka: Cluster, topic: str) -> None:
    produce(kafka, topic, {0: 100})
    commit(kafka, f"back-{topic}", topic, {0: 90})
    before = values(collect(kafka, groups=f"back-{topic}"), "kafka.consumer.lag", topic=topic)
    commit(kafka, f"back-{topic}", topic, {0: 10})
    after = collect(kafka, groups=f"back-{topic}")
    assert list(before.values()) == [10]
    assert list(values(after, "kafka.consumer.lag", topic=topic).values()) == [90]
    assert after.warnings == ()


def test_an_offset_beyond_the_end_is_lag_0_with_a_warning(kafka: Cluster, topic: str) -> None:
    produce(kafka, topic, {0: 3, 1: 3})
    commit(kafka, f"beyond-{topic}", topic, {0: 50, 1: 1})
    batch = collect(kafka, groups=f"beyond-{topic}")
    assert values(batch, "kafka.consumer.lag", topic=topic, consumer_group=f"beyond-{topic}") == {("0",): 0, ("1",): 2}
    (warning,) = batch.warnings
    assert f"beyond-{topic}" in warning
    assert f"offset 50 of topic {topic}, partition 0 is beyond its end 3" in warning


def test_a_deleted_topic_leaves_no_row(kafka: Cluster) -> None:
    topic = create(kafka, 1)
    group = f"orphan-{topic}"
    produce(kafka, topic, {0: 3})
    commit(kafka, group, topic, {0: 1})
    assert list(values(collect(kafka, groups=group), "kafka.consumer.lag").values()) == [2]
    kafka.admin.delete_topics([topic])[topic].result(30)
    eventually(lambda: topic not in kafka.admin.list_topics(timeout=5).topics, "the topic is gone")

    batch = collect(kafka, groups=group)

    assert values(batch, "kafka.consumer.lag") == {}
    assert values(batch, "kafka.consumer.offset") == {}
    assert values(batch, "kafka.topic.partitions", topic=topic) == {}
    assert values(batch, "kafka.partition.offset", topic=topic) == {}
    assert batch.failures == ()


def test_groups_are_chosen_by_their_whole_name_and_may_be_hostile(kafka: Cluster, topic: str) -> None:
    produce(kafka, topic, {0: 7})
    hostile = f"\x1b[31m<script>\"';DROP TABLE x;--@here\n{{x}} ü\u202e{topic}"
    for group in (f"pick-{topic}", f"pick-{topic}-not", hostile, "x" * 200 + topic):
        commit(kafka, group, topic, {0: 2})
    assert set(values(collect(kafka, groups=f"pick-{topic}"), "kafka.consumer.lag")) == {(f"pick-{topic}", "0", topic)}
    everything = values(collect(kafka), "kafka.consumer.lag", topic=topic, partition="0")
    assert everything == {
        (f"pick-{topic}",): 5,
        (f"pick-{topic}-not",): 5,
        (hostile,): 5,
        ("x" * 200 + topic,): 5,
    }
    commit(kafka, hostile, topic, {0: 9})
    (warning,) = collect(kafka, groups=r"\x1b.*" + topic).warnings
    assert warning.isprintable()


def test_a_transaction_counts_while_it_is_open_and_until_its_reader_passed_it(kafka: Cluster) -> None:
    topic = create(kafka, 1, **{"cleanup.policy": "compact"})
    group = f"tx-{topic}"
    produce(kafka, topic, {0: 4})
    commit(kafka, group, topic, {0: 4})
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, "log_level": 3})
    producer.init_transactions(20)
    producer.begin_transaction()
    for _ in range(6):
        producer.produce(topic, b"m", b"key")
    assert producer.flush(10) == 0

    def lag() -> list[float]:
        return list(values(collect(kafka, groups=group), "kafka.consumer.lag").values())

    assert lag() == [6]
    producer.abort_transaction(10)
    eventually(lambda: lag() == [7], "the marker that ends the transaction is written")
    produce(kafka, topic, {0: 1})

    reader = consumer(kafka, group, **{"isolation.level": "read_committed"})
    reader.assign([TopicPartition(topic, 0, 4)])
    message = eventually(lambda: reader.poll(0.1), "the reader gets the message after the transaction")
    assert message.offset() == 11
    assert lag() == [8]
    reader.commit(asynchronous=False)
    reader.close()
    assert lag() == [0]


LOGIN = {"sasl.mechanism": "PLAIN", "sasl.username": USER}


def secured(cluster: Cluster, listener: str, password: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("KAFKA_PASSWORD", password)
    first = cluster.brokers[1]
    settings: dict[str, str] = dict(LOGIN)
    if listener == "tls":
        settings |= {"security.protocol": "SASL_SSL", "ssl.ca.location": str(cluster.authority)}
    else:
        settings |= {"security.protocol": "SASL_PLAINTEXT"}
    return {
        "bootstrap_servers": first.tls if listener == "tls" else first.sasl,
        "settings": settings,
        "secrets": {"sasl.password": Secret(env="KAFKA_PASSWORD")},
        "timeout": timedelta(seconds=5),
    }


@pytest.mark.parametrize("listener", ["sasl", "tls"])
def test_it_logs_in_with_the_right_password(
    kafka: Cluster, topic: str, listener: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(kafka, topic, {0: 3})
    commit(kafka, f"{listener}-{topic}", topic, {0: 1})
    options = secured(kafka, listener, PASSWORD, monkeypatch)
    batch = collect(kafka, groups=f"{listener}-{topic}", **options)
    assert list(values(batch, "kafka.consumer.lag").values()) == [2]


@pytest.mark.parametrize("listener", ["sasl", "tls"])
def test_a_wrong_password_is_told_at_once_and_never_shown(
    kafka: Cluster, listener: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    options = secured(kafka, listener, "hunter2-Ω", monkeypatch)
    options["settings"]["debug"] = "security,broker,conf"
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        collect(kafka, **options)
    assert time.monotonic() - started < 3
    assert "Invalid username or password" in caught.value.message
    assert "sasl.password" in caught.value.remedy
    assert caplog.records
    for text in (str(caught.value), *(record.getMessage() for record in caplog.records)):
        assert "hunter2" not in text


def test_a_certificate_of_another_authority_is_refused(kafka: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    options = secured(kafka, "tls", PASSWORD, monkeypatch)
    del options["settings"]["ssl.ca.location"]
    with pytest.raises(SourceError, match="certificate verify failed") as caught:
        collect(kafka, **options)
    assert "ssl.ca.location" in caught.value.remedy


@pytest.mark.parametrize(
    ("listener", "protocol"),
    [("sasl", "PLAINTEXT"), ("tls", "PLAINTEXT"), ("plain", "SASL_PLAINTEXT"), ("plain", "SSL")],
)
def test_the_wrong_protocol_for_a_port(kafka: Cluster, listener: str, protocol: str) -> None:
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        collect(
            kafka,
            bootstrap_servers=getattr(kafka.brokers[1], listener),
            settings={"security.protocol": protocol, **LOGIN, "sasl.password": "x"},
            timeout=timedelta(seconds=1),
        )
    assert time.monotonic() - started < 1.3
    assert caught.value.remedy
    assert "no usable answer" in caught.value.message


def java_hash(text: str) -> int:
    """Absolute value of Java's hash of a string, which decides where a group's commits are kept."""
    value = 0
    for char in text:
        value = (31 * value + ord(char)) & 0xFFFFFFFF
    return abs(value if value < 2**31 else value - 2**32)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two brokers; the second, which a test may freeze and kill, keeps the commits of the group `elsewhere`."""
    at = {group: java_hash(group) % 3 for group in ("billing", "orphans", "elsewhere")}
    assert len(set(at.values())) == 3
    homes = (2 if at["elsewhere"] == number else 1 for number in range(3))
    with kafka_cluster(tmp_path_factory.mktemp("kafka-pair"), tuple(homes)) as cluster:
        yield cluster


def test_partitions_of_a_frozen_and_then_dead_broker_are_missing_and_the_others_are_there(pair: Cluster) -> None:
    split = NewTopic("split", 2, replica_assignment=[[1], [2]])
    lost = NewTopic("lost", 1, replica_assignment=[[2]])
    both = NewTopic("both", 1, replica_assignment=[[2, 1]], config={"min.insync.replicas": "2"})
    for created in pair.admin.create_topics([split, lost, both]).values():
        created.result(30)
    produce(pair, "split", {0: 10, 1: 20})
    produce(pair, "lost", {0: 5})
    commit(pair, "billing", "split", {0: 1, 1: 2})
    commit(pair, "orphans", "lost", {0: 1})
    commit(pair, "elsewhere", "split", {0: 5})
    commit(pair, "audit", "split", {0: 3})
    whole = collect(pair)
    assert values(whole, "kafka.consumer.lag", consumer_group="billing") == {("0", "split"): 9, ("1", "split"): 18}
    assert values(whole, "kafka.consumer.lag", consumer_group="elsewhere") == {("0", "split"): 5}
    assert whole.warnings == ()
    in_sync = "kafka.partition.replicas_in_sync"
    assert values(whole, in_sync, topic="both") == {("0",): 2}
    assert values(whole, in_sync, topic="split") == {("0",): 1, ("1",): 1}

    second = pair.brokers[2].server
    second.signal(signal.SIGSTOP)
    started = time.monotonic()
    frozen = collect(pair, timeout=timedelta(seconds=2))
    assert time.monotonic() - started < 2.3
    assert values(frozen, "kafka.consumer.lag", consumer_group="billing") == {}
    assert any("topic split, partition 1" in warning for warning in frozen.warnings)
    assert any("some consumer groups can't be listed" in warning for warning in frozen.warnings)

    second.kill()

    def leaderless() -> bool:
        return pair.admin.list_topics("split", timeout=5).topics["split"].partitions[1].leader == -1

    eventually(leaderless, "the cluster noticed")
    batch = collect(pair)
    assert values(batch, "kafka.consumer.lag") == {("audit", "0", "split"): 7}
    assert values(batch, "kafka.partition.offset") == {("0", "split"): 10, ("0", "both"): 0}
    assert values(batch, "kafka.consumer.offset", consumer_group="billing") == {("0", "split"): 1, ("1", "split"): 2}
    assert values(batch, "kafka.topic.partitions") == {("split",): 2, ("lost",): 1, ("both",): 1}
    # Somebody else leads what had another replica; nobody leads what had none.
    assert values(batch, in_sync, topic="both") == {("0",): 1}
    assert values(batch, in_sync, topic="split") == {("0",): 1, ("1",): 0}
    assert values(batch, "kafka.topic.min_insync_replicas", topic="both") == {(): 2}
    assert sorted(warning.split(":")[0] for warning in batch.warnings) == [
        "lags of consumer group billing, orphans are left out",
        "some consumer groups can't be listed and are left out",
        "topic lost, partition 0",
        "topic split, partition 1",
    ]
    assert batch.failures == ()

    only_lost = collect(pair, groups="orphans")
    assert [str(failure.key) for failure in only_lost.failures] == ["catalyst/kafka.consumer.lag"]
    assert "kafka.consumer.lag" not in only_lost.samples.coverage["signal"].to_list()


def test_replicas_in_sync_and_what_a_topic_asks_for(kafka: Cluster) -> None:
    topic = create(kafka, 2, **{"min.insync.replicas": "2", "unclean.leader.election.enable": "true"})
    plain = create(kafka, 1)

    batch = collect(kafka, groups="nobody", topics=f"{topic}|{plain}")

    assert values(batch, "kafka.partition.replicas_in_sync") == {("0", topic): 1, ("1", topic): 1, ("0", plain): 1}
    assert values(batch, "kafka.topic.min_insync_replicas") == {(topic,): 2, (plain,): 1}
    assert values(batch, "kafka.topic.unclean_leader_election") == {(topic,): 1, (plain,): 0}
    assert (batch.failures, batch.warnings) == ((), ())
    assert values(collect(kafka, topics="none"), "kafka.partition.replicas_in_sync") == {}
