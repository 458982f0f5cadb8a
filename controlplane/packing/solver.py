"""A small integer program, solved by HiGHS on one thread: the same program gives the same answer.

Programs are bounded by the number of nodes that are looked at, never by a clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NODES = 20_000
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a program."""

    values: tuple[int, ...] | None
    """The best found, None where none was found."""
    proven: bool
    """Whether it is the best there is, or, without values, whether there is none."""
    bound: float
    """No solution is better than this."""


class Program:
    """Variables of whole numbers from 0 on, rows that hold sums within limits, and a cost that is made small."""

    def __init__(self) -> None:
        self.costs: list[int] = []
        self._most: list[int] = []
        self._rows: list[tuple[list[int], list[int], float, float]] = []

    def variable(self, cost: int = 0, most: int = 1) -> int:
        """A variable of 0 … `most`; its index."""
        self.costs.append(cost)
        self._most.append(most)
        return len(self.costs) - 1

    def row(
        self, terms: Iterable[tuple[int, int]], *, least: float = float("-inf"), most: float = float("inf")
    ) -> None:
        """The sum of variable × factor lies within these limits; a variable stands in a row once."""
        pairs = [(variable, factor) for variable, factor in terms if factor]
        self._rows.append(([v for v, _ in pairs], [f for _, f in pairs], least, most))

    def solve(self, nodes: int = NODES) -> Answer:
        """The cheapest values; after so many nodes the best so far."""
        if not self.costs:
            return Answer((), True, 0.0)
        solver = _solver(nodes)
        solver.passModel(self._model())
        solver.run()
        return self._answer(solver)

    def _model(self) -> Any:
        import highspy
        import numpy as np

        count = len(self.costs)
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = count, len(self._rows)
        model.col_cost_ = np.array(self.costs, float)
        model.col_lower_, model.col_upper_ = np.zeros(count), np.array(self._most, float)
        model.row_lower_ = np.array([least for _, _, least, _ in self._rows], float)
        model.row_upper_ = np.array([most for _, _, _, most in self._rows], float)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.cumsum([0, *(len(variables) for variables, _, _, _ in self._rows)])
        model.a_matrix_.index_ = np.array([v for variables, _, _, _ in self._rows for v in variables], int)
        model.a_matrix_.value_ = np.array([f for _, factors, _, _ in self._rows for f in factors], float)
        model.integrality_ = [highspy.HighsVarType.kInteger] * count
        return model

    def _answer(self, solver: Any) -> Answer:
        import highspy

        status, info = solver.getModelStatus(), solver.getInfo()
        if status == highspy.HighsModelStatus.kInfeasible:
            return Answer(None, True, float("inf"))
        solved = status == highspy.HighsModelStatus.kOptimal
        bound = float(info.mip_dual_bound) if self._integer_bound(info) else float("-inf")
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Answer(None, False, bound)
        values = tuple(round(value) for value in solver.getSolution().col_value)
        # Whole values within a tolerance may break a row by more than it: only what holds exactly is an answer.
        return Answer(values, solved, bound) if self._holds(values) else Answer(None, False, bound)

    @staticmethod
    def _integer_bound(info: Any) -> bool:
        return abs(float(info.mip_dual_bound)) < 1e100

    def _holds(self, values: Sequence[int]) -> bool:
        return all(
            least <= sum(values[v] * f for v, f in zip(variables, factors, strict=True)) <= most
            for variables, factors, least, most in self._rows
        )


def _solver(nodes: int) -> Any:
    # The public class prints its name on stdout when it is made.
    from highspy._core import _Highs

    solver = _Highs()
    options: dict[str, bool | int | float | str] = {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 7,
        "mip_max_nodes": nodes,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": 0.999,  # costs are whole numbers
        "mip_feasibility_tolerance": _TOLERANCE,
    }
    for name, value in options.items():
        solver.setOptionValue(name, value)
    return solver
