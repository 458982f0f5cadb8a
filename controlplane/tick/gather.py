"""The facts of a day from the event log: the events in it, and how things stood at its ends."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controlplane.costs import PriceBook
from controlplane.digest.facts import READS, Facts
from controlplane.eventlog.codec import Stored, to_event
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import (
    ALERTS,
    INCIDENTS,
    RECOMMENDATIONS,
    RESOURCES,
    SILENCES,
    SOURCES,
    Projection,
)
from controlplane.eventlog.schema import to_text
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Event
from controlplane.model.matchers import all_match
from controlplane.model.notifications import Incident
from controlplane.model.payloads import IncidentChanged, SamplesIngested
from controlplane.model.resources import Inventory
from controlplane.model.rules import Placed
from controlplane.model.silences import Silence
from controlplane.notify.compose import dedup_key
from controlplane.notify.labels import Places, labels_of

_STOOD: tuple[Projection[Any], ...] = (ALERTS, INCIDENTS, RECOMMENDATIONS, RESOURCES, SILENCES, SOURCES)
_INVENTORY = RESOURCES.types
_READS = frozenset(payload.model_fields["type"].default for payload in READS)
_SAMPLES = SamplesIngested.model_fields["type"].default

Rows = dict[str, dict[str, Any]]
"""Rows by key, by projection."""


@dataclass(frozen=True)
class Place:
    """What is known besides the log."""

    environment: str = ""
    location: str = "UTC"
    rules: Mapping[str, Placed] = field(default_factory=dict)
    prices: Mapping[str, PriceBook] = field(default_factory=dict)


def gather(log: EventLog, place: Place, start: datetime, end: datetime, now: datetime | None = None) -> Facts:
    """What happened within [start, end), with how things stand `now`; without it, with how they stood at `end`.

    The latter reads the log from its start on.
    """
    events = _within(log, start, end)
    rows = {one.name: dict(log.rows(one)) for one in _STOOD} if now is not None else past(log, end)
    as_of = now or end
    inventory = [row.resource for _, row in sorted(rows[RESOURCES.name].items())]
    earlier = _inventory_before(log, rows[RESOURCES.name], start)
    before = _before(log, events, start)
    return Facts(
        start=start,
        end=end,
        as_of=as_of,
        location=place.location,
        environment=place.environment,
        events=events,
        before=before,
        told_before=frozenset(
            key for one in before.values() if one.told_at for key in (dedup_key(one), *one.superseded)
        ),
        alerts=rows[ALERTS.name],
        incidents=rows[INCIDENTS.name],
        recommendations=rows[RECOMMENDATIONS.name],
        silences=rows[SILENCES.name],
        sources=rows[SOURCES.name],
        muted=_muted(rows[SILENCES.name], rows[ALERTS.name], as_of, Inventory(resources=tuple(inventory))),
        rules=place.rules,
        prices=place.prices,
        resources=inventory,
        resources_before=None if earlier is None else [row.resource for _, row in sorted(earlier.items())],
    )


def _within(log: EventLog, start: datetime, end: datetime) -> list[Event]:
    """Events of READS that occurred within the day, in order; none is recorded before it occurs."""
    first, last = to_text(start), to_text(end)
    found: list[Stored] = []
    for stored in log.stored(types=_READS, newest_first=True):
        if stored.recorded_at < first:
            break
        if first <= stored.occurred_at < last:
            found.append(stored)
    return [to_event(stored) for stored in reversed(found)]


def past(log: EventLog, at: datetime) -> Rows:
    """The rows of alerts, incidents, recommendations, resources, silences and sources as they stood at `at`.

    Of sources only what failed is known.
    """
    rows: Rows = {one.name: dict(log.initial(one)) for one in _STOOD}
    until = to_text(at)
    for stored in log.stored(types=frozenset().union(*(one.types for one in _STOOD)) - {_SAMPLES}):
        if stored.recorded_at > until:
            break
        event = to_event(stored)
        for one in _STOOD:
            for key in one.keys(event):
                row = one.fold(rows[one.name].get(key), event)
                if row is None:
                    rows[one.name].pop(key, None)
                else:
                    rows[one.name][key] = row
    return rows


def _inventory_before(log: EventLog, rows: Mapping[str, Any], start: datetime) -> dict[str, Any] | None:
    """The resources as they were at `start`; None where no inventory was known by then."""
    first, changed = to_text(start), {}
    for stored in log.stored(types=_INVENTORY, newest_first=True):
        if stored.recorded_at < first:
            break
        changed[stored.stream] = stored.position
    found = dict(rows)
    initial = log.initial(RESOURCES) if changed else {}
    for stream, position in changed.items():
        key = stream.partition(":")[2]
        earlier = next(log.read(stream=stream, until=position - 1, newest_first=True, limit=1), None)
        row = RESOURCES.fold(None, earlier) if earlier is not None else initial.get(key)
        if row is None:
            found.pop(key, None)
        else:
            found[key] = row
    return found or None


def _before(log: EventLog, events: Collection[Event], start: datetime) -> dict[str, Incident]:
    """Incidents that changed within the day, as they stood when it began."""
    first: dict[str, int] = {}
    for event in events:
        if isinstance(event.payload, IncidentChanged) and event.payload.incident.started_at < start:
            first.setdefault(event.payload.incident.id, event.position)
    found = {}
    kind = {IncidentChanged.model_fields["type"].default}
    for name, position in first.items():
        stream = f"incident:{name}"
        earlier = next(log.read(stream=stream, types=kind, until=position - 1, newest_first=True, limit=1), None)
        if earlier is not None and isinstance(earlier.payload, IncidentChanged):
            found[name] = earlier.payload.incident
    return found


def _muted(
    silences: Mapping[str, Silence], alerts: Mapping[str, Alert], at: datetime, inventory: Inventory
) -> dict[str, int]:
    """How many firing alerts each silence mutes."""
    active = [one for one in silences.values() if one.active(at)]
    if not active:
        return {}
    places = Places(inventory)
    labels = [labels_of(alert, places) for alert in alerts.values() if alert.state is not AlertState.PENDING]
    return {one.id: sum(all_match(one.matchers, of) for of in labels) for one in active}
