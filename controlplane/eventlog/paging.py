"""Reading the log a page at a time."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, and_, select, union_all

from controlplane.eventlog.codec import Stored
from controlplane.eventlog.schema import events


def fetch(connection: Connection, query: Select[Any]) -> list[Stored]:
    """The rows of a query over all columns of `events`."""
    return [Stored._make(row) for row in connection.execute(query)]


def page_of(
    connection: Connection,
    after: int,
    until: int,
    types: Collection[str] | None,
    stream: str | None,
    newest_first: bool,
    size: int,
) -> list[Stored]:
    """The first rows in (after, until], each read through an index, whatever the planner thinks of the data."""
    position = events.c.position
    order = position.desc() if newest_first else position.asc()
    inside = and_(position > after, position <= until)
    page = select(events).order_by(order).limit(size)
    if stream is not None:
        page = page.where(inside, events.c.stream == stream)
        if types is not None:  # concatenated, so that the index on types isn't taken instead
            page = page.where((events.c.type + "").in_(sorted(types)))
    elif types is not None:
        of_type = (
            select(position).where(events.c.type == kind, inside).order_by(order).limit(size).subquery().select()
            for kind in sorted(types)
        )
        page = page.where(position.in_(union_all(*of_type)))
    else:
        page = page.where(inside)
    return fetch(connection, page)
