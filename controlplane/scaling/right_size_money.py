"""What a smaller size saves, what reservations change, and what else was considered."""

from decimal import Decimal

from controlplane.model.labels import printable
from controlplane.model.methods.right_size import Part, RightSize
from controlplane.model.money import MONTHS_PER_YEAR, human_money
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Rejected
from controlplane.model.time import human_duration
from controlplane.scaling.right_size_choice import Choice, needs
from controlplane.scaling.right_size_peaks import Fleet, shown
from controlplane.scaling.sizing import whole

_GIB = 2**30
_RENTED = THINGS - {"USD"}


def lines(fleet: Fleet, choice: Choice, p: RightSize, prices: PriceBook) -> tuple[CostLine, ...]:
    """What is rented instead, what is given up, and the restarts."""
    count = fleet.count
    done = free_line(
        f"Restart of {count}, one at a time",
        f"about {human_duration(p.restart * count)}; no price is asked for the work",
    )
    if choice.after.price is not None:
        old, new = printable(choice.before.name, 60), printable(choice.after.name, 60)
        kept = f"a reservation of {old} is billed until it ends, unless it is sold or exchanged"
        return (
            prices.line(choice.after.price, count, item=f"{count} × {new} instead", units=_RENTED),
            prices.line(choice.before.price, -count, item=f"{count} × {old} given up", note=kept, units=_RENTED),
            done,
        )
    if p.host_price is not None and p.core_price is None and p.memory_price is None:
        note = "the machine that carries it is bought already: no bill gets smaller"
        return (free_line(f"Cores and memory of {fleet.shown} given back", note), done)
    ways: tuple[tuple[Part, str | None, float, str], ...] = (
        ("cores", p.core_price, 1.0, "core"),
        ("memory", p.memory_price, float(_GIB), "GiB"),
    )
    given = [
        prices.line(price, -_less(choice, part) * count / unit, item=f"{name} given back", units=_RENTED)
        for part, price, unit, name in ways
        if _less(choice, part) > 0
    ]
    return (*given, done)


def _less(choice: Choice, part: Part) -> float:
    return choice.before.holds.get(part, 0.0) - choice.after.holds.get(part, 0.0)


def freed(fleet: Fleet, choice: Choice, p: RightSize, prices: PriceBook) -> str:
    """What of cores and memory becomes free, and which part of the machine that carries them that is."""
    parts: tuple[Part, ...] = ("cores", "memory")
    less = {part: _less(choice, part) * fleet.count for part in parts if _less(choice, part) > 0}
    told = f"frees {' and '.join(shown(part, amount) for part, amount in less.items())}" if less else ""
    price = prices.get(p.host_price)
    if not told or price is None or price.holds is None or price.amount is None or price.unit != "USD":
        return told
    shares = []
    for part, amount in less.items():
        has: float | None = getattr(price.holds, part)
        if has:
            worth = Decimal(repr(amount / has)) * price.amount
            months = prices.amortise_months
            spread = f", {human_money(worth / months)} a month over {months} months" if months else ""
            shares.append(
                f"{amount / has * 100:.3g} % of the {part} of a {printable(price.item, 60)}: "
                f"{human_money(worth)} of its price{spread}"
            )
    return told + (f" ({'; '.join(shares)}), which the next one needn't be bought for" if shares else "")


def rejected(fleet: Fleet, choice: Choice, p: RightSize, prices: PriceBook) -> tuple[Rejected, ...]:
    """Smaller sizes, fewer members, and a reservation of what there is, each with its reason."""
    found = [Rejected(option=f"Take {printable(size, 60)}", reason=printable(why, 200)) for size, why in choice.refused]
    if not choice.refused:
        what = "the rule names none that costs less" if choice.after.price else "a step less is nothing"
        found.append(Rejected(option="Take a still smaller size", reason=what))
    found.append(_fewer(fleet, choice, p, prices))
    if choice.after.price is not None:
        found.append(_reserve(fleet, choice, prices))
    return tuple(found)


def _fewer(fleet: Fleet, choice: Choice, p: RightSize, prices: PriceBook) -> Rejected:
    """As many of the present size as would carry the same with the same headroom."""
    if fleet.count < 2:
        return Rejected(option="Run fewer of the present size", reason="there is one")
    needed, _ = needs(fleet, p)
    share = max(needed[used.part] / used.capacity for used in fleet.used)
    step = max(1, len(fleet.zones))
    left = min(fleet.count, max(step, whole(fleet.count * share / step) * step, p.quorum + 1))
    line = prices.line(choice.before.price, left - fleet.count, units=_RENTED)
    option = f"Run {left} of the present size instead of {fleet.count}"
    if left >= fleet.count:
        return Rejected(option=option, reason="it takes as many of them")
    saves = (
        "at an unknown saving" if line.per_month is None else f"it would save {human_money(-line.per_month)} a month"
    )
    return Rejected(
        option=option,
        reason=f"{saves}, but data and clients of {fleet.count - left} have to move, and the loss of one takes "
        f"1/{left} of the load instead of 1/{fleet.count}",
    )


def _reserve(fleet: Fleet, choice: Choice, prices: PriceBook) -> Rejected:
    old = prices.line(choice.before.price, fleet.count, units=_RENTED)
    new = prices.line(choice.after.price, fleet.count, units=_RENTED)
    option = f"Reserve {fleet.count} × {printable(choice.before.name, 60)} as they are"
    if old.per_month is None or old.per_month_reserved is None:
        return Rejected(option=option, reason="the price book has no price with a reservation")
    saves = old.per_month - old.per_month_reserved
    reason = (
        f"it saves {human_money(saves)} a month ({human_money(saves * MONTHS_PER_YEAR)} a year) and binds to a size "
    )
    reason += "that isn't needed"
    if new.per_month_reserved is not None:
        both = old.per_month - new.per_month_reserved
        reason += f"; the smaller size with a reservation saves {human_money(both)} a month"
    return Rejected(option=option, reason=reason)
