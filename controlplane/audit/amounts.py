"""Amounts of a plan: numbers, named parts and the few operations over them, with their arithmetic as text.

Every amount is a range; a single number is a range of one. A sum or product of ranges goes from the least to the
most that it can be.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from controlplane.audit.numbers import Number, is_number, parse_number, shown
from controlplane.documents import nearest
from controlplane.model.labels import printable

LISTS = ("sum", "product", "difference", "quotient", "smallest", "largest", "range")
CLAIMS = ("stated", "recomputed")
COUNTED = ("count", "cores", "memory", "disk", "network")
FIELDS = ("kind", "role", "cluster", "zone", "region", "host")
ROUNDS = ("round_up", "round_down")
OPERATIONS = (*LISTS, *ROUNDS, *CLAIMS, "growth", "inventory", "limit", "price")
_TWO = {"quotient", "range"}
_DEEP = 12
_COUNTS = re.compile(r"(\{[^}]*\})?")
"""Units of things that are counted, such as {host}."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an amount comes to, from `low` to `high`, and its arithmetic."""

    low: Decimal
    high: Decimal
    text: str
    loose: bool = False
    """Whether the text needs brackets inside a product."""
    unit: str = ""
    """What it is in, as far as its parts tell."""

    @property
    def single(self) -> bool:
        """Whether it is one number."""
        return self.low == self.high

    def show(self, unit: str = "") -> str:
        """The number or both ends, in people's units: those of `unit`, else its own."""
        unit = unit or self.unit
        low, high = shown(self.low, unit), shown(self.high, unit)
        if self.single:
            return low
        mark = high.rfind(" " if " " in high else "/")
        return f"{low.removesuffix(high[mark:]) if mark > 0 else low} to {high}"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its name, what it is over, and what it needs to know."""

    operation: str
    over: tuple["Node", ...] = ()
    number: Number | None = None
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        yield self
        for inner in self.over:
            yield from inner.walk()


class Unknown(ValueError):
    """An amount can't be computed: something is missing, or it would divide by zero."""


def parse_amount(raw: Any, depth: int = 0) -> Node:
    """An amount as written; ValueError says what is wrong with it."""
    if isinstance(raw, Node):
        return raw
    if depth > _DEEP:
        raise ValueError("nested too deeply; name the inner amounts as parts")
    if is_number(raw):
        return Node("number", number=parse_number(raw))
    if isinstance(raw, str) and raw:
        return Node("part", name=raw)
    if isinstance(raw, list):
        return _over("product", raw, depth)
    if not isinstance(raw, dict) or len(raw) != 1:
        raise ValueError(f"{printable(repr(raw), 60)} is no amount; write a number, a part or one of {_offered()}")
    ((operation, inside),) = raw.items()
    if operation in LISTS:
        return _over(operation, inside, depth)
    if operation in ROUNDS:
        return Node(operation, (parse_amount(inside, depth + 1),))
    if operation in {*CLAIMS, "price"}:
        return _named(operation, inside)
    if operation == "growth":
        keys = ("start", "rate", "periods")
        if not isinstance(inside, dict) or set(inside) != set(keys):
            raise ValueError("growth has the keys start, rate and periods")
        return Node(operation, tuple(parse_amount(inside[key], depth + 1) for key in keys))
    if operation == "inventory":
        return _inventory(inside)
    if operation == "limit":
        if not isinstance(inside, dict) or set(inside) != {"resource", "signal"}:
            raise ValueError("limit has the keys resource and signal")
        return Node(operation, options=inside)
    remedy = nearest(str(operation), OPERATIONS) or f"There are {_offered()}"
    raise ValueError(f"unknown operation {printable(str(operation), 60)!r}. {remedy}")


Amount = Annotated[Node, BeforeValidator(parse_amount)]


def _offered() -> str:
    return ", ".join(OPERATIONS)


def _over(operation: str, inside: Any, depth: int) -> Node:
    if not isinstance(inside, list) or not inside:
        raise ValueError(f"{operation} is over a list of amounts")
    if operation in _TWO and len(inside) != 2:
        raise ValueError(f"{operation} is over two amounts")
    return Node(operation, tuple(parse_amount(one, depth + 1) for one in inside))


def _named(operation: str, inside: Any) -> Node:
    if isinstance(inside, str):
        return Node(operation, name=inside)
    if operation == "price" and isinstance(inside, dict) and set(inside) == {"id", "reserved"}:
        return Node(operation, name=str(inside["id"]), options={"reserved": inside["reserved"] is True})
    raise ValueError(f"{operation} names one entry")


def _inventory(inside: Any) -> Node:
    of = inside.get("of") if isinstance(inside, dict) else None
    if of not in COUNTED:
        raise ValueError(f"inventory needs the key of, one of {', '.join(COUNTED)}")
    for key in inside:
        if key not in {"of", *FIELDS} and not str(key).startswith("attributes."):
            raise ValueError(f"inventory can't select by {printable(str(key), 40)!r}. {nearest(str(key), FIELDS)}")
    return Node("inventory", options=inside)


@dataclass(frozen=True, slots=True)
class Known:
    """What names stand for."""

    part: Callable[[str], tuple[Value, str]]
    claim: Callable[[str, str], Value]
    price: Callable[[str, bool], Decimal]
    resources: Callable[[Mapping[str, Sequence[str]], str], Sequence[Decimal]]
    limit: Callable[[str, str], Decimal]


def value_of(node: Node, known: Known) -> Value:
    """What an amount comes to; Unknown where it can't be computed."""
    if node.number is not None:
        number = node.number
        return Value(number.value, number.value, number.written, unit=number.unit)
    operation = node.operation
    if operation == "part":
        value, unit = known.part(node.name)
        return Value(value.low, value.high, value.show(unit), loose=not value.single, unit=unit or value.unit)
    if operation in CLAIMS:
        value = known.claim(operation, node.name)
        return Value(value.low, value.high, value.show(), loose=not value.single, unit=value.unit)
    if operation == "price":
        price = known.price(node.name, node.options.get("reserved", False))
        return Value(price, price, f"${price:,f}", unit="USD")
    if operation == "inventory":
        wanted = {key: _texts(text) for key, text in node.options.items() if key != "of"}
        return _groups(known.resources(wanted, node.options["of"]), node.options["of"])
    if operation == "limit":
        return _fixed(known.limit(str(node.options["resource"]), str(node.options["signal"])))
    over = [value_of(one, known) for one in node.over]
    return replace(_computed(operation, over), unit=_unit(operation, [one.unit for one in over]))


def _unit(operation: str, units: list[str]) -> str:
    """What the result is in: a product keeps its one unit, equal units cancel; where in doubt, nothing."""
    if operation in {"product", "growth", "quotient"}:
        named = [unit for unit in units if unit != "1" and not _COUNTS.fullmatch(unit)]
        if operation == "quotient" and named[-1:] == [units[1]]:
            return ""
        return named[0] if len(named) == 1 else ""
    return units[0] if len(set(units)) == 1 else ""


def as_stated(node: Node) -> Node:
    """The same amount over what claims state instead of what they come to."""
    operation = "stated" if node.operation == "recomputed" else node.operation
    return replace(node, operation=operation, over=tuple(map(as_stated, node.over)))


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in (given if isinstance(given, list) else [given]))


def _fixed(value: Decimal, unit: str = "") -> Value:
    return Value(value, value, shown(value, unit), unit=unit)


def _groups(values: Sequence[Decimal], of: str) -> Value:
    """The sum of what resources have; equal ones are told together: 3 × 96 + 2 × 128."""
    if of == "count":
        return _fixed(Decimal(len(values)))
    counts: dict[Decimal, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    unit = {"memory": "By", "disk": "By", "network": "bit/s"}.get(of, "")
    terms = [f"{count} × {shown(value, unit)}" if count > 1 else shown(value, unit) for value, count in counts.items()]
    total = sum(values, Decimal(0))
    return Value(total, total, " + ".join(terms), loose=len(terms) > 1, unit=unit)


def _computed(operation: str, over: list[Value]) -> Value:
    if operation == "sum":
        text = " + ".join(one.text for one in over)
        low, high = sum((one.low for one in over), Decimal(0)), sum((one.high for one in over), Decimal(0))
        return Value(low, high, text, loose=len(over) > 1)
    if operation == "product":
        value = over[0]
        low, high = value.low, value.high
        for one in over[1:]:
            ends = [a * b for a in (low, high) for b in (one.low, one.high)]
            low, high = min(ends), max(ends)
        return Value(low, high, " × ".join(_bracketed(one) for one in over))
    if operation == "quotient":
        above, below = over
        if below.low <= 0 <= below.high:
            raise Unknown("it would divide by zero")
        ends = [a / b for a in (above.low, above.high) for b in (below.low, below.high)]
        return Value(min(ends), max(ends), f"{_bracketed(above)} ÷ {_bracketed(below, always=True)}")
    if operation == "difference":
        first, rest = over[0], over[1:]
        low = first.low - sum((one.high for one in rest), Decimal(0))
        high = first.high - sum((one.low for one in rest), Decimal(0))
        text = " − ".join([first.text, *(_bracketed(one) for one in rest)])
        return Value(low, high, text, loose=True)
    if operation in {"smallest", "largest"}:
        pick = min if operation == "smallest" else max
        return Value(
            pick(one.low for one in over),
            pick(one.high for one in over),
            f"the {operation} of {', '.join(one.text for one in over)}",
            loose=True,
        )
    if operation == "range":
        return Value(over[0].low, over[1].high, f"{over[0].text} to {over[1].text}", loose=True)
    if operation in ROUNDS:
        (one,) = over
        way = ROUND_CEILING if operation == "round_up" else ROUND_FLOOR
        low, high = (end.to_integral_value(way) for end in (one.low, one.high))
        return Value(low, high, f"{one.text}, {operation.replace('round_', 'rounded ')}", loose=True)
    start, rate, periods = over
    ends = [(1 + r) ** p for r in (rate.low, rate.high) for p in (periods.low, periods.high)]
    text = f"{_bracketed(start)} × (1 + {rate.text})^{_bracketed(periods)}"
    return Value(start.low * min(ends), start.high * max(ends), text)


def _bracketed(value: Value, *, always: bool = False) -> str:
    return f"({value.text})" if value.loose or (always and "×" in value.text) or "÷" in value.text else value.text
