"""A silence that is about to end while it still mutes alerts: somebody is told, once, before all of them page. Pure."""

from collections.abc import Iterable
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.events import Draft, observation
from controlplane.model.labels import printable, short_hash
from controlplane.model.notifications import Action, Message, Subject
from controlplane.model.payloads import NotificationQueued, SilenceWarned
from controlplane.model.routes import Node
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.model.time import human_duration
from controlplane.model.units import many
from controlplane.notify.advising import reached
from controlplane.notify.decide import delivery
from controlplane.notify.desk import Desk
from controlplane.notify.incident import MEMBERS, cut, member, worst
from controlplane.notify.routing import asleep


def ending(silences: Iterable[Silence], at: datetime) -> list[Silence]:
    """Those whose end is near and of which nobody was told, the first to end first."""
    found = [one for one in silences if one.warned_at is None and one.ends_soon(at)]
    return sorted(found, key=lambda one: (one.ends_at, one.id))


def warn(desk: Desk) -> list[Draft]:
    """A warning for each silence that ends soon and mutes alerts that would be told then.

    It goes where they would be told, but to channels that wake people only where there are no others. A silence that
    mutes nothing now, or whose alerts another one mutes for longer, is looked at again in the next step.
    """
    drafts: list[Draft] = []
    for silence in ending(desk.silences, desk.at):
        alerts, nodes = _would_page(desk, silence)
        if not alerts:
            continue
        to = _addressed(desk, nodes)
        if not to:
            continue
        warned = SilenceWarned(silence=silence.id, matches=len(alerts), channels=tuple(to))
        stream = f"silence:{silence.id}"
        draft = Draft(stream=stream, key="warned", payload=warned, occurred_at=desk.at)
        drafts.append(draft)
        message = _message(desk, silence, alerts)
        for name in to:
            row = delivery(desk.at, name, message)
            queued = NotificationQueued(delivery=row)
            drafts.append(observation(f"delivery:{row.id}", queued, desk.at, cause=draft.id))
    return drafts


def _would_page(desk: Desk, silence: Silence) -> tuple[list[Alert], dict[str, Node]]:
    """The alerts that are told when the silence ends, and their routes by key."""
    alerts: list[Alert] = []
    nodes: dict[str, Node] = {}
    for name, by in desk.silenced.items():
        if by.id != silence.id or name in desk.inhibited:
            continue
        alert = desk.alerts[name]
        found = [
            node
            for _, node, _ in desk.rules.grouper.of(alert)
            if node.channels and asleep(node, desk.rules.times, silence.ends_at) is None
        ]
        if found:
            alerts.append(alert)
            nodes |= {node.key: node for node in found}
    return alerts, nodes


def _addressed(desk: Desk, nodes: dict[str, Node]) -> list[str]:
    to = reached(desk, [node for node in nodes.values() if desk.asleep(node) is None])
    to = [name for name in to if desk.answers.reach.quiet(name, Severity.WARNING) is None]
    calm = [name for name in to if name not in desk.rules.urgent]
    return calm or to


def _message(desk: Desk, silence: Silence, alerts: list[Alert]) -> Message:
    listed = worst(alerts, MEMBERS)
    head = listed[0]
    name = short_hash("silence ends", silence.id)
    left = human_duration(silence.ends_at - desk.at)
    by, why = printable(silence.author, 60), printable(silence.reason, 200)
    matchers = printable(", ".join(str(matcher) for matcher in silence.matchers), 300)
    kind = "Silence" if silence.kind == "silence" else "Maintenance window"
    return Message(
        action=Action.TRIGGER,
        subject=Subject.SILENCE,
        incident=name,
        episode=name,
        dedup_key=name,
        superseded=(name,),
        title=cut(f"{kind} by {by} ends in {left} and still mutes {many(len(alerts), 'alert')}"),
        severity=Severity.WARNING,
        platform=head.platform,
        component=head.component,
        rule=head.rule,
        started_at=silence.starts_at,
        at=desk.at,
        members=tuple(member(alert) for alert in listed),
        firing=len(alerts),
        resolved=0,
        note=cut(
            f"{kind} {silence.id} ({matchers}) ends at {silence.ends_at:%Y-%m-%d %H:%M} UTC: {why}. Then "
            f"{many(len(alerts), 'alert')} page, the worst {head.severity.value}. To mute them for longer, make "
            "another one before: `controlplane silence add`."
        ),
        environment=desk.rules.environment,
    )
