"""Sums, means and straight lines over the time before each step, the same to the last digit however they are reached.

Values are added as integers of 128 bits: a sum of floats depends on where it began, and a decision must not depend on
how long the window is that it is made in. Running sums of long windows wrap around; their differences are right all the
same where they fit, which values up to LARGEST see to.
"""

import polars as pl

from controlplane.frames import quotient

ROWS = pl.Schema({"source": pl.String, "labels": pl.String, "ts": pl.Int64, "value": pl.Float64})
"""One row a series and step of one signal."""
SERIES = ["source", "labels"]

BUCKET_MS = 300_000
"""Spans longer than LONG_MS are means of means of this length, which is what rollups keep."""
LONG_MS = 6 * 3_600_000
POINTS = 60
"""Most samples of a series that a straight line is laid through."""
_FRACTION = 2**30
LARGEST = 1e18
"""Means and lines leave out what is beyond this, an exabyte in bytes: what is multiplied for a line might overflow."""


def usable(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with a finite value, in the order of series and time."""
    return rows.filter(pl.col("value").is_finite()).sort(*SERIES, "ts")


def means(rows: pl.DataFrame, steps: pl.DataFrame, span_ms: int, step_ms: int) -> pl.DataFrame:
    """ROWS: the mean over (step - span, step] of every series that has a sample at the step.

    `rows` as `usable` gives them, `steps` has source and ts. Series that are not measured over half of the span are
    left out.
    """
    rows = _summable(rows)
    at = rows.join(steps, on=["source", "ts"], how="semi")
    if span_ms <= LONG_MS:
        return _means(rows, at.select(*SERIES, "ts"), span_ms, 0.5, step_ms)
    begin = pl.col("ts") - pl.col("ts") % BUCKET_MS
    bucket = pl.col("fixed").sum() // pl.len()
    buckets = (
        _fixed(rows)
        .with_columns(begin.alias("begin"))
        .group_by(*SERIES, "begin")
        .agg((bucket.cast(pl.Float64) / _FRACTION).alias("value"))
        .select(*SERIES, (pl.col("begin") + BUCKET_MS).alias("ts"), "value")
        .sort(*SERIES, "ts")
    )
    # The bucket that a step lies in is left out, since it goes on after the step.
    ends = at.select(*SERIES, "ts", begin.alias("end"))
    made = _means(buckets, ends.select(*SERIES, pl.col("end").alias("ts")).unique(), span_ms, 0.5, BUCKET_MS)
    return ends.join(made.rename({"ts": "end"}), on=[*SERIES, "end"]).select(ROWS.names())


def means_until(rows: pl.DataFrame, ends: pl.DataFrame, span_ms: int) -> pl.DataFrame:
    """ROWS: the mean over (end - span, end] of every series in `ends` (source, labels, ts) that has a sample in it."""
    return _means(_summable(rows), ends, span_ms, 0, 0)


def _means(rows: pl.DataFrame, ends: pl.DataFrame, span_ms: int, measured: float, each_ms: int) -> pl.DataFrame:
    sums = _sums(_fixed(rows), ["fixed"], ends, span_ms, measured, each_ms)
    mean = quotient(pl.col("fixed").cast(pl.Float64) / _FRACTION, pl.col("n"))
    return sums.select(*SERIES, "ts", mean.alias("value"))


def slopes(rows: pl.DataFrame, steps: pl.DataFrame, span_ms: int, step_ms: int) -> pl.DataFrame:
    """source, labels, ts, value and slope (1/s) of a least-squares line through (step - span, step], as for `means`.

    At most POINTS samples of a series are used, whole multiples of their distance apart.
    """
    rows = _summable(rows)
    every = max(1, span_ms // step_ms // POINTS) * step_ms
    at = rows.join(steps, on=["source", "ts"], how="semi")
    thin = _fixed(rows.filter(pl.col("ts") % every == 0)).with_columns(
        (pl.col("ts") // step_ms).cast(pl.Int128).alias("x")
    )
    thin = thin.with_columns((pl.col("x") * pl.col("x")).alias("xx"), (pl.col("x") * pl.col("fixed")).alias("xy"))
    ends = at.select(*SERIES, "ts")
    sums = _sums(thin, ["x", "xx", "fixed", "xy"], ends, span_ms, 0.5, every)
    n, x, y = pl.col("n").cast(pl.Int128), pl.col("x"), pl.col("fixed")
    rise = (n * pl.col("xy") - x * y).cast(pl.Float64) / _FRACTION
    run = (n * pl.col("xx") - x * x).cast(pl.Float64)
    # Polars multiplies by the inverse of a constant, but divides where there is one row.
    slope = (rise / run * (1000 / step_ms)).alias("slope")
    return at.join(sums.select(*SERIES, "ts", slope), on=[*SERIES, "ts"]).select(*ROWS, "slope")


def last_rows(rows: pl.DataFrame, keys: list[str], steps: pl.DataFrame, count: int, span_ms: int) -> pl.DataFrame:
    """For each step (source, ts) the last `count` rows of every series in (step - span, step].

    A series is what shares the `keys`, source among them. The columns of `rows` and `step`, which they are for.
    """
    numbered = rows.sort(*keys, "ts").with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over(keys).alias("number"))
    asked = numbered.select(keys).unique().join(steps.rename({"ts": "step"}), on="source").sort("step")
    newest = numbered.select(*keys, pl.col("ts").alias("step"), pl.col("number").alias("last")).sort("step")
    found = asked.join_asof(newest, on="step", by=keys, check_sortedness=False).drop_nulls("last")
    first = pl.max_horizontal(pl.col("last") - (count - 1), pl.lit(0, pl.Int64))
    each = found.select(*keys, "step", pl.int_ranges(first, pl.col("last") + 1).alias("number")).explode("number")
    return numbered.join(each, on=[*keys, "number"]).drop("number").filter(pl.col("ts") > pl.col("step") - span_ms)


def _summable(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("value").abs() <= LARGEST)


def _fixed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns((pl.col("value") * _FRACTION).round().cast(pl.Int128).alias("fixed"))


def _sums(
    rows: pl.DataFrame, columns: list[str], ends: pl.DataFrame, span_ms: int, measured: float, each_ms: int
) -> pl.DataFrame:
    """source, labels, ts, n and the sum of each column over (ts - span, ts] for every row of `ends`.

    Left out where the samples reach over less than the share `measured` of the span; each one stands for `each_ms`.
    """
    running = rows.select(
        *SERIES,
        "ts",
        pl.col("ts").alias("at"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(SERIES).alias("n"),
        *(pl.col(name).cum_sum().over(SERIES) for name in columns),
    ).sort("ts")
    totals = ["n", *columns]
    asked = ends.select(*SERIES, "ts", (pl.col("ts") - span_ms).alias("before")).sort("ts")
    until = asked.join_asof(running, on="ts", by=SERIES, check_sortedness=False)
    earlier = running.select(
        *SERIES, pl.col("ts").alias("before"), *(pl.col(name).alias(f"_{name}") for name in totals)
    )
    both = until.sort("before").join_asof(earlier, on="before", by=SERIES, check_sortedness=False)
    first = running.select(*SERIES, (pl.col("ts") - 1).alias("before"), pl.col("ts").alias("first"))
    both = both.join_asof(first, on="before", by=SERIES, strategy="forward", check_sortedness=False)
    inside = both.filter(pl.col("at") > pl.col("before")).select(
        *SERIES,
        "ts",
        (pl.col("at") - pl.col("first")).alias("reach"),
        *((pl.col(name) - pl.col(f"_{name}").fill_null(0)).alias(name) for name in totals),
    )
    enough = pl.col("reach") + each_ms >= measured * span_ms
    return inside.filter(enough).drop("reach") if measured else inside
