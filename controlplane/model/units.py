"""Units of signals (UCUM-like, as OpenTelemetry writes them), conversion and display."""

import math
import re
from fractions import Fraction

# unit → (dimension, factor to the base unit of the dimension)
_UNITS: dict[str, tuple[str, float]] = {
    "1": ("ratio", 1.0),
    "%": ("ratio", 0.01),
    "ns": ("time", 1e-9),
    "us": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "ds": ("time", 0.1),
    "s": ("time", 1.0),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "d": ("time", 86400.0),
    "mo": ("time", 730 * 3600.0),
    "quarter": ("time", 365 / 4 * 86400.0),
    "a": ("time", 365 * 86400.0),
    "bit": ("data", 0.125),
    "By": ("data", 1.0),
    "kBy": ("data", 1e3),
    "MBy": ("data", 1e6),
    "GBy": ("data", 1e9),
    "TBy": ("data", 1e12),
    "KiBy": ("data", 2.0**10),
    "MiBy": ("data", 2.0**20),
    "GiBy": ("data", 2.0**30),
    "TiBy": ("data", 2.0**40),
    "Hz": ("frequency", 1.0),
    "Cel": ("temperature", 1.0),
    "W": ("power", 1.0),
    "kW": ("power", 1e3),
    "USD": ("money", 1.0),
}
_ANNOTATION = re.compile(r"\{[a-zA-Z][a-zA-Z0-9_.-]*\}")
"""A blank in it would end the unit of a condition; UCUM has none there either."""


def _resolve(unit: str) -> tuple[str, float] | None:
    if unit in _UNITS:
        return _UNITS[unit]
    if _ANNOTATION.fullmatch(unit):
        return unit, 1.0
    numerator, slash, denominator = unit.partition("/")
    if not slash:
        return None
    top, bottom = _resolve(numerator), _resolve(denominator)
    if top is None or bottom is None:
        return None
    return f"{top[0]}/{bottom[0]}", top[1] / bottom[1]


def check_unit(unit: str) -> str:
    """Return `unit` if it is known; ValueError otherwise. `{message}` and `{message}/s` count things."""
    if _resolve(unit) is None:
        raise ValueError(f"unknown unit {unit!r}; write UCUM such as 1, %, s, ms, By, GBy, By/s, bit/s or {{message}}")
    return unit


def convert(value: float, unit: str, to: str) -> float:
    """`value` in `unit`, expressed in `to`; ValueError where the two measure different things."""
    if unit == to:
        return value
    source, target = _resolve(check_unit(unit)), _resolve(check_unit(to))
    assert source is not None
    assert target is not None
    if source[0] != target[0]:
        raise ValueError(f"{unit!r} can't be compared with {to!r}: they measure different things")
    if not math.isfinite(value):
        return value
    # Exact until the last step: 4 ms are 4,000 us, not a bit more.
    return float(Fraction(value) * Fraction(str(source[1])) / Fraction(str(target[1])))


def is_time(unit: str) -> bool:
    """Whether a unit measures time."""
    return (_resolve(check_unit(unit)) or ("", 0.0))[0] == "time"


_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)")
_DECIMAL = (("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12), ("P", 10**15))
_BINARY = (("Ki", 2**10), ("Mi", 2**20), ("Gi", 2**30), ("Ti", 2**40), ("Pi", 2**50))
_BYTES = {f"{prefix}B": factor for prefix, factor in (*_DECIMAL, *_BINARY)}
_BITS_PER_SECOND = {f"{prefix}bps": factor for prefix, factor in _DECIMAL}


def parse_bytes(value: object) -> float:
    """Bytes from `64GiB`, `4TB`, `1.5 kB` or a plain number of bytes; ValueError for anything else."""
    return _quantity(value, _BYTES, "a size; write a number and a unit, such as 64GiB or 4TB, or a number of bytes")


def parse_bits_per_second(value: object) -> float:
    """Bits per second from `10Gbps`, `2.5 Gbps` or a plain number of them; ValueError for anything else."""
    example = "a bit rate; write a number and a unit, such as 10Gbps, or a number of bits per second"
    return _quantity(value, _BITS_PER_SECOND, example)


def _quantity(value: object, units: dict[str, int], what: str) -> float:
    number = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str) and (match := _QUANTITY.fullmatch(value)) and match[2] in units:
        number = float(match[1]) * units[match[2]]
    if number is None or not math.isfinite(number):
        raise ValueError(f"{value!r} is not {what}")
    if number < 0:
        raise ValueError(f"{value!r} is negative")
    return number


def is_state(operator: str, unit: str) -> bool:
    """Whether a condition asks for a state (up or down): a pure number compared for equality is no share."""
    return unit == "1" and operator in {"==", "!="}


def human(value: float | None, unit: str) -> str:
    """A value with its unit for people: `91.2 %`, `412,000 messages/s`, `1.4 TB/s`; `–` for what is no number."""
    if value is None:
        return "no data" if unit else "–"
    if not math.isfinite(value):
        return f"{value:+} {unit}"
    if unit == "1":
        return f"{value * 100:,.4g} %"
    if unit in {"By", "By/s"}:
        return _scaled(value, "B" + unit[2:])
    if unit in {"bit", "bit/s"}:
        return _scaled(value, unit)
    whole = value == int(value) or abs(value) >= 1_000
    number = f"{value:,.0f}" if whole and abs(value) < 1e15 else f"{value:,.4g}"
    name, slash, per = unit.replace("{", "").replace("}", "").partition("/")
    if unit.startswith("{") and not name.endswith("s") and value != 1:
        name = name[:-1] + "ies" if name.endswith("y") else name + "s"
    return f"{number} {name}{slash}{per}"


def many(number: int, noun: str) -> str:
    """`1 consumer`, `12 consumers`, `1,200 partitions`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _scaled(value: float, unit: str) -> str:
    for prefix, factor in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:,.4g} {prefix}{unit}"
    return f"{value:,.4g} {unit}"
