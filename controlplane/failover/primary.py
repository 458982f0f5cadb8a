"""A database cluster without a primary: who takes over, what is lost, and what restores redundancy."""

from datetime import timedelta

from controlplane.failover.members import (
    LAG,
    SIGNALS,
    SYNCHRONOUS,
    WAL,
    Cluster,
    Member,
    ranked,
    read_cluster,
    refusal,
    writes_still,
)
from controlplane.failover.promotion import bound, promotion
from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Primary
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import Evidence, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, from_ms, human_duration
from controlplane.model.units import human


def advise(history: History, parameters: Primary, inventory: Inventory, prices: PriceBook) -> Proposal:
    """The member that takes over, with what it costs in data and money; `investigate` where none may.

    AdviceError where members, positions or the old primary aren't known, or where it still writes.
    """
    p = parameters
    cluster = read_cluster(history, p, inventory)
    if writes_still(history, cluster):
        raise AdviceError(
            f"{cluster.lost.shown} of cluster {cluster.shown} still writes after the alert began, so a failover would "
            "make two primaries. Check why it isn't counted as primary"
        )
    reasons = {member.resource.id: refusal(cluster, member, p, history.at_ms) for member in cluster.others}
    able = ranked(cluster, tuple(member for member in cluster.others if reasons[member.resource.id] is None))
    rejected = (
        *(Rejected(option=f"Promote {member.shown}", reason=_second(cluster, member, able[0])) for member in able[1:]),
        *(
            Rejected(option=f"Promote {member.shown}", reason=str(reasons[member.resource.id]))
            for member in cluster.others
            if reasons[member.resource.id] is not None
        ),
        *(
            Rejected(option=f"Promote {printable(host, 80)}", reason="it isn't in the inventory")
            for host in cluster.unknown
        ),
    )
    if not able:
        return _nobody(history, cluster, p, rejected)
    return _promote(history, cluster, able, p, prices, rejected)


def _promote(
    history: History,
    cluster: Cluster,
    able: tuple[Member, ...],
    p: Primary,
    prices: PriceBook,
    rejected: tuple[Rejected, ...],
) -> Proposal:
    best, lost = able[0], cluster.lost
    values = {"cluster": cluster.name, "candidate": best.name, "lost": lost.name}
    down = max(timedelta(0), history.at - history.alert.active_at)
    plan = promotion(cluster, best, p, values)
    wait = Rejected(
        option=f"Wait for {lost.shown}",
        reason=f"nothing can be written since {human_duration(down)}, and when it comes back isn't known",
    )
    return Proposal(
        kind="failover",
        target=f"database cluster {cluster.shown}",
        title=f"Make {best.shown} the primary of {cluster.shown}",
        from_=f"{lost.shown} (lost)",
        to=best.shown,
        why=f"{_gone(cluster)} {best.shown} is reachable and {_behind(cluster, best)}"
        + (", a synchronous standby" if best.synchronous else "")
        + f". {_loss(cluster, best, p)}",
        inputs=_inputs(cluster, best, p),
        stages=_stages(cluster, best, p),
        cost=total(
            (
                free_line(f"Promotion of {best.shown}"),
                prices.line(
                    lost.resource.price,
                    1,
                    item=f"Replacement for {lost.shown}, to restore redundancy",
                    units=THINGS,
                ),
            ),
            f"No write succeeds as long as there is no primary; down since {human_duration(down)}",
        ),
        gain=f"0 → 1 primary; {len(able) - 1} further members could take over from it",
        survives=_survives(cluster, able),
        time_to_effect=p.time_to_effect,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=tuple(fill(argv, values) for argv in p.revert),
        evidence=_evidence(history, cluster, best, p, down),
        rejected=(*rejected, wait),
    )


def _nobody(history: History, cluster: Cluster, p: Primary, rejected: tuple[Rejected, ...]) -> Proposal:
    """No member is eligible: what a person has to weigh."""
    known = [member for member in cluster.others if cluster.behind(member) is not None]
    least = min(known, key=lambda member: (cluster.behind(member) or 0.0, member.name), default=None)
    option = (
        f"The one with least missing is {least.shown} ({_behind(cluster, least)})."
        if least is not None
        else "What the others have got isn't known; a restore from backup may be the only way."
    )
    down = max(timedelta(0), history.at - history.alert.active_at)
    return Proposal(
        kind="investigate",
        target=f"database cluster {cluster.shown}",
        title=f"Nobody may take over {cluster.shown}",
        from_=f"{cluster.lost.shown} (lost)",
        to="a decision: bring it back, accept a loss, or restore a backup",
        why=f"{_gone(cluster)} None of the {len(cluster.others)} other members may take over. {option}",
        inputs=_inputs(cluster, least, p),
        cost=total((free_line("Looking"),), f"No write succeeds; down since {human_duration(down)}"),
        gain="No capacity is gained",
        survives=(
            Survival(
                loss="one more member",
                ok=False,
                reason="nobody may take over even now",
            ),
        ),
        time_to_effect=timedelta(0),
        commands=tuple(
            fill(argv, {"cluster": cluster.name, "lost": cluster.lost.name})
            for argv in p.commands
            if not any("{candidate}" in part for part in argv)
        ),
        revert=("# nothing to revert: the command only reads",),
        evidence=_evidence(history, cluster, least, p, down),
        rejected=rejected,
    )


def _gone(cluster: Cluster) -> str:
    return f"{cluster.lost.shown} was the primary and is lost, last seen at {from_ms(cluster.gone_ms):%H:%M:%S} UTC."


def _behind(cluster: Cluster, member: Member) -> str:
    behind = cluster.behind(member)
    return "behind by an unknown amount" if behind is None else f"{human(behind, 'By')} of WAL behind"


def _loss(cluster: Cluster, member: Member, p: Primary) -> str:
    most = bound(cluster, member, p)
    if member.synchronous:
        return f"No acknowledged transaction is lost; unacknowledged ones may be, {most}."
    return f"Lost are {most} of writes: what it lacks, and what may have been written unseen within {p.ttl.seconds} s."


def _second(cluster: Cluster, member: Member, best: Member) -> str:
    lost, mine, other = cluster.lost.resource, member.resource, best.resource
    if best.synchronous and not member.synchronous:
        return f"eligible, but not synchronous as {best.shown} is"
    if lost.host and mine.host == lost.host != other.host:
        return f"eligible, but it runs on the host of the lost primary ({printable(lost.host, 60)})"
    if lost.zone and mine.zone == lost.zone != other.zone:
        return f"eligible, but it runs in the zone of the lost primary ({printable(lost.zone, 60)})"
    return f"eligible: {_behind(cluster, member)}; {best.shown} comes first by bytes, priority and name"


def _stages(cluster: Cluster, member: Member, p: Primary) -> tuple[Stage, ...]:
    behind = cluster.behind(member) or 0.0
    unseen = cluster.write_rate * p.ttl.total_seconds()
    return (
        Stage(name="missing", value=behind, reason="the primary's last known position − its own, in bytes of WAL"),
        Stage(
            name="unseen",
            value=unseen,
            reason=f"{human(cluster.write_rate, 'By/s')} × {p.ttl.total_seconds():g} s: written after the last sample",
        ),
        Stage(name="loss at most", value=behind + unseen, reason="missing + unseen, in bytes of WAL"),
    )


def _inputs(cluster: Cluster, member: Member | None, p: Primary) -> dict[str, str]:
    told = {
        "last position of the lost primary": "unknown"
        if cluster.lost.position is None
        else f"{cluster.lost.position:,.0f} By",
        "write rate": human(cluster.write_rate, "By/s"),
        "time to live of the leader's key": format_duration(p.ttl),
        "maximum lag": human(p.maximum_lag, "By"),
        "reachable within": format_duration(p.reachable_within),
    }
    if member is not None:
        position = "unknown" if member.position is None else f"{member.position:,.0f} By"
        lag = "unknown" if member.lag_seconds is None else f"{member.lag_seconds:g} s"
        told |= {f"position of {member.shown}": position, f"replication lag of {member.shown}": lag}
    if p.rto_target is not None:
        told["RTO objective"] = human_duration(p.rto_target)
    if p.rpo_target is not None:
        told["RPO objective"] = f"{p.rpo_target.total_seconds():g} s"
    return told


def _evidence(
    history: History, cluster: Cluster, best: Member | None, p: Primary, down: timedelta
) -> tuple[Evidence, ...]:
    reference = history.reference(*SIGNALS)
    found = [history.told()]
    for member in (cluster.lost, *cluster.others):
        role = "lost primary" if member is cluster.lost else "takes over" if member is best else "other member"
        found.append(
            Evidence(
                signal=WAL,
                labels={"cluster": cluster.name, "host": member.resource.id},
                value=member.position,
                unit="By",
                at=history.at if member.seen_ms is None else from_ms(member.seen_ms),
                verdict=role,
                reference=reference,
            )
        )
        if member is not cluster.lost:
            found.append(
                Evidence(
                    signal=LAG,
                    labels={"cluster": cluster.name, "host": member.resource.id},
                    value=member.lag_seconds,
                    unit="s",
                    at=history.at if member.seen_ms is None else from_ms(member.seen_ms),
                    limit=None if p.maximum_lag_time is None else f"> {p.maximum_lag_time.total_seconds():g}",
                    verdict=f"when the primary was last seen; {SYNCHRONOUS} {'1' if member.synchronous else '0'}",
                    reference=reference,
                )
            )
    if p.rto_target is not None:
        takes = down + p.time_to_effect
        late = takes > p.rto_target
        found.append(_objective(history, "RTO objective", takes, p.rto_target, late))
    if p.rpo_target is not None and best is not None:
        loss = timedelta(0) if best.synchronous else cluster.loss_time(best, p.ttl)
        late = loss is None or loss > p.rpo_target
        found.append(_objective(history, "RPO objective", loss, p.rpo_target, late))
    return tuple(found)


def _objective(history: History, name: str, value: timedelta | None, target: timedelta, missed: bool) -> Evidence:
    return Evidence(
        signal=name,
        value=None if value is None else value.total_seconds(),
        unit="s",
        at=history.at,
        limit=f"> {target.total_seconds():g}",
        verdict="unknown" if value is None else "missed" if missed else "met",
        reference="computed from the inputs above",
    )


def _survives(cluster: Cluster, able: tuple[Member, ...]) -> tuple[Survival, ...]:
    """Whether somebody eligible is left after one more loss."""
    best, spare = able[0], able[1:]
    names = ", ".join(member.shown for member in spare) or "nobody"
    member = Survival(loss=f"one more member ({best.shown})", ok=bool(spare), reason=f"{names} could take over")
    return (
        member,
        _apart("host", best.resource.host, [(other.shown, other.resource.host) for other in spare]),
        _apart("zone", best.resource.zone, [(other.shown, other.resource.zone) for other in spare]),
        Survival(
            loss="redundancy",
            ok=len(able) > 1,
            reason=f"{len(able)} of {len(cluster.others) + 1} copies are left until the lost member is replaced",
        ),
    )


def _apart(what: str, own: str, spare: list[tuple[str, str]]) -> Survival:
    loss = f"the {what} of the new primary"
    if not own or any(not other for _, other in spare):
        return Survival(loss=loss, ok=None, reason=f"the {what}s of the members aren't in the inventory")
    apart = ", ".join(name for name, other in spare if other != own)
    return Survival(
        loss=f"{what} {printable(own, 60)}", ok=bool(apart), reason=f"{apart or 'nobody'} elsewhere could take over"
    )
