"""The control plane's own samples as the feed of a backtest; a step that a source didn't answer stays unknown."""

from collections.abc import Collection, Iterator
from datetime import timedelta

import polars as pl

from controlplane.backtest.stretches import MAX_STEPS, TARGET_ROWS
from controlplane.frames import SERIES, Samples
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.time import on_grid
from controlplane.rules.derive import Past
from controlplane.telemetry.store import SampleStore
from controlplane.tick.decide import MISSING_HORIZON

_FIRST_STEPS = 60
_MS = timedelta(milliseconds=1)
_KEY = ["source", "platform", "signal"]


class StoredFeed:
    """Stored samples of the time `since` before the newest one; InvalidInput where none are stored."""

    def __init__(self, store: SampleStore, step_ms: int, since: timedelta, window: int | None = None) -> None:
        newest = store.query("SELECT max(ts) AS newest FROM samples").item() if store.file.path.exists() else None
        if newest is None:
            remedy = "Collect some with `controlplane tick`, or name a file with --samples"
            raise InvalidInput([Problem(Place(str(store.file.path)), "there are no stored samples", remedy)])
        self.step_ms = step_ms
        self.last = on_grid(int(newest), step_ms)
        self.first = on_grid(int(newest) - since // _MS, step_ms) + step_ms
        self.rows = 0
        """Samples evaluated so far."""
        self.series = SERIES.to_frame()
        """What was there so far, with ids of no meaning."""
        self._store, self._window = store, window
        self._begin = self._end = self.first

    def windows(self) -> Iterator[Samples]:
        """See `backtest.feed.Feed`."""
        steps = self._window or _FIRST_STEPS
        self._begin = self.first
        while self._begin <= self.last:
            self._end = min(self._begin + (steps - 1) * self.step_ms, self.last)
            found = self._store.read(self._begin - self.step_ms, self._end)
            self.rows += len(found.samples)
            self.series = pl.concat([self.series, found.series]).unique([*_KEY, "labels"], maintain_order=True)
            yield found
            each = max(1, len(found.samples) // steps)
            self._begin = self._end + self.step_ms
            if self._window is None:
                steps = max(1, min(TARGET_ROWS // each, MAX_STEPS, 4 * steps))

    def past(self) -> Past:
        """See `backtest.feed.Feed`."""
        return Past(lambda signals, after, until: self._store.history(after, until, signals=signals))

    def history(self, platform: str, signals: Collection[str], lookback: timedelta) -> Samples:
        """See `backtest.feed.Feed`."""
        after = self._begin - self.step_ms - lookback // _MS
        return self._store.read(after, self._end, signals=signals, platforms=(platform, ""))

    def recent(self) -> pl.DataFrame:
        """See `backtest.feed.Feed`."""
        until = self._begin - self.step_ms
        after = max(until - MISSING_HORIZON // _MS, self.first - self.step_ms)
        return self._store.read(after, until).series if until > after else SERIES.to_frame()
