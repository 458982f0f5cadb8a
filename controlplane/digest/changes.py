"""What to change about a noisy rule, from how long it fired, how soon again, and whether somebody acted. Pure.

A change is proposed only with what it would have done to the recorded firings, and never where it would have kept
somebody from what they acted on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controlplane.model.severity import Severity
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import many

LADDER = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 3, 5, 10, 15, 20, 30, 45, 60))
"""Durations as people write them."""
LONGEST = {
    Severity.CRITICAL: timedelta(minutes=15),
    Severity.WARNING: timedelta(minutes=60),
    Severity.INFO: timedelta(minutes=60),
}
"""The longest `for` that is proposed (house): what is critical must not be told late."""
SOON = timedelta(minutes=15)
"""What begins again within this time of its end has flapped."""
MOST = 0.8
"""The share of what nobody acted on that a change has to spare (house)."""
LASTING = timedelta(hours=4)
BARELY = 0.1
"""Values within this share of the threshold are barely beyond it (house)."""
LEAST = 3


@dataclass
class Firing:
    """One time that an alert fired."""

    alert: str
    began: datetime
    ended: datetime | None = None
    acted: bool = False
    value: float | None = None
    """Measured when it began to fire."""

    @property
    def length(self) -> timedelta | None:
        """How long it fired; None = it still does."""
        return None if self.ended is None else self.ended - self.began


@dataclass(frozen=True)
class Shape:
    """The part of a rule that a change is about."""

    wait: timedelta
    """Its `for`."""
    keep: timedelta
    """Its `keep_firing_for`."""
    operator: str
    threshold: float
    """In `unit`."""
    unit: str
    severity: Severity
    clears: bool
    """Whether it has an exit threshold."""


def advise(firings: Sequence[Firing], shape: Shape | None) -> str:
    """The change in a sentence with its evidence, or nothing where none follows from the firings."""
    if shape is None or not firings:
        return ""
    for change in (_flaps, _short, _barely, _lasts):
        said = change(firings, shape)
        if said:
            return said
    return ""


def gaps(firings: Sequence[Firing]) -> list[timedelta]:
    """Times between the end of a firing and the next one of the same alert, of those that flapped."""
    found = []
    ended: dict[str, datetime] = {}
    for one in sorted(firings, key=lambda firing: firing.began):
        if one.alert in ended and one.began - ended[one.alert] <= SOON:
            found.append(one.began - ended[one.alert])
        if one.ended is not None:
            ended[one.alert] = one.ended
    return sorted(found)


def _flaps(firings: Sequence[Firing], shape: Shape) -> str:
    """Longer `keep_firing_for`, so that what comes back at once is one firing."""
    again = gaps(firings)
    if len(again) < LEAST or 2 * len(again) < len(firings):
        return ""
    # The condition was gone from `keep` before the end until `for` before the next firing.
    away = [max(timedelta(0), gap + shape.keep - shape.wait) for gap in again]
    needed = away[max(0, math.ceil(MOST * len(away)) - 1)]
    to = next((step for step in LADDER if step > max(needed, shape.keep)), None)
    if to is None or to > 2 * SOON:
        return ""
    joined = sum(gone < to for gone in away)
    spared = f"{many(len(firings), 'firing')} would have been {len(firings) - joined}"
    exit_ = "" if shape.clears else ", or give it a `clear` threshold apart from `when`"
    return (
        f"It comes back within {human_duration(again[len(again) // 2])} (median): raise `keep_firing_for` from "
        f"{format_duration(shape.keep)} to {format_duration(to)}{exit_}; {spared}."
    )


def _short(firings: Sequence[Firing], shape: Shape) -> str:
    """Longer `for`, so that what goes away by itself isn't told."""
    idle = [one for one in firings if not one.acted]
    acted = [_held(one, shape) for one in firings if one.acted]
    known = [held for one in idle if (held := _held(one, shape)) is not None]
    if len(idle) < LEAST:
        return ""
    for to in LADDER:
        spared = sum(held < to for held in known)
        if to <= shape.wait or spared < MOST * len(idle):
            continue
        missed = sum(held is not None and held < to for held in acted)
        if to > LONGEST[shape.severity] or missed:
            return ""
        later = human_duration(to - shape.wait)
        rest = len(firings) - spared
        said = f"{spared} of {len(firings)} wouldn't have fired"
        said += f", the other {many(rest, 'firing')} {later} later" if rest else ""
        kept = "; nothing that somebody acted on would have been missed" if acted else ""
        return f"Raise `for` from {format_duration(shape.wait)} to {format_duration(to)}: {said}{kept}."
    return ""


def _held(one: Firing, shape: Shape) -> timedelta | None:
    """How long the condition held, from its first step on; None = it still does."""
    return None if one.length is None else max(timedelta(0), one.length - shape.keep) + shape.wait


def _barely(firings: Sequence[Firing], shape: Shape) -> str:
    """A threshold beyond what was measured, where that was next to the old one."""
    values = [one.value for one in firings if one.value is not None and math.isfinite(one.value)]
    if shape.operator not in {">", ">=", "<", "<="} or len(values) < len(firings) or any(one.acted for one in firings):
        return ""
    above = shape.operator.startswith(">")
    far = max(values) if above else min(values)
    if not shape.threshold or abs(far - shape.threshold) > BARELY * abs(shape.threshold):
        return ""
    to = _beyond(far, above=above)
    reached, went = (f"no higher than {far:.4g}", "rose") if above else (f"no lower than {far:.4g}", "fell")
    return (
        f"When it fired it was {reached}: set `when` from `{shape.operator} {shape.threshold:.6g}` to "
        f"`{shape.operator} {to:.6g}`. What it {went} to later isn't in the log: try it with `controlplane backtest`."
    )


def _beyond(value: float, *, above: bool) -> float:
    """The next number of two digits beyond a value."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    steps = value / unit
    whole = math.floor(steps + 1e-9) + 1 if above else math.ceil(steps - 1e-9) - 1
    return float(f"{whole * unit:.3g}")


def _lasts(firings: Sequence[Firing], shape: Shape) -> str:
    """A lower severity, where it fires for hours and nobody ever minds."""
    if any(one.acted for one in firings) or shape.severity is Severity.INFO:
        return ""
    lengths = sorted(length for one in firings if (length := one.length) is not None)
    if not lengths or lengths[len(lengths) // 2] < LASTING:
        return ""
    lower = Severity.WARNING if shape.severity is Severity.CRITICAL else Severity.INFO
    return (
        f"It lasts {human_duration(lengths[len(lengths) // 2])} (median) and nobody minds: lower `severity` from "
        f"{shape.severity} to {lower}, or silence what is known with a reason."
    )
