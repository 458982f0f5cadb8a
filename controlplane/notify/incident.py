"""One incident at one step: what is new, whether it is due, what is told, and its state afterwards. Pure."""

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from controlplane.model.alerts import Alert
from controlplane.model.labels import short_hash
from controlplane.model.notifications import Action, Flap, Incident, Member
from controlplane.model.payloads import AlertFacts
from controlplane.model.routes import Node
from controlplane.model.severity import Severity
from controlplane.notify import flapping
from controlplane.notify.groups import Changed, Group
from controlplane.notify.needs import News, news

MEMBERS = 20
"""How many alerts of an incident a message lists."""
WIDER, AT_LEAST = 3, 10
"""So many times the alerts of this page, and so many more, are another emergency (house)."""
RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_TEXT = 1_000
_LABELS = 40


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says."""

    action: Action
    firing: tuple[Alert, ...]
    """Worst first, at most 20."""
    count: int
    gone: tuple[Member, ...]
    ended: int
    news: News
    superseded: tuple[str, ...] = ()


def next_look(incident: Incident, node: Node) -> datetime | None:
    """When it is looked at without a change: for what waits to be told at `look_at`, else to repeat; None = closed."""
    if incident.look_at is None:
        return None
    if incident.ended or incident.told_at is None or not set(incident.firing) <= set(incident.told):
        return incident.look_at
    # The first tick of the group that is later than the repetition (Alertmanager compares strictly).
    return _tick(incident.look_at, incident.told_at + node.repeat_interval + timedelta(milliseconds=1), node)


def _tick(look_at: datetime, at: datetime, node: Node) -> datetime:
    """The group's first tick at or after `at`."""
    if at <= look_at:
        return look_at
    return look_at + -(-(at - look_at) // node.group_interval) * node.group_interval


def advanced(
    at: datetime, row: Incident | None, incident_id: str, group: Group | None, node: Node, changes: Changed
) -> Incident | None:
    """The incident with what the step's alerts changed, before it is looked at; None where there is none."""
    members = group.firing if group else []
    now = frozenset(alert.id for alert in members)
    before = row if row is not None and row.look_at is not None else None
    if before is None and group is None:
        return None
    was = set(before.firing) if before else set()
    fired_at = {alert: changes.ended[alert].fired_at for alert in was - now if alert in changes.ended}
    flaps = tuple(flapping.changed(at, row, now, fired_at))
    if before is None:
        assert group is not None
        return _opened(at, incident_id, group, changes, flaps)
    if now == was and flaps == before.flaps:
        return before
    left = [changes.ended[alert].facts for alert in sorted(was - now) if alert in changes.ended]
    gone = [member for member in before.gone if member.alert not in now]
    gone += [past_member(facts) for facts in heapq.nsmallest(MEMBERS, left, key=past_badness)]
    idle = next_look(before, node) != before.look_at
    assert before.look_at is not None
    return before.model_copy(
        update={
            "firing": tuple(sorted(now)),
            "ended": tuple(sorted((set(before.ended) | was) - now)),
            "gone": tuple(gone[:MEMBERS]),
            "look_at": _tick(before.look_at, at, node) if idle else before.look_at,
            "flaps": flaps,
        }
    )


def _opened(at: datetime, incident_id: str, group: Group, changes: Changed, flaps: tuple[Flap, ...]) -> Incident:
    worst = min(group.firing, key=badness)
    firing = tuple(sorted(alert.id for alert in group.firing))
    cause = next((changes.began[alert] for alert in firing if alert in changes.began), None)
    # Without a firing in this very step (an incident that was never recorded) the alert's own event names the episode.
    episode = str(cause.id) if cause else worst.event or f"{worst.id}/{at.isoformat()}"
    return Incident(
        id=incident_id,
        episode=short_hash("episode", incident_id, episode),
        route=group.node.key,
        group=group.labels,
        platform=worst.platform,
        component=worst.component,
        rule=worst.rule,
        severity=worst.severity,
        started_at=min(alert.active_at for alert in group.firing),
        firing=firing,
        look_at=at + group.node.group_wait,
        flaps=flaps,
    )


def urgent(incident: Incident, visible: Collection[Alert]) -> bool:
    """Whether what can be told now is another emergency than what was told."""
    if not incident.told:
        return False
    told = set(incident.told)
    worse = any(alert.id not in told and RANK[alert.severity] < RANK[incident.severity] for alert in visible)
    return worse or len(visible) >= max(WIDER * incident.peak, incident.peak + AT_LEAST)


def looked_at(
    at: datetime,
    incident: Incident,
    node: Node,
    visible: Collection[Alert],
    quiet: tuple[str, ...],
    key: str,
) -> tuple[Incident, Told | None]:
    """The incident after it was looked at, and what is told of it.

    `visible` are its firing alerts that nothing mutes, `quiet` says why the others aren't told, `key` is the dedup key
    of its page.
    """
    firing = frozenset(alert.id for alert in visible)
    told = frozenset(incident.told)
    ended = frozenset(incident.ended)
    why = news(
        at=at,
        firing=firing,
        ended=ended,
        told=told,
        told_ended=frozenset(incident.told_ended),
        told_at=incident.told_at,
        repeat=node.repeat_interval,
    )
    if why is News.REPEAT and all(alert.acknowledged for alert in visible):
        why = None
    update: dict[str, object] = {
        "ended": (),
        "gone": (),
        "look_at": at + node.group_interval if incident.firing else None,
        "quiet": quiet,
    }
    if why is None:
        return incident.model_copy(update=update), None
    another = why is not News.OVER and urgent(incident, visible)
    severity = min([incident.severity, *(alert.severity for alert in visible)], key=RANK.__getitem__)
    action = Action.TRIGGER if firing else Action.RESOLVE
    update |= {
        "told": tuple(sorted(firing)),
        "told_ended": tuple(sorted(ended)),
        "told_at": at,
        "severity": severity,
        "page": incident.page + another,
        "peak": len(firing) if another else max(incident.peak, len(firing)),
        "superseded": (*incident.superseded, key) if another else incident.superseded,
        "flaps": flapping.told(incident.flaps, at, firing) if firing else incident.flaps,
    }
    after = incident.model_copy(update=update)
    message = Told(
        action=action,
        firing=tuple(heapq.nsmallest(MEMBERS, visible, key=badness)),
        count=len(firing),
        gone=tuple(member for member in incident.gone if member.alert in ended),
        ended=len(ended),
        news=why,
        superseded=(key,) if another else after.superseded if action is Action.RESOLVE else (),
    )
    return after, message


def member(alert: Alert) -> Member:
    """A firing alert as a message tells it; sizes are bounded."""
    return _member(alert, alert.id, firing=True)


def past_member(facts: AlertFacts) -> Member:
    """An ended alert as a message tells it."""
    return _member(facts, facts.alert, firing=False)


def _member(of: Alert | AlertFacts, name: str, *, firing: bool) -> Member:
    return Member(
        alert=name,
        labels={cut(label): cut(of.labels[label]) for label in sorted(of.labels)[:_LABELS]},
        title=cut(of.title),
        summary=cut(of.summary),
        value=of.value,
        threshold=cut(of.threshold),
        unit=cut(of.unit),
        active_at=of.active_at,
        runbook=of.runbook,
        firing=firing,
    )


def cut(text: str) -> str:
    """The text, at most 1,000 characters of it."""
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def worst(alerts: Iterable[Alert], most: int) -> list[Alert]:
    """So many alerts, worst first."""
    return heapq.nsmallest(most, alerts, key=badness)


def badness(alert: Alert) -> tuple[int, bool, float, datetime, str]:
    """Sort key, worst first: severity, then how far beyond the threshold, then the longest; no value comes last."""
    return _order(alert, alert.id)


def past_badness(facts: AlertFacts) -> tuple[int, bool, float, datetime, str]:
    """The same for what ended."""
    return _order(facts, facts.alert)


def _order(of: Alert | AlertFacts, name: str) -> tuple[int, bool, float, datetime, str]:
    size = 0.0 if of.value is None else of.value if of.threshold.startswith("<") else -of.value
    return RANK[of.severity], of.value is None, size, of.active_at, name
