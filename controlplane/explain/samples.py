"""What rules saw: every label set at every step of a stretch of time, read from the stored samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from controlplane.explain.model import Point
from controlplane.frames import Samples
from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory
from controlplane.model.rules import AlertRule, Placed, RuleSet
from controlplane.model.time import from_ms
from controlplane.rules.compile import compile_rules
from controlplane.rules.derive import Past, derive
from controlplane.rules.fold import compare, fold
from controlplane.rules.membership import membership
from controlplane.telemetry.store import SampleStore

Pair = tuple[str, str]
"""Source, and labels as canonical JSON."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one rule saw."""

    points: Mapping[Pair, tuple[Point, ...]]
    answered: Mapping[str, frozenset[int]]
    """Steps (epoch ms) at which each source answered for its signal."""
    steps: Sequence[int]

    def of(self, source: str, labels: Mapping[str, str]) -> tuple[Point, ...]:
        """Every step of a label set, also of one that no sample has."""
        known = self.points.get((source, canonical(labels)))
        if known is not None:
            return known
        answered = self.answered.get(source, frozenset())
        return tuple(Point(from_ms(ts), "absent" if ts in answered else "unanswered") for ts in self.steps)


def look(
    store: SampleStore, rules: RuleSet, chosen: Sequence[Placed], inventory: Inventory, start: int, end: int, step: int
) -> dict[str, Seen]:
    """What the chosen alert rules saw at the steps in (start, end] (epoch ms), by rule id; StoreError of the store."""
    compiled = compile_rules(RuleSet(rules=tuple(chosen), signals=rules.signals, digest=""))
    if not compiled.views:
        return {}
    window = store.read(start, end, signals=compiled.signals())
    past = Past(lambda signals, after, until: store.history(after, until, signals=signals))
    window = derive(compiled.derived, window, inventory, past, step)
    steps = np.arange(start + step, end + 1, step, dtype=np.int64)
    everything = frozenset(range(len(compiled.views)))
    sheet = fold(membership(compiled.views, window.series, everything), window, steps)
    found = {}
    numbers = dict(compiled.rules.select("rule", "view").iter_rows())
    for placed in chosen:
        number = numbers.get(placed.id)
        if number is None or not isinstance(placed.rule, AlertRule):
            continue
        answered = _answered(window, placed, steps)
        first, last = sheet.of.spans[number]
        there = sheet.there(slice(first, last))
        points = {}
        for column, (source, labels) in enumerate(sheet.of.slots[first:last].select("source", "labels").iter_rows()):
            rows = zip(steps.tolist(), sheet.value[:, first + column].tolist(), there[:, column].tolist(), strict=True)
            mine = answered.get(source, frozenset())
            points[source, labels] = tuple(_point(placed.rule, *row, answered=row[0] in mine) for row in rows)
        found[placed.id] = Seen(points, answered, steps.tolist())
    return found


def _point(rule: AlertRule, ts: int, value: float, there: bool, *, answered: bool) -> Point:
    at = from_ms(ts)
    if not there:
        return Point(at, "absent" if answered else "unanswered")
    if value != value:
        return Point(at, "not a number")
    cleared = rule.clear is not None and compare(value, rule.clear.operator, rule.clear.threshold)
    return Point(at, "present", value, compare(value, rule.when.operator, rule.when.threshold), cleared)


def _answered(window: Samples, placed: Placed, steps: Any) -> dict[str, frozenset[int]]:
    assert isinstance(placed.rule, AlertRule)
    coverage = window.coverage.filter(
        (pl.col("signal") == placed.rule.signal) & pl.col("platform").is_in([placed.platform, ""])
    )
    found: dict[str, set[int]] = {}
    for source, first, last in coverage.select("source", "first", "last").iter_rows():
        found.setdefault(source, set()).update(steps[(steps >= first) & (steps <= last)].tolist())
    return {source: frozenset(there) for source, there in found.items()}


def kept_since(store: SampleStore) -> datetime | None:
    """Since when samples are kept at full resolution; None where none were dropped. StoreError of the store."""
    since = store.query("SELECT full_since FROM meta")["full_since"].to_list()
    return from_ms(since[0]) if since and since[0] > 0 else None
