"""Hosts, machines and rules of a placement, in whole numbers: thousandths of a core, bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import gcd

RESOURCES = ("cores", "memory", "disk")
"""The order of every size and room."""

Size = tuple[int, int, int]
Placement = dict[str, str]
"""Machine → host."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host: what it has, and what of it machines may use."""

    id: str
    capacity: Size
    room: Size
    """The capacity without the reserve."""
    domain: str
    """What fails together and holds at most one machine of a group: the host itself, its rack or its zone."""
    price: str | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine: what it is guaranteed, where it runs, and what it must not share a host with."""

    id: str
    size: Size
    host: str = ""
    """Where it runs; empty = nowhere yet."""
    group: str = ""
    """Machines of one group have to be apart; empty = it has none."""
    pinned: bool = False
    """Whether it may run on its host alone."""
    rank: int = 0
    """The lower, the earlier it is started."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Hosts and machines; ids are unique."""

    hosts: tuple[Host, ...]
    machines: tuple[Machine, ...]

    @property
    def now(self) -> Placement:
        """Where machines run that run on one of the hosts."""
        there = {host.id for host in self.hosts}
        return {machine.id: machine.host for machine in self.machines if machine.host in there}

    @property
    def groups(self) -> dict[str, tuple[Machine, ...]]:
        """Groups with two or more members."""
        found: dict[str, list[Machine]] = {}
        for machine in self.machines:
            if machine.group:
                found.setdefault(machine.group, []).append(machine)
        return {name: tuple(members) for name, members in sorted(found.items()) if len(members) > 1}

    def without(self, lost: Iterable[str]) -> "Problem":
        """The same without some hosts."""
        gone = set(lost)
        return replace(self, hosts=tuple(host for host in self.hosts if host.id not in gone))

    def asked(self) -> Size:
        """What all machines are guaranteed together."""
        return total(machine.size for machine in self.machines)

    def room(self) -> Size:
        """What machines may use of all hosts."""
        return total(host.room for host in self.hosts)


def total(sizes: Iterable[Size]) -> Size:
    """The sum by resource."""
    cores = memory = disk = 0
    for one in sizes:
        cores, memory, disk = cores + one[0], memory + one[1], disk + one[2]
    return cores, memory, disk


def minus(left: Size, right: Size) -> Size:
    """The difference by resource."""
    return left[0] - right[0], left[1] - right[1], left[2] - right[2]


def fits(size: Size, room: Size) -> bool:
    """Whether a size is within a room in every resource."""
    return size[0] <= room[0] and size[1] <= room[1] and size[2] <= room[2]


def used(problem: Problem, placement: Mapping[str, str]) -> dict[str, Size]:
    """Host → what its machines are guaranteed; machines on other hosts don't count."""
    found: dict[str, list[Size]] = {host.id: [] for host in problem.hosts}
    for machine in problem.machines:
        where = placement.get(machine.id, "")
        if where in found:
            found[where].append(machine.size)
    return {host: total(sizes) for host, sizes in found.items()}


def reduced(problem: Problem) -> Problem:
    """The same problem in the largest whole steps of each resource.

    Sums of sizes are multiples of their greatest common divisor, so a room may be rounded down to one: nothing that
    fits is lost, and a solver works on small numbers.
    """
    steps = tuple(gcd(*(machine.size[of] for machine in problem.machines)) or 1 for of in range(len(RESOURCES)))

    def smaller(size: Size) -> Size:
        return size[0] // steps[0], size[1] // steps[1], size[2] // steps[2]

    return Problem(
        tuple(replace(host, room=smaller(host.room)) for host in problem.hosts),
        tuple(replace(machine, size=smaller(machine.size)) for machine in problem.machines),
    )


def faults(problem: Problem, placement: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with a placement, in plain words; empty = it holds all rules and places every machine."""
    hosts = {host.id: host for host in problem.hosts}
    found = []
    for machine in problem.machines:
        where = placement.get(machine.id)
        if where not in hosts:
            found.append(f"{machine.id} has no host")
        elif machine.pinned and machine.host != where:
            found.append(f"{machine.id} is pinned to {machine.host or 'no host'}")
    loads = used(problem, placement)
    for host in problem.hosts:
        over = [name for name, load, room in zip(RESOURCES, loads[host.id], host.room, strict=True) if load > room]
        if over:
            found.append(f"{host.id} has too little {', '.join(over)}")
    for name, members in problem.groups.items():
        places = [hosts[placement[m.id]].domain for m in members if placement.get(m.id) in hosts]
        shared = sorted({domain for domain in places if places.count(domain) > 1})
        found += [f"machines of {name} share {domain}" for domain in shared]
    return tuple(found)
