"""The third screen: what happened, newest first."""

from collections.abc import Sequence

from tui.data import Entry, Snapshot
from tui.screens.events import EventsScreen


class TimelineScreen(EventsScreen):
    """The newest events of alerts, advice, messages, people and sources."""

    KEY = "3"
    NAME = "Timeline"
    SHORT = "Time"
    MODE = "timeline"
    EXAMPLE = "kind:firing sev:crit platform:shop kafka"

    def rows(self, snapshot: Snapshot) -> Sequence[Entry]:
        """The newest events."""
        return snapshot.entries
