"""From what the brokers of a Kafka cluster answered to samples, failures and warnings; pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import printable

LAG = "kafka.consumer.lag"
COMMITTED = "kafka.consumer.offset"
END = "kafka.partition.offset"
MEMBERS = "kafka.consumer.members"
PARTITIONS = "kafka.topic.partitions"
REPLICAS = "kafka.partition.replicas_in_sync"
MINIMUM = "kafka.topic.min_insync_replicas"
UNCLEAN = "kafka.topic.unclean_leader_election"
SIGNALS = (LAG, COMMITTED, END, MEMBERS, PARTITIONS, REPLICAS, MINIMUM, UNCLEAN)

INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"})
"""Kafka's own topics: END and PARTITIONS leave them out."""

COMMITTED_ROWS = pl.Schema(
    {
        "consumer_group": pl.String,
        "topic": pl.String,
        "partition": pl.Int32,
        "committed": pl.Int64,
        "problem": pl.String,
    }
)
"""One row a committed offset (negative = none), or one a group (topic null) whose offsets are unknown: problem."""

MEMBER_ROWS = pl.Schema({"consumer_group": pl.String, "members": pl.Int64, "problem": pl.String})
"""One row a consumer group: 0 where it is empty, null where it couldn't be described: problem."""

PARTITION_ROWS = pl.Schema({"topic": pl.String, "partition": pl.Int32, "end": pl.Int64, "problem": pl.String})
"""One row a partition that exists, or one a topic (partition null) that can't be described.

end = offset that the next message gets; null where nobody asked, or where it is unknown: problem.
"""

REPLICA_ROWS = pl.Schema({"topic": pl.String, "partition": pl.Int32, "in_sync": pl.Int64})
"""One row a partition whose replicas are watched: those in sync, the leader among them; 0 where nobody leads."""

SETTING_ROWS = pl.Schema({"topic": pl.String, "minimum": pl.Int64, "unclean": pl.Boolean, "problem": pl.String})
"""One row a topic: min.insync.replicas and unclean.leader.election.enable as they hold, null where unknown: problem."""

_MOST = 20  # warnings of one kind, names within one: they become part of an event


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cluster answered."""

    committed: pl.DataFrame = field(default_factory=COMMITTED_ROWS.to_frame)
    members: pl.DataFrame = field(default_factory=MEMBER_ROWS.to_frame)
    partitions: pl.DataFrame = field(default_factory=PARTITION_ROWS.to_frame)
    unlisted: str = ""
    """Why some consumer groups may be missing."""
    replicas: pl.DataFrame = field(default_factory=REPLICA_ROWS.to_frame)
    settings: pl.DataFrame = field(default_factory=SETTING_ROWS.to_frame)


@dataclass(frozen=True, slots=True)
class Measured:
    """Every signal as a frame of its label columns and `value`; signals that failed with the reason; warnings."""

    frames: dict[str, pl.DataFrame]
    failed: dict[str, str]
    warnings: tuple[str, ...]


def measure(answer: Answer) -> Measured:
    """Lag is the end of the partition minus the committed offset.

    A partition without a commit has no lag (rather than lag 0). A topic that is gone, a partition whose end is unknown
    and a group that couldn't be read have no row; a group has no lag at all while the end or the commit of one of its
    partitions is unknown; an offset beyond the end is lag 0: each of these is a warning. A signal of which nothing at
    all could be read has failed.
    """
    at = ["topic", "partition"]
    offsets = answer.committed.filter(pl.col("problem").is_null(), pl.col("committed") >= 0).drop("problem")
    joined = offsets.join(answer.partitions.with_columns(exists=True), on=at, how="left")
    live, gone = joined.filter("exists"), joined.filter(pl.col("exists").is_null())
    unknown = _unknown_lags(answer, offsets)
    lags = live.join(unknown, on="consumer_group", how="anti").with_columns(beyond=pl.col("committed") - pl.col("end"))
    users = answer.partitions.filter(pl.col("partition").is_not_null(), ~pl.col("topic").is_in(list(INTERNAL_TOPICS)))
    frames = {
        LAG: lags.select("consumer_group", *at, value=(-pl.col("beyond")).clip(lower_bound=0)),
        COMMITTED: live.select("consumer_group", *at, value="committed"),
        END: users.filter(pl.col("end").is_not_null()).select(*at, value="end"),
        MEMBERS: answer.members.filter(pl.col("problem").is_null()).select("consumer_group", value="members"),
        PARTITIONS: users.group_by("topic").agg(value=pl.len()),
        REPLICAS: answer.replicas.select(*at, value="in_sync"),
        MINIMUM: answer.settings.drop_nulls("minimum").select("topic", value="minimum"),
        UNCLEAN: answer.settings.drop_nulls("unclean").select("topic", value="unclean"),
    }
    failed = _failed(answer, frames, unknown)
    warnings = (
        *_unreadable(answer.committed, "committed offsets"),
        *_unreadable(answer.members, "members"),
        *_gone(gone),
        *_unknown(answer.partitions),
        *_unreadable(unknown, "lags"),
        *_unset(answer.settings),
        *_beyond(lags),
    )
    if answer.unlisted and MEMBERS not in failed:
        warnings = (f"some consumer groups can't be listed and are left out: {answer.unlisted}", *warnings)
    return Measured(frames, failed, warnings)


def to_samples(
    frames: Mapping[str, pl.DataFrame], steps: Mapping[str, int], *, source: str, platform: str, cluster: str = ""
) -> Samples:
    """The signals named in `steps` (signal → epoch ms) as samples of that one step, which alone is covered.

    A `cluster` becomes a label of every series.
    """
    if not steps:
        return Samples.empty()
    signals = sorted(steps)
    owner = {"source": pl.lit(source), "platform": pl.lit(platform)}
    parts = [_rows(frames[signal], signal, steps[signal], cluster) for signal in signals]
    rows = pl.concat(parts).with_row_index("sid").with_columns(**owner)
    ends = [steps[signal] for signal in signals]
    coverage = pl.DataFrame({"signal": signals, "first": ends, "last": ends}).with_columns(**owner)
    return Samples(
        rows.select(SERIES.names()).cast(SERIES),
        rows.select(SAMPLES.names()).cast(SAMPLES),
        coverage.select(COVERAGE.names()).cast(COVERAGE),
    )


def _rows(frame: pl.DataFrame, signal: str, step: int, cluster: str) -> pl.DataFrame:
    # The canonical form of labels (sorted, compact JSON), made by Polars for all series at once.
    columns = {name: pl.col(name).cast(pl.String) for name in frame.columns if name != "value"}
    if cluster:
        columns["cluster"] = pl.lit(cluster)
    labels = pl.struct([columns[name].alias(name) for name in sorted(columns)]).struct.json_encode()
    value, ts = pl.col("value").cast(pl.Float64), pl.lit(step, dtype=pl.Int64)
    return frame.select(value, ts=ts, signal=pl.lit(signal), labels=labels).sort("labels")


def _unknown_lags(answer: Answer, offsets: pl.DataFrame) -> pl.DataFrame:
    """consumer_group and problem, where the commit or the end of a partition that the group reads is unknown.

    The lag of the other partitions, summed, would look like a recovery.
    """
    columns = ["consumer_group", "problem"]
    unread = answer.committed.filter(pl.col("topic").is_not_null(), pl.col("problem").is_not_null())
    endless = answer.partitions.filter(pl.col("partition").is_not_null(), pl.col("end").is_null())
    undescribed = answer.partitions.filter(pl.col("partition").is_null(), pl.col("problem").is_not_null())
    parts = (unread, offsets.join(endless, on=["topic", "partition"]), offsets.join(undescribed, on="topic"))
    return pl.concat([part.select(columns) for part in parts]).unique()


def _failed(answer: Answer, frames: Mapping[str, pl.DataFrame], unknown: pl.DataFrame) -> dict[str, str]:
    failed: dict[str, str] = {}
    if frames[END].is_empty() and (why := _why(answer.partitions)):
        failed[END] = f"the end of no partition could be read: {why}"
    if frames[LAG].is_empty() and (why := _why(unknown)):
        failed[LAG] = f"the lag of no consumer group is known as a whole: {why}"
    if frames[MEMBERS].is_empty() and (why := _why(answer.members)):
        failed[MEMBERS] = f"no consumer group could be described: {why}"
    if answer.committed["problem"].null_count() == 0 and (why := _why(answer.committed)):
        failed[LAG] = failed[COMMITTED] = f"the committed offsets of no consumer group could be read: {why}"
    if frames[MINIMUM].is_empty() and (why := _why(answer.settings)):
        failed[MINIMUM] = failed[UNCLEAN] = f"the settings of no topic could be read: {why}"
    if answer.unlisted and answer.members.is_empty() and answer.committed.is_empty():
        why = f"the consumer groups can't be listed: {answer.unlisted}"
        failed |= dict.fromkeys((LAG, COMMITTED, MEMBERS), why)
    return failed


def _why(rows: pl.DataFrame) -> str:
    """One of the problems, the same one for the same set of them; "" if there is none."""
    first = rows["problem"].drop_nulls().min()
    return first if isinstance(first, str) else ""


def _unreadable(rows: pl.DataFrame, what: str) -> list[str]:
    found = rows.filter(pl.col("problem").is_not_null()).group_by("problem")
    return _lines(
        found.agg(pl.col("consumer_group").unique().sort()).sort("problem"),
        lambda problem, groups: f"{what} of consumer group {_some(groups)} are left out: {problem}",
    )


def _gone(rows: pl.DataFrame) -> list[str]:
    found = rows.group_by("consumer_group", "topic").agg(pl.col("partition").sort())
    return _lines(
        found.sort("consumer_group", "topic"),
        lambda group, topic, numbers: (
            f"consumer group {group} has offsets of topic {topic}, partition {_some(numbers)}, "
            "which doesn't exist (any more) or may not be described; they are left out"
        ),
    )


def _unknown(rows: pl.DataFrame) -> list[str]:
    found = rows.filter(pl.col("problem").is_not_null()).group_by("topic", "problem")
    return _lines(
        found.agg(pl.col("partition").drop_nulls().sort()).sort("topic", "problem"),
        lambda topic, problem, numbers: (
            f"topic {topic}{', partition ' + _some(numbers) if numbers else ''}: "
            f"end and lag are unknown and left out: {problem}"
        ),
    )


def _unset(rows: pl.DataFrame) -> list[str]:
    found = rows.filter(pl.col("problem").is_not_null()).group_by("problem")
    return _lines(
        found.agg(pl.col("topic").unique().sort()).sort("problem"),
        lambda problem, topics: f"settings of topic {_some(topics)} are left out: {problem}",
    )


def _beyond(lags: pl.DataFrame) -> list[str]:
    found = lags.filter(pl.col("beyond") > 0).select("consumer_group", "topic", "partition", "committed", "end")
    return _lines(
        found.sort("consumer_group", "topic", "partition"),
        lambda group, topic, number, committed, end: (
            f"consumer group {group}: offset {committed} of topic {topic}, partition {number} is beyond its end {end}, "
            "as after the topic was created anew; the lag is given as 0"
        ),
    )


def _some(names: list[str] | list[int]) -> str:
    shown = ", ".join(printable(str(name), 100) for name in names[:_MOST])
    return shown if len(names) <= _MOST else f"{shown} and {len(names) - _MOST} more"


def _lines(rows: pl.DataFrame, line: Callable[..., str]) -> list[str]:
    """One warning a row, the texts in it made printable, and a count of those beyond the first few."""
    cells = ((printable(cell) if isinstance(cell, str) else cell for cell in row) for row in rows[:_MOST].iter_rows())
    shown = [line(*row) for row in cells]
    return shown if len(rows) <= _MOST else [*shown, f"{len(rows) - _MOST} more warnings of this kind"]
