"""Escalation and the event log: a restart in any step changes nothing, and people pause and resume."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import INCIDENTS, ON_CALL, PAUSES
from controlplane.model.events import Draft
from controlplane.model.oncall import Pause
from controlplane.model.payloads import OnCallChanged
from controlplane.operator import ActionRefused, Operator
from tests.notify_cases import Desk, alert, at, queued, store
from tests.unit.test_escalation import desk, give_back, silence, take

STEPS = range(0, 5_400, 15)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(store(tmp_path)) as opened:
        yield opened


def happened(of: Desk, seconds: int) -> None:
    """What people do in the course of it."""
    if seconds == 300:
        of.silences = [silence(300, 900)]
    if seconds == 1_500:
        take(of, "a")
    if seconds == 1_800:
        give_back(of, "a")


def changed(seconds: int, people: tuple[str, ...]) -> Draft:
    payload = OnCallChanged(schedule="primary", people=people, since=at(seconds), until=None)
    return Draft(stream="on-call:primary", key=str(seconds), payload=payload, occurred_at=at(seconds))


def played(of: Desk, log: EventLog | None) -> list[tuple[float, str, str]]:
    """(second, channel, action) of every message; with a log, every step begins with what it says."""
    found = []
    for seconds in STEPS:
        happened(of, seconds)
        if seconds == 2_400:
            of.on_call["primary"] = of.on_call["primary"].model_copy(update={"people": ("ada",)})
            if log is not None:
                log.append([changed(seconds, ("ada",))], recorded_at=at(seconds))
        if log is not None:
            of.rows = log.rows(INCIDENTS)
            of.on_call |= log.rows(ON_CALL)
        if seconds == 0 or of.due(seconds):
            drafts = of.step(seconds, fire=[alert("a")] if seconds == 0 else [])
            if log is not None:
                log.append(drafts, recorded_at=at(seconds))
            found += [(seconds, d.channel, d.message.action.value) for d in queued(drafts)]
    return found


def test_a_restart_in_every_step_changes_nothing(log: EventLog) -> None:
    kept, read = played(desk(), None), played(desk(), log)
    assert read == kept
    assert kept == [
        *((0, name, "trigger") for name in ("slack", "sms-mira", "pager-mira")),
        # Ten minutes, in which the ten minutes of the silence don't count.
        (1_200, "sms-jon", "trigger"),
        *((1_500, name, "acknowledge") for name in ("slack", "pager-mira")),
        (2_400, "sms-ada", "trigger"),
        # Fifteen minutes after it was given back.
        *((2_700, name, "trigger") for name in ("pager", "sms-ada")),
    ]
    before = log.rows(INCIDENTS)
    log.rebuild()
    assert log.rows(INCIDENTS) == before
    assert log.verify().ok


@pytest.fixture
def incident(log: EventLog) -> str:
    of = desk()
    log.append(of.step(0, fire=[alert("a")]), recorded_at=at(0))
    (name,) = log.rows(INCIDENTS)
    return name


def test_a_pause_is_a_fact_and_so_is_its_end(log: EventLog, incident: str) -> None:
    operator = Operator(log)
    assert operator.resume(incident, actor="mira", now=at(10)) is None
    assert operator.pause(incident, length=timedelta(minutes=30), actor="mira", now=at(10)) is not None
    assert operator.pause(incident, length=timedelta(minutes=30), actor="mira", now=at(10)) is None
    assert log.rows(PAUSES) == {incident: Pause(incident=incident, page=1, until=at(1810), actor="mira")}
    assert operator.pause(incident, length=timedelta(hours=1), actor="jon", now=at(20)) is not None
    assert log.rows(PAUSES)[incident].until == at(3620)
    assert operator.resume(incident, actor="jon", now=at(30)) is not None
    assert log.rows(PAUSES) == {}


def test_a_pause_that_is_over_needs_no_end(log: EventLog, incident: str) -> None:
    operator = Operator(log)
    operator.pause(incident, length=timedelta(minutes=30), actor="mira", now=at(0))
    assert operator.resume(incident, actor="mira", now=at(1800)) is None


def test_a_pause_ends_with_its_incident(log: EventLog, incident: str) -> None:
    of = desk()
    of.rows, of.alerts = log.rows(INCIDENTS), {"a": alert("a")}
    Operator(log).pause(incident, length=timedelta(hours=1), actor="mira", now=at(0))
    log.append(of.step(15, resolve=["a"]), recorded_at=at(15))
    log.append(of.step(300), recorded_at=at(300))
    assert log.rows(PAUSES) == {}
    with pytest.raises(ActionRefused, match="no open incident"):
        Operator(log).pause(incident, length=timedelta(hours=1), actor="mira", now=at(400))


@pytest.mark.parametrize("hours", [0, -1, 24.01])
def test_a_pause_that_is_no_pause_is_refused(log: EventLog, incident: str, hours: float) -> None:
    with pytest.raises(ActionRefused, match="at most 24h"):
        Operator(log).pause(incident, length=timedelta(hours=hours), actor="mira", now=at(0))


def test_what_does_not_escalate_is_not_paused(log: EventLog) -> None:
    log.append(Desk().step(0, fire=[alert("a")]), recorded_at=at(0))
    (name,) = log.rows(INCIDENTS)
    with pytest.raises(ActionRefused, match="doesn't escalate"):
        Operator(log).pause(name, length=timedelta(hours=1), actor="mira", now=at(0))
