"""The instances of one role over the zones: their load before a zone was lost, and how many the rest takes."""

import heapq
import math
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from controlplane.history import FRESH, History, last, ms
from controlplane.model.methods import Zone
from controlplane.model.recommendations import Stage
from controlplane.model.resources import Resource
from controlplane.model.time import to_ms

UP = "instance.up"
ZONE_UP = "zone.up.ratio"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Measured:
    """One load of a fleet before the loss."""

    signal: str
    mean: float
    """Utilisation, as a share of an instance."""
    known: int
    """Instances whose load was measured."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Instances of one role before and after the loss of a zone."""

    role: str
    before: tuple[Resource, ...]
    gone: tuple[Resource, ...]
    """Those of the lost zones."""
    down: tuple[Resource, ...]
    """Those of surviving zones that don't answer."""
    serving: dict[str, int]
    """Surviving zone → instances that serve."""
    loads: tuple[Measured, ...]
    """Highest first; empty where too little is measured."""

    @property
    def survivors(self) -> int:
        """Instances that serve."""
        return sum(self.serving.values())

    @property
    def left(self) -> int:
        """Instances outside the lost zones, whether or not they answer: what the group holds there."""
        return len(self.before) - len(self.gone)

    def carried(self, count: int) -> float | None:
        """The highest utilisation when `count` instances carry what all did before; None where it isn't measured."""
        return self.loads[0].mean * len(self.before) / count if self.loads and count else None


@dataclass(frozen=True, slots=True)
class Start:
    """How many instances to start, where, and how the number came about."""

    count: int
    zones: dict[str, int]
    """Surviving zone → instances to start there."""
    stages: tuple[Stage, ...]

    @property
    def limited(self) -> str | None:
        """The limit that kept the number below what the load takes."""
        return next((stage.limit for stage in self.stages if stage.name.endswith("clamped") and stage.limit), None)


def spread(serving: dict[str, int], count: int) -> dict[str, int]:
    """`count` further instances, each in the zone that has fewest by then; ties in name order."""
    if not serving:
        return {}
    heap = [(have, zone) for zone, have in serving.items()]
    heapq.heapify(heap)
    added = dict.fromkeys(sorted(serving), 0)
    for _ in range(count):
        have, zone = heap[0]
        heapq.heapreplace(heap, (have + 1, zone))
        added[zone] += 1
    return added


def start(fleet: Fleet, p: Zone) -> Start:
    """Instances to start: what the load takes at the limit → whole units → the largest size; never in a lost zone."""
    unit = p.units.get(fleet.role, p.unit)
    have, lost = fleet.survivors, len(fleet.before) - fleet.survivors
    stages: list[Stage] = []

    def stage(name: str, value: int, limit: str | None, reason: str) -> int:
        stages.append(Stage(name=f"{fleet.role} {name}".strip(), value=value, limit=limit, reason=reason))
        return value

    if fleet.loads:
        load = fleet.loads[0]
        total = load.mean * len(fleet.before)
        wanted = math.ceil(total / p.limit - _ROUNDING)
        reason = f"ceil({len(fleet.before)} × {load.mean:.3f} ÷ {p.limit:g}) − {have} survivors, by {load.signal}"
        count = stage("raw", max(0, wanted - have), None, reason)
    else:
        count = stage("raw", lost, None, "its load isn't measured, so what was lost is replaced one for one")
    units = math.ceil(count / unit) * unit
    limit = f"units of {unit}" if units != count else None
    count = stage("rounded", units, limit, f"whole units of {unit}")
    maximum = p.maximum.get(fleet.role)
    room = count if maximum is None else max(0, maximum - fleet.left) // unit * unit
    limit = f"at most {maximum} instances" if count > room else None
    count = stage("clamped", min(count, room), limit, f"{fleet.left} there already")
    return Start(count, spread(fleet.serving, count), tuple(stages))


@dataclass(frozen=True, slots=True)
class Losses:
    """Which zones are lost, which are left, and which hosts answer (None = not measured)."""

    lost: frozenset[str]
    left: tuple[str, ...]
    answers: frozenset[str] | None

    def serves(self, resource: Resource) -> bool:
        """Whether an instance is in a surviving zone and answers, as far as that is measured."""
        return resource.zone in self.left and (self.answers is None or not self.answers.isdisjoint(_names(resource)))


def losses(history: History, zone: str, instances: tuple[Resource, ...]) -> Losses:
    """The alert's zone, and every other zone whose share of answering instances is 0."""
    up = history.latest(UP, "host", fold="max")
    answers = None if up.is_empty() else frozenset(up.filter(pl.col("value") > 0)["host"].to_list())
    ratios = history.latest(ZONE_UP, "zone", fold="min").filter(pl.col("value") <= 0)
    lost = {zone, *ratios["zone"].to_list()}
    zones = {resource.zone for resource in instances if resource.zone}
    if answers is not None:
        lost |= zones - {r.zone for r in instances if not answers.isdisjoint(_names(r))}
    return Losses(frozenset(lost), tuple(sorted(zones - lost)), answers)


def fleets(history: History, p: Zone, instances: tuple[Resource, ...], losses: Losses) -> tuple[Fleet, ...]:
    """The fleets with an instance in a lost zone, by role."""
    shares = {load.signal: _before(history, load.signal) for load in p.loads}
    roles = sorted({resource.role for resource in instances if resource.zone in losses.lost})
    return tuple(_fleet(role, tuple(r for r in instances if r.role == role), losses, shares, p) for role in roles)


def _fleet(
    role: str, before: tuple[Resource, ...], losses: Losses, shares: dict[str, dict[str, float]], p: Zone
) -> Fleet:
    zones = Counter(resource.zone for resource in before if losses.serves(resource))
    measured = [_measured(load.signal, load.capacity, before, shares[load.signal]) for load in p.loads]
    enough = [m for m in measured if m is not None and m.known >= p.minimum_known * len(before)]
    return Fleet(
        role=role,
        before=before,
        gone=tuple(r for r in before if r.zone in losses.lost),
        down=tuple(r for r in before if r.zone in losses.left and not losses.serves(r)),
        serving={zone: zones[zone] for zone in losses.left},
        loads=tuple(sorted(enough, key=lambda m: (-m.mean, m.signal))),
    )


def _names(resource: Resource) -> set[str]:
    return {resource.id, resource.host} - {""}


def _before(history: History, signal: str) -> dict[str, float]:
    """Host → its last value before the loss began, not older than 5 minutes."""
    began = to_ms(history.alert.active_at)
    fresh = pl.col("ts").is_between(began - ms(FRESH), began, closed="left")
    within = history.at - history.alert.active_at + 2 * FRESH
    newest = last(history.of(signal, "host", fold="max", within=within).filter(fresh), "host")
    return dict(zip(newest["host"].to_list(), newest["value"].to_list(), strict=True))


def _measured(
    signal: str, capacity: str | None, instances: tuple[Resource, ...], values: dict[str, float]
) -> Measured | None:
    shares: list[float] = []
    for resource in instances:
        value = values.get(resource.id, values.get(resource.host) if resource.host else None)
        size = 1.0 if capacity is None else getattr(resource.capacity, capacity)
        if value is not None and size:
            shares.append(max(0.0, value) / size)
    return Measured(signal, fmean(shares), len(shares)) if shares else None
