"""Numbers as people write them in plans (`53K`, `4TB`, `10Gbps`, `80%`, `168h`), exact, and shown in people's units."""

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from controlplane.model.money import human_money
from controlplane.model.units import human

_THOUSANDS = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
_SUFFIXES: dict[str, Decimal] = {
    **{prefix + unit: Decimal(10) ** power for unit in ("", "B", "bps") for prefix, power in _THOUSANDS.items()},
    **{f"{prefix}B": Decimal(2) ** power for prefix, power in _BINARY.items()},
    "%": Decimal("0.01"),
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
    "w": Decimal(604800),
    "y": Decimal(31536000),
}
_WRITTEN = re.compile(r"(-?)(\$?)([0-9]{1,30}(?:\.[0-9]{1,30})?) ?([A-Za-z%]*)")
_NUMBER = "write a number such as 752, 53K, 4TB, 10Gbps, 80% or 168h"
_SMALL = 10
"""Below so many dollars it is the price of a unit, and parts of a cent count."""
_TIMED = {"us", "ms", "s", "m", "h", "d", "w", "y"}


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number, the worth of its last written digit, and how it was written."""

    value: Decimal
    step: Decimal
    written: str
    unit: str = ""


def parse_number(raw: Any) -> Number:
    """`752`, `53K`, `$1.8M`, `4TB`, `10Gbps`, `80%`, `168h`; ValueError for anything else.

    Sizes are in bytes, rates of bits in bit/s, times in seconds, shares as a part of 1; m is a minute, M a million.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"{raw!r} is no number; {_NUMBER}")
    text = repr(raw) if isinstance(raw, float) else str(raw)
    if "e" in text.lower() and isinstance(raw, float):
        text = format(Decimal(text), "f")
    match = _WRITTEN.fullmatch(text)
    if match is None or match[4] not in _SUFFIXES:
        raise ValueError(f"{text[:60]!r} is no number; {_NUMBER}")
    digits = Decimal(match[1] + match[3])
    factor = _SUFFIXES[match[4]]
    exponent = digits.as_tuple().exponent
    assert isinstance(exponent, int)
    written = f"{match[1]}{match[2]}{plain(abs(digits))}{' ' * (len(match[4]) > 1 or match[4] in _TIMED)}{match[4]}"
    return Number(digits * factor, Decimal(10) ** exponent * factor, written, _unit(match[2], match[4]))


def _unit(currency: str, suffix: str) -> str:
    if currency:
        return "USD"
    if suffix.endswith("bps"):
        return "bit/s"
    if suffix in _TIMED:
        return "s"
    return "By" if suffix.endswith("B") else "1" if suffix == "%" else ""


def is_number(raw: Any) -> bool:
    """Whether `raw` begins like a number rather than like a name."""
    return isinstance(raw, int | float) or (isinstance(raw, str) and re.match(r"-?\$?[0-9]", raw) is not None)


def exact(value: float | Decimal) -> Decimal:
    """The decimal number that a binary one was written as."""
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def plain(value: Decimal) -> str:
    """A number without a unit: `1,328`, `63.25`, `5.36e-8`."""
    if value == value.to_integral_value():
        return f"{value:,.0f}"
    size = abs(value)
    if size < Decimal("0.001"):
        mantissa, _, exponent = f"{value:.3g}".lower().partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    text = f"{value:,.{2 if size >= 1 else 4}f}"
    return text.rstrip("0").rstrip(".")


_TIMES = ((31536000, "years"), (86400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def shown(value: Decimal, unit: str) -> str:
    """A number in people's units: `$1,814,400/mo`, `53.7 TB`, `8.9 h`, `110 %`, `1,328 cpus`."""
    if not unit:
        return plain(value)
    if unit == "s":
        return _time(value)
    money, slash, period = unit.partition("/")
    if money == "USD":
        return _money(value) + slash + period
    if unit in {"By", "By/s", "bit/s"} and abs(value) < 1000:
        return f"{plain(value)} {'bit/s' if unit == 'bit/s' else 'B' + unit[2:]}"
    return human(float(value), unit)


def _time(value: Decimal) -> str:
    size = abs(value)
    for seconds, name in _TIMES:
        if size >= 2 * seconds or (size >= seconds and size % seconds == 0):
            count = plain(round(value / seconds, 2))
            return f"{count} {name.removesuffix('s') if count == '1' and name != 's' else name}"
    return f"{plain(value)} s" if size >= 1 or not value else f"{plain(value * 1000)} ms"


def _money(value: Decimal) -> str:
    if value and abs(value) < Decimal("0.01"):
        return f"${plain(value)}"
    if abs(value) < _SMALL and value != round(value, 2):
        return f"${round(value, 4).normalize():f}"
    return human_money(value)


def tidy(value: Decimal) -> str:
    """A decimal string for documents: 18 significant digits, no exponent, no idle zeros."""
    with localcontext() as context:
        context.prec = 18
        text = format(+value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
