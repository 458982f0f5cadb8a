"""Maintenance: mirror the event log, archive what is past its retention, keep the telemetry file small."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from controlplane.eventlog.archive import ArchiveReport
from controlplane.eventlog.errors import EventStoreError
from controlplane.eventlog.log import EventLog
from controlplane.settings import Settings
from controlplane.telemetry.maintenance import MaintenanceReport, MirrorReport
from controlplane.telemetry.store import SampleStore


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done, in order."""

    mirrored: MirrorReport
    archived: ArchiveReport
    telemetry: MaintenanceReport

    def as_dict(self) -> dict[str, Any]:
        """Numbers and file names for machines."""
        return {
            "mirrored_events": self.mirrored.appended,
            "archived_events": self.archived.events,
            "archive_files": [str(path) for path in self.archived.files],
            "log_start": self.archived.start,
            **asdict(self.telemetry),
        }


def maintain(
    settings: Settings,
    log: EventLog,
    store: SampleStore,
    now: datetime,
    progress: Callable[[str], None] | None = None,
) -> Maintained:
    """Mirror, archive, roll up and compact as the settings say; running it twice changes nothing.

    Events are archived by whole days (UTC) into `archive` in the home directory, a file a day. `progress` is told in
    a sentence what happens next.
    """
    tell = progress or (lambda _: None)
    tell("Mirroring the event log")
    mirrored = store.mirror(log)
    tell("Looking for events to archive")
    try:
        archived = log.archive(
            events_before(settings, now),
            settings.archive,
            progress=lambda done, total: tell(f"Archiving {done:,} of {total:,} events"),
        )
    except EventStoreError:
        store.maintain(now, settings.retention, progress=progress)  # it must not grow because the archive can't
        raise
    return Maintained(mirrored, archived, store.maintain(now, settings.retention, progress=progress))


def events_before(settings: Settings, now: datetime) -> datetime:
    """The begin of the day (UTC) since which all events are kept in the log."""
    since = (now - settings.retention.events).astimezone(UTC)
    return since.replace(hour=0, minute=0, second=0, microsecond=0)
