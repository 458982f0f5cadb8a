"""Readiness of caches with replicas: has Sentinel somebody to promote, can it act, and what is lost?"""

from controlplane.failover.cache_members import (
    OFFSET,
    PRIORITY,
    SENTINEL,
    UP,
    CacheMember,
    members,
    primary_of,
    ranked,
    sentinels,
)
from controlplane.failover.cache_runbook import Situation, mend
from controlplane.failover.columns import columns, newest
from controlplane.failover.moment import Moment
from controlplane.model.methods import Cache
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS
from controlplane.model.readiness import Readiness
from controlplane.model.resources import Resource


def assess(moment: Moment, p: Cache) -> list[Readiness]:
    """One row a cache of the inventory, by name; what has no cluster is one of its own."""
    clusters: dict[str, list[Resource]] = {}
    for one in moment.inventory.of(moment.platform):
        if one.role == p.role if p.role is not None else one.cluster:
            clusters.setdefault(one.cluster or one.id, []).append(one)
    offsets, priorities = (columns(moment, signal, "host") for signal in (OFFSET, PRIORITY))
    seen = {signal: dict(newest(moment, signal, "cluster").iter_rows()) for signal in (UP, *SENTINEL)}
    rows = []
    for cluster, resources in sorted(clusters.items()):
        found = members(resources, offsets, priorities, moment.at_ms, p)
        primary = primary_of(found, p)
        up = seen[UP].get(cluster)
        told = sentinels({signal: seen[signal].get(cluster) for signal in SENTINEL})
        at = Situation(
            cluster,
            found,
            primary,
            tuple(ranked(found, told)),
            told,
            dead=up == 0
            if up is not None
            else primary is not None and primary.offset is not None and not primary.reachable,
        )
        rows.append(_row(moment, p, at))
    return rows


def _row(moment: Moment, p: Cache, at: Situation) -> Readiness:
    best: CacheMember | None = at.able[0] if at.able else None
    wrong: list[str] = []
    unknown: list[str] = []
    if at.dead:
        wrong.append(f"{at.primary_shown} is lost already")
    if len(at.found) == 1:
        wrong.append("the cache has no replica")
    elif best is None:
        told = [f"{one.shown}: {one.refused}" for one in at.found if one.replica and one.refused]
        (wrong if told else unknown).append("; ".join(told) or f"no replica has a sample of {PRIORITY}")
    if at.sentinels is None:
        if len(at.found) > 1:
            unknown.append("what Sentinel sees isn't measured")
    elif not at.sentinels.acts:
        wrong.append(at.sentinels.told)
    automatic = best is not None and at.sentinels is not None and at.sentinels.acts
    takes = p.down_after.total_seconds() + p.time_to_effect.total_seconds()
    if automatic and p.rto_target is not None and takes > p.rto_target.total_seconds():
        wrong.append(f"Sentinel takes over {takes:g} s after the loss at the latest")
    return Readiness(
        platform=moment.platform,
        kind="cache",
        cell=at.cluster,
        takes_over="" if best is None else best.shown,
        mode="automatic" if automatic else "manual" if best is not None else "none",
        rpo_bytes=None if best is None else at.lost(best),
        rto_seconds=takes if automatic else None,
        rto_target=None if p.rto_target is None else p.rto_target.total_seconds(),
        ready=False if wrong else None if unknown else True,
        reason="; ".join(wrong or unknown) or "Sentinel promotes it by itself",
        remedy=_remedy(moment, p, at) if wrong else "",
        at=moment.at,
    )


def _remedy(moment: Moment, p: Cache, at: Situation) -> str:
    if at.dead:
        return "follow the advice on the lost primary"
    to, _, adds = mend(at, p)
    if not adds:
        return to
    price = p.replica_price or (at.primary or at.found[0]).resource.price
    line = moment.prices.line(price, 1, units=THINGS)
    if line.per_month is None:
        return f"{to} (price unknown)"
    cost = f"{human_money(line.one_off)} once" if line.one_off else f"{human_money(line.per_month)} a month"
    return f"{to} ({cost})"
