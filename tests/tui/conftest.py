"""Event logs for the terminal's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from tests.tui import sample


@pytest.fixture
def empty_log(tmp_path: Path) -> Iterator[EventLog]:
    """A new event log on SQLite."""
    log = sample.open_log(tmp_path)
    yield log
    log.close()


@pytest.fixture
def log(empty_log: EventLog) -> EventLog:
    """An event log with an evening on call."""
    drafts, readings = sample.evening()
    sample.append(empty_log, drafts, readings)
    return empty_log
