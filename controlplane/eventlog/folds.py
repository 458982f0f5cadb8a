"""The folds of the projections: a row and an event in, the row after it out; None = there is none."""

from typing import Any

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Event
from controlplane.model.notifications import Delivery, Incident, Shown, Subject
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AdviceFailed,
    AlertAcknowledged,
    AlertDropped,
    AlertFacts,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
    IncidentChanged,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
    RecommendationApproved,
    RecommendationExecuted,
    RecommendationExpired,
    RecommendationIneffective,
    RecommendationProposed,
    RecommendationRejected,
    RecommendationReopened,
    RecommendationRevised,
    RecommendationVerified,
    RecommendationWithdrawn,
    ResourceAdded,
    ResourceChanged,
    ResourceRemoved,
    RuleFailed,
    RuleRecovered,
    RuleSetActivated,
    SamplesIngested,
    SilenceCreated,
    SilenceEnded,
    SilenceWarned,
    SourceFailed,
    SourceRecovered,
    TickCompleted,
)
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.silences import Silence
from controlplane.model.views import DeliveryRecord, DeliveryState, KnownResource, RuleHealth, SourceHealth, Unadvised

_NOTE = 300


def fold_alert(row: Alert | None, event: Event) -> Alert | None:
    """Pending, firing and nodata alerts; an acknowledgement lasts for the episode that it names."""
    match event.payload:
        case AlertPending(facts=facts):
            return _alert(facts, AlertState.PENDING, event)
        case AlertFired(facts=facts):
            return _reported(row, facts, AlertState.FIRING, event)
        case AlertNoData(facts=facts):
            return _reported(row, facts, AlertState.NO_DATA, event)
        case AlertResolved() | AlertDropped():
            return None
        case AlertHeld(why=why, since=since):
            return row and row.model_copy(update={"held_for": why, "held_since": since})
        case AlertReturned(value=value):
            return row and row.model_copy(update={"held_for": None, "held_since": None, "value": value})
        case AlertAcknowledged(episode=episode, acknowledgement=acknowledgement):
            if row is None or row.state is AlertState.PENDING or episode not in {row.event, row.episode}:
                return row
            return row.model_copy(update={"acknowledged": acknowledgement})
        case AcknowledgementWithdrawn():
            return row and row.model_copy(update={"acknowledged": None})
    return row


def _alert(facts: AlertFacts, state: AlertState, event: Event, **more: Any) -> Alert:
    known = {name: getattr(facts, name) for name in _FACTS}
    return Alert(id=facts.alert, state=state, event=str(event.id), **known, **more)


_FACTS = tuple(name for name in AlertFacts.model_fields if name != "alert")


def _reported(row: Alert | None, facts: AlertFacts, state: AlertState, event: Event) -> Alert:
    """Firing or without data: the two follow one another within an episode, which keeps its acknowledgement."""
    if row is None or row.state is AlertState.PENDING:
        return _alert(facts, state, event, fired_at=event.occurred_at, episode=str(event.id))
    return _alert(facts, state, event, fired_at=row.fired_at, episode=row.episode, acknowledged=row.acknowledged)


def alert_key(payload: Any) -> str:
    """The alert's id."""
    facts = getattr(payload, "facts", None)
    return str(payload.alert if facts is None else facts.alert)


def fold_recommendation(row: Recommendation | None, event: Event) -> Recommendation | None:
    """The newest version of a recommendation with its status."""
    match event.payload:
        case RecommendationProposed(recommendation=new) | RecommendationRevised(recommendation=new):
            return new
        case RecommendationWithdrawn(reason=reason):
            return row and row.model_copy(update={"status": Status.WITHDRAWN, "reason": reason})
        case RecommendationExpired():
            return row and row.model_copy(update={"status": Status.EXPIRED})
        case RecommendationVerified(reason=reason):
            return row and row.model_copy(update={"status": Status.VERIFIED, "reason": reason})
        case RecommendationIneffective(reason=reason):
            return row and row.model_copy(update={"status": Status.INEFFECTIVE, "reason": reason})
        case RecommendationReopened():
            open_again = {"status": Status.PROPOSED, "decided_by": None, "decided_at": None, "reason": None}
            return row and row.model_copy(update=open_again)
        case RecommendationApproved() | RecommendationRejected() | RecommendationExecuted() as decision:
            return row and row.model_copy(
                update={
                    "status": _DECIDED[type(decision)],
                    "decided_by": decision.actor,
                    "decided_at": event.occurred_at,
                    "reason": decision.reason or None,
                }
            )
    return row


def fold_unadvised(row: Unadvised | None, event: Event) -> Unadvised | None:
    """Why an alert has no recommendation, until it gets one or ends."""
    match event.payload:
        case AdviceFailed(rule=rule, alert=alert, error=error):
            return Unadvised(alert=alert, errors={**(row.errors if row else {}), rule: error}, at=event.occurred_at)
        case RecommendationProposed(recommendation=made):
            errors = _without(row.errors, made.rule) if row else {}
            return row.model_copy(update={"errors": errors}) if row and errors else None
        case AlertResolved():
            return None
    return row


def unadvised_key(payload: Any) -> str:
    """The alert's id."""
    if isinstance(payload, RecommendationProposed):
        return payload.recommendation.alert
    return str(payload.alert) if isinstance(payload, AdviceFailed) else alert_key(payload)


_DECIDED = {
    RecommendationApproved: Status.APPROVED,
    RecommendationRejected: Status.REJECTED,
    RecommendationExecuted: Status.EXECUTED,
}


def recommendation_key(payload: Any) -> str:
    """The recommendation's id."""
    found = payload.recommendation
    return found.id if isinstance(found, Recommendation) else str(found)


def fold_source(row: SourceHealth | None, event: Event) -> SourceHealth | None:
    """How far a source has answered and what of it fails."""
    match event.payload:
        case SamplesIngested() as batch:
            row = row or SourceHealth(source=batch.source, last_event_at=event.occurred_at)
            return row.model_copy(
                update={
                    "through_ms": max(batch.end_ms, row.through_ms or batch.end_ms),
                    "behind": batch.behind,
                    "rows": batch.rows,
                    "series": batch.series,
                    "nan_rows": batch.nan_rows,
                    "skipped_ms": batch.skipped_ms,
                    "warnings": batch.warnings,
                    "last_event_at": event.occurred_at,
                }
            )
        case SourceFailed(source=source, signal=signal, error=error, remedy=remedy):
            row = row or SourceHealth(source=source, last_event_at=event.occurred_at)
            key = signal or ""
            since = {key: event.occurred_at, **row.since}
            remedies = _without(row.remedies, key) | ({key: remedy} if remedy else {})
            return _failing(row, event, failed={**row.failed, key: error}, remedies=remedies, since=since)
        case SourceRecovered(source=source, signal=signal):
            row = row or SourceHealth(source=source, last_event_at=event.occurred_at)
            key = signal or ""
            failed, remedies = _without(row.failed, key), _without(row.remedies, key)
            return _failing(row, event, failed=failed, remedies=remedies, since=_without(row.since, key))
    return row


def _failing(row: SourceHealth, event: Event, **update: dict[str, Any]) -> SourceHealth:
    since = (row.failed_since or event.occurred_at) if update["failed"] else None
    return row.model_copy(update={**update, "failed_since": since, "last_event_at": event.occurred_at})


def _without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}


def fold_resource(row: KnownResource | None, event: Event) -> KnownResource | None:
    """A resource as it was last told of; only the inventory that did so removes it."""
    match event.payload:
        case ResourceAdded(source=source, resource=new) | ResourceChanged(source=source, resource=new):
            return KnownResource(resource=new, source=source)
        case ResourceRemoved(source=source):  # what another inventory has told of since, stays
            return None if row is not None and row.source == source else row
    return row


def resource_key(payload: Any) -> str:
    """`platform/id` of the resource."""
    return str(payload.key if isinstance(payload, ResourceRemoved) else payload.resource.key)


def fold_rule(row: RuleHealth | None, event: Event) -> RuleHealth | None:
    """A rule over a source, while it can't be evaluated."""
    match event.payload:
        case RuleFailed(rule=rule, source=source, error=error):
            since = row.failed_since if row else event.occurred_at
            return RuleHealth(
                rule=rule, source=source, error=error, failed_since=since, last_event_at=event.occurred_at
            )
        case RuleRecovered():
            return None
    return row


def fold_incident(row: Incident | None, event: Event) -> Incident | None:
    """An incident, while something of it fires or is remembered for flapping."""
    match event.payload:
        case IncidentChanged(incident=incident):
            return incident if incident.look_at is not None or incident.flaps else None
    return row


def fold_silence(row: Silence | None, event: Event) -> Silence | None:
    """A silence; one that was ended early ends then."""
    match event.payload:
        case SilenceCreated(silence=silence):
            return silence
        case SilenceEnded(actor=actor):
            ends = max(event.occurred_at, row.starts_at) if row else event.occurred_at
            return row and row.model_copy(update={"ends_at": min(row.ends_at, ends), "ended_by": actor})
        case SilenceWarned():
            return row and row.model_copy(update={"warned_at": event.occurred_at})
    return row


def silence_key(payload: Any) -> str:
    """The silence's id."""
    return payload.silence.id if isinstance(payload, SilenceCreated) else str(payload.silence)


def fold_outbox(row: Delivery | None, event: Event) -> Delivery | None:
    """A delivery, until it is delivered, dropped or given up."""
    match event.payload:
        case NotificationQueued(delivery=delivery):
            return delivery.model_copy(update={"position": event.position, "decided_at": event.recorded_at})
        case NotificationFailed() as failed:
            return row and row.model_copy(
                update={
                    "attempts": failed.attempts,
                    "last_error": failed.error,
                    "next_attempt_at": failed.next_attempt_at,
                }
            )
        case NotificationDelivered() | NotificationDeadLettered() | NotificationSuppressed():
            return None
    return row


def fold_delivery(row: DeliveryRecord | None, event: Event) -> DeliveryRecord | None:
    """The last state of a delivery; it stays."""
    match event.payload:
        case NotificationQueued(delivery=delivery):
            return DeliveryRecord(
                id=delivery.id,
                channel=delivery.channel,
                incident=delivery.message.incident,
                action=delivery.message.action,
                severity=delivery.message.severity,
                title=delivery.message.title,
                note=delivery.message.note[:_NOTE] if delivery.message.subject is Subject.ALERT else "",
                state=DeliveryState.QUEUED,
                queued_at=delivery.queued_at,
                at=event.occurred_at,
                attempts=delivery.attempts,
                next_attempt_at=delivery.next_attempt_at,
                position=event.position,
            )
        case NotificationFailed() as failed:
            update = {"error": failed.error, "next_attempt_at": failed.next_attempt_at}
            return row and _attempted(row, event, DeliveryState.FAILED, failed.attempts, update)
        case NotificationDelivered() as sent:
            update = {"error": sent.detail, "reference": sent.reference, "seconds": sent.seconds}
            update["next_attempt_at"] = None
            return row and _attempted(row, event, DeliveryState.DELIVERED, sent.attempts, update)
        case NotificationDeadLettered() as dead:
            update = {"error": dead.error, "next_attempt_at": None}
            return row and _attempted(row, event, DeliveryState.DEAD, dead.attempts, update)
        case NotificationSuppressed(reason=reason):
            update = {"error": reason, "next_attempt_at": None}
            return row and _attempted(row, event, DeliveryState.SUPPRESSED, row.attempts, update)
    return row


def _attempted(
    row: DeliveryRecord, event: Event, state: DeliveryState, attempts: int, update: dict[str, Any]
) -> DeliveryRecord:
    return row.model_copy(update={"state": state, "at": event.occurred_at, "attempts": attempts, **update})


def delivery_key(payload: Any) -> str | None:
    """The delivery's id; None for a suppression of what was never queued."""
    return payload.delivery.id if isinstance(payload, NotificationQueued) else payload.delivery or None


def fold_shown(row: Shown | None, event: Event) -> Shown | None:
    """The message of a page at a channel that can edit it."""
    shown = event.payload.shown if isinstance(event.payload, NotificationDelivered) else None
    return row if shown is None else shown.model_copy(update={"position": event.position})


def shown_key(payload: Any) -> str | None:
    """`channel/dedup_key`; None for what can't be edited."""
    return payload.shown and f"{payload.shown.channel}/{payload.shown.dedup_key}"


def fold_tick(row: TickCompleted | None, event: Event) -> TickCompleted | None:
    """The last tick."""
    return event.payload if isinstance(event.payload, TickCompleted) else row


def fold_rule_set(row: RuleSetActivated | None, event: Event) -> RuleSetActivated | None:
    """The rules in force."""
    return event.payload if isinstance(event.payload, RuleSetActivated) else row
