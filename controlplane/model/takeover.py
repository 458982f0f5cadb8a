"""Derived signals of takeover: how many members could take over, what would be lost, and how many losses are left."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, Strict

from controlplane.model.base import Model, SignalName
from controlplane.model.methods.eligibility import Eligibility

Span = tuple[timedelta, timedelta]

REMEMBERED = timedelta(hours=1)
"""How long the last position of a member counts: that of a lost primary stays the reference."""


class Takeover:
    """What the derived signals of this module say about themselves."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The signals that it is derived from."""
        raise NotImplementedError(type(self).__name__)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What of them before a step it needs; none where it looks at the step alone."""
        return ()


class _Members(Takeover, Eligibility):
    position: SignalName = "postgresql.wal.position"
    lag: SignalName = "postgresql.replication.lag"
    synchronous: SignalName = "postgresql.replication.synchronous"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The signals that it is derived from, with the labels cluster and host."""
        return (self.position, self.lag, self.synchronous)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What of them before a step it needs."""
        return ((REMEMBERED + self.rate_over, timedelta(0)),)


class FailoverCandidates(_Members):
    """How many members of a database cluster may take over from its primary now, by Patroni's tests.

    Members are those of the inventory with this cluster (and `role`). The primary is the member with a position and
    no replication lag; when it dies its last position stays the reference for an hour. Series: cluster.
    """

    method: Literal["failover_candidates"]


class FailoverLoss(_Members):
    """What is lost at most if the primary dies now and the member that loses least takes over.

    Bytes: the WAL that it lacks and what the primary writes within `ttl`; seconds: its replication lag and `ttl`. A
    synchronous standby loses nothing acknowledged: 0. +Inf where no member is reachable. Series: cluster.
    """

    method: Literal["failover_loss"]
    measure: Literal["bytes", "seconds"]


class _Sentinel(Takeover, Model):
    replicas: SignalName = "redis.sentinel.replicas.ok"
    sentinels: SignalName = "redis.sentinel.sentinels.ok"
    known: SignalName = "redis.sentinel.sentinels.known"
    quorum: SignalName = "redis.sentinel.quorum"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The signals that it is derived from, with the label cluster."""
        return (self.replicas, self.sentinels, self.known, self.quorum)


class SentinelCandidates(_Sentinel):
    """How many replicas Sentinel could promote now: `replicas`, or 0 where it couldn't decide or agree.

    It decides with `quorum` Sentinels and acts with a majority of all it knows; `sentinels` are those that are
    reachable. Series: cluster.
    """

    method: Literal["sentinel_candidates"]


class SentinelMargin(_Sentinel):
    """How many more Sentinels may be lost before no failover can be decided or agreed on; negative: none can be now.

    Series: cluster.
    """

    method: Literal["sentinel_margin"]


class IsrMargin(Takeover, Model):
    """How many more replicas the worst partition of a topic may lose before it takes no writes.

    Replicas in sync − min.insync.replicas; −1 and less: writes with acks=all are refused already. A topic of which
    `minimum` isn't measured has `or_else` (Kafka's default: 1). Series: topic, and cluster where the samples have it.
    """

    method: Literal["isr_margin"]
    of: SignalName = "kafka.partition.replicas_in_sync"
    minimum: SignalName = "kafka.topic.min_insync_replicas"
    or_else: Annotated[int, Strict(), Field(ge=1)] = 1

    @property
    def inputs(self) -> tuple[str, ...]:
        """The signals that it is derived from, with the labels topic and partition."""
        return (self.of, self.minimum)


TakeoverSignals = FailoverCandidates | FailoverLoss | SentinelCandidates | SentinelMargin | IsrMargin
