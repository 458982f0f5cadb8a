"""A service that one node at a time provides: who has it, who may take it over, and in which order."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.history import History, last, ms
from controlplane.model.commands import command, fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import ActiveStandby
from controlplane.model.prices import PriceBook, free_line
from controlplane.model.recommendations import Evidence, PlanStep, Proposal, Rejected, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, from_ms, human_duration


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the service at an instant; None = not known."""

    name: str
    active: bool
    """Whether it was the last time that it said."""
    active_ms: int
    """When it last said that it provides the service, 0 = never."""
    up: bool | None
    synchronous: bool | None
    seen_ms: int

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.name, 60)

    @property
    def serves(self) -> bool:
        """Whether it provides the service now."""
        return self.active and self.up is True

    @property
    def eligible(self) -> bool:
        """Whether it may take over: it answers, and all of its data is current."""
        return self.up is True and self.synchronous is True

    def why_not(self) -> str:
        """What keeps it from taking over."""
        if self.up is not True:
            return f"{self.shown} {'is no member' if self.up is False else 'is not heard of'}"
        return f"{self.shown}'s data is {'not current' if self.synchronous is False else 'of unknown age'}"


def advise(history: History, parameters: ActiveStandby, inventory: Inventory, prices: PriceBook) -> Proposal:  # noqa: ARG001 - every method is asked alike
    """Who takes over the alert's service, with the ordered runbook; AdviceError where nobody may."""
    p, service = parameters, history.label(parameters.label)
    nodes = _nodes(history, p, inventory)
    serving = [node for node in nodes if node.serves]
    if serving:
        return _stands(history, p, service, nodes, serving)
    lost = max(nodes, key=lambda node: (node.active_ms, node.name))
    if not lost.active_ms:
        raise AdviceError(
            f"no node has provided {printable(service, 60)} within the last {format_duration(p.lookback)}, so which "
            f"one was lost isn't known ({p.active} is 0 everywhere)"
        )
    eligible = [node for node in nodes if node.eligible and node.name != lost.name]
    if not eligible:
        reasons = "; ".join(node.why_not() for node in nodes if node.name != lost.name) or "there is no other node"
        raise AdviceError(
            f"nobody may take over {printable(service, 60)} from {lost.shown}: {reasons}. Bring {lost.shown} back, or "
            "decide by hand whose data is the newest"
        )
    return _take_over(history, p, service, nodes, lost, eligible)


def _nodes(history: History, p: ActiveStandby, inventory: Inventory) -> tuple[Node, ...]:
    def newest(signal: str) -> dict[str, tuple[int, float]]:
        rows = last(history.of(signal, p.by, fold="max"), p.by)
        return {name: (ts, value) for name, ts, value in rows.iter_rows()}

    active, up, synchronous = (newest(signal) for signal in (p.active, p.up, p.synchronous))
    said = history.of(p.active, p.by, fold="max").filter(pl.col("value") == 1)
    provided = {name: ts for name, ts, _ in last(said, p.by).iter_rows()}
    fresh = history.at_ms - ms(p.reachable_within)

    def state(rows: dict[str, tuple[int, float]], name: str) -> bool | None:
        ts, value = rows.get(name, (0, 0.0))
        return None if ts <= fresh else value == 1

    stated = [] if p.role is None else [one.id for one in inventory.of(history.alert.platform, role=p.role)]
    names = sorted({*active, *up, *synchronous, *stated} - {""})
    if not names:
        raise history.missing(p.up, "the nodes of the service")
    return tuple(
        Node(
            name=name,
            active=state(active, name) is True,
            active_ms=provided.get(name, 0),
            up=state(up, name),
            synchronous=state(synchronous, name),
            seen_ms=max(rows.get(name, (0, 0.0))[0] for rows in (active, up, synchronous)),
        )
        for name in names
    )


def _take_over(
    history: History, p: ActiveStandby, service: str, nodes: tuple[Node, ...], lost: Node, eligible: list[Node]
) -> Proposal:
    candidate = eligible[0]
    shown = printable(service, 60)
    down = max(timedelta(0), history.at - history.alert.active_at)
    values = {"service": service, "lost": lost.name, "candidate": candidate.name, "address": p.address}
    fencing = _fencing(history, p)
    plan = _plan(p, values, lost, candidate, shown, fencing)
    detect = p.unhealthy_after * p.check_interval + p.check_timeout
    others = [node for node in nodes if node.eligible and node.name not in {lost.name, candidate.name}]
    return Proposal(
        kind="failover",
        target=f"file service {shown}",
        title=f"{candidate.shown} takes over {shown} from {lost.shown}",
        from_=f"{shown} on {lost.shown}, last seen to provide it at {from_ms(lost.active_ms):%H:%M:%S} UTC",
        to=f"{shown} on {candidate.shown}, at {printable(p.address, 60)}",
        why=f"No node provides {shown}; {lost.shown} was the last one that did. {candidate.shown} is a member and "
        "all of its data is current, so nothing that was acknowledged is lost. The cluster should have moved it"
        + (f" within {human_duration(p.rto_target)}" if p.rto_target else "")
        + f" and hasn't for {human_duration(down)}: mostly because {lost.shown} couldn't be fenced.",
        inputs=_inputs(p, nodes, down, detect, fencing),
        cost=total(
            (free_line("No machine is added"),), f"Every process that touches a mount of {shown} hangs until then"
        ),
        gain=f"{shown} answers again about {human_duration(p.time_to_effect)} from now; locks after another "
        f"{human_duration(p.grace)}",
        survives=(
            Survival(
                loss=candidate.shown,
                ok=bool(others),
                reason=f"{others[0].shown} is ready"
                if others
                else f"nobody is left until {lost.shown} is back in sync",
            ),
            Survival(loss="data", ok=True, reason=f"{candidate.shown} had every acknowledged write: RPO 0"),
        ),
        time_to_effect=p.time_to_effect,
        commands=tuple(text for step in plan for text in step.commands),
        plan=plan,
        revert=tuple(_on(candidate.name, argv, values) for argv in p.revert)
        or (f"# move {shown} back when {lost.shown} is in sync again",),
        evidence=_evidence(history, p, nodes, down),
        rejected=(
            Rejected(
                option=f"Start {shown} on {candidate.shown} without fencing", reason="both would write: data is lost"
            ),
            Rejected(option="Restart the clients that hang", reason="what they haven't written yet would be lost"),
            Rejected(option=f"Wait for {lost.shown}", reason="when it comes back isn't known"),
            *(
                Rejected(option=f"{node.shown} takes over", reason="ready too, later in name order")
                for node in eligible[1:]
            ),
        ),
    )


def _on(host: str, argv: tuple[str, ...], values: dict[str, str]) -> str:
    """A command on another machine, quoted for its shell and for the one here."""
    return command(["ssh", "--", host, fill(argv, values)])


def _plan(
    p: ActiveStandby, values: dict[str, str], lost: Node, candidate: Node, shown: str, fencing: bool | None
) -> tuple[PlanStep, ...]:
    def there(commands: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
        return tuple(_on(candidate.name, argv, values) for argv in commands)

    looks = tuple(
        command(["ssh", "--", client, command(["timeout", "5", "stat", "-f", "--", mount])])
        for mount, client in p.mounts.items()
    )
    off = {True: "fencing is enabled", False: "fencing is off: cut the power by hand", None: "fencing is enabled"}[
        fencing
    ]
    answers = f"{p.healthy_after} checks in a row, {p.check_interval.total_seconds():g} s apart, succeed"
    return (
        PlanStep(do=f"Look who provides {shown} now", commands=there(p.look_commands)),
        PlanStep(
            do=f"Fence {lost.shown}",
            before=(f"neither {lost.shown} nor {candidate.shown} provides {shown}", off),
            commands=there(p.fence_commands),
        ),
        PlanStep(
            do=f"Start {shown} on {candidate.shown}",
            before=(
                f"{lost.shown} is off: the cluster says so, or somebody stands in front of it",
                f"the data of {candidate.shown} is still current",
            ),
            commands=(*there(p.fenced_commands), *there(p.take_over_commands)),
        ),
        PlanStep(
            do=f"See that {printable(p.address, 60)} answers",
            before=(f"{candidate.shown} has mounted the file systems and exports them",),
            commands=tuple(fill(argv, values) for argv in p.answer_commands),
        ),
        PlanStep(
            do="Look at each mount from a client",
            before=(answers, f"the grace period of {human_duration(p.grace)} is over: until then locks wait"),
            commands=looks,
        ),
    )


def _stands(history: History, p: ActiveStandby, service: str, nodes: tuple[Node, ...], serving: list[Node]) -> Proposal:
    """A node provides the service, or two do: nothing is moved."""
    shown, first = printable(service, 60), serving[0]
    values = {"service": service, "lost": first.name, "candidate": first.name, "address": p.address}
    down = max(timedelta(0), history.at - history.alert.active_at)
    names = " and ".join(node.shown for node in serving)
    both = len(serving) > 1
    looks = (
        *(_on(first.name, argv, values) for argv in p.look_commands),
        *(fill(argv, values) for argv in p.answer_commands),
    )
    why = (
        f"{names} both say that they provide {shown}. Whichever is wrong may write to the same data: stop the one "
        "without the address by hand, and compare the data before anything else."
        if both
        else f"{names} provides {shown} and is a member. What doesn't answer is the way to it: the address, the "
        "switches' tables, or the service itself while it starts."
    )
    return Proposal(
        kind="investigate",
        target=f"file service {shown}",
        title=f"{names} {'both provide' if both else 'provides'} {shown}",
        from_=f"{shown} on {names}",
        to="one node that provides it" if both else "no change of the node",
        why=why,
        inputs=_inputs(p, nodes, down, p.unhealthy_after * p.check_interval + p.check_timeout, _fencing(history, p)),
        cost=total((free_line("Nothing is changed"),), "Clients hang until it answers"),
        gain="The cause is found before anything is moved",
        survives=(
            Survival(
                loss=first.shown,
                ok=any(node.eligible and not node.serves for node in nodes) and not both,
                reason="; ".join(
                    f"{node.shown} is ready" if node.eligible else node.why_not() for node in nodes if node is not first
                )
                or "there is no other node",
            ),
        ),
        time_to_effect=timedelta(0),
        commands=looks or ("# look at the cluster of the service",),
        revert=("# nothing to revert: the commands only read",),
        evidence=_evidence(history, p, nodes, down),
        rejected=(
            Rejected(option="Move it to the other node", reason="a node that provides it would be stopped first"),
        ),
    )


def _fencing(history: History, p: ActiveStandby) -> bool | None:
    if p.fencing is None:
        return None
    value = history.newest(p.fencing, fold="max", within=p.lookback)
    return None if value is None else value == 1


def _inputs(
    p: ActiveStandby, nodes: tuple[Node, ...], down: timedelta, detect: timedelta, fencing: bool | None
) -> dict[str, str]:
    def word(value: bool | None, yes: str, no: str) -> str:
        return "unknown" if value is None else yes if value else no

    told = {
        node.shown: f"{word(node.up, 'member', 'no member')}, data "
        f"{word(node.synchronous, 'current', 'not current')}"
        + (
            ", provides it"
            if node.serves
            else f", provided it until {from_ms(node.active_ms):%H:%M:%S} UTC"
            if node.active_ms
            else ""
        )
        for node in nodes
    }
    told["away for"] = human_duration(down)
    told["fencing"] = word(fencing, "enabled", "off")
    told["health checks"] = (
        f"every {format_duration(p.check_interval)}, {p.unhealthy_after} failures in a row: seen as away after "
        f"{human_duration(detect)} at most"
    )
    if p.rto_target is not None:
        late = " (the checks alone take longer)" if detect > p.rto_target else ""
        told["objective of an automatic failover"] = f"{human_duration(p.rto_target)}{late}"
    return told


def _evidence(history: History, p: ActiveStandby, nodes: tuple[Node, ...], down: timedelta) -> tuple[Evidence, ...]:
    reference = history.reference(*p.reads())
    found = [history.told()]
    for node in nodes:
        for signal, value, verdict in (
            (p.up, node.up, "member"),
            (p.synchronous, node.synchronous, "all data current"),
        ):
            found.append(
                Evidence(
                    signal=signal,
                    labels={p.by: node.name},
                    value=None if value is None else float(value),
                    unit="1",
                    at=from_ms(node.seen_ms) if node.seen_ms else history.at,
                    verdict="not heard of" if value is None else verdict if value else f"not: {verdict}",
                    reference=reference,
                )
            )
    if p.rto_target is not None:
        limit = p.rto_target.total_seconds()
        found.append(
            Evidence(
                signal="RTO objective",
                value=down.total_seconds(),
                unit="s",
                at=history.at,
                limit=f"> {limit:g}",
                verdict="missed" if down.total_seconds() > limit else "met so far",
                reference="time since the alert's condition began",
            )
        )
    return tuple(found)
