"""The stores on which the contract of the event log holds: SQLite and a real PostgreSQL."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from tests.servers_postgresql import PostgresqlServer
from tests.servers_postgresql import postgresql_server as postgresql_server


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of a store that doesn't exist yet."""
    if request.param == "sqlite":
        numbers = itertools.count()
        return lambda: f"sqlite:///{tmp_path}/store{next(numbers)}/events.db"
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return lambda: server.url(server.create_database())


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The URL of one such store."""
    return new_url()


@pytest.fixture
def log(url: str) -> Iterator[EventLog]:
    """An empty log in it."""
    with EventLog.open(url) as opened:
        yield opened
