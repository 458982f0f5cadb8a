"""Price books: what a unit costs, and what a quantity of it costs in a month or once."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controlplane.model.base import Model, Money, RuleId
from controlplane.model.holds import Holds
from controlplane.model.labels import printable
from controlplane.model.money import HOURS_PER_MONTH, MONTHS_PER_YEAR, cents
from controlplane.model.recommendations import CostLine, Price

SECONDS_PER_TRAFFIC_MONTH = 86_400 * 30
"""Traffic is billed on months of 30 days, as the price lists reckon it."""
_GB = Decimal(10**9)
_STEP = Decimal("0.001")

THINGS = frozenset({"USD/h", "USD/mo", "USD/a", "USD"})
"""Units in which a thing, such as a server, is priced."""
TRAFFIC = frozenset({"USD/GBy"})
UNITS = THINGS | TRAFFIC | {"USD/GBy.mo"}

# How often a month each recurring unit is paid.
_MONTHLY: dict[str, Decimal] = {
    "USD/h": HOURS_PER_MONTH,
    "USD/mo": Decimal(1),
    "USD/GBy.mo": Decimal(1),
    "USD/GBy": Decimal(1),
}
# What can't be reserved costs the same with a reservation.
_NEVER_RESERVED = {"USD/GBy.mo", "USD/GBy", "USD"}


Name = Annotated[str, Field(min_length=1, max_length=200)]


class Standing(Model):
    """A cost of the platform as a whole, whatever its machines are: power, staff, a link."""

    price: Name
    scope: Name
    """What it is for, such as power; what two offers both have is compared."""
    quantity: Annotated[Money, Field(ge=0)] | None = Decimal(1)
    """In the unit of the price; None = not known."""
    pays_for: tuple[Name, ...] = ()
    """Roles that need no price of their own because of it, such as the volumes of a store."""


class Taken(Model):
    """What an offer takes for the resources of a role.

    One for each resource; with `holds` as many as hold it; of a price per GB kept, the gigabytes of its disk.
    """

    role: Name | None = None
    """Absent = every role."""
    price: Name
    holds: Holds | None = None
    pooled: bool = False
    """Whether one of it holds parts of several resources, as a hypervisor does."""
    spare: Annotated[int, Field(ge=0)] = 0
    """So many more than it takes, to carry the loss of as many."""

    @model_validator(mode="after")
    def _sized(self) -> Self:
        if (self.pooled or self.spare) and self.holds is None:
            raise ValueError("pooled and spare need holds: what one of it holds, such as {cores: 256, memory: 2 TBy}")
        return self


class Offer(Model):
    """Another way to buy what an inventory lists."""

    id: RuleId
    title: str = ""
    takes: tuple[Taken, ...]
    standing: tuple[Standing, ...] = ()
    includes: tuple[Name, ...] = ()
    """Scopes that its prices include, such as power in a cloud."""


class Breach(Model):
    """What a broken promise (an SLA, a contract) costs while an alert fires."""

    rule: RuleId
    """The alert rule."""
    price: Name
    """By the hour, month or year while it lasts, or once."""
    quantity: Annotated[Money, Field(gt=0)] = Decimal(1)


class PriceBook(Model):
    """The prices of a platform, each with the place it was taken from."""

    currency: Literal["USD"] = "USD"
    title: str = ""
    """What buying by this book is called, such as `On-premise`."""
    amortise_months: Annotated[int, Field(ge=1, le=600)] | None = None
    """What is bought once is spread over so many months; None = it isn't."""
    with_host: tuple[Name, ...] = ()
    """Prices that are in that of the host: a resource on a host of the inventory costs nothing more."""
    standing: tuple[Standing, ...] = ()
    breaches: tuple[Breach, ...] = ()
    offers: tuple[Offer, ...] = ()
    also: tuple[RuleId, ...] = ()
    """Packs whose books offer the same platform in other ways."""
    prices: tuple[Price, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(self._by_id) != len(self.prices):
            ids = [price.id for price in self.prices]
            twice = next(name for name in ids if ids.count(name) > 1)
            raise ValueError(f"the price {twice!r} stands here twice; give each its own id")
        offers = [offer.id for offer in self.offers]
        if len(set(offers)) != len(offers):
            twice = next(name for name in offers if offers.count(name) > 1)
            raise ValueError(f"the offer {twice!r} stands here twice; give each its own id")
        return self

    @cached_property
    def _by_id(self) -> Mapping[str, Price]:
        return {price.id: price for price in self.prices}

    def get(self, price_id: str | None) -> Price | None:
        """The entry with this id, None where there is none."""
        return None if price_id is None else self._by_id.get(price_id)

    def once(self, price_id: str | None) -> bool:
        """Whether this is bought (USD), so that giving it up saves nothing."""
        price = self.get(price_id)
        return price is not None and price.unit == "USD"

    def line(
        self,
        price_id: str | None,
        quantity: Decimal | float,
        *,
        item: str | None = None,
        note: str = "",
        units: Collection[str] = UNITS,
        once: bool = False,
    ) -> CostLine:
        """`quantity` units at a price, in cents; negative = a saving. Where the price isn't known all amounts are None.

        `quantity` counts things for USD/h, USD/mo, USD/a and USD, GB for USD/GBy.mo, and GB in a month (`once`: GB
        in all) for USD/GBy. It is rounded to thousandths first, so that the line can be recomputed as it stands.
        A price in another unit than `units` is no price of this quantity and counts as unknown.
        """
        amount = _exact(quantity)
        price = self.get(price_id)
        if price is None:
            shown = printable(price_id or "", 60)
            why = f"the price book has no entry {shown!r}" if price_id else "no price is named for it"
            return CostLine(
                item=item or shown or "unnamed", price=None, quantity=amount, unit="unknown", note=_join(note, why)
            )
        line = CostLine(
            item=item or price.item,
            price=price.id,
            quantity=amount,
            unit=price.unit,
            note=_join(note, price.note),
            source=price.source,
        )
        if price.unit not in units:
            return line.model_copy(update={"note": _join(line.note, f"a price in {price.unit} doesn't fit")})
        if price.amount is None:
            return line.model_copy(update={"note": _join(line.note, "the price is not known")})
        if price.unit == "USD" or (once and price.unit == "USD/GBy"):
            nothing = Decimal(0)
            paid = cents(amount * price.amount)
            return line.model_copy(update={"per_month": nothing, "per_month_reserved": nothing, "one_off": paid})
        reserved = price.amount if price.unit in _NEVER_RESERVED else price.reserved
        return line.model_copy(
            update={
                "per_month": _monthly(amount, price.amount, price.unit),
                "per_month_reserved": None if reserved is None else _monthly(amount, reserved, price.unit),
                "one_off": Decimal(0),
            }
        )


def free_line(item: str, note: str = "") -> CostLine:
    """A line for what is known to cost nothing."""
    nothing = Decimal(0)
    return CostLine(
        item=item,
        price=None,
        quantity=Decimal(1),
        unit="USD",
        per_month=nothing,
        per_month_reserved=nothing,
        one_off=nothing,
        note=note,
    )


def gb_per_month(bytes_per_second: float) -> Decimal:
    """Decimal gigabytes that a steady stream moves in a month of 30 days: B/s × 86,400 × 30 ÷ 10⁹."""
    return Decimal(repr(float(bytes_per_second))) * SECONDS_PER_TRAFFIC_MONTH / _GB


def _exact(quantity: Decimal | float) -> Decimal:
    number = quantity if isinstance(quantity, Decimal) else Decimal(repr(quantity))
    if not number.is_finite():
        raise ValueError(f"{quantity!r} is not a quantity")
    rounded = number.quantize(_STEP)
    whole = rounded.to_integral_value()
    return whole if rounded == whole else rounded


def _monthly(quantity: Decimal, amount: Decimal, unit: str) -> Decimal:
    return cents(quantity * amount / MONTHS_PER_YEAR if unit == "USD/a" else quantity * amount * _MONTHLY[unit])


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
