"""Alerts as the projections show them."""

from controlplane.model.base import Instant, Model
from controlplane.model.labels import canonical, short_hash
from controlplane.model.readings import Reading as Reading
from controlplane.model.severity import Severity
from controlplane.model.states import AlertState as AlertState


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


def alert_id(rule: str, source: str, labels: dict[str, str]) -> str:
    """The permanent id of an alert: the same rule, source and labels always give the same one."""
    return short_hash("alert", rule, source, canonical(labels))
