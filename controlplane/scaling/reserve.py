"""The loss of a zone, region or host couldn't be carried: how many instances make it bearable, and where."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Reserve
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.units import many
from controlplane.readiness.cells import capacities, cell_of, crew
from controlplane.readiness.loads import cell_shares
from controlplane.readiness.packing import after_any_loss, machines_on
from controlplane.readiness.sizing import Added, Fleet, fleet, missing


def advise(history: History, parameters: Reserve, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Instances that make the loss of any one cell of the alert's role bearable; AdviceError says what is missing."""
    p = parameters
    role = history.label("role")
    resources = inventory.of(history.alert.platform)
    who = tuple(one for one in crew(resources, p.cell, p.roles) if one.role == role)
    if not who:
        raise AdviceError(f"the inventory has nothing with role {printable(role, 60)} that stands in a {p.cell}")
    rows = cell_shares(
        history.samples,
        resources,
        history.at_ms,
        platform=history.alert.platform,
        cell=p.cell,
        of=p.of,
        by=p.by,
        up=p.up,
        roles=[role],
        asked=p.asked,
    )
    own = rows.filter(pl.col("source") == history.alert.source)
    rows = rows if own.is_empty() else own
    state = usable(rows, p, role)
    each = _each(who, rows)
    now = fleet(role, state, each)
    places = _places(resources, p, now, rows)
    unit, silent = p.units.get(role, p.unit), len(who) - now.count
    found = missing(
        now,
        places,
        p.limit,
        unit=unit,
        maximum=p.maximum.get(role),
        down=silent,
        apart=p.cell == "host",
        fits=after_any_loss(machines_on(resources, who) if p.asked else [], who, p.limit),
    )
    if found is None:
        raise AdviceError(
            f"no number of {printable(role, 60)} makes the loss of a {p.cell} bearable: the inventory has no other "
            f"{p.cell} to start them in"
        )
    return _proposal(history, p, now, found, who, prices)


def usable(rows: pl.DataFrame, p: Reserve, role: str) -> pl.DataFrame:
    """`cells.SHARES` of one role from one source; AdviceError where a load isn't known or a cell is lost already."""
    shown = printable(role, 60)
    if rows.is_empty():
        raise AdviceError(
            f"the load of {shown} isn't known: {', '.join(p.of)} have no sample of the last 5 minutes, or the capacity "
            "of its members isn't in the inventory"
        )
    first = rows.filter(pl.col("source") == rows["source"].min())
    unknown = first.filter(pl.col("unknown") > 0).sort("signal")
    if len(unknown):
        signal, count, of = unknown.select("signal", "unknown", "members").row(0)
        raise AdviceError(
            f"{signal} of {count} of {many(of, 'member')} of {shown} isn't measured, so their load isn't known"
        )
    if first["lost"].max():
        raise AdviceError(
            f"a whole {p.cell} of {shown} is lost now, and its reserve is in use: the answer to that alert says what "
            "to start. A reserve for another loss is computed when it is back"
        )
    return first


def _each(who: Sequence[Resource], rows: pl.DataFrame) -> dict[str, list[float]]:
    sizes: dict[str, list[float]] = {}
    for signal, size in capacities(who, rows["signal"].unique().sort()).select("signal", "capacity").iter_rows():
        sizes.setdefault(signal, []).append(size)
    return sizes


def _places(resources: Iterable[Resource], p: Reserve, now: Fleet, rows: pl.DataFrame) -> list[str]:
    """Cells that an instance may be started in: those of the role, or where that is one alone, of the platform."""
    own = list(now.here)
    if len(own) > 1 or rows.is_empty():
        return own
    return sorted({cell_of(one, p.cell) for one in crew(resources, p.cell)})


def _proposal(
    history: History, p: Reserve, now: Fleet, found: Added, who: Sequence[Resource], prices: PriceBook
) -> Proposal:
    role, cell = printable(now.role, 60), p.cell
    before, signal = now.worst({})
    after, _ = now.worst(found.cells)
    count, silent = found.clamped, len(who) - now.count
    where = _where(found) if cell != "host" else ""
    holds = _held(found, p, now)
    values: dict[str, str | int | Sequence[str]] = {
        "role": now.role,
        "add": count,
        # The group holds those that don't answer too: a size without them would take members away.
        "total": len(who) + count,
        "before": len(who),
        "cells": sorted({*now.here, *(name for name, more in found.cells.items() if more)}),
    }
    enough = count == found.rounded
    return Proposal(
        kind="scale_out" if count else "investigate",
        target=f"group {role}",
        title=f"Make the loss of a {cell} bearable for {role}"
        if count
        else f"The loss of a {cell} of {role} can't be made bearable with more of them"
        if found.raw
        else f"The loss of a {cell} of {role} is bearable",
        from_=f"{_size(len(who), silent)}, "
        + (f"{_percent(before)} after the loss of the worst {cell}" if math.isfinite(before) else f"in one {cell}"),
        to=f"{_size(len(who) + count, silent)}{where}, {_percent(after)}" if count else _size(len(who), silent),
        why=(
            f"If one {cell} is lost, the others of {role} carry {_percent(before)} of what they can by {signal}; "
            f"{_percent(p.limit)} is the limit. "
            if math.isfinite(before)
            else f"All of {role} is in one {cell}: when it is lost, none is left. "
        )
        + f"{many(found.raw, 'more instance')} would do"
        + (f"; {holds} holds the number." if holds else "."),
        inputs=_inputs(p, now, silent),
        stages=(
            Stage(
                name="raw",
                value=found.raw,
                reason=f"fewest so that the load ÷ the capacity outside any one {cell} is at most {_percent(p.limit)}"
                + (", and whole machines find room there" if p.asked else ""),
            ),
            Stage(
                name="rounded",
                value=found.rounded,
                limit=f"units of {p.units.get(now.role, p.unit)}" if found.rounded > found.raw else None,
                reason=f"whole units of {p.units.get(now.role, p.unit)}",
            ),
            Stage(name="clamped", value=count, limit=holds, reason=f"{_size(len(who), silent)}, there already"),
        ),
        cost=total((_line(p, now, count, who, prices),), _do_nothing(p, now, before)),
        gain=f"load after the loss of a {cell}: {_percent(before)} → {_percent(after)}",
        survives=_survives(p, now, found),
        time_to_effect=p.time_to_effect,
        commands=tuple(fill(argv, values) for argv in p.commands),
        revert=tuple(fill(argv, values) for argv in p.revert),
        evidence=_evidence(history, p, now, before, signal),
        rejected=_rejected(p, now, found, before, enough=enough),
    )


def _percent(share: float) -> str:
    return f"{share * 100:,.4g} %" if math.isfinite(share) else "nobody left"


def _size(members: int, silent: int) -> str:
    return many(members, "instance") + (f", {silent} of them silent" if silent else "")


def _where(found: Added) -> str:
    told = ", ".join(f"{printable(cell, 60)} +{more}" for cell, more in found.cells.items() if more)
    return f" ({told})" if told else ""


def _held(found: Added, p: Reserve, now: Fleet) -> str | None:
    return f"at most {p.maximum[now.role]} instances" if found.clamped < found.rounded else None


def _inputs(p: Reserve, now: Fleet, silent: int) -> dict[str, str]:
    told = {
        "limit": f"{_percent(p.limit)} of what is left after a loss",
        "members by " + p.cell: ", ".join(
            f"{printable(cell, 60)} {count}" for cell, count in sorted(now.here.items())[:20]
        )
        + (", …" if len(now.here) > 20 else ""),
    }
    if silent:
        told["members that don't answer"] = f"{silent}, without load and capacity"
    for signal, load in sorted(now.load.items()):
        kept = sum(now.capacity[signal].values())
        told[signal] = f"{load:,.6g} of {kept:,.6g} in all; one instance carries {now.each[signal]:,.6g}"
    return told


def price_of(p: Reserve, who: Sequence[Resource]) -> str | None:
    """The price of one instance: that of the rule, else the one that most members have."""
    known = Counter(one.price for one in who if one.price)
    return p.price or (min(known, key=lambda name: (-known[name], name)) if known else None)


def _line(p: Reserve, now: Fleet, count: int, who: Sequence[Resource], prices: PriceBook) -> CostLine:
    role = printable(now.role, 60) or "instances"
    if not count:
        return free_line(f"No {role} to start")
    return prices.line(price_of(p, who), count, item=f"{count} × {role}", units=THINGS)


def _do_nothing(p: Reserve, now: Fleet, before: float) -> str:
    role = printable(now.role, 60)
    if not math.isfinite(before):
        return f"When the {p.cell} is lost, no {role} is left"
    if before <= 1:
        return f"When a {p.cell} is lost, the others of {role} are at {_percent(before)}"
    failing = 1 - 1 / before
    needed = f"the others of {role} need {_percent(before)} of what they have"
    return f"When a {p.cell} is lost, {needed}: {failing:.0%} of the load fails"


def _survives(p: Reserve, now: Fleet, found: Added) -> tuple[Survival, ...]:
    sizes = {cell: now.here.get(cell, 0) + found.cells.get(cell, 0) for cell in {*now.here, *found.cells}}
    largest = sorted(sizes, key=lambda cell: (-sizes[cell], cell))
    told = []
    for words, lost in ((f"one {p.cell}", 1), (f"two {p.cell}s at once", 2)):
        share = now.worst(found.cells)[0] if lost == 1 else now.after(found.cells, largest[:2])[0]
        limit = p.limit if lost == 1 else 1.0
        told.append(
            Survival(
                loss=words,
                ok=share <= limit * (1 + 1e-9),
                reason=f"the others are at {_percent(share)}" if math.isfinite(share) else "nobody would be left",
            )
        )
    return tuple(told)


def _evidence(history: History, p: Reserve, now: Fleet, before: float, worst: str) -> tuple[Evidence, ...]:
    reference = history.reference(*p.reads())
    return (
        history.told(),
        *(
            Evidence(
                signal=signal,
                labels={"role": now.role},
                value=now.load[signal] / kept if (kept := sum(now.capacity[signal].values())) else None,
                unit="1",
                at=history.at,
                limit=f"> {p.limit:g} after a loss" if signal == worst else None,
                verdict=f"of what all can carry; after the loss of the worst {p.cell}: {_percent(before)}"
                if signal == worst
                else "of what all can carry",
                reference=reference,
            )
            for signal in sorted(now.load)
        ),
    )


def _rejected(p: Reserve, now: Fleet, found: Added, before: float, *, enough: bool) -> tuple[Rejected, ...]:
    role = printable(now.role, 60)
    told = []
    if math.isfinite(before) and before > p.limit:
        shed = 1 - p.limit / before
        told.append(
            Rejected(
                option=f"Shed {shed:.0%} of the load when a {p.cell} is lost",
                reason="it costs nothing until then, and somebody has to say beforehand whose load that is",
            )
        )
        told.append(
            Rejected(
                option=f"A type {before / p.limit:.2f} times as large for all {now.count} {role}",
                reason="every instance is replaced, a failover each, and types grow by a factor of two",
            )
        )
    if not enough:
        told.append(Rejected(option=f"Start {found.rounded} {role}", reason=_held(found, p, now) or "not possible"))
    told.append(
        Rejected(
            option=f"Wait until a {p.cell} is lost",
            reason="then everybody in the region starts instances, and they take "
            f"{p.time_to_effect.total_seconds() / 60:g} minutes to serve",
        )
    )
    return tuple(told)
