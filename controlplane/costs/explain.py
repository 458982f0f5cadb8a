"""One recommendation's money in full: every line as it was reckoned, what isn't known, and when it pays back. Pure."""

from decimal import ROUND_CEILING, Decimal

from controlplane.costs.amounts import Amount, add
from controlplane.costs.capacity import UnitCost, unit_costs
from controlplane.model.base import Model, Money
from controlplane.model.money import HOURS_PER_MONTH, MONTHS_PER_YEAR, human_money
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Cost, CostLine, PriceSource, Recommendation

_TENTH = Decimal("0.1")
_MILLIONTH = Decimal("0.000001")
_TIMES: dict[str, tuple[Decimal, str]] = {
    "USD/h": (HOURS_PER_MONTH, f"{HOURS_PER_MONTH} h"),
    "USD/mo": (Decimal(1), "1 month"),
    "USD/a": (1 / MONTHS_PER_YEAR, "1/12 year"),
    "USD/GBy.mo": (Decimal(1), "1 month"),
    "USD/GBy": (Decimal(1), "1"),
    "USD": (Decimal(1), "once"),
}


class Reckoned(Model):
    """A line of the cost: quantity × price × time."""

    item: str
    price: str | None
    quantity: Money
    unit: str
    unit_amount: Money | None
    """None where the price isn't known."""
    times: str
    """What quantity × price is multiplied by: `730 h`, `1 month`, `1/12 year`, or `once`."""
    per_month: Money | None
    per_month_reserved: Money | None
    one_off: Money | None
    note: str
    source: PriceSource | None

    @property
    def known(self) -> bool:
        """Whether it has a price."""
        return self.per_month is not None and self.one_off is not None


class Payback(Model):
    """When what is bought once has been saved."""

    months: Money | None
    """In tenths, rounded up; 0 = at once, None = never or not known."""
    told: str


class Totals(Model):
    """The sums of a cost; of which a part is unknown, what is known of them. A year is twelve months."""

    per_month: Amount
    per_month_reserved: Amount
    per_year: Amount
    per_year_reserved: Amount
    one_off: Amount


def totals(cost: Cost) -> Totals:
    """The sums of the lines of a cost."""
    per_month = add((line.per_month, line.quantity) for line in cost.lines)
    reserved = add((line.per_month_reserved, line.quantity) for line in cost.lines)
    return Totals(
        per_month=per_month,
        per_month_reserved=reserved,
        per_year=per_month.per_year,
        per_year_reserved=reserved.per_year,
        one_off=add((line.one_off, line.quantity) for line in cost.lines),
    )


class Explanation(Model):
    """What a recommendation costs, line by line; a year is twelve months."""

    recommendation: str
    version: int
    platform: str
    title: str
    kind: str
    status: str
    currency: str
    lines: tuple[Reckoned, ...]
    per_month: Amount
    per_month_reserved: Amount
    per_year: Amount
    per_year_reserved: Amount
    one_off: Amount
    unknown: tuple[str, ...]
    payback: Payback
    payback_reserved: Payback
    capacity: tuple[UnitCost, ...]
    do_nothing: str


def explain(recommendation: Recommendation, book: PriceBook | None) -> Explanation:
    """The money of a recommendation as it was recorded; `book` says what its prices are now."""
    proposal = recommendation.proposal
    cost = proposal.cost
    sums = totals(cost)
    lines = tuple(reckoned(line, book) for line in cost.lines)
    return Explanation(
        recommendation=recommendation.id,
        version=recommendation.version,
        platform=recommendation.platform,
        title=proposal.title,
        kind=proposal.kind,
        status=recommendation.status.value,
        currency=cost.currency,
        lines=lines,
        per_month=sums.per_month,
        per_month_reserved=sums.per_month_reserved,
        per_year=sums.per_year,
        per_year_reserved=sums.per_year_reserved,
        one_off=sums.one_off,
        unknown=tuple(line.item for line in lines if not line.known),
        payback=payback(sums.one_off, sums.per_month),
        payback_reserved=payback(sums.one_off, sums.per_month_reserved),
        capacity=unit_costs(proposal),
        do_nothing=cost.do_nothing,
    )


def reckoned(line: CostLine, book: PriceBook | None) -> Reckoned:
    """A line with its price: the book's where that gives the recorded amounts, else the recorded amount by quantity."""
    factor, times = _TIMES.get(line.unit, (Decimal(1), "1"))
    paid = line.one_off if line.unit == "USD" or (line.unit == "USD/GBy" and line.one_off) else line.per_month
    price = None if book is None or line.price is None else book.get(line.price)
    note, amount = line.note, None
    if line.price is not None and paid is not None:
        once = line.unit == "USD/GBy" and bool(line.one_off)
        again = None if price is None or book is None else book.line(price.id, line.quantity, once=once)
        if price is not None and again is not None and _same(again, line):
            amount = price.amount
        elif line.quantity:
            amount = (paid / line.quantity / factor).quantize(_MILLIONTH).normalize()
            now = "has no such price any more" if price is None else f"says {human_money(price.amount)} now"
            note = "; ".join(filter(None, (note, f"reckoned back from the record; the price book {now}")))
    return Reckoned(
        item=line.item,
        price=line.price,
        quantity=line.quantity,
        unit=line.unit,
        unit_amount=amount,
        times=times,
        per_month=line.per_month,
        per_month_reserved=line.per_month_reserved,
        one_off=line.one_off,
        note=note,
        source=line.source,
    )


def _same(again: CostLine, line: CostLine) -> bool:
    return (again.unit, again.per_month, again.one_off) == (line.unit, line.per_month, line.one_off)


def payback(one_off: Amount, per_month: Amount) -> Payback:
    """Months until what is bought once has been saved: one-off ÷ what a month saves."""
    if per_month.exact and one_off.exact and not per_month.amount and not one_off.amount:
        return Payback(months=None, told="nothing is paid and nothing is saved")
    if per_month.exact and per_month.amount is not None and per_month.amount >= 0:
        return Payback(months=None, told="never: no month saves anything")
    if not (one_off.exact and per_month.exact) or one_off.amount is None or per_month.amount is None:
        what = "what a month saves" if one_off.exact else "what is paid once"
        return Payback(months=None, told=f"can't be told: {what} isn't known in full")
    if one_off.amount <= 0:
        return Payback(months=Decimal(0), told="at once: nothing is bought, and every month saves")
    months = (one_off.amount / -per_month.amount).quantize(_TENTH, ROUND_CEILING)
    saved = human_money(-per_month.amount)
    return Payback(months=months, told=f"{months:f} months: {human_money(one_off.amount)} ÷ {saved} a month")
