"""Readings: the newest value of an alert's signal with its last hours, packed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import nan
from struct import error, pack, unpack
from typing import Self

from controlplane.model.time import to_ms


@dataclass(frozen=True, slots=True)
class Reading:
    """What a screen needs of the signal behind an active alert: the newest value and the last hours.

    All of the last half hour and what stood out in the six hours before, packed: thousands of alerts have a million
    numbers, and of nearly all of them nobody looks at the history.
    """

    alert: str
    at: datetime
    value: float | None
    ages: bytes = b""
    """How long before `at` each point is: milliseconds, 32 bits without sign, little-endian, descending."""
    numbers: bytes = b""
    """The value of each point: 64-bit floats, little-endian; NaN = not a number."""

    @classmethod
    def of(cls, alert: str, at: datetime, value: float | None, history: Iterable[tuple[int, float | None]]) -> Self:
        """A reading from (epoch ms, value) pairs, none of which is later than `at`; ValueError where one is."""
        points, now = list(history), to_ms(at)
        try:
            ages = pack(f"<{len(points)}I", *(now - ms for ms, _ in points))
        except error:
            raise ValueError("a point is later than the reading, or weeks older") from None
        return cls(alert, at, value, ages, pack(f"<{len(points)}d", *(nan if v is None else v for _, v in points)))

    @property
    def history(self) -> tuple[tuple[int, float | None], ...]:
        """(epoch ms, value), oldest first; None = not a number. ValueError where it isn't packed as it should be."""
        now, count = to_ms(self.at), len(self.ages) // 4
        try:
            ages, values = unpack(f"<{count}I", self.ages), unpack(f"<{count}d", self.numbers)
        except error as wrong:
            raise ValueError(f"a history isn't what it should be: {wrong}") from None
        return tuple((now - age, value if value == value else None) for age, value in zip(ages, values, strict=True))
