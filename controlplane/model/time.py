"""Durations, instants and the step grid on which everything is evaluated.

Instants are UTC: `datetime` (tz-aware) in models, `int` milliseconds since the epoch in frames.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")
_DURATION = re.compile(r"(?:[0-9]+(?:ms|s|m|h|d|w))+")


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `2m`, `1h30m`, `7d`; a bare number has no unit and raises ValueError."""
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write a number and a unit, such as 90s, 5m, 1h30m or 7d")
    parts = _PART.findall(text)
    sizes = [_UNITS_MS[unit] for _, unit in parts]
    if sizes != sorted(set(sizes), reverse=True):
        raise ValueError(f"{text!r}: write each unit once, the largest first, such as 1h30m")
    try:
        return timedelta(milliseconds=sum(int(number) * _UNITS_MS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def format_duration(duration: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it; the inverse of it for whole milliseconds."""
    left = round(duration / timedelta(milliseconds=1))
    if left <= 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        number, left = divmod(left, _UNITS_MS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts)


def human_duration(duration: timedelta) -> str:
    """The two largest units, for people: `3d 4h`, `12m 5s`, `8s`."""
    left = max(0, round(duration.total_seconds()))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"


def in_utc(value: datetime) -> datetime:
    """The same instant in UTC; a naive datetime raises ValueError."""
    if value.tzinfo is None:
        raise ValueError("a time needs a zone, such as 2026-01-31T19:00:00Z")
    return value.astimezone(UTC)


def to_ms(instant: datetime) -> int:
    """Milliseconds since the epoch; a naive datetime raises ValueError."""
    return round(in_utc(instant).timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """The UTC instant of `ms` milliseconds since the epoch."""
    return datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)


@dataclass(frozen=True, slots=True)
class Window:
    """The grid steps in (start, end], all in milliseconds; start and end lie on the grid."""

    start: int
    end: int
    step: int

    def __post_init__(self) -> None:
        if self.step <= 0 or self.start % self.step or self.end % self.step or self.end < self.start:
            raise ValueError(f"not a window on a {self.step} ms grid: ({self.start}, {self.end}]")

    @property
    def first(self) -> int:
        """The first step inside the window."""
        return self.start + self.step

    def steps(self) -> Iterator[int]:
        """Every step of the window, in order."""
        yield from range(self.first, self.end + 1, self.step)

    def __len__(self) -> int:
        return (self.end - self.start) // self.step


def on_grid(ms: int, step: int) -> int:
    """The last grid step that isn't after `ms`."""
    return ms - ms % step
