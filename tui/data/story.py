"""Everything around one alert: its events, who was told, what else is red in the same places, and its rule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.payloads import NotificationSuppressed
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.views import DeliveryRecord, KnownResource
from tui.data.entries import Names, entries
from tui.data.log import Log
from tui.data.rows import Entry, Row
from tui.data.rulebook import Rulebook, RuleFacts
from tui.data.snapshot import Snapshot

PLACES = ("host", "cluster", "zone", "region")
"""From near to far."""
_EVENTS = 100
_SUPPRESSED = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alert is, and what else is red there."""

    kind: str
    name: str
    resources: int
    """How many resources the inventories know there."""
    red: tuple[Row, ...]
    """The other active alerts there, the most urgent first."""


@dataclass(frozen=True, slots=True)
class Story:
    """What is known around one alert at a position of the log."""

    alert: str
    position: int
    events: tuple[Entry, ...] = ()
    """Oldest first."""
    told: tuple[DeliveryRecord, ...] = ()
    """Messages about its incident since it fired, oldest first."""
    untold: tuple[tuple[datetime, str, str], ...] = ()
    """(time, channel, reason) of what was suppressed."""
    places: tuple[Place, ...] = ()
    same: tuple[Row, ...] = ()
    """Other alerts of the same rule."""
    rule: RuleFacts | None = None
    runbook: str = ""
    error: str = ""
    """Why some of it can't be told."""


def events_of(log: Log, alert: Alert, position: int) -> tuple[Entry, ...]:
    """The newest events of an alert up to a position, oldest first."""
    names = Names()
    names.learn((alert,))
    stream = list(log.read(until=position, stream=f"alert:{alert.id}", newest_first=True, limit=_EVENTS))
    return tuple(entries(reversed(stream), names))


def read_story(log: Log, row: Row, snapshot: Snapshot, book: Rulebook) -> Story:
    """Read what surrounds an alert; takes a while, so call it in a thread."""
    from controlplane.eventlog.projections import INCIDENTS, RESOURCES

    alert = row.alert
    incidents = {
        incident.id
        for incident in log.rows(INCIDENTS).values()
        if alert.id in incident.firing or alert.id in incident.told
    }
    since = row.since
    told = tuple(record for record in snapshot.deliveries if record.incident in incidents and record.queued_at >= since)
    resources: Mapping[str, KnownResource] = log.rows(RESOURCES)
    return Story(
        alert=alert.id,
        position=snapshot.position,
        events=events_of(log, alert, snapshot.position),
        told=told,
        untold=_untold(log, incidents, since, snapshot.position),
        places=around(alert, snapshot.rows, [known.resource for known in resources.values()]),
        same=tuple(
            sorted(
                (other for other in snapshot.rows if other.alert.rule == alert.rule and other.id != alert.id),
                key=lambda other: other.urgency,
            )
        ),
        rule=book.rule(alert.platform, alert.rule),
        runbook=book.runbook(alert.runbook),
        error=book.error,
    )


def _untold(log: Log, incidents: set[str], since: datetime, until: int) -> tuple[tuple[datetime, str, str], ...]:
    if not incidents:
        return ()
    found = []
    types = {"notification_suppressed.v1"}
    for event in log.read(until=until, types=types, newest_first=True, limit=_SUPPRESSED):
        if event.occurred_at < since:
            break
        payload = event.payload
        if isinstance(payload, NotificationSuppressed) and payload.incident in incidents:
            found.append((event.occurred_at, payload.channel, payload.reason))
    return tuple(reversed(found))


def where_is(alert: Alert, resources: Mapping[str, Resource]) -> dict[str, str]:
    """The host, cluster, zone and region of an alert: by its labels, else by the resource that a label names."""
    found: dict[str, str] = {}
    for value in alert.labels.values():
        resource = resources.get(f"{alert.platform}/{value}")
        if resource is None:
            continue
        if resource.kind in _KINDS:
            found.setdefault(_KINDS[resource.kind], resource.id)
        for kind in PLACES:
            if name := getattr(resource, kind):
                found.setdefault(kind, name)
    return found | {kind: alert.labels[kind] for kind in PLACES if alert.labels.get(kind)}


_KINDS = {
    ResourceKind.HOST: "host",
    ResourceKind.CLUSTER: "cluster",
    ResourceKind.ZONE: "zone",
    ResourceKind.REGION: "region",
}


def around(alert: Alert, rows: Iterable[Row], resources: Iterable[Resource]) -> tuple[Place, ...]:
    """The places of an alert, near to far, with what else is red in each of them on its platform."""
    known = [resource for resource in resources if resource.platform == alert.platform]
    by_key = {resource.key: resource for resource in known}
    here = where_is(alert, by_key)
    red: dict[str, list[Row]] = {kind: [] for kind in here}
    for row in rows:
        if row.id == alert.id or row.alert.platform != alert.platform:
            continue
        there = where_is(row.alert, by_key)
        for kind, name in here.items():
            if there.get(kind) == name:
                red[kind].append(row)
    return tuple(
        Place(
            kind,
            here[kind],
            sum(getattr(resource, kind) == here[kind] for resource in known),
            tuple(sorted(red[kind], key=lambda row: row.urgency)),
        )
        for kind in PLACES
        if kind in here
    )
