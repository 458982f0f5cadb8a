"""Hosts while machines are put on them, and the quick ways to put them there."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from controlplane.packing.problem import Host, Machine, Placement, Problem, Size, fits, minus, used

Key = Callable[[Machine], tuple[float, ...]]


class Board:
    """What is free on every host, and where the members of each group are."""

    def __init__(self, problem: Problem, placement: Mapping[str, str] | None = None) -> None:
        self.problem = problem
        self.hosts = problem.hosts
        self.placement: Placement = {}
        self._at = {host.id: number for number, host in enumerate(self.hosts)}
        self._groups: dict[str, dict[str, int]] = {}
        loads = used(problem, placement or {})
        self.free: list[Size] = [minus(host.room, loads[host.id]) for host in self.hosts]
        for machine in problem.machines:
            where = (placement or {}).get(machine.id)
            if where in self._at:
                self._note(machine, where, 1)

    def takes(self, machine: Machine, number: int) -> bool:
        """Whether a host has room for a machine, and nothing on it keeps the two apart."""
        host = self.hosts[number]
        if machine.pinned and machine.host != host.id:
            return False
        if machine.group and self._groups.get(machine.group, {}).get(host.domain):
            return False
        return fits(machine.size, self.free[number])

    def put(self, machine: Machine, number: int) -> None:
        """Place a machine on a host."""
        self._note(machine, self.hosts[number].id, 1)
        self.free[number] = minus(self.free[number], machine.size)

    def lift(self, machine: Machine) -> None:
        """Take a machine off its host."""
        where = self.placement[machine.id]
        number = self._at[where]
        self._note(machine, where, -1)
        left = self.free[number]
        self.free[number] = left[0] + machine.size[0], left[1] + machine.size[1], left[2] + machine.size[2]

    def on(self, host: str) -> int:
        """The number of a host."""
        return self._at[host]

    def fill(self, machines: Iterable[Machine], *, best: bool = False) -> list[Machine]:
        """Put each machine on the first host that takes it (`best`: the one that it leaves least of); what is left."""
        left = []
        for machine in machines:
            numbers = [number for number in range(len(self.hosts)) if self.takes(machine, number)] if best else ()
            if best:
                number = min(
                    numbers, key=lambda n: (_share(minus(self.free[n], machine.size), self.hosts[n]), n), default=-1
                )
            else:
                number = next((n for n in range(len(self.hosts)) if self.takes(machine, n)), -1)
            if number < 0:
                left.append(machine)
            else:
                self.put(machine, number)
        return left

    def _note(self, machine: Machine, where: str, change: int) -> None:
        if change > 0:
            self.placement[machine.id] = where
        else:
            del self.placement[machine.id]
        if machine.group:
            domains = self._groups.setdefault(machine.group, {})
            domain = self.hosts[self._at[where]].domain
            domains[domain] = domains.get(domain, 0) + change


def _share(size: Size, host: Host) -> float:
    return sum(part / room for part, room in zip(size, host.room, strict=True) if room > 0)


def orders(problem: Problem) -> tuple[Key, ...]:
    """Ways to rank machines by size, relative to what all hosts have: by the largest share, the sum, each resource."""
    room = problem.room()

    def shares(machine: Machine) -> list[float]:
        return [part / most if most else 0.0 for part, most in zip(machine.size, room, strict=True)]

    return (
        lambda machine: (max(shares(machine)), sum(shares(machine))),
        lambda machine: (sum(shares(machine)), max(shares(machine))),
        *((lambda machine, of=of: (shares(machine)[of], sum(shares(machine)))) for of in range(len(room))),
    )


def decreasing(machines: Sequence[Machine], key: Key) -> list[Machine]:
    """Pinned ones first, then the largest; ties in the order of names."""
    named = sorted(machines, key=lambda machine: machine.id)
    return sorted(named, key=lambda machine: (machine.pinned, key(machine)), reverse=True)


def quick(problem: Problem) -> Placement | None:
    """All machines by first fit and best fit in several orders; None where none of them places all."""
    for key in orders(problem):
        ordered = decreasing(problem.machines, key)
        for best in (False, True):
            board = Board(problem)
            if not board.fill(ordered, best=best):
                return board.placement
    return None


def quick_fewest(problem: Problem) -> Placement | None:
    """The same, but the one that uses fewest hosts."""
    found: list[Placement] = []
    for key in orders(problem):
        ordered = decreasing(problem.machines, key)
        for best in (False, True):
            board = Board(problem)
            if not board.fill(ordered, best=best):
                found.append(board.placement)
    return min(found, key=lambda placement: len(set(placement.values())), default=None)
