"""What events say: a frozen model with a literal type name for each kind, read as one discriminated union.

An old version keeps its class and is lifted by `upcast` when read.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from controlplane.model.alerts import Acknowledgement
from controlplane.model.base import Instant, Model
from controlplane.model.notifications import Delivery, Incident, Shown
from controlplane.model.recommendations import Recommendation
from controlplane.model.resources import Resource
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence

# telemetry


class SamplesIngested(Model):
    """A source answered for a window; the samples themselves are rows in the telemetry store."""

    type: Literal["samples_ingested.v1"] = "samples_ingested.v1"
    source: str
    start_ms: int
    """Exclusive."""
    end_ms: int
    step_ms: int
    rows: int
    series: int
    nan_rows: int
    digest: str
    """sha256 over signal, labels, ts and value of every row in order."""
    behind: dict[str, int] = Field(default_factory=dict)
    """Signals that failed in this window → last step that is known of them (epoch ms)."""
    skipped_ms: int = 0
    """Telemetry time given up because the source was away for longer than the catch-up limit."""
    warnings: tuple[str, ...] = ()


class SourceFailed(Model):
    """A source, or one signal of it, gave no usable answer. Appended when it starts or the reason changes."""

    type: Literal["source_failed.v1"] = "source_failed.v1"
    source: str
    signal: str | None = None
    error: str
    remedy: str = ""


class SourceRecovered(Model):
    """A failed source, or one signal of it, answers again."""

    type: Literal["source_recovered.v1"] = "source_recovered.v1"
    source: str
    signal: str | None = None
    failed_since: Instant


class TelemetrySetAside(Model):
    """The telemetry file didn't open; it was renamed and a new one begun."""

    type: Literal["telemetry_set_aside.v1"] = "telemetry_set_aside.v1"
    file: str
    error: str


# inventory


class ResourceAdded(Model):
    """A resource that no inventory told of before."""

    type: Literal["resource_added.v1"] = "resource_added.v1"
    source: str
    resource: Resource


class ResourceChanged(Model):
    """A resource whose fields differ from what was known."""

    type: Literal["resource_changed.v1"] = "resource_changed.v1"
    source: str
    resource: Resource
    changed: tuple[str, ...]
    """Names of the fields that differ."""


class ResourceRemoved(Model):
    """A resource that its inventory no longer has."""

    type: Literal["resource_removed.v1"] = "resource_removed.v1"
    source: str
    key: str
    """`platform/id` of the resource."""


# rules


class RuleSetActivated(Model):
    """The rules in force changed, or what is wrong with the others."""

    type: Literal["rule_set_activated.v1"] = "rule_set_activated.v1"
    digest: str
    rules: int
    platforms: tuple[str, ...]
    problems: tuple[str, ...] = ()
    """Rules that could not be used, each with file, line, key and remedy."""


class RuleFailed(Model):
    """A rule could not be evaluated, such as two results with one identity. Its alerts keep their state."""

    type: Literal["rule_failed.v1"] = "rule_failed.v1"
    rule: str
    source: str
    error: str


class RuleRecovered(Model):
    """A failed rule can be evaluated again."""

    type: Literal["rule_recovered.v1"] = "rule_recovered.v1"
    rule: str
    source: str


# alerts


class AlertFacts(Model):
    """What is known of an alert at a transition."""

    alert: str
    rule: str
    source: str
    platform: str
    component: str
    labels: dict[str, str]
    severity: Severity
    title: str
    summary: str
    value: float | None
    threshold: str
    unit: str
    active_at: Instant
    runbook: str | None = None


class AlertPending(Model):
    """The condition of an alert holds, but not yet for as long as its rule asks."""

    type: Literal["alert_pending.v1"] = "alert_pending.v1"
    facts: AlertFacts


class AlertFired(Model):
    """An alert fires: its condition has held for long enough."""

    type: Literal["alert_fired.v1"] = "alert_fired.v1"
    facts: AlertFacts


class AlertNoData(Model):
    """A series that a rule watches with `missing: alert` is gone while its source answers."""

    type: Literal["alert_no_data.v1"] = "alert_no_data.v1"
    facts: AlertFacts


class AlertHeld(Model):
    """The condition is gone or the series is missing, but the rule keeps the state for a while."""

    type: Literal["alert_held.v1"] = "alert_held.v1"
    alert: str
    why: Literal["keep_firing_for", "missing"]
    since: Instant


class AlertReturned(Model):
    """The condition of a held alert is true again."""

    type: Literal["alert_returned.v1"] = "alert_returned.v1"
    alert: str
    value: float | None


class AlertResolved(Model):
    """A firing alert ended."""

    type: Literal["alert_resolved.v1"] = "alert_resolved.v1"
    facts: AlertFacts
    fired_at: Instant
    reason: Literal["condition", "missing", "rule_changed", "rule_removed"]


class AlertDropped(Model):
    """A pending alert went away before its `for` was over."""

    type: Literal["alert_dropped.v1"] = "alert_dropped.v1"
    alert: str
    rule: str
    labels: dict[str, str]
    value: float | None
    reason: Literal["condition", "missing", "rule_removed"]


# recommendations


class RecommendationProposed(Model):
    """Advice on an alert that fires."""

    type: Literal["recommendation_proposed.v1"] = "recommendation_proposed.v1"
    recommendation: Recommendation


class RecommendationRevised(Model):
    """Later samples changed the advice in a part that somebody who acts on it has to know."""

    type: Literal["recommendation_revised.v1"] = "recommendation_revised.v1"
    recommendation: Recommendation
    changed: tuple[str, ...]


class RecommendationWithdrawn(Model):
    """The advice no longer applies."""

    type: Literal["recommendation_withdrawn.v1"] = "recommendation_withdrawn.v1"
    recommendation: str
    reason: str


class RecommendationExpired(Model):
    """Advice that could not be renewed in time."""

    type: Literal["recommendation_expired.v1"] = "recommendation_expired.v1"
    recommendation: str


class _Decision(Model):
    """What somebody decided about exactly this version of a recommendation."""

    recommendation: str
    version: int
    actor: str
    reason: str = ""


class RecommendationApproved(_Decision):
    """Somebody wants it done; a later revision doesn't change that it is this version that was approved."""

    type: Literal["recommendation_approved.v1"] = "recommendation_approved.v1"


class RecommendationRejected(_Decision):
    """Somebody doesn't want it done, and says why."""

    type: Literal["recommendation_rejected.v1"] = "recommendation_rejected.v1"


class RecommendationReopened(_Decision):
    """An approval or rejection was taken back."""

    type: Literal["recommendation_reopened.v1"] = "recommendation_reopened.v1"


class RecommendationExecuted(_Decision):
    """Somebody did it; from here on its alert is watched for the stated time to effect."""

    type: Literal["recommendation_executed.v1"] = "recommendation_executed.v1"


class RecommendationVerified(Model):
    """The alert that it answered ended in time after it was executed."""

    type: Literal["recommendation_verified.v1"] = "recommendation_verified.v1"
    recommendation: str
    reason: str


class RecommendationIneffective(Model):
    """The alert that it answered still fires when the change should have had its effect, or nobody can tell."""

    type: Literal["recommendation_ineffective.v1"] = "recommendation_ineffective.v1"
    recommendation: str
    reason: str


class AdviceFailed(Model):
    """No recommendation could be made; the alert stands without one and says why."""

    type: Literal["advice_failed.v1"] = "advice_failed.v1"
    rule: str
    alert: str
    error: str


# operator


class AlertAcknowledged(Model):
    """Somebody took an alert."""

    type: Literal["alert_acknowledged.v1"] = "alert_acknowledged.v1"
    alert: str
    episode: str
    """Event id of the firing that was acknowledged; a later episode is not covered."""
    acknowledgement: Acknowledgement


class AcknowledgementWithdrawn(Model):
    """Somebody gave an alert back."""

    type: Literal["acknowledgement_withdrawn.v1"] = "acknowledgement_withdrawn.v1"
    alert: str
    actor: str


class NoteAdded(Model):
    """Somebody wrote down what others should know of an alert or a recommendation."""

    type: Literal["note_added.v1"] = "note_added.v1"
    about: str
    """Its stream: `alert:<id>` or `recommendation:<id>`."""
    text: str
    actor: str


Provider = Literal["pagerduty", "slack"]
"""Where pages are answered besides here."""
Answered = Literal["acknowledged", "unacknowledged", "resolved", "reopened", "silenced"]
"""How."""


class PageAnswered(Model):
    """Somebody answered a page where it was told: at the pager, or with a button of a message."""

    type: Literal["page_answered.v1"] = "page_answered.v1"
    incident: str
    dedup_key: str
    """Of the page."""
    provider: Provider
    event: str
    """Names the answer at its provider: the same one told twice has the same."""
    answer: Answered
    actor: str
    answered_at: Instant
    """By the provider's clock."""


# on call


class OnCallChanged(Model):
    """Who is on call in a schedule, or until when, isn't as it was."""

    type: Literal["on_call_changed.v1"] = "on_call_changed.v1"
    schedule: str
    people: tuple[str, ...]
    """None = a gap: nobody is."""
    since: Instant
    until: Instant | None


class EscalationPaused(Model):
    """Somebody holds back the next level of an incident for a while; a new page of it isn't held back."""

    type: Literal["escalation_paused.v1"] = "escalation_paused.v1"
    incident: str
    page: int
    until: Instant
    actor: str


class EscalationResumed(Model):
    """Somebody ended a pause before its time."""

    type: Literal["escalation_resumed.v1"] = "escalation_resumed.v1"
    incident: str
    actor: str


# notifications


class IncidentChanged(Model):
    """The group of alerts that is told as one opened, grew, shrank or closed (no firing alert left)."""

    type: Literal["incident_changed.v1"] = "incident_changed.v1"
    incident: Incident


class SilenceCreated(Model):
    """Somebody muted alerts for a while."""

    type: Literal["silence_created.v1"] = "silence_created.v1"
    silence: Silence


class SilenceEnded(Model):
    """Somebody ended a silence before its time."""

    type: Literal["silence_ended.v1"] = "silence_ended.v1"
    silence: str
    actor: str


class SilenceWarned(Model):
    """Somebody was told that a silence ends soon while it still mutes alerts that fire."""

    type: Literal["silence_warned.v1"] = "silence_warned.v1"
    silence: str
    matches: int
    """Alerts that would be told if it ended now."""
    channels: tuple[str, ...]


class DigestQueued(Model):
    """The digest of a local day was queued, or left out for a reason."""

    type: Literal["digest_queued.v1"] = "digest_queued.v1"
    day: str
    """ISO, by the clock of the place whose time it is sent by."""
    start: Instant
    end: Instant
    channels: tuple[str, ...] = ()
    reason: str = ""
    """Why it was left out."""


class NotificationQueued(Model):
    """A message was put into the outbox, in the transaction of what it tells."""

    type: Literal["notification_queued.v1"] = "notification_queued.v1"
    delivery: Delivery


class NotificationSuppressed(Model):
    """Nobody is told, for a reason."""

    type: Literal["notification_suppressed.v1"] = "notification_suppressed.v1"
    incident: str
    channel: str
    reason: str
    delivery: str = ""
    """The queued delivery that was dropped; empty where none had been queued."""


class NotificationDelivered(Model):
    """A provider took a message."""

    type: Literal["notification_delivered.v1"] = "notification_delivered.v1"
    delivery: str
    channel: str
    reference: str = ""
    """The provider's id of the message, such as Slack's ts."""
    attempts: int
    seconds: float
    """From the decision to the provider's answer."""
    detail: str = ""
    """What went wrong besides; the message itself arrived."""
    shown: Shown | None = None
    """What later messages of its page edit; None where the channel can't."""


class NotificationFailed(Model):
    """One attempt failed and another one follows."""

    type: Literal["notification_failed.v1"] = "notification_failed.v1"
    delivery: str
    channel: str
    attempts: int
    error: str
    next_attempt_at: Instant


class NotificationDeadLettered(Model):
    """Given up; somebody has to look."""

    type: Literal["notification_dead_lettered.v1"] = "notification_dead_lettered.v1"
    delivery: str
    channel: str
    attempts: int
    error: str


# tick


class TickCompleted(Model):
    """One pass of a tick: what it evaluated and what followed."""

    type: Literal["tick_completed.v1"] = "tick_completed.v1"
    now: Instant
    step_ms: int
    steps: int
    transitions: int
    recommendations: int
    notifications: int


EventPayload = Annotated[
    SamplesIngested
    | SourceFailed
    | SourceRecovered
    | TelemetrySetAside
    | ResourceAdded
    | ResourceChanged
    | ResourceRemoved
    | RuleSetActivated
    | RuleFailed
    | RuleRecovered
    | AlertPending
    | AlertFired
    | AlertNoData
    | AlertHeld
    | AlertReturned
    | AlertResolved
    | AlertDropped
    | RecommendationProposed
    | RecommendationRevised
    | RecommendationWithdrawn
    | RecommendationExpired
    | RecommendationApproved
    | RecommendationRejected
    | RecommendationReopened
    | RecommendationExecuted
    | RecommendationVerified
    | RecommendationIneffective
    | AdviceFailed
    | AlertAcknowledged
    | SilenceCreated
    | SilenceEnded
    | SilenceWarned
    | AcknowledgementWithdrawn
    | NoteAdded
    | PageAnswered
    | OnCallChanged
    | EscalationPaused
    | EscalationResumed
    | IncidentChanged
    | DigestQueued
    | NotificationQueued
    | NotificationSuppressed
    | NotificationDelivered
    | NotificationFailed
    | NotificationDeadLettered
    | TickCompleted,
    Field(discriminator="type"),
]

PAYLOAD: TypeAdapter[EventPayload] = TypeAdapter(EventPayload)


def upcast(payload: dict[str, Any]) -> dict[str, Any]:
    """Lift a stored payload of an older version to the one that the code knows; all are v1 today."""
    return payload
