"""The steps after the loss of a host, with what has to be true before each, and the way back."""

from collections.abc import Mapping

from controlplane.model.commands import command, fill
from controlplane.model.methods import Host
from controlplane.model.recommendations import PlanStep
from controlplane.model.resources import Resource
from controlplane.model.units import many
from controlplane.packing.lost import Aftermath, needed
from controlplane.packing.problem import Machine, Problem
from controlplane.packing.told import names


def steps(p: Host, host: Resource, problem: Problem, after: Aftermath) -> tuple[PlanStep, ...]:
    """Fence the host, make room, start by rank, and say what waits."""
    machines = {machine.id: machine for machine in problem.machines}
    made = [_fence(p, host)]
    if after.stop:
        made.append(_stop(p, machines, after))
    by_rank: dict[int, list[Machine]] = {}
    for name in after.start:
        by_rank.setdefault(machines[name].rank, []).append(machines[name])
    before: list[Machine] = []
    for rank in sorted(by_rank):
        made.append(_start(p, problem, by_rank[rank], after, before))
        before = by_rank[rank]
    if after.waiting:
        made.append(
            PlanStep(
                do=f"Leave {names(after.waiting)} stopped until there is a host for them",
                before=("whoever owns them knows that they wait",),
            )
        )
    return tuple(made)


def _fence(p: Host, host: Resource) -> PlanStep:
    values = {"host": host.id, "bmc": host.attributes.get("bmc") or f"{host.id}-bmc"}
    return PlanStep(
        do=f"Make sure that {names([host.id])} is off and stays off",
        before=(
            "the host itself is gone: more than its agent or its message queue is silent",
            "nobody is bringing it back at this moment",
        ),
        commands=tuple(fill(argv, values) for argv in p.fencing),
    )


def _stop(p: Host, machines: Mapping[str, Machine], after: Aftermath) -> PlanStep:
    return PlanStep(
        do=f"Stop {names(after.stop)}, the least important first: more important machines need their room",
        before=("the host reads as off", "whoever owns them agrees, or the order was agreed on beforehand"),
        commands=tuple(
            fill(argv, {"machine": name, "host": machines[name].host, "origin": machines[name].host})
            for name in after.stop
            for argv in p.stop
        ),
    )


def _start(p: Host, problem: Problem, now: list[Machine], after: Aftermath, earlier: list[Machine]) -> PlanStep:
    before = ["the host reads as off", p.storage]
    if after.stop:
        before.append("what gives way has stopped")
    if earlier:
        before.append(f"{names(machine.id for machine in earlier)} answer")
    keys: list[str] = ["storage"]
    groups = problem.groups
    for group in dict.fromkeys(machine.group for machine in now):
        if group in groups:
            members = groups[group]
            run = sum(member.host not in after.lost for member in members)
            before.append(_quorum(group, run, len(members)))
            keys.append(group)
    checks = [command(p.checks[key]) for key in keys if key in p.checks]
    return PlanStep(
        do=f"Start {', '.join(f'{names([m.id])} on {names([after.start[m.id]])}' for m in now[:8])}"
        + (f" and {many(len(now) - 8, 'more machine')}" if len(now) > 8 else ""),
        before=tuple(before),
        commands=(
            *checks,
            *(
                fill(argv, {"machine": m.id, "host": after.start[m.id], "origin": m.host})
                for m in now
                for argv in p.begin
            ),
        ),
    )


def _quorum(group: str, run: int, members: int) -> str:
    shown = names([group])
    if run >= needed(members):
        return f"{run} of {members} of {shown} run and agree on who leads: what starts joins them, it doesn't lead"
    return f"{shown} lost its quorum ({run} of {members} run): the newest copy of its data is known and starts first"


def revert(p: Host, host: Resource, after: Aftermath) -> tuple[str, ...]:
    """Once the host is back and sound: everything where it was."""
    values = {"host": host.id, "bmc": host.attributes.get("bmc") or f"{host.id}-bmc"}
    origin = {machine.id: machine.host for machine in after.gone}
    return (
        *(fill(argv, values) for argv in p.revert_fencing),
        *(
            fill(argv, {"machine": name, "host": where, "origin": origin[name]})
            for name, where in reversed(list(after.start.items()))
            for argv in p.revert_begin
        ),
        *(
            fill(argv, {"machine": name, "host": host.id, "origin": host.id})
            for name in reversed(after.stop)
            for argv in p.revert_stop
        ),
    )
