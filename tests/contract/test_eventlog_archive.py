"""Retention of the event log: old events move to files and nothing is lost, on SQLite and a real PostgreSQL."""

import gzip
import itertools
import json
import multiprocessing
import os
import random
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, select
from sqlalchemy.exc import DBAPIError

from controlplane.eventlog import archive as archive_module
from controlplane.eventlog import archive_file
from controlplane.eventlog import log as log_module
from controlplane.eventlog.archive import ArchiveReport
from controlplane.eventlog.codec import document, event_hash, parse_document
from controlplane.eventlog.database import Database
from controlplane.eventlog.errors import EventStoreError, StoreUnavailable, UnreadableEvent
from controlplane.eventlog.export import json_lines
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, DELIVERIES, PROJECTIONS, RECOMMENDATIONS, TICK
from controlplane.eventlog.schema import TRIGGERS, events, snapshots
from controlplane.eventlog.schema import projections as projection_rows
from controlplane.maintenance import maintain
from controlplane.model.alerts import Alert
from controlplane.model.events import Draft
from controlplane.model.payloads import AlertFired, AlertResolved, NotificationQueued
from controlplane.settings import Retention, Settings
from controlplane.telemetry.store import SampleStore
from tests.contract.tampering import raw, without_triggers
from tests.drafts import HOSTILE, START, delivery, draft, drafts, facts, tick
from tests.servers_postgresql import PostgresqlServer

fork = multiprocessing.get_context("fork")
DEADLINE = 60.0
MINUTE = timedelta(minutes=1)
SMALL = tuple(replace(p, keep=2) if p is DELIVERIES else p for p in PROJECTIONS)
MIDDLE = START + 5 * MINUTE
"""Five of the ten events of `filled` are older."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "archive"


def fired(alert: str, key: str = "k", **fields: Any) -> Draft:
    return draft(AlertFired(facts=facts(alert, **fields)), f"alert/{alert}", key)


def fill(log: EventLog, first: int = 1, last: int = 10) -> None:
    """One event a minute; a1, a2, … fire, and every third one is a tick."""
    for n in range(first, last + 1):
        one = draft(tick(steps=n), "tick", f"{n}") if n % 3 == 0 else fired(f"a{n}")
        log.append([one], recorded_at=START + (n - 1) * MINUTE)


@pytest.fixture
def filled(log: EventLog) -> EventLog:
    fill(log)
    return log


def rows_of(log: EventLog, table: Any = projection_rows) -> list[tuple[Any, ...]]:
    with log._database.reading() as connection:
        found = select(table.c.name, table.c.key, table.c.doc, table.c.position)
        return sorted(tuple(row) for row in connection.execute(found))


def lines(folder: Path) -> list[str]:
    """Every archived line in order of the files."""
    found = sorted(folder.glob("events-*.jsonl.gz"), key=lambda path: int(path.name.split("-")[1]))
    return [line for path in found for line in gzip.decompress(path.read_bytes()).decode("ascii").splitlines()]


# what is archived


def test_nothing_to_archive(log: EventLog, folder: Path) -> None:
    nothing = ArchiveReport(0, 0)
    assert log.archive(START, folder) == nothing
    fill(log)
    assert log.archive(START, folder) == nothing  # recorded at, not before
    assert "no event is old enough" in str(nothing)
    assert log.start() == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("minutes", "archived"),
    [([0], 1), ([9], 1), ([10], 0), ([11], 0), ([1, 2, 10, 3], 2), ([10, 1], 0), ([5, 3, 9], 3), ([9, 10, 11], 1)],
)
def test_the_longest_prefix_that_is_older(log: EventLog, folder: Path, minutes: list[int], archived: int) -> None:
    for n, minute in enumerate(minutes):
        log.append([draft(tick(steps=n))], recorded_at=START + minute * MINUTE)
    report = log.archive(START + 10 * MINUTE, folder)
    assert (report.events, report.start, log.start()) == (archived, archived, archived)
    assert [event.position for event in log.read()] == list(range(archived + 1, len(minutes) + 1))


def test_a_time_without_a_zone_is_refused(filled: EventLog, folder: Path) -> None:
    with pytest.raises(ValueError, match="zone"):
        filled.archive(datetime(2030, 1, 1), folder)  # noqa: DTZ001 - it is refused
    assert filled.start() == 0


def test_the_file_has_the_lines_of_the_export(filled: EventLog, folder: Path) -> None:
    everything = list(json_lines(filled))
    report = filled.archive(MIDDLE, folder)
    (path,) = report.files
    assert path == folder / "events-1-5.jsonl.gz"
    assert report == ArchiveReport(5, 5, (path,), path.stat().st_size)
    assert "5 events archived in 1 file" in str(report)
    assert lines(folder) == everything[:5]
    assert list(json_lines(filled)) == everything[5:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert path.read_bytes()[4:8] == bytes(4)  # no time in the header
    assert filled.archive(MIDDLE, folder) == ArchiveReport(0, 5)
    assert filled.archive(START + 7 * MINUTE, folder).files == (folder / "events-6-7.jsonl.gz",)
    assert lines(folder) == everything[:7]


def test_the_same_events_give_the_same_bytes(postgresql_server: PostgresqlServer, tmp_path: Path) -> None:
    found = []
    for name, url in (
        ("a", f"sqlite:///{tmp_path}/a.db"),
        ("b", postgresql_server.url(postgresql_server.create_database())),
    ):
        with EventLog.open(url) as log:
            hostile = [AlertFired(facts=facts(text, labels={text: text})) for text in HOSTILE]
            log.append([draft(each, f"é\x00\\{n}", "k") for n, each in enumerate(hostile)], recorded_at=START)
            (path,) = log.archive(MIDDLE, tmp_path / name).files
            found.append(path.read_bytes())
            assert log.verify(archives=tmp_path / name).checked == len(HOSTILE)
    assert found[0] == found[1]


def test_very_many_events_make_several_files(filled: EventLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MOST", 3)
    report = filled.archive(START + 8 * MINUTE, folder)
    assert [path.name for path in report.files] == [
        "events-1-3.jsonl.gz",
        "events-4-6.jsonl.gz",
        "events-7-8.jsonl.gz",
    ]
    assert (report.events, report.start) == (8, 8)
    assert filled.verify(archives=folder).checked == 10


def test_progress_ends_with_everything(log: EventLog, folder: Path) -> None:
    log.append([fired(f"a{n}") for n in range(2_500)], recorded_at=START)
    told: list[tuple[int, int]] = []
    log.archive(MIDDLE, folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(1000, 2500), (2000, 2500)]


@given(drafts)
@settings(max_examples=200, deadline=None)
def test_a_line_is_read_as_it_was_written(one: Draft) -> None:
    from controlplane.eventlog.append import prepare

    (stored,) = prepare([one], START)
    assert parse_document(document(stored)) == stored


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"payload":{}}', "[" * 100_000, "1" * 10_000, '"x"'])
def test_a_line_that_is_no_event(line: str) -> None:
    with pytest.raises(ValueError, match="no event"):
        parse_document(line)


# the log after archiving


def test_the_log_goes_on(filled: EventLog, folder: Path, url: str) -> None:
    before = list(filled.read())
    filled.archive(MIDDLE, folder)
    assert (filled.start(), filled.head()) == (5, 10)
    assert list(filled.read()) == before[5:]
    assert list(filled.read(after=2, until=7)) == before[5:7]
    assert list(filled.read(newest_first=True, limit=99)) == before[:4:-1]
    assert filled.get(before[0].id) is None
    assert filled.get(before[5].id) == before[5]
    (eleventh,) = filled.append([draft(tick(), "tick", "11")], recorded_at=START)
    assert (eleventh.position, eleventh.version, eleventh.previous_hash) == (11, 4, before[-1].hash)
    with EventLog.open(url) as again:
        assert again.start() == 5
        assert again.verify().checked == 6


def test_versions_of_a_stream_go_on_after_its_last_event_was_archived(filled: EventLog, folder: Path) -> None:
    filled.archive(START + 10 * MINUTE, folder)
    assert (filled.start(), filled.head(), list(filled.read())) == (10, 10, [])
    (new,) = filled.append([fired("a1", "2")], recorded_at=START, expected={"alert/a1": 1, "tick": 3, "other": 0})
    assert (new.position, new.version) == (11, 2)
    filled.archive(START + 10 * MINUTE, folder)
    (next_,) = filled.append([fired("a1", "3")], recorded_at=START)
    assert (next_.position, next_.version, next_.previous_hash) == (12, 3, new.hash)
    assert filled.verify(archives=folder).checked == 12


def test_the_id_of_an_archived_event_is_forgotten(filled: EventLog, folder: Path) -> None:
    assert filled.append([fired("a1")], recorded_at=START) == []
    filled.archive(MIDDLE, folder)
    assert [event.version for event in filled.append([fired("a1")], recorded_at=START)] == [2]


# append-only


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM events", "append-only"),
        ("DELETE FROM events WHERE position = 6", "append-only"),
        ("DELETE FROM events WHERE position >= 5", "append-only"),
        ("UPDATE events SET actor = 'mallory'", "append-only"),
        ("UPDATE events SET position = 5 WHERE position = 6", "append-only"),
        ("UPDATE archives SET last = 4", "only moves forward"),
        ("UPDATE archives SET last = 7", "only moves forward"),
        ("UPDATE archives SET hash = 'x'", "only moves forward"),
        ("DELETE FROM archives", "only moves forward"),
        ("INSERT INTO archives VALUES (3, 1, 'x')", "only moves forward"),
        ("INSERT INTO archives VALUES (5, 6, 'x')", "only moves forward"),
        ("INSERT INTO archives VALUES (7, 6, 'x')", "only moves forward"),
        ("INSERT INTO archives VALUES (99, 6, 'x')", "only moves forward"),
        ("INSERT INTO archives SELECT position, 7, hash FROM events WHERE position = 8", "only moves forward"),
    ],
)
def test_the_start_only_moves_forward_and_the_rest_stays(
    filled: EventLog, folder: Path, url: str, statement: str, words: str
) -> None:
    filled.archive(MIDDLE, folder)
    before = list(filled.read())
    with pytest.raises(DBAPIError, match=words):
        raw(url, statement)
    if url.startswith("sqlite"):
        with pytest.raises(DBAPIError, match=words):
            raw(url, statement.replace("INSERT", "INSERT OR REPLACE").replace("UPDATE", "UPDATE OR REPLACE"))
    else:
        for table, refused in (("events", "append-only"), ("archives", "only moves forward")):
            with pytest.raises(DBAPIError, match=refused):
                raw(url, f"TRUNCATE {table}")
    assert list(filled.read()) == before
    raw(url, "DELETE FROM events WHERE position <= 5")  # there is none
    assert filled.verify(archives=folder).checked == 10


# verify


def rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    changed = change(gzip.decompress(path.read_bytes()).decode("ascii").splitlines())
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in changed).encode("ascii")))


def forged(line: str) -> str:
    """The event of another actor with the hash that fits."""
    stored = parse_document(line)._replace(actor="mallory")
    return document(stored._replace(hash=event_hash(stored)))


def edit(path: Path, index: int, change: Callable[[str], str]) -> None:
    rewrite(path, lambda all_: [change(line) if n == index else line for n, line in enumerate(all_)])


BROKEN: list[tuple[str, Callable[[Path], object], int, str]] = [
    ("missing", lambda path: path.unlink(), 4, "isn't there"),
    ("a folder", lambda path: (path.unlink(), path.mkdir()), 4, "can't be read"),
    ("empty", lambda path: path.write_bytes(b""), 4, "is missing"),
    ("no gzip", lambda path: path.write_bytes(b"hello"), 4, "damaged"),
    ("cut off", lambda path: path.write_bytes(path.read_bytes()[:-5]), 6, "damaged"),
    (
        "checksum",
        lambda path: path.write_bytes(path.read_bytes()[:-8] + b"\0\0\0\0" + path.read_bytes()[-4:]),
        6,
        "damag",
    ),
    ("payload", lambda path: edit(path, 1, lambda line: line.replace("0.91", "0.92")), 5, "was changed"),
    ("actor", lambda path: edit(path, 0, lambda line: line.replace('"controlplane"', '"mallory"')), 4, "was changed"),
    ("forged", lambda path: edit(path, 0, forged), 5, "previous hash"),
    ("last forged", lambda path: edit(path, 2, forged), 6, "isn't the one that the log has"),
    ("space", lambda path: edit(path, 2, lambda line: line.replace(",", ", ", 1)), 6, "isn't written as"),
    ("key", lambda path: edit(path, 2, lambda line: line[:-1] + ',"x":1}'), 6, "isn't written as"),
    ("no event", lambda path: edit(path, 1, lambda line: "nonsense"), 5, "no event"),
    ("accent", lambda path: path.write_bytes(gzip.compress("é\n".encode())), 4, "no event"),
    ("no line end", lambda path: path.write_bytes(gzip.compress(b"{}")), 4, "no end"),
    ("first removed", lambda path: rewrite(path, lambda all_: all_[1:]), 4, "is missing"),
    ("middle removed", lambda path: rewrite(path, lambda all_: [all_[0], all_[2]]), 5, "is missing"),
    ("tail removed", lambda path: rewrite(path, lambda all_: all_[:2]), 6, "end of the file was removed"),
    ("exchanged", lambda path: rewrite(path, lambda all_: [all_[1], all_[0], all_[2]]), 4, "is missing"),
    ("twice", lambda path: rewrite(path, lambda all_: [*all_, all_[2]]), 6, "weren't archived in this file"),
]


@pytest.mark.parametrize(("change", "position", "words"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN])
def test_verify_names_file_and_position_of_the_first_broken_link(
    filled: EventLog, folder: Path, change: Callable[[Path], object], position: int, words: str
) -> None:
    for minute in (3, 6, 8):
        filled.archive(START + minute * MINUTE, folder)
    told: list[tuple[int, int]] = []
    good = filled.verify(archives=folder, progress=lambda *done: told.append(done))
    assert (good.ok, good.checked, told[-1]) == (True, 10, (10, 10))
    change(folder / "events-4-6.jsonl.gz")
    found = filled.verify(archives=folder)
    assert (found.ok, found.position) == (False, position)
    assert found.problem.startswith(f"events-4-6.jsonl.gz, position {position}: ")
    assert words in found.problem
    assert 3 <= found.checked < position
    assert filled.verify().ok  # the log itself is as it was
    with pytest.raises(EventStoreError, match=r"events-4-6.jsonl.gz"):
        filled.rebuild(archives=folder)


@pytest.mark.parametrize(
    ("statements", "position", "words"),
    [
        (("DELETE FROM events WHERE position = 6",), 6, "missing"),
        (("UPDATE events SET previous_hash = 'x' WHERE position = 6",), 6, "previous hash"),
        (("UPDATE events SET actor = 'mallory' WHERE position = 8",), 8, "changed"),
        (("DELETE FROM events",), 6, "tail was removed"),
        (("UPDATE events SET position = 5 WHERE position = 6",), 5, "before the start"),
    ],
)
def test_verify_begins_with_the_last_archived_hash(
    filled: EventLog, folder: Path, url: str, statements: tuple[str, ...], position: int, words: str
) -> None:
    filled.archive(MIDDLE, folder)
    assert filled.verify().checked == 5
    raw(url, *without_triggers(url), *statements)
    for archives, more in ((None, 0), (folder, 5)):
        found = filled.verify(archives=archives)
        assert (found.ok, found.position) == (False, position)
        assert words in found.problem
        assert found.checked == max(position - 6, 0) + more


@pytest.mark.parametrize(("newest", "checked"), [(1, 1), (4, 4), (5, 5), (6, 5), (10, 5), (99, 5)])
def test_the_newest_links(filled: EventLog, folder: Path, newest: int, checked: int) -> None:
    filled.archive(MIDDLE, folder)
    found = filled.verify(newest=newest)
    assert (found.ok, found.checked) == (True, checked)
    with pytest.raises(ValueError, match="exclude"):
        filled.verify(newest=newest, archives=folder)


# rebuild


def check_rebuild(url: str, home: Path, batches: Sequence[tuple[Sequence[Draft], int]]) -> None:
    """Archive up to a minute after some batches: rows stay what they are without archiving, however they are built."""
    with (
        EventLog.open(url, projections=SMALL) as log,
        EventLog.open(f"sqlite:///{home}/plain.db", projections=SMALL) as plain,
    ):
        for n, (batch, cut) in enumerate(batches):
            for each in (log, plain):
                each.append(batch, recorded_at=START + n * MINUTE)
            if cut >= 0:
                log.archive(START + cut * MINUTE, home / "archive")
        assert [*lines(home / "archive"), *json_lines(log)] == list(json_lines(plain))
        incremental = rows_of(plain)
        snapshot = rows_of(log, snapshots)
        assert rows_of(log) == incremental
        log.rebuild()
        assert rows_of(log) == incremental
        log.rebuild(archives=home / "archive")
        assert (rows_of(log), rows_of(log, snapshots)) == (incremental, snapshot)
        assert log.verify(archives=home / "archive").checked == plain.head()
    renamed = tuple(replace(p, version=p.version + 1) for p in SMALL)
    for archives in (None, home / "archive"):
        with EventLog.open(url, projections=renamed, archives=archives) as newer:
            assert rows_of(newer) == incremental
        with EventLog.open(url, projections=SMALL, archives=archives) as back:
            assert rows_of(back) == incremental


_BATCHES = st.lists(st.tuples(st.lists(drafts, max_size=6), st.integers(-1, 8)), max_size=8)
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@settings(max_examples=40, deadline=None, suppress_health_check=_SLOW)
@given(_BATCHES)
def test_incremental_equals_rebuilt_on_sqlite(found: list[tuple[list[Draft], int]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        check_rebuild(f"sqlite:///{home}/events.db", Path(home), found)


@settings(max_examples=6, deadline=None, suppress_health_check=_SLOW)
@given(found=_BATCHES)
def test_incremental_equals_rebuilt_on_postgresql(
    postgresql_server: PostgresqlServer, found: list[tuple[list[Draft], int]]
) -> None:
    with tempfile.TemporaryDirectory() as home:
        url = postgresql_server.url(postgresql_server.create_database())
        check_rebuild(url, Path(home), found)


def test_a_bounded_projection_has_a_bounded_snapshot(url: str, folder: Path) -> None:
    with EventLog.open(url, projections=SMALL) as log:
        for n in range(5):
            log.append([draft(NotificationQueued(delivery=delivery(f"d{n}")))], recorded_at=START + n * MINUTE)
            log.archive(START + n * MINUTE, folder)
        assert [row[1] for row in rows_of(log, snapshots) if row[0] == "deliveries"] == ["d2", "d3"]
        rows = rows_of(log)
        log.rebuild()
        assert rows_of(log) == rows


def test_rows_are_mended_from_the_snapshot(filled: EventLog, folder: Path, url: str) -> None:
    filled.archive(MIDDLE, folder)
    rows = rows_of(filled)
    raw(url, "DELETE FROM projections")
    filled.rebuild(["alerts"])
    assert set(filled.rows(ALERTS)) == {"a1", "a2", "a4", "a5", "a7", "a8", "a10"}
    filled.rebuild()
    assert rows_of(filled) == rows


class Renamed(Alert):
    """A model that can't read older rows."""

    team: str


def test_a_model_that_cant_read_the_snapshot_needs_the_files(filled: EventLog, folder: Path, url: str) -> None:
    def fold(row: Renamed | None, event: Any) -> Renamed | None:
        base = ALERTS.fold(row, event)
        return base and Renamed(**{**base.model_dump(), "team": "sre"})

    newer = (replace(ALERTS, version=2, model=Renamed, fold=fold), *PROJECTIONS[1:])
    filled.archive(MIDDLE, folder)
    for archives in (None, folder / "nowhere"):
        with pytest.raises(UnreadableEvent, match=r"snapshot of the projection alerts.*missing back"):
            EventLog.open(url, projections=newer, archives=archives)
    with EventLog.open(url, projections=newer, archives=folder) as upgraded:
        rows = upgraded.rows(newer[0])
        assert {row.team for row in rows.values()} == {"sre"}
        assert len(rows) == 7
        upgraded.rebuild()  # the snapshot is of the new version now
        assert upgraded.rows(newer[0]) == rows
    with pytest.raises(EventStoreError, match="Restart"):
        filled.archive(START + 9 * MINUTE, folder)
    assert filled.start() == 5


def test_a_new_projection_is_folded_from_the_files(url: str, folder: Path) -> None:
    with EventLog.open(url, projections=[TICK]) as log:
        fill(log)
        log.archive(MIDDLE, folder)
    with EventLog.open(url, archives=folder) as log:
        assert set(log.rows(ALERTS)) == {"a1", "a2", "a4", "a5", "a7", "a8", "a10"}
        rows = rows_of(log)
        log.rebuild()
        assert rows_of(log) == rows


def test_events_are_archived_while_projections_are_rebuilt_and_the_log_is_verified(
    filled: EventLog, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 2)
    rows = rows_of(filled)
    with EventLog.open(url) as other:
        minutes = iter((3, 6))

        def archive_once(done: int, total: int) -> None:
            other.archive(START + next(minutes, 0) * MINUTE, folder)

        filled.rebuild(progress=archive_once)
        assert filled.start() == 6
        assert rows_of(filled) == rows
        minutes = iter((8, 9))
        found = filled.verify(progress=archive_once)
    assert filled.start() == 9
    assert found.ok
    assert filled.verify(archives=folder).checked == 10


# what can go wrong


def test_a_broken_chain_isnt_archived(filled: EventLog, folder: Path, url: str) -> None:
    raw(url, *without_triggers(url), "UPDATE events SET actor = 'mallory' WHERE position = 3")
    with pytest.raises(EventStoreError, match=r"the log is broken: position 3: .*Nothing was archived"):
        filled.archive(MIDDLE, folder)
    assert filled.start() == 0
    assert len(list(filled.stored())) == 10
    assert not list(folder.glob("events-*"))


def test_a_hole_isnt_archived(filled: EventLog, folder: Path, url: str) -> None:
    raw(url, *without_triggers(url), "DELETE FROM events WHERE position = 5")
    with pytest.raises(EventStoreError, match="position 5 of the log is missing"):
        filled.archive(MIDDLE, folder)
    assert filled.start() == 0


def test_a_file_of_another_log_is_left_alone(filled: EventLog, folder: Path, new_url: Callable[[], str]) -> None:
    with EventLog.open(new_url()) as other:
        fill(other, last=4)
        other.append([fired("other")], recorded_at=START)
        other.archive(MIDDLE, folder)
    path = folder / "events-1-5.jsonl.gz"
    before = path.read_bytes()
    with pytest.raises(EventStoreError, match=r"events-1-5.jsonl.gz, position 5: .*move the file away"):
        filled.archive(MIDDLE, folder)
    assert filled.start() == 0
    assert path.read_bytes() == before
    path.rename(folder / "elsewhere")
    assert filled.archive(MIDDLE, folder).events == 5


def test_a_folder_that_cant_be_used_is_explained(filled: EventLog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for bad in (tmp_path / "file", tmp_path / "file" / "archive", Path("/proc/archive")):
        with pytest.raises(StoreUnavailable, match="Check the folder"):
            filled.archive(MIDDLE, bad)
    assert filled.start() == 0


def test_one_process_at_a_time(filled: EventLog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(archive_module, "_BUSY_SECONDS", 0.1)
    folder.mkdir(parents=True)
    with FileLock(folder / "archive.lock"), pytest.raises(StoreUnavailable, match="another process is archiving"):
        filled.archive(MIDDLE, folder)
    assert filled.archive(MIDDLE, folder).events == 5


def test_another_folder_was_faster(filled: EventLog, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = archive_file.publish

    def overtaken(temporary: Path, path: Path) -> None:
        monkeypatch.setattr(archive_file, "publish", publish)
        publish(temporary, path)
        with EventLog.open(url) as other:
            assert other.archive(START + 3 * MINUTE, folder / "other").events == 3

    monkeypatch.setattr(archive_file, "publish", overtaken)
    report = filled.archive(MIDDLE, folder)
    assert report.files == (folder / "events-4-5.jsonl.gz",)
    assert filled.verify().checked == 5


def test_writers_and_readers_go_on_while_events_are_archived(log: EventLog, folder: Path, url: str) -> None:
    log.append([fired(f"old{n}") for n in range(3_000)], recorded_at=START)
    slowest, told = 0.0, 0
    with EventLog.open(url) as other:

        def append(done: int, total: int) -> None:
            nonlocal slowest, told
            began = time.monotonic()
            other.append([fired(f"new{done}")], recorded_at=MIDDLE)
            assert other.verify(newest=10).ok
            slowest, told = max(slowest, time.monotonic() - began), told + 1

        report = log.archive(MIDDLE, folder, progress=append)
    assert (report.events, told) == (3_000, 3)
    assert slowest < 5  # who is blocked waits for ten seconds
    assert log.verify(archives=folder).checked == 3_003


# kill -9


def archive_and_die(url: str, folder: Path, before: datetime, at: str) -> None:
    """Archive, and be killed when the named point is reached."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    patch = pytest.MonkeyPatch()
    if at == "half written":
        real, calls = archive_file.document, itertools.count()
        patch.setattr(archive_file, "document", lambda stored: die() if next(calls) == 3 else real(stored))
    elif at == "before the rename":
        patch.setattr(archive_file, "publish", die)
    elif at == "after the rename":
        patch.setattr(archive_module.Archiver, "_commit", die)
    elif at == "in the transaction":
        patch.setattr(archive_module, "replace_versions", die)
    elif at == "before the commit":
        commit_ = Database.writing

        @contextmanager
        def never(self: Database) -> Iterator[Any]:
            with commit_(self) as connection:
                yield connection
                die()

        patch.setattr(Database, "writing", never)
    elif at == "after the commit":
        commit = archive_module.Archiver._commit
        patch.setattr(archive_module.Archiver, "_commit", lambda *a: (commit(*a), die()))
    with EventLog.open(url) as log:
        log.archive(before, folder)


def killed(url: str, folder: Path, before: datetime, at: str = "", after: float | None = None) -> int | None:
    process = fork.Process(target=archive_and_die, args=(url, folder, before, at))
    process.start()
    try:
        process.join(DEADLINE if after is None else after)
    finally:
        process.kill()
        process.join()
    return process.exitcode


def check_whole(url: str, folder: Path, everything: list[str]) -> int:
    """Every event is in the log or in a file, the chain holds, and rows are those of a rebuild; returns the start."""
    with EventLog.open(url) as log:
        start = log.start()
        assert list(json_lines(log)) == everything[start:]
        assert lines_until(folder, start) == everything[:start]
        assert log.verify().ok
        assert log.verify(archives=folder).checked == len(everything)
        rows = rows_of(log)
        log.rebuild()
        assert rows_of(log) == rows
    return start


def lines_until(folder: Path, start: int) -> list[str]:
    found, position = [], 0
    while position < start:
        last = max(last for last in archive_file.lasts(folder, position + 1) if last <= start)
        path = folder / f"events-{position + 1}-{last}.jsonl.gz"
        found += gzip.decompress(path.read_bytes()).decode("ascii").splitlines()
        position = last
    return found


@pytest.mark.parametrize(
    ("at", "archived"),
    [
        ("half written", 0),
        ("before the rename", 0),
        ("after the rename", 0),
        ("in the transaction", 0),
        ("before the commit", 0),
        ("after the commit", 5),
    ],
)
@pytest.mark.parametrize("later", [5, 7, 3])
def test_killed_at_a_point(url: str, folder: Path, at: str, archived: int, later: int) -> None:
    with EventLog.open(url) as log:
        fill(log)
        everything = list(json_lines(log))
    assert killed(url, folder, MIDDLE, at) == -signal.SIGKILL
    assert check_whole(url, folder, everything) == archived
    left = {path.name: path.stat().st_ino for path in folder.glob("events-*")}
    assert set(left) == (set() if at in {"half written", "before the rename"} else {"events-1-5.jsonl.gz"})
    with EventLog.open(url) as log:
        report = log.archive(START + later * MINUTE, folder)
        assert report.start == max(later, archived)
        fill(log, 11, 11)
        everything += list(json_lines(log))[-1:]
    assert check_whole(url, folder, everything) == report.start
    assert not list(folder.glob(".*"))
    if left and later >= 5:  # what was finished was used
        assert (folder / "events-1-5.jsonl.gz").stat().st_ino == left["events-1-5.jsonl.gz"]


def test_killed_at_any_moment(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MOST", 40)
    chance = random.Random(30)
    started, everything, seen, cut = START, [], set(), 0
    with EventLog.open(url) as log:
        log.append([fired("warm up")], recorded_at=START - MINUTE)
        began = time.monotonic()
        log.archive(START, folder)
        usual = 0.05 + 2 * (time.monotonic() - began)
        everything += lines(folder)
    for trial in range(30):
        with EventLog.open(url) as log:
            batch = [fired(f"{trial}-{n}") for n in range(60)]
            batch += [
                draft(AlertResolved(facts=facts(f"{trial - 1}-{n}"), fired_at=START, reason="condition"))
                for n in range(30)
            ]
            head = log.head()
            log.append(batch, recorded_at=started + trial * MINUTE)
            everything += list(json_lines(log, after=head))
        before = started + (trial + 1) * MINUTE
        code = killed(url, folder, before, after=chance.uniform(0, usual))
        start = check_whole(url, folder, everything)
        assert start >= cut
        seen.add((code, start == len(everything)))
        cut = start
    assert (-signal.SIGKILL, False) in seen
    with EventLog.open(url) as log:
        log.archive(before, folder)
    assert check_whole(url, folder, everything) == len(everything) == 1 + 30 * 90


# tables of version 1


def test_a_store_of_version_1_is_lifted(filled: EventLog, folder: Path, url: str) -> None:
    new = ("archives", "archived_streams", "snapshots", "snapshot_versions")
    if url.startswith("sqlite"):
        old = [f"DROP TRIGGER events_no_{what}" for what in ("update", "delete", "replace")]
        old += [f"DROP TABLE {table}" for table in new]
        old += [TRIGGERS["sqlite"][0], TRIGGERS["sqlite"][2]]
        old += ["CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'no'); END"]
    else:
        names = ("events_append_only", "events_no_delete", "archives_forward", "archives_follow")
        old = [f"DROP FUNCTION {name}() CASCADE" for name in names]
        old += [f"DROP TABLE {table}" for table in new]
        old += [
            TRIGGERS["postgresql"][0],
            """CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
               FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()""",
        ]
    everything = list(json_lines(filled))
    raw(url, *old, "UPDATE log_head SET schema_version = 1")
    with EventLog.open(url) as log:
        with pytest.raises(DBAPIError, match="append-only"):
            raw(url, "DELETE FROM events")
        assert log.archive(MIDDLE, folder).events == 5
    assert check_whole(url, folder, everything) == 5
    raw(url, "UPDATE log_head SET schema_version = 3")
    with pytest.raises(EventStoreError, match="version 3, this program knows 2"):
        EventLog.open(url)


# mirror and maintenance


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    return SampleStore(tmp_path / "home" / "telemetry.duckdb")


def mirrored(store: SampleStore) -> list[int]:
    return store.query("SELECT position FROM events ORDER BY position")["position"].to_list()


def test_the_mirror_goes_on_after_archiving(filled: EventLog, folder: Path, store: SampleStore) -> None:
    folder.parent.mkdir()
    assert store.mirror(filled).appended == 10
    filled.archive(MIDDLE, folder)
    assert (store.mirror(filled).appended, store.mirror(filled).rebuilt) == (0, False)
    fill(filled, 11, 12)
    found = store.mirror(filled)
    assert (found.appended, found.rebuilt, mirrored(store)) == (2, False, list(range(1, 13)))
    filled.archive(START + 12 * MINUTE, folder)  # everything, and the last mirrored event with it
    fill(filled, 13, 13)
    found = store.mirror(filled)
    assert (found.appended, found.rebuilt, mirrored(store)) == (1, False, list(range(1, 14)))
    store.maintain(START + timedelta(hours=1), Retention(events=timedelta(minutes=51)))
    assert mirrored(store) == [10, 11, 12, 13]
    assert store.mirror(filled).appended == 0


def test_a_mirror_that_lags_behind_the_archive_begins_where_the_log_starts(
    filled: EventLog, folder: Path, store: SampleStore
) -> None:
    folder.parent.mkdir()
    store.mirror(filled)
    fill(filled, 11, 15)
    filled.archive(START + 13 * MINUTE, folder)
    found = store.mirror(filled)
    assert (found.appended, found.rebuilt, mirrored(store)) == (2, True, [14, 15])


def test_a_log_without_events_left_is_mirrored(filled: EventLog, folder: Path, store: SampleStore) -> None:
    folder.parent.mkdir()
    store.mirror(filled)
    filled.archive(START + 10 * MINUTE, folder)
    for _ in range(2):
        assert store.mirror(filled).appended == 0
    fill(filled, 11, 11)
    assert store.mirror(filled).appended == 1
    assert mirrored(store)[-1] == 11


def test_maintenance_mirrors_archives_and_compacts(log: EventLog, store: SampleStore, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    configured = Settings(home=home, retention=Retention(events=timedelta(days=2)))
    day = datetime(2026, 3, 1, tzinfo=UTC)
    for hours in (1, 23, 24, 30):
        log.append([draft(tick(steps=hours))], recorded_at=day + timedelta(hours=hours))
    told: list[str] = []
    nothing = maintain(configured, log, store, day + timedelta(days=3) - timedelta(microseconds=1), told.append)
    assert (nothing.mirrored.appended, nothing.archived.events) == (4, 0)
    assert "Mirroring the event log" in told
    now = day + timedelta(days=3, hours=5)  # all before the second of March is older than two days
    done = maintain(configured, log, store, now)
    assert (done.mirrored.appended, done.archived.events, log.start()) == (0, 2, 2)
    assert done.archived.files == (home / "archive" / "events-1-2.jsonl.gz",)
    assert done.telemetry.rows_after["events"] == 1
    as_json = json.loads(json.dumps(done.as_dict()))
    assert (as_json["mirrored_events"], as_json["archived_events"], as_json["log_start"]) == (0, 2, 2)
    assert as_json["rows_after"]["events"] == 1
    again = maintain(configured, log, store, now)
    assert (again.mirrored.appended, again.archived.events) == (0, 0)


def test_telemetry_is_kept_small_although_the_archive_fails(log: EventLog, store: SampleStore, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "archive").write_text("in the way")
    log.append([draft(tick()), draft(tick())], recorded_at=START)
    configured = Settings(home=home, retention=Retention(events=timedelta(days=1)))
    with pytest.raises(StoreUnavailable, match="Check the folder"):
        maintain(configured, log, store, START + timedelta(days=9))
    assert mirrored(store) == [2]


def test_recommendations_stay_after_archiving(log: EventLog, folder: Path) -> None:
    from controlplane.model.payloads import RecommendationProposed
    from tests.drafts import recommendation

    log.append([draft(RecommendationProposed(recommendation=recommendation()))], recorded_at=START)
    rows = log.rows(RECOMMENDATIONS)
    log.archive(MIDDLE, folder)
    log.rebuild()
    assert log.rows(RECOMMENDATIONS) == rows != {}


def test_an_event_put_before_the_start_is_found(filled: EventLog, folder: Path, url: str) -> None:
    first = next(filled.stored())
    filled.archive(MIDDLE, folder)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(events), first._asdict())
    engine.dispose()
    found = filled.verify()
    assert (found.ok, found.position) == (False, 1)
    assert "before the start of the log" in found.problem
