"""Columns of a list: what a cell says and how it looks, and which columns a width has room for."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui import theme
from tui.text import fit

GAP = 1
_SAMPLE = 40
_KEPT = 500
"""Lines; more than are seen at once."""


class Listed(Protocol):
    """What a list can show: a row with an id that a filter can look into."""

    @property
    def id(self) -> str:
        """The permanent name of the row."""
        ...

    @property
    def text(self) -> str:
        """Everything that a word without a key may match, in one case."""
        ...

    def words(self, key: str) -> tuple[str, ...]:
        """What a word with this key is compared with."""
        ...


R = TypeVar("R", bound=Listed)
Cells = tuple[tuple[str, Style], ...]
"""The cells of a line with their styles."""


def _quiet(_: Any) -> Style:
    return theme.QUIET


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """A column: it needs `least` cells and uses up to `most`; those of the highest `drop` leave first."""

    name: str
    title: str
    least: int
    most: int
    drop: int
    cell: Callable[[R, datetime], str]
    style: Callable[[R], Style] = _quiet
    right: bool = False
    grows: bool = False
    """Whether it takes what is left over."""
    steady: bool = False
    """Whether it says the same as long as the row is the same, however much time passes."""


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """What a list is made of: its columns, and the orders that it can be sorted by, the first one to begin with."""

    columns: tuple[Column[R], ...]
    orders: Mapping[str, Callable[[R], Any]]
    heads: Mapping[str, str] = field(default_factory=dict)
    """Column name → the order that a click on its title sorts by."""


def needs(columns: Sequence[Column[R]], rows: Sequence[R], now: datetime) -> dict[str, int]:
    """The cells that each column would fill for `rows`, at most its `most`; a column of one size keeps it."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    wanted = {}
    for column in columns:
        longest = max([len(column.title), *(len(column.cell(row, now)) for row in sample)])
        wanted[column.name] = column.most if column.least == column.most else min(column.most, longest)
    return wanted


def layout(columns: Sequence[Column[R]], width: int, wanted: Mapping[str, int]) -> list[tuple[Column[R], int]]:
    """Columns that fit into `width` cells with their widths; the least important are left out, none overflows."""

    def least(column: Column[R]) -> int:
        return min(column.least, wanted.get(column.name, column.least))

    kept = list(columns)
    while len(kept) > 1 and sum(least(column) + GAP for column in kept) - GAP > width:
        kept.remove(max(kept, key=lambda column: column.drop))
    widths = {column.name: least(column) for column in kept}
    spare = width - sum(widths.values()) - GAP * (len(kept) - 1)
    while hungry := [column.name for column in kept if widths[column.name] < wanted.get(column.name, 0)][:spare]:
        for name in hungry:  # a cell to each, so that none is starved
            widths[name] += 1
        spare -= len(hungry)
    if growing := next((column.name for column in kept if column.grows), None):
        widths[growing] = max(1, widths[growing] + spare)
    return [(column, widths[column.name]) for column in kept]


def place(rows: Sequence[R], row: R | None, key: Callable[[R], Any]) -> int | None:
    """Where a row stands among rows sorted by `key`; None where it doesn't. A table of all places takes far longer."""
    if row is None:
        return None
    wanted = key(row)
    for index in range(bisect_left(rows, wanted, key=key), len(rows)):
        if rows[index].id == row.id:
            return index
        if key(rows[index]) != wanted:
            break
    return None


class Drawer(Generic[R]):
    """Makes the cells of lines, and keeps them: as time passes what is steady is taken over."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[R, datetime, theme.Palette, Cells]] = {}

    def clear(self) -> None:
        """Forget all of them, as the columns are other ones."""
        self._known.clear()

    def cells(self, row: R, columns: Sequence[tuple[Column[R], int]], now: datetime) -> Cells:
        """The cells of a row in columns of these widths; the same object as long as nothing about them changes."""
        known = self._known.get(row.id)
        if known is None or known[0] is not row or known[2] is not theme.CURRENT:
            if len(self._known) >= _KEPT:
                self._known.clear()
            cells = tuple((_said(column, width, row, now), column.style(row)) for column, width in columns)
        elif known[1] == now:
            return known[3]
        else:
            cells = tuple(
                before if column.steady else (_said(column, width, row, now), column.style(row))
                for (column, width), before in zip(columns, known[3], strict=True)
            )
        self._known[row.id] = row, now, theme.CURRENT, cells
        return cells


def _said(column: Column[R], width: int, row: R, now: datetime) -> str:
    return fit(column.cell(row, now), width, right=column.right)


def drawn(cells: Cells, base: Style) -> list[Segment]:
    """A line's cells, a gap after each; of what is turned around only the word, not its padding."""
    segments = []
    for text, style in cells:
        if style.reverse:
            segments += [
                Segment(text.rstrip(), base + style),
                Segment(" " * (len(text) - len(text.rstrip()) + GAP), base),
            ]
        else:
            segments.append(Segment(text + " " * GAP, base + style))
    return segments


def message(lines: Sequence[str], y: int, height: int, width: int, base: Style) -> Strip:
    """One of `height` lines of a list without rows: a few words in its middle."""
    first = max(0, (height - len(lines)) // 2)
    if not first <= y < first + len(lines):
        return Strip.blank(width, base)
    style = base + (theme.STRONG if y == first else theme.QUIET)
    text = fit(lines[y - first], max(1, width - 4)).rstrip()
    return Strip([Segment(" " * 2, base), Segment(text, style)]).adjust_cell_length(width, base)
