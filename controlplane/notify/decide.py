"""From the alert events of one step to messages for people: group, mute, dedup, compose. Pure.

The order is Alertmanager's: inhibitions, times of the route, silences, then whether there is news. Every suppression is
told with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft, observation
from controlplane.model.labels import printable, short_hash
from controlplane.model.notifications import Action, Delivery, Incident, Message
from controlplane.model.payloads import AlertFacts, IncidentChanged, NotificationQueued, NotificationSuppressed
from controlplane.model.recommendations import Recommendation
from controlplane.model.routes import Inhibition, Node, Times, Tree
from controlplane.model.silences import Silence
from controlplane.model.time import to_ms
from controlplane.notify import flapping
from controlplane.notify.compose import compose, dedup_key
from controlplane.notify.groups import Changed, Group, Grouper, changed
from controlplane.notify.incident import Told, advanced, looked_at, next_look, urgent
from controlplane.notify.muting import inhibited, silenced
from controlplane.notify.needs import News

__all__ = ["Rules", "decide", "due", "next_due"]


@dataclass(frozen=True)
class Rules:
    """What decides who is told, besides the alerts."""

    tree: Tree
    grouper: Grouper
    inhibit: Sequence[Inhibition] = ()
    times: Mapping[str, Times] = field(default_factory=dict)
    channels: Sequence[str] = ()
    """Names of those that are declared."""
    runbooks: str | None = None
    environment: str = ""


@dataclass(frozen=True)
class Desk:
    """The alerts of a step as the muting stages see them; worked out when the first incident asks."""

    at: datetime
    rules: Rules
    alerts: Mapping[str, Alert]
    silences: Sequence[Silence]

    @cached_property
    def _labels(self) -> dict[str, dict[str, str]]:
        return {
            alert.id: self.rules.grouper.labels(alert)
            for alert in self.alerts.values()
            if alert.state is not AlertState.PENDING
        }

    @cached_property
    def inhibited(self) -> dict[str, str]:
        """Inhibited alert → the alert that inhibits it."""
        return inhibited(self.rules.inhibit, self._labels) if self.rules.inhibit else {}

    @cached_property
    def silenced(self) -> dict[str, Silence]:
        """Silenced alert → its silence."""
        return silenced(self.silences, self.at, self._labels)

    def asleep(self, node: Node) -> str | None:
        """Why the route tells nobody now."""
        for name in node.mute:
            if self.rules.times[name].holds(self.at):
                return f"muted in the time {name}"
        if node.active and not any(self.rules.times[name].holds(self.at) for name in node.active):
            return f"active only in the time {', '.join(node.active)}"
        return None

    def mute(self, incident: Incident, alert: Alert, asleep: str | None) -> str | None:
        """Why an alert isn't told now, None where it is."""
        if (by := self.inhibited.get(alert.id)) is not None:
            source = self.alerts[by]
            return f"inhibited by alert {by}: {printable(source.title, 80)}"
        if asleep is not None:
            return asleep
        if (silence := self.silenced.get(alert.id)) is not None:
            by, why = printable(silence.author, 60), printable(silence.reason, 120)
            return f"{silence.kind} {silence.id} by {by} until {silence.ends_at:%Y-%m-%d %H:%M}Z: {why}"
        if alert.id not in incident.told and (flap := flapping.held(incident.flaps, self.at).get(alert.id)) is not None:
            return flapping.reason([flap])
        return None

    def muted_ends(self, incident: Incident, node: Node, ended: Mapping[str, AlertFacts]) -> set[str]:
        """Which of the ended alerts would be told to nobody if they fired still."""
        if self.asleep(node) is not None:
            return set(ended)
        labels = {name: self.rules.grouper.labels(facts) for name, facts in ended.items()}
        found = set(silenced(self.silences, self.at, labels))
        if self.rules.inhibit:
            found |= inhibited(self.rules.inhibit, self._labels | labels).keys() & ended.keys()
        return found | (flapping.held(incident.flaps, self.at).keys() & ended.keys())


def next_due(incidents: Mapping[str, Incident], tree: Tree) -> datetime | None:
    """When the next incident is looked at although nothing changed; None = never."""
    found = [next_look(one, tree.nodes[one.route]) for one in incidents.values() if one.route in tree.nodes]
    return min((when for when in found if when is not None), default=None)


def due(incidents: Mapping[str, Incident], at: datetime, tree: Tree) -> bool:
    """Whether an incident has to be looked at on the step `at` although nothing changed."""
    if any(one.look_at is not None and one.route not in tree.nodes for one in incidents.values()):
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
) -> list[Draft]:
    """What to record and to tell at the step `at`, per incident: IncidentChanged, then what is queued or suppressed.

    `changes` are the drafts of the step (anything but fired, no data and resolved is ignored), `incidents` the known
    ones before it, `alerts` every active alert after it. An incident is first told after its route's group_wait, then
    when its firing or ended alerts changed since the last message, at most every group_interval, and again after
    repeat_interval unless it is acknowledged. A higher severity or a much wider extent is told at once, as a new page.
    The same step decided twice gives the same drafts.
    """
    desk = Desk(at, rules, alerts, silences)
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
    if not late and not (changing and urgent(incident, members)):
        return _drafts(desk, incident, row, change, None, advice) if changing else []
    asleep = desk.asleep(node)
    mutes = {alert.id: desk.mute(incident, alert, asleep) for alert in members}
    visible = [alert for alert in members if mutes[alert.id] is None]
    if not late and not urgent(incident, visible):
        return _drafts(desk, incident, row, change, None, advice)
    quiet = tuple(sorted({why for why in mutes.values() if why is not None}))
    after, told = looked_at(desk.at, incident, node, visible, quiet, dedup_key(incident))
    return _drafts(desk, after, row, change, told, advice, node.channels)


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
    after = row.model_copy(update={"firing": (), "look_at": None})
    told = Told(Action.RESOLVE, (), 0, row.gone, len(row.told), News.OVER, row.superseded) if row.told else None
    return _drafts(desk, after, row, Changed({}, {}, {}), told, {})


def _drafts(
    desk: Desk,
    incident: Incident,
    before: Incident | None,
    change: Changed,
    told: Told | None,
    advice: Mapping[str, Sequence[Recommendation]],
    channels: Sequence[str] = (),
) -> list[Draft]:
    rules, at = desk.rules, desk.at
    stream = f"incident:{incident.id}"
    cause = next(
        (change.first[alert].id for alert in (*incident.firing, *incident.ended) if alert in change.first), None
    )
    to: list[str] = []
    suppressed: list[tuple[str, str]] = []
    if told is not None:
        wanted = [*channels, *(incident.channels if told.action is Action.RESOLVE else ())]
        to = [name for name in rules.channels if name in wanted]
        gone = sorted(set(incident.channels) - set(rules.channels)) if told.action is Action.RESOLVE else []
        suppressed += [(name, _CLOSE_BY_HAND) for name in gone]
        if not to and not gone:
            suppressed.append(("", _nobody(incident, rules)))
        incident = incident.model_copy(
            update={"channels": (*incident.channels, *(name for name in to if name not in incident.channels))}
        )
    known = before.quiet if before is not None else ()
    suppressed += [("", why) for why in incident.quiet if why not in known]
    drafts = [observation(stream, IncidentChanged(incident=incident), at, cause=cause)]
    if told is not None and to:
        hides = [alert for alert, by in desk.inhibited.items() if by in set(incident.firing)]
        message = compose(
            at,
            incident,
            told,
            advice,
            [desk.alerts[alert] for alert in hides],
            runbooks=rules.runbooks,
            environment=rules.environment,
        )
        for name in to:
            queued = delivery(at, name, message)
            drafts.append(observation(f"delivery:{queued.id}", NotificationQueued(delivery=queued), at, cause=cause))
    for name, why in suppressed:
        payload = NotificationSuppressed(incident=incident.id, channel=name, reason=why)
        drafts.append(observation(stream, payload, at, cause=cause))
    return drafts


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
