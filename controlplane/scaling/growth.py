"""Growth, documented and measured: when a share of a store is used, and what has to be bought in which quarter."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from controlplane.history import FRESH, History, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import GrowthPlan
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.scaling.sizing import whole
from controlplane.scaling.trend import Trend, trend

QUARTER = timedelta(days=91, hours=6)
"""A quarter of 365 days."""
_NEVER = 400
"""Quarters: what is further away than 100 years isn't told."""
_MOST = 10.0
"""Growth in a quarter beyond which nothing is planned."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store now: usable bytes, and its growth in a quarter.

    The documented growth is a share of what is there, so it compounds; what is measured is a straight line, and stays
    one: to compound a busy day for years would be no plan. At each time the one that is further counts.
    """

    name: str
    used: float
    size: float
    growth: float
    """Documented, as a share of what is there; 0 where none is."""
    measured: float | None
    """As a share of what is used now; None where there is too little history, and `why` has the reason."""
    why: str
    fitted: Trend | None

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.name, 60)

    def used_after(self, quarters: float) -> float:
        """Bytes that are used then."""
        compound = float(self.used * (1 + self.growth) ** quarters)
        return max(compound, self.used * (1 + self.line * quarters))

    @property
    def line(self) -> float:
        """The measured growth, 0 where it shrinks or isn't measured."""
        return max(0.0, self.measured or 0.0)

    def measured_counts(self, horizon: int) -> int:
        """The last quarter whose end the measured line reaches before the documented growth, 0 = none."""
        ahead = [n for n in range(1, horizon + 1) if 1 + self.line * n > (1 + self.growth) ** n]
        return max(ahead, default=0)

    def reaches(self, amount: float) -> float | None:
        """Quarters until that many bytes are used; 0 = they are; None = not within 100 years."""
        if self.used >= amount:
            return 0.0
        if self.used <= 0:
            return None
        more = amount / self.used
        times = [math.log(more) / math.log1p(self.growth)] if self.growth > 0 else []
        times += [(more - 1) / self.line] if self.line > 0 else []
        quarters = min(times, default=math.inf)
        return quarters if quarters < _NEVER else None


@dataclass(frozen=True, slots=True)
class Purchase:
    """Units that are bought in one quarter."""

    quarter: int
    """1 = the one that begins now."""
    units: int
    needed: datetime
    """When the target is reached without them."""
    order: datetime
    """The last day to order; in the past where it is too late already."""
    serving: datetime
    """When it serves: in time, or as soon as it is delivered."""
    size: float
    """Usable bytes with them."""
    used: float
    """Bytes that are used at the end of the quarter."""

    def late(self, at: datetime) -> timedelta:
        """By how much the order is too late."""
        return max(timedelta(0), at - self.order)


def read_store(history: History, p: GrowthPlan, inventory: Inventory) -> Store:
    """The alert's store; AdviceError where its size, its usage or any growth is missing."""
    name = history.label(p.label)
    where = {p.label: name}
    size = history.newest(p.limit, fold="max", where=where) or _stated(history, p, inventory)
    usage = history.of(p.usage, fold="max", where=where)
    fitted = trend(usage, p.drop)
    newest = history.newest(p.usage, fold="max", where=where)
    if size is None or size <= 0:
        raise history.missing(p.limit, name)
    if newest is None or newest < 0:
        raise history.missing(p.usage, name)
    measured, why = _measured(history, p, fitted)
    if measured is None and p.growth is None:
        raise AdviceError(f"the growth of {printable(name, 60)} is neither documented nor measured: {why}")
    if measured is not None and measured > _MOST:
        raise AdviceError(
            f"{printable(name, 60)} grows by {measured * 100:,.0f} % a quarter by the last "
            f"{human_duration(timedelta(seconds=fitted.seconds if fitted else 0))}, which is an event and no growth to "
            "plan with: find out what writes"
        )
    return Store(name, newest, size, p.growth or 0.0, measured, why, fitted)


def _stated(history: History, p: GrowthPlan, inventory: Inventory) -> float | None:
    """The size that the inventory states for the store."""
    name = history.label(p.label)
    return next((one.limit(p.limit) for one in inventory.of(history.alert.platform) if one.id == name), None)


def _measured(history: History, p: GrowthPlan, fitted: Trend | None) -> tuple[float | None, str]:
    """Growth in a quarter by least squares, as a share of what is there; with the reason where there is none."""
    if fitted is None or fitted.last_ms <= history.at_ms - ms(FRESH):
        return None, "there is no sample of the usage above 0"
    over = timedelta(seconds=fitted.seconds)
    if over < p.minimum_history:
        return (
            None,
            f"{human_duration(over)} of history, and a trend takes {format_duration(p.minimum_history)}",
        )
    return (
        fitted.per_second * QUARTER.total_seconds() / fitted.newest,
        f"{fitted.samples} samples over {human_duration(over)}",
    )


def purchases(store: Store, p: GrowthPlan, at: datetime) -> tuple[Purchase, ...]:
    """What is bought in each quarter so that the target holds to its end; quarters without a purchase are left out."""
    usable, size, found = p.unit * p.usable, store.size, []
    for quarter in range(1, p.horizon + 1):
        used = store.used_after(quarter)
        units = whole((used / p.target - size) / usable)
        units = -(-units // p.multiple) * p.multiple
        if units <= 0:
            continue
        reached = store.reaches(size * p.target)
        needed = at + (reached or 0.0) * QUARTER
        order = needed - p.lead_time
        size += units * usable
        found.append(Purchase(quarter, units, needed, order, max(needed, at + p.lead_time), size, used))
    return tuple(found)
