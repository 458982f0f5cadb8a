"""What the screens show: immutable snapshots of the event store's projections, read through the event log alone."""

from tui.data.log import History, Log, Measured, utc_now
from tui.data.outlook import Outlook, outlook
from tui.data.past import PastLog, position_at
from tui.data.reader import SnapshotReader
from tui.data.rows import AdviceRow, Entry, Holding, Lack, Row
from tui.data.rulebook import Rulebook, RuleFacts, Rules, rule_facts
from tui.data.snapshot import MISSED, POLL, Snapshot, tick_interval
from tui.data.story import Place, Story, read_story

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
    "Outlook",
    "PastLog",
    "Place",
    "Row",
    "RuleFacts",
    "Rulebook",
    "Rules",
    "Snapshot",
    "SnapshotReader",
    "Story",
    "outlook",
    "position_at",
    "read_story",
    "rule_facts",
    "tick_interval",
    "utc_now",
]
