"""Reading samples: full resolution, or rollups where only they are left."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.telemetry.connections import Connection, fetch, frames

Aggregate = Literal["avg", "min", "max", "last"]

_FULL = "SELECT sid, ts, value FROM telemetry.samples WHERE ts > $after AND ts <= $until AND ts >= $full_since"
_FIVE_MINUTES = """
    UNION ALL SELECT sid, ts, {column} AS value FROM telemetry.rollup_5m
    WHERE ts > $after AND ts <= $until AND ts < $full_since AND ts >= $five_minutes_since
"""
_HOURLY = """
    UNION ALL SELECT sid, ts, {column} AS value FROM telemetry.rollup_1h
    WHERE ts > $after AND ts <= $until AND ts < $five_minutes_since
"""
_COVERAGE = """
    SELECT source, platform, signal, first, last FROM telemetry.coverage WHERE last > $after AND first <= $until
"""
_COLUMNS: dict[Aggregate, str] = {"avg": "avg", "min": "min", "max": "max", "last": "last"}


@dataclass(frozen=True, slots=True)
class Window:
    """What to read: (after, until] of some or all sources, signals and packs; `aggregate` where rollups are wanted."""

    after: int
    until: int
    sources: Collection[str] | None
    signals: Collection[str] | None
    platforms: Collection[str] | None
    aggregate: Aggregate | None


_KEPT = "SELECT full_since, five_minutes_since FROM telemetry.meta"
_SERIES_OF_ROWS = """
    SELECT sid, source, platform, signal, labels FROM telemetry.series SEMI JOIN rows USING (sid)
    ORDER BY source, platform, signal, labels
"""


def read(connection: Connection, window: Window, step_ms: int) -> Samples:
    """Samples of `telemetry` in the window, numbered and ordered, with their coverage."""
    full_since, five_minutes_since = connection.execute(_KEPT).fetchall()[0]
    after = window.after if window.aggregate else max(window.after, full_since - 1)
    times: dict[str, object] = {"after": after, "until": window.until}
    condition, chosen = _condition(window)
    of_chosen = f" AND sid IN (SELECT sid FROM telemetry.series WHERE true{condition})" if condition else ""  # noqa: S608 - names of parameters
    tables, kept = [_FULL], {"full_since": full_since}
    if window.aggregate:
        column = _COLUMNS[window.aggregate]
        tables += [_FIVE_MINUTES.format(column=column), _HOURLY.format(column=column)]
        kept["five_minutes_since"] = five_minutes_since
    coverage = fetch(connection, _COVERAGE + condition, {**times, **chosen}).cast(COVERAGE)
    if coverage.is_empty() and window.aggregate is None:
        # Nothing was answered, so there is nothing to look for among the samples of all the others.
        return Samples.empty()
    rows = fetch(connection, " ".join(table + of_chosen for table in tables), {**times, **kept, **chosen})
    with frames(connection, {"rows": rows}):
        series = fetch(connection, _SERIES_OF_ROWS)
    return _numbered(series, rows, _clipped(coverage, after, window.until, step_ms))


def kept_since(connection: Connection) -> int:
    """The instant (epoch ms) since which samples are kept at full resolution, 0 where none were dropped."""
    return int(connection.execute(_KEPT).fetchall()[0][0])


_SERIES = """
    SELECT sid, source, platform, signal, labels FROM telemetry.series WHERE signal = ANY($signals)
    ORDER BY source, platform, signal, labels
"""
_AT_STEPS = """
    SELECT sid, ts, value FROM telemetry.samples SEMI JOIN steps USING (ts) SEMI JOIN chosen USING (sid)
    WHERE ts >= (SELECT full_since FROM telemetry.meta)
"""


def read_at(
    connection: Connection,
    steps: Sequence[int],
    signals: Collection[str],
    choose: Callable[[pl.DataFrame], pl.Series],
) -> Samples:
    """Samples at some steps of the series that `choose` picks by sid; without coverage."""
    known = series_of(connection, signals)
    chosen = known.filter(pl.col("sid").is_in(choose(known).implode()))
    named = {"steps": pl.DataFrame({"ts": steps}, schema={"ts": pl.Int64}), "chosen": chosen.select("sid")}
    with frames(connection, named):
        rows = fetch(connection, _AT_STEPS)
    series = chosen.filter(pl.col("sid").is_in(rows["sid"].unique().implode()))
    return _numbered(series, rows, COVERAGE.to_frame())


def series_of(connection: Connection, signals: Collection[str]) -> pl.DataFrame:
    """Every series of some signals, in order."""
    return fetch(connection, _SERIES, {"signals": list(signals)}).cast(SERIES)


def _condition(window: Window) -> tuple[str, dict[str, object]]:
    """SQL that narrows series or coverage to the chosen sources, signals and packs, and its parameters."""
    wanted = {"source": window.sources, "signal": window.signals, "platform": window.platforms}
    named = {column: list(names) for column, names in wanted.items() if names is not None}
    condition = "".join(f" AND {column} = ANY(${column}s)" for column in named)
    return condition, {f"{column}s": names for column, names in named.items()}


def _numbered(series: pl.DataFrame, rows: pl.DataFrame, coverage: pl.DataFrame) -> Samples:
    """Samples whose series are numbered in the order in which they come."""
    numbers = np.arange(series.height, dtype=np.uint32)
    # Ids in the file are dense, so a table by id is small and 15 times as fast as a join.
    by_id = np.zeros(int(series.select(pl.col("sid").max().fill_null(0)).item()) + 1, dtype=np.uint32)
    by_id[series["sid"].to_numpy()] = numbers
    samples = rows.with_columns(pl.Series("sid", by_id[rows["sid"].to_numpy()])).sort("sid", "ts")
    return Samples(series.with_columns(pl.Series("sid", numbers)).cast(SERIES), samples.cast(SAMPLES), coverage)


def _clipped(coverage: pl.DataFrame, after: int, until: int, step_ms: int) -> pl.DataFrame:
    """Coverage inside (after, until]; a clipped stretch begins on the grid."""
    begin = after - after % step_ms + step_ms
    clipped = coverage.sort(COVERAGE.names()).with_columns(
        first=pl.min_horizontal(pl.max_horizontal("first", pl.lit(begin)), "last"),
        last=pl.min_horizontal("last", pl.lit(until)),
    )
    return clipped.filter(pl.col("first") <= pl.col("last"))
