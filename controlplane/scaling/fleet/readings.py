"""What a metric of a fleet says at every instant of a window: total, members with a sample, members without."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.frames import in_order
from controlplane.history import FRESH, History, ms
from controlplane.model.methods import Fleet
from controlplane.model.methods.fleet import Capacity, Metric, StepRow
from controlplane.scaling.fleet.members import Members

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric over a window; columns ts, total, known and missing, in order, the last row is now."""

    metric: Metric
    frame: pl.DataFrame

    @property
    def known(self) -> int:
        """Members with a sample now; 0 = no data."""
        return int(self.frame["known"][-1])

    @property
    def missing(self) -> int:
        """Members that should have a sample now and have none."""
        return int(self.frame["missing"][-1])

    @property
    def total(self) -> float:
        """Sum over the members with a sample now."""
        return float(self.frame["total"][-1])

    @property
    def mean(self) -> float:
        """Of a member with a sample now; 0 where there is none."""
        return self.total / self.known if self.known else 0.0

    def highest(self) -> float:
        """The highest mean of the window; 0 where nothing is known."""
        means = self.frame.filter(pl.col("known") > 0).select(pl.col("total") / pl.col("known"))
        return float(means.to_series().max() or 0.0)  # type: ignore[arg-type]

    def beyond(self, row: StepRow, at_ms: int) -> bool:
        """Whether the mean was beyond the row's limit at every instant of its time, known at all of them."""
        # The mean of many equal values may differ from them in the last digit.
        mean = pl.col("total") / pl.col("known")
        over = mean > row.goal * (1 + _ROUNDING) if row.above is not None else mean < row.goal * (1 - _ROUNDING)
        since = self.frame.filter(pl.col("ts") >= at_ms - ms(row.for_))
        return bool(since.select(((pl.col("known") > 0) & over).all()).item())


def read(history: History, metric: Metric, members: Members, p: Fleet, size: int) -> Reading:
    """A metric at every instant at which its samples changed, at the beginnings of its windows, and now.

    A sample holds for five minutes. Before now, only members count that had a sample by then. Members that don't
    answer are left out.
    """
    begins = [history.at_ms - ms(window) for window in windows(metric, p)]
    samples = _samples(history, metric, members, p)
    seen = samples.filter(pl.col("ts") > min(begins))["ts"]
    grid = pl.concat([pl.Series("ts", [*begins, history.at_ms], pl.Int64), seen]).unique().sort().to_frame()
    held = (
        samples.group_by("member")
        .agg(pl.col("ts").min().alias("born"))
        .sort("member")
        .join(grid, how="cross")
        .sort("ts", "member")
        .join_asof(samples.sort("ts", "member"), on="ts", by="member", tolerance=ms(FRESH) - 1, check_sortedness=False)
    )
    counted = held.group_by("ts", maintain_order=True).agg(
        in_order(pl.col("value").drop_nulls()).list.sum().alias("total"),
        pl.col("value").count().cast(pl.Int64).alias("known"),
        (pl.col("value").is_null() & (pl.col("born") <= pl.col("ts"))).sum().cast(pl.Int64).alias("missing"),
    )
    frame = grid.join(counted, on="ts", how="left", maintain_order="left").with_columns(
        pl.col("total").fill_null(0.0), pl.col("known").fill_null(0), pl.col("missing").fill_null(0)
    )
    here = size - members.unready
    if not metric.each:
        known = pl.when(pl.col("known") > 0).then(here).otherwise(0).alias("known")
        return Reading(metric, frame.with_columns(known, pl.lit(0, pl.Int64).alias("missing")))
    lacking = (here - pl.col("known")).clip(lower_bound=0)
    now = pl.col("ts") == history.at_ms
    return Reading(metric, frame.with_columns(pl.when(now).then(lacking).otherwise("missing").alias("missing")))


def windows(metric: Metric, p: Fleet) -> tuple[timedelta, ...]:
    """How far before now the metric counts."""
    if isinstance(metric, StepRow):
        return (metric.for_,)
    return tuple(direction.stabilise for direction in (p.scale_out, p.scale_in) if direction)


def _samples(history: History, metric: Metric, members: Members, p: Fleet) -> pl.DataFrame:
    """member (a number), ts and value; 0 is the fleet as a whole. What is negative is no load."""
    where = dict(metric.where) | {name: history.alert.labels.get(name, "") for name in metric.match}
    labels = (p.by,) if metric.each else ()
    # Several series of a member are parts of its load, but several readings of its utilisation.
    parts = isinstance(metric, Capacity) or not metric.each
    within = max(windows(metric, p)) + FRESH
    rows = history.of(metric.signal, *labels, fold="sum" if parts else "mean", where=where, within=within)
    rows = rows.filter(pl.col("value") >= 0)
    if not metric.each:
        return rows.select(pl.lit(0, pl.UInt32).alias("member"), "ts", "value")
    if members.names is None:
        number = pl.col(p.by).rle_id().alias("member")
        return rows.select(number, "ts", "value")
    named = rows.join(members.names, left_on=p.by, right_on="label", maintain_order="left")
    twice = named.select(p.by, "member").unique()["member"].is_duplicated().any()
    if not twice:
        return named.select("member", "ts", "value")
    folded = in_order(pl.col("value"))
    value = folded.list.sum() if parts else folded.list.mean()
    return named.group_by("member", "ts", maintain_order=True).agg(value.alias("value")).sort("member", "ts")
