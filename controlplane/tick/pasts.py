"""The past of every active alert while a window is walked: earlier readings, what its rule saw, and what came before.

The past of an alert that begins in the window is its backfill up to its first step, and then every value of the window.
So it is the same in one long window as in many short ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import groupby, islice

import numpy as np
import polars as pl

from controlplane.model.alerts import Alert, Reading
from controlplane.model.base import Condition
from controlplane.model.events import Draft
from controlplane.model.labels import canonical
from controlplane.model.notifications import Chart
from controlplane.model.payloads import AlertFacts, AlertFired, AlertNoData, AlertPending
from controlplane.model.resources import Inventory
from controlplane.model.time import from_ms, to_ms
from controlplane.notify.incident import past_badness, worst
from controlplane.rules.derive import Past
from controlplane.rules.pairs import Pairs
from controlplane.tick.backfill import NOTHING, Begin, Line, Wanted, backfilled
from controlplane.tick.plane import ControlPlane
from controlplane.tick.thinning import BUCKET_MS, FULL_MS, Ints, extremes, thinned

BEGINNING = 100
"""Of how many alerts that begin at the same step the past is looked up, worst first."""
POINTS = 120
"""Most points of a chart."""
_GAPS = 20
"""Most gaps of a chart."""
_BEGIN = (AlertPending, AlertFired, AlertNoData)
"""What an alert can begin with."""
_DIGITS = 6


def beginning(changes: Sequence[Draft]) -> list[Wanted]:
    """The alerts that begin in a window, by step and worst first; `changes` are its alert drafts."""
    by_step: dict[datetime, list[AlertFacts]] = {}
    for draft in changes:
        payload = draft.payload
        if isinstance(payload, _BEGIN) and payload.facts.active_at == draft.occurred_at:
            by_step.setdefault(draft.occurred_at, []).append(payload.facts)
    return [
        Wanted(facts.alert, facts.rule, facts.source, canonical(facts.labels), to_ms(facts.active_at))
        for _, found in sorted(by_step.items())
        for facts in sorted(found, key=past_badness)
    ]


def served(begun: Sequence[Wanted]) -> list[Wanted]:
    """Those whose past is looked up: however ticks cut time into windows, the same ones."""
    return [one for _, some in groupby(begun, key=lambda one: one.before) for one in islice(some, BEGINNING)]


def without_past(alerts: Mapping[str, Alert], before: Mapping[str, Reading], step: int) -> list[Wanted]:
    """The worst of the alerts that have been active since before `step` (epoch ms) and have no reading."""
    lacking = [alert for name, alert in alerts.items() if name not in before]
    return [
        Wanted(alert.id, alert.rule, alert.source, canonical(alert.labels), step) for alert in worst(lacking, BEGINNING)
    ]


def look_back(
    plane: ControlPlane,
    alerts: Mapping[str, Alert],
    changes: Sequence[Draft],
    pairs: Pairs | None,
    inventory: Inventory,
    past: Past,
) -> "Pasts":
    """The past of what is active in a window; `alerts` are those before it, `changes` the alert drafts of it."""
    before, begun = plane.log.readings(), beginning(changes)
    lacking = [] if pairs is None else without_past(alerts, before, int(pairs.steps[0]))
    found = backfilled(plane.compiled, plane.store, [*served(begun), *lacking], inventory, past, plane.step_ms)
    return Pasts(before, pairs, [(one.alert, one.before) for one in begun], found, plane.step_ms)


class Pasts:
    """`before` are the readings before the window, `pairs` what its rules saw, `begun` when alerts began in it.

    `backfill` holds what was found for alerts that began, and for others without a reading (at the window's first
    step).
    """

    def __init__(
        self,
        before: Mapping[str, Reading],
        pairs: Pairs | None,
        begun: Iterable[Begin],
        backfill: Mapping[Begin, Line],
        step_ms: int,
    ) -> None:
        self._before = before
        self._pairs = pairs
        self._begun = frozenset(begun)
        self._backfill = backfill
        self._step_ms = step_ms
        self._first = {name: line for (name, at), line in backfill.items() if (name, at) not in self._begun}

    def chart(self, alert: Alert, at: datetime) -> Chart | None:
        """The past of an active alert as it is known at the step `at`; None where fewer than two values are."""
        line = self._line(alert, to_ms(at))
        kept = thinned(np.zeros(len(line.at), np.int64), line.at, line.value)
        if np.count_nonzero(np.isfinite(kept.value)) < 2:
            return None
        some = extremes(kept.at, kept.value, POINTS - _GAPS)
        gaps = _gaps(kept.at, self._step_ms)
        at_ms = np.concatenate([kept.at[some], gaps])
        values = np.concatenate([kept.value[some], np.full(len(gaps), np.nan)])
        order = np.argsort(at_ms, kind="stable")
        condition = _condition(alert)
        return Chart(
            alert=alert.id,
            at_ms=tuple(at_ms[order].tolist()),
            values=tuple(float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values[order]),
            threshold=None if condition is None else condition.threshold,
            below=condition is not None and condition.operator.startswith("<"),
            unit=alert.unit,
        )

    def readings(self, alerts: Iterable[Alert]) -> list[Reading]:
        """One reading for each active alert of which a value is known."""
        found = sorted(alerts, key=lambda alert: alert.id)
        if not found:
            return []
        lines = [self._earlier(alert) for alert in found]
        owner = [np.repeat(np.arange(len(lines)), [len(line.at) for line in lines])]
        at, value = [line.at for line in lines], [line.value for line in lines]
        if self._pairs is not None:
            mine, seen = self._seen(found)
            owner.append(mine)
            at.append(seen.at)
            value.append(seen.value)
        kept = thinned(np.concatenate(owner), np.concatenate(at), np.concatenate(value))
        sizes = np.bincount(kept.owner, minlength=len(found))
        (numbers,) = np.nonzero(sizes)
        sizes = sizes[numbers]
        ends = np.cumsum(sizes)
        starts = ends - sizes
        ages = (np.repeat(kept.at[ends - 1], sizes) - kept.at).astype("<u4").tobytes()
        values = kept.value.astype("<f8").tobytes()
        newest = zip(kept.at[ends - 1].tolist(), pl.Series(kept.value[ends - 1]).fill_nan(None).to_list(), strict=True)
        spans = zip(numbers.tolist(), starts.tolist(), ends.tolist(), newest, strict=True)
        return [
            Reading(found[n].id, from_ms(at_ms), now, ages[4 * start : 4 * end], values[8 * start : 8 * end])
            for n, start, end, (at_ms, now) in spans
        ]

    def _begin(self, alert: Alert) -> int | None:
        """The step of the window at which the alert began; None where it began before."""
        begin = to_ms(alert.active_at)
        return begin if (alert.id, begin) in self._begun else None

    def _earlier(self, alert: Alert) -> Line:
        """What is known of an alert besides what the window shows."""
        begin = self._begin(alert)
        if begin is not None:
            return self._backfill.get((alert.id, begin), NOTHING)
        reading = self._before.get(alert.id)
        if reading is None:
            return self._first.get(alert.id, NOTHING)
        ages = np.frombuffer(reading.ages, "<u4").astype(np.int64)
        return Line(to_ms(reading.at) - ages, np.frombuffer(reading.numbers, "<f8"))

    def _line(self, alert: Alert, until: int) -> Line:
        earlier = self._earlier(alert)
        column = self._columns.get((alert.rule, alert.source, canonical(alert.labels)))
        if self._pairs is None or column is None:
            return earlier
        steps, begin = self._pairs.steps, self._begin(alert)
        there = self._pairs.present[:, column] & (steps <= until)
        if begin is not None:
            there &= steps >= begin
        at = np.concatenate([earlier.at, steps[there]])
        return Line(at, np.concatenate([earlier.value, self._pairs.value[there, column]]))

    @cached_property
    def _columns(self) -> dict[tuple[str, str, str], int]:
        if self._pairs is None:
            return {}
        rows = self._pairs.index.select("rule", "source", "labels").iter_rows()
        return {(rule, source, labels): number for number, (rule, source, labels) in enumerate(rows)}

    def _seen(self, found: Sequence[Alert]) -> tuple[Ints, Line]:
        """What the window shows of alerts: the number of the alert, and the values."""
        assert self._pairs is not None
        rows = [
            (number, alert.rule, alert.source, canonical(alert.labels), self._begin(alert) or 0)
            for number, alert in enumerate(found)
        ]
        schema = {"number": pl.Int64, "rule": pl.String, "source": pl.String, "labels": pl.String, "begin": pl.Int64}
        key = ["rule", "source", "labels"]
        index = self._pairs.index.select(key).with_row_index("column")
        mine = pl.DataFrame(rows, schema=schema, orient="row").join(index, on=key)
        columns, begin = mine["column"].to_numpy().astype(np.int64), mine["begin"].to_numpy()
        steps = self._pairs.steps
        step, place = np.nonzero(self._pairs.present[:, columns] & (steps[:, None] >= begin))
        line = Line(steps[step], self._pairs.value[step, columns[place]])
        return mine["number"].to_numpy()[place], line


def _gaps(at: Ints, step_ms: int) -> Ints:
    """The middles of the longest stretches without a point, in which nothing was measured."""
    distance = np.diff(at)
    usual = np.where(at[1:] > at[-1] - FULL_MS, BUCKET_MS, 2 * BUCKET_MS)
    wide = np.flatnonzero(distance > np.maximum(usual, 3 * step_ms))
    longest = wide[np.argsort(-distance[wide], kind="stable")[:_GAPS]]
    middles: Ints = np.sort(at[longest] + distance[longest] // 2)
    return middles


def _condition(alert: Alert) -> Condition | None:
    """The alert's condition in its unit; None where it isn't one of a number."""
    try:
        condition = Condition.parse(alert.threshold)
        return condition if condition.unit is None else condition.in_unit(alert.unit)
    except ValueError:
        return None
