"""Writing samples: permanent series ids, one row a sample, coverage."""

from collections.abc import Iterable

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.telemetry.connections import Connection, fetch, frames

_KEY = ["source", "platform", "signal"]


def combined(batches: Iterable[Samples]) -> Samples:
    """All batches as one, with series ids that don't collide and values without NaN."""
    series, samples, coverage = [SERIES.to_frame()], [SAMPLES.to_frame()], [COVERAGE.to_frame()]
    offset = 0
    for batch in batches:
        shift = (pl.col("sid") + offset).cast(pl.UInt32)
        series.append(batch.series.select(SERIES.names()).with_columns(shift))
        samples.append(batch.samples.select(SAMPLES.names()).with_columns(shift))
        coverage.append(batch.coverage.select(COVERAGE.names()))
        offset += batch.series.select(pl.col("sid").cast(pl.Int64).max().fill_null(-1) + 1).item()
    return Samples(
        pl.concat(series), pl.concat(samples).with_columns(pl.col("value").fill_nan(None)), pl.concat(coverage)
    )


def write(connection: Connection, incoming: Samples, step_ms: int) -> None:
    """Replace what `telemetry` holds for the covered steps; ValueError for a sample that nothing covers."""
    covered = _united(incoming.coverage, 0)
    window = covered.select(pl.col("first").min(), pl.col("last").max()).to_dicts()[0]
    with frames(connection, {"incoming_series": incoming.series, "covered": covered}):
        rows = _placed(incoming.samples, _places(connection))
        _forget_covered(connection, window)
        with frames(connection, {"rows": rows}):
            connection.execute("INSERT INTO telemetry.samples SELECT sid, ts, value FROM rows")
        _extend_coverage(connection, covered, window, step_ms)
    connection.execute("UPDATE telemetry.meta SET stale_since = least(stale_since, $first)", {"first": window["first"]})


_PLACES = """
    SELECT i.sid AS local, s.sid, c.first, c.last FROM incoming_series i
    LEFT JOIN telemetry.series s USING (source, platform, signal, labels)
    LEFT JOIN covered c USING (source, platform, signal)
"""
_INTERN = """
    INSERT INTO telemetry.series
    SELECT (SELECT coalesce(max(sid), -1) FROM telemetry.series) + row_number() OVER (), *
    FROM (
        SELECT DISTINCT source, platform, signal, labels FROM incoming_series
        ANTI JOIN telemetry.series USING (source, platform, signal, labels)
        ORDER BY source, platform, signal, labels
    )
"""


def _places(connection: Connection) -> pl.DataFrame:
    """(local, sid, first, last) of every incoming series and stretch of its coverage; new series are stored first."""
    places = fetch(connection, _PLACES)
    if places["sid"].has_nulls():
        connection.execute(_INTERN)
        places = fetch(connection, _PLACES)
    return places


def _placed(samples: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Rows for the table: permanent ids, ordered by step and series, the last of two that are equal in both."""
    rows = (
        samples.rename({"sid": "local"})
        .join(places, on="local", how="inner", maintain_order="left")
        .filter(pl.col("ts").is_between("first", "last"))
        .select("sid", "ts", "value")
    )
    if rows.height != samples.height:
        raise ValueError(
            f"{samples.height - rows.height} of {samples.height} samples have no series or lie outside the coverage "
            "of their signal; a collector covers every step that it gives samples for"
        )
    rows = rows.sort("ts", "sid", maintain_order=True)
    newest = (pl.col("sid") != pl.col("sid").shift(-1)) | (pl.col("ts") != pl.col("ts").shift(-1))
    return rows.filter(newest.fill_null(True))


_FORGET = """
    DELETE FROM telemetry.samples USING (
        SELECT s.sid, c.first, c.last FROM telemetry.series s JOIN covered c USING (source, platform, signal)
    ) AS old
    WHERE samples.sid = old.sid AND samples.ts BETWEEN old.first AND old.last
      AND samples.ts BETWEEN $first AND $last
"""
_ANY_BETWEEN = "SELECT 1 FROM telemetry.samples WHERE ts BETWEEN $first AND $last LIMIT 1"


def _forget_covered(connection: Connection, window: dict[str, int]) -> None:
    if connection.execute(_ANY_BETWEEN, window).fetchall():
        connection.execute(_FORGET, window)


_NEAR = """
    SELECT c.rowid AS place, c.source, c.platform, c.signal, c.first, c.last FROM telemetry.coverage AS c
    SEMI JOIN covered USING (source, platform, signal) WHERE c.last >= $first AND c.first <= $last
"""
_REPLACE_COVERAGE = "DELETE FROM telemetry.coverage WHERE rowid IN (SELECT place FROM near)"
_ADD_COVERAGE = "INSERT INTO telemetry.coverage SELECT source, platform, signal, first, last FROM united"


def _extend_coverage(connection: Connection, covered: pl.DataFrame, window: dict[str, int], gap: int) -> None:
    near = fetch(connection, _NEAR, {"first": window["first"] - gap, "last": window["last"] + gap})
    united = _united(pl.concat([near.select(COVERAGE.names()).cast(COVERAGE), covered]), gap)
    with frames(connection, {"near": near, "united": united}):
        connection.execute(_REPLACE_COVERAGE)
        connection.execute(_ADD_COVERAGE)


def _united(coverage: pl.DataFrame, gap: int) -> pl.DataFrame:
    """Coverage with stretches of a signal that overlap, or lie at most `gap` ms apart, made one."""
    reach = pl.col("last").cum_max().shift(1).over(_KEY)
    return (
        coverage.sort(*_KEY, "first")
        .with_columns(stretch=(pl.col("first") > reach + gap).fill_null(True).cum_sum())
        .group_by(*_KEY, "stretch", maintain_order=True)
        .agg(pl.col("first").min(), pl.col("last").max())
        .select(COVERAGE.names())
    )
