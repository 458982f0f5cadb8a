"""Rollups, retention and compaction of the telemetry file, and the mirror of the event log in it.

Rollups are computed from the samples in transactions of their own; what retention drops is simply not copied when
the file is compacted. Each step leaves a complete file, so a kill between or inside them costs nothing but time.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import polars as pl
from pydantic_core import PydanticSerializationError

from controlplane.model.events import Event
from controlplane.model.time import from_ms, to_ms
from controlplane.settings import Retention
from controlplane.telemetry.connections import Connection, frames
from controlplane.telemetry.duckfile import TelemetryFile
from controlplane.telemetry.schema import FIVE_MINUTES, FOREVER, HOUR, TABLES

_CHUNK = 6 * HOUR
_EVENTS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """Rows by table and bytes (file and log) before and after; rollup rows that were computed anew."""

    rows_before: Mapping[str, int]
    rows_after: Mapping[str, int]
    bytes_before: int
    bytes_after: int
    rolled_up: int


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """Events copied, and whether the mirror was begun again because the log is another one."""

    appended: int
    rebuilt: bool


class EventSource(Protocol):
    """What the mirror needs of an event log."""

    def head(self) -> int:
        """Position of the newest event, 0 when empty."""
        ...

    def read(self, *, after: int = 0, until: int | None = None, limit: int | None = None) -> Iterator[Event]:
        """Events in (after, until] in order of position."""
        ...


@dataclass(frozen=True, slots=True)
class _Cutoffs:
    """What to keep (epoch ms, whole hours but for events): rows from here on."""

    full: int = 0
    five_minutes: int = 0
    hourly: int = 0
    events: int = 0


def maintain(
    file: TelemetryFile, now: datetime, retention: Retention, progress: Callable[[str], None] | None = None
) -> MaintenanceReport:
    """Roll up what changed, drop what is older than `retention` at `now`, compact; running it twice changes nothing.

    Full samples, 5-minute and hourly rollups are kept from a whole hour on, the mirror of events from the instant.
    `progress` is told in a sentence what happens next.
    """
    tell = progress or (lambda _: None)
    bytes_before = sum(file.sizes())
    rolled_up = _roll_up(file, tell)
    tell("Compacting the telemetry file")
    cutoffs = _Cutoffs(
        full=_hour(to_ms(now - retention.full)),
        five_minutes=_hour(to_ms(now - retention.five_minutes)),
        hourly=_hour(to_ms(now - retention.hourly)),
        events=to_ms(now - retention.events),
    )
    before, after = file.rewrite(lambda connection: _copy(connection, cutoffs))
    file.clean()
    return MaintenanceReport(before, after, bytes_before, sum(file.sizes()), rolled_up)


def compact(file: TelemetryFile) -> None:
    """Write the file anew without its log and dead space; everything stays."""
    file.rewrite(lambda connection: _copy(connection, _Cutoffs()))


# rollups


_STALE = "SELECT stale_since, full_since FROM telemetry.meta"
_NEXT_SAMPLE = "SELECT min(ts) FROM telemetry.samples WHERE ts >= $begin"
# Buckets older than `full_since` were computed from all their samples, which are gone: they stay as they are.
_DROP_BUCKETS = "DELETE FROM telemetry.{table} WHERE ts >= $begin AND ts < $end AND ts >= $full_since"
_FILL_BUCKETS = """
    INSERT INTO telemetry.{table}
    SELECT sid, ts, min, max, CASE WHEN isnan(avg) THEN NULL ELSE avg END, count, last
    FROM (
        SELECT sid, ts - ts % {length} AS ts, min(value) AS min, max(value) AS max, avg(value) AS avg,
               count(value) AS count, arg_max(value, samples.ts) AS last
        FROM telemetry.samples WHERE samples.ts >= $begin AND samples.ts < $end GROUP BY 1, 2
    ) AS buckets
    WHERE NOT EXISTS (
        SELECT 1 FROM telemetry.{table} AS old
        WHERE old.sid = buckets.sid AND old.ts = buckets.ts AND old.ts >= $begin AND old.ts < $end
    )
    ORDER BY ts, sid
"""
_ROLLUPS: Final = (("rollup_5m", FIVE_MINUTES), ("rollup_1h", HOUR))


def _roll_up(file: TelemetryFile, tell: Callable[[str], None]) -> int:
    """Compute every bucket whose samples changed; other users of the file come in between the transactions."""
    computed, end = 0, 0
    while end < FOREVER:
        if end:
            tell(f"Rollups are done up to {from_ms(end):%Y-%m-%d %H:%M} UTC")
        rows, end = file.run(_roll_up_next)
        computed += rows
    return computed


def _roll_up_next(connection: Connection) -> tuple[int, int]:
    """Compute the oldest stale stretch; rows computed and where the next one may begin (epoch ms)."""
    stale, full_since = connection.execute(_STALE).fetchall()[0]
    if stale == FOREVER:
        return 0, FOREVER
    begin = _hour(stale)
    first = connection.execute(_NEXT_SAMPLE, {"begin": begin}).fetchall()[0][0]
    end = FOREVER if first is None else _hour(first) + _CHUNK
    span = {"begin": begin, "end": end}
    computed = 0
    for table, length in _ROLLUPS:
        connection.execute(_DROP_BUCKETS.format(table=table), {**span, "full_since": full_since})
        filled = connection.execute(_FILL_BUCKETS.format(table=table, length=length), span).fetchall()
        computed += int(filled[0][0])
    connection.execute("UPDATE telemetry.meta SET stale_since = $end", {"end": end})
    return computed, end


# retention and compaction


_META = """
    SELECT full_since, five_minutes_since, stale_since, (SELECT max(ts) FROM telemetry.samples) FROM telemetry.meta
"""
_SET_META = "UPDATE fresh.meta SET full_since = $full, five_minutes_since = $five, stale_since = $stale"
_COPY_SAMPLES = "INSERT INTO fresh.samples SELECT sid, ts, value FROM telemetry.samples WHERE ts >= $since"
_COPY_ROLLUP = """
    INSERT INTO fresh.{table} SELECT sid, ts, min, max, avg, count, last FROM telemetry.{table} WHERE ts >= $since
"""
_COPY_SERIES = """
    INSERT INTO fresh.series
    SELECT sid, source, platform, signal, labels FROM telemetry.series WHERE sid IN (
        SELECT sid FROM fresh.samples UNION SELECT sid FROM fresh.rollup_5m UNION SELECT sid FROM fresh.rollup_1h
    )
"""
_COPY_COVERAGE = """
    INSERT INTO fresh.coverage
    SELECT source, platform, signal, greatest(first, $since), last FROM telemetry.coverage WHERE last >= $since
"""
# The newest event stays, whatever its age: it marks how far the mirror has come.
_COPY_EVENTS = """
    INSERT INTO fresh.events SELECT * FROM telemetry.events
    WHERE epoch_ms(recorded_at) >= $since OR position = (SELECT max(position) FROM telemetry.events)
    ORDER BY position
"""


def _copy(connection: Connection, cutoffs: _Cutoffs) -> tuple[dict[str, int], dict[str, int]]:
    """Fill `fresh` with what is to be kept; rows by table before and after."""
    full_since, five_minutes_since, stale, newest = connection.execute(_META).fetchall()[0]
    unfinished = _hour(stale)
    # Never back: what is gone doesn't come back with a longer retention or an earlier clock. Never past samples without
    # a rollup, nor past the newest hour: a clock that was years ahead would hide what is written after it was set.
    past = full_since if newest is None else _hour(newest) + HOUR
    full = max(full_since, min(cutoffs.full, unfinished, past))
    five = max(five_minutes_since, min(cutoffs.five_minutes, full))
    connection.execute(_COPY_SAMPLES, {"since": min(full, unfinished)})
    connection.execute(_COPY_ROLLUP.format(table="rollup_5m"), {"since": five})
    connection.execute(_COPY_ROLLUP.format(table="rollup_1h"), {"since": cutoffs.hourly})
    connection.execute(_COPY_SERIES)
    connection.execute(_COPY_COVERAGE, {"since": cutoffs.hourly})
    connection.execute(_COPY_EVENTS, {"since": cutoffs.events})
    connection.execute(_SET_META, {"full": full, "five": five, "stale": stale})
    return _rows(connection, "telemetry"), _rows(connection, "fresh")


def _rows(connection: Connection, catalog: str) -> dict[str, int]:
    count = "SELECT count(*) FROM {catalog}.{table}"
    return {
        table: int(connection.execute(count.format(catalog=catalog, table=table)).fetchall()[0][0]) for table in TABLES
    }


def _hour(ms: int) -> int:
    return ms - ms % HOUR


# mirror


_EVENTS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "position": pl.Int64,
    "id": pl.String,
    "stream": pl.String,
    "version": pl.Int32,
    "type": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "recorded_at": pl.Datetime("us", "UTC"),
    "actor": pl.String,
    "correlation": pl.String,
    "cause": pl.String,
    "payload": pl.String,
    "hash": pl.String,
}
_Mark = tuple[int, str]
_NOTHING: _Mark = (0, "")
_NEWEST_EVENT = "SELECT position, hash FROM telemetry.events ORDER BY position DESC LIMIT 1"


def mirror(file: TelemetryFile, log: EventSource) -> MirrorReport:
    """Append the events after the last mirrored one; a log in which that one differs is mirrored from its start.

    Archived events stay in the mirror until `maintain` drops them.
    """
    appended, rebuilt = 0, False
    mark = file.run(_mirrored, read_only=True)
    while True:
        replaced = mark != _NOTHING and not _contains(log, mark)
        events = list(log.read(after=0 if replaced else mark[0], limit=_EVENTS_AT_ONCE))
        if not events and not replaced:
            return MirrorReport(appended, rebuilt)
        found = file.run(partial(_append, known=mark, events=events, anew=replaced))
        if found is None:
            appended, rebuilt = appended + len(events), rebuilt or replaced
            mark = (events[-1].position, events[-1].hash) if events else _NOTHING
        else:
            mark = found


def _contains(log: EventSource, mark: _Mark) -> bool:
    position, fingerprint = mark
    if log.head() < position:
        return False
    event = next(iter(log.read(after=position - 1, until=position + 1, limit=1)), None)
    if event is None:
        return False
    # The last archived event is known by the one that follows it.
    return fingerprint == (event.hash if event.position == position else event.previous_hash)


def _mirrored(connection: Connection) -> _Mark:
    found = connection.execute(_NEWEST_EVENT).fetchall()
    return (found[0][0], found[0][1]) if found else _NOTHING


def _append(connection: Connection, known: _Mark, events: list[Event], anew: bool) -> _Mark | None:
    """Append; or the mark that is there where another process moved it since `known` was read."""
    found = _mirrored(connection)
    if found != known:
        return found
    if anew:
        connection.execute("DELETE FROM telemetry.events")
    with frames(connection, {"new_events": pl.DataFrame([_row(event) for event in events], _EVENTS, orient="row")}):
        connection.execute("INSERT INTO telemetry.events SELECT * FROM new_events")
    return None


def _row(event: Event) -> tuple[object, ...]:
    return (
        event.position,
        str(event.id),
        event.stream,
        event.version,
        event.type,
        event.occurred_at,
        event.recorded_at,
        event.actor,
        event.correlation,
        None if event.cause is None else str(event.cause),
        _json(event),
        event.hash,
    )


def _json(event: Event) -> str:
    try:
        return event.payload.model_dump_json()
    except PydanticSerializationError:
        # A lone surrogate is no UTF-8; escaped it is still JSON.
        return json.dumps(event.payload.model_dump(by_alias=True), default=str)
