"""Who was told and when: the lines of the timeline, and those beside an alert."""

from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from controlplane.eventlog.log import EventLog
from controlplane.model.notifications import Action
from controlplane.model.payloads import (
    IncidentChanged,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
)
from controlplane.model.severity import Severity
from controlplane.model.views import DeliveryRecord, DeliveryState
from tests import drafts
from tests.tui import sample
from tests.tui.sample import NOW
from tui.data import Entry, SnapshotReader
from tui.data.story import Story
from tui.describe.story import told_lines

LEVEL = "level 2: nobody took it in 10m"
HOSTILE = "\x1b[31mred\x1b[0m [bold]x[/] <!channel>"
DELIVERED = NotificationDelivered(delivery="d1", channel="slack", attempts=1, seconds=0.44)
SUPPRESSED = NotificationSuppressed(incident="i1", channel="", reason="silenced by s1")
FAILED = NotificationFailed(
    delivery="d1", channel="slack", attempts=2, error="429", next_attempt_at=NOW + timedelta(seconds=30)
)


def told_of(log: EventLog, payload: Any, **message: Any) -> list[Entry]:
    """The timeline's lines about a page whose message has these fields, and about what became of it."""
    page = drafts.delivery()
    page = page.model_copy(update={"message": page.message.model_copy(update=message)})
    queued = sample.draft(NotificationQueued(delivery=page), NOW, stream="delivery:d1")
    sample.append(log, [queued, sample.draft(payload, NOW, stream="delivery:d1"), sample.ticked()])
    snapshot = SnapshotReader(log).poll(NOW)
    assert snapshot is not None
    return list(snapshot.entries)


@pytest.mark.parametrize(
    ("payload", "message", "what", "said"),
    [
        (DELIVERED, {}, "TOLD", "slack in 0.4 s, trigger"),
        (DELIVERED, {"note": LEVEL}, "TOLD", f"slack in 0.4 s, trigger · {LEVEL}"),
        (DELIVERED, {"note": HOSTILE}, "TOLD", f"slack in 0.4 s, trigger · {HOSTILE}"),
        (DELIVERED, {"action": Action.RESOLVE, "note": ""}, "TOLD", "slack in 0.4 s, resolve"),
        (FAILED, {"note": LEVEL}, "NOT SENT", "slack, attempt 2: 429"),
        (SUPPRESSED, {"note": LEVEL}, "NOT TOLD", "nobody: silenced by s1"),
        (
            NotificationDeadLettered(delivery="d1", channel="slack", attempts=7, error="403"),
            {"note": LEVEL},
            "GAVE UP",
            "slack after 7 attempts: 403",
        ),
    ],
)
def test_the_timeline_has_a_line_of_a_page(
    empty_log: EventLog, payload: Any, message: dict[str, Any], what: str, said: str
) -> None:
    (line,) = told_of(empty_log, payload, **message)
    assert (line.what, line.said, line.serious) == (what, said, what in {"NOT SENT", "GAVE UP"})
    if payload is not SUPPRESSED:
        assert (line.subject, line.severity) == ("Disk nearly full", Severity.CRITICAL)


def test_a_change_of_an_incident_is_no_line(empty_log: EventLog) -> None:
    assert told_of(empty_log, IncidentChanged(incident=drafts.incident())) == []


RECORD = DeliveryRecord(
    id="d1",
    channel="slack",
    incident="i1",
    action=Action.TRIGGER,
    severity=Severity.CRITICAL,
    title="Disk nearly full",
    state=DeliveryState.DELIVERED,
    queued_at=NOW,
    at=NOW,
    position=1,
)


def told(*records: DeliveryRecord, untold: tuple[Any, ...] = (), width: int = 100) -> list[str]:
    """What is written beside an alert, line by line."""
    console = Console(width=width, color_system=None)
    with console.capture() as written:
        console.print(told_lines(Story("a1", 1, told=records, untold=untold), NOW))
    return [line.rstrip() for line in written.get().splitlines()]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"seconds": 0.44, "attempts": 1}, "19:04:20Z told  slack trigger in 0.4 s"),
        (
            {"seconds": 0.44, "attempts": 1, "note": LEVEL},
            f"19:04:20Z told  slack trigger in 0.4 s · {LEVEL}",
        ),
        (
            {"seconds": 31.0, "attempts": 2, "action": Action.RESOLVE},
            "19:04:20Z told  slack resolve in 31.0 s after 2 attempts",
        ),
        ({"state": DeliveryState.QUEUED, "note": LEVEL}, f"19:04:20Z waits slack trigger · {LEVEL}"),
        ({"state": DeliveryState.FAILED, "attempts": 1, "error": "429"}, "19:04:20Z tried slack trigger: 429"),
        (
            {"state": DeliveryState.DEAD, "attempts": 7, "error": "403", "note": LEVEL},
            f"19:04:20Z NOT   slack trigger after 7 attempts · {LEVEL}: 403",
        ),
        (
            {"state": DeliveryState.SUPPRESSED, "error": "silenced by s1"},
            "19:04:20Z held  slack trigger: silenced by s1",
        ),
        ({"note": HOSTILE}, "19:04:20Z told  slack trigger · �[31mred�[0m [bold]x[/] <!channel>"),
        ({"at": NOW - timedelta(days=1)}, "2026-02-28 19:04Z told  slack trigger"),
    ],
)
def test_a_line_beside_an_alert(changed: dict[str, Any], line: str) -> None:
    assert told(RECORD.model_copy(update=changed)) == [line]


def test_nobody_was_told() -> None:
    assert told() == ["Nobody was told since it fired."]
    assert told(untold=((NOW, "", "silenced by s1"),)) == ["19:04:20Z held  nobody: silenced by s1"]


def test_a_long_reason_is_cut_and_a_long_line_is_broken() -> None:
    lines = told(RECORD.model_copy(update={"note": "n" * 10_000}), width=60)
    assert 5 <= len(lines) <= 7
    assert all(len(line) <= 60 for line in lines)
