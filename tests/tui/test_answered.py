"""Answers from PagerDuty and Slack in the timeline and the audit trail: who it was, and where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.receive import desk, pagerduty, slack
from tests.receive_cases import KEY, NOW, paged, pressed, webhook
from tui.data.entries import AUDIT, TIMELINE, Names, entries


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path / 'events.db'}") as opened:
        paged(opened, "a1")
        yield opened


def test_who_answered_where(log: EventLog) -> None:
    found = slack.read(pressed(), NOW)
    assert found is not None
    for answer in (
        found.answer,
        pagerduty.read(webhook("incident.resolved")),
        pagerduty.read(webhook("incident.reopened")),
    ):
        assert answer is not None
        assert desk.take(log, answer, NOW).record is not None
    shown = {
        types: [(entry.what, entry.said, entry.actor) for entry in entries(log.read(types=types, after=2), Names())]
        for types in (TIMELINE, AUDIT)
    }
    assert shown[TIMELINE] == shown[AUDIT]
    assert shown[AUDIT] == [
        ("ANSWERED", "the page acknowledged in Slack", "slack:mira"),
        ("ACK", "", "slack:mira"),
        ("ANSWERED", "the page resolved in PagerDuty", "pagerduty:Mira Fox"),
        ("ANSWERED", "the page reopened in PagerDuty", "pagerduty:Mira Fox"),
        ("UNDO ACK", "", "pagerduty:Mira Fox"),
    ]
    (first, *_) = entries(log.read(types=AUDIT, after=2), Names())
    assert first.subject == "inc1"
    assert KEY not in first.text
