"""The partitions of a Kafka cluster at an instant: which are offline, refuse writes, or have nothing to spare."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from controlplane.model.labels import printable
from controlplane.model.units import many
from controlplane.readiness.brokers import margins

IN_SYNC = "kafka.partition.replicas_in_sync"
MINIMUM = "kafka.topic.min_insync_replicas"
UNCLEAN = "kafka.topic.unclean_leader_election"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Partitions:
    """Partitions by what one more loss does to them; topics in name order."""

    count: int
    offline: Mapping[str, int]
    """Topic → partitions that nobody leads: neither read nor written."""
    refusing: Mapping[str, int]
    """Topic → partitions with fewer replicas in sync than it asks for: writes with acks=all are refused."""
    tight: Mapping[str, int]
    """Topic → partitions with just as many: one more loss stops writes."""
    single: Mapping[str, int]
    """Topic → partitions with one replica in sync: when that is lost they are offline, and what it has is gone."""
    unclean: tuple[str, ...]
    """Topics in which a replica that isn't in sync may lead: messages are lost then."""

    @property
    def spare(self) -> bool:
        """Whether every partition takes writes after one more loss."""
        return not (self.offline or self.refusing or self.tight)


def read_partitions(in_sync: pl.DataFrame, minimum: pl.DataFrame, unclean: pl.DataFrame, or_else: int) -> Partitions:
    """From the newest samples: topic, partition and value; topic and value."""
    here = {"source": pl.lit(""), "cluster": pl.lit(""), "ts": pl.lit(0, pl.Int64)}
    found = margins(in_sync.with_columns(**here), minimum.with_columns(**here), or_else)
    margin, left = pl.col("margin"), pl.col("in_sync")
    return Partitions(
        count=found.height,
        offline=_counted(found.filter(left <= 0)),
        refusing=_counted(found.filter(left > 0, margin < 0)),
        tight=_counted(found.filter(left > 0, margin >= 0, margin < 1)),
        single=_counted(found.filter(left > 0, left <= 1)),
        unclean=tuple(sorted(unclean.filter(pl.col("value") > 0)["topic"].unique())),
    )


def told(topics: Mapping[str, int]) -> str:
    """`3 partitions of orders, 1 partition of billing, and 4 more topics`."""
    parts = [f"{many(count, 'partition')} of {printable(topic, 60)}" for topic, count in topics.items()]
    more = len(parts) - _NAMED
    return ", ".join(parts[:_NAMED]) + (f", and {many(more, 'more topic')}" if more > 0 else "")


def _counted(rows: pl.DataFrame) -> dict[str, int]:
    return dict(rows.group_by("topic").agg(pl.len()).sort("topic").iter_rows())
