"""Readiness of Kafka brokers: do the partitions have a replica to spare, and do the others carry the load?"""

from controlplane.failover.columns import newest
from controlplane.failover.moment import Moment
from controlplane.failover.partitions import IN_SYNC, MINIMUM, UNCLEAN, Partitions, read_partitions, told
from controlplane.failover.survivors import CPU, NETWORK, Carried, carried
from controlplane.model.labels import printable
from controlplane.model.methods import Broker
from controlplane.model.readiness import Readiness
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.units import many


def assess(moment: Moment, p: Broker) -> list[Readiness]:
    """One row a broker of the inventory, by cluster and name."""
    clusters: dict[str, list[Resource]] = {}
    for one in moment.inventory.of(moment.platform):
        if one.role == p.role or (one.kind == ResourceKind.BROKER and not one.role):
            clusters.setdefault(one.cluster, []).append(one)
    loads = {signal: dict(newest(moment, signal, "host").iter_rows()) for signal in (CPU, NETWORK)}
    in_sync = newest(moment, IN_SYNC, "topic", "partition")
    held = None
    if not in_sync.is_empty():
        held = read_partitions(in_sync, newest(moment, MINIMUM, "topic"), newest(moment, UNCLEAN, "topic"), p.or_else)
    limits = {CPU: p.cpu_limit, NETWORK: p.network_limit}
    rows = []
    for _, brokers in sorted(clusters.items()):
        for one in sorted(brokers, key=lambda broker: broker.id):
            others = [other for other in brokers if other is not one]
            rows.append(_row(moment, p, one, others, held, carried(one, others, loads, limits)))
    return rows


def _row(
    moment: Moment,
    p: Broker,
    broker: Resource,
    others: list[Resource],
    held: Partitions | None,
    loads: tuple[Carried, ...],
) -> Readiness:
    wrong, unknown, remedies = [], [], []
    if held is None:
        unknown.append(f"{IN_SYNC} isn't measured")
    else:
        if held.offline:
            wrong.append(f"offline already: {told(held.offline)}")
            remedies.append("the brokers that have them back")
        if held.refusing or held.tight:
            wrong.append(f"writes would stop or are refused: {told({**held.tight, **held.refusing})}, if it has one")
            remedies.append("every replica in sync, and a replication factor above min.insync.replicas")
        if held.unclean:
            wrong.append("unclean elections are allowed: " + ", ".join(printable(one, 60) for one in held.unclean[:3]))
            remedies.append("unclean.leader.election.enable=false")
    if not others:
        wrong.append("it is the only broker")
        remedies.append("more brokers")
    if not loads and others:
        unknown.append("the load of every broker isn't known")
    full = [one for one in loads if not one.ok]
    if full:
        names = {CPU: "CPU", NETWORK: "network"}
        wrong.append(", ".join(f"the others would be at {one.after:.0%} of their {names[one.signal]}" for one in full))
        remedies.append("one more broker")
    safe = held is not None and not held.single and not held.unclean and not held.offline
    fine = f"{many(held.count, 'partition')} with a replica to spare" if held is not None else ""
    return Readiness(
        platform=moment.platform,
        kind="broker",
        cell=broker.id,
        takes_over=f"the other {many(len(others), 'broker')}" if others else "",
        mode="automatic" if others else "none",
        rpo_bytes=0.0 if safe else None,
        rpo_seconds=0.0 if safe else None,
        rto_seconds=p.session.total_seconds() if others else None,
        rto_target=None if p.rto_target is None else p.rto_target.total_seconds(),
        load_after=max((one.after for one in loads), default=None),
        ready=False if wrong else None if unknown else True,
        reason="; ".join(wrong or unknown) or fine,
        remedy="; ".join(remedies),
        at=moment.at,
    )
