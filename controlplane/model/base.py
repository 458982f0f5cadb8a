"""What models are made of: strictness, names, durations, instants, amounts and comparisons."""

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from controlplane.model.money import parse_amount
from controlplane.model.time import format_duration, in_utc, parse_duration
from controlplane.model.units import check_unit, convert


class Model(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SIGNAL = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+)*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")


def matches(pattern: re.Pattern[str], what: str) -> Any:
    """A validator for a field: text that the whole pattern matches; the error says that it is not `what`."""

    def check(value: object) -> object:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return BeforeValidator(check)


RuleId = Annotated[str, matches(NAME, "an id; use lower case letters, digits, - and _")]
SignalName = Annotated[str, matches(_SIGNAL, "a signal name such as kafka.consumer.lag")]
LabelName = Annotated[str, matches(LABEL, "a label name")]


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(value)  # type: ignore[arg-type]  # it refuses what is no text


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2m"]}),
]
Instant = Annotated[datetime, AfterValidator(in_utc)]
Money = Annotated[Decimal, BeforeValidator(parse_amount), PlainSerializer(lambda d: format(d, "f"), return_type=str)]

OPERATORS = (">=", "<=", "==", "!=", ">", "<")
_CONDITION = re.compile(
    r"\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>\S+)?\s*"
)


_NEGATED = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


class Condition(Model):
    """A comparison of a value with a threshold; the unit is the signal's unless one is written."""

    operator: Literal[">=", "<=", "==", "!=", ">", "<"]
    threshold: float
    unit: str | None = None

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `> 100000`, `<= 0.05` or `> 85 %`."""
        match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f'{text!r} is not a condition; write an operator and a number, such as "> 100000"')
        unit = match["unit"]
        threshold = float(match["number"])
        if not math.isfinite(threshold):
            raise ValueError(f"{match['number']} is too large for a number")
        return cls(
            operator=match["operator"],
            threshold=threshold,
            unit=check_unit(unit) if unit else None,
        )

    def in_unit(self, unit: str) -> Self:
        """The same condition with its threshold in `unit`; ValueError where the units don't fit."""
        if self.unit is None or self.unit == unit:
            return self.model_copy(update={"unit": unit})
        return self.model_copy(update={"threshold": convert(self.threshold, self.unit, unit), "unit": unit})

    def negated(self) -> Self:
        """The condition that holds where this one doesn't, for numbers."""
        return self.model_copy(update={"operator": _NEGATED[self.operator]})

    def __str__(self) -> str:
        short = f"{self.threshold:.12g}"
        number = short if float(short) == self.threshold else repr(self.threshold)
        return f"{self.operator} {number}" + (f" {self.unit}" if self.unit else "")


def _condition(value: object) -> object:
    return value if isinstance(value, Condition | dict) else Condition.parse(value)


ConditionField = Annotated[Condition, BeforeValidator(_condition), PlainSerializer(str, return_type=str)]
