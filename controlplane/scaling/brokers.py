"""The brokers of a Kafka cluster: their loads against what they can carry, and what is known of the partitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import polars as pl

from controlplane.frames import in_order, quotient
from controlplane.history import FRESH, History, last, ms
from controlplane.model.commands import quote
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import BrokerLoad, Brokers
from controlplane.model.recommendations import Evidence
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.model.units import many

OFFSETS = "kafka.partition.offset"
PARTITIONS = "kafka.topic.partitions"
REPLICAS = "kafka.partition.replicas"
IN_SYNC = "kafka.partition.replicas_in_sync"
STORED = "system.filesystem.usage"
COMPLETE = 0.995
"""Share of the partitions that must be known (Cruise Control)."""
_MACHINES = {ResourceKind.HOST, ResourceKind.VM, ResourceKind.CONTAINER, ResourceKind.INSTANCE}
_PORT = 9092
_SHOWN = 3
_NO_SHARE = 1.5
"""A share above this was measured in another unit."""


@dataclass(frozen=True, slots=True)
class Load:
    """A load of the cluster now and at its peak, in the unit of `capacity`."""

    spec: BrokerLoad
    brokers: pl.DataFrame
    """broker, value, capacity and share of those that are known, busiest first; empty for a load of the cluster."""
    total: float
    capacity: float
    """Of all brokers together."""
    smallest: float
    largest: float
    """Capacity of one broker: of the smallest one and of the largest one."""
    peak: float
    """The largest total within `stabilise_removal` of the steps at which every broker is known."""

    @property
    def signal(self) -> str:
        """Its name."""
        return self.spec.signal

    @property
    def share(self) -> float:
        """Of the capacity of all brokers."""
        return self.total / self.capacity

    @property
    def busiest(self) -> float:
        """The share of the busiest broker; of the whole cluster where brokers aren't told apart."""
        return self.share if self.brokers.is_empty() else float(self.brokers["share"][0])

    @property
    def hot(self) -> bool:
        """Whether a broker is above the limit."""
        return self.busiest > self.spec.limit

    def shared_by(self, change: int, *, peak: bool = False) -> float:
        """The share when so many brokers more (of the smallest size) or fewer (of the largest) carry it."""
        capacity = self.capacity + change * (self.smallest if change > 0 else self.largest)
        return (self.peak if peak else self.total) / capacity if capacity > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The brokers of the inventory, their loads, and what is known of the partitions on them."""

    name: str
    resources: tuple[Resource, ...]
    loads: tuple[Load, ...]
    """Those that are measured of at least one broker."""
    unmeasured: tuple[str, ...]
    known: int
    counted: int
    """Partitions of which a sample is known, and as many as there are."""
    replication_factor: int
    under_replicated: int | None
    """Partitions with a replica that isn't in sync; None where it isn't measured."""
    stored: float | None
    """Bytes on all brokers; None where they aren't known of each."""
    history: History

    @property
    def count(self) -> int:
        """Brokers of the inventory."""
        return len(self.resources)

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.name, 80)

    @property
    def target(self) -> str:
        """What a proposal changes."""
        return f"kafka cluster {self.shown}"

    @property
    def hot(self) -> tuple[Load, ...]:
        """The loads of which a broker is above the limit."""
        return tuple(load for load in self.loads if load.hot)

    @property
    def told(self) -> str:
        """What is known of the brokers, in words."""
        if not self.count:
            return "none in the inventory"
        known = ", ".join(f"{load.signal} at most {load.busiest * 100:.0f} %" for load in self.loads)
        return f"{many(self.count, 'broker')}, {known or 'utilisation not measured'}"

    def require_complete(self) -> None:
        """AdviceError where brokers or more than 0.5 % of the partitions aren't known: a number needs all of them."""
        for load in self.loads:
            unknown = sorted({broker.id for broker in self.resources} - set(load.brokers["broker"].to_list()))
            if load.spec.per == "broker" and unknown:
                names = ", ".join(printable(name, 60) for name in unknown[:_SHOWN])
                raise AdviceError(
                    f"{load.signal} is known of {self.count - len(unknown)} of {many(self.count, 'broker')} only, and "
                    f"a number of brokers needs all of them: {names}{', …' if len(unknown) > _SHOWN else ''} had no "
                    "sample in the last 5 minutes, or no limit in the inventory. Bring them back, or correct it"
                )
        if not self.counted:
            raise self.history.missing(PARTITIONS, self.target)
        if self.known < COMPLETE * self.counted:
            raise AdviceError(
                f"{self.known} of {many(self.counted, 'partition')} of {self.target} are known, and a number of "
                f"brokers needs {COMPLETE * 100:g} % of them: {OFFSETS} has none of the others in the last 5 minutes"
            )

    def evidence(self) -> tuple[Evidence, ...]:
        """The busiest brokers against their limits."""
        found = []
        for load in self.loads:
            reference = self.history.reference(load.signal, within=FRESH)
            rows = load.brokers.select("broker", "share").head(_SHOWN).rows() or [("", load.share)]
            for broker, share in rows:
                found.append(
                    Evidence(
                        signal=load.signal,
                        labels={"host": broker} if broker else {"cluster": self.name},
                        value=share,
                        unit="1",
                        at=self.history.at,
                        limit=f"> {load.spec.limit:g}",
                        verdict="above the limit" if share > load.spec.limit else "within the limit",
                        reference=reference,
                    )
                )
        return tuple(found)


def brokers_of(inventory: Inventory, platform: str, role: str) -> tuple[Resource, ...]:
    """The brokers of a platform: resources of that kind, or, where there are none, machines with the role."""
    resources = inventory.of(platform)
    brokers = tuple(resource for resource in resources if resource.kind is ResourceKind.BROKER)
    return brokers or tuple(resource for resource in resources if resource.role == role and resource.kind in _MACHINES)


def bootstrap(resources: tuple[Resource, ...], server: str | None) -> str:
    """The address for Kafka's own tools, quoted for a shell."""
    if server:
        return quote(server)
    hosts = sorted({broker.host or broker.id for broker in resources})
    return quote(",".join(f"{host}:{_PORT}" for host in hosts[:3])) if hosts else '"$KAFKA_BOOTSTRAP_SERVERS"'


def read_cluster(
    history: History, inventory: Inventory, p: Brokers, name: str, resources: tuple[Resource, ...]
) -> Cluster:
    """What is known of these brokers; AdviceError where a load can't be a share."""
    loads = [(spec.signal, _load(history, inventory, p, spec, name, resources)) for spec in p.loads]
    known, counted = _partitions(history)
    factors = history.latest(REPLICAS, "topic", "partition", fold="max")
    in_sync = history.latest(IN_SYNC, "topic", "partition", fold="min").rename({"value": "in_sync"})
    judged = factors.join(in_sync, on=["topic", "partition"])
    measured = round(float(factors["value"].max() or 0)) if factors.height else 0  # type: ignore[arg-type]
    return Cluster(
        name=name,
        resources=resources,
        loads=tuple(load for _, load in loads if load is not None),
        unmeasured=tuple(dict.fromkeys(signal for signal, load in loads if load is None)),
        known=known,
        counted=counted,
        replication_factor=max(p.replication_factor, measured),
        under_replicated=judged.filter(pl.col("in_sync") < pl.col("value")).height if judged.height else None,
        stored=_stored(history, p, resources),
        history=history,
    )


def _load(
    history: History, inventory: Inventory, p: Brokers, spec: BrokerLoad, name: str, resources: tuple[Resource, ...]
) -> Load | None:
    if spec.per == "cluster":
        return _of_cluster(history, inventory, p, spec, name, resources)
    capacities = {
        broker.id: 1.0
        if spec.capacity == "share"
        else broker.limit(spec.signal)
        if spec.capacity == "inventory"
        else spec.capacity
        for broker in resources
    }
    usable = {broker: value for broker, value in capacities.items() if value}
    if not usable:
        return None
    rows = _by_broker(history, spec, resources).filter(pl.col("broker").is_in(list(usable)))
    rows = rows.with_columns(pl.col("broker").replace_strict(usable, return_dtype=pl.Float64).alias("capacity"))
    rows = rows.with_columns(quotient(pl.col("value"), pl.col("capacity")).alias("share"))
    now = last(rows.filter(pl.col("ts") > history.at_ms - ms(FRESH)), "broker")
    if now.is_empty():
        return None
    now = now.sort("share", "broker", descending=[True, False]).select("broker", "value", "capacity", "share")
    if spec.capacity == "share":
        _require_share(spec, printable(now["broker"][0], 80), now["share"][0])
    total = fsum(now["value"])
    steps = (
        rows.filter(pl.col("ts") > history.at_ms - ms(p.stabilise_removal))
        .sort("ts", "broker")
        .group_by("ts", maintain_order=True)
        .agg(in_order(pl.col("value")).list.sum().alias("total"), pl.len().alias("brokers"))
        .filter(pl.col("brokers") == len(resources))
    )
    return Load(
        spec=spec,
        brokers=now,
        total=total,
        capacity=fsum(now["capacity"]),
        smallest=min(usable.values()),
        largest=max(usable.values()),
        peak=max([total, *steps["total"].to_list()]),
    )


def _by_broker(history: History, spec: BrokerLoad, resources: tuple[Resource, ...]) -> pl.DataFrame:
    """broker, ts, value: the fullest or busiest series of a share, the sum of anything else."""
    names = {broker.host: broker.id for broker in resources if broker.host}
    names |= {broker.id: broker.id for broker in resources}
    fold = "max" if spec.capacity == "share" else "sum"
    frame = history.of(spec.signal, "host", fold=fold, where=spec.where)  # type: ignore[arg-type]
    frame = frame.filter(pl.col("host").is_in(list(names)), pl.col("value") >= 0)
    frame = frame.with_columns(pl.col("host").replace(names).alias("broker"))
    # A series under the broker's own name is nearer than one of the machine that carries it.
    own_first = frame.sort(pl.col("host") == pl.col("broker"), "host", descending=[True, False])
    return own_first.unique(["broker", "ts"], keep="first", maintain_order=True).select("broker", "ts", "value")


def _of_cluster(
    history: History, inventory: Inventory, p: Brokers, spec: BrokerLoad, name: str, resources: tuple[Resource, ...]
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
    peak = rows.filter(pl.col("ts") > history.at_ms - ms(p.stabilise_removal))["value"].to_list()
    return Load(
        spec=spec,
        brokers=pl.DataFrame(
            schema={"broker": pl.String, "value": pl.Float64, "capacity": pl.Float64, "share": pl.Float64}
        ),
        total=value * scale,
        capacity=each * len(resources),
        smallest=each,
        largest=each,
        peak=max([value, *peak]) * scale,
    )


def _require_share(spec: BrokerLoad, of: str, value: float) -> None:
    if value > _NO_SHARE:
        raise AdviceError(
            f"{spec.signal} of {of} is {value:,.6g}, which is no share of a capacity. Correct the query, or name the "
            "capacity of the load in the rule"
        )


def _partitions(history: History) -> tuple[int, int]:
    """Partitions that are known and those that there are, of all topics."""
    keys = ["topic", "partition"]
    seen = pl.concat([history.latest(signal, *keys, fold="max").select(keys) for signal in (OFFSETS, IN_SYNC)])
    seen = seen.filter(pl.col("partition") != "").unique().group_by("topic").len("seen")
    counted = history.latest(PARTITIONS, "topic", fold="max").select(
        "topic", pl.col("value").round().clip(lower_bound=0).cast(pl.Int64).alias("counted")
    )
    both = counted.join(seen, on="topic", how="left").with_columns(pl.col("seen").fill_null(0).cast(pl.Int64))
    known = both.select(pl.min_horizontal("seen", "counted").sum()).item()
    return int(known), int(both["counted"].sum())


def _stored(history: History, p: Brokers, resources: tuple[Resource, ...]) -> float | None:
    """Bytes on the file systems that the load of disks is about."""
    disk = next((load for load in p.loads if load.stored), None)
    if disk is None:
        return None
    spec = BrokerLoad(signal=STORED, limit=1, capacity="inventory", where=disk.where)
    now = last(_by_broker(history, spec, resources).filter(pl.col("ts") > history.at_ms - ms(FRESH)), "broker")
    return fsum(now["value"]) if now.height == len(resources) else None
