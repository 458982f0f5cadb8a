"""The first screen: active alerts, the selected one with its advice, and the sources."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.data import Row, Snapshot
from tui.screens.base import ACT, DECIDE, MARK, MOVE
from tui.screens.listing import FIND, ListScreen, answered
from tui.widgets.alert_list import AlertList
from tui.widgets.events_pane import EventsPane
from tui.widgets.panes import AdviceLine, DetailPane, SourcesPane, pane_title
from tui.widgets.titles import retitle


class AlertsScreen(ListScreen):
    """List left or above, detail right or below; events of the selected alert and sources where there is room."""

    KEY = "1"
    NAME = "Alerts"
    SHORT = "Alerts"
    MODE = "alerts"
    NOUN = "alerts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="view.open", tooltip="Everything about the alert"),
        *ACT[:4],
        *DECIDE,
        *FIND,
        *ACT[4:],
        MARK,
        *MOVE,
    ]
    DEFAULT_CSS = """
    AlertsScreen {
        & SourcesPane {
            height: auto; max-height: 8; display: none;
            border-top: solid $line; border-title-color: $muted; border-title-style: bold;
        }
        & SourcesPane:focus { border-top: solid $accent; border-title-color: $accent; }
        &.-tall SourcesPane, &.-wide SourcesPane { display: block; }
        &.-wide SourcesPane { border: round $line; }
        &.-wide SourcesPane:focus { border: round $accent; }
        & EventsPane {
            height: 30%; display: none; border: round $line; border-title-color: $muted; border-title-style: bold;
        }
        & EventsPane:focus { border: round $accent; border-title-color: $accent; }
        &.-wide.-tall EventsPane { display: block; }
        &.-slim SourcesPane, &.-low SourcesPane { display: none; }
        &.-slim AdviceLine, &.-low AdviceLine { display: block; }
        &.-medium.-middle DetailPane #headline, &.-medium.-middle DetailPane #advice { margin-bottom: 0; }
        &.-medium.-middle History, &.-medium.-middle #caption { display: none; }
        &.-disconnected SourcesPane { opacity: 60%; }
    }
    """

    @classmethod
    def count(cls, snapshot: Snapshot) -> str:
        """Active alerts."""
        return f"{len(snapshot.rows):,}"

    def listing(self) -> AlertList:
        """One line an alert."""
        return AlertList(id="alerts")

    def rows(self, snapshot: Snapshot) -> Sequence[Row]:
        """Every active alert."""
        return snapshot.rows

    def beside(self) -> Iterable[Widget]:
        """The selected alert."""
        yield DetailPane(id="detail", classes="pane")

    def under(self) -> Iterable[Widget]:
        """What happened to the selected alert."""
        yield EventsPane(id="events")

    def below(self) -> Iterable[Widget]:
        """The advice in a line where the detail has no room, and the sources."""
        yield AdviceLine(id="advice-line")
        yield SourcesPane(id="sources")

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self.table.selected if self.is_mounted else None

    @property
    def ended(self) -> Row | None:
        """The row that was under the cursor and is gone."""
        return self.table.ended if self.is_mounted else None

    def nothing(self, snapshot: Snapshot, now: datetime) -> str:
        """No alert at all."""
        return f"No firing alerts · {answered(snapshot, now)}"

    def show_panes(self, snapshot: Snapshot, now: datetime) -> None:
        """The selected alert, its events and the sources where there is room."""
        row, gone = self.selected, self.selected is None and self.ended is not None
        shown = row or self.ended
        pane = self.query_one(DetailPane)
        if pane.display:
            pane.show(shown, now, gone=gone)
            retitle(pane, pane_title(shown, gone=gone))
        self.query_one(AdviceLine).show(shown)
        events = self.query_one(EventsPane)
        if events.display:
            events.follow(shown, self.control.event_log, snapshot, now)
            retitle(events, "What happened to it")
        sources = self.query_one(SourcesPane)
        good = sum(not source.failed for source in snapshot.sources)
        retitle(sources, f"Sources {good}/{len(snapshot.sources)}")
        if sources.display:
            sources.show(snapshot.sources, now)

    def action_open(self) -> None:
        """Everything about the selected alert on a screen of its own."""
        row = self.selected or self.ended
        if row is not None:
            self.open_alert(row)
