"""A lost region: which one takes over, what is lost, and the runbook with what has to be true before each step."""

import math
from collections.abc import Sequence
from datetime import timedelta

from controlplane.failover.regions import Option, options, told_seconds
from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Region
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import (
    CostLine,
    Evidence,
    PlanStep,
    Proposal,
    Rejected,
    Stage,
    Survival,
    total,
)
from controlplane.model.resources import Inventory
from controlplane.model.time import human_duration, to_ms
from controlplane.model.units import many
from controlplane.readiness.loads import newest


def advise(history: History, parameters: Region, inventory: Inventory, prices: PriceBook) -> Proposal:
    """The region that takes over from the alert's region; AdviceError where none can be named."""
    p = parameters
    lost = history.label("region")
    if lost != p.home:
        raise AdviceError(
            f"the rule says who takes over from {printable(p.home, 60)}, and {printable(lost, 60)} is lost, which "
            "serves nobody in normal times. Repair it: it may be what would take over"
        )
    began = to_ms(history.alert.active_at)
    found = options(history.samples, history.alert.platform, p, inventory, history.at_ms, began)
    able = [option for option in found if option.answers is not False]
    if not able:
        names = ", ".join(printable(option.target.region, 60) for option in found)
        raise AdviceError(f"no region is left: {names} don't answer either. Check the view of it before anything else")
    # One that nobody hears of may be gone as well.
    best = next((option for option in able if option.answers), able[0])
    return _proposal(history, p, best, found, prices)


def _proposal(history: History, p: Region, best: Option, found: Sequence[Option], prices: PriceBook) -> Proposal:
    lost, target = printable(p.home, 60), printable(best.target.region, 60)
    down = max(timedelta(0), history.at - history.alert.active_at)
    values = {"lost": p.home, "target": best.target.region, "candidate": best.target.candidate or best.target.region}
    plan = _plan(p, best, values)
    takes = None if best.takes is None else timedelta(seconds=best.takes)
    missing = ", ".join(f"{need.start} {printable(need.tier.name, 60)}" for need in best.needs if need.start)
    return Proposal(
        kind="failover",
        target=f"region {lost}",
        title=f"Move from region {lost} to {target}",
        from_=f"{lost}, which doesn't answer",
        to=target + (f", with {missing} to start" if missing else ""),
        why=f"Region {lost} hasn't answered for {human_duration(down)}. {target} takes over "
        + ("by itself" if best.target.mode == "automatic" else "when somebody decides it")
        + f"; it was {told_seconds(best.lag)} behind when the loss began, which is what would be lost. "
        + ("" if best.answers else f"Whether {target} answers isn't known: {p.up} isn't measured. ")
        + _capacity(best, target),
        inputs=_inputs(p, best, found),
        stages=tuple(
            Stage(
                name=f"{printable(need.tier.name, 60)} {name}",
                value=value,
                reason=reason,
            )
            for need in best.needs
            for name, value, reason in (
                ("raw", need.needed, _needed(best, need.home)),
                ("start", need.start, f"{need.there} are in {target}"),
            )
        ),
        cost=total(_lines(history, p, best, lost, prices), f"Region {lost} serves nobody until it is back"),
        gain=f"the platform serves again from {target}",
        survives=_survives(best, found),
        time_to_effect=takes or best.target.rto_target or p.start,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=tuple(fill(argv, values) for argv in p.revert)
        or (f"# when {lost} has been stable: copy back, then the same steps the other way",),
        evidence=_evidence(history, p, best, down),
        rejected=_rejected(best, found, lost),
    )


def _capacity(best: Option, target: str) -> str:
    if best.after is None:
        return f"Whether {target} carries the load isn't known."
    if math.isinf(best.after):
        return f"{target} has no instances that serve: they have to be started first."
    return f"As it is, {target} would be at {best.after * 100:.4g} %."


def _needed(best: Option, home: int) -> str:
    if best.load is None:
        return f"the load isn't measured, so the {home} of the lost region are replaced one for one"
    return f"a load of {best.load:,.6g} at what each of {home} carries in the lost region"


def _plan(p: Region, best: Option, values: dict[str, str]) -> tuple[PlanStep, ...]:
    lost, target = printable(p.home, 60), printable(best.target.region, 60)
    automatic = best.target.mode == "automatic"
    rpo = best.target.rpo_target
    allowed = "whoever owns the data accepts that loss" if rpo is None else f"it is at most {human_duration(rpo)}, or"
    accepted = allowed if rpo is None else f"{allowed} whoever owns the data accepts the loss"
    scale = PlanStep(
        do=f"Start what is missing in {target}: "
        + ", ".join(f"{need.start} {printable(need.tier.name, 60)}" for need in best.needs if need.start),
        before=(f"quotas and free addresses in {target} allow it",),
        commands=tuple(
            fill(
                argv,
                {
                    **{name: values[name] for name in ("lost", "target")},
                    "tier": need.tier.name,
                    "start": need.start,
                    "total": need.there + need.start,
                },
            )
            for need in best.needs
            if need.start
            for argv in p.scale
        ),
    )
    # An empty region can't take clients; one that is only small takes them first and grows then.
    first = any(need.home and not need.there for need in best.needs)
    steps = [
        PlanStep(
            do=f"Read how far {target} is behind",
            before=(
                f"{lost} doesn't answer from at least two places outside it: it is the region, not our view of it",
                f"{target} answers",
            ),
            commands=_filled(p.read, values),
        ),
        PlanStep(
            do=f"Fence {lost}, so that it takes no writes when it comes back",
            before=("the lag has been read and written down", accepted),
            commands=_filled(p.fence, values),
        ),
        PlanStep(
            do=f"See that {target} took over by itself; promote it by hand where it didn't"
            if automatic
            else f"Promote {target}",
            before=(f"nothing in {lost} takes writes", f"{target} has replayed everything that it received"),
            commands=_filled(p.promote, values),
        ),
        *([scale] if best.start and first else []),
        PlanStep(
            do=f"Lead clients to {target}",
            before=(
                f"{target} takes a write and reads it back",
                *((f"what was started serves, health checks in {target} are green",) if best.start and first else ()),
            ),
            commands=_filled(p.route, values),
        ),
        PlanStep(
            do=f"Verify that {target} serves",
            before=("the old route has expired: wait for its time to live",),
            commands=_filled(p.verify, values),
        ),
        *([scale] if best.start and not first else []),
    ]
    return tuple(steps)


def _filled(commands: Sequence[tuple[str, ...]], values: dict[str, str]) -> tuple[str, ...]:
    return tuple(fill(argv, values) for argv in commands)


def _inputs(p: Region, best: Option, found: Sequence[Option]) -> dict[str, str]:
    told = {"lost region": printable(p.home, 60)}
    for option in found:
        name = printable(option.target.region, 60)
        answers = {True: "answers", False: "doesn't answer", None: "not measured whether it answers"}[option.answers]
        told[name] = (
            f"{option.target.mode}, {answers}, {told_seconds(option.lag)} behind, takes {told_seconds(option.takes)}"
        )
    for need in best.needs:
        told[printable(need.tier.name, 60)] = (
            f"{need.home} in the lost region, {need.there} in the target, {need.needed} needed"
        )
    if best.load is not None and p.load is not None:
        told["load"] = f"{best.load:,.6g} of {p.load.signal} before the loss"
    return told


def _lines(history: History, p: Region, best: Option, lost: str, prices: PriceBook) -> tuple[CostLine, ...]:
    lines = []
    for need in best.needs:
        if need.start:
            things = math.ceil(need.start / need.tier.per - 1e-9)
            item = f"{need.start} × {printable(need.tier.name, 60)} until {lost} is back"
            lines.append(prices.line(need.tier.price, things, item=item, units=THINGS))
    if p.copy_back is not None:
        item = f"Traffic back to {lost}"
        held = newest(
            history.samples,
            history.alert.platform,
            p.copy_back.signal,
            to_ms(history.alert.active_at),
            where=p.copy_back.where,
            fold="sum",
        )
        if held is None:
            lines.append(
                prices.line(None, 1, item=item, note=f"how much isn't known: {p.copy_back.signal} isn't measured")
            )
        else:
            gigabytes = max(0.0, held) / p.copy_back.copies / 1e9
            lines.append(prices.line(p.traffic_price, gigabytes, item=item, units={"USD/GBy"}, once=True))
    return tuple(lines) or (free_line("Nothing to start, nothing to copy"),)


def _survives(best: Option, found: Sequence[Option]) -> tuple[Survival, ...]:
    rest = [option for option in found if option is not best]
    able = [printable(option.target.region, 60) for option in rest if option.answers]
    unknown = [printable(option.target.region, 60) for option in rest if option.answers is None]
    target = printable(best.target.region, 60)
    lag, rpo = best.lag, best.target.rpo_target
    kept = None if lag is None else lag <= (rpo.total_seconds() if rpo is not None else 0.0)
    return (
        Survival(
            loss=f"region {target} as well",
            ok=True if able else None if unknown else False,
            reason=f"{', '.join(able or unknown) or 'nobody'} could take over"
            + ("" if able or not unknown else ", as far as is known"),
        ),
        Survival(
            loss="the data of the lost region",
            ok=kept,
            reason=f"{target} was {told_seconds(lag)} behind"
            + (f"; {human_duration(rpo)} is the objective" if rpo is not None else ""),
        ),
    )


def _evidence(history: History, p: Region, best: Option, down: timedelta) -> tuple[Evidence, ...]:
    target = best.target
    reference = history.reference(*p.reads(), within=down + timedelta(minutes=10))
    labels = {"region": target.region}

    def measured(signal: str, value: float | None, unit: str, verdict: str, limit: str | None = None) -> Evidence:
        return Evidence(
            signal=signal,
            labels=labels,
            value=value,
            unit=unit,
            at=history.at,
            limit=limit,
            verdict=verdict,
            reference=reference,
        )

    up = None if best.answers is None else float(best.answers)
    found = [history.told(), measured(p.up, up, "1", "the target answers" if up else "not measured")]
    if target.lag is not None:
        found.append(measured(target.lag.signal, best.lag, "s", "behind when the loss began"))
    if best.after is not None and math.isfinite(best.after):
        verdict = "carried" if best.after <= 1 else "more than the target can carry as it is"
        found.append(measured("load of the target", best.after, "1", verdict, "> 1"))
    for name, value, objective in (
        ("RPO objective", best.lag, target.rpo_target),
        ("RTO objective", None if best.takes is None else down.total_seconds() + best.takes, target.rto_target),
    ):
        if objective is not None:
            missed = value is not None and value > objective.total_seconds()
            verdict = "unknown" if value is None else "missed" if missed else "met"
            found.append(measured(name, value, "s", verdict, f"> {objective.total_seconds():g}"))
    return tuple(found)


def _rejected(best: Option, found: Sequence[Option], lost: str) -> tuple[Rejected, ...]:
    told = []
    for option in found:
        if option is best:
            continue
        name, chosen = printable(option.target.region, 60), printable(best.target.region, 60)
        if option.answers is False:
            reason = "it doesn't answer either"
        elif best.answers and option.answers is None:
            reason = f"whether it answers isn't known, and {chosen} does"
        else:
            reason = f"{option.target.mode}, {told_seconds(option.lag)} behind; it stands behind {chosen} in the rule"
        told.append(Rejected(option=f"Move to {name}", reason=reason))
    more = many(best.start, "instance")
    told.append(
        Rejected(
            option=f"Wait for {lost}",
            reason="when it comes back isn't known"
            + (f"; {more} can be started meanwhile in any case" if best.start else ""),
        )
    )
    return tuple(told)
