"""Which size carries what is needed, and why the smaller ones don't."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from controlplane.model.errors import AdviceError
from controlplane.model.holds import Holds
from controlplane.model.labels import printable
from controlplane.model.methods.right_size import Part, RightSize
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook
from controlplane.model.recommendations import Price, Stage
from controlplane.scaling.right_size_peaks import Fleet, Used, shown
from controlplane.scaling.sizing import whole

_ROUNDING = 1e-9
_RENTED = THINGS - {"USD"}


@dataclass(frozen=True, slots=True)
class Size:
    """A size with what one holds; parts that it doesn't state stay as they are."""

    name: str
    holds: Mapping[Part, float]
    price: str | None = None

    def told(self) -> str:
        """`r6i.2xlarge (8 cores, 64 GB)`."""
        parts = ", ".join(shown(part, amount) for part, amount in self.holds.items())
        return f"{self.name} ({parts})" if self.name else parts


@dataclass(frozen=True, slots=True)
class Choice:
    """The size that is taken, the size before, the stages that led there, and what else was looked at."""

    before: Size
    after: Size
    stages: tuple[Stage, ...]
    refused: tuple[tuple[str, str], ...]
    """(size, why not): those that would cost less."""


def needs(fleet: Fleet, p: RightSize) -> tuple[dict[Part, float], list[Stage]]:
    """What one has to have of each part: peak ÷ limit, and the peak with the load of what may be lost."""
    needed: dict[Part, float] = {}
    stages = []
    loss, lost = fleet.lost
    for used in fleet.used:
        limit, factor = p.limit(used.part), fleet.carried(used.part, p, lost)
        headroom, after = used.amount / limit, used.amount * factor
        needed[used.part] = max(headroom, after)
        reason = f"peak of {shown(used.part, used.amount)} on {printable(used.busiest, 60)} ÷ {limit:g}"
        if after > headroom:
            reason += f"; {shown(used.part, after)} when {loss} is lost"
        stages.append(
            Stage(
                name=f"{used.part} needed",
                value=needed[used.part],
                limit=f"loss of {loss}" if after > headroom else None,
                reason=reason,
            )
        )
    return needed, stages


def choose(fleet: Fleet, p: RightSize, prices: PriceBook) -> Choice:
    """The smallest size that carries what is needed; AdviceError says what hinders every smaller one."""
    needed, stages = needs(fleet, p)
    for used in fleet.used:
        if needed[used.part] > used.capacity * (1 + _ROUNDING):
            takes, has = shown(used.part, needed[used.part]), shown(used.part, used.capacity)
            raise AdviceError(
                f"{fleet.target} isn't too large: its peak of {used.part} ({used.peak * 100:.1f} %, {used.signal}) "
                f"takes {takes} with headroom, and it has {has}"
            )
    return _listed(fleet, p, prices, needed, stages) if p.sizes else _stepped(fleet, p, needed, stages)


def _month(prices: PriceBook, name: str | None) -> tuple[Decimal | None, Decimal | None]:
    line = prices.line(name, 1, units=_RENTED)
    return line.per_month, line.per_month_reserved


def _listed(fleet: Fleet, p: RightSize, prices: PriceBook, needed: Mapping[Part, float], stages: list[Stage]) -> Choice:
    name = fleet.members[0].price
    now, now_reserved = _month(prices, name)
    if name is None or now is None:
        price = prices.get(name)
        why = "is bought once, so a smaller one saves nothing" if price and price.unit == "USD" else "isn't known"
        raise AdviceError(
            f"the price of what {fleet.target} runs on ({printable(name or 'none is named', 60)}) {why}: no saving can "
            "be named"
        )
    refused: list[tuple[str, str]] = []
    fits: list[tuple[Decimal, Size]] = []
    for candidate in dict.fromkeys(p.sizes):
        if candidate == name:
            continue
        price = prices.get(candidate)
        month, reserved = _month(prices, candidate)
        if month is not None and month >= now:
            continue
        if month is None or price is None:
            refused.append((candidate, "its price isn't known"))
            continue
        if reserved is not None and now_reserved is not None and reserved > now_reserved:
            refused.append((candidate, "with a reservation it costs more than what there is"))
            continue
        why = _short(price, fleet.used, needed)
        if why:
            refused.append((candidate, why))
            continue
        assert price.holds is not None
        fits.append((month, Size(candidate, _parts(price.holds, fleet.used), candidate)))
    if not fits:
        hindered = "; ".join(f"{printable(size, 60)}: {why}" for size, why in refused)
        raise AdviceError(
            f"{fleet.target} is as small as it can be: no size that costs less than {printable(name, 60)} "
            f"({human_money(now)} a month) carries its peak. {hindered or 'The rule names none (sizes)'}"
        )
    month, size = min(fits, key=lambda fit: (fit[0], -fit[1].holds.get("cores", 0.0), fit[1].name))
    before = Size(name, {used.part: used.capacity for used in fleet.used}, name)
    smaller = [(other, why) for other, why in refused if (_month(prices, other)[0] or month) <= month]
    limit = smaller[-1][1] if smaller else None
    stages.append(
        Stage(
            name="cheapest size",
            value=float(month),
            limit=limit,
            reason=f"{printable(size.name, 60)}, in USD a month; of {len(p.sizes)} sizes that may be taken",
        )
    )
    return Choice(before, size, tuple(stages), tuple(refused))


def _parts(holds: Holds, used: Sequence[Used]) -> dict[Part, float]:
    return {one.part: getattr(holds, one.part) for one in used}


def _short(price: Price, used: Sequence[Used], needed: Mapping[Part, float]) -> str:
    """Why a size doesn't carry it; empty where it does."""
    for one in used:
        has: float | None = None if price.holds is None else getattr(price.holds, one.part)
        if has is None:
            return f"how much {one.part} it has isn't in the price book (holds)"
        if has < needed[one.part] * (1 - _ROUNDING):
            return f"{one.part}: {shown(one.part, needed[one.part])} are needed, it has {shown(one.part, has)}"
    return ""


def _stepped(
    fleet: Fleet,
    p: RightSize,
    needed: Mapping[Part, float],
    stages: list[Stage],
) -> Choice:
    ways: tuple[tuple[Part, float | None, float], ...] = (
        ("cores", p.step_cores, float(p.minimum_cores)),
        ("memory", p.step_memory, p.minimum_memory),
    )
    has = {used.part: used.capacity for used in fleet.used}
    after = dict(has)
    refused: list[tuple[str, str]] = []
    for part, step, least in ways:
        if step is None or part not in has:
            continue
        wanted = max(whole(needed[part] / step) * step, whole(least / step) * step)
        after[part] = min(wanted, has[part])
        kept = after[part] == has[part]
        limit = (
            f"steps of {shown(part, step)}"
            if kept
            else f"minimum {shown(part, least)}"
            if least > needed[part]
            else None
        )
        stages.append(Stage(name=part, value=after[part], limit=limit, reason=f"in whole steps of {shown(part, step)}"))
        if after[part] - step > 0:
            why = f"{shown(part, needed[part])} of {part} are needed"
            if after[part] - step < least:
                why = f"{shown(part, least)} are the least"
            refused.append((shown(part, after[part] - step), why))
    if after == has:
        raise AdviceError(
            f"{fleet.target} is as small as it can be: "
            + "; ".join(f"{part}: {shown(part, needed[part])} of {shown(part, has[part])} are needed" for part in has)
        )
    keep: tuple[Part, ...] = tuple(part for part, step, _ in ways if step is not None and part in has)
    return Choice(
        Size("", {part: has[part] for part in keep}),
        Size("", {part: after[part] for part in keep}),
        tuple(stages),
        tuple(refused),
    )
