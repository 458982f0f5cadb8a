"""Notifications: what is said to whom about which incident."""

from enum import StrEnum

from pydantic import Field

from controlplane.model.base import Model
from controlplane.model.rules import Severity
from controlplane.model.time import Instant


class Action(StrEnum):
    """trigger opens or updates an incident at a route, resolve closes it."""

    TRIGGER = "trigger"
    RESOLVE = "resolve"


class Member(Model):
    """One alert of an incident, as told in a message."""

    alert: str
    labels: dict[str, str]
    summary: str
    value: float | None
    threshold: str
    unit: str
    active_at: Instant
    firing: bool


class Advice(Model):
    """The recommendation that goes with an incident, in short."""

    recommendation: str
    version: int
    title: str
    change: str
    """`from → to`."""
    per_month: str
    """Money for people, or `unknown`."""
    one_off: str
    survives: str
    first_command: str = ""


class Message(Model):
    """Everything a channel may render; text in it is hostile until escaped by the channel."""

    action: Action
    incident: str
    episode: str
    """Event id of the alert that opened the incident."""
    dedup_key: str
    title: str
    severity: Severity
    platform: str
    component: str
    rule: str
    started_at: Instant
    at: Instant
    members: tuple[Member, ...]
    """Worst first, at most 20."""
    firing: int
    resolved: int
    advice: tuple[Advice, ...] = ()
    runbook: str | None = None
    """Name of the runbook, or its URL where the settings say where runbooks are."""
    environment: str = ""


class Delivery(Model):
    """An outbox row: one message for one route."""

    id: str
    """Idempotency key: hash of incident, transition and route."""
    route: str
    lane: str
    """incident and route; deliveries of a lane are sent strictly in order."""
    message: Message
    queued_at: Instant
    attempts: int = 0
    next_attempt_at: Instant
    last_error: str = ""
    position: int = Field(default=0, description="log position of the queued event; orders a lane")


class Flap(Model):
    """When one alert of an incident began and ceased to fire."""

    alert: str
    at: tuple[Instant, ...]
    """Its last transitions, oldest first: at most 20, of the last three hours."""
    told: bool = False
    """Whether an earlier firing was told."""
    until: Instant | None = None
    """Its pages are held down until then; past it, the next one is told."""


class Incident(Model):
    """A group of alerts that is told as one: open while one of them fires, then kept for what it knows of flapping."""

    id: str
    episode: str
    platform: str
    component: str
    rule: str
    severity: Severity
    started_at: Instant
    told_at: Instant
    """Step of the last message, or of the first firing where nothing was told yet."""
    told: tuple[str, ...]
    """Alert ids that were firing in the last message; none where nothing of this episode was told yet."""
    firing: tuple[str, ...]
    """Alert ids that fire now."""
    routes: tuple[str, ...] = ()
    """Routes told in this episode; each of them is told of the end."""
    flaps: tuple[Flap, ...] = ()
    """Alerts that ended within the last three hours, firing again or not; what changed last comes last."""
