"""A lost zone: what the surviving ones carry, and how many instances to start there."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from controlplane.failover.fleet import UP, ZONE_UP, Fleet, Losses, Start, fleets, losses, start
from controlplane.history import FRESH, History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Zone
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, PlanStep, Proposal, Rejected, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import many

Plan = tuple[tuple[Fleet, Start], ...]


def advise(history: History, parameters: Zone, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Instances to start in the surviving zones after the alert's zone is lost; AdviceError says what is missing."""
    p = parameters
    zone = history.label("zone")
    shown = printable(zone, 60)
    instances = tuple(
        resource
        for resource in inventory.of(history.alert.platform)
        if resource.kind in p.kinds and resource.zone and (not p.roles or resource.role in p.roles)
    )
    there = [resource for resource in instances if resource.zone == zone]
    if not there:
        raise AdviceError(
            f"the inventory has no {' or '.join(p.kinds)} in zone {shown}"
            + (f" with role {' or '.join(p.roles)}" if p.roles else "")
            + ", so what was lost isn't known"
        )
    loss = losses(history, zone, instances)
    if not loss.left:
        raise AdviceError(
            f"no zone survives: all instances of the inventory are in {_zones(loss.lost)}, and nothing there answers. "
            "This is for another region or a restore"
        )
    found = fleets(history, p, instances, loss)
    if not any(fleet.loads for fleet in found):
        signals = ", ".join(load.signal for load in p.loads)
        raise AdviceError(
            f"the load before the loss isn't known: {signals} has samples of fewer than {p.minimum_known * 100:g} % of "
            f"the instances in the 5 minutes before {history.alert.active_at:%H:%M:%S} UTC (or their capacity isn't in "
            "the inventory), so how many instances the rest takes can't be computed"
        )
    plan = tuple((fleet, start(fleet, p)) for fleet in found)
    return _proposal(history, p, shown, loss, plan, prices)


def _proposal(history: History, p: Zone, shown: str, loss: Losses, plan: Plan, prices: PriceBook) -> Proposal:
    down = max(timedelta(0), history.at - history.alert.active_at)
    gone = sum(len(fleet.gone) for fleet, _ in plan)
    before = sum(len(fleet.before) for fleet, _ in plan)
    more = sum(begun.count for _, begun in plan)
    left = _zones(loss.left)
    where = "; ".join(
        f"{begun.count} {_role(fleet)} ("
        + ", ".join(f"{printable(zone, 60)} +{count}" for zone, count in begun.zones.items() if count)
        + ")"
        for fleet, begun in plan
        if begun.count
    )
    survivors = "; ".join(_told(fleet, begun) for fleet, begun in plan)
    return Proposal(
        kind="failover",
        target=f"zone {shown}",
        title=f"Carry the load of zone {shown} in {len(loss.left)} surviving zones",
        from_=f"{before - gone} of {many(before, 'instance')} outside zone {shown}",
        to=f"start {where}" if more else f"no instance to start: {left} carry the load",
        why=f"Zone {shown} is lost with {gone} of {many(before, 'instance')}. {survivors}. "
        f"The limit for the survivors is {p.limit * 100:g} %.",
        inputs=_inputs(p, loss, plan),
        stages=tuple(stage for _, begun in plan for stage in begun.stages),
        cost=total(_lines(plan, prices), _do_nothing(plan, shown)),
        gain="; ".join(_gain(fleet, begun) for fleet, begun in plan),
        survives=_survives(p, plan),
        time_to_effect=p.time_to_effect,
        commands=_commands(p.commands, loss, plan),
        plan=_steps(p, shown, loss, plan),
        revert=_commands(p.revert, loss, plan),
        evidence=_evidence(history, p, plan, down),
        rejected=_rejected(p, shown, plan),
    )


def _zones(zones: Iterable[str]) -> str:
    return ", ".join(printable(zone, 60) for zone in sorted(zones))


def _role(fleet: Fleet) -> str:
    return printable(fleet.role, 60) or "instances"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share * 100:.0f} %"


def _told(fleet: Fleet, begun: Start) -> str:
    used = fleet.carried(fleet.survivors)
    load = f", {_percent(used)} of their capacity" if used is not None else ""
    return (
        f"{_role(fleet)}: {fleet.survivors} of {len(fleet.before)} serve"
        + (f" and carry all of the load{load}" if used is not None else "")
        + (f"; {len(fleet.down)} elsewhere don't answer and stay in the group" if fleet.down else "")
        + (f"; {begun.limited} holds the number" if begun.limited else "")
    )


def _gain(fleet: Fleet, begun: Start) -> str:
    total_after = fleet.survivors + begun.count
    return (
        f"{_role(fleet)} {fleet.survivors} → {total_after} instances, utilisation "
        f"{_percent(fleet.carried(fleet.survivors))} → {_percent(fleet.carried(total_after))}"
    )


def _inputs(p: Zone, loss: Losses, plan: Plan) -> dict[str, str]:
    told = {
        "limit": f"{p.limit * 100:g} % of the surviving instances",
        "lost zones": _zones(loss.lost),
        "surviving zones": _zones(loss.left),
    }
    for fleet, begun in plan:
        name = _role(fleet)
        told[f"{name} before, lost, serving"] = (
            f"{len(fleet.before)}, {len(fleet.gone)}, {many(fleet.survivors, 'instance')}"
            + (f" ({len(fleet.down)} elsewhere don't answer)" if fleet.down else "")
        )
        for load in fleet.loads:
            told[f"{name} {load.signal}"] = f"{load.mean * 100:.1f} % on average of {load.known} instances before"
        told[f"{name} unit"] = f"{p.units.get(fleet.role, p.unit)} instances"
        told[f"{name} by zone after"] = ", ".join(
            f"{printable(zone, 60)} {have + begun.zones[zone]}" for zone, have in fleet.serving.items()
        )
    if p.rto_target is not None:
        told["RTO objective"] = human_duration(p.rto_target)
    return told


def _price(resources: tuple[Resource, ...]) -> str | None:
    """The price that most of them have; ties in name order."""
    prices = Counter(resource.price for resource in resources if resource.price)
    return min(prices, key=lambda price: (-prices[price], price)) if prices else None


def _lines(plan: Plan, prices: PriceBook) -> tuple[CostLine, ...]:
    lines = []
    for fleet, begun in plan:
        if not begun.count:
            lines.append(free_line(f"No {_role(fleet)} to start"))
            continue
        price_id = _price(fleet.gone) or _price(fleet.before)
        price = prices.get(price_id)
        hourly = None if price is None or price.unit != "USD/h" or price.amount is None else price.amount * begun.count
        lines.append(
            prices.line(
                price_id,
                begun.count,
                item=f"{begun.count} × {_role(fleet)} until the zone is back",
                note="" if hourly is None else f"{human_money(hourly)} an hour",
                units=THINGS,
            )
        )
    return tuple(lines)


def _do_nothing(plan: Plan, shown: str) -> str:
    told = []
    for fleet, _ in plan:
        used = fleet.carried(fleet.survivors)
        if not fleet.survivors:
            told.append(f"{_role(fleet)}: none serves")
        elif used is not None and used > 1:
            told.append(f"{_role(fleet)}: {_percent(used)} of what is left, so a part of the load fails")
        else:
            told.append(f"{_role(fleet)}: the survivors are at {_percent(used)}")
    return f"{'; '.join(told)}; no reserve for another loss until zone {shown} is back"


def _survives(p: Zone, plan: Plan) -> tuple[Survival, ...]:
    found = []
    for fleet, begun in plan:
        name = _role(fleet)
        sizes = {zone: have + begun.zones[zone] for zone, have in fleet.serving.items()}
        after = sum(sizes.values())
        for loss, rest in ((f"one more zone ({name})", after - max(sizes.values())), (f"one host ({name})", after - 1)):
            used = fleet.carried(rest)
            if not fleet.loads:
                verdict, reason = None, f"the load of {name} isn't measured"
            elif rest <= 0 or used is None:
                verdict, reason = False, "nothing would be left"
            else:
                verdict, reason = used <= 1, f"{many(rest, 'instance')} at {_percent(used)}"
            found.append(Survival(loss=loss, ok=verdict, reason=reason))
    if p.replication_factor is None:
        reason = "how many copies there are isn't stated (parameter replication_factor)"
        found.append(Survival(loss="the data of the lost zone", ok=None, reason=reason))
    else:
        zones = len(plan[0][0].serving) + 1
        kept = p.replication_factor - -(-p.replication_factor // zones)
        reason = f"at least {kept} of {p.replication_factor} copies are in other zones if they are spread evenly"
        found.append(Survival(loss="the data of the lost zone", ok=kept > 0, reason=reason))
    return tuple(found)


def _steps(p: Zone, shown: str, loss: Losses, plan: Plan) -> tuple[PlanStep, ...]:
    """The runbook in order: be sure, start role by role, see that it holds."""
    left = _zones(loss.left)
    steps = [
        PlanStep(
            do=f"Make sure that zone {shown} is lost, and stop what would take capacity away",
            before=(
                f"the provider says so, or somebody elsewhere sees that nothing in {shown} answers",
                "deployments, rebalancing and scale-in are halted",
            ),
        )
    ]
    for fleet, begun in plan:
        name, count = _role(fleet), begun.count
        do = f"Start {count} {name} in {left}" if count else f"Keep {name} at {fleet.left} in {left}"
        before = (
            f"new instances are started in {left} alone",
            *((f"quotas and free addresses in {left} allow {count} more",) if count else ()),
        )
        steps.append(PlanStep(do=do, before=before, commands=_commands(p.commands, loss, ((fleet, begun),))))
    steps.append(
        PlanStep(
            do=f"See that the survivors are below {p.limit * 100:g} %, and that nothing is left without a primary",
            before=(f"what was started serves, which takes {format_duration(p.time_to_effect)}",),
        )
    )
    return tuple(steps)


def _commands(templates: tuple[tuple[str, ...], ...], loss: Losses, plan: Plan) -> tuple[str, ...]:
    return tuple(
        fill(
            argv,
            {
                "role": fleet.role,
                "zones": loss.left,
                "lost": sorted({resource.zone for resource in fleet.gone}),
                "start": begun.count,
                "total": fleet.left + begun.count,
                "before": len(fleet.before),
            },
        )
        for fleet, begun in plan
        for argv in templates
    )


def _evidence(history: History, p: Zone, plan: Plan, down: timedelta) -> tuple[Evidence, ...]:
    signals = [load.signal for load in p.loads]
    reference = history.reference(ZONE_UP, UP, *signals, within=down + 2 * FRESH)
    found = [history.told()]
    for fleet, begun in plan:
        for load in fleet.loads:
            after = fleet.carried(fleet.survivors)
            found.append(
                Evidence(
                    signal=load.signal,
                    labels={"role": fleet.role},
                    value=load.mean,
                    unit="1",
                    at=history.alert.active_at,
                    limit=f"> {p.limit:g}",
                    verdict=f"average before the loss of {load.known} of {many(len(fleet.before), 'instance')}"
                    + (f"; {_percent(after)} on the survivors" if load is fleet.loads[0] else ""),
                    reference=reference,
                )
            )
        found.append(
            Evidence(
                signal=UP,
                labels={"role": fleet.role},
                value=fleet.survivors,
                unit="{instance}",
                at=history.at,
                verdict=f"serve of {len(fleet.before)}; {begun.count} to start",
                reference=reference,
            )
        )
    if p.rto_target is not None:
        takes = down + p.time_to_effect
        found.append(
            Evidence(
                signal="RTO objective",
                value=takes.total_seconds(),
                unit="s",
                at=history.at,
                limit=f"> {p.rto_target.total_seconds():g}",
                verdict="missed for full capacity" if takes > p.rto_target else "met",
                reference="time since the loss and until started instances serve",
            )
        )
    return tuple(found)


def _rejected(p: Zone, shown: str, plan: Plan) -> tuple[Rejected, ...]:
    rejected = [
        Rejected(option=f"Start instances in zone {shown}", reason="it is lost"),
        Rejected(
            option="Wait for the zone",
            reason=f"when it comes back isn't known; starting takes {format_duration(p.time_to_effect)}",
        ),
    ]
    for fleet, begun in plan:
        if begun.limited:
            wanted = next(int(stage.value) for stage in begun.stages if stage.name.endswith("rounded"))
            rejected.append(Rejected(option=f"Start {wanted} {_role(fleet)}", reason=begun.limited))
        elif begun.count < len(fleet.gone):
            rejected.append(
                Rejected(
                    option=f"Replace all {len(fleet.gone)} {_role(fleet)} of the zone",
                    reason=f"{begun.count} are enough for {p.limit * 100:g} %",
                )
            )
    return tuple(rejected)
