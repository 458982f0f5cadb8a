"""Rows of projections: health of sources and rules, known resources, states of deliveries."""

from pydantic import Field

from controlplane.model.base import Instant, Model
from controlplane.model.notifications import Action, Message
from controlplane.model.resources import Resource
from controlplane.model.severity import Severity
from controlplane.model.states import DeliveryState as DeliveryState


class SourceHealth(Model):
    """How far a source has answered, and what of it fails now."""

    source: str
    through_ms: int | None = None
    """Last step that was ingested; None = it never answered."""
    behind: dict[str, int] = Field(default_factory=dict)
    """`platform/signal` → last step known of it, for the signals that failed in the last window."""
    failed: dict[str, str] = Field(default_factory=dict)
    """`platform/signal`, or "" for the source as a whole → what went wrong."""
    remedies: dict[str, str] = Field(default_factory=dict)
    """What to do about the failures that have a known remedy, by the same keys."""
    since: dict[str, Instant] = Field(default_factory=dict)
    """Since when each of them fails, by the same keys."""
    failed_since: Instant | None = None
    """Since when anything of the source fails without a break; None = all is well."""
    rows: int | None = None
    """Rows of the last window."""
    series: int | None = None
    nan_rows: int | None = None
    skipped_ms: int = 0
    """Telemetry time given up before the last window."""
    warnings: tuple[str, ...] = ()
    last_event_at: Instant

    def after(self, signal: str, default: int) -> int:
        """Last step (epoch ms) that is known of a `platform/signal`, `default` where the source never answered."""
        return default if self.through_ms is None else self.behind.get(signal, self.through_ms)

    @property
    def floor(self) -> int | None:
        """The earliest step that any of its signals is at, None where it never answered."""
        return None if self.through_ms is None else min([self.through_ms, *self.behind.values()])


class RuleHealth(Model):
    """A rule that can't be evaluated over a source; a rule without a row is healthy."""

    rule: str
    source: str
    error: str
    failed_since: Instant
    last_event_at: Instant


class KnownResource(Model):
    """A resource and the inventory that last told of it."""

    resource: Resource
    source: str


class DeliveryRecord(Model):
    """The last state of a delivery."""

    id: str
    channel: str
    incident: str
    action: Action
    severity: Severity
    title: str
    note: str = ""
    """Of a page: why it is told beyond its route, such as the level of an escalation that was reached; cut."""
    state: DeliveryState
    queued_at: Instant
    at: Instant
    """When it came into its state."""
    attempts: int = 0
    error: str = ""
    """Why the last attempt failed, or why it was suppressed; of what was delivered, what went wrong besides."""
    reference: str = ""
    """The provider's id of the message."""
    seconds: float | None = None
    """From the decision to the provider's answer."""
    next_attempt_at: Instant | None = None
    position: int
    """Log position of the queued event."""


class Unadvised(Model):
    """A firing alert for which some rules have no recommendation, with the reason of each."""

    alert: str
    errors: dict[str, str]
    """Rule id → why it gives none."""
    at: Instant
    """When the last of them was found."""


class AdviceTold(Model):
    """A recommendation that somebody was told of, until they were told what became of it."""

    recommendation: str
    version: int
    channels: tuple[str, ...]
    message: Message
    """The last one, without its alert."""
    owed: bool = False
    """Whether it changed since while nobody was to be told."""


LATENCY = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper bounds in seconds by which deliveries are counted."""


class Activity(Model):
    """Counts since the log began: of ticks, or of the deliveries of one channel."""

    ticks: int = 0
    steps: int = 0
    last: Instant | None = None
    """What the last tick was for."""
    queued: int = 0
    delivered: int = 0
    failed: int = 0
    """Attempts after which another one followed."""
    dead: int = 0
    suppressed: int = 0
    """With what was never queued, because nobody was to be told."""
    seconds: float = 0.0
    """From decision to the provider's answer, over all that was delivered."""
    within: tuple[int, ...] = (0,) * len(LATENCY)
    """Deliveries that took no longer than each bound of LATENCY."""
