"""Whether all machines fit on some hosts, and on how few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from controlplane.packing.board import quick, quick_fewest
from controlplane.packing.bounds import least_hosts
from controlplane.packing.problem import Host, Machine, Placement, Problem, fits, reduced
from controlplane.packing.solver import Program
from controlplane.packing.squeeze import squeeze

EXACT = 6_000
"""So many pairs of machine and host are solved as a whole; with more, parts of the placement are."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A placement on as few hosts as were found."""

    placement: Placement
    used: int
    bound: int
    """No placement uses fewer."""

    @property
    def proven(self) -> bool:
        """Whether it is the smallest number."""
        return self.used <= self.bound

    @property
    def gap(self) -> float:
        """How much of the number may be too much."""
        return (self.used - self.bound) / self.used if self.used else 0.0


def pairs(problem: Problem) -> dict[str, dict[str, int]]:
    """Machine → the hosts that could carry it alone, with their number."""
    return {
        machine.id: {
            host.id: number
            for number, host in enumerate(problem.hosts)
            if (not machine.pinned or machine.host == host.id) and fits(machine.size, host.room)
        }
        for machine in problem.machines
    }


def place_rows(
    program: Program, problem: Problem, chosen: Mapping[str, Mapping[str, int]], open_: Mapping[str, int] | None = None
) -> None:
    """Rows that hold every placement: each machine once, no host over its room, groups apart.

    `chosen` is machine → host → variable; `open_` host → variable that has to be 1 where the host is used.
    """
    for machine in problem.machines:
        program.row([(variable, 1) for variable in chosen[machine.id].values()], least=1, most=1)
    for host in problem.hosts:
        there = [(m, chosen[m.id][host.id]) for m in problem.machines if host.id in chosen[m.id]]
        for of, room in enumerate(host.room):
            asked = [(variable, machine.size[of]) for machine, variable in there if machine.size[of]]
            if open_ is not None:
                program.row([*asked, (open_[host.id], -room)], most=0)
                # What asks for nothing uses its host all the same.
                for machine, variable in there:
                    if not of and not any(machine.size):
                        program.row([(variable, 1), (open_[host.id], -1)], most=0)
            elif sum(size for _, size in asked) > room:
                program.row(asked, most=room)
    apart_rows(program, problem, chosen)


def apart_rows(program: Program, problem: Problem, chosen: Mapping[str, Mapping[str, int]]) -> None:
    """Rows that keep the members of each group in different domains."""
    domains = {host.id: host.domain for host in problem.hosts}
    for members in problem.groups.values():
        by_domain: dict[str, list[tuple[int, int]]] = {}
        for machine in members:
            for host, variable in chosen[machine.id].items():
                by_domain.setdefault(domains[host], []).append((variable, 1))
        for terms in by_domain.values():
            if len(terms) > 1:
                program.row(terms, most=1)


def read_off(values: Sequence[int], chosen: Mapping[str, Mapping[str, int]]) -> Placement:
    """The placement that the values of a program say."""
    return {
        machine: host for machine, hosts in chosen.items() for host, variable in hosts.items() if values[variable] == 1
    }


def nodes_for(variables: int) -> int:
    """Nodes of the search that stay within seconds."""
    return max(200, 2_000_000 // max(1, variables))


def place(problem: Problem) -> tuple[Placement | None, bool]:
    """A placement of all machines, None where none was found; and whether that is certain."""
    small = reduced(problem)
    if least_hosts(small) > len(small.hosts) or not all(pairs(small).values()):
        return None, True
    found = quick(small)
    if found is not None:
        return found, True
    if len(small.machines) * len(small.hosts) > EXACT:
        return _squeezed(small), False
    program, possible = Program(), pairs(small)
    chosen = {machine: {host: program.variable() for host in hosts} for machine, hosts in possible.items()}
    place_rows(program, small, chosen)
    answer = program.solve(nodes_for(len(program.costs)))
    return (None if answer.values is None else read_off(answer.values, chosen)), answer.proven


def _squeezed(problem: Problem) -> Placement | None:
    """Placed on further hosts of the largest kind, and these emptied again."""
    more = extended(problem, largest(problem.hosts))
    start = quick_fewest(more)
    if start is None:
        return None
    found = squeeze(more, start, len(problem.hosts))
    real = {host.id for host in problem.hosts}
    return found if set(found.values()) <= real else None


def fewest(problem: Problem, *, free: int = 0) -> Packed | None:
    """All machines on as few of the hosts as possible, the first ones where it makes no difference.

    The first `free` hosts don't count: what counts then is how many of the others it takes. None where they don't fit.
    """
    small = reduced(problem)
    if not all(pairs(small).values()):
        return None
    bound = least_hosts(small)
    if bound > len(small.hosts):
        return None
    start = quick_fewest(small)
    if len(small.machines) * len(small.hosts) > EXACT:
        if start is None:
            return None
        found = squeeze(small, start, bound)
        counted = {host.id for host in small.hosts[free:]}
        return Packed(found, len(set(found.values()) & counted), max(0, bound - free))
    if start is not None and not free and len(set(start.values())) == bound:
        return Packed(start, bound, bound)
    return _exactly(small, bound, free)


def _exactly(problem: Problem, bound: int, free: int) -> Packed | None:
    program, possible = Program(), pairs(problem)
    open_ = {host.id: program.variable(cost=0 if number < free else 1) for number, host in enumerate(problem.hosts)}
    chosen = {machine: {host: program.variable() for host in hosts} for machine, hosts in possible.items()}
    place_rows(program, problem, chosen, open_)
    program.row([(variable, 1) for variable in open_.values()], least=bound)
    pinned = {machine.host for machine in problem.machines if machine.pinned}
    counted = problem.hosts[free:]
    for first, second in pairwise(counted):
        # Hosts that differ in nothing are used in their order.
        if first.room == second.room and not pinned & {first.id, second.id} and _alone(problem, first, second):
            program.row([(open_[first.id], 1), (open_[second.id], -1)], least=0)
    answer = program.solve(nodes_for(len(program.costs)))
    if answer.values is None:
        start = quick_fewest(problem)
        if answer.proven or start is None:
            return None
        ids = {host.id for host in counted}
        return Packed(start, len(set(start.values()) & ids), max(0, bound - free))
    placement = read_off(answer.values, chosen)
    ids = {host.id for host in counted}
    taken = len(set(placement.values()) & ids)
    least = taken if answer.proven else max(0, bound - free, round(answer.bound + 0.499))
    return Packed(placement, taken, min(taken, least))


def _alone(problem: Problem, *hosts: Host) -> bool:
    """Whether each of these hosts is the only one of its domain."""
    domains = [host.domain for host in problem.hosts]
    return all(domains.count(host.domain) == 1 for host in hosts)


def largest(hosts: Sequence[Host]) -> Host:
    """The kind of host that is bought: the most frequent one, of several the largest."""
    rooms = [host.room for host in hosts]
    return max(hosts, key=lambda host: (rooms.count(host.room), host.room))


def extended(problem: Problem, kind: Host, count: int | None = None) -> Problem:
    """The problem with `count` further empty hosts of a kind (absent: as many as certainly suffice)."""
    if count is None:
        count = _enough(problem, kind)
    taken = {host.id for host in problem.hosts}
    names: list[str] = []
    number = 1
    while len(names) < count:
        name = f"new-{number}"
        number += 1
        if name not in taken:
            names.append(name)
    more = tuple(replace(kind, id=name, domain=name) for name in names)
    return replace(problem, hosts=(*problem.hosts, *more))


def _enough(problem: Problem, kind: Host) -> int:
    """As many further hosts as first fit takes where it starts with those that are there."""
    for count in _doubling(len(problem.machines)):
        tried = extended(problem, kind, count)
        found = quick_fewest(tried)
        if found is not None:
            new = {host.id for host in tried.hosts[len(problem.hosts) :]}
            return len(new & set(found.values()))
    return len(problem.machines)


def _doubling(most: int) -> list[int]:
    counts, count = [0], 1
    while count < most:
        counts.append(count)
        count *= 2
    return [*counts, most]


def whole_machines(problem: Problem) -> tuple[Machine, ...]:
    """Machines that are larger than every host."""
    return tuple(m for m in problem.machines if not any(fits(m.size, host.room) for host in problem.hosts))
