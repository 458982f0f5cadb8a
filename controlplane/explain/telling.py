"""What people were told of an alert: its incident, deliveries, suppressions and recommendations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.eventlog.folds import fold_delivery
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES, RECOMMENDATIONS
from controlplane.explain.model import Episode, Told
from controlplane.model.events import Event
from controlplane.model.notifications import Incident
from controlplane.model.payloads import (
    AdviceFailed,
    IncidentChanged,
    NotificationQueued,
    NotificationSuppressed,
)
from controlplane.model.recommendations import Recommendation
from controlplane.model.views import DeliveryRecord

_TYPES = {
    "incident_changed.v1",
    "notification_queued.v1",
    "notification_suppressed.v1",
    "advice_failed.v1",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """What was told since a time, of every alert."""

    log: EventLog
    events: tuple[Event, ...]
    """Oldest first."""
    records: Mapping[str, DeliveryRecord]
    recommendations: Mapping[str, Recommendation]

    def of(self, alert: str, platform: str, rule: str, episode: Episode, at: datetime) -> Told:
        """What concerns one alert from its firing to its end; what followed after `at` counts too."""
        begin, end = episode.fired_at, episode.ended_at
        if begin is None:
            return Told()
        incident: Incident | None = None
        deliveries: dict[str, DeliveryRecord] = {}
        suppressed = []
        no_advice: dict[str, Event] = {}
        names: set[str] = set()
        for event in self.events:
            if event.occurred_at < begin:
                continue
            match event.payload:
                case IncidentChanged(incident=one) if (one.platform, one.rule) == (platform, rule):
                    names.add(one.id)
                    if event.occurred_at <= at and (end is None or event.occurred_at <= end):
                        incident = one
                case NotificationQueued(delivery=delivery) if delivery.message.incident in names:
                    members = {member.alert for member in delivery.message.members}
                    listed = alert in members or len(members) < delivery.message.firing + delivery.message.resolved
                    if listed and (end is None or event.occurred_at <= end):
                        deliveries[delivery.id] = self.records.get(delivery.id) or self._delivery(delivery.id)
                case NotificationSuppressed(incident=name, channel=channel, reason=reason) if name in names:
                    if end is None or event.occurred_at <= end:
                        suppressed.append((event.occurred_at, channel, reason))
                case AdviceFailed(alert=about, rule=adviser) if about == alert and _within(event, end):
                    no_advice[adviser] = event
        advice = [one for one in self.recommendations.values() if one.alert == alert and one.at >= begin]
        return Told(
            incident,
            tuple(deliveries.values()),
            tuple(suppressed),
            tuple(sorted(advice, key=lambda one: (one.at, one.id))),
            tuple(_failures(no_advice, advice)),
        )

    def _delivery(self, name: str) -> DeliveryRecord:
        """The last state of a delivery that is older than those the projection keeps."""
        row: DeliveryRecord | None = None
        for event in self.log.read(stream=f"delivery:{name}"):
            row = fold_delivery(row, event)
        assert row is not None
        return row


def _within(event: Event, end: datetime | None) -> bool:
    return end is None or event.occurred_at <= end


def _failures(failed: Mapping[str, Event], advice: Iterable[Recommendation]) -> Iterator[str]:
    """`rule: reason` for every rule whose last answer was none."""
    answered = {one.rule: one.at for one in advice}
    for rule, event in failed.items():
        if isinstance(event.payload, AdviceFailed) and answered.get(rule, event.occurred_at) <= event.occurred_at:
            yield f"{rule}: {event.payload.error}"


def read_telling(log: EventLog, since: datetime | None) -> Telling:
    """Everything that was told since a time; nothing where that is None."""
    if since is None:
        return Telling(log, (), {}, {})
    found = []
    for event in log.read(types=_TYPES, newest_first=True):
        if event.occurred_at < since and isinstance(event.payload, IncidentChanged | NotificationQueued):
            break
        found.append(event)
    return Telling(log, tuple(found[::-1]), log.rows(DELIVERIES), log.rows(RECOMMENDATIONS))
