"""Folding projections anew: from the snapshot where the log starts, or from the archive files, through all events."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from controlplane.eventlog.append import read_head, read_start
from controlplane.eventlog.archive import archived, read_stretches
from controlplane.eventlog.codec import Stored, to_event
from controlplane.eventlog.database import Database
from controlplane.eventlog.paging import fetch
from controlplane.eventlog.projections import Projection
from controlplane.eventlog.rows import Ranked, fold, load_snapshot, read_versions, replace_rows, replace_versions
from controlplane.eventlog.schema import events, projection_versions, snapshot_versions, snapshots

State = dict[str, Ranked[Any]]

Between = Callable[[int, int, Collection[str]], Iterator[Stored]]
"""The rows of the log in (after, until] of some types."""


def rebuild(
    store: Database,
    projections: Sequence[Projection[Any]],
    between: Between,
    folder: Path | None,
    told: Callable[[int, int], None],
) -> None:
    """Fold the projections anew and replace their rows; with the folder of the archives their snapshot, too."""
    types = frozenset[str]().union(*(projection.types for projection in projections))
    versions = {projection.name: projection.version for projection in projections}

    def add(state: State, stored: Stored) -> None:
        if stored.type in types:
            event = (to_event(stored),)
            for projection in projections:
                fold(projection, state[projection.name], event)

    while True:
        # The bulk is folded without holding up writers, what they appended meanwhile while they wait.
        with store.reading() as connection:
            start, end = read_start(connection), read_head(connection).position
            stretches = read_stretches(connection)
            state: State = {projection.name: {} for projection in projections}
            if folder is None:
                state = {projection.name: load_snapshot(connection, projection) for projection in projections}
        if folder is not None:
            for stored in archived(folder, stretches):
                add(state, stored)
                told(stored.position, end)
        snapshot: State = {name: dict(rows) for name, rows in state.items()}
        for stored in between(start.position, end, types):
            add(state, stored)
            told(stored.position, end)
        with store.writing() as connection:
            if read_start(connection) != start:
                continue  # events were archived under our hands
            for stored in _after(connection, end, types):
                add(state, stored)
            for projection in projections:
                replace_rows(connection, projection, state[projection.name])
                if folder is not None:
                    replace_rows(connection, projection, snapshot[projection.name], snapshots)
            replace_versions(connection, projection_versions, versions)
            if folder is not None:
                replace_versions(connection, snapshot_versions, versions)
            return


def needs_archives(store: Database, versions: Mapping[str, int], folder: Path | None) -> bool:
    """Whether the snapshot is of other versions than these and all archive files are there to fold them from."""
    with store.reading() as connection:
        stretches, found = read_stretches(connection), read_versions(connection, snapshot_versions)
    outdated = bool(stretches) and any(found.get(name) != version for name, version in versions.items())
    return outdated and folder is not None and all((folder / each.file_name).is_file() for each in stretches)


def _after(connection: Connection, position: int, types: Collection[str]) -> list[Stored]:
    rest = select(events).where(events.c.position > position, events.c.type.in_(sorted(types)))
    return fetch(connection, rest.order_by(events.c.position))
