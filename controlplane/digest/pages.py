"""Pages of a day: how many, how long until somebody took them and until they were over, and what goes on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean, median

from controlplane.digest.facts import Facts, short
from controlplane.model.digest import LISTED, Open, Paged, Pages, Spread
from controlplane.model.notifications import Action, Incident, Message, Subject
from controlplane.model.payloads import (
    AlertAcknowledged,
    IncidentChanged,
    NotificationQueued,
    NotificationSuppressed,
)
from controlplane.model.severity import Severity

NIGHT = (22, 7)
"""Hours of local time from which and until which a page is one at night, as in a backtest."""
TOLD = frozenset({Subject.ALERT, Subject.SELF})
"""What messages have to be about to be pages."""
RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass
class _Page:
    first: Message
    channels: dict[str, None] = field(default_factory=dict)
    alerts: int = 0
    severity: Severity = Severity.INFO
    by: str = ""
    after: timedelta | None = None
    over: datetime | None = None

    def told(self, channel: str, message: Message) -> None:
        self.channels[channel] = None
        self.alerts = max(self.alerts, message.firing)
        self.severity = min(self.severity, message.severity, key=RANK.__getitem__)

    @property
    def lasted(self) -> timedelta | None:
        return None if self.over is None else max(timedelta(0), self.over - self.first.started_at)


def pages(facts: Facts) -> Pages:
    """The pages that began within the day; the repetition of one, or an update of it, is none."""
    found, suppressed = _walked(facts)
    night = sum(_at_night(facts, page) for page in found)
    return Pages(
        count=len(found),
        by_severity=dict(Counter(page.severity for page in sorted(found, key=lambda page: RANK[page.severity]))),
        by_platform=_counted(short(page.first.platform, 60) for page in found),
        by_channel=_counted(name for page in found for name in page.channels),
        at_night=night,
        acknowledged=spread([page.after for page in found if page.after is not None]),
        resolved=spread([page.lasted for page in found if page.lasted is not None]),
        by_person=_counted(short(page.by, 60) for page in found if page.by),
        listed=tuple(_paged(page) for page in sorted(found, key=lambda page: _order(facts, page))[:LISTED]),
        suppressed=suppressed,
    )


def _walked(facts: Facts) -> tuple[list[_Page], int]:
    incidents: dict[str, Incident] = dict(facts.before)
    episodes: dict[str, list[_Page]] = {}
    """Episode → its pages of the day."""
    keys: dict[str, _Page] = {}
    suppressed = 0
    for event in facts.events:
        payload = event.payload
        if isinstance(payload, NotificationQueued):
            message = payload.delivery.message
            if message.subject not in TOLD or message.action is not Action.TRIGGER:
                continue
            page = keys.get(message.dedup_key)
            if page is None:
                if message.repeated or message.dedup_key in facts.told_before:
                    continue
                page = keys[message.dedup_key] = _Page(message)
                episodes.setdefault(message.episode, []).append(page)
            page.told(payload.delivery.channel, message)
        elif isinstance(payload, IncidentChanged):
            incidents[payload.incident.id] = payload.incident
            if not payload.incident.firing:
                for page in episodes.get(payload.incident.episode, ()):
                    page.over = page.over or event.occurred_at
        elif isinstance(payload, AlertAcknowledged):
            given = payload.acknowledgement
            for incident in incidents.values():
                if payload.alert in incident.firing:
                    for page in episodes.get(incident.episode, ()):
                        if not page.by and page.over is None:
                            page.by, page.after = given.actor, max(timedelta(0), given.at - page.first.at)
        elif isinstance(payload, NotificationSuppressed):
            suppressed += not payload.delivery
    return list(keys.values()), suppressed


def _at_night(facts: Facts, page: _Page) -> bool:
    hour = page.first.at.astimezone(facts.zone).hour
    return page.severity is Severity.CRITICAL and (hour >= NIGHT[0] or hour < NIGHT[1])


def _order(facts: Facts, page: _Page) -> tuple[int, timedelta, datetime]:
    lasted = page.lasted if page.lasted is not None else facts.as_of - page.first.started_at
    return RANK[page.severity], -lasted, page.first.at


def _paged(page: _Page) -> Paged:
    message = page.first
    return Paged(
        title=short(message.title),
        severity=page.severity,
        platform=short(message.platform, 60),
        component=short(message.component, 60),
        rule=short(message.rule, 80),
        channels=tuple(page.channels),
        at=message.at,
        alerts=page.alerts,
        acknowledged_by=short(page.by, 60),
        acknowledged_after=page.after,
        lasted=page.lasted,
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    """By name, the most frequent first; at most LISTED names."""
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))[:LISTED])


def spread(found: Sequence[timedelta]) -> Spread | None:
    """Mean, median and maximum to the second; None where there is nothing."""
    if not found:
        return None
    seconds = [one.total_seconds() for one in found]
    return Spread(
        count=len(found),
        mean=timedelta(seconds=round(fmean(seconds))),
        median=timedelta(seconds=round(median(seconds))),
        longest=max(found),
    )


def still_open(facts: Facts) -> tuple[list[Open], int]:
    """Incidents that were told and go on, the worst and oldest first, and how many they are."""
    going = [one for one in facts.incidents.values() if one.firing and one.look_at is not None and one.told]
    going.sort(key=lambda one: (RANK[one.severity], one.started_at, one.id))
    return [_open(facts, one) for one in going[:LISTED]], len(going)


def _open(facts: Facts, one: Incident) -> Open:
    alerts = [facts.alerts[name] for name in one.firing if name in facts.alerts]
    takers = dict.fromkeys(short(alert.acknowledged.actor, 60) for alert in alerts if alert.acknowledged)
    worst = min(alerts, key=lambda alert: (RANK[alert.severity], alert.active_at, alert.id), default=None)
    return Open(
        title=short(worst.title if worst else one.rule),
        severity=one.severity,
        platform=short(one.platform, 60),
        component=short(one.component, 60),
        since=one.started_at,
        alerts=len(one.firing),
        taken_by=tuple(takers)[:LISTED],
    )
