"""What an inventory costs by a price book: lines, sums, and what isn't priced. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from controlplane.costs.amounts import Amount, add
from controlplane.model.base import Model, Money
from controlplane.model.labels import printable
from controlplane.model.money import cents
from controlplane.model.prices import THINGS, TRAFFIC, UNITS, PriceBook, Standing
from controlplane.model.recommendations import Price, PriceSource
from controlplane.model.resources import Resource, ResourceKind

MACHINES = frozenset(ResourceKind) - {
    ResourceKind.CLUSTER,
    ResourceKind.SERVICE,
    ResourceKind.ZONE,
    ResourceKind.REGION,
}
"""Kinds that somebody pays for; the others are groups and names unless a price is written to them."""


class Line(Model):
    """One price times a quantity; amounts are None where the price or the quantity isn't known."""

    component: str
    item: str
    price: str | None
    quantity: Money | None
    unit: str
    unit_amount: Money | None = None
    unit_reserved: Money | None = None
    per_month: Money | None = None
    per_month_reserved: Money | None = None
    """With a reservation; on demand where the book has none for it."""
    one_off: Money | None = None
    spread: Money | None = None
    """The part of `one_off` that a month bears; None where it isn't known or not spread."""
    resources: tuple[str, ...] = ()
    note: str = ""
    source: PriceSource | None = None

    @property
    def known(self) -> bool:
        """Whether it has a price."""
        return self.per_month is not None

    @property
    def whole(self) -> Decimal | None:
        """A month of it, with its part of what was bought."""
        return None if self.per_month is None else self.per_month + (self.spread or 0)

    @property
    def whole_reserved(self) -> Decimal | None:
        """The same with reservations."""
        return None if self.per_month_reserved is None else self.per_month_reserved + (self.spread or 0)


class Included(Model):
    """Resources that are paid for with something else."""

    component: str
    resources: tuple[str, ...]
    paid_with: str
    """Id of the resource that carries them, or of the price that pays for their role."""


class Sums(Model):
    """Sums of lines; a year is twelve months."""

    per_month: Amount
    per_month_reserved: Amount
    one_off: Amount
    spread: Amount | None
    """A month's part of what is bought once; None where the book doesn't spread it."""
    whole_per_month: Amount
    whole_per_month_reserved: Amount
    """With that part; without it where the book doesn't spread it."""
    per_year: Amount
    per_year_reserved: Amount
    whole_per_year: Amount
    whole_per_year_reserved: Amount


class Component(Model):
    """The lines of one role, or of one purpose of the whole platform."""

    name: str
    lines: tuple[Line, ...]
    sums: Sums


class Bill(Model):
    """What a platform costs."""

    platform: str
    currency: str
    amortise_months: int | None
    components: tuple[Component, ...]
    sums: Sums
    included: tuple[Included, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All of them, by component."""
        return tuple(line for component in self.components for line in component.lines)

    @property
    def unknown(self) -> tuple[Line, ...]:
        """Those without a price."""
        return tuple(line for line in self.lines if not line.known)


def bill(platform: str, resources: Sequence[Resource], book: PriceBook) -> Bill:
    """The resources of a platform at the prices that they name, and what the book says of the platform as a whole."""
    by_id = {resource.id: resource for resource in resources if resource.platform == platform}
    groups: dict[tuple[str, str | None], list[Resource]] = {}
    included: dict[tuple[str, str], list[str]] = {}
    paid = {role: entry.price for entry in book.standing for role in entry.pays_for}
    for resource in by_id.values():
        payer = carrier(resource, by_id, book) or (paid.get(resource.role) if resource.price is None else None)
        if payer is not None:
            included.setdefault((component_of(resource), payer), []).append(resource.id)
        elif resource.price is not None or resource.kind in MACHINES:
            groups.setdefault((component_of(resource), resource.price), []).append(resource)
    lines = [
        priced(book, component, price, quantity(book.get(price), own), resources=[resource.id for resource in own])
        for (component, price), own in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]
    lines += standing_lines(book, book.standing)
    return Bill(
        platform=platform,
        currency=book.currency,
        amortise_months=book.amortise_months,
        components=components(lines, book.amortise_months),
        sums=sums(lines, book.amortise_months),
        included=tuple(
            Included(component=component, resources=tuple(ids), paid_with=payer)
            for (component, payer), ids in sorted(included.items())
        ),
    )


def quantity(price: Price | None, resources: Sequence[Resource]) -> Decimal | None:
    """How much of a price some resources take: one each, or the gigabytes of their disks; None where that isn't stated.

    How much they move (USD/GBy) isn't in an inventory.
    """
    if price is None or price.unit in THINGS:
        return Decimal(len(resources))
    disks = [resource.limit("system.filesystem.usage") for resource in resources]
    if price.unit in TRAFFIC or any(disk is None for disk in disks):
        return None
    return sum((Decimal(repr(disk)) for disk in disks if disk is not None), Decimal(0)) / 10**9


def carrier(resource: Resource, by_id: dict[str, Resource], book: PriceBook) -> str | None:
    """Id of the resource that carries this one and whose price pays for it too; None where it is paid for itself."""
    if resource.price is not None and resource.price not in book.with_host:
        return None
    seen = {resource.id}
    above = by_id.get(resource.host)
    while above is not None and above.id not in seen:
        if above.price is not None and above.price not in book.with_host:
            return above.id
        seen.add(above.id)
        above = by_id.get(above.host)
    return None


def component_of(resource: Resource) -> str:
    """The role, else the cluster, else the kind."""
    return resource.role or resource.cluster or resource.kind.value


def priced(
    book: PriceBook,
    component: str,
    price_id: str | None,
    quantity: Decimal | None,
    *,
    item: str | None = None,
    note: str = "",
    resources: Iterable[str] = (),
) -> Line:
    """`quantity` at a price of the book; unknown where either is."""
    price = book.get(price_id)
    made = book.line(price_id, Decimal(0) if quantity is None else quantity, item=item, note=note, units=UNITS)
    line = Line(
        component=component,
        item=made.item,
        price=made.price,
        quantity=None if quantity is None else made.quantity,
        unit=made.unit,
        unit_amount=None if price is None else price.amount,
        unit_reserved=None if price is None else price.reserved,
        resources=tuple(resources),
        note=made.note,
        source=made.source,
    )
    if quantity is None:
        return line.model_copy(update={"note": "; ".join(filter(None, (line.note, "the quantity is not known")))})
    months = book.amortise_months
    spread = None if made.one_off is None or months is None else cents(made.one_off / months)
    return line.model_copy(
        update={
            "per_month": made.per_month,
            "per_month_reserved": _reserved(price, made.per_month, made.per_month_reserved),
            "one_off": made.one_off,
            "spread": spread,
        }
    )


def _reserved(price: Price | None, on_demand: Decimal | None, reserved: Decimal | None) -> Decimal | None:
    return on_demand if price is not None and price.reserved is None else reserved


def standing_lines(book: PriceBook, standing: Iterable[Standing]) -> list[Line]:
    """The lines of what is paid for the platform as a whole."""
    return [priced(book, entry.scope, entry.price, entry.quantity) for entry in standing]


def components(lines: Iterable[Line], months: int | None) -> tuple[Component, ...]:
    """The lines by component, in the order in which they come."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.component, []).append(line)
    return tuple(
        Component(name=printable(name, 200), lines=tuple(own), sums=sums(own, months)) for name, own in found.items()
    )


def sums(lines: Sequence[Line], months: int | None) -> Sums:
    """The sums of some lines."""

    def total(name: str) -> Amount:
        return add((getattr(line, name), line.quantity) for line in lines)

    per_month, reserved = total("per_month"), total("per_month_reserved")
    whole, whole_reserved = total("whole"), total("whole_reserved")
    return Sums(
        per_month=per_month,
        per_month_reserved=reserved,
        one_off=total("one_off"),
        spread=None if months is None else total("spread"),
        whole_per_month=whole,
        whole_per_month_reserved=whole_reserved,
        per_year=per_month.per_year,
        per_year_reserved=reserved.per_year,
        whole_per_year=whole.per_year,
        whole_per_year_reserved=whole_reserved.per_year,
    )
