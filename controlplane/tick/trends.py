"""How each measured input of a recommendation got where it is: a few points over the lookback of its method."""

import math
from datetime import timedelta
from functools import partial

import polars as pl

from controlplane.frames import in_order
from controlplane.history import History, ms
from controlplane.model.recommendations import Evidence, Proposal

POINTS = 24
"""Most points of a trend."""
_FOLDS = ("sum", "max", "min", "mean")
_OWN = {"sid", "slot", "ts", "value"}
"""Columns beside those of the labels; a label of such a name has no trend."""
_CLOSE = 1e-6
_DIGITS = 6


def with_trends(proposal: Proposal, history: History, lookback: timedelta) -> Proposal:
    """The proposal whose evidence has trends, where the stored samples lead to the very value that it states.

    What a method worked out (a rate, a forecast, a share of several signals) has no trend: another number's past
    would be taken for its own.
    """
    evidence = []
    for one in proposal.evidence:
        if one.value is None or not math.isfinite(one.value) or _OWN & one.labels.keys():
            evidence.append(one)
            continue
        signal, labels = one.signal, tuple(sorted(one.labels))
        rows = history.once(("trend", signal, labels, lookback), partial(_newest, history, signal, labels, lookback))
        evidence.append(one.model_copy(update={"trend": _trend(one, one.value, rows)}))
    return proposal.model_copy(update={"evidence": tuple(evidence)})


def _newest(history: History, signal: str, labels: tuple[str, ...], lookback: timedelta) -> pl.DataFrame:
    """sid, labels, slot, ts and value of the samples of a signal; 24 slots of equal length lead up to now."""
    series = history.series(signal, *labels)
    begin, span = history.at_ms - ms(lookback), ms(lookback)
    slot = ((pl.col("ts") - begin - 1) * POINTS // span).alias("slot")
    return history.rows(series["sid"], lookback).with_columns(slot).join(series, on="sid")


def _trend(one: Evidence, value: float, rows: pl.DataFrame) -> tuple[float | None, ...]:
    """The newest value in each slot, oldest first; empty where it isn't the evidence's own past."""
    mine = rows.filter(*(pl.col(name) == label for name, label in one.labels.items()))
    if mine.is_empty() or (not one.labels and mine["sid"].n_unique() > 1):
        return ()
    whole = in_order(pl.col("value")).list
    folded = (
        mine.filter(pl.col("ts") == pl.col("ts").max().over("slot"))
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
    fold = next((name for name in _FOLDS if math.isclose(newest[name], value, rel_tol=_CLOSE)), None)
    if fold is None:
        return ()
    values = dict(folded.select("slot", fold).iter_rows())
    return tuple(float(f"{values[n]:.{_DIGITS}g}") if n in values else None for n in range(POINTS))
