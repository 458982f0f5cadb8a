"""Checks of comparisons: the same on both sides, against the right alternative, and a break-even that is one."""

from collections.abc import Callable
from decimal import Decimal

from controlplane.audit.amounts import Node, Unknown, Value
from controlplane.audit.figures import factor, matches, missed, said
from controlplane.audit.findings import Outcome, Verdict
from controlplane.audit.plan import Alternatives, BreakEven, LikeForLike, Saving

Evaluate = Callable[[Node], Value]


def saving(claim: Saving, evaluate: Evaluate) -> Outcome:
    """Their price less ours, with what ours lacks to deliver the same added to it."""
    theirs, ours = evaluate(claim.theirs), evaluate(claim.ours)
    lack = {name: value for name, node in claim.ours_lack.items() if (value := evaluate(node)).high}
    low = theirs.low - ours.high - sum((one.high for one in lack.values()), Decimal(0))
    high = theirs.high - ours.low - sum((one.low for one in lack.values()), Decimal(0))
    value = Value(low, high, "")
    verdict = None
    if not matches(claim.says, value):
        verdict = missed(said(claim), value, Verdict.NOT_LIKE_FOR_LIKE if lack else Verdict.SUM_ERROR)
    terms = [theirs.show(claim.unit), ours.show(claim.unit)]
    terms += [f"{one.show(claim.unit)} ({name}: {one.text})" for name, one in lack.items()]
    return Outcome(
        verdict,
        f"{' − '.join(terms)} = {value.show(claim.unit)}",
        f"ours lacks {', '.join(lack)}" if lack else "",
        {"": value, **lack},
        said(claim).show(claim.unit),
        value.show(claim.unit),
        factor(said(claim), value),
        value,
    )


def like_for_like(claim: LikeForLike, evaluate: Evaluate) -> Outcome:
    """Both sides count the same things; recomputed are the totals of what both count."""
    sides = {side: {name: evaluate(node) for name, node in parts.items()} for side, parts in claim.sides.items()}
    (one, first), (other, second) = sides.items()
    alone = {one: [name for name in first if name not in second], other: [name for name in second if name not in first]}
    both = [name for name in first if name in second]
    if not both:
        raise Unknown(f"{one} and {other} have nothing in common")
    common = {side: _sum([parts[name] for name in both]) for side, parts in sides.items()}
    totals = {side: _sum(list(parts.values())) for side, parts in sides.items()}
    differ = any(alone.values())
    return Outcome(
        Verdict.NOT_LIKE_FOR_LIKE if differ else None,
        "; ".join(
            f"{side}: " + " + ".join(f"{name} {value.show(claim.unit)}" for name, value in parts.items())
            for side, parts in sides.items()
        ),
        "; ".join(f"only {side} counts {', '.join(names)}" for side, names in alone.items() if names),
        {**common, **{f"{side} in all": total for side, total in totals.items()}},
        " against ".join(f"{side} {total.show(claim.unit)}" for side, total in totals.items()),
        " against ".join(f"{side} {total.show(claim.unit)}" for side, total in common.items())
        + (f" without {', '.join(name for names in alone.values() for name in names)}" if differ else ""),
        factor(totals[one], common[one]) if alone[one] else factor(totals[other], common[other]),
        common[one],
    )


def alternatives(claim: Alternatives, evaluate: Evaluate) -> Outcome:
    """The saving against the cheapest alternative that the plan prices."""
    ours = evaluate(claim.ours)
    values = {name: evaluate(node) for name, node in claim.others.items()}
    savings = {name: Value(one.low - ours.high, one.high - ours.low, "") for name, one in values.items()}
    best = min(values, key=lambda name: values[name].low)
    used = next((name for name, value in savings.items() if matches(claim.says, value)), None)
    verdict = None
    if used != best:
        verdict = missed(said(claim), savings[best], Verdict.OMISSION if used else Verdict.SUM_ERROR)
    return Outcome(
        verdict,
        "; ".join(
            f"against {name}: {values[name].show(claim.unit)} − {ours.show(claim.unit)} = {value.show(claim.unit)}"
            for name, value in savings.items()
        ),
        f"counted against {used}, not against {best}" if used and used != best else "",
        {"": savings[best], **savings},
        said(claim).show(claim.unit),
        savings[best].show(claim.unit),
        factor(said(claim), savings[best]),
        savings[best],
    )


def break_even(claim: BreakEven, evaluate: Evaluate) -> Outcome:
    """The investment over what is saved a month; 0 where the alternative costs no less to begin with."""
    investment, monthly = evaluate(claim.investment), evaluate(claim.monthly)
    others = {name: evaluate(node) for name, node in claim.others.items()}
    months: dict[str, Value] = {}
    for name, other in others.items():
        saved = other.low - monthly.high
        if saved > 0:
            found = investment.high / saved
            months[name] = Value(found, found, f"{investment.text} ÷ ({other.text} − {monthly.text})")
    right = next((name for name, value in months.items() if matches(claim.says, value)), None)
    own = Value(investment.low / monthly.high, investment.high / monthly.low, "") if monthly.low > 0 else None
    reading = "own cost is no saving: the claim is the investment over it" if own and _near(said(claim), own) else ""
    shown = ", ".join(f"{value.show('')} against {name}" for name, value in months.items()) or "never"
    nearest = min(months.values(), key=lambda one: factor(said(claim), one) or Decimal(0), default=None)
    return Outcome(
        None if right else Verdict.UNDEFINED,
        "; ".join(f"against {name}: {value.text} = {value.show('')} months" for name, value in months.items()),
        "" if right else reading or "it follows from no alternative",
        months,
        f"{said(claim).show('')} months",
        shown,
        Decimal(1) if right else None,
        nearest,
    )


def _near(claimed: Value, value: Value) -> bool:
    times = factor(claimed, value)
    return times is not None and times <= Decimal("1.02")


def _sum(values: list[Value]) -> Value:
    return Value(sum((v.low for v in values), Decimal(0)), sum((v.high for v in values), Decimal(0)), "")
