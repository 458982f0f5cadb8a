"""The sample store: write, read back, overwrite."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Case
from benchmarks.world import START_MS, STEP_MS, samples

SERIES = 500_000
STEPS = 4


@dataclass(frozen=True)
class Write:
    """Batches of four steps one after the other, as ticks would write them."""

    series: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The next batch."""
        from controlplane.telemetry.store import SampleStore

        store = SampleStore(folder / "telemetry.duckdb")
        batches = iter([samples(self.series, STEPS, turn=turn) for turn in range(3)])
        return lambda: store.write([next(batches)])


@dataclass(frozen=True)
class Read:
    """Everything of one batch."""

    series: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The whole window."""
        from controlplane.telemetry.store import SampleStore

        store = SampleStore(folder / "telemetry.duckdb")
        batch = samples(self.series, STEPS)
        store.write([batch])
        return lambda: store.read(START_MS - STEP_MS, START_MS + STEP_MS * STEPS)


_AMOUNT = SERIES * STEPS
_FITS = "a step of 15 s"

CASES = (
    Case("store-write", f"{_AMOUNT:,} samples, {SERIES:,} series", Write(SERIES), 3, _AMOUNT, "samples", 15.0, _FITS),
    Case("store-read", f"{_AMOUNT:,} samples, {SERIES:,} series", Read(SERIES), 3, _AMOUNT, "samples", 15.0, _FITS),
)
