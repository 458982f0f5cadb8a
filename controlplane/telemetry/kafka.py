"""Consumer lag and replicas in sync, straight from the brokers of a Kafka cluster."""

import re
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import polars as pl
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented, but not declared as exported
    ClusterMetadata,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from controlplane.model.time import Window
from controlplane.settings import KafkaSource
from controlplane.telemetry.collector import Batch, SignalFailure, SignalKey
from controlplane.telemetry.kafka_connection import Connection
from controlplane.telemetry.kafka_frames import (
    COMMITTED,
    COMMITTED_ROWS,
    END,
    INTERNAL_TOPICS,
    LAG,
    MEMBER_ROWS,
    MEMBERS,
    MINIMUM,
    PARTITION_ROWS,
    REPLICA_ROWS,
    REPLICAS,
    SETTING_ROWS,
    SIGNALS,
    UNCLEAN,
    Answer,
    measure,
    to_samples,
)

# The share of the time left that each stage may take: a broker that hangs costs its own groups and partitions,
# and leaves time for those of the others.
_GROUPS_SHARE, _OFFSETS_SHARE, _ENDS_SHARE = 0.5, 0.5, 0.9
_SILENT = "its leader gave no answer in time"
_REMEDY = "Check that every broker runs and answers, and that our user may describe groups and topics"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names of what is watched."""

    groups: re.Pattern[str]
    topics: re.Pattern[str]
    """Those whose replicas and settings are read; offsets are those of every topic that a group reads."""


class KafkaCollector:
    """Lag, offsets, members, partitions and replicas of one cluster as they are now; it has no history.

    A collection answers for the last step of each window and covers only that one. Ends are read after the
    committed offsets, so that a healthy group never seems to be ahead of its topic. The end is the high watermark
    (isolation level read_uncommitted), as other lag tools have it: a hanging transaction shows as growing lag, which
    its readers do suffer, where the last stable offset would hide it. On compacted and transactional topics some
    offsets hold no message, so the lag is an upper bound of the messages to read.
    """

    history = False

    def __init__(self, settings: KafkaSource, step_ms: int) -> None:
        self.name = settings.name
        self.lookback = settings.lookback
        self.max_catch_up = settings.max_catch_up
        self._settings = settings
        self._step_ms = step_ms
        self._wanted = Wanted(re.compile(settings.groups, re.DOTALL), re.compile(settings.topics, re.DOTALL))

    def signals(self) -> tuple[SignalKey, ...]:
        """The signals of a cluster, for the pack of this source."""
        return tuple(SignalKey(self._settings.platform, signal) for signal in SIGNALS)

    def check(self) -> list[str]:
        """Connect and read what there is; what it warns of, SourceError where the cluster gives no answer."""
        with Connection(self._settings) as connection:
            measured = measure(_ask(connection, self._wanted, SIGNALS))
        return [*measured.failed.values(), *measured.warnings]

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        """Ask the brokers once, within the timeout of the source.

        A group, topic or partition that can't be read is a warning and has no row, nor has the lag of a group that
        can't be read as a whole; a signal of which nothing can be read is a failure. SourceError where the cluster as
        a whole gives no answer; nothing returned, raised or logged holds a secret. ValueError for a signal or a grid
        that isn't this source's.
        """
        if wrong := sorted(str(key) for key in windows.keys() - set(self.signals())):
            raise ValueError(f"source {self.name} doesn't have {', '.join(wrong)}")
        if any(window.step != self._step_ms for window in windows.values()):
            raise ValueError(f"source {self.name} collects on a grid of {self._step_ms} ms")
        steps = {key.signal: window.end for key, window in windows.items() if len(window)}
        if not steps:
            return Batch(self.name, to_samples({}, {}, source=self.name, platform=self._settings.platform))
        with Connection(self._settings) as connection:
            measured = measure(_ask(connection, self._wanted, steps.keys()))
        samples = to_samples(
            measured.frames,
            {signal: step for signal, step in steps.items() if signal not in measured.failed},
            source=self.name,
            platform=self._settings.platform,
            cluster=self._settings.cluster,
        )
        failures = tuple(
            SignalFailure(key, measured.failed[key.signal], _REMEDY)
            for key in self.signals()
            if key.signal in measured.failed and key.signal in steps
        )
        return Batch(self.name, samples, failures, measured.warnings)


def _ask(connection: Connection, wanted: Wanted, signals: Collection[str]) -> Answer:
    """What `signals` need: groups first, then their members and offsets, then the ends of the partitions."""
    client = connection.client
    listing = client.list_consumer_groups(request_timeout=connection.left(_GROUPS_SHARE))
    connection.wait([listing])
    groups, unlisted = _groups(connection, listing, wanted.groups)

    seconds = connection.left(_OFFSETS_SHARE)
    described: dict[str, Future[Any]] = {}
    stored: dict[str, Future[Any]] = {}
    if groups and MEMBERS in signals:
        described = client.describe_consumer_groups(groups, request_timeout=seconds)
    if LAG in signals or COMMITTED in signals:
        for group in groups:
            of_group = [ConsumerGroupTopicPartitions(group)]
            stored |= client.list_consumer_group_offsets(of_group, request_timeout=seconds)
    topics = connection.metadata(seconds)
    watched = [name for name, topic in topics.topics.items() if wanted.topics.fullmatch(name) and not topic.error]
    set_up = _configs(connection, watched) if MINIMUM in signals or UNCLEAN in signals else {}
    connection.wait([*described.values(), *stored.values(), *set_up.values()])
    committed = _committed(connection, stored)

    partitions = _partitions(connection, topics)
    asked = partitions.filter(pl.col("partition").is_not_null())
    if END in signals:
        read = pl.col("topic").is_in(committed["topic"].unique().drop_nulls().to_list())
        asked = asked.filter(~pl.col("topic").is_in(list(INTERNAL_TOPICS)) | read)
    else:
        asked = asked.join(committed, on=["topic", "partition"], how="semi")
    ends = _ends(connection, asked if LAG in signals or END in signals else asked[:0])
    partitions = partitions.join(ends, on=["topic", "partition"], how="left").select(
        "topic", "partition", "end", problem=pl.coalesce("problem", "unknown")
    )
    reasons = [reason for reason in (unlisted, _unled(topics)) if reason]
    return Answer(
        committed=committed,
        members=_members(connection, described),
        partitions=partitions,
        replicas=_replicas(topics, watched if REPLICAS in signals else ()),
        settings=_settings(connection, set_up),
        unlisted="; ".join(reasons),
    )


def _groups(connection: Connection, listing: Future[Any], wanted: re.Pattern[str]) -> tuple[list[str], str]:
    """Names of the groups to look at, and why others may be missing ("" if none is)."""
    if error := listing.exception():
        return [], connection.plain(error)
    result = listing.result()
    names = {group.group_id for group in result.valid or () if wanted.fullmatch(group.group_id)}
    problems = {connection.plain(error) for error in result.errors or ()}
    return sorted(names - {""}), "; ".join(sorted(problems))


def _unled(metadata: ClusterMetadata) -> str:
    """Partitions of the topic of commits that nobody leads: their groups are in no broker's list."""
    commits = metadata.topics.get("__consumer_offsets")
    numbers = sorted(each.id for each in commits.partitions.values() if each.leader < 0) if commits else []
    return f"no leader for partition {', '.join(map(str, numbers))} of __consumer_offsets" if numbers else ""


def _problem(connection: Connection, future: Future[Any]) -> str | None:
    error = future.exception()
    return connection.plain(error) if error else None


def _members(connection: Connection, described: Mapping[str, Future[Any]]) -> pl.DataFrame:
    problems = {group: _problem(connection, future) for group, future in described.items()}
    found = {group: described[group].result() for group, problem in problems.items() if problem is None}
    # A dead group was deleted after it had been listed.
    dead = {group for group, description in found.items() if description.state == ConsumerGroupState.DEAD}
    kept = [group for group in described if group not in dead]
    members = [len(found[group].members) if group in found else None for group in kept]
    columns = {"consumer_group": kept, "members": members, "problem": [problems[group] for group in kept]}
    return pl.DataFrame(columns, schema=MEMBER_ROWS)


def _committed(connection: Connection, stored: Mapping[str, Future[Any]]) -> pl.DataFrame:
    frames = [COMMITTED_ROWS.to_frame()]
    for group, future in stored.items():
        problem = _problem(connection, future)
        rows = [None] if problem else future.result().topic_partitions
        columns = {
            "topic": [row and row.topic for row in rows],
            "partition": [row and row.partition for row in rows],
            "committed": [row and row.offset for row in rows],
            "problem": [connection.plain(row.error) if row and row.error else problem for row in rows],
        }
        schema = {name: kind for name, kind in COMMITTED_ROWS.items() if name != "consumer_group"}
        frames.append(pl.DataFrame(columns, schema=schema).select(pl.lit(group).alias("consumer_group"), pl.all()))
    return pl.concat(frames)


def _partitions(connection: Connection, metadata: ClusterMetadata) -> pl.DataFrame:
    topics = metadata.topics.values()
    rows = pl.DataFrame(
        {
            "topic": [topic.topic for topic in topics],
            "partition": [[None] if topic.error else list(topic.partitions) for topic in topics],
            "problem": [connection.plain(topic.error) if topic.error else None for topic in topics],
        },
        schema={"topic": pl.String, "partition": pl.List(pl.Int32), "problem": pl.String},
    )
    return rows.explode("partition")


def _replicas(metadata: ClusterMetadata, watched: Iterable[str]) -> pl.DataFrame:
    rows = [
        (name, each.id, len(each.isrs) if each.leader >= 0 else 0)
        for name in watched
        for each in metadata.topics[name].partitions.values()
    ]
    return pl.DataFrame(rows, schema=REPLICA_ROWS, orient="row")


def _configs(connection: Connection, topics: Iterable[str]) -> dict[str, Future[Any]]:
    asked = {ConfigResource(ResourceType.TOPIC, name): name for name in topics}
    if not asked:
        return {}
    found = connection.client.describe_configs(list(asked), request_timeout=connection.left(_OFFSETS_SHARE))
    return {asked[resource]: future for resource, future in found.items()}


def _settings(connection: Connection, set_up: Mapping[str, Future[Any]]) -> pl.DataFrame:
    problems = {name: _problem(connection, future) for name, future in set_up.items()}
    found = {name: future.result() for name, future in set_up.items() if problems[name] is None}
    rows = []
    for name, problem in problems.items():
        entries = found.get(name, {})
        minimum, unclean = (
            entries[key].value if key in entries else None
            for key in ("min.insync.replicas", "unclean.leader.election.enable")
        )
        rows.append(
            (name, None if minimum is None else int(minimum), None if unclean is None else unclean == "true", problem)
        )
    return pl.DataFrame(rows, schema=SETTING_ROWS, orient="row")


def _ends(connection: Connection, asked: pl.DataFrame) -> pl.DataFrame:
    """The end of every asked partition, or the problem in the column `unknown`; one request for all of them."""
    schema = {name: kind for name, kind in PARTITION_ROWS.items() if name != "problem"} | {"unknown": pl.String}
    if asked.is_empty():
        return pl.DataFrame(schema=schema)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # it isn't annotated
    wanted = {TopicPartition(topic, number): latest for topic, number in asked.select("topic", "partition").iter_rows()}
    futures = connection.client.list_offsets(wanted, request_timeout=connection.left(_ENDS_SHARE))
    connection.wait(futures.values())
    problems = [_problem(connection, future) for future in futures.values()]
    offsets = [
        None if problem else future.result().offset for problem, future in zip(problems, futures.values(), strict=True)
    ]
    columns = {
        "topic": [at.topic for at in futures],
        "partition": [at.partition for at in futures],
        "end": offsets,
        "unknown": problems,
    }
    # librdkafka gives a partition whose leader kept silent no error but an invalid (negative) offset.
    silent = pl.col("end") < 0
    return pl.DataFrame(columns, schema=schema).with_columns(
        end=pl.when(~silent).then("end"), unknown=pl.when(silent).then(pl.lit(_SILENT)).otherwise("unknown")
    )
