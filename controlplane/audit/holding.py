"""Checks of what has to hold: enough of something, a condition that can be met, names that are there."""

from collections.abc import Callable
from decimal import Decimal

from controlplane.audit.amounts import Node, Value
from controlplane.audit.findings import Outcome, Verdict
from controlplane.audit.numbers import plain, shown
from controlplane.audit.plan import Bound, Condition, Each, Members
from controlplane.model.units import many

Evaluate = Callable[[Node], Value]

_LIMITS = {
    "capacity": (Verdict.INFEASIBLE, "needs", "has"),
    "setting": (Verdict.CONTRADICTION, "comes to", "limit"),
    "meaning": (Verdict.UNDEFINED, "needs", "has"),
}


def bound(claim: Bound, evaluate: Evaluate) -> Outcome:
    """Nothing needs more than there is; of a range both ends have to fit, so its careful end counts."""
    verdict, need, have = _LIMITS[claim.limit]
    needs = {name: evaluate(node) for name, node in claim.needs.items()}
    shared = claim.has.get("") if "" in claim.has else None
    has = {name: evaluate(claim.has[name] if shared is None else shared) for name in needs}
    over = [name for name in needs if needs[name].low > has[name].low or needs[name].high > has[name].high]
    factors = [needs[name].high / has[name].low if has[name].low > 0 else None for name in over]
    lines = [
        f"{_named(name)}{need} {_worked(needs[name], claim.unit)}, {have} {_worked(has[name], claim.unit)}"
        for name in needs
    ]
    first = over[0] if over else next(iter(needs))
    claimed = ""
    if claim.says is not None:
        claimed = Value(claim.says[0].value, claim.says[-1].value, "").show(claim.unit)
    names = [name for name in over if name]
    return Outcome(
        verdict if over else None,
        "; ".join(lines),
        f"too much: {', '.join(names)}" if names else "",
        _both(needs, has),
        claimed,
        "; ".join(
            f"{_named(name)}{need} {needs[name].show(claim.unit)}, {have} {has[name].show(claim.unit)}"
            for name in over or [first]
        ),
        None if None in factors else max((times for times in factors if times is not None), default=Decimal(1)),
        needs[first],
    )


def _both(needs: dict[str, Value], has: dict[str, Value]) -> dict[str, Value]:
    values = {}
    for name in needs:
        values[f"{name} needed".strip()] = needs[name]
        values[f"{name} there".strip()] = has[name]
    return values


def _named(name: str) -> str:
    return f"{name}: " if name else ""


def _worked(value: Value, unit: str) -> str:
    end = value.show(unit)
    plainly = value.text in {end, "", plain(value.low)} or not any(sign in value.text for sign in "+×÷−^")
    return end if plainly else f"{value.text} = {end}"


def condition(claim: Condition, evaluate: Evaluate) -> Outcome:
    """Some value is above the one and below the other."""
    above, below = evaluate(claim.above), evaluate(claim.below)
    empty = above.low >= below.high
    text = f"above {above.show(claim.unit)} and below {below.show(claim.unit)}"
    return Outcome(
        Verdict.UNDEFINED if empty else None,
        f"{text}: {'no value is' if empty else 'there are such values'}",
        "no value meets it" if empty else "",
        {"above": above, "below": below},
        text,
        "never true" if empty else "can be true",
    )


def each(claim: Each, evaluate: Evaluate) -> Outcome:
    """Each of the named amounts is large, or small, enough."""
    values = {name: evaluate(node) for name, node in claim.of.items()}
    node = claim.at_least if claim.at_least is not None else claim.at_most
    assert node is not None
    limit = evaluate(node)
    least = claim.at_least is not None
    off = [name for name, one in values.items() if (one.low < limit.low if least else one.high > limit.high)]
    words = f"at {'least' if least else 'most'} {limit.show(claim.unit)}"
    count = Decimal(len(off))
    return Outcome(
        Verdict.CONTRADICTION if off else None,
        ", ".join(f"{name} {value.show(claim.unit)}" for name, value in values.items()),
        f"not {words}: {', '.join(off)}" if off else "",
        {"": Value(count, count, ""), **values},
        f"each {words}",
        f"{many(len(off), 'exception')}: {', '.join(f'{name} {values[name].show(claim.unit)}' for name in off)}"
        if off
        else "all of them",
        None,
        Value(count, count, ""),
    )


def members(claim: Members, evaluate: Evaluate) -> Outcome:  # noqa: ARG001 - every kind of claim is checked by the same call
    """What is named here is there as well; of lists that have to be apart, nothing is in both."""
    common = [name for name in claim.wants if name in claim.has]
    off = common if claim.apart else [name for name in claim.wants if name not in claim.has]
    right = Decimal(len(claim.wants) - len(off))
    wrong = "in both" if claim.apart else "missing"
    claimed = "" if claim.says is None else shown(claim.says[0].value, claim.unit)
    verdict = Verdict.CONTRADICTION if claim.apart else Verdict(claim.absent)
    return Outcome(
        verdict if off else None,
        f"{', '.join(claim.wants)} against {', '.join(claim.has) or 'nothing'}",
        f"{wrong}: {', '.join(off)}" if off else "",
        {"": Value(right, right, "")},
        claimed or ", ".join(claim.wants),
        f"{plain(right)} of {len(claim.wants)}; {wrong}: {', '.join(off)}" if off else f"all {len(claim.wants)}",
        None,
        Value(right, right, ""),
    )
