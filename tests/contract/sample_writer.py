"""A process that writes, compacts and maintains a sample store until it is killed, and tells what is committed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from controlplane.model.time import from_ms
from controlplane.settings import Retention
from controlplane.telemetry import maintenance
from controlplane.telemetry.store import SampleStore
from tests.telemetry_frames import START, STEP, tick

STEPS = 4
TICK = STEPS * STEP
RETENTION = Retention(full=timedelta(days=2))


def main(path: Path, first: int, series: int, rounds: int, tell: Callable[[str], None]) -> None:
    """Write tick after tick from number `first`; every third one is followed by a compaction or maintenance."""
    store = SampleStore(path, wal_limit=200_000)
    tell("ready")
    for number in range(first, first + rounds):
        store.write([tick(number, series, STEPS)])
        tell(str(number))
        if number % 6 == 2:
            maintenance.compact(store.file)
        elif number % 6 == 5:
            store.maintain(from_ms(START + number * TICK), RETENTION)
