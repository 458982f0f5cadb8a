"""The alert state machine on the step grid, over arrays of steps × pairs (a rule and a label set of a source).

Semantics are Prometheus' (`rules/alerting.go`), extended by hysteresis (`clear`) and the missing-data policies:

- a step that a source did not answer leaves the state of its alerts untouched;
- a value that is not a number satisfies no condition, exit thresholds included;
- *active* at a step = `when` holds, or the alert fires and `clear` is given and doesn't hold yet;
- inactive → pending at the first active step; → firing as soon as `ts − active_at ≥ for`, without a `for` at once;
- not active while pending: dropped; while firing: resolved, unless `keep_firing_for` (condition gone) or
  `missing: {keep: d}` (series gone) still holds the state, counted from the first such step;
- a series gone under `missing: alert` turns its alert into *nodata* until the series is back; where it can't come back,
  or the rule no longer asks for that, the alert is resolved;
- a firing alert whose rule now has a longer `for` than it has been active goes back to pending.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from controlplane.rules.membership import Bools, Ints

INACTIVE, PENDING, FIRING, NO_DATA = 0, 1, 2, 3

KINDS = ("pending", "fired", "nodata", "held", "returned", "resolved", "dropped")
REASONS = ("condition", "missing", "keep_firing_for", "rule_changed")
_PENDING, _FIRED, _NO_DATA, _HELD, _RETURNED, _RESOLVED, _DROPPED = range(len(KINDS))
_CONDITION, _MISSING, _KEEP_FIRING, _RULE_CHANGED = range(len(REASONS))
NEVER = -1
"""A time that there is none of."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rule of each pair asks for."""

    for_ms: Ints
    keep_firing_ms: Ints
    keep_missing_ms: Ints
    alert_on_missing: Bools
    """And the series can come back."""
    has_clear: Bools


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of each pair at each step: arrays of steps × pairs."""

    present: Bools
    valued: Bools
    """Present and a number."""
    met: Bools
    cleared: Bools
    answered: Bools
    expected: Bools
    """The series was there before, so that it is missing where it is absent."""


@dataclass(slots=True)
class Standing:
    """Where each pair stands; times in epoch ms or NEVER."""

    state: npt.NDArray[np.int8]
    active_at: Ints
    fired_at: Ints
    held_since: Ints


class Happened(NamedTuple):
    """Transitions in the order of steps and pairs: number of the step and the pair, KINDS, REASONS, times."""

    step: Ints
    pair: Ints
    kind: Ints
    reason: Ints
    active_at: Ints
    fired_at: Ints


def run(steps: Ints, terms: Terms, seen: Seen, standing: Standing) -> Happened:
    """Take every step in order; `standing` is moved on."""
    machine = _Machine(terms, seen, standing)
    lost = ~seen.present & seen.expected & terms.alert_on_missing
    stirred = np.any((seen.met | lost) & seen.answered, axis=1)
    for row, ts in enumerate(steps.tolist()):
        if stirred[row] or standing.state.any():
            machine.step(row, ts)
    return machine.happened()


class _Machine:
    """A step is a handful of vector operations."""

    def __init__(self, terms: Terms, seen: Seen, standing: Standing) -> None:
        self._terms = terms
        self._seen = seen
        self._now = standing
        self._keeps = bool((terms.keep_firing_ms > 0).any() or (terms.keep_missing_ms > 0).any())
        self._log: list[tuple[Ints, ...]] = []

    def step(self, row: int, ts: int) -> None:
        terms, seen, now = self._terms, self._seen, self._now
        answered, present = seen.answered[row], seen.present[row]
        missing = ~present

        silent = answered & (now.state == NO_DATA)
        back, unwatched = silent & present, silent & missing & ~terms.alert_on_missing
        self._record(row, back, _RESOLVED, _CONDITION)
        self._record(row, unwatched, _RESOLVED, _MISSING)
        self._reset(back | unwatched)

        firing = now.state == FIRING
        # What began after the step can't have been active for too short a time at it.
        early = answered & firing & (ts >= now.active_at) & (ts - now.active_at < terms.for_ms)
        self._record(row, early, _RESOLVED, _RULE_CHANGED)
        now.state[early] = PENDING
        now.fired_at[early] = NEVER
        firing &= ~early

        lost = answered & missing & terms.alert_on_missing & seen.expected[row] & (now.state != NO_DATA)
        now.active_at[lost & (now.state == INACTIVE)] = ts
        now.fired_at[lost & ~firing] = ts
        now.held_since[lost] = NEVER
        now.state[lost] = NO_DATA
        self._record(row, lost, _NO_DATA, _MISSING)
        firing &= ~lost
        open_ = firing | (now.state == PENDING)

        active = answered & (seen.met[row] | (firing & terms.has_clear & seen.valued[row] & ~seen.cleared[row]))
        returned = active & open_ & (now.held_since != NEVER)
        now.held_since[returned] = NEVER
        self._record(row, returned, _RETURNED, _CONDITION)

        fresh = active & (now.state == INACTIVE)
        now.state[fresh] = PENDING
        now.active_at[fresh] = ts
        fire = active & (now.state == PENDING) & (ts - now.active_at >= terms.for_ms)
        self._record(row, (fresh & ~fire) | (early & ~lost), _PENDING, _CONDITION)
        now.state[fire] = FIRING
        now.fired_at[fire] = ts
        self._record(row, fire, _FIRED, _CONDITION)

        over = answered & ~active & open_
        if self._keeps:
            over &= ~self._keep(row, ts, over, firing)
        if over.any():
            for why, which in ((_MISSING, missing), (_CONDITION, present)):
                self._record(row, over & firing & which, _RESOLVED, why)
                self._record(row, over & ~firing & which, _DROPPED, why)
            self._reset(over)

    def _keep(self, row: int, ts: int, away: Bools, firing: Bools) -> Bools:
        """Which of the alerts whose condition or series is gone stay as they are for a while."""
        terms, now = self._terms, self._now
        by_missing = ~self._seen.present[row] & (terms.keep_missing_ms > 0)
        limit = np.where(firing, terms.keep_firing_ms, 0)
        limit = np.where(by_missing, np.maximum(limit, terms.keep_missing_ms), limit)
        since = np.where(now.held_since != NEVER, now.held_since, ts)
        kept = away & (ts - since < limit)
        newly = kept & (now.held_since == NEVER)
        now.held_since[newly] = ts
        self._record(row, newly & by_missing, _HELD, _MISSING)
        self._record(row, newly & ~by_missing, _HELD, _KEEP_FIRING)
        return kept

    def _reset(self, which: Bools) -> None:
        now = self._now
        now.state[which] = INACTIVE
        now.active_at[which] = now.fired_at[which] = now.held_since[which] = NEVER

    def _record(self, row: int, which: Bools, kind: int, reason: int) -> None:
        (pair,) = np.nonzero(which)
        if pair.size:
            what = (np.full(pair.size, number) for number in (row, kind, reason))
            self._log.append((pair, *what, self._now.active_at[pair], self._now.fired_at[pair]))

    def happened(self) -> Happened:
        """What was recorded, of each step and pair in the order in which it happened."""
        if not self._log:
            none = np.empty(0, np.int64)
            return Happened(none, none, none, none, none, none)
        pair, row, kind, reason, active_at, fired_at = (np.concatenate(parts) for parts in zip(*self._log, strict=True))
        order = np.lexsort((pair, row))
        columns = (row, pair, kind, reason, active_at, fired_at)
        return Happened(*(column[order] for column in columns))
