"""Everything that can be said about a placement: as it is, as it could be, and with a spare host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controlplane.packing.fit import place
from controlplane.packing.moves import Least, Moves, fewest_moves
from controlplane.packing.problem import Placement, Problem, Size, faults
from controlplane.packing.spare import Sized, carries, sized
from controlplane.packing.why import Apart, Resources, at_fault, overfull, resources, together, too_large

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Study:
    """A problem and what was found out about it."""

    problem: Problem
    resources: Resources
    faults: tuple[str, ...]
    """What is wrong with the placement as it is."""
    overfull: Mapping[str, Size]
    """Host → what its machines ask beyond its room."""
    together: tuple[Apart, ...]
    too_large: tuple[str, ...]
    feasible: bool | None
    """Whether all machines fit on the hosts that are there; None = neither a placement nor a proof was found."""
    at_fault: Mapping[str, bool]
    """Where they don't: rule or resource → whether they would fit without it alone."""
    needed: Sized | None
    """The fewest hosts that carry everything."""
    spare: int
    with_spare: Sized | None
    """The fewest that carry everything after the loss of any `spare` hosts."""
    stranded: Mapping[tuple[str, ...], tuple[str, ...]]
    """Hosts → machines that find no room when these die as things are; empty where something is wrong already."""
    moves: Moves | None
    """To a placement that holds the rules on the hosts that are there; None where there is none."""
    moves_with_spare: Moves | None
    """The same on all hosts of `with_spare`, so that the loss is carried."""

    @property
    def holds(self) -> bool:
        """Whether the placement as it is holds all rules."""
        return not self.faults

    @property
    def carried(self) -> bool:
        """Whether it also carries the loss of any `spare` hosts."""
        return self.holds and not self.stranded


def study(problem: Problem, *, spare: int = 1, least: Least = "moves", told: Told = lambda _: None) -> Study:
    """Study a problem; `told` is called with what comes next."""
    now = problem.now
    wrong = faults(problem, now)
    told("does everything fit")
    large = too_large(problem)
    placed, certain = place(problem)
    told("how few hosts")
    needed = None if large else sized(problem)
    told("how few hosts with a spare one")
    with_spare = None if large else sized(problem, spare)
    told("what a lost host strands")
    stranded = carries(problem, now, spare) if not wrong and spare else {}
    told("which moves")
    moves = None
    if placed is not None:
        moves = Moves((), now, 0) if not wrong else fewest_moves(problem, least=least)
    told("which moves with a spare host")
    return Study(
        problem=problem,
        resources=resources(problem),
        faults=wrong,
        overfull=overfull(problem),
        together=together(problem),
        too_large=large,
        feasible=placed is not None if certain or placed is not None else None,
        at_fault=at_fault(problem) if placed is None and certain else {},
        needed=needed,
        spare=spare,
        with_spare=with_spare,
        stranded=stranded,
        moves=moves,
        moves_with_spare=_with_spare(spare, with_spare, now, carried=not wrong and not stranded, least=least),
    )


def _with_spare(spare: int, with_spare: Sized | None, now: Placement, *, carried: bool, least: Least) -> Moves | None:
    if with_spare is None:
        return None
    if carried:
        return Moves((), now, 0)
    return fewest_moves(with_spare.problem, spare=spare, kept=with_spare.kept, least=least)
