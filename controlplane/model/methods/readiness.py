"""Parameters of the methods that make something ready to be taken over, or answer the loss of a cache or broker."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Fraction, Parameters, Positive, PriceId
from controlplane.model.methods.eligibility import Eligibility
from controlplane.model.sizes import Bytes

_MEMBER = ("cluster", "member", "host")


class Standby(Eligibility, Parameters):
    """`standby`: what makes a member of a database cluster fit to take over, while its primary still lives.

    Reads postgresql.wal.position, postgresql.replication.lag and postgresql.replication.synchronous.
    """

    rpo_target: Duration | None = None
    """Documented objective."""
    replica_price: PriceId | None = None
    """Price of one more replica; absent = that of the primary."""
    time_to_effect: Duration = timedelta(minutes=30)
    """Until a member that is rebuilt has caught up."""
    catch_up_within: Positive = timedelta(minutes=30)
    """A member that catches up by itself within this time is left alone."""
    look: Annotated[tuple[Argv, ...], templates("cluster")] = (("patronictl", "list", "--", "{cluster}"),)
    """Run first, whatever is wrong; they only read."""
    start: Annotated[tuple[Argv, ...], templates(*_MEMBER)] = (
        ("ssh", "--", "{host}", "sudo systemctl restart patroni"),
    )
    """For a member that isn't heard of."""
    rebuild: Annotated[tuple[Argv, ...], templates(*_MEMBER)] = (
        ("patronictl", "reinit", "--", "{cluster}", "{member}"),
    )
    """For a member that is too far behind."""
    replay: Annotated[tuple[Argv, ...], templates(*_MEMBER)] = (
        (
            "psql",
            "--host={host}",
            "--command=select pid, now() - xact_start as age, query from pg_stat_activity "
            "where state <> 'idle' order by age desc nulls last limit 10",
        ),
    )
    """For a member that has everything and replays late; they only read."""
    synchronise: Annotated[tuple[Argv, ...], templates("cluster")] = (
        ("patronictl", "edit-config", "--set=synchronous_mode=true", "--", "{cluster}"),
    )
    """Where nothing may be lost but nobody is synchronous."""
    desynchronise: Annotated[tuple[Argv, ...], templates("cluster")] = (
        ("patronictl", "edit-config", "--set=synchronous_mode=false", "--", "{cluster}"),
    )
    """The way back from `synchronise`."""

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return ("postgresql.wal.position", "postgresql.replication.lag", "postgresql.replication.synchronous")


_BROKER = ("host", "server")


class Broker(Parameters):
    """`broker`: a Kafka broker that is lost: who leads now, whether the others carry it, and how it comes back.

    Reads kafka.partition.replicas_in_sync, kafka.topic.min_insync_replicas, kafka.topic.unclean_leader_election,
    system.cpu.utilization, system.network.utilization and system.filesystem.usage.
    """

    role: str = "kafka"
    """Role of the brokers in the inventory; resources of kind broker count too."""
    replication_factor: Annotated[int, Strict(), Field(ge=1)] = 3
    """Largest one of any topic: with fewer brokers left, nothing can be moved to the others."""
    or_else: Annotated[int, Strict(), Field(ge=1)] = 1
    """min.insync.replicas of a topic of which it isn't measured (Kafka: 1)."""
    cpu_limit: Fraction = 0.7
    network_limit: Fraction = 0.8
    """Utilisation that the others may reach (Cruise Control: CPU 0.7, network 0.8)."""
    away_after: Positive = timedelta(minutes=30)
    """A broker that is away for longer is replaced, or its partitions are moved (house)."""
    session: Positive = timedelta(seconds=9)
    """Until the controller gives its partitions to others (Kafka: broker.session.timeout.ms, 9 s)."""
    rto_target: Duration | None = None
    """Documented objective."""
    throttle: Annotated[Bytes, Field(gt=0)] = 50e6
    """Bytes a second at which partitions are copied (house)."""
    price: PriceId | None = None
    """Price of another machine; absent = that of the lost one."""
    start_time: Duration = timedelta(minutes=10)
    """From its start until it is in sync again."""
    bootstrap_server: str | None = None
    """For the commands; absent = the other brokers of the inventory at port 9092."""
    start: Annotated[tuple[Argv, ...], templates(*_BROKER)] = (
        ("ssh", "--", "{host}", "df --human-readable; sudo journalctl --unit kafka --lines 40 --no-pager"),
        ("ssh", "--", "{host}", "sudo systemctl start kafka"),
    )
    """The first ones look, the last one starts it."""

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        kafka = ("partition.replicas_in_sync", "topic.min_insync_replicas", "topic.unclean_leader_election")
        loads = ("system.cpu.utilization", "system.network.utilization", "system.filesystem.usage")
        return (*(f"kafka.{name}" for name in kafka), *loads)


class Cache(Parameters):
    """`cache`: which replica takes over from a Redis or Dragonfly primary that is lost, with Sentinel or without.

    While the primary lives, what makes a replica ready. Reads redis.replication.offset, redis.replica.priority (which
    replicas alone have), redis.sentinel.primary.up and what Sentinel sees: redis.sentinel.replicas.ok,
    redis.sentinel.sentinels.ok, redis.sentinel.sentinels.known and redis.sentinel.quorum.
    """

    role: str | None = None
    """Role of the members in the inventory; absent = every resource of the cluster."""
    port: Annotated[int, Strict(), Field(ge=1, le=65535)] = 6379
    sentinel_port: Annotated[int, Strict(), Field(ge=1, le=65535)] = 26379
    sentinels: tuple[str, ...] = ()
    """Hosts with a Sentinel; absent = the members of the cluster."""
    down_after: Positive = timedelta(seconds=30)
    """Until Sentinel counts the primary as down (its default: 30 s)."""
    reachable_within: Positive = timedelta(minutes=1)
    """A member without a sample for this long doesn't count as reachable."""
    rto_target: Duration | None = None
    """Documented objective."""
    replica_price: PriceId | None = None
    """Price of one more replica; absent = that of the primary."""
    time_to_effect: Duration = timedelta(minutes=1)
    look: Annotated[tuple[Argv, ...], templates("cluster", "sentinel", "sentinel_port")] = (
        ("redis-cli", "-h", "{sentinel}", "-p", "{sentinel_port}", "sentinel", "ckquorum", "{cluster}"),
        ("redis-cli", "-h", "{sentinel}", "-p", "{sentinel_port}", "sentinel", "replicas", "{cluster}"),
    )
    """Run first; they only read."""
    trigger: Annotated[tuple[Argv, ...], templates("cluster", "sentinel", "sentinel_port")] = (
        ("redis-cli", "-h", "{sentinel}", "-p", "{sentinel_port}", "sentinel", "failover", "{cluster}"),
    )
    """Where Sentinel can act and didn't."""
    promote: Annotated[tuple[Argv, ...], templates("candidate", "port")] = (
        ("redis-cli", "-h", "{candidate}", "-p", "{port}", "replicaof", "no", "one"),
    )
    """Where it can't."""
    follow: Annotated[tuple[Argv, ...], templates("candidate", "port", "replica")] = (
        ("redis-cli", "-h", "{replica}", "-p", "{port}", "replicaof", "{candidate}", "{port}"),
    )
    """For each other replica after `promote`."""
    start: Annotated[tuple[Argv, ...], templates("host")] = (("ssh", "--", "{host}", "sudo systemctl start dragonfly"),)
    """For a replica that isn't heard of."""
    start_sentinel: Annotated[tuple[Argv, ...], templates("host")] = (
        ("ssh", "--", "{host}", "sudo systemctl start redis-sentinel"),
    )
    """For each host with a Sentinel where too few answer."""

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        sentinel = ("primary.up", "replicas.ok", "sentinels.ok", "sentinels.known", "quorum")
        return ("redis.replication.offset", "redis.replica.priority", *(f"redis.sentinel.{name}" for name in sentinel))
