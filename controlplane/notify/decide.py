"""From the alert events of one step to messages for people: group, route, compose. Pure.

A further stage (silences, maintenance, escalation) is a function of its own between two of these.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.events import Draft, observation
from controlplane.model.labels import short_hash
from controlplane.model.notifications import Delivery, Incident, Message
from controlplane.model.payloads import IncidentChanged, NotificationQueued, NotificationSuppressed
from controlplane.model.recommendations import Recommendation
from controlplane.model.time import to_ms
from controlplane.notify.compose import compose
from controlplane.notify.flapping import reason as flapping_reason
from controlplane.notify.grouping import Step, due, group, next_due
from controlplane.notify.routing import route
from controlplane.settings import Notify, Route

__all__ = ["decide", "due", "next_due"]


def decide(
    at: datetime,
    changes: Sequence[Draft],
    *,
    incidents: Mapping[str, Incident],
    recommendations: Sequence[Recommendation],
    alerts: Mapping[str, Alert],
    routes: Sequence[Route],
    notify: Notify,
    environment: str,
) -> list[Draft]:
    """What to record and to tell at the step `at`, per incident: IncidentChanged, then what is queued or suppressed.

    `changes` are the drafts of the step (anything but fired, no data and resolved is ignored), `incidents` the known
    ones before it, `alerts` every active alert after it. An incident is told when it opens, when its severity rises,
    when members that weren't told have waited `notify.group_interval`, and when nothing of it fires any more. An alert
    that flaps begins no message. The same step decided twice gives the same drafts.
    """
    advice: dict[str, list[Recommendation]] = {}
    for recommendation in recommendations:
        if recommendation.open:
            advice.setdefault(recommendation.alert, []).append(recommendation)
    drafts: list[Draft] = []
    for step in group(at, changes, incidents, alerts, notify, environment):
        drafts += _drafts(at, step, advice, routes, notify, environment)
    return drafts


def _drafts(
    at: datetime,
    step: Step,
    advice: Mapping[str, Sequence[Recommendation]],
    routes: Sequence[Route],
    notify: Notify,
    environment: str,
) -> list[Draft]:
    routed = route(step, routes)
    known = step.after.routes
    incident = step.after.model_copy(
        update={"routes": (*known, *(name for name in routed.routes if name not in known))}
    )
    stream = f"incident:{incident.id}"
    drafts = [observation(stream, IncidentChanged(incident=incident), at, cause=step.cause)]
    if routed.routes:
        message = compose(at, step, advice, notify, environment)
        for name in routed.routes:
            queued = delivery(at, name, message)
            payload = NotificationQueued(delivery=queued)
            drafts.append(observation(f"delivery:{queued.id}", payload, at, cause=step.cause))
    because = [("", flapping_reason(step.held))] if step.held else []
    for name, reason in (*routed.suppressed, *because):
        suppressed = NotificationSuppressed(incident=incident.id, route=name, reason=reason)
        drafts.append(observation(stream, suppressed, at, cause=step.cause))
    return drafts


def delivery(at: datetime, route_name: str, message: Message) -> Delivery:
    """The outbox row of a message for a route; its id is the hash of incident, transition and route."""
    transition = f"{to_ms(at)}/{short_hash(message.model_dump_json())}"
    return Delivery(
        id=short_hash("delivery", message.incident, transition, route_name),
        route=route_name,
        lane=f"{message.incident}/{route_name}",
        message=message,
        queued_at=at,
        next_attempt_at=at,
    )
