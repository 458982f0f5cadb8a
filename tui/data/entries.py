"""Events in words: what each line of the timeline and of the audit trail says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.model import payloads as p
from controlplane.model.alerts import Alert
from controlplane.model.base import Model
from controlplane.model.events import Event
from controlplane.model.recommendations import Recommendation
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.model.time import human_duration
from controlplane.model.units import human, many
from controlplane.model.views import DeliveryRecord
from tui.data.rows import Entry
from tui.text import change

_ALERTS: tuple[type[Model], ...] = (
    p.AlertPending,
    p.AlertFired,
    p.AlertNoData,
    p.AlertHeld,
    p.AlertReturned,
    p.AlertResolved,
    p.AlertDropped,
)
_DECISIONS: tuple[type[Model], ...] = (
    p.RecommendationApproved,
    p.RecommendationRejected,
    p.RecommendationReopened,
    p.RecommendationExecuted,
)
_ADVICE: tuple[type[Model], ...] = (
    p.RecommendationProposed,
    p.RecommendationRevised,
    p.RecommendationWithdrawn,
    p.RecommendationExpired,
    p.RecommendationVerified,
    p.RecommendationIneffective,
    p.AdviceFailed,
)
_TOLD: tuple[type[Model], ...] = (
    p.NotificationDelivered,
    p.NotificationFailed,
    p.NotificationDeadLettered,
    p.NotificationSuppressed,
)
_PEOPLE: tuple[type[Model], ...] = (p.AlertAcknowledged, p.AcknowledgementWithdrawn, *_DECISIONS)
_NOTES: tuple[type[Model], ...] = (p.NoteAdded,)
_ANSWERS: tuple[type[Model], ...] = (p.PageAnswered,)
_SILENCES: tuple[type[Model], ...] = (p.SilenceCreated, p.SilenceEnded)
_CALLS: tuple[type[Model], ...] = (p.OnCallChanged, p.EscalationPaused, p.EscalationResumed)
_BESIDES: tuple[type[Model], ...] = (p.SilenceWarned, p.DigestQueued)
_HEALTH: tuple[type[Model], ...] = (
    p.SourceFailed,
    p.SourceRecovered,
    p.TelemetrySetAside,
    p.RuleSetActivated,
    p.RuleFailed,
    p.RuleRecovered,
)


def _types(models: Iterable[type[Model]]) -> frozenset[str]:
    return frozenset(model.model_fields["type"].default for model in models)


TIMELINE = _types((*_ALERTS, *_ADVICE, *_TOLD, *_PEOPLE, *_NOTES, *_ANSWERS, *_SILENCES, *_CALLS, *_BESIDES, *_HEALTH))
"""Types of the events that the timeline shows."""
AUDIT = _types(
    (
        *(*_PEOPLE, *_NOTES, *_ANSWERS, *_SILENCES, *_CALLS),
        *(p.RuleSetActivated, p.TelemetrySetAside, p.NotificationDeadLettered),
    )
)
"""Types of what people did, and of what somebody has to know who asks later."""

_NAMED: dict[type[Model], str] = {
    p.RecommendationApproved: "APPROVED",
    p.RecommendationRejected: "REJECTED",
    p.RecommendationReopened: "REOPENED",
    p.RecommendationExecuted: "EXECUTED",
    p.RecommendationWithdrawn: "WITHDRAWN",
    p.RecommendationExpired: "EXPIRED",
    p.RecommendationVerified: "VERIFIED",
    p.RecommendationIneffective: "NO EFFECT",
}


@dataclass(slots=True)
class Names:
    """What events name by id alone: alerts, recommendations, deliveries and silences that are known."""

    alerts: dict[str, tuple[str, Severity, str]] = field(default_factory=dict)
    """Alert id → title, severity, platform."""
    advice: Mapping[str, Recommendation] = field(default_factory=dict)
    deliveries: Mapping[str, DeliveryRecord] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)

    def learn(self, alerts: Iterable[Alert]) -> None:
        """Take the names of active alerts."""
        for alert in alerts:
            self.alerts[alert.id] = (alert.title, alert.severity, alert.platform)

    def page(self, incident: str) -> dict[str, Any]:
        """What a line about an incident is called by: a page of it, else its id."""
        found = next((known for known in self.deliveries.values() if known.incident == incident), None)
        return {"subject": incident} if found is None else {"subject": found.title, "severity": found.severity}

    def muting(self, silence: str) -> str:
        """What a line about a silence is called by: its matchers, else its id."""
        found = self.silences.get(silence)
        return silence if found is None else " ".join(map(str, found.matchers))


def entries(events: Iterable[Event], names: Names) -> Iterator[Entry]:
    """A line for each event, oldest first; `names` learns from the events on the way."""
    for event in events:
        facts = getattr(event.payload, "facts", None)
        if facts is not None:
            names.alerts[facts.alert] = (facts.title, facts.severity, facts.platform)
        told = _tell(event, names)
        if told is not None:
            yield told


def _tell(event: Event, names: Names) -> Entry | None:
    payload: Any = event.payload
    kind = type(payload)
    if kind in _ALERTS:
        return _alert(event, names)
    if kind in (p.AlertAcknowledged, p.AcknowledgementWithdrawn):
        taken = kind is p.AlertAcknowledged
        said = payload.acknowledgement.note if taken else ""
        return _entry(event, "ACK" if taken else "UNDO ACK", said, names, alert=payload.alert)
    if kind in _NOTES:
        return _note(event, names)
    if kind in _ANSWERS:
        return _answered(event, names)
    if kind in _ADVICE or kind in _DECISIONS:
        return _advised(event, names)
    if kind in _SILENCES:
        return _silence(event, names)
    if kind in _CALLS or kind in _BESIDES:
        return _arranged(event, names)
    if kind in _TOLD:
        return _told(event, names)
    return _health(event)


def _entry(event: Event, what: str, said: str, names: Names, *, alert: str = "", **more: Any) -> Entry:
    title, severity, platform = names.alerts.get(alert, (alert, None, ""))
    actor = "" if event.actor == "controlplane" else event.actor
    plain: dict[str, Any] = {"subject": title, "severity": severity, "platform": platform}
    found = plain | more
    text = "\n".join([what, found["subject"][:300], said[:300], actor, found["platform"]]).casefold()
    return Entry(
        str(event.id), event.position, event.occurred_at, what, said=said, actor=actor, alert=alert, text=text, **found
    )


def _alert(event: Event, names: Names) -> Entry:
    match event.payload:
        case p.AlertPending(facts=facts):
            return _entry(event, "PENDING", facts.summary, names, alert=facts.alert)
        case p.AlertFired(facts=facts):
            return _entry(event, "FIRING", facts.summary, names, alert=facts.alert)
        case p.AlertNoData(facts=facts):
            return _entry(event, "NO DATA", facts.summary, names, alert=facts.alert)
        case p.AlertHeld(alert=alert, why=held):
            return _entry(event, "HELD", held.replace("_", " "), names, alert=alert)
        case p.AlertReturned(alert=alert):
            return _entry(event, "AGAIN", "the condition is met again", names, alert=alert)
        case p.AlertResolved(facts=facts, fired_at=fired_at, reason=reason):
            lasted = human_duration(event.occurred_at - fired_at)
            value = "" if facts.value is None else f" at {human(facts.value, facts.unit)}"
            why = "" if reason == "condition" else f", {reason.replace('_', ' ')}"
            return _entry(event, "ENDED", f"after {lasted}{value}{why}", names, alert=facts.alert)
        case p.AlertDropped(alert=alert, reason=reason):
            return _entry(event, "DROPPED", f"never fired: {reason.replace('_', ' ')}", names, alert=alert)
    raise AssertionError(event.type)


def _advised(event: Event, names: Names) -> Entry:
    payload: Any = event.payload
    if isinstance(payload, p.AdviceFailed):
        return _entry(event, "NO ADVICE", payload.error, names, alert=payload.alert)
    if isinstance(payload, p.RecommendationProposed | p.RecommendationRevised):
        found = payload.recommendation
        what, said = "ADVICE", change(found.proposal)
        if isinstance(payload, p.RecommendationRevised):
            what, said = "REVISED", f"v{found.version}, changed: {', '.join(payload.changed)}; {said}"
    else:
        known = names.advice.get(payload.recommendation)
        what, said = _NAMED[type(payload)], getattr(payload, "reason", "")
        if known is None:
            return _entry(event, what, said, names, subject=payload.recommendation, advice=payload.recommendation)
        found = known
    return _entry(event, what, said, names, **_of(found), serious=isinstance(payload, p.RecommendationIneffective))


def _of(found: Recommendation) -> dict[str, str]:
    subject = f"{found.proposal.kind.replace('_', ' ')} {found.proposal.target}"
    return {"alert": found.alert, "subject": subject, "platform": found.platform, "advice": found.id}


def _note(event: Event, names: Names) -> Entry:
    payload: Any = event.payload
    kind, _, name = payload.about.partition(":")
    if kind == "alert":
        return _entry(event, "NOTE", payload.text, names, alert=name)
    known = names.advice.get(name)
    about = {"subject": name, "advice": name} if known is None else _of(known)
    return _entry(event, "NOTE", payload.text, names, **about)


def _silence(event: Event, names: Names) -> Entry:
    payload: Any = event.payload
    if isinstance(payload, p.SilenceEnded):
        return _entry(event, "UNSILENCE", "ended before its time", names, subject=names.muting(payload.silence))
    made = payload.silence
    what = "SILENCE" if made.kind == "silence" else "MAINTAIN"
    said = f"until {made.ends_at:%Y-%m-%d %H:%MZ}: {made.reason}"
    return _entry(event, what, said, names, subject=" ".join(map(str, made.matchers)))


def _answered(event: Event, names: Names) -> Entry:
    payload: Any = event.payload
    where = {"pagerduty": "PagerDuty", "slack": "Slack"}[payload.provider]
    return _entry(event, "ANSWERED", f"the page {payload.answer} in {where}", names, **names.page(payload.incident))


def _arranged(event: Event, names: Names) -> Entry:
    """Who is on call, what holds an escalation back, and what is told besides pages."""
    match event.payload:
        case p.OnCallChanged(schedule=schedule, people=people, until=until):
            end = "" if until is None else f" until {until:%Y-%m-%d %H:%MZ}"
            said = f"{', '.join(people) or 'nobody'}{end}"
            return _entry(event, "ON CALL", said, names, subject=schedule, serious=not people)
        case p.EscalationPaused(incident=incident, until=until):
            said = f"the next level waits until {until:%Y-%m-%d %H:%MZ}"
            return _entry(event, "PAUSED", said, names, **names.page(incident))
        case p.EscalationResumed(incident=incident):
            return _entry(event, "RESUMED", "the next level is told in its time", names, **names.page(incident))
        case p.SilenceWarned(silence=silence, matches=matches, channels=channels):
            said = f"and still mutes {many(matches, 'alert')}; {', '.join(channels) or 'nobody'} told"
            return _entry(event, "ENDS SOON", said, names, subject=names.muting(silence))
        case p.DigestQueued(day=day, channels=channels, reason=reason):
            said = f"left out: {reason}" if reason else f"to {', '.join(channels) or 'nobody'}"
            return _entry(event, "DIGEST", said, names, subject=f"of {day}")
    raise AssertionError(event.type)


def _told(event: Event, names: Names) -> Entry | None:
    payload: Any = event.payload
    known = names.deliveries.get(payload.delivery)
    subject = payload.incident if isinstance(payload, p.NotificationSuppressed) else payload.delivery
    severity = None
    if known is not None:
        subject, severity = known.title, known.severity
    more: dict[str, Any] = {"subject": subject, "severity": severity}
    channel = payload.channel or "nobody"
    match payload:
        case p.NotificationDelivered():
            action = "" if known is None else f", {known.action.value}"
            why = f" · {known.note}" if known is not None and known.note else ""
            return _entry(event, "TOLD", f"{channel} in {payload.seconds:.1f} s{action}{why}", names, **more)
        case p.NotificationSuppressed():
            return _entry(event, "NOT TOLD", f"{channel}: {payload.reason}", names, **more)
        case p.NotificationFailed():
            said = f"{channel}, attempt {payload.attempts}: {payload.error}"
            return _entry(event, "NOT SENT", said, names, serious=True, **more)
    said = f"{channel} after {payload.attempts} attempts: {payload.error}"
    return _entry(event, "GAVE UP", said, names, serious=True, **more)


def _health(event: Event) -> Entry | None:
    names = Names()
    match event.payload:
        case p.SourceFailed(source=source, signal=signal, error=error):
            about = f"{signal}: " if signal else ""
            return _entry(event, "SOURCE", f"fails, {about}{error}", names, subject=source, serious=True)
        case p.SourceRecovered(source=source, signal=signal, failed_since=since):
            about = f"{signal} " if signal else ""
            lasted = human_duration(event.occurred_at - since)
            return _entry(event, "SOURCE", f"{about}answers again after {lasted}", names, subject=source)
        case p.TelemetrySetAside(file=file, error=error):
            return _entry(event, "STORE", f"set aside: {error}", names, subject=file, serious=True)
        case p.RuleSetActivated(rules=rules, problems=problems, digest=digest):
            wrong = f", {len(problems)} can't be used" if problems else ""
            said = f"{rules} in force{wrong}"
            return _entry(event, "RULES", said, names, subject=f"rule set {digest[:12]}", serious=bool(problems))
        case p.RuleFailed(rule=rule, source=source, error=error):
            return _entry(
                event, "RULE", f"can't be evaluated over {source}: {error}", names, subject=rule, serious=True
            )
        case p.RuleRecovered(rule=rule, source=source):
            return _entry(event, "RULE", f"is evaluated again over {source}", names, subject=rule)
    return None
