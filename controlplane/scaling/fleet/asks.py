"""The number of members that each metric asks for, now and at every instant of the stabilisation windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from itertools import pairwise

import polars as pl

from controlplane.history import FRESH, ms
from controlplane.model.methods.fleet import Absolute, StepRow
from controlplane.model.time import format_duration, from_ms
from controlplane.model.units import human
from controlplane.scaling.fleet.members import Change
from controlplane.scaling.fleet.readings import Reading
from controlplane.scaling.sizing import whole

_ROUNDING = 1e-9
_BLIND = -1
_MOST = 2.0**53


@dataclass(frozen=True, slots=True)
class Ask:
    """What one metric asks for: the number of its formula, and what the tolerance leaves of it."""

    reading: Reading
    raw: int
    asked: int
    formula: str
    limit: str | None
    """What keeps `asked` at the present size."""


def asked(metric: Absolute, frame: pl.DataFrame, unready: int, size: int) -> pl.DataFrame:
    """ts, ratio, raw and asked for each row of ts, total, known and missing; null where nothing is known.

    The HPA's rule (replica_calculator.go): members without a sample count as at the target when the fleet is below
    it and as idle when it is above, those that don't answer as idle when it is above. The size holds within the
    tolerance, and where counting them turns the direction. `unready` counts for the last row.
    """
    goal, last = metric.goal, pl.int_range(pl.len()) == pl.len() - 1
    first, ratio, raw, missing = pl.col("first"), pl.col("ratio"), pl.col("raw"), pl.col("missing")
    below, above = first < 1, first > 1
    within = (ratio <= 1 + metric.tolerance + _ROUNDING) & (ratio >= 1 - metric.tolerance - _ROUNDING)
    turned = (below & (ratio > 1)) | (above & (ratio < 1))
    turned |= ((ratio < 1) & (raw > size)) | ((ratio > 1) & (raw < size))
    return (
        frame.with_columns(pl.when(pl.col("known") > 0).then("known").alias("known"))
        .with_columns((pl.col("total") / (pl.col("known") * goal)).alias("first"))
        .with_columns(
            (pl.col("total") + pl.when(below).then(missing * goal).otherwise(0.0)).alias("total"),
            (
                pl.col("known")
                + pl.when(below | above).then(missing).otherwise(0)
                + pl.when(above & last).then(unready).otherwise(0)
            ).alias("count"),
        )
        .with_columns((pl.col("total") / (pl.col("count") * goal)).alias("ratio"))
        .with_columns(_whole(ratio * pl.col("count")).alias("raw"))
        .select(
            "ts",
            "ratio",
            "raw",
            pl.when(within | turned).then(size).otherwise(raw).alias("asked"),
            (turned & ~within).alias("turned"),
        )
        .with_columns(pl.when(raw.is_not_null()).then("asked").alias("asked"))
    )


def _whole(number: pl.Expr) -> pl.Expr:
    """As sizing.whole does it, for a column; what is beyond any size stops at 2⁵³."""
    slack = _ROUNDING * pl.max_horizontal(pl.lit(1.0), number.abs())
    return (number - slack).ceil().clip(0, _MOST).cast(pl.Int64)


def of_absolute(reading: Reading, metric: Absolute, unready: int, size: int) -> Ask:
    """What a metric with a target asks for now; it must have data."""
    now = asked(metric, reading.frame, unready, size).row(-1, named=True)
    sums = f"{human(reading.total, metric.unit)} ÷ {human(metric.goal, metric.unit)} a member"
    told = f"ceil({sums})" if not reading.missing and not unready else f"{sums}, {reading.missing + unready} unknown"
    limit = None
    if now["asked"] != now["raw"]:
        limit = (
            "members without data turn the direction"
            if now["turned"]
            else f"tolerance {metric.tolerance:g} ({now['ratio']:.3f} of the target)"
        )
    return Ask(reading, now["raw"], now["asked"], f"{metric.signal}: {told}", limit)


def of_row(reading: Reading, row: StepRow, at_ms: int, size: int, last: Change | None) -> Ask | None:
    """What a row of a step table asks for now, None while its condition doesn't hold.

    Within its cooldown after the fleet grew the percentage is of the size before, so that what was added counts
    (AWS step scaling). Percentages are rounded as the HPA does it: up when growing, down when shrinking.
    """
    if not reading.beyond(row, at_ms):
        return None
    sign, limit = (">", row.above) if row.above is not None else ("<", row.below)
    held = f"{row.signal} {sign} {human(limit, row.unit)} for {format_duration(row.for_)}"
    if row.below is not None:
        wanted = int(size * (1 - row.percent / 100) + _ROUNDING)
        return Ask(reading, wanted, wanted, f"{held}: {size} − {row.percent:g} %", None)
    recent = last is not None and last.grows and (last.approved or at_ms - last.at_ms < ms(row.cooldown))
    base = last.before if last is not None and recent else size
    wanted = whole(base * (1 + row.percent / 100))
    kept = max(wanted, size) if recent else wanted
    bit = f"cooldown {format_duration(row.cooldown)}: {size - base} of them added already" if recent else None
    return Ask(reading, wanted, kept, f"{held}: {base} + {row.percent:g} %", bit)


@dataclass(frozen=True, slots=True)
class Windows:
    """The smallest and the largest number that was asked for within the stabilisation windows."""

    up: int
    down: int
    complete: bool
    """Whether enough is known of the window for taking away."""


def stabilised(
    readings: Sequence[tuple[Reading, Absolute]],
    at_ms: int,
    up: timedelta,
    down: timedelta,
    unready: int,
    size: int,
) -> Windows:
    """Recomputes what the metrics with a target asked for together at the instants of both windows.

    At an instant at which one of them isn't known only a number above the size counts, as with the HPA.
    """
    frames = [asked(metric, reading.frame, unready, size).select("ts", "asked") for reading, metric in readings]
    names = [f"asked_{number}" for number in range(len(frames))]
    renamed = [
        frame.select("ts", pl.col("asked").fill_null(_BLIND).alias(name))
        for frame, name in zip(frames, names, strict=True)
    ]
    joined = reduce(lambda left, right: left.join(right, on="ts", how="full", coalesce=True), renamed).sort("ts")
    # Between its own instants a metric stands where it stood.
    held = joined.with_columns(pl.col(names).forward_fill())
    largest = pl.max_horizontal(names)
    known = pl.all_horizontal(pl.col(names) != _BLIND)
    rows = held.select("ts", pl.when(known | (largest > size)).then(largest).alias("asked"), known.alias("known"))
    now = pl.col("ts") == at_ms

    def within(window: timedelta) -> list[int]:
        found: list[int] = rows.filter(now | (pl.col("ts") > at_ms - ms(window)))["asked"].drop_nulls().to_list()
        return found

    if rows.filter(now)["asked"].null_count():
        return Windows(size, size, complete=False)
    ups, downs = within(up), within(down)
    seen: list[int] = rows.filter(pl.col("ts") >= at_ms - ms(down), pl.col("known"))["ts"].to_list()
    gaps = [later - earlier for earlier, later in pairwise(seen)]
    complete = bool(seen) and seen[0] == at_ms - ms(down) and max(gaps, default=0) <= ms(FRESH)
    return Windows(up=min(ups, default=size), down=max(downs, default=size), complete=complete)


def told(at_ms: int) -> str:
    """An instant for people."""
    return f"{from_ms(at_ms):%H:%M:%S} UTC"
