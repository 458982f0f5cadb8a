"""A database cluster whose primary lives but has nobody fit to take over: what makes a member ready, and its cost."""

from datetime import timedelta

from controlplane.failover.members import LAG, SIGNALS, WAL, told
from controlplane.failover.repairs import Repair, repair, synchronise
from controlplane.failover.standing import Standing, read_standings
from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.labels import printable
from controlplane.model.methods import Standby
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, PlanStep, Proposal, Rejected, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import human, many


def advise(history: History, parameters: Standby, inventory: Inventory, prices: PriceBook) -> Proposal:
    """The least that makes a member ready: wait, look, start, rebuild, or add a replica.

    `investigate` where the primary isn't heard of either: nothing may be rebuilt then. AdviceError where no member
    reports its position.
    """
    p, cluster = parameters, history.label("cluster")
    members = read_standings(history, cluster, p, inventory)
    primary = next((member for member in members if member.primary), None)
    others = tuple(member for member in members if not member.primary)
    if primary is None or not primary.reachable:
        return _hands_off(history, cluster, members, primary, p)
    able = tuple(member for member in others if member.refused is None)
    ways = sorted(
        (_way(member, cluster, p) for member in others),
        key=lambda way: (way.effort, _loss(way.member), way.member.name),
    )
    added = prices.line(
        p.replica_price or primary.resource.price, 1, item=f"One more replica of {printable(cluster, 80)}", units=THINGS
    )
    if not ways:
        return _add(history, cluster, members, primary, p, added)
    best = ways[0]
    shown = printable(cluster, 80)
    look = PlanStep(do="Look at the cluster once more", commands=_look(p, cluster))
    plan = (look, *best.steps, _done(best.member))
    after = len({member.name for member in able} | {best.member.name})
    return Proposal(
        kind="repair",
        target=f"database cluster {shown}",
        title=f"Make {best.member.shown} ready to take over {shown}",
        from_=f"{many(len(able), 'member')} of {len(others)} may take over from {primary.shown}",
        to=best.to,
        why=f"{_if_it_died(primary, others)} {best.member.shown}: {best.why}.",
        inputs=_inputs(members, p),
        cost=total((free_line(best.to),), _do_nothing(shown, others)),
        gain=f"{len(able)} → {many(after, 'member')} that may take over",
        survives=_survives(primary, able, best.member),
        time_to_effect=best.time,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=best.revert or ("# nothing to revert: what a member has is not made less",),
        evidence=_evidence(history, members, p),
        rejected=(
            *(Rejected(option=_title(way), reason=f"{way.why}; {best.member.shown} is nearer") for way in ways[1:]),
            _instead(added),
        ),
    )


def _way(member: Standing, cluster: str, p: Standby) -> Repair:
    """For a member that is fit and not late, but loses more than allowed: synchronous mode."""
    way = repair(member, cluster, p)
    if member.refused is not None or member.synchronous:
        return way
    allowed = timedelta(-1) if p.rpo_target is None else p.rpo_target - p.ttl
    late = allowed >= timedelta(0) and member.lag is not None and timedelta(seconds=member.lag) > allowed
    return way if late else synchronise(member, cluster, p, way.why)


def _hands_off(
    history: History, cluster: str, members: tuple[Standing, ...], primary: Standing | None, p: Standby
) -> Proposal:
    shown = printable(cluster, 80)
    who = "No member is the primary" if primary is None else f"{primary.shown}, the primary, isn't heard of"
    return Proposal(
        kind="investigate",
        target=f"database cluster {shown}",
        title=f"Rebuild nothing in {shown}: its primary isn't there",
        from_="a cluster without a primary that answers",
        to="a primary; only then a standby",
        why=f"{who}, so every copy may be the last one. What is lost is in the advice on the lost primary.",
        inputs=_inputs(members, p),
        cost=total((free_line("Looking"),), _do_nothing(shown, members)),
        gain="No capacity is gained",
        survives=(Survival(loss="one more member", ok=False, reason="there is no primary even now"),),
        time_to_effect=timedelta(0),
        commands=_look(p, cluster),
        revert=("# nothing to revert: the command only reads",),
        evidence=_evidence(history, members, p),
        rejected=(Rejected(option="Rebuild a member", reason="it would throw a copy away while the primary is gone"),),
    )


def _add(
    history: History, cluster: str, members: tuple[Standing, ...], primary: Standing, p: Standby, added: CostLine
) -> Proposal:
    shown = printable(cluster, 80)
    plan = (
        PlanStep(do="Look at the cluster once more", commands=_look(p, cluster)),
        PlanStep(
            do="Set up one more host with PostgreSQL and Patroni in another zone, and start it; it copies the primary",
            before=(
                f"it has the disk, version and settings of {primary.shown}",
                "the last backup succeeded",
                "disk and link of the primary have room for a full copy",
            ),
        ),
        PlanStep(do="Add it to the inventory", before=("the list shows it streaming, without lag",)),
    )
    return Proposal(
        kind="repair",
        target=f"database cluster {shown}",
        title=f"Add a replica to {shown}",
        from_=f"{primary.shown} alone",
        to="a primary and a replica that may take over",
        why=f"The inventory has no other member of {shown}: if {primary.shown} dies, a backup is all that is left.",
        inputs=_inputs(members, p),
        cost=total((added,), _do_nothing(shown, ())),
        gain="0 → 1 member that may take over",
        survives=(
            Survival(loss=f"the primary ({primary.shown})", ok=True, reason="the new replica takes over"),
            Survival(loss="one more member", ok=False, reason="nobody is left then"),
        ),
        time_to_effect=p.time_to_effect,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=("# stop Patroni on the new host and give it back",),
        evidence=_evidence(history, members, p),
        rejected=(Rejected(option="Leave it alone", reason="one failure takes everything since the last backup"),),
    )


def _look(p: Standby, cluster: str) -> tuple[str, ...]:
    return tuple(fill(argv, {"cluster": cluster}) for argv in p.look)


def _done(member: Standing) -> PlanStep:
    return PlanStep(
        do="Mark it as executed",
        before=(f"{member.shown} streams, and its lag stays within the limit for five minutes", "the alert is over"),
    )


def _loss(member: Standing) -> float:
    return float("inf") if member.behind is None else member.behind


def _title(way: Repair) -> str:
    return f"Instead: {way.to}"


def _instead(added: CostLine) -> Rejected:
    cost = (
        f"{human_money(added.one_off)} once and {human_money(added.per_month)} a month"
        if added.per_month is not None
        else "at a price that isn't known"
    )
    return Rejected(option="Add a replica", reason=f"{cost}; a member that is there already is nearer")


def _if_it_died(primary: Standing, others: tuple[Standing, ...]) -> str:
    able = [member for member in others if member.refused is None]
    if not able:
        return f"If {primary.shown} died now, nobody may take over."
    least = min(able, key=lambda member: (member.loss_seconds is None, member.loss_seconds or 0.0, member.name))
    loss = "an unknown time" if least.loss_seconds is None else f"up to {least.loss_seconds:,.4g} s"
    return f"If {primary.shown} died now, {least.shown} would take over and {loss} of writes would be lost."


def _do_nothing(shown: str, others: tuple[Standing, ...]) -> str:
    known = [member.loss_bytes for member in others if member.loss_bytes is not None and not member.primary]
    least = f"at least {human(min(known), 'By')} are lost by forcing one" if known else "a backup is all that is left"
    return f"If the primary of {shown} dies, writes stop until a person decides, and {least}"


def _inputs(members: tuple[Standing, ...], p: Standby) -> dict[str, str]:
    given = {
        "maximum lag": human(p.maximum_lag, "By"),
        "time to live of the leader's key": format_duration(p.ttl),
        "reachable within": format_duration(p.reachable_within),
    }
    for member in members:
        lag = "no lag known" if member.lag is None else f"{member.lag:g} s late"
        refused = (
            "the primary"
            if member.primary
            else "may take over"
            if member.refused is None
            else told(member.refused, p, silent_ms=member.silent_ms, behind=member.behind, lag=member.lag)
        )
        behind = "an unknown amount" if member.behind is None else human(member.behind, "By")
        given[f"member {member.shown}"] = f"{behind} behind, {lag}: {refused}"
    if p.rpo_target is not None:
        given["RPO objective"] = human_duration(p.rpo_target)
    return given


def _survives(primary: Standing, able: tuple[Standing, ...], best: Standing) -> tuple[Survival, ...]:
    after = {member.name: member for member in (*able, best)}
    names = ", ".join(sorted(member.shown for member in after.values()))
    return (
        Survival(loss=f"the primary ({primary.shown})", ok=True, reason=f"{names} may take over, by itself"),
        Survival(
            loss="one member more after that",
            ok=len(after) > 1,
            reason=f"{len(after)} could take over; one of them is the primary then",
        ),
        *(_apart(what, primary, tuple(after.values())) for what in ("host", "zone")),
    )


def _apart(what: str, primary: Standing, able: tuple[Standing, ...]) -> Survival:
    own = getattr(primary.resource, what)
    if not own or any(not getattr(member.resource, what) for member in able):
        loss = f"the {what} of the primary"
        return Survival(loss=loss, ok=None, reason=f"the {what}s of the members aren't in the inventory")
    names = ", ".join(sorted(member.shown for member in able if getattr(member.resource, what) != own))
    return Survival(loss=f"{what} {printable(own, 60)}", ok=bool(names), reason=f"{names or 'nobody'} elsewhere")


def _evidence(history: History, members: tuple[Standing, ...], p: Standby) -> tuple[Evidence, ...]:
    reference = history.reference(*SIGNALS)
    found = [history.told()]
    for member in members:
        labels = {"cluster": history.label("cluster"), "host": member.resource.id}
        verdict = "primary" if member.primary else "may take over" if member.refused is None else str(member.refused)
        found.append(
            Evidence(
                signal=f"distance of {WAL}",
                labels=labels,
                value=member.behind,
                unit="By",
                at=history.at,
                limit=f"> {p.maximum_lag:.0f}",
                verdict=verdict,
                reference=reference,
            )
        )
        if not member.primary:
            limit = None if p.maximum_lag_time is None else f"> {p.maximum_lag_time.total_seconds():g}"
            found.append(
                Evidence(
                    signal=LAG,
                    labels=labels,
                    value=member.lag,
                    unit="s",
                    at=history.at,
                    limit=limit,
                    reference=reference,
                )
            )
    return tuple(found)
