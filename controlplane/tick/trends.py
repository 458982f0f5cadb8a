"""How each measured input of a recommendation got where it is: a few points over the lookback of its method."""

import math
from datetime import timedelta

import polars as pl

from controlplane.frames import in_order
from controlplane.history import History, ms
from controlplane.model.recommendations import Evidence, Proposal

POINTS = 24
"""Most points of a trend."""
_FOLDS = ("sum", "max", "min", "mean")
_CLOSE = 1e-6
_DIGITS = 6


def with_trends(proposal: Proposal, history: History, lookback: timedelta) -> Proposal:
    """The proposal whose evidence has trends, where the stored samples lead to the very value that it states.

    What a method worked out (a rate, a forecast, a share of several signals) has no trend: another number's past
    would be taken for its own.
    """
    known: dict[tuple[str, tuple[str, ...]], pl.DataFrame] = {}
    evidence = []
    for one in proposal.evidence:
        key = one.signal, tuple(sorted(one.labels))
        if one.value is None or not math.isfinite(one.value) or one.trend:
            evidence.append(one)
            continue
        if key not in known:
            known[key] = history.series(one.signal, *key[1])
        evidence.append(one.model_copy(update={"trend": _trend(one, history, known[key], lookback)}))
    return proposal.model_copy(update={"evidence": tuple(evidence)})


def _trend(one: Evidence, history: History, series: pl.DataFrame, lookback: timedelta) -> tuple[float | None, ...]:
    """The newest value of each of 24 equal stretches, oldest first; empty where it isn't the evidence's own past."""
    assert one.value is not None
    mine = series.filter(*(pl.col(name) == value for name, value in one.labels.items()))
    if mine.is_empty() or (not one.labels and len(mine) > 1):
        return ()
    begin, span = history.at_ms - ms(lookback), ms(lookback)
    rows = history.rows(mine["sid"], lookback).with_columns(((pl.col("ts") - begin - 1) * POINTS // span).alias("slot"))
    last = rows.group_by("slot").agg(pl.col("ts").max())
    whole = in_order(pl.col("value")).list
    folded = (
        rows.join(last, on=["slot", "ts"], how="semi")
        .sort("slot", "sid")
        .group_by("slot", maintain_order=True)
        .agg(
            whole.sum().alias("sum"),
            pl.col("value").max().alias("max"),
            pl.col("value").min().alias("min"),
            whole.mean().alias("mean"),
        )
    )
    if len(folded) < 2:
        return ()
    newest = folded.row(-1, named=True)
    fold = next((name for name in _FOLDS if math.isclose(newest[name], one.value, rel_tol=_CLOSE)), None)
    if fold is None:
        return ()
    values = dict(folded.select("slot", fold).iter_rows())
    return tuple(float(f"{values[n]:.{_DIGITS}g}") if n in values else None for n in range(POINTS))
