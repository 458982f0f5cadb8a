"""Alerts as the projections show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import nan
from struct import error, pack, unpack
from typing import Self

from controlplane.model.base import Model
from controlplane.model.labels import canonical, short_hash
from controlplane.model.severity import Severity
from controlplane.model.time import Instant, to_ms


class AlertState(StrEnum):
    """pending waits for its `for`; firing has been reported; nodata fires because its series is gone."""

    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "nodata"


class Acknowledgement(Model):
    """Who took an alert, when and with what words."""

    actor: str
    at: Instant
    note: str = ""


class Alert(Model):
    """One active alert: identity, state on the step grid, and what a person needs to see."""

    id: str
    rule: str
    source: str
    platform: str
    component: str
    labels: dict[str, str]
    state: AlertState
    severity: Severity
    title: str
    summary: str
    value: float | None
    threshold: str
    """The condition that was met, such as `> 100000`, in `unit`."""
    unit: str
    active_at: Instant
    """First step of the condition in this episode."""
    fired_at: Instant | None = None
    held_since: Instant | None = None
    """First step at which the condition was gone while keep_firing_for or missing still held the state."""
    held_for: str | None = None
    """Why it is held: `keep_firing_for` or `missing`."""
    runbook: str | None = None
    acknowledged: Acknowledgement | None = None
    event: str | None = None
    """Id of the event that brought the alert into its state."""
    episode: str | None = None
    """Id of the event that first reported it (firing or nodata) in this episode; None while it is pending."""


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


def alert_id(rule: str, source: str, labels: dict[str, str]) -> str:
    """The permanent id of an alert: the same rule, source and labels always give the same one."""
    return short_hash("alert", rule, source, canonical(labels))
