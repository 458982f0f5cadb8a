"""A list of rows: draws only the lines in view, and its cursor belongs to a row, not to a line."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui import theme
from tui.filter import Filter
from tui.text import fit
from tui.widgets.columns import GAP, Cells, Column, Drawer, R, Table, drawn, layout, message, needs, place

_MARK = 2
_BUSY, _FAILED = "…", "!"
"""Marks of a row with a command under way, and of one whose last command failed."""
_SIGNS = {(False, False): " ", (True, False): ">", (False, True): "•", (True, True): "»"}
"""What stands before a row: (under the cursor, marked)."""


class RowList(ScrollView, Generic[R], can_focus=True, inherit_bindings=False):
    """A virtual list: a header line and one line a row.

    The cursor stays on its row through inserts, removals and sorting. When that row goes, the cursor
    stays on what is gone, so that no key acts on a neighbour, until it is moved.
    """

    class Moved(Message):
        """The cursor is on another row, or its row came, changed or went."""

        def __init__(self, rows: "RowList[Any]") -> None:
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> "RowList[Any]":
            """The list that it is about."""
            return self.rows

    class Opened(Moved):
        """The row under the cursor was double-clicked."""

    class Sorted(Moved):
        """A click on a title sorted the rows."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", "rows--cursor-idle"}
    DEFAULT_CSS = """
    RowList {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        & > .rows--header { color: $muted; background: $surface; text-style: bold; }
        & > .rows--cursor { background: $cursor; }
        & > .rows--cursor-idle { background: $panel; }
    }
    """

    def __init__(self, table: Table[R], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.table = table
        self.cursor_id: str | None = None
        self.order = next(iter(table.orders))
        self.filter = Filter()
        self.empty: tuple[str, ...] = ()
        """What is said in place of rows."""
        self._all: Sequence[R] = ()
        self._rows: list[R] = []
        self._known: dict[str, R] = {}
        self._cursor = 0
        self._chosen = ""
        self._gone: R | None = None
        self._now: datetime | None = None
        self._busy: Collection[str] = frozenset()
        self._failed: Collection[str] = frozenset()
        self._marks: dict[str, None] = {}
        self._wanted: dict[str, int] = {}
        self._columns: list[tuple[Column[R], int]] = []
        self._fitted = 0
        self._drawn: dict[int, object] = {}
        self._drawer: Drawer[R] = Drawer()
        self._sorted: dict[str, list[R]] = {}
        self._look: tuple[Style, int] | None = None

    # content

    @property
    def rows(self) -> Sequence[R]:
        """The rows that pass the filter, in order."""
        return self._rows

    @property
    def selected(self) -> R | None:
        """The row under the cursor, also while the filter hides it; None where there is none or it is gone."""
        return self._known.get(self.cursor_id or "")

    @property
    def ended(self) -> R | None:
        """The last that was known of the row under the cursor, where that is gone."""
        return self._gone

    @property
    def marked(self) -> list[R]:
        """The rows that are marked, in the order in which they were."""
        return [self._known[name] for name in self._marks]

    def mark(self) -> None:
        """Mark the row under the cursor, or take its mark away."""
        row = self.selected
        if row is None:
            return
        if self._marks.pop(row.id, row) is row:
            self._marks[row.id] = None
        self._marks_changed()

    def unmark(self, names: Collection[str] | None = None) -> bool:
        """Take the marks of these rows away, or all; whether there was one."""
        kept = {} if names is None else {name: None for name in self._marks if name not in names}
        changed = kept != self._marks
        self._marks = kept
        if changed:
            self._marks_changed()
        return changed

    def _marks_changed(self) -> None:
        self._refresh_changed()
        self.post_message(self.Moved(self))

    def show(self, rows: Sequence[R], now: datetime, busy: Collection[str] = (), failed: Collection[str] = ()) -> None:
        """Take new rows; `busy` are rows with a command under way, `failed` those whose last one failed."""
        before = self.selected
        self._known = {row.id: row for row in rows}
        self._marks = {name: None for name in self._marks if name in self._known}  # what is gone has no mark
        self._all, self._now, self._busy, self._failed, self._sorted = rows, now, busy, failed, {}
        # Only grows, so that columns don't move to and fro with every value.
        wanted = needs(self.table.columns, rows, now)
        self._wanted = {name: max(size, self._wanted.get(name, 0)) for name, size in wanted.items()}
        self._arrange(before)

    def tell_time(self, now: datetime) -> None:
        """Let the ages count; only lines that change are drawn."""
        self._now = now
        self._refresh_changed()

    def set_filter(self, chosen: Filter) -> None:
        """Show only what matches; the cursor goes to the first row if its own is hidden."""
        self.filter = chosen
        self._arrange(None)
        if (index := self._place(self._chosen)) is not None:  # a shorter filter shows where the cursor had been put
            self.move_to(index)
        elif self._place(self.cursor_id) is None:
            self.cursor_id = None
            self._put(0)
            self.post_message(self.Moved(self))

    def next_order(self) -> str:
        """Sort by the next order and return its name."""
        orders = list(self.table.orders)
        return self.sort(orders[(orders.index(self.order) + 1) % len(orders)])

    def sort(self, order: str) -> str:
        """Sort by an order of the table."""
        self.order = order
        self._arrange(self.selected)
        return order

    def _place(self, name: str | None) -> int | None:
        return place(self._rows, self._known.get(name or ""), self.table.orders[self.order])

    def _arrange(self, before: R | None) -> None:
        found = self._sorted.get(self.order)
        if found is None:  # kept from snapshot to snapshot, so that typing a filter sorts nothing
            found = self._sorted[self.order] = sorted(self._all, key=self.table.orders[self.order])
        self._rows = self.filter.among(found) if self.filter.words else found
        shift = 0
        if self.cursor_id is None and self._rows:
            self.cursor_id = self._rows[0].id
            self._chosen = self._chosen or self.cursor_id
        index = self._place(self.cursor_id)
        if index is None:
            self._gone = None if self.selected else before or self._gone
        else:
            self._gone = None
            shift, self._cursor = index - self._cursor, index
        self._resize_columns()
        self.virtual_size = Size(self.width, len(self._rows) + 1)
        if shift and self.scroll_offset.y > 0:  # keep the line under the eyes where it is
            self.scroll_to(y=self.scroll_offset.y + shift, animate=False)
        self._into_view()
        self._refresh_changed()
        self.post_message(self.Moved(self))

    # cursor

    def revisit(self) -> None:
        """At another time: nothing of what isn't there; the cursor is where it was put, else on the first row."""
        self._gone = None
        if (index := self._place(self._chosen)) is not None:
            if self.cursor_id != self._chosen:
                self._put(index)
        elif self.cursor_id not in self._known:
            self.cursor_id = None
            self._put(0)
            self.post_message(self.Moved(self))

    def move(self, lines: int) -> None:
        """Move the cursor by so many rows; from a row that is gone it starts at the place where that stood."""
        start = self._cursor
        if self._place(self.cursor_id) is None and lines > 0:
            start -= 1  # the row that moved up into the gap is the next one
        self.move_to(start + lines)

    def move_to(self, index: int) -> None:
        """Put the cursor on a row; beyond the ends it stays on the first or last."""
        self._put(index)
        self._chosen = self.cursor_id or ""

    def _put(self, index: int) -> None:
        if not self._rows:
            return
        self._cursor = max(0, min(index, len(self._rows) - 1))
        self.cursor_id = self._rows[self._cursor].id
        self._gone = None
        self._into_view()
        self._refresh_changed()
        self.post_message(self.Moved(self))

    @property
    def width(self) -> int:
        """The cells of a line, without the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def page(self) -> int:
        """How many rows half a page has."""
        return max(1, (self.size.height - 1) // 2)

    def _into_view(self) -> None:
        height = self.size.height - 1
        if height <= 0:
            return
        top, cursor = self.scroll_offset.y, min(self._cursor, max(0, len(self._rows) - 1))
        if cursor < top:
            self.scroll_to(y=cursor, animate=False)
        elif cursor >= top + height:
            self.scroll_to(y=cursor - height + 1, animate=False)

    # drawing

    def on_resize(self) -> None:
        self.virtual_size = Size(self.width, len(self._rows) + 1)
        self._resize_columns()
        self._into_view()
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _resize_columns(self) -> None:
        self._fitted = self.width
        columns = layout(self.table.columns, max(1, self._fitted - _MARK), self._wanted)
        if columns != self._columns:
            self._columns = columns
            self._drawn.clear()
            self._drawer.clear()
            self.refresh()

    def _refresh_changed(self) -> None:
        """Ask for the lines that differ from what was drawn."""
        if not self._rows:
            self.refresh()
            return
        top, width = self.scroll_offset.y, self.width
        changed = [y for y in range(1, self.size.height) if self._drawn.get(y) != self._line(top + y - 1)]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _line(self, index: int) -> tuple[Cells, bool, str] | None:
        if index >= len(self._rows) or self._now is None:
            return None
        row, now = self._rows[index], self._now
        mark = _BUSY if row.id in self._busy else _FAILED if row.id in self._failed else " "
        here, marked = row.id == self.cursor_id, row.id in self._marks
        return self._drawer.cells(row, self._columns, now), here, _SIGNS[here, marked] + mark

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the widget; every ancestor is asked for its colours once a picture rather than once a line."""
        self._look = self.rich_style, self.width
        if self._fitted != self.width:  # a scrollbar came or went, and no event says so
            self._resize_columns()
        lines = super().render_lines(crop)
        self._look = None
        return lines

    def render_line(self, y: int) -> Strip:
        """One line of the widget: the header, a row, or a word about why there is none."""
        base, width = self._look or (self.rich_style, self.width)
        if y == 0:
            return self._header(width)
        if not self._rows:
            return message(self.empty, y - 1, self.size.height - 1, width, base)
        line = self._line(self.scroll_offset.y + y - 1)
        self._drawn[y] = line
        if line is None:
            return Strip.blank(width, base)
        cells, current, mark = line
        if current:
            base += self._cursor_style()
        segments = [Segment(mark, base + (theme.BAD if _FAILED in mark else theme.HEADING)), *drawn(cells, base)]
        return Strip(segments).adjust_cell_length(width, base)

    def _cursor_style(self) -> Style:
        if self.app.console.color_system not in ("truecolor", "256"):
            return Style(underline=True)  # no dark blue among 16 colours leaves the text readable
        return self.get_component_rich_style("rows--cursor" if self.has_focus else "rows--cursor-idle")

    def _header(self, width: int) -> Strip:
        style = self.get_component_rich_style("rows--header")
        titles = (" " * GAP).join(fit(column.title, size, right=column.right) for column, size in self._columns)
        return Strip([Segment(" " * _MARK + titles, style)]).adjust_cell_length(width, style)

    # mouse

    def on_click(self, event: events.Click) -> None:
        index = self.scroll_offset.y + event.y - 1 - self.gutter.top
        if event.y - self.gutter.top < 1:
            self._sort_at(event.x - self.gutter.left - _MARK)
            return
        if index >= len(self._rows):
            return
        self.move_to(index)
        if event.chain == 2:
            self.post_message(self.Opened(self))

    def _sort_at(self, x: int) -> None:
        for column, width in self._columns:
            if x <= width:
                if order := self.table.heads.get(column.name):
                    self.sort(order)
                    self.post_message(self.Sorted(self))
                return
            x -= width + GAP
