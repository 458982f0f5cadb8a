"""Which alerts are told as one, and when: a group is every alert of one rule on one platform."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft
from controlplane.model.labels import short_hash
from controlplane.model.notifications import Action, Flap, Incident
from controlplane.model.payloads import AlertFacts, AlertFired, AlertNoData, AlertResolved
from controlplane.model.rules import Severity
from controlplane.notify import flapping
from controlplane.settings import Notify

MEMBERS = 20
"""How many alerts of an incident a message lists."""

_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


class Group(NamedTuple):
    """What is told as one."""

    platform: str
    rule: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one step does to one incident: its state afterwards, and what is to be told, if anything."""

    before: Incident | None
    after: Incident
    action: Action | None
    """None = nothing is told now."""
    firing: tuple[Alert, ...]
    """The worst ones that fire, at most 20."""
    gone: tuple[AlertFacts, ...]
    """Alerts that resolved in this step, worst first, at most 20."""
    resolved: int
    """How many alerts of the incident, told or new, no longer fire."""
    cause: UUID | None
    """The first alert event of the step in this group."""
    held: tuple[Flap, ...] = ()
    """Alerts that began to fire in this step and that nobody is told of, because they flap."""


@dataclass(slots=True)
class _Changes:
    opened: list[Draft]
    resolved: list[AlertResolved]
    first: Draft


def next_due(incidents: Mapping[str, Incident], notify: Notify) -> datetime | None:
    """When the next open incident has members to tell of that had to wait (group interval, flapping); None = never."""
    return min((when for i in incidents.values() if (when := _next(i, notify)) is not None), default=None)


def _next(incident: Incident, notify: Notify) -> datetime | None:
    untold = set(incident.firing) - set(incident.told)
    if not untold:
        return None
    waited = incident.told_at + notify.group_interval if incident.told else incident.told_at
    kept = flapping.held(incident.flaps, waited)
    return min(kept[alert].until or waited if alert in kept else waited for alert in untold)


def due(incidents: Mapping[str, Incident], at: datetime, notify: Notify) -> bool:
    """Whether an incident has to be told at the step `at` although nothing changed."""
    first = next_due(incidents, notify)
    return first is not None and first <= at


def group(
    at: datetime,
    changes: Sequence[Draft],
    incidents: Mapping[str, Incident],
    alerts: Mapping[str, Alert],
    notify: Notify,
    environment: str,
) -> list[Step]:
    """What the step does to each open or opening incident that it changes, in order of platform and rule."""
    changed = _by_group(changes)
    known = {Group(incident.platform, incident.rule): incident for incident in incidents.values()}
    open_ = {key: incident for key, incident in known.items() if incident.firing}
    firing: dict[Group, list[Alert]] = {key: [] for key in sorted(changed.keys() | open_.keys())}
    for alert in alerts.values():
        if alert.state is not AlertState.PENDING:
            members = firing.get(Group(alert.platform, alert.rule))
            if members is not None:
                members.append(alert)
    steps = [
        _step(at, key, known.get(key), members, changed.get(key), notify, environment)
        for key, members in firing.items()
        if members or key in open_
    ]
    return [step for step in steps if step.after != step.before]


def _by_group(changes: Iterable[Draft]) -> dict[Group, _Changes]:
    found: dict[Group, _Changes] = {}
    for draft in changes:
        payload = draft.payload
        if isinstance(payload, AlertFired | AlertNoData | AlertResolved):
            key = Group(payload.facts.platform, payload.facts.rule)
            entry = found.setdefault(key, _Changes([], [], draft))
            if isinstance(payload, AlertResolved):
                entry.resolved.append(payload)
            else:
                entry.opened.append(draft)
    return found


def _step(
    at: datetime,
    key: Group,
    row: Incident | None,
    members: list[Alert],
    changes: _Changes | None,
    notify: Notify,
    environment: str,
) -> Step:
    before = row if row is not None and row.firing else None
    now = frozenset(alert.id for alert in members)
    ended = changes.resolved if changes else []
    gone = [payload.facts for payload in ended]
    known = {facts.alert for facts in gone} | (set(before.told) | set(before.firing) if before else set())
    flaps = flapping.changed(at, row, now, {payload.facts.alert: payload.fired_at for payload in ended})
    kept = flapping.held(flaps, at)
    action = _action(at, before, members, now, kept, notify)
    firing = tuple(sorted(now))
    after = before or _opened(at, key, members, firing, changes, environment)
    severity = min([after.severity, *(alert.severity for alert in members)], key=_RANK.__getitem__)
    told = {"told": firing, "told_at": at} if action else {}
    after = after.model_copy(
        update={
            "severity": severity,
            "firing": firing,
            "flaps": flapping.told(flaps, at, now) if action is Action.TRIGGER else tuple(flaps),
            **told,
        }
    )
    begun = now - (set(before.firing) | set(before.told) if before else set())
    return Step(
        before=row,
        after=after,
        action=action,
        firing=tuple(heapq.nsmallest(MEMBERS, members, key=_badness)),
        gone=tuple(heapq.nsmallest(MEMBERS, gone, key=_past_badness)),
        resolved=len(known - now),
        cause=changes.first.id if changes else None,
        held=() if action else tuple(kept[alert] for alert in sorted(begun & kept.keys())),
    )


def _action(
    at: datetime,
    before: Incident | None,
    members: list[Alert],
    now: frozenset[str],
    kept: Mapping[str, Flap],
    notify: Notify,
) -> Action | None:
    told = set(before.told) if before else set()
    if not now:
        # Where nothing was told there is nothing to take back.
        return Action.RESOLVE if told else None
    to_tell = [alert for alert in members if alert.id in told or alert.id not in kept]
    if before is None or not told:
        return Action.TRIGGER if to_tell else None
    if any(_RANK[alert.severity] < _RANK[before.severity] for alert in to_tell):
        return Action.TRIGGER
    waited = at - before.told_at >= notify.group_interval
    return Action.TRIGGER if waited and not {alert.id for alert in to_tell} <= told else None


def _opened(
    at: datetime,
    key: Group,
    members: list[Alert],
    firing: tuple[str, ...],
    changes: _Changes | None,
    environment: str,
) -> Incident:
    worst = min(members, key=_badness)
    incident = short_hash("incident", environment, *key)
    # Without a firing in this very step (an incident that was never recorded) the alert's own event names the episode.
    episode = str(changes.opened[0].id) if changes and changes.opened else worst.event or f"{worst.id}/{at.isoformat()}"
    return Incident(
        id=incident,
        episode=episode,
        platform=key.platform,
        component=worst.component,
        rule=key.rule,
        severity=worst.severity,
        started_at=min(alert.active_at for alert in members),
        told_at=at,
        told=(),
        firing=firing,
    )


def _badness(alert: Alert) -> tuple[int, bool, float, datetime, str]:
    return _order(alert.severity, alert.value, alert.threshold, alert.active_at, alert.id)


def _past_badness(facts: AlertFacts) -> tuple[int, bool, float, datetime, str]:
    return _order(facts.severity, facts.value, facts.threshold, facts.active_at, facts.alert)


def _order(
    severity: Severity, value: float | None, threshold: str, active_at: datetime, alert: str
) -> tuple[int, bool, float, datetime, str]:
    """Sort key, worst first: severity, then how far beyond the threshold, then the longest; no value comes last."""
    size = 0.0 if value is None else value if threshold.startswith("<") else -value
    return _RANK[severity], value is None, size, active_at, alert
