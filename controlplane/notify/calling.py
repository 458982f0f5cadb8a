"""What an incident does once it is told: who has it, who is told next, and whose quiet hours are over. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Incident
from controlplane.model.oncall import Escalation, Pause
from controlplane.model.routes import Node
from controlplane.notify.escalation import Call, Situation, escalated
from controlplane.notify.incident import Told
from controlplane.notify.needs import News
from controlplane.notify.reach import Reach

NOTHING_FIRES = "nothing of it fires now"


@dataclass(frozen=True, slots=True)
class Answers:
    """What an incident is looked at with, besides its alerts."""

    reach: Reach
    escalations: Mapping[str, Escalation]
    pauses: Mapping[str, Pause]
    behind: bool
    takers: Collection[str]
    """Channels that can be told of an acknowledgement."""


def stirs(incident: Incident, node: Node | None, alerts: Mapping[str, Alert]) -> bool:
    """Whether the incident has to be looked at in every step, or somebody took it or gave it back."""
    if incident.look_at is None or not incident.told:
        return False
    taken = _taken(incident, [alerts[name] for name in incident.firing if name in alerts])
    if bool(taken) is not bool(incident.taken):
        return True
    escalates = node is not None and node.escalate is not None
    return not taken and (escalates or incident.escalation is not None or bool(incident.postponed))


def _taken(incident: Incident, visible: Sequence[Alert]) -> tuple[str, ...]:
    """Who acknowledged what was told and fires, where all of that is acknowledged; as before where none of it fires."""
    told = set(incident.told)
    known = [alert.acknowledged for alert in visible if alert.id in told]
    if not known:
        return incident.taken
    actors = [given.actor for given in known if given is not None]
    return tuple(sorted({printable(actor, 60) for actor in actors})) if len(actors) == len(known) else ()


def called(
    at: datetime,
    incident: Incident,
    before: Incident | None,
    told: Told | None,
    node: Node,
    visible: Sequence[Alert],
    muted: Sequence[str],
    key: str,
    answers: Answers,
) -> tuple[Incident, list[Call]]:
    """The incident after it was looked at, with who is told in this step besides the channels of its route.

    `told` is what the route's channels are told, `before` the incident before the step, `muted` why alerts of it that
    fire aren't visible, `key` the dedup key of its page.
    """
    if not incident.told:
        gone = {"escalation": None, "taken": (), "answered": (), "postponed": ()}
        return incident.model_copy(update=gone), []
    begins = told is not None and told.action is Action.TRIGGER and _begins(told, before)
    taken = _taken(incident, visible)
    update: dict[str, object] = {"taken": taken, "escalation": None}
    if begins:
        update["answered"] = ()
    calls: list[Call] = []
    policy = answers.escalations.get(node.escalate) if node.escalate is not None else None
    if policy is not None:
        assert node.escalate is not None
        now = Situation(
            at=at,
            severity=incident.severity,
            begins=begins,
            taken=bool(taken),
            given_back=bool(incident.taken) and not taken,
            hold=_hold(at, incident, visible, muted, answers.pauses.get(incident.id)),
            behind=answers.behind,
        )
        update["escalation"], found = escalated(incident.escalation, node.escalate, policy, answers.reach, now)
        calls += found
    if visible and not taken:
        calls += _belated(incident, answers.reach)
    again = bool(calls) or (told is not None and told.news is News.REPEAT)
    if again and not begins and incident.answered:
        # The provider has it as acknowledged: under the same key nobody would be paged.
        update |= {"page": incident.page + 1, "superseded": (*incident.superseded, key), "answered": ()}
    return incident.model_copy(update=update), calls


def _begins(told: Told, before: Incident | None) -> bool:
    return bool(told.superseded) or before is None or not before.told


def _hold(at: datetime, incident: Incident, visible: Sequence[Alert], muted: Sequence[str], pause: Pause | None) -> str:
    if not visible:
        return muted[0] if muted else NOTHING_FIRES
    if pause is not None and pause.page == incident.page and at < pause.until:
        return f"paused by {printable(pause.actor, 60)} until {pause.until:%Y-%m-%d %H:%MZ}"
    return ""


def _belated(incident: Incident, reach: Reach) -> list[Call]:
    """Those whose quiet hours are over."""
    awake = reach.declared(name for name in incident.postponed if reach.quiet(name, incident.severity) is None)
    return [Call(awake, "Held back in quiet hours until now; it still fires.")] if awake else []
