"""Readiness of zones, hosts and other cells: if one died now, would the others carry its load?"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from controlplane.failover.moment import Moment
from controlplane.failover.regions import told_seconds
from controlplane.model.labels import printable
from controlplane.model.methods import Reserve
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS
from controlplane.model.readiness import Dying, Readiness, Takeover
from controlplane.model.resources import Resource
from controlplane.model.units import convert, many
from controlplane.readiness.cells import capacities, cell_of, crew, survivors
from controlplane.readiness.loads import cell_shares, newest
from controlplane.readiness.packing import after_any_loss, machines_on
from controlplane.readiness.sizing import fleet, missing

_KINDS: dict[str, Dying] = {"zone": "zone", "region": "region", "host": "host", "cluster": "zone"}
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Role:
    """What is known of one role."""

    name: str
    members: Sequence[Resource]
    rows: pl.DataFrame
    """`cells.SHARES` of it."""
    worst: Mapping[str, tuple[float | None, str]]
    """Cell → load after its loss, and of which signal."""
    remedy: str


def assess(moment: Moment, p: Reserve) -> list[Readiness]:
    """One row a cell, in name order; what isn't measured makes it unknown."""
    resources = moment.inventory.of(moment.platform)
    who = crew(resources, p.cell, p.roles)
    rows = _of_one_source(
        cell_shares(
            moment.samples,
            resources,
            moment.at_ms,
            platform=moment.platform,
            cell=p.cell,
            of=p.of,
            by=p.by,
            up=p.up,
            roles=p.roles,
            asked=p.asked,
        )
    )
    by_role: dict[str, list[Resource]] = {}
    for one in who:
        by_role.setdefault(one.role, []).append(one)
    roles = [_role(moment, p, name, group, rows.filter(pl.col("role") == name)) for name, group in by_role.items()]
    found = []
    for cell in sorted({cell_of(one, p.cell) for one in who}):
        there = [role for role in roles if any(cell_of(one, p.cell) == cell for one in role.members)]
        found.append(_assessed(moment, p, cell, there))
    return found


def _of_one_source(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the source that has most; ties in name order."""
    if rows.is_empty():
        return rows
    counts = Counter(rows["source"].to_list())
    return rows.filter(pl.col("source") == min(counts, key=lambda name: (-counts[name], name)))


def _role(moment: Moment, p: Reserve, name: str, members: Sequence[Resource], rows: pl.DataFrame) -> _Role:
    told = survivors(rows).select("cell", "value", "signal").iter_rows()
    worst = {cell: (value, signal) for cell, value, signal in told}
    short = any(value is not None and value > p.limit for value, _ in worst.values())
    return _Role(name, members, rows, worst, _remedy(moment, p, name, members, rows) if short else "")


def _remedy(moment: Moment, p: Reserve, name: str, members: Sequence[Resource], rows: pl.DataFrame) -> str:
    shown = printable(name, 60) or "members"
    lost = sorted({cell_of(one, p.cell) for one in members} - set(rows["cell"].to_list()))
    if lost:
        return f"{_listed(lost)} back, or what the answer to its loss starts"
    each: dict[str, list[float]] = {}
    for signal, size in capacities(members, rows["signal"].unique().sort()).select("signal", "capacity").iter_rows():
        each.setdefault(signal, []).append(size)
    now = fleet(name, rows, each)
    places = list(now.here)
    if len(places) < 2:
        places = sorted({cell_of(one, p.cell) for one in crew(moment.inventory.of(moment.platform), p.cell)})
    unit = p.units.get(name, p.unit)
    machines = machines_on(moment.inventory.of(moment.platform), members) if p.asked else []
    fits = after_any_loss(machines, members, p.limit)
    found = missing(now, places, p.limit, unit=unit, apart=p.cell == "host", fits=fits)
    if found is None:
        return f"{shown} in another {p.cell}"
    most = p.maximum.get(name)
    if most is not None and now.count + found.rounded > most:
        return f"shed load or take a larger type: {found.rounded} more {shown} would be beyond {most}"
    prices = Counter(one.price for one in members if one.price)
    price = p.price or (min(prices, key=lambda id_: (-prices[id_], id_)) if prices else None)
    line = moment.prices.line(price, found.rounded, units=THINGS)
    if line.per_month is None:
        cost = "price unknown"
    elif line.one_off:
        cost = f"{human_money(line.one_off)} once"
    else:
        cost = f"{human_money(line.per_month)} a month"
    return f"{found.rounded} more {shown} ({cost})"


def _assessed(moment: Moment, p: Reserve, cell: str, roles: Sequence[_Role]) -> Readiness:
    others = sorted(_standing(p, roles) - {cell})
    lag = None
    if p.lag is not None:
        where = p.lag.where | ({str(p.lag.label): cell} if p.lag.label else {})
        value = newest(moment.samples, moment.platform, p.lag.signal, moment.at_ms, where=where)
        lag = None if value is None else max(0.0, convert(value, p.lag.unit, "s"))
    ready, reason, remedies, load = _judged(p, cell, roles)
    takes = None if p.takes is None else p.takes.total_seconds()
    if ready is not False and p.rto_target is not None and takes is not None and takes > p.rto_target.total_seconds():
        ready, remedies = False, [f"a takeover within {told_seconds(p.rto_target.total_seconds())}"]
        reason = f"taking over takes {told_seconds(takes)}; {reason}"
    if ready is not False and p.rpo_target is not None and lag is not None and lag > p.rpo_target.total_seconds():
        ready, remedies = False, [f"copies that are at most {told_seconds(p.rpo_target.total_seconds())} behind"]
        reason = f"copies elsewhere are {told_seconds(lag)} behind; {reason}"
    mode: Takeover = p.mode if others else "none"
    return Readiness(
        platform=moment.platform,
        kind=_KINDS[p.cell],
        cell=cell,
        takes_over=_takers(p, cell, roles, others),
        mode=mode,
        rpo_seconds=lag,
        rto_seconds=takes,
        rpo_target=None if p.rpo_target is None else p.rpo_target.total_seconds(),
        rto_target=None if p.rto_target is None else p.rto_target.total_seconds(),
        load_after=load,
        ready=ready,
        reason=reason,
        remedy="; ".join(dict.fromkeys(remedies)),
        at=moment.at,
    )


def _judged(p: Reserve, cell: str, roles: Sequence[_Role]) -> tuple[bool | None, str, list[str], float | None]:
    """Ready, why, what makes it so, and the load after the loss (of the role that is worst)."""
    unknown, short, loads = [], [], []
    for role in roles:
        shown = _shown(role)
        if role.rows.is_empty():
            unknown.append(f"the load of {shown} isn't measured")
            continue
        if cell not in role.worst:
            if role.rows["unknown"].max():
                unknown.append(_unmeasured(role, shown))
                continue
            return (
                False,
                f"lost now: none of its {shown} answers, and the others carry its load",
                [f"{printable(cell, 60)} back"],
                _now(role),
            )
        value, signal = role.worst[cell]
        if value is None:
            unknown.append(_unmeasured(role, shown))
            continue
        loads.append((value, shown, signal))
        if not math.isfinite(value):
            short.append((role, f"there is no {shown} elsewhere"))
        elif value > p.limit:
            if gone := sorted(_gone(p, role)):
                short.append((role, f"{_listed(gone)} is lost already"))
            short.append((role, f"the other {shown} would be at {_percent(value)} ({signal})"))
    worst = max(loads, default=None)
    load = worst[0] if worst else None
    if short:
        return False, "; ".join(dict.fromkeys(why for _, why in short)), [role.remedy for role, _ in short], load
    if unknown:
        return None, "; ".join(dict.fromkeys(unknown)), [], load
    if worst is None:
        return None, "nothing is known of it", [], None
    return True, f"the other {worst[1]} would be at {_percent(worst[0])} ({worst[2]})", [], load


def _percent(share: float) -> str:
    return f"{share * 100:,.4g} %"


def _standing(p: Reserve, roles: Sequence[_Role]) -> set[str]:
    """Cells with a member that isn't down, as far as is known."""
    everywhere = {cell_of(one, p.cell) for role in roles for one in role.members}
    known = [role for role in roles if not role.rows.is_empty()]
    return everywhere - {cell for role in known for cell in _gone(p, role)}


def _gone(p: Reserve, role: _Role) -> set[str]:
    """Cells of which no member of the role answers."""
    return {cell_of(one, p.cell) for one in role.members} - set(role.rows["cell"].to_list())


def _shown(role: _Role) -> str:
    return printable(role.name, 60) or "members"


def _unmeasured(role: _Role, shown: str) -> str:
    first = role.rows.filter(pl.col("unknown") > 0).sort("signal").row(0, named=True)
    return f"{first['signal']} of {first['unknown']} of {first['members']} {shown} isn't measured"


def _now(role: _Role) -> float | None:
    """Load of those that are left as a share of what they carry, for the signal that is worst."""
    none = {str(signal): [0.0] for signal in role.rows["signal"].to_list()}
    now = fleet(role.name, role.rows, none)
    return now.after({}, [])[0]


def _takers(p: Reserve, cell: str, roles: Sequence[_Role], others: Sequence[str]) -> str:
    if p.cell != "host" or len(others) <= _NAMED:
        return _listed(others)
    return "; ".join(
        f"the other {len({cell_of(one, p.cell) for one in role.members} - {cell})} {_shown(role)}" for role in roles
    )


def _listed(names: Iterable[str]) -> str:
    told = [printable(name, 60) for name in names]
    return ", ".join(told) if len(told) <= _NAMED else many(len(told), "other")
