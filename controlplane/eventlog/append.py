"""Appending: drafts become rows, what is there already is skipped, the rest gets its place and its link."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, Executable, Integer, bindparam, column, delete, insert, select, text, update

from controlplane.eventlog.codec import Stored, decode_payload, encode, event_hash
from controlplane.eventlog.errors import ConcurrencyError, EventConflict
from controlplane.eventlog.latest import encode_reading
from controlplane.eventlog.rows import CHUNK, chunks
from controlplane.eventlog.schema import (
    GENESIS,
    SafeText,
    archived_streams,
    archives,
    events,
    log_head,
    readings,
    to_text,
)
from controlplane.eventlog.verify import Head
from controlplane.model.alerts import Reading
from controlplane.model.events import Draft
from controlplane.model.labels import printable


def prepare(drafts: Sequence[Draft], recorded_at: datetime) -> list[Stored]:
    """Rows that lack position, version and hashes; drafts that are there twice come once."""
    found: dict[str, Stored] = {}
    at = to_text(recorded_at)
    for draft in drafts:
        new = Stored(
            position=0,
            id=str(draft.id),
            stream=draft.stream,
            version=0,
            type=draft.payload.type,
            occurred_at=to_text(draft.occurred_at),
            recorded_at=at,
            actor=draft.actor,
            correlation=draft.correlation,
            cause=None if draft.cause is None else str(draft.cause),
            payload=encode(draft.payload),
            previous_hash="",
        )
        if found.setdefault(new.id, new).payload != new.payload:
            raise _conflict(new)
    return list(found.values())


def without_known(connection: Connection, prepared: Sequence[Stored]) -> list[Stored]:
    """Those that aren't in the log; EventConflict where one is with another payload."""
    known: dict[str, str] = {}
    for chunk in chunks(stored.id for stored in prepared):
        found = select(events.c.id, events.c.payload).where(events.c.id.in_(chunk))
        known.update((row.id, row.payload) for row in connection.execute(found))
    for stored in prepared:
        there = known.get(stored.id, stored.payload)
        # An older version may have written the same payload with fewer fields.
        if there != stored.payload and encode(decode_payload(there, f"event {stored.id}")) != stored.payload:
            raise _conflict(stored)
    return [stored for stored in prepared if stored.id not in known]


def _conflict(stored: Stored) -> EventConflict:
    return EventConflict(
        f"event {stored.id} ({stored.type} in stream {printable(stored.stream)}) is in the log with another payload. "
        "Nothing was appended; the same cause must always give the same payload"
    )


def check_expected(
    connection: Connection, expected: Mapping[str, int], named: Collection[str], fresh: Collection[str]
) -> None:
    """ConcurrencyError where a stream with something new to append isn't at its expected version."""
    to_check = {stream for stream in expected if stream in fresh or stream not in named}
    for stream, version in stream_versions(connection, to_check).items():
        if version != expected[stream]:
            raise ConcurrencyError(
                f"stream {printable(stream)} is at version {version}, not {expected[stream]}: "
                "somebody else appended to it. Nothing was written; look at it again and repeat"
            )


def stream_versions(connection: Connection, streams: Collection[str]) -> dict[str, int]:
    """The newest version of each stream, also where it is archived; 0 where there is none."""
    found: dict[str, int] = {}
    for chunk in chunks(sorted(streams)):
        names = {f"s{number}": stream for number, stream in enumerate(chunk)}
        found |= {row.stream: row.version for row in connection.execute(_versions_of(len(chunk)), names)}
    return found


@lru_cache(maxsize=CHUNK)
def _versions_of(streams: int) -> Executable:
    """The query for so many streams, s0, s1 …: compiling it anew takes much longer than it runs."""
    asked = ", ".join(f"(:s{number})" for number in range(streams))
    query = text(
        f"WITH asked (stream) AS (VALUES {asked}) SELECT asked.stream, coalesce("  # noqa: S608 - names of parameters
        f"(SELECT max(version) FROM {events.name} WHERE {events.name}.stream = asked.stream), "
        f"(SELECT version FROM {archived_streams.name} WHERE {archived_streams.name}.stream = asked.stream), 0"
        ") AS version FROM asked"
    )
    query = query.bindparams(*(bindparam(f"s{number}", type_=SafeText) for number in range(streams)))
    return query.columns(column("stream", SafeText), column("version", Integer))


def insert_events(connection: Connection, fresh: Sequence[Stored]) -> list[Stored]:
    """Give each its place in log and stream, link it to the one before, and write it."""
    if not fresh:
        return []
    head = read_head(connection)
    position, previous = head.position, head.hash
    versions = stream_versions(connection, {stored.stream for stored in fresh})
    linked = []
    for stored in fresh:
        position += 1
        versions[stored.stream] += 1
        stored = stored._replace(position=position, version=versions[stored.stream], previous_hash=previous)
        previous = event_hash(stored)
        linked.append(stored._replace(hash=previous))
    connection.execute(insert(events), [stored._asdict() for stored in linked])
    connection.execute(update(log_head).values(position=position, hash=previous))
    return linked


def replace_readings(connection: Connection, current: Sequence[Reading]) -> None:
    """Make `current` the readings, whatever they were."""
    connection.execute(delete(readings))
    docs = {reading.alert: encode_reading(reading) for reading in current}
    if docs:
        connection.execute(insert(readings), [{"alert": alert, "doc": doc} for alert, doc in docs.items()])


def read_head(connection: Connection) -> Head:
    """The end of the log, as the log itself has it."""
    row = connection.execute(select(log_head.c.position, log_head.c.hash)).one()
    return Head(row.position, row.hash)


def read_start(connection: Connection) -> Head:
    """The last archived event, after which the log starts; position 0 where nothing is archived."""
    row = connection.execute(select(archives.c.last, archives.c.hash).order_by(archives.c.last.desc()).limit(1)).first()
    return Head(0, GENESIS) if row is None else Head(row.last, row.hash)
