"""A dead host: where its virtual machines start again, in which order, and what doesn't fit."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.failover.host_runbook import revert, steps
from controlplane.history import History
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Host
from controlplane.model.prices import PriceBook, free_line
from controlplane.model.recommendations import Evidence, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import human_duration
from controlplane.model.units import many
from controlplane.packing.lost import Aftermath, after_loss, needed, shed, survivors
from controlplane.packing.problem import RESOURCES, Problem, minus, used
from controlplane.packing.problem import total as sum_of
from controlplane.packing.reading import Reading, read_problem
from controlplane.packing.told import amount, names, size

_WORST = 24
"""So many hosts are tried as the next loss; of more, those that carry most."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A dead host, what was on it, and what comes of it."""

    resource: Resource
    others: tuple[str, ...]
    """Further hosts that don't report."""
    problem: Problem
    after: Aftermath
    down: timedelta

    @property
    def shown(self) -> str:
        """The host's name, safe to print."""
        return printable(self.resource.id, 60)


def advise(history: History, parameters: Host, inventory: Inventory, prices: PriceBook) -> Proposal:  # noqa: ARG001 - every method is asked alike
    """Where the machines of the alert's host start again; AdviceError where the inventory doesn't tell."""
    p = parameters
    name = history.label("host")
    resources = inventory.of(history.alert.platform)
    lost = next((r for r in resources if r.id == name and r.kind == "host"), None)
    shown = printable(name, 60)
    if lost is None:
        raise AdviceError(f"the inventory has no host {shown}, so nobody can say what ran on it")
    problem = read_problem(
        resources, Reading(p.apart, p.domain, dict(p.reserve.items()), p.order), lost.cluster or None
    )
    if not any(machine.host == name for machine in problem.machines):
        raise AdviceError(
            f"the inventory has no virtual machine on host {shown}, so there is nothing to start elsewhere"
        )
    dead = _dead(history, p, problem, name)
    if len(dead) == len(problem.hosts):
        raise AdviceError(f"no host is left: {names(dead)} are all of them. This is for another site or a restore")
    loss = Loss(
        lost,
        tuple(host for host in dead if host != name),
        problem,
        after_loss(problem, dead),
        max(timedelta(0), history.at - history.alert.active_at),
    )
    return _proposal(history, p, loss)


def _dead(history: History, p: Host, problem: Problem, name: str) -> tuple[str, ...]:
    """The alert's host, and every other one whose newest sample says that it doesn't report."""
    known = {host.id for host in problem.hosts}
    down = history.latest(p.up, "host", fold="max").filter(pl.col("value") < 1)["host"].to_list()
    return (name, *sorted((set(down) & known) - {name}))


def duration(p: Host, count: int) -> timedelta:
    """Until all machines serve that are started: fencing, then as many at once as may start."""
    return p.fence + p.start * -(-count // p.parallel)


def _proposal(history: History, p: Host, loss: Loss) -> Proposal:
    after, problem = loss.after, loss.problem
    takes = duration(p, len(after.start))
    gone, lack = sum_of(machine.size for machine in after.gone), shed(problem, after)
    whole = many(len(after.gone), "machine")
    plan = steps(p, loss.resource, problem, after)
    return Proposal(
        kind="failover",
        target=f"host {loss.shown}",
        title=f"Start {len(after.start)} of {whole} of host {loss.shown} elsewhere"
        if after.start
        else f"None of the {whole} of host {loss.shown} finds room elsewhere",
        from_=f"{whole} of {loss.shown} ({size(gone)})",
        to=_to(after),
        why=_why(loss, gone),
        inputs=_inputs(p, loss),
        stages=_stages(after),
        cost=total(
            (free_line("Machines start on hosts that are there"),),
            f"{names(m.id for m in after.gone)} stay down until the host is back",
        ),
        gain=f"{len(after.start)} of {whole} run again; not running afterwards: {size(lack)}",
        survives=(*_groups(problem, after), _next(problem, after)),
        time_to_effect=takes,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=revert(p, loss.resource, after),
        evidence=_evidence(history, p, loss, takes),
        rejected=_rejected(loss),
    )


def _to(after: Aftermath) -> str:
    parts = []
    if after.start:
        shown = [f"{printable(m, 60)} → {printable(h, 60)}" for m, h in list(after.start.items())[:8]]
        parts.append("start " + ", ".join(shown) + (" …" if len(after.start) > 8 else ""))
    if after.stop:
        parts.append(f"stop {names(after.stop)}")
    if after.waiting:
        parts.append(f"wait {names(after.waiting)}")
    return "; ".join(parts)


def _why(loss: Loss, gone: tuple[int, int, int]) -> str:
    after, left = loss.after, loss.problem.without(loss.after.lost)
    told = f"Host {loss.shown} is lost"
    if loss.others:
        told += f", and {names(loss.others)} with it"
    told += f"; on it ran {names(machine.id for machine in after.gone)} ({size(gone)}). "
    told += f"The {many(len(left.hosts), 'host')} left may use {size(left.room())}. "
    if after.over:
        told += f"{names(after.over)} promised more than that before; none of them gets fuller. "
    if after.carried:
        return told + "Everything finds room."
    waiting = [f"{printable(machine, 60)}: {reason}" for machine, reason in after.waiting.items()]
    if after.stop:
        told += f"{names(after.stop)} give way to more important machines. "
    return told + (f"{'; '.join(waiting[:8])}." if waiting else "")


def _inputs(p: Host, loss: Loss) -> dict[str, str]:
    left = loss.problem.without(loss.after.lost)
    loads = used(left, left.now)
    told = {"order": " → ".join(printable(name, 60) for name in p.order) or "none stated: by name"}
    for host in left.hosts[:12]:
        free = minus(host.room, loads[host.id])
        told[f"free on {printable(host.id, 60)}"] = ", ".join(
            f"{amount(of, free[of])} {RESOURCES[of]}" for of in range(len(RESOURCES)) if host.room[of]
        )
    told["fencing, start of a machine, at once"] = (
        f"{human_duration(p.fence)}, {human_duration(p.start)}, {many(p.parallel, 'machine')}"
    )
    if p.rto_target is not None:
        told["RTO objective"] = human_duration(p.rto_target)
    return told


def _stages(after: Aftermath) -> tuple[Stage, ...]:
    pinned = sum(machine.pinned for machine in after.gone)
    kept = sum("runs on every host" in reason for reason in after.waiting.values())
    lost, movable = len(after.gone), len(after.gone) - pinned
    return (
        Stage(name="lost", value=lost, reason="machines that the inventory places on the lost hosts"),
        Stage(
            name="movable",
            value=movable,
            limit=f"{many(pinned, 'machine')} pinned" if pinned else None,
            reason="machines that may run elsewhere",
        ),
        Stage(
            name="apart",
            value=movable - kept,
            limit="groups that never share a host" if kept else None,
            reason="machines whose group isn't on every host that is left",
        ),
        Stage(
            name="placed",
            value=len(after.start),
            limit="room on the hosts that are left" if len(after.start) < movable - kept else None,
            reason="the most important ones that find whole room",
        ),
    )


def _groups(problem: Problem, after: Aftermath) -> tuple[Survival, ...]:
    out = {machine.id for machine in after.gone} - set(after.start) | set(after.stop)
    found = []
    for name, members in problem.groups.items():
        if not any(member.host in after.lost for member in members):
            continue
        run, least = sum(member.id not in out for member in members), needed(len(members))
        now = sum(member.host not in after.lost for member in members)
        reason = f"{now} of {len(members)} run elsewhere, {run} afterwards; {least} have to"
        found.append(Survival(loss=f"its members of {printable(name, 60)}", ok=now >= least, reason=reason))
    return tuple(found)


def _next(problem: Problem, after: Aftermath) -> Survival:
    left = survivors(problem, after)
    loads = used(left, left.now)
    hosts = sorted(left.hosts, key=lambda host: (tuple(-part for part in loads[host.id]), host.id))[:_WORST]
    if len(left.hosts) < 2:
        return Survival(loss="one more host", ok=False, reason="there is no other host then")
    worst = max((after_loss(left, [host.id]) for host in hosts), key=lambda one: (len(one.waiting), len(one.stop)))
    if worst.carried:
        return Survival(loss="one more host", ok=True, reason="whichever it is, its machines find room")
    return Survival(
        loss="one more host",
        ok=False,
        reason=f"without {names(worst.lost)} {names(worst.waiting or worst.stop)} "
        f"{'wouldn’t start' if worst.waiting else 'would have to stop'}",
    )


def _evidence(history: History, p: Host, loss: Loss, takes: timedelta) -> tuple[Evidence, ...]:
    reference = history.reference(p.up)
    found = [history.told()]
    found += [
        Evidence(
            signal=p.up,
            labels={"host": host},
            value=history.newest(p.up, fold="max", where={"host": host}),
            unit="{host}",
            at=history.at,
            limit="< 1",
            verdict="doesn't report",
            reference=reference,
        )
        for host in loss.after.lost
    ]
    if p.rto_target is not None:
        whole = loss.down + takes
        late, left = whole > p.rto_target, not loss.after.carried
        found.append(
            Evidence(
                signal="RTO objective",
                value=whole.total_seconds(),
                unit="s",
                at=history.at,
                limit=f"> {p.rto_target.total_seconds():g}",
                verdict=("missed" if late else "met") + (" by what starts; the rest has no time" if left else ""),
                reference="time since the loss, fencing, and starts one batch after the other",
            )
        )
    return tuple(found)


def _rejected(loss: Loss) -> tuple[Rejected, ...]:
    left = loss.problem.without(loss.after.lost)
    found = [
        Rejected(
            option="Start machines before the host is certainly off",
            reason="it may still run them behind a broken network, and two machines would write to one disk",
        ),
        Rejected(
            option=f"Wait for host {loss.shown}",
            reason="when it comes back isn't known, and nothing of it runs until then",
        ),
        Rejected(option="Migrate them live", reason="the host that would send their memory is dead"),
    ]
    if not loss.after.carried:
        asked = sum_of(machine.size for machine in loss.problem.machines)
        found.append(
            Rejected(
                option="Start everything all the same",
                reason=f"{size(asked)} would be promised of {size(left.room())}: memory that isn't there ends "
                "whole machines, and not the least important ones",
            )
        )
    return tuple(found)
