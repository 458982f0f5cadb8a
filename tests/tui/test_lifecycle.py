"""Starting, quitting and staying quick: in a real terminal, beside a writer, and without what it must not load."""

import asyncio
import os
import pty
import select
import statistics
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from textual.widgets._footer import FooterKey

from controlplane.eventlog.log import EventLog
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.severity import Severity
from tests.servers import require_binary
from tests.tui import sample
from tests.tui.driving import Clock, alerts, ready, terminal, until
from tests.tui.sample import NOW
from tui.app import ControlplaneApp
from tui.data import Snapshot, SnapshotReader
from tui.filter import Filter

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from controlplane.eventlog.log import EventLog
from controlplane.operator import Operator
from tui.start import run

log = EventLog.open(sys.argv[1])
class Slow:
    def __getattr__(self, name):
        def call(*args, **options):
            if name in sys.argv[3:]:
                Path(sys.argv[2]).touch()
                time.sleep(30)
            return getattr(log, name)(*args, **options)
        return call
now = datetime(2026, 3, 1, 19, 4, 20, tzinfo=UTC)
sys.exit(run(Slow(), Operator(log), environment="prod-eu", actor="ana", as_of=now))
"""

AT_FIRST = """
import sys
from pathlib import Path
from controlplane.cli import main
from tui.app import ControlplaneApp

def painted(app):
    Path(sys.argv[2]).write_text(" ".join(sys.modules))
    app.exit()

ControlplaneApp._begin = painted
sys.exit(main(["tui", "--config", sys.argv[1]]))
"""
"""The program, which ends when the first picture is painted and notes what is loaded by then."""
WHOLE = """
import sys
from controlplane.cli import main
sys.exit(main(["tui", "--config", sys.argv[1]]))
"""


def test_the_terminal_loads_neither_duckdb_nor_dagster() -> None:
    code = textwrap.dedent(
        """
        import sys
        import tui.app, tui.screens.detail, tui.screens.help
        from tui.data import SnapshotReader
        heavy = {"duckdb", "dagster", "polars", "apprise", "confluent_kafka", "sqlalchemy", "pyarrow", "requests"}
        heavy |= {"controlplane.model.rules", "controlplane.model.methods", "rich.markdown"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_store_loads_no_telemetry(tmp_path: Path) -> None:
    sample.open_log(tmp_path).close()
    code = textwrap.dedent(
        """
        import sys
        from datetime import UTC, datetime
        from controlplane.eventlog.log import EventLog
        from tui.data import SnapshotReader
        snapshot = SnapshotReader(lambda: EventLog.open(sys.argv[1])).poll(datetime.now(UTC))
        assert snapshot is not None and not snapshot.error, snapshot
        print(sorted({"duckdb", "dagster", "polars", "apprise"} & set(sys.modules)))
        """
    )
    url = f"sqlite:///{tmp_path / 'events.db'}"
    done = subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class Terminal:
    """A program on a pseudo-terminal of 80x24; what it writes is collected."""

    def __init__(self, *args: str, program: str = PROGRAM) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "PYTHONPATH": str(ROOT)}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *args],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.written = b""

    def pump(self, seconds: float = 0.05) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.written += os.read(self.master, 65_536)
            except OSError:  # the other side is closed
                time.sleep(seconds)

    def wait_for(self, text: bytes, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.written:
            assert time.monotonic() < deadline, self.written[-2_000:]
            assert self.process.poll() is None, self.written[-2_000:]
            self.pump()

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self, seconds: float = 10) -> float:
        """Seconds until the program ended by itself."""
        began = time.monotonic()
        while self.process.poll() is None and time.monotonic() - began < seconds:
            self.pump(0.01)
        took = time.monotonic() - began
        self.pump(0)
        return took

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def url(log: EventLog, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'events.db'}"


@pytest.fixture
def opened(url: str) -> Iterator[list[Terminal]]:
    terminals: list[Terminal] = []
    yield terminals
    for found in terminals:
        found.close()


def test_the_first_picture_waits_for_no_model_store_or_other_screen(tmp_path: Path, opened: list[Terminal]) -> None:
    settings, loaded = tmp_path / "controlplane.yaml", tmp_path / "loaded"
    settings.write_text(f"environment: prod-eu\nhome: {tmp_path / 'home'}\n", encoding="utf-8")
    found = Terminal(str(settings), str(loaded), program=AT_FIRST)
    opened.append(found)
    found.end(60)
    assert found.process.returncode == 0, found.written[-2_000:]
    assert b"prod-eu" in found.written
    assert b"Reading the event store" in found.written
    assert not (tmp_path / "home").exists()
    late = {"pydantic", "pydantic_core", "sqlalchemy", "polars", "duckdb", "rich.markdown", "textual.widgets.markdown"}
    late |= {f"controlplane.{name}" for name in ("settings", "bootstrap", "eventlog", "model.base", "cli.alerts")}
    late |= {f"tui.{name}" for name in ("data.entries", "travel", "screens.detail", "screens.advice", "screens.help")}
    assert sorted(late & set(loaded.read_text(encoding="utf-8").split())) == []


def test_wrong_settings_end_it_with_what_is_wrong(tmp_path: Path, opened: list[Terminal]) -> None:
    settings = tmp_path / "controlplane.yaml"
    settings.write_text("environment: prod-eu\nsorces: []\n", encoding="utf-8")
    found = Terminal(str(settings), program=WHOLE)
    opened.append(found)
    found.end(60)
    _, restored, after = found.written.partition(b"\x1b[?1049l")
    assert (found.process.returncode, bool(restored)) == (2, True), found.written[-2_000:]
    assert b"Did you mean 'sources'?" in b" ".join(after.split())
    assert b"Traceback" not in found.written


@pytest.mark.parametrize("slow", [[], ["head"], ["latest_readings"]])
def test_it_quits_at_once_also_while_a_poll_hangs(
    url: str, tmp_path: Path, opened: list[Terminal], slow: list[str]
) -> None:
    took = []
    for attempt in range(3):  # a busy machine may take its time; waiting for the poll would take 30 s each time
        polling = tmp_path / f"polling-{attempt}"
        found = Terminal(url, str(polling), *slow)
        opened.append(found)
        found.wait_for(b"Kafka" if not slow else b"Reading")
        while slow and not polling.exists():
            found.pump()
        found.press(b"q")
        took.append(found.end())

        assert found.process.returncode == 0
        assert b"\x1b[?1049l" in found.written, "the terminal is restored"
        assert b"\x1b[?25h" in found.written, "the cursor is shown again"
        assert b"Traceback" not in found.written
        if took[-1] < 1:
            break
    assert min(took) < 1, took


async def test_quitting_stops_the_polling_thread(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("q")
    assert app.return_code == 0
    assert not app._poller.is_alive()
    assert "poll" not in {thread.name for thread in threading.enumerate()}


def five_thousand(now_offset: int = 0) -> Snapshot:
    """A snapshot of 5,000 alerts whose values differ from one `now_offset` to the next."""
    made = {}
    readings = {}
    severities = list(Severity)
    for number in range(5_000):
        found = sample.facts(labels={"consumer_group": f"group-{number}", "topic": f"t{number % 40}"})
        known = {name: getattr(found, name) for name in type(found).model_fields if name != "alert"}
        known["severity"] = severities[number % 3]
        known["platform"] = ("prism", "catalyst", "absmach", "datalyptica")[number % 4]
        at = NOW - timedelta(seconds=number)
        made[found.alert] = Alert(id=found.alert, state=AlertState.FIRING, fired_at=at, episode="e", **known)
        readings[found.alert] = sample.reading(found, [1.0, 100_000.0 + number + now_offset])
    tick = sample.ticked(NOW).payload
    return Snapshot.of("bench", alerts=made, readings=readings, tick=tick, position=now_offset + 1)


class Fixed:
    """A reader whose snapshots come from the test."""

    environment, answered_at, wait, log = "", NOW, timedelta(seconds=60), None

    def poll(self, now) -> None:
        return None

    def known(self) -> None:
        return None


async def test_5000_alerts_renewed_each_second_do_not_hold_up_the_loop() -> None:
    snapshots = [five_thousand(number) for number in range(5)]
    app = ControlplaneApp(Fixed(), None, environment="bench", clock=Clock())
    async with app.run_test(size=(160, 50)) as pilot:
        worst: list[float] = []
        for snapshot in snapshots:
            turns: list[float] = []
            app.post_message(ControlplaneApp.Arrived(snapshot))
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                # The processor time of this thread between two turns of the loop: a busy machine doesn't count.
                began = time.thread_time()
                await asyncio.sleep(0.001)
                turns.append(time.thread_time() - began)
            worst.append(max(turns))
        await pilot.pause()
        assert len(alerts(app).rows) == 5_000
        assert statistics.median(worst) < 0.05, worst


async def test_filtering_and_sorting_5000_alerts_take_less_than_100_ms() -> None:
    app = ControlplaneApp(Fixed(), None, environment="bench", clock=Clock())
    async with app.run_test(size=(160, 50)) as pilot:
        app.post_message(ControlplaneApp.Arrived(five_thousand()))
        await until(lambda: app.delivered)
        await pilot.pause()
        found = alerts(app)

        def best(act: Callable[[], object]) -> float:
            taken = []
            for _ in range(3):  # a collection of the test session's own garbage may fall into one of them
                began = time.thread_time()
                act()
                taken.append(time.thread_time() - began)
            return min(taken)

        for line, number in (("platform:prism sev:crit lag", 417), ("group-77", 11), ("-behind", 0), ("", 5_000)):
            assert best(partial(found.set_filter, Filter.parse(line))) < 0.1, line
            assert len(found.rows) == number
        assert best(found.next_order) < 0.1


async def test_an_unchanged_second_costs_next_to_nothing() -> None:
    app = ControlplaneApp(Fixed(), None, environment="bench", clock=Clock())
    async with app.run_test(size=(160, 50)) as pilot:
        app.post_message(ControlplaneApp.Arrived(five_thousand()))
        await until(lambda: app.delivered)
        await pilot.pause()
        taken = []
        for _ in range(5):
            began = time.thread_time()
            app.deliver(fresh=False)
            taken.append(time.thread_time() - began)
        assert statistics.median(taken) < 0.02, taken


async def test_keys_of_the_footer_are_made_anew_only_where_they_differ(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        before = set(app.screen.query(FooterKey))
        app.screen.refresh_bindings()
        await pilot.pause()
        assert set(app.screen.query(FooterKey)) == before != set()
        app.read_only = True
        app.screen.refresh_bindings()
        await until(lambda: (now := set(app.screen.query(FooterKey))) and now.isdisjoint(before), "other keys")


def test_a_real_terminal_through_resizes_and_updates(url: str, log: EventLog) -> None:
    tmux = require_binary("tmux")
    session = f"tui-{uuid.uuid4().hex[:8]}"
    socket = ["-L", session, "-f", "/dev/null"]

    # Under these two the program would keep the size that they name.
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}

    def run(*args: str) -> str:
        command = [str(tmux), *socket, *args]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    def screen() -> str:
        return run("capture-pane", "-p", "-t", session)

    def worked() -> float:
        """Processor seconds of the program: how long it waits for a busy machine says nothing about it."""
        pid = run("display-message", "-p", "-t", session, "#{pane_pid}").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def shows(text: str, seconds: float = 10) -> str:
        began, deadline = worked(), time.monotonic() + 180
        while text not in (found := screen()):
            assert worked() - began < seconds, found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found

    hostile = sample.facts(
        "hostile",
        labels={"host": "\x1b[2J\x1b]0;x\x07[red]", "cjk": "日本語" * 20, "long": "x" * 10_000},
        title="[red]literal[/red] \x1b[31m日本語",
        summary="y" * 10_000,
    )
    program = [sys.executable, "-c", PROGRAM, url]
    run(
        "new-session",
        "-d",
        "-s",
        session,
        "-x",
        "160",
        "-y",
        "50",
        "-c",
        str(ROOT),
        "-e",
        f"PYTHONPATH={ROOT}",
        *program,
    )
    try:
        shows("Kafka consumer group")
        for number, width in enumerate((60, 160, 60, 100, 160)):
            run("resize-window", "-t", session, "-x", str(width), "-y", "50" if width > 60 else "15")
            later = sample.ticked(NOW + timedelta(seconds=number))
            new = sample.facts(f"new-{number}", title=f"New alert {number}", active_at=NOW)
            sample.append(log, [sample.fired(new, timedelta(0)), later])
            shows(f"New alert {number}")
        sample.append(log, [sample.fired(hostile, timedelta(0))])
        found = shows("[red]literal[/red]")
        assert "Traceback" not in found
        assert all(len(line) <= 160 for line in found.split("\n"))
        assert "LIVE" in found
        run("send-keys", "-t", session, "q")
        deadline = time.monotonic() + 5
        while subprocess.run([str(tmux), *socket, "has-session", "-t", session], capture_output=True).returncode == 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        subprocess.run([str(tmux), *socket, "kill-server"], capture_output=True)


def test_the_reader_is_cheap_while_nothing_changes(log: EventLog) -> None:
    reader = SnapshotReader(log)
    reader.poll(NOW)
    began = time.thread_time()
    for _ in range(50):
        assert reader.poll(NOW) is None
    assert (time.thread_time() - began) / 50 < 0.005
