"""The answers for a cluster on a ladder: more nodes, other tuning, sharding, regions, fewer nodes, or none of these."""

from datetime import timedelta

from controlplane.model.labels import printable
from controlplane.model.money import human_money
from controlplane.model.prices import free_line
from controlplane.model.recommendations import PlanStep, Proposal, Rejected, Stage, total
from controlplane.model.time import human_duration
from controlplane.model.units import human, many
from controlplane.scaling.ladder_offer import Offer, amount
from controlplane.scaling.ladder_plan import (
    check,
    filled,
    forget,
    join,
    join_again,
    last_names,
    leave,
    new_names,
    note,
    tune,
)


def grow(offer: Offer, stages: tuple[Stage, ...], rung: int, tuning: int) -> Proposal:
    """The next rung that carries the load, tuned where that is needed; on the same rung tuning alone."""
    cluster, p = offer.cluster, offer.cluster.parameters
    more = rung - cluster.count
    level = p.tunings[tuning] if tuning != cluster.tuning else None
    names = new_names(cluster, more) if more else ()
    moved = offer.moved(cluster.count) or 0.0
    plan = (*(tune(cluster, level, moved) if level else ()), *join(cluster, names), note(cluster, names, level))
    lines = [offer.line(more, f"{more} × node of {cluster.shown}")] if more else []
    if level:
        lines.append(free_line(f"Level {level.name} of tuning", "settings of the system"))
    what = [f"go from {cluster.count} to {many(rung, 'node')}"] if more else []
    what += [f"tune the nodes to level {level.name}"] if level else []
    revert: list[str] = []
    for name in reversed(names):
        revert += [*filled(cluster, p.drain_commands, name), *filled(cluster, p.stop_commands, name)]
        revert.append(forget(cluster, cluster.nodes[0].id, name))
    for node in cluster.nodes if level else ():
        revert += filled(cluster, level.revert if level else (), node.id)
    title = f"{cluster.shown}: {' and '.join(what)}"
    costs = offer.unit_costs((cluster.count, cluster.tuning), (rung, tuning))
    return offer.proposal(
        stages,
        kind="scale_out" if more else "resize",
        title=title,
        to=f"{many(rung, 'node')}{f', tuning {level.name}' if level else ''}, {offer.used(rung, tuning)}",
        why=f"{offer.bound()}. {_why(offer)} {' and '.join(what).capitalize()}."
        + (" New nodes take new clients only; those that are there stay until they reconnect." if more else ""),
        cost=total(tuple(lines), offer.do_nothing()),
        gain=f"{offer.used(cluster.count, cluster.tuning)} → {offer.used(rung, tuning)}"
        + (f"; {costs}" if costs else ""),
        survives=offer.survives(rung, tuning),
        time_to_effect=p.time_to_effect,
        plan=plan,
        revert=tuple(revert) or ("# the settings of before are in the version control of the nodes",),
        rejected=_not_grown(offer, rung, tuning),
    )


def _why(offer: Offer) -> str:
    cluster = offer.cluster
    if cluster.count == 1:
        return "A cluster of one has nobody to carry its loss."
    load = cluster.bound
    after = load.share(cluster.count - 1)
    return (
        f"Without one node each of the other {cluster.count - 1} has {amount(load, load.total / (cluster.count - 1))}, "
        f"{after * 100:.0f} % of what it carries."
    )


def _not_grown(offer: Offer, rung: int, tuning: int) -> tuple[Rejected, ...]:
    cluster, p = offer.cluster, offer.cluster.parameters
    rejected = []
    if rung > cluster.count + 1:
        even = cluster.count + 1
        rejected.append(
            Rejected(
                option=f"{many(even, 'node')}",
                reason=f"an even number: {even} members survive no more losses than {even - 1}",
            )
        )
    for index in range(cluster.tuning + 1, len(p.tunings)):
        level = p.tunings[index]
        if index == tuning or rung == cluster.count:
            continue
        if not cluster.fits(level):
            reason = f"it takes {human(level.memory, 'By')} of memory a node, which the inventory doesn't show"
        elif cluster.bound.of.signal not in level.limits:
            reason = f"a node carries no more {cluster.bound.of.name}s with it"
        else:
            reason = f"{many(cluster.count, 'node')} don't carry the load with it either"
        rejected.append(Rejected(option=f"Tune the nodes to level {level.name}", reason=reason))
    if rung == cluster.count:
        nodes = next((size for size in p.rungs if size > cluster.count), None)
        if nodes is not None:
            price = offer.monthly(offer.price)
            cost = "" if price is None else f"; they cost {human_money(price * (nodes - cluster.count))} more a month"
            rejected.append(Rejected(option=many(nodes, "node"), reason=f"tuning carries the load without them{cost}"))
    if cluster.crossing is not None and cluster.crossing > p.crossing_limit:
        reason = f"{cluster.bound.of.name}s bind, and sharding doesn't change them; do it as well"
        rejected.append(Rejected(option="Shard topics instead", reason=reason))
    return (*rejected, *offer.larger(rung), *offer.waiting())


def shard(offer: Offer, stages: tuple[Stage, ...]) -> Proposal:
    """Topics to one node each before nodes are added."""
    cluster, p = offer.cluster, offer.cluster.parameters
    share = cluster.crossing or 0.0
    load = next((one for one in cluster.deciding if one.of.local), cluster.bound)
    crosses = amount(load, load.total * share) if load.of.unit != "1" else f"{share * 100:.1f} % of the messages"
    then = amount(load, load.total * p.crossing_after) if load.of.unit != "1" else f"{p.crossing_after * 100:g} %"
    raw = round(stages[0].value)
    after = f" If they still ask for {many(raw, 'node')} then, that is the next step." if raw > cluster.count else ""
    more = (
        f"with {cluster.count + 2} nodes {(cluster.count + 1) / (cluster.count + 2) * 100:.0f} % of the messages cross"
    )
    steps = (
        PlanStep(
            do="List which groups of topics and clients belong together, and give each group one node",
            before=(
                f"all {many(cluster.count, 'node')} answer",
                "no group alone is more than a node carries",
            ),
            commands=(check(cluster, cluster.nodes[0].id),),
        ),
        PlanStep(
            do="Route each group to its node in the load balancer, one group after the other",
            before=(
                "the load balancer can tell the groups apart by what MQTT sends: client id, user name or port",
                "the group before is done: fewer messages cross than before it",
            ),
            commands=filled(cluster, p.shard_commands),
        ),
    )
    return offer.proposal(
        stages,
        kind="shard",
        title=f"{cluster.shown}: shard topics before adding nodes",
        to=f"{many(cluster.count, 'node')}, {p.crossing_after * 100:g} % of the messages crossing",
        why=f"{share * 100:.1f} % of the messages cross nodes, more than {p.crossing_limit * 100:g} %: {crosses}, each "
        f"of which costs two nodes. More nodes make more of them cross. {offer.bound()}.{after}",
        cost=total((free_line("No node is added", "rules of the load balancer that is there"),), offer.do_nothing()),
        gain=f"{share * 100:.1f} % → {p.crossing_after * 100:g} % of the messages cross nodes: {crosses} → {then}",
        survives=offer.survives(cluster.count, cluster.tuning),
        time_to_effect=p.time_to_effect,
        plan=steps,
        revert=filled(cluster, p.unshard_commands) or ("# put the rules of the load balancer of before back",),
        rejected=(
            Rejected(option="Add nodes now", reason=f"{more} where nothing is sharded"),
            *offer.larger(cluster.count),
            *offer.waiting(),
        ),
    )


def regions(offer: Offer, stages: tuple[Stage, ...], clusters: int, size: int) -> Proposal:
    """Several clusters, one a region, where the ladder ends."""
    cluster, p = offer.cluster, offer.cluster.parameters
    top, nodes = max(p.rungs), clusters * size
    more = nodes - cluster.count
    raw = round(stages[0].value)
    steps = (
        PlanStep(
            do=f"Count clients and messages by region, and divide them into {clusters} parts of about the same size",
            before=("topics that clients of two regions share are known: they need a bridge, or stay in one region",),
            commands=(check(cluster, cluster.nodes[0].id),),
        ),
        PlanStep(
            do=f"Set up {clusters - 1} further clusters of {many(size, 'node')}, each with an etcd of its own"
            + (
                f", and bring {cluster.shown} to {many(size, 'node')} when its part has moved"
                if size != cluster.count
                else ""
            ),
            before=("each new cluster has a quorum, and a client can publish and subscribe there",),
            commands=filled(cluster, p.region_commands),
        ),
        PlanStep(
            do="Move one region after the other by DNS, a low time to live first",
            before=(
                "retained messages and persistent sessions of the region are copied, or may be lost: they don't move",
                "the region before is served and its error rate is as it was",
            ),
        ),
    )
    price = offer.monthly(offer.price)
    beyond = f"{raw} nodes" if price is None else f"{raw} nodes for {human_money(price * raw)} a month"
    return offer.proposal(
        stages,
        kind="migrate",
        title=f"{cluster.shown}: {clusters} clusters of {many(size, 'node')}, one a region",
        to=f"{clusters} clusters of {many(size, 'node')}, {offer.used(size, cluster.tuning, clusters)}",
        why=f"{offer.bound()}. The load asks for {many(raw, 'node')} and the ladder ends at {top}: beyond it every "
        "node adds less than it costs and etcd has more members that must agree. Clusters by region carry the same and "
        "fail one at a time. An even split of the load is assumed. What changes: DNS sends clients to their region, "
        "each region has its own etcd and sessions, and nothing is routed between regions by itself.",
        cost=total((offer.line(more, f"{more} × node in {clusters} clusters"),), offer.do_nothing()),
        gain=f"{offer.used(cluster.count, cluster.tuning)} → {offer.used(size, cluster.tuning, clusters)}",
        survives=offer.survives(size, cluster.tuning, clusters=clusters),
        time_to_effect=max(p.time_to_effect, timedelta(days=1)),
        plan=steps,
        revert=filled(cluster, p.unregion_commands)
        or (f"# send the regions back to {cluster.shown} by DNS, one after the other",),
        rejected=(
            Rejected(
                option=f"One cluster of {beyond}",
                reason=f"more than {top}: operations and coordination grow faster than what is gained",
            ),
            *offer.larger(nodes),
            *offer.waiting(),
        ),
    )


def shrink(offer: Offer, stages: tuple[Stage, ...], rung: int) -> Proposal:
    """The rung below, which carries every load even without one of its nodes."""
    cluster, p = offer.cluster, offer.cluster.parameters
    names = last_names(cluster, cluster.count - rung)
    shown = ", ".join(printable(name, 60) for name in names)
    moved = offer.moved(cluster.count) or 0.0
    zones = len({node.zone for node in cluster.nodes if node.id not in names})
    return offer.proposal(
        stages,
        kind="scale_in",
        title=f"{cluster.shown}: go from {cluster.count} to {many(rung, 'node')}",
        to=f"{many(rung, 'node')}, {offer.used(rung, cluster.tuning)}",
        why=f"{offer.bound()}. {many(rung, 'node')} carry every load, each with {p.tolerance * 100:g} % more than its "
        f"largest sum of the last {human_duration(p.stabilise_in)}, and still do without one of them. {shown} go.",
        cost=total((offer.line(rung - cluster.count, f"{cluster.count - rung} × node less"),), offer.do_nothing()),
        gain=f"{cluster.count} → {many(rung, 'node')}; {offer.used(cluster.count, cluster.tuning)} → "
        f"{offer.used(rung, cluster.tuning)}",
        survives=offer.survives(rung, cluster.tuning),
        time_to_effect=p.time_to_effect,
        plan=leave(cluster, names, moved),
        revert=join_again(cluster, names),
        rejected=(
            Rejected(
                option=f"{many(cluster.count - 1, 'node')}",
                reason="an even number survives no more losses than one node less",
            ),
            Rejected(
                option="Take away the nodes with the fewest clients",
                reason=f"the last ones keep the others' names, and {many(zones, 'zone')} stay",
            ),
            Rejected(option=f"Keep {many(cluster.count, 'node')}", reason=_idle(offer, rung)),
        ),
    )


def _idle(offer: Offer, rung: int) -> str:
    price, more = offer.monthly(offer.price), offer.cluster.count - rung
    return "nothing needs them" if price is None else f"{human_money(price * more)} a month for what nothing needs"
