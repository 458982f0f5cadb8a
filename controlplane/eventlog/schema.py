"""Tables of the event store, the same on SQLite and PostgreSQL, and the triggers that keep events append-only."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA_VERSION = 2
GENESIS = "0" * 64
"""Previous hash of the first event."""

_UNSTORABLE = re.compile("[\\\\\x00\ud800-\udfff]")
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")


class SafeText(TypeDecorator[str]):
    """Any Python string; NUL, lone surrogates and the backslash are kept as `\\uXXXX`, which both databases store."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature of SQLAlchemy
        return value if value is None else _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature of SQLAlchemy
        # Hardly any text has an escape, and looking for one costs less than the expression.
        if value is None or "\\u" not in value:
            return value
        return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)


def to_text(instant: datetime) -> str:
    """UTC with microseconds in a fixed width, so that text order is time order; ValueError without a zone."""
    if instant.tzinfo is None:
        raise ValueError("a time needs a zone, such as 2026-01-31T19:00:00Z")
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4_096)
def from_text(text: str) -> datetime:
    """The inverse of `to_text`; the events of a tick have two times in all."""
    return datetime.fromisoformat(text).astimezone(UTC)


_Position = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's row id must be an INTEGER

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=False),
    Column("id", String(36), nullable=False, unique=True),
    Column("stream", SafeText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", SafeText, nullable=False),
    Column("occurred_at", String(27), nullable=False),
    Column("recorded_at", String(27), nullable=False),
    Column("actor", SafeText, nullable=False),
    Column("correlation", SafeText, nullable=False),
    Column("cause", String(36)),
    Column("payload", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("stream", "version"),
    Index("events_by_type", "type", "position"),
    Index("events_by_stream", "stream", "position"),
)

log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row: the newest event and its hash, so that a tail cut off the log is noticed."""

projections = Table(
    "projections",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("doc", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
)

projection_versions = Table(
    "projection_versions",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("version", Integer, nullable=False),
)

archives = Table(
    "archives",
    metadata,
    Column("last", _Position, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""A row a file of archived events, with the hash of its last one: the log starts after the newest row."""

archived_streams = Table(
    "archived_streams",
    metadata,
    Column("stream", SafeText, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""Newest archived version of a stream, from which its versions go on."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("key", SafeText, primary_key=True),
    Column("doc", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
)
"""Rows of the projections at the start of the log, from which a rebuild goes on."""

snapshot_versions = Table(
    "snapshot_versions",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("version", Integer, nullable=False),
)

readings = Table(
    "readings",
    metadata,
    Column("alert", SafeText, primary_key=True),
    Column("doc", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", SafeText, primary_key=True),
    Column("holder", SafeText, nullable=False),
    Column("expires_at", String(27), nullable=False),
)

# INSERT OR REPLACE deletes without firing a DELETE trigger, so the insert trigger refuses a row that is there.
_SQLITE_TRIGGERS = (
    """CREATE TRIGGER events_no_update BEFORE UPDATE ON events
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_no_delete BEFORE DELETE ON events
       WHEN OLD.position > coalesce((SELECT max(last) FROM archives), 0)
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_no_replace BEFORE INSERT ON events
       WHEN EXISTS (SELECT 1 FROM events WHERE position = NEW.position)
         OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
         OR EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND version = NEW.version)
       BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER archives_no_update BEFORE UPDATE ON archives
       BEGIN SELECT RAISE(ABORT, 'the start of the log only moves forward'); END""",
    """CREATE TRIGGER archives_no_delete BEFORE DELETE ON archives
       BEGIN SELECT RAISE(ABORT, 'the start of the log only moves forward'); END""",
    """CREATE TRIGGER archives_follow BEFORE INSERT ON archives
       WHEN NEW.first <> coalesce((SELECT max(last) FROM archives), 0) + 1 OR NEW.last < NEW.first
         OR NEW.hash IS NOT (SELECT hash FROM events WHERE position = NEW.last)
       BEGIN SELECT RAISE(ABORT, 'the start of the log only moves forward'); END""",
)
_POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$""",
    """CREATE FUNCTION events_no_delete() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN
         IF EXISTS (SELECT 1 FROM gone WHERE position > coalesce((SELECT max(last) FROM archives), 0)) THEN
           RAISE EXCEPTION 'events are append-only';
         END IF;
         RETURN NULL;
       END $$""",
    """CREATE FUNCTION archives_forward() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE EXCEPTION 'the start of the log only moves forward'; END $$""",
    """CREATE FUNCTION archives_follow() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN
         IF NEW.first <> coalesce((SELECT max(last) FROM archives), 0) + 1 OR NEW.last < NEW.first
           OR NEW.hash IS DISTINCT FROM (SELECT hash FROM events WHERE position = NEW.last) THEN
           RAISE EXCEPTION 'the start of the log only moves forward';
         END IF;
         RETURN NEW;
       END $$""",
    """CREATE TRIGGER events_append_only BEFORE UPDATE OR TRUNCATE ON events
       FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()""",
    """CREATE TRIGGER events_no_delete AFTER DELETE ON events REFERENCING OLD TABLE AS gone
       FOR EACH STATEMENT EXECUTE FUNCTION events_no_delete()""",
    """CREATE TRIGGER archives_forward BEFORE UPDATE OR DELETE OR TRUNCATE ON archives
       FOR EACH STATEMENT EXECUTE FUNCTION archives_forward()""",
    """CREATE TRIGGER archives_follow BEFORE INSERT ON archives
       FOR EACH ROW EXECUTE FUNCTION archives_follow()""",
)
TRIGGERS = {"sqlite": _SQLITE_TRIGGERS, "postgresql": _POSTGRESQL_TRIGGERS}
"""Statements by dialect; events are deleted only where they are archived, and archives follow one another."""

NO_TRIGGERS_1 = {
    "sqlite": tuple(f"DROP TRIGGER events_no_{what}" for what in ("update", "delete", "replace")),
    "postgresql": ("DROP TRIGGER events_append_only ON events", "DROP FUNCTION events_append_only()"),
}
"""What removes the triggers of schema version 1."""
