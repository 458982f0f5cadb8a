"""Alerts as the projections show them."""

from enum import StrEnum

from controlplane.model.base import Model
from controlplane.model.labels import canonical, short_hash
from controlplane.model.rules import Severity
from controlplane.model.time import Instant


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


class Reading(Model):
    """What a screen needs of the signal behind an active alert: the newest value and the last hours."""

    alert: str
    at: Instant
    value: float | None
    at_ms: tuple[int, ...] = ()
    """Epoch ms, ascending; all of the last half hour and what stood out in the six hours before."""
    values: tuple[float | None, ...] = ()
    """As long as `at_ms`; None = not a number."""

    @property
    def history(self) -> tuple[tuple[int, float | None], ...]:
        """(epoch ms, value), oldest first."""
        return tuple(zip(self.at_ms, self.values, strict=True))


def alert_id(rule: str, source: str, labels: dict[str, str]) -> str:
    """The permanent id of an alert: the same rule, source and labels always give the same one."""
    return short_hash("alert", rule, source, canonical(labels))
