"""The first screen: active alerts, the selected one with its advice, and the sources."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Input

from controlplane.model.time import human_duration
from tui.data import Row, Snapshot
from tui.filter import Filter
from tui.screens.base import ACT, MOVE, SnapshotScreen
from tui.screens.detail import DetailScreen
from tui.text import safe
from tui.widgets.alert_list import AlertList
from tui.widgets.panes import AdviceLine, DetailPane, SourcesPane, pane_title

FIRST_RUN = (
    "Nothing has been evaluated yet",
    "",
    "controlplane up     ticks on a schedule and keeps this screen filled",
    "controlplane tick   reads the sources and evaluates the rules once",
    "controlplane demo   shows a recorded evening, without any source",
)


class AlertsScreen(SnapshotScreen):
    """List left or above, detail right or below, sources where there is room."""

    KEY = "1"
    NAME = "Alerts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="view.open", tooltip="Everything about the alert"),
        *ACT[:2],
        Binding("slash", "filter", "Filter", id="find.filter", tooltip="Such as: platform:shop sev:crit lag -test"),
        Binding("o", "order", "Order", id="find.order", tooltip="Sort by urgency, newest or name"),
        Binding("escape", "back", "Clear the filter", show=False, id="find.clear"),
        *ACT[2:],
        *MOVE,
    ]
    DEFAULT_CSS = """
    AlertsScreen {
        layout: vertical;
        & #panes { height: 1fr; layout: vertical; }
        & #left { height: 1fr; border-top: solid $line; border-title-color: $muted; }
        & #left:focus-within { border-top: solid $accent; border-title-color: $accent; }
        & AlertList { height: 1fr; }
        & #filter { height: 1; border: none; padding: 0 1; display: none; background: $panel; }
        & #filter.-open { display: block; }
        & DetailPane { height: 45%; border-top: solid $line; border-title-color: $muted; }
        & DetailPane:focus { border-top: solid $accent; border-title-color: $accent; }
        & SourcesPane {
            height: auto; max-height: 8; display: none;
            border-top: solid $line; border-title-color: $muted;
        }
        & SourcesPane:focus { border-top: solid $accent; border-title-color: $accent; }
        & #left, & DetailPane, & SourcesPane { border-title-style: bold; }
        &.-tall SourcesPane, &.-wide SourcesPane { display: block; }
        &.-wide #panes { layout: horizontal; }
        &.-wide #left { width: 5fr; height: 1fr; border: round $line; }
        &.-wide DetailPane { width: 3fr; height: 1fr; border: round $line; }
        &.-wide SourcesPane { border: round $line; }
        &.-wide #left:focus-within { border: round $accent; }
        &.-wide DetailPane:focus { border: round $accent; }
        &.-wide SourcesPane:focus { border: round $accent; }
        &.-slim DetailPane, &.-low DetailPane { display: none; }
        &.-slim SourcesPane, &.-low SourcesPane { display: none; }
        &.-slim AdviceLine, &.-low AdviceLine { display: block; }
        &.-medium.-middle DetailPane #headline, &.-medium.-middle DetailPane #advice { margin-bottom: 0; }
        &.-medium.-middle History, &.-medium.-middle #caption { display: none; }
        &.-slim #left, &.-low #left { border: none; }
        &.-disconnected #panes, &.-disconnected SourcesPane { opacity: 60%; }
    }
    """

    def body(self) -> Iterable[Widget]:
        """List with its filter, detail, sources."""
        with Container(id="panes"):
            with Vertical(id="left"):
                yield AlertList(id="alerts")
                yield Input(placeholder="platform:shop sev:crit lag -test", id="filter", compact=True)
            yield DetailPane(id="detail")
        yield AdviceLine(id="advice-line")
        yield SourcesPane(id="sources")

    def on_mount(self) -> None:
        self.query_one(DetailPane).border_title = Content("Alert")
        self.query_one(AlertList).focus()

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self.query_one(AlertList).selected if self.is_mounted else None

    @property
    def ended(self) -> Row | None:
        """The row that was under the cursor and is gone."""
        return self.query_one(AlertList).ended if self.is_mounted else None

    # snapshots

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Renew every pane."""
        alerts = self.query_one(AlertList)
        alerts.empty = self._empty(snapshot, now)
        alerts.show(snapshot.rows, now, self.control.busy)
        self._title(snapshot)
        self._show_sources(snapshot, now)

    def tell_time(self, snapshot: Snapshot, now: datetime) -> None:
        """Let the ages count."""
        alerts = self.query_one(AlertList)
        alerts.empty = self._empty(snapshot, now)
        alerts.tell_time(now)
        self._show_detail(now)
        self._show_sources(snapshot, now)

    def _show_sources(self, snapshot: Snapshot, now: datetime) -> None:
        pane = self.query_one(SourcesPane)
        good = sum(not source.failed for source in snapshot.sources)
        pane.border_title = Content(f"Sources {good}/{len(snapshot.sources)}")
        if pane.display:
            pane.show(snapshot.sources, now)

    def _title(self, snapshot: Snapshot) -> None:
        alerts = self.query_one(AlertList)
        shown, all_ = len(alerts.rows), len(snapshot.rows)
        text = f"Alerts {shown:,} of {all_:,}" if alerts.filter.words else f"Alerts {all_:,}"
        typing = self.query_one("#filter", Input).has_focus
        hint = "Enter keeps, Esc clears the filter" if typing else f"by {alerts.order}"
        self.query_one("#left").border_title = Content(f"{text} · {hint}")

    def _empty(self, snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
        if snapshot.rows:
            return (f"None of {len(snapshot.rows):,} alerts matches the filter", "Esc clears it")
        if snapshot.error:
            return ("The event store can't be read", safe(snapshot.error))
        if snapshot.tick is None:
            return FIRST_RUN if self.control.delivered else ("Reading the event store",)
        good = sum(not source.failed for source in snapshot.sources)
        age = human_duration(now - snapshot.tick.now)
        return (f"No firing alerts · {good}/{len(snapshot.sources)} sources answered {age} ago",)

    def _show_detail(self, now: datetime) -> None:
        alerts = self.query_one(AlertList)
        row, gone = alerts.selected, alerts.selected is None and alerts.ended is not None
        shown = row or alerts.ended
        pane = self.query_one(DetailPane)
        if pane.display:
            pane.show(shown, now, gone=gone)
            pane.border_title = Content(pane_title(shown, gone=gone))
        self.query_one(AdviceLine).show(shown)

    def on_alert_list_moved(self) -> None:
        """The cursor is elsewhere: describe what is under it."""
        with suppress(NoMatches):  # its widgets go before it does
            self._show_detail(self.control.now)
            self.bindings_may_differ()

    def on_alert_list_opened(self) -> None:
        self.action_open()

    # keys

    def action_move(self, where: str) -> None:
        """Move the cursor, or scroll the pane that has the focus."""
        alerts = self.query_one(AlertList)
        if isinstance(self.focused, DetailPane | SourcesPane):
            super().action_move(where)
            return
        match where:
            case "down":
                alerts.move(1)
            case "up":
                alerts.move(-1)
            case "first":
                alerts.move_to(0)
            case "last":
                alerts.move_to_end()
            case "page_down":
                alerts.move(alerts.page)
            case "page_up":
                alerts.move(-alerts.page)

    def action_open(self) -> None:
        """Everything about the selected alert on a screen of its own."""
        row = self.selected or self.ended
        if row is not None:
            self.app.push_screen(DetailScreen(row))

    def action_order(self) -> None:
        """Sort by the next order."""
        self.query_one(AlertList).next_order()
        self._title(self.control.snapshot)

    def action_filter(self) -> None:
        """Open the filter line."""
        line = self.query_one("#filter", Input)
        line.add_class("-open")
        line.focus()
        self.call_after_refresh(self._title, self.control.snapshot)

    def action_back(self) -> None:
        """Clear the filter and return to the list."""
        line = self.query_one("#filter", Input)
        line.value = ""
        line.remove_class("-open")
        self._to_list()

    def _to_list(self) -> None:
        self.query_one(AlertList).focus()
        self.call_after_refresh(self._title, self.control.snapshot)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        self.query_one(AlertList).set_filter(Filter.parse(event.value))
        self._title(self.control.snapshot)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and return to the list."""
        if not event.value.strip():
            event.input.remove_class("-open")
        self._to_list()
