"""What a Kafka cluster loses with a broker or a zone after a change of its size."""

from collections import Counter

from controlplane.model.labels import printable
from controlplane.model.methods import Brokers
from controlplane.model.recommendations import Survival
from controlplane.model.resources import Resource
from controlplane.model.units import many
from controlplane.scaling.brokers import Cluster


def placed(cluster: Cluster, change: int) -> dict[str, int]:
    """Brokers by zone after the change: added where there are fewest, taken away where there are most.

    Empty where the zone of a broker isn't known.
    """
    zones = Counter(broker.zone for broker in cluster.resources)
    if not zones or "" in zones:
        return {}
    for _ in range(abs(change)):
        if change > 0:
            zones[min(sorted(zones), key=lambda zone: zones[zone])] += 1
        else:
            zones[max(sorted(zones), key=lambda zone: zones[zone])] -= 1
    return dict(sorted(zones.items()))


def leaving(cluster: Cluster, number: int) -> tuple[Resource, ...]:
    """The brokers to take away: of the zones with most of them, the last by name."""
    left = sorted(cluster.resources, key=lambda broker: broker.id)
    gone: list[Resource] = []
    for _ in range(number):
        zones = Counter(broker.zone for broker in left)
        zone = max(sorted(zones), key=lambda name: zones[name])
        gone.append(next(broker for broker in reversed(left) if broker.zone == zone))
        left.remove(gone[-1])
    return tuple(gone)


def losses(cluster: Cluster, p: Brokers, change: int) -> tuple[Survival, ...]:
    """Whether the rest carries the loss of one broker and of a zone, and whether replicas can be restored."""
    if not cluster.count:
        return (Survival(loss="one broker", ok=None, reason="the inventory has no brokers, so it can't be told"),)
    after = cluster.count + change
    return (
        _broker(cluster, p, change),
        _zone(cluster, p, change),
        Survival(
            loss=f"one broker, and then all {cluster.replication_factor} replicas again",
            ok=after - 1 >= cluster.replication_factor,
            reason=f"{many(max(0, after - 1), 'broker')} for {cluster.replication_factor} replicas of a partition",
        ),
    )


def _broker(cluster: Cluster, p: Brokers, change: int) -> Survival:
    loss, factor, left = "one broker", cluster.replication_factor, cluster.count + change - 1
    if factor < 2:
        return Survival(loss=loss, ok=False, reason="replication factor 1: its partitions are gone")
    if left < 1:
        return Survival(loss=loss, ok=False, reason="there is no other broker")
    copies = f"{factor - 1} of {factor} replicas are left on {many(left, 'broker')}"
    if factor - 1 < p.min_insync:
        return Survival(loss=loss, ok=False, reason=f"{copies}, fewer than min.insync.replicas {p.min_insync}")
    if left < p.quorum // 2 + 1:
        return Survival(loss=loss, ok=False, reason=f"{copies}, no majority of a quorum of {p.quorum}")
    return _carried(cluster, change - 1, loss, copies, peak=change < 0)


def _zone(cluster: Cluster, p: Brokers, change: int) -> Survival:
    zones = placed(cluster, change)
    if not zones:
        return Survival(loss="one zone", ok=None, reason="the zones of the brokers aren't in the inventory")
    worst = max(sorted(zones), key=lambda zone: zones[zone])
    loss, left = f"zone {printable(worst, 60)}", sum(zones.values()) - zones[worst]
    if left < 1:
        return Survival(loss=loss, ok=False, reason="all brokers are in it")
    factor = cluster.replication_factor
    # Rack awareness spreads the replicas over the zones as evenly as they go.
    kept = factor - max(-(-factor // len(zones)), factor - left)
    copies = f"with racks set at least {kept} of {factor} replicas are left on {many(left, 'broker')}"
    if kept < p.min_insync:
        return Survival(loss=loss, ok=False, reason=f"{copies}, fewer than min.insync.replicas {p.min_insync}")
    return _carried(cluster, change - zones[worst], loss, copies, peak=change < 0)


def _carried(cluster: Cluster, change: int, loss: str, copies: str, *, peak: bool) -> Survival:
    # What is stored stays where it is when a broker is lost; what is asked for moves to the others.
    moving = [load for load in cluster.loads if not load.spec.stored]
    if not moving:
        return Survival(loss=loss, ok=None, reason=f"{copies}; their load isn't measured")
    worst = max(moving, key=lambda load: load.shared_by(change, peak=peak))
    share = worst.shared_by(change, peak=peak)
    reason = f"{copies} at {share * 100:.0f} % ({worst.signal}{', its peak' if peak else ''})"
    return Survival(loss=loss, ok=share <= 1, reason=reason)
