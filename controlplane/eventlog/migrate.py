"""Tables of the event store: created where there are none, lifted where an older version of the program made them."""

from collections.abc import Mapping

from sqlalchemy import Connection, insert, inspect, select, update

from controlplane.eventlog import schema
from controlplane.eventlog.database import Database
from controlplane.eventlog.errors import EventStoreError
from controlplane.eventlog.schema import GENESIS, SCHEMA_VERSION, TRIGGERS, log_head, projection_versions

_TABLES_1 = frozenset({"events", "log_head", "projections", "projection_versions", "readings", "leases"})


def prepare_tables(database: Database, versions: Mapping[str, int]) -> None:
    """Create or lift the tables; those of this version are only read. `versions` are those of new projections.

    EventStoreError where the tables are somebody else's or of a newer version.
    """
    with database.reading() as connection:
        ready = inspect(connection).has_table(log_head.name)
        found = connection.scalar(select(log_head.c.schema_version)) if ready else None
    if found == SCHEMA_VERSION:
        return
    with database.writing() as connection:  # somebody else may have been faster
        there = frozenset(inspect(connection).get_table_names())
        found = connection.scalar(select(log_head.c.schema_version)) if log_head.name in there else None
        if found is None:
            _refuse(database, there)
            _create(connection, versions)
        elif found == 1:
            _refuse(database, there - _TABLES_1)
            _lift(connection)
    if found not in {None, 1, SCHEMA_VERSION}:
        raise EventStoreError(
            f"{database.name}: its tables have version {found}, this program knows {SCHEMA_VERSION}. "
            "Use the version of the program that wrote it last"
        )


def _refuse(database: Database, there: frozenset[str]) -> None:
    if foreign := sorted(there & schema.metadata.tables.keys()):
        raise EventStoreError(
            f"{database.name}: there is a table {foreign[0]!r} already, which isn't part of an event store. "
            "Give the event store a database of its own"
        )


def _create(connection: Connection, versions: Mapping[str, int]) -> None:
    schema.metadata.create_all(connection)
    _run(connection, TRIGGERS)
    connection.execute(insert(log_head).values(id=1, schema_version=SCHEMA_VERSION, position=0, hash=GENESIS))
    rows = [{"name": name, "version": version} for name, version in versions.items()]
    connection.execute(insert(projection_versions), rows)


def _lift(connection: Connection) -> None:
    """From version 1, which knew no archives."""
    schema.metadata.create_all(connection)
    _run(connection, schema.NO_TRIGGERS_1)
    _run(connection, TRIGGERS)
    connection.execute(update(log_head).values(schema_version=SCHEMA_VERSION))


def _run(connection: Connection, statements: Mapping[str, tuple[str, ...]]) -> None:
    for statement in statements[connection.dialect.name]:
        connection.exec_driver_sql(statement)
