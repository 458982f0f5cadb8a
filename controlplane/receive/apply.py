"""What an answer to a page changes: a decision by the answer, the incidents and their alerts. Pure.

An answer is about a page, as its provider understands it: whoever takes the page takes what it holds. Of a page that
is over, or that a newer one took the place of, nothing changes, and neither does by an answer that came before, is
older than one that was taken in, or than what was decided here since (docs/adr/0021-flow-back.md).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controlplane.model.alerts import Acknowledgement, Alert, AlertState
from controlplane.model.labels import printable, short_hash
from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Incident
from controlplane.model.payloads import AcknowledgementWithdrawn, AlertAcknowledged, PageAnswered
from controlplane.model.silences import Silence
from controlplane.model.units import many
from controlplane.notify.compose import dedup_key
from controlplane.receive.answers import Answer

SILENCE = timedelta(hours=1)
RESOLVED = "resolved in PagerDuty while it still fires"
"""The note of an acknowledgement that was a resolution there."""

Change = AlertAcknowledged | AcknowledgementWithdrawn


@dataclass(frozen=True, slots=True)
class Known:
    """What the log says when an answer comes in."""

    incident: Incident | None
    """The one whose page it is, see `page_of`."""
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    """Active alerts by id; those of the incident at least."""
    withdrawn: Mapping[str, datetime] = field(default_factory=dict)
    """Alert → when it was last given back in this episode, where nobody has it since."""
    answers: Sequence[PageAnswered] = ()
    """Those to the same page that were taken in."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be written; `said` is for whoever answered."""

    said: str
    record: PageAnswered | None = None
    """None where nothing is to be written at all."""
    changes: tuple[Change, ...] = ()
    silence: Silence | None = None


def page_of(incidents: Mapping[str, Incident], key: str) -> tuple[Incident | None, str]:
    """The open incident whose current page has this dedup key, else why there is none, for people."""
    for incident in incidents.values():
        if key in incident.superseded:
            return None, "A newer page of this incident has taken the place of this one: answer that one."
        if dedup_key(incident) == key:
            if incident.look_at is not None and incident.firing:
                return incident, ""
            break
    return None, "This page is over: nothing of it fires any more."


def decide(answer: Answer, known: Known, now: datetime) -> Decided:
    """What an answer changes at `now`.

    Answers of a provider are compared by its own clock; where it is ahead, they count here as given now.
    """
    incident = known.incident
    if incident is None:
        return Decided("This page is over: nothing of it fires any more.")
    same = [one for one in known.answers if one.provider == answer.provider]
    if any(one.event == answer.event for one in same):
        return Decided("This was taken in already.")
    if any(one.answered_at > answer.at for one in same):
        return Decided("Something newer was said about this page already.")
    if answer.what in {"acknowledged", "resolved"} and not answer.person:
        return Decided("Nobody in particular took it.")
    record = PageAnswered(
        incident=incident.id,
        dedup_key=answer.dedup_key,
        provider=answer.provider,
        event=answer.event,
        answer=answer.what,
        actor=answer.actor,
        answered_at=answer.at,
    )
    at = min(answer.at, now)
    alerts = _reported(incident.firing, known.alerts)
    if answer.what == "silenced":
        return _silenced(answer, incident, record, now)
    if answer.what in {"unacknowledged", "reopened"}:
        return _withdrawn(answer, alerts, record, at)
    return _taken(answer, alerts, known.withdrawn, record, at)


def _reported(firing: Collection[str], alerts: Mapping[str, Alert]) -> list[Alert]:
    found = [alerts[name] for name in firing if name in alerts]
    return [alert for alert in found if alert.state is not AlertState.PENDING and alert.episode is not None]


def _taken(
    answer: Answer, alerts: Sequence[Alert], withdrawn: Mapping[str, datetime], record: PageAnswered, at: datetime
) -> Decided:
    given = Acknowledgement(actor=answer.actor, at=at, note=RESOLVED if answer.what == "resolved" else "")
    changes: list[Change] = []
    others: set[str] = set()
    back = 0
    for alert in alerts:
        assert alert.episode is not None
        if alert.acknowledged is not None:
            others.add(alert.acknowledged.actor)
        elif alert.id in withdrawn and withdrawn[alert.id] > at:
            back += 1
        else:
            changes.append(AlertAcknowledged(alert=alert.id, episode=alert.episode, acknowledgement=given))
    said = [f"You have {many(len(changes), 'alert')} now."] if changes else []
    if answer.actor in others:
        said.append("You had it already." if not changes else "You had the others already.")
    if elsewhere := sorted(others - {answer.actor}):
        said.append(f"Taken before by {', '.join(printable(name, 60) for name in elsewhere[:3])}.")
    if back:
        said.append(f"{many(back, 'alert')} given back since, left as they are.")
    return Decided(" ".join(said) or "Nothing of it can be taken yet.", record, tuple(changes))


def _withdrawn(answer: Answer, alerts: Sequence[Alert], record: PageAnswered, at: datetime) -> Decided:
    taken = [alert for alert in alerts if alert.acknowledged is not None and alert.acknowledged.at <= at]
    changes = tuple(AcknowledgementWithdrawn(alert=alert.id, actor=answer.actor) for alert in taken)
    return Decided(f"{many(len(changes), 'alert')} given back.", record, changes)


def _silenced(answer: Answer, incident: Incident, record: PageAnswered, now: datetime) -> Decided:
    matchers = tuple(Matcher(label=label, operator="=", value=value) for label, value in sorted(incident.group.items()))
    if not any(matcher.value for matcher in matchers):
        return Decided(
            "The alerts of this page have no labels in common that could be silenced: "
            "name some with `controlplane silence add`."
        )
    silence = Silence(
        id=short_hash("silence", answer.provider, answer.event),
        matchers=matchers,
        starts_at=now,
        ends_at=now + SILENCE,
        author=answer.actor,
        reason=f"for an hour, with the button of a message about {printable(incident.rule, 100)}",
        created_at=now,
    )
    what = printable(", ".join(map(str, matchers)), 500)
    return Decided(f"Silenced until {silence.ends_at:%H:%M} UTC: {what}.", record, (), silence)
