"""From the alert events of one step to messages for people: group, mute, dedup, compose. Pure.

The order is Alertmanager's: inhibitions, times of the route, silences, then whether there is news. Every suppression is
told with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from controlplane.model.alerts import Alert
from controlplane.model.events import Draft, observation
from controlplane.model.labels import short_hash
from controlplane.model.notifications import Action, Delivery, Incident, Message
from controlplane.model.oncall import OnCall, Pause
from controlplane.model.payloads import IncidentChanged, NotificationQueued, NotificationSuppressed
from controlplane.model.recommendations import Recommendation
from controlplane.model.routes import Node, Tree
from controlplane.model.silences import Silence
from controlplane.model.time import to_ms
from controlplane.notify.calling import called, stirs
from controlplane.notify.compose import compose, dedup_key
from controlplane.notify.desk import Desk, Rules
from controlplane.notify.escalation import Call
from controlplane.notify.groups import Changed, Group, changed
from controlplane.notify.incident import MEMBERS, Told, advanced, looked_at, next_look, urgent, worst
from controlplane.notify.needs import News

__all__ = ["Rules", "decide", "due", "next_due"]

_NONE: Mapping[str, Alert] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Said:
    """A message, and who gets it."""

    told: Told
    channels: Sequence[str]
    note: str = ""


def next_due(incidents: Mapping[str, Incident], tree: Tree) -> datetime | None:
    """When the next incident is looked at although nothing changed; None = never."""
    found = [next_look(one, tree.nodes[one.route]) for one in incidents.values() if one.route in tree.nodes]
    found += [one.escalation.due for one in incidents.values() if one.escalation is not None]
    return min((when for when in found if when is not None), default=None)


def due(incidents: Mapping[str, Incident], at: datetime, tree: Tree, alerts: Mapping[str, Alert] = _NONE) -> bool:
    """Whether an incident has to be looked at on the step `at` although nothing changed; `alerts` are the active ones.

    One that escalates is looked at in every step, since a silence or a pause may begin or end in any.
    """
    if any(one.look_at is not None and one.route not in tree.nodes for one in incidents.values()):
        return True
    if any(stirs(one, tree.nodes.get(one.route), alerts) for one in incidents.values()):
        return True
    first = next_due(incidents, tree)
    return first is not None and first <= at


def decide(
    at: datetime,
    changes: Sequence[Draft],
    *,
    rules: Rules,
    incidents: Mapping[str, Incident],
    alerts: Mapping[str, Alert],
    silences: Sequence[Silence] = (),
    recommendations: Sequence[Recommendation] = (),
    on_call: Mapping[str, OnCall] | None = None,
    pauses: Mapping[str, Pause] | None = None,
    behind: bool = False,
) -> list[Draft]:
    """What to record and to tell at the step `at`, per incident: IncidentChanged, then what is queued or suppressed.

    `changes` are the drafts of the step (anything but fired, no data and resolved is ignored), `incidents` the known
    ones before it, `alerts` every active alert after it. An incident is first told after its route's group_wait, then
    when its firing or ended alerts changed since the last message, at most every group_interval, and again after
    repeat_interval unless it is acknowledged. A higher severity or a much wider extent is told at once, as a new page.
    Then those are told whom its escalation names at this step (see `escalation`), by `on_call` and `pauses` as they are
    at the step; `behind` = the step is caught up, so that nobody could have answered since.
    The same step decided twice gives the same drafts.
    """
    desk = Desk(at, rules, alerts, silences, on_call or {}, pauses or {}, behind)
    advice: dict[str, list[Recommendation]] = {}
    for recommendation in recommendations:
        if recommendation.open:
            advice.setdefault(recommendation.alert, []).append(recommendation)
    change = changed(changes)
    groups = rules.grouper.groups(alerts.values())
    open_ = {name: one for name, one in incidents.items() if one.look_at is not None}
    drafts: list[Draft] = []
    for name in sorted(groups.keys() | open_.keys(), key=lambda name: _order(name, groups, open_)):
        drafts += _one(desk, name, incidents.get(name), groups.get(name), change, advice)
    return drafts


def _order(name: str, groups: Mapping[str, Group], open_: Mapping[str, Incident]) -> tuple[object, ...]:
    if name in groups:
        return groups[name].node.key, tuple(groups[name].labels.values()), name
    return open_[name].route, tuple(open_[name].group.values()), name


def _one(
    desk: Desk,
    name: str,
    row: Incident | None,
    group: Group | None,
    change: Changed,
    advice: Mapping[str, Sequence[Recommendation]],
) -> list[Draft]:
    node = group.node if group else desk.rules.tree.nodes.get(row.route) if row else None
    if node is None:
        assert row is not None
        return _removed(desk, row)
    incident = advanced(desk.at, row, name, group, node, change)
    if incident is None:
        return []
    if incident is not row:
        incident = _unsaid(desk, incident, row, node, change)
    members = group.firing if group else []
    changing = incident is not row
    late = (when := next_look(incident, node)) is not None and when <= desk.at
    stirred = stirs(incident, node, desk.alerts)
    if not late and not stirred and not (changing and urgent(incident, members)):
        return _drafts(desk, incident, row, change, [], advice) if changing else []
    mutes = desk.mutes(incident, node, members)
    visible = [alert for alert in members if mutes[alert.id] is None]
    quiet = tuple(sorted({why for why in mutes.values() if why is not None}))
    after, told = incident, None
    if late or urgent(incident, visible):
        after, told = looked_at(desk.at, incident, node, visible, quiet, dedup_key(incident))
    elif not stirred:
        return _drafts(desk, incident, row, change, [], advice)
    after, calls = called(desk.at, after, row, told, node, visible, quiet, dedup_key(after), desk.answers)
    if told is None and not calls and after == row:
        return []
    return _drafts(desk, after, row, change, _says(after, row, told, calls, visible, node), advice, calls)


def _says(
    incident: Incident,
    before: Incident | None,
    told: Told | None,
    calls: Sequence[Call],
    visible: Sequence[Alert],
    node: Node,
) -> list[_Said]:
    """What is said in the step: what is new or over, or who is called, and that somebody took it."""
    said: list[_Said] = []
    listed = tuple(worst(visible, MEMBERS))
    if told is not None and told.action is Action.RESOLVE:
        # Whoever wasn't told in their quiet hours isn't told of the end either.
        late = set(before.postponed).difference(before.channels) if before is not None else ()
        said.append(_Said(told, [name for name in (*node.channels, *incident.channels) if name not in late]))
    elif told is not None or calls:
        channels = [name for call in calls for name in call.channels]
        if told is None:
            told = Told(Action.TRIGGER, listed, len(visible), (), 0, News.FIRING)
        else:
            channels += node.channels
            if told.news is News.FIRING and incident.escalation is not None:
                channels += incident.escalation.channels
        if calls or (before is not None and before.page != incident.page):
            told = replace(told, superseded=incident.superseded)
        said.append(_Said(told, channels, " ".join(call.note for call in calls)))
    if incident.taken:
        taken = Told(Action.ACKNOWLEDGE, listed, len(visible), (), 0, News.FIRING, incident.superseded)
        said.append(_Said(taken, incident.channels, _taken_by(incident)))
    return said


def _unsaid(desk: Desk, incident: Incident, row: Incident | None, node: Node, change: Changed) -> Incident:
    """The incident without the ends of what nobody is told of anyway."""
    before = set(row.ended) if row is not None else set()
    new = [name for name in incident.ended if name not in before and name not in incident.told and name in change.ended]
    if not new:
        return incident
    muted = desk.muted_ends(incident, node, {name: change.ended[name].facts for name in new})
    return incident.model_copy(
        update={
            "ended": tuple(name for name in incident.ended if name not in muted),
            "gone": tuple(member for member in incident.gone if member.alert not in muted),
        }
    )


def _removed(desk: Desk, row: Incident) -> list[Draft]:
    """Close an incident whose route is gone; its alerts are told by the routes that there are."""
    gone = {"firing": (), "look_at": None, "escalation": None, "taken": (), "postponed": ()}
    after = row.model_copy(update=gone)
    told = Told(Action.RESOLVE, (), 0, row.gone, len(row.told), News.OVER, row.superseded) if row.told else None
    said = [_Said(told, row.channels)] if told is not None else []
    return _drafts(desk, after, row, Changed({}, {}, {}), said, {})


def _drafts(
    desk: Desk,
    incident: Incident,
    before: Incident | None,
    change: Changed,
    said: Sequence[_Said],
    advice: Mapping[str, Sequence[Recommendation]],
    calls: Sequence[Call] = (),
) -> list[Draft]:
    """The incident as it is after the step, then what is queued for whom, then what isn't told and why."""
    at = desk.at
    stream = f"incident:{incident.id}"
    cause = next(
        (change.first[alert].id for alert in (*incident.firing, *incident.ended) if alert in change.first), None
    )
    sent: list[tuple[str, Message]] = []
    suppressed = [("", why) for call in calls for why in call.reasons]
    for one in said:
        incident, to, why = _addressed(desk, incident, before, one)
        suppressed += why
        if to:
            message = _message(desk, incident, one, advice)
            sent += [(name, message) for name in to]
    known = before.quiet if before is not None else ()
    suppressed += [("", why) for why in incident.quiet if why not in known]
    drafts = [observation(stream, IncidentChanged(incident=incident), at, cause=cause)]
    for name, message in sent:
        queued = delivery(at, name, message)
        drafts.append(observation(f"delivery:{queued.id}", NotificationQueued(delivery=queued), at, cause=cause))
    for name, reason in suppressed:
        payload = NotificationSuppressed(incident=incident.id, channel=name, reason=reason)
        drafts.append(observation(stream, payload, at, cause=cause))
    return drafts


def _addressed(
    desk: Desk, incident: Incident, before: Incident | None, said: _Said
) -> tuple[Incident, list[str], list[tuple[str, str]]]:
    """Who gets it, the incident with who knows of it, and why others don't get it."""
    rules, action = desk.rules, said.told.action
    if action is Action.ACKNOWLEDGE:
        new = before is None or not before.taken
        known = [name for name in rules.channels if name in rules.takers and name in incident.channels]
        to = [name for name in known if new or name not in incident.answered]
        answered = tuple(dict.fromkeys((*incident.answered, *to)))
        return incident.model_copy(update={"answered": answered}), to, []
    to = [name for name in rules.channels if name in said.channels]
    suppressed: list[tuple[str, str]] = []
    if action is Action.RESOLVE:
        gone = sorted(set(incident.channels) - set(rules.channels))
        suppressed += [(name, _CLOSE_BY_HAND) for name in gone]
        if not to and not gone:
            suppressed.append(("", _nobody(incident, rules)))
    else:
        quiet = {name: why for name in to if (why := desk.answers.reach.quiet(name, incident.severity)) is not None}
        if not to:
            suppressed.append(("", _nobody(incident, rules)))
        to = [name for name in to if name not in quiet]
        if incident.taken and before is not None and before.page == incident.page:
            # A page that was closed at the pager would be opened again by it, and wake somebody for less than it was.
            calm = [name for name in to if name not in rules.urgent or name not in incident.channels]
            suppressed += [(name, f"{_taken_by(incident)}: a change wakes nobody") for name in to if name not in calm]
            to = calm
        suppressed += [
            (name, f"quiet hours of {why}: told when they end, if it still fires")
            for name, why in quiet.items()
            if name not in incident.postponed
        ]
        postponed = dict.fromkeys((*(name for name in incident.postponed if name not in to), *quiet))
        incident = incident.model_copy(update={"postponed": tuple(postponed)})
    known_of = (*incident.channels, *(name for name in to if name not in incident.channels))
    return incident.model_copy(update={"channels": known_of}), to, suppressed


def _taken_by(incident: Incident) -> str:
    return f"acknowledged by {', '.join(incident.taken)}"


def _message(desk: Desk, incident: Incident, said: _Said, advice: Mapping[str, Sequence[Recommendation]]) -> Message:
    rules, told = desk.rules, said.told
    hides = [alert for alert, by in desk.inhibited.items() if by in set(incident.firing)]
    message = compose(
        desk.at,
        incident,
        told,
        advice,
        [desk.alerts[alert] for alert in hides],
        chart=rules.chart(told.firing[0], desk.at) if told.firing else None,
        impact=desk.extent.lines([desk.alerts[one] for one in incident.told or incident.firing if one in desk.alerts]),
        check=rules.check,
        runbooks=rules.runbooks,
        environment=rules.environment,
    )
    return message.model_copy(update={"note": said.note}) if said.note else message


_CLOSE_BY_HAND = (
    "the channel was told of the incident but is no longer in the settings; close the incident there by hand"
)


def _nobody(incident: Incident, rules: Rules) -> str:
    if not rules.channels:
        return "no channel is declared under notify.channels"
    node = rules.tree.nodes.get(incident.route)
    place = f"route {node.path or 'at the root'}" if node is not None else "the route"
    return f"{place} of the incident names no channel"


def delivery(at: datetime, channel: str, message: Message) -> Delivery:
    """The outbox row of a message for a channel; its id is the hash of incident, transition and channel."""
    transition = f"{to_ms(at)}/{short_hash(message.model_dump_json())}"
    return Delivery(
        id=short_hash("delivery", message.incident, transition, channel),
        channel=channel,
        lane=f"{message.incident}/{channel}",
        message=message,
        queued_at=at,
        next_attempt_at=at,
    )
