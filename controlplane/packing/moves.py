"""Which machines to move so that a placement holds its rules and, where asked for, carries the loss of a host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from controlplane.packing.board import Board, decreasing, orders
from controlplane.packing.fit import apart_rows, nodes_for, pairs, place, place_rows, read_off
from controlplane.packing.problem import Host, Machine, Placement, Problem, reduced, used
from controlplane.packing.solver import Program

Least = Literal["moves", "memory"]
VARIABLES = 9_000
"""So many variables are solved as a whole; with more, hosts that are over their room are relieved one by one."""
_MEMORY = 1
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Move:
    """One machine from a host to another; `origin` empty = it runs nowhere yet."""

    machine: str
    origin: str
    to: str


@dataclass(frozen=True, slots=True)
class Moves:
    """Moves in an order in which each finds room, and where everything runs then."""

    moves: tuple[Move, ...]
    placement: Placement
    bound: int
    """No way takes fewer moves."""
    parked: tuple[str, ...] = ()
    """Machines that have to stop meanwhile, because they wait for each other's place."""

    @property
    def proven(self) -> bool:
        """Whether there is no way with fewer moves."""
        return sum(bool(move.origin) for move in self.moves) <= self.bound


@lru_cache(maxsize=16)
def fewest_moves(
    problem: Problem, *, spare: int = 0, kept: tuple[str, ...] = (), least: Least = "moves"
) -> Moves | None:
    """The fewest moves to a placement that holds the rules, of those the ones that move least memory (or vice versa).

    With `spare` = 1 everything finds room when any one host dies. For more, or where the problem is large, the hosts
    in `kept` stay empty instead. None where no way was found.
    """
    small = reduced(problem)
    count = len(small.machines) * len(small.hosts) * (len(small.hosts) if spare == 1 else 1)
    if not all(pairs(small).values()):
        return None
    if count <= VARIABLES and spare <= 1:
        found = _exactly(small, spare == 1, least)
    else:
        found = _relieved(small, kept if spare else ())
    if found is None:
        return None
    placement, bound = found
    moves, parked = ordered(problem, placement)
    return Moves(moves, placement, bound, parked)


def _exactly(problem: Problem, spare: bool, least: Least) -> tuple[Placement, int] | None:
    now = problem.now
    program, possible = Program(), pairs(problem)
    chosen = {machine: {host: program.variable() for host in hosts} for machine, hosts in possible.items()}
    place_rows(program, problem, chosen)
    if spare:
        spare_rows(program, problem, chosen)
    moved: list[tuple[int, int]] = []
    weights = _weights(problem.machines)
    for machine in problem.machines:
        if machine.id in now:
            moved += [
                (variable, weights[machine.id])
                for host, variable in chosen[machine.id].items()
                if host != now[machine.id]
            ]
    costs = {"moves": {v: 1 for v, _ in moved}, "memory": dict(moved)}
    first, second = ("moves", "memory") if least == "moves" else ("memory", "moves")
    answers = []
    for name in (first, second):
        for variable, cost in costs[name].items():
            program.costs[variable] = cost
        answers.append(program.solve(nodes_for(len(program.costs))))
        values = answers[-1].values
        if values is None:
            break
        program.row(list(costs[name].items()), most=sum(values[v] * cost for v, cost in costs[name].items()))
        if name == "moves":
            bound = sum(values[v] for v, _ in moved) if answers[-1].proven else max(0, round(answers[-1].bound + 0.499))
    solved = [answer.values for answer in answers if answer.values is not None]
    if not solved:
        return None
    return read_off(solved[-1], chosen), (bound if least == "moves" else 0)


def spare_rows(program: Program, problem: Problem, chosen: Mapping[str, Mapping[str, int]]) -> None:
    """Rows that hold placements where every host's machines find room on the others; pinned ones are lost with it."""
    rooms = {host.id: host.room for host in problem.hosts}
    for lost in problem.hosts:
        others = [host for host in problem.hosts if host.id != lost.id]
        again: dict[str, dict[str, int]] = {}
        for machine in problem.machines:
            if machine.pinned or lost.id not in chosen[machine.id]:
                continue
            again[machine.id] = {host.id: program.variable() for host in others if host.id in chosen[machine.id]}
            program.row(
                [(chosen[machine.id][lost.id], -1), *((v, 1) for v in again[machine.id].values())], least=0, most=0
            )
        for host in others:
            for of, room in enumerate(rooms[host.id]):
                terms = [
                    (variables[host.id], machine.size[of])
                    for machine in problem.machines
                    for variables in (chosen[machine.id], again.get(machine.id, {}))
                    if host.id in variables and machine.size[of]
                ]
                if sum(size for _, size in terms) > room:
                    program.row(terms, most=room)
        both = {
            machine.id: [
                (host, variable)
                for variables in (chosen[machine.id], again.get(machine.id, {}))
                for host, variable in variables.items()
                if host != lost.id
            ]
            for machine in problem.machines
        }
        _apart(program, problem, both)


def _apart(program: Program, problem: Problem, both: Mapping[str, Sequence[tuple[str, int]]]) -> None:
    domains = {host.id: host.domain for host in problem.hosts}
    for members in problem.groups.values():
        terms: dict[str, list[tuple[int, int]]] = {}
        for machine in members:
            for host, variable in both[machine.id]:
                terms.setdefault(domains[host], []).append((variable, 1))
        for row in terms.values():
            program.row(row, most=1)


def _weights(machines: Sequence[Machine]) -> dict[str, int]:
    most = max((machine.size[_MEMORY] for machine in machines), default=0)
    step = max(1, -(-most // _STEPS))
    return {machine.id: -(-machine.size[_MEMORY] // step) for machine in machines}


def _relieved(problem: Problem, kept: Sequence[str]) -> tuple[Placement, int] | None:
    """What has to leave hosts that carry too much, or that shall be empty, put where there is room."""
    state = problem.now
    on: dict[str, list[Machine]] = {}
    for machine in problem.machines:
        if machine.id in state:
            on.setdefault(state[machine.id], []).append(machine)
    leaving: list[Machine] = [machine for machine in problem.machines if machine.id not in state]
    for host in problem.hosts:
        staying = set() if host.id in kept else _staying(host, on.get(host.id, []))
        leaving += [machine for machine in on.get(host.id, []) if machine.id not in staying]
    away = {machine.id for machine in leaving}
    for members in problem.groups.values():
        seen: set[str] = set()
        domains = {host.id: host.domain for host in problem.hosts}
        for machine in sorted(members, key=lambda one: (not one.pinned, one.id)):
            if machine.id in away or machine.id not in state:
                continue
            domain = domains[state[machine.id]]
            if domain in seen:
                leaving.append(machine)
                away.add(machine.id)
            seen.add(domain)
    if any(machine.pinned for machine in leaving):
        return None
    stay = {machine: host for machine, host in state.items() if machine not in away}
    open_ = replace(problem, hosts=tuple(h if h.id not in kept else replace(h, room=(0, 0, 0)) for h in problem.hosts))
    bound = len(away & set(state)) - (sum(state.get(m) in kept for m in away))
    for key in orders(problem):
        board = Board(open_, stay)
        if not board.fill(decreasing(leaving, key), best=True):
            moved = len([machine for machine in away if machine in state])
            return board.placement, moved if not kept else max(0, bound)
    anew, _ = place(Problem(tuple(host for host in problem.hosts if host.id not in kept), problem.machines))
    return None if anew is None else (anew, max(0, bound))


def _staying(host: Host, machines: Sequence[Machine]) -> set[str]:
    """As many machines of a host as fit it, of those the most memory; pinned ones always."""
    alone = Problem((host,), tuple(machines))
    load = used(alone, {machine.id: host.id for machine in machines})[host.id]
    groups = [machine.group for machine in machines if machine.group]
    if all(a <= b for a, b in zip(load, host.room, strict=True)) and len(set(groups)) == len(groups):
        return {machine.id for machine in machines}
    program, weights = Program(), _weights(machines)
    most = sum(weights.values()) + 1
    kept = {machine.id: {host.id: program.variable(-most - weights[machine.id])} for machine in machines}
    for of, room in enumerate(host.room):
        program.row([(kept[m.id][host.id], m.size[of]) for m in machines], most=room)
    for machine in machines:
        if machine.pinned:
            program.row([(kept[machine.id][host.id], 1)], least=1)
    apart_rows(program, alone, kept)
    values = program.solve().values
    if values is None:
        return {machine.id for machine in machines if machine.pinned}
    return {machine for machine, variables in kept.items() if values[variables[host.id]]}


def ordered(problem: Problem, placement: Mapping[str, str]) -> tuple[tuple[Move, ...], tuple[str, ...]]:
    """The moves to a placement, each once there is room; machines that wait for each other's place are parked."""
    now = problem.now
    board = Board(problem, now)
    machines = {machine.id: machine for machine in problem.machines}
    waiting = [
        Move(m.id, now.get(m.id, ""), placement[m.id]) for m in problem.machines if placement[m.id] != now.get(m.id)
    ]
    waiting.sort(key=lambda move: (not move.origin, move.machine))
    done: list[Move] = []
    parked: list[str] = []
    while waiting:
        ready = next(
            (move for move in waiting if board.takes(replace(machines[move.machine], pinned=False), board.on(move.to))),
            None,
        )
        if ready is None:
            held = [move for move in waiting if move.origin and move.machine not in parked]
            if not held:
                return (*done, *waiting), tuple(parked)
            first = min(held, key=lambda move: (machines[move.machine].size, move.machine))
            parked.append(first.machine)
            board.lift(machines[first.machine])
            continue
        if ready.machine in board.placement:
            board.lift(machines[ready.machine])
        board.put(machines[ready.machine], board.on(ready.to))
        waiting.remove(ready)
        done.append(ready)
    return tuple(done), tuple(parked)
