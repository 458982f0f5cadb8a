"""The sample store: write, read back, overwrite."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deciding import STEP_MS, samples, to_grid
from benchmarks.measure import Case

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
        first = to_grid()
        batches = iter([samples(self.series, STEPS, first_ms=first + STEP_MS * STEPS * turn) for turn in range(3)])
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
        start = to_grid()
        return lambda: store.read(start - STEP_MS, start + STEP_MS * STEPS)


_AMOUNT = SERIES * STEPS
_FITS = "a step of 15 s"

CASES = (
    Case("store-write", f"{_AMOUNT:,} samples, {SERIES:,} series", Write(SERIES), 3, _AMOUNT, "samples", 15.0, _FITS),
    Case("store-read", f"{_AMOUNT:,} samples, {SERIES:,} series", Read(SERIES), 3, _AMOUNT, "samples", 15.0, _FITS),
)
