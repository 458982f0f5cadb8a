"""The same inventory bought in several ways, compared over what all of them include. Pure."""

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from controlplane.costs.amounts import NOTHING, Amount, add
from controlplane.costs.bill import (
    MACHINES,
    Line,
    Sums,
    bill,
    component_of,
    priced,
    quantity,
    standing_lines,
    sums,
)
from controlplane.model.base import Model, Money
from controlplane.model.holds import Holds
from controlplane.model.prices import Offer, PriceBook, Taken
from controlplane.model.resources import Resource

Terms = Literal["on_demand", "reserved"]


class Way(Model):
    """A way to buy an inventory: its lines, and the scopes that its prices include without a line."""

    id: str
    title: str
    book: str
    terms: Terms
    amortise_months: int | None
    lines: tuple[Line, ...]
    includes: tuple[str, ...] = ()
    sums: Sums

    @property
    def whole(self) -> Amount:
        """A month of it, with a part of what is bought once."""
        return self.sums.whole_per_month_reserved if self.terms == "reserved" else self.sums.whole_per_month

    def month(self, scope: str) -> Amount | None:
        """A month of one scope; None where it has none of it."""
        lines = [line for line in self.lines if line.component == scope]
        if not lines:
            return NOTHING if scope in self.includes else None
        return add((_month(line, self.terms), line.quantity) for line in lines)

    @property
    def unspread(self) -> bool:
        """Whether something is bought once that no month bears a part of."""
        return self.amortise_months is None and any(line.one_off for line in self.lines)


class Lack(Model):
    """Why a scope isn't compared: what one way lacks of it."""

    scope: str
    way: str
    reason: str


class Compared(Model):
    """One way in the comparison."""

    way: str
    title: str
    terms: Terms
    full: Amount
    """A month of everything that it has."""
    common: Amount
    """A month of what all ways have."""
    common_per_year: Amount
    over_cheapest: Money | None
    """Common, less that of the cheapest way."""
    one_off: Amount
    unspread: bool


class Comparison(Model):
    """Several ways to buy one inventory."""

    platform: str
    ways: tuple[Compared, ...]
    scopes: tuple[str, ...]
    """Scopes that all ways have, with known prices."""
    months: dict[str, dict[str, Amount | None]]
    """Scope → way → a month of it; None where it has none."""
    lacks: tuple[Lack, ...]


def _month(line: Line, terms: Terms) -> Decimal | None:
    return line.whole_reserved if terms == "reserved" else line.whole


def ways(platform: str, resources: Sequence[Resource], name: str, book: PriceBook, *, own: bool) -> tuple[Way, ...]:
    """What a book offers: the prices that the resources name (`own`) and its offers, reserved too where it has that."""
    found: list[Way] = []
    if own:
        made = bill(platform, resources, book)
        found += _terms(name, book.title or name, name, book, made.lines)
    for offer in book.offers:
        lines = offered(platform, resources, book, offer)
        found += _terms(f"{name}:{offer.id}", offer.title or offer.id, name, book, lines, offer.includes)
    return tuple(found)


def _terms(
    way: str, title: str, name: str, book: PriceBook, lines: Sequence[Line], includes: Iterable[str] = ()
) -> list[Way]:
    reservable = any(line.unit_reserved is not None for line in lines)
    terms: tuple[Terms, ...] = ("on_demand", "reserved") if reservable else ("on_demand",)
    words = {"on_demand": ", on demand" if reservable else "", "reserved": ", reserved"}
    return [
        Way(
            id=way + ("/reserved" if term == "reserved" else ""),
            title=title + words[term],
            book=name,
            terms=term,
            amortise_months=book.amortise_months,
            lines=tuple(lines),
            includes=tuple(includes),
            sums=sums(lines, book.amortise_months),
        )
        for term in terms
    ]


def offered(platform: str, resources: Sequence[Resource], book: PriceBook, offer: Offer) -> tuple[Line, ...]:
    """The lines of an offer for the machines of an inventory; a role that it says nothing of is unknown."""
    roles: dict[str, list[Resource]] = {}
    for resource in resources:
        if resource.platform == platform and (resource.kind in MACHINES or resource.price is not None):
            roles.setdefault(component_of(resource), []).append(resource)
    lines: list[Line] = []
    for role, own in sorted(roles.items()):
        taken = [entry for entry in offer.takes if entry.role in {None, role}]
        ids = [resource.id for resource in own]
        if not taken:
            line = priced(book, role, None, Decimal(len(own)), item=role, resources=ids)
            lines.append(line.model_copy(update={"note": f"the offer {offer.id} says nothing of the role {role}"}))
        lines += [priced(book, role, entry.price, _taken(entry, own, roles, book), resources=ids) for entry in taken]
    return (*lines, *standing_lines(book, offer.standing))


def _taken(entry: Taken, own: Sequence[Resource], roles: dict[str, list[Resource]], book: PriceBook) -> Decimal | None:
    if entry.holds is None:
        return quantity(book.get(entry.price), own)
    if not entry.pooled:
        counts = [units([resource], entry.holds) for resource in own]
        known = [count for count in counts if count is not None]
        return Decimal(sum(known) + entry.spare) if len(known) == len(counts) else None
    groups = list(roles.values()) if entry.role is None else [list(own)]
    everything = [resource for group in groups for resource in group]
    count = units(everything, entry.holds)
    loads = [load(group, entry.holds) for group in groups]
    if count is None or any(part is None for part in loads):
        return None
    place = next(index for index, group in enumerate(groups) if group[0].id == own[0].id)
    return share(count + entry.spare, [part or 0.0 for part in loads], place)


def load(resources: Sequence[Resource], holds: Holds) -> float | None:
    """How many whole things some resources fill, by the scarcest of what one holds; None where that isn't stated."""
    filled = 0.0
    for name, size in (("cores", holds.cores), ("memory_bytes", holds.memory), ("disk_bytes", holds.disk)):
        if size is None:
            continue
        amounts = [getattr(resource.capacity, name) for resource in resources]
        if any(amount is None for amount in amounts):
            return None
        filled = max(filled, math.fsum(amounts) / size)
    return filled


def units(resources: Sequence[Resource], holds: Holds) -> int | None:
    """How many things it takes to hold some resources, at least one; None where their capacity isn't stated."""
    filled = load(resources, holds)
    return None if filled is None else max(1, math.ceil(filled - 1e-9))


def share(count: int, loads: Sequence[float], place: int) -> Decimal:
    """The part of `count` things that falls to one of several loads, in thousandths; all parts add up to `count`."""
    total = math.fsum(loads)
    if not total:
        loads, total = [1.0] * len(loads), float(len(loads))

    def up_to(end: int) -> Decimal:
        part = Decimal(repr(math.fsum(loads[:end]) / total)) * count
        return part.quantize(Decimal("0.001"), ROUND_HALF_EVEN) if end < len(loads) else Decimal(count)

    return up_to(place + 1) - up_to(place)


def compare(platform: str, found: Sequence[Way]) -> Comparison:
    """Sums over everything, and over the scopes that every way has with known prices: only those are like for like."""
    scopes = list(dict.fromkeys(line.component for way in found for line in way.lines))
    months = {scope: {way.id: way.month(scope) for way in found} for scope in scopes}
    lacks = [
        Lack(scope=scope, way=way.id, reason="no line" if amount is None else "price not known in full")
        for scope in scopes
        for way in found
        for amount in [months[scope][way.id]]
        if amount is None or not amount.exact
    ]
    missing = {lack.scope for lack in lacks}
    common = tuple(scope for scope in scopes if scope not in missing)
    sums_of = {way.id: _common(way, common) for way in found}
    least = min((amount.amount for amount in sums_of.values() if amount.amount is not None), default=None)
    return Comparison(
        platform=platform,
        ways=tuple(
            Compared(
                way=way.id,
                title=way.title,
                terms=way.terms,
                full=way.whole,
                common=sums_of[way.id],
                common_per_year=sums_of[way.id].per_year,
                over_cheapest=_over(sums_of[way.id], least),
                one_off=way.sums.one_off,
                unspread=way.unspread,
            )
            for way in found
        ),
        scopes=common,
        months=months,
        lacks=tuple(lacks),
    )


def _common(way: Way, scopes: Sequence[str]) -> Amount:
    if way.unspread or not scopes:
        return Amount(amount=None, bound="unknown")
    return add((_month(line, way.terms), line.quantity) for line in way.lines if line.component in scopes)


def _over(amount: Amount, least: Decimal | None) -> Decimal | None:
    return None if amount.amount is None or least is None else amount.amount - least
