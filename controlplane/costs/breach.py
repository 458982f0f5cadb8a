"""What a broken promise costs while an alert fires, where the price book says so: a part of doing nothing. Pure."""

from decimal import Decimal

from controlplane.model.money import HOURS_PER_MONTH, MONTHS_PER_YEAR, human_money
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Cost, Price

_DAY = Decimal(24)


def breached(cost: Cost, rule: str, book: PriceBook) -> Cost:
    """The cost, with what each breach of the book for this alert rule costs added to what doing nothing costs."""
    told = [
        _told(book.get(breach.price), breach.quantity, book.currency) for breach in book.breaches if breach.rule == rule
    ]
    return cost.model_copy(update={"do_nothing": "; ".join((cost.do_nothing, *told))}) if told else cost


def _told(price: Price | None, quantity: Decimal, currency: str) -> str:
    if price is None or price.amount is None:
        return f"{'a breach' if price is None else price.item} costs an unknown amount"
    amount = price.amount * quantity
    if price.unit == "USD":
        return f"{price.item}: {human_money(amount, currency)} once"
    hourly = {"USD/h": amount, "USD/mo": amount / HOURS_PER_MONTH, "USD/a": amount / HOURS_PER_MONTH / MONTHS_PER_YEAR}
    if price.unit not in hourly:
        return f"{price.item} costs an unknown amount: a price in {price.unit} doesn't fit"
    hour = hourly[price.unit]
    return f"{price.item}: {human_money(hour, currency)} an hour, {human_money(hour * _DAY, currency)} a day"
