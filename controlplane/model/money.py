"""Money: exact decimals in one currency; an unknown amount is None and stays unknown."""

from decimal import ROUND_HALF_EVEN, Decimal

HOURS_PER_MONTH = Decimal(730)
MONTHS_PER_YEAR = Decimal(12)
_CENT = Decimal("0.01")


def parse_amount(value: object) -> Decimal:
    """Read a finite amount from a number or its text, never rounded; ValueError says what is wrong with it."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(value))
    elif isinstance(value, str):
        try:
            number = Decimal(value)
        except ArithmeticError:
            raise ValueError(f"{value!r} is not an amount; write a number such as 735.84") from None
    else:
        raise ValueError(f"{value!r} is not an amount; write a number such as 735.84")
    if not number.is_finite():
        raise ValueError(f"{value!r} is not an amount")
    return number


def cents(amount: Decimal) -> Decimal:
    """Rounded half-even to whole cents."""
    return amount.quantize(_CENT, ROUND_HALF_EVEN)


def human_money(amount: Decimal | None, currency: str = "USD") -> str:
    """`$9,702`, `−$120.50` or `unknown`; whole units without cents."""
    if amount is None:
        return "unknown"
    symbol = "$" if currency == "USD" else f"{currency} "
    rounded = cents(abs(amount))
    sign = "−" if amount < 0 and rounded else ""
    digits = f"{rounded:,.0f}" if rounded == rounded.to_integral_value() else f"{rounded:,.2f}"
    return f"{sign}{symbol}{digits}"
