"""How many members make the loss of any one cell bearable, and in which cells they stand."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

_ROUNDING = 1e-9
_MOST = 10_000
"""More than so many are no advice."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The members of one role that aren't down, by cell."""

    role: str
    here: Mapping[str, int]
    """Cell → members."""
    load: Mapping[str, float]
    """Signal → load of all, in the unit of `capacity`."""
    capacity: Mapping[str, Mapping[str, float]]
    """Signal → cell → what its members can carry."""
    each: Mapping[str, float]
    """Signal → what one further member carries."""

    @property
    def count(self) -> int:
        """Members."""
        return sum(self.here.values())

    def after(self, added: Mapping[str, int], lost: Iterable[str]) -> tuple[float, str]:
        """Load of those outside the `lost` cells as a share of what they carry, with the signal that is worst.

        `added` members stand in their cells; a cell may be new. +Inf where nobody is left.
        """
        gone = frozenset(lost)
        found = []
        for signal, load in self.load.items():
            there = self.capacity[signal]
            kept = sum(size for cell, size in there.items() if cell not in gone)
            kept += self.each[signal] * sum(more for cell, more in added.items() if cell not in gone)
            found.append((load / kept if kept > 0 else float("inf"), signal))
        return max(found, default=(float("inf"), ""))

    def worst(self, added: Mapping[str, int]) -> tuple[float, str]:
        """The same for the cell whose loss is worst."""
        found = []
        for signal, load in self.load.items():
            each = self.each[signal]
            sizes = dict(self.capacity[signal])
            for cell, more in added.items():
                sizes[cell] = sizes.get(cell, 0.0) + each * more
            kept = sum(sizes.values()) - max(sizes.values(), default=0.0)
            alone = sum(size > 0 for size in sizes.values()) < 2
            found.append((float("inf") if alone or kept <= 0 else load / kept, signal))
        return max(found, default=(float("inf"), ""))


def fleet(role: str, rows: pl.DataFrame, each: Mapping[str, Sequence[float]]) -> Fleet:
    """A role from `cells.SHARES` of one source and instant; `each` = signal → capacity of every member.

    A further member is taken to be as large as most are; of equally frequent sizes the smaller.
    """
    capacity: dict[str, dict[str, float]] = {}
    load: dict[str, float] = {}
    for signal, cell, all_load, size in rows.select("signal", "cell", "load", "capacity").iter_rows():
        capacity.setdefault(signal, {})[cell] = size
        load[signal] = all_load
    here = dict(rows.select("cell", "here").unique("cell", maintain_order=True).iter_rows())
    typical = {}
    for signal in load:
        sizes = Counter(each[signal])
        typical[signal] = min(sizes, key=lambda size: (-sizes[size], size))
    return Fleet(role, here, load, capacity, typical)


@dataclass(frozen=True, slots=True)
class Added:
    """What is missing: raw → whole units → at most `maximum`."""

    raw: int
    rounded: int
    clamped: int
    cells: Mapping[str, int]
    """Cell → members to add there."""


def missing(
    of: Fleet,
    cells: Iterable[str],
    limit: float,
    *,
    unit: int = 1,
    maximum: int | None = None,
    down: int = 0,
    apart: bool = False,
    fits: Callable[[int], bool] = lambda _: True,
) -> Added | None:
    """Fewest members that bring the load after any loss to `limit`, each in the cell that has fewest by then.

    `cells` are those that members may be added to; `down` members carry nothing and count toward `maximum`; `apart` =
    each new member is a cell of its own (a host); `fits` says whether what can't be divided finds room with so many.
    None where no number of members would do. The number never falls when load rises or capacity goes.
    """
    where = sorted(set(cells))

    def enough(count: int) -> bool:
        return _bearable(of, place(of, where, count, apart=apart), limit) and fits(count)

    low, high = -1, 0
    # One more member never makes a loss worse, so the fewest are found by halving.
    while not enough(high):
        low, high = high, max(1, 2 * high)
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    rounded = -(-high // unit) * unit
    room = rounded if maximum is None else max(0, maximum - of.count - down) // unit * unit
    clamped = min(rounded, room)
    return Added(high, rounded, clamped, place(of, where, clamped, apart=apart))


def _bearable(of: Fleet, added: Mapping[str, int], limit: float) -> bool:
    return of.worst(added)[0] <= limit * (1 + _ROUNDING)


def place(of: Fleet, cells: Sequence[str], count: int, *, apart: bool = False) -> dict[str, int]:
    """`count` members dealt out: each to the cell with fewest by then, ties in name order; `apart` = to new ones."""
    if apart:
        return {f"new {number}": 1 for number in range(1, count + 1)}
    heap = [(of.here.get(cell, 0), cell) for cell in cells]
    heapq.heapify(heap)
    added = dict.fromkeys(sorted(cells), 0)
    for _ in range(count if heap else 0):
        have, cell = heap[0]
        heapq.heapreplace(heap, (have + 1, cell))
        added[cell] += 1
    return added
