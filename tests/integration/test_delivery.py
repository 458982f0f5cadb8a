"""From queued to delivered: the real event log and the real plugins against Slack and PagerDuty on loopback."""

import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme

from controlplane import bootstrap
from controlplane.eventlog.errors import StoreUnavailable
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES, INCIDENTS, OUTBOX
from controlplane.model.errors import ControlplaneError, InvalidInput
from controlplane.model.events import Draft, Event
from controlplane.model.notifications import Delivery, Subject
from controlplane.model.payloads import (
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
)
from controlplane.model.severity import Severity
from controlplane.model.views import DeliveryState
from controlplane.notify.channels import load_channels
from controlplane.notify.outbox import DeliveryReport, Outbox, deliver, follow
from controlplane.notify.outcome import backoff
from controlplane.notify.receipt import Aborted, Attempt
from controlplane.operator import ActionRefused, Operator
from controlplane.settings import Channel
from tests.notify_cases import alert, at, channel, store, tree
from tests.office import HOST, QUICK, URLS, Hire, Office, killed_in_the_middle, outbox, the_office
from tests.provider_proxy import (
    CHANNEL,
    HOOKS,
    PAGERDUTY,
    PAGERDUTY_EU,
    ROUTING_KEY,
    SECRETS,
    SLACK,
    TOKEN,
    WEBHOOK,
    Providers,
    Reply,
    providers_on_loopback,
)
from tests.servers import eventually

__all__ = ["providers_on_loopback", "the_office"]


def kinds(found: list[Any]) -> list[str]:
    return [type(payload).__name__.removeprefix("Notification") for payload in found]


ATTEMPTS = (NotificationDelivered, NotificationFailed, NotificationDeadLettered, NotificationSuppressed)


# what arrives


@pytest.mark.parametrize("name", list(URLS))
def test_a_trigger_and_its_resolve_arrive_in_order(office: Hire, name: str):
    one = office(name)
    one.step(0, fire=[alert("billing", summary="<!channel> & <@U1>")])
    assert one.deliver().delivered == 1
    incident = next(iter(one.log.rows(INCIDENTS).values()))
    if name in {"pager", "eu"}:
        assert len(one.providers.open_incidents()) == 1
    one.step(60, resolve=["billing"])
    report = one.deliver()
    assert (report.delivered, report.left, report.errors) == (1, 0, {})
    assert one.providers.open_incidents() == set()
    requests = one.providers.to(HOST[name])
    assert len(requests) == len(one.providers.requests) == (3 if name == "bot" else 2)
    assert {request.headers["content-type"] for request in requests} == {"application/json; charset=utf-8"}
    if name in {"hook", "bot"}:
        texts = [body["text"].split(":")[0] for body in one.providers.slack]
        assert texts == (["RESOLVED"] if name == "bot" else ["CRITICAL firing", "RESOLVED"]), "a bot edits in place"
        assert "<!channel>" not in json.dumps(one.providers.slack)
        assert incident.id in json.dumps(one.providers.slack)
    delivered = one.events(NotificationDelivered)
    assert [d.attempts for d in delivered] == [1, 1]
    if name == "bot":
        assert [d.reference for d in delivered] == [f"{CHANNEL}/1700000000.000001"] * 2
    if name in {"pager", "eu"}:
        assert {d.reference for d in delivered} == set(one.providers.incidents)
    assert one.log.verify().ok


def test_pagerduty_gets_one_incident_per_episode(office: Hire):
    one = office("pager")
    for seconds, change in (
        (0, {"fire": [alert("a")]}),
        (400, {"fire": [alert("b")]}),
        (500, {"resolve": ["a", "b"]}),
        (600, {"fire": [alert("a")]}),
    ):
        one.step(seconds, **change)
        one.deliver()
    states = list(one.providers.incidents.values())
    assert [(i.open, i.opened, i.triggers) for i in states] == [(False, 1, 2), (True, 1, 1)]


def test_a_storm_of_a_thousand_alerts_is_one_request_per_route(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert(f"g{n:04}", value=100_001.0 + n) for n in range(1_000)])
    assert one.deliver().delivered == 2
    assert len(one.providers.requests) == 2
    assert "CRITICAL firing (1,000 alerts)" in one.providers.slack[0]["text"]
    assert "1,000 alerts" in next(iter(one.providers.incidents.values())).summary


# what goes wrong

RETRY = [
    ("hook", Reply(500, "rollup_error"), "HTTP 500"),
    ("hook", Reply(429, "", {"Retry-After": "120"}), "HTTP 429"),
    ("hook", Reply(429, ""), "HTTP 429"),
    ("hook", Reply(408, ""), "HTTP 408"),
    ("hook", Reply(200, "<html>Welcome to Hotel WiFi, OK</html>"), "Hotel WiFi"),
    ("hook", Reply(302, "", {"Location": "https://unknown.example/login"}), "redirected elsewhere"),
    ("hook", Reply(307, "", {"Location": "https://unknown.example/login"}), "redirected elsewhere"),
    ("hook", Reply(disconnect=True), "the message may have arrived"),
    ("bot", Reply(200, '{"ok": false, "error": "internal_error", "note": "OK"}'), "ok: false, internal_error"),
    ("bot", Reply(200, "<html>OK</html>"), "Slack answered"),
    ("bot", Reply(200, '{"ok": "true"}'), "Slack answered"),
    ("bot", Reply(429, '{"ok": false, "error": "ratelimited"}', {"Retry-After": "30"}), "HTTP 429"),
    ("bot", Reply(503, ""), "HTTP 503"),
    ("pager", Reply(200, '{"status": "success"}'), "HTTP 200"),
    ("pager", Reply(202, "<html></html>"), "HTTP 202"),
    ("pager", Reply(307, "", {"Location": "https://unknown.example/v2/enqueue"}), "redirected elsewhere"),
    ("pager", Reply(429, ""), "HTTP 429"),
    ("pager", Reply(429, "", {"Retry-After": "45"}), "HTTP 429"),
    ("pager", Reply(200, "<html>Welcome to Hotel WiFi</html>"), "Hotel WiFi"),
    ("bot", Reply(302, "", {"Location": "https://unknown.example/login"}), "redirected elsewhere"),
    ("eu", Reply(disconnect=True), "the message may have arrived"),
    ("pager", Reply(500, ""), "HTTP 500"),
    ("eu", Reply(502, ""), "HTTP 502"),
]
REJECT = [
    ("hook", Reply(400, "invalid_payload"), "invalid_payload"),
    ("hook", Reply(401, ""), "HTTP 401"),
    ("hook", Reply(403, "action_prohibited"), "HTTP 403"),
    ("hook", Reply(410, "channel_is_archived"), "HTTP 410"),
    ("bot", Reply(200, '{"ok": false, "error": "channel_not_found"}'), "ok: false, channel_not_found"),
    ("bot", Reply(200, json.dumps({"ok": False, "error": f"invalid_auth {TOKEN}"})), "invalid_auth ***"),
    ("pager", Reply(400, json.dumps({"errors": [f"key {ROUTING_KEY} is unknown"]})), "HTTP 400"),
    ("bot", Reply(401, ""), "HTTP 401"),
    ("pager", Reply(403, ""), "HTTP 403"),
    ("eu", Reply(401, ""), "HTTP 401"),
]


@pytest.mark.parametrize(("name", "reply", "error"), RETRY)
def test_a_failure_that_may_pass_is_tried_again_until_it_does(office: Hire, name: str, reply: Reply, error: str):
    one = office(name)
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(HOST[name], reply)
    report = one.deliver()
    assert (report.failed, report.delivered, report.left) == (1, 0, 1)
    assert error in report.errors[name]
    failed = one.events(NotificationFailed)[0]
    wait = (failed.next_attempt_at - one.clock()).total_seconds()
    asked = float(reply.headers.get("Retry-After", 0))
    assert max(asked, 1.0) <= wait <= max(asked, 2.0)
    assert one.deliver().failed == 0, "not before it is due"
    assert len(one.providers.requests) == 1
    one.clock.time = failed.next_attempt_at
    assert one.deliver().delivered == 1
    assert one.events(NotificationDelivered)[0].attempts == 2
    assert one.log.rows(OUTBOX) == {}


@pytest.mark.parametrize(("name", "reply", "error"), REJECT)
def test_a_rejection_is_a_dead_letter_at_once(office: Hire, name: str, reply: Reply, error: str):
    one = office(name)
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(HOST[name], reply)
    report = one.deliver()
    assert (report.dead_lettered, report.left) == (1, 0)
    dead = one.events(NotificationDeadLettered)[0]
    assert error in dead.error
    assert dead.attempts == 1


def test_retry_after_may_be_a_date_and_is_believed_for_an_hour_at_most(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    dated = {"Date": "Sun, 01 Mar 2026 02:00:00 GMT", "Retry-After": "Sun, 01 Mar 2026 02:02:30 GMT"}
    one.providers.next_replies(PAGERDUTY, Reply(429, "", dated), Reply(429, "", {"Retry-After": "99999999999"}))
    one.deliver()
    first = one.events(NotificationFailed)[0]
    assert first.next_attempt_at == at(150)
    one.clock.time = first.next_attempt_at
    one.deliver()
    assert one.events(NotificationFailed)[1].next_attempt_at == at(150) + timedelta(hours=1)


def test_a_route_that_was_asked_to_wait_rests_as_a_whole(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(HOOKS, Reply(429, "", {"Retry-After": "60"}))
    one.deliver()
    one.step(15, fire=[alert("b", rule="other")])
    one.deliver()
    assert len(one.providers.to(HOOKS)) == 1
    assert len(one.providers.to(PAGERDUTY)) == 2
    one.clock.forward(seconds=60)
    one.deliver()
    assert len(one.providers.slack) == 2


def test_the_wait_grows_with_full_jitter_to_five_minutes():
    for attempts in (1, 2, 3, 8, 9, 100, 5_000):
        waits = [backoff(f"d{n}/0", attempts).total_seconds() for n in range(200)]
        assert waits == [backoff(f"d{n}/0", attempts).total_seconds() for n in range(200)], "a replay waits as long"
        high = min(300, 2**attempts if attempts < 20 else 300)
        assert all(1 <= wait <= high for wait in waits)
        assert attempts == 1 or max(waits) - min(waits) > high / 4


def test_a_delivery_that_fails_for_too_long_is_given_up(office: Hire):
    one = office("hook")
    one.step(0, fire=[alert("a")])
    one.providers.always(HOOKS, Reply(500, ""))
    one.deliver()
    one.clock.forward(hours=6)
    assert one.deliver().failed == 1, "exactly as old as allowed"
    one.clock.forward(minutes=6)
    assert one.deliver().dead_lettered == 1
    assert "too old" in one.events(NotificationDeadLettered)[0].error
    assert one.log.rows(OUTBOX) == {}


def test_after_a_long_absence_what_was_never_tried_is_tried_for_as_long_as_any_other(office: Hire):
    one = office("hook")
    one.clock.forward(hours=12)  # the step is caught up then
    one.step(0, fire=[alert("a")])
    one.providers.always(HOOKS, Reply(503, ""))
    one.clock.forward(seconds=1)
    assert one.deliver().failed == 1
    one.clock.forward(hours=6, seconds=-1)
    assert one.deliver().failed == 1, "exactly as old as allowed"
    one.clock.forward(minutes=6)
    assert one.deliver().dead_lettered == 1
    assert [failed.attempts for failed in one.events(NotificationFailed)] == [1, 2]


def test_after_a_long_absence_what_was_never_tried_is_tried_once(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    one.clock.forward(hours=30)
    assert one.deliver().delivered == 1
    assert len(one.providers.open_incidents()) == 1


def test_a_slow_drip_ends_at_the_deadline(office: Hire):
    one = office("hook")
    one.timeout = timedelta(seconds=1)
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(HOOKS, Reply(200, "ok", drip=0.5, process=True))
    began = time.monotonic()
    report = one.deliver()
    assert time.monotonic() - began < 3
    assert "no answer within 1 s; the message may have arrived" in report.errors["hook"]
    eventually(
        lambda: not [t for t in threading.enumerate() if t.name == "notify-hook"], "the thread that was cut off", 5
    )


def test_nothing_is_sent_over_a_connection_that_opens_after_the_deadline():
    attempt = Attempt(QUICK)
    attempt.abort()
    with socket.socket() as late, pytest.raises(Aborted):
        attempt.opened(late)
    assert not attempt.connected


def test_pagerduty_has_one_incident_although_the_answer_was_lost(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(PAGERDUTY, Reply(process=True, disconnect=True))
    assert one.deliver().failed == 1
    one.clock.forward(minutes=1)
    assert one.deliver().delivered == 1
    incident = next(iter(one.providers.incidents.values()))
    assert (len(one.providers.incidents), incident.opened, incident.triggers) == (1, 1, 2)


def test_a_timeout_that_lands_costs_a_repetition_but_no_second_page(office: Hire):
    one = office("pager", "hook")
    one.timeout = timedelta(seconds=1)
    one.step(0, fire=[alert("a")])
    for host in (PAGERDUTY, HOOKS):
        one.providers.next_replies(host, Reply(process=True, hang=True))
    report = one.deliver()
    assert report.failed == 2
    assert all("the message may have arrived" in error for error in report.errors.values())
    one.timeout = QUICK
    one.clock.forward(minutes=1)
    assert one.deliver().delivered == 2
    incident = next(iter(one.providers.incidents.values()))
    assert (len(one.providers.incidents), incident.opened, incident.triggers) == (1, 1, 2)
    assert len(one.providers.slack) == 2, "Slack has no key to tell it by"


def test_a_page_that_is_superseded_ends_after_the_new_one_was_taken(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a", severity=Severity.WARNING)])
    one.deliver()
    (first,) = one.providers.open_incidents()
    one.step(60, fire=[alert("b", severity=Severity.CRITICAL)])
    # The new page isn't taken at first, then the end of the old one isn't: neither is ever without a page.
    one.providers.next_replies(PAGERDUTY, Reply(500, ""))
    assert one.deliver().failed == 1
    assert one.providers.open_incidents() == {first}
    one.clock.forward(minutes=1)
    one.providers.next_replies(PAGERDUTY, Reply(202, '{"status": "success"}', process=True), Reply(503, ""))
    assert one.deliver().failed == 1
    assert len(one.providers.open_incidents()) == 2
    one.clock.forward(minutes=1)
    assert one.deliver().delivered == 1
    (second,) = one.providers.open_incidents()
    assert second != first
    actions = [(r.body["event_action"], r.body["dedup_key"]) for r in one.providers.to(PAGERDUTY)]
    new, old = ("trigger", second), ("resolve", first)
    assert actions == [("trigger", first), new, new, old, new, old]
    assert one.providers.incidents[second].opened == 1
    assert one.events(NotificationDelivered)[-1].reference == second, "what names it is the answer to the new page"
    one.step(600, resolve=["a", "b"])
    one.deliver()
    assert one.providers.open_incidents() == set()


def test_over_long_fields_and_mentions_are_taken_by_every_provider(office: Hire):
    one = office(*URLS)
    bad = "<!channel> <@U1> @here \x1b[31m \u202e & " + "x" * 10_000
    names = {"name": bad, bad[:200]: bad}
    one.step(0, fire=[alert(f"a{n}", labels=names | {"n": str(n)}, title=bad, summary=bad) for n in range(60)])
    assert one.deliver().delivered == 4
    for body in one.providers.slack:
        said = json.dumps(body, ensure_ascii=False)
        assert not re.search(r"<[!@#]|@(?:here|channel)|\\u001b|\u202e", said)
    for host in (PAGERDUTY, PAGERDUTY_EU):
        (request,) = one.providers.to(host)
        assert len(json.dumps(request.body)) < 512_000


def test_an_untrusted_authority_is_refused_and_nothing_is_sent(
    office: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = office("hook", "pager")
    one.step(0, fire=[alert("a")])
    trusted = os.environ["REQUESTS_CA_BUNDLE"]
    other = tmp_path / "other-ca.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    report = one.deliver()
    assert report.failed == 2
    assert all("certificate can't be trusted" in error for error in report.errors.values())
    assert one.providers.requests == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    one.clock.forward(minutes=1)
    assert one.deliver().failed == 2
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
    one.clock.forward(minutes=6)
    assert one.deliver().delivered == 2


def test_an_unreachable_proxy_is_a_failure_that_may_pass(office: Hire, monkeypatch: pytest.MonkeyPatch):
    one = office("hook")
    one.step(0, fire=[alert("a")])
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    report = one.deliver()
    assert "the proxy didn't let us through" in report.errors["hook"]
    assert one.log.rows(OUTBOX)


def test_another_channel_goes_through_its_stock_plugin(office: Hire, monkeypatch: pytest.MonkeyPatch):
    one = office("pager")
    secret = "plantedPathSecret55"
    monkeypatch.setenv("URL_OTHER", f"jsons://user:plantedPassword66@unknown.example/{secret}")
    one.declared.append(channel("other"))
    one.desk.route(tree("pager", "other"), channels=("pager", "other"))
    one.step(0, fire=[alert("a")])
    report = one.deliver()
    assert (report.delivered, report.failed) == (1, 1)
    assert one.providers.refused == ["unknown.example"]
    assert "apprise reports FAILURE" in report.errors["other"]
    assert secret not in report.errors["other"]
    assert "plantedPassword66" not in report.errors["other"]


def test_the_netrc_of_the_user_is_not_sent(office: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {SLACK} login me password other\nmachine {HOOKS} login me password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    one = office("hook", "bot")
    one.step(0, fire=[alert("a")])
    assert one.deliver().delivered == 2
    assert "authorization" not in one.providers.to(HOOKS)[0].headers


# order


def test_a_resolve_never_overtakes_its_trigger(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(PAGERDUTY, Reply(500, ""), Reply(500, ""))
    one.deliver()
    one.step(15, resolve=["a"])
    one.clock.forward(minutes=1)
    one.deliver()
    assert one.outbox() == ["trigger", "resolve"]
    one.deliver()
    assert len(one.providers.requests) == 2, "the resolve waits for its trigger"
    one.clock.forward(minutes=10)
    assert one.deliver().delivered == 2
    actions = [request.body["event_action"] for request in one.providers.requests]
    assert actions == ["trigger", "trigger", "trigger", "resolve"]
    assert one.providers.open_incidents() == set()


def test_a_trigger_that_nobody_needs_any_more_is_dropped_and_the_resolve_is_sent(office: Hire):
    one = office("pager", "hook")
    one.step(0, fire=[alert("a")])
    one.step(15, resolve=["a"])
    report = one.deliver()
    assert (report.dropped, report.delivered, report.left) == (2, 2, 0)
    assert [request.body["event_action"] for request in one.providers.to(PAGERDUTY)] == ["resolve"]
    assert one.providers.incidents == {}
    dropped = one.events(NotificationSuppressed)
    assert {d.channel for d in dropped} == {"pager", "hook"}
    assert all(d.delivery and "ended before" in d.reason for d in dropped)


def test_a_new_episode_is_told_although_the_one_before_was_dropped(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    one.step(15, resolve=["a"])
    one.step(30, fire=[alert("a")])
    report = one.deliver()
    assert (report.dropped, report.delivered) == (1, 2)
    assert len(one.providers.open_incidents()) == 1


def test_a_rejected_trigger_does_not_hold_up_what_follows(office: Hire):
    one = office("hook")
    one.step(0, fire=[alert("a")])
    one.step(400, fire=[alert("b")])
    one.providers.next_replies(HOOKS, Reply(400, "invalid_payload"))
    report = one.deliver()
    assert (report.dead_lettered, report.delivered) == (1, 1)


def test_a_failure_of_one_message_holds_up_its_lane_alone(office: Hire):
    one = office("hook")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(3)])
    one.step(400, fire=[alert("more", rule="rule-0")])
    one.providers.next_replies(HOOKS, Reply(500, "rollup_error"))
    report = one.deliver()
    assert (report.failed, report.delivered, report.left) == (1, 2, 2)
    failed = one.events(NotificationFailed)[0].delivery
    waiting = sorted(one.log.rows(OUTBOX).values(), key=lambda row: row.position)
    assert [row.lane for row in waiting] == [waiting[0].lane] * 2
    assert [row.attempts for row in waiting] == [1, 0]
    assert waiting[0].id == failed
    one.clock.forward(minutes=1)
    assert one.deliver().delivered == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, ""),
        Reply(429, "", {"Retry-After": "30"}),
        Reply(503, "", {"Retry-After": "30"}),
        Reply(disconnect=True),
    ],
)
def test_what_concerns_the_provider_holds_up_its_channel_alone(office: Hire, reply: Reply):
    one = office("hook", "pager")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(3)])
    one.providers.always(HOOKS, reply)
    report = one.deliver()
    assert (report.failed, report.delivered, report.left) == (1, 3, 3)
    assert len(one.providers.to(HOOKS)) == 1
    asked_to_wait = reply.status in {429, 503}
    assert one.deliver().failed == (0 if asked_to_wait else 1), "a provider that can't be reached is asked once a call"
    one.providers.recover(HOOKS)
    one.clock.forward(minutes=1)
    assert one.deliver().delivered == 3


def test_the_worst_goes_first_and_what_failed_before_last(office: Hire):
    one = office("hook")
    calm = [alert(f"w{n}", rule=f"calm-{n}", severity=Severity.WARNING) for n in range(2)]
    one.step(0, fire=[alert("tried", rule="tried")])
    one.providers.next_replies(HOOKS, Reply(500, ""))
    one.deliver()
    one.step(60, fire=[*calm, alert("bad", rule="bad")])
    one.deliver()
    told = [body["text"].split(" ")[0] for body in one.providers.slack]
    assert told == ["CRITICAL", "WARNING", "WARNING", "CRITICAL"]


def test_no_more_is_sent_than_the_rate_of_the_channel(office: Hire):
    one = office("hook", "pager")
    one.timeout = timedelta(seconds=2)
    one.declared[0] = channel("hook", "URL_HOOK", rate="2/s")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(8)])
    report = one.deliver()
    times = [request.at for request in one.providers.to(HOOKS)]
    assert 3 <= len(times) <= 6, "what has no token within the call is left to the next one"
    assert all(third - first >= 0.5 for first, third in zip(times, times[2:], strict=False))
    assert report.left == 8 - len(times)
    assert len(one.providers.open_incidents()) == 8
    assert report.failed == 0


def test_the_rate_holds_over_calls(office: Hire):
    one = office("hook")
    one.timeout = timedelta(seconds=3)
    one.declared[0] = channel("hook", "URL_HOOK", rate="2/m")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(5)])
    assert (one.deliver().delivered, one.deliver().delivered) == (2, 0)
    one.clock.forward(seconds=50)
    assert one.deliver().delivered == 0
    one.clock.forward(seconds=9)
    assert one.deliver().delivered == 2, "a token that comes back within the call is used"
    one.clock.forward(seconds=60)
    assert one.deliver().delivered == 1


def test_the_limit_counts_per_route(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(5)])
    assert one.deliver(limit=2).delivered == 4
    assert one.deliver(limit=100).delivered == 6
    assert one.log.rows(OUTBOX) == {}


# dead letters


def rejected(one: Office, host: str = HOOKS, times: int = 1) -> None:
    one.providers.next_replies(host, *[Reply(403, f"action_prohibited {WEBHOOK[2]}")] * times)


def told_of_letters(one: Office) -> list[Delivery]:
    events = one.log.read(types={"notification_queued.v1"})
    found = [event.payload.delivery for event in events]
    return [delivery for delivery in found if delivery.message.subject is Subject.SELF]


def test_dead_letters_are_told_once_by_another_channel_and_so_is_their_end(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(3)])
    rejected(one, times=3)
    report = one.deliver(tell=("hook", "pager"))
    assert (report.dead_lettered, report.delivered, report.left) == (3, 4, 0), "and the one that tells of it at once"
    events = list(one.log.read(stream="dead-letters:hook"))
    dead = next(event for event in one.log.read(types={"notification_dead_lettered.v1"}))
    assert events[0].position == dead.position + 1
    assert events[0].cause == dead.id
    page = one.providers.to(PAGERDUTY)[-1].body
    assert page["payload"]["summary"].startswith("CRITICAL: Messages to hook are given up")
    assert "HTTP 403" in page["payload"]["custom_details"]["evidence"][0]["summary"]
    assert "retry --all" in page["payload"]["custom_details"]["note"]
    assert len(one.providers.open_incidents()) == 4

    one.clock.forward(minutes=30)
    one.step(1_800, fire=[alert("x", rule="other")])
    one.deliver(tell=("hook", "pager"))
    assert len(told_of_letters(one)) == 1, "one that gets through soon after is no end of it"
    one.clock.forward(hours=1)
    one.step(5_500, fire=[alert("y", rule="another")])
    one.deliver(tell=("hook", "pager"))
    assert [d.message.action.value for d in told_of_letters(one)] == ["trigger", "resolve"]
    assert page["dedup_key"] not in one.providers.open_incidents()


def test_dead_letters_are_told_again_when_they_are_worse_or_go_on(office: Hire):
    one = office("hook", "pager")
    one.providers.always(HOOKS, Reply(403, ""))
    one.step(0, fire=[alert("calm", rule="calm", severity=Severity.WARNING)])
    for seconds, rule, told in ((60, "second", 1), (120, "third", 2), (14_000, "fourth", 2), (14_600, "fifth", 3)):
        severity = Severity.WARNING if rule == "second" else Severity.CRITICAL
        one.step(seconds, fire=[alert(rule, rule=rule, severity=severity)])
        one.deliver(tell=("pager",))
        assert len(told_of_letters(one)) == told, rule
    assert len({d.message.dedup_key for d in told_of_letters(one)}) == 1
    assert [d.message.firing for d in told_of_letters(one)] == [1, 3, 5]


def test_a_dead_letter_about_dead_letters_is_told_to_nobody(office: Hire):
    one = office("hook", "bot", "pager")
    everybody = ("bot", "pager")
    one.step(0, fire=[alert("a")])
    rejected(one)
    one.providers.always(SLACK, Reply(403, ""))
    for _ in range(4):
        one.deliver(tell=everybody)
    # hook's letter goes to bot, which gives it up as well; bot's own letter goes to pager.
    told = [(d.channel, d.message.title) for d in told_of_letters(one)]
    assert sorted(told)[-1][0] == "pager"
    assert len(told) <= 2
    assert one.log.rows(OUTBOX) == {}
    one.step(600, fire=[alert("b", rule="other")])
    rejected(one)
    for _ in range(3):
        one.deliver(tell=everybody)
    assert told_of_letters(one)[-1].channel == "pager", "a channel that gave it up isn't asked again"
    assert one.log.rows(OUTBOX) == {}


def test_where_there_is_no_other_channel_the_log_says_so(office: Hire):
    one = office("hook")
    one.step(0, fire=[alert("a")])
    rejected(one)
    assert one.deliver(tell=("hook",)).dead_lettered == 1
    assert "no other channel" in one.events(NotificationSuppressed)[0].reason


def test_a_dead_letter_is_sent_again_when_somebody_wants_it(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert("a"), alert("b", rule="other")])
    rejected(one, times=3)
    one.deliver(tell=("pager",))
    letters = [row.id for row in one.log.rows(DELIVERIES).values() if row.state is DeliveryState.DEAD]
    operator = Operator(one.log)
    one.clock.forward(minutes=10)
    event = operator.send_again(letters[0], actor="ada", now=one.clock())
    assert event is not None
    assert (event.actor, event.type) == ("ada", "notification_queued.v1")
    assert operator.send_again(letters[0], actor="ada", now=one.clock()) is None, "it waits already"
    assert one.deliver(tell=("pager",)).dead_lettered == 1, "and may be given up again"
    one.clock.forward(minutes=10)
    assert operator.send_again(letters[0], actor="ada", now=one.clock()) is not None
    assert one.deliver(tell=("pager",)).delivered == 1
    row = one.log.rows(DELIVERIES)[letters[0]]
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 1)
    assert row.seconds == 0.0, "the latency counts from when it was queued again"
    with pytest.raises(ActionRefused, match="is delivered"):
        operator.send_again(letters[0], actor="ada", now=one.clock())
    one.step(2_000, resolve=["b", "a"])
    with pytest.raises(ActionRefused, match="has ended since"):
        operator.send_again(letters[1], actor="ada", now=one.clock())
    with pytest.raises(ActionRefused, match="there is no message"):
        operator.send_again("nothing", actor="ada", now=one.clock())
    assert one.log.verify().ok


# independence


@pytest.mark.parametrize("trouble", [Reply(hang=True), Reply(200, "ok", drip=0.5)])
def test_hung_channels_delay_neither_pagerduty_nor_each_other(office: Hire, trouble: Reply):
    one = office("hook", "bot", "pager")
    one.timeout = timedelta(seconds=2)
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(6)])
    one.providers.always(HOOKS, trouble)
    one.providers.always(SLACK, trouble)
    began = time.monotonic()
    report = one.deliver()
    lasted = time.monotonic() - began
    assert [request.at - began < 1.5 for request in one.providers.to(PAGERDUTY)] == [True] * 6
    assert len(one.providers.open_incidents()) == 6
    assert (report.delivered, report.failed) == (6, 2)
    assert 1.9 < lasted < 4.0, "one deadline for both, and no second try in the same call"
    one.providers.recover(HOOKS)
    one.providers.recover(SLACK)
    one.clock.forward(minutes=1)
    one.timeout = timedelta(seconds=20)
    assert one.deliver().delivered == 12


def test_six_hung_channels_do_not_delay_pagerduty(office: Hire):
    hung = tuple(f"hook{n}" for n in range(5))
    one = office(*hung, "bot", "pager")
    one.declared = [channel(name, "URL_HOOK", rate="1000/s") for name in hung] + one.declared[5:]
    one.timeout = timedelta(seconds=3)
    one.providers.always(HOOKS, Reply(hang=True))
    one.providers.always(SLACK, Reply(hang=True))
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(4)])
    began = time.monotonic()
    report = one.deliver()
    assert time.monotonic() - began < 6
    assert (report.delivered, report.failed) == (4, 6)
    assert all(request.at - began < 2.5 for request in one.providers.to(PAGERDUTY))


def test_two_workers_on_one_outbox_send_everything_once(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n:02}") for n in range(12)])
    channels = one.channels()
    logs = [EventLog.open(store(one.folder)) for _ in range(2)]
    gate = threading.Barrier(2)
    reports: list[DeliveryReport] = []

    def work(log: EventLog, holder: str) -> None:
        gate.wait(10)
        reports.extend(deliver(outbox(log, channels, one.clock, holder)) for _ in range(3))

    threads = [threading.Thread(target=work, args=(log, f"w{n}")) for n, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(report.delivered for report in reports) == 24
    assert len(one.providers.requests) == 24
    assert one.log.rows(OUTBOX) == {}
    for log in logs:
        log.close()


@contextmanager
def followed(one: Office, **options: Any) -> Iterator[list[DeliveryReport]]:
    """Somebody follows the outbox meanwhile; what they report."""
    ended, reports = threading.Event(), list[DeliveryReport]()
    box = outbox(one.log, one.channels(strict=False), one.clock, "follower")
    options = {"on_report": reports.append, **options}
    thread = threading.Thread(target=follow, args=(box, ended.is_set), kwargs=options)
    thread.start()
    try:
        yield reports
    finally:
        ended.set()
        thread.join(30)
        assert not thread.is_alive()


def test_a_follower_sends_what_is_queued_meanwhile_although_another_channel_hangs(
    office: Hire, monkeypatch: pytest.MonkeyPatch
):
    one = office("hook", "bot", "pager")
    one.timeout = timedelta(seconds=8)
    one.providers.always(HOOKS, Reply(hang=True))
    with followed(one):
        one.step(0, fire=[alert("a")])
        eventually(lambda: one.providers.to(HOOKS), "the channel hangs", 5)
        for number in range(3):
            began = time.monotonic()
            one.step(5.0 * (number + 1), fire=[alert(f"b{number}", rule=f"rule-{number}")])
            eventually(lambda n=number: len(one.providers.open_incidents()) == n + 2, "it is told", 5)
            assert time.monotonic() - began < 3
        assert one.deliver().elsewhere > 0, "a tick leaves it to the follower"
        assert len(one.providers.to(HOOKS)) == 1
        monkeypatch.setattr("controlplane.notify.lead.LEASE", timedelta(seconds=1))
        with pytest.raises(ControlplaneError, match="another worker"):
            follow(outbox(one.log, one.channels(), one.clock, "second"), lambda: False)
        one.providers.recover(HOOKS)
        one.providers.release()
    eventually(lambda: not one.log.leased("outbox", now=one.clock()), "it gave its lease back", 5)
    one.clock.forward(minutes=1)
    assert one.deliver().left == 0
    assert {b["text"].split(":")[0] for b in one.providers.slack} == {"CRITICAL firing"}


class Outage:
    """An event log whose store is away from the moment on that it is asked whether to end."""

    def __init__(self, log: EventLog) -> None:
        self._log, self._away = log, False

    def __getattr__(self, name: str) -> Any:
        if self._away:
            raise StoreUnavailable("it is away")
        return getattr(self._log, name)

    def begin(self) -> bool:
        self._away = self._log.leased("outbox", now=at(0))
        return False


def test_a_follower_goes_on_at_once_when_the_store_is_back(office: Hire):
    one = office("pager")
    log: Any = Outage(one.log)
    with pytest.raises(StoreUnavailable):
        follow(outbox(log, one.channels(), one.clock, "follower"), log.begin)
    assert one.log.leased("outbox", now=one.clock()), "it couldn't give its lease back"
    with followed(one):
        one.step(0, fire=[alert("a")])
        eventually(lambda: one.events(NotificationDelivered), "it is told", 5)


def test_a_follower_waits_for_the_lease_that_is_left_of_a_crash(office: Hire):
    one = office("pager")
    assert one.log.lease("outbox", "crashed", now=one.clock(), ttl=timedelta(seconds=30))
    with followed(one):
        one.step(0, fire=[alert("a")])
        one.clock.forward(seconds=29)
        time.sleep(0.5)
        assert one.providers.requests == [], "the other one may live"
        one.clock.forward(seconds=1)
        eventually(lambda: one.events(NotificationDelivered), "it is told", 5)
    assert one.log.lease("outbox", "crashed", now=one.clock(), ttl=timedelta(seconds=30)), "it gave its lease back"
    began = time.monotonic()
    with followed(one):
        time.sleep(0.3)
    assert time.monotonic() - began < 5, "it can be ended while it waits"
    assert one.log.leased("outbox", now=one.clock()), "it gave back nobody else's"


def test_a_follower_tries_again_when_it_is_due_and_ends_with_what_is_on_its_way(office: Hire):
    one = office("pager")
    one.providers.next_replies(PAGERDUTY, Reply(500, ""))
    with followed(one) as reports:
        one.step(0, fire=[alert("a")])
        eventually(lambda: one.events(NotificationFailed), "the first attempt fails", 5)
        time.sleep(0.5)
        assert len(one.providers.requests) == 1, "not before it is due"
        one.clock.forward(seconds=3)
        eventually(lambda: one.events(NotificationDelivered), "it is tried again", 5)
        one.providers.next_replies(PAGERDUTY, Reply(202, '{"status": "success"}', drip=0.02, process=True))
        one.step(60, resolve=["a"])
        eventually(lambda: len(one.providers.requests) == 3, "the end is on its way", 5)
    assert len(one.events(NotificationDelivered)) == 2, "its answer was waited for"
    assert [report.delivered + report.failed for report in reports] == [1, 1]


def test_a_follower_keeps_the_rate_while_more_is_queued(office: Hire):
    one = office("hook", "pager")
    one.declared[0] = channel("hook", "URL_HOOK", rate="1/s")
    with followed(one):
        for number in range(4):
            one.step(number, fire=[alert(f"a{number}", rule=f"rule-{number}")])
            time.sleep(0.3)
        eventually(lambda: one.log.rows(OUTBOX) == {}, "all are sent", 15)
    times = [request.at for request in one.providers.to(HOOKS)]
    assert len(times) == 4
    # They are begun a second apart; how long each takes to arrive differs.
    assert all(later - sooner >= 0.5 for sooner, later in pairwise(times))
    assert times[-1] - times[0] >= 2.5
    assert one.events(NotificationFailed) == []


def test_a_follower_takes_over_new_settings(office: Hire, monkeypatch: pytest.MonkeyPatch):
    one = office("pager")
    monkeypatch.setattr("controlplane.notify.worker._MEND", 0.3)
    monkeypatch.delenv("URL_PAGER")

    def reload() -> Outbox:
        return outbox(one.log, one.channels(strict=False), one.clock, "follower")

    with followed(one, reload=reload):
        one.step(0, fire=[alert("a")])
        eventually(lambda: one.events(NotificationFailed), "it is broken", 5)
        monkeypatch.setenv("URL_PAGER", URLS["pager"])
        time.sleep(0.6)
        one.clock.forward(seconds=30)
        # The channel is left alone for a while after the failure.
        eventually(lambda: one.events(NotificationDelivered), "it is mended", 25)


@pytest.mark.parametrize("rules", [("a", "b", "c", "d"), ("a", "a", "a", "a")], ids=["lanes", "one lane"])
def test_new_settings_do_not_lift_the_rate(office: Hire, monkeypatch: pytest.MonkeyPatch, rules: tuple[str, ...]):
    one = office("hook")
    one.declared[0] = channel("hook", "URL_HOOK", rate="1/s")
    monkeypatch.setattr("controlplane.notify.worker._MEND", 0.3)
    anew = [outbox(one.log, one.channels(), one.clock, "follower")]
    for number, rule in enumerate(rules):
        one.step(600 * number, fire=[alert(f"a{number}", rule=rule)])
    with followed(one, reload=lambda: anew.pop() if anew else None):
        eventually(lambda: one.log.rows(OUTBOX) == {}, "all are sent", 15)
    times = [request.at for request in one.providers.to(HOOKS)]
    assert len(times) == 4
    assert all(later - sooner >= 0.5 for sooner, later in pairwise(times))
    assert times[-1] - times[0] >= 2.5


def test_a_follower_takes_over_a_secret_file_that_was_rotated(
    office: Hire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = office("pager")
    monkeypatch.setattr("controlplane.notify.worker._MEND", 0.3)
    secret, settings = tmp_path / "key", tmp_path / "controlplane.yaml"
    revoked = ROUTING_KEY[::-1]
    secret.write_text(f"pdevents://{revoked}")
    settings.write_text("notify: {channels: [{name: pager, url: {file: key}}]}")
    ended, reports = threading.Event(), list[DeliveryReport]()
    thread = threading.Thread(target=bootstrap.follow, args=(settings, one.log, ended.is_set, reports.append))
    thread.start()
    try:
        one.step(0, fire=[alert("a")])
        eventually(lambda: one.events(NotificationDeadLettered), "it is given up", 10)
        secret.write_text(URLS["pager"])
        time.sleep(1)
        one.step(60, fire=[alert("b", rule="other")])
        eventually(lambda: one.events(NotificationDelivered), "it is told", 10)
    finally:
        ended.set()
        thread.join(30)
    assert [request.body["routing_key"] for request in one.providers.to(PAGERDUTY)] == [revoked, ROUTING_KEY]


def test_a_lane_that_somebody_else_works_on_is_left_alone(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    lane = next(iter(one.log.rows(OUTBOX).values())).lane
    assert one.log.lease(f"deliver/{lane}", "other", now=one.clock(), ttl=timedelta(seconds=40))
    assert (one.deliver().elsewhere, one.providers.requests) == (1, [])
    one.clock.forward(seconds=41)
    assert one.deliver().delivered == 1


def test_a_worker_killed_between_send_and_record_costs_a_repetition_but_no_second_incident(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    killed_in_the_middle(one, PAGERDUTY, "pager")
    assert len(one.providers.open_incidents()) == 1
    assert one.events(*ATTEMPTS) == []
    assert one.deliver().elsewhere == 1, "the lease of the dead holds"
    one.clock.forward(minutes=2)
    assert one.deliver().delivered == 1
    incident = next(iter(one.providers.incidents.values()))
    assert (len(one.providers.incidents), incident.opened, incident.triggers) == (1, 1, 2)


def test_a_trigger_that_a_dead_worker_may_have_sent_is_not_dropped(office: Hire):
    one = office("pager")
    one.step(0, fire=[alert("a")])
    killed_in_the_middle(one, PAGERDUTY, "pager")
    one.step(120, resolve=["a"])
    report = one.deliver()
    assert (report.dropped, report.delivered, report.left) == (0, 2, 0)
    assert one.providers.open_incidents() == set()
    assert [request.body["event_action"] for request in one.providers.requests] == ["trigger", "trigger", "resolve"]


# settings and secrets


def test_a_delivery_for_a_route_that_is_gone_is_a_dead_letter(office: Hire):
    one = office("hook", "pager")
    one.step(0, fire=[alert("a")])
    report = one.deliver(one.channels(one.declared[:1]))
    assert (report.delivered, report.dead_lettered) == (1, 1)
    assert one.events(NotificationDeadLettered)[0].error == "the channel pager is no longer in the settings"


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        (None, "environment variable URL_BAD is not set"),
        ("", "environment variable URL_BAD is not set"),
        ("slackops://hooks/T0/B0", "isn't one that can be notified"),
        ("slackops://bot/notatoken/C0123456789", "isn't one that can be notified"),
        ("pdevents://", "isn't one that can be notified"),
        ("pdevents://plantedRoutingKey0?region=mars", "isn't one that can be notified"),
        ("nosuchschema://plantedRoutingKey0/x", "isn't one that can be notified"),
        ("plantedRoutingKey0", "doesn't hold one apprise URL"),
        ("pdevents://plantedRoutingKey0,pdevents://other", "doesn't hold one apprise URL"),
    ],
)
def test_a_bad_route_is_named_with_a_remedy_and_without_its_secret(
    url: str | None, remedy: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("URL_BAD", raising=False)
    if url is not None:
        monkeypatch.setenv("URL_BAD", url)
    monkeypatch.setenv("URL_PAGER", URLS["pager"])
    declared = [channel("bad"), channel("pager")]
    with pytest.raises(InvalidInput) as raised:
        load_channels(declared)
    assert isinstance(raised.value, ControlplaneError)
    assert len(raised.value.problems) == 1
    shown = str(raised.value) + caplog.text
    assert "notify.channels.bad" in shown
    assert remedy in shown
    assert raised.value.__cause__ is None
    for secret in (*SECRETS, "plantedRoutingKey0", "notatoken"):
        assert secret not in shown
    lenient = load_channels(declared, strict=False)
    assert list(lenient.loaded) == ["pager"]
    assert remedy in lenient.broken["bad"]


def test_what_is_queued_for_a_broken_route_waits_until_it_is_mended(office: Hire, monkeypatch: pytest.MonkeyPatch):
    one = office("hook", "pager")
    one.step(0, fire=[alert("a"), alert("b", rule="other")])
    monkeypatch.delenv("URL_HOOK")
    report = one.deliver(one.channels(strict=False))
    assert (report.delivered, report.failed, report.left) == (2, 1, 2)
    assert report.errors["hook"] == "environment variable URL_HOOK is not set; set it or use {file: …}"
    monkeypatch.setenv("URL_HOOK", URLS["hook"])
    one.clock.forward(minutes=1)
    assert one.deliver().delivered == 2


def test_secrets_of_files_work_and_representations_hide_them(tmp_path: Path):
    secret = tmp_path / "url"
    secret.write_text(URLS["pager"] + "\n")
    loaded = load_channels([Channel.model_validate({"name": "pager", "url": {"file": str(secret)}})])
    assert ROUTING_KEY not in repr(loaded)
    assert loaded.loaded["pager"].kind == "pagerduty"


def test_plugins_send_nothing_but_what_the_outbox_gives_them(providers: Providers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("URL_PAGER", URLS["pager"])
    pager = load_channels([channel("pager")]).loaded["pager"]
    assert not pager._apprise.notify(body="something", title="else")
    assert providers.requests == []
    assert ROUTING_KEY not in pager._apprise.urls()[0]


def test_a_repeated_step_queues_and_sends_nothing_twice(office: Hire):
    one = office("pager")
    drafts: list[Draft] = one.desk.step(0, fire=[alert("a")])
    first: list[Event] = one.log.append(drafts, recorded_at=one.clock())
    assert one.deliver().delivered == 1
    assert one.log.append(drafts, recorded_at=datetime.now(UTC)) == []
    assert one.deliver().delivered == 0
    assert len(first) == 2
    assert len(one.providers.requests) == 1
    assert kinds(one.events(NotificationQueued, *ATTEMPTS)) == ["Queued", "Delivered"]
