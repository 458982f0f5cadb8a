"""When hosts die: what starts where, what has to stop for it, and what has to wait."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controlplane.packing.board import Board
from controlplane.packing.fit import nodes_for
from controlplane.packing.problem import (
    RESOURCES,
    Machine,
    Placement,
    Problem,
    fits,
    minus,
    reduced,
    total,
    used,
)
from controlplane.packing.solver import Program


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What to do when hosts died; machines in the order in which it is done."""

    lost: tuple[str, ...]
    """The hosts."""
    gone: tuple[Machine, ...]
    """What ran on them."""
    start: dict[str, str]
    """Machine → the host where it starts again, in order."""
    stop: tuple[str, ...]
    """Machines of other hosts that give way to more important ones, the least important first."""
    waiting: dict[str, str]
    """Machine → why it can't start, in order."""
    redundant: tuple[str, ...]
    """Of the waiting ones those whose group goes on without them."""
    over: tuple[str, ...] = field(default=())
    """Surviving hosts that promise more than they have, before anything is started."""

    @property
    def carried(self) -> bool:
        """Whether everything runs again and nothing had to stop."""
        return not self.waiting and not self.stop


def needed(members: int) -> int:
    """How many of a group have to run: one of two, else a majority (the quorum of Kafka, etcd and the like)."""
    return 1 if members <= 2 else members // 2 + 1


def after_loss(problem: Problem, lost: Iterable[str]) -> Aftermath:
    """Start the most important machines that were lost where there is room, those of a lower rank giving way.

    First, by rank (a group has that of its first member), so many of every group that it goes on, and machines without
    a group; then, with what is left, the rest of the groups. Survivors don't move, and no host ends up with more than
    its room, or than it has promised now.
    """
    dead = tuple(lost)
    left = problem.without(dead)
    small = reduced(left)
    now = left.now
    gone = tuple(machine for machine in problem.machines if machine.host in dead)
    loads = used(small, now)
    over = tuple(host.id for host in small.hosts if not fits(loads[host.id], host.room))
    again = [machine for machine in small.machines if machine.host in dead]
    start = _beside(small, again, now)
    stop: tuple[str, ...] = ()
    if start is None:
        start, stop = _chosen(small, again, now, loads)
    ranked = sorted(gone, key=lambda machine: (machine.rank, machine.id))
    ranks = {machine.id: machine.rank for machine in problem.machines}
    waiting = {
        machine.id: _why(machine, left, {**{m: h for m, h in now.items() if m not in stop}, **start})
        for machine in ranked
        if machine.id not in start
    }
    running = ({machine.id for machine in problem.machines if machine.host not in dead} - set(stop)) | set(start)
    return Aftermath(
        lost=dead,
        gone=tuple(ranked),
        start={machine.id: start[machine.id] for machine in ranked if machine.id in start},
        stop=tuple(sorted(stop, key=lambda machine: (-ranks[machine], machine))),
        waiting=waiting,
        redundant=tuple(machine for machine in waiting if _goes_on(problem, machine, running)),
        over=over,
    )


def _goes_on(problem: Problem, machine: str, running: set[str]) -> bool:
    return any(
        sum(member.id in running for member in members) >= needed(len(members))
        for members in problem.groups.values()
        if machine in {member.id for member in members}
    )


def _beside(problem: Problem, again: Sequence[Machine], now: Placement) -> Placement | None:
    """Everything beside what runs, in the free room; None where that isn't found at once."""
    board = Board(problem, now)
    for best in (True, False):
        board = Board(problem, now)
        ordered = sorted(again, key=lambda machine: (machine.size, machine.id), reverse=True)
        if not any(machine.pinned for machine in again) and not board.fill(ordered, best=best):
            return {machine.id: board.placement[machine.id] for machine in again}
    return None


def _chosen(
    problem: Problem, again: Sequence[Machine], now: Placement, loads: Mapping[str, tuple[int, int, int]]
) -> tuple[Placement, tuple[str, ...]]:
    program = Program()
    most = {host.id: tuple(map(max, host.room, loads[host.id])) for host in problem.hosts}
    start = {
        machine.id: {
            host.id: program.variable()
            for host in problem.hosts
            if not machine.pinned and fits(machine.size, host.room)
        }
        for machine in again
    }
    running = [machine for machine in problem.machines if machine.id in now]
    stay = {machine.id: program.variable() for machine in running}
    for machine in again:
        program.row([(variable, 1) for variable in start[machine.id].values()], most=1)
    for host in problem.hosts:
        here = [(stay[m.id], m) for m in running if now[m.id] == host.id]
        here += [(start[m.id][host.id], m) for m in again if host.id in start[m.id]]
        for of in range(len(RESOURCES)):
            program.row([(variable, machine.size[of]) for variable, machine in here], most=most[host.id][of])
    _apart(program, problem, start, stay, now)
    for goal in _goals(program, problem, {m: list(hosts.values()) for m, hosts in start.items()}, stay):
        _settle(program, goal)
    _settle(program, list(stay.values()))
    # Of as many that give way, the smallest ones.
    for machine in running:
        program.costs[stay[machine.id]] = -_weight(machine, problem)
    values = program.solve(nodes_for(len(program.costs))).values or (0,) * len(program.costs)
    begun = {m: h for m, hosts in start.items() for h, variable in hosts.items() if values[variable]}
    return begun, tuple(machine for machine, variable in stay.items() if not values[variable])


def _weight(machine: Machine, problem: Problem) -> int:
    room = problem.room()
    return 1 + sum(part * 1000 // most for part, most in zip(machine.size, room, strict=True) if most)


def _apart(
    program: Program, problem: Problem, start: Mapping[str, Mapping[str, int]], stay: Mapping[str, int], now: Placement
) -> None:
    domains = {host.id: host.domain for host in problem.hosts}
    for members in problem.groups.values():
        for domain in sorted(set(domains.values())):
            new = [v for m in members for h, v in start.get(m.id, {}).items() if domains[h] == domain]
            there = [stay[m.id] for m in members if m.id in stay and domains[now[m.id]] == domain]
            # Two that share a host already may go on; a new one joins none of them.
            for variable in there:
                program.row([*((v, 1) for v in new), (variable, 1)], most=1)
            if not there and len(new) > 1:
                program.row([(v, 1) for v in new], most=1)


def _goals(
    program: Program, problem: Problem, start: Mapping[str, Sequence[int]], stay: Mapping[str, int]
) -> list[list[int]]:
    """What counts, the most important first: lists of variables of which as many as possible shall be 1.

    Members of groups that run go on running; of the rest, what runs before what is started of the same rank, so that a
    machine gives way to more important ones only.
    """
    groups = problem.groups
    grouped = {member.id for members in groups.values() for member in members}
    stays: dict[int, list[int]] = {}
    starts: dict[int, list[int]] = {}
    rest: dict[int, list[int]] = {}
    for machine in problem.machines:
        if machine.id in stay and machine.id not in grouped:
            stays.setdefault(machine.rank, []).append(stay[machine.id])
        goal = rest if machine.id in grouped else starts
        goal.setdefault(machine.rank, []).extend(start.get(machine.id, ()))
    for members in groups.values():
        quorum = program.variable(most=needed(len(members)))
        run = [stay[m.id] for m in members if m.id in stay] + [v for m in members for v in start.get(m.id, ())]
        program.row([*((variable, 1) for variable in run), (quorum, -1)], least=0)
        starts.setdefault(min(member.rank for member in members), []).append(quorum)
    goals = [[variable for machine, variable in stay.items() if machine in grouped]]
    for rank in sorted({*stays, *starts}):
        goals += [stays.get(rank, []), starts.get(rank, [])]
    return [goal for goal in (*goals, *(rest[rank] for rank in sorted(rest))) if goal]


def _settle(program: Program, goal: Sequence[int]) -> None:
    """Make as many of these variables 1 as possible, and hold their number."""
    for variable in goal:
        program.costs[variable] = -1
    values = program.solve(nodes_for(len(program.costs))).values
    for variable in goal:
        program.costs[variable] = 0
    if values is not None:
        program.row([(variable, 1) for variable in goal], least=sum(values[variable] for variable in goal))


def _why(machine: Machine, left: Problem, placement: Placement) -> str:
    """Why a machine doesn't start."""
    if machine.pinned:
        return "it is pinned to its host"
    if not left.hosts:
        return "no host is left"
    domains = {host.id: host.domain for host in left.hosts}
    members = {other.id for other in left.machines if other.group and other.group == machine.group}
    taken = {domains[host] for other, host in placement.items() if other in members and host in domains}
    free = [host for host in left.hosts if host.domain not in taken]
    if not free:
        return f"one of {machine.group} runs on every host that is left"
    loads = used(left, placement)
    rooms = [minus(host.room, loads[host.id]) for host in free]
    short = [name for of, name in enumerate(RESOURCES) if machine.size[of] > max(room[of] for room in rooms)]
    return f"no host has enough {' and '.join(short)} left" if short else "no host has enough of everything left"


def shed(problem: Problem, aftermath: Aftermath) -> tuple[int, int, int]:
    """What all machines together ask that don't run after the loss."""
    out = set(aftermath.stop) | set(aftermath.waiting)
    return total(machine.size for machine in problem.machines if machine.id in out)


def survivors(problem: Problem, aftermath: Aftermath) -> Problem:
    """The hosts that are left and what runs on them after the plan was carried out."""
    out = set(aftermath.stop) | set(aftermath.waiting)
    machines = tuple(
        replace(machine, host=aftermath.start.get(machine.id, machine.host))
        for machine in problem.machines
        if machine.id not in out
    )
    return replace(problem.without(aftermath.lost), machines=machines)
