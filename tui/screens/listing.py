"""A screen around a list: a filter line under it, panes that follow its cursor, and what it says where it is empty."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Input

from controlplane.model.time import human_duration
from tui.commands import OF_ADVICE, Kind, Target, refusal
from tui.data import AdviceRow, Row, Snapshot
from tui.filter import Filter
from tui.screens.base import SnapshotScreen
from tui.text import safe
from tui.widgets.row_list import RowList
from tui.widgets.titles import retitle

FIND: tuple[BindingType, ...] = (
    Binding("slash", "filter", "Filter", id="find.filter", tooltip="Filter, such as: platform:shop sev:crit lag -test"),
    Binding(
        "o",
        "order",
        "Order",
        show=False,
        id="find.order",
        tooltip="Sort by the next order; a click on a title sorts too",
    ),
    Binding("escape", "back", "Clear the filter, then the marks", show=False, id="find.clear"),
)
"""Keys for finding a row."""
_KEPT = "Enter keeps, Esc clears the filter"
FIRST_RUN = (
    "Nothing has been evaluated yet",
    "",
    "controlplane up     ticks on a schedule and keeps this screen filled",
    "controlplane tick   reads the sources and evaluates the rules once",
    "controlplane demo   shows a recorded evening, without any source",
)


class ListScreen(SnapshotScreen):
    """Subclasses give the list, its rows and the panes beside it."""

    NOUN: ClassVar[str] = ""
    """What the rows are, in the plural."""
    HEADING: ClassVar[str] = ""
    """Title of the list where it isn't that of the screen."""
    EXAMPLE: ClassVar[str] = "platform:shop sev:crit lag -test"
    DEFAULT_CSS = """
    ListScreen {
        layout: vertical;
        & #panes { height: 1fr; layout: vertical; }
        & #column { height: 1fr; }
        & #left { height: 1fr; border-top: solid $line; border-title-color: $muted; border-title-style: bold; }
        & #left:focus-within { border-top: solid $accent; border-title-color: $accent; }
        & RowList { height: 1fr; }
        & #filter { height: 1; border: none; padding: 0 1; display: none; background: $panel; }
        & #filter.-open { display: block; }
        & .pane {
            height: 45%; border-top: solid $line; border-title-color: $muted; border-title-style: bold;
        }
        & .pane:focus { border-top: solid $accent; border-title-color: $accent; }
        &.-wide #panes { layout: horizontal; }
        &.-wide #column { width: 5fr; }
        &.-wide #left { border: round $line; }
        &.-wide .pane { width: 3fr; height: 1fr; border: round $line; }
        &.-wide #left:focus-within, &.-wide .pane:focus { border: round $accent; }
        &.-slim .pane, &.-low .pane { display: none; }
        &.-slim #left, &.-low #left { border: none; }
        &.-disconnected #panes { opacity: 60%; }
    }
    """

    def listing(self) -> RowList[Any]:
        """A new list."""
        raise NotImplementedError

    def rows(self, snapshot: Snapshot) -> Sequence[Any]:
        """The rows of a snapshot."""
        raise NotImplementedError

    def beside(self) -> Iterable[Widget]:
        """The panes that follow the cursor."""
        return ()

    def under(self) -> Iterable[Widget]:
        """What stands under the list alone."""
        return ()

    def below(self) -> Iterable[Widget]:
        """What stands under all of it."""
        return ()

    def show_panes(self, snapshot: Snapshot, now: datetime) -> None:
        """Describe what is under the cursor."""

    def body(self) -> Iterable[Widget]:
        """List with its filter, then the panes."""
        with Container(id="panes"):
            with Vertical(id="column"):
                with Vertical(id="left"):
                    yield self.listing()
                    yield Input(placeholder=self.EXAMPLE, id="filter", compact=True)
                yield from self.under()
            yield from self.beside()
        yield from self.below()

    def on_mount(self) -> None:
        self.table.focus()

    @property
    def table(self) -> RowList[Any]:
        """The list."""
        return self.query_one(RowList)

    def deliver_rows(self, snapshot: Snapshot, now: datetime) -> None:
        """Give the list the rows of a snapshot."""
        table = self.table
        table.empty = self._empty(snapshot, now)
        table.show(self.rows(snapshot), now, self.named(self.control.busy), self.named(self.control.failed))
        if self.control.travelling:
            table.revisit()

    def named(self, subjects: Iterable[str]) -> Collection[str]:
        """The rows that commands about these subjects are about."""
        return frozenset(subjects)

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Renew the list and at once the panes, so that one picture has both."""
        with self.table.prevent(RowList.Moved):
            self.deliver_rows(snapshot, now)
        self.on_row_list_moved()

    def tell_time(self, snapshot: Snapshot, now: datetime) -> None:
        """Let the ages count."""
        table = self.table
        table.empty = self._empty(snapshot, now)
        table.tell_time(now)
        self.show_panes(snapshot, now)

    def _title(self, snapshot: Snapshot) -> None:
        table = self.table
        shown, all_ = len(table.rows), len(self.rows(snapshot))
        name = self.HEADING or self.NAME
        text = f"{name} {shown:,} of {all_:,}" if table.filter.words else f"{name} {all_:,}"
        hint = _KEPT if isinstance(self.focused, Input) else f"by {table.order}"
        if marked := len(table.marked):
            hint = f"{marked:,} marked · {hint}"
        retitle(self.query_one("#left"), f"{text} · {hint}")

    def _empty(self, snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
        if number := len(self.rows(snapshot)):
            return (f"None of {number:,} {self.NOUN} matches the filter", "Esc clears it")
        if snapshot.error:
            return ("The event store can't be read", safe(snapshot.error))
        if self.control.travelling and (snapshot.tick is None or self.control.travels.moment is None):
            return ("Going there",) if self.control.travels.moment is None else ("No tick had ended then",)
        if snapshot.tick is None:
            return FIRST_RUN if self.control.delivered else ("Reading the event store",)
        return (self.nothing(snapshot, now),)

    def nothing(self, snapshot: Snapshot, now: datetime) -> str:
        """What is said where there are no rows."""
        return f"No {self.NOUN} · {answered(snapshot, now)}"

    def on_row_list_moved(self) -> None:
        """The cursor is elsewhere: describe what is under it."""
        with suppress(NoMatches):  # its widgets go before it does
            self.show_panes(self.control.snapshot, self.control.now)
            self._title(self.control.snapshot)
            self.bindings_may_differ()

    def on_row_list_sorted(self) -> None:
        self._title(self.control.snapshot)

    def on_row_list_opened(self) -> None:
        self.action_open()

    def targets(self, kind: Kind) -> Sequence[Target]:
        """The marked rows, else the selected one; decisions are made one by one."""
        if kind in OF_ADVICE or not (marked := self.table.marked):
            return super().targets(kind)
        return self.marked_targets(kind, marked)

    def marked_targets(self, kind: Kind, marked: Sequence[Any]) -> Sequence[Target]:  # noqa: ARG002 - other screens need it
        """What a command about marked rows is about."""
        return tuple(marked)

    def refused(self, kind: Kind) -> str:
        """Why a command is refused: that of the first target where none of them is possible."""
        if kind in OF_ADVICE or not self.is_mounted or not self.table.marked:
            return super().refused(kind)
        control = self.control
        found = [refusal(kind, one, control.trusted, read_only=control.read_only) for one in self.targets(kind)]
        return "" if "" in found else next(iter(found), super().refused(kind))

    # keys

    def action_open(self) -> None:
        """Everything about the selected row on a screen of its own."""

    def open_alert(self, row: Row) -> None:
        """Everything about an alert."""
        from tui.screens.detail import DetailScreen  # it brings the models of events: not at the start

        self.app.push_screen(DetailScreen(row))

    def open_advice(self, row: AdviceRow) -> None:
        """Everything about a recommendation."""
        from tui.screens.advice import AdviceScreen  # with it goes what describes an alert: not at the start

        self.app.push_screen(AdviceScreen(row))

    def action_move(self, where: str) -> None:
        """Move the cursor, or scroll the pane that has the focus."""
        if isinstance(self.focused, VerticalScroll):
            super().action_move(where)
            return
        table = self.table
        match where:
            case "down":
                table.move(1)
            case "up":
                table.move(-1)
            case "first":
                table.move_to(0)
            case "last":
                table.move_to(len(table.rows) - 1)
            case "page_down":
                table.move(table.page)
            case "page_up":
                table.move(-table.page)

    def action_mark(self) -> None:
        """Mark the selected row, or take its mark away, and go to the next."""
        self.table.mark()
        if self.table.selected is not None:
            self.table.move(1)

    def unmark(self, names: Collection[str]) -> None:
        """Take the marks of the rows away that these subjects are about."""
        self.table.unmark(self.named(names))

    def action_order(self) -> None:
        """Sort by the next order."""
        self.table.next_order()
        self._title(self.control.snapshot)

    def action_filter(self) -> None:
        """Open the filter line."""
        line = self.query_one("#filter", Input)
        line.add_class("-open")
        line.focus()

    def action_back(self) -> None:
        """Clear the filter, or where there is none the marks, and return to the list."""
        line = self.query_one("#filter", Input)
        if not line.value and not line.has_focus:
            self.table.unmark()
        line.value = ""
        line.remove_class("-open")
        self.table.focus()

    def on_descendant_focus(self) -> None:
        """Whoever types the filter is told how to end it."""
        with suppress(NoMatches):  # its widgets go before it does
            self._title(self.control.snapshot)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self.table.set_filter(Filter.parse(event.value))
        self._title(self.control.snapshot)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and return to the list."""
        if not event.value.strip():
            event.input.remove_class("-open")
        self.table.focus()


def answered(snapshot: Snapshot, now: datetime) -> str:
    """How many sources answered, and when: `3/3 sources answered 2s ago`."""
    good = sum(not source.failed for source in snapshot.sources)
    age = "never" if snapshot.tick is None else f"{human_duration(now - snapshot.tick.now)} ago"
    return f"{good}/{len(snapshot.sources)} sources answered {age}"
