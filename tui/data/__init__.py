"""What the screens show: immutable snapshots of the event store's projections, read through the event log alone.

What every screen needs is named here; the first paint waits for it, so it loads no models of events.
"""

from tui.data.log import History, Log, Measured, utc_now
from tui.data.reader import SnapshotReader
from tui.data.rows import AdviceRow, Entry, Holding, Lack, Row
from tui.data.snapshot import MISSED, POLL, Snapshot, late_after, tick_interval

__all__ = [
    "MISSED",
    "POLL",
    "AdviceRow",
    "Entry",
    "History",
    "Holding",
    "Lack",
    "Log",
    "Measured",
    "Row",
    "Snapshot",
    "SnapshotReader",
    "late_after",
    "tick_interval",
    "utc_now",
]
