"""The members of a cache with replicas, and what its Sentinels see and can do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl

from controlplane.history import ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Cache
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import human_duration
from controlplane.readiness.caches import judged
from controlplane.readiness.databases import names_of

OFFSET, PRIORITY, UP = "redis.replication.offset", "redis.replica.priority", "redis.sentinel.primary.up"
SENTINEL = (
    "redis.sentinel.replicas.ok",
    "redis.sentinel.sentinels.ok",
    "redis.sentinel.sentinels.known",
    "redis.sentinel.quorum",
)
_PRIORITY = 100.0
"""Redis' default (replica-priority)."""
_LINK_DOWN = 10
"""Times `down_after` for which a replica's link may have been broken (Sentinel, sentinelSelectSlave)."""


@dataclass(frozen=True, slots=True)
class CacheMember:
    """A member of the cache; what isn't measured is None."""

    resource: Resource
    replica: bool
    reachable: bool
    offset: float | None
    """Last known position in the stream of writes, in bytes."""
    priority: float | None
    """Smaller comes first, 0 = never."""
    heard: int | None = None
    """When its last position was read, in epoch ms."""
    cut_off: timedelta | None = None
    """Its link had been broken for longer than this when the primary wrote last; None = not as far as is known."""

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.resource.id, 80)

    @property
    def host(self) -> str:
        """Where it answers."""
        return self.resource.host or self.resource.id

    @property
    def refused(self) -> str:
        """Why Sentinel wouldn't promote it; '' where it would."""
        if self.priority == 0:
            return "its priority 0 excludes it"
        if not self.reachable:
            return "it isn't heard of"
        if self.cut_off is not None:
            return f"its link had been broken for more than {human_duration(self.cut_off)} when the primary wrote last"
        return ""


@dataclass(frozen=True, slots=True)
class Sentinels:
    """What Sentinel sees."""

    replicas: int
    answering: int
    known: int
    quorum: int
    needed: int

    @property
    def acts(self) -> bool:
        """Whether it can decide on a failover and agree on it."""
        return self.answering >= self.needed

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.answering} of {self.known} Sentinels answer, {self.needed} are needed (quorum {self.quorum})"


def members(
    resources: Sequence[Resource], offsets: pl.DataFrame, priorities: pl.DataFrame, at_ms: int, p: Cache
) -> tuple[CacheMember, ...]:
    """Of one cache, from host, ts and value of both signals in order of time; replicas are those with a priority.

    Who died keeps its last position. A priority that is older than the newest position was that of a replica which has
    become the primary. Whose link was broken lacks what the primary had written as long before its last write as
    Sentinel allows.
    """
    names = names_of(resources)
    last_offset, last_priority = _last(offsets, names), _last(priorities, names)
    found = []
    for one in resources:
        at, offset = last_offset.get(one.id, (None, None))
        then, priority = last_priority.get(one.id, (None, None))
        seen = max((ts for ts in (at, then) if ts is not None), default=None)
        replica = then is not None and (at is None or then >= at)
        reachable = seen is not None and at_ms - seen <= p.reachable_within.total_seconds() * 1000
        found.append(CacheMember(one, replica, reachable, offset, priority if replica else None, at))
    allowed = p.down_after * _LINK_DOWN
    least = _written_before(primary_of(found, p), _of_members(offsets, names), ms(allowed))
    return tuple(
        replace(one, cut_off=allowed)
        if one.replica and one.offset is not None and least is not None and one.offset < least
        else one
        for one in found
    )


def primary_of(found: Sequence[CacheMember], p: Cache) -> CacheMember | None:
    """Who isn't a replica: the one whose position was read last, else the only one left, else the inventory's word.

    A position that is older than another one by more than `reachable_within` is that of a primary lost earlier.
    """
    silent = [one for one in found if not one.replica]
    newest = max((one.heard for one in silent if one.heard is not None), default=0)
    writes = [one for one in silent if one.heard is not None and one.heard >= newest - ms(p.reachable_within)]
    for pool in (writes, silent):
        if len(pool) == 1:
            return pool[0]
    stated = [one for one in writes or silent if one.resource.attributes.get("started_as") == "primary"]
    return stated[0] if len(stated) == 1 else None


def ranked(found: Sequence[CacheMember], seen: Sentinels | None) -> list[CacheMember]:
    """Replicas that may be promoted: by priority, position and name where Sentinel acts, else by position first."""
    able = [one for one in found if one.replica and not one.refused]
    acts = seen is not None and seen.acts

    def rank(one: CacheMember) -> tuple[float, float, str]:
        priority, missing = _PRIORITY if one.priority is None else one.priority, -(one.offset or 0.0)
        return (*((priority, missing) if acts else (missing, priority)), one.resource.id)

    return sorted(able, key=rank)


def sentinels(newest: dict[str, float | None]) -> Sentinels | None:
    """From the newest value of each signal in SENTINEL; None where one isn't measured."""
    values = [newest.get(signal) for signal in SENTINEL]
    if any(value is None for value in values):
        return None
    rows = {
        signal: pl.DataFrame(
            {"source": [""], "cluster": [""], "ts": [0], "value": [value]},
            schema={"source": pl.String, "cluster": pl.String, "ts": pl.Int64, "value": pl.Float64},
        )
        for signal, value in zip(SENTINEL, values, strict=True)
    }
    row = judged(rows, SENTINEL).row(0, named=True)
    return Sentinels(*(int(row[name]) for name in ("replicas", "sentinels", "known", "quorum", "needed")))


def of_cluster(inventory: Inventory, platform: str, cluster: str, p: Cache) -> tuple[Resource, ...]:
    """The members in the inventory; AdviceError where there is none."""
    found = tuple(one for one in inventory.of(platform, cluster=cluster) if p.role is None or one.role == p.role)
    if not found:
        role = f" and role {p.role}" if p.role else ""
        raise AdviceError(
            f"the inventory has no resource with cluster {printable(cluster, 80)}{role}, so nobody can be named"
        )
    return found


def _written_before(primary: CacheMember | None, offsets: pl.DataFrame, allowed_ms: int) -> float | None:
    """Where the primary was so long before its last write, in bytes; None where it began anew since or isn't known."""
    if primary is None or primary.offset is None:
        return None
    own = offsets.filter(pl.col("host") == primary.resource.id)
    wrote = own.filter(pl.col("value") == primary.offset)["ts"][0]
    before = own.filter(pl.col("ts") <= wrote - allowed_ms)["value"].to_list()
    return float(before[-1]) if before and before[-1] <= primary.offset else None


def _of_members(rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """The rows of members by their ids, in order of time."""
    known = rows.filter(pl.col("host").is_in(list(names))).with_columns(pl.col("host").replace(names))
    return known.sort("ts", "value")


def _last(rows: pl.DataFrame, names: dict[str, str]) -> dict[str, tuple[int, float]]:
    newest = _of_members(rows, names).group_by("host", maintain_order=True).last()
    return {host: (ts, value) for host, ts, value in newest.select("host", "ts", "value").iter_rows()}
