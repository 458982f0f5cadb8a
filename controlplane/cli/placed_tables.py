"""How a placement is printed: what there is, what is wrong, and what to do."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from controlplane.cli.output import table, tell
from controlplane.model.labels import printable
from controlplane.model.money import human_money
from controlplane.model.units import human, many
from controlplane.packing.containers import Locked
from controlplane.packing.lost import Aftermath, shed
from controlplane.packing.moves import Moves
from controlplane.packing.problem import RESOURCES, Problem, Size, used
from controlplane.packing.spare import Sized
from controlplane.packing.study import Study
from controlplane.packing.told import amount

if TYPE_CHECKING:
    from rich.console import Console

_HOSTS = 40
_LISTED = 8


def show_study(out: "Console", made: Study, over: Sequence[Locked], cost: Mapping[str, Any]) -> None:
    """The sums, the hosts, the verdicts and the moves."""
    problem = made.problem
    sums = made.resources
    rows = [
        (name, *(amount(of, size[of]) for size in (sums.asked, sums.there, sums.room)), _short(of, sums.short))
        for of, name in enumerate(RESOURCES)
        if sums.asked[of]
    ]
    columns = ("Resource", "Asked", "There", "Usable", "Short")
    title = f"{many(len(problem.machines), 'machine')} on {many(len(problem.hosts), 'host')}"
    out.print(table(title, columns, rows, right=columns[1:]))
    _show_hosts(out, made)
    for line in _verdicts(made, cost):
        tell(line)
    for one in over:
        tell(f"containers of {printable(one.machine, 60)} have locked {_locked(one)}")
    chosen, title = made.moves_with_spare, f"moves after which the loss of any {_any(made.spare)} is carried"
    if made.spare == 0 or chosen is None:
        chosen, title = made.moves, "moves on the hosts that are there"
    if chosen is not None and chosen.moves:
        _show_moves(out, title, problem, chosen)


def show_loss(out: "Console", problem: Problem, made: Aftermath) -> None:
    """What starts, stops and waits after hosts died."""
    machines = {machine.id: machine for machine in problem.machines}

    def sizes(name: str) -> tuple[str, str]:
        return amount(0, machines[name].size[0]), amount(1, machines[name].size[1])

    rows = [("stop", name, machines[name].host, "", *sizes(name), "gives way") for name in made.stop]
    rows += [("start", name, machines[name].host, host, *sizes(name), "") for name, host in made.start.items()]
    rows += [
        (
            "wait",
            name,
            machines[name].host,
            "",
            *sizes(name),
            reason + ("; its group goes on" if name in made.redundant else ""),
        )
        for name, reason in made.waiting.items()
    ]
    columns = ("Do", "Machine", "From", "To", "Cores", "Memory", "Why")
    dead = ", ".join(printable(host, 60) for host in made.lost)
    title = f"{dead} lost with {many(len(made.gone), 'machine')}"
    out.print(table(title, columns, rows, right=("Cores", "Memory"), whole=("Do",)))
    if made.over:
        names = ", ".join(printable(host, 60) for host in made.over[:_LISTED])
        tell(f"promised more than they have before anything starts: {names}; none of them gets fuller")
    if made.carried:
        tell("carried: everything runs again")
        return
    lack = shed(problem, made)
    tell(
        f"NOT carried: {len(made.start)} of {len(made.gone)} start, {len(made.stop)} stop for them, "
        f"{len(made.waiting)} wait; {amount(0, lack[0])} cores and {amount(1, lack[1])} don't run"
    )


def _any(spare: int) -> str:
    return "one host" if spare == 1 else many(spare, "host")


def _short(of: int, short: Size) -> str:
    return amount(of, short[of]) if short[of] else "–"


def _show_hosts(out: "Console", made: Study) -> None:
    problem = made.problem
    loads, limiting = used(problem, problem.now), [of for of, asked in enumerate(made.resources.asked) if asked]
    order = sorted(problem.hosts, key=lambda host: (host.id not in made.overfull, host.id))
    rows: list[tuple[object, ...]] = []
    for host in order[:_HOSTS]:
        machines = sum(where == host.id for where in problem.now.values())
        parts = [f"{amount(of, loads[host.id][of])} of {amount(of, host.room[of])}" for of in limiting]
        rows.append((host.id, machines, *parts, "OVER" if host.id in made.overfull else "fits"))
    columns = ("Host", "Machines", *(f"{RESOURCES[of].capitalize()} of usable" for of in limiting), "")
    left = len(order) - _HOSTS
    title = "Hosts as they are" + (f" (and {many(left, 'host')} more)" if left > 0 else "")
    out.print(table(title, columns, rows, right=columns[1:-1]))


def _verdicts(made: Study, cost: Mapping[str, Any]) -> list[str]:
    lines = [f"breaks a rule: {printable(fault, 200)}" for fault in made.faults if " has too little " not in fault]
    lines += [f"{printable(name, 60)} is larger than any host" for name in made.too_large]
    if made.feasible:
        lines.append("as it is: holds" if made.holds else "as it is: NOT; but everything fits on these hosts")
    elif made.feasible is None:
        lines.append("whether everything fits on these hosts isn't known: neither a placement nor a proof was found")
    else:
        lines.append(f"NOT feasible on {many(len(made.problem.hosts), 'host')}: {_reason(made)}")
    lines.append(_needed("everything", made.needed, cost["needed"]))
    if made.spare:
        what = f"everything and the loss of any {_any(made.spare)}"
        lines.append(_needed(what, made.with_spare, cost["with_spare"]))
    if made.holds and made.spare:
        lines.append(f"loss of any {_any(made.spare)} as it is: " + ("carried" if not made.stranded else "NOT carried"))
        lines += [
            f"  without {', '.join(printable(host, 60) for host in lost)}: no room for "
            + ", ".join(printable(machine, 60) for machine in machines[:_LISTED])
            for lost, machines in list(made.stranded.items())[:_LISTED]
        ]
    return lines


def _reason(made: Study) -> str:
    sums = made.resources
    short = [
        f"{RESOURCES[of]}: {amount(of, sums.asked[of])} asked of {amount(of, sums.there[of])}"
        + (f" ({amount(of, sums.room[of])} without the reserve)" if sums.room[of] != sums.there[of] else "")
        for of in range(len(RESOURCES))
        if sums.short[of]
    ]
    alone = [name for name, fits in made.at_fault.items() if fits]
    if short:
        told = "; ".join(short)
    elif alone:
        told = "the sums suffice"
    else:
        told = "the sums suffice, but whole machines leave gaps"
    return told + (f"; it would fit without {' or without '.join(alone)}" if alone else "")


def _needed(what: str, one: Sized | None, cost: Mapping[str, Any] | None) -> str:
    if one is None or cost is None:
        return f"hosts for {what}: none of this kind suffice"
    number = f"{one.total}" if one.proven else f"{one.total} (at least {one.bound})"
    if not one.add:
        return f"hosts for {what}: {number}, all there"
    price = _price(cost)
    return (
        f"hosts for {what}: {number}, so {one.add} more{f' for {price}' if price else ' at a price that is not known'}"
    )


def _price(cost: Mapping[str, Any]) -> str:
    if cost["one_off"] is None:
        return ""
    once, monthly = Decimal(cost["one_off"]), Decimal(cost["per_month"] or 0)
    parts = [human_money(once)] if once else []
    if cost["spread_per_month"] and once:
        parts.append(
            f"{human_money(Decimal(cost['spread_per_month']))} a month over {cost['spread_over_months']} months"
        )
    if monthly:
        parts.append(f"{human_money(monthly)} a month")
    return ", ".join(parts)


def _show_moves(out: "Console", title: str, problem: Problem, chosen: Moves) -> None:
    machines = {machine.id: machine for machine in problem.machines}
    rows = [
        (
            number,
            move.machine,
            move.origin or "(not running)",
            move.to,
            *(amount(of, machines[move.machine].size[of]) for of in (0, 1)),
        )
        for number, move in enumerate(chosen.moves, 1)
    ]
    columns = ("", "Machine", "From", "To", "Cores", "Memory")
    fewest = "no way takes fewer" if chosen.proven else f"at least {chosen.bound} are needed"
    out.print(table("Moves", columns, rows, right=("", "Cores", "Memory")))
    tell(f"{title}: {len(rows)}, {fewest}")
    if chosen.parked:
        tell("stopped meanwhile, since they wait for each other's place: " + ", ".join(map(printable, chosen.parked)))


def _locked(one: Locked) -> str:
    if one.resource == "cores":
        return f"{one.asked:,g} of its {one.there:,g} cores"
    return f"{human(one.asked, 'By')} of its {human(one.there, 'By')} of memory"
