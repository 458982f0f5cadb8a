"""Verification of a log that is in use: the archive files first where they are asked for, then what is in the log."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, func, select

from controlplane.eventlog.append import read_head, read_start
from controlplane.eventlog.archive import archived, read_stretches
from controlplane.eventlog.archive_file import BrokenArchive, Stretch
from controlplane.eventlog.codec import Stored
from controlplane.eventlog.database import Database
from controlplane.eventlog.schema import events
from controlplane.eventlog.verify import Head, Verification, verify

Between = Callable[[int, int], Iterator[Stored]]
"""The rows of the log in (after, until]; from the first row on where `after` is 0."""


def verify_log(
    store: Database, between: Between, newest: int | None, folder: Path | None, told: Callable[[int, int], None]
) -> Verification:
    """See `EventLog.verify`."""
    if newest is not None and newest < 1:
        raise ValueError(f"newest is {newest}; verify at least one link")
    if newest is not None and folder is not None:
        raise ValueError("newest and archives exclude each other: archived events are the oldest ones")
    while True:
        with store.reading() as connection:
            head, start = read_head(connection), read_start(connection)
            last = connection.scalar(select(func.max(events.c.position))) or 0
            before = start.position if newest is None else max(min(head.position, last) - newest, start.position)
            base = start if before == start.position else _link(connection, before)
            stretches = [] if folder is None else read_stretches(connection)
        if base is None:
            return Verification(0, False, before, f"position {before} is missing")
        tell = partial(_tell, told, head.position)
        in_files = Verification(0, True)
        if folder is not None:
            in_files = _verify_files(folder, stretches, tell)
        if not in_files.ok:
            return in_files
        rows = between(0 if base == start else before, last)
        found = verify(rows, head, tell, start=base)
        with store.reading() as connection:
            moved = read_start(connection) != start
        if found.ok or not moved:  # otherwise events were archived under our hands
            return replace(found, checked=in_files.checked + found.checked)


def _tell(told: Callable[[int, int], None], total: int, position: int) -> None:
    told(position, total)


def _link(connection: Connection, position: int) -> Head | None:
    found = connection.scalar(select(events.c.hash).where(events.c.position == position))
    return None if found is None else Head(position, found)


def _verify_files(folder: Path, stretches: list[Stretch], told: Callable[[int], None]) -> Verification:
    checked = 0
    try:
        for stored in archived(folder, stretches):
            checked = stored.position
            told(checked)
    except BrokenArchive as error:
        return Verification(checked, False, error.position, str(error))
    return Verification(checked, True)
