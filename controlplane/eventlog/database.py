"""The connection to SQLite or PostgreSQL: the one place that knows how the two differ."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from controlplane.eventlog.errors import EventStoreError, StoreUnavailable
from controlplane.model.labels import printable

WAIT_SECONDS: float = 10
"""How long a writer waits for another one."""

_CONNECT_SECONDS = 10

_HELP = "Write sqlite:////absolute/path/events.db or postgresql+psycopg://user:password@host/database"
_ADVISORY_LOCK = 0x636F6E74
"""First key of the lock that serialises writers on PostgreSQL; the second is the schema."""

_BUSY = "Another process has been writing for too long; try again or stop that process"

# (part of the driver's message, what to do about it)
_REMEDIES = (
    ("locked", f"Another process has been writing for more than {WAIT_SECONDS} s; try again or stop that process"),
    (
        "lock timeout",
        f"Another process has been writing for more than {WAIT_SECONDS} s; try again or stop that process",
    ),
    ("malformed", "The file is damaged: keep it, and restore the last backup"),
    ("not a database", "The file is damaged or isn't an event store: keep it, and restore the last backup"),
    ("could not decode", "The file is damaged: keep it, and restore the last backup"),
    ("full", "Free some disk space"),
    ("readonly", "Give this user write permission on the file and its folder"),
    ("permission denied", "Give this user permission on the store and its tables"),
    ("unable to open", "Check that the folder exists and that this user may write there"),
    ("authentication failed", "Check user and password in the URL of the event store"),
    ("does not exist", "Create the database, or correct its name in the URL of the event store"),
    ("connection", "Check that the server runs and that host and port in the URL of the event store are right"),
)


class Database:
    """Transactions on the event store; every failure becomes a StoreUnavailable without a password in it."""

    def __init__(self, url: str) -> None:
        self._secrets = _secrets(url)
        parsed = self._parse(url)
        self.name = self._redacted(
            parsed.database or "" if parsed.drivername.startswith("sqlite") else _address(parsed)
        )
        """What people call the store: its file, or server and database."""
        self._file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
        if self._file is not None:
            self._create_file(self._file)
        self._opened = self._identity()
        try:
            self.engine = _engine(parsed)
        except exc.SQLAlchemyError as error:
            raise self._unavailable(error) from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A short transaction that sees one snapshot and blocks nobody."""
        with self._transaction(write=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is alone in writing; commits at the end, rolls back on an exception."""
        with self._transaction(write=True) as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        self._check_file()
        try:
            with self.engine.begin() as connection:
                for statement in _begin(self.engine.dialect.name, write):
                    connection.exec_driver_sql(statement)
                yield connection
        except exc.IntegrityError as error:
            raise EventStoreError(
                f"{self.name}: the log and its head disagree ({self._reason(error)}). "
                "Something else wrote to the tables; run `controlplane events verify`"
            ) from None
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise self._unavailable(error) from None

    def _parse(self, url: str) -> URL:
        try:
            parsed = make_url(url)
        except (exc.ArgumentError, ValueError):
            raise StoreUnavailable(f"the URL of the event store can't be read. {_HELP}") from None
        if parsed.drivername in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
            raise StoreUnavailable(f"an event store can't be kept in {printable(parsed.drivername)}. {_HELP}")
        if parsed.get_backend_name() == "sqlite" and (parsed.host or parsed.database in {None, "", ":memory:"}):
            raise StoreUnavailable(f"the event store needs a file. {_HELP}")
        return parsed

    def _create_file(self, path: Path) -> None:
        # Only a file that isn't there yet is opened here: closing a second descriptor of a live file would
        # drop the locks that this process holds on it.
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            if not path.is_file():
                raise StoreUnavailable(f"{path} is not a file. {_HELP}") from None
        except OSError as error:
            raise StoreUnavailable(
                f"{path} can't be created: {error.strerror}. Check the folder and its permissions"
            ) from None

    def _identity(self) -> tuple[int, int] | None:
        """Which file it is, however it is called; None on PostgreSQL. StoreUnavailable where there is none."""
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except OSError as error:
            raise StoreUnavailable(
                f"{self._file}: {error.strerror}. Put the file back, or restore the last backup"
            ) from None
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        # Connections outlive the name of their file: they would go on reading from, and writing to, what is lost.
        found = self._identity()
        if found != self._opened:
            self._opened = found
            self.engine.dispose()
            raise StoreUnavailable(f"{self.name}: another file has taken its place since it was opened; try again")

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        reason = self._reason(error)
        remedy = next((text for part, text in _REMEDIES if part in reason.lower()), "")
        return StoreUnavailable(f"{self.name}: {reason}" + (f". {remedy}" if remedy else ""))

    def _reason(self, error: Exception) -> str:
        """The driver's words on one line."""
        text = str(error.orig if isinstance(error, exc.DBAPIError) else error)
        return printable(self._redacted(" ".join(text.split())), 400)

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": WAIT_SECONDS})
        event.listen(engine, "connect", _configure_sqlite)
        return engine
    arguments = {"connect_timeout": _CONNECT_SECONDS, "application_name": "controlplane", "client_encoding": "utf8"}
    given = {name: value for name, value in arguments.items() if name not in url.query}
    return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=given)


def _begin(dialect: str, write: bool) -> tuple[str, ...]:
    """What begins a transaction: a reader sees one snapshot, a writer waits for its turn and sees all before it."""
    if dialect == "sqlite":
        return ("BEGIN IMMEDIATE" if write else "BEGIN",)
    if not write:
        return ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",)
    return (
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
        f"SET LOCAL lock_timeout = {WAIT_SECONDS * 1000:.0f}",
        f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK}, hashtext(current_schema()))",
    )


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun explicitly
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def _write_ahead(connection: Any) -> None:
    # The switch to WAL doesn't wait for others; it happens once in the life of a file.
    for attempt in Retrying(
        retry=retry_if_exception(lambda error: "locked" in str(error)),
        stop=stop_after_delay(WAIT_SECONDS),
        wait=wait_fixed(0.05),
        reraise=True,
    ):
        with attempt:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnavailable(
            "the file system of the event store can't share memory between processes, which SQLite's write-ahead "
            "log needs. Put the file on a local disk or use PostgreSQL"
        )


def _address(url: URL) -> str:
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL {printable(url.database or '')} on {printable(url.host or 'the local socket')}{port}"


def _secrets(url: str) -> list[str]:
    """Everything in the URL that is or may be part of a password, also where special characters weren't escaped."""
    if url.startswith("sqlite:///"):
        return []
    user_info = url.partition("://")[2].rpartition("@")[0]
    found = {user_info.partition(":")[2], *re.findall(r"(?:password|passfile|sslpassword)=([^&]*)", url)}
    found |= {part for secret in found for part in re.split(r"[@/:?#]", secret)}
    plain = {text for secret in found for text in (secret, unquote(secret)) if len(text) > 2}
    return sorted(plain, key=len, reverse=True)
