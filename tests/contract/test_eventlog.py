"""What the event log promises, on SQLite and on a real PostgreSQL alike."""

import hashlib
import itertools
import json
import math
import multiprocessing
import os
import random
import sqlite3
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.event import listen
from sqlalchemy.exc import DBAPIError

from controlplane.eventlog import database as database_module
from controlplane.eventlog import log as log_module
from controlplane.eventlog.codec import Stored, event_hash
from controlplane.eventlog.errors import (
    ConcurrencyError,
    EventConflict,
    EventStoreError,
    StoreUnavailable,
    UnreadableEvent,
)
from controlplane.eventlog.export import json_lines
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, PROJECTIONS, RECOMMENDATIONS, SOURCES, TICK
from controlplane.eventlog.schema import events, log_head
from controlplane.eventlog.schema import projections as projection_rows
from controlplane.model.alerts import Reading
from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Draft
from controlplane.model.payloads import AlertFired, AlertResolved, RecommendationProposed, SourceFailed, TickCompleted
from controlplane.model.time import to_ms
from tests.contract.tampering import raw, without_triggers
from tests.drafts import HOSTILE, START, draft, facts, ingested, recommendation, tick
from tests.servers_postgresql import PASSWORD, PostgresqlServer

fork = multiprocessing.get_context("fork")
DEADLINE = 60.0


def fired(alert: str = "a1", key: str | None = None, *, at: datetime = START, **fields: Any) -> Draft:
    return draft(AlertFired(facts=facts(alert, **fields)), f"alert/{alert}", key, occurred_at=at)


# append and read


def test_an_empty_log(log: EventLog) -> None:
    assert log.head() == 0
    assert list(log.read()) == []
    assert log.get(uuid4()) is log.get("no id") is log.get("\ud800\x00") is None
    assert list(log.read(types={"\ud800\x00"}, stream="\ud800\x00")) == []
    assert list(log.read(types={"\ud800\x00"})) == []
    assert log.rows(ALERTS) == {}
    assert log.row(ALERTS, "a1") is None
    assert log.readings() == {}
    assert log.verify().ok
    assert log.append([], recorded_at=START) == []


def test_what_is_appended_is_what_is_read(log: EventLog, url: str) -> None:
    cause = uuid4()
    one = draft(ingested(), "source/p", "k", actor="ana", correlation="tick/1", cause=cause)
    two, three = draft(tick(), "tick"), draft(ingested(end_ms=30_000), "source/p")
    appended = log.append([one, two, three], recorded_at=START + timedelta(microseconds=1))
    assert [event.position for event in appended] == [1, 2, 3]
    assert [(event.stream, event.version) for event in appended] == [("source/p", 1), ("tick", 1), ("source/p", 2)]
    first = appended[0]
    assert (first.id, first.type, first.payload) == (one.id, "samples_ingested.v1", one.payload)
    assert (first.actor, first.correlation, first.cause) == ("ana", "tick/1", cause)
    assert first.recorded_at == START + timedelta(microseconds=1)
    assert first.previous_hash == "0" * 64
    assert [event.previous_hash for event in appended[1:]] == [event.hash for event in appended[:-1]]
    assert log.head() == 3
    assert list(log.read()) == appended
    assert log.get(two.id) == log.get(str(two.id)) == appended[1]
    (fourth,) = log.append([draft(tick(), "tick")], recorded_at=START)
    assert (fourth.position, fourth.version, fourth.previous_hash) == (4, 2, appended[2].hash)
    with EventLog.open(url) as again:
        assert list(again.read()) == [*appended, fourth]
        assert again.verify().ok


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_times_come_back_exactly(log: EventLog, instant: datetime) -> None:
    payload = SourceFailed(source="s", error="away")
    (event,) = log.append([draft(payload, occurred_at=instant)], recorded_at=instant)
    read = next(log.read())
    assert read == event
    assert read.occurred_at == read.recorded_at == instant
    assert read.occurred_at.tzinfo is UTC
    assert log.rows(SOURCES)["s"].failed_since == instant


def test_a_time_without_a_zone_is_refused(log: EventLog) -> None:
    with pytest.raises(ValueError, match="zone"):
        log.append([draft(tick())], recorded_at=datetime(2026, 1, 1))  # noqa: DTZ001 - it is refused
    assert log.head() == 0


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_hostile_text_comes_back_exactly(log: EventLog, hostile: str) -> None:
    payload = AlertFired(facts=facts(hostile, labels={hostile: hostile}, summary=hostile))
    stream = hostile[:300].encode("utf-8", "replace").decode()
    one = draft(payload, stream, key=hostile, actor=hostile, correlation=hostile)
    (event,) = log.append([one], recorded_at=START, readings=[Reading(alert=hostile, at=START, value=1.0)])
    assert event.payload == payload
    assert list(log.read(stream=stream)) == [event]
    assert log.get(one.id) == event
    assert log.append([one], recorded_at=START, expected={stream: 0}) == []
    assert log.rows(ALERTS)[hostile].labels == {hostile: hostile}
    assert log.row(ALERTS, hostile) is not None
    assert log.readings()[hostile].value == 1.0
    assert log.lease(hostile, hostile, now=START, ttl=timedelta(seconds=1))
    assert not log.lease(hostile, "other", now=START, ttl=timedelta(seconds=1))
    assert log.verify().ok
    log.append([draft(AlertResolved(facts=facts(hostile), fired_at=START, reason="condition"))], recorded_at=START)
    assert log.rows(ALERTS) == {}


def test_text_that_differs_only_in_escapes_stays_apart(log: EventLog) -> None:
    streams = ["a\x00", "a\\u0000", "a\\\\u0000", "a\\", "a\\\\"]
    log.append([draft(tick(), stream) for stream in streams], recorded_at=START)
    assert [event.stream for event in log.read()] == streams
    assert [event.version for event in log.read()] == [1] * len(streams)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308, 0.1, None])
def test_numbers_come_back_exactly(log: EventLog, value: float | None) -> None:
    reading = Reading.of("a1", START, value, [(to_ms(START), value)])
    log.append([fired(value=value)], recorded_at=START, readings=[reading])
    event = next(log.read())
    assert isinstance(event.payload, AlertFired)
    read = log.readings()["a1"]
    for found in (event.payload.facts.value, log.rows(ALERTS)["a1"].value, read.value):
        assert repr(found) == repr(value)
    assert repr(read.history[0][1]) == ("None" if value != value else repr(value))
    line = next(json_lines(log))
    assert json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} isn't JSON"))


def test_a_payload_of_a_megabyte(log: EventLog) -> None:
    payload = SourceFailed(source="s", error="é" * 1_000_000)
    log.append([draft(payload)], recorded_at=START)
    assert next(log.read()).payload == payload


def test_what_is_folded_is_what_was_stored(log: EventLog) -> None:
    precise = recommendation()
    proposal = precise.proposal.model_copy(update={"time_to_effect": timedelta(microseconds=1_500)})
    payload = RecommendationProposed(recommendation=precise.model_copy(update={"proposal": proposal}))
    appended = log.append([draft(payload)], recorded_at=START)
    assert list(log.read()) == appended
    rows = log.rows(RECOMMENDATIONS)
    log.rebuild()
    assert log.rows(RECOMMENDATIONS) == rows == {"r1": appended[0].payload.recommendation}


# idempotence


def test_what_is_there_is_skipped(log: EventLog) -> None:
    one, two, three = (fired(f"a{n}", "k") for n in range(3))
    appended = log.append([one, two], recorded_at=START)
    assert log.append([one, two], recorded_at=START + timedelta(days=1)) == []
    (new,) = log.append([two, three, one, three], recorded_at=START)
    assert (new.id, new.position) == (three.id, 3)
    assert list(log.read()) == [*appended, new]


def test_a_repeated_tick_in_hundreds_of_events(log: EventLog) -> None:
    drafts = [fired(f"a{n}", "k") for n in range(1_234)]
    assert len(log.append(drafts, recorded_at=START)) == len(drafts)
    assert log.append(drafts, recorded_at=START) == []
    assert len(log.append([*drafts, fired("new")], recorded_at=START)) == 1
    assert log.head() == 1_235
    assert len(log.rows(ALERTS)) == 1_235


@pytest.mark.parametrize("together", [True, False])
def test_another_payload_under_the_same_id_is_a_conflict(log: EventLog, together: bool) -> None:
    one, other, fresh = fired(key="k"), fired(key="k", value=0.5), fired("a2")
    assert one.id == other.id
    before = [] if together else log.append([one], recorded_at=START)
    with pytest.raises(EventConflict, match=str(one.id)):
        log.append([fresh, one, other] if together else [fresh, other], recorded_at=START)
    assert list(log.read()) == before
    assert set(log.rows(ALERTS)) == {event.payload.facts.alert for event in before}


def test_a_payload_of_an_older_version_with_fewer_fields_is_the_same(log: EventLog, url: str) -> None:
    one = draft(ingested(), key="k")
    log.append([one], recorded_at=START)
    payload = json.loads(next(log.stored()).payload)
    del payload["skipped_ms"]
    raw(url, *without_triggers(url), f"UPDATE events SET payload = '{json.dumps(payload)}'")
    assert log.append([one], recorded_at=START) == []
    with pytest.raises(EventConflict):
        log.append([draft(ingested(skipped_ms=1), key="k")], recorded_at=START)


# expected versions


@pytest.mark.parametrize(
    ("expected", "ok"),
    [
        ({}, True),
        ({"s": 2}, True),
        ({"s": 1}, False),
        ({"s": 3}, False),
        ({"s": 0}, False),
        ({"other": 0}, True),
        ({"other": 1}, False),
        ({"s": 2, "other": 0}, True),
        ({"s": 2, "other": 1}, False),
    ],
)
def test_expected_versions(log: EventLog, expected: dict[str, int], ok: bool) -> None:
    log.append([draft(tick(), "s"), draft(tick(), "s")], recorded_at=START)
    new = draft(tick(), "s")
    if ok:
        assert log.append([new], recorded_at=START, expected=expected)[0].version == 3
    else:
        with pytest.raises(ConcurrencyError, match="is at version"):
            log.append([new], recorded_at=START, expected=expected)
        assert log.head() == 2


def test_a_repeated_command_is_no_conflict_of_versions(log: EventLog) -> None:
    command = draft(tick(), "s", "k")
    log.append([command], recorded_at=START, expected={"s": 0})
    assert log.append([command], recorded_at=START, expected={"s": 0}) == []
    with pytest.raises(ConcurrencyError):
        log.append([command, draft(tick(), "s")], recorded_at=START, expected={"s": 0})


def test_versions_of_many_streams_at_once(log: EventLog) -> None:
    streams = [f"s{n}" for n in range(1_200)]
    log.append([draft(tick(), stream) for stream in streams], recorded_at=START)
    expected = dict.fromkeys(streams, 1)
    assert log.versions([*streams, "another"]) == {**expected, "another": 0}
    again = log.append([draft(tick(), stream) for stream in streams], recorded_at=START, expected=expected)
    assert {event.version for event in again} == {2}
    with pytest.raises(ConcurrencyError, match="s777 is at version 2, not 1"):
        log.append([draft(tick(), "s0")], recorded_at=START, expected=dict.fromkeys(streams, 2) | {"s777": 1})


# one transaction


def test_nothing_is_written_when_a_fold_fails(url: str) -> None:
    def explode(row: Any, event: Any) -> Any:
        if isinstance(event.payload, TickCompleted):
            raise ZeroDivisionError
        return row

    broken = (*PROJECTIONS[:-1], replace(TICK, name="broken", fold=explode))
    with EventLog.open(url, projections=broken) as log:
        before = log.append([fired()], recorded_at=START, readings=[Reading(alert="a1", at=START, value=1.0)])
        with pytest.raises(ZeroDivisionError):
            log.append([fired("a2"), draft(tick())], recorded_at=START, readings=[])
        assert list(log.read()) == before
        assert set(log.rows(ALERTS)) == {"a1"}
        assert set(log.readings()) == {"a1"}
        assert log.append([fired("a3")], recorded_at=START)[0].position == 2
        assert log.verify().ok


def test_readings_are_replaced_with_the_events(log: EventLog) -> None:
    now = to_ms(START)
    first = [Reading.of(f"a{n}", START, n, [(now - 7 * 3_600_000, None), (now, 0.5)]) for n in range(3)]
    log.append([fired()], recorded_at=START, readings=first)
    assert log.readings() == {reading.alert: reading for reading in first}
    log.append([fired("a2")], recorded_at=START)
    assert len(log.readings()) == 3
    second = Reading(alert="a1", at=START + timedelta(minutes=1), value=None)
    log.append([], recorded_at=START, readings=[second])
    assert log.readings() == {"a1": second}
    log.append([], recorded_at=START, readings=[])
    assert log.readings() == {}


# reading


@pytest.fixture
def filled(log: EventLog) -> EventLog:
    drafts = []
    for n in range(23):
        payload = (tick(steps=n), ingested(end_ms=n), SourceFailed(source="s", error=str(n)))[n % 3]
        drafts.append(draft(payload, f"s{n % 2}"))
    log.append(drafts, recorded_at=START)
    return log


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_read_gives_what_was_asked_for(filled: EventLog, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    everything = list(filled.read())
    assert [event.position for event in everything] == list(range(1, 24))
    monkeypatch.setattr(log_module, "PAGE", page)
    for after, until, types, stream, newest_first, limit in itertools.product(
        (0, 11, 99),
        (None, 0, 17),
        (None, set(), {"tick_completed.v1"}, {"tick_completed.v1", "source_failed.v1", "nothing.v1"}),
        (None, "s1", "none"),
        (False, True),
        (None, 0, 1, 4),
    ):
        expected = [
            event.position
            for event in everything
            if event.position > after
            and (until is None or event.position <= until)
            and (types is None or event.type in types)
            and (stream is None or event.stream == stream)
        ]
        expected = expected[::-1] if newest_first else expected
        found = filled.stored(
            after=after, until=until, types=types, stream=stream, newest_first=newest_first, limit=limit
        )
        assert [stored.position for stored in found] == expected[:limit]


@pytest.mark.parametrize("newest_first", [False, True])
def test_reading_ends_where_the_log_ended_when_it_began(
    filled: EventLog, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 2)
    reading = filled.read(newest_first=newest_first)
    seen = [next(reading)]
    for event in reading:
        seen.append(event)
        filled.append([draft(tick())], recorded_at=START)  # an open iterator blocks nobody
    assert len(seen) == 23
    assert filled.head() == 45


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "INTEGER PRIMARY KEY"),
        ({"types": {"tick_completed.v1", "source_failed.v1"}}, "events_by_type"),
        ({"stream": "s1"}, "events_by_stream"),
        ({"stream": "s1", "types": {"tick_completed.v1"}}, "events_by_stream"),
        ({"stream": "s1", "types": {"tick_completed.v1", "source_failed.v1"}}, "events_by_stream"),
    ],
)
def test_a_page_costs_the_same_wherever_it_is(
    tmp_path: Path, query: dict[str, Any], index: str, newest_first: bool
) -> None:
    """SQLite neither scans nor sorts the log for a page."""
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as log:
        asked: list[tuple[str, Any]] = []
        listen(log._database.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
        list(log.stored(after=1, newest_first=newest_first, **query))
        statement, parameters = asked[-1]
        assert "FROM events" in statement
        with log._database.reading() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    steps = "\n".join(str(step[-1]) for step in plan)
    assert index in steps
    assert "SCAN events" not in steps
    if "types" not in query or "stream" in query:  # a page of several types is sorted, the log isn't
        assert "TEMP B-TREE" not in steps


# append-only


def test_events_can_neither_be_changed_nor_deleted(log: EventLog, url: str) -> None:
    before = log.append([fired("a1"), fired("a2")], recorded_at=START)
    statements = [
        "UPDATE events SET actor = 'mallory'",
        "UPDATE events SET payload = payload WHERE position = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 2",
    ]
    if url.startswith("sqlite"):
        rest = "type, occurred_at, recorded_at, actor, correlation, cause, payload, previous_hash, hash FROM events"
        statements += [
            f"INSERT OR REPLACE INTO events SELECT {same}, {rest} WHERE position = 1"
            for same in ("1, 'new', 'new', 1", "3, id, 'new', 1", "3, 'new', stream, version")
        ]
    else:
        statements += ["TRUNCATE events", "TRUNCATE events CASCADE"]
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"):
            raw(url, statement)
    assert list(log.read()) == before
    assert log.verify().ok


def rewritten(stored: Stored, **fields: Any) -> dict[str, Any]:
    """The row with other content and the hash that fits it, as a forger would write it."""
    changed = stored._replace(**fields)
    return changed._replace(hash=event_hash(changed))._asdict()


SET = "UPDATE events SET"
TAMPERED: list[tuple[str, tuple[str, ...], int | None, str]] = [
    ("nothing", (), None, ""),
    ("payload", (f"{SET} payload = replace(payload, '0.91', '0.92') WHERE position = 3",), 3, "payload"),
    ("payload of the first", (f"{SET} payload = '{{}}' WHERE position = 1",), 1, "payload"),
    ("white space", (f"{SET} payload = replace(payload, ':', ': ') WHERE position = 5",), 5, "payload"),
    ("actor", (f"{SET} actor = 'mallory' WHERE position = 2",), 2, "envelope"),
    ("cause", (f"{SET} cause = id WHERE position = 2",), 2, "envelope"),
    ("occurred_at", (f"{SET} occurred_at = recorded_at WHERE position = 2",), 2, "envelope"),
    ("type", (f"{SET} type = 'x' WHERE position = 4",), 4, "envelope"),
    ("version", (f"{SET} version = 9 WHERE position = 4",), 4, "envelope"),
    ("hash", (f"{SET} hash = 'x' WHERE position = 4",), 4, "payload or envelope"),
    ("previous hash", (f"{SET} previous_hash = 'x' WHERE position = 4",), 4, "previous hash"),
    ("first event's previous hash", (f"{SET} previous_hash = 'x' WHERE position = 1",), 1, "first event"),
    ("middle removed", ("DELETE FROM events WHERE position = 3",), 3, "position 3 is missing"),
    ("first removed", ("DELETE FROM events WHERE position = 1",), 1, "position 1 is missing"),
    ("tail removed", ("DELETE FROM events WHERE position > 3",), 4, "tail was removed"),
    ("last removed", ("DELETE FROM events WHERE position = 5",), 5, "tail was removed"),
    ("all removed", ("DELETE FROM events",), 1, "tail was removed"),
    (
        "gap closed",
        ("DELETE FROM events WHERE position = 3", f"{SET} position = position - 1 WHERE position > 3"),
        3,
        "previous hash",
    ),
    (
        "two exchanged",
        (
            f"{SET} position = 99 WHERE position = 2",
            f"{SET} position = 2 WHERE position = 3",
            f"{SET} position = 3 WHERE position = 99",
        ),
        2,
        "previous hash",
    ),
    (
        "head behind",
        ("UPDATE log_head SET position = 4, hash = (SELECT hash FROM events WHERE position = 4)",),
        5,
        "isn't known to the head",
    ),
    ("head's hash", ("UPDATE log_head SET hash = 'x'",), 5, "last event was replaced"),
]


@pytest.mark.parametrize(
    ("statements", "position", "problem"), [case[1:] for case in TAMPERED], ids=[case[0] for case in TAMPERED]
)
def test_verify_names_the_first_broken_link(
    log: EventLog,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    statements: tuple[str, ...],
    position: int | None,
    problem: str,
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 2)
    log.append([fired(f"a{n}", at=START + timedelta(minutes=n + 1)) for n in range(5)], recorded_at=START)
    raw(url, *without_triggers(url), *statements)
    found = log.verify()
    assert (found.ok, found.position) == (position is None, position)
    assert problem in found.problem
    assert found.checked == (5 if position is None else position - 1)


@pytest.mark.parametrize(("position", "named", "problem"), [(2, 3, "previous hash"), (5, 5, "last event was replaced")])
def test_verify_sees_a_forged_event_with_a_fitting_hash(
    log: EventLog, url: str, position: int, named: int, problem: str
) -> None:
    log.append([fired(f"a{n}") for n in range(5)], recorded_at=START)
    stored = list(log.stored())[position - 1]
    raw(url, *without_triggers(url), f"DELETE FROM events WHERE position = {position}")
    with create_engine(url).begin() as connection:
        connection.execute(insert(events), rewritten(stored, actor="mallory"))
    found = log.verify()
    assert (found.ok, found.position) == (False, named)
    assert problem in found.problem


def test_verify_sees_an_event_that_was_written_past_the_log(log: EventLog, url: str) -> None:
    log.append([fired("a1")], recorded_at=START)
    last = next(log.stored())
    foreign = rewritten(last, position=2, id=str(uuid4()), version=2, previous_hash=last.hash)
    with create_engine(url).begin() as connection:
        connection.execute(insert(events), foreign)
    found = log.verify()
    assert (found.ok, found.position) == (False, 2)
    assert "head" in found.problem
    with pytest.raises(EventStoreError, match="events verify"):
        log.append([fired("a2")], recorded_at=START)


def test_verify_and_rebuild_tell_how_far_they_are(filled: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "PAGE", 10)
    told: list[tuple[int, int]] = []
    assert filled.verify(progress=lambda done, total: told.append((done, total))).checked == 23
    assert told == [(10, 23), (20, 23), (23, 23)]
    told.clear()
    filled.rebuild(progress=lambda done, total: told.append((done, total)))
    assert told
    assert told[-1] == (23, 23)


# versions of the program


def append_foreign(url: str, type_: str, payload: str) -> None:
    """Append an event as a newer version of the program would."""
    engine = create_engine(url)
    with engine.begin() as connection:
        head = connection.execute(select(log_head)).one()
        new = Stored(
            position=head.position + 1,
            id=str(uuid4()),
            stream="future",
            version=1,
            type=type_,
            occurred_at="2026-03-01T18:00:00.000000Z",
            recorded_at="2026-03-01T18:00:00.000000Z",
            actor="controlplane",
            correlation="",
            cause=None,
            payload=payload,
            previous_hash=head.hash,
        )
        linked = new._replace(hash=event_hash(new))
        connection.execute(insert(events), linked._asdict())
        connection.execute(log_head.update().values(position=linked.position, hash=linked.hash))
    engine.dispose()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ('{"type":"quantum_alert.v7"}', "quantum_alert.v7"),
        ('{"steps":1,"type":"tick_completed.v1"}', "position 2"),
        ('{"no":"type"}', "None"),
        ("[]", "position 2"),
        ("nonsense", "position 2"),
    ],
)
def test_an_unreadable_event_is_named(log: EventLog, url: str, payload: str, words: str) -> None:
    first = log.append([fired()], recorded_at=START)
    append_foreign(url, "quantum_alert.v7", payload)
    reading = log.read()
    assert next(reading) == first[0]
    with pytest.raises(UnreadableEvent, match="position 2") as caught:
        next(reading)
    assert words in str(caught.value)
    assert log.verify().ok
    assert len(list(json_lines(log))) == 2
    assert list(log.read(types={"alert_fired.v1"})) == first
    assert log.append([fired("a2")], recorded_at=START)[0].position == 3
    log.rebuild(["alerts"])  # reads what alerts are made of, and no more
    assert set(log.rows(ALERTS)) == {"a1", "a2"}


def test_a_projection_of_another_version_is_rebuilt_when_the_log_is_opened(log: EventLog, url: str) -> None:
    log.append([fired("a1"), fired("a2"), draft(tick())], recorded_at=START)
    without_a1 = replace(ALERTS, version=2, key=lambda payload: None if ALERTS.key(payload) == "a1" else "a2")
    newer = (without_a1, *PROJECTIONS[1:])
    told: list[tuple[int, int]] = []
    with EventLog.open(url, projections=newer, progress=lambda *done: told.append(done)) as upgraded:
        assert set(upgraded.rows(without_a1)) == {"a2"}
        assert upgraded.rows(TICK) == log.rows(TICK)
        upgraded.append([fired("a1")], recorded_at=START)
        assert set(upgraded.rows(without_a1)) == {"a2"}
    with pytest.raises(EventStoreError, match="Restart"):
        log.append([fired("a3")], recorded_at=START)
    assert log.head() == 4
    with EventLog.open(url) as back:
        assert set(back.rows(ALERTS)) == {"a1", "a2"}


def test_a_projection_that_wasnt_kept_up_to_date_is_rebuilt(url: str) -> None:
    with EventLog.open(url) as log:
        log.append([draft(tick(steps=1))], recorded_at=START)
    with EventLog.open(url, projections=[ALERTS]) as without_tick:
        without_tick.append([draft(tick(steps=2))], recorded_at=START)
    with EventLog.open(url) as log:
        assert log.rows(TICK)["tick"].steps == 2


def test_rebuild_mends_rows(log: EventLog, url: str) -> None:
    log.append([fired("a1"), draft(tick())], recorded_at=START)
    alerts, ticks = log.rows(ALERTS), log.rows(TICK)
    raw(url, "UPDATE projections SET doc = '{}'", "UPDATE projections SET key = 'other' WHERE name = 'alerts'")
    with pytest.raises(UnreadableEvent, match=r"'other' of the projection alerts .*Rebuild"):
        log.rows(ALERTS)
    log.rebuild(["alerts"])
    assert log.rows(ALERTS) == alerts
    with pytest.raises(UnreadableEvent):
        log.rows(TICK)
    log.rebuild()
    assert log.rows(TICK) == ticks
    with pytest.raises(EventStoreError, match="no projection 'alrets'"):
        log.rebuild(["alrets"])


def test_only_changed_rows_are_written(log: EventLog) -> None:
    log.append([fired(f"a{n}") for n in range(5)], recorded_at=START)
    log.append([fired("a3", value=0.99), draft(tick())], recorded_at=START)
    log.append([draft(tick())], recorded_at=START)  # the same once more changes nothing
    with log._database.reading() as connection:
        found = select(projection_rows.c.key, projection_rows.c.position)
        rows = connection.execute(found.where(projection_rows.c.name != "activity")).all()
    assert dict(tuple(row) for row in rows) == {"a0": 1, "a1": 2, "a2": 3, "a3": 6, "a4": 5, "tick": 7}


def test_tables_of_another_version_are_refused(log: EventLog, url: str) -> None:
    raw(url, "UPDATE log_head SET schema_version = 99")
    with pytest.raises(EventStoreError, match="version 99"):
        EventLog.open(url)


def test_a_database_of_somebody_else_is_left_alone(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    raw(url, "CREATE TABLE events (x INTEGER)", "INSERT INTO events VALUES (1)")
    with pytest.raises(EventStoreError, match="table 'events' already"):
        EventLog.open(url)
    raw(url, "UPDATE events SET x = 2")


# leases


def test_leases(log: EventLog, url: str) -> None:
    second = timedelta(seconds=1)
    assert log.lease("tick", "a", now=START, ttl=10 * second)
    assert not log.lease("tick", "b", now=START, ttl=10 * second)
    assert log.lease("other", "b", now=START, ttl=10 * second)
    assert log.lease("tick", "a", now=START + 9 * second, ttl=10 * second)
    with EventLog.open(url) as elsewhere:
        assert not elsewhere.lease("tick", "b", now=START + 19 * second - timedelta(microseconds=1), ttl=second)
        assert elsewhere.lease("tick", "b", now=START + 19 * second, ttl=second)
    assert not log.lease("tick", "a", now=START + 19 * second, ttl=second)
    log.release("tick", "a")
    assert not log.lease("tick", "a", now=START + 19 * second, ttl=second)
    log.release("tick", "b")
    assert log.lease("tick", "a", now=START + 19 * second, ttl=second)


def test_one_of_many_gets_the_lease(log: EventLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        for n in range(10):
            got = pool.map(
                lambda holder, name=f"l{n}": log.lease(name, str(holder), now=START, ttl=timedelta(1)), range(8)
            )
            assert sorted(got) == [False] * 7 + [True]


# export


def test_export_can_be_checked_with_json_and_sha256_alone(log: EventLog) -> None:
    appended = log.append(
        [fired(f"a{n}", labels={"l": hostile}, value=math.inf) for n, hostile in enumerate(HOSTILE)]
        + [draft(tick(), "é\x00\\", actor="ana", cause=uuid4())],
        recorded_at=START,
    )
    lines = list(json_lines(log))
    previous = "0" * 64
    for line, event in zip(lines, appended, strict=True):
        assert "\n" not in line
        document = json.loads(line)
        assert json.dumps(document, sort_keys=True, separators=(",", ":")) == line
        claimed = document.pop("hash")
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode("ascii")).hexdigest() == claimed == event.hash
        assert document["previous_hash"] == previous
        previous = claimed
        assert (document["position"], document["stream"], document["actor"]) == (
            event.position,
            event.stream,
            event.actor,
        )
        assert UUID(document["id"]) == event.id
        assert datetime.fromisoformat(document["occurred_at"]) == event.occurred_at
    assert list(json_lines(log, after=3, until=5)) == lines[3:5]
    assert list(json_lines(log, types={"tick_completed.v1"})) == lines[-1:]
    assert list(json_lines(log, stream="alert/a2")) == lines[2:3]


def test_the_same_events_give_the_same_hashes_everywhere(postgresql_server: PostgresqlServer, tmp_path: Path) -> None:
    drafts = [draft(AlertFired(facts=facts(hostile)), f"é\x00\\{n}", "k") for n, hostile in enumerate(HOSTILE)]
    exports = []
    for url in (f"sqlite:///{tmp_path}/e.db", postgresql_server.url(postgresql_server.create_database())):
        with EventLog.open(url) as log:
            log.append(drafts, recorded_at=START)
            exports.append(list(json_lines(log)))
    assert exports[0] == exports[1]


# the file


def test_the_file_and_its_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "home" / "events.db"
    before = os.umask(0)
    try:
        with EventLog.open(f"sqlite:///{path}") as log:
            log.append([fired()], recorded_at=START)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"events.db": 0o600, "events.db-wal": 0o600, "events.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_sqlite_is_durable_and_lets_readers_read(tmp_path: Path) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as log, log._database.writing() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


# errors


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("nonsense", "can't be read"),
        ("", "can't be read"),
        ("postgresql://u:hunter2secret", "URL of the event store"),
        ("postgresql://u:hunter2secret@localhost:54x2/db", "can't be read"),
        ("mysql://u:hunter2secret@h/db", "mysql"),
        ("postgresql+psycopg2://u:hunter2secret@h/db", "psycopg2"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://u:hunter2secret@host/events.db", "needs a file"),
        ("postgresql+psycopg://u:hunter2secret@127.0.0.1:1/db", "server runs"),
        ("postgresql://u:hunter2secret@127.0.0.1:1/db", "127.0.0.1:1"),
        ("postgres://u:hunter2secret@127.0.0.1:1/db", "PostgreSQL db"),
        ("postgresql://u:x/hunter2secret@127.0.0.1:1/db", "127.0.0.1"),
        ("postgresql://u:x@hunter2secret@127.0.0.1:1/db", "127.0.0.1"),
        ("postgresql://u@127.0.0.1:1/db?password=hunter2secret", "127.0.0.1"),
        ("postgresql://u:hunter2secret@127.0.0.1:1/db?nonsense=1", "nonsense"),
        ("postgresql://u:p@[hunter2secret]:1/db", ""),
        ("sqlite:////dev/null/x/events.db", "can't be created"),
        ("sqlite:////proc/events.db", "can't be created"),
        ("sqlite:////tmp", "not a file"),
    ],
)
def test_a_bad_url_is_explained_without_its_password(bad: str, words: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(StoreUnavailable) as caught:
        EventLog.open(bad)
    told = str(caught.value)
    assert words in told
    assert len(told.splitlines()) == 1
    assert isinstance(caught.value, ControlplaneError)
    if "[hunter2secret]" not in bad:  # there it is the host
        assert "hunter2secret" not in told + caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_wrong_password_and_a_missing_database_are_explained(postgresql_server: PostgresqlServer) -> None:
    name = postgresql_server.create_database()
    with pytest.raises(StoreUnavailable, match="Check user and password") as caught:
        EventLog.open(postgresql_server.url(name, password="hunter2secret"))
    assert "hunter2secret" not in str(caught.value)
    with pytest.raises(StoreUnavailable, match=r"Create the database") as caught:
        EventLog.open(postgresql_server.url("nowhere"))
    assert PASSWORD not in str(caught.value)


def test_a_busy_store_is_explained(log: EventLog, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "WAIT_SECONDS", 0.2)
    with (
        EventLog.open(url) as other,
        log._database.writing(),
        pytest.raises(StoreUnavailable, match="Another process has been writing"),
    ):
        other.append([fired()], recorded_at=START)
    assert log.append([fired()], recorded_at=START)[0].position == 1


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"this is no database at all, but it is long enough to look at" * 100)
    with pytest.raises(StoreUnavailable, match=r"not a database.*keep it"):
        EventLog.open(f"sqlite:///{path}")
    path.unlink()
    with EventLog.open(f"sqlite:///{path}") as log:
        log.append([fired(f"a{n}") for n in range(200)], recorded_at=START)
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreUnavailable, match=r"damaged|malformed"):
        EventLog.open(f"sqlite:///{path}").verify()


def test_a_server_that_came_back_is_used_again(postgresql_server: PostgresqlServer) -> None:
    url = postgresql_server.url(postgresql_server.create_database())
    with EventLog.open(url) as log:
        log.append([fired("a1")], recorded_at=START)
        engine = create_engine(url)
        with engine.begin() as connection:
            mine = "pid <> pg_backend_pid() AND datname = current_database()"
            ended = connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
            assert ended.all()
        engine.dispose()
        assert log.append([fired("a2")], recorded_at=START)[0].position == 2


def test_the_representation_of_a_log_has_no_password(log: EventLog) -> None:
    assert PASSWORD not in repr(log) + repr(log._database) + repr(log._database.engine) + log._database.name


# several at once


def test_readers_and_a_writer_dont_block_each_other(log: EventLog, url: str) -> None:
    log.append([fired("a1")], recorded_at=START)
    with EventLog.open(url) as reader:
        began = time.monotonic()
        with log._database.writing() as connection:
            connection.execute(projection_rows.delete())
            assert set(reader.rows(ALERTS)) == {"a1"}
            assert reader.head() == 1
            assert reader.verify().ok
            with EventLog.open(url) as third:  # an up-to-date store is opened without writing
                assert len(list(third.read())) == 1
            connection.rollback()
        with reader._database.reading() as snapshot:
            assert snapshot.scalar(select(log_head.c.position)) == 1
            log.append([fired("a2")], recorded_at=START)
            assert snapshot.scalar(select(log_head.c.position)) == 1
        assert reader.head() == 2
        assert time.monotonic() - began < 5  # a blocked one waits for ten seconds


def run(*targets: tuple[Callable[..., None], tuple[Any, ...]]) -> None:
    """Run each in a process of its own; all must end well within the deadline."""
    processes = [fork.Process(target=target, args=arguments) for target, arguments in targets]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(DEADLINE)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()
            process.join()


def append_batches(url: str, name: str, batches: int, barrier: Any) -> None:
    barrier.wait(DEADLINE)
    with EventLog.open(url) as log:
        for n in range(batches):
            batch = [fired(f"{name}-{n}-{k}") for k in range(3)] + [draft(tick(), "shared", f"{name}-{n}")]
            assert len(log.append(batch, recorded_at=START)) == 4


def test_two_processes_append_at_once_to_a_store_that_isnt_there_yet(url: str) -> None:
    barrier = fork.Barrier(2)
    run(*((append_batches, (url, name, 40, barrier)) for name in ("one", "two")))
    with EventLog.open(url) as log:
        found = list(log.read())
        assert len(found) == 320
        assert log.verify().ok
        assert [event.version for event in found if event.stream == "shared"] == list(range(1, 81))
        assert set(log.rows(ALERTS)) == {f"{x}-{n}-{k}" for x in ("one", "two") for n in range(40) for k in range(3)}
        rows = log.rows(ALERTS)
        log.rebuild()
        assert log.rows(ALERTS) == rows
        batches = [{event.payload.facts.alert[:-2] for event in found[i : i + 3]} for i in range(0, 320, 4)]
        assert all(len(batch) == 1 for batch in batches)  # no batch is torn apart


def count_up(url: str, times: int, barrier: Any) -> None:
    with EventLog.open(url) as log:
        barrier.wait(DEADLINE)
        done = 0
        while done < times:
            version = max(
                (event.version for event in log.read(stream="counter", newest_first=True, limit=1)), default=0
            )
            try:
                log.append(
                    [draft(tick(steps=version + 1), "counter")], recorded_at=START, expected={"counter": version}
                )
            except ConcurrencyError:
                continue
            done += 1


def test_expected_versions_hold_between_processes(url: str) -> None:
    EventLog.open(url).close()
    barrier = fork.Barrier(3)
    run(*((count_up, (url, 15, barrier)) for _ in range(3)))
    with EventLog.open(url) as log:
        steps = [event.payload.steps for event in log.read(stream="counter")]
        assert steps == list(range(1, 46))


def poll(url: str, stop: Any, answers: Any) -> None:
    slowest, polls, last = 0.0, 0, 0
    with EventLog.open(url) as log:
        while not stop.is_set():
            began = time.monotonic()
            rows, head = log.rows(ALERTS), log.head()
            newest = list(log.read(newest_first=True, limit=20))
            slowest = max(slowest, time.monotonic() - began)
            assert head >= last
            assert len(rows) % 5 == 0  # whole transactions alone
            assert not newest or newest[0].position % 5 == 0
            if polls % 10 == 0:
                assert log.verify().ok
            polls, last = polls + 1, head
    answers.put((polls, slowest))


def test_a_reader_polls_while_a_writer_appends(url: str) -> None:
    stop, answers = fork.Event(), fork.Queue()
    EventLog.open(url).close()
    reader = fork.Process(target=poll, args=(url, stop, answers))
    reader.start()
    try:
        slowest = 0.0
        with EventLog.open(url) as log:
            for n in range(60):
                began = time.monotonic()
                log.append([fired(f"a{n}-{k}") for k in range(5)], recorded_at=START)
                slowest = max(slowest, time.monotonic() - began)
        stop.set()
        polls, slowest_poll = answers.get(timeout=DEADLINE)
        reader.join(DEADLINE)
        assert reader.exitcode == 0
    finally:
        reader.kill()
        reader.join()
    assert polls > 5
    assert max(slowest, slowest_poll) < 5  # who is blocked waits for ten seconds


BATCH = 7


def append_until_killed(url: str, trial: int, done: Any) -> None:
    with EventLog.open(url) as log:
        for n in itertools.count():
            batch = [fired(f"{trial}-{n}-{k}") for k in range(BATCH)]
            reading = Reading(alert=f"{trial}-{n}", at=START, value=n)
            log.append(batch, recorded_at=START, readings=[reading])
            done.send(n)


def kill_after(url: str, trial: int, acknowledged: int, seconds: float) -> int:
    """Kill an appending process some time after its n-th batch; returns the last batch that it knew to be appended."""
    receive, send = fork.Pipe(duplex=False)
    process = fork.Process(target=append_until_killed, args=(url, trial, send))
    process.start()
    send.close()
    last = -1
    try:
        while last < acknowledged:
            assert receive.poll(DEADLINE), "the process appends nothing"
            last = receive.recv()
        time.sleep(seconds)
    finally:
        process.kill()
        process.join()
    try:
        while receive.poll():
            last = receive.recv()
    except (EOFError, OSError):
        pass
    return last


def test_a_killed_process_leaves_whole_transactions(url: str) -> None:
    chance = random.Random(20)
    known: dict[int, int] = {}
    for trial in range(20):
        known[trial] = kill_after(url, trial, chance.choice([-1, 0, 1, 2]), chance.uniform(0, 0.02))
        with EventLog.open(url) as log:
            assert log.verify().ok
            found = [event.payload.facts.alert for event in log.read()]
            assert len(found) % BATCH == 0
            batches = [found[i : i + BATCH] for i in range(0, len(found), BATCH)]
            for batch in batches:
                name = batch[0].rpartition("-")[0]
                assert batch == [f"{name}-{k}" for k in range(BATCH)]
            names = [batch[0].rpartition("-")[0] for batch in batches]
            assert set(log.rows(ALERTS)) == set(found)
            assert set(log.readings()) == set(names[-1:])
            for earlier, last in known.items():  # what was acknowledged is there
                assert {f"{earlier}-{n}" for n in range(last + 1)} <= set(names)
    assert sum(last + 1 for last in known.values()) > 0
    with EventLog.open(url) as log:
        rows = log.rows(ALERTS)
        log.rebuild()
        assert log.rows(ALERTS) == rows


def test_a_process_killed_while_it_creates_the_store(new_url: Callable[[], str]) -> None:
    chance = random.Random(10)
    for trial in range(6):
        url = new_url()
        kill_after(url, trial, -1, chance.uniform(0, 0.04))
        with EventLog.open(url) as log:
            assert log.verify().ok
            assert log.head() % BATCH == 0
            assert log.append([fired()], recorded_at=START)[0].position % BATCH == 1
            with pytest.raises(DBAPIError, match="append-only"):
                raw(url, "DELETE FROM events")


def test_threads_share_a_log(log: EventLog) -> None:
    with ThreadPoolExecutor(6) as pool:
        appended = list(pool.map(lambda n: log.append([fired(f"a{n}")], recorded_at=START), range(60)))
        seen = list(pool.map(lambda _: len(log.rows(ALERTS)), range(20)))
    assert sorted(event.position for (event,) in appended) == list(range(1, 61))
    assert seen == [60] * 20
    assert log.verify().ok


def test_any_sqlite_client_reads_the_file_while_it_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with EventLog.open(f"sqlite:///{path}") as log:
        log.append([fired()], recorded_at=START)
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as client:
            (row,) = client.execute("SELECT position, json_extract(payload, '$.facts.alert') FROM events")
        client.close()
        assert row == (1, "a1")
