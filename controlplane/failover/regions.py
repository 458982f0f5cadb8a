"""What every other region could take over from the home region at an instant, and what would be lost."""

import math
from dataclasses import dataclass
from datetime import timedelta

from controlplane.frames import Samples
from controlplane.model.methods import Lag, Region, Target, Tier
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import human_duration
from controlplane.model.units import convert
from controlplane.readiness.loads import newest

MEASURED_WITHIN = timedelta(hours=1)
"""A measurement of how long a failover took counts for so long."""


@dataclass(frozen=True, slots=True)
class Need:
    """One tier of the target region."""

    tier: Tier
    home: int
    there: int
    needed: int
    """Instances that the load takes; those of the home region where it isn't measured."""

    @property
    def start(self) -> int:
        """Instances to start."""
        return max(0, self.needed - self.there)


@dataclass(frozen=True, slots=True)
class Option:
    """A region as a target at an instant; what isn't known is None."""

    target: Target
    answers: bool | None
    lag: float | None
    """Seconds."""
    takes: float | None
    """Seconds until it serves, with what has to be started."""
    load: float | None
    """What the home region carries, in the unit of its limit."""
    needs: tuple[Need, ...]
    after: float | None
    """Load as a share of what the target can carry as it is; +Inf where it has none of a tier."""

    @property
    def start(self) -> int:
        """Instances to start."""
        return sum(need.start for need in self.needs)


def options(
    samples: Samples, platform: str, p: Region, inventory: Inventory, at_ms: int, before_ms: int
) -> list[Option]:
    """Every target in the order of the rule; load and lag are those before `before_ms`, when the loss began."""
    load = None
    if p.load is not None:
        load = newest(samples, platform, p.load.signal, before_ms, where=p.load.where, fold="sum")
        load = None if load is None else load / p.load.copies
    return [_option(samples, platform, p, target, inventory, load, at_ms, before_ms) for target in p.targets]


def _option(
    samples: Samples,
    platform: str,
    p: Region,
    target: Target,
    inventory: Inventory,
    load: float | None,
    at_ms: int,
    before_ms: int,
) -> Option:
    up = newest(samples, platform, p.up, at_ms, where={"region": target.region})
    needs = tuple(_need(inventory, platform, p, tier, target, load) for tier in p.tiers)
    # Without its load, how many are missing is known of an empty tier alone.
    start = any(need.start and (load is not None or not need.there) for need in needs)
    took = _seconds(samples, platform, target.duration, at_ms, MEASURED_WITHIN)
    takes = took if took is not None else None if target.takes is None else target.takes.total_seconds()
    if start:
        # Clients can't be led to instances that don't serve yet.
        takes = max(takes or 0.0, p.start.total_seconds())
    return Option(
        target=target,
        answers=None if up is None else up > 0,
        lag=_seconds(samples, platform, target.lag, before_ms, timedelta(minutes=5)),
        takes=takes,
        load=load,
        needs=needs,
        after=_after(inventory, platform, p, target, load, needs),
    )


def _seconds(samples: Samples, platform: str, lag: Lag | None, until_ms: int, within: timedelta) -> float | None:
    if lag is None:
        return None
    value = newest(samples, platform, lag.signal, until_ms, where=lag.where, within=within)
    return None if value is None else max(0.0, convert(value, lag.unit, "s"))


def _region(inventory: Inventory, platform: str, name: str) -> Resource | None:
    return next((one for one in inventory.of(platform, kind="region") if one.id == name), None)


def _count(inventory: Inventory, platform: str, region: str, tier: Tier) -> int:
    if tier.setting is None:
        return len(inventory.of(platform, region=region, role=tier.name))
    resource = _region(inventory, platform, region)
    text = "" if resource is None else resource.settings.get(tier.setting, "")
    return int(text) if text.isdecimal() else 0


def _need(inventory: Inventory, platform: str, p: Region, tier: Tier, target: Target, load: float | None) -> Need:
    home, there = (_count(inventory, platform, name, tier) for name in (p.home, target.region))
    limit = _limit(inventory, platform, p, p.home)
    needed = home
    if load is not None and limit and home:
        needed = math.ceil(load / (limit / home) - 1e-9)
    return Need(tier, home, there, max(0, needed))


def _limit(inventory: Inventory, platform: str, p: Region, region: str) -> float | None:
    resource = _region(inventory, platform, region)
    return None if p.load is None or resource is None else resource.limits.get(p.load.signal)


def _after(
    inventory: Inventory, platform: str, p: Region, target: Target, load: float | None, needs: tuple[Need, ...]
) -> float | None:
    """The load by the smallest of what the inventory says that the target carries, and of what its tiers do."""
    found: list[float] = [math.inf for need in needs if need.home and not need.there]
    own, limit = _limit(inventory, platform, p, target.region), _limit(inventory, platform, p, p.home)
    if load is not None:
        if own:
            found.append(load / own)
        if limit:
            found += [load / (limit * need.there / need.home) for need in needs if need.home and need.there]
    return max(found, default=None)


def told_seconds(seconds: float | None) -> str:
    """A time for people; `unknown` where it isn't known."""
    if seconds is None:
        return "unknown"
    return f"{seconds:.1f}s" if 0 < seconds < 1 else human_duration(timedelta(seconds=seconds))
