"""Checks of one number: does it follow from its parts, is it said alike elsewhere, was everything counted?"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from controlplane.audit.amounts import Node, Value
from controlplane.audit.findings import NEGLIGIBLE, SLIP, Outcome, Verdict
from controlplane.audit.numbers import Number, plain, shown
from controlplane.audit.plan import Agrees, Complete, Equals, Multiple, Said, Within

Evaluate = Callable[[Node], Value]
_ROUND = 100


def said(claim: Said) -> Value:
    """The claimed number or range."""
    return Value(claim.says[0].value, claim.says[-1].value, "")


def matches(says: tuple[Number, ...], value: Value) -> bool:
    """Whether both ends agree up to the last digit that was written (rounded or cut)."""
    ends = ((says[0], value.low), (says[-1], value.high))
    return all(abs(number.value - found) < number.step or number.value == found for number, found in ends)


def factor(claimed: Value, value: Value) -> Decimal | None:
    """How many times the larger is the smaller, of the ends that differ most; None where one is 0 or signs differ."""
    found: list[Decimal] = []
    for a, b in ((claimed.low, value.low), (claimed.high, value.high)):
        if a == b:
            found.append(Decimal(1))
            continue
        if a * b <= 0:
            return None
        found.append(max(abs(a), abs(b)) / min(abs(a), abs(b)))
    return max(found)


def missed(claimed: Value, value: Value, otherwise: Verdict) -> Verdict:
    """Rounding, a slip of the unit, or what it is otherwise."""
    times = factor(claimed, value)
    if times is not None and times - 1 <= NEGLIGIBLE:
        return Verdict.ROUNDING
    return Verdict.UNIT_ERROR if otherwise is Verdict.SUM_ERROR and times is not None and times >= SLIP else otherwise


def equals(claim: Equals, evaluate: Evaluate) -> Outcome:
    """The claim is what its parts come to."""
    value = evaluate(claim.of)
    verdict = None if matches(claim.says, value) else missed(said(claim), value, Verdict.SUM_ERROR)
    return _outcome(claim, value, verdict)


def within(claim: Within, evaluate: Evaluate) -> Outcome:
    """What the parts come to lies in the claimed range."""
    value, claimed = evaluate(claim.of), said(claim)
    inside = claimed.low <= value.low and value.high <= claimed.high
    return _outcome(claim, value, None if inside else missed(claimed, value, Verdict.SUM_ERROR))


def _outcome(claim: Said, value: Value, verdict: Verdict | None) -> Outcome:
    times = factor(said(claim), value)
    why = ""
    if verdict is Verdict.UNIT_ERROR and times is not None:
        why = f"{plain(times.to_integral_value() if times >= _ROUND else times)} times off"
    return Outcome(
        verdict,
        _equation(value, claim.unit),
        why,
        {"": value},
        said(claim).show(claim.unit),
        value.show(claim.unit),
        times,
        value,
    )


def agrees(claim: Agrees, evaluate: Evaluate) -> Outcome:
    """Every other statement comes to the same; the first that doesn't is the recomputed one."""
    values = {name: evaluate(node) for name, node in claim.others.items()}
    claimed = said(claim)
    off = {name: value for name, value in values.items() if not matches(claim.says, value)}
    verdict = None
    if off:
        verdicts = {missed(claimed, value, Verdict.CONTRADICTION) for value in off.values()}
        verdict = Verdict.ROUNDING if verdicts == {Verdict.ROUNDING} else Verdict.CONTRADICTION
    factors = [factor(claimed, value) for value in off.values()]
    result = next(iter((off or values).values()))
    return Outcome(
        verdict,
        "; ".join(f"{name}: {_equation(value, claim.unit)}" for name, value in values.items()),
        f"differs: {', '.join(off)}" if off else "",
        values,
        claimed.show(claim.unit),
        ", ".join(dict.fromkeys(value.show(claim.unit) for value in (off or values).values())),
        None if None in factors else max((times for times in factors if times is not None), default=Decimal(1)),
        result,
    )


def complete(claim: Complete, evaluate: Evaluate) -> Outcome:
    """Nothing that belongs to the number was left out of it."""
    values = {name: evaluate(node) for name, node in claim.of.items()}
    total = _total(values.values())
    left = [name for name, value in values.items() if name not in claim.counted and (value.low or value.high)]
    verdict = None
    if not matches(claim.says, total):
        verdict = Verdict.OMISSION if left else missed(said(claim), total, Verdict.SUM_ERROR)
    terms = " + ".join(f"{name} {value.show(claim.unit)}" for name, value in values.items())
    return Outcome(
        verdict,
        f"{terms} = {total.show(claim.unit)}",
        f"not counted: {', '.join(left)}" if verdict and left else "",
        {"": total, **values},
        said(claim).show(claim.unit),
        total.show(claim.unit),
        factor(said(claim), total),
        total,
    )


def multiple(claim: Multiple, evaluate: Evaluate) -> Outcome:
    """The number can be made of whole units."""
    unit, claimed = evaluate(claim.of), said(claim)
    times = claimed.low / unit.low if unit.low else Decimal(0)
    whole = unit.low > 0 and times == times.to_integral_value()
    below = (claimed.low // unit.low if unit.low > 0 else Decimal(0)) * unit.low
    options = [below, below + unit.low]
    lower, upper = (Value(one, one, "") for one in options)
    return Outcome(
        None if whole else Verdict.INFEASIBLE,
        f"{shown(claimed.low, claim.unit)} ÷ {plain(unit.low)} = {plain(times)}",
        "" if whole else f"only whole multiples of {plain(unit.low)} can be had",
        {"below": lower, "above": upper},
        claimed.show(claim.unit),
        claimed.show(claim.unit) if whole else " or ".join(shown(one, claim.unit) for one in options),
        Decimal(1) if whole else factor(claimed, upper),
        claimed if whole else upper,
    )


def _equation(value: Value, unit: str) -> str:
    end = value.show(unit)
    return end if value.text in {end, "", plain(value.low)} else f"{value.text} = {end}"


def _total(values: Iterable[Value]) -> Value:
    low = high = Decimal(0)
    for value in values:
        low, high = low + value.low, high + value.high
    return Value(low, high, "")
