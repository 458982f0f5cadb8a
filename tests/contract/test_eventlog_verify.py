"""Verification of the newest links alone, on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.eventlog import log as log_module
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.verify import Verification
from tests.contract.tampering import raw, without_triggers
from tests.drafts import START, draft, tick

EVENTS = 12
SET = "UPDATE events SET"


@pytest.fixture
def log(url: str) -> Iterator[EventLog]:
    with EventLog.open(url) as opened:
        ticks = [draft(tick(), "tick", f"{n}", occurred_at=START + timedelta(minutes=n)) for n in range(EVENTS)]
        opened.append(ticks, recorded_at=START)
        yield opened


def tamper(url: str, statement: str) -> None:
    raw(url, *without_triggers(url), statement)


@pytest.mark.parametrize(
    ("newest", "checked"), [(None, 12), (1, 1), (4, 4), (5, 5), (11, 11), (12, 12), (13, 12), (10**12, 12)]
)
@pytest.mark.parametrize("page", [2, 5, 1000])
def test_so_many_links_are_verified(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, newest: int | None, checked: int, page: int
) -> None:
    monkeypatch.setattr(log_module, "PAGE", page)
    assert log.verify(newest=newest) == Verification(checked, ok=True)


def test_only_so_many_rows_are_read(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    fetch = log_module.fetch

    def counting(connection, query):
        rows = fetch(connection, query)
        read.extend(row.position for row in rows)
        return rows

    monkeypatch.setattr(log_module, "fetch", counting)
    assert log.verify(newest=3).ok
    assert read == [10, 11, 12]


@pytest.mark.parametrize("newest", [0, -1])
def test_at_least_one_link_is_verified(log: EventLog, newest: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        log.verify(newest=newest)


@pytest.mark.parametrize("newest", [1, None])
def test_an_empty_log_holds(tmp_path: Path, newest: int | None) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/empty.db") as empty:
        assert empty.verify(newest=newest) == Verification(0, ok=True)


def test_the_events_of_a_log_that_grows_are_told(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "PAGE", 2)
    told: list[tuple[int, int]] = []
    assert log.verify(newest=5, progress=lambda done, total: told.append((done, total))).ok
    assert told[-1] == (12, 12)


CASES: list[tuple[str, str, int, int | None, int, str]] = [
    ("changed inside", f"{SET} actor = 'x' WHERE position = 10", 4, 10, 1, "payload or envelope"),
    ("changed first inside", f"{SET} actor = 'x' WHERE position = 9", 4, 9, 0, "payload or envelope"),
    ("changed before", f"{SET} actor = 'x' WHERE position = 8", 4, None, 4, ""),
    ("hash before", f"{SET} hash = 'x' WHERE position = 8", 4, 9, 0, "previous hash"),
    ("removed inside", "DELETE FROM events WHERE position = 10", 4, 10, 1, "position 10 is missing"),
    ("removed at the start", "DELETE FROM events WHERE position = 8", 4, 8, 0, "position 8 is missing"),
    ("removed before", "DELETE FROM events WHERE position = 7", 4, None, 4, ""),
    ("tail removed", "DELETE FROM events WHERE position > 10", 4, 11, 4, "its tail was removed"),
    ("long tail removed", "DELETE FROM events WHERE position > 2", 4, 3, 2, "its tail was removed"),
    ("all removed", "DELETE FROM events", 4, 1, 0, "its tail was removed"),
    ("head's hash", "UPDATE log_head SET hash = 'x'", 1, 12, 0, "last event was replaced"),
    ("head behind", "UPDATE log_head SET position = 11", 4, 11, 3, "last event was replaced"),
    ("written past the head", f"{SET} position = 900 WHERE position = 12", 4, 12, 3, "position 12 is missing"),
]


@pytest.mark.parametrize(
    ("statement", "newest", "position", "checked", "problem"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_the_first_broken_link_is_named(
    log: EventLog,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    newest: int,
    position: int | None,
    checked: int,
    problem: str,
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 2)
    tamper(url, statement)
    found = log.verify(newest=newest)
    assert (found.ok, found.position, found.checked) == (position is None, position, checked)
    assert problem in found.problem
    if not problem:
        assert not log.verify().ok, "the whole chain tells what the newest links don't"


def test_a_broken_link_is_found_by_every_verification_that_reaches_it(log: EventLog, url: str) -> None:
    tamper(url, f"{SET} payload = '{{}}' WHERE position = 6")
    for newest in range(1, EVENTS + 2):
        reaches = newest > EVENTS - 6
        assert log.verify(newest=newest).position == (6 if reaches else None), newest
