"""Kafka: how many more replicas each partition may lose before it takes no writes."""

import polars as pl

_TOPIC = ["source", "cluster", "topic"]


def margins(in_sync: pl.DataFrame, minimum: pl.DataFrame, or_else: int) -> pl.DataFrame:
    """Every partition with what it may lose: source, cluster, topic, partition, ts, in_sync, minimum and margin.

    `in_sync` (source, cluster, topic, partition, ts, value): replicas in sync, 0 where nobody leads. `minimum` (source,
    cluster, topic, ts, value): min.insync.replicas, `or_else` where it isn't known.
    """
    least = minimum.group_by(*_TOPIC, "ts").agg(pl.col("value").max().alias("minimum"))
    partitions = in_sync.group_by(*_TOPIC, "partition", "ts").agg(pl.col("value").min().alias("in_sync"))
    known = partitions.join(least, on=[*_TOPIC, "ts"], how="left").with_columns(
        pl.col("minimum").fill_null(float(or_else))
    )
    return known.with_columns(margin=pl.col("in_sync") - pl.col("minimum")).sort(*_TOPIC, "partition", "ts")


def worst(partitions: pl.DataFrame) -> pl.DataFrame:
    """source, cluster, topic, ts, value: the margin of the worst partition of a topic."""
    return partitions.group_by(*_TOPIC, "ts").agg(pl.col("margin").min().alias("value"))
