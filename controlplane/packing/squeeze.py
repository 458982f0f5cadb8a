"""A large placement on fewer hosts: hosts are emptied one by one, and what doesn't fit anywhere takes another's place.

Ejection chains with a short memory of what was ejected; the same input gives the same placement.
"""

from random import Random
from typing import Any

import numpy as np

from controlplane.packing.problem import Placement, Problem

_STEPS = 4_000
"""Steps for each host that is emptied."""
_HOSTS = 3
"""So many of the emptiest hosts are tried before the number stands."""
_MEMORY = 12
"""An ejected machine isn't ejected again for so many steps, and up to as many more."""
_AMONG = 6
"""The next one to be ejected is drawn from so many of the smallest."""


def squeeze(problem: Problem, placement: Placement, target: int) -> Placement:
    """A placement on fewer hosts, as few as `target`."""
    state = _State(problem, placement)
    while state.in_use > target:
        if not any(state.emptied(host) for host in state.emptiest(_HOSTS)):
            break
    return state.placement


class _State:
    def __init__(self, problem: Problem, placement: Placement) -> None:
        self._problem = problem
        self._at = {host.id: number for number, host in enumerate(problem.hosts)}
        self._size = np.array([machine.size for machine in problem.machines], np.int64)
        self._room = np.array([host.room for host in problem.hosts], np.int64)
        self._where = np.array([self._at[placement[machine.id]] for machine in problem.machines], np.int64)
        self._free = self._room.copy()
        np.subtract.at(self._free, self._where, self._size)
        most = np.maximum(self._room.sum(axis=0), 1)
        self._weight: Any = (self._size / most).sum(axis=1)
        self._pinned = np.array([machine.pinned for machine in problem.machines], bool)
        grouped = problem.groups
        self._group = [machine.group if machine.group in grouped else "" for machine in problem.machines]
        self._domain = [host.domain for host in problem.hosts]
        self._taken: dict[tuple[str, str], int] = {}
        for machine, host in enumerate(self._where):
            self._mark(machine, int(host), 1)
        self._random = Random(7)  # noqa: S311 - variety that can be repeated, no secret

    @property
    def placement(self) -> Placement:
        hosts = self._problem.hosts
        return {machine.id: hosts[self._where[n]].id for n, machine in enumerate(self._problem.machines)}

    @property
    def in_use(self) -> int:
        return len(np.unique(self._where))

    def emptiest(self, count: int) -> list[int]:
        """Hosts without pinned machines that carry least."""
        load = np.bincount(self._where, self._weight, len(self._room))
        held = set(self._where[self._pinned].tolist())
        return [int(host) for host in np.argsort(load, kind="stable") if load[host] and int(host) not in held][:count]

    def emptied(self, host: int) -> bool:
        """Whether everything on a host found a place elsewhere; the state is as before where it didn't."""
        before = self._where.copy(), self._free.copy(), dict(self._taken)
        closed = np.bincount(self._where, minlength=len(self._room)) == 0
        closed[host] = True
        left = np.flatnonzero(self._where == host).tolist()
        for machine in left:
            self._lift(machine)
        banned = np.zeros(len(self._where), np.int64)
        for step in range(_STEPS):
            if not left:
                return True
            left.sort(key=lambda machine: (self._weight[machine], machine))
            machine = left.pop()
            ejected = self._settle(machine, closed, banned > step)
            if ejected is None:
                left.append(machine)
                break
            if ejected >= 0:
                banned[ejected] = step + _MEMORY + self._random.randrange(_MEMORY)
                left.append(ejected)
        self._where, self._free, self._taken = before
        return False

    def _settle(self, machine: int, closed: Any, banned: Any) -> int | None:
        """Put a machine where it fits (-1), or in the place of another one, which is returned; None = nowhere."""
        after = self._free - self._size[machine]
        fitting = np.flatnonzero((after >= 0).all(axis=1) & ~closed)
        if len(fitting):
            rest = (after[fitting] / np.maximum(self._room[fitting], 1)).sum(axis=1)
            for number in np.argsort(rest, kind="stable"):
                if self._apart(machine, int(fitting[number])):
                    self._put(machine, int(fitting[number]))
                    return -1
        placed = self._where >= 0
        instead = self._free[self._where] + self._size - self._size[machine]
        open_ = placed & ~banned & ~self._pinned & ~closed[self._where] & (instead >= 0).all(axis=1)
        candidates = np.flatnonzero(open_)
        if not len(candidates):
            return None
        ordered = candidates[np.argsort(self._weight[candidates], kind="stable")]
        tried = [int(other) for other in ordered[: _AMONG * 4] if self._swappable(machine, int(other))][:_AMONG]
        if not tried:
            return None
        other = tried[min(int(self._random.expovariate(1.0)), len(tried) - 1)]
        host = int(self._where[other])
        self._lift(other)
        self._put(machine, host)
        return other

    def _apart(self, machine: int, host: int) -> bool:
        return not self._group[machine] or not self._taken.get((self._group[machine], self._domain[host]))

    def _swappable(self, machine: int, other: int) -> bool:
        if self._group[machine] and self._group[machine] == self._group[other]:
            return True
        return self._apart(machine, int(self._where[other]))

    def _put(self, machine: int, host: int) -> None:
        self._where[machine] = host
        self._free[host] -= self._size[machine]
        self._mark(machine, host, 1)

    def _lift(self, machine: int) -> None:
        host = int(self._where[machine])
        self._free[host] += self._size[machine]
        self._mark(machine, host, -1)
        self._where[machine] = -1

    def _mark(self, machine: int, host: int, change: int) -> None:
        if self._group[machine]:
            key = self._group[machine], self._domain[host]
            self._taken[key] = self._taken.get(key, 0) + change
