"""The brokers of a Kafka cluster: how many it takes, what that costs, and how the partitions get there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from controlplane.history import History
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Brokers
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, Proposal, Rejected, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import human_duration
from controlplane.model.units import many
from controlplane.scaling.broker_count import Count, count
from controlplane.scaling.broker_loss import leaving, losses, placed
from controlplane.scaling.brokers import Cluster, bootstrap, brokers_of, read_cluster
from controlplane.scaling.member_loads import Load
from controlplane.scaling.reassignment import Kafka, copied_in, plan, undo

_NETWORK = "network"
_CPU = "cpu"


def advise(history: History, parameters: Brokers, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Brokers to add to or to take away from the cluster of the alert.

    AdviceError where it isn't about a cluster of the inventory, or where brokers, loads or partitions aren't known: a
    number from an incomplete view would be a guess.
    """
    p = parameters
    name, resources = cluster_of(history, inventory, p)
    cluster = read_cluster(history, inventory, p, name, resources)
    if not cluster.loads:
        signals = ", ".join(cluster.unmeasured)
        raise AdviceError(
            f"no load of {cluster.target} is known: {signals} had no sample of its brokers in the last 5 minutes, or "
            "the inventory has no limit for them"
        )
    cluster.require_complete()
    return answer(cluster, p, prices, bootstrap(resources, p.bootstrap_server), Told(_do_nothing(cluster)))


def cluster_of(history: History, inventory: Inventory, p: Brokers) -> tuple[str, tuple[Resource, ...]]:
    """Name and brokers of the alert's cluster: by its label host or cluster, else that of the rule, or the only one."""
    found = brokers_of(inventory, history.alert.platform, p.role)
    if not found:
        raise AdviceError(
            f"the inventory of {printable(history.alert.platform, 60)} has no resource of kind broker and no machine "
            f"with role {printable(p.role, 60)}, so how many brokers there are isn't known"
        )
    labels = history.alert.labels
    host = labels.get("host")
    own = next((broker for broker in found if host and host in {broker.id, broker.host}), None)
    if host and own is None:
        raise AdviceError(f"{printable(host, 80)} is no broker of the inventory, so this rule has no answer for it")
    name = own.cluster if own else labels.get("cluster") or p.cluster or ""
    clusters = {broker.cluster for broker in found}
    if not name and len(clusters) == 1:
        name = next(iter(clusters))
    brokers = tuple(broker for broker in found if broker.cluster == name)
    if not brokers:
        names = ", ".join(printable(one, 60) for one in sorted(clusters - {""})) or "none with a name"
        raise AdviceError(
            f"no broker of the inventory is in cluster {printable(name, 60) or 'without a name'}; there is {names}. "
            "Name it in the label cluster of the alert or in the parameter cluster"
        )
    return name or history.alert.platform, brokers


@dataclass(frozen=True, slots=True)
class Told:
    """What the question brings along: its own situation around the number of brokers."""

    do_nothing: str
    why: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    survives: tuple[Survival, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    topics: tuple[str, ...] | None = None
    """Topics to move; None = all."""


def answer(cluster: Cluster, p: Brokers, prices: PriceBook, server: str, told: Told) -> Proposal:
    """Add, take away, spread or leave: the proposal for a cluster of which everything is known."""
    sized = count(cluster, p)
    change = sized.change
    gone = leaving(cluster, -change) if change < 0 else ()
    kafka = Kafka(server)
    quiet = change == 0 and not cluster.hot
    doubts = (_untested(cluster),) if change > 0 else ()
    steps = () if quiet else plan(kafka, cluster, p, change, gone, told.topics, tuple(d for d in doubts if d))
    title, to = _said(cluster, sized, gone)
    copied = copied_in(cluster, p, change)
    return Proposal(
        kind="scale_out" if change > 0 else "scale_in" if change < 0 else "investigate" if quiet else "rebalance",
        target=cluster.target,
        title=title,
        from_=many(cluster.count, "broker"),
        to=to,
        why=_why(cluster, sized, told.why),
        inputs=dict(told.inputs) | _inputs(cluster, p, copied),
        stages=sized.stages,
        cost=total((_line(cluster, p, change, prices),), told.do_nothing),
        gain=_gain(cluster, p, change),
        survives=(*losses(cluster, p, change), *told.survives),
        time_to_effect=timedelta(0) if quiet else (p.start if change >= 0 else timedelta(0)) + (copied or timedelta(0)),
        commands=tuple(line for step in steps for line in step.commands)
        or (kafka.run("kafka-log-dirs.sh", "--describe"),),
        plan=steps,
        revert=undo(kafka, p, change, gone) if steps else ("# nothing to revert: the command only reads",),
        evidence=told.evidence or (cluster.history.told(), *cluster.evidence()),
        rejected=(*told.rejected, *_rejected(cluster, sized)),
    )


def _said(cluster: Cluster, sized: Count, gone: Sequence[Resource]) -> tuple[str, str]:
    """Title and `to`."""
    change, after = sized.change, cluster.count + sized.change
    zones = ", ".join(f"{printable(zone, 40)} {n}" for zone, n in placed(cluster, change).items())
    where = f" ({zones})" if zones else ""
    if change > 0:
        return f"Add {many(change, 'broker')} to the {cluster.count} of {cluster.shown}", many(after, "broker") + where
    if change < 0:
        names = ", ".join(printable(broker.id, 60) for broker in gone)
        return f"Take {names} out of {cluster.shown}", many(after, "broker") + where
    if cluster.hot:
        host = printable(_hottest(cluster), 80)
        return f"Spread the load of {host} over {many(after, 'broker')}", f"{many(after, 'broker')}, evenly loaded"
    return f"{cluster.shown} keeps its {many(after, 'broker')}", f"{many(after, 'broker')} (no change)"


def _hottest(cluster: Cluster) -> str:
    load = _decisive(cluster)
    return f"broker {load.members['member'][0]}" if load.members.height else f"cluster {cluster.name}"


def _decisive(cluster: Cluster) -> Load:
    """The load that is nearest to, or farthest above, its limit."""
    return max(cluster.hot or cluster.loads, key=lambda load: load.share / load.spec.limit)


def _why(cluster: Cluster, sized: Count, before: str) -> str:
    load, change = _decisive(cluster), sized.change
    who = printable(_hottest(cluster), 80)
    found = f"{before} " if before else ""
    found += f"{who[0].upper()}{who[1:]} is at {load.busiest * 100:.0f} % ({load.signal}), "
    found += f"{'above' if load.hot else 'within'} its limit of {load.spec.limit * 100:g} %. "
    found += f"All {many(cluster.count, 'broker')} together are {load.share * 100:.0f} % used"
    if change > 0 and _untested(cluster):
        return f"{found}. {_untested(cluster)}"
    if change:
        return found + "."
    if sized.bit and sized.wanted:
        return found + f"; {sized.bit}."
    return found + (", so no broker is missing: the load is uneven." if cluster.hot else ".")


def _untested(cluster: Cluster) -> str | None:
    """What speaks against a documented capacity: brokers that carry more and are measured to be within their limits."""
    load = _decisive(cluster)
    measured = [one for one in cluster.loads if one.spec.capacity == "share"]
    if load.spec.capacity == "share" or not measured or any(one.hot for one in measured):
        return None
    found = ", ".join(f"{one.signal} at most {one.busiest * 100:.0f} %" for one in measured)
    return (
        f"By what is measured they aren't short ({found}): each carries {load.total / cluster.count:,.0f} where "
        f"{load.smallest:,.0f} are stated, so test what one carries before buying."
    )


def _inputs(cluster: Cluster, p: Brokers, copied: timedelta | None) -> dict[str, str]:
    found = {}
    for load in cluster.loads:
        name = f"{load.signal} {_where(load)}".strip()
        found[name] = (
            f"{load.share * 100:.1f} % of all brokers, busiest {load.busiest * 100:.1f} %, limit "
            f"{load.spec.limit * 100:g} %, peak {load.peak / load.capacity * 100:.1f} % in "
            f"{human_duration(p.stabilise_removal)}"
        )
        if load.spec.capacity != "share":
            found[name] += f"; one broker carries {load.smallest:,.0f}"
    found |= dict.fromkeys(cluster.unmeasured, "not measured")
    synced = cluster.under_replicated
    found["brokers"] = many(cluster.count, "broker")
    found["partitions"] = f"{cluster.known} of {cluster.counted} known"
    found["replication factor"] = f"at most {cluster.replication_factor}, min.insync.replicas {p.min_insync}"
    found["under-replicated partitions"] = "not measured" if synced is None else f"{synced}"
    if copied is not None:
        found["partitions copied in"] = f"{human_duration(copied)} at {p.throttle / 1e6:,.0f} MB/s for each broker"
    return found


def _where(load: Load) -> str:
    return ", ".join(printable(value, 40) for value in load.spec.where.values())


def _gain(cluster: Cluster, p: Brokers, change: int) -> str:
    if not change:
        if not cluster.hot:
            return "No capacity is added"
        load = _decisive(cluster)
        return f"{load.signal} of the busiest broker {load.busiest * 100:.0f} % → {load.share * 100:.0f} %"
    parts = [f"{load.signal} {load.share * 100:.0f} % → {load.shared_by(change) * 100:.0f} %" for load in cluster.loads]
    if p.rate is not None:
        after = cluster.count + change
        parts.append(f"{p.rate * cluster.count:,.0f} → {p.rate * after:,.0f} messages/s as documented")
    return "; ".join(parts)


def _line(cluster: Cluster, p: Brokers, change: int, prices: PriceBook) -> CostLine:
    if not change:
        return free_line("No broker is added or taken away")
    named = Counter(broker.price for broker in cluster.resources if broker.price)
    usual = min(named, key=lambda name: (-named[name], name)) if named else None
    price = p.price or usual
    if change < 0 and prices.once(price):
        return free_line(f"{many(-change, 'server')} free for something else", "bought once, so nothing is saved")
    item = f"Kafka {'broker' if abs(change) == 1 else 'brokers'}"
    return prices.line(price, Decimal(change), item=item, units=THINGS)


def _do_nothing(cluster: Cluster) -> str:
    load = _decisive(cluster)
    left = load.shared_by(-1) if cluster.count > 1 else float("inf")
    if load.spec.stored:
        return f"The disks are {load.share * 100:.0f} % full on average; a broker whose disk is full stops"
    if left == float("inf"):
        return "There is one broker: its loss is the loss of the cluster"
    after = f"with one broker lost the others are at {left * 100:.0f} %"
    return f"The brokers stay at {load.share * 100:.0f} % ({load.signal}); {after}" + (
        ", and clients wait" if left > 1 else ""
    )


def _rejected(cluster: Cluster, sized: Count) -> tuple[Rejected, ...]:
    load, change = _decisive(cluster), sized.change
    found = []
    if sized.wanted > change > 0 or (sized.wanted > 0 and not change):
        found.append(Rejected(option=f"Add {many(sized.wanted, 'broker')} at once", reason=sized.bit or "not needed"))
    elif sized.wanted < change <= 0:
        reason = sized.bit or "a limit holds"
        found.append(Rejected(option=f"Take {many(-sized.wanted, 'broker')} away at once", reason=reason))
    if change > 0:
        found.append(
            Rejected(
                option="Only move partitions",
                reason=f"all brokers together are at {load.share * 100:.0f} %, above {load.spec.limit * 100:g} %"
                if load.share > load.spec.limit
                else "all brokers together lack capacity",
            )
        )
        found.append(
            Rejected(
                option="Let the new brokers fill by themselves",
                reason="Kafka moves no partition to a new broker: without a reassignment it gets new topics only",
            )
        )
        found.append(_instead(load))
    elif not change:
        found.append(Rejected(option="Add brokers", reason=sized.bit or "all brokers together have the capacity"))
    else:
        found.append(
            Rejected(option="Keep all brokers", reason="the rest carries the largest load seen and one more loss")
        )
    return tuple(found)


def _instead(load: Load) -> Rejected:
    """The way of more for each broker instead of more brokers."""
    half = f"{load.share * 100:.0f} % → {load.share * 50:.0f} % with twice as much in each"
    stop = "every broker has to be stopped for it"
    if load.spec.stored:
        return Rejected(
            option="Larger disks or shorter retention", reason=f"{half}; {stop}, and retention is a promise"
        )
    if _NETWORK in load.signal or load.signal.endswith(".io"):
        return Rejected(
            option="A faster NIC in each broker", reason=f"{half}; {stop}, and the price book has no price of it"
        )
    if _CPU in load.signal:
        return Rejected(option="Larger servers", reason=f"{half}; {stop}, one after the other")
    return Rejected(option="Larger servers", reason="what one broker carries is documented for this size alone")
