"""What an alerting expression of Prometheus compares with what: `<vector expression> <operator> <number>`."""

import math
import re
import textwrap
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser as promql

COMPARISONS = ("==", "!=", ">=", "<=", ">", "<")
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_SETS = {
    "and": "Write a rule for each side, or make one signal of both with `and` inside its query",
    "or": "Write a rule for each side",
    "unless": "Write the signal's query with `unless` inside it, and the comparison outside",
}
_LONGEST = 20_000
_DEEPEST = 400
_NESTING = re.compile(r"[-(\[{+*/%^<>=!@]|\b(?:and|or|unless|atan2|offset)\b", re.IGNORECASE)


class NotComparable(ValueError):
    """An expression that no rule and signal say; `remedy` is what to write instead."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Comparison:
    """A query and what its values are compared with."""

    query: str
    operator: str
    number: float


def comparison(expression: str) -> Comparison:
    """Take an expression apart at its outermost comparison with a number; NotComparable says why it has none."""
    if len(expression) > _LONGEST or len(_NESTING.findall(expression)) > _DEEPEST:
        # The parser recurses on the machine's stack.
        raise NotComparable("the expression is too long or nested too deeply", "Record a part of it, and ask for that")
    try:
        tree = promql.parse(expression)
    except ValueError as error:
        raise NotComparable(f"is not PromQL: {error}", "Correct it; `promtool check rules` says where") from None
    tree = _bare(tree)
    if not isinstance(tree, promql.BinaryExpr):
        raise _without_comparison(tree)
    operator = str(tree.op)
    if operator in _SETS:
        raise NotComparable(f"`{operator}` joins two conditions", _SETS[operator])
    if operator not in COMPARISONS:
        raise _without_comparison(tree)
    if tree.modifier is not None and tree.modifier.return_bool:
        remedy = "Remove bool: what isn't wanted is then no series"
        raise NotComparable("`bool` gives 0 or 1 for every series, so it always alerts", remedy)
    left, right = _number(tree.lhs), _number(tree.rhs)
    if right is None and left is not None:
        tree_of, number, operator = tree.rhs, left, _TURNED[operator]
    elif right is not None:
        tree_of, number = tree.lhs, right
    else:
        remedy = "Write a signal of the ratio or difference, and compare that with a number"
        raise NotComparable("compares two expressions, not one with a number", remedy)
    if not math.isfinite(number):
        raise NotComparable(f"compares with {number}, which is no threshold", "Write a number")
    query = _bare(tree_of)
    if isinstance(query, promql.Call) and query.func.name in {"absent", "absent_over_time"}:
        raise _without_comparison(query)
    return Comparison(textwrap.dedent(query.prettify()).strip(), operator, number)


def duration(text: str) -> timedelta:
    """A duration as Prometheus writes it, as a timedelta; ValueError where it is none."""
    return timedelta(0) if text in {"0", "0s"} else promql.parse_duration(text)


def _bare(tree: Any) -> Any:
    while isinstance(tree, promql.ParenExpr):
        tree = tree.expr
    return tree


def _without_comparison(tree: Any) -> NotComparable:
    if isinstance(tree, promql.Call) and tree.func.name in {"absent", "absent_over_time"}:
        remedy = "Write a signal of what is missed, and one derived from it with the method absent"
        return NotComparable(f"`{tree.func.name}` asks whether something is gone", remedy)
    remedy = "Write what its values are compared with, such as `> 0`"
    return NotComparable("is no comparison with a number: every series that it gives alerts", remedy)


def _number(tree: Any) -> float | None:
    """The value of an expression of numbers alone, None where it is anything else."""
    tree = _bare(tree)
    if isinstance(tree, promql.NumberLiteral):
        return float(tree.val)
    if isinstance(tree, promql.UnaryExpr):
        inner = _number(tree.expr)
        return None if inner is None else -inner
    if isinstance(tree, promql.BinaryExpr):
        left, right = _number(tree.lhs), _number(tree.rhs)
        return None if left is None or right is None else _calculated(str(tree.op), left, right)
    return None


def _calculated(operator: str, left: float, right: float) -> float | None:
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
            case "^":
                return math.pow(left, right)
    except (ArithmeticError, ValueError):
        return math.nan
    return None
