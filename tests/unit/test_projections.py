"""Folds of the projections, case by case, and: rows kept up to date are the rows that a rebuild gives."""

import dataclasses
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from controlplane.eventlog.codec import decode, encode
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import (
    ALERTS,
    DELIVERIES,
    INCIDENTS,
    OUTBOX,
    PROJECTIONS,
    RECOMMENDATIONS,
    RESOURCES,
    RULE_SET,
    RULES,
    SHOWN,
    SOURCES,
    TICK,
    UNADVISED,
    Projection,
)
from controlplane.eventlog.schema import projections as table
from controlplane.model.alerts import Acknowledgement, AlertState
from controlplane.model.events import Draft, Event
from controlplane.model.notifications import Action, Shown
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AdviceFailed,
    AlertAcknowledged,
    AlertDropped,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
    DigestQueued,
    IncidentChanged,
    NoteAdded,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
    PageAnswered,
    RecommendationExpired,
    RecommendationProposed,
    RecommendationRevised,
    RecommendationWithdrawn,
    ResourceAdded,
    ResourceChanged,
    ResourceRemoved,
    RuleFailed,
    RuleRecovered,
    RuleSetActivated,
    SourceFailed,
    SourceRecovered,
    TelemetrySetAside,
)
from controlplane.model.recommendations import Status
from controlplane.model.severity import Severity
from controlplane.model.views import DeliveryState, KnownResource
from tests.drafts import (
    BY_PAYLOAD,
    PAYLOADS,
    START,
    delivery,
    drafts,
    facts,
    incident,
    ingested,
    recommendation,
    resource,
    tick,
)


def event_id(position: int) -> UUID:
    return UUID(int=position)


def fold_all(projection: Projection[Any], payloads: Sequence[Any]) -> dict[str, Any]:
    """The rows after events at positions 1, 2, … that are a minute apart, each decoded as the log would."""
    rows: dict[str, Any] = {}
    for position, payload in enumerate(payloads, 1):
        event = Event(
            position=position,
            id=event_id(position),
            stream="s",
            version=position,
            type=payload.type,
            occurred_at=START + timedelta(minutes=position),
            recorded_at=START,
            actor="test",
            correlation="",
            cause=None,
            payload=payload,
            previous_hash="",
            hash="",
        )
        for key in projection.keys(event):
            row = projection.fold(rows.get(key), event)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = decode(projection.model, encode(row), "row")
    return rows


def minute(position: int) -> Any:
    return START + timedelta(minutes=position)


def test_every_payload_has_a_strategy() -> None:
    assert set(BY_PAYLOAD) == set(PAYLOADS)


def test_the_events_that_change_no_row() -> None:
    read = {payload for projection in PROJECTIONS for payload in projection.payloads}
    assert set(PAYLOADS) - read == {TelemetrySetAside, NoteAdded, PageAnswered, DigestQueued}


def test_why_an_alert_has_no_recommendation_stands_until_it_has_one_or_ends() -> None:
    failed = AdviceFailed(rule="r1", alert="a1", error="no sample")
    other = AdviceFailed(rule="r2", alert="a1", error="no price")
    made = RecommendationProposed(recommendation=recommendation().model_copy(update={"rule": "r1"}))
    resolved = AlertResolved(facts=facts(), fired_at=START, reason="condition")

    def errors(*payloads: Any) -> dict[str, dict[str, str]]:
        return {alert: row.errors for alert, row in fold_all(UNADVISED, payloads).items()}

    assert errors(failed) == {"a1": {"r1": "no sample"}}
    assert errors(failed, other) == {"a1": {"r1": "no sample", "r2": "no price"}}
    assert errors(failed, other, made) == {"a1": {"r2": "no price"}}
    assert errors(failed, made) == errors(failed, other, resolved) == errors(made) == {}


def ack(episode: int, alert: str = "a1") -> AlertAcknowledged:
    words = Acknowledgement(actor="ana", at=START, note="mine")
    return AlertAcknowledged(alert=alert, episode=str(event_id(episode)), acknowledgement=words)


PENDING, FIRED, NO_DATA = AlertPending(facts=facts()), AlertFired(facts=facts()), AlertNoData(facts=facts())
HELD = AlertHeld(alert="a1", why="missing", since=START)
RETURNED = AlertReturned(alert="a1", value=0.99)
RESOLVED = AlertResolved(facts=facts(), fired_at=START, reason="condition")
DROPPED = AlertDropped(alert="a1", rule="r", labels={}, value=0.1, reason="condition")
ACK_WITHDRAWN = AcknowledgementWithdrawn(alert="a1", actor="ana")


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([PENDING], {"state": AlertState.PENDING, "fired_at": None, "event": str(event_id(1)), "episode": None}),
        ([PENDING], {"id": "a1", "labels": facts().labels, "value": 0.91, "active_at": START, "unit": "1"}),
        (
            [PENDING, FIRED],
            {"state": AlertState.FIRING, "fired_at": minute(2), "event": str(event_id(2)), "episode": str(event_id(2))},
        ),
        ([FIRED], {"state": AlertState.FIRING, "fired_at": minute(1)}),
        ([NO_DATA], {"state": AlertState.NO_DATA, "fired_at": minute(1), "episode": str(event_id(1))}),
        (
            [FIRED, NO_DATA],
            {
                "state": AlertState.NO_DATA,
                "fired_at": minute(1),
                "event": str(event_id(2)),
                "episode": str(event_id(1)),
            },
        ),
        ([FIRED, PENDING], {"state": AlertState.PENDING, "fired_at": None, "episode": None}),
        ([FIRED, HELD], {"held_for": "missing", "held_since": START, "state": AlertState.FIRING}),
        ([FIRED, HELD, RETURNED], {"held_for": None, "held_since": None, "value": 0.99}),
        ([FIRED, HELD, FIRED], {"held_for": None, "held_since": None}),
        ([FIRED, RESOLVED], None),
        ([PENDING, DROPPED], None),
        ([HELD], None),
        ([RETURNED], None),
        ([RESOLVED], None),
        ([ack(1)], None),
        ([ACK_WITHDRAWN], None),
        ([FIRED, ack(1)], {"acknowledged": ack(1).acknowledgement}),
        ([FIRED, ack(7)], {"acknowledged": None}),
        ([PENDING, ack(1)], {"acknowledged": None}),
        ([PENDING, FIRED, ack(1)], {"acknowledged": None}),
        ([PENDING, FIRED, ack(2)], {"acknowledged": ack(2).acknowledgement}),
        ([FIRED, ack(1), HELD], {"acknowledged": ack(1).acknowledgement, "held_for": "missing"}),
        ([FIRED, ack(1), NO_DATA], {"acknowledged": ack(1).acknowledgement}),
        ([FIRED, NO_DATA, ack(1)], {"acknowledged": ack(1).acknowledgement}),
        ([FIRED, NO_DATA, ack(2)], {"acknowledged": ack(2).acknowledgement}),
        ([FIRED, ack(1), ACK_WITHDRAWN], {"acknowledged": None}),
        ([FIRED, ack(1), RESOLVED, FIRED], {"acknowledged": None, "episode": str(event_id(4))}),
        ([FIRED, RESOLVED, FIRED, ack(1)], {"acknowledged": None}),
        ([FIRED, ack(1), PENDING, FIRED], {"acknowledged": None}),
        ([FIRED, ack(1, alert="a2")], {"acknowledged": None}),
        ([FIRED, AlertFired(facts=facts(value=float("inf")))], {"value": float("inf"), "fired_at": minute(1)}),
    ],
)
def test_alerts(payloads: list[Any], expected: dict[str, Any] | None) -> None:
    row = fold_all(ALERTS, payloads).get("a1")
    assert row is None if expected is None else {name: getattr(row, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([RecommendationProposed(recommendation=recommendation())], (1, Status.PROPOSED, None)),
        (
            [
                RecommendationProposed(recommendation=recommendation()),
                RecommendationRevised(recommendation=recommendation(version=2), changed=("to",)),
            ],
            (2, Status.PROPOSED, None),
        ),
        (
            [
                RecommendationProposed(recommendation=recommendation()),
                RecommendationWithdrawn(recommendation="r1", reason="gone"),
            ],
            (1, Status.WITHDRAWN, "gone"),
        ),
        (
            [RecommendationProposed(recommendation=recommendation()), RecommendationExpired(recommendation="r1")],
            (1, Status.EXPIRED, None),
        ),
        ([RecommendationExpired(recommendation="r1")], None),
        ([RecommendationWithdrawn(recommendation="r1", reason="gone")], None),
    ],
)
def test_recommendations(payloads: list[Any], expected: tuple[Any, ...] | None) -> None:
    row = fold_all(RECOMMENDATIONS, payloads).get("r1")
    assert (row and (row.version, row.status, row.reason)) == expected
    if row:
        assert row.proposal == recommendation().proposal  # money and durations exactly


def failed(signal: str | None, error: str = "away", remedy: str = "") -> SourceFailed:
    return SourceFailed(source="prometheus", signal=signal, error=error, remedy=remedy)


def recovered(signal: str | None) -> SourceRecovered:
    return SourceRecovered(source="prometheus", signal=signal, failed_since=START)


LAG = "catalyst/kafka.consumer.lag"


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([ingested()], {"through_ms": 15_000, "rows": 3, "series": 2, "failed": {}, "last_event_at": minute(1)}),
        ([ingested(end_ms=0)], {"through_ms": 0}),
        ([ingested(end_ms=30_000), ingested(end_ms=15_000)], {"through_ms": 30_000}),
        ([ingested(behind={LAG: 5}, warnings=("w",))], {"behind": {LAG: 5}, "warnings": ("w",)}),
        ([ingested(behind={LAG: 5}, skipped_ms=9), ingested(end_ms=30_000)], {"behind": {}, "skipped_ms": 0}),
        ([failed(None)], {"failed": {"": "away"}, "failed_since": minute(1), "through_ms": None, "rows": None}),
        (
            [failed(None), failed(None, "refused", "start it")],
            {"failed": {"": "refused"}, "failed_since": minute(1), "remedies": {"": "start it"}},
        ),
        ([failed(None, "a", "start it"), failed(None, "b")], {"remedies": {}}),
        ([failed(None), recovered(None)], {"failed": {}, "failed_since": None, "since": {}}),
        (
            [failed(LAG), failed(None), recovered(LAG)],
            {"failed": {"": "away"}, "since": {"": minute(2)}, "failed_since": minute(1)},
        ),
        ([failed(LAG), recovered(None)], {"failed": {LAG: "away"}, "since": {LAG: minute(1)}}),
        ([failed(LAG), recovered(LAG), failed(LAG)], {"failed_since": minute(3), "since": {LAG: minute(3)}}),
        ([failed(LAG), ingested()], {"failed": {LAG: "away"}, "through_ms": 15_000, "last_event_at": minute(2)}),
        ([recovered(None)], {"failed": {}, "failed_since": None}),
    ],
)
def test_sources(payloads: list[Any], expected: dict[str, Any]) -> None:
    row = fold_all(SOURCES, payloads)["prometheus"]
    assert {name: getattr(row, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([ResourceAdded(source="cmdb", resource=resource())], KnownResource(resource=resource(), source="cmdb")),
        (
            [
                ResourceAdded(source="cmdb", resource=resource()),
                ResourceChanged(source="aws", resource=resource(role="broker"), changed=("role",)),
            ],
            KnownResource(resource=resource(role="broker"), source="aws"),
        ),
        (
            [
                ResourceAdded(source="cmdb", resource=resource()),
                ResourceRemoved(source="cmdb", key="catalyst/h1"),
            ],
            None,
        ),
        (
            [
                ResourceAdded(source="cmdb", resource=resource()),
                ResourceRemoved(source="other", key="catalyst/h1"),
            ],
            KnownResource(resource=resource(), source="cmdb"),
        ),
        (
            [
                ResourceAdded(source="cmdb", resource=resource()),
                ResourceRemoved(source="cmdb", key="catalyst/h2"),
            ],
            KnownResource(resource=resource(), source="cmdb"),
        ),
        ([ResourceRemoved(source="cmdb", key="catalyst/h1")], None),
    ],
)
def test_resources(payloads: list[Any], expected: KnownResource | None) -> None:
    assert fold_all(RESOURCES, payloads).get("catalyst/h1") == expected


def test_incidents_are_there_while_something_fires() -> None:
    opened, closed = IncidentChanged(incident=incident()), IncidentChanged(incident=incident(firing=()))
    assert fold_all(INCIDENTS, [opened]) == {"i1": incident()}
    assert fold_all(INCIDENTS, [opened, closed]) == {}
    assert fold_all(INCIDENTS, [closed, opened]) == {"i1": incident()}


def attempt_failed(attempts: int = 1) -> NotificationFailed:
    return NotificationFailed(
        delivery="d1", channel="slack", attempts=attempts, error="503", next_attempt_at=minute(99)
    )


QUEUED = NotificationQueued(delivery=delivery())
SENT = NotificationDelivered(delivery="d1", channel="slack", reference="ts1", attempts=2, seconds=1.5)
DEAD = NotificationDeadLettered(delivery="d1", channel="slack", attempts=9, error="gone")
SUPPRESSED = NotificationSuppressed(incident="i1", channel="slack", reason="resolved before", delivery="d1")
NEVER_QUEUED = NotificationSuppressed(incident="i1", channel="slack", reason="no channel")


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([QUEUED], (0, "", START, 1)),
        ([tick(), QUEUED], (0, "", START, 2)),
        ([QUEUED, attempt_failed()], (1, "503", minute(99), 1)),
        ([QUEUED, attempt_failed(), attempt_failed(2)], (2, "503", minute(99), 1)),
        ([QUEUED, NEVER_QUEUED], (0, "", START, 1)),
        ([QUEUED, SENT], None),
        ([QUEUED, attempt_failed(), SENT], None),
        ([QUEUED, DEAD], None),
        ([QUEUED, SUPPRESSED], None),
        ([attempt_failed()], None),
    ],
)
def test_outbox(payloads: list[Any], expected: tuple[Any, ...] | None) -> None:
    rows = fold_all(OUTBOX, payloads)
    row = rows.get("d1")
    assert (row and (row.attempts, row.last_error, row.next_attempt_at, row.position)) == expected
    assert set(rows) <= {"d1"}


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([QUEUED], (DeliveryState.QUEUED, 0, "", "", None, minute(1))),
        ([QUEUED, attempt_failed()], (DeliveryState.FAILED, 1, "503", "", None, minute(2))),
        ([QUEUED, attempt_failed(), SENT], (DeliveryState.DELIVERED, 2, "", "ts1", 1.5, minute(3))),
        ([QUEUED, attempt_failed(), DEAD], (DeliveryState.DEAD, 9, "gone", "", None, minute(3))),
        ([QUEUED, SUPPRESSED], (DeliveryState.SUPPRESSED, 0, "resolved before", "", None, minute(2))),
        ([SENT], None),
        ([NEVER_QUEUED], None),
    ],
)
def test_deliveries(payloads: list[Any], expected: tuple[Any, ...] | None) -> None:
    row = fold_all(DELIVERIES, payloads).get("d1")
    found = row and (row.state, row.attempts, row.error, row.reference, row.seconds, row.at)
    assert found == expected
    if row:
        assert (row.incident, row.title, row.channel, row.queued_at) == ("i1", "Disk nearly full", "slack", START)
        assert (row.next_attempt_at is None) == (row.state not in {DeliveryState.QUEUED, DeliveryState.FAILED})


def test_rules_have_a_row_while_they_fail() -> None:
    broken, worse = (RuleFailed(rule="r", source="s", error=error) for error in ("twice", "thrice"))
    mended = RuleRecovered(rule="r", source="s")
    rows = fold_all(RULES, [broken, worse, RuleRecovered(rule="r", source="other")])
    assert list(rows) == ["r/s"]
    assert (rows["r/s"].error, rows["r/s"].failed_since, rows["r/s"].last_event_at) == (
        "thrice",
        minute(1),
        minute(2),
    )
    assert fold_all(RULES, [broken, mended]) == {}
    assert fold_all(RULES, [broken, mended, worse])["r/s"].failed_since == minute(3)


def test_tick_and_rule_set_keep_the_last() -> None:
    one, two = (RuleSetActivated(digest=digest, rules=1, platforms=("p",), problems=("x",)) for digest in "ab")
    events = [tick(steps=1), one, tick(steps=2), two]
    assert fold_all(TICK, events) == {"tick": tick(steps=2)}
    assert fold_all(RULE_SET, events) == {"rule_set": two}
    assert fold_all(TICK, [one]) == {}


# The property is checked with a bound so small that it bites.
SMALL = tuple(dataclasses.replace(p, keep=2) if p is DELIVERIES else p for p in PROJECTIONS)


def stored(log: EventLog) -> list[tuple[Any, ...]]:
    with log._database.reading() as connection:
        found = select(table.c.name, table.c.key, table.c.doc, table.c.position)
        return sorted(tuple(row) for row in connection.execute(found))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.lists(drafts, max_size=8), max_size=8))
def test_incremental_equals_rebuilt(batches: list[list[Draft]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with EventLog.open(f"sqlite:///{Path(folder)}/a.db", projections=SMALL) as log:
            for batch in batches:
                log.append(batch, recorded_at=START)
            incremental = stored(log)
            log.rebuild()
            assert stored(log) == incremental
        with EventLog.open(f"sqlite:///{Path(folder)}/b.db", projections=SMALL) as at_once:
            at_once.append([draft for batch in batches for draft in batch], recorded_at=START)
            assert stored(at_once) == incremental


def test_what_is_shown_at_a_channel_is_what_was_told_last() -> None:
    def sent(key: str, firing: int, reference: str = "C1/1.0") -> NotificationDelivered:
        shown = Shown(
            channel="slack",
            dedup_key=key,
            reference=reference,
            action=Action.TRIGGER,
            severity=Severity.CRITICAL,
            firing=firing,
        )
        return NotificationDelivered(delivery="d1", channel="slack", attempts=1, seconds=0.1, shown=shown)

    rows = fold_all(SHOWN, [sent("k1", 1), sent("k2", 5), SENT, sent("k1", 4), sent("k2", 6, "C1/2.0")])
    assert {key: (row.reference, row.firing, row.position) for key, row in rows.items()} == {
        "slack/k1": ("C1/1.0", 4, 4),
        "slack/k2": ("C1/2.0", 6, 5),
    }


def test_the_newest_deliveries_stay(tmp_path: Path) -> None:
    queued = [NotificationQueued(delivery=delivery(f"d{n}")) for n in range(5)]
    sent = NotificationDelivered(delivery="d0", channel="slack", attempts=1, seconds=1.0)
    again = NotificationDelivered(delivery="d3", channel="slack", attempts=1, seconds=1.0)
    with EventLog.open(f"sqlite:///{tmp_path}/events.db", projections=SMALL) as log:
        for n, payload in enumerate([*queued, sent, again]):
            log.append([Draft(stream="d", key=str(n), payload=payload, occurred_at=START)], recorded_at=START)
        rows = log.rows(DELIVERIES)
        assert {key: row.state for key, row in rows.items()} == {
            "d3": DeliveryState.DELIVERED,
            "d4": DeliveryState.QUEUED,
        }
        assert set(log.rows(OUTBOX)) == {"d1", "d2", "d4"}  # what is still to be sent has no bound
        log.rebuild()
        assert log.rows(DELIVERIES) == rows
    assert DELIVERIES.keep == 1000
