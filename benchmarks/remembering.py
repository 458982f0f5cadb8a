"""The readings of many active alerts: read, go on by a tick of four steps, be thinned and written back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import world
from benchmarks.measure import Case

ALERTS = 5_000
STEPS = 4


@dataclass(frozen=True)
class Readings:
    """Alerts whose histories are as long as they get."""

    alerts: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """One tick's work on the readings."""
        import numpy as np
        import polars as pl

        from controlplane.eventlog.log import EventLog
        from controlplane.model.alerts import Alert, AlertState, Reading
        from controlplane.model.labels import canonical
        from controlplane.model.severity import Severity
        from controlplane.model.time import from_ms
        from controlplane.rules.pairs import Pairs
        from controlplane.rules.state import Terms
        from controlplane.tick.backfill import Line
        from controlplane.tick.pasts import Pasts
        from controlplane.tick.thinning import KEPT_MS

        start = world.START_MS
        alerts = [
            Alert(
                id=f"{number:016x}",
                rule="bench",
                source="bench",
                platform="bench",
                component="hosts",
                labels={"host": f"h{number}"},
                state=AlertState.FIRING,
                severity=Severity.WARNING,
                title="Full",
                summary="a host is full",
                value=0.9,
                threshold="> 0.85",
                unit="1",
                active_at=from_ms(start),
            )
            for number in range(self.alerts)
        ]
        random = np.random.default_rng(1)
        at = np.arange(start - KEPT_MS, start, world.STEP_MS, dtype=np.int64)
        lines = {(alert.id, start): Line(at, random.random(len(at))) for alert in alerts}
        log = EventLog.open(f"sqlite:///{folder / 'events.db'}")
        filled: list[Reading] = []
        for begin in range(0, len(alerts), 500):
            some = alerts[begin : begin + 500]
            pasts = Pasts({}, None, [(alert.id, start) for alert in some], lines, world.STEP_MS)
            filled += pasts.readings(some)
        log.append([], recorded_at=world.NOW, readings=filled)
        index = pl.DataFrame(
            {
                "rule": ["bench"] * len(alerts),
                "order": pl.zeros(len(alerts), pl.UInt32, eager=True),
                "source": ["bench"] * len(alerts),
                "labels": [canonical(alert.labels) for alert in alerts],
            }
        )
        shape, none = (STEPS, len(alerts)), np.zeros(len(alerts), np.int64)
        every, no = np.ones(shape, np.bool_), np.zeros(len(alerts), np.bool_)
        terms = Terms(none, none, none, no, no)
        turn = 0

        def work() -> None:
            nonlocal turn
            steps = start + world.STEP_MS * (turn * STEPS + np.arange(STEPS, dtype=np.int64))
            turn += 1
            pairs = Pairs(index, steps, none, no, random.random(shape), every, every, every, terms)
            made = Pasts(log.readings(), pairs, [], {}, world.STEP_MS).readings(alerts)
            log.append([], recorded_at=world.NOW, readings=made)

        return work


CASES = (
    Case(
        "readings-5k",
        f"histories of {ALERTS:,} active alerts: read, {STEPS} steps on, thinned, written",
        Readings(ALERTS),
        4,
        ALERTS,
        "alerts",
    ),
)
