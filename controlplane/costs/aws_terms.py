"""The terms of one product of an AWS price list: what an hour or a gigabyte costs, and with a reservation. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable

_UNITS: dict[str, Literal["USD/h", "USD/GBy.mo"]] = {"Hrs": "USD/h", "GB-Mo": "USD/GBy.mo"}
_HOURS_PER_YEAR = 8_760
_MILLIONTH = Decimal("0.000001")
_YEARS = {"1yr": 1, "3yr": 3}
_HIGHEST = Decimal(10**9)


class NotMapped(ControlplaneError):
    """Why a product has no place in a price book."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A price of one unit."""

    unit: Literal["USD/h", "USD/GBy.mo"]
    amount: Decimal
    description: str


def on_demand(offers: Any) -> Rate:
    """The one price on demand; NotMapped where there is none, several, or one that can't be read."""
    rates = [dimension for offer in _offers(offers) for dimension in _dimensions(offer)]
    if not rates:
        raise NotMapped("it has no price on demand")
    if len(rates) > 1 or str(rates[0].get("beginRange", "0")) != "0" or str(rates[0].get("endRange", "Inf")) != "Inf":
        raise NotMapped("its price depends on how much is used, which a price book can't say")
    unit = _UNITS.get(str(rates[0].get("unit")))
    if unit is None:
        known = " and ".join(_UNITS)
        raise NotMapped(f"it is priced by {printable(str(rates[0].get('unit')), 40)!r}; {known} are known")
    amount = _usd(rates[0])
    if amount == 0:
        raise NotMapped("its price is 0, as for what is billed elsewhere")
    return Rate(unit, amount, str(rates[0].get("description", "")))


def reserved(offers: Any, lease: str, upfront: str) -> Rate | None:
    """The price of an hour with a standard reservation, hourly + upfront ÷ hours of the lease; None where it has none.

    NotMapped where its parts can't be read.
    """
    wanted = {"LeaseContractLength": lease, "PurchaseOption": upfront, "OfferingClass": "standard"}
    matching = []
    for offer in _offers(offers):
        attributes = offer.get("termAttributes")
        # Databases and caches have no offering class.
        if isinstance(attributes, dict) and all(attributes.get(k, "standard") == v for k, v in wanted.items()):
            matching.append(offer)
    if not matching:
        return None
    if len(matching) > 1:
        raise NotMapped(f"it has {len(matching)} reservations of {lease}, {upfront}")
    hours = Decimal(_YEARS[lease] * _HOURS_PER_YEAR)
    hourly = once = Decimal(0)
    for dimension in _dimensions(matching[0]):
        unit = dimension.get("unit")
        if unit == "Hrs":
            hourly += _usd(dimension)
        elif unit == "Quantity":
            once += _usd(dimension)
        else:
            raise NotMapped(f"its reservation is priced by {printable(str(unit), 40)!r}; Hrs and Quantity are known")
    amount = hourly + once / hours
    if amount <= 0:
        raise NotMapped("its price with a reservation is 0")
    if once:
        amount = amount.quantize(_MILLIONTH)
    paid = f"{upfront.lower()}: ${once:f} at once, spread over {hours:,} h" if once else upfront.lower()
    return Rate("USD/h", _tidy(amount), f"reserved: standard, {lease}, {paid}")


def _offers(offers: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(offers, dict):
        return
    for offer in offers.values():
        if not isinstance(offer, dict):
            raise NotMapped("its terms can't be read")
        yield offer


def _dimensions(offer: dict[str, Any]) -> list[dict[str, Any]]:
    dimensions = offer.get("priceDimensions")
    if not isinstance(dimensions, dict) or not all(isinstance(entry, dict) for entry in dimensions.values()):
        raise NotMapped("its terms can't be read")
    return list(dimensions.values())


def _usd(dimension: dict[str, Any]) -> Decimal:
    prices = dimension.get("pricePerUnit")
    text = prices.get("USD") if isinstance(prices, dict) else None
    if text is None:
        others = ", ".join(map(str, prices)) if isinstance(prices, dict) and prices else "no currency"
        raise NotMapped(f"it is priced in {printable(others, 40)}, not in USD")
    try:
        amount = Decimal(str(text))
    except ArithmeticError:
        raise NotMapped(f"{printable(str(text), 40)!r} is no price") from None
    if not amount.is_finite() or not 0 <= amount < _HIGHEST:
        raise NotMapped(f"{printable(str(text), 40)!r} is no price")
    return _tidy(amount)


def _tidy(amount: Decimal) -> Decimal:
    """Without zeros at the end, and without an exponent."""
    return Decimal(format(amount.normalize(), "f"))
