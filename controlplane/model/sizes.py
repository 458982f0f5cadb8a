"""Sizes in bytes that are written with their unit."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from controlplane.model.units import convert

_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*((?:[kMGT]|[KMGT]i)?By)")


def parse_bytes(value: object) -> float:
    """Read `100 GBy` or `1 MiBy`; a bare number has no unit and raises ValueError."""
    match = _BYTES.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size; write a number and a unit, such as 100 GBy or 1 MiBy")
    size = convert(float(match[1]), match[2], "By")
    if not math.isfinite(size):
        raise ValueError(f"{value!r} is too large")
    return size


Bytes = Annotated[
    float,
    BeforeValidator(lambda value: value if isinstance(value, float) else parse_bytes(value)),
    PlainSerializer(lambda size: f"{size:.0f} By", return_type=str),
]
