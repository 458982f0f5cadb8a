"""What later steps need of earlier samples: inputs of derived signals, and the hours that advice looks at."""

from collections.abc import Collection, Mapping

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, Samples


class Carry:
    """Keeps the samples of some signals for as long as each is needed, window by window.

    `keep` has the time in ms by signal. Every signal of the file is covered at every step.
    """

    def __init__(self, series: pl.DataFrame, keep: Mapping[str, int], step_ms: int) -> None:
        self._series = series
        self._step_ms = step_ms
        self._kept: dict[int, list[tuple[int, pl.DataFrame]]] = {span: [] for span in set(keep.values())}
        self._sids = {
            span: series.filter(pl.col("signal").is_in([name for name, of in keep.items() if of == span]))["sid"]
            for span in self._kept
        }
        self._keys = series.select("source", "platform", "signal").unique(maintain_order=True)

    @property
    def longest(self) -> int:
        """The longest time that a signal is kept, in ms."""
        return max(self._kept, default=0)

    def add(self, samples: pl.DataFrame, last: int) -> None:
        """Add the samples of the window that ends at the step `last`, and forget what is too old after it."""
        for span, chunks in self._kept.items():
            mine = self._sids[span]
            whole = len(mine) == len(self._series)
            chunks.append((last, samples if whole else samples.filter(pl.col("sid").is_in(mine.implode()))))
            while chunks and chunks[0][0] <= last - span:
                chunks.pop(0)

    def samples(self, chosen: pl.Expr, after: int, until: int) -> Samples:
        """What is kept of the series that `chosen` (over `frames.SERIES`) picks, in (after, until]."""
        series = self._series.filter(chosen)
        wanted = series["sid"]
        within = pl.col("ts").is_between(after, until, closed="right")
        if len(wanted) < len(self._series):
            within &= pl.col("sid").is_in(wanted.implode())
        found = [SAMPLES.to_frame()]
        for span, chunks in self._kept.items():
            if len(self._sids[span]):
                found += [chunk.filter(within) for last, chunk in chunks if last > after]
        return Samples(series, pl.concat(found), self.coverage(after + self._step_ms, until, chosen))

    def past(self, signals: Collection[str], after: int, until: int) -> Samples:
        """`rules.derive.Read` over what is kept."""
        return self.samples(pl.col("signal").is_in(list(signals)), after, until)

    def coverage(self, first: int, last: int, chosen: pl.Expr | None = None) -> pl.DataFrame:
        """`frames.COVERAGE` of [first, last]."""
        if last < first:
            return COVERAGE.to_frame()
        keys = self._keys if chosen is None else self._series.filter(chosen).select(self._keys.columns).unique()
        return keys.with_columns(first=pl.lit(first, pl.Int64), last=pl.lit(last, pl.Int64)).select(COVERAGE.names())
