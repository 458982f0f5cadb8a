"""Parameters of the methods about hosts and the virtual machines on them."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Parameters, Positive, PriceId

_HOST = templates("host", "bmc")
_MACHINE = templates("machine", "host", "origin")


def _plain(checks: dict[str, Argv]) -> dict[str, Argv]:
    for argv in checks.values():
        if not argv:
            raise ValueError('a command needs at least its program, such as ["ceph", "health", "detail"]')
    return checks


Named = Annotated[str, Field(min_length=1, max_length=200)]


class Placed(Parameters):
    """What a placement has to hold where the inventory doesn't say it."""

    apart: Literal["cluster", "role", "none"] = "cluster"
    """Machines that have this in common never share a `domain`; `apart` of a machine's attributes goes first."""
    domain: Literal["host", "rack", "zone"] = "host"
    """What is lost together: `rack` is an attribute of the host."""
    reserve: dict[Literal["cores", "memory", "disk"], str] = Field(default_factory=dict)
    """What a host keeps for itself, `8%` or `16`; `reserve_cores` and so on of a host's attributes go first."""
    order: tuple[Named, ...] = ()
    """Roles and ids in the order in which machines start; `start_order` of a machine's attributes goes first."""


class Host(Placed):
    """`host`: where the machines of a dead host start again, in which order, and what doesn't fit.

    Reads the signal `up`.
    """

    up: str = "host.up"
    """1 while a host (label `host`) reports."""
    storage: Annotated[str, Field(min_length=1)] = "the storage of its disks answers"
    """What has to be true of the storage before a machine starts elsewhere."""
    checks: Annotated[dict[Named, Argv], AfterValidator(_plain)] = Field(default_factory=dict)
    """`storage`, a group or a role → the command that shows whether it is as it has to be before machines start."""
    fence: Positive = timedelta(minutes=1)
    """Until the host is certainly off (house)."""
    start: Positive = timedelta(minutes=2)
    """Until a started machine serves (house)."""
    parallel: Annotated[int, Strict(), Field(ge=1)] = 4
    """Machines that start at once (house)."""
    rto_target: Duration | None = None
    """Documented objective."""
    price: PriceId | None = None
    """Of one host; absent = the price that the hosts have."""
    fencing: Annotated[tuple[Argv, ...], _HOST] = (
        ("ipmitool", "-I", "lanplus", "-H", "{bmc}", "-U", "admin", "-E", "chassis", "power", "off"),
        ("ipmitool", "-I", "lanplus", "-H", "{bmc}", "-U", "admin", "-E", "chassis", "power", "status"),
        (
            "openstack",
            "compute",
            "service",
            "set",
            "--disable",
            "--disable-reason=host lost",
            "--down",
            "--",
            "{host}",
            "nova-compute",
        ),
    )
    """`bmc` is an attribute of the host; absent = its id and `-bmc`."""
    stop: Annotated[tuple[Argv, ...], _MACHINE] = (("openstack", "server", "stop", "--", "{machine}"),)
    begin: Annotated[tuple[Argv, ...], _MACHINE] = (
        ("openstack", "server", "evacuate", "--wait", "--host={host}", "--", "{machine}"),
    )
    revert_stop: Annotated[tuple[Argv, ...], _MACHINE] = (("openstack", "server", "start", "--", "{machine}"),)
    revert_begin: Annotated[tuple[Argv, ...], _MACHINE] = (
        ("openstack", "server", "migrate", "--live-migration", "--wait", "--host={origin}", "--", "{machine}"),
    )
    revert_fencing: Annotated[tuple[Argv, ...], _HOST] = (
        ("openstack", "compute", "service", "set", "--up", "--enable", "--", "{host}", "nova-compute"),
    )

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return (self.up,)


class HostSpare(Placed):
    """`host_spare`: which machines to move and how many hosts to add so that the loss of a host is carried.

    Reads nothing but the inventory.
    """

    spare: Annotated[int, Strict(), Field(ge=1, le=10)] = 1
    """Hosts whose loss is carried."""
    least: Literal["moves", "memory"] = "moves"
    """What is kept small first: the number of moves, or the memory that they copy."""
    maximum: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Most hosts, for space or power."""
    price: PriceId | None = None
    """Of one host; absent = the price that the hosts have."""
    delivery: Duration = timedelta(weeks=6)
    """Until an ordered host runs (house)."""
    move_time: Positive = timedelta(minutes=30)
    """One live migration (house)."""
    move: Annotated[tuple[Argv, ...], _MACHINE] = (
        ("openstack", "server", "migrate", "--live-migration", "--wait", "--host={host}", "--", "{machine}"),
    )

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return ()
