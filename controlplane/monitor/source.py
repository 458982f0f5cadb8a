"""What the control plane knows of itself, as samples: decisions about it are made like all others."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES, OUTBOX, SOURCES, TICK
from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.time import Window, from_ms
from controlplane.model.views import DeliveryState
from controlplane.monitor.freshness import STALE_STEPS
from controlplane.monitor.vitals import ChainVitals, ClockVitals, read
from controlplane.oncall.roster import SOURCE as SCHEDULES
from controlplane.rules.files import OWN
from controlplane.telemetry.collector import Batch, SignalKey

SOURCE_AGE = "controlplane.source.age"
SOURCE_FAILED = "controlplane.source.failed"
SOURCE_LOST = "controlplane.source.lost"
OUTBOX_AGE = "controlplane.outbox.age"
DEAD_LETTERS = "controlplane.dead_letters"
CHAIN_OK = "controlplane.chain.ok"
CLOCK_SKEW = "controlplane.clock.skew"
TICK_GAP = "controlplane.tick.gap"
SCHEDULE_FAILED = "controlplane.schedule.failed"
SIGNALS = (
    *(SOURCE_AGE, SOURCE_FAILED, SOURCE_LOST, SCHEDULE_FAILED),
    *(OUTBOX_AGE, DEAD_LETTERS, CHAIN_OK, CLOCK_SKEW, TICK_GAP),
)

LETTERS_OF = timedelta(hours=1)
"""Dead letters of so long are counted."""
CLOCK_LASTS = timedelta(minutes=5)
"""A reading of a clock that is older says nothing."""
Sample = tuple[str, dict[str, str], float]
"""Signal, labels, value."""


class SelfCollector:
    """Reads projections and vitals as they are when it is asked; it has no history. See Collector for what it offers.

    It sees the log as the tick before left it, so that a source that answers now is one tick old.
    """

    history = False

    def __init__(
        self, log: EventLog, home: Path, sources: Sequence[str], step: timedelta, schedules: Sequence[str] = ()
    ) -> None:
        self.name = OWN
        self.lookback = step
        self.max_catch_up = max(step, timedelta(hours=1))
        self._log, self._home, self._sources, self._step = log, home, tuple(sources), step
        self._schedules = tuple(schedules)

    def signals(self) -> tuple[SignalKey, ...]:
        """All that is known."""
        return tuple(SignalKey(OWN, signal) for signal in SIGNALS)

    def check(self) -> list[str]:
        """Nothing can be wrong with it that isn't wrong with the stores."""
        return []

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        """The samples of the last step of each window."""
        ends = {key.signal: window.end for key, window in windows.items() if len(window)}
        if not ends:
            return Batch(self.name, Samples.empty())
        now = from_ms(max(ends.values()))
        found = sorted((signal, canonical(labels), value) for signal, labels, value in self._samples(now))
        rows = [(n, *row) for n, row in enumerate(row for row in found if row[0] in ends)]
        series = [(sid, self.name, OWN, signal, labels) for sid, signal, labels, _ in rows]
        samples = [(sid, ends[signal], value) for sid, signal, _, value in rows]
        coverage = [(self.name, OWN, signal, end, end) for signal, end in sorted(ends.items())]
        return Batch(
            self.name,
            Samples(
                pl.DataFrame(series, SERIES, orient="row"),
                pl.DataFrame(samples, SAMPLES, orient="row"),
                pl.DataFrame(coverage, COVERAGE, orient="row"),
            ),
        )

    def _samples(self, now: datetime) -> Iterator[Sample]:
        yield from self._of_sources(now)
        yield from self._of_schedules()
        yield from self._of_messages(now)
        chain = read(self._home, ChainVitals)
        if chain is not None:
            yield CHAIN_OK, {}, float(chain.ok)
        for name, reading in sorted((read(self._home, ClockVitals) or ClockVitals()).sources.items()):
            if name in self._sources and abs(now - reading.at) <= CLOCK_LASTS:
                yield CLOCK_SKEW, {"source": name}, abs(reading.seconds)
        last = self._log.row(TICK, "tick")
        if last is not None:
            yield TICK_GAP, {}, max(0.0, (now - last.now).total_seconds())

    def _of_sources(self, now: datetime) -> Iterator[Sample]:
        health = self._log.rows(SOURCES)
        for name in self._sources:
            row = health.get(name)
            if row is None:
                continue  # nobody has asked it yet
            since = row.since.get("", now) if row.through_ms is None else from_ms(row.through_ms)
            age = max(0.0, (now - since).total_seconds())
            lost = "" in row.failed or age > STALE_STEPS * self._step.total_seconds()
            yield SOURCE_AGE, {"source": name}, age
            yield SOURCE_FAILED, {"source": name}, float(sum(1 for key in row.failed if key))
            yield SOURCE_LOST, {"source": name}, float(lost)

    def _of_schedules(self) -> Iterator[Sample]:
        row = self._log.row(SOURCES, SCHEDULES)
        for name in self._schedules:
            yield SCHEDULE_FAILED, {"schedule": name}, float(row is not None and name in row.failed)

    def _of_messages(self, now: datetime) -> Iterator[Sample]:
        oldest: dict[str, datetime] = {}
        for delivery in self._log.rows(OUTBOX).values():
            oldest[delivery.channel] = min(oldest.get(delivery.channel, now), delivery.waits_since)
        for channel, since in sorted(oldest.items()):
            yield OUTBOX_AGE, {"channel": channel}, max(0.0, (now - since).total_seconds())
        dead = Counter(
            row.channel
            for row in self._log.rows(DELIVERIES).values()
            if row.state is DeliveryState.DEAD and row.at > now - LETTERS_OF
        )
        for channel, number in sorted(dead.items()):
            yield DEAD_LETTERS, {"channel": channel}, float(number)
