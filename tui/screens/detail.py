"""One alert on the whole screen, with everything that is known about it."""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from tui.data import Row, Snapshot
from tui.screens.base import ACT, MOVE, SnapshotScreen
from tui.widgets.panes import DetailPane, pane_title


class DetailScreen(SnapshotScreen):
    """Follows its alert while it lasts, and keeps the last that was known when it ends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="view.back", tooltip="Back to the list"),
        *ACT,
        *MOVE,
    ]
    DEFAULT_CSS = """
    DetailScreen {
        layout: vertical;
        & DetailPane { height: 1fr; border-top: solid $accent; border-title-color: $accent; }
        &.-disconnected DetailPane { opacity: 60%; }
    }
    """

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._last = row
        self._row: Row | None = row

    def body(self) -> Iterable[Widget]:
        """The detail alone."""
        yield DetailPane(full=True, id="detail")

    def on_mount(self) -> None:
        self.query_one(DetailPane).focus()

    @property
    def selected(self) -> Row | None:
        """The alert that this screen is about, None when it has ended."""
        return self._row

    @property
    def ended(self) -> Row | None:
        """The last that was known of it, when it has ended."""
        return self._last if self._row is None else None

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Renew the picture of this alert."""
        self._row = snapshot.by_id.get(self._last.alert.id)
        self._last = self._row or self._last
        self.tell_time(snapshot, now)

    def tell_time(self, snapshot: Snapshot, now: datetime) -> None:  # noqa: ARG002
        """Let the ages count."""
        pane = self.query_one(DetailPane)
        pane.show(self._last, now, gone=self._row is None)
        pane.border_title = Content(pane_title(self._last, gone=self._row is None))

    def action_back(self) -> None:
        """Return to the list."""
        self.dismiss(None)
