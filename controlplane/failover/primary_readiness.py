"""Readiness of database clusters: who takes over from each primary, what is lost, and how long it takes."""

from datetime import timedelta

import polars as pl

from controlplane.failover.columns import columns, newest
from controlplane.failover.members import SIGNALS, told
from controlplane.failover.moment import Moment
from controlplane.failover.repairs import repair
from controlplane.failover.standing import Standing, standings_of
from controlplane.model.labels import printable
from controlplane.model.methods import Primary, Standby
from controlplane.model.methods.eligibility import Eligibility
from controlplane.model.readiness import Readiness
from controlplane.model.resources import Resource
from controlplane.model.time import human_duration

CPU = "system.cpu.utilization"
LOOP = timedelta(seconds=10)
"""Patroni looks every ten seconds (loop_wait); only after the leader's key is gone does it promote."""


def assess(moment: Moment, p: Primary) -> list[Readiness]:
    """One row a cluster of the inventory that the rule is about, by name."""
    resources: dict[str, list[Resource]] = {}
    for one in moment.inventory.of(moment.platform):
        if one.cluster and (one.role == p.role if p.role is not None else one.kind == "database"):
            resources.setdefault(one.cluster, []).append(one)
    rows = [columns(moment, signal, "cluster", "host") for signal in SIGNALS]
    # Two sources may hold the same cluster; one of them is enough.
    held = rows[0].group_by("cluster").agg(pl.col("source").min())
    position, lag, synchronous = (
        frame.join(held, on=["cluster", "source"], how="semi").with_columns(source=pl.lit("")) for frame in rows
    )
    cpu = dict(newest(moment, CPU, "host").iter_rows())
    return [
        _row(
            moment,
            p,
            cluster,
            standings_of(position, lag, synchronous, members, moment.platform, moment.at_ms, p),
            cpu,
        )
        for cluster, members in sorted(resources.items())
    ]


def _row(moment: Moment, p: Primary, cluster: str, members: tuple[Standing, ...], cpu: dict[str, float]) -> Readiness:
    primary = next((one for one in members if one.primary), None)
    others = [one for one in members if not one.primary]
    able = sorted((one for one in others if one.refused is None), key=_first)
    best = able[0] if able else None
    takes = p.ttl + LOOP
    after = None if best is None or primary is None else _after(primary, best, cpu)
    known = {
        "platform": moment.platform,
        "kind": "primary",
        "cell": cluster,
        "rpo_target": _seconds(p.rpo_target),
        "rto_target": _seconds(p.rto_target),
        "at": moment.at,
    }
    if not members:
        reason = f"{SIGNALS[0]} has no sample of a member"
        return Readiness.model_validate(known | {"mode": "none", "ready": None, "reason": reason})
    if primary is None or not primary.reachable:
        reason = "nobody is the primary" if primary is None else f"{primary.shown}, the primary, isn't heard of"
        remedy = "follow the advice on the lost primary"
        return Readiness.model_validate(known | {"mode": "none", "ready": False, "reason": reason, "remedy": remedy})
    if best is None:
        return Readiness.model_validate(
            known | {"mode": "none", "ready": False, "reason": _why(others, p), "remedy": _remedy(others, cluster, p)}
        )
    wrong, remedies = _short_of(p, best, takes, after)
    unknown = "its replication lag isn't known" if p.rpo_target is not None and best.loss_seconds is None else ""
    fine = f"{best.shown} may take over" + (", and loses nothing acknowledged" if best.synchronous else "")
    return Readiness.model_validate(
        known
        | {
            "takes_over": best.shown,
            "mode": "automatic",
            "rpo_bytes": best.loss_bytes,
            "rpo_seconds": best.loss_seconds,
            "rto_seconds": takes.total_seconds(),
            "load_after": after,
            "ready": False if wrong else None if unknown else True,
            "reason": "; ".join(wrong) or unknown or fine,
            "remedy": "; ".join(remedies),
        }
    )


def _first(member: Standing) -> tuple[bool, float, str]:
    return (not member.synchronous, member.behind or 0.0, member.name)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _short_of(p: Primary, best: Standing, takes: timedelta, after: float | None) -> tuple[list[str], list[str]]:
    """What misses an objective, and what would mend it."""
    wrong, remedies = [], []
    if p.rpo_target is not None and best.loss_seconds is not None and best.loss_seconds > p.rpo_target.total_seconds():
        wrong.append(f"up to {best.loss_seconds:,.4g} s of writes would be lost")
        remedies.append("a synchronous standby")
    if p.rto_target is not None and takes > p.rto_target:
        wrong.append(f"Patroni takes over {human_duration(takes)} after the primary's last sign at the latest")
        remedies.append(
            "a shorter ttl and loop_wait"
            if p.rto_target >= timedelta(seconds=20)
            else "another objective: the shortest ttl that Patroni takes is 20 s"
        )
    if after is not None and after > 1:
        wrong.append(f"{best.shown} would be at {after:.0%} of its CPU")
        remedies.append(f"less load on {best.shown}, or a larger machine")
    return wrong, remedies


def _after(primary: Standing, best: Standing, cpu: dict[str, float]) -> float | None:
    """Load of both by what the one that is left has; None where it isn't measured."""
    loads = [_cores(one.resource, cpu) for one in (primary, best)]
    if loads[0] is None or loads[1] is None or not best.resource.capacity.cores:
        return None
    return (loads[0] + loads[1]) / best.resource.capacity.cores


def _cores(resource: Resource, cpu: dict[str, float]) -> float | None:
    share = cpu.get(resource.id, cpu.get(resource.host) if resource.host else None)
    return None if share is None or not resource.capacity.cores else max(0.0, share) * resource.capacity.cores


def _why(others: list[Standing], p: Eligibility) -> str:
    if not others:
        return "the cluster has no other member"
    reasons = (
        f"{one.shown}: " + told(one.refused, p, silent_ms=one.silent_ms, behind=one.behind, lag=one.lag)
        for one in others
        if one.refused is not None
    )
    return "; ".join(reasons)


def _remedy(others: list[Standing], cluster: str, p: Primary) -> str:
    if not others:
        return "a replica"
    standby = Standby(**{name: getattr(p, name) for name in Eligibility.model_fields})
    ways = sorted((repair(one, cluster, standby) for one in others), key=lambda way: (way.effort, way.member.name))
    return ways[0].to if ways else printable(cluster, 80)
