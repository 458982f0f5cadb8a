"""Placements: the 17 machines of the hybrid plan, and a thousand machines on two hundred hosts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Case

if TYPE_CHECKING:
    from controlplane.packing.problem import Problem

MACHINES = 1_000
HOSTS = 200
_GB = 10**9
_MARGIN = 0.03
"""The gap that a large placement stays below."""


def fleet(machines: int, hosts: int) -> "Problem":
    """Machines of 2–24 cores and 2–8 GB a core, some in groups of three, as dealt out to the hosts in turn."""
    from random import Random

    from controlplane.packing.problem import Host, Machine, Problem

    made, draw = [], Random(1)  # noqa: S311 - the same machines each time
    room = (64_000, 256 * _GB, 0)
    for number in range(machines):
        cores = draw.choice((2, 4, 8, 8, 12, 16, 16, 24))
        memory = cores * draw.choice((2, 4, 4, 8)) * _GB + draw.randrange(-2, 3) * 5 * 10**8
        group = f"group-{number // 3}" if number % 12 < 3 else ""
        made.append(Machine(f"vm-{number:04}", (cores * 1000, memory, 0), f"host-{number % hosts:03}", group))
    return Problem(tuple(Host(f"host-{n:03}", room, room, f"host-{n:03}") for n in range(hosts)), tuple(made))


def plan(_folder: Path) -> Callable[[], object]:
    """Everything about the hybrid plan: what is short, how few hosts, with a spare one, fewest moves, each loss."""
    import fixtures
    from controlplane.packing.lost import after_loss
    from controlplane.packing.reading import Reading, read_problem
    from controlplane.packing.study import study
    from controlplane.telemetry.inventory_file import read_inventory

    resources = read_inventory(fixtures.path("catalyst_hybrid", "inventory.yaml"), "catalyst_hybrid")
    problem = read_problem(resources, Reading())

    def run() -> None:
        made = study(problem)
        moves, sized = made.moves_with_spare, made.with_spare
        if moves is None or sized is None or not (moves.proven and sized.proven and sized.total == 8):
            raise RuntimeError("the plan isn't solved to the optimum")
        for host in problem.hosts:
            after_loss(problem, [host.id])

    return run


@dataclass(frozen=True)
class Pack:
    """A large fleet on as few hosts as are found, with the gap to the bound."""

    machines: int
    hosts: int

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """Pack it; a gap above the stated one is a failure."""
        from controlplane.packing.fit import extended, fewest, largest

        problem = fleet(self.machines, self.hosts)

        def run() -> None:
            found = fewest(extended(problem, largest(problem.hosts)))
            if found is None or found.gap > _MARGIN:
                raise RuntimeError(f"the gap is {found.gap:.1%}" if found else "no placement was found")

        return run


@dataclass(frozen=True)
class Relieve:
    """The same fleet on a tenth more hosts: from an overfull placement to one that holds, and one with a spare host."""

    machines: int
    hosts: int

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """Everything that `controlplane placement` says."""
        from controlplane.packing.study import study

        problem = fleet(self.machines, self.hosts)

        def run() -> None:
            made = study(problem)
            if made.moves is None or made.moves_with_spare is None or not made.feasible:
                raise RuntimeError("no moves were found")

        return run


CASES = (
    Case(
        "placement-plan",
        "the 17 machines of the hybrid plan: hosts, spare, moves and every loss, proven",
        plan,
        target=5,
        why="seconds",
    ),
    Case(
        "placement-1000",
        f"{MACHINES:,} machines on as few hosts as are found, within {_MARGIN:.0%} of the bound",
        Pack(MACHINES, HOSTS),
        amount=MACHINES,
        unit="machines",
        target=60,
        why="under a minute",
    ),
    Case(
        "placement-1000-all",
        f"{MACHINES:,} machines on {HOSTS + 30} hosts: hosts, spare, stranded by each loss, moves",
        Relieve(MACHINES, HOSTS + 30),
        runs=1,
        amount=MACHINES,
        unit="machines",
        target=60,
        why="under a minute",
    ),
)
