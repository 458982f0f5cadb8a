"""What happens to the store and to the ticker while the terminal is open: real files, a real process, real signals."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from controlplane.eventlog import database
from controlplane.eventlog.log import EventLog
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.driving import Clock, alerts, painted, ready, renew, screen_text, terminal, until
from tests.tui.past import short_past
from tests.tui.sample import NOW
from tui.app import ControlplaneApp
from tui.data import SnapshotReader
from tui.screens.confirm import ConfirmDialog
from tui.trust import Mode

ROOT = Path(__file__).parents[2]
SIZE = (240, 24)
TICKER = """
import sys
from datetime import datetime, timedelta
from controlplane.eventlog.log import EventLog
from tests.tui import sample

log = EventLog.open(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    sample.append(log, [sample.ticked(sample.NOW + timedelta(seconds=float(line)))])
    print("ticked", flush=True)
"""
"""Ticks at each time that it reads: seconds after NOW."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A closed store with the short past."""
    with sample.open_log(tmp_path) as log:
        sample.append(log, short_past())
    return tmp_path / "events.db"


@pytest.fixture
def log(store: Path) -> Iterator[EventLog]:
    """The same, open."""
    with EventLog.open(f"sqlite:///{store}") as opened:
        yield opened


class Ticker:
    """A process that ticks when it is told to."""

    def __init__(self, store: Path) -> None:
        command = [sys.executable, "-c", TICKER, f"sqlite:///{store}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert self.said() == "ready"

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, seconds: float) -> None:
        """Have it tick at a time, as soon as it can."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        """Stop it as `kill -STOP` does, and see that it is."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def goes_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def ticker(store: Path) -> Iterator[Ticker]:
    started = Ticker(store)
    yield started
    started.goes_on()
    started.process.kill()
    started.process.communicate()


def shows(app: ControlplaneApp, text: str) -> bool:
    return text in " ".join(screen_text(app).split())


async def refused(pilot: Pilot[None]) -> None:
    """No key of an action does anything."""
    for key in ("a", "y", "s", "n"):
        await pilot.press(key)
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 1, key


async def lost(pilot: Pilot[None], app: ControlplaneApp) -> None:
    await until(lambda: app.trusted.mode is Mode.DISCONNECTED, "disconnected")
    await pilot.pause()


async def live(pilot: Pilot[None], app: ControlplaneApp) -> None:
    app.wake()
    await until(lambda: app.trusted.mode is Mode.LIVE, "live")
    await pilot.pause()


async def test_a_stopped_ticker_is_seen_and_one_that_goes_on_too(store: Path, log: EventLog, ticker: Ticker) -> None:
    clock = Clock()
    app = terminal(log, clock=clock)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        ticker.ask(15)
        assert ticker.said() == "ticked"
        clock.forward(timedelta(seconds=15))
        await renew(pilot)
        assert app.trusted.mode is Mode.LIVE
        age = painted(alerts(app)).split("\n")[1]

        ticker.stop()
        ticker.ask(30)
        head = log.head()
        clock.forward(timedelta(seconds=46))
        await until(lambda: app.trusted.mode is Mode.STALE, "stale")
        await until(lambda: shows(app, "STALE: no tick for 46s, one is due every 15s"), "the banner")
        assert painted(alerts(app)).split("\n")[1] != age
        await refused(pilot)
        clock.forward(timedelta(seconds=14))
        await until(lambda: shows(app, "no tick for 1m"), "the age of the banner")
        assert log.head() == head

        ticker.goes_on()
        assert ticker.said() == "ticked"
        ticker.ask(75)
        assert ticker.said() == "ticked"
        await renew(pilot)
        assert app.trusted.mode is Mode.LIVE
        assert not shows(app, "STALE")
        await pilot.press("a")
        assert isinstance(app.screen, ConfirmDialog)


async def test_a_removed_store_is_waited_for_and_taken_up_again(store: Path, log: EventLog, tmp_path: Path) -> None:
    clock = Clock()
    app = terminal(log, clock=clock)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        before, rows = painted(alerts(app)), app.snapshot.rows
        away = store.rename(tmp_path / "away.db")
        await lost(pilot, app)
        assert shows(app, "No such file or directory. Put the file back, or restore the last backup")
        assert shows(app, "next try in")
        assert painted(alerts(app)).strip()[:200] == before.strip()[:200]
        assert app.snapshot.rows is rows
        await refused(pilot)
        assert not store.exists()

        away.rename(store)
        await live(pilot, app)
        assert app.snapshot.rows == rows


async def test_a_restored_backup_is_read_from_its_beginning(store: Path, log: EventLog, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(store)) as source, contextlib.closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        sample.append(log, [sample.fired(sample.facts("after-the-backup"), timedelta(0)), sample.ticked()])
        await renew(pilot)
        assert "after-the-backup" in {row.alert.rule for row in app.snapshot.rows}
        for name in ("events.db", "events.db-wal", "events.db-shm"):
            (tmp_path / name).unlink()
        await lost(pilot, app)
        backup.rename(store)
        with EventLog.open(f"sqlite:///{store}") as other:
            sample.append(other, [sample.fired(sample.facts("of-the-backup"), timedelta(0)), sample.ticked()])
        await live(pilot, app)
        found = {row.alert.rule for row in app.snapshot.rows}
        assert "of-the-backup" in found
        assert "after-the-backup" not in found
        assert app.snapshot.position == log.head()


def test_nothing_is_written_into_a_file_that_is_gone(store: Path, log: EventLog) -> None:
    alert = next(iter(SnapshotReader(log).poll(NOW).rows))
    store.unlink()
    with pytest.raises(database.StoreUnavailable, match="No such file"):
        Operator(log).acknowledge(alert.id, actor="ana", now=NOW)
    with EventLog.open(f"sqlite:///{store}"):
        with pytest.raises(database.StoreUnavailable, match="another file has taken its place"):
            log.head()
        assert log.head() == 0


async def test_a_damaged_store_leaves_the_picture_and_says_what_to_do(store: Path, log: EventLog) -> None:
    log.close()  # what is in the write-ahead log is in the file then
    good = store.read_bytes()
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        rows = app.snapshot.rows
        log.close()
        store.write_bytes(b"\xde\xad\xbe\xef" * (len(good) // 4))
        await lost(pilot, app)
        assert shows(app, "file is not a database. The file is damaged")
        assert shows(app, "next try in")
        assert app.snapshot.rows is rows
        await refused(pilot)
        assert store.read_bytes()[:4] == b"\xde\xad\xbe\xef"

        store.write_bytes(good)
        await live(pilot, app)
        assert app.snapshot.rows == rows


async def test_a_damaged_store_at_the_start_is_no_empty_one(store: Path) -> None:
    good = store.read_bytes()
    store.write_bytes(os.urandom(4096))
    reader = SnapshotReader(lambda: EventLog.open(f"sqlite:///{store}"))
    app = ControlplaneApp(reader, None, environment="prod-eu", clock=Clock())
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.trusted.mode is Mode.DISCONNECTED
        assert not shows(app, "No firing alerts")
        store.write_bytes(good)
        await live(pilot, app)
        assert len(app.snapshot.rows) == 2
    assert reader.log is not None
    reader.log.close()


async def test_who_writes_for_long_holds_up_an_action_and_no_picture(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2)
    with (
        EventLog.open(f"sqlite:///{store}") as log,
        contextlib.closing(sqlite3.connect(store, isolation_level=None)) as other,
    ):
        app = terminal(log)
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            await ready(pilot)
            row = alerts(app).selected
            other.execute("BEGIN IMMEDIATE")
            await pilot.press("a", "tab", "enter")
            await until(lambda: row.id in app.failed, "the failure")
            assert "locked" in app.failed[row.id]
            assert app.trusted.mode is Mode.LIVE
            assert app.snapshot.by_id[row.id].alert.acknowledged is None
            other.execute("COMMIT")
            await pilot.press("a", "tab", "enter")
            await until(lambda: app.snapshot.by_id[row.id].alert.acknowledged is not None, "the acknowledgement")
            assert row.id not in app.failed
