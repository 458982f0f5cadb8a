"""Evaluate alert rules over a window of samples: transitions out, and where every alert stands after it.

A rule and a label set of a source are a pair. What the window shows is folded into arrays of steps × results; the few
pairs that can do anything go through the state machine (`controlplane.rules.state`) step by step.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from controlplane.frames import Samples, steps_of
from controlplane.model.resources import Inventory
from controlplane.rules import pairs as find_pairs
from controlplane.rules.compile import Compiled
from controlplane.rules.derive import NO_PAST, Past, derive
from controlplane.rules.drift import SOURCE, drift_results
from controlplane.rules.fold import RESULTS, Sheet, fold
from controlplane.rules.membership import Bools, Ints
from controlplane.rules.pairs import Pairs
from controlplane.rules.state import (
    FIRING,
    INACTIVE,
    KINDS,
    NEVER,
    NO_DATA,
    PENDING,
    REASONS,
    Happened,
    Seen,
    Standing,
    run,
)

__all__ = ["FIRING", "INACTIVE", "NO_DATA", "PENDING", "STATE", "TRANSITIONS", "Evaluation", "evaluate"]

STATE = pl.Schema(
    {
        "rule": pl.String,
        "source": pl.String,
        "labels": pl.String,
        "state": pl.Int8,
        "active_at": pl.Int64,
        "fired_at": pl.Int64,
        "held_since": pl.Int64,
    }
)
"""One row an active alert: PENDING, FIRING or NO_DATA; times in epoch ms, held_since null where not held."""

TRANSITIONS = pl.Schema(
    {
        "ts": pl.Int64,
        "rule": pl.String,
        "source": pl.String,
        "labels": pl.String,
        "kind": pl.String,
        "value": pl.Float64,
        "active_at": pl.Int64,
        "fired_at": pl.Int64,
        "reason": pl.String,
    }
)
"""kind: pending, fired, nodata, held, returned, resolved or dropped. reason: condition, missing,
keep_firing_for, rule_changed or rule_removed. In the order of ts, rule, source and labels."""

_CLASHES = pl.Schema({"rule": pl.String, "source": pl.String, "ts": pl.Int64, "labels": pl.String})
_PAIR = ["rule", "source", "labels"]


@dataclass(frozen=True)
class Evaluation:
    """What happened in a window, and where every alert stands after it."""

    transitions: pl.DataFrame
    state: pl.DataFrame
    duplicates: pl.DataFrame
    """rule, source, ts, labels of results that share an identity; the rule says nothing at that step."""
    last_seen: Mapping[str, int]
    """The last step (ms) of the window at which each rule had a result; rules without one are left out."""
    pairs: Pairs | None = None

    @cached_property
    def results(self) -> pl.DataFrame:
        """`fold.RESULTS` of every alert that was active before, in or after the window, and of some others."""
        return RESULTS.to_frame() if self.pairs is None else self.pairs.results()


def evaluate(
    compiled: Compiled,
    state: pl.DataFrame,
    window: Samples,
    step_ms: int,
    *,
    recent: pl.DataFrame | None = None,
    sources: Collection[str] | None = None,
    inventory: Inventory | None = None,
    past: Past = NO_PAST,
    decided: int = NEVER,
) -> Evaluation:
    """Evaluate every answered step of the window, in order; all its times lie on the grid of `step_ms`.

    `state` (STATE) is where alerts stood before; `recent` (frames.SERIES) are series seen shortly before the
    window, which `missing: alert` rules expect; `sources` are the configured ones: an alert of any other source counts
    as missing and can't become or stay one for want of data, because nothing will ever answer for it again.
    `inventory` holds limits and settings; `past` gives what derived signals need from before the window. A series has
    one sample at most a step. Steps up to `decided` (epoch ms) were evaluated before and are in the window for a source
    that lagged: what the inventory, rules and sources that are gone say was told at them.
    """
    inventory = Inventory() if inventory is None else inventory
    window = derive(compiled.derived, window, inventory, past, step_ms)
    grid = steps_of(window.coverage, step_ms)
    steps = grid["ts"].to_numpy()
    if not len(steps):
        return Evaluation(TRANSITIONS.to_frame(), state, _CLASHES.to_frame(), {})
    everything = frozenset(range(len(compiled.views)))
    sheet = fold(compiled.measured.of(compiled.views, window.series, everything), window, steps)
    drift = drift_results(compiled.drift, state, inventory, grid.head(1))
    duplicates = _duplicates(compiled, sheet, drift)
    rules = compiled.rules.select("rule")
    removed, state = state.join(rules, on="rule", how="anti"), state.join(rules, on="rule", how="semi")
    pairs = find_pairs.find(compiled, sheet, state, drift, recent)
    answered = _answered(compiled, window.coverage, steps, pairs.index, duplicates, decided)
    returning = _returning(compiled, pairs)
    if sources is not None:
        gone = ~pairs.index["source"].is_in([*sources, SOURCE]).to_numpy()
        answered[:, gone] = (steps > decided)[:, None]
        returning &= ~gone
    standing = _standing(state, pairs.before)
    expected = np.logical_or.accumulate(pairs.present, axis=0) | pairs.expected
    valued = pairs.present & ~np.isnan(pairs.value)
    seen = Seen(pairs.present, valued, pairs.met, pairs.cleared, answered, expected)
    terms = replace(pairs.terms, alert_on_missing=pairs.terms.alert_on_missing & returning)
    happened = run(steps, terms, seen, standing)
    ended, left = _removed(removed, steps[steps > decided])
    return Evaluation(
        pl.concat([ended, _transitions(pairs, happened)]).sort("ts", maintain_order=True),
        pl.concat([_state(pairs, standing), left]),
        duplicates,
        _last_seen(compiled, sheet, drift),
        pairs,
    )


def _duplicates(compiled: Compiled, sheet: Sheet, drift: pl.DataFrame) -> pl.DataFrame:
    """Results that share rule, labels and step: within one source, or from two of them."""
    slots = np.flatnonzero(sheet.of.clashing)
    twice = drift.filter(drift.select("rule", "labels").is_duplicated())
    if not slots.size and twice.is_empty():
        return _CLASHES.to_frame()
    n = np.where(sheet.there(slots), 1 if sheet.count is None else sheet.count[:, slots], 0)
    step, column = np.nonzero(n)
    rows = sheet.of.slots[slots[column]].with_columns(
        pl.Series("ts", sheet.steps[step], pl.Int64), pl.Series("n", n[step, column], pl.Int64)
    )
    found = rows.join(compiled.rules.select("rule", "view"), on="view").select("rule", "source", "labels", "ts", "n")
    grid = pl.DataFrame({"ts": sheet.steps}, schema={"ts": pl.Int64})
    doubled = twice.select(_PAIR).join(grid, how="cross").with_columns(pl.lit(1, pl.Int64).alias("n"))
    return (
        pl.concat([found, doubled])
        .group_by("rule", "labels", "ts")
        .agg(pl.col("n").sum(), pl.col("source").unique().sort().str.join(", "))
        .filter(pl.col("n") > 1)
        .select(_CLASHES.names())
        .sort("ts", "rule", "labels")
    )


def _answered(
    compiled: Compiled,
    coverage: pl.DataFrame,
    steps: Ints,
    index: pl.DataFrame,
    duplicates: pl.DataFrame,
    decided: int,
) -> Bools:
    """Where the source of each pair answered for the signal of its rule, and the rule had no duplicates."""
    views = pl.DataFrame(
        [(number, view.platform, view.signal) for number, view in enumerate(compiled.views)],
        schema={"view": pl.UInt32, "of": pl.String, "signal": pl.String},
        orient="row",
    )
    of_view = views.join(coverage, on="signal").filter(
        (pl.col("platform") == pl.col("of")) | (pl.col("platform") == "")
    )
    # All pairs of a rule and source are answered alike.
    alike = index.select("order", "source").unique(maintain_order=True).with_row_index("alike")
    alike = alike.join(compiled.rules.select("order", "rule", "view"), on="order", maintain_order="left")
    spans = alike.join(of_view, on=["view", "source"])
    ends = np.zeros((len(steps) + 1, len(alike)), np.int64)
    np.add.at(ends, (np.searchsorted(steps, spans["first"].to_numpy()), spans["alike"].to_numpy()), 1)
    np.add.at(ends, (np.searchsorted(steps, spans["last"].to_numpy(), "right"), spans["alike"].to_numpy()), -1)
    answered: Bools = ends[:-1].cumsum(axis=0) > 0
    # The inventory, as it was last read, answers at every step that is new.
    answered[:, (alike["view"].is_null() & (alike["source"] == SOURCE)).to_numpy()] = (steps > decided)[:, None]
    silent = alike.join(duplicates.select("rule", "ts").unique(), on="rule")
    answered[np.searchsorted(steps, silent["ts"].to_numpy()), silent["alike"].to_numpy()] = False
    of_pair = index.select("order", "source").join(alike, on=["order", "source"], how="left", maintain_order="left")
    return answered[:, of_pair["alike"].to_numpy()]


def _returning(compiled: Compiled, pairs: Pairs) -> Bools:
    """Whether a series can come back to each pair: after a change of `where` or `by` none gives an alert's labels."""
    can = np.ones(len(pairs.before), np.bool_)
    (away,) = np.nonzero((pairs.before >= 0) & pairs.terms.alert_on_missing & ~pairs.present.any(axis=0))
    views = compiled.rules["view"]
    can[away] = [
        compiled.views[views[order]].can_give(json.loads(labels))
        for order, labels in pairs.index[away].select("order", "labels").iter_rows()
    ]
    return can


def _standing(state: pl.DataFrame, before: Ints) -> Standing:
    """Where pairs stand at the beginning: `before` is the row of each in `state`, -1 for inactive ones."""
    (active,) = np.nonzero(before >= 0)
    rows = state[before[active]]
    values = np.full(len(before), INACTIVE, np.int8)
    values[active] = rows["state"].to_numpy()
    times = []
    for name in ("active_at", "fired_at", "held_since"):
        column = np.full(len(before), NEVER, np.int64)
        column[active] = rows[name].fill_null(NEVER).to_numpy()
        times.append(column)
    return Standing(values, *times)


def _removed(state: pl.DataFrame, steps: Ints) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The end of alerts whose rule is gone, at the first of the steps (TRANSITIONS), and those that stay (STATE)."""
    if not len(steps):
        return TRANSITIONS.to_frame(), state
    ended = state.sort("source", "labels", maintain_order=True).select(
        pl.lit(int(steps[0]), pl.Int64).alias("ts"),
        *_PAIR,
        pl.when(pl.col("state") == PENDING).then(pl.lit("dropped")).otherwise(pl.lit("resolved")).alias("kind"),
        pl.lit(None, pl.Float64).alias("value"),
        "active_at",
        "fired_at",
        pl.lit("rule_removed").alias("reason"),
    )
    return ended, state.clear()


def _transitions(pairs: Pairs, happened: Happened) -> pl.DataFrame:
    """TRANSITIONS of what happened."""
    value = pairs.value[happened.step, happened.pair]
    return pairs.index.select(_PAIR)[happened.pair].select(
        pl.Series("ts", pairs.steps[happened.step], pl.Int64),
        *_PAIR,
        pl.Series("kind", KINDS, pl.String)[happened.kind].alias("kind"),
        pl.Series("value", value).fill_nan(None),
        _times("active_at", happened.active_at),
        _times("fired_at", happened.fired_at),
        pl.Series("reason", REASONS, pl.String)[happened.reason].alias("reason"),
    )


def _state(pairs: Pairs, standing: Standing) -> pl.DataFrame:
    """STATE after the last step."""
    (active,) = np.nonzero(standing.state != INACTIVE)
    return pairs.index.select(_PAIR)[active].with_columns(
        pl.Series("state", standing.state[active]),
        _times("active_at", standing.active_at[active]),
        _times("fired_at", standing.fired_at[active]),
        _times("held_since", standing.held_since[active]),
    )


def _times(name: str, values: Ints) -> pl.Series:
    series = pl.Series(name, values, pl.Int64)
    return series.set(series == NEVER, None)


def _last_seen(compiled: Compiled, sheet: Sheet, drift: pl.DataFrame) -> dict[str, int]:
    """The last step at which each rule had a result."""
    last = dict.fromkeys(drift["rule"].to_list(), int(sheet.steps[-1]))
    of_view: dict[int, int | None] = {}
    for view, (first, end) in enumerate(sheet.of.spans):
        there = sheet.there(slice(first, end)).any(axis=1)
        of_view[view] = int(sheet.steps[there][-1]) if there.any() else None
    for rule, view in compiled.rules.select("rule", "view").drop_nulls().iter_rows():
        ts = of_view[view]
        if ts is not None:
            last[rule] = ts
    return last
