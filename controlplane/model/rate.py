"""How many in how much time, such as `1/s`, `120/m` or `10/30s`."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from controlplane.model.time import format_duration, parse_duration


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `number` in any stretch of length `per`."""

    number: int
    per: timedelta

    def __str__(self) -> str:
        length = format_duration(self.per)
        return f"{self.number}/{length[1:] if re.fullmatch('1[smhd]', length) else length}"


def parse_rate(value: object) -> Rate:
    """Read a rate; ValueError says how to write one."""
    if isinstance(value, Rate):
        return value
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]\S*|[a-z]+)\s*", value) if isinstance(value, str) else None
    per = timedelta(0)
    if match is not None:
        try:
            per = parse_duration(match[2] if match[2][0].isdigit() else f"1{match[2]}")
        except ValueError:
            match = None
    if match is None or not int(match[1]) or not timedelta(0) < per <= timedelta(days=1):
        raise ValueError(f"{value!r} is not a rate; write a number and a time, such as 1/s, 120/m or 10/30s")
    return Rate(int(match[1]), per)


RateField = Annotated[
    Rate,
    BeforeValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["120/m"]}),
]
