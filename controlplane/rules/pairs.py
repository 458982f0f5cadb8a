"""The pairs of a rule and a label set that can do anything in a window; all others are left out of the state machine.

A pair can do something where its alert is active, its value is beyond the threshold at some step, or its series is
missing and the rule asks for an alert then. Of a platform's series that is a small share at most times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from controlplane.rules.compile import Compiled
from controlplane.rules.fold import RESULTS, Floats, Sheet
from controlplane.rules.membership import SLOTS, Bools, Ints
from controlplane.rules.state import Terms

_NONE = -1
_KEY = ["order", "source", "labels"]

_COMPARISONS: dict[str, Callable[[Floats, Floats], Bools]] = {
    ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_BEYOND: dict[str, Callable[[Floats, Floats, float], Bools]] = {
    ">": lambda _, most, limit: most > limit,
    ">=": lambda _, most, limit: most >= limit,
    "<": lambda least, _, limit: least < limit,
    "<=": lambda least, _, limit: least <= limit,
    "==": lambda least, most, limit: (least <= limit) & (most >= limit),
    "!=": lambda least, most, limit: (least != limit) | (most != limit),
}
"""Whether a value between the least and the most of a window may meet a condition."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in the order of rules, sources and labels, and what they show at every step (arrays of steps × pairs)."""

    index: pl.DataFrame
    """rule, order, source and labels of each pair."""
    steps: Ints
    before: Ints
    """The row of the state before the window that belongs to each pair; -1 where none."""
    expected: Bools
    """Whether the series was there before the window."""
    value: Floats
    present: Bools
    met: Bools
    cleared: Bools
    terms: Terms

    def results(self) -> pl.DataFrame:
        """RESULTS of these pairs."""
        step, pair = np.nonzero(self.present)
        return (
            self.index[pair]
            .with_columns(
                pl.Series("ts", self.steps[step]),
                pl.Series("value", self.value[step, pair]).fill_nan(None),
                pl.Series("met", self.met[step, pair]),
                pl.Series("cleared", self.cleared[step, pair]),
            )
            .select(RESULTS.names())
        )


def find(
    compiled: Compiled, sheet: Sheet, state: pl.DataFrame, drift: pl.DataFrame, recent: pl.DataFrame | None
) -> Pairs:
    """The pairs of a window; `state` (evaluate.STATE) of rules that exist, `drift` (RESULTS) of one step."""
    rules = compiled.rules
    active = (
        state.select("rule", "source", "labels")
        .join(rules.select("rule", "order", "view"), on="rule", how="left", maintain_order="left")
        .with_row_index("before")
    )
    expected = _expected(compiled, recent)
    slots = max(len(sheet.of.slots), 1)

    def keys(frame: pl.DataFrame) -> Ints:
        """Order and slot as one number; negative where there is no slot."""
        slot = sheet.of.find(frame.select(SLOTS.names()))
        return np.where(slot < 0, _NONE, _ints(frame["order"]) * slots + slot)

    of_active, of_expected = keys(active), keys(expected)
    found = np.sort(np.concatenate([_beyond(rules, sheet), of_active[of_active >= 0]]))
    found = found[np.diff(found, prepend=_NONE) > 0]
    before = np.full(len(found), _NONE)
    before[np.searchsorted(found, of_active[of_active >= 0])] = np.flatnonzero(of_active >= 0)
    order, slot = np.divmod(found, slots)
    known = sheet.of.slots.select("source", "labels")[slot].select(
        pl.Series("order", order, pl.UInt32),
        "source",
        "labels",
        pl.Series("slot", slot, pl.Int64),
        pl.Series("before", before, pl.Int64),
        pl.lit(_NONE, pl.Int64).alias("drift"),
        pl.Series("expected", np.isin(found, of_expected) | (before != _NONE)),
    )
    lone = [
        active.filter(of_active < 0).select(*_KEY, pl.col("before").cast(pl.Int64)),
        expected.filter(of_expected < 0).select(_KEY),
        drift.with_row_index("drift").select(*_KEY, pl.col("drift").cast(pl.Int64)),
    ]
    rest = (
        pl.concat(lone, how="diagonal")
        .group_by(_KEY)
        .agg(pl.col("before", "drift").max().fill_null(_NONE))
        .with_columns(pl.lit(_NONE, pl.Int64).alias("slot"), pl.lit(value=True).alias("expected"))
    )
    return _spread(rules, sheet, pl.concat([known, rest.select(known.columns)]).sort(_KEY), drift)


def _beyond(rules: pl.DataFrame, sheet: Sheet) -> Ints:
    """Order and slot, as one number, of pairs that may meet their condition or lack a value that their rule wants."""
    least, most = np.fmin.reduce(sheet.value, axis=0), np.fmax.reduce(sheet.value, axis=0)
    gaps: Bools | None = None if sheet.present is None else np.any(~sheet.present, axis=0)
    slots = len(sheet.of.slots)
    found = [np.empty(0, np.int64)]
    of = rules.filter(pl.col("view").is_not_null()).select("order", "view", "operator", "threshold", "alert_on_missing")
    for order, view, operator, threshold, alert_on_missing in of.iter_rows():
        first, end = sheet.of.spans[view]
        hit = _BEYOND[operator](least[first:end], most[first:end], threshold)
        if alert_on_missing and gaps is not None:
            hit |= gaps[first:end]
        found.append(np.flatnonzero(hit) + (order * slots + first))
    return np.concatenate(found)


def _expected(compiled: Compiled, recent: pl.DataFrame | None) -> pl.DataFrame:
    """order, view, source and labels of what rules with `missing: alert` expect."""
    watching = compiled.rules.filter("alert_on_missing").select("order", "view")
    if recent is None or not len(recent) or not len(watching):
        return watching.clear().with_columns(pl.lit("").alias("source"), pl.lit("").alias("labels"))
    members = compiled.expected.of(compiled.views, recent, frozenset(watching["view"].to_list()))
    return members.slots.join(watching, on="view")


def _spread(rules: pl.DataFrame, sheet: Sheet, index: pl.DataFrame, drift: pl.DataFrame) -> Pairs:
    """What the pairs of an index show."""
    mine = rules[index["order"].to_numpy()]
    slot, of_drift = index["slot"].to_numpy(), index["drift"].to_numpy()
    there = np.flatnonzero(slot >= 0)
    shape = (len(sheet.steps), len(index))
    value, present = np.full(shape, np.nan), np.zeros(shape, np.bool_)
    value[:, there], present[:, there] = sheet.value[:, slot[there]], sheet.there(slot[there])
    met = _holds(value, mine["operator"], mine["threshold"])
    cleared = _holds(value, mine["clear_operator"], mine["clear_threshold"])
    checked = np.flatnonzero(of_drift >= 0)
    if checked.size:
        shown = drift[of_drift[checked]]
        present[:, checked] = True
        value[:, checked] = shown["value"].to_numpy()
        met[:, checked] = shown["met"].to_numpy()
        cleared[:, checked] = shown["cleared"].to_numpy()
    return Pairs(
        mine.select("rule", "order").with_columns(index["source"], index["labels"]),
        sheet.steps,
        index["before"].to_numpy(),
        index["expected"].to_numpy(),
        value,
        present,
        met,
        cleared,
        Terms(
            mine["for_ms"].to_numpy(),
            mine["keep_firing_ms"].to_numpy(),
            mine["keep_missing_ms"].to_numpy(),
            mine["alert_on_missing"].to_numpy(),
            mine["clear_operator"].is_not_null().to_numpy(),
        ),
    )


def _holds(value: Floats, operators: pl.Series, thresholds: pl.Series) -> Bools:
    """Where each column meets its condition; a value that is not a number meets none, and neither does no condition."""
    held = np.zeros(value.shape, np.bool_)
    limits = thresholds.to_numpy()
    for operator in operators.drop_nulls().unique().to_list():
        columns = np.flatnonzero((operators == operator).fill_null(value=False).to_numpy())
        held[:, columns] = _COMPARISONS[operator](value[:, columns], limits[columns])
    return held & ~np.isnan(value)


def _ints(series: pl.Series) -> Ints:
    return series.cast(pl.Int64).to_numpy()
