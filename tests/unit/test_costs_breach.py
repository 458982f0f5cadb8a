"""Breaches that are configured: part of what doing nothing costs."""

from decimal import Decimal
from typing import Any

import pytest

from controlplane.costs import free_line, parse_price_book, total
from controlplane.costs.breach import breached
from controlplane.model.errors import InvalidInput
from controlplane.model.prices import PriceBook

COST = total((free_line("Nothing"),), "It stays slow")


def book(amount: str | None, unit: str, **more: Any) -> PriceBook:
    source = {"document": "Contract", "date": "2026-01-01"}
    price = {"id": "sla", "item": "SLA credit", "unit": unit, "amount": amount, "source": source}
    breach = {"rule": "shop-down", "price": "sla", **more}
    return PriceBook.model_validate({"prices": [price], "breaches": [breach]})


@pytest.mark.parametrize(
    ("amount", "unit", "more", "told"),
    [
        ("500", "USD/h", {}, "It stays slow; SLA credit: $500 an hour, $12,000 a day"),
        ("500", "USD/h", {"quantity": "3"}, "It stays slow; SLA credit: $1,500 an hour, $36,000 a day"),
        ("7300", "USD/mo", {}, "It stays slow; SLA credit: $10 an hour, $240 a day"),
        ("87600", "USD/a", {}, "It stays slow; SLA credit: $10 an hour, $240 a day"),
        ("25000", "USD", {}, "It stays slow; SLA credit: $25,000 once"),
        (None, "USD/h", {}, "It stays slow; SLA credit costs an unknown amount"),
        ("1", "USD/GBy", {}, "It stays slow; SLA credit costs an unknown amount: a price in USD/GBy doesn't fit"),
        ("500", "USD/h", {"rule": "shop-slow"}, "It stays slow"),
        ("500", "USD/h", {"price": "none"}, "It stays slow; a breach costs an unknown amount"),
    ],
)
def test_what_a_breach_costs(amount: str | None, unit: str, more: dict[str, Any], told: str) -> None:
    cost = breached(COST, "shop-down", book(amount, unit, **more))
    assert cost.do_nothing == told
    assert (cost.per_month, cost.one_off, cost.lines) == (Decimal(0), Decimal(0), COST.lines)


def test_none_is_configured() -> None:
    assert breached(COST, "shop-down", PriceBook()) is COST


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            "{rule: shop-down, price: slaa}",
            r"p.yaml:3:23 \(breaches.0.price\): the book has no price 'slaa'. Did you me",
        ),
        ("{rule: shop-down, price: sla, quantity: 0}", "greater than 0"),
        ("{price: sla}", "the key 'rule' is missing"),
    ],
)
def test_mistakes_have_a_place(entry: str, told: str) -> None:
    price = "{id: sla, item: SLA, unit: USD/h, amount: '1', source: {document: C, date: '2026-01-01'}}"
    with pytest.raises(InvalidInput, match=told):
        parse_price_book(f"currency: USD\nbreaches:\n  - {entry}\nprices:\n  - {price}\n", "p.yaml")
