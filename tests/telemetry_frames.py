"""Frames of samples for tests of the sample store."""

import json
from collections.abc import Iterable, Mapping

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples

STEP = 15_000
HOUR = 3_600_000
START = 1_790_000_000_000 // HOUR * HOUR
"""A whole hour (epoch ms)."""

Name = tuple[str, str, str, str]
"""source, platform, signal, labels."""


def name(signal: str = "cpu", *, source: str = "prom", platform: str = "catalyst", **labels: str) -> Name:
    """The name of a series."""
    return source, platform, signal, json.dumps(labels, sort_keys=True, separators=(",", ":"))


def samples(
    values: Mapping[Name, Mapping[int, float | None]],
    coverage: Iterable[tuple[str, str, str, int, int]] | None = None,
    *,
    first_sid: int = 0,
) -> Samples:
    """Samples from {series: {ts: value}}; without `coverage`, each signal is covered from its first to last sample."""
    names = list(values)
    series = pl.DataFrame([(first_sid + number, *key) for number, key in enumerate(names)], SERIES, orient="row")
    rows = [(first_sid + number, ts, value) for number, key in enumerate(names) for ts, value in values[key].items()]
    if coverage is None:
        spans: dict[tuple[str, str, str], list[int]] = {}
        for key, points in values.items():
            spans.setdefault(key[:3], []).extend(points)
        coverage = [(*key, min(steps), max(steps)) for key, steps in spans.items() if steps]
    return Samples(
        series, pl.DataFrame(rows, SAMPLES, orient="row"), pl.DataFrame(list(coverage), COVERAGE, orient="row")
    )


def contents(frames: Samples) -> dict[Name, dict[int, float | None]]:
    """The inverse of `samples`."""
    names = {row[0]: row[1:] for row in frames.series.rows()}
    found: dict[Name, dict[int, float | None]] = {}
    for sid, ts, value in frames.samples.rows():
        assert ts not in found.setdefault(names[sid], {}), "the same sample twice"
        found[names[sid]][ts] = value
    return found


def tick(number: int, series: int = 20, steps: int = 4, start: int = START) -> Samples:
    """`steps` steps of `series` series whose every value follows from the series and the step alone."""
    times = [start + (number * steps + step + 1) * STEP for step in range(steps)]
    return samples(
        {name(f"signal.{n % 5}", host=f"h{n}"): {ts: value_at(n, ts) for ts in times} for n in range(series)}
    )


def value_at(series: int, ts: int) -> float:
    """The value that `tick` gives to a series at a step."""
    return float(series * 1_000 + ts // STEP % 997)
