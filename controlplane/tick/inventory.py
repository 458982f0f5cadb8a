"""Compare the inventories with what is known and append what changed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.eventlog.projections import RESOURCES, SOURCES
from controlplane.model.events import Draft, observation
from controlplane.model.payloads import ResourceRemoved, SourceFailed, SourceRecovered
from controlplane.model.time import from_ms, on_grid, to_ms
from controlplane.model.views import KnownResource
from controlplane.telemetry.collector import SourceError
from controlplane.telemetry.inventory import inventory_changes
from controlplane.tick.collect import guarded
from controlplane.tick.plane import ControlPlane


@dataclass(frozen=True, slots=True)
class Inventoried:
    """What one inventory source gave."""

    source: str
    resources: int
    changes: int
    error: str = ""


def take_inventory(plane: ControlPlane, now: datetime, only: Collection[str] | None = None) -> list[Inventoried]:
    """Load every inventory and append its changes; an inventory that can't be read changes nothing.

    A resource that several inventories hold is taken from the one that stands first in the settings. What came from an
    inventory that the settings no longer name is removed once every other one can be read and doesn't hold it.
    """
    at = from_ms(on_grid(to_ms(now), plane.step_ms))
    known = plane.log.rows(RESOURCES)
    health = plane.log.rows(SOURCES)
    drafts: list[Draft] = []
    report = []
    taken: set[str] = set()
    for source in plane.inventories:
        before = {key: row.resource for key, row in known.items() if row.source == source.name}
        if only is not None and source.name not in only:
            taken |= before.keys()
            continue
        stream, failed = f"source:{source.name}", health.get(source.name)
        was = failed.failed.get("") if failed is not None else None
        resources = guarded(source.name, source.load)
        if isinstance(resources, SourceError):
            taken |= before.keys()
            if was != resources.message:
                failure = SourceFailed(source=source.name, error=resources.message, remedy=resources.remedy)
                drafts.append(observation(stream, failure, at))
            report.append(Inventoried(source.name, 0, 0, str(resources)))
            continue
        if was is not None and failed is not None:
            recovered = SourceRecovered(source=source.name, failed_since=failed.since.get("", at))
            drafts.append(observation(stream, recovered, at))
        own = [resource for resource in resources if resource.key not in taken]
        taken |= {resource.key for resource in own}
        changes = inventory_changes(before, own, source.name)
        for payload in changes:
            key = payload.key if isinstance(payload, ResourceRemoved) else payload.resource.key
            drafts.append(observation(f"resource:{key}", payload, at))
        report.append(Inventoried(source.name, len(own), len(changes)))
    # One that can't be read may hold them under a new name.
    if only is None and not any(got.error for got in report):
        drafts += _left(plane, known, taken, at)
    if drafts:
        plane.log.append(drafts, recorded_at=now)
    return report


def _left(plane: ControlPlane, known: Mapping[str, KnownResource], taken: Collection[str], at: datetime) -> list[Draft]:
    """Removals of the resources of inventories that the settings no longer name; `taken` are those that others hold."""
    names = {source.name for source in plane.inventories}
    return [
        observation(f"resource:{key}", ResourceRemoved(source=row.source, key=key), at)
        for key, row in sorted(known.items())
        if row.source not in names and key not in taken
    ]
