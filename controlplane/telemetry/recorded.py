"""Samples from a recording: a Parquet or CSV file with ts, signal, labels, value and perhaps platform."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import printable
from controlplane.model.time import Window
from controlplane.settings import RecordedSource
from controlplane.telemetry.collector import Batch, SignalKey, SourceError
from controlplane.telemetry.decode import put_on_grid
from controlplane.telemetry.recorded_rows import BadRows, read_rows


@dataclass(frozen=True, slots=True)
class _Recording:
    series: pl.DataFrame
    """SERIES."""
    samples: pl.DataFrame
    """SAMPLES on the grid, in time order."""
    keys: dict[SignalKey, pl.Series]
    """Signals in name order, each with the ids of its series."""


class RecordedCollector:
    """Answers from a file, which is read once, at first need; see Collector for what it offers.

    A sample belongs to the step it lies on, else to the next one; the newest of a step wins. Every signal of the file
    is covered for the whole of a window, also before and after the recording. Reading raises SourceError, which names
    the rows and columns that can't be used. A pack is taken from the column platform, else from a label of that name,
    else from the settings.
    """

    history = True

    def __init__(self, settings: RecordedSource, step_ms: int) -> None:
        self.name = settings.name
        self.lookback = settings.lookback
        self.max_catch_up = settings.max_catch_up
        self._path = settings.path
        self._platform = settings.platform or ""
        self._step_ms = step_ms

    def signals(self) -> tuple[SignalKey, ...]:
        """Every signal that occurs in the file, in name order."""
        return tuple(self._recording.keys)

    def span(self) -> tuple[int, int] | None:
        """First and last step (epoch ms) that a sample belongs to; None for a recording without rows."""
        ts = self._recording.samples["ts"]
        return (int(ts[0]), int(ts[-1])) if len(ts) else None

    def check(self) -> list[str]:
        """Read the file; whether there is anything in it."""
        return [] if self.span() else [f"{self._path} has no rows"]

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        """The samples of each signal in its window."""
        recording = self._recording
        asked: dict[Window, list[SignalKey]] = defaultdict(list)
        for key, window in windows.items():
            if key not in recording.keys:
                raise ValueError(f"{key} is not in {self._path}")
            if window.step != self._step_ms:
                raise ValueError(f"{key}: a window on {window.step} ms steps, but the grid has {self._step_ms} ms")
            if len(window):
                asked[window].append(key)
        ts = recording.samples["ts"]
        found = [SAMPLES.to_frame()]
        for window, keys in asked.items():
            first, end = ts.search_sorted(window.first, "left"), ts.search_sorted(window.end, "right")
            rows = recording.samples.slice(first, end - first)
            if len(keys) < len(recording.keys):
                rows = rows.filter(pl.col("sid").is_in(pl.concat([recording.keys[key] for key in keys]).implode()))
            found.append(rows)
        samples = pl.concat(found)
        series = recording.series.join(samples.select("sid").unique(), on="sid", how="semi", maintain_order="left")
        coverage = sorted((self.name, *key, w.first, w.end) for w, keys in asked.items() for key in keys)
        return Batch(self.name, Samples(series, samples, pl.DataFrame(coverage, COVERAGE, orient="row")))

    @cached_property
    def _recording(self) -> _Recording:
        try:
            rows = read_rows(self._path, self._platform)
        except BadRows as error:
            raise SourceError(self.name, f"{self._path}: {error}", error.remedy) from None
        except OSError as error:
            reason = error.strerror or printable(str(error))
            raise SourceError(self.name, f"{self._path} can't be read: {reason}", "Correct path") from None
        except PolarsError as error:
            remedy = f"Is it the {_kind(self._path)} file that its name says?"
            raise SourceError(self.name, f"{self._path} can't be read: {printable(str(error))}", remedy) from None
        series = rows.select("platform", "signal", "labels").unique().sort(pl.all()).with_row_index("sid")
        samples = rows.join(series, on=["platform", "signal", "labels"], maintain_order="left").select(SAMPLES.names())
        samples = put_on_grid(samples.cast(SAMPLES), self._step_ms).sort("ts", "sid")
        keys = series.group_by("platform", "signal").agg("sid").sort("platform", "signal")
        return _Recording(
            series.select("sid", pl.lit(self.name).alias("source"), "platform", "signal", "labels").cast(SERIES),
            samples.rechunk(),
            {SignalKey(platform, signal): pl.Series(sids, dtype=pl.UInt32) for platform, signal, sids in keys.rows()},
        )


def _kind(path: Path) -> str:
    return path.suffix.lstrip(".").lower()
