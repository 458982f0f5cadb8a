"""Leases: a name that one holder has for a time."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from controlplane.eventlog.schema import leases, to_text


def take(connection: Connection, name: str, holder: str, now: datetime, ttl: timedelta) -> bool:
    """Take or renew a lease until now + ttl; False while somebody else holds it."""
    there = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    if there is not None and there.holder != holder and there.expires_at > to_text(now):
        return False
    connection.execute(delete(leases).where(leases.c.name == name))
    connection.execute(insert(leases).values(name=name, holder=holder, expires_at=to_text(now + ttl)))
    return True


def held(connection: Connection, name: str, now: datetime) -> bool:
    """Whether somebody has the lease."""
    there = connection.execute(select(leases.c.expires_at).where(leases.c.name == name)).one_or_none()
    return there is not None and there.expires_at > to_text(now)


def give_back(connection: Connection, name: str, holder: str) -> None:
    """Give a lease back, if `holder` holds it."""
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
