"""Something that has been much too large for long: the cheapest size that carries its peak, and what that saves."""

from datetime import timedelta

from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods.right_size import RightSize
from controlplane.model.money import MONTHS_PER_YEAR, human_money
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Evidence, PlanStep, Proposal, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import many
from controlplane.scaling.right_size_choice import Choice, choose
from controlplane.scaling.right_size_money import freed, lines, rejected
from controlplane.scaling.right_size_peaks import Fleet, read_fleet, refuse_when_busy, shown


def advise(history: History, parameters: RightSize, inventory: Inventory, prices: PriceBook) -> Proposal:
    """A smaller size for the alert's group or host; AdviceError says what isn't known or speaks against it."""
    p = parameters
    fleet = read_fleet(history, p, inventory)
    refuse_when_busy(history, fleet)
    if len(fleet.peers) - 1 < p.quorum:
        raise AdviceError(
            f"while one restarts, {many(len(fleet.peers) - 1, 'member')} of {fleet.shown} serve, and {p.quorum} have "
            "to (parameter quorum)"
        )
    choice = choose(fleet, p, prices)
    count = "" if fleet.count == 1 else f"{fleet.count} × "
    before, after = f"{count}{_printable(choice.before.told())}", f"{count}{_printable(choice.after.told())}"
    takes = p.restart * fleet.count
    commands, revert = _commands(fleet, choice, p)
    cost = total(lines(fleet, choice, p, prices), _do_nothing(fleet, choice, p, prices))
    frees = freed(fleet, choice, p, prices)
    saved = ""
    if cost.per_month is not None and cost.per_month < 0:
        saved = f"{human_money(-cost.per_month)} a month, {human_money(-cost.per_month * MONTHS_PER_YEAR)} a year less"
    elif cost.per_month is None:
        saved = "what it saves isn't known, since prices are missing"
    return Proposal(
        kind="resize",
        target=fleet.target,
        title=f"Make {fleet.target} smaller: {after}",
        from_=before,
        to=after,
        why=_why(history, fleet, choice, p),
        inputs=_inputs(fleet, choice, p),
        stages=choice.stages,
        cost=cost,
        gain="; ".join(part for part in (saved, frees) if part),
        survives=_survives(fleet, choice, p),
        time_to_effect=max(takes, timedelta(hours=1)),
        commands=commands,
        plan=_plan(fleet, choice, p, commands),
        revert=revert,
        evidence=_evidence(history, fleet, p),
        rejected=rejected(fleet, choice, p, prices),
    )


def _printable(text: str) -> str:
    return printable(text, 200)


def _after(fleet: Fleet, choice: Choice, part: str, factor: float = 1.0) -> float | None:
    used = next((one for one in fleet.used if one.part == part), None)
    size = None if used is None else choice.after.holds.get(used.part, used.capacity)
    return None if used is None or not size else used.amount * factor / size


def _why(history: History, fleet: Fleet, choice: Choice, p: RightSize) -> str:
    peaks = "; ".join(
        f"{used.part} {used.peak * 100:.1f} % → {(_after(fleet, choice, used.part) or 0) * 100:.1f} %"
        for used in fleet.used
    )
    lasts = human_duration(max(timedelta(0), history.at - history.alert.active_at))
    whose = "of the busiest member " if fleet.count > 1 else ""
    return (
        f"{fleet.target} has been idle for {lasts}. Peaks {whose}in the last {format_duration(p.lookback)}, now and "
        f"with the new size: {peaks}."
    )


def _inputs(fleet: Fleet, choice: Choice, p: RightSize) -> dict[str, str]:
    told = {"members": many(fleet.count, "machine")}
    for used in fleet.used:
        told[f"{used.part} there is"] = shown(used.part, used.capacity)
        told[f"{used.part} p95, p99, peak"] = (
            f"{used.p95 * 100:.1f} %, {used.p99 * 100:.1f} %, {used.peak * 100:.1f} % ({used.signal})"
        )
        told[f"{used.part} with the new size"] = shown(used.part, choice.after.holds.get(used.part, used.capacity))
        told[f"{used.part} limit"] = f"{p.limit(used.part) * 100:g} % after the change"
    told["known"] = f"{format_duration(p.minimum_history)} at least, {p.minimum_known * 100:g} % of it"
    if p.keeps:
        told["stays as it is"] = ", ".join(p.keeps)
    zones = fleet.zones
    if zones:
        told["zones"] = ", ".join(f"{printable(zone, 40)} {count}" for zone, count in zones.items())
    return told


def _survives(fleet: Fleet, choice: Choice, p: RightSize) -> tuple[Survival, ...]:
    found = []
    peers = len(fleet.peers)
    cases = [("one host", 1)]
    zones = fleet.zones
    if len(zones) > 1:
        cases.insert(0, (f"one of {len(zones)} zones", max(zones.values())))
    for loss, lost in cases:
        left = peers - lost
        if left <= 0:
            reason = "nothing takes over what one machine does; that is so with any size"
            found.append(Survival(loss=loss, ok=False, reason=reason))
            continue
        shares = {used.part: _after(fleet, choice, used.part, fleet.carried(used.part, p, lost)) for used in fleet.used}
        told = ", ".join(f"{part} {(share or 0) * 100:.0f} %" for part, share in shares.items())
        ok = all((share or 0) <= 1 + 1e-9 for share in shares.values())
        found.append(Survival(loss=loss, ok=ok, reason=f"{left} of {peers} carry the peak: {told}"))
    if len(zones) <= 1 and peers > 1:
        reason = "the zones aren't in the inventory" if not zones else "all of them stand in one zone, as before"
        found.append(Survival(loss="one zone", ok=False if zones else None, reason=reason))
    reason = f"{peers - 1} of {peers} serve while one restarts; {p.quorum} have to. Number and places stay the same"
    found.append(Survival(loss="the one that restarts", ok=peers - 1 >= p.quorum and peers > 1, reason=reason))
    return tuple(found)


def _commands(fleet: Fleet, choice: Choice, p: RightSize) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What changes the size, and what changes it back."""
    gib = 2**30
    cores, memory = (fleet.has("cores") or 0, fleet.has("memory") or 0)
    values: dict[str, str | int] = {
        "target": fleet.name,
        "size": choice.after.name,
        "size_before": choice.before.name,
        "count": fleet.count,
        "cores": round(choice.after.holds.get("cores", cores)),
        "cores_before": round(cores),
        "memory_gb": round(choice.after.holds.get("memory", memory) / 1e9),
        "memory_gb_before": round(memory / 1e9),
        "memory_gib": round(choice.after.holds.get("memory", memory) / gib),
        "memory_gib_before": round(memory / gib),
    }
    before, after = _printable(choice.before.told()), _printable(choice.after.told())
    by_hand = f"# change {fleet.target} from {before} to {after}, one machine at a time"
    back = f"# change {fleet.target} back from {after} to {before}, one machine at a time"
    return (
        tuple(fill(argv, values) for argv in p.commands) or (by_hand,),
        tuple(fill(argv, values) for argv in p.revert) or (back,),
    )


def _plan(fleet: Fleet, choice: Choice, p: RightSize, commands: tuple[str, ...]) -> tuple[PlanStep, ...]:
    after = _printable(choice.after.told())
    serve = (
        f"{many(len(fleet.peers), 'member')} serve and copies are in sync"
        if len(fleet.peers) > 1
        else "the outage of a restart is announced"
    )
    return (
        PlanStep(
            do=f"Look at {fleet.shown} again",
            before=(
                "nothing else fires on it",
                f"the peaks of the last hour are below those of the advice: {_peaks(fleet)}",
                "no busy season, launch or migration is near that the last day hasn't seen",
            ),
        ),
        PlanStep(
            do=f"Change the size to {after}" + (", one machine at a time" if fleet.count > 1 else ""),
            before=(serve, "limits that are set by hand (heap, maxmemory, containers) fit into the new size"),
            commands=commands,
        ),
        PlanStep(
            do=f"Watch a full day; revert where memory passes {p.limit('memory') * 100:g} %",
            before=(f"{many(fleet.count, 'machine')} of {fleet.shown} serve with the new size",),
        ),
    )


def _peaks(fleet: Fleet) -> str:
    return ", ".join(f"{used.part} {used.peak * 100:.1f} %" for used in fleet.used)


def _evidence(history: History, fleet: Fleet, p: RightSize) -> tuple[Evidence, ...]:
    label = "group" if fleet.group else "host"
    return (
        history.told(),
        *(
            Evidence(
                signal=used.signal,
                labels={label: fleet.name},
                value=used.peak,
                unit="1",
                at=history.at,
                limit=f"> {p.limit(used.part):g}",
                verdict=f"peak of {format_duration(p.lookback)}, {shown(used.part, used.amount)}; "
                f"p99 {used.p99 * 100:.1f} %, p95 {used.p95 * 100:.1f} %",
                reference=used.reference,
            )
            for used in fleet.used
        ),
    )


def _do_nothing(fleet: Fleet, choice: Choice, p: RightSize, prices: PriceBook) -> str:
    month = total(lines(fleet, choice, p, prices), "").per_month
    if month is None:
        return "The part that isn't used stays paid for; how much that is isn't known, since prices are missing"
    if not month:
        return "Nothing is billed for it; what isn't used can't be given to anything else"
    return f"{human_money(-month)} a month, {human_money(-month * MONTHS_PER_YEAR)} a year are paid for what isn't used"
