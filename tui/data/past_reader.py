"""Snapshots of the past, each as somebody would have seen it who opened the terminal then."""

from typing import TYPE_CHECKING

from tui.data.log import Log
from tui.data.reader import SnapshotReader

if TYPE_CHECKING:
    from tui.data.recording import RecordedLog
    from tui.data.snapshot import Snapshot


class PastReader(SnapshotReader):
    """Reads a whole snapshot at each position; rows that are equal to those of the last one are taken over."""

    def at(self, log: "RecordedLog") -> "Snapshot":
        """The snapshot of a log as it was; what the store raises, it raises."""
        self.log = log
        self._last = self._read()
        return self._last

    def _renew(self, log: Log, after: int, position: int) -> bool:  # noqa: ARG002 - the signature of SnapshotReader
        """Never from the snapshot before: an event is told in the words of its time, whichever way somebody came."""
        return False
