"""The loss of a host couldn't be carried: which machines to move, and which hosts to add, so that it is."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import HostSpare
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, PlanStep, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.units import many
from controlplane.packing.lost import after_loss, shed
from controlplane.packing.moves import Move, Moves, fewest_moves
from controlplane.packing.problem import RESOURCES, Problem, Size, faults
from controlplane.packing.reading import Reading, read_problem
from controlplane.packing.spare import Sized, carries, sized
from controlplane.packing.told import amount, names, size

_SHOWN = 12
_STEPS = 500


@dataclass(frozen=True, slots=True)
class Found:
    """What it takes."""

    problem: Problem
    needed: Sized
    with_spare: Sized
    add: int
    """Hosts to add within the limit."""
    moves: Moves | None
    role: str

    @property
    def enough(self) -> bool:
        """Whether the hosts that may be added suffice."""
        return self.add == self.with_spare.add


def advise(history: History, parameters: HostSpare, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Moves, or hosts to add and moves, after which the loss of hosts is carried; AdviceError says what is missing."""
    p = parameters
    resources = inventory.of(history.alert.platform)
    cluster, role = _which(history, resources)
    reading = Reading(p.apart, p.domain, dict(p.reserve.items()), p.order)
    problem = read_problem(resources, reading, cluster)
    needed, with_spare = sized(problem), sized(problem, p.spare)
    if needed is None or with_spare is None:
        raise AdviceError(
            "no number of further hosts of the kind that is there carries these machines: one is larger than a host, "
            "more are pinned to a host than it holds, or no host could take over what another one carries"
        )
    room = with_spare.add if p.maximum is None else max(0, p.maximum - len(problem.hosts))
    add = min(with_spare.add, room)
    moves = None
    if add == with_spare.add:
        moves = fewest_moves(with_spare.problem, spare=p.spare, kept=with_spare.kept, least=p.least)
    if not add and moves is not None and not moves.moves:
        raise AdviceError(
            f"by the inventory the loss of {many(p.spare, 'host')} is carried as things are; what the alert measures "
            "disagrees with it. Compare the machines and sizes of the inventory with those that run"
        )
    return _proposal(history, p, Found(problem, needed, with_spare, add, moves, role), prices)


def _which(history: History, resources: tuple[Resource, ...]) -> tuple[str | None, str]:
    """The cluster and the role of the hosts that the alert is about."""
    labels = history.alert.labels
    cluster, role = labels.get("cluster"), labels.get("role")
    hosts = [r for r in resources if r.kind == "host" and (not cluster or r.cluster == cluster)]
    hosts = [r for r in hosts if not role or r.role == role]
    if not hosts:
        wanted = " and ".join(f"{k} {printable(v, 60)}" for k, v in (("cluster", cluster), ("role", role)) if v)
        raise AdviceError(f"the inventory has no host{f' with {wanted}' if wanted else ''}, so nothing can be placed")
    return hosts[0].cluster or None, hosts[0].role or hosts[0].cluster or "hosts"


def _proposal(history: History, p: HostSpare, found: Found, prices: PriceBook) -> Proposal:
    problem, role = found.problem, printable(found.role, 60)
    count, after = len(problem.hosts), len(problem.hosts) + found.add
    wrong = faults(problem, problem.now)
    plan = _plan(p, found, role)
    kind = "scale_out" if found.add else "rebalance" if found.moves is not None else "investigate"
    moved = len(found.moves.moves) if found.moves else 0
    return Proposal(
        kind=kind,
        target=f"group {role}",
        title=_title(p, found, role),
        from_=f"{many(count, 'host')}, {size(problem.room())} usable",
        to=f"{many(after, 'host')}" + (f", {many(moved, 'move')}" if found.moves else ""),
        why=_why(p, found, wrong),
        inputs=_inputs(problem, found),
        stages=_stages(p, found),
        cost=total((_line(p, found, role, prices),), _do_nothing(problem)),
        gain=_gain(p, found),
        survives=_survives(p, found),
        time_to_effect=(p.delivery if found.add else timedelta(0)) + p.move_time * moved,
        commands=tuple(command for step in plan for command in step.commands),
        plan=plan,
        revert=_revert(p, found),
        evidence=_evidence(history, found),
        rejected=_rejected(p, found),
    )


def _loss(p: HostSpare) -> str:
    return "one host" if p.spare == 1 else many(p.spare, "host")


def _title(p: HostSpare, found: Found, role: str) -> str:
    moved = many(len(found.moves.moves), "machine") if found.moves else ""
    if found.add and found.enough:
        told = f"Add {many(found.add, role)} so that the loss of any {_loss(p)} is carried"
        return told + (f", and move {moved}" if moved else "")
    if found.add:
        return f"Add {many(found.add, role)} of {found.with_spare.add} that the loss of any {_loss(p)} takes"
    if found.moves:
        return f"Move {moved} so that the loss of any {_loss(p)} is carried"
    return f"There is no place for the {many(found.with_spare.add, role)} that the loss of {_loss(p)} takes"


def _why(p: HostSpare, found: Found, wrong: tuple[str, ...]) -> str:
    problem = found.problem
    asked, room = problem.asked(), problem.room()
    told = (
        f"{many(len(problem.machines), 'machine')} ask for {size(asked)}; {many(len(problem.hosts), 'host')} may use "
    )
    told += f"{size(room)}. "
    if wrong:
        told += f"As it is: {names(wrong, 4)}. "
    told += (
        f"{_number(found.needed)} hosts carry everything, {_number(found.with_spare)} also the loss of any {_loss(p)}"
    )
    return told + (f"; there is room for {p.maximum}." if not found.enough else ".")


def _number(one: Sized) -> str:
    return f"{one.total}" if one.proven else f"{one.total} (at least {one.bound})"


def _inputs(problem: Problem, found: Found) -> dict[str, str]:
    kind = found.with_spare.problem.hosts[-1]
    told = {
        "host": f"{size(kind.capacity)}, of it usable {size(kind.room)}",
        "groups apart": ", ".join(
            f"{printable(name, 60)} ({len(members)})" for name, members in list(problem.groups.items())[:_SHOWN]
        )
        or "none",
    }
    asked, there = problem.asked(), found.problem.room()
    for of, name in enumerate(RESOURCES):
        if asked[of]:
            told[f"{name} asked, usable"] = f"{amount(of, asked[of])}, {amount(of, there[of])}"
    return told


def _stages(p: HostSpare, found: Found) -> tuple[Stage, ...]:
    asked, kind = found.problem.asked(), found.with_spare.problem.hosts[-1]
    stages = [
        Stage(
            name=f"by {name}",
            value=-(-asked[of] // kind.room[of]),
            reason=f"ceil({amount(of, asked[of])} ÷ {amount(of, kind.room[of])})",
        )
        for of, name in enumerate(RESOURCES)
        if asked[of] and kind.room[of]
    ]
    least = max((stage.value for stage in stages), default=0)
    whole = found.needed.total > least
    there = len(found.problem.hosts)
    limit = f"at most {p.maximum} hosts" if not found.enough else None
    return (
        *stages,
        Stage(
            name="packed",
            value=found.needed.total,
            limit="whole machines, groups apart" if whole else None,
            reason="fewest hosts that hold whole machines" + ("" if found.needed.proven else ", not proven"),
        ),
        Stage(name="spare", value=found.with_spare.total, reason=f"the loss of any {_loss(p)} is carried"),
        Stage(name="clamped", value=there + found.add, limit=limit, reason=f"{there} are there"),
    )


def _line(p: HostSpare, found: Found, role: str, prices: PriceBook) -> CostLine:
    if not found.add:
        return free_line("Machines move between hosts that are there")
    price = p.price or next((host.price for host in found.problem.hosts if host.price), None)
    line = prices.line(price, found.add, item=f"{found.add} × {role}", units=THINGS)
    months = prices.amortise_months
    if not line.one_off or not months:
        return line
    monthly = (line.one_off / months).quantize(Decimal("0.01"))
    note = f"{human_money(monthly)} a month over {months} months"
    return line.model_copy(update={"note": f"{line.note}; {note}" if line.note else note})


def _worst(problem: Problem) -> tuple[str, Size, tuple[str, ...]]:
    """The host whose loss leaves most machines without a place, their size and names."""
    found = [(host.id, after_loss(problem, [host.id])) for host in problem.hosts[:_SHOWN]]
    host, after = max(found, key=lambda one: (len(one[1].waiting), shed(problem, one[1])))
    return host, shed(problem, after), tuple(after.waiting)


def _do_nothing(problem: Problem) -> str:
    if len(problem.hosts) < 2:
        return "When the only host dies, nothing runs"
    host, lack, waiting = _worst(problem)
    if not waiting:
        return f"When {names([host])} dies, {size(lack)} don't run" if any(lack) else "A lost host is carried, barely"
    return f"When {names([host])} dies, {names(waiting)} find no room: {size(lack)} don't run until it is back"


def _gain(p: HostSpare, found: Found) -> str:
    if found.enough and found.moves is not None:
        return f"the loss of any {_loss(p)}: not carried → carried"
    short = found.with_spare.add - found.add
    return f"{many(found.add, 'more host')}; {many(short, 'host')} are still missing for the loss of any {_loss(p)}"


def _survives(p: HostSpare, found: Found) -> tuple[Survival, ...]:
    whole = found.with_spare.problem
    if found.moves is None:
        reason = "no placement was found that carries it" if found.enough else f"at most {p.maximum} hosts"
        return (Survival(loss=_loss(p), ok=None if found.enough else False, reason=reason),)
    placed = replace(whole, machines=tuple(replace(m, host=found.moves.placement[m.id]) for m in whole.machines))
    stranded = carries(placed, found.moves.placement, p.spare)
    first = Survival(
        loss=_loss(p),
        ok=not stranded,
        reason="whichever it is, its machines find room on the others, groups apart"
        if not stranded
        else f"without {names(next(iter(stranded)))} {names(next(iter(stranded.values())))} find no room",
    )
    more = carries(placed, found.moves.placement, p.spare + 1) if len(whole.hosts) <= _SHOWN else None
    next_loss = many(p.spare + 1, "host")
    if more is None:
        return (first, Survival(loss=next_loss, ok=None, reason="not looked at for so many hosts"))
    reason = "they find room too" if not more else f"for instance without {names(next(iter(more)))} not everything does"
    return (first, Survival(loss=next_loss, ok=not more, reason=reason))


def _plan(p: HostSpare, found: Found, role: str) -> tuple[PlanStep, ...]:
    made: list[PlanStep] = []
    if found.add:
        made.append(
            PlanStep(
                do=f"Order {many(found.add, role)} and put them into service",
                before=("space, power and network ports are there", "the order is approved"),
            )
        )
    made += [_step(p, found, move) for move in (found.moves.moves if found.moves else ())[:_STEPS]]
    if not any(step.commands for step in made):
        note = f"# {many(found.add, role)} to order; nothing moves before they are there"
        made.append(PlanStep(do="Look again once they are there", commands=(note,)))
    return tuple(made)


def _step(p: HostSpare, found: Found, move: Move) -> PlanStep:
    before = [f"{names([move.to])} is in service and has room"]
    if found.moves and move.machine in found.moves.parked:
        before.append("it may stop meanwhile: machines wait for each other's place")
    if any(m.id == move.machine and m.group for m in found.problem.machines):
        before.append("the others of its group run and are in step")
    if not move.origin:
        return PlanStep(do=f"Start {names([move.machine])} on {names([move.to])}", before=tuple(before))
    return PlanStep(
        do=f"Move {names([move.machine])} from {names([move.origin])} to {names([move.to])}",
        before=tuple(before),
        commands=tuple(
            fill(argv, {"machine": move.machine, "host": move.to, "origin": move.origin}) for argv in p.move
        ),
    )


def _revert(p: HostSpare, found: Found) -> tuple[str, ...]:
    back = [
        fill(argv, {"machine": move.machine, "host": move.origin, "origin": move.to})
        for move in reversed(found.moves.moves if found.moves else ())
        if move.origin
        for argv in p.move
    ]
    return tuple(back[:_STEPS]) or ("# nothing to revert before the hosts are ordered",)


def _evidence(history: History, found: Found) -> tuple[Evidence, ...]:
    asked, room = found.problem.asked(), found.problem.room()
    return (
        history.told(),
        *(
            Evidence(
                signal=f"inventory: {name} asked",
                value=asked[of] / (1000 if of == 0 else 1),
                unit="{core}" if of == 0 else "By",
                at=history.at,
                limit=f"> {room[of] / (1000 if of == 0 else 1):g}",
                verdict="more than the hosts may use" if asked[of] > room[of] else "within what the hosts may use",
                reference="inventory",
            )
            for of, name in enumerate(RESOURCES)
            if asked[of]
        ),
    )


def _rejected(p: HostSpare, found: Found) -> tuple[Rejected, ...]:
    told = [
        Rejected(
            option=f"{many(found.needed.total, 'host')}, without a spare one",
            reason="everything runs, and the first host that dies takes machines with it",
        ),
        Rejected(
            option="Promise more than there is",
            reason="cores that are shared make things slow, memory that is shared ends whole machines",
        ),
    ]
    if found.moves is not None and len(found.moves.moves) < len(found.problem.machines):
        told.append(
            Rejected(
                option="Place everything anew",
                reason=f"{len(found.moves.moves)} moves are enough"
                + (", and no way takes fewer" if found.moves.proven else f" (at least {found.moves.bound})"),
            )
        )
    if not found.enough:
        told.append(Rejected(option=f"Add {found.with_spare.add} hosts", reason=f"at most {p.maximum} hosts"))
    return tuple(told)
