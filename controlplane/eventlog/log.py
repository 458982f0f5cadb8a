"""The event log: append, read, verify; projections change in the transaction that appends."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Connection, and_, delete, select

from controlplane.eventlog import leases, schema
from controlplane.eventlog.append import (
    check_expected,
    insert_events,
    prepare,
    read_head,
    read_start,
    replace_readings,
    stream_versions,
    without_known,
)
from controlplane.eventlog.archive import Archiver, ArchiveReport
from controlplane.eventlog.chain import verify_log
from controlplane.eventlog.codec import Stored, to_event
from controlplane.eventlog.database import Database
from controlplane.eventlog.errors import EventStoreError, UnreadableEvent
from controlplane.eventlog.latest import LatestReading, decode_reading, latest
from controlplane.eventlog.marks import Marked
from controlplane.eventlog.migrate import prepare_tables
from controlplane.eventlog.paging import fetch, page_of
from controlplane.eventlog.progress import Progress, now_and_then
from controlplane.eventlog.projections import PROJECTIONS, Projection
from controlplane.eventlog.rebuild import needs_archives, rebuild
from controlplane.eventlog.rows import (
    count_rows,
    load_documents,
    load_keys,
    load_rows,
    load_some,
    read_versions,
    update_rows,
)
from controlplane.eventlog.schema import events, projection_versions
from controlplane.eventlog.size import size_of
from controlplane.eventlog.verify import Verification
from controlplane.model.alerts import Reading
from controlplane.model.events import Draft, Event

T = TypeVar("T", bound=BaseModel)

PAGE = 1000
"""Events that one transaction reads."""


class EventLog(Marked):
    """An append-only log of events with its projections, on SQLite or PostgreSQL. Safe to use from several threads."""

    def __init__(self, database: Database, projections: Sequence[Projection[Any]]) -> None:
        self._database = database
        self._projections = tuple(projections)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        projections: Sequence[Projection[Any]] = PROJECTIONS,
        archives: Path | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Open `sqlite:////abs/path/events.db` or `postgresql+psycopg://…`; StoreUnavailable says why it can't.

        Creates what isn't there (the file for its owner alone), lifts tables of an older version and rebuilds
        projections whose version changed, about which `progress` is told: from the files in the folder `archives`
        where the snapshot is of an older version and they are all there, otherwise from the snapshot.
        """
        log = cls(Database(url), projections)
        try:
            log._prepare(archives, progress)
        except BaseException:
            log.close()
            raise
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the log can't be used any more."""
        self._database.close()

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        recorded_at: datetime,
        expected: Mapping[str, int] | None = None,
        readings: Sequence[Reading] | None = None,
    ) -> list[Event]:
        """Append in one transaction and return what is new, in order.

        A draft whose id is in the log is skipped, or raises EventConflict if its payload differs. `expected`
        (stream → version before) raises ConcurrencyError where it is wrong, unless every draft of that stream is in
        the log already. `readings` replace the current ones. The ids of archived events are forgotten: their drafts
        would be appended again; nobody repeats a tick or a command that is as old as the retention.
        """
        prepared = prepare(drafts, recorded_at)
        if not prepared and not expected and readings is None:
            return []
        with self._database.writing() as connection:
            self._check_versions(connection)
            fresh = without_known(connection, prepared)
            check_expected(connection, expected or {}, {s.stream for s in prepared}, {s.stream for s in fresh})
            # What is folded is what was stored, so that a rebuild gives the same rows.
            appended = [to_event(stored) for stored in insert_events(connection, fresh)]
            for projection in self._projections:
                update_rows(connection, projection, appended)
            if readings is not None:
                replace_readings(connection, readings)
        return appended

    def read(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        types: Collection[str] | None = None,
        stream: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Event]:
        """Events with after < position ≤ until in position order, up to the newest one when the reading begins.

        UnreadableEvent names position and type of an event that a newer version wrote.
        """
        found = self.stored(
            after=after, until=until, types=types, stream=stream, newest_first=newest_first, limit=limit
        )
        return map(to_event, found)

    def stored(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        types: Collection[str] | None = None,
        stream: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[Stored]:
        """The same as `read`, as rows whose payload is not decoded; no transaction is open between two pages."""
        if types is not None and not types:
            return
        left = limit
        last: int | None = None
        while left is None or left > 0:
            with self._database.reading() as connection:
                if last is None:
                    newest = read_head(connection).position
                    last = newest if until is None else min(until, newest)
                size = PAGE if left is None else min(left, PAGE)
                page = page_of(connection, after, last, types, stream, newest_first, size)
            yield from page
            if len(page) < size:
                return
            left = None if left is None else left - size
            after, last = (after, page[-1].position - 1) if newest_first else (page[-1].position, last)

    def get(self, event_id: UUID | str) -> Event | None:
        """The event with this id; None if there is none or the text is no id."""
        try:
            wanted = str(UUID(str(event_id)))
        except ValueError:
            return None
        with self._database.reading() as connection:
            found = fetch(connection, select(events).where(events.c.id == wanted))
        return to_event(found[0]) if found else None

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        """The newest version of each stream, also where it is archived; 0 where there is none."""
        with self._database.reading() as connection:
            return stream_versions(connection, streams)

    def head(self) -> int:
        """Position of the newest event, 0 when the log is empty."""
        with self._database.reading() as connection:
            return read_head(connection).position

    def start(self) -> int:
        """Position of the last archived event, 0 when none is: the log has what comes after it."""
        with self._database.reading() as connection:
            return read_start(connection).position

    def archive(self, before: datetime, folder: Path, *, progress: Progress | None = None) -> ArchiveReport:
        """Move the longest prefix of the log whose events were all recorded before `before` into files in `folder`.

        `events-<first>-<last>.jsonl.gz` holds the lines of `export.json_lines`; it is complete and checked before one
        transaction deletes its events, so that a kill loses nothing and the next call goes on. Very many events
        make several files. EventStoreError where the chain is broken or a file there isn't what the log has;
        StoreUnavailable where the folder can't be used.
        """
        archiver = Archiver(self._database, self._projections, self._stretch, self._check_versions, progress)
        return archiver.archive(before, folder)

    def verify(
        self, *, newest: int | None = None, archives: Path | None = None, progress: Progress | None = None
    ) -> Verification:
        """Follow the hash chain from the start of the log to the newest event when the verification begins.

        `newest` (≥ 1, else ValueError) verifies only so many links: it begins with the hash of the event before them,
        so that the cost doesn't grow with the log. `archives` begins with the first event that ever was, in the
        files of that folder; a problem there names the file.
        """
        return verify_log(self._database, self._stretch, newest, archives, now_and_then(progress, PAGE))

    def rebuild(
        self,
        names: Collection[str] | None = None,
        *,
        archives: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Fold all projections, or those named, anew; EventStoreError names what isn't one.

        The fold begins with the snapshot where the log starts, or with the files in the folder `archives`, which then
        give a new snapshot, too.
        """
        known = {projection.name for projection in self._projections}
        unknown = sorted(set(names or ()) - known)
        if unknown:
            raise EventStoreError(f"there is no projection {unknown[0]!r}; there are {', '.join(sorted(known))}")
        chosen = [p for p in self._projections if names is None or p.name in names]
        rebuild(self._database, chosen, self._of_types, archives, now_and_then(progress, PAGE))

    def rows(self, projection: Projection[T]) -> dict[str, T]:
        """All rows of a projection by key."""
        with self._database.reading() as connection:
            return load_rows(connection, projection)

    def row(self, projection: Projection[T], key: str) -> T | None:
        """One row of a projection."""
        with self._database.reading() as connection:
            return load_rows(connection, projection, key).get(key)

    def some(self, projection: Projection[T], keys: Collection[str]) -> dict[str, T]:
        """The rows of these keys, where there are any: many at once cost little more than one."""
        with self._database.reading() as connection:
            return load_some(connection, projection, keys)

    def documents(self, projection: Projection[Any], *, after: int = 0) -> list[tuple[str, int, str]]:
        """Key, position of the last change and JSON of the rows that changed after a position.

        For who needs few fields of many rows: decoding all of 5,000 alerts takes longer than reading them.
        """
        with self._database.reading() as connection:
            return load_documents(connection, projection, after)

    def keys(self, projection: Projection[Any]) -> set[str]:
        """The keys of all rows of a projection."""
        with self._database.reading() as connection:
            return load_keys(connection, projection)

    def count(self, projection: Projection[Any]) -> int:
        """How many rows a projection has."""
        with self._database.reading() as connection:
            return count_rows(connection, projection)

    def size(self) -> int:
        """Bytes that the store takes, without archives."""
        with self._database.reading() as connection:
            return size_of(connection)

    def readings(self) -> dict[str, Reading]:
        """The current readings by alert id; one that can't be read is left out, for the next tick writes it anew."""
        with self._database.reading() as connection:
            found = sorted((row.alert, row.doc) for row in connection.execute(select(schema.readings)))
        read = {}
        for alert, doc in found:
            with suppress(UnreadableEvent):
                read[alert] = decode_reading(alert, doc)
        return read

    def latest_readings(self) -> dict[str, LatestReading]:
        """The same with the histories not decoded yet: for screens, which show one of them at a time."""
        with self._database.reading() as connection:
            return {alert: latest(alert, doc) for alert, doc in connection.execute(select(schema.readings)).all()}

    def lease(self, name: str, holder: str, *, now: datetime, ttl: timedelta) -> bool:
        """Take or renew the lease `name` until now + ttl; False while somebody else holds it."""
        with self._database.writing() as connection:
            return leases.take(connection, name, holder, now, ttl)

    def leased(self, name: str, *, now: datetime) -> bool:
        """Whether somebody has the lease now."""
        with self._database.reading() as connection:
            return leases.held(connection, name, now)

    def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens if `holder` doesn't hold it."""
        with self._database.writing() as connection:
            leases.give_back(connection, name, holder)

    def _of_types(self, after: int, until: int, types: Collection[str]) -> Iterator[Stored]:
        return self.stored(after=after, until=until, types=types)

    def _stretch(self, after: int, until: int) -> Iterator[Stored]:
        """All rows with after < position ≤ until, whatever the head says; from the first row on where `after` is 0."""
        position = events.c.position
        inside = position <= until
        if after:
            inside &= position > after
        while True:
            with self._database.reading() as connection:
                page = fetch(connection, select(events).where(inside).order_by(position).limit(PAGE))
            yield from page
            if len(page) < PAGE:
                return
            inside = and_(position > page[-1].position, position <= until)

    def _prepare(self, archives: Path | None, progress: Progress | None) -> None:
        """Prepare tables and rebuild projections where that is needed; an up-to-date store is only read."""
        wanted = self._wanted()
        prepare_tables(self._database, wanted)
        with self._database.reading() as connection:
            versions = read_versions(connection)
        if abandoned := sorted(versions.keys() - wanted.keys()):
            self._forget(abandoned)
        if stale := {name: version for name, version in wanted.items() if versions.get(name) != version}:
            complete = needs_archives(self._database, stale, archives)
            self.rebuild(stale, archives=archives if complete else None, progress=progress)

    def _forget(self, names: Sequence[str]) -> None:
        """Drop projections that this program doesn't keep up to date, so that one that does rebuilds them."""
        with self._database.writing() as connection:
            for table in (projection_versions, schema.projections):
                connection.execute(delete(table).where(table.c.name.in_(names)))

    def _wanted(self) -> dict[str, int]:
        return {projection.name: projection.version for projection in self._projections}

    def _check_versions(self, connection: Connection) -> None:
        if read_versions(connection) != self._wanted():
            raise EventStoreError(
                f"{self._database.name}: another version of the program changed the projections. Restart this one"
            )
