"""Derived signals: from samples of measured signals and the inventory to samples that rules read like any other.

A derived sample depends on the samples up to its step alone, never on how long the window is that it is made in.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import polars as pl

from controlplane import frames
from controlplane.frames import COVERAGE, SAMPLES, Samples
from controlplane.model.resources import Inventory
from controlplane.model.signals import Absent, Signal, Span
from controlplane.rules.methods import derived_values
from controlplane.rules.windows import ROWS, SERIES, usable

Read = Callable[[Collection[str], int, int], Samples]


def _nothing(*_: object) -> Samples:
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
    inputs = {name for _, signal in signals for name in signal.inputs}
    now, coverage = _sorted(window, inputs), window.coverage.filter(pl.col("signal").is_in(list(inputs)))
    answered = []
    asked: dict[tuple[str, tuple[str, ...]], tuple[pl.DataFrame, pl.DataFrame]] = {}
    for platform, signal in signals:
        # Many are derived from the same few.
        key = (platform, signal.inputs)
        if key not in asked:
            wanted = pl.col("signal").is_in(list(signal.inputs)) & pl.col("platform").is_in([platform, ""])
            mine = coverage.filter(wanted)
            asked[key] = mine, _answered(mine, past, platform, signal.inputs, step_ms)
        mine, steps = asked[key]
        if len(steps):
            answered.append((platform, signal, mine, steps))
    before = {span: _sorted(found, inputs) for span, found in _stored(answered, window, past, step_ms).items()}
    known: dict[tuple[object, ...], pl.DataFrame] = {}
    for platform, signal, mine, steps in answered:
        # A series that is there is there, whatever its value is.
        of_use = not isinstance(signal.derive, Absent)
        rows = {}
        for name in signal.inputs:
            of = (platform, name, signal.spans, of_use)
            if of not in known:
                known[of] = _rows([*(before[span] for span in signal.spans), now], platform, name, of_use=of_use)
            rows[name] = known[of]
        values = derived_values(signal, rows, mine, steps, inventory, platform, step_ms)
        parts.append(_samples(platform, signal.name, values, steps))
    return _together(parts)


def _stored(
    answered: Sequence[tuple[str, Signal, pl.DataFrame, pl.DataFrame]], window: Samples, past: Past, step_ms: int
) -> dict[Span, Samples]:
    """The stretches before the window that the signals need."""
    needed: dict[Span, set[str]] = {}
    for _, signal, _, _ in answered:
        for span in signal.spans:
            needed.setdefault(span, set()).update(signal.inputs)
    if not needed:
        return {}
    found = {}
    for (older, newer), names in needed.items():
        of = window.coverage.filter(pl.col("signal").is_in(list(names)))
        begins = of.group_by("source", "platform", "signal").agg(pl.col("first").min())["first"].to_numpy()
        start, end = int(begins.min()) - step_ms, int(of["last"].to_numpy().max())
        until = end - _ms(newer)
        if (begins == begins[0]).all():
            # What lies in the window itself is there already; where one input lags, only its own part does.
            until = min(start, until)
        found[older, newer] = past.read(sorted(names), start - _ms(older), until)
    return found


def _sorted(samples: Samples, signals: Collection[str]) -> Mapping[tuple[str, str], pl.DataFrame]:
    """ROWS by (pack, signal), of some signals; one pass over all samples."""
    series = samples.series.filter(pl.col("signal").is_in(list(signals)))
    rows = samples.samples.join(series, on="sid").select("platform", "signal", *ROWS)
    parts = rows.partition_by("platform", "signal", as_dict=True, include_key=False)
    return {(str(platform), str(signal)): part for (platform, signal), part in parts.items()}


def _answered(coverage: pl.DataFrame, past: Past, platform: str, inputs: Sequence[str], step_ms: int) -> pl.DataFrame:
    """source and ts of the steps at which a source answered for every input that it has."""
    offered = [
        (source, signal) for source, pack, signal in past.offered or () if signal in inputs and pack in {platform, ""}
    ]
    expected = (
        pl.concat(
            [
                coverage.select("source", "signal"),
                pl.DataFrame(offered, {"source": pl.String, "signal": pl.String}, orient="row"),
            ]
        )
        .unique()
        .group_by("source")
        .agg(pl.len().alias("expected"))
    )
    steps = coverage.select(
        "source", "signal", pl.int_ranges("first", pl.col("last") + 1, step_ms).alias("ts")
    ).explode("ts")
    full = steps.unique().group_by("source", "ts").agg(pl.len().alias("n")).join(expected, on="source")
    return full.filter(pl.col("n") == pl.col("expected")).select("source", "ts").sort("source", "ts")


def _rows(
    parts: Sequence[Mapping[tuple[str, str], pl.DataFrame]], platform: str, signal: str, *, of_use: bool
) -> pl.DataFrame:
    """ROWS of one signal; where they are `of_use`, by series and time and without samples that are no number."""
    found = [part[key] for part in parts for key in ((platform, signal), ("", signal)) if key in part]
    rows = pl.concat(found) if found else ROWS.to_frame()
    # A window that an input lags in is also read from the store, and in a long one two stretches before it overlap.
    times = sorted((part["ts"].to_numpy().min(), part["ts"].to_numpy().max()) for part in found if len(part))
    if any(first <= end for (_, end), (first, _) in pairwise(times)):
        rows = rows.unique([*SERIES, "ts"], keep="last")
    return usable(rows) if of_use else rows


def _samples(platform: str, signal: str, values: pl.DataFrame, steps: pl.DataFrame) -> Samples:
    coverage = steps.select(
        "source",
        pl.lit(platform).alias("platform"),
        pl.lit(signal).alias("signal"),
        pl.col("ts").alias("first"),
        pl.col("ts").alias("last"),
    ).cast(COVERAGE)
    if values.is_empty():
        return Samples(frames.SERIES.to_frame(), SAMPLES.to_frame(), coverage)
    series = values.select("source", "labels").unique().sort("source", "labels").with_row_index("sid")
    series = series.with_columns(pl.lit(platform).alias("platform"), pl.lit(signal).alias("signal"))
    samples = values.join(series.select("sid", *SERIES), on=SERIES).select(SAMPLES.names())
    return Samples(series.select(frames.SERIES.names()).cast(frames.SERIES), samples.cast(SAMPLES), coverage)


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
