"""How `controlplane placement` answers: documents and tables."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from controlplane.cli.placed_tables import show_loss, show_study
from controlplane.model.prices import THINGS
from controlplane.packing.containers import Locked, locked
from controlplane.packing.lost import after_loss, shed
from controlplane.packing.moves import Least, Moves
from controlplane.packing.problem import RESOURCES, Problem, Size, used
from controlplane.packing.reading import unstated
from controlplane.packing.spare import Sized
from controlplane.packing.study import study

if TYPE_CHECKING:
    from rich.console import Console

    from controlplane.cli.placement import Source

Answer = tuple[dict[str, Any], Callable[["Console"], None], bool]


def whole(source: "Source", problem: Problem, spare: int | None, least: Least, told: Callable[[str], None]) -> Answer:
    """The placement as it is and as it could be; fine where it holds, and carries the loss that was asked for."""
    made = study(problem, spare=1 if spare is None else spare, least=least, told=told)
    inside = locked(source.resources)
    over = [one for one in inside if one.over]
    fine = made.holds and not over and (not spare or made.carried)
    document = {
        **_head(source, problem),
        "holds": made.holds,
        "faults": list(made.faults),
        "feasible": made.feasible,
        "at_fault": dict(made.at_fault),
        "needed": _sized(made.needed),
        "spare": made.spare,
        "with_spare": _sized(made.with_spare),
        "stranded": [{"lost": list(hosts), "machines": list(machines)} for hosts, machines in made.stranded.items()],
        "moves": _moves(made.moves),
        "moves_with_spare": _moves(made.moves_with_spare),
        "cost": {name: _cost(source, one) for name, one in (("needed", made.needed), ("with_spare", made.with_spare))},
        "containers": [_locked(one) for one in inside],
    }

    return document, lambda out: show_study(out, made, over, document["cost"]), fine


def loss(source: "Source", problem: Problem, lost: Sequence[str], told: Callable[[str], None]) -> Answer:
    """What starts where when hosts die; fine where everything runs again and nothing has to stop."""
    told("what starts where")
    made = after_loss(problem, lost)
    document = {
        **_head(source, problem),
        "lost": list(made.lost),
        "carried": made.carried,
        "gone": [machine.id for machine in made.gone],
        "start": dict(made.start),
        "stop": list(made.stop),
        "waiting": dict(made.waiting),
        "redundant": list(made.redundant),
        "overcommitted_before": list(made.over),
        "not_running": _amounts(shed(problem, made)),
    }
    return document, lambda out: show_loss(out, problem, made), made.carried


def _head(source: "Source", problem: Problem) -> dict[str, Any]:
    asked, room = problem.asked(), problem.room()
    there = [sum(host.capacity[of] for host in problem.hosts) for of in range(len(RESOURCES))]
    loads = used(problem, problem.now)
    return {
        "platform": source.platform,
        "inventory": source.inventory,
        "machines": len(problem.machines),
        "resources": {
            name: {"asked": a, "there": t, "usable": r, "short": max(0, a - r)}
            for name, a, t, r in zip(
                RESOURCES,
                _plain(asked),
                _plain((there[0], there[1], there[2])),
                _plain(room),
                strict=True,
            )
            if name not in unstated(source.resources)
        },
        "hosts": [
            {
                "id": host.id,
                "asked": _amounts(loads[host.id]),
                "usable": _amounts(host.room),
                "machines": [machine for machine, where in problem.now.items() if where == host.id],
            }
            for host in problem.hosts
        ],
    }


def _plain(size: Size) -> tuple[float, int, int]:
    return size[0] / 1000, size[1], size[2]


def _amounts(size: Size) -> dict[str, float]:
    return dict(zip(RESOURCES, _plain(size), strict=True))


def _sized(one: Sized | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "hosts": one.total,
        "add": one.add,
        "at_least": one.bound,
        "proven": one.proven,
        "placement": dict(one.placement),
        "empty": list(one.kept),
    }


def _moves(moves: Moves | None) -> dict[str, Any] | None:
    if moves is None:
        return None
    return {
        "moves": [{"machine": m.machine, "from": m.origin or None, "to": m.to} for m in moves.moves],
        "at_least": moves.bound,
        "proven": moves.proven,
        "stopped_meanwhile": list(moves.parked),
    }


def _cost(source: "Source", one: Sized | None) -> dict[str, Any] | None:
    if one is None:
        return None
    line = source.book.line(_price(one), one.add, units=THINGS)
    months = source.book.amortise_months
    spread = None if line.one_off is None or not months else str((line.one_off / months).quantize(Decimal("0.01")))
    return {
        "hosts": one.add,
        "price": line.price,
        "one_off": None if line.one_off is None else str(line.one_off),
        "per_month": None if line.per_month is None else str(line.per_month),
        "spread_over_months": months,
        "spread_per_month": spread,
    }


def _price(one: Sized) -> str | None:
    return next((host.price for host in reversed(one.problem.hosts) if host.price), None)


def _locked(one: Locked) -> dict[str, Any]:
    return {
        "machine": one.machine,
        "resource": one.resource,
        "containers": one.containers,
        "locked": one.asked,
        "there": one.there,
        "over": one.over,
    }
