"""The on-call terminal beside a writer: first paint, quitting, how long a key waits, processor, memory, many rows."""

import asyncio
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.measure import Case, Seconds

COLUMNS, LINES = 160, 50
ALERTS, RATE = 5_000, 100
ROWS = 50_000
WATCHED = 30.0
"""Seconds for which it is watched: two ticks."""
MOST_BYTES = 150_000_000
_WARM_UP = 6.0
_QUANTILES = 1_000


class Screen:
    """The program on a pseudo-terminal."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.set_blocking(self._master, False)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=folder, start_new_session=True
        )
        os.close(slave)
        self.written = b""

    def pump(self, seconds: float) -> None:
        """Take what it writes, for so long at most."""
        if select.select([self._master], [], [], seconds)[0]:
            with suppress(OSError):
                self.written += os.read(self._master, 65_536)

    def wait_for(self, text: bytes, patience: float = 60) -> float:
        """Seconds from the start until it has written a text."""
        while text not in self.written:
            if self.process.poll() is not None or time.perf_counter() - self.began > patience:
                raise RuntimeError(f"it never showed {text!r}: {self.written[-400:]!r}")
            self.pump(0.01)
        return time.perf_counter() - self.began

    def watch(self, seconds: float) -> None:
        """Take what it writes for so long."""
        ends = time.perf_counter() + seconds
        while (left := ends - time.perf_counter()) > 0:
            self.pump(left)

    def quit(self) -> float:
        """Seconds from the key to the end of the process."""
        began = time.perf_counter()
        os.write(self._master, b"q")
        while self.process.poll() is None and time.perf_counter() - began < 30:
            self.pump(0.002)
        taken = time.perf_counter() - began
        if self.process.returncode != 0:
            raise RuntimeError(f"it ended with {self.process.returncode}: {self.written[-400:]!r}")
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; nothing is done the second time."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    @property
    def cpu(self) -> float:
        """Processor seconds that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_bytes(self) -> int:
        """The most memory that it had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))

    def must_not_hold(self, name: str) -> None:
        """RuntimeError where it has loaded or opened something of this name."""
        held = Path(f"/proc/{self.process.pid}/maps").read_text(encoding="utf-8")
        held += "\n".join(str(one.readlink()) for one in Path(f"/proc/{self.process.pid}/fd").iterdir())
        if name in held:
            raise RuntimeError(f"the terminal holds {name}")


@dataclass(frozen=True)
class World:
    """A home with so many firing alerts; `rate` of them change each second while `run` is called."""

    alerts: int
    rate: int
    run: Callable[["Started"], Seconds]

    def __call__(self, folder: Path) -> Callable[[], object]:
        """Start the writer; the work runs the terminal."""
        home = folder / "home"
        home.mkdir()
        (folder / "controlplane.yaml").write_text("environment: bench\n", encoding="ascii")
        url = f"sqlite:///{home / 'events.db'}"
        root = str(Path(__file__).parents[1])
        environment = {**os.environ, "CONTROLPLANE_HOME": str(home), "TERM": "xterm-256color", "PYTHONPATH": root}
        for name in ("NO_COLOR", "COLUMNS", "LINES", "CONTROLPLANE_CONFIG"):
            environment.pop(name, None)
        environment["COLORTERM"] = "truecolor"

        def work() -> Seconds:
            command = [sys.executable, "-m", "benchmarks.terminal_load", "write", url, str(self.alerts), str(self.rate)]
            writer = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE)
            try:
                assert writer.stdout is not None
                if writer.stdout.readline() != b"ready\n":
                    raise RuntimeError("the writer of alerts failed")
                if not self.rate:
                    writer.kill()
                return self.run(Started(folder, environment))
            finally:
                writer.kill()
                writer.wait()

        return work


@dataclass(frozen=True)
class Started:
    """Starts the program in a folder."""

    folder: Path
    environment: dict[str, str]

    def screen(self, *program: str) -> Screen:
        """The terminal, by these words or by `controlplane tui`."""
        plain = (str(Path(sys.executable).with_name("controlplane")), "tui")
        return Screen(list(program or plain), self.environment, self.folder)


def first_paint(started: Started) -> Seconds:
    """From the start of the program to the first screen, warm."""
    seconds = Seconds()
    for _ in range(6):
        with started.screen() as screen:
            seconds.append(screen.wait_for(b"bench"))
            screen.wait_for(b"CRIT")
            screen.quit()
    return Seconds(seconds[1:])


def quitting(started: Started) -> Seconds:
    """From `q` to the end of the process."""
    seconds = Seconds()
    for _ in range(5):
        with started.screen() as screen:
            screen.wait_for(b"nearly full")
            screen.watch(1)
            seconds.append(screen.quit())
    return seconds


def waiting(started: Started) -> Seconds:
    """How long a key waits that is pressed at any moment, in equal shares of all moments."""
    file = started.folder / "turns.json"
    with started.screen(sys.executable, "-m", "benchmarks.terminal_load", "probe", str(file), "tui") as screen:
        screen.wait_for(b"nearly full")
        screen.watch(WATCHED + _WARM_UP)
        screen.must_not_hold("duckdb")
        peak = screen.peak_bytes
        screen.quit()
    turns = [cpu for _, cpu in json.loads(file.read_text(encoding="ascii"))]
    seconds = Seconds(shares(turns[len(turns) // 6 :], WATCHED))
    seconds.peak_bytes = peak
    return seconds


def shares(turns: list[float], total: float) -> list[float]:
    """The wait at each of a thousand quantiles: whoever comes in a turn of d seconds waits for what is left of it."""
    ordered, found = sorted(turns, reverse=True), []
    for share in range(_QUANTILES):
        # The longest wait that 1 - share of all moments exceed; bisected over its length.
        low, high = 0.0, ordered[0] if ordered else 0.0
        for _ in range(40):
            middle = (low + high) / 2
            beyond = sum(turn - middle for turn in ordered if turn > middle) / total
            low, high = (middle, high) if beyond > 1 - share / _QUANTILES else (low, middle)
        found.append(high)
    return found


def processor(started: Started) -> Seconds:
    """Processor seconds a second, of the whole process."""
    with started.screen() as screen:
        screen.wait_for(b"nearly full")
        screen.watch(_WARM_UP)
        before, began = screen.cpu, time.perf_counter()
        screen.watch(WATCHED)
        seconds = Seconds([(screen.cpu - before) / (time.perf_counter() - began)])
        screen.must_not_hold("duckdb")
        seconds.peak_bytes = screen.peak_bytes
        screen.quit()
    if seconds.peak_bytes > MOST_BYTES:
        raise RuntimeError(f"it took {seconds.peak_bytes / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:,.0f} MB")
    return seconds


@dataclass(frozen=True)
class Rows:
    """A list of so many rows in a running app; `filtered` says whether it is filtered or sorted."""

    number: int
    filtered: bool

    def __call__(self, folder: Path) -> Callable[[], object]:  # noqa: ARG002 - called like the others
        """Make the rows."""
        from datetime import UTC, datetime

        from benchmarks.terminal_load import facts
        from controlplane.model.alerts import Alert, AlertState
        from controlplane.model.payloads import TickCompleted
        from tui.data import Snapshot

        now = datetime.now(UTC)
        alerts = {}
        for number in range(self.number):
            found = facts(number, now)
            known = {name: getattr(found, name) for name in type(found).model_fields if name != "alert"}
            alerts[found.alert] = Alert(
                id=found.alert, state=AlertState.FIRING, fired_at=found.active_at, episode="e", **known
            )
        tick = TickCompleted(now=now, step_ms=15_000, steps=1, transitions=0, recommendations=0, notifications=0)
        snapshot = Snapshot.of("bench", alerts=alerts, tick=tick, position=1)

        async def run() -> Seconds:
            from tui.app import ControlplaneApp
            from tui.data import SnapshotReader
            from tui.filter import Filter
            from tui.widgets.row_list import RowList

            class Fixed(SnapshotReader):
                def poll(self, now: datetime) -> Snapshot | None:  # noqa: ARG002 - called like the others
                    return None

            def never() -> object:
                raise RuntimeError("the rows are handed to the list; no log is opened")

            app = ControlplaneApp(Fixed(never), None, environment="bench")  # type: ignore[arg-type]  # it has no log and acts on none
            async with app.run_test(size=(COLUMNS, LINES)) as pilot:
                app.post_message(ControlplaneApp.Arrived(snapshot))
                while not app.delivered:
                    await asyncio.sleep(0.01)
                await pilot.pause()
                rows = app.screen.query_one(RowList)
                seconds = Seconds()
                lines = ("platform:alpha sev:crit disk", "host-0077", "-behind", "kafka", "")
                for turn in range(5):
                    rows.show(snapshot.rows, now)  # as a snapshot does; what was sorted is forgotten
                    await pilot.pause()
                    began = time.perf_counter()
                    if self.filtered:
                        rows.set_filter(Filter.parse(lines[turn]))
                    else:
                        rows.next_order()
                    seconds.append(time.perf_counter() - began)
                    await pilot.pause()
                return seconds

        return lambda: asyncio.run(run())


CASES = (
    Case(
        "tui-first-paint",
        f"controlplane tui, to the first paint, {ALERTS:,} alerts",
        World(ALERTS, 0, first_paint),
        1,
        target=0.5,
        why="whoever was woken sees something at once",
    ),
    Case("tui-quit", "from q to the end of the process", World(ALERTS, RATE, quitting), 1, target=0.3),
    Case(
        "tui-wait",
        f"a key waits for the loop, {ALERTS:,} alerts, {RATE} change a second",
        World(ALERTS, RATE, waiting),
        1,
        target=0.05,
        why="below 50 ms a key feels at once",
        tail=True,
    ),
    Case(
        "tui-processor",
        "processor seconds a second of the same, memory of the process",
        World(ALERTS, RATE, processor),
        1,
        target=0.05,
        why="it runs all night beside what it watches",
    ),
    Case("tui-filter", f"filter {ROWS:,} rows", Rows(ROWS, filtered=True), 1, target=0.1),
    Case("tui-sort", f"sort {ROWS:,} rows", Rows(ROWS, filtered=False), 1, target=0.1),
)
