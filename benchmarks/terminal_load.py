"""What the benchmark of the terminal runs beside it: a writer of alerts that fire and change, and the program itself.

`python -m benchmarks.terminal_load write URL COUNT RATE` says `ready` once COUNT alerts fire, and then changes RATE of
them a second. `python -m benchmarks.terminal_load probe FILE ARGUMENT …` is `controlplane ARGUMENT …` that writes to
FILE, as it ends, how long its event loop was busy between two looks at its selector.
"""

import json
import selectors
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog
    from controlplane.model.payloads import AlertFacts

STEP = timedelta(seconds=15)
_BITES = 10
"""Appends a second."""
_POINTS = 120


def facts(number: int, now: datetime) -> "AlertFacts":
    """The facts of an alert; ages from a minute to two days, three severities, four platforms."""
    from controlplane.model.alerts import alert_id
    from controlplane.model.payloads import AlertFacts
    from controlplane.model.severity import Severity

    labels = {"host": f"host-{number % 700:04}", "mountpoint": f"/data/{number % 12}", "n": str(number)}
    return AlertFacts(
        alert=alert_id("bench-disk", "bench", labels),
        rule="bench-disk",
        source="bench",
        platform=("alpha", "beta", "gamma", "delta")[number % 4],
        component=("hosts", "kafka", "postgresql")[number % 3],
        labels=labels,
        severity=list(Severity)[number % 3],
        title="A disk is nearly full" if number % 2 else "A consumer group is behind",
        summary=f"host-{number % 700:04} is 91 % full",
        value=0.91,
        threshold="> 0.85",
        unit="1",
        active_at=now - timedelta(seconds=60 + number * 35 % 172_800),
    )


def fill(log: "EventLog", count: int, now: datetime) -> None:
    """Let so many alerts fire, with readings, and a tick after them."""
    from controlplane.model.events import Draft
    from controlplane.model.payloads import AlertFired

    drafts = []
    for number in range(count):
        found = facts(number, now)
        stream = f"alert:{found.alert}"
        drafts.append(Draft(stream=stream, key="fired", payload=AlertFired(facts=found), occurred_at=found.active_at))
    log.append(drafts, recorded_at=now)
    tick(log, count, now)


def tick(log: "EventLog", count: int, now: datetime) -> None:
    """A tick with a reading of every alert."""
    from controlplane.model.alerts import Reading
    from controlplane.model.events import Draft
    from controlplane.model.payloads import SamplesIngested, TickCompleted

    step = int(STEP.total_seconds() * 1000)
    end = int(now.timestamp() * 1000) // step * step
    ingested = SamplesIngested(
        source="bench",
        start_ms=end - step,
        end_ms=end,
        step_ms=step,
        rows=count,
        series=count,
        nan_rows=0,
        digest="0" * 64,
    )
    done = TickCompleted(now=now, step_ms=step, steps=1, transitions=0, recommendations=0, notifications=0)
    times = [int(now.timestamp() * 1000) - (_POINTS - 1 - index) * step for index in range(_POINTS)]
    readings = []
    for number in range(count):
        history = [(at, 0.8 + 0.001 * ((index + number) % 110)) for index, at in enumerate(times)]
        readings.append(Reading.of(facts(number, now).alert, now, history[-1][1], history))
    key = now.isoformat()
    drafts = [
        Draft(stream="source:bench", key=key, payload=ingested, occurred_at=now),
        Draft(stream="tick", key=key, payload=done, occurred_at=now),
    ]
    log.append(drafts, recorded_at=now, readings=readings)


def write(url: str, count: int, rate: int) -> None:
    """Fill the log, say so, and change alerts until killed."""
    from controlplane.eventlog.log import EventLog

    with EventLog.open(url) as log:
        began = datetime.now(UTC)
        alerts = [facts(number, began).alert for number in range(count)]
        fill(log, count, began)
        tick(log, count, datetime.now(UTC))
        click.echo("ready")
        _change(log, alerts, rate)


def _change(log: "EventLog", alerts: list[str], rate: int) -> None:
    from controlplane.model.events import Draft
    from controlplane.model.payloads import AlertHeld, AlertReturned

    ticked, turn, began = time.monotonic(), 0, time.monotonic()
    share = max(1, rate // _BITES)
    while True:
        now = datetime.now(UTC)
        drafts = []
        for index in range(share):
            name = alerts[(turn * share + index) * 37 % len(alerts)]
            held = (turn * share // len(alerts) + turn) % 2
            payload: Any = (
                AlertHeld(alert=name, why="missing", since=now)
                if held
                else AlertReturned(alert=name, value=0.86 + turn % 13 / 100)
            )
            drafts.append(Draft(stream=f"alert:{name}", key=f"{turn}/{index}", payload=payload, occurred_at=now))
        log.append(drafts, recorded_at=now)
        if time.monotonic() - ticked >= STEP.total_seconds():
            ticked = time.monotonic()
            tick(log, len(alerts), datetime.now(UTC))
        turn += 1
        time.sleep(max(0.0, began + turn / _BITES - time.monotonic()))


def probe(file: str, arguments: list[str]) -> int:
    """The command line, with the busy times of the event loop noted: (wall, processor) seconds of each turn."""
    turns: list[tuple[float, float]] = []
    began = [0.0, 0.0]
    plain = selectors.DefaultSelector.select

    def select(self: Any, timeout: float | None = None) -> Any:
        if began[0]:
            turns.append((time.perf_counter() - began[0], time.thread_time() - began[1]))
        try:
            return plain(self, timeout)
        finally:
            began[:] = time.perf_counter(), time.thread_time()

    selectors.DefaultSelector.select = select  # type: ignore[method-assign]  # every turn of the loop passes there
    from controlplane.cli import main

    code = main(arguments)
    Path(file).write_text(json.dumps(turns), encoding="ascii")
    return code


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(probe(sys.argv[2], sys.argv[3:]))
