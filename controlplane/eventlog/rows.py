"""Rows of projections: folded in memory, written in the caller's transaction, only where they changed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, insert, select, update

from controlplane.eventlog.codec import decode, encode
from controlplane.eventlog.errors import UnreadableEvent
from controlplane.eventlog.projections import Projection
from controlplane.eventlog.schema import projection_versions, projections, snapshots
from controlplane.model.events import Event
from controlplane.model.labels import printable

T = TypeVar("T", bound=BaseModel)
X = TypeVar("X")

CHUNK = 500
"""Parameters of one statement; both databases take more."""

Ranked = dict[str, tuple[T | None, int]]
"""Key → row and the position that stands next to it: of its last change, or its rank."""


def chunks(values: Iterable[X]) -> Iterator[list[X]]:
    """The values in lists of at most CHUNK."""
    iterator = iter(values)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def fold(projection: Projection[T], rows: Ranked[T], events: Iterable[Event]) -> set[str]:
    """Fold the events into `rows` and return the keys that changed."""
    changed = set()
    for event in events:
        for key in projection.keys(event):
            before = rows[key][0] if key in rows else None
            after = projection.fold(before, event)
            if after is before or after == before:
                continue
            rank = projection.rank(after) if projection.rank and after is not None else event.position
            rows[key] = (after, rank)
            changed.add(key)
    return changed


class Changes(Generic[T]):
    """Folds events into the rows of one projection in memory, until they are written."""

    def __init__(self, projection: Projection[T], table: Table = projections) -> None:
        self._projection = projection
        self._table = table
        self._rows: Ranked[T] = {}
        self._there: set[str] = set()
        self._seen: set[str] = set()
        self._changed: set[str] = set()

    def add(self, connection: Connection, events: Sequence[Event]) -> None:
        """Fold the events; rows that they meet for the first time are read."""
        keys = {key for event in events for key in self._projection.keys(event)} - self._seen
        for chunk in chunks(keys):
            found = _load(connection, self._projection, self._table, self._table.c.key.in_(chunk))
            self._rows |= found
            self._there |= found.keys()
        self._seen |= keys
        self._changed |= fold(self._projection, self._rows, events)

    def write(self, connection: Connection) -> None:
        """Write what changed."""
        changed = sorted(self._changed)
        _write(connection, self._table, self._projection, {key: self._rows[key] for key in changed}, self._there)
        if self._projection.keep is not None and not self._there.issuperset(changed):
            _trim(connection, self._table, self._projection.name, self._projection.keep)


def update_rows(connection: Connection, projection: Projection[T], events: Sequence[Event]) -> None:
    """Fold newly appended events into the stored rows of one projection."""
    mine = [event for event in events if event.type in projection.types]
    if not mine:
        return
    changes = Changes(projection)
    changes.add(connection, mine)
    changes.write(connection)


def replace_rows(
    connection: Connection, projection: Projection[T], rows: Ranked[T], table: Table = projections
) -> None:
    """Write all rows of a projection anew."""
    connection.execute(delete(table).where(table.c.name == projection.name))
    _write(connection, table, projection, rows, frozenset())
    if projection.keep is not None:
        _trim(connection, table, projection.name, projection.keep)


def replace_versions(connection: Connection, table: Table, versions: Mapping[str, int]) -> None:
    """Note which versions of these projections the rows are of."""
    connection.execute(delete(table).where(table.c.name.in_(versions)))
    connection.execute(insert(table), [{"name": name, "version": version} for name, version in versions.items()])


def read_versions(connection: Connection, table: Table = projection_versions) -> dict[str, int]:
    """The version of each projection that there are rows of."""
    return {row.name: row.version for row in connection.execute(select(table))}


def load_snapshot(connection: Connection, projection: Projection[T]) -> Ranked[T]:
    """The rows of a projection at the start of the log; UnreadableEvent where its model can't read them any more."""
    try:
        return _load(connection, projection, snapshots)
    except UnreadableEvent as error:
        raise UnreadableEvent(
            f"the snapshot of the projection {projection.name} is of another version: {error} from all archive files; "
            "put those that are missing back into their folder"
        ) from None


def _load(
    connection: Connection, projection: Projection[T], table: Table, where: ColumnElement[bool] | None = None
) -> Ranked[T]:
    found = select(table.c.key, table.c.doc, table.c.position).where(table.c.name == projection.name)
    if where is not None:
        found = found.where(where)
    rows = connection.execute(found).all()
    return {key: (_decode(projection, key, doc), position) for key, doc, position in rows}


def load_rows(connection: Connection, projection: Projection[T], key: str | None = None) -> dict[str, T]:
    """The stored rows by key, in key order; with `key` that one alone."""
    found = select(projections.c.key, projections.c.doc).where(projections.c.name == projection.name)
    if key is not None:
        found = found.where(projections.c.key == key)
    docs = dict(connection.execute(found).all())
    return {key: _decode(projection, key, docs[key]) for key in sorted(docs)}


def load_some(connection: Connection, projection: Projection[T], keys: Collection[str]) -> dict[str, T]:
    """The stored rows of these keys, where there are any."""
    found: dict[str, T] = {}
    for chunk in chunks(keys):
        loaded = _load(connection, projection, projections, projections.c.key.in_(chunk))
        found |= {key: row for key, (row, _) in loaded.items() if row is not None}
    return found


def load_documents(connection: Connection, projection: Projection[Any], after: int) -> list[tuple[str, int, str]]:
    """Key, position and JSON of the stored rows whose position is beyond `after`, in no order."""
    columns = (projections.c.key, projections.c.position, projections.c.doc)
    found = select(*columns).where(projections.c.name == projection.name, projections.c.position > after)
    return [(key, position, doc) for key, position, doc in connection.execute(found).all()]


def load_keys(connection: Connection, projection: Projection[Any]) -> set[str]:
    """The keys of the stored rows."""
    return set(connection.scalars(select(projections.c.key).where(projections.c.name == projection.name)))


def count_rows(connection: Connection, projection: Projection[Any]) -> int:
    """How many rows are stored."""
    counted = select(func.count()).select_from(projections).where(projections.c.name == projection.name)
    return connection.execute(counted).scalar_one()


def _decode(projection: Projection[T], key: str, doc: str) -> T:
    return decode(projection.model, doc, f"row {printable(key)!r} of the projection {projection.name}")


def _write(
    connection: Connection, table: Table, projection: Projection[T], rows: Ranked[T], there: Collection[str]
) -> None:
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    gone: list[dict[str, Any]] = []
    for key, (row, position) in rows.items():
        if row is None:
            if key in there:
                gone.append({"at_key": key})
        elif key in there:
            changed.append({"at_key": key, "doc": encode(row), "position": position})
        else:
            new.append({"name": projection.name, "key": key, "doc": encode(row), "position": position})
    here = (table.c.name == projection.name) & (table.c.key == bindparam("at_key"))
    for statement, parameters in (
        (insert(table), new),
        (update(table).where(here), changed),
        (delete(table).where(here), gone),
    ):
        if parameters:
            connection.execute(statement, parameters)


def _trim(connection: Connection, table: Table, name: str, keep: int) -> None:
    """Delete all but the `keep` rows of highest rank."""
    mine = table.c.name == name
    last = select(table.c.position).where(mine).order_by(table.c.position.desc()).offset(keep).limit(1)
    connection.execute(delete(table).where(mine, table.c.position <= last.scalar_subquery()))
