"""Up to which step each signal of a source is known, and what is stored beyond that."""

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from controlplane.frames import Samples
from controlplane.model.time import on_grid
from controlplane.model.views import SourceHealth
from controlplane.telemetry.collector import Collector
from controlplane.telemetry.writing import combined
from controlplane.tick.plane import ControlPlane

_KEY = ["source", "platform", "signal"]


def floor(source: Collector, end: int, step_ms: int, kept_since: int) -> int:
    """The grid step (epoch ms) after which a source is asked at the earliest.

    What is older was given up, or isn't kept at full resolution any more (`kept_since`), so that nothing of it would
    ever be decided.
    """
    reach = max(source.max_catch_up, source.lookback) // timedelta(milliseconds=1)
    return on_grid(max(end - reach, kept_since - 1), step_ms)


def after(health: SourceHealth | None, signal: str, first: int, least: int, step_ms: int) -> int:
    """The grid step (epoch ms) up to which a `platform/signal` is known, `first` where its source never answered.

    No earlier than `least`. A step of an earlier, finer grid counts as the last one of this grid before it.
    """
    known = first if health is None else health.after(signal, first)
    return max(on_grid(known, step_ms), least)


def fresh(plane: ControlPlane, health: Mapping[str, SourceHealth], end: int) -> Samples:
    """Stored samples that no tick has evaluated yet: each signal from its own watermark on.

    Signals are read together with those that are known as far as they are, so that a source that is away for hours
    doesn't make every tick read hours of all the others.
    """
    marks = _marks(plane, health, end)
    groups: dict[tuple[bool, int], list[tuple[str, str]]] = {}
    for source, of in marks.items():
        for signal, mark in of.items():
            groups.setdefault((bool(signal), mark), []).append((source, signal))
    parts = []
    for (late, mark), named in sorted(groups.items()):
        signals = {signal.partition("/")[2] for _, signal in named} if late else None
        stored = plane.store.read(mark, end, sources={source for source, _ in named}, signals=signals)
        parts.append(_beyond(stored, marks, mark, plane.step_ms))
    found = [part for part in parts if len(part.coverage)]
    return found[0] if len(found) == 1 else combined(found)


def _marks(plane: ControlPlane, health: Mapping[str, SourceHealth], end: int) -> dict[str, dict[str, int]]:
    """Source → watermarks of its signals that lag behind, and that of all others under ""."""
    kept_since = plane.store.kept_since()
    marks = {}
    for source in plane.collectors:
        row = health.get(source.name)
        least = floor(source, end, plane.step_ms, kept_since)
        mark = after(row, "", least, least, plane.step_ms)
        behind = {} if row is None else {key: after(row, key, least, least, plane.step_ms) for key in row.behind}
        marks[source.name] = {"": mark} | {key: late for key, late in behind.items() if late < mark}
    return marks


def _beyond(stored: Samples, marks: Mapping[str, Mapping[str, int]], mark: int, step_ms: int) -> Samples:
    """What of `stored` belongs to the signals whose watermark is `mark`, on the grid."""
    if not len(stored.coverage):
        return Samples.empty()
    keys = stored.coverage.select(_KEY).unique(maintain_order=True)
    there = [
        marks[source].get(f"{platform}/{signal}", marks[source][""]) == mark
        for source, platform, signal in keys.iter_rows()
    ]
    mine = keys.filter(pl.Series(there, dtype=pl.Boolean))
    # After a change of the grid, stretches may begin and end beside it, and samples lie between its steps.
    first, last = (pl.col("first") + step_ms - 1) // step_ms * step_ms, pl.col("last") // step_ms * step_ms
    coverage = stored.coverage.join(mine, on=_KEY, how="semi").with_columns(first=first, last=last)
    series = stored.series.join(mine, on=_KEY, how="semi")
    samples = stored.samples.filter(pl.col("ts") % step_ms == 0).join(series.select("sid"), on="sid", how="semi")
    present = series.join(samples.select("sid").unique(), on="sid", how="semi")
    return Samples(present, samples, coverage.filter(pl.col("first") <= pl.col("last")))
