"""One alert on the whole screen, with everything that is known about it."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from tui.data import Log, Row, Snapshot
from tui.data.story import Story, read_story
from tui.describe.parts import not_there
from tui.screens.advice import AdviceScreen
from tui.screens.base import ACT, DECIDE, MOVE, SnapshotScreen
from tui.widgets.alert_detail import AlertDetail
from tui.widgets.lines import Lines
from tui.widgets.panes import pane_title
from tui.widgets.titles import retitle


class DetailScreen(SnapshotScreen):
    """Follows its alert while it lasts, and keeps the last that was known when it ends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="view.back", tooltip="Back to the list"),
        *ACT,
        *DECIDE,
        Binding("r", "advice", "Advice", id="view.advice", tooltip="The recommendation on a screen of its own"),
        *MOVE,
    ]
    DEFAULT_CSS = """
    DetailScreen {
        layout: vertical;
        & AlertDetail {
            height: 1fr; border-top: solid $accent; border-title-color: $accent; border-title-style: bold;
        }
        &.-low SignalChart { height: 7; }
        &.-wide AlertDetail { layout: horizontal; }
        &.-disconnected AlertDetail { opacity: 60%; }
        & #absent { display: none; height: 1fr; padding: 1 2; }
        &.-absent #absent { display: block; }
        &.-absent AlertDetail { display: none; }
    }
    """

    class Told(Message):
        """What surrounds the alert has been read."""

        def __init__(self, story: Story) -> None:
            super().__init__()
            self.story = story

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._last = row
        self._row: Row | None = row
        self._story: Story | None = None
        self._asked = -1

    def body(self) -> Iterable[Widget]:
        """The detail alone."""
        yield AlertDetail(id="detail")
        yield Lines(id="absent")

    def on_mount(self) -> None:
        self.query_one(AlertDetail).focus()

    @property
    def selected(self) -> Row | None:
        """The alert that this screen is about, None when it has ended."""
        return self._row

    @property
    def told(self) -> bool:
        """Whether what surrounds the alert has been read."""
        return self._story is not None

    @property
    def ended(self) -> Row | None:
        """The last that was known of it, when it has ended."""
        return self._last if self._row is None else None

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Renew the picture of this alert."""
        self._row = snapshot.by_id.get(self._last.id)
        self._last = self._row or self._last
        if self._asked != snapshot.position:
            self._asked = snapshot.position
            if self._story is not None and self._story.position > snapshot.position:
                self._story = None  # what came later isn't known then
            if (log := self.control.event_log) is not None:
                self._read(log, self._last, snapshot)
        self.tell_time(snapshot, now)

    @work(thread=True, exclusive=True, group="story", exit_on_error=False)
    def _read(self, log: Log, row: Row, snapshot: Snapshot) -> None:
        self.post_message(self.Told(read_story(log, row, snapshot, self.control.book)))

    def on_detail_screen_told(self, message: Told) -> None:
        """Show what surrounds it."""
        if message.story.position != self._asked:
            return
        self._story = message.story
        self.tell_time(self.control.snapshot, self.control.now)

    def tell_time(self, snapshot: Snapshot, now: datetime) -> None:  # noqa: ARG002 - other screens need it
        """Let the ages count."""
        absent = self._row is None and self.control.travelling
        self.set_class(absent, "-absent")
        if absent:
            self.query_one("#absent", Lines).tell(not_there(self._last.alert.title, now))
            return
        pane = self.query_one(AlertDetail)
        pane.show(self._last, self._story, now, gone=self._row is None)
        retitle(pane, pane_title(self._last, gone=self._row is None))

    def action_advice(self) -> None:
        """The first recommendation of the alert."""
        found = self.advised
        row = None if found is None else self.control.snapshot.advice_by_id.get(found.id)
        if row is None:
            self.notify("This alert has no recommendation.", severity="warning", markup=False)
        else:
            self.app.push_screen(AdviceScreen(row))

    def action_back(self) -> None:
        """Return to the list."""
        self.dismiss(None)
