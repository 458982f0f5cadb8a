"""Where the samples of a backtest come from: windows of steps in order, and what lies before them."""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from controlplane.backtest.ahead import ahead
from controlplane.backtest.carry import Carry
from controlplane.backtest.samplefile import Progress, SampleFile
from controlplane.backtest.stretches import plan, stretches
from controlplane.frames import Samples
from controlplane.model.signals import Signal
from controlplane.rules.derive import Past
from controlplane.tick.decide import MISSING_HORIZON


class Feed(Protocol):
    """Samples of a stretch of time, read once from its beginning to its end."""

    step_ms: int
    first: int
    """First step, epoch ms."""
    last: int

    def windows(self) -> Iterator[Samples]:
        """The steps in order, a window at a time; what is before the current one can be asked for below."""
        ...

    def past(self) -> Past:
        """What derived signals may read of the time before the current window."""
        ...

    def history(self, platform: str, signals: Collection[str], lookback: timedelta) -> Samples:
        """What advice on a pack sees of these signals: the current window and that time before it."""
        ...

    def recent(self) -> pl.DataFrame:
        """`frames.SERIES` seen shortly before the current window, but not before the first one."""
        ...


def needs(derived: Collection[tuple[str, Signal]], advice: Mapping[str, timedelta]) -> dict[str, int]:
    """How long each signal is needed after its step, in ms: by what is derived from it, and by advice."""
    keep = {signal: _ms(lookback) for signal, lookback in advice.items()}
    for _, signal in derived:
        for older, _ in signal.spans:
            for name in signal.inputs:
                keep[name] = max(keep.get(name, 0), _ms(older))
    return keep


class FileFeed:
    """The steps of a file from `first` to `last`; what the file has before is history alone.

    `keep` says how long each signal is needed later (see `needs`), `folder` is for files that have to be put in order,
    `window` is the number of steps of a window (default: as many as fit).
    """

    def __init__(
        self,
        file: SampleFile,
        first: int,
        last: int,
        keep: dict[str, int],
        folder: Path,
        progress: Progress,
        window: int | None = None,
    ) -> None:
        self.step_ms, self.first, self.last = file.step_ms, first, last
        self.rows = 0
        """Samples evaluated so far."""
        self._file, self._folder, self._progress, self._window = file, folder, progress, window
        self._carry = Carry(file.series, keep, file.step_ms)
        self._seen = np.full(len(file.series), -1, np.int64)
        self._now = Samples.empty()
        self._begin = first

    def windows(self) -> Iterator[Samples]:
        """See Feed."""
        begin = max(self.first - self._carry.longest, int(self._file.steps[0]))
        before = plan(self._file, begin, self.first - self.step_ms, self._window) if self._carry.longest else []
        planned = [*before, *plan(self._file, self.first, self.last, self._window)]
        read = ahead(stretches(self._file, planned, self._folder, self._progress))
        for (begin, end), samples in zip(planned, read, strict=True):
            if begin >= self.first:
                self._begin = begin
                self._now = Samples(self._file.series, samples, self._carry.coverage(begin, end))
                self.rows += len(samples)
                yield self._now
                # Later samples of a series come later, so that the last assignment is its newest one.
                self._seen[samples["sid"].to_numpy()] = samples["ts"].to_numpy()
            self._carry.add(samples, end)

    def past(self) -> Past:
        """See Feed."""
        return Past(self._carry.past)

    def history(self, platform: str, signals: Collection[str], lookback: timedelta) -> Samples:
        """See Feed."""
        chosen = pl.col("platform").is_in([platform, ""]) & pl.col("signal").is_in(list(signals))
        begin = self._begin - self.step_ms
        known = self._carry.samples(chosen, begin - _ms(lookback), begin)
        now = self._now.samples.filter(pl.col("sid").is_in(known.series["sid"].implode()))
        coverage = pl.concat([known.coverage, self._now.coverage.filter(chosen)])
        return Samples(known.series, pl.concat([known.samples, now]), coverage)

    def recent(self) -> pl.DataFrame:
        """See Feed."""
        horizon = self._begin - self.step_ms - _ms(MISSING_HORIZON)
        return self._file.series.filter(pl.Series(self._seen > horizon))


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
