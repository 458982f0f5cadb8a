"""From what the metrics ask for to a size: raw → tolerance → stabilised → rate-limited → whole units → clamped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from controlplane.history import ms
from controlplane.model.methods import Fleet, Step
from controlplane.model.methods.fleet import Capacity, Direction, Ratio, StepRow
from controlplane.model.recommendations import Stage
from controlplane.model.time import format_duration
from controlplane.model.units import many
from controlplane.scaling.fleet.asks import Ask, Windows, told
from controlplane.scaling.fleet.members import NOW, Change
from controlplane.scaling.sizing import largest_step

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Sized:
    """A size with the stages that led to it."""

    before: int
    count: int
    wanted: int
    """What the metrics ask for before any limit."""
    first: Ask
    """The one that asks for it."""
    stages: tuple[Stage, ...]

    @property
    def limit(self) -> str | None:
        """The last limit that bit."""
        return next((stage.limit for stage in reversed(self.stages) if stage.limit), None)


def smallest_step(current: int, step: Step) -> int:
    """The size that one step may fall to from `current`: the smaller of percent and count (HPA, policy Max)."""
    percent = current if step.percent is None else int(current * (1 - min(step.percent, 100.0) / 100) + _ROUNDING)
    return max(0, min(percent, current - (step.count or 0)))


def present(count: int, changes: Sequence[Change], at_ms: int, p: Fleet) -> int:
    """Members that there are, or that an approved or just executed growth is bringing."""
    coming = [c.after for c in changes if c.grows and (c.approved or at_ms - c.at_ms < ms(p.time_to_effect))]
    return max([count, *coming])


def sized(
    asks: Sequence[Ask],
    windows: Windows | None,
    changes: Sequence[Change],
    at_ms: int,
    size: int,
    ceiling: tuple[int, str] | None,
    p: Fleet,
) -> Sized:
    """The size that the asks lead to; `windows` are those of the metrics with a target, `ceiling` (most, its name).

    Sources: Kubernetes replica_calculator.go and horizontal.go; AWS step scaling for cooldowns.
    """
    stages = [Stage(name=NOW, value=size, reason=f"{many(size, p.noun)} to start from")]

    def stage(name: str, value: int, limit: str | None, reason: str) -> int:
        stages.append(Stage(name=name, value=value, limit=limit, reason=reason))
        return value

    first = max(asks, key=lambda ask: ask.raw)
    wanted = stage("raw", first.raw, None, first.formula)
    largest = max(ask.asked for ask in asks)
    table = isinstance(first.reading.metric, StepRow)
    reason = "a row of a step table has none" if table else "the largest number after each metric's tolerance"
    count = stage("tolerance", largest, first.limit if largest != wanted or largest == size else None, reason)

    rows = [ask.asked for ask in asks if isinstance(ask.reading.metric, StepRow)]
    count, limit = _stabilised(size, count, rows, windows, p)
    if count < size:
        forbids = _cooldown(asks, changes, at_ms, p)
        count, limit = (size, forbids) if forbids else (count, limit)
    stage("stabilised", count, limit, _windows_told(p))

    count = stage("rate-limited", *_rate_limited(size, count, changes, at_ms, p))

    units = -(-count // p.unit) * p.unit if count != size else size
    name = f"units of {p.unit}" + (f" ({p.unit_name})" if p.unit_name else "")
    count = stage("whole units", units, name if units != count else None, f"whole {name}")
    limit = None
    if count < p.floor:
        count, limit = p.floor, _floor_name(p)
    if ceiling is not None and count > max(size, ceiling[0]):
        count, limit = max(size, ceiling[0]), ceiling[1]
    stage("clamped", count, limit, f"between {p.floor} and {ceiling[0]}" if ceiling else f"at least {p.floor}")
    return Sized(size, count, wanted, first, tuple(stages))


def _stabilised(size: int, count: int, rows: list[int], windows: Windows | None, p: Fleet) -> tuple[int, str | None]:
    """Growing takes the smallest, shrinking the largest number of the window; rows of a table are sustained already."""
    if windows is None:
        return count, None
    stable = windows.up if size < windows.up else windows.down if size > windows.down else size
    limit: str | None = None
    if stable < size and not windows.complete:
        stable, limit = size, "the window isn't known from its beginning"
    elif stable != count and count > size:
        limit = f"smallest number within {format_duration(p.scale_out.stabilise)}"
    elif stable != count and p.scale_in is not None:
        limit = f"largest number within {format_duration(p.scale_in.stabilise)}"
    best = max([stable, *rows])
    return best, limit if best == stable else None


def _windows_told(p: Fleet) -> str:
    down = format_duration(p.scale_in.stabilise) if p.scale_in else "never"
    return f"window upwards {format_duration(p.scale_out.stabilise)}, downwards {down}"


def waits(asks: Sequence[Ask], p: Fleet) -> tuple[timedelta, timedelta]:
    """Time after any change, and after growing, before members are taken away."""
    own = [ask.reading.metric.cooldown for ask in asks if isinstance(ask.reading.metric, StepRow)]
    if p.scale_in is not None and any(isinstance(ask.reading.metric, Ratio | Capacity) for ask in asks):
        own.append(p.scale_in.cooldown)
    grown = [m.cooldown for m in p.metrics if isinstance(m, StepRow) and m.above is not None]
    return max(own, default=timedelta(0)), max([*grown, p.scale_out.cooldown, *own])


def _cooldown(asks: Sequence[Ask], changes: Sequence[Change], at_ms: int, p: Fleet) -> str | None:
    """The cooldown that forbids to take members away; growing ends the one of an earlier shrinking."""
    if p.scale_in is None:
        return "nothing is ever taken away"
    if not changes:
        return None
    last = changes[-1]
    shrunk, grown = waits(asks, p)
    wait = grown if last.grows else shrunk
    waiting = next((change for change in reversed(changes) if change.approved), None)
    if waiting is not None:
        return f"a change to {many(waiting.after, p.noun)} is approved and not done yet"
    if at_ms - last.at_ms < ms(wait):
        return f"cooldown {format_duration(wait)} since {told(last.at_ms)}"
    return None


def _rate_limited(
    size: int, count: int, changes: Sequence[Change], at_ms: int, p: Fleet
) -> tuple[int, str | None, str]:
    direction: Direction = p.scale_out if count >= size or p.scale_in is None else p.scale_in
    period = ms(direction.period)
    earlier = [c.before for c in changes if c.grows == (count > size) and (c.approved or at_ms - c.at_ms < period)]
    start = earlier[0] if earlier else size
    reason = f"the largest change within {format_duration(direction.period)}, from {start}"
    if count > size:
        reach = max(size, largest_step(start, direction.step))
        return min(count, reach), f"a step from {start} reaches {reach}" if count > reach else None, reason
    if count < size:
        reach = min(size, smallest_step(start, direction.step))
        return max(count, reach), f"a step from {start} reaches {reach}" if count < reach else None, reason
    return count, None, reason


def _floor_name(p: Fleet) -> str:
    names = {
        f"minimum {p.minimum}": p.minimum,
        f"replication factor {p.replication_factor}": p.replication_factor or 1,
        f"quorum {p.quorum}": p.quorum or 1,
    }
    return max(names, key=lambda name: names[name])


def ceiling(size: int, free: int | None, lost: int, p: Fleet) -> tuple[int, str] | None:
    """The most members in whole units, and the name of what limits it; None = no limit.

    `lost` members of lost zones stay in the group and count toward its maximum.
    """
    limits = []
    if p.maximum is not None:
        name = f"maximum {p.maximum}" + (f", {lost} of them in lost zones" if lost else "")
        limits.append((p.maximum - lost, name))
    if free is not None:
        limits.append((size + max(0, free), f"{max(0, free)} free address{'' if free == 1 else 'es'}"))
    if not limits:
        return None
    most, name = min(limits)
    return math.floor(most / p.unit) * p.unit, name
