"""Payloads of PagerDuty and Slack as answers: the documented form, what isn't for us, and hostile ones."""

import hashlib
import json
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.oncall import Person
from controlplane.receive import pagerduty, slack
from controlplane.receive.answers import NotUnderstood, pagerduty_users, slack_members
from tests.drafts import HOSTILE
from tests.receive_cases import INTEGRATION, KEY, NOW, REPLY_TO, USER, pressed, webhook


@pytest.mark.parametrize("what", ["acknowledged", "unacknowledged", "resolved", "reopened"])
def test_a_webhook_is_an_answer(what: str) -> None:
    found = pagerduty.read(webhook(f"incident.{what}", event_id="01BRB6ZP4M6T8ZG4X6BP63ZB9O"))
    assert found is not None
    assert (found.provider, found.event, found.what) == ("pagerduty", "01BRB6ZP4M6T8ZG4X6BP63ZB9O", what)
    assert (found.dedup_key, found.actor, found.at, found.person) == (KEY, "pagerduty:Mira Fox", NOW, True)


@pytest.mark.parametrize(
    "event_type",
    [
        *(f"incident.{what}" for what in ("triggered", "reassigned", "delegated", "escalated", "annotated")),
        *("incident.priority_updated", "incident.responder.added", "incident.status_update_published"),
        *("service.updated", "pagey.ping", "incident.acknowledged ", "Incident.Acknowledged", "", "x" * 10_000),
    ],
)
@pytest.mark.parametrize("data", [{}, {"type": "ping"}, None, [], "x"])
def test_what_is_no_answer(event_type: str, data: Any) -> None:
    event = {"id": "1", "event_type": event_type, "occurred_at": "2026-03-01T02:00:00Z", "agent": None, "data": data}
    assert pagerduty.read(json.dumps({"event": event}).encode()) is None


@pytest.mark.parametrize("key", [None, ""])
def test_an_incident_that_no_event_opened(key: str | None) -> None:
    assert pagerduty.read(webhook(key=key)) is None


def test_a_merge_is_no_resolution() -> None:
    merged = {"type": "merge_resolve_reason", "incident": {"id": "P2"}}
    assert pagerduty.read(webhook("incident.resolved", resolve_reason=merged)) is None
    assert pagerduty.read(webhook("incident.resolved", resolve_reason={"type": "other"})) is not None


@pytest.mark.parametrize(
    ("agent", "actor", "person"),
    [
        (USER, "pagerduty:Mira Fox", True),
        ({"type": "user_reference", "id": "P1", "summary": None}, "pagerduty:P1", True),
        ({"type": "user_reference", "id": "P1", "summary": "  "}, "pagerduty", True),
        ({"type": "user_reference", "id": "P1"}, "pagerduty:P1", True),
        (INTEGRATION, "pagerduty:Events API V2", False),
        ({"type": "service_reference", "summary": "svc"}, "pagerduty:svc", False),
        ({}, "pagerduty", False),
        (None, "pagerduty", False),
        ({**USER, "summary": "a\x1b[31m\u202eb\n"}, "pagerduty:a�[31m�b", True),
        ({**USER, "summary": "n" * 10_000}, "pagerduty:" + "n" * 99 + "…", True),
    ],
)
def test_who_it_was(agent: Any, actor: str, person: bool) -> None:
    found = pagerduty.read(webhook(agent=agent))
    assert found is not None
    assert (found.actor, found.person) == (actor, person)


PEOPLE = {
    "mira": Person(channels=("sms",), slack="U1AB", names=("Mira Fox", "mira@example.com")),
    "bob": Person(channels=("sms",), names=("Bob Ross",)),
    "bobby": Person(channels=("sms",), slack="W2CD", names=("bob ross",)),
}


@pytest.mark.parametrize(
    ("agent", "actor"),
    [
        (USER, "mira"),
        ({**USER, "summary": " MIRA fox "}, "mira"),
        ({**USER, "summary": "mira"}, "mira"),
        ({**USER, "summary": "Bob Ross"}, "pagerduty:Bob Ross"),
        ({**USER, "summary": "Eve"}, "pagerduty:Eve"),
        ({**INTEGRATION, "summary": "Mira Fox"}, "pagerduty:Mira Fox"),
    ],
)
def test_people_of_the_settings_at_pagerduty(agent: Any, actor: str) -> None:
    found = pagerduty.read(webhook(agent=agent), pagerduty_users(PEOPLE))
    assert found is not None
    assert found.actor == actor


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        ({"id": "U1AB", "username": "whoever"}, "mira"),
        ({"id": "W2CD"}, "bobby"),
        ({"id": "u1ab", "username": "mira"}, "slack:mira"),
        ({"username": "U1AB"}, "slack:U1AB"),
    ],
)
def test_people_of_the_settings_at_slack(user: Any, actor: str) -> None:
    found = slack.read(pressed(user=user), NOW, slack_members(PEOPLE))
    assert found is not None
    assert found.answer.actor == actor


def hash_of(data: bytes) -> str:
    """A short name of a body."""
    return hashlib.sha256(data).hexdigest()[:8]


def body(**event: Any) -> bytes:
    known = json.loads(webhook())["event"]
    return json.dumps({"event": {name: value for name, value in {**known, **event}.items() if value != "-"}}).encode()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"null", b"7", b'{"event": []}', b'{"event": null}', b"\xff\xfe", b'{"event": "x"}'),
        b'{"event": {"id": "\\ud800"}}',
        b"[" * 100_000,
        b'{"event":' * 100_000,
        *(body(id=value) for value in ("-", "", None, 7, [], "x" * 201)),
        *(body(event_type=value) for value in ("-", None, 7)),
        *(body(occurred_at=value) for value in ("-", None, "", "yesterday", "2026-03-01T02:00:00", [])),
        *(body(agent=value) for value in ("x", [], 7, {"summary": 7}, {"type": []})),
        *(body(data=value) for value in ("-", None, [], "x", {"incident_key": 7}, {"incident_key": ["x"]})),
        body(data={"incident_key": KEY, "resolve_reason": "x"}),
    ],
    ids=lambda data: f"{len(data)}-{hash_of(data)}",
)
def test_what_pagerduty_does_not_send(data: bytes) -> None:
    with pytest.raises(NotUnderstood) as caught:
        pagerduty.read(data)
    assert len(str(caught.value)) <= 200
    assert "x" * 20 not in str(caught.value), "what was sent isn't said"


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(data: bytes) -> None:
    for read in (pagerduty.read, lambda data: slack.read(data, NOW)):
        with suppress(NotUnderstood):
            assert read(data) is None


@pytest.mark.parametrize(("action", "what"), [("acknowledge", "acknowledged"), ("silence_1h", "silenced")])
def test_a_button_is_an_answer(action: str, what: str) -> None:
    found = slack.read(pressed(action), NOW)
    assert found is not None
    answer = found.answer
    assert (answer.provider, answer.what, answer.dedup_key, answer.actor) == ("slack", what, KEY, "slack:mira")
    assert (answer.at, answer.person, found.reply_to) == (NOW, True, REPLY_TO)
    again = slack.read(pressed(action), NOW)
    assert again is not None
    assert again.answer.event == answer.event
    other = slack.read(pressed(action, trigger="4.5.6"), NOW)
    assert other is not None
    assert other.answer.event != answer.event


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        ({"id": "U1", "username": "mira", "name": "m"}, "slack:mira"),
        ({"id": "U1", "name": "m"}, "slack:m"),
        ({"id": "U1"}, "slack:U1"),
        ({}, "slack"),
        (None, "slack"),
        ({"username": "<!channel>\n\x1b[0m"}, "slack:<!channel> �[0m"),
        ({"username": "n" * 10_000}, "slack:" + "n" * 99 + "…"),
    ],
)
def test_who_pressed(user: Any, actor: str) -> None:
    found = slack.read(pressed(user=user), NOW)
    assert found is not None
    assert found.answer.actor == actor


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": [{"action_id": "runbook", "type": "button", "url": "https://x"}]},
        {"actions": [{"action_id": "acknowledge", "type": "button"}]},
        {"actions": [{"action_id": "acknowledge", "value": ""}]},
        {"actions": [{"type": "button", "value": KEY}]},
    ],
)
def test_what_was_pressed_is_not_ours(changes: dict[str, Any]) -> None:
    assert slack.read(pressed(**changes), NOW) is None


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"payload", b"payload=", b"payload={", b"payload=[]", b"payload=null", b"x=1", b"\xff", b"{}"),
        b"payload=%7B%7D",
        b"payload={}&payload={}",
        b"&".join([b"a=1"] * 30),
        b"payload=" + b"[" * 100_000,
        *(pressed(user=value) for value in ("x", 7, [])),
        *(pressed(actions=value) for value in (None, "x", [7], [{"action_id": 7}], [{"value": {}}])),
        *(pressed(response_url=value) for value in (7, {})),
        urlencode({"payload": '{"type": "\\ud800"}'}).encode(),
    ],
    ids=lambda data: f"{len(data)}-{hash_of(data)}",
)
def test_what_slack_does_not_send(data: bytes) -> None:
    with pytest.raises(NotUnderstood) as caught:
        slack.read(data, NOW)
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        (REPLY_TO, True),
        ("https://hooks.slack.com/", True),
        ("https://hooks.slack.com", False),
        ("http://hooks.slack.com/actions/T1", False),
        ("https://hooks.slack.com:443/actions", False),
        ("https://hooks.slack.com:8443/actions", False),
        ("https://hooks.slack.com.evil.example/actions", False),
        ("https://evil.example/hooks.slack.com", False),
        ("https://hooks.slack.com@evil.example/", False),
        ("https://user@hooks.slack.com/", False),
        ("https://evil.example#@hooks.slack.com/", False),
        ("https://evil.example\\@hooks.slack.com/", False),
        ("https:\\\\hooks.slack.com/x", False),
        ("https://hooks.slack.com\\.evil.example/", False),
        ("https://hooks.slack.com/\r\nHost: evil.example", False),
        ("https://hooks.slack.com/ x", False),
        ("https://HOOKS.SLACK.COM/x", False),
        ("https://hooks.slаck.com/x", False),
        ("https://slack.com/x", False),
        ("https://127.0.0.1/x", False),
        ("https://[::1]/x", False),
        ("https://[hooks.slack.com/x", False),
        ("file:///etc/passwd", False),
        ("//hooks.slack.com/x", False),
        ("", False),
        *((text, False) for text in HOSTILE),
    ],
)
def test_where_a_word_may_be_sent(url: str, fine: bool) -> None:
    assert slack.is_slack(url) is fine
    if "\ud800" not in url:
        found = slack.read(pressed(response_url=url), NOW)
        assert found is not None
        assert found.reply_to == (url if fine else None)
