"""Caches behind Sentinel: whether it can decide on a failover, agree on one, and has a replica to promote."""

from collections.abc import Mapping, Sequence

import polars as pl

_KEYS = ["source", "cluster", "ts"]


def judged(rows: Mapping[str, pl.DataFrame], signals: Sequence[str]) -> pl.DataFrame:
    """source, cluster, ts, replicas, sentinels, known, quorum, needed and margin of every cluster that has all four.

    `rows` has source, cluster, ts and value of each signal, in the order replicas, sentinels, known, quorum.
    `needed` Sentinels decide and agree: the quorum, and a majority of those known. Where several Sentinels answer, the
    one that sees least counts, and the largest group and quorum.
    """
    names = ("replicas", "sentinels", "known", "quorum")
    found: pl.DataFrame | None = None
    for name, signal in zip(names, signals, strict=True):
        value = pl.col("value").min() if name in {"replicas", "sentinels"} else pl.col("value").max()
        part = rows[signal].group_by(_KEYS).agg(value.alias(name))
        found = part if found is None else found.join(part, on=_KEYS)
    assert found is not None
    majority = (pl.col("known") / 2).floor() + 1
    judged = found.with_columns(needed=pl.max_horizontal("quorum", majority))
    return judged.with_columns(margin=pl.col("sentinels") - pl.col("needed")).sort(_KEYS)


def candidates(judgement: pl.DataFrame) -> pl.DataFrame:
    """source, cluster, ts, value: replicas that could be promoted, 0 where too few Sentinels answer."""
    value = pl.when(pl.col("margin") >= 0).then("replicas").otherwise(0.0)
    return judgement.select(*_KEYS, value.alias("value"))


def margins(judgement: pl.DataFrame) -> pl.DataFrame:
    """source, cluster, ts, value: Sentinels that may still be lost."""
    return judgement.select(*_KEYS, pl.col("margin").alias("value"))
