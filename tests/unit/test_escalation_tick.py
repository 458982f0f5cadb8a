"""Ticks with schedules and an escalation: who is on call becomes a fact, levels follow, an absence wakes one level."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from controlplane import bootstrap
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ON_CALL, PROJECTIONS, SOURCES
from controlplane.model.payloads import NotificationQueued, NotificationSuppressed, OnCallChanged
from controlplane.model.time import Window, to_ms
from controlplane.monitor.source import SCHEDULE_FAILED, SelfCollector
from controlplane.oncall.roster import SOURCE
from controlplane.settings import Notify, Settings
from controlplane.tick.run import tick
from tests.unit.test_tick import STEP, at, shop

STEPS, HAND_OVER = 20, 8
NOTIFY = {
    "channels": [{"name": name, "url": {"env": "NONE"}} for name in ("slack", "sms-mira", "sms-jon", "sms-ada")],
    "people": {name: {"channels": [f"sms-{name}"]} for name in ("mira", "jon", "ada")},
    "schedules": {
        "primary": {
            "rotation": ["mira", "ada"],
            "start": "2025-12-31T00:02",
            "every": "24h",
        },
        "broken": {"calendar": "nowhere.ics"},
    },
    "escalations": {"platform": {"levels": [{"to": ["primary"]}, {"to": ["jon"], "after": "1m"}]}},
    "route": {"channels": ["slack"], "group_wait": "0s", "escalate": "platform"},
}
"""The rotation changes hands at the eighth step."""


def configured(home: Path) -> Settings:
    settings = shop(home, {"a": [101.0] * STEPS})
    return settings.model_copy(update={"notify": Notify.model_validate(NOTIFY)})


def told(log: EventLog) -> list[tuple[int, str]]:
    """(step, channel) of every message."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    queued = [event for event in log.read() if isinstance(event.payload, NotificationQueued)]
    return [((event.occurred_at - start) // STEP, event.payload.delivery.channel) for event in queued]


EXPECTED = [(3, "slack"), (3, "sms-mira"), (7, "sms-jon"), (HAND_OVER, "sms-ada")]


def test_levels_and_hand_overs_follow_the_ticks_also_when_each_is_a_process_of_its_own(tmp_path: Path) -> None:
    one = bootstrap.control_plane(configured(tmp_path / "one"))
    many = configured(tmp_path / "many")
    for steps in range(2, HAND_OVER + 1):
        tick(one, at(steps))
        plane = bootstrap.control_plane(many)
        tick(plane, at(steps))
        plane.log.close()
    assert told(one.log) == EXPECTED
    changes = [event.payload for event in one.log.read() if isinstance(event.payload, OnCallChanged)]
    assert [(change.people, change.since) for change in changes if change.schedule == "primary"] == [
        (("mira",), at(HAND_OVER) - timedelta(days=1)),
        (("ada",), at(HAND_OVER)),
    ]
    with bootstrap.open_log(many) as log:
        assert told(log) == EXPECTED
        before = {projection.name: log.rows(projection) for projection in PROJECTIONS}
        log.rebuild()
        assert {projection.name: log.rows(projection) for projection in PROJECTIONS} == before


def test_after_an_absence_only_whoever_is_on_call_by_now_is_told(tmp_path: Path) -> None:
    plane = bootstrap.control_plane(configured(tmp_path))
    tick(plane, at(STEPS - 1))
    # Only the steps of the last minute count for waits.
    assert told(plane.log)[:2] == [(3, "slack"), (STEPS - 1 - 4, "sms-ada")]
    assert plane.log.row(ON_CALL, "primary").people == ("ada",)


def test_a_schedule_that_cannot_be_read_is_a_source_that_fails_and_a_gap(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    levels = [{"to": ["broken"]}, {"to": ["jon"], "after": "10m"}]
    notify = Notify.model_validate(NOTIFY | {"escalations": {"platform": {"levels": levels}}})
    plane = bootstrap.control_plane(settings.model_copy(update={"notify": notify}))
    for steps in (2, 3):
        tick(plane, at(steps))
    failed = plane.log.rows(SOURCES)[SOURCE].failed
    assert list(failed) == ["broken"]
    assert "nowhere.ics: the calendar can't be read" in failed["broken"]
    assert [name for _, name in told(plane.log)] == ["slack", "sms-jon"]
    reasons = [event.payload.reason for event in plane.log.read() if isinstance(event.payload, NotificationSuppressed)]
    assert reasons == ["escalation platform: nobody is on call in broken; the next level is told at once"]
    own = SelfCollector(plane.log, tmp_path, ("recorded",), STEP, ("broken", "primary"))
    end = to_ms(at(3))
    batch = own.collect({key: Window(end - to_ms(at(1)) + to_ms(at(0)), end, 15_000) for key in own.signals()})
    rows = batch.samples.samples.join(batch.samples.series, on="sid")
    found = {(signal, labels): value for signal, labels, value in rows.select("signal", "labels", "value").iter_rows()}
    assert found[SCHEDULE_FAILED, '{"schedule":"broken"}'] == 1
    assert found[SCHEDULE_FAILED, '{"schedule":"primary"}'] == 0
    assert not [labels for _, labels in found if SOURCE in labels], "it must not hide that all sources are lost"
