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
from controlplane.model.notifications import Action, Incident
from controlplane.model.payloads import AlertFacts, AlertFired, AlertNoData, AlertResolved
from controlplane.model.rules import Severity
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


@dataclass(slots=True)
class _Changes:
    opened: list[Draft]
    resolved: list[AlertFacts]
    first: Draft


def next_due(incidents: Mapping[str, Incident], notify: Notify) -> datetime | None:
    """When the next open incident has waited its group interval for members that weren't told yet; None = never."""
    waiting = [i.told_at + notify.group_interval for i in incidents.values() if not set(i.firing) <= set(i.told)]
    return min(waiting, default=None)


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
    open_ = {Group(incident.platform, incident.rule): incident for incident in incidents.values()}
    firing: dict[Group, list[Alert]] = {key: [] for key in sorted(changed.keys() | open_.keys())}
    for alert in alerts.values():
        if alert.state is not AlertState.PENDING:
            members = firing.get(Group(alert.platform, alert.rule))
            if members is not None:
                members.append(alert)
    steps = [
        _step(at, key, open_.get(key), members, changed.get(key), notify, environment)
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
                entry.resolved.append(payload.facts)
            else:
                entry.opened.append(draft)
    return found


def _step(
    at: datetime,
    key: Group,
    before: Incident | None,
    members: list[Alert],
    changes: _Changes | None,
    notify: Notify,
    environment: str,
) -> Step:
    now = frozenset(alert.id for alert in members)
    gone = changes.resolved if changes else []
    known = {facts.alert for facts in gone} | (set(before.told) | set(before.firing) if before else set())
    action = _action(at, before, members, now, notify)
    firing = tuple(sorted(now))
    if before is None:
        after = _opened(at, key, members, firing, changes, environment)
    else:
        severity = min([before.severity, *(alert.severity for alert in members)], key=_RANK.__getitem__)
        told = {"told": firing, "told_at": at} if action else {}
        after = before.model_copy(update={"severity": severity, "firing": firing, **told})
    return Step(
        before=before,
        after=after,
        action=action,
        firing=tuple(heapq.nsmallest(MEMBERS, members, key=_badness)),
        gone=tuple(heapq.nsmallest(MEMBERS, gone, key=_past_badness)),
        resolved=len(known - now),
        cause=changes.first.id if changes else None,
    )


def _action(
    at: datetime, before: Incident | None, members: list[Alert], now: frozenset[str], notify: Notify
) -> Action | None:
    if not now:
        return Action.RESOLVE
    if before is None or any(_RANK[alert.severity] < _RANK[before.severity] for alert in members):
        return Action.TRIGGER
    waited = at - before.told_at >= notify.group_interval
    return Action.TRIGGER if waited and not now <= set(before.told) else None


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
        told=firing,
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
