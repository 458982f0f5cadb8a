"""Why machines don't fit: what is short, and which rule is at fault."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controlplane.packing.fit import place
from controlplane.packing.problem import RESOURCES, Problem, Size, fits, minus, total, used


@dataclass(frozen=True, slots=True)
class Resources:
    """What all machines ask of all hosts."""

    asked: Size
    there: Size
    room: Size
    """Without the reserve."""

    @property
    def short(self) -> Size:
        """What is lacking in all, whatever runs where."""
        over = minus(self.asked, self.room)
        return max(0, over[0]), max(0, over[1]), max(0, over[2])


@dataclass(frozen=True, slots=True)
class Apart:
    """A group of which several members share a host."""

    group: str
    domain: str
    machines: tuple[str, ...]


def resources(problem: Problem) -> Resources:
    """The sums."""
    return Resources(problem.asked(), total(host.capacity for host in problem.hosts), problem.room())


def overfull(problem: Problem) -> dict[str, Size]:
    """Host → what its machines ask beyond its room; hosts with room enough aren't named."""
    loads = used(problem, problem.now)
    found = {}
    for host in problem.hosts:
        over = minus(loads[host.id], host.room)
        if any(part > 0 for part in over):
            found[host.id] = (max(0, over[0]), max(0, over[1]), max(0, over[2]))
    return found


def together(problem: Problem) -> tuple[Apart, ...]:
    """Machines of one group that share a domain now."""
    domains = {host.id: host.domain for host in problem.hosts}
    found = []
    for name, members in problem.groups.items():
        by_domain: dict[str, list[str]] = {}
        for machine in members:
            if machine.host in domains:
                by_domain.setdefault(domains[machine.host], []).append(machine.id)
        found += [Apart(name, domain, tuple(m)) for domain, m in sorted(by_domain.items()) if len(m) > 1]
    return tuple(found)


def too_large(problem: Problem) -> tuple[str, ...]:
    """Machines that no host could carry alone."""
    return tuple(m.id for m in problem.machines if not any(fits(m.size, host.room) for host in problem.hosts))


def at_fault(problem: Problem) -> Mapping[str, bool]:
    """Rule → whether all machines would fit without it alone; for problems that don't fit as they are."""
    unbound = {
        "reserve of the hosts": replace(
            problem, hosts=tuple(replace(host, room=host.capacity) for host in problem.hosts)
        ),
        "groups that are apart": replace(problem, machines=tuple(replace(m, group="") for m in problem.machines)),
        "machines that are pinned": replace(
            problem, machines=tuple(replace(m, pinned=False) for m in problem.machines)
        ),
    }
    for of, name in enumerate(RESOURCES):
        zero = tuple(replace(m, size=_without(m.size, of)) for m in problem.machines)
        unbound[name] = replace(problem, machines=zero)
    return {name: place(changed)[0] is not None for name, changed in unbound.items() if changed != problem}


def _without(size: Size, of: int) -> Size:
    parts = [0 if number == of else part for number, part in enumerate(size)]
    return parts[0], parts[1], parts[2]
