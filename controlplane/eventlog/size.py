"""How much room the event store takes."""

from sqlalchemy import Connection, text

from controlplane.eventlog.schema import metadata

_SQLITE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
_POSTGRESQL = "SELECT coalesce(pg_total_relation_size(to_regclass(:name)), 0)"


def size_of(connection: Connection) -> int:
    """Bytes of the database file, or of the tables with their indices on PostgreSQL."""
    if connection.dialect.name == "sqlite":
        return int(connection.scalar(text(_SQLITE)) or 0)
    return sum(int(connection.scalar(text(_POSTGRESQL), {"name": name}) or 0) for name in metadata.tables)
