"""Samples on disk: written once per step and series, read back by time and signal."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from controlplane.frames import Samples
from controlplane.settings import Retention
from controlplane.telemetry import maintenance, reading, writing
from controlplane.telemetry.duckfile import StoreError, TelemetryFile
from controlplane.telemetry.query import query

MEGABYTE = 1_000_000


class SampleStore:
    """The samples, their rollups and a mirror of the event log in one DuckDB file.

    The file is open only during a call, and one process at a time uses it: a call waits up to `wait` for its turn
    and then raises StoreBusy. `step` is the grid of the samples; stretches of coverage that lie one step apart are
    one. A broken file is renamed, reported through `on_set_aside(path, error)` and begun anew; the call goes on.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_set_aside: Callable[[Path, str], None] | None = None,
        step: timedelta = timedelta(seconds=15),
        wait: timedelta = timedelta(seconds=30),
        wal_limit: int = 64 * MEGABYTE,
    ) -> None:
        self.file = TelemetryFile(path, on_set_aside=on_set_aside, wait=wait)
        self._step_ms = step // timedelta(milliseconds=1)
        self._wal_limit = wal_limit
        self._wal_tolerated = 0

    def write(self, batches: Sequence[Samples]) -> None:
        """Store batches in one transaction: what was stored for the steps that they cover is replaced.

        Where two batches have a sample of the same series and step, the later one counts. A sample outside the
        coverage of its signal raises ValueError.
        """
        incoming = writing.combined(batches)
        if incoming.coverage.is_empty() and incoming.samples.is_empty():
            return
        self.file.run(lambda connection: writing.write(connection, incoming, self._step_ms))
        self._compact_if_grown()

    def read(
        self,
        after_ms: int,
        until_ms: int,
        *,
        sources: Collection[str] | None = None,
        signals: Collection[str] | None = None,
        platforms: Collection[str] | None = None,
    ) -> Samples:
        """The samples in (after, until] at full resolution, of some sources, signals and packs or of all.

        Series are numbered from 0 in order of source, platform, signal and labels; samples are ordered by series and
        step. Coverage is clipped to the window and to what is still kept at full resolution.
        """
        window = reading.Window(after_ms, until_ms, sources, signals, platforms, None)
        return self.file.run(lambda connection: reading.read(connection, window, self._step_ms), read_only=True)

    def kept_since(self) -> int:
        """The instant (epoch ms) since which samples are kept at full resolution, 0 where none were dropped."""
        return self.file.run(reading.kept_since, read_only=True)

    def read_at(
        self, steps: Sequence[int], signals: Collection[str], choose: Callable[[pl.DataFrame], pl.Series]
    ) -> Samples:
        """The samples at some steps (epoch ms) of a few series, numbered and ordered as by `read`.

        `choose` gets the series (frames.SERIES) of the signals and returns the sids of those to read. Coverage is left
        out.
        """
        return self.file.run(lambda connection: reading.read_at(connection, steps, signals, choose), read_only=True)

    def series(self, signals: Collection[str]) -> pl.DataFrame:
        """Every stored series (frames.SERIES) of some signals."""
        return self.file.run(lambda connection: reading.series_of(connection, signals), read_only=True)

    def history(
        self,
        after_ms: int,
        until_ms: int,
        *,
        signals: Collection[str] | None = None,
        platforms: Collection[str] | None = None,
        aggregate: reading.Aggregate = "avg",
    ) -> Samples:
        """As `read`, and before the time since which full samples are kept one value a 5-minute or hourly bucket.

        `ts` of such a value is the start of its bucket.
        """
        window = reading.Window(after_ms, until_ms, None, signals, platforms, aggregate)
        return self.file.run(lambda connection: reading.read(connection, window, self._step_ms), read_only=True)

    def maintain(
        self, now: datetime, retention: Retention, progress: Callable[[str], None] | None = None
    ) -> maintenance.MaintenanceReport:
        """Bring the rollups up to date, drop what is older than `retention`, and compact the file."""
        return maintenance.maintain(self.file, now, retention, progress)

    def mirror(self, log: maintenance.EventSource) -> maintenance.MirrorReport:
        """Copy events that the mirror doesn't have yet; where the log is another one, begin again."""
        return maintenance.mirror(self.file, log)

    def query(self, sql: str, limit: int = 1_000, *, timeout: timedelta = timedelta(seconds=10)) -> pl.DataFrame:
        """The first `limit` rows of one read-only SQL statement; see `docs/sql.md` for tables and columns."""
        return query(self.file, sql, limit, timeout=timeout)

    def _compact_if_grown(self) -> None:
        # Every opening replays the log (4 ms a megabyte), every compaction copies the file: between the two, the log
        # may grow to an eighth of the file.
        size, wal = self.file.sizes()
        if wal <= max(min(self._wal_limit, max(2 * MEGABYTE, size // 8)), self._wal_tolerated):
            return
        try:
            maintenance.compact(self.file)
            self._wal_tolerated = 0
        except StoreError:
            # The samples are stored; `maintain` reports what stands in the way. Try again when the log has doubled.
            self._wal_tolerated = 2 * wal
