"""Parameters of the methods that say who takes over."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Fraction, Parameters
from controlplane.model.methods.eligibility import Eligibility


class Primary(Eligibility, Parameters):
    """`primary`: which member of a database cluster takes over from a lost primary, and what is lost.

    Reads postgresql.wal.position, postgresql.replication.lag and postgresql.replication.synchronous; readiness looks at
    system.cpu.utilization too.
    """

    rto_target: Duration | None = None
    rpo_target: Duration | None = None
    """Documented objectives."""
    time_to_effect: Duration = timedelta(minutes=1)
    """From the command to the first write."""
    commands: Annotated[tuple[Argv, ...], templates("cluster", "candidate", "lost")] = (
        ("patronictl", "list", "--", "{cluster}"),
        ("patronictl", "failover", "--candidate={candidate}", "--", "{cluster}"),
    )
    revert: Annotated[tuple[Argv, ...], templates("cluster", "candidate", "lost")] = (
        ("patronictl", "reinit", "--", "{cluster}", "{lost}"),
        ("patronictl", "switchover", "--leader={candidate}", "--candidate={lost}", "--", "{cluster}"),
    )

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        members = ("postgresql.wal.position", "postgresql.replication.lag", "postgresql.replication.synchronous")
        return (*members, "system.cpu.utilization")


class Load(BaseModel):
    """A load of instances: a signal with a `host` label, and what it is measured against."""

    model_config = Parameters.model_config

    signal: Annotated[str, Field(min_length=1)]
    capacity: Literal["cores", "memory_bytes", "disk_bytes", "network_bits_per_second"] | None = None
    """Capacity of the instance in the inventory; absent = the signal is a ratio already."""


class Zone(Parameters):
    """`zone`: how many instances to start in the surviving zones after one is lost.

    Reads the signals of `loads`, instance.up and zone.up.ratio.
    """

    roles: tuple[str, ...] = ()
    """Roles that are replaced; empty = every role of the lost zone."""
    kinds: tuple[Literal["instance", "host", "vm", "container", "broker"], ...] = ("instance",)
    loads: Annotated[tuple[Load, ...], Field(min_length=1)] = (Load(signal="system.cpu.utilization"),)
    """The largest demand of them counts; each role is measured by those that its hosts have."""
    limit: Fraction = 0.667
    """Utilisation of the surviving instances (two thirds, so that the loss of one of three zones is carried)."""
    minimum_known: Fraction = 0.9
    """Share of a role's instances whose load must be known."""
    unit: Annotated[int, Strict(), Field(ge=1)] = 1
    """Instances are started in whole multiples of this, such as a primary with its replicas."""
    units: dict[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    """The same by role, where it differs."""
    maximum: dict[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    """Largest number of instances by role."""
    replication_factor: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Copies of each piece of data, spread evenly over the zones."""
    rto_target: Duration | None = None
    """Documented objective."""
    time_to_effect: Duration = timedelta(minutes=10)
    """Until started instances serve."""
    commands: Annotated[tuple[Argv, ...], templates("role", "zones", "lost", "start", "total", "before")] = (
        (
            "aws",
            "autoscaling",
            "update-auto-scaling-group",
            "--auto-scaling-group-name={role}",
            "--desired-capacity={total}",
            "--availability-zones",
            "{zones}",
        ),
    )
    """Run for each role; `zones` are the surviving ones, one argument each."""
    revert: Annotated[tuple[Argv, ...], templates("role", "zones", "lost", "start", "total", "before")] = (
        (
            "aws",
            "autoscaling",
            "update-auto-scaling-group",
            "--auto-scaling-group-name={role}",
            "--desired-capacity={before}",
            "--availability-zones",
            "{zones}",
            "{lost}",
        ),
    )

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return ("instance.up", "zone.up.ratio", *(load.signal for load in self.loads))
