"""The methods of derived signals: rows of their inputs in, rows of the derived signal out."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

from controlplane.burrow import KEYS, lag_status
from controlplane.frames import in_order, quotient
from controlplane.model.resources import Inventory, Resource
from controlplane.model.signals import (
    Absent,
    BaselineRatio,
    BurnRate,
    ExpectedLoad,
    LagState,
    Signal,
    SurvivorLoad,
    TimeToDrain,
    TimeToLimit,
    Utilization,
)
from controlplane.model.takeover import Takeover
from controlplane.readiness import cells
from controlplane.rules.columns import as_labels as _object
from controlplane.rules.columns import label as _label
from controlplane.rules.takeover import takeover_values
from controlplane.rules.windows import ROWS, SERIES, last_rows, means, means_until, slopes

COMMITS_MS = 3_600_000
"""How long a commit of a consumer group counts; `LagState` asks for as much of the past."""


def derived_values(
    signal: Signal,
    rows: Mapping[str, pl.DataFrame],
    coverage: pl.DataFrame,
    steps: pl.DataFrame,
    inventory: Inventory,
    platform: str,
    step_ms: int,
) -> pl.DataFrame:
    """`windows.ROWS` of a derived signal at the steps (source, ts), from the rows and the coverage of its inputs.

    A step at which it can't be told has no row.
    """
    if not isinstance(signal.derive, Absent) and all(found.is_empty() for found in rows.values()):
        return ROWS.to_frame()  # packs ask for much that a source hasn't
    match signal.derive:
        case Utilization() as method:
            return _utilization(method, rows, steps, inventory, platform)
        case TimeToLimit() as method:
            return _time_to_limit(method, rows, steps, step_ms)
        case BurnRate() as method:
            return _burn_rate(method, rows[method.of], steps, step_ms)
        case BaselineRatio() as method:
            return _baseline_ratio(method, rows[method.of], steps, step_ms)
        case ExpectedLoad() as method:
            return _expected_load(method, rows[method.of], steps)
        case LagState() as method:
            return _lag_state(method, rows, steps)
        case TimeToDrain() as method:
            return _time_to_drain(method, rows[method.of], steps, step_ms)
        case SurvivorLoad() as method:
            return _survivor_load(method, rows, steps, inventory.of(platform))
        case Absent() as method:
            return _absent(method, rows, coverage, steps)
        case Takeover() as method:
            return takeover_values(method, rows, steps, inventory, platform)
        case None:
            return ROWS.to_frame()


def _at(rows: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    return rows.join(steps, on=["source", "ts"], how="semi")


def _utilization(
    method: Utilization,
    rows: Mapping[str, pl.DataFrame],
    steps: pl.DataFrame,
    inventory: Inventory,
    platform: str,
) -> pl.DataFrame:
    found = [ROWS.to_frame()]
    for name in method.of:
        if rows[name].is_empty():
            continue
        limits = [
            (resource.id, limit)
            for resource in inventory.resources
            if resource.platform == platform and (limit := resource.limit(name))
        ]
        limited = pl.DataFrame(limits, schema={"of": pl.String, "most": pl.Float64}, orient="row")
        load = (
            _at(rows[name], steps)
            .with_columns(_label(method.by).alias("of"))
            .group_by("source", "of", "ts")
            .agg(in_order(pl.col("value")).list.sum())
        )
        shares = load.join(limited, on="of").with_columns(pl.lit(name).alias("limit"))
        labels = _object(**{method.by: pl.col("of"), "limit": pl.col("limit")})
        found.append(
            shares.select(
                "source", labels.alias("labels"), "ts", quotient(pl.col("value"), pl.col("most")).alias("value")
            )
        )
    return pl.concat(found)


def _time_to_limit(
    method: TimeToLimit, rows: Mapping[str, pl.DataFrame], steps: pl.DataFrame, step_ms: int
) -> pl.DataFrame:
    lines = slopes(rows[method.of], steps, _ms(method.over), step_ms)
    left = pl.col("most") - pl.col("value")
    reached = pl.when(left <= 0).then(0.0).when(pl.col("slope") > 0).then(quotient(left, pl.col("slope")))
    limits = rows[method.limit].rename({"value": "most"})
    return lines.join(limits, on=[*SERIES, "ts"]).select(*SERIES, "ts", reached.otherwise(float("inf")).alias("value"))


def _time_to_drain(method: TimeToDrain, rows: pl.DataFrame, steps: pl.DataFrame, step_ms: int) -> pl.DataFrame:
    group = _object(consumer_group=_label("consumer_group"))
    lags = (
        rows.with_columns(group.alias("labels"))
        .group_by(*SERIES, "ts")
        .agg(in_order(pl.col("value")).list.sum())
        .sort(*SERIES, "ts")
    )
    drained = pl.when(pl.col("value") <= 0).then(0.0).when(pl.col("slope") < 0)
    left = drained.then(quotient(pl.col("value"), -pl.col("slope"))).otherwise(float("inf"))
    return slopes(lags, steps, _ms(method.over), step_ms).select(*SERIES, "ts", left.alias("value"))


def _burn_rate(method: BurnRate, rows: pl.DataFrame, steps: pl.DataFrame, step_ms: int) -> pl.DataFrame:
    long, short = (means(rows, steps, _ms(window), step_ms) for window in method.windows)
    both = long.join(short.rename({"value": "short"}), on=[*SERIES, "ts"])
    # The better of the two windows burns less, and both have to exceed a threshold.
    good = pl.max_horizontal("value", "short")
    # A constant divisor would give another last digit in a frame of one row than in a longer one.
    burn = (1 - good) * (1 / (1 - method.objective))
    # 1 - 0.9999 is no round number in binary: without rounding a rate of 14.4 would be above 14.4.
    return both.select(*SERIES, "ts", burn.round_sig_figs(12).alias("value"))


def _baseline_ratio(method: BaselineRatio, rows: pl.DataFrame, steps: pl.DataFrame, step_ms: int) -> pl.DataFrame:
    before, over = _ms(method.before), _ms(method.over)
    now = means(rows, steps, over, step_ms)
    then = means_until(rows, now.select(*SERIES, pl.col("ts") - before), over)
    base = then.select(*SERIES, pl.col("ts") + before, pl.col("value").alias("base")).filter(pl.col("base") != 0)
    return now.join(base, on=[*SERIES, "ts"]).select(
        *SERIES, "ts", quotient(pl.col("value"), pl.col("base")).alias("value")
    )


def _expected_load(method: ExpectedLoad, rows: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    before = _ms(method.before)
    load = (
        rows.with_columns(_object(**{method.by: _label(method.by)}).alias("labels"))
        .group_by(*SERIES, "ts")
        .agg(in_order(pl.col("value")).list.sum())
        .sort(*SERIES, "ts")
    )
    now = _at(load, steps)
    then = means_until(load, now.select(*SERIES, pl.col("ts") - before), _ms(method.over))
    quiet = then.filter(pl.col("value") < method.at_least).with_columns(pl.col("ts") + before)
    return now.join(quiet, on=[*SERIES, "ts"], how="anti").select(ROWS.names())


def _lag_state(method: LagState, rows: Mapping[str, pl.DataFrame], steps: pl.DataFrame) -> pl.DataFrame:
    labels = {name: _label(name).alias(name) for name in ("consumer_group", *KEYS)}
    lag = rows[method.of].with_columns(*labels.values()).drop("labels").rename({"value": "lag"})
    offset = rows[method.offset].with_columns(*labels.values()).drop("labels").rename({"value": "offset"})
    end = rows[method.end].with_columns(*(labels[name] for name in KEYS)).drop("labels").rename({"value": "offset"})
    of, shared = ["source", "consumer_group"], ["source"]
    commits = offset.join(lag, on=[*of, *KEYS, "ts"], how="left")
    judged = lag_status(
        last_rows(commits, [*of, *KEYS], steps, method.window, COMMITS_MS),
        last_rows(end, [*shared, *KEYS], steps, method.window, COMMITS_MS),
        pl.col("step"),
        window=method.window,
        of=[*of, "step"],
        shared=[*shared, "step"],
    )
    worst = judged.group_by(*of, "step").agg(pl.col("status").max().cast(pl.Float64).alias("value"))
    group = _object(consumer_group=pl.col("consumer_group"))
    return worst.select("source", group.alias("labels"), pl.col("step").alias("ts"), "value")


def _survivor_load(
    method: SurvivorLoad, rows: Mapping[str, pl.DataFrame], steps: pl.DataFrame, resources: Sequence[Resource]
) -> pl.DataFrame:
    """Steps in which a member isn't measured or a cell is lost have no row."""
    found = [cells.LOADS.to_frame()]
    for name in method.of:
        load = _by_member(rows[name], method.by, in_order(pl.col("value")).list.sum())
        found.append(load.with_columns(pl.lit(name).alias("signal")).select(cells.LOADS.names()))
    ups = cells.UPS.to_frame()
    if method.up is not None:
        ups = _by_member(rows[method.up], method.by, pl.col("value").min()).select(cells.UPS.names())
    who = cells.crew(resources, method.cell, method.roles)
    capacity = cells.capacities(who, method.of)
    made = cells.shares(cells.members(who, method.cell), capacity, pl.concat(found), ups, steps)
    told = cells.survivors(made).filter(pl.col("value").is_not_null(), pl.col("lost") == 0)
    labels = _object(**{method.cell: pl.col("cell"), "role": pl.col("role")})
    return told.select("source", labels.alias("labels"), "ts", "value")


def _by_member(rows: pl.DataFrame, by: str, fold: pl.Expr) -> pl.DataFrame:
    """source, id, ts and value of each member, folding its series where it has several."""
    # Labels are read once a series, not once a sample.
    series = rows.select(*SERIES).unique().with_columns(_label(by).alias("id"))
    of = rows.join(series, on=SERIES)
    if not series.select("source", "id").is_duplicated().any():
        return of.drop("labels")
    return of.sort("source", "id", "labels").group_by("source", "id", "ts").agg(fold)


def _absent(
    method: Absent, rows: Mapping[str, pl.DataFrame], coverage: pl.DataFrame, steps: pl.DataFrame
) -> pl.DataFrame:
    found = []
    for name in method.of:
        # A source that doesn't have the signal can't miss it.
        asked = steps.join(coverage.filter(pl.col("signal") == name), on="source", how="semi")
        there = rows[name].select("source", "ts").unique().with_columns(pl.lit(0.0).alias("value"))
        found.append(
            asked.join(there, on=["source", "ts"], how="left").select(
                "source",
                _object(signal=pl.lit(name)).alias("labels"),
                "ts",
                pl.col("value").fill_null(1.0),
            )
        )
    return pl.concat(found)


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
