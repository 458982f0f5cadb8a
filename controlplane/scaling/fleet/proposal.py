"""What is told of a fleet's new size: why, what it costs, what it survives, how to do it and what else there was."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from controlplane.history import History
from controlplane.model.commands import Argv, fill
from controlplane.model.labels import printable
from controlplane.model.methods import Fleet
from controlplane.model.methods.fleet import Alternative, Direction, StepRow
from controlplane.model.money import human_money
from controlplane.model.prices import PriceBook, free_line
from controlplane.model.recommendations import Cost, Evidence, PlanStep, Proposal, total
from controlplane.model.time import format_duration
from controlplane.model.units import human, many
from controlplane.scaling.fleet.asks import Ask, told
from controlplane.scaling.fleet.layout import Layout
from controlplane.scaling.fleet.members import Members, lost_kept
from controlplane.scaling.fleet.options import price_of, rejected
from controlplane.scaling.fleet.readings import Reader, Reading
from controlplane.scaling.fleet.stages import Sized
from controlplane.scaling.fleet.survival import survives


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that a proposal is written from."""

    history: History
    parameters: Fleet
    members: Members
    readings: tuple[Reading, ...]
    reader: Reader
    sized: Sized
    layout: Layout
    free: int | None
    """Free addresses, where they limit the size."""
    others: tuple[tuple[Alternative, list[Ask]], ...]


def propose(decision: Decision, prices: PriceBook) -> Proposal:
    """The proposal; one that can't grow says what stands in the way."""
    d, p, members = decision, decision.parameters, decision.members
    before, after = d.sized.before, d.sized.count
    kind: Literal["scale_out", "scale_in", "investigate"] = (
        "scale_out" if after > before else "scale_in" if after < before else "investigate"
    )
    change = abs(after - before)
    noun = many(change, p.noun)
    names = {
        "scale_out": f"Add {noun} to {members.shown}",
        "scale_in": f"Take {noun} from {members.shown}",
        "investigate": f"Group {members.shown} can't grow",
    }
    direction = p.scale_out if kind == "scale_out" or p.scale_in is None else p.scale_in
    commands, revert = _commands(d, direction)
    return Proposal(
        kind=kind,
        target=members.target,
        title=names[kind],
        from_=many(before, p.noun),
        to=f"{many(after, p.noun)} ({d.layout.told})" if d.layout.zones else many(after, p.noun),
        why=_why(d),
        inputs=_inputs(d),
        stages=d.sized.stages,
        cost=_cost(d, prices),
        gain=_gain(d),
        survives=survives(members, d.readings, d.layout, after, p),
        time_to_effect=p.time_to_effect if change else timedelta(0),
        commands=commands,
        plan=_plan(names[kind], direction, commands) if change else (),
        revert=revert,
        evidence=_evidence(d),
        rejected=rejected(p, members, d.sized, d.readings, d.others, prices),
    )


def _why(d: Decision) -> str:
    p, members = d.parameters, d.members
    text = f"{d.sized.first.formula}, so {many(d.sized.wanted, p.noun)} of {d.sized.before}"
    if d.sized.limit and d.sized.count != d.sized.wanted:
        text += f"; {d.sized.limit} makes it {d.sized.count}"
    text += "."
    if members.lost:
        zones = ", ".join(printable(zone, 60) for zone in members.lost)
        text += f" Zone {zones} is lost with {many(members.gone, p.noun)}; nothing is started there."
        kept = lost_kept(members, p.scale_out)
        if kept and d.sized.count > d.sized.before:
            text += f" They stay in the group, whose size goes from {d.sized.before + kept} to {d.sized.count + kept}."
    if members.silent:
        text += f" Without an answer elsewhere: {many(members.unready, p.noun)}, counted as idle."
    blind = [reading.metric.signal for reading in d.readings if not reading.known]
    if blind:
        text += f" Without data: {', '.join(dict.fromkeys(blind))}."
    return text


def _inputs(d: Decision) -> dict[str, str]:
    p, members, layout = d.parameters, d.members, d.layout
    inputs = {
        "members": f"{many(members.count, p.noun)} with role {printable(members.role, 60)}"
        + (f", {members.unready} of them silent" if members.unready else "")
        + (f", {members.gone} more in lost zones" if members.gone else ""),
    }
    for reading in d.readings:
        metric = reading.metric
        name = metric.signal
        if isinstance(metric, StepRow):
            sign, limit = ("above", metric.above) if metric.above is not None else ("below", metric.below)
            name += f" {sign} {human(limit, metric.unit)}"
        if not reading.known:
            inputs[name] = "no data"
        elif metric.each:
            lacking = f", {reading.missing} without" if reading.missing else ""
            inputs[name] = f"{human(reading.mean, metric.unit)} on average of {reading.known}{lacking}"
        else:
            inputs[name] = human(reading.total, metric.unit)
    inputs["unit"] = f"{p.unit} ({p.unit_name})" if p.unit_name else many(p.unit, p.noun)
    inputs["by zone now"] = Layout(members.zones, (), ()).told
    inputs["by zone after"] = layout.told
    if layout.groups:
        shown = ", ".join(printable(group, 80) for group in layout.groups[:6])
        inputs["placement groups"] = shown + (f" and {len(layout.groups) - 6} more" if len(layout.groups) > 6 else "")
    if p.addresses is not None:
        inputs["free addresses"] = "not known" if d.free is None else f"{d.free:,}"
    if members.changes:
        last = members.changes[-1]
        state = "approved" if last.approved else "executed"
        inputs["last change"] = f"{last.before} → {last.after}, {state} {told(last.at_ms)}"
    return inputs


def _gain(d: Decision) -> str:
    p, before, after = d.parameters, d.sized.before, d.sized.count
    shares = dict.fromkeys(
        f"{reading.metric.signal} {human(reading.mean, reading.metric.unit)} → "
        f"{human(reading.mean * before / after, reading.metric.unit)}"
        for reading in d.readings
        if reading.known
    )
    size = f"{before} → {many(after, p.noun)}" if after != before else "No capacity is added"
    return f"{size}; a member's {', '.join(shares)}"


def _cost(d: Decision, prices: PriceBook) -> Cost:
    p, change = d.parameters, d.sized.count - d.sized.before
    if not change:
        return total((free_line("No change of size"),), _do_nothing(d, None))
    each = (
        (price_of(d.members, p), Decimal(1), ""),
        *((extra.price, Decimal(repr(extra.quantity)), f"{extra.price} of ") for extra in p.extras),
    )
    noun = many(abs(change), p.noun)
    lines = tuple(
        free_line(f"{what}{noun} free for something else", "bought once, so nothing is saved")
        if change < 0 and prices.once(price)
        else prices.line(
            price, quantity * change, item=f"{what}{'+' if change > 0 else '−'}{noun} of {d.members.shown}"
        )
        for price, quantity, what in each
    )
    return total(lines, _do_nothing(d, total(lines, "").per_month))


def _do_nothing(d: Decision, saved: Decimal | None) -> str:
    if d.sized.count < d.sized.before:
        spare = f"{many(d.sized.before - d.sized.count, d.parameters.noun)} too many"
        if saved == 0:
            return f"{spare} could do something else"
        return f"{spare} cost {'an unknown amount' if saved is None else human_money(-saved)} a month"
    reading = d.sized.first.reading
    state = f"{reading.metric.signal} stays at {human(reading.mean, reading.metric.unit)} a member or grows"
    return f"{state}; a peak or the loss of a zone finds no reserve"


def _commands(d: Decision, direction: Direction) -> tuple[tuple[str, ...], tuple[str, ...]]:
    p, members = d.parameters, d.members
    if d.sized.count == d.sized.before:
        reads = fill(p.inspect, {"fleet": members.name, "role": members.role})
        return (reads,), ("# nothing to revert: the command only reads",)
    values: dict[str, str | int | Sequence[str]] = {
        "fleet": members.name,
        "role": members.role,
        "change": abs(d.sized.count - d.sized.before),
        "zones": sorted(d.layout.zones),
        "lost": members.lost,
    }

    def filled(argv: Argv) -> str:
        kept = members.kept(argv)
        return fill(argv, {**values, "before": d.sized.before + kept, "total": d.sized.count + kept})

    made: list[str] = []
    if p.placement_groups is not None:
        made = [_create(p.placement_groups.command, group) for group in d.layout.new]
    return (*made, *map(filled, direction.commands)), tuple(map(filled, direction.revert))


def _plan(title: str, direction: Direction, commands: tuple[str, ...]) -> tuple[PlanStep, ...]:
    return (PlanStep(do=title, before=direction.before, commands=commands),) if direction.before else ()


def _create(argv: Argv, group: str) -> str:
    return fill(argv, {"group": group})


def _evidence(d: Decision) -> tuple[Evidence, ...]:
    history, members = d.history, d.members
    signals = {reading.metric.signal: reading.metric for reading in d.readings}
    references = {signal: d.reader.reference(metric) for signal, metric in signals.items()}
    found = [history.told()]
    for reading in d.readings:
        metric = reading.metric
        limit: str | None = None
        if isinstance(metric, StepRow):
            limit = f"> {metric.above:g}" if metric.above is not None else f"< {metric.below:g}"
            verdict = "beyond" if reading.beyond(metric, history.at_ms) else "not beyond"
            verdict += f" for {format_duration(metric.for_)}"
        else:
            limit = f"> {metric.goal:g}"
            verdict = "above what a member shall carry" if reading.mean > metric.goal else "within it"
        found.append(
            Evidence(
                signal=metric.signal,
                labels={"fleet": members.name},
                value=reading.mean if reading.known else None,
                unit=metric.unit,
                at=history.at,
                limit=limit,
                verdict=verdict if reading.known else "no data",
                reference=references[metric.signal],
            )
        )
    return tuple(found)
