"""A lost Kafka broker: what is left of its cluster, and what the others carried and held before."""

from dataclasses import dataclass
from datetime import timedelta

from controlplane.failover.partitions import IN_SYNC, MINIMUM, UNCLEAN, Partitions, read_partitions
from controlplane.failover.survivors import CPU, NETWORK, Carried, carried
from controlplane.history import FRESH, History, last, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Broker
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.model.time import to_ms
from controlplane.model.units import human

STORED = "system.filesystem.usage"


@dataclass(frozen=True, slots=True)
class Lost:
    """A lost broker with what is left of its cluster."""

    broker: Resource
    others: tuple[Resource, ...]
    partitions: Partitions | None
    """None where none is measured."""
    loads: tuple[Carried, ...]
    stored: float | None
    """Bytes that it held."""
    down: timedelta

    @property
    def cluster(self) -> str:
        """Name of its cluster, safe to print."""
        return printable(self.broker.cluster, 80)

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.broker.id, 80)

    @property
    def carries(self) -> bool | None:
        """Whether the others stay within their limits; None where it isn't measured."""
        return all(one.ok for one in self.loads) if self.loads else None

    @property
    def size(self) -> str:
        """What it held, for people."""
        return "the data of the lost one" if self.stored is None else human(self.stored, "By")


def read_lost(history: History, p: Broker, inventory: Inventory) -> Lost:
    """What the alert's label `host` names; AdviceError where that is no broker, or where it is the only one."""
    host = history.label("host")
    brokers = [
        one
        for one in inventory.of(history.alert.platform)
        if one.role == p.role or (one.kind == ResourceKind.BROKER and not one.role)
    ]
    broker = next((one for one in brokers if one.id == host), None) or next(
        (one for one in brokers if one.host == host), None
    )
    if broker is None:
        raise AdviceError(
            f"{printable(host, 80)} is no broker in the inventory (role {p.role}), so there is nothing to say about it"
        )
    others = tuple(one for one in brokers if one.cluster == broker.cluster and one.id != broker.id)
    if not others:
        raise AdviceError(
            f"the inventory has no other broker in cluster {printable(broker.cluster, 80)} than "
            f"{printable(broker.id, 80)}, so nobody leads its partitions"
        )
    began = to_ms(history.alert.active_at)
    loads = {signal: _before(history, signal, began) for signal in (CPU, NETWORK)}
    stored = _before(history, STORED, began)
    in_sync = history.latest(IN_SYNC, "topic", "partition", fold="min")
    minimum = history.latest(MINIMUM, "topic", fold="max")
    unclean = history.latest(UNCLEAN, "topic", fold="max")
    return Lost(
        broker=broker,
        others=others,
        partitions=None if in_sync.is_empty() else read_partitions(in_sync, minimum, unclean, p.or_else),
        loads=carried(broker, others, loads, {CPU: p.cpu_limit, NETWORK: p.network_limit}),
        stored=stored.get(broker.id, stored.get(broker.host)),
        down=max(timedelta(0), history.at - history.alert.active_at),
    )


def _before(history: History, signal: str, began: int) -> dict[str, float]:
    """Host → its last value in the five minutes before the loss began."""
    within = history.at - history.alert.active_at + 2 * FRESH
    rows = history.of(signal, "host", fold="max", within=within)
    newest = last(rows.filter((rows["ts"] < began) & (rows["ts"] >= began - ms(FRESH))), "host")
    return dict(zip(newest["host"].to_list(), newest["value"].to_list(), strict=True))
