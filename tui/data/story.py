"""Everything around one alert: its events, who was told, what else is red in the same places, and its rule."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.payloads import NotificationQueued, NotificationSuppressed
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.views import DeliveryRecord, KnownResource
from tui.data.entries import Names, entries
from tui.data.log import Log
from tui.data.rows import Entry, Row
from tui.data.rulebook import Rulebook, RuleFacts
from tui.data.snapshot import Snapshot

PLACES = ("host", "cluster", "zone", "region")
"""From near to far."""
TOLD = 12
"""How many messages are told of, the newest."""
UNTOLD = 5
"""How many of those that were suppressed."""
_EVENTS = 100
_LOOKED = 5_000
"""How far back messages are looked for, in messages; it is done again after each tick."""


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
    """The newest messages about its incident since it fired, oldest first."""
    told_from: datetime | None = None
    """From when on messages are known, where that is later than it fired."""
    untold: tuple[tuple[datetime, str, str], ...] = ()
    """(time, channel, reason) of what was suppressed last, oldest first."""
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
    told, told_from = _told(log, incidents, since, snapshot)
    resources: Mapping[str, KnownResource] = log.rows(RESOURCES)
    return Story(
        alert=alert.id,
        position=snapshot.position,
        events=events_of(log, alert, snapshot.position),
        told=told,
        told_from=told_from,
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


def _told(
    log: Log, incidents: set[str], since: datetime, snapshot: Snapshot
) -> tuple[tuple[DeliveryRecord, ...], datetime | None]:
    """The newest messages about incidents since a time, and from when on they are known where that is later."""
    from controlplane.eventlog.projections import DELIVERIES

    kept, keep = snapshot.deliveries, DELIVERIES.keep
    found = [record for record in kept if record.incident in incidents and record.queued_at >= since][-TOLD:]
    if not incidents or len(found) == TOLD or keep is None or len(kept) < keep or kept[0].queued_at < since:
        return tuple(found), None
    # What was queued before the ones that are kept is in the log alone.
    begin: datetime | None = None
    known, names = {record.id for record in kept}, dict[str, None]()
    looked, last, types = 0, since, {"notification_queued.v1"}
    for event in log.read(until=kept[0].position - 1, types=types, newest_first=True, limit=_LOOKED):
        if event.occurred_at < since or len(found) + len(names) == TOLD:
            break
        looked, last = looked + 1, event.occurred_at
        match event.payload:
            case NotificationQueued(delivery=one) if one.message.incident in incidents and one.id not in known:
                names[one.id] = None
    else:
        begin = last if looked == _LOOKED else _archived(log, since)
    older = [_delivery(log, name, snapshot.position) for name in reversed(names)]
    return (*(record for record in older if record is not None), *found), begin


def _delivery(log: Log, name: str, until: int) -> DeliveryRecord | None:
    """The state of a delivery at a position."""
    from controlplane.eventlog.folds import fold_delivery

    row: DeliveryRecord | None = None
    for event in log.read(until=until, stream=f"delivery:{name}"):
        row = fold_delivery(row, event)
    return row


def _archived(log: Log, since: datetime) -> datetime | None:
    """When the log begins, where what was before is archived and is later than a time."""
    first = next(iter(log.read(limit=1)), None)
    return None if first is None or first.position == 1 or first.occurred_at <= since else first.occurred_at


def _untold(log: Log, incidents: set[str], since: datetime, until: int) -> tuple[tuple[datetime, str, str], ...]:
    if not incidents:
        return ()
    found: list[tuple[datetime, str, str]] = []
    types = {"notification_suppressed.v1"}
    for event in log.read(until=until, types=types, newest_first=True, limit=_LOOKED):
        if event.occurred_at < since or len(found) == UNTOLD:
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
