"""From stored samples to events: alerts, recommendations and notifications of every step, in one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from controlplane.eventlog.errors import ConcurrencyError
from controlplane.eventlog.projections import (
    ADVISED,
    ALERTS,
    INCIDENTS,
    ON_CALL,
    PAUSES,
    RESOURCES,
    RULE_SET,
    RULES,
    SILENCES,
    SOURCES,
    TICK,
    UNADVISED,
)
from controlplane.frames import Samples, digest, steps_of
from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Draft, observation
from controlplane.model.labels import printable, short_hash
from controlplane.model.payloads import (
    RuleFailed,
    RuleRecovered,
    RuleSetActivated,
    SamplesIngested,
    TelemetrySetAside,
    TickCompleted,
)
from controlplane.model.resources import Inventory
from controlplane.model.time import from_ms, on_grid, to_ms
from controlplane.model.views import SourceHealth
from controlplane.oncall.roster import SOURCE as SCHEDULES
from controlplane.oncall.roster import settle
from controlplane.rules.derive import Past
from controlplane.rules.evaluate import Evaluation, evaluate
from controlplane.rules.state import NEVER
from controlplane.telemetry.collector import Collector, SignalKey
from controlplane.tick.advise import Adviser
from controlplane.tick.alerts import alert_drafts, as_state
from controlplane.tick.pasts import look_back
from controlplane.tick.plane import ControlPlane
from controlplane.tick.standing import standing
from controlplane.tick.steps import Board, walk
from controlplane.tick.watermarks import fresh

MISSING_HORIZON = timedelta(hours=1)
"""A series that was seen within this time is expected by rules with `missing: alert`."""
LATE = timedelta(minutes=1)
"""A step that is decided so long after it is caught up: nobody could have answered what is told in it."""
_TRIES = 5
_KEY = ["source", "platform", "signal"]


@dataclass(frozen=True, slots=True)
class Decided:
    """What one pass over new samples led to."""

    steps: int
    rows: int
    series: int
    pending: int
    fired: int
    resolved: int
    proposed: int
    revised: int
    withdrawn: int
    notifications: int
    events: int
    last_position: int


def decide(plane: ControlPlane, now: datetime) -> Decided:
    """Evaluate everything that is stored beyond the watermarks and append what follows from it.

    Where somebody decides about a recommendation meanwhile, it is done anew with that: ConcurrencyError, and nothing
    appended, where that happens every time.
    """
    feeds = plane.roster.refresh(now)
    decided = _anew(plane, now)
    settle(feeds)
    return decided


def _anew(plane: ControlPlane, now: datetime) -> Decided:
    for _ in range(_TRIES - 1):
        try:
            return _once(plane, now)
        except ConcurrencyError:
            continue
    return _once(plane, now)


def _once(plane: ControlPlane, now: datetime) -> Decided:
    end = on_grid(to_ms(now), plane.step_ms)
    health = plane.log.rows(SOURCES)
    window = fresh(plane, health, end)
    alerts = plane.log.rows(ALERTS)
    recent = _recent(plane, window)
    inventory = _inventory(plane)
    past = Past(
        lambda signals, after, until: plane.store.history(after, until, signals=signals),
        [(source.name, *key) for source in plane.collectors for key in _offered(source)],
    )
    evaluation = evaluate(
        plane.compiled,
        as_state(alerts.values()),
        window,
        plane.step_ms,
        recent=recent,
        sources=[source.name for source in plane.collectors],
        inventory=inventory,
        past=past,
        decided=max((row.through_ms for row in health.values() if row.through_ms is not None), default=NEVER),
    )
    drafts = [*_set_aside(plane, now), *_rule_set(plane, now), *_ingested(plane, window, health)]
    drafts += _rule_health(plane, evaluation, end)
    drafts += plane.roster.health(health.get(SCHEDULES), from_ms(end))
    advised = plane.log.rows(ADVISED)
    stands = standing(plane.log, alerts, advised, _begin(window))
    board = Board(
        alerts=alerts,
        recommendations=stands.rows,
        incidents=plane.log.rows(INCIDENTS),
        unadvised=plane.log.rows(UNADVISED),
        silences=tuple(plane.log.rows(SILENCES).values()),
        on_call=plane.log.rows(ON_CALL),
        pauses=plane.log.rows(PAUSES),
        advised=advised,
    )
    steps = steps_of(window.coverage, plane.step_ms)["ts"].to_list()
    changes = alert_drafts(plane.placed, evaluation.transitions, inventory)
    pasts = look_back(plane, alerts, changes, evaluation.pairs, inventory, past)
    adviser = Adviser(plane, inventory, partial(_history, plane, window, end), board.recommendations, board.alerts)
    changes = [*plane.roster.changes(board.on_call, steps), *changes]
    live = to_ms(now - max(LATE, timedelta(milliseconds=2 * plane.step_ms)))
    made = walk(replace(plane.told(inventory), chart=pasts.chart), board, changes, steps, adviser, live)
    drafts += made
    kinds: list[str] = [draft.payload.type for draft in made]
    drafts += _completed(plane, now, window.coverage, steps, kinds)
    appended = plane.log.append(
        drafts,
        recorded_at=now,
        expected=stands.expected(drafts),
        readings=pasts.readings(board.alerts.values()),
    )
    plane.set_aside.clear()
    return Decided(
        steps=len(steps),
        rows=len(window.samples),
        series=len(window.series),
        pending=kinds.count("alert_pending.v1"),
        fired=kinds.count("alert_fired.v1") + kinds.count("alert_no_data.v1"),
        resolved=kinds.count("alert_resolved.v1"),
        proposed=kinds.count("recommendation_proposed.v1"),
        revised=kinds.count("recommendation_revised.v1"),
        withdrawn=kinds.count("recommendation_withdrawn.v1"),
        notifications=kinds.count("notification_queued.v1"),
        events=len(appended),
        last_position=plane.log.head(),
    )


def _recent(plane: ControlPlane, window: Samples) -> pl.DataFrame | None:
    """Series of watched signals that were there shortly before the signal's own part of the window."""
    watching = plane.compiled.rules.filter("alert_on_missing")["view"].unique().to_list()
    signals = {plane.compiled.views[view].signal for view in watching}
    coverage = window.coverage.filter(pl.col("signal").is_in(signals))
    if not len(coverage):
        return None
    parts = []
    for (first,), of in coverage.group_by("first"):
        start = int(first) - plane.step_ms
        before = start - MISSING_HORIZON // timedelta(milliseconds=1)
        series = plane.store.read(before, start, signals=of["signal"].unique().to_list()).series
        parts.append(series.join(of, on=_KEY, how="semi"))
    return pl.concat(parts)


def _history(
    plane: ControlPlane, window: Samples, end: int, platform: str, signals: Collection[str], lookback: timedelta
) -> Samples:
    start = int(window.coverage["first"].to_numpy().min()) if len(window.coverage) else end
    after = start - lookback // timedelta(milliseconds=1)
    return plane.store.read(after, end, signals=signals, platforms=(platform, ""))


def _begin(window: Samples) -> datetime | None:
    """The first step of the window; None where it has none."""
    return from_ms(int(window.coverage["first"].to_numpy().min())) if len(window.coverage) else None


def _inventory(plane: ControlPlane) -> Inventory:
    rows = plane.log.rows(RESOURCES)
    return Inventory(resources=tuple(rows[key].resource for key in sorted(rows)))


def _rule_set(plane: ControlPlane, now: datetime) -> list[Draft]:
    problems = tuple(str(problem) for problem in plane.rule_problems)
    payload = RuleSetActivated(
        digest=plane.rules.digest,
        rules=len(plane.rules.rules),
        platforms=tuple(sorted({placed.platform for placed in plane.rules.rules})),
        problems=problems,
    )
    if plane.log.row(RULE_SET, "rule_set") == payload:
        return []
    return [observation("rules", payload, from_ms(on_grid(to_ms(now), plane.step_ms)))]


def _set_aside(plane: ControlPlane, now: datetime) -> list[Draft]:
    at = from_ms(on_grid(to_ms(now), plane.step_ms))
    return [
        Draft(
            stream="telemetry",
            key=path.name,
            payload=TelemetrySetAside(file=path.name, error=printable(error, 500)),
            occurred_at=at,
        )
        for path, error in plane.set_aside
    ]


def _ingested(plane: ControlPlane, window: Samples, health: dict[str, SourceHealth]) -> list[Draft]:
    """One event a source: how far it is now known, and which of its signals lag behind."""
    drafts = []
    for source in plane.collectors:
        coverage = window.coverage.filter(pl.col("source") == source.name)
        if not len(coverage):
            continue
        known = health.get(source.name)
        first, last = int(coverage["first"].to_numpy().min()), int(coverage["last"].to_numpy().max())
        through = {
            f"{platform}/{signal}": step
            for platform, signal, step in coverage.group_by("platform", "signal").agg(pl.col("last").max()).iter_rows()
        }
        start = first - plane.step_ms
        before = start if known is None or known.through_ms is None else known.through_ms
        reach = max(last, before)
        # What is older than the catch-up limit will never be asked for again.
        floor = on_grid(reach - source.max_catch_up // timedelta(milliseconds=1), plane.step_ms)
        marks = {key: start if known is None else known.after(key, start) for key in _signals(source, known)} | through
        behind = {key: max(mark, floor) for key, mark in sorted(marks.items()) if mark < reach}
        series = window.series.filter(pl.col("source") == source.name)
        samples = window.samples.join(series.select("sid"), on="sid", how="semi")
        payload = SamplesIngested(
            source=source.name,
            start_ms=start,
            end_ms=reach,
            step_ms=plane.step_ms,
            rows=len(samples),
            series=len(series),
            nan_rows=samples["value"].null_count(),
            digest=digest(Samples(series, samples, coverage)),
            behind=behind,
            skipped_ms=max(0, start - before),
            warnings=plane.warnings.get(source.name, ()),
        )
        drafts.append(observation(f"source:{source.name}", payload, from_ms(last)))
    return drafts


def _offered(source: Collector) -> tuple[SignalKey, ...]:
    try:
        return source.signals()
    except ControlplaneError:
        return ()


def _signals(source: Collector, known: SourceHealth | None) -> list[str]:
    try:
        return [str(key) for key in source.signals()]
    except ControlplaneError:
        # It answered when it was asked; now it can't even say what it has.
        return list(known.behind) if known is not None else []


def _rule_health(plane: ControlPlane, evaluation: Evaluation, end: int) -> list[Draft]:
    """Events for rules that began to fail or work again."""
    failing = {
        (rule, source): (ts, labels)
        for rule, source, ts, labels in evaluation.duplicates.unique(["rule", "source"], keep="first").iter_rows()
    }
    known = {(row.rule, row.source): row for row in plane.log.rows(RULES).values() if row.error}
    drafts = []
    for (rule, source), (ts, labels) in sorted(failing.items()):
        if (rule, source) not in known:
            error = (
                f"two results share the labels {labels} (from {source}); let the rule fold over the labels that tell "
                "them apart, or limit the sources to different platforms"
            )
            drafts.append(observation(f"rule:{rule}", RuleFailed(rule=rule, source=source, error=error), from_ms(ts)))
    seen = evaluation.last_seen
    for rule, source in sorted(set(known) - set(failing)):
        if rule in seen or rule not in plane.placed:
            at = max(seen.values(), default=end)
            drafts.append(observation(f"rule:{rule}", RuleRecovered(rule=rule, source=source), from_ms(at)))
    return drafts


def _completed(
    plane: ControlPlane, now: datetime, coverage: pl.DataFrame, steps: Sequence[int], kinds: list[str]
) -> list[Draft]:
    """One event for each window that is evaluated at `now`; one at least, for a tick in which no source answers."""
    last = plane.log.row(TICK, "tick")
    if not steps and last is not None and last.now == now:
        return []
    payload = TickCompleted(
        now=now,
        step_ms=plane.step_ms,
        steps=len(steps),
        transitions=sum(kind.startswith("alert_") for kind in kinds),
        recommendations=sum(kind.startswith("recommendation_") for kind in kinds),
        notifications=kinds.count("notification_queued.v1"),
    )
    at = from_ms(on_grid(to_ms(now), plane.step_ms))
    window = short_hash(*(str(row) for row in coverage.sort(pl.all()).iter_rows()))
    return [Draft(stream="tick", key=f"{to_ms(now)}/{window}", payload=payload, occurred_at=at)]
