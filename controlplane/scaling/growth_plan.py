"""A store that grows by a share of itself: when it is full, and what to order when."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.methods import GrowthPlan
from controlplane.model.money import cents, human_money
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
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import human, many
from controlplane.scaling.growth import QUARTER, Purchase, Store, purchases, read_store
from controlplane.scaling.sizing import whole

_TB = Decimal(10**12)


def advise(history: History, parameters: GrowthPlan, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Purchases by quarter that keep the alert's store below its target; AdviceError says what is missing."""
    p, at = parameters, history.at
    store = read_store(history, p, inventory)
    bought = purchases(store, p, at)
    lines = tuple(_line(one, p, prices, at) for one in bought) or (free_line("Nothing is bought"),)
    cost = total(lines, _do_nothing(store, at))
    shared = {
        "target": f"store {store.shown}",
        "from_": f"{human(store.size, 'By')} usable, {store.used / store.size * 100:.1f} % used",
        "inputs": _inputs(store, bought, p, prices),
        "stages": _stages(store, bought, p),
        "cost": cost,
        "survives": _survives(p),
        "evidence": _evidence(history, store, p),
    }
    when = f"{p.target * 100:g} % is reached {_when(store, p.target, at)}, 100 % {_when(store, 1.0, at)}"
    grows = f"Growth a quarter: {_counts(store, p)}"
    if not bought:
        return Proposal(
            kind="investigate",
            title=f"{store.shown} needs no storage for {many(p.horizon, 'quarter')}",
            to="no change",
            why=f"{grows}; {when}. What there is lasts for the whole plan.",
            gain="No capacity is added",
            time_to_effect=timedelta(0),
            commands=_filled(p.inspect_commands, store, 0) or ("# look at what the store reports",),
            revert=("# nothing to revert: the command only reads",),
            rejected=(Rejected(option="Buy storage", reason="the target holds to the end of the plan"),),
            **shared,
        )
    first, last = bought[0], bought[-1]
    plan = _plan(store, bought, p, at)
    return Proposal(
        kind="add_storage",
        title=f"{store.shown}: order {_units(first, p)} {_by(first, at)}",
        to=f"{human(last.size, 'By')} usable in {many(len(bought), 'purchase')} until {last.serving:%Y-%m-%d}",
        why=f"{store.used / store.size * 100:.1f} % of {human(store.size, 'By')} are used. {grows}; {when}. "
        f"Delivery takes {format_duration(p.lead_time)}."
        + (
            f" The first order is late by {human_duration(first.late(at))}: {_late(store, p, at)}"
            if first.late(at)
            else ""
        ),
        gain=f"{human(store.size, 'By')} → {human(first.size, 'By')} usable with the first purchase, "
        f"{human(last.size, 'By')} with all; at most {p.target * 100:g} % used from then to the end of the plan",
        time_to_effect=p.lead_time,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=_filled(p.revert, store, first.units)
        or ("# cancel what isn't delivered yet; what serves stays, and the next purchase comes later",),
        rejected=_rejected(store, bought, p, prices, cost.one_off),
        **shared,
    )


def _units(one: Purchase, p: GrowthPlan) -> str:
    return f"{one.units} × {p.unit_name}"


def _by(one: Purchase, at: datetime) -> str:
    return "now" if one.order <= at else f"by {one.order:%Y-%m-%d}"


def _filled(commands: tuple[tuple[str, ...], ...], store: Store, units: int) -> tuple[str, ...]:
    return tuple(fill(argv, {"store": store.name, "units": units}) for argv in commands)


def _counts(store: Store, p: GrowthPlan) -> str:
    """Which growth counts, with both named."""
    if store.measured is None:
        return f"the documented {store.growth * 100:g} % count, compounded; not measured: {store.why}"
    measured = f"measured {store.measured * 100:+.1f} %"
    if p.growth is None:
        return f"{measured} of today's count, on a straight line; none is documented"
    quarters = store.measured_counts(p.horizon)
    if not quarters:
        return f"the documented {p.growth * 100:g} % count, compounded; {measured}"
    then = "" if quarters >= p.horizon else f" until quarter {quarters}"
    return f"{measured} of today's count{then}, on a straight line; documented are {p.growth * 100:g} %, compounded"


def _when(store: Store, share: float, at: datetime) -> str:
    quarters = store.reaches(store.size * share)
    if quarters is None:
        return "at no foreseeable time"
    return "already" if quarters == 0 else f"on {at + quarters * QUARTER:%Y-%m-%d}"


def _late(store: Store, p: GrowthPlan, at: datetime) -> str:
    full = store.reaches(store.size)
    if full is not None and full * QUARTER < p.lead_time:
        return f"it is full {_when(store, 1.0, at)}, before the delivery. Delete, expire versions or rent until then."
    used = min(1.0, store.used_after(p.lead_time / QUARTER) / store.size)
    return f"{used * 100:.0f} % are used when it arrives."


def _do_nothing(store: Store, at: datetime) -> str:
    quarters = store.reaches(store.size)
    if quarters is None:
        return "It stays as full as it is; there is no room for an unusual quarter"
    if quarters == 0:
        return "It is full: writes fail now"
    return (
        f"Full on {at + quarters * QUARTER:%Y-%m-%d}, in {human_duration(quarters * QUARTER)}: then every write fails"
    )


def _line(one: Purchase, p: GrowthPlan, prices: PriceBook, at: datetime) -> CostLine:
    item = f"{_units(one, p)}, quarter {one.quarter}, order {_by(one, at)}, serving by {one.serving:%Y-%m-%d}"
    return prices.line(p.price, one.units, item=item, units=THINGS)


def _per_tb(p: GrowthPlan, prices: PriceBook) -> Decimal | None:
    """Price of a usable TB, once."""
    price = prices.get(p.price)
    if price is None or price.amount is None or price.unit != "USD":
        return None
    return cents(price.amount * _TB / Decimal(repr(p.unit * p.usable)))


def _payback(bought: tuple[Purchase, ...], p: GrowthPlan, prices: PriceBook) -> str:
    rent, per_tb = prices.get(p.rent), _per_tb(p, prices)
    if rent is None or rent.amount is None or rent.unit != "USD/GBy.mo":
        return "unknown: the price book has no price of renting the same"
    if per_tb is None:
        return "unknown: what a unit costs isn't known"
    monthly = rent.amount * 1000
    if not bought or not monthly:
        return "none: nothing is paid for instead"
    return f"{per_tb / monthly:,.1f} months against {human_money(monthly)} a TB and month for renting"


def _inputs(store: Store, bought: tuple[Purchase, ...], p: GrowthPlan, prices: PriceBook) -> dict[str, str]:
    per_tb = _per_tb(p, prices)
    daily = human((store.fitted.per_second if store.fitted else 0.0) * 86_400, "By")
    overhead = []
    if p.erasure is not None:
        overhead.append(f"erasure coding {p.erasure.data} + {p.erasure.parity}")
    if p.replication_factor > 1:
        overhead.append(many(p.replication_factor, "copy").replace("copys", "copies"))
    told = {
        "used": human(store.used, "By"),
        "size": f"{human(store.size, 'By')} usable",
        "growth, documented": "none" if p.growth is None else f"{p.growth * 100:g} % a quarter, compound",
        "growth, measured": store.why
        if store.measured is None
        else f"{store.measured * 100:+.2f} % a quarter ({daily} a day), {store.why}",
        "growth that counts": _counts(store, p),
        "target": f"{p.target * 100:g} %",
        "horizon": many(p.horizon, "quarter"),
        "lead time": format_duration(p.lead_time),
        "unit": f"{p.unit_name}: {human(p.unit, 'By')} raw, {human(p.unit * p.usable, 'By')} usable"
        + (f" ({', '.join(overhead)})" if overhead else ""),
        "cost of a usable TB": human_money(per_tb),
        "payback": _payback(bought, p, prices),
    }
    if p.planned is not None:
        quarters = store.reaches(p.planned)
        end = "at no foreseeable time" if quarters is None else f"after {quarters:.1f} quarters"
        told["end of the documented plan"] = f"{human(p.planned, 'By')}, used {end}"
    return told


def _stages(store: Store, bought: tuple[Purchase, ...], p: GrowthPlan) -> tuple[Stage, ...]:
    end = store.used_after(p.horizon)
    raw = max(0.0, end / p.target - store.size)
    gross = raw / p.usable
    least = whole(gross / p.unit)
    units = sum(one.units for one in bought)
    reason = (
        f"{human(store.used, 'By')} × max((1 + {store.growth:g})^{p.horizon}, 1 + {store.line:.4g} × {p.horizon}) ÷ "
        f"{p.target:g} − {human(store.size, 'By')}, in usable bytes"
    )
    each = many(p.multiple, "unit")
    return (
        Stage(name="raw", value=raw, reason=reason),
        Stage(name="with overhead", value=gross, reason=f"÷ {p.usable:.4g}, the usable share of raw bytes"),
        Stage(name="units", value=least, reason=f"ceil(÷ {human(p.unit, 'By')}), {p.unit_name} each"),
        Stage(
            name="by quarter",
            value=units,
            limit=f"whole multiples of {each}" if units > least else None,
            reason=f"{many(len(bought), 'purchase')}, each for the quarter in which the target would be passed",
        ),
    )


def _plan(store: Store, bought: tuple[Purchase, ...], p: GrowthPlan, at: datetime) -> tuple[PlanStep, ...]:
    steps = [PlanStep(do="Look at what is used, and by whom", commands=_filled(p.inspect_commands, store, 0))]
    for index, one in enumerate(bought):
        before = (
            [f"{p.target * 100:g} % is still reached by {one.needed:%Y-%m-%d}: count the growth again"] if index else []
        )
        if p.planned is not None and one.size > p.planned:
            before.append(f"somebody has planned for more than {human(p.planned, 'By')}: the document hasn't")
        steps.append(
            PlanStep(
                do=f"Order {_units(one, p)} {_by(one, at)}, serving by {one.serving:%Y-%m-%d} (quarter {one.quarter}: "
                f"{human(one.used, 'By')} of {human(one.size, 'By')} used at its end)",
                before=tuple(before),
            )
        )
        if index == 0 and p.commands:
            steps.append(
                PlanStep(
                    do="Add what was delivered to the store",
                    before=p.before or ("every disk passed its burn-in",),
                    commands=_filled(p.commands, store, one.units),
                )
            )
    return (
        tuple(steps)
        if any(step.commands for step in steps)
        else (
            steps[0].model_copy(update={"commands": ("# look at what the store reports",)}),
            *steps[1:],
        )
    )


def _survives(p: GrowthPlan) -> tuple[Survival, ...]:
    found = []
    if p.erasure is not None:
        parts = p.erasure.data + p.erasure.parity
        found.append(
            Survival(
                loss=f"{many(p.erasure.parity, 'part')} of a set of {parts}"
                if p.erasure.parity
                else "one part of a set",
                ok=p.erasure.parity > 0 or p.replication_factor > 1,
                reason=f"any {p.erasure.data} of {parts} parts are enough to read; new units keep the same coding",
            )
        )
    if p.replication_factor > 1 or p.erasure is None:
        found.append(
            Survival(
                loss="one node",
                ok=p.replication_factor > 1,
                reason=f"{p.replication_factor - 1} further copies on other nodes",
            )
        )
    found.append(Survival(loss="the site", ok=None, reason="whether another site has a copy isn't stated"))
    return tuple(found)


def _evidence(history: History, store: Store, p: GrowthPlan) -> tuple[Evidence, ...]:
    labels = {p.label: store.name}
    reference = history.reference(p.usage, p.limit)
    verdict = "above the target" if store.used > p.target * store.size else "within the target"
    found = [
        history.told(),
        Evidence(
            signal=p.usage, labels=labels, value=store.used, unit="By", at=history.at,
            limit=f"> {p.target * store.size:g}", verdict=verdict, reference=reference,
        ),
        Evidence(
            signal=p.limit, labels=labels, value=store.size, unit="By", at=history.at, verdict="usable bytes",
            reference=reference,
        ),
    ]  # fmt: skip
    if store.measured is not None:
        limit = None if p.growth is None else f"> {p.growth:g}"
        faster = p.growth is not None and store.measured > p.growth
        found.append(
            Evidence(
                signal=p.usage, labels=labels, value=store.measured, unit="1/quarter", at=history.at, limit=limit,
                verdict="faster than documented" if faster else "no faster than what counts", reference=reference,
            )
        )  # fmt: skip
    return tuple(found)


def _rejected(
    store: Store, bought: tuple[Purchase, ...], p: GrowthPlan, prices: PriceBook, spent: Decimal | None
) -> tuple[Rejected, ...]:
    units = sum(one.units for one in bought)
    rejected = []
    if len(bought) > 1:
        idle = bought[-1].quarter - bought[0].quarter
        rejected.append(
            Rejected(
                option=f"Buy all {units} × {p.unit_name} at once",
                reason=f"{human_money(spent)} is paid now, and the last of it stands idle for {many(idle, 'quarter')}",
            )
        )
    if store.growth > 0 or store.line > 0:
        tenth = replace(store, used=store.used * 0.9)
        gains = tenth.reaches(store.used) or 0.0
        rejected.append(
            Rejected(
                option="Delete or expire a tenth instead",
                reason=f"it is used up again in {human_duration(gains * QUARTER)}; do it until the delivery is there",
            )
        )
    rejected.append(Rejected(option="Order when it is full", reason=f"delivery takes {format_duration(p.lead_time)}"))
    rejected.append(Rejected(option="Rent the same", reason=f"payback: {_payback(bought, p, prices)}"))
    return tuple(rejected)
