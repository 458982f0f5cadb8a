"""A straight line through a stretch of samples."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Trend:
    """Least squares over the samples since the last drop."""

    per_second: float
    """Slope, in the unit of the samples per second."""
    r2: float | None
    """Share of the variance that the line explains; None where the samples don't vary."""
    residual: float
    """Root mean square distance of the samples from the line."""
    samples: int
    seconds: float
    """From the first to the last sample used."""
    newest: float
    since_ms: int
    last_ms: int


def trend(samples: pl.DataFrame, drop: float) -> Trend | None:
    """Fit ts (epoch ms) and value since the value last fell by more than `drop` of itself; None without a sample.

    Values of 0 or less are left out: a mounted file system is never empty, so they stand for a failed reading.
    """
    clean = samples.filter(pl.col("value").is_finite(), pl.col("value") > 0).sort("ts")
    if clean.is_empty():
        return None
    fell = pl.col("value") < pl.col("value").shift(1) * (1 - drop)
    stretch = clean.filter(fell.fill_null(False).cum_sum() == fell.fill_null(False).sum())
    x = (pl.col("ts") - pl.col("ts").first()) / 1000
    y = pl.col("value")
    moments = stretch.select(
        n=pl.len(),
        newest=y.last(),
        since=pl.col("ts").first(),
        last=pl.col("ts").last(),
        seconds=x.max(),
        xx=((x - x.mean()) ** 2).sum(),
        yy=((y - y.mean()) ** 2).sum(),
        xy=((x - x.mean()) * (y - y.mean())).sum(),
    ).row(0, named=True)
    slope = moments["xy"] / moments["xx"] if moments["xx"] > 0 else 0.0
    unexplained = max(0.0, moments["yy"] - slope * moments["xy"])
    return Trend(
        per_second=slope,
        r2=1 - unexplained / moments["yy"] if moments["yy"] > 0 else None,
        residual=(unexplained / moments["n"]) ** 0.5,
        samples=moments["n"],
        seconds=moments["seconds"],
        newest=moments["newest"],
        since_ms=moments["since"],
        last_ms=moments["last"],
    )
