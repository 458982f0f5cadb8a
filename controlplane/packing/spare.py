"""Whether the loss of a host is carried, and how many hosts it takes so that it is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, islice
from math import comb

from controlplane.packing.board import Board, decreasing, orders
from controlplane.packing.fit import EXACT, apart_rows, extended, fewest, largest, nodes_for, pairs
from controlplane.packing.problem import Host, Machine, Placement, Problem, fits, reduced, used
from controlplane.packing.solver import Program

_LOSSES = 2_000


@dataclass(frozen=True, slots=True)
class Sized:
    """How many hosts it takes."""

    total: int
    """Hosts that are used or kept free."""
    add: int
    """Of them those that aren't there yet."""
    proven: bool
    """Whether fewer don't suffice."""
    bound: int
    """No placement has fewer hosts in all."""
    problem: Problem
    """With the hosts that are added."""
    placement: Placement
    kept: tuple[str, ...]
    """Hosts that stay empty for what a lost one carried."""


# Advice is asked for again every five minutes, mostly about the same inventory.
@lru_cache(maxsize=16)
def sized(problem: Problem, spare: int = 0) -> Sized | None:
    """The fewest hosts that carry all machines after the loss of any `spare` of them; None where none was found.

    Hosts of which each has room for what any other carries are kept empty. Where the largest ones are lost the rest has
    to carry everything, so no fewer can do. Added are hosts of the kind that there is most of.
    """
    kind = largest(problem.hosts)
    kept = _kept(problem, kind, spare)
    if kept is None:
        return None
    real = [host for host in kept if host in problem.hosts]
    rest = replace(problem, hosts=tuple(host for host in problem.hosts if host not in kept))
    more = extended(rest, kind) if rest.hosts or problem.machines else rest
    added, in_use = fewest(more, free=len(rest.hosts)), fewest(more)
    if added is None or in_use is None:
        return None
    new = len(kept) - len(real) + added.used
    placed = added if added.used else in_use
    clones = tuple(host for host in more.hosts[len(rest.hosts) :] if host.id in set(placed.placement.values()))
    spares = tuple(host for host in kept if host not in problem.hosts)
    whole = replace(problem, hosts=(*problem.hosts, *clones, *spares))
    return Sized(
        total=in_use.used + spare,
        add=new,
        proven=added.proven and in_use.proven,
        bound=in_use.bound + spare,
        problem=whole,
        placement=placed.placement,
        kept=tuple(host.id for host in kept),
    )


def _kept(problem: Problem, kind: Host, spare: int) -> list[Host] | None:
    """`spare` hosts, real ones first, that each have room for what any other host carries."""
    if not spare:
        return []
    held = {machine.host for machine in problem.machines if machine.pinned}
    loads = used(problem, problem.now)
    able = [
        host
        for host in problem.hosts
        if host.id not in held and all(fits(other.room, host.room) for other in problem.hosts)
    ]
    able.sort(key=lambda host: (loads[host.id], host.id))
    kept = able[:spare]
    if len(kept) < spare and not all(fits(host.room, kind.room) for host in problem.hosts):
        return None
    missing = spare - len(kept)
    taken = {host.id for host in problem.hosts}
    names = [f"spare-{number}" for number in range(1, missing + len(taken) + 1) if f"spare-{number}" not in taken]
    return [*kept, *(replace(kind, id=name, domain=name) for name in names[:missing])]


def stranded(problem: Problem, placement: Mapping[str, str], lost: Collection[str]) -> tuple[str, ...]:
    """Machines that find no room when hosts die and nothing else moves; pinned ones are lost with them."""
    small = reduced(problem.without(lost))
    gone = [machine for machine in small.machines if placement.get(machine.id) in lost]
    pinned = [machine.id for machine in gone if machine.pinned]
    again = [replace(machine, host="") for machine in gone if not machine.pinned]
    left = again
    for key in orders(small):
        rest = Board(small, placement).fill(decreasing(again, key), best=True)
        left = rest if len(rest) < len(left) else left
        if not left:
            return tuple(sorted(pinned))
    found = None
    if len(again) * len(small.hosts) <= EXACT:
        found = _most(Board(small, placement), small, again)
    return tuple(sorted([*pinned, *([machine.id for machine in left] if found is None else found)]))


def _most(board: Board, problem: Problem, again: Sequence[Machine]) -> list[str] | None:
    """Machines that are left where as many as possible are placed in what is free."""
    program = Program()
    free = Problem(
        tuple(replace(host, room=board.free[number]) for number, host in enumerate(problem.hosts)), tuple(again)
    )
    able = {
        machine.id: {
            host: program.variable(-1) for host in pairs(free)[machine.id] if board.takes(machine, board.on(host))
        }
        for machine in again
    }
    for machine in again:
        program.row([(variable, 1) for variable in able[machine.id].values()], most=1)
    for host in free.hosts:
        for of, room in enumerate(host.room):
            program.row([(able[m.id][host.id], m.size[of]) for m in again if host.id in able[m.id]], most=max(0, room))
    apart_rows(program, free, able)
    values = program.solve(nodes_for(len(program.costs))).values
    if values is None:
        return None
    return [machine.id for machine in again if not any(values[v] for v in able[machine.id].values())]


def carries(problem: Problem, placement: Mapping[str, str], spare: int = 1) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Hosts → machines that find no room when these die together; losses that are carried aren't named.

    Of more than 2,000 losses none is looked at where so many hosts stay empty that each takes what any other carries;
    else the first 2,000 are.
    """
    hosts = tuple(host.id for host in problem.hosts)
    losses = combinations(hosts, min(spare, len(hosts)))
    if comb(len(hosts), spare) > _LOSSES and len(_empty(problem, placement)) >= spare:
        return {}
    found = {lost: stranded(problem, placement, lost) for lost in islice(losses, _LOSSES)}
    return {lost: machines for lost, machines in found.items() if machines}


def _empty(problem: Problem, placement: Mapping[str, str]) -> list[str]:
    """Hosts that carry nothing and have room for what any other carries."""
    taken = set(placement.values())
    return [
        host.id
        for host in problem.hosts
        if host.id not in taken and all(fits(other.room, host.room) for other in problem.hosts)
    ]
