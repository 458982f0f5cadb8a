"""Parameters of the method that sizes the servers of a database or cache of which one takes the writes."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, Strict

from controlplane.model.base import Duration, SignalName
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Fraction, Parameters, PriceId
from controlplane.model.methods.member_load import MemberLoad
from controlplane.model.sizes import Bytes

_FIELDS = ("cluster", "primary", "source", "rate")


class Replicas(Parameters):
    """`replicas`: whether reads, connections or the size of the servers hold a database back, and what that takes.

    Reads the signals of `loads`, `replica_signal`, and those of writes and connections where they are named. The
    cluster is the one that the alert's label cluster names, that of its host, or this host alone.
    """

    loads: Annotated[tuple[MemberLoad, ...], Field(min_length=1)] = (
        MemberLoad(signal="system.cpu.utilization", limit=0.8),
    )
    """Of each server, in the order in which they are told."""
    replica_signal: SignalName | None = "postgresql.replication.lag"
    """Has a series (label host) of every replica and none of the primary; absent or unknown = the attribute started_as
    of the inventory."""
    writes: SignalName | None = None
    """Transactions of the cluster; its limit in the inventory is what one primary takes."""
    writes_limit: Fraction = 0.8
    """Above this share of it more replicas don't help."""
    connections: SignalName | None = None
    """Connections of a server (label host); the limit is that of the inventory."""
    connections_limit: Fraction = 0.8
    """Above this share the pool is what to look at first."""
    maximum: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Most servers of the cluster."""
    maximum_step: Annotated[int, Strict(), Field(ge=1)] = 2
    """Most replicas added at once (house)."""
    noun: str = "replica"
    target: Literal["database cluster", "group"] = "database cluster"
    """What the target of the proposal is called; the name of the cluster follows."""
    price: PriceId | None = None
    """Of one server; absent = the price of the present ones."""
    larger_price: PriceId | None = None
    """Of one server of the next size; absent = not known."""
    rate: Annotated[Bytes, Field(gt=0)] = 100e6
    """Bytes a second at which a new replica is copied (house); in the commands as kB."""
    time_to_effect: Duration = timedelta(hours=2)
    """Until a new replica answers."""
    commands: Annotated[tuple[Argv, ...], templates(*_FIELDS)] = (
        ("patronictl", "list", "--", "{cluster}"),
        (
            "pg_basebackup",
            "--host={source}",
            "--username=replicator",
            "--pgdata=/var/lib/postgresql/data",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--write-recovery-conf",
            "--max-rate={rate}k",
            "--progress",
        ),
        ("systemctl", "start", "patroni"),
        ("patronictl", "list", "--", "{cluster}"),
    )
    """On the new server; `source` is another replica, or the primary where there is none."""
    revert: Annotated[tuple[Argv, ...], templates(*_FIELDS)] = (
        ("systemctl", "stop", "patroni"),
        ("patronictl", "list", "--", "{cluster}"),
    )
    inspect: Annotated[tuple[Argv, ...], templates(*_FIELDS)] = (
        (
            "psql",
            "--host={primary}",
            "--command=select queryid, calls, round(total_exec_time) as ms, left(query, 80) as query"
            " from pg_stat_statements order by total_exec_time desc limit 10",
        ),
    )
    """Shows what asks for the most."""

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        named = [load.signal for load in self.loads] + [self.replica_signal, self.writes, self.connections]
        return tuple(dict.fromkeys(signal for signal in named if signal))
