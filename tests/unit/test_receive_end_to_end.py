"""From a page to the answer at PagerDuty or Slack and back: the alert is taken, nobody else is told, nothing loops."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from controlplane.eventlog.projections import ALERTS, INCIDENTS, SILENCES
from controlplane.model.alerts import Alert
from controlplane.model.events import Draft
from controlplane.model.notifications import Delivery, Incident
from controlplane.model.oncall import Escalation, OnCall, Person
from controlplane.model.payloads import AlertFired, AlertResolved, NotificationSuppressed
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms
from controlplane.notify.decide import decide, due
from tests.notify_cases import Desk, alert, facts, queued, tree
from tests.notify_cases import at as second
from tests.receive_cases import (
    INTEGRATION,
    PAGERDUTY_SECRET,
    SLACK_SECRET,
    Served,
    pressed,
    serving,
    taken_by,
    webhook,
)

MINUTE = 60
HOUR = 60 * MINUTE
MIRA = "pagerduty:Mira Fox"


class Plane:
    """Ticks over a real log, and the receiver beside it."""

    def __init__(self, served: Served) -> None:
        self.served, self.log = served, served.log
        levels = [{"to": ["mira"]}, {"to": ["jon"], "after": "10m"}]
        self.rules = Desk(
            tree("slack", "pager", escalate="platform"),
            channels=("slack", "pager", "sms-mira", "sms-jon"),
            people={"mira": Person(channels=("sms-mira",)), "jon": Person(channels=("sms-jon",))},
            escalations={"platform": Escalation.model_validate({"levels": levels})},
            takers={"slack", "pager"},
            urgent={"pager", "sms-mira", "sms-jon"},
        ).rules
        self.on_call: dict[str, OnCall] = {}
        self.now = 0.0

    def step(self, seconds: float, fire: Sequence[Alert] = (), end: Sequence[Alert] = ()) -> list[Delivery]:
        """One step: what fires and ends, and what is told."""
        when = self._to(seconds)
        changes = [_draft(AlertFired(facts=facts(one)), when) for one in fire]
        changes += [_draft(AlertResolved(facts=facts(o), fired_at=when, reason="condition"), when) for o in end]
        self.log.append(changes, recorded_at=when)
        return self._decided(when, changes)

    def until(self, seconds: float) -> list[tuple[str, str]]:
        """(channel, action) of every message while nothing happens."""
        found: list[tuple[str, str]] = []
        while self.now < seconds:
            when = self._to(min(self.now + (MINUTE if self.now < HOUR else 10 * MINUTE), seconds))
            if due(self.log.rows(INCIDENTS), when, self.rules.tree, self.log.rows(ALERTS)):
                found += told(self._decided(when, []))
        return found

    def incident(self) -> Incident:
        """The only one."""
        (one,) = self.log.rows(INCIDENTS).values()
        return one

    def _to(self, seconds: float) -> datetime:
        self.now = seconds
        self.served.now = second(seconds)
        return self.served.now

    def _decided(self, when: datetime, changes: Sequence[Draft]) -> list[Delivery]:
        drafts = decide(
            when,
            changes,
            rules=self.rules,
            incidents=self.log.rows(INCIDENTS),
            alerts=self.log.rows(ALERTS),
            silences=list(self.log.rows(SILENCES).values()),
            on_call=self.on_call,
        )
        self.log.append(drafts, recorded_at=when)
        return queued(drafts)


def _draft(payload: AlertFired | AlertResolved, when: datetime) -> Draft:
    return Draft(stream=f"alert:{payload.facts.alert}", key=str(to_ms(when)), payload=payload, occurred_at=when)


def told(deliveries: Sequence[Delivery]) -> list[tuple[str, str]]:
    return [(one.channel, one.message.action.value) for one in deliveries]


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    monkeypatch.setenv("TEST_PAGERDUTY_SECRET", PAGERDUTY_SECRET)
    monkeypatch.setenv("TEST_SLACK_SECRET", SLACK_SECRET)
    with serving(tmp_path) as served:
        yield Plane(served)


A, B = alert("a"), alert("b")
PAGED = [("slack", "trigger"), ("pager", "trigger"), ("sms-mira", "trigger")]
TAKEN = [("slack", "acknowledge"), ("pager", "acknowledge")]


def key_of(deliveries: Sequence[Delivery]) -> str:
    (key,) = {one.message.dedup_key for one in deliveries}
    return key


def test_nobody_answers(plane: Plane) -> None:
    """What the others are compared with: the next level is told."""
    assert told(plane.step(0, fire=[A, B])) == PAGED
    assert plane.until(20 * MINUTE) == [("sms-jon", "trigger")]


def test_an_acknowledgement_in_pagerduty_stops_the_escalation(plane: Plane) -> None:
    key = key_of(plane.step(0, fire=[A, B]))
    assert plane.until(MINUTE) == []
    assert plane.served.pagerduty(webhook(key=key, at=second(50))) == 202
    assert taken_by(plane.log) == {"a": MIRA, "b": MIRA}
    assert plane.until(2 * MINUTE) == TAKEN
    # What we tell PagerDuty comes back from it, as the word of an integration.
    echo = webhook(key=key, at=second(80), agent=INTEGRATION)
    head = plane.log.head()
    assert [plane.served.pagerduty(echo) for _ in range(2)] == [202, 202]
    assert plane.log.head() == head, "and ends there"
    assert plane.until(5 * HOUR) == [], "neither escalated nor repeated"


def test_a_button_in_slack_stops_it_too_and_pagerduty_hears_of_it(plane: Plane) -> None:
    key = key_of(plane.step(0, fire=[A]))
    assert plane.until(MINUTE) == []
    assert plane.served.slack(pressed(key=key)) == 200
    assert taken_by(plane.log) == {"a": "slack:mira"}
    assert plane.until(HOUR) == TAKEN
    assert plane.served.pagerduty(webhook(key=key, at=second(70), agent=INTEGRATION)) == 202
    assert plane.until(5 * HOUR) == []


def test_given_back_in_pagerduty_goes_on_with_a_new_page(plane: Plane) -> None:
    key = key_of(plane.step(0, fire=[A]))
    plane.served.pagerduty(webhook(key=key, at=second(20)))
    assert plane.until(5 * MINUTE) == TAKEN
    timeout = webhook("incident.unacknowledged", key=key, at=second(5 * MINUTE), agent=None)
    assert plane.served.pagerduty(timeout) == 202
    assert taken_by(plane.log) == {"a": None}
    assert ("sms-jon", "trigger") in plane.until(30 * MINUTE)
    assert key in plane.incident().superseded
    assert plane.served.pagerduty(webhook(key=key, at=second(30 * MINUTE))) == 202
    assert taken_by(plane.log) == {"a": None}, "the old page takes nothing any more"


def test_resolved_in_pagerduty_while_it_fires(plane: Plane) -> None:
    key = key_of(plane.step(0, fire=[A, B]))
    assert plane.served.pagerduty(webhook("incident.resolved", key=key, at=second(30))) == 202
    assert plane.until(5 * HOUR) == TAKEN, "nobody is paged again"
    worse = alert("c", severity=Severity.CRITICAL)
    wide = [alert(f"w{number}") for number in range(12)]
    plane.step(plane.now + 15, fire=[worse, *wide])
    assert plane.incident().page == 2, "another emergency is a new page"
    assert plane.incident().taken == ()


def test_the_end_is_told_whoever_has_it(plane: Plane) -> None:
    key = key_of(plane.step(0, fire=[A]))
    plane.served.pagerduty(webhook("incident.resolved", key=key, at=second(30)))
    plane.until(MINUTE)
    plane.step(plane.now + 15, end=[A])
    ends = plane.until(HOUR)
    assert sorted(ends) == [("pager", "resolve"), ("slack", "resolve"), ("sms-mira", "resolve")]
    head = plane.log.head()
    assert plane.served.pagerduty(webhook("incident.resolved", key=key, at=second(400), agent=INTEGRATION)) == 202
    assert plane.log.head() == head


def test_an_hour_of_silence_holds_the_next_level_back(plane: Plane) -> None:
    key = key_of(plane.step(0, fire=[A]))
    assert plane.until(MINUTE) == []
    assert plane.served.slack(pressed("silence_1h", key=key)) == 200
    assert plane.until(HOUR) == []
    assert plane.until(2 * HOUR) == [("sms-jon", "trigger")], "the rest of the wait is over after it"


@pytest.mark.parametrize("what", ["incident.resolved", "incident.acknowledged"])
def test_a_change_of_what_somebody_has_wakes_nobody(plane: Plane, what: str) -> None:
    """PagerDuty would open a page that was resolved there again, because a part of it ended."""
    key = key_of(plane.step(0, fire=[A, B]))
    plane.served.pagerduty(webhook(what, key=key, at=second(30)))
    assert plane.until(2 * MINUTE) == TAKEN
    plane.step(plane.now + 15, end=[B])
    assert plane.until(HOUR) == [("slack", "trigger")]
    (why,) = [e.payload for e in plane.log.read(types={"notification_suppressed.v1"})]
    assert isinstance(why, NotificationSuppressed)
    assert (why.channel, why.reason) == ("pager", f"acknowledged by {MIRA}: a change wakes nobody")
    found = told(plane.step(plane.now + 15, fire=[alert("c")]))
    assert ("pager", "trigger") in found + plane.until(2 * HOUR), "what nobody has does"


def test_what_wakes_people_hears_of_a_change_that_nobody_has(plane: Plane) -> None:
    plane.step(0, fire=[A, B])
    plane.until(2 * MINUTE)
    plane.step(plane.now + 15, end=[B])
    assert ("pager", "trigger") in plane.until(9 * MINUTE)
