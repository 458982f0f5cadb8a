"""The state of a consumer group by partition, as Burrow judges it from the last commits."""

from collections.abc import Sequence
from enum import IntEnum

import polars as pl

KEYS = ("topic", "partition")


class LagStatus(IntEnum):
    """Better first; a group is as bad as its worst partition (the order of Burrow's constants)."""

    OK = 1
    WARN = 2
    STOP = 4
    STALL = 5
    REWIND = 6


STUCK = (LagStatus.STOP, LagStatus.STALL, LagStatus.REWIND)
"""States in which the consumer doesn't advance, so that more consumers don't help."""


def lag_status(
    commits: pl.DataFrame,
    broker: pl.DataFrame,
    now: int | pl.Expr,
    *,
    window: int = 10,
    allowed_lag: float = 0,
    minimum_complete: float = 0.5,
    of: Sequence[str] = (),
    shared: Sequence[str] = (),
) -> pl.DataFrame:
    """Judge each partition by its last `window` commits: topic, partition, status (Int8 of LagStatus), lag.

    `commits` has topic, partition, ts (epoch ms), offset and lag; `broker` has topic, partition, ts and offset (the end
    of the log). Where much is judged at once, `commits` has the columns in `of` too (the consumer group, the instant)
    and `broker` those in `shared`; `now` (epoch ms) may be one of them.

    The lag is the last one that is known within the window; a partition without any isn't judged.
    The first match counts: window incomplete or lag allowed → OK; no commit for longer than the window is long while
    the log went past the last commit → STOP; an offset that fell and was not regained → REWIND; lag allowed at any time
    in the window → OK; offset unchanged → STALL; lag never fell → WARN; otherwise OK.
    Source: Burrow, evaluator/caching.go.
    """
    offset, lag = pl.col("offset"), pl.col("lag")
    keys, ends = [*of, *KEYS], [*shared, *KEYS]
    seen = (
        commits.filter(pl.col("ts") <= now)
        .sort(*keys, "ts")
        .group_by(keys, maintain_order=True)
        .tail(window)
        .group_by(keys, maintain_order=True)
        .agg(
            pl.len().alias("commits"),
            (pl.lit(now, pl.Int64) if isinstance(now, int) else now.first()).alias("judged_at"),
            pl.col("ts").first().alias("t_first"),
            pl.col("ts").last().alias("t_last"),
            offset.last().alias("committed"),
            lag.drop_nulls().last().alias("lag"),
            lag.min().alias("least_lag"),
            (offset.reverse().cum_max().reverse() < offset.shift(1)).any().alias("rewound"),
            ((offset.n_unique() == 1) & (offset.null_count() == 0)).alias("unchanged"),
            (lag.drop_nulls().diff().drop_nulls() >= 0).all().alias("not_falling"),
        )
    )
    log = (
        broker.filter(pl.col("ts") <= now)
        .sort(*ends, "ts")
        .group_by(ends, maintain_order=True)
        .tail(window)
        .group_by(ends)
        .agg(pl.col("offset").min().alias("log_least"))
    )
    silent = pl.col("judged_at") - pl.col("t_last") > pl.col("t_last") - pl.col("t_first")
    caught_up = (pl.col("log_least") <= pl.col("committed")).fill_null(False)

    def code(status: LagStatus) -> pl.Expr:
        return pl.lit(int(status), pl.Int8)

    known = seen.filter(pl.col("lag").is_not_null())
    incomplete = pl.col("commits") < minimum_complete * window
    status = (
        pl.when(incomplete | (pl.col("lag") <= allowed_lag))
        .then(code(LagStatus.OK))
        .when(silent & ~caught_up)
        .then(code(LagStatus.STOP))
        .when(pl.col("rewound"))
        .then(code(LagStatus.REWIND))
        .when(pl.col("least_lag") <= allowed_lag)
        .then(code(LagStatus.OK))
        .when(pl.col("unchanged"))
        .then(code(LagStatus.STALL))
        .when(pl.col("not_falling"))
        .then(code(LagStatus.WARN))
        .otherwise(code(LagStatus.OK))
    )
    return known.join(log, on=ends, how="left", maintain_order="left").select(*keys, status.alias("status"), "lag")


def group_status(partitions: pl.DataFrame) -> LagStatus:
    """The worst state of any partition; OK where there is none."""
    return max(map(LagStatus, partitions["status"].unique().to_list()), default=LagStatus.OK)
