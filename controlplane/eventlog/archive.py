"""Retention of the log: its oldest events move to a file, and the log starts after them.

A file is complete and checked before one transaction notes the new start, takes the snapshot of the projections there
and deletes the events. A kill before the commit leaves all events in the log and perhaps a file that the next call
uses or writes anew.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, delete, func, insert, select

from controlplane.eventlog import archive_file, schema
from controlplane.eventlog.append import read_head, read_start
from controlplane.eventlog.archive_file import BrokenArchive, Stretch
from controlplane.eventlog.codec import Stored, to_event
from controlplane.eventlog.database import Database
from controlplane.eventlog.errors import EventStoreError, StoreUnavailable
from controlplane.eventlog.projections import Projection
from controlplane.eventlog.rows import Changes, replace_versions
from controlplane.eventlog.schema import GENESIS, archived_streams, archives, events, to_text
from controlplane.eventlog.verify import Head

MOST = 50_000
"""Events of one file and one transaction, so that other writers wait for a second or two at most."""

_PAGE = 1000
_BUSY_SECONDS = 30.0
_LOCK = "archive.lock"
_TEMPORARY = ".unfinished.jsonl.gz"


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What a call archived: `events` = 0 where nothing was old enough."""

    events: int
    start: int
    """Position of the last archived event; the log has what comes after it."""
    files: tuple[Path, ...] = ()
    bytes: int = 0
    """Size of the files."""

    def __str__(self) -> str:
        if not self.events:
            return "no event is old enough to be archived"
        many = "1 file" if len(self.files) == 1 else f"{len(self.files)} files"
        return f"{self.events:,} events archived in {many} ({self.bytes:,} bytes); the log starts after {self.start:,}"


Between = Callable[[int, int], Iterator[Stored]]
"""The rows of the log in (after, until]."""


class Archiver:
    """Moves events from one log into one folder."""

    def __init__(
        self,
        store: Database,
        projections: Sequence[Projection[Any]],
        between: Between,
        check: Callable[[Connection], None],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._database = store
        self._projections = projections
        self._between = between
        self._check = check
        self._progress = progress
        self._total = 0
        self._steps = 0

    def archive(self, before: datetime, folder: Path) -> ArchiveReport:
        """See `EventLog.archive`."""
        moment = to_text(before)
        begin, last = self._oldest(moment)
        if last <= begin.position:
            return ArchiveReport(0, begin.position)
        self._total = last - begin.position
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(folder / _LOCK, timeout=_BUSY_SECONDS):
                files = tuple(self._all(moment, folder))
            size = sum(path.stat().st_size for path in files)
        except Timeout:
            raise StoreUnavailable(f"another process is archiving into {folder}; let it finish") from None
        except OSError as error:
            raise StoreUnavailable(
                f"{folder}: events can't be archived: {error.strerror or error}. "
                "Check the folder, its permissions and the free space"
            ) from None
        with self._database.reading() as connection:
            start = read_start(connection).position
        return ArchiveReport(start - begin.position, start, files, size)

    def _oldest(self, moment: str) -> tuple[Head, int]:
        """Where the log starts, and the last event before the first one that was recorded at the moment or later."""
        with self._database.reading() as connection:
            start, head = read_start(connection), read_head(connection)
            position = events.c.position
            young = select(position).where(position > start.position, events.c.recorded_at >= moment)
            found = connection.scalar(young.order_by(position).limit(1))
        return start, head.position if found is None else found - 1

    def _all(self, moment: str, folder: Path) -> Iterator[Path]:
        while True:
            start, last = self._oldest(moment)
            if last <= start.position:
                return
            stretch, path = self._next(start, last, folder)
            temporary = folder / _TEMPORARY
            if not path.exists():
                archive_file.write(temporary, self._reached(self._between(start.position, stretch.last)))
                snapshot = self._checked(temporary, stretch)
                archive_file.publish(temporary, path)
            else:
                snapshot = self._checked(path, stretch)
            if self._commit(stretch, snapshot):
                self._steps = 2 * (self._total - last + stretch.last)
                yield path

    def _next(self, start: Head, last: int, folder: Path) -> tuple[Stretch, Path]:
        """The next file: one that a killed call left, or a new one."""
        finished = (there for there in archive_file.lasts(folder, start.position + 1) if there <= last)
        end = next(finished, min(last, start.position + MOST))
        with self._database.reading() as connection:
            found = connection.scalar(select(events.c.hash).where(events.c.position == end))
        if found is None:
            raise EventStoreError(f"position {end} of the log is missing. Run `controlplane events verify`")
        stretch = Stretch(start, end, found)
        return stretch, folder / stretch.file_name

    def _checked(self, path: Path, stretch: Stretch) -> list[Changes[Any]]:
        """The rows of the snapshot that the events of a file change; BrokenArchive where it isn't what the log has."""
        snapshot = [Changes(projection, schema.snapshots) for projection in self._projections]
        types = frozenset[str]().union(*(projection.types for projection in self._projections))
        stored = self._reached(archive_file.read(path, stretch))
        try:
            while page := list(islice(stored, _PAGE)):
                found = [to_event(each) for each in page if each.type in types]
                with self._database.reading() as connection:
                    for changes in snapshot:
                        changes.add(connection, found)
        except BrokenArchive as error:
            where = "the log is broken" if path.name == _TEMPORARY else f"{path.parent}: this isn't what the log has"
            remedy = "" if path.name == _TEMPORARY else " or move the file away"
            problem = str(error).removeprefix(f"{_TEMPORARY}, ")
            raise EventStoreError(
                f"{where}: {problem}. Nothing was archived; run `controlplane events verify`{remedy}"
            ) from None
        return snapshot

    def _commit(self, stretch: Stretch, snapshot: Sequence[Changes[Any]]) -> bool:
        """The one transaction; False where another folder's archive was faster."""
        mine = {projection.name: projection.version for projection in self._projections}
        with self._database.writing() as connection:
            self._check(connection)
            if read_start(connection) != stretch.before:
                return False
            connection.execute(insert(archives).values(first=stretch.first, last=stretch.last, hash=stretch.hash))
            gone = events.c.position <= stretch.last
            connection.execute(
                delete(archived_streams).where(archived_streams.c.stream.in_(select(events.c.stream).where(gone)))
            )
            newest = select(events.c.stream, func.max(events.c.version)).where(gone).group_by(events.c.stream)
            connection.execute(insert(archived_streams).from_select(["stream", "version"], newest))
            for table in (schema.snapshots, schema.snapshot_versions):
                connection.execute(delete(table).where(table.c.name.not_in(mine)))
            for changes in snapshot:
                changes.write(connection)
            replace_versions(connection, schema.snapshot_versions, mine)
            connection.execute(delete(events).where(gone))
        return True

    def _reached(self, stored: Iterator[Stored]) -> Iterator[Stored]:
        """Each event is met twice: when it is written and when it is read again."""
        for each in stored:
            self._steps += 1
            if self._progress and self._steps % (2 * _PAGE) == 0:
                self._progress(self._steps // 2, self._total)
            yield each


def read_stretches(connection: Connection) -> list[Stretch]:
    """Everything that is archived, in order."""
    found, before = [], Head(0, GENESIS)
    for row in connection.execute(select(archives.c.last, archives.c.hash).order_by(archives.c.last)):
        found.append(Stretch(before, row.last, row.hash))
        before = found[-1].end
    return found


def archived(folder: Path, stretches: Sequence[Stretch]) -> Iterator[Stored]:
    """All archived events in order; BrokenArchive names file and position of the first broken link."""
    for stretch in stretches:
        yield from archive_file.read(folder / stretch.file_name, stretch)
