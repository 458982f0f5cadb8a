"""The runbook of a promotion: what is done in which order, and what has to be true before each step."""

from controlplane.failover.members import Cluster, Member
from controlplane.model.commands import fill
from controlplane.model.methods import Primary
from controlplane.model.recommendations import PlanStep
from controlplane.model.units import human


def promotion(cluster: Cluster, best: Member, p: Primary, values: dict[str, str]) -> tuple[PlanStep, ...]:
    """The runbook: look, make sure that the old primary can't come back as one, promote, and bring writers and copies.

    A command that doesn't name the candidate only looks; those that do come last, since they act.
    """
    acts = [any("{candidate}" in part for part in argv) for argv in p.commands]
    first = acts.index(True) if True in acts else len(acts)
    looks, promotes = (tuple(fill(argv, values) for argv in part) for part in (p.commands[:first], p.commands[first:]))
    lost, taker = cluster.lost.shown, best.shown
    distance = "it doesn't tell its position" if best.position is None else f"{best.position:,.0f} By or further"
    return (
        PlanStep(do="Look at the cluster once more", commands=looks),
        PlanStep(
            do=f"Fence {lost}: stop its Patroni, or cut its power or link; it must not come back as a second primary",
            before=(f"no member is the leader, and {lost} takes no writes",),
        ),
        PlanStep(
            do=f"Promote {taker}",
            before=(
                f"{lost} is fenced",
                f"the last position of {taker} was read once more: {distance}",
                "the store of the cluster manager (etcd) has a quorum, and Patroni isn't paused",
                f"whoever owns the data accepts the loss: {bound(cluster, best, p)}",
            ),
            commands=promotes,
        ),
        PlanStep(
            do="Point pools and services at the new primary, where no proxy or address that follows the leader does so",
            before=(f"{taker} is the leader and takes a write",),
        ),
        PlanStep(
            do=f"Rebuild {lost} as a replica, or replace it",
            before=(
                f"{taker} has run as the primary for some minutes, and a backup of it succeeded",
                f"nothing is needed from the disk of {lost} any more, such as transactions that never left it",
            ),
        ),
    )


def bound(cluster: Cluster, member: Member, p: Primary) -> str:
    """What is lost at most if the member takes over, in bytes and, where it is known, in time."""
    size, time = cluster.loss_bytes(member, p.ttl), cluster.loss_time(member, p.ttl)
    return f"at most {human(size, 'By')}" + (f" or {time.total_seconds():,.1f} s" if time is not None else "")
