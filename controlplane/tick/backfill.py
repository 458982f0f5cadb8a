"""What an alert's value was in the hours before the alert began, worked out from the stored samples."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from controlplane.frames import COVERAGE, Samples
from controlplane.model.resources import Inventory
from controlplane.model.signals import Signal
from controlplane.rules.compile import Compiled
from controlplane.rules.derive import Past, derive
from controlplane.rules.fold import Sheet, fold
from controlplane.rules.membership import SLOTS, Membership, membership
from controlplane.telemetry.store import SampleStore
from controlplane.tick.thinning import KEPT_MS, Floats, Ints

_log = logging.getLogger(__name__)

EVERY_MS = 120_000
"""How far apart the points are, or one step where that is longer."""
SERIES = 100_000
"""Series of all signals together that are looked through for those of the alerts."""
MEMBERS = 20_000
"""Series whose samples are read."""
DERIVED = 2_000
"""Series that a derived signal may be derived from: its inputs are read at every step."""


class Wanted(NamedTuple):
    """An alert whose past is wanted: its identity, and the step (epoch ms) before which its past ends."""

    alert: str
    rule: str
    source: str
    labels: str
    """Canonical JSON."""
    before: int


class Line(NamedTuple):
    """Values over time, ascending; NaN = not a number."""

    at: Ints
    value: Floats


NOTHING = Line(np.empty(0, np.int64), np.empty(0))

Begin = tuple[str, int]
"""An alert and the step (epoch ms) at which it began."""


def backfilled(
    compiled: Compiled,
    store: SampleStore,
    wanted: Sequence[Wanted],
    inventory: Inventory,
    past: Past,
    step_ms: int,
) -> Mapping[Begin, Line]:
    """The last six hours before each of `wanted` (the most important first); what can't be told is left out.

    A failure is logged and leaves the past empty: a chart must never cost the page that it belongs to.
    """
    try:
        return _backfilled(compiled, store, wanted, inventory, past, step_ms)
    except Exception:  # noqa: BLE001 - whatever it is, the page goes out
        _log.exception("the past of %d alerts can't be told", len(wanted))
        return {}


def _backfilled(
    compiled: Compiled,
    store: SampleStore,
    wanted: Sequence[Wanted],
    inventory: Inventory,
    past: Past,
    step_ms: int,
) -> Mapping[Begin, Line]:
    view_of = dict(compiled.rules.select("rule", "view").drop_nulls().iter_rows())
    chosen = [one for one in wanted if one.rule in view_of]
    if not chosen:
        return {}
    every = step_ms * max(1, -(-EVERY_MS // step_ms))
    begin = min(one.before for one in chosen) - KEPT_MS
    steps = np.arange(begin - begin % every + every, max(one.before for one in chosen), every, dtype=np.int64)
    derived = {(platform, signal.name): signal for platform, signal in compiled.derived}
    found: dict[Begin, Line] = {}
    groups: dict[tuple[str, str] | None, list[Wanted]] = {}
    for one in chosen:
        view = compiled.views[view_of[one.rule]]
        named = (view.platform, view.signal)
        groups.setdefault(named if named in derived else None, []).append(one)
    for key, some in groups.items():
        views = frozenset(view_of[one.rule] for one in some)
        slots = pl.DataFrame([(view_of[one.rule], one.source, one.labels) for one in some], SLOTS, orient="row")
        if key is None:
            window = _measured(compiled, store, views, slots, steps)
        else:
            window = _derived(key[0], derived[key], store, steps, inventory, past, step_ms)
        of = membership(compiled.views, window.series, views)
        sheet = fold(of, window, steps)
        for one, slot in zip(some, of.find(slots).tolist(), strict=True):
            if slot >= 0:
                found[one.alert, one.before] = _line(sheet, slot, one.before)
    return found


def _line(sheet: Sheet, slot: int, before: int) -> Line:
    there = sheet.there(slice(slot, slot + 1))[:, 0] & (sheet.steps < before) & (sheet.steps > before - KEPT_MS)
    return Line(sheet.steps[there], sheet.value[there, slot])


def _measured(
    compiled: Compiled, store: SampleStore, views: frozenset[int], slots: pl.DataFrame, steps: Ints
) -> Samples:
    """The samples of all series that fold into the slots."""
    order = list(dict.fromkeys(compiled.views[view].signal for view in slots["view"].to_list()))

    def choose(series: pl.DataFrame) -> pl.Series:
        sizes = dict(series.group_by("signal").len().iter_rows())
        room, some = SERIES, []
        for signal in order:
            room -= sizes.get(signal, 0)
            if room < 0:
                break
            some.append(signal)
        few = series.filter(pl.col("signal").is_in(some))
        return few["sid"][_members(membership(compiled.views, few, views), slots)]

    return store.read_at(steps.tolist(), order, choose)


def _members(of: Membership, slots: pl.DataFrame) -> Ints:
    """The rows of the series of the slots, at most MEMBERS; the slots that come first are served first."""
    if not of.blocks:
        return np.empty(0, np.int64)
    slot_of = np.concatenate([block.slots.start + block.codes for block in of.blocks])
    sizes = np.bincount(slot_of, minlength=len(of.slots))
    asked = of.find(slots)
    asked = asked[asked >= 0]
    asked = asked[np.cumsum(sizes[asked]) <= MEMBERS]
    return np.unique(of.columns[np.isin(slot_of, asked)])


def _derived(
    platform: str, signal: Signal, store: SampleStore, steps: Ints, inventory: Inventory, past: Past, step_ms: int
) -> Samples:
    """The derived signal at the steps; its inputs are read in between too, since it may look back from each step."""
    begin, end = int(steps[0]) - step_ms, int(steps[-1])
    inputs = list(signal.inputs)
    if len(store.series(inputs)) > DERIVED:
        return Samples.empty()
    inside = store.read(begin, end, signals=inputs, platforms=(platform, ""))
    grid = pl.DataFrame({"at": steps}, schema={"at": pl.Int64})
    answered = inside.coverage.join_where(grid, pl.col("first") <= pl.col("at"), pl.col("at") <= pl.col("last"))
    single = answered.with_columns(first=pl.col("at"), last=pl.col("at")).select(COVERAGE.names()).unique()
    if single.is_empty():
        return Samples.empty()
    window = Samples(inside.series, inside.samples, single.sort(COVERAGE.names()))
    return derive([(platform, signal)], window, inventory, past, step_ms)
