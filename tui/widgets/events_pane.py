"""What happened to the alert under the cursor: the pane under the list where the terminal is large."""

from datetime import datetime
from functools import partial

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.timer import Timer

from tui import theme
from tui.data import Entry, Log, Row, Snapshot
from tui.widgets.lines import Lines

_REST = 0.1
"""Seconds that the cursor has to rest on an alert before its events are read."""


class EventsPane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """The newest events of one alert, newest first; read in a thread, since the store may take its time."""

    DEFAULT_CSS = """
    EventsPane { overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 1; }
    """

    class Arrived(Message):
        """The events of an alert were read, up to a position."""

        def __init__(self, asked: tuple[str, int], found: tuple[Entry, ...]) -> None:
            super().__init__()
            self.asked, self.found = asked, found

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._row: Row | None = None
        self._recent: tuple[Entry, ...] = ()
        """What the timeline has of it: its advice and messages, too."""
        self._found: tuple[Entry, ...] | None = None
        self._asked: tuple[str, int] | None = None
        """Alert and position that the events are asked for."""
        self._now: datetime | None = None
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="events-lines")

    @property
    def told(self) -> bool:
        """Whether it tells all that there is to tell."""
        return self._row is None or self._found is not None

    def follow(self, row: Row | None, log: Log | None, snapshot: Snapshot, now: datetime) -> None:
        """Tell of this alert as of a snapshot; what was read of it stands until there is something newer."""
        before, self._row, self._now = self._row, row, now
        self._recent = () if row is None else tuple(entry for entry in snapshot.entries if entry.alert == row.id)
        back = self._asked is not None and snapshot.position < self._asked[1]
        if before is None or row is None or before.id != row.id or back:
            self._found = self._asked = None  # of another alert, or not known yet at that time
        if (
            row is not None
            and log is not None
            and (self._asked is None or before is None or before.alert is not row.alert)
        ):
            self._asked = (row.id, snapshot.position)
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(_REST, partial(self._read, log, row, self._asked))
        self._tell()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read(self, log: Log, row: Row, asked: tuple[str, int]) -> None:
        from tui.data.story import events_of  # with it come the models of events: not at the start

        self.post_message(self.Arrived(asked, events_of(log, row.alert, asked[1])))

    def on_events_pane_arrived(self, message: Arrived) -> None:
        """Show them, if the cursor is still there."""
        if message.asked == self._asked:
            self._found = message.found
            self._tell()

    def _tell(self) -> None:
        lines = self.query_one("#events-lines", Lines)
        if self._row is None:
            lines.tell(Text("No alert is selected.", theme.QUIET))
        elif self._found is None or self._now is None:
            lines.tell(Text("Reading its events", theme.QUIET))
        else:
            from tui.describe.story import event_lines

            told = {entry.position: entry for entry in (*self._found, *self._recent)}
            lines.tell(event_lines(tuple(told[position] for position in sorted(told)), self._now))
