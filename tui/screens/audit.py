"""The fifth screen: whether the sources answer and the rules hold, and who decided what."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from textual.widget import Widget

from tui.data import Entry, Snapshot
from tui.screens.events import EventsScreen
from tui.widgets.panes import HealthPane
from tui.widgets.titles import retitle


class AuditScreen(EventsScreen):
    """Health above, decisions below."""

    KEY = "5"
    NAME = "Sources and audit"
    SHORT = "Sources"
    MODE = "audit"
    NOUN = "decisions"
    ONE = "Decision"
    HEADING = "Decisions"
    EXAMPLE = "own:mira kind:approved platform:shop"
    DEFAULT_CSS = """
    AuditScreen {
        & #health { height: auto; max-height: 50%; width: 1fr; }
        &.-slim #health, &.-low #health { display: block; }
        &.-middle.-medium #entry { display: none; }
    }
    """

    @classmethod
    def count(cls, snapshot: Snapshot) -> str:
        """Sources that answer."""
        good = sum(not source.failed for source in snapshot.sources)
        return f"{good}/{len(snapshot.sources)}"

    def body(self) -> Iterable[Widget]:
        """Health, then the list and its pane."""
        yield HealthPane(id="health", classes="pane")
        yield from super().body()

    def rows(self, snapshot: Snapshot) -> Sequence[Entry]:
        """The newest decisions."""
        return snapshot.audit

    def nothing(self, snapshot: Snapshot, now: datetime) -> str:  # noqa: ARG002 - other screens need it
        """Nobody has decided anything."""
        return "Nobody has decided anything yet"

    def show_panes(self, snapshot: Snapshot, now: datetime) -> None:
        """Health, and the selected decision."""
        health = self.query_one(HealthPane)
        health.show(snapshot, now)
        retitle(health, f"Sources {self.count(snapshot)}")
        super().show_panes(snapshot, now)
