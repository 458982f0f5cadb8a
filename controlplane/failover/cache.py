"""A cache with replicas: who takes over from a lost primary, and what makes somebody ready while it lives."""

from datetime import timedelta

from controlplane.failover.cache_members import (
    OFFSET,
    PRIORITY,
    SENTINEL,
    UP,
    CacheMember,
    Sentinels,
    members,
    of_cluster,
    primary_of,
    ranked,
    sentinels,
)
from controlplane.failover.cache_runbook import Situation, by_hand, by_sentinel, look, mend
from controlplane.history import History
from controlplane.model.labels import printable
from controlplane.model.methods import Cache
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, PlanStep, Proposal, Rejected, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import human, many


def advise(history: History, parameters: Cache, inventory: Inventory, prices: PriceBook) -> Proposal:
    """A promotion where the primary is lost; what makes a replica or Sentinel ready where it isn't.

    AdviceError where the inventory has no member of the cluster.
    """
    p, cluster = parameters, history.label("cluster")
    resources = of_cluster(inventory, history.alert.platform, cluster, p)
    found = members(
        resources,
        history.of(OFFSET, "host", fold="max"),
        history.of(PRIORITY, "host", fold="min"),
        history.at_ms,
        p,
    )
    where = {"cluster": cluster}
    up = history.newest(UP, fold="max", where=where)
    folds = dict(zip(SENTINEL, ("min", "min", "max", "max"), strict=True))
    seen = sentinels(
        {signal: history.newest(signal, fold="min" if how == "min" else "max", where=where)
         for signal, how in folds.items()}
    )  # fmt: skip
    primary = primary_of(found, p)
    dead = up == 0 if up is not None else primary is not None and not primary.reachable
    at = Situation(cluster, found, primary, tuple(ranked(found, seen)), seen, dead=dead)
    line = prices.line(
        p.replica_price or (primary or found[0]).resource.price,
        1,
        item=f"One more replica of {printable(cluster, 80)}",
        units=THINGS,
    )
    if dead and at.able:
        return _promote(history, at, p)
    return _nobody(history, at, p) if dead else _repair(history, at, p, line)


def _promote(history: History, at: Situation, p: Cache) -> Proposal:
    best = at.able[0]
    acts = at.sentinels is not None and at.sentinels.acts
    plan = (*look(at, p), *(by_sentinel(at, p) if acts else by_hand(at, p)))
    down = max(timedelta(0), history.at - history.alert.active_at)
    lost = at.lost(best)
    loss = "an unknown amount of writes is" if lost is None else f"{human(lost, 'By')} of writes are"
    how = "Sentinel can still act" if acts else "Sentinel can't act, so a person has to"
    order = "priority and position" if acts else "position and priority"
    return Proposal(
        kind="failover",
        target=f"cache {at.shown}",
        title=f"Make {best.shown} the primary of {at.shown}",
        from_=f"{at.primary_shown} (lost)",
        to=best.shown,
        why=f"{at.primary_shown} is lost since {human_duration(down)}. {best.shown} comes first by {order}; "
        f"{loss} lost. {how}.",
        inputs=_inputs(at, p),
        cost=total((free_line(f"Promotion of {best.shown}"),), f"No write succeeds; down since {human_duration(down)}"),
        gain=f"0 → 1 primary; {many(len(at.able) - 1, 'further replica')} could take over from it",
        survives=(
            Survival(
                loss=f"one more member ({best.shown})",
                ok=len(at.able) > 1,
                reason=", ".join(one.shown for one in at.able[1:]) or "nobody is left",
            ),
            Survival(loss="a Sentinel", ok=_spare(at.sentinels), reason=_sentinels(at.sentinels)),
        ),
        time_to_effect=p.time_to_effect,
        commands=_commands(plan),
        plan=plan,
        revert=("# once the old primary is back and in sync: the same failover again, to it",),
        evidence=_evidence(history, at, p),
        rejected=(
            *(
                Rejected(option=f"Promote {one.shown}", reason=_second(one, best, acts=acts))
                for one in at.found
                if one is not best and one is not at.primary
            ),
            Rejected(
                option=f"Wait for {at.primary_shown}",
                reason=f"away since {human_duration(down)}; started without its data it would empty the rest",
            ),
        ),
    )


def _nobody(history: History, at: Situation, p: Cache) -> Proposal:
    plan = look(at, p)
    return Proposal(
        kind="investigate",
        target=f"cache {at.shown}",
        title=f"Nobody may take over {at.shown}",
        from_=f"{at.primary_shown} (lost)",
        to="a decision: bring it back, or start empty from the last snapshot",
        why=f"{at.primary_shown} is lost, and no replica of {at.shown} may take over: {_refusals(at)}.",
        inputs=_inputs(at, p),
        cost=total((free_line("Looking"),), "Every read goes to the database behind the cache"),
        gain="No capacity is gained",
        survives=(Survival(loss="one more member", ok=False, reason="nobody may take over even now"),),
        time_to_effect=timedelta(0),
        commands=_commands(plan),
        plan=plan,
        revert=("# nothing to revert: the commands only read",),
        evidence=_evidence(history, at, p),
        rejected=tuple(
            Rejected(option=f"Promote {one.shown}", reason=one.refused or "it isn't a replica")
            for one in at.found
            if one is not at.primary
        )
        or (Rejected(option="Promote a replica", reason="the inventory has none"),),
    )


def _repair(history: History, at: Situation, p: Cache, line: CostLine) -> Proposal:
    to, steps, adds = mend(at, p)
    plan = (*look(at, p), *steps)
    return Proposal(
        kind="repair",
        target=f"cache {at.shown}",
        title=f"Make {at.shown} ready to fail over",
        from_=f"{many(len(at.able), 'replica')} may take over from {at.primary_shown}",
        to=to,
        why=f"If {at.primary_shown} died now, "
        + (f"{at.able[0].shown} would take over" if at.able and at.acts else "nobody would take over")
        + f": {_refusals(at)}; {_sentinels(at.sentinels)}.",
        inputs=_inputs(at, p),
        cost=total((line if adds else free_line(to),), f"If the primary of {at.shown} dies, the cache is gone until "
                   "a person acts"),
        gain="somebody who takes over by itself",
        survives=(
            Survival(loss=f"the primary ({at.primary_shown})", ok=True, reason=to),
            Survival(loss="a Sentinel", ok=_spare(at.sentinels), reason=_sentinels(at.sentinels)),
        ),
        time_to_effect=p.time_to_effect,
        commands=_commands(plan),
        plan=plan,
        revert=("# nothing to revert: what runs is not made less",),
        evidence=_evidence(history, at, p),
        rejected=(
            Rejected(option="Leave it alone", reason="one failure takes the cache, and its load falls on the database")
            if adds
            else Rejected(
                option="Add a replica",
                reason=f"{human_money(line.one_off)} once and {human_money(line.per_month)} a month; a member that is "
                "there already is nearer",
            ),
        ),
    )  # fmt: skip


def _commands(plan: tuple[PlanStep, ...]) -> tuple[str, ...]:
    return tuple(command for step in plan for command in step.commands)


def _second(one: CacheMember, best: CacheMember, *, acts: bool) -> str:
    if not one.replica:
        return "it isn't known as a replica"
    if one.refused:
        return one.refused
    behind = (best.offset or 0.0) - (one.offset or 0.0)
    if one.priority != best.priority and (acts or not behind):
        return f"its priority {one.priority:g} comes after {best.priority:g}"
    return (
        f"{human(behind, 'By')} behind {best.shown}" if behind else f"as far as {best.shown}, which comes first by name"
    )


def _refusals(at: Situation) -> str:
    told = [f"{one.shown}: {one.refused}" for one in at.found if one.replica and one.refused]
    if told:
        return "; ".join(told)
    return "its replicas are fit" if at.able else "no replica is known"


def _sentinels(seen: Sentinels | None) -> str:
    return "what Sentinel sees isn't measured" if seen is None else seen.told


def _spare(seen: Sentinels | None) -> bool | None:
    return None if seen is None else seen.answering - 1 >= seen.needed


def _inputs(at: Situation, p: Cache) -> dict[str, str]:
    given = {
        "down after": format_duration(p.down_after),
        "reachable within": format_duration(p.reachable_within),
        "Sentinel": _sentinels(at.sentinels),
    }
    for one in at.found:
        position = "no position known" if one.offset is None else f"at {one.offset:,.0f} By"
        role = "primary" if one is at.primary else "replica" if one.replica else "unknown"
        priority = "" if one.priority is None else f", priority {one.priority:g}"
        given[f"member {one.shown}"] = f"{role}, {position}{priority}{', ' + one.refused if one.refused else ''}"
    if p.rto_target is not None:
        given["RTO objective"] = human_duration(p.rto_target)
    return given


def _evidence(history: History, at: Situation, p: Cache) -> tuple[Evidence, ...]:
    reference = history.reference(*p.reads())
    return (
        history.told(),
        *(
            Evidence(
                signal=OFFSET,
                labels={"host": one.resource.id},
                value=one.offset,
                unit="By",
                at=history.at,
                verdict="primary" if one is at.primary else one.refused or "may take over",
                reference=reference,
            )
            for one in at.found
        ),
    )
