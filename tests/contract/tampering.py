"""Changes of a store beside its log, as somebody with access to the database could make them."""

from sqlalchemy import create_engine


def raw(url: str, *statements: str) -> None:
    """Run SQL in one transaction."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


def without_triggers(url: str) -> tuple[str, ...]:
    """SQL that removes what keeps events from being changed."""
    if url.startswith("sqlite"):
        return tuple(f"DROP TRIGGER events_no_{what}" for what in ("update", "delete", "replace"))
    return tuple(f"DROP TRIGGER events_{what} ON events" for what in ("append_only", "no_delete"))
