"""What people decide about recommendations, and what becomes of those that were executed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import bootstrap, demo
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import RECOMMENDATIONS
from controlplane.frames import Samples
from controlplane.model.events import Event
from controlplane.model.payloads import EventPayload, RecommendationProposed, RecommendationRevised
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.resources import Inventory
from controlplane.operator import MAX_NOTE, ActionRefused, Operator
from controlplane.tick import tick
from controlplane.tick.advise import Adviser
from controlplane.tick.review import due, effect
from tests.drafts import HOSTILE, draft, facts, recommendation

NOW = datetime(2026, 3, 1, 19, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
NOTE = "".join(HOSTILE[1:])[:MAX_NOTE]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path / 'events.db'}") as opened:
        yield opened


@pytest.fixture
def operator(log: EventLog) -> Operator:
    append(log, RecommendationProposed(recommendation=recommendation()))
    return Operator(log)


def append(log: EventLog, payload: EventPayload) -> None:
    log.append([draft(payload, "recommendation:r1", occurred_at=NOW)], recorded_at=NOW)


def row(log: EventLog) -> Recommendation:
    found = log.row(RECOMMENDATIONS, "r1")
    assert found is not None
    return found


def decide(operator: Operator, action: str, actor: str = "ada", **more: Any) -> Event | None:
    more = {"reason": "as the runbook says", "now": LATER, **more}
    done: Event | None = getattr(operator, action)("r1", actor=actor, **more)
    return done


@pytest.mark.parametrize(
    ("action", "status"),
    [("approve", Status.APPROVED), ("reject", Status.REJECTED), ("executed", Status.EXECUTED)],
)
def test_a_decision_is_kept_once_with_who_when_and_why(
    log: EventLog, operator: Operator, action: str, status: Status
) -> None:
    event = decide(operator, action, version=1, reason=NOTE)
    assert event is not None
    assert (event.stream, event.actor, event.occurred_at) == ("recommendation:r1", "ada", LATER)
    now = row(log)
    assert (now.status, now.decided_by, now.decided_at, now.reason) == (status, "ada", LATER, NOTE)
    assert decide(operator, action) is None
    assert log.verify().ok


@pytest.mark.parametrize("first", ["reject", "executed"])
@pytest.mark.parametrize("second", ["approve", "reject", "executed"])
def test_what_is_decided_is_not_decided_again(operator: Operator, first: str, second: str) -> None:
    decide(operator, first)
    with pytest.raises(ActionRefused, match=r"recommendation r1 is \w+ by ada"):
        decide(operator, second, actor="bob")


def test_what_was_approved_can_be_rejected_or_executed(log: EventLog, operator: Operator) -> None:
    decide(operator, "approve")
    decide(operator, "executed", actor="bob")
    assert (row(log).status, row(log).decided_by) == (Status.EXECUTED, "bob")


def test_a_superseded_version_is_refused(log: EventLog, operator: Operator) -> None:
    append(log, RecommendationRevised(recommendation=recommendation(version=2), changed=("cost",)))
    with pytest.raises(ActionRefused, match="you saw version 1, now it is 2"):
        decide(operator, "approve", version=1)
    assert row(log).status is Status.PROPOSED
    assert decide(operator, "approve", version=2) is not None


@pytest.mark.parametrize("status", [Status.WITHDRAWN, Status.EXPIRED, Status.VERIFIED, Status.INEFFECTIVE])
def test_what_is_over_takes_no_decision(log: EventLog, status: Status) -> None:
    append(log, RecommendationProposed(recommendation=recommendation(status=status)))
    for action in ("approve", "reject", "executed"):
        with pytest.raises(ActionRefused, match=f"is {status.value}"):
            decide(Operator(log), action)


def test_a_rejection_needs_a_reason_and_none_may_be_endless(operator: Operator) -> None:
    with pytest.raises(ActionRefused, match="say why"):
        decide(operator, "reject", reason=" ")
    with pytest.raises(ActionRefused, match="longer than"):
        decide(operator, "approve", reason="x" * (MAX_NOTE + 1))
    with pytest.raises(ActionRefused, match="there is no recommendation r2"):
        operator.approve("r2", actor="ada", now=NOW)


def test_reopening_takes_back_an_approval_or_rejection_and_nothing_else(log: EventLog, operator: Operator) -> None:
    assert operator.reopen("r1", actor="bob", now=LATER) is None
    for action in ("approve", "reject"):
        decide(operator, action)
        assert operator.reopen("r1", actor="bob", now=LATER + timedelta(minutes=1)) is not None
        assert (row(log).status, row(log).decided_by, row(log).reason) == (Status.PROPOSED, None, None)
    decide(operator, "executed")
    with pytest.raises(ActionRefused, match="is executed; that can't be taken back"):
        operator.reopen("r1", actor="bob", now=LATER)


# the effect of what was executed


def executed() -> Recommendation:
    done = recommendation(status=Status.EXECUTED).model_copy(update={"decided_at": NOW, "decided_by": "ada"})
    return done.model_copy(update={"at": NOW - timedelta(minutes=1)})


def review(one: Recommendation, at: datetime, *, firing: bool, lost: str = "") -> list[str]:
    adviser = Adviser(None, Inventory(), lambda *_: Samples.empty(), {}, {})
    return [made.payload.type for made in adviser.review(one, facts("a1") if firing else None, at, lost)]


EFFECT = recommendation().proposal.time_to_effect


@pytest.mark.parametrize(
    ("firing", "after", "made"),
    [
        (True, EFFECT - timedelta(seconds=15), []),
        (True, EFFECT, ["recommendation_ineffective.v1"]),
        (False, timedelta(seconds=15), ["recommendation_verified.v1"]),
        (False, EFFECT + timedelta(days=1), ["recommendation_verified.v1"]),
    ],
    ids=["not yet", "still firing at the time to effect", "over soon", "over before anybody looked"],
)
def test_an_executed_recommendation_ends_verified_or_ineffective(
    firing: bool, after: timedelta, made: list[str]
) -> None:
    assert due([executed()], NOW + after) == [executed()]
    assert review(executed(), NOW + after, firing=firing) == made


@pytest.mark.parametrize(
    ("firing", "after", "made"),
    [
        (True, EFFECT - timedelta(seconds=15), []),
        (True, EFFECT, ["recommendation_ineffective.v1"]),
        (False, timedelta(seconds=15), ["recommendation_ineffective.v1"]),
    ],
    ids=["its data may come back", "no data at the time to effect", "over for want of data"],
)
def test_data_that_is_gone_verifies_nothing(firing: bool, after: timedelta, made: list[str]) -> None:
    assert review(executed(), NOW + after, firing=firing, lost="no data") == made
    told = effect(executed(), facts("a1") if firing else None, NOW + after, "no data")
    assert [one.reason for one in told] == ["whether it helped isn't known: no data"] * len(made)


def test_what_is_approved_outlives_its_alert_until_it_expires() -> None:
    approved = recommendation(status=Status.APPROVED)
    before, then = approved.expires_at - timedelta(seconds=15), approved.expires_at
    assert review(approved, before, firing=True) == review(approved, before, firing=False) == []
    assert review(approved, then, firing=False) == ["recommendation_expired.v1"]
    assert due([approved], before) == []
    assert due([approved], then) == [approved]


def test_on_the_recorded_evening_what_was_executed_is_verified_when_the_lag_is_gone(tmp_path: Path) -> None:
    plane = bootstrap.control_plane(demo.settings(tmp_path, ("catalyst",)))
    now = demo.START
    while now < demo.END:
        now += timedelta(minutes=10)
        tick(plane, now)
        for name, found in plane.log.rows(RECOMMENDATIONS).items():
            if found.status is Status.PROPOSED:
                Operator(plane.log).executed(name, actor="ada", version=found.version, now=now)
    found = [one for one in plane.log.rows(RECOMMENDATIONS).values() if one.rule == "catalyst-kafka-lag-capacity"]
    # The recorded lag takes no notice of what was executed, so that it is advised again until it goes by itself.
    assert [one.status for one in sorted(found, key=lambda one: one.at)][-1] is Status.VERIFIED
    for done in found:
        assert done.decided_by == "ada"
        assert [event.type for event in plane.log.read(stream=f"recommendation:{done.id}")][-2:] == [
            "recommendation_executed.v1",
            f"recommendation_{done.status.value}.v1",
        ]
    plane.log.close()
