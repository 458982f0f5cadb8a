"""Notifications: what is said to whom about which incident."""

from enum import StrEnum

from pydantic import Field

from controlplane.model.base import Instant, Model
from controlplane.model.digest import Digest
from controlplane.model.oncall import Progress
from controlplane.model.severity import Severity


class Action(StrEnum):
    """trigger opens or updates an incident at a route, acknowledge says that somebody has it, resolve closes it."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Subject(StrEnum):
    """What a message is about; what routes know as `kind`, but for silence and test."""

    ALERT = "alert"
    SELF = "self-monitoring"
    """The control plane itself."""
    RECOMMENDATION = "recommendation"
    FAILOVER = "failover"
    """A recommendation to fail over."""
    DIGEST = "digest"
    SILENCE = "silence"
    """A silence that is about to end."""
    TEST = "test"
    """Nothing: a test of the channel."""


class Member(Model):
    """One alert of an incident, as told in a message."""

    alert: str
    labels: dict[str, str]
    title: str = ""
    summary: str
    value: float | None
    threshold: str
    unit: str
    active_at: Instant
    runbook: str | None = None
    firing: bool


class Chart(Model):
    """The recent values of the alert that a message is about."""

    alert: str
    at_ms: tuple[int, ...]
    """Ascending, at most 120."""
    values: tuple[float | None, ...]
    """As long as `at_ms`; None = no data."""
    threshold: float | None
    below: bool = False
    """Whether the alert fires below the threshold."""
    unit: str


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
    subject: Subject = Subject.ALERT
    incident: str
    episode: str
    """Event id of the alert that opened the incident."""
    dedup_key: str
    superseded: tuple[str, ...] = ()
    """dedup keys of earlier pages of this episode, which end with this message."""
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
    inhibited: int = 0
    """Other alerts that nobody is told of because of this one."""
    hidden: tuple[Member, ...] = ()
    """The worst of them, at most 5."""
    repeated: bool = False
    """Nothing is new; it still fires."""
    advice: tuple[Advice, ...] = ()
    note: str = ""
    """What else there is to say, such as what to do."""
    impact: tuple[str, ...] = ()
    """Blast radius: what else is hit, a line for each kind of place."""
    check: str = ""
    """The first check of the runbook."""
    chart: Chart | None = None
    """Of the worst alert."""
    runbook: str | None = None
    """Name of the runbook, or its URL where the settings say where runbooks are."""
    environment: str = ""
    digest: Digest | None = None
    """The day, where that is the subject."""


class Delivery(Model):
    """An outbox row: one message for one channel."""

    id: str
    """Idempotency key: hash of incident, transition and channel."""
    channel: str
    lane: str
    """incident and channel; deliveries of a lane are sent strictly in order."""
    message: Message
    queued_at: Instant
    attempts: int = 0
    next_attempt_at: Instant
    last_error: str = ""
    turn: int = 0
    """How often somebody queued it again after it was given up."""
    position: int = Field(default=0, description="log position of the queued event; orders a lane")
    decided_at: Instant | None = None
    """When the decision was recorded, which is after the step that it is about; set by the projection."""

    @property
    def waits_since(self) -> Instant:
        """When it could be sent first: steps that are caught up are recorded long after they were."""
        return self.decided_at or self.queued_at


class Shown(Model):
    """A message at a provider that later ones of its page edit in place, as it was told last."""

    channel: str
    dedup_key: str
    reference: str
    """The provider's id of the message; Slack's is `channel/ts`."""
    action: Action
    severity: Severity
    firing: int
    position: int = Field(default=0, description="log position of the event that told it; set by the projection")


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
    """Alerts of a route with the same group labels: open while one of them fires, then kept for flapping alone."""

    id: str
    episode: str
    route: str
    """Key of its node in the tree of routes."""
    group: dict[str, str]
    """The labels that its alerts have in common."""
    platform: str
    component: str
    rule: str
    """Of its worst alert when it opened, as platform and component."""
    severity: Severity
    """The highest of this episode."""
    started_at: Instant
    firing: tuple[str, ...]
    """Alert ids that fire now."""
    ended: tuple[str, ...] = ()
    """Alert ids that ended since the last look at what is to be told."""
    gone: tuple[Member, ...] = ()
    """The worst of them."""
    told: tuple[str, ...] = ()
    """Alert ids that were firing in the last message; none where nothing of this episode was told yet."""
    told_ended: tuple[str, ...] = ()
    """Alert ids that the last message told the end of."""
    told_at: Instant | None = None
    """Step of the last message."""
    look_at: Instant | None
    """When it is next looked at: after group_wait, then every group_interval; None = it is closed."""
    page: int = 1
    """Raised when severity or extent make it another emergency, so that it pages again although acknowledged."""
    peak: int = 0
    """The most alerts that were told under this page."""
    superseded: tuple[str, ...] = ()
    """dedup keys of earlier pages of this episode."""
    channels: tuple[str, ...] = ()
    """Channels told in this episode; each of them is told of the end."""
    quiet: tuple[str, ...] = ()
    """Why alerts of it weren't told when it was last looked at."""
    escalation: Progress | None = None
    """How far it has escalated; None where its route doesn't, or nothing of it is told."""
    taken: tuple[str, ...] = ()
    """Who acknowledged it, as long as every alert of it that was told and still fires is acknowledged."""
    answered: tuple[str, ...] = ()
    """Channels that were told of an acknowledgement under this page."""
    postponed: tuple[str, ...] = ()
    """Channels that weren't told in the quiet hours of a person."""
    flaps: tuple[Flap, ...] = ()
    """Alerts that ended within the last three hours, firing again or not; what changed last comes last."""
