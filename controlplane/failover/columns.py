"""Samples of a signal at a moment as columns."""

import polars as pl

from controlplane.failover.moment import Moment
from controlplane.history import FRESH, ms


def columns(moment: Moment, signal: str, *labels: str) -> pl.DataFrame:
    """source, the labels (`""` = absent), ts and value of every usable sample up to the moment, by source and time.

    Series with the same labels are folded to the largest.
    """
    series = moment.samples.series.filter(
        pl.col("signal") == signal, pl.col("platform").is_in([moment.platform, ""])
    ).with_columns(pl.col("labels").str.json_decode(pl.Struct(dict.fromkeys(labels, pl.String))).alias("label"))
    named = series.select(
        "sid", "source", *(pl.col("label").struct.field(name).fill_null("").alias(name) for name in labels)
    )
    rows = moment.samples.samples.filter(pl.col("ts") <= moment.at_ms, pl.col("value").is_finite())
    folded = rows.join(named, on="sid").group_by("source", *labels, "ts").agg(pl.col("value").max())
    return folded.sort("source", *labels, "ts")


def newest(moment: Moment, signal: str, *labels: str) -> pl.DataFrame:
    """The labels and the newest value of each, younger than five minutes; the first source that has one counts."""
    fresh = columns(moment, signal, *labels).filter(pl.col("ts") > moment.at_ms - ms(FRESH))
    last = fresh.group_by("source", *labels, maintain_order=True).last()
    return last.unique([*labels], keep="first", maintain_order=True).select(*labels, "value")
