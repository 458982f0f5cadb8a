"""On call, escalations, digests and silences that end: each in one line of timeline and audit trail."""

from datetime import timedelta
from typing import Any

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.model.matchers import Matcher
from controlplane.model.payloads import (
    DigestQueued,
    EscalationPaused,
    EscalationResumed,
    OnCallChanged,
    SilenceCreated,
    SilenceWarned,
)
from controlplane.model.silences import Silence
from tests.tui import sample
from tests.tui.driving import painted, ready, terminal
from tests.tui.sample import NOW
from tui.data import SnapshotReader
from tui.widgets.row_list import RowList

HOUR = timedelta(hours=1)
DAY = {"day": "2026-03-01", "start": NOW - 24 * HOUR, "end": NOW}


@pytest.mark.parametrize(
    ("payload", "what", "subject", "said", "serious", "audited"),
    [
        (
            OnCallChanged(schedule="db", people=("ana", "ben"), since=NOW, until=NOW + HOUR),
            *("ON CALL", "db", "ana, ben until 2026-03-01 20:04Z", False, True),
        ),
        (OnCallChanged(schedule="db", people=("ana",), since=NOW, until=None), "ON CALL", "db", "ana", False, True),
        (
            OnCallChanged(schedule="db", people=(), since=NOW, until=NOW + HOUR),
            *("ON CALL", "db", "nobody until 2026-03-01 20:04Z", True, True),
        ),
        (
            EscalationPaused(incident="i1", page=1, until=NOW + HOUR, actor="ana"),
            *("PAUSED", "i1", "the next level waits until 2026-03-01 20:04Z", False, True),
        ),
        (
            EscalationResumed(incident="i1", actor="ana"),
            *("RESUMED", "i1", "the next level is told in its time", False, True),
        ),
        (
            SilenceWarned(silence="gone", matches=1, channels=("ops", "db")),
            *("ENDS SOON", "gone", "and still mutes 1 alert; ops, db told", False, False),
        ),
        (DigestQueued(**DAY, channels=("mail",)), "DIGEST", "of 2026-03-01", "to mail", False, False),
        (DigestQueued(**DAY, reason="too late"), "DIGEST", "of 2026-03-01", "left out: too late", False, False),
    ],
)
def test_a_line_each(
    empty_log: EventLog, payload: Any, what: str, subject: str, said: str, serious: bool, audited: bool
) -> None:
    actor = getattr(payload, "actor", "controlplane")
    sample.append(empty_log, [sample.draft(payload, NOW, stream="s", actor=actor), sample.ticked()])
    snapshot = SnapshotReader(empty_log).poll(NOW)
    assert snapshot is not None
    (line,) = snapshot.entries
    assert (line.what, line.subject, line.said, line.serious) == (what, subject, said, serious)
    assert line.actor == ("" if actor == "controlplane" else "ana")
    assert snapshot.audit == ((line,) if audited else ())
    assert len(line.what) <= 9


def silence(ends: timedelta, lasts: timedelta = 4 * HOUR, value: str = "billing") -> Silence:
    return Silence(
        id="s1",
        matchers=(Matcher(label="consumer_group", operator="=", value=value),),
        starts_at=NOW + ends - lasts,
        ends_at=NOW + ends,
        author="mira",
        reason="[red]disks[/red]\x1b[31m",
        created_at=NOW,
    )


@pytest.mark.parametrize(
    ("one", "still"),
    [
        (silence(HOUR), 2),
        (silence(HOUR + timedelta(seconds=1)), 0),
        (silence(timedelta(seconds=1)), 2),
        (silence(timedelta(minutes=5), lasts=timedelta(minutes=20)), 2),
        (silence(timedelta(minutes=5, seconds=1), lasts=timedelta(minutes=20)), 0),
        (silence(HOUR, value="nobody"), 0),
    ],
)
def test_what_a_silence_still_mutes_is_known_when_its_end_is_near(
    empty_log: EventLog, one: Silence, still: int
) -> None:
    alerts = [sample.facts(f"rule-{number}") for number in range(2)]
    drafts = [sample.fired(found, timedelta(0)) for found in alerts]
    sample.append(
        empty_log, [*drafts, sample.draft(SilenceCreated(silence=one), NOW, stream="silence:s1"), sample.ticked()]
    )
    reader = SnapshotReader(empty_log)
    assert [held.still for held in reader.poll(NOW).holdings] == [still]
    sample.append(empty_log, [sample.resolved(alerts[0]), sample.ticked(NOW + timedelta(milliseconds=1))])
    assert [held.still for held in reader.poll(NOW).holdings] == [max(0, still - 1)]


async def test_the_screen_says_that_it_ends_soon(empty_log: EventLog) -> None:
    warned = SilenceWarned(silence="s1", matches=1, channels=("ops",))
    made = SilenceCreated(silence=silence(HOUR))
    sample.append(
        empty_log,
        [
            sample.fired(sample.facts(), timedelta(0)),
            sample.draft(made, NOW, stream="silence:s1"),
            sample.draft(warned, NOW, stream="silence:s1"),
            sample.ticked(),
        ],
    )
    app = terminal(empty_log)
    async with app.run_test(size=(240, 24)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        await pilot.pause()
        shown = painted(app.screen.query_one(RowList))
        assert "ends soon, still matches 1 · [red]disks[/red]" in shown
        assert "\x1b" not in shown
        await pilot.press("3")
        await pilot.pause()
        shown = painted(app.screen.query_one(RowList))
        assert "ENDS SOON" in shown
        assert "consumer_group=" in shown
