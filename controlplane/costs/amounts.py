"""Sums of money of which a part may be unknown: they say so instead of counting it as nothing. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from controlplane.model.base import Model, Money
from controlplane.model.money import MONTHS_PER_YEAR, human_money

Bound = Literal["exact", "at_least", "at_most", "unknown"]


class Amount(Model):
    """A sum: `exact`, or what is known of it (`at_least`, `at_most`), or None where nothing useful is known."""

    amount: Money | None
    bound: Bound

    @property
    def per_year(self) -> "Amount":
        """Twelve times a sum for a month."""
        return self.model_copy(update={"amount": None if self.amount is None else self.amount * MONTHS_PER_YEAR})

    @property
    def exact(self) -> bool:
        """Whether every part of it is known."""
        return self.bound == "exact"

    def told(self) -> str:
        """`$1,234`, `at least $1,234`, `at most −$5` or `unknown`."""
        words = {"exact": "", "at_least": "at least ", "at_most": "at most ", "unknown": ""}
        return words[self.bound] + human_money(self.amount)


NOTHING = Amount(amount=Decimal(0), bound="exact")


def add(parts: Iterable[tuple[Decimal | None, Decimal | None]]) -> Amount:
    """Sum of amounts, each given with the quantity behind it; a price is never below 0.

    An unknown amount of a positive (or unknown) quantity makes the sum a lower bound, that of a negative quantity an
    upper bound, both together make it unknown; so does every amount being unknown.
    """
    known: list[Decimal] = []
    up = down = False
    for amount, quantity in parts:
        if amount is not None:
            known.append(amount)
        elif quantity is not None and quantity < 0:
            down = True
        else:
            up = True
    if not (up or down):
        return Amount(amount=sum(known, Decimal(0)), bound="exact")
    if (up and down) or not any(known):
        return Amount(amount=None, bound="unknown")
    return Amount(amount=sum(known, Decimal(0)), bound="at_least" if up else "at_most")
