"""What the two lists of events have in common: a line opens what it is about."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.commands import Target
from tui.data import Entry, Row, Snapshot
from tui.screens.base import ACT, DECIDE, MOVE
from tui.screens.listing import FIND, ListScreen
from tui.widgets.lists import ENTRIES
from tui.widgets.panes import EntryPane
from tui.widgets.row_list import RowList
from tui.widgets.titles import retitle

if TYPE_CHECKING:
    from controlplane.model.recommendations import Recommendation


class EventsScreen(ListScreen):
    """A list of events, the selected one in full under it."""

    NOUN = "events"
    ONE: ClassVar[str] = "Event"
    """Title of the pane with the selected one."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="view.open", tooltip="The alert or recommendation that it is about"),
        *ACT[:2],
        *DECIDE,
        *FIND,
        *ACT[2:],
        *MOVE,
    ]
    DEFAULT_CSS = """
    EventsScreen {
        &.-wide #panes { layout: vertical; }
        & #entry { height: 6; width: 1fr; }
        &.-wide #entry { height: 7; }
        &.-wide #column { width: 1fr; }
    }
    """

    def listing(self) -> RowList[Entry]:
        """One line an event."""
        return RowList(ENTRIES, id="events")

    def beside(self) -> Iterable[Widget]:
        """The selected event."""
        yield EntryPane(id="entry", classes="pane")

    @property
    def chosen(self) -> Entry | None:
        """The event under the cursor."""
        if not self.is_mounted:
            return None
        found: Entry | None = self.table.selected
        return found

    @property
    def selected(self) -> Row | None:
        """The alert that the event is about, while it lasts."""
        return None if self.chosen is None else self.control.snapshot.by_id.get(self.chosen.alert)

    @property
    def advised(self) -> "Recommendation | None":
        """The recommendation that the event is about, else that of its alert."""
        row = None if self.chosen is None else self.control.snapshot.advice_by_id.get(self.chosen.advice)
        return row.recommendation if row is not None else super().advised

    @property
    def notable(self) -> Target | None:
        """The recommendation that the event is about, else its alert, be it over."""
        if (chosen := self.chosen) is None:
            return None
        row = self.control.snapshot.advice_by_id.get(chosen.advice)
        if row is not None and row.recommendation is not None:
            return row.recommendation
        return self.selected or (chosen if chosen.alert else None)

    @property
    def copied(self) -> str:
        """The event's id."""
        return "" if self.chosen is None else self.chosen.id

    def show_panes(self, snapshot: Snapshot, now: datetime) -> None:  # noqa: ARG002 - other screens need it
        """The selected event in full."""
        pane = self.query_one(EntryPane)
        if pane.display:
            pane.show(self.chosen, now)
            retitle(pane, self.ONE)

    def action_open(self) -> None:
        """The recommendation or alert that the event is about."""
        chosen, snapshot = self.chosen, self.control.snapshot
        if chosen is None:
            return
        if (advice := snapshot.advice_by_id.get(chosen.advice)) is not None:
            self.open_advice(advice)
        elif (row := snapshot.by_id.get(chosen.alert)) is not None:
            self.open_alert(row)
        else:
            said = "The alert has ended." if chosen.alert else "This event is about no alert or recommendation."
            self.notify(said, markup=False)
