"""Parameters of the method for a service that one node at a time provides, such as shared file storage."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Parameters, Positive

SignalText = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=1, max_length=300)]
NodeCommands = Annotated[tuple[Argv, ...], templates("service", "lost", "candidate", "address")]


class ActiveStandby(Parameters):
    """`active_standby`: which node takes over a service of one active node, with fencing before and mounts after.

    Reads `active`, `up`, `synchronous` and `fencing`.
    """

    label: SignalText = "service"
    """Label of the alert that names the service."""
    role: str | None = None
    """Role of the nodes in the inventory; one that no series speaks of counts as not heard of."""
    by: SignalText = "host"
    """Label of the series that names a node."""
    active: SignalText
    """1 where a node provides the service."""
    up: SignalText
    """1 where the cluster counts a node as a member."""
    synchronous: SignalText
    """1 where all data of a node is current."""
    fencing: SignalText | None = None
    """1 while the cluster may cut the power of a node."""
    reachable_within: Positive = timedelta(minutes=1)
    """A node without a sample for this long doesn't count as reachable."""
    rto_target: Duration | None = None
    """Documented objective of an automatic failover."""
    check_interval: Positive = timedelta(seconds=10)
    check_timeout: Positive = timedelta(seconds=5)
    unhealthy_after: Annotated[int, Strict(), Field(ge=1, le=100)] = 3
    healthy_after: Annotated[int, Strict(), Field(ge=1, le=100)] = 2
    """Health checks: their rhythm, and how many in a row decide."""
    address: Text
    """Address that moves with the service."""
    mounts: dict[Text, Text] = Field(default_factory=dict)
    """Mount point → a client on which it is looked at."""
    grace: Duration = timedelta(seconds=90)
    """Time in which locks wait after a takeover (NFS)."""
    time_to_effect: Duration = timedelta(minutes=3)
    look_commands: NodeCommands = ()
    """Who provides the service, and whose data is current; like all but `answer_commands` run on the candidate."""
    fence_commands: NodeCommands = ()
    fenced_commands: NodeCommands = ()
    """Show that the lost node is off."""
    take_over_commands: NodeCommands = ()
    answer_commands: NodeCommands = ()
    """Show that the service answers at its address; run on any machine that uses it."""
    revert: NodeCommands = ()

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return tuple(signal for signal in (self.active, self.up, self.synchronous, self.fencing) if signal)
