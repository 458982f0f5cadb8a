"""The brokers of a Kafka cluster: whether they are the limit, and how many more it takes."""

from dataclasses import dataclass
from math import fsum

import polars as pl

from controlplane.history import FRESH, History
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import ConsumerLag
from controlplane.model.recommendations import Evidence, Survival
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.model.units import many

CPU = "system.cpu.utilization"
NETWORK = "system.network.utilization"
_COMPLETE = 0.995
_MACHINES = {ResourceKind.HOST, ResourceKind.VM, ResourceKind.CONTAINER, ResourceKind.INSTANCE}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Brokers:
    """Brokers of the inventory and the utilisation that is known of them (host, value; busiest first)."""

    resources: tuple[Resource, ...]
    cpu: pl.DataFrame
    network: pl.DataFrame

    @property
    def count(self) -> int:
        """Brokers of the inventory."""
        return len(self.resources)

    @property
    def told(self) -> str:
        """What is known of them, in words."""
        if not self.count:
            return "none in the inventory"
        known = ", ".join(
            f"{name} at most {frame['value'][0] * 100:.0f} %"
            for name, frame in (("CPU", self.cpu), ("network", self.network))
            if frame.height
        )
        return f"{many(self.count, 'broker')}, {known or 'utilisation not measured'}"

    def hot(self, p: ConsumerLag) -> list[tuple[str, pl.DataFrame, float]]:
        """Signal, utilisation and limit of every resource that a broker has above its limit.

        AdviceError where one is above and fewer than 99.5 % of the brokers are known (Cruise Control's rule).
        """
        found = [
            (signal, frame, limit)
            for signal, frame, limit in (
                (CPU, self.cpu, p.broker_cpu_limit),
                (NETWORK, self.network, p.broker_network_limit),
            )
            if frame.height and frame["value"][0] > limit
        ]
        for signal, frame, _ in found:
            if frame.height < _COMPLETE * self.count:
                raise AdviceError(
                    f"broker {printable(frame['host'][0], 80)} is above its limit, but {signal} is known of "
                    f"{frame.height} of {many(self.count, 'broker')} only, and a number of brokers needs all of them"
                )
        return found

    def evidence(self, history: History, p: ConsumerLag) -> tuple[Evidence, ...]:
        """The busiest brokers against their limits."""
        return tuple(
            Evidence(
                signal=signal,
                labels={"host": host},
                value=value,
                unit="1",
                at=history.at,
                limit=f"> {limit:g}",
                verdict="above the limit" if value > limit else "within the limit",
                reference=history.reference(signal, within=FRESH),
            )
            for signal, frame, limit in (
                (CPU, self.cpu, p.broker_cpu_limit),
                (NETWORK, self.network, p.broker_network_limit),
            )
            for host, value in frame.select("host", "value").head(_SHOWN).rows()
        )

    def survival(self, added: int, p: ConsumerLag) -> Survival:
        """Whether the loss of one more broker leaves the replicas and the capacity."""
        loss = "one broker"
        if not self.count:
            return Survival(loss=loss, ok=None, reason="the inventory has no brokers, so it can't be told")
        left = self.count + added - 1
        if p.replication_factor < 2:
            return Survival(loss=loss, ok=False, reason="replication factor 1: its partitions are gone")
        if left < 1:
            return Survival(loss=loss, ok=False, reason="there is no other broker")
        copies = f"{p.replication_factor - 1} of {p.replication_factor} replicas are left on {many(left, 'broker')}"
        if left < p.replication_factor:
            copies += f", too few to restore {p.replication_factor}"
        if self.cpu.height < _COMPLETE * self.count:
            return Survival(loss=loss, ok=None, reason=f"{copies}; their load isn't known of every broker")
        load = fsum(self.cpu["value"]) / left
        return Survival(loss=loss, ok=load <= 1, reason=f"{copies} at {load * 100:.0f} % CPU on average")


def brokers_of(inventory: Inventory, platform: str, role: str) -> tuple[Resource, ...]:
    """The brokers of a platform: resources of that kind, or, where there are none, machines with the role."""
    resources = inventory.of(platform)
    brokers = tuple(resource for resource in resources if resource.kind is ResourceKind.BROKER)
    return brokers or tuple(resource for resource in resources if resource.role == role and resource.kind in _MACHINES)


def read_brokers(history: History, inventory: Inventory, p: ConsumerLag) -> Brokers:
    """The brokers of the alert's platform with their newest utilisation."""
    resources = brokers_of(inventory, history.alert.platform, p.broker_role)
    by_host = {resource.host: resource.id for resource in resources if resource.host}
    names = by_host | {resource.id: resource.id for resource in resources}

    def busiest(signal: str) -> pl.DataFrame:
        frame = history.latest(signal, "host", fold="max").filter(pl.col("host").is_in(list(names)))
        of_broker = frame.with_columns(pl.col("host").replace(names).alias("broker"))
        # A series under the broker's own name is nearer than one of the machine that carries it.
        own_first = of_broker.sort(pl.col("host") == pl.col("broker"), "host", descending=[True, False])
        return own_first.unique("broker", keep="first", maintain_order=True).sort(
            "value", "host", descending=[True, False]
        )

    return Brokers(resources, busiest(CPU), busiest(NETWORK))
