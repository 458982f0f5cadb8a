"""The brokers of a Kafka cluster: their loads against what they can carry, and what is known of the partitions."""

from dataclasses import dataclass
from math import fsum

import polars as pl

from controlplane.history import FRESH, History, last, ms
from controlplane.model.commands import quote
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Brokers, MemberLoad
from controlplane.model.recommendations import Evidence
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.model.units import many
from controlplane.scaling.member_loads import Load, by_member, read_load, share_evidence

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
            unknown = sorted({broker.id for broker in self.resources} - set(load.members["member"].to_list()))
            if load.spec.per == "member" and unknown:
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
        return share_evidence(self.history, self.loads, self.name)


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
    loads = [
        (spec.signal, read_load(history, inventory, spec, name, resources, p.stabilise_removal)) for spec in p.loads
    ]
    known, counted = _partitions(history)
    factors = history.latest(REPLICAS, "topic", "partition", fold="max")
    in_sync = history.latest(IN_SYNC, "topic", "partition", fold="min").rename({"value": "in_sync"})
    judged = factors.join(in_sync, on=["topic", "partition"])
    measured = round(factors.select(pl.max("value")).item() or 0)
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
    spec = MemberLoad(signal=STORED, limit=1, capacity="inventory", where=disk.where)
    now = last(by_member(history, spec, resources).filter(pl.col("ts") > history.at_ms - ms(FRESH)), "member")
    return fsum(now["value"]) if now.height == len(resources) else None
