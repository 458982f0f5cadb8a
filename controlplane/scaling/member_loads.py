"""The loads of members that share work: what each has, what it could carry, and how much that was at its peak."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import fsum

import polars as pl

from controlplane.frames import in_order, quotient
from controlplane.history import FRESH, Fold, History, last, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import MemberLoad
from controlplane.model.recommendations import Evidence
from controlplane.model.resources import Inventory, Resource

_NO_SHARE = 1.5
"""A share above this was measured in another unit."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Load:
    """A load of all members now and at its peak, in the unit of `capacity`."""

    spec: MemberLoad
    members: pl.DataFrame
    """member, value, capacity and share of those that are known, busiest first; empty for a load of the whole."""
    total: float
    capacity: float
    """Of all together."""
    smallest: float
    largest: float
    """Capacity of one: of the smallest one and of the largest one."""
    peak: float
    """The largest total of the time asked for, among the steps at which every one is known."""
    since_ms: int
    """The first of these steps."""

    @property
    def signal(self) -> str:
        """Its name."""
        return self.spec.signal

    @property
    def share(self) -> float:
        """Of the capacity of all."""
        return self.total / self.capacity

    @property
    def busiest(self) -> float:
        """The share of the busiest one; of all where they aren't told apart."""
        return self.share if self.members.is_empty() else float(self.members["share"][0])

    @property
    def hot(self) -> bool:
        """Whether one is above the limit."""
        return self.busiest > self.spec.limit

    def shared_by(self, change: int, *, peak: bool = False) -> float:
        """The share when so many more (of the smallest size) or fewer (of the largest) carry it."""
        capacity = self.capacity + change * (self.smallest if change > 0 else self.largest)
        return (self.peak if peak else self.total) / capacity if capacity > 0 else float("inf")


def read_load(
    history: History,
    inventory: Inventory,
    spec: MemberLoad,
    name: str,
    resources: tuple[Resource, ...],
    peak_over: timedelta,
) -> Load | None:
    """A load of these resources, or of the cluster `name`; None where no sample or no capacity of it is known.

    AdviceError where what should be a share is none.
    """
    if spec.per == "cluster":
        return _of_cluster(history, inventory, spec, name, resources, peak_over)
    capacities = {
        one.id: 1.0
        if spec.capacity == "share"
        else one.limit(spec.signal)
        if spec.capacity == "inventory"
        else spec.capacity
        for one in resources
    }
    usable = {member: value for member, value in capacities.items() if value}
    if not usable:
        return None
    rows = by_member(history, spec, resources).filter(pl.col("member").is_in(list(usable)))
    rows = rows.with_columns(pl.col("member").replace_strict(usable, return_dtype=pl.Float64).alias("capacity"))
    rows = rows.with_columns(quotient(pl.col("value"), pl.col("capacity")).alias("share"))
    now = last(rows.filter(pl.col("ts") > history.at_ms - ms(FRESH)), "member")
    if now.is_empty():
        return None
    now = now.sort("share", "member", descending=[True, False]).select("member", "value", "capacity", "share")
    if spec.capacity == "share":
        _require_share(spec, printable(now["member"][0], 80), now["share"][0])
    total = fsum(now["value"])
    steps = (
        rows.filter(pl.col("ts") > history.at_ms - ms(peak_over))
        .sort("ts", "member")
        .group_by("ts", maintain_order=True)
        .agg(in_order(pl.col("value")).list.sum().alias("total"), pl.len().alias("members"))
        .filter(pl.col("members") == len(resources))
    )
    return Load(
        spec=spec,
        members=now,
        total=total,
        capacity=fsum(now["capacity"]),
        smallest=min(usable.values()),
        largest=max(usable.values()),
        peak=max([total, *steps["total"].to_list()]),
        since_ms=steps["ts"][0] if steps.height else history.at_ms,
    )


def by_member(history: History, spec: MemberLoad, resources: tuple[Resource, ...]) -> pl.DataFrame:
    """member, ts, value: the fullest or busiest series of a share, the sum of anything else."""
    names = {one.host: one.id for one in resources if one.host}
    names |= {one.id: one.id for one in resources}
    fold: Fold = "max" if spec.capacity == "share" else "sum"
    frame = history.of(spec.signal, "host", fold=fold, where=spec.where)
    frame = frame.filter(pl.col("host").is_in(list(names)), pl.col("value") >= 0)
    frame = frame.with_columns(pl.col("host").replace(names).alias("member"))
    # A series under the member's own name is nearer than one of the machine that carries it.
    own_first = frame.sort(pl.col("host") == pl.col("member"), "host", descending=[True, False])
    return own_first.unique(["member", "ts"], keep="first", maintain_order=True).select("member", "ts", "value")


def _of_cluster(
    history: History,
    inventory: Inventory,
    spec: MemberLoad,
    name: str,
    resources: tuple[Resource, ...],
    peak_over: timedelta,
) -> Load | None:
    where: Mapping[str, str] = spec.where or {"cluster": name}
    rows = history.of(spec.signal, fold="sum", where=where).filter(pl.col("value") >= 0)
    now = rows.filter(pl.col("ts") > history.at_ms - ms(FRESH)).tail(1)
    if now.is_empty() or not resources:
        return None
    value, each = float(now["value"][0]), 1.0
    if spec.capacity == "inventory":
        own = next((r for r in inventory.of(history.alert.platform) if r.id == name), None)
        whole = own.limit(spec.signal) if own else None
        if not whole:
            return None
        each = whole / len(resources)
    elif spec.capacity == "share":
        _require_share(spec, printable(name, 80), value)
    else:
        each = spec.capacity
    scale = len(resources) if spec.capacity == "share" else 1
    before = rows.filter(pl.col("ts") > history.at_ms - ms(peak_over))
    return Load(
        spec=spec,
        members=pl.DataFrame(
            schema={"member": pl.String, "value": pl.Float64, "capacity": pl.Float64, "share": pl.Float64}
        ),
        total=value * scale,
        capacity=each * len(resources),
        smallest=each,
        largest=each,
        peak=max([value, *before["value"].to_list()]) * scale,
        since_ms=before["ts"][0] if before.height else history.at_ms,
    )


def _require_share(spec: MemberLoad, of: str, value: float) -> None:
    if value > _NO_SHARE:
        raise AdviceError(
            f"{spec.signal} of {of} is {value:,.6g}, which is no share of a capacity. Correct the query, or name the "
            "capacity of the load in the rule"
        )


def share_evidence(history: History, loads: tuple[Load, ...], name: str) -> tuple[Evidence, ...]:
    """The busiest members of each load against its limit; `name` is that of the whole."""
    found = []
    for load in loads:
        reference = history.reference(load.signal, within=FRESH)
        rows = load.members.select("member", "share").head(_SHOWN).rows() or [("", load.share)]
        for member, share in rows:
            found.append(
                Evidence(
                    signal=load.signal,
                    labels={"host": member} if member else {"cluster": name},
                    value=share,
                    unit="1",
                    at=history.at,
                    limit=f"> {load.spec.limit:g}",
                    verdict="above the limit" if share > load.spec.limit else "within the limit",
                    reference=reference,
                )
            )
    return tuple(found)
