"""Parameters of the methods that make something ready to be taken over, or answer the loss of a cache or a broker."""

from datetime import timedelta
from typing import Annotated

from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Parameters, Positive, PriceId
from controlplane.model.methods.eligibility import Eligibility
from controlplane.model.time import Duration

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
