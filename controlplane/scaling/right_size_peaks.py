"""What the members of a group, or one machine, have used of each part in the last day."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import polars as pl

from controlplane.history import FRESH, History, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable, short_hash
from controlplane.model.methods.right_size import Part, RightSize
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import format_duration
from controlplane.model.units import human, many

FIELDS: dict[Part, str] = {
    "cores": "cores",
    "memory": "memory_bytes",
    "network": "network_bits_per_second",
    "disk": "disk_bytes",
}
_UNITS: dict[Part, str] = {"cores": "{core}", "memory": "By", "network": "bit/s", "disk": "By"}


@dataclass(frozen=True, slots=True)
class Used:
    """The use of one part, as shares of what a member has: that of the busiest one."""

    part: Part
    signal: str
    capacity: float
    """Of one member: cores, bytes or bit/s."""
    p95: float
    p99: float
    peak: float
    busiest: str
    reference: str
    """Names exactly what was measured of every member."""

    @property
    def amount(self) -> float:
        """The peak in the unit of the capacity."""
        return self.peak * self.capacity


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is made smaller: one machine, or all instances of a group."""

    name: str
    group: bool
    members: tuple[Resource, ...]
    peers: tuple[Resource, ...]
    """Those that share the load, members included."""
    used: tuple[Used, ...]

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.name, 80)

    @property
    def target(self) -> str:
        """What a proposal changes."""
        return f"{'group' if self.group else 'host'} {self.shown}"

    @property
    def count(self) -> int:
        """How many are made smaller."""
        return len(self.members)

    def has(self, part: Part) -> float | None:
        """What a member has of a part; None where the inventory doesn't say."""
        value: float | None = getattr(self.members[0].capacity, FIELDS[part])
        return value

    @property
    def zones(self) -> dict[str, int]:
        """Zone → peers there; empty where the inventory doesn't say."""
        zones = Counter(resource.zone for resource in self.peers)
        return {} if "" in zones else dict(sorted(zones.items()))

    @property
    def lost(self) -> tuple[str, int]:
        """The largest loss that is to be carried: a zone, one of several members, or none."""
        zones = self.zones
        if len(zones) > 1:
            return f"one of {len(zones)} zones", max(zones.values())
        return ("one host", 1) if len(self.peers) > 1 else ("", 0)

    def carried(self, part: Part, p: RightSize, lost: int) -> float:
        """How many times more of a part each survivor has to carry when so many are lost."""
        left = len(self.peers) - lost
        return len(self.peers) / left if left > 0 and part in p.moves else 1.0


def shown(part: Part, amount: float) -> str:
    """An amount of a part for people."""
    return human(amount, _UNITS[part])


def read_fleet(history: History, p: RightSize, inventory: Inventory) -> Fleet:
    """The alert's group or host with its use; AdviceError says what isn't known of it."""
    labels = history.alert.labels
    group = bool(labels.get("group"))
    name = history.label("group" if group else "host")
    known = inventory.of(history.alert.platform)
    members = tuple(
        resource
        for resource in sorted(known, key=lambda one: one.id)
        if resource.kind in p.kinds and (resource.role if group else resource.id) == name
    )
    if not members:
        kinds = " or ".join(p.kinds)
        what = f"no {kinds} with the role {printable(name, 60)}" if group else f"no {kinds} {printable(name, 60)}"
        raise AdviceError(f"the inventory has {what}, so its size isn't known. Add it, or correct the label")
    one = members[0]
    if any((member.price, member.capacity) != (one.price, one.capacity) for member in members):
        raise AdviceError(
            f"the {len(members)} members of {printable(name, 60)} are of several sizes in the inventory. Finish the "
            "change of size that is under way, or split the group, before another one is chosen"
        )
    peers = members
    if not group and one.cluster:
        peers = tuple(r for r in known if (r.kind, r.role, r.cluster) == (one.kind, one.role, one.cluster))
    used = tuple(_used(history, p, part, members) for part in p.parts)
    return Fleet(name, group, members, peers, used)


def _used(history: History, p: RightSize, part: Part, members: tuple[Resource, ...]) -> Used:
    use = p.uses[part]
    capacity: float | None = getattr(members[0].capacity, FIELDS[part])
    if not capacity:
        raise AdviceError(
            f"the inventory doesn't say how much {part} {printable(members[0].id, 60)} has (capacity), so how much "
            "is used can't be told"
        )
    ids = [member.id for member in members]
    found = _folded(history, p, part, ids)
    stretch = ms(FRESH)
    rows = {row["host"]: row for row in found.iter_rows(named=True)}
    for name in ids:
        row = rows.get(name)
        if row is None or row["last"] <= history.at_ms - stretch:
            raise history.missing(use.signal, name)
        share = row["known"] / (ms(p.minimum_history) / stretch)
        if share < p.minimum_known:
            raise AdviceError(
                f"{use.signal} of {printable(name, 60)} is known for {share * 100:.0f} % of the last "
                f"{format_duration(p.minimum_history)}, and {p.minimum_known * 100:g} % are needed: the peak may be in "
                "what isn't known"
            )
        if row["least"] < 0:
            raise AdviceError(f"{use.signal} of {printable(name, 60)} is negative at times: its source is wrong")
    busiest = max(ids, key=lambda name: rows[name]["peak"])
    divisor = 1.0 if use.share else capacity
    return Used(
        part,
        use.signal,
        capacity,
        p95=max(row["p95"] for row in rows.values()) / divisor,
        p99=max(row["p99"] for row in rows.values()) / divisor,
        peak=rows[busiest]["peak"] / divisor,
        busiest=busiest,
        reference="peaks " + short_hash(use.signal, *(repr(tuple(rows[name].values())) for name in ids)),
    )


def _folded(history: History, p: RightSize, part: Part, ids: list[str]) -> pl.DataFrame:
    """host, least, p95, p99, peak, last (epoch ms) and known (stretches of 5 minutes with samples)."""
    use = p.uses[part]
    series = history.series(use.signal, "host").filter(pl.col("host").is_in(ids))
    if series["host"].is_duplicated().any():
        fold: Literal["max", "sum"] = "max" if use.share else "sum"
        samples = history.of(use.signal, "host", fold=fold, within=p.lookback).filter(pl.col("host").is_in(ids))
        return _measures(samples, "host", history, p)
    # A series a host, as nearly always: nothing has to be folded, which matters for thousands of hosts.
    samples = history.rows(series["sid"], p.lookback)
    return _measures(samples, "sid", history, p).join(series, on="sid").drop("sid").sort("host")


def _measures(samples: pl.DataFrame, key: str, history: History, p: RightSize) -> pl.DataFrame:
    value = pl.col("value")
    since = history.at_ms - ms(p.minimum_history)
    stretches = (
        samples.filter(pl.col("ts") > since)
        .select(key, pl.col("ts") // ms(FRESH))
        .unique()
        .group_by(key)
        .agg(known=pl.len())
    )
    return (
        samples.group_by(key)
        .agg(
            least=value.min(),
            p95=value.quantile(0.95, "higher"),
            p99=value.quantile(0.99, "higher"),
            peak=value.max(),
            last=pl.col("ts").max(),
        )
        .join(stretches, on=key, how="left")
        .with_columns(pl.col("known").fill_null(0))
        .sort(key)
    )


def refuse_when_busy(history: History, fleet: Fleet) -> None:
    """AdviceError where something else is wrong with it, or it was made larger or took over within a day."""
    names = {fleet.name, *(member.id for member in fleet.members), *(member.cluster for member in fleet.members)} - {""}
    for alert in history.firing:
        if alert.severity.value != "info" and not names.isdisjoint(alert.labels.values()):
            raise AdviceError(
                f"{printable(alert.title, 80)} fires too ({printable(alert.rule, 80)}): nothing is made smaller while "
                f"something else is wrong with {fleet.shown}"
            )
    for one in reversed(history.decided):
        grows = one.proposal.kind in {"scale_out", "shard", "migrate", "add_storage"}
        same = one.proposal.target == fleet.target
        if (
            (grows and same)
            or one.proposal.kind == "failover"
            or (same and one.proposal.kind in {"resize", "scale_in"})
        ):
            raise AdviceError(
                f"recommendation {one.id} ({printable(one.proposal.title, 80)}) was {one.status.value} within the last "
                f"day: what {many(fleet.count, 'machine')} of {fleet.shown} use since isn't the usual"
            )
