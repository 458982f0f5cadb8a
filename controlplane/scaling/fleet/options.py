"""What else could be done about a fleet: other policies, other types of member, leaving it."""

from collections.abc import Sequence

from controlplane.model.labels import printable
from controlplane.model.methods import Fleet
from controlplane.model.methods.fleet import Alternative, Vertical
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook
from controlplane.model.recommendations import Rejected
from controlplane.model.units import many
from controlplane.scaling.fleet.asks import Ask
from controlplane.scaling.fleet.members import Members
from controlplane.scaling.fleet.readings import Reading
from controlplane.scaling.fleet.stages import Sized
from controlplane.scaling.sizing import whole


def price_of(members: Members, p: Fleet) -> str | None:
    """The price of one member: the rule's, or the one that all resources have."""
    if p.price is not None or p.counted is not None:
        return p.price
    prices = {resource.price for resource in members.resources}
    return prices.pop() if len(prices) == 1 else None


def rejected(
    p: Fleet,
    members: Members,
    sized: Sized,
    readings: Sequence[Reading],
    others: Sequence[tuple[Alternative, list[Ask]]],
    prices: PriceBook,
) -> tuple[Rejected, ...]:
    """Leaving it, the number before the limits, other policies, and other types with their price."""
    found = []
    if sized.count != sized.before:
        found.append(Rejected(option=f"Keep {many(sized.before, p.noun)}", reason=_leaving(sized)))
    if sized.wanted != sized.count:
        found.append(Rejected(option=f"Scale to {many(sized.wanted, p.noun)}", reason=sized.limit or "whole units"))
    for other, asks in others:
        number = max((ask.raw for ask in asks), default=None)
        size = "no number: no data, or no row holds" if number is None else many(number, p.noun)
        found.append(Rejected(option=f"{printable(other.name, 100)}: {size}", reason=printable(other.because, 400)))
    found += [_vertical(option, p, members, sized, prices) for option in p.vertical]
    if not readings[0].known and not found:
        found.append(Rejected(option="A number from what is measured", reason="too little is"))
    return tuple(found)


def _leaving(sized: Sized) -> str:
    if sized.count < sized.before:
        return "they are paid for and not needed"
    return "the alert goes on, and there is no reserve for a peak or the loss of a zone"


def _vertical(option: Vertical, p: Fleet, members: Members, sized: Sized, prices: PriceBook) -> Rejected:
    """Another type for all members: how many of it do what the advised number does, and what that costs."""
    name = printable(option.name, 60)
    needed = max(p.floor, -(-whole(sized.count / option.times) // p.unit) * p.unit)
    old = prices.line(price_of(members, p), sized.count, units=THINGS)
    new = prices.line(option.price, needed, units=THINGS)
    if old.per_month is None or new.per_month is None:
        money = f"the price of {name} isn't known" if new.per_month is None else "the present price isn't known"
    else:
        more = new.per_month - old.per_month
        money = (
            f"{human_money(abs(more))} a month {'more' if more >= 0 else 'less'} than {sized.count} of the present type"
        )
    reason = money + (f"; {printable(option.because, 300)}" if option.because else "")
    return Rejected(option=f"{many(needed, p.noun)} of type {name}", reason=reason)
