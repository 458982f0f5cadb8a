"""Derived signals: from samples of measured signals and the inventory to samples that rules read like any other.

A derived sample depends on the samples up to its step alone, never on how long the window is that it is made in.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane import frames
from controlplane.burrow import KEYS, lag_status
from controlplane.frames import COVERAGE, SAMPLES, Samples, in_order
from controlplane.model.resources import Inventory
from controlplane.model.signals import (
    Absent,
    BaselineRatio,
    BurnRate,
    ExpectedLoad,
    LagState,
    Signal,
    Span,
    TimeToDrain,
    TimeToLimit,
    Utilization,
)
from controlplane.rules.windows import ROWS, SERIES, last_rows, means, means_until, quotient, slopes, usable

COMMITS_MS = 3_600_000
"""How long a commit of a consumer group counts; `LagState` asks for as much of the past."""

Read = Callable[[Collection[str], int, int], Samples]


def _nothing(signals: Collection[str], after: int, until: int) -> Samples:  # noqa: ARG001
    return Samples.empty()


@dataclass(frozen=True, slots=True)
class Past:
    """What is known beside the window."""

    read: Read = _nothing
    """Stored samples of some signals in (after, until], epoch ms; rollups where nothing else is left."""
    offered: Collection[tuple[str, str, str]] | None = None
    """(source, pack, signal) of everything that sources have, answered or not; None = what they answered for."""


NO_PAST = Past()


def derive(
    signals: Sequence[tuple[str, Signal]], window: Samples, inventory: Inventory, past: Past, step_ms: int
) -> Samples:
    """The window and, for every step in it, the samples of the derived ones among `signals` ((pack, signal) pairs).

    `past` gives what lies before the window; each stretch of it is read once for all signals that need it.
    """
    parts = [window]
    covered = set(window.coverage.select("platform", "signal").unique().iter_rows())
    signals = [
        (platform, signal)
        for platform, signal in signals
        if any((pack, name) in covered for name in signal.inputs for pack in (platform, ""))
    ]
    if not signals:
        return window
    # The few signals that others are derived from are looked through again and again.
    inputs = _only(window, {name for _, signal in signals for name in signal.inputs})
    windows = [(platform, signal, _of(inputs, platform, signal.inputs)) for platform, signal in signals]
    answered = [
        (platform, signal, mine, steps)
        for platform, signal, mine in windows
        if len(steps := _answered(mine, past, platform, signal.inputs, step_ms))
    ]
    stored = _stored(answered, window, past, step_ms)
    for platform, signal, mine, steps in answered:
        known = [_of(stored[span], platform, signal.inputs) for span in signal.spans]
        # A series that is there is there, whatever its value is.
        of_use = not isinstance(signal.derive, Absent)
        rows = {name: _rows((*known, mine), name, of_use=of_use) for name in signal.inputs}
        values = _values(signal, rows, mine.coverage, steps, inventory, platform, step_ms)
        parts.append(_samples(platform, signal.name, values, steps))
    return _together(parts)


def _stored(
    answered: Sequence[tuple[str, Signal, Samples, pl.DataFrame]], window: Samples, past: Past, step_ms: int
) -> dict[Span, Samples]:
    """The stretches before the window that the signals need."""
    needed: dict[Span, set[str]] = {}
    for _, signal, _, _ in answered:
        for span in signal.spans:
            needed.setdefault(span, set()).update(signal.inputs)
    if not needed:
        return {}
    start = int(window.coverage.select(pl.col("first").min()).item()) - step_ms
    end = int(window.coverage.select(pl.col("last").max()).item())
    found = {}
    for (older, newer), names in needed.items():
        # What lies in the window itself is there already.
        until = min(start, end - _ms(newer))
        found[older, newer] = past.read(sorted(names), start - _ms(older), until)
    return found


def _only(samples: Samples, signals: Collection[str]) -> Samples:
    series = samples.series.filter(pl.col("signal").is_in(list(signals)))
    coverage = samples.coverage.filter(pl.col("signal").is_in(list(signals)))
    return Samples(series, samples.samples.join(series.select("sid"), on="sid", how="semi"), coverage)


def _of(samples: Samples, platform: str, signals: Collection[str]) -> Samples:
    """The part of some signals that a pack reads."""
    wanted = pl.col("signal").is_in(list(signals)) & pl.col("platform").is_in([platform, ""])
    series = samples.series.filter(wanted)
    return Samples(
        series, samples.samples.join(series.select("sid"), on="sid", how="semi"), samples.coverage.filter(wanted)
    )


def _answered(window: Samples, past: Past, platform: str, inputs: Sequence[str], step_ms: int) -> pl.DataFrame:
    """source and ts of the steps at which a source answered for every input that it has."""
    offered = [
        (source, signal) for source, pack, signal in past.offered or () if signal in inputs and pack in {platform, ""}
    ]
    expected = (
        pl.concat(
            [
                window.coverage.select("source", "signal"),
                pl.DataFrame(offered, {"source": pl.String, "signal": pl.String}, orient="row"),
            ]
        )
        .unique()
        .group_by("source")
        .agg(pl.len().alias("expected"))
    )
    steps = window.coverage.select(
        "source", "signal", pl.int_ranges("first", pl.col("last") + 1, step_ms).alias("ts")
    ).explode("ts")
    full = steps.unique().group_by("source", "ts").agg(pl.len().alias("n")).join(expected, on="source")
    return full.filter(pl.col("n") == pl.col("expected")).select("source", "ts").sort("source", "ts")


def _rows(parts: Sequence[Samples], signal: str, *, of_use: bool) -> pl.DataFrame:
    """ROWS of one signal; where they are `of_use`, by series and time and without samples that are no number."""
    found = [
        part.samples.join(part.series.filter(pl.col("signal") == signal), on="sid").select(ROWS.names())
        for part in parts
    ]
    rows = pl.concat(found)
    if len(found) > 2:
        # In a long window, two stretches before it can overlap.
        rows = rows.unique(["source", "labels", "ts"])
    return usable(rows) if of_use else rows


def _values(
    signal: Signal,
    rows: Mapping[str, pl.DataFrame],
    coverage: pl.DataFrame,
    steps: pl.DataFrame,
    inventory: Inventory,
    platform: str,
    step_ms: int,
) -> pl.DataFrame:
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
        case Absent() as method:
            return _absent(method, rows, coverage, steps)
        case None:
            return ROWS.to_frame()


def _at(rows: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    return rows.join(steps, on=["source", "ts"], how="semi")


def _label(name: str) -> pl.Expr:
    return pl.col("labels").str.json_decode(pl.Struct({name: pl.String})).struct.field(name).fill_null("")


def _object(**fields: pl.Expr) -> pl.Expr:
    """Canonical JSON of labels: the names come in text order, empty ones are left out."""
    pairs = []
    for name, value in sorted(fields.items()):
        # A struct with one field encodes to {"name":…}; its inside is the quoted pair.
        pair = pl.struct(value.alias(name)).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        pairs.append(pl.when(value != "").then(pair))
    return pl.concat_str(pl.lit("{"), pl.concat_str(pairs, separator=",", ignore_nulls=True), pl.lit("}"))


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


def _samples(platform: str, signal: str, values: pl.DataFrame, steps: pl.DataFrame) -> Samples:
    series = values.select("source", "labels").unique().sort("source", "labels").with_row_index("sid")
    series = series.with_columns(pl.lit(platform).alias("platform"), pl.lit(signal).alias("signal"))
    samples = values.join(series.select("sid", *SERIES), on=SERIES).select(SAMPLES.names())
    coverage = steps.select(
        "source",
        pl.lit(platform).alias("platform"),
        pl.lit(signal).alias("signal"),
        pl.col("ts").alias("first"),
        pl.col("ts").alias("last"),
    )
    return Samples(
        series.select(frames.SERIES.names()).cast(frames.SERIES), samples.cast(SAMPLES), coverage.cast(COVERAGE)
    )


def _together(parts: Sequence[Samples]) -> Samples:
    """All parts as one, with series numbered on."""
    first, *rest = parts
    series, samples, coverage = [first.series], [first.samples], [first.coverage]
    taken = int(first.series.select((pl.col("sid").max() + 1).fill_null(0)).item())
    for part in rest:
        moved = (pl.col("sid") + taken).cast(pl.UInt32)
        series.append(part.series.with_columns(moved))
        samples.append(part.samples.with_columns(moved))
        coverage.append(part.coverage)
        taken += len(part.series)
    return Samples(pl.concat(series), pl.concat(samples), pl.concat(coverage))


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
