"""What a metric of a fleet says at every instant of a window: total, members with a sample, members without."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.frames import Samples, digest, in_order
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
        means = pl.col("total") / pl.col("known")
        return float(self.frame.filter(pl.col("known") > 0).select(means.max()).item() or 0.0)

    def beyond(self, row: StepRow, at_ms: int) -> bool:
        """Whether the mean was beyond the row's limit at every instant of its time, known at all of them."""
        # The mean of many equal values may differ from them in the last digit.
        mean = pl.col("total") / pl.col("known")
        over = mean > row.goal * (1 + _ROUNDING) if row.above is not None else mean < row.goal * (1 - _ROUNDING)
        since = self.frame.filter(pl.col("ts") >= at_ms - ms(row.for_))
        return bool(since.select(((pl.col("known") > 0) & over).all()).item())


def windows(metric: Metric, p: Fleet) -> tuple[timedelta, ...]:
    """How far before now the metric counts."""
    if isinstance(metric, StepRow):
        return (metric.for_,)
    return tuple(direction.stabilise for direction in (p.scale_out, p.scale_in) if direction)


_Key = tuple[str, tuple[tuple[str, str], ...], bool, bool]


class Reader:
    """Reads the metrics of a fleet of `size` members; those that look at the same series share what is read."""

    def __init__(self, history: History, members: Members, p: Fleet, size: int) -> None:
        self._history = history
        self._members = members
        self._p = p
        self._here = size - members.unready
        self._windows: dict[_Key, set[timedelta]] = {}
        self._frames: dict[_Key, pl.DataFrame] = {}
        for metric in (*p.metrics, *(metric for other in p.alternatives for metric in other.metrics)):
            self._windows.setdefault(self._key(metric), set()).update(windows(metric, p))

    def read(self, metric: Metric) -> Reading:
        """A metric at every instant at which its samples changed, at the beginnings of its windows, and now.

        A sample holds for five minutes. Before now, only members count that had a sample by then. Members that don't
        answer are left out.
        """
        key = self._key(metric)
        if key not in self._frames:
            self._frames[key] = self._frame(key)
        begin = self._history.at_ms - ms(max(windows(metric, self._p)))
        return Reading(metric, self._frames[key].filter(pl.col("ts") >= begin))

    def reference(self, metric: Metric) -> str:
        """What names the samples that were read for it: the beginning of their sha256."""
        key = self._key(metric)
        sids = self._members_of(key)["sid"]
        known = self._history.samples
        series = known.series.filter(pl.col("sid").is_in(sids.implode()))
        rows = self._history.rows(sids, self._within(key))
        return "samples " + digest(Samples(series, rows, known.coverage.clear()))[:16]

    def _key(self, metric: Metric) -> _Key:
        labels = self._history.alert.labels
        where = dict(metric.where) | {name: labels.get(name, "") for name in metric.match}
        # Several series of a member are parts of its load, but several readings of its utilisation.
        parts = isinstance(metric, Capacity) or not metric.each
        return metric.signal, tuple(sorted(where.items())), metric.each, parts

    def _within(self, key: _Key) -> timedelta:
        return max(self._windows[key]) + FRESH

    def _frame(self, key: _Key) -> pl.DataFrame:
        at = self._history.at_ms
        begins = [at - ms(window) for window in self._windows[key]]
        samples = self._samples(key).sort("ts")
        seen = samples.filter(pl.col("ts") > min(begins))["ts"]
        grid = pl.concat([pl.Series("ts", [*begins, at], pl.Int64), seen]).unique().sort().to_frame()
        born = samples.group_by("member").agg(pl.col("ts").min().alias("born")).sort("member")
        held = grid.join(born, how="cross", maintain_order="left_right").join_asof(
            samples, on="ts", by="member", tolerance=ms(FRESH) - 1, check_sortedness=False
        )
        counted = held.group_by("ts", maintain_order=True).agg(
            in_order(pl.col("value").drop_nulls()).list.sum().alias("total"),
            pl.col("value").count().cast(pl.Int64).alias("known"),
            (pl.col("value").is_null() & (pl.col("born") <= pl.col("ts"))).sum().cast(pl.Int64).alias("missing"),
        )
        frame = grid.join(counted, on="ts", how="left", maintain_order="left").with_columns(
            pl.col("total").fill_null(0.0), pl.col("known").fill_null(0), pl.col("missing").fill_null(0)
        )
        if not key[2]:
            known = pl.when(pl.col("known") > 0).then(self._here).otherwise(0).alias("known")
            return frame.with_columns(known, pl.lit(0, pl.Int64).alias("missing"))
        lacking = (self._here - pl.col("known")).clip(lower_bound=0)
        return frame.with_columns(pl.when(pl.col("ts") == at).then(lacking).otherwise("missing").alias("missing"))

    def _samples(self, key: _Key) -> pl.DataFrame:
        """member (a number), ts and value. What is negative is no load."""
        members = self._members_of(key)
        rows = self._history.rows(members["sid"], self._within(key)).filter(pl.col("value") >= 0)
        rows = rows.join(members, on="sid").select("member", "ts", "value")
        if not members["member"].is_duplicated().any():
            return rows
        # Sorted, so that a sum doesn't depend on the order in which the series came.
        folded = in_order(pl.col("value").sort())
        value = folded.list.sum() if key[3] else folded.list.mean()
        return rows.group_by("member", "ts").agg(value.alias("value"))

    def _members_of(self, key: _Key) -> pl.DataFrame:
        """sid and member (a number) of the series that count; 0 is the fleet as a whole."""
        signal, where, each, _ = key
        by = self._p.by
        series = self._history.series(signal, by, *(name for name, _ in where if name != by))
        series = series.filter(*(pl.col(name) == value for name, value in where))
        if not each:
            return series.select("sid", pl.lit(0, pl.UInt32).alias("member"))
        if self._members.names is None:
            return series.select("sid", (pl.col(by).rank("dense") - 1).cast(pl.UInt32).alias("member"))
        return series.join(self._members.names, left_on=by, right_on="label").select("sid", "member")
