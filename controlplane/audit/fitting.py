"""Check of a placement: how many carriers hold a list of machines, those of one cluster apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from controlplane.audit.amounts import Node, Unknown, Value
from controlplane.audit.figures import factor, matches, said
from controlplane.audit.findings import Outcome, Verdict
from controlplane.audit.numbers import plain, shown
from controlplane.audit.plan import Fit
from controlplane.audit.reading import Material
from controlplane.model.resources import Resource

_STEPS = 200_000
_MANY = 200
"""So many tries and machines the exact search takes; beyond them the number of first fit stands."""


@dataclass(frozen=True, slots=True)
class Item:
    """A machine to place; those of one `group` have to be apart."""

    cores: Decimal
    memory: Decimal
    group: str = ""


def fit(claim: Fit, evaluate: Callable[[Node], Value], material: Material) -> Outcome:
    """The claimed number of carriers holds all machines, and so many more are spare."""
    machines = material.selected(claim.items.wanted())
    carriers = material.selected(claim.into.wanted())
    items = [Item(_cores(one), _memory(one), one.cluster if one.cluster in claim.apart else "") for one in machines]
    room = [Item(_cores(one), _memory(one)) for one in carriers]
    if len(set(room)) > 1:
        raise Unknown("the carriers are of different sizes")
    overhead = {name: evaluate(node).high for name, node in claim.overhead.items()}
    bare = room[0]
    usable = Item(
        bare.cores * (1 - overhead.get("cores", Decimal(0))), bare.memory * (1 - overhead.get("memory", Decimal(0)))
    )
    needed, exactly = carriers_needed(items, usable)
    without, _ = carriers_needed(items, bare)
    spare = Decimal(needed + claim.spare)
    value = Value(spare, spare, "")
    cores, memory = sum((one.cores for one in items), Decimal(0)), sum((one.memory for one in items), Decimal(0))
    by_cores, by_memory = cores / usable.cores, memory / usable.memory
    short = said(claim).low < spare
    groups = [name for name in claim.apart if sum(one.cluster == name for one in machines) > 1]
    text = (
        f"{plain(cores)} cores ÷ {plain(usable.cores)} = {plain(by_cores)}, "
        f"{shown(memory, 'By')} ÷ {shown(usable.memory, 'By')} = {plain(by_memory)}; "
        f"{len(items)} machines{' with ' + ', '.join(groups) + ' apart' if groups else ''} fit {needed}"
        f"{'' if exactly else ' (first fit)'}"
    )
    return Outcome(
        Verdict.INFEASIBLE if short else None,
        text + (f", and {claim.spare} spare" if claim.spare else ""),
        f"{plain(spare - said(claim).low)} too few" if short else "",
        {"": value, "fit": _number(needed), "without overhead": _number(without)},
        said(claim).show(claim.unit),
        shown(spare, claim.unit),
        factor(said(claim), value) if short or not matches(claim.says, value) else Decimal(1),
        value,
    )


def _number(count: int) -> Value:
    return Value(Decimal(count), Decimal(count), "")


def _cores(resource: Resource) -> Decimal:
    return Material.capacity(resource, "cores")


def _memory(resource: Resource) -> Decimal:
    return Material.capacity(resource, "memory")


def carriers_needed(items: Sequence[Item], room: Item) -> tuple[int, bool]:
    """The least number of equal carriers that hold all items, and whether it is proven to be the least.

    Unknown where an item is larger than a carrier.
    """
    for item in items:
        if item.cores > room.cores or item.memory > room.memory:
            raise Unknown("a machine is larger than a carrier")
    ordered = sorted(items, key=lambda one: max(one.cores / room.cores, one.memory / room.memory), reverse=True)
    groups: dict[str, int] = {}
    for item in items:
        groups[item.group] = groups.get(item.group, 0) + 1
    groups.pop("", None)
    cores, memory = sum((i.cores for i in items), Decimal(0)), sum((i.memory for i in items), Decimal(0))
    least = max(_up(cores / room.cores), _up(memory / room.memory), *groups.values(), 1)
    most = _first_fit(ordered, room)
    if least < most and len(items) > _MANY:
        return most, False
    tries = _STEPS
    for count in range(least, most):
        search = _Search(ordered, room, count, tries)
        found, tries = search.fits(), search.left
        if found:
            return count, True
        if found is None:
            return most, False
    return most, True


def _up(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_CEILING))


def _first_fit(items: Sequence[Item], room: Item) -> int:
    bins: list[tuple[Decimal, Decimal, set[str]]] = []
    for item in items:
        for index, (cores, memory, groups) in enumerate(bins):
            if cores >= item.cores and memory >= item.memory and item.group not in groups:
                bins[index] = (cores - item.cores, memory - item.memory, groups | ({item.group} - {""}))
                break
        else:
            bins.append((room.cores - item.cores, room.memory - item.memory, {item.group} - {""}))
    return len(bins)


class _Search:
    """Tries every placement, the largest machine first, carriers that look alike once."""

    def __init__(self, items: Sequence[Item], room: Item, count: int, tries: int) -> None:
        self._items = items
        self._bins = [(room.cores, room.memory, frozenset[str]())] * count
        self.left = tries

    def fits(self) -> bool | None:
        """Whether all fit; None where the tries ran out."""
        return self._place(0)

    def _place(self, index: int) -> bool | None:
        if index == len(self._items):
            return True
        self.left -= 1
        if self.left < 0:
            return None
        item = self._items[index]
        seen = set()
        for place, state in enumerate(self._bins):
            cores, memory, groups = state
            if state in seen or cores < item.cores or memory < item.memory or item.group in groups:
                continue
            seen.add(state)
            self._bins[place] = (cores - item.cores, memory - item.memory, groups | ({item.group} - {""}))
            found = self._place(index + 1)
            self._bins[place] = state
            if found is not False:
                return found
        return False
