"""Connections to DuckDB: options, transactions, frames in and out, and what its errors mean."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import duckdb
import polars as pl

from controlplane.telemetry.schema import VERSION

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection
Options = dict[str, str | bool | int | float | list[str]]

THREADS: Final = min(4, os.cpu_count() or 1)
OFFLINE: Final[Options] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "threads": THREADS,
}
"""Options of every connection: no download, no Python variable read as a table, bounded threads."""
SESSION: Final = "SET enable_progress_bar = false; SET TimeZone = 'UTC'; PRAGMA disable_checkpoint_on_shutdown"
NEVER_CHECKPOINT: Final[Options] = {
    "checkpoint_on_detach": "DISABLED",
    "wal_autocheckpoint": "1000TB",
    "auto_checkpoint_skip_wal_threshold": 2**62,
}
HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
# The machine's fault, not the file's: such a file must stay where it is.
_MACHINE = re.compile(
    r"Could not set lock|Permission denied|No space left|Disk quota|Read-only file system|Too many open files"
    r"|Interrupted system call|allocate|Out of Memory|not permitted|Stale file handle|No such file|Is a directory"
    r"|Could not (write|fsync|sync|truncate|remove|move)",
    re.IGNORECASE,
)
_DAMAGE = re.compile(
    r"Corrupt (database|WAL) file|Failure while replaying WAL|not a valid DuckDB database file"
    r"|Could not read enough bytes|Failed to deserialize",
    re.IGNORECASE,
)


class Broken(Exception):
    """The file is damaged, or not a telemetry file of this release."""


def fetch(connection: Connection, sql: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
    """The answer of a query as a frame."""
    frame: pl.DataFrame = connection.sql(sql, params=parameters).pl()
    return frame


@contextmanager
def frames(connection: Connection, named: Mapping[str, pl.DataFrame]) -> Iterator[None]:
    """Let SQL on `connection` read frames by name, without copying them."""
    for name, frame in named.items():
        connection.register(name, frame)
    try:
        yield
    finally:
        # In a failed transaction nothing can be unregistered; the engine is dropped then, and the frames with it.
        with suppress(duckdb.Error):
            for name in named:
                connection.unregister(name)


def transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Run `work` between BEGIN and COMMIT; whatever it raises rolls back."""
    connection.begin()
    try:
        result = work(connection)
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):
            connection.rollback()
        raise
    return result


def check_version(connection: Connection) -> None:
    """Broken unless `telemetry` is a telemetry file of this release."""
    try:
        found = connection.execute("SELECT version FROM telemetry.meta").fetchall()
    except duckdb.CatalogException:
        raise Broken("it is a DuckDB file without telemetry tables") from None
    if found != [(VERSION,)]:
        raise Broken(f"its tables have version {found}, this release reads version {VERSION}")


def is_locked(error: BaseException) -> bool:
    """Whether DuckDB refused because another process has the file open."""
    return isinstance(error, duckdb.IOException) and "Could not set lock on file" in str(error)


def is_damage(error: duckdb.Error, *, opening: bool = False) -> bool:
    """Whether the file itself is at fault; while opening it, every error counts that isn't the machine's."""
    if _MACHINE.search(str(error)):
        return False
    if _DAMAGE.search(str(error)):
        # Damage found by a checksum comes as the bare base class; a query's own text comes as one of the others.
        return type(error) is duckdb.Error or isinstance(error, duckdb.IOException | duckdb.SerializationException)
    kinds = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
    return opening and (type(error) is duckdb.Error or isinstance(error, kinds))
