"""The event log on SQLite: append with projections, verify, rebuild."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Case

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog
    from controlplane.model.events import Draft

NOW = datetime(2026, 3, 12, 18, tzinfo=UTC)
MANY = 100_000


def drafts(number: int, turn: int = 0) -> "Sequence[Draft]":
    """Alerts that fire and resolve, in pairs."""
    from controlplane.model.events import Draft
    from controlplane.model.payloads import AlertFacts, AlertFired, AlertResolved
    from controlplane.model.severity import Severity

    made = []
    for index in range(number):
        alert = f"{turn:08x}{index // 2:08x}"
        facts = AlertFacts(
            alert=alert,
            rule="bench-rule",
            source="bench",
            platform="bench",
            component="hosts",
            labels={"host": f"h{index}", "mountpoint": "/data"},
            severity=Severity.WARNING,
            title="A disk is nearly full",
            summary=f"h{index} /data is 91 % full",
            value=0.91,
            threshold="> 0.85",
            unit="1",
            active_at=NOW,
        )
        payload = AlertResolved(facts=facts, fired_at=NOW, reason="condition") if index % 2 else AlertFired(facts=facts)
        made.append(Draft(stream=f"alert:{alert}", key=f"{turn}", payload=payload, occurred_at=NOW))
    return made


def _open(folder: Path) -> "EventLog":
    from controlplane.eventlog.log import EventLog

    return EventLog.open(f"sqlite:///{folder / 'events.db'}")


@dataclass(frozen=True)
class Append:
    """So many events in one transaction."""

    number: int
    runs: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The next batch, made beforehand."""
        log = _open(folder)
        batches = iter([drafts(self.number, turn) for turn in range(self.runs)])
        return lambda: log.append(next(batches), recorded_at=NOW)


@dataclass(frozen=True)
class Verify:
    """The hash chain of a long log."""

    number: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The whole chain."""
        log = _open(folder)
        log.append(drafts(self.number), recorded_at=NOW)
        return log.verify


@dataclass(frozen=True)
class Rebuild:
    """All projections of a long log."""

    number: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """All of them."""
        log = _open(folder)
        log.append(drafts(self.number), recorded_at=NOW)
        return log.rebuild


CASES = (
    Case("append-1", "1 event", Append(1, 20), 20, 1, "events"),
    Case("append-1000", "1,000 events at once", Append(1_000, 20), 20, 1_000, "events", 1.0, "a tick ends at once"),
    Case("append-100000", f"{MANY:,} events at once", Append(MANY, 1), 1, MANY, "events"),
    Case("verify", f"hash chain of {MANY:,} events", Verify(MANY), 2, MANY, "events"),
    Case("rebuild", f"all projections from {MANY:,} events", Rebuild(MANY), 1, MANY, "events"),
)
