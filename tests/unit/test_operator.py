"""Acknowledgements: done once however often, and only for the episode that was seen."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS
from controlplane.model.alerts import Alert
from controlplane.model.payloads import AlertFired, AlertNoData, AlertPending, AlertResolved, RecommendationProposed
from controlplane.operator import MAX_NOTE, ActionRefused, Operator
from tests.drafts import HOSTILE, draft, facts, recommendation, silence

NOW = datetime(2026, 3, 1, 19, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path / 'events.db'}") as opened:
        yield opened


@pytest.fixture
def operator(log: EventLog) -> Operator:
    return Operator(log)


def fire(log: EventLog, alert: str = "a1", at: datetime = NOW - timedelta(minutes=5)) -> str:
    """Let the alert fire; the id of this episode."""
    (event,) = log.append([draft(AlertFired(facts=facts(alert)), f"alert:{alert}", occurred_at=at)], recorded_at=at)
    return str(event.id)


def end(log: EventLog, alert: str = "a1", at: datetime = NOW) -> None:
    payload = AlertResolved(facts=facts(alert), fired_at=at, reason="condition")
    log.append([draft(payload, f"alert:{alert}", occurred_at=at)], recorded_at=at)


def row(log: EventLog, alert: str = "a1") -> Alert:
    found = log.row(ALERTS, alert)
    assert found is not None
    return found


def test_acknowledge(log: EventLog, operator: Operator) -> None:
    episode = fire(log)
    event = operator.acknowledge("a1", actor="ada", note="on it", episode=episode, now=NOW)
    assert event is not None
    assert (event.type, event.stream, event.actor, event.occurred_at) == (
        "alert_acknowledged.v1",
        "alert:a1",
        "ada",
        NOW,
    )
    given = row(log).acknowledged
    assert given is not None
    assert (given.actor, given.at, given.note) == ("ada", NOW, "on it")
    assert log.verify().ok


def test_twice_is_once(log: EventLog, operator: Operator) -> None:
    fire(log)
    assert operator.acknowledge("a1", actor="ada", note="first", now=NOW) is not None
    head = log.head()
    assert operator.acknowledge("a1", actor="ada", note="second", now=NOW) is None
    assert operator.acknowledge("a1", actor="ada", note="third", now=NOW + timedelta(hours=1)) is None
    assert log.head() == head
    assert row(log).acknowledged.note == "first"


def test_somebody_else_has_it(log: EventLog, operator: Operator) -> None:
    fire(log)
    operator.acknowledge("a1", actor="ada", now=NOW)
    head = log.head()
    with pytest.raises(ActionRefused, match="already acknowledged by ada"):
        operator.acknowledge("a1", actor="bob", now=NOW)
    assert log.head() == head


def test_the_wrong_episode(log: EventLog, operator: Operator) -> None:
    first = fire(log, at=NOW - timedelta(hours=2))
    end(log, at=NOW - timedelta(hours=1))
    with pytest.raises(ActionRefused, match="no active alert a1; it may have ended"):
        operator.acknowledge("a1", actor="ada", episode=first, now=NOW)
    second = fire(log)
    head = log.head()
    with pytest.raises(ActionRefused, match="has fired anew since"):
        operator.acknowledge("a1", actor="ada", episode=first, now=NOW)
    assert log.head() == head
    assert row(log).acknowledged is None
    assert operator.acknowledge("a1", actor="ada", episode=second, now=NOW) is not None


def test_an_acknowledgement_ends_with_its_episode(log: EventLog, operator: Operator) -> None:
    fire(log, at=NOW - timedelta(hours=2))
    operator.acknowledge("a1", actor="ada", now=NOW - timedelta(hours=2))
    end(log, at=NOW - timedelta(hours=1))
    fire(log)
    assert row(log).acknowledged is None, "nobody has taken the new firing"
    assert operator.acknowledge("a1", actor="ada", now=NOW) is not None


def test_an_acknowledgement_outlives_a_loss_of_data(log: EventLog, operator: Operator) -> None:
    episode = fire(log)
    operator.acknowledge("a1", actor="ada", now=NOW)
    log.append([draft(AlertNoData(facts=facts("a1")), "alert:a1", occurred_at=NOW)], recorded_at=NOW)
    assert row(log).acknowledged is not None
    assert row(log).episode == episode


def test_no_data_can_be_taken(log: EventLog, operator: Operator) -> None:
    log.append([draft(AlertNoData(facts=facts("a1")), "alert:a1")], recorded_at=NOW)
    assert operator.acknowledge("a1", actor="ada", now=NOW) is not None


def test_pending_can_not(log: EventLog, operator: Operator) -> None:
    log.append([draft(AlertPending(facts=facts("a1")), "alert:a1")], recorded_at=NOW)
    with pytest.raises(ActionRefused, match="is pending"):
        operator.acknowledge("a1", actor="ada", now=NOW)


@pytest.mark.parametrize("alert", ["", "nope", "A1", "a1 ", "'; DROP TABLE events; --", HOSTILE[0]])
def test_what_is_not_there(log: EventLog, operator: Operator, alert: str) -> None:
    fire(log)
    head = log.head()
    with pytest.raises(ActionRefused, match="there is no active alert"):
        operator.acknowledge(alert, actor="ada", now=NOW)
    with pytest.raises(ActionRefused, match="there is no active alert"):
        operator.undo_acknowledge(alert, actor="ada", now=NOW)
    assert log.head() == head


@pytest.mark.parametrize(("length", "fine"), [(0, True), (MAX_NOTE, True), (MAX_NOTE + 1, False)])
def test_the_length_of_a_note(log: EventLog, operator: Operator, length: int, fine: bool) -> None:
    fire(log)
    if fine:
        assert operator.acknowledge("a1", actor="ada", note="x" * length, now=NOW) is not None
    else:
        with pytest.raises(ActionRefused, match="longer than 2000 characters"):
            operator.acknowledge("a1", actor="ada", note="x" * length, now=NOW)
        assert row(log).acknowledged is None


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) <= MAX_NOTE])
def test_hostile_notes_and_names_are_kept_as_they_are(log: EventLog, operator: Operator, text: str) -> None:
    fire(log)
    operator.acknowledge("a1", actor=text, note=text, now=NOW)
    given = row(log).acknowledged
    assert given is not None
    assert (given.actor, given.note) == (text, text)
    assert operator.acknowledge("a1", actor=text, note=text, now=NOW) is None
    log.rebuild()
    assert row(log).acknowledged == given
    assert log.verify().ok


def test_undo(log: EventLog, operator: Operator) -> None:
    fire(log)
    assert operator.undo_acknowledge("a1", actor="ada", now=NOW) is None, "nobody has it"
    operator.acknowledge("a1", actor="ada", now=NOW)
    event = operator.undo_acknowledge("a1", actor="bob", now=NOW + timedelta(seconds=1))
    assert event is not None
    assert (event.type, event.actor) == ("acknowledgement_withdrawn.v1", "bob")
    assert row(log).acknowledged is None
    head = log.head()
    assert operator.undo_acknowledge("a1", actor="bob", now=NOW + timedelta(seconds=2)) is None
    assert log.head() == head


def test_back_and_forth(log: EventLog, operator: Operator) -> None:
    """Taking it again after giving it back is a new decision."""
    fire(log)
    for second in range(4):
        at = NOW + timedelta(seconds=second)
        assert operator.acknowledge("a1", actor="ada", now=at) is not None
        assert row(log).acknowledged is not None
        assert operator.undo_acknowledge("a1", actor="ada", now=at) is not None
        assert row(log).acknowledged is None
    log.rebuild()
    assert row(log).acknowledged is None


def test_other_alerts_are_left_alone(log: EventLog, operator: Operator) -> None:
    fire(log, "a1")
    fire(log, "a2")
    operator.acknowledge("a1", actor="ada", now=NOW)
    assert row(log, "a2").acknowledged is None


@pytest.mark.parametrize("archived", [False, True])
def test_what_is_older_than_the_log_takes_actions(
    log: EventLog, operator: Operator, tmp_path: Path, archived: bool
) -> None:
    """The events of a stream may all be in the archive while its alert, advice or silence still stands."""
    month = timedelta(days=31)
    fire(log)
    log.append([draft(RecommendationProposed(recommendation=recommendation()), "recommendation:r1")], recorded_at=NOW)
    operator.silence(silence(minutes=90 * 24 * 60))
    log.append([draft(AlertFired(facts=facts("a2")), "alert:a2")], recorded_at=NOW + month)
    if archived:
        log.archive(NOW + month, tmp_path / "archive")
        assert list(log.read(stream="alert:a1")) == []
    now = NOW + month
    assert operator.note("alert:a1", actor="ada", text="still", now=now) is not None
    assert operator.acknowledge("a1", actor="ada", now=now) is not None
    assert operator.undo_acknowledge("a1", actor="ada", now=now) is not None
    assert operator.approve("r1", actor="ada", now=now) is not None
    assert operator.reopen("r1", actor="ada", now=now) is not None
    assert operator.end_silence("s1", actor="ada", now=now) is not None
    for refused in ("alert:a3", "silence:s1"):
        with pytest.raises(ActionRefused, match="there is no"):
            operator.note(refused, actor="ada", text="still", now=now)
    assert [log.versions([name])[name] for name in ("alert:a1", "recommendation:r1", "silence:s1")] == [4, 3, 2]
    assert log.verify().ok


def test_two_terminals(tmp_path: Path) -> None:
    """Two processes on one log: the second is refused, whichever connection it uses."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with EventLog.open(url) as one, EventLog.open(url) as other:
        fire(one)
        Operator(one).acknowledge("a1", actor="ada", now=NOW)
        with pytest.raises(ActionRefused, match="already acknowledged by ada"):
            Operator(other).acknowledge("a1", actor="bob", now=NOW)
        Operator(other).undo_acknowledge("a1", actor="bob", now=NOW)
        assert row(one).acknowledged is None
