"""The alert state machine on the step grid: results of rules in, transitions out.

Semantics are Prometheus' (`rules/alerting.go`), extended by hysteresis (`clear`) and the missing-data policies:

- a step that a source did not answer leaves the state of its alerts untouched;
- a value that is not a number satisfies no condition, exit thresholds included;
- *active* at a step = `when` holds, or the alert fires and `clear` is given and doesn't hold yet;
- inactive → pending at the first active step; → firing as soon as `ts − active_at ≥ for`;
- not active while pending: dropped; while firing: resolved, unless `keep_firing_for` (condition gone) or
  `missing: {keep: d}` (series gone) still holds the state, counted from the first such step;
- a series gone under `missing: alert` turns its alert into *nodata* until the series is back;
- a firing alert whose rule now has a longer `for` than it has been active goes back to pending.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from controlplane.frames import Samples, steps_of
from controlplane.model.resources import Inventory
from controlplane.rules.compile import Compiled, members
from controlplane.rules.derive import NO_PAST, Past, derive
from controlplane.rules.drift import SOURCE, drift_covered, drift_results
from controlplane.rules.fold import covered, results

INACTIVE, PENDING, FIRING, NO_DATA = 0, 1, 2, 3

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

_PAIR = ["rule", "source", "labels"]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What happened in a window, and where every alert stands after it."""

    transitions: pl.DataFrame
    state: pl.DataFrame
    duplicates: pl.DataFrame
    """rule, source, ts, labels of results that share an identity; the rule says nothing at that step."""
    results: pl.DataFrame
    """`fold.RESULTS` of the window."""


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
) -> Evaluation:
    """Evaluate every answered step of the window, in order; all its times lie on the grid of `step_ms`.

    `state` (STATE) is where alerts stood before; `recent` (frames.SERIES) are series seen shortly before the
    window, which `missing: alert` rules expect; `sources` are the configured ones: an alert of any other
    source counts as missing, because nothing will ever answer for it again. `inventory` holds limits and settings;
    `past` gives what derived signals need from before the window.
    """
    inventory = Inventory() if inventory is None else inventory
    window = derive(compiled.derived, window, inventory, past, step_ms)
    steps = steps_of(window.coverage, step_ms)
    found = results(compiled, window)
    answered = covered(compiled, window.coverage, steps)
    if compiled.drift:
        drifted = drift_results(compiled.drift, state, inventory, steps)
        found = pl.concat([found, drifted.with_columns(pl.lit(1, pl.UInt32).alias("n"))])
        answered = pl.concat([answered, drift_covered(compiled.drift, steps)])
    duplicates = _duplicates(found)
    if len(duplicates):
        answered = answered.join(duplicates.select("rule", "ts"), on=["rule", "ts"], how="anti")
    removed, state = _split_removed(compiled, state)
    pairs = _pairs(compiled, state, found, recent)
    machine = _Machine(pairs, state, steps["ts"].to_numpy())
    machine.fill(found, answered, sources)
    machine.run()
    transitions = pl.concat([_removed(removed, steps), machine.transitions()])
    order = compiled.rules.select("rule", "order")
    transitions = (
        transitions.join(order, on="rule", how="left", maintain_order="left")
        .sort("ts", "order", "source", "labels", nulls_last=False, maintain_order=True)
        .select(TRANSITIONS.names())
    )
    return Evaluation(transitions, machine.state(), duplicates, found.select(pl.exclude("n")))


def _duplicates(found: pl.DataFrame) -> pl.DataFrame:
    """Results that share rule, labels and step: within one source, or from two of them."""
    identity = ["rule", "labels", "ts"]
    twice = found.group_by(identity).agg(pl.col("n").sum()).filter(pl.col("n") > 1)
    return (
        # Who they come from is asked for the few that clash only.
        found.join(twice.select(identity), on=identity, how="semi")
        .group_by(identity)
        .agg(pl.col("source").unique().sort().str.join(", "))
        .select("rule", "source", "ts", "labels")
        .sort("ts", "rule", "labels")
    )


def _split_removed(compiled: Compiled, state: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    rules = compiled.rules.select("rule")
    return state.join(rules, on="rule", how="anti"), state.join(rules, on="rule", how="semi")


def _removed(state: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    if not len(state) or not len(steps):
        return TRANSITIONS.to_frame()
    return state.select(
        pl.lit(steps["ts"][0], pl.Int64).alias("ts"),
        *_PAIR,
        pl.when(pl.col("state") == PENDING).then(pl.lit("dropped")).otherwise(pl.lit("resolved")).alias("kind"),
        pl.lit(None, pl.Float64).alias("value"),
        "active_at",
        "fired_at",
        pl.lit("rule_removed").alias("reason"),
    )


def _pairs(compiled: Compiled, state: pl.DataFrame, found: pl.DataFrame, recent: pl.DataFrame | None) -> pl.DataFrame:
    parts = [state.select(_PAIR), found.select(_PAIR)]
    if recent is not None and len(recent):
        watching = compiled.rules.filter("alert_on_missing").select("rule", "view")
        parts.append(members(compiled.views, recent).join(watching, on="view").select(_PAIR))
    return (
        pl.concat(parts)
        .unique()
        .join(compiled.rules, on="rule")
        .sort("order", "source", "labels")
        .with_row_index("pair")
    )


class _Machine:
    """State of every (rule, source, labels) pair as arrays; a step is a handful of vector operations."""

    def __init__(self, pairs: pl.DataFrame, state: pl.DataFrame, steps: Ints) -> None:
        self._pairs = pairs
        self._steps = steps
        start = pairs.select("pair", *_PAIR).join(state, on=_PAIR, how="left", maintain_order="left")
        self._state = start["state"].fill_null(INACTIVE).to_numpy().astype(np.int8)
        self._active_at = start["active_at"].fill_null(-1).to_numpy().copy()
        self._fired_at = start["fired_at"].fill_null(-1).to_numpy().copy()
        self._held = start["held_since"].fill_null(-1).to_numpy().copy()
        self._for = pairs["for_ms"].to_numpy()
        self._keep_firing = pairs["keep_firing_ms"].to_numpy()
        self._keep_missing = pairs["keep_missing_ms"].to_numpy()
        self._alert_missing = pairs["alert_on_missing"].to_numpy()
        self._has_clear = pairs["clear_operator"].is_not_null().to_numpy()
        shape = (len(steps), len(pairs))
        self._value = np.full(shape, np.nan)
        self._present = np.zeros(shape, np.bool_)
        self._met = np.zeros(shape, np.bool_)
        self._cleared = np.zeros(shape, np.bool_)
        self._answered = np.zeros(shape, np.bool_)
        self._log: list[pl.DataFrame] = []

    def fill(self, found: pl.DataFrame, answered: pl.DataFrame, sources: Collection[str] | None) -> None:
        """Spread results and answers over the grid of steps and pairs."""
        index = self._pairs.select("pair", *_PAIR)
        rows = found.join(index, on=_PAIR)
        at = (np.searchsorted(self._steps, rows["ts"].to_numpy()), rows["pair"].to_numpy())
        self._value[at] = rows["value"].fill_null(float("nan")).to_numpy()
        self._present[at] = True
        self._met[at] = rows["met"].to_numpy()
        self._cleared[at] = rows["cleared"].to_numpy()
        there = answered.join(index.select("pair", "rule", "source"), on=["rule", "source"])
        self._answered[np.searchsorted(self._steps, there["ts"].to_numpy()), there["pair"].to_numpy()] = True
        if sources is not None:
            gone = ~self._pairs["source"].is_in([*sources, SOURCE]).to_numpy()
            self._answered[:, gone] = True

    def run(self) -> None:
        """Take every step in order."""
        for row, ts in enumerate(self._steps):
            self._step(row, int(ts))

    def _step(self, row: int, ts: int) -> None:
        answered, present = self._answered[row], self._present[row]
        valued = present & ~np.isnan(self._value[row])
        missing = ~present
        firing = self._state == FIRING

        back = answered & present & (self._state == NO_DATA)
        self._record(row, back, "resolved", "condition")
        self._reset(back)

        early = answered & firing & (ts - self._active_at < self._for)
        self._record(row, early, "resolved", "rule_changed")
        self._state[early] = PENDING
        self._fired_at[early] = -1
        firing = self._state == FIRING

        lost = answered & missing & self._alert_missing & (self._state != NO_DATA)
        self._active_at[lost & (self._state == INACTIVE)] = ts
        self._fired_at[lost & ~firing] = ts
        self._held[lost] = -1
        self._state[lost] = NO_DATA
        self._record(row, lost, "nodata", "missing")
        firing = self._state == FIRING
        open_ = firing | (self._state == PENDING)

        active = answered & (self._met[row] | (firing & self._has_clear & valued & ~self._cleared[row]))
        returned = active & open_ & (self._held >= 0)
        self._held[returned] = -1
        self._record(row, returned, "returned", "condition")

        fresh = active & (self._state == INACTIVE)
        self._state[fresh] = PENDING
        self._active_at[fresh] = ts
        self._record(row, fresh | early, "pending", "condition")
        fire = active & (self._state == PENDING) & (ts - self._active_at >= self._for)
        self._state[fire] = FIRING
        self._fired_at[fire] = ts
        self._record(row, fire, "fired", "condition")

        away = answered & ~active & open_
        by_missing = missing & (self._keep_missing > 0)
        limit = np.where(firing, self._keep_firing, 0)
        limit = np.where(by_missing, np.maximum(limit, self._keep_missing), limit)
        since = np.where(self._held >= 0, self._held, ts)
        kept = away & (ts - since < limit)
        newly = kept & (self._held < 0)
        self._held[newly] = ts
        self._record(row, newly & by_missing, "held", "missing")
        self._record(row, newly & ~by_missing, "held", "keep_firing_for")
        over = away & ~kept
        for why, which in (("missing", missing), ("condition", present)):
            self._record(row, over & firing & which, "resolved", why)
            self._record(row, over & ~firing & which, "dropped", why)
        self._reset(over)

    def _reset(self, which: Bools) -> None:
        self._state[which] = INACTIVE
        self._active_at[which] = self._fired_at[which] = self._held[which] = -1

    def _record(self, row: int, which: Bools, kind: str, reason: str) -> None:
        (hit,) = np.nonzero(which)
        if not hit.size:
            return
        self._log.append(
            self._pairs[hit].select(
                pl.lit(int(self._steps[row]), pl.Int64).alias("ts"),
                *_PAIR,
                pl.lit(kind).alias("kind"),
                pl.Series("value", self._value[row, hit]).fill_nan(None),
                _times("active_at", self._active_at[hit]),
                _times("fired_at", self._fired_at[hit]),
                pl.lit(reason).alias("reason"),
            )
        )

    def transitions(self) -> pl.DataFrame:
        """TRANSITIONS in the order in which they happened."""
        return pl.concat(self._log) if self._log else TRANSITIONS.to_frame()

    def state(self) -> pl.DataFrame:
        """STATE after the last step."""
        (hit,) = np.nonzero(self._state != INACTIVE)
        return self._pairs[hit].select(
            *_PAIR,
            pl.Series("state", self._state[hit]),
            _times("active_at", self._active_at[hit]),
            _times("fired_at", self._fired_at[hit]),
            _times("held_since", self._held[hit]),
        )


def _times(name: str, values: Ints) -> pl.Series:
    series = pl.Series(name, values, pl.Int64)
    return series.set(series < 0, None)
