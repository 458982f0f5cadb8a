"""Gather what there is about a rule, an alert or a resource at a step; nothing is decided anew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from controlplane.documents import nearest
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, RESOURCES, RULES, SOURCES, TICK
from controlplane.explain.model import Answer, Explanation, Story, Unseen
from controlplane.explain.samples import Seen, kept_since, look
from controlplane.explain.stories import read_story
from controlplane.explain.telling import Telling, read_telling
from controlplane.model.alerts import alert_id
from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable
from controlplane.model.payloads import (
    AlertFired,
    AlertNoData,
    AlertPending,
    AlertResolved,
    RuleSetActivated,
)
from controlplane.model.resources import Inventory
from controlplane.model.rules import AlertRule, DriftRule, FailoverRule, Placed, RuleSet, ScalingRule
from controlplane.model.time import from_ms, on_grid, to_ms
from controlplane.rules.drift import SOURCE, check
from controlplane.telemetry.duckfile import StoreError
from controlplane.telemetry.store import SampleStore

_BEFORE = timedelta(minutes=10)
_LONGEST = timedelta(hours=6)
_LISTED = 50
_PREFIX = 4
_TRANSITIONS = {f"alert_{kind}.v1" for kind in ("pending", "fired", "no_data", "resolved", "dropped")}
_ORDER = {"firing": 0, "nodata": 1, "pending": 2, "inactive": 3}

Key = tuple[str, str, str]
"""Rule, source and labels (canonical JSON)."""


class NothingToExplain(ControlplaneError):
    """What was named is no rule, alert or resource, or no tick has looked at it yet."""


@dataclass(slots=True)
class _Target:
    kind: Literal["rule", "alert", "resource"]
    rules: Sequence[Placed]
    alert: tuple[str, str, str, dict[str, str]] | None = None
    """Id, rule, source and labels of the one alert that is asked for."""
    resource: str | None = None
    notes: list[str] = field(default_factory=list)


def explain(
    log: EventLog,
    store: SampleStore,
    rules: RuleSet,
    target: str,
    *,
    at: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    step: timedelta,
) -> Answer:
    """Why something paged or didn't at a step (default: the newest); `labels` narrow the label sets of a rule.

    `target` is the id of a rule, alert (its first four characters or more will do) or resource. NothingToExplain names
    what is nearest to a target that there isn't.
    """
    last = log.row(TICK, "tick")
    if last is None:
        raise NothingToExplain("there has been no tick yet: nothing was looked at. Do one with `controlplane tick`")
    step_ms = step // timedelta(milliseconds=1)
    asked = _resolve(log, rules, target)
    end = on_grid(to_ms(min(at, last.now) if at else last.now), step_ms)
    if at is not None and at > last.now + step:
        asked.notes.append(f"as of {last.now:%Y-%m-%d %H:%M:%SZ}: no tick has looked at what came after")
    moment = from_ms(end)
    longest = max((one.rule.for_ for one in asked.rules if isinstance(one.rule, AlertRule)), default=timedelta(0))
    start = on_grid(to_ms(moment - min(longest + _BEFORE, _LONGEST)), step_ms)
    inventory = Inventory(resources=tuple(row.resource for _, row in sorted(log.rows(RESOURCES).items())))
    seen, since = _samples(store, rules, asked, inventory, start, end, step_ms)
    pairs = _pairs(log, asked, seen, inventory, from_ms(start))
    wanted = {key: lively for key, lively in pairs.items() if _wanted(key, asked, labels or {})}
    listed = sorted(wanted, key=lambda key: (not wanted[key], key))
    made = [
        _explained(log, rules, key, seen, moment if at else None, lively=wanted[key]) for key in listed[: _LISTED * 4]
    ]
    made.sort(key=lambda one: (_ORDER[one.story.state], one.story.episode is None))
    told = read_telling(log, min((fired for one in made if (fired := _fired(one)) is not None), default=None))
    made = [_with_telling(one, told, moment) for one in made[:_LISTED]]
    return Answer(
        target,
        asked.kind,
        moment,
        _digest(log, moment),
        rules.digest,
        tuple(made),
        tuple(_unseen(log, asked, {key[0] for key in wanted}, seen, end)) if asked.kind == "rule" else (),
        len(wanted) - len(made),
        since if since is not None and since > from_ms(start) else None,
        tuple(asked.notes),
    )


def _resolve(log: EventLog, rules: RuleSet, target: str) -> _Target:
    known = {placed.id: placed for placed in rules.rules}
    if target in known:
        placed = known[target]
        if isinstance(placed.rule, ScalingRule | FailoverRule):
            note = f"{target} advises on {', '.join(placed.rule.on)}"
            return _Target("rule", [known[name] for name in placed.rule.on if name in known], notes=[note])
        return _Target("rule", [placed])
    alerts = _alerts(log, target)
    if len(alerts) == 1:
        ((name, (rule, source, labels)),) = alerts.items()
        found = [known[rule]] if rule in known else []
        notes = [] if found else [f"the rule {rule} is gone; this is what the log knows"]
        return _Target("alert", found, (name, rule, source, labels), notes=notes)
    if len(alerts) > 1:
        raise NothingToExplain(f"{printable(target)} is the beginning of {len(alerts)} alerts; write more of it")
    resources = {row.resource.id for row in log.rows(RESOURCES).values()}
    if target in resources:
        return _Target("resource", rules.alert_rules(), resource=target)
    begun = [name for name in known if len(target) >= _PREFIX and name.startswith(target)]
    if len(begun) == 1:
        return _resolve(log, rules, begun[0])
    remedy = nearest(target, [*known, *resources]) or "See `controlplane rules list` and `controlplane alerts`"
    raise NothingToExplain(f"{printable(target)} is no rule, alert or resource. {remedy}")


def _alerts(log: EventLog, target: str) -> dict[str, tuple[str, str, dict[str, str]]]:
    """Alerts whose id is or begins with the target: those that are active, else those of the log."""
    if len(target) < _PREFIX or not set(target) <= set("0123456789abcdef"):
        return {}
    active = log.rows(ALERTS)
    if target in active:
        return {target: (active[target].rule, active[target].source, active[target].labels)}
    events = (
        log.read(stream=f"alert:{target}") if len(target) == 16 else log.read(types=_TRANSITIONS - {"alert_dropped.v1"})
    )
    found = {}
    for event in events:
        facts = getattr(event.payload, "facts", None)
        if facts is not None and facts.alert.startswith(target):
            found[facts.alert] = (facts.rule, facts.source, facts.labels)
    return found


def _samples(
    store: SampleStore, rules: RuleSet, asked: _Target, inventory: Inventory, start: int, end: int, step: int
) -> tuple[dict[str, Seen], datetime | None]:
    if not store.file.path.exists():
        asked.notes.append("there are no samples: the telemetry file isn't there")
        return {}, None
    try:
        return look(store, rules, asked.rules, inventory, start, end, step), kept_since(store)
    except StoreError as error:
        asked.notes.append(f"the samples can't be read: {error}")
        return {}, None


def _pairs(
    log: EventLog, asked: _Target, seen: Mapping[str, Seen], inventory: Inventory, since: datetime
) -> dict[Key, bool]:
    """Label sets to explain, and whether the log may know of them."""
    if asked.alert is not None:
        _, rule, source, labels = asked.alert
        return {(rule, source, json.dumps(labels)): True}
    names = {placed.id for placed in asked.rules}
    found: dict[Key, bool] = {}
    for rule, one in seen.items():
        for (source, text), points in one.points.items():
            found[rule, source, json.dumps(json.loads(text))] = any(point.met for point in points)
    for placed in asked.rules:
        if isinstance(placed.rule, DriftRule):
            for checked in check(placed.rule, placed.platform, inventory):
                about = {"resource": checked.resource.id, "setting": checked.expected.setting}
                found[placed.id, SOURCE, json.dumps(about)] = checked.differs
    for alert in log.rows(ALERTS).values():
        if alert.rule in names:
            found[alert.rule, alert.source, json.dumps(dict(sorted(alert.labels.items())))] = True
    for event in log.read(types=_TRANSITIONS, newest_first=True):
        if event.occurred_at < since:
            break
        payload = event.payload
        if isinstance(payload, AlertFired | AlertNoData | AlertPending | AlertResolved) and payload.facts.rule in names:
            about = dict(sorted(payload.facts.labels.items()))
            found[payload.facts.rule, payload.facts.source, json.dumps(about)] = True
    return found


def _wanted(key: Key, asked: _Target, labels: Mapping[str, str]) -> bool:
    mine: dict[str, str] = json.loads(key[2])
    if asked.resource is not None and asked.resource not in mine.values():
        return False
    return all(mine.get(name) == value for name, value in labels.items())


def _explained(
    log: EventLog, rules: RuleSet, key: Key, seen: Mapping[str, Seen], at: datetime | None, *, lively: bool
) -> Explanation:
    rule, source, text = key
    labels: dict[str, str] = json.loads(text)
    name = alert_id(rule, source, labels)
    placed = next((one for one in rules.rules if one.id == rule), None)
    points = seen[rule].of(source, labels) if rule in seen else ()
    story = read_story(log, name, at) if lively else Story()
    return Explanation(rule, placed, name, source, labels, points, story)


def _fired(one: Explanation) -> datetime | None:
    return one.story.episode.fired_at if one.story.episode else None


def _with_telling(one: Explanation, telling: Telling, at: datetime) -> Explanation:
    episode = one.story.episode
    if episode is None or episode.facts is None or episode.fired_at is None:
        return one
    return replace(one, told=telling.of(one.alert, episode.facts.platform, one.rule, episode, at))


def _digest(log: EventLog, at: datetime) -> str | None:
    for event in log.read(types={"rule_set_activated.v1"}, newest_first=True):
        if event.occurred_at <= at and isinstance(event.payload, RuleSetActivated):
            return event.payload.digest
    return None


def _unseen(log: EventLog, asked: _Target, with_pairs: set[str], seen: Mapping[str, Seen], end: int) -> list[Unseen]:
    """Why a rule has no label set."""
    found = []
    broken = {row.rule: row.error for row in log.rows(RULES).values()}
    for placed in asked.rules:
        if placed.id in broken:
            found.append(Unseen(placed, f"can't be evaluated: {broken[placed.id]}"))
        if placed.id in with_pairs:
            continue
        if not isinstance(placed.rule, AlertRule):
            found.append(Unseen(placed, "no resource of the inventory has one of its settings"))
            continue
        answering = (
            sorted(s for s, steps in seen[placed.id].answered.items() if end in steps) if placed.id in seen else []
        )
        if answering:
            found.append(
                Unseen(placed, f"absent: {', '.join(answering)} answered and had no series of {placed.rule.signal}")
            )
        else:
            found.append(
                Unseen(placed, f"unanswered: no source answered for {placed.rule.signal}{_failing(log, placed)}")
            )
    return found


def _failing(log: EventLog, placed: Placed) -> str:
    """What is wrong with sources now, as far as it concerns a rule."""
    assert isinstance(placed.rule, AlertRule)
    keys = ("", f"{placed.platform}/{placed.rule.signal}")
    errors = [
        f"{row.source}: {row.failed[key]}" for row in log.rows(SOURCES).values() for key in keys if key in row.failed
    ]
    return f" ({'; '.join(errors)})" if errors else ""
