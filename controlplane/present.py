"""What commands print: JSON with stable keys, money as decimal strings and ISO-8601 UTC times; values for people."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from controlplane.costs.explain import totals
from controlplane.model.alerts import Alert, Reading
from controlplane.model.events import Event
from controlplane.model.payloads import AlertFacts, AlertFired, AlertNoData, AlertResolved, NotificationQueued
from controlplane.model.recommendations import Recommendation
from controlplane.model.units import human, is_state
from controlplane.model.views import Unadvised
from controlplane.notify.preview import Kind, render

_CHANNELS = {"slack": Kind.SLACK, "pagerduty": Kind.PAGERDUTY}


def iso(at: datetime | None) -> str | None:
    """ISO-8601 with Z."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def recommendation_json(recommendation: Recommendation) -> dict[str, Any]:
    """A recommendation as a document; `from`, `to`, stages and cost are the parts that tools read.

    An amount of the cost is null as soon as a part of it is unknown; `totals` say what is known of it, also for a year.
    """
    proposal = recommendation.proposal.model_dump(mode="json", by_alias=True)
    proposal["cost"]["totals"] = totals(recommendation.proposal.cost).model_dump(mode="json")
    return {
        "id": recommendation.id,
        "version": recommendation.version,
        "rule": recommendation.rule,
        "platform": recommendation.platform,
        "alert": recommendation.alert,
        "status": recommendation.status.value,
        "at": iso(recommendation.at),
        "expires_at": iso(recommendation.expires_at),
        "decided_by": recommendation.decided_by,
        "decided_at": iso(recommendation.decided_at),
        "reason": recommendation.reason,
        **proposal,
    }


def alert_json(
    alert: Alert, reading: Reading | None = None, unadvised: Unadvised | None = None, advice: Iterable[str] = ()
) -> dict[str, Any]:
    """An active alert as a document; `value` is that of its last transition, `now` the newest one.

    `recommendations` are the ids of open ones for it, `no_advice` says by rule why there is none.
    """
    now = None if reading is None else {"at": iso(reading.at), "value": reading.value}
    return {
        **alert.model_dump(mode="json", exclude={"event"}),
        "resolved_at": None,
        "now": now,
        "recommendations": list(advice),
        "no_advice": dict(unadvised.errors) if unadvised else {},
    }


def condition(threshold: str, unit: str) -> str:
    """A threshold such as `> 0.85` with its unit for people: `> 85 %`; equality of a pure number stays one: `== 0`."""
    operator, _, number = threshold.partition(" ")
    if not number or not unit or is_state(operator, unit):
        return threshold
    return f"{operator} {human(float(number), unit)}"


def measured(value: float | None, unit: str, threshold: str) -> str:
    """A value for people, written the way `condition` writes the threshold that it is compared with."""
    operator, _, _ = threshold.partition(" ")
    return f"{value:g}" if value is not None and is_state(operator, unit) else human(value, unit)


def alert_history(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Every firing of the log with its end, in order: state is `firing`, `nodata` or `resolved`."""
    episodes: dict[str, dict[str, Any]] = {}
    done: list[dict[str, Any]] = []
    for event in events:
        payload = event.payload
        if isinstance(payload, AlertFired | AlertNoData):
            state = "firing" if isinstance(payload, AlertFired) else "nodata"
            found = _firing(payload.facts, event, state)
            before = episodes.get(payload.facts.alert)
            if before is None:
                episodes[payload.facts.alert] = found
                done.append(found)
            else:
                before["state"] = state
        elif isinstance(payload, AlertResolved):
            ended = episodes.pop(payload.facts.alert, None)
            if ended is not None:
                ended |= {"state": "resolved", "resolved_at": iso(event.occurred_at), "reason": payload.reason}
    return done


def _firing(facts: AlertFacts, event: Event, state: str) -> dict[str, Any]:
    return {
        "id": facts.alert,
        "rule": facts.rule,
        "platform": facts.platform,
        "component": facts.component,
        "labels": facts.labels,
        "severity": facts.severity.value,
        "title": facts.title,
        "summary": facts.summary,
        "value": facts.value,
        "threshold": facts.threshold,
        "unit": facts.unit,
        "state": state,
        "active_at": iso(facts.active_at),
        "fired_at": iso(event.occurred_at),
        "resolved_at": None,
        "runbook": facts.runbook,
        "event": str(event.id),
    }


def notification_json(queued: NotificationQueued) -> dict[str, Any]:
    """A message as its channel would get it; channels called slack and pagerduty are of that kind, others text."""
    delivery = queued.delivery
    kind = _CHANNELS.get(delivery.channel, Kind.TEXT)
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "kind": kind.value,
        "action": delivery.message.action.value,
        "incident": delivery.message.incident,
        "dedup_key": delivery.message.dedup_key,
        "queued_at": iso(delivery.queued_at),
        "title": delivery.message.title,
        "severity": delivery.message.severity.value,
        "alerts": [member.alert for member in delivery.message.members],
        "body": render(kind, delivery.message),
    }
