"""When an alert will fire or end if its value goes on as in the last minutes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from controlplane.model.base import Condition
from controlplane.model.states import AlertState
from tui.data.log import History
from tui.data.rows import Row
from tui.data.rulebook import RuleFacts

WINDOW = timedelta(minutes=10)
"""How far back the rate looks."""
_FEWEST = 4
_FARTHEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The rate of the last minutes and what follows from it."""

    per_minute: float | None = None
    """Change of the value a minute, least squares over the window; None where too few values are known."""
    bound: float | None = None
    """The value at which the alert ends."""
    ends_in: timedelta | None = None
    """None where it doesn't end within a day at this rate."""
    waited: timedelta | None = None
    """How long a pending alert has been waiting."""
    waits: timedelta | None = None
    """How long its rule asks it to."""

    @property
    def fires_in(self) -> timedelta | None:
        """When a pending alert fires if its condition holds on; None where that isn't known."""
        if self.waited is None or self.waits is None:
            return None
        return max(timedelta(0), self.waits - self.waited)


def outlook(row: Row, facts: RuleFacts | None, now: datetime) -> Outlook:
    """What the row's history says at `now`."""
    alert = row.alert
    pending = alert.state is AlertState.PENDING
    waited = now - alert.active_at if pending else None
    waits = facts.for_ if pending and facts is not None else None
    rate = per_minute(row.history)
    bound = _bound(alert.threshold, facts)
    ends = None if bound is None else _until(row.value, rate, bound, rising=alert.threshold.startswith("<"))
    return Outlook(rate, bound, ends, waited, waits)


def per_minute(history: History) -> float | None:
    """Slope of the least-squares line through the last ten minutes of known values, a minute."""
    if not history:
        return None
    begin = history[-1][0] - WINDOW.total_seconds() * 1000
    points = [(ms, value) for ms, value in history if ms >= begin and value is not None and value - value == 0]
    if len(points) < _FEWEST or points[0][0] == points[-1][0]:
        return None
    # Points stand closer together once the alert is there; each counts for half the way to either neighbour.
    halves = [(after - before) / 2 for before, after in pairwise(ms for ms, _ in points)]
    weights = [before + after for before, after in pairwise([0, *halves, 0])]
    weighed = [(weight, ms, value) for weight, (ms, value) in zip(weights, points, strict=True)]
    whole = sum(weights)
    middle = sum(weight * ms for weight, ms, _ in weighed) / whole
    level = sum(weight * value for weight, _, value in weighed) / whole
    spread = sum(weight * (ms - middle) ** 2 for weight, ms, _ in weighed)
    return sum(weight * (ms - middle) * (value - level) for weight, ms, value in weighed) / spread * 60_000


def _bound(threshold: str, facts: RuleFacts | None) -> float | None:
    for text in (facts.clear if facts is not None else "", threshold):
        try:
            parsed = Condition.parse(text)
        except ValueError:
            continue
        if parsed.operator[0] in "<>":
            return parsed.threshold
    return None


def _until(value: float | None, rate: float | None, bound: float, *, rising: bool) -> timedelta | None:
    if value is None or rate is None or value - value != 0:
        return None
    left = bound - value if rising else value - bound
    speed = rate if rising else -rate
    if left <= 0 or speed <= 0 or left / speed > _FARTHEST / timedelta(minutes=1):
        return None
    return timedelta(minutes=left / speed)
