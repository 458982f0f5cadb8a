"""Who was told and when: the lines of the timeline, and those beside an alert."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES
from controlplane.model.events import Draft
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
from tui.data import story as reading
from tui.data.rulebook import Rulebook
from tui.data.story import TOLD, UNTOLD, Story, read_story
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
    return lines_of(Story("a1", 1, told=records, untold=untold), width)


def lines_of(story: Story, width: int = 100) -> list[str]:
    """What a story says of messages, line by line."""
    console = Console(width=width, color_system=None)
    with console.capture() as written:
        console.print(told_lines(story, NOW))
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


SECOND = timedelta(seconds=1)
FIRED = NOW - timedelta(hours=3)
FACTS = sample.facts(active_at=FIRED)
KEPT = DELIVERIES.keep or 0


def queued(name: str, at: datetime, incident: str = "other") -> Draft:
    """A page of an incident is put into the outbox."""
    page = drafts.delivery(name)
    message = page.message.model_copy(update={"incident": incident})
    payload = NotificationQueued(delivery=page.model_copy(update={"message": message, "queued_at": at}))
    return sample.draft(payload, at, stream=f"delivery:{name}")


def paged(name: str, at: datetime, incident: str = "i1") -> list[Draft]:
    """A page of an incident is queued and delivered."""
    sent = NotificationDelivered(delivery=name, channel="slack", attempts=1, seconds=0.44)
    return [queued(name, at, incident), sample.draft(sent, at, stream=f"delivery:{name}")]


def fired() -> list[Draft]:
    """The alert fired, in an incident i1."""
    incident = drafts.incident(firing=(FACTS.alert,)).model_copy(update={"told": (FACTS.alert,)})
    return [
        sample.draft(sample.AlertFired(facts=FACTS), FIRED),
        sample.draft(IncidentChanged(incident=incident), FIRED, stream="incident:i1"),
    ]


def since_it_fired(log: EventLog, later: Sequence[Draft]) -> Story:
    """What is known around the alert when so much has happened since it fired."""
    sample.append(log, [*fired(), *later, sample.ticked()])
    return story_of(log)


def story_of(log: EventLog) -> Story:
    """What is known around the alert now."""
    snapshot = SnapshotReader(log).poll(NOW)
    assert snapshot is not None
    return read_story(log, snapshot.by_id[FACTS.alert], snapshot, Rulebook())


def storm(number: int) -> list[Draft]:
    """So many messages of another incident, a minute after the alert fired."""
    return [queued(f"other-{one}", FIRED + 60 * SECOND) for one in range(number)]


TOLD_ONCE = ["16:04:20Z told  slack trigger in 0.4 s"]
NOBODY = ["Nobody was told since it fired."]


@pytest.mark.parametrize("others", [0, KEPT - 1, KEPT, KEPT + 1])
def test_a_page_is_known_however_many_messages_came_later(empty_log: EventLog, others: int) -> None:
    story = since_it_fired(empty_log, [*paged("d1", FIRED), *storm(others)])
    assert lines_of(story) == TOLD_ONCE
    assert story.told_from is None


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        (paged("d1", FIRED - SECOND), NOBODY),
        (paged("d1", FIRED, "another"), NOBODY),
        ([*paged("d1", FIRED - SECOND), *paged("d2", FIRED)], TOLD_ONCE),
        ([*paged("d1", FIRED), queued("d2", FIRED, "i1")], [*TOLD_ONCE, "16:04:20Z waits slack trigger"]),
    ],
)
def test_what_many_messages_followed_is_as_it_was(empty_log: EventLog, before: list[Draft], lines: list[str]) -> None:
    assert lines_of(since_it_fired(empty_log, [*before, *storm(KEPT)])) == lines


@pytest.mark.parametrize("pages", [TOLD - 1, TOLD, TOLD + 1])
def test_no_more_messages_are_looked_for_than_are_shown(empty_log: EventLog, pages: int) -> None:
    ours = [draft for one in range(pages) for draft in paged(f"d{one}", FIRED + one * SECOND)]
    story = since_it_fired(empty_log, [*ours[:-2], *storm(KEPT), *ours[-2:]])
    assert [record.id for record in story.told] == [f"d{one}" for one in range(pages)][-TOLD:]


@pytest.mark.parametrize(
    ("looked", "lines"),
    [
        (1, ["Nobody was told since 16:05:20Z. Messages before 16:05:20Z aren't known here."]),
        (2, [*TOLD_ONCE, "Messages before 16:04:20Z aren't known here."]),
        (3, TOLD_ONCE),
    ],
)
def test_how_far_one_has_looked_is_said(
    empty_log: EventLog, monkeypatch: pytest.MonkeyPatch, looked: int, lines: list[str]
) -> None:
    monkeypatch.setattr(reading, "_LOOKED", looked)
    before = queued("before", FIRED - SECOND)
    assert lines_of(since_it_fired(empty_log, [before, *paged("d1", FIRED), *storm(KEPT + 1)])) == lines


def test_what_is_archived_is_not_known(empty_log: EventLog, tmp_path: Path) -> None:
    empty_log.append([*fired(), *paged("d1", FIRED)], recorded_at=FIRED)
    sample.append(empty_log, [*storm(KEPT), sample.ticked()])
    empty_log.archive(NOW, tmp_path / "archive")
    begin = "16:05:20Z"
    assert lines_of(story_of(empty_log)) == [
        f"Nobody was told since {begin}. Messages before {begin} aren't known here."
    ]


@pytest.mark.parametrize("others", [0, 200])
@pytest.mark.parametrize("ours", [0, 1, UNTOLD, UNTOLD + 1])
def test_what_was_held_is_known_however_much_else_was(empty_log: EventLog, others: int, ours: int) -> None:
    def held(incident: str, at: datetime, number: int) -> list[Draft]:
        payload = NotificationSuppressed(incident=incident, channel="", reason="silenced by s1")
        times = [at + one * timedelta(milliseconds=1) for one in range(number)]
        return [sample.draft(payload, time, stream=f"incident:{incident}") for time in times]

    told_at = FIRED + 60 * SECOND
    story = since_it_fired(
        empty_log, [*held("i1", FIRED - SECOND, 1), *held("i1", FIRED, ours), *held("other", told_at, others)]
    )
    lines = ["16:04:20Z held  nobody: silenced by s1"] * min(ours, UNTOLD)
    assert lines_of(story) == (lines or NOBODY)
