"""The answers for a cluster on a ladder that leave its size: spread its clients, bring a node back, or nothing."""

from datetime import timedelta

from controlplane.model.labels import printable
from controlplane.model.prices import free_line
from controlplane.model.recommendations import PlanStep, Proposal, Rejected, Stage, total
from controlplane.model.units import many
from controlplane.scaling.ladder_offer import Offer, amount
from controlplane.scaling.ladder_plan import check, filled


def spread(offer: Offer, stages: tuple[Stage, ...]) -> Proposal:
    """Clients evenly over the nodes that are there."""
    cluster, p = offer.cluster, offer.cluster.parameters
    load = max(cluster.deciding, key=lambda one: one.fullest[1] / one.per_node / one.of.headroom)
    node, most = load.fullest
    shown = printable(node, 60)
    even = load.total / cluster.count
    return offer.proposal(
        stages,
        kind="rebalance",
        title=f"{cluster.shown}: spread the {load.of.name}s of {shown}",
        to=f"{amount(load, even)} on each of {many(cluster.count, 'node')}",
        why=f"{shown} has {amount(load, most)}, {most / load.per_node * 100:.0f} % of what it carries; spread evenly "
        f"each node would have {amount(load, even)}. The cluster is large enough.",
        cost=total((free_line("No node is added"),), offer.do_nothing()),
        gain=f"{most / load.per_node * 100:.0f} % → {even / load.per_node * 100:.0f} % of what {shown} carries",
        survives=offer.survives(cluster.count, cluster.tuning),
        time_to_effect=p.time_to_effect,
        plan=(
            PlanStep(
                do=f"Send no new clients to {shown}, and let those that reconnect go to the others",
                before=(f"all {many(cluster.count, 'node')} answer",),
                commands=(check(cluster, node), *filled(cluster, p.drain_commands, node)),
            ),
            PlanStep(
                do=f"Open {shown} again",
                before=(f"{shown} has {amount(load, even)} or less",),
                commands=filled(cluster, p.admit_commands, node),
            ),
        ),
        revert=filled(cluster, p.admit_commands, node) or (f"# open {shown} for new clients",),
        rejected=(
            Rejected(option="Add nodes", reason=f"{many(cluster.count, 'node')} carry it when it is spread"),
            Rejected(option=f"Restart {shown}", reason="all of its sessions move at once"),
            *offer.waiting(),
        ),
    )


def restore(offer: Offer, stages: tuple[Stage, ...]) -> Proposal:
    """No change of members while one of them is away."""
    cluster = offer.cluster
    away = ", ".join(printable(name, 60) for name in cluster.down)
    left, after = cluster.count - len(cluster.down), cluster.count + 1
    reason = f"with {away} away {left} of {cluster.count} members answer, and {after} would need {after // 2 + 1}"
    return hold(offer, stages, f"{reason}. Bring {away} back first", title=f"{cluster.shown}: bring {away} back first")


def hold(offer: Offer, stages: tuple[Stage, ...], reason: str, *, title: str | None = None) -> Proposal:
    """No change, and why."""
    cluster = offer.cluster
    first = cluster.nodes[0].id
    return offer.proposal(
        stages,
        kind="investigate",
        title=title or f"{cluster.shown} keeps its {many(cluster.count, 'node')}",
        to=f"{many(cluster.count, 'node')} (no change)",
        why=f"{offer.bound()}. {reason[:1].upper()}{reason[1:]}.",
        cost=total((free_line("No change of size"),), offer.do_nothing()),
        gain="No capacity is added",
        survives=offer.survives(cluster.count, cluster.tuning),
        time_to_effect=timedelta(0),
        plan=(PlanStep(do="Look at the members", commands=(check(cluster, first),)),),
        revert=("# nothing to revert: the command only reads",),
        rejected=(Rejected(option="Change the number of nodes", reason=reason),),
    )
