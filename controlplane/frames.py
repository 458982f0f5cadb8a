"""The frames in which samples travel: their columns, types and units."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

SERIES = pl.Schema(
    {"sid": pl.UInt32, "source": pl.String, "platform": pl.String, "signal": pl.String, "labels": pl.String}
)
"""One row a series: id within this set of frames, source, pack (`""` = any), signal, labels as canonical JSON."""

SAMPLES = pl.Schema({"sid": pl.UInt32, "ts": pl.Int64, "value": pl.Float64})
"""One row a sample: series, grid step (epoch ms), value. A sample that is not a number is null, ±Inf stays."""

COVERAGE = pl.Schema(
    {"source": pl.String, "platform": pl.String, "signal": pl.String, "first": pl.Int64, "last": pl.Int64}
)
"""Which steps (inclusive, epoch ms) a source answered for a signal. A step outside is unknown, not absent."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of a stretch of time with their series and what was answered."""

    series: pl.DataFrame
    samples: pl.DataFrame
    coverage: pl.DataFrame

    @classmethod
    def empty(cls) -> "Samples":
        """No series, no sample, nothing answered."""
        return cls(SERIES.to_frame(), SAMPLES.to_frame(), COVERAGE.to_frame())


def steps_of(coverage: pl.DataFrame, step_ms: int) -> pl.DataFrame:
    """The grid steps that somebody answered for (COVERAGE in), in order: one column, ts."""
    spans = coverage.select("first", "last").unique()
    steps = spans.select(pl.int_ranges("first", pl.col("last") + 1, step_ms).alias("ts")).explode("ts")
    return steps.drop_nulls().unique().sort("ts").cast(pl.Int64)


def in_order(value: pl.Expr) -> pl.Expr:
    """The values of a group as one list, for `list.sum` and `list.mean`: they are added one after the other.

    Polars adds up groups in parts, in an order that depends on the threads; the last digit of a sum of floats then
    differs from run to run. The rows of a group must come in a fixed order.
    """
    return value.implode()


def quotient(dividend: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """One column by another, each row rounded as IEEE 754 says.

    Polars multiplies by the reciprocal where it knows a column to hold one value alone, which depends on other rows.
    """
    return pl.map_batches([dividend, divisor], _divided, return_dtype=pl.Float64)


def _divided(columns: Sequence[pl.Series]) -> pl.Series:
    dividend, divisor = (column.cast(pl.Float64).to_numpy() for column in columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        return pl.Series(dividend / divisor, dtype=pl.Float64)


def digest(samples: Samples) -> str:
    """sha256 of every series and sample, whatever the order of rows and the ids of series."""
    order = ["source", "platform", "signal", "labels"]
    series = samples.series.sort(order).with_row_index("rank")
    rows = samples.samples.join(series.select("sid", "rank"), on="sid").sort("rank", "ts")
    hasher = hashlib.sha256()
    for column in order:
        for text in series[column].to_list():
            hasher.update(text.encode())
            hasher.update(b"\0")
    for column in ("rank", "ts"):
        hasher.update(rows[column].cast(pl.Int64).to_numpy().tobytes())
    hasher.update(rows["value"].fill_null(float("nan")).to_numpy().tobytes())
    return hasher.hexdigest()
