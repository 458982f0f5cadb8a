"""The receiver over HTTP on loopback, with a real event log: who gets in, what it changes, what can't wear it down."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.eventlog.errors import StoreUnavailable
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, SILENCES
from controlplane.monitor.vitals import ReceiveVitals, read
from controlplane.operator import Operator
from controlplane.receive import desk, receiver
from controlplane.receive.apply import RESOLVED
from controlplane.receive.server import LARGEST, CannotListen, ReceiveServer
from tests.drafts import HOSTILE
from tests.receive_cases import (
    INTEGRATION,
    KEY,
    NOW,
    PAGERDUTY_SECRET,
    REPLY_TO,
    SLACK_SECRET,
    Served,
    ended,
    incident,
    paged,
    pagerduty_headers,
    pending,
    pressed,
    receive,
    row,
    serving,
    slack_headers,
    taken_by,
    webhook,
)

SECOND = timedelta(seconds=1)
MIRA = "pagerduty:Mira Fox"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PAGERDUTY_SECRET", PAGERDUTY_SECRET)
    monkeypatch.setenv("TEST_SLACK_SECRET", SLACK_SECRET)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as found:
        paged(found.log)
        yield found


def counts(served: Served, endpoint: str) -> dict[str, int]:
    found = read(served.home, ReceiveVitals)
    return found.endpoints[endpoint].outcomes if found and endpoint in found.endpoints else {}


def test_an_acknowledgement_in_pagerduty(served: Served) -> None:
    assert served.pagerduty(webhook()) == 202
    assert taken_by(served.log) == {"a1": MIRA, "a2": MIRA}
    events = list(served.log.read(stream="alert:a1", newest_first=True, limit=1))
    assert [(e.actor, e.occurred_at, e.correlation) for e in events] == [(MIRA, NOW, "operator")]
    assert counts(served, "pagerduty") == {"taken": 1}
    served.log.rebuild()
    assert taken_by(served.log) == {"a1": MIRA, "a2": MIRA}
    assert served.log.verify().ok


def test_delivered_twice_is_once(served: Served) -> None:
    body = webhook()
    assert served.pagerduty(body) == 202
    head = served.log.head()
    assert [served.pagerduty(body) for _ in range(3)] == [202] * 3
    assert served.log.head() == head
    assert counts(served, "pagerduty") == {"taken": 1, "ignored": 3}


def test_a_replay_takes_nothing(served: Served) -> None:
    """Neither what was given back since, nor what fires since, can be taken by sending an old request again."""
    body, press = webhook(), pressed()
    assert served.pagerduty(body) == 202
    assert served.pagerduty(webhook("incident.unacknowledged", at=NOW + SECOND)) == 202
    assert served.slack(press) == 200
    for alert in ("a1", "a2"):
        Operator(served.log).undo_acknowledge(alert, actor="ada", now=NOW + 2 * SECOND)
    paged(served.log, "a1", "a2", "a3", at=NOW + 3 * SECOND)
    head = served.log.head()
    assert (served.pagerduty(body), served.slack(press)) == (202, 200)
    assert served.log.head() == head
    assert taken_by(served.log) == {"a1": None, "a2": None, "a3": None}


def test_out_of_order(served: Served) -> None:
    assert served.pagerduty(webhook("incident.unacknowledged", at=NOW + SECOND)) == 202
    head = served.log.head()
    assert served.pagerduty(webhook(at=NOW)) == 202
    assert served.log.head() == head
    assert taken_by(served.log) == {"a1": None, "a2": None}
    assert served.pagerduty(webhook(at=NOW + 2 * SECOND)) == 202
    assert taken_by(served.log) == {"a1": MIRA, "a2": MIRA}


def test_given_back_in_pagerduty(served: Served) -> None:
    served.pagerduty(webhook())
    assert served.pagerduty(webhook("incident.unacknowledged", at=NOW + SECOND, agent=None)) == 202
    assert taken_by(served.log) == {"a1": None, "a2": None}
    (event,) = served.log.read(stream="alert:a1", newest_first=True, limit=1)
    assert event.actor == "pagerduty"


def test_resolved_in_pagerduty_while_it_fires(served: Served) -> None:
    assert served.pagerduty(webhook("incident.resolved")) == 202
    given = row(served.log).acknowledged
    assert given is not None
    assert (given.actor, given.note) == (MIRA, RESOLVED)
    assert len(served.log.rows(ALERTS)) == 2, "what fires is true whatever is said elsewhere"
    assert served.pagerduty(webhook("incident.reopened", at=NOW + SECOND)) == 202
    assert taken_by(served.log) == {"a1": None, "a2": None}


def test_our_own_echo_changes_nothing(served: Served) -> None:
    """What we tell PagerDuty comes back as the word of an integration; else a withdrawal here would be undone by it."""
    Operator(served.log).acknowledge("a1", actor="ada", now=NOW - SECOND)
    Operator(served.log).undo_acknowledge("a1", actor="ada", now=NOW)
    head = served.log.head()
    assert served.pagerduty(webhook(agent=INTEGRATION, at=NOW + SECOND)) == 202
    assert served.pagerduty(webhook("incident.resolved", agent=INTEGRATION, at=NOW + SECOND)) == 202
    assert served.log.head() == head


def test_a_page_that_a_newer_one_took_the_place_of(served: Served) -> None:
    new = paged(served.log, "a1", "a2", "a3", page=2, superseded=(KEY,), at=NOW)
    head = served.log.head()
    assert served.pagerduty(webhook(at=NOW + SECOND)) == 202
    assert served.log.head() == head
    assert served.pagerduty(webhook(key=new, at=NOW + SECOND)) == 202
    assert taken_by(served.log) == {"a1": MIRA, "a2": MIRA, "a3": MIRA}


def test_an_earlier_episode(served: Served) -> None:
    ended(served.log, "a1", "a2", at=NOW)
    paged(served.log, episode="the-next-one", at=NOW + SECOND)
    head = served.log.head()
    assert served.pagerduty(webhook(at=NOW + 2 * SECOND)) == 202
    assert served.log.head() == head
    assert taken_by(served.log) == {"a1": None, "a2": None}


def test_who_has_it_keeps_it(served: Served) -> None:
    Operator(served.log).acknowledge("a1", actor="ada", now=NOW - SECOND)
    pending(served.log, "a9")
    assert served.pagerduty(webhook()) == 202
    assert taken_by(served.log) == {"a1": "ada", "a2": MIRA, "a9": None}


def test_a_button_in_slack(served: Served) -> None:
    assert served.slack(pressed()) == 200
    assert served.last_word() == "You have 2 alerts now."
    assert served.said == [(REPLY_TO, "You have 2 alerts now.")]
    assert taken_by(served.log) == {"a1": "slack:mira", "a2": "slack:mira"}
    assert served.slack(pressed(trigger="again")) == 200
    assert served.last_word() == "You had it already."
    assert served.slack(pressed(key="0" * 64)) == 200
    assert "over" in served.last_word()
    assert counts(served, "slack") == {"taken": 2, "ignored": 1}


def test_an_hour_of_silence(served: Served) -> None:
    body = pressed("silence_1h")
    assert served.slack(body) == 200
    assert served.last_word() == 'Silenced until 03:10 UTC: platform="catalyst", rule="lag".'
    assert served.slack(body) == 200
    assert served.last_word() == "This was taken in already."
    (silence,) = served.log.rows(SILENCES).values()
    assert (silence.author, silence.ends_at - silence.starts_at) == ("slack:mira", timedelta(hours=1))


@pytest.mark.parametrize("reply_to", ["https://evil.example/x", "http://hooks.slack.com/x", None])
def test_nobody_else_is_answered(served: Served, reply_to: str | None) -> None:
    assert served.slack(pressed(response_url=reply_to)) == 200
    assert taken_by(served.log) == {"a1": "slack:mira", "a2": "slack:mira"}
    assert served.said == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(served: Served, name: str) -> None:
    if "\ud800" in name:
        assert served.pagerduty(webhook(agent={"type": "user_reference", "summary": name})) == 400
        return
    assert served.pagerduty(webhook(agent={"type": "user_reference", "summary": name})) == 202
    actor = row(served.log).acknowledged
    assert actor is not None
    assert len(actor.actor) <= 110
    assert actor.actor.isprintable()
    assert served.log.verify().ok


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/pagerduty", "GET", 405),
        ("/slack", "HEAD", 405),
        ("/slack", "PUT", 405),
        ("/slack", "BREW", 405),
        ("/", "GET", 404),
        ("/metrics", "GET", 404),
        ("/pagerduty/", "POST", 404),
        ("/Slack", "POST", 404),
        ("/pagerduty%00", "POST", 404),
        ("/../pagerduty", "POST", 404),
        ("/pagerduty?x=1", "POST", 202),
    ],
)
def test_paths_and_methods(served: Served, path: str, method: str, status: int) -> None:
    body = webhook()
    assert served.ask(path, body, pagerduty_headers(body), method) == status


@pytest.mark.parametrize(("kept", "gone"), [("pagerduty", "slack"), ("slack", "pagerduty")])
def test_without_its_secret_an_endpoint_is_not_there(tmp_path: Path, kept: str, gone: str) -> None:
    with serving(tmp_path, receive(**{gone: None})) as served:
        assert served.ask(f"/{gone}", b"x", {}) == 404
        assert served.ask(f"/{kept}", b"x", {}) == 401


def test_bad_signatures(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body, press = webhook(), pressed()
    head = served.log.head()
    for headers in ({}, pagerduty_headers(body, "another"), pagerduty_headers(body + b" "), slack_headers(body)):
        assert served.ask("/pagerduty", body, headers) == 401
    old, ahead = NOW - timedelta(seconds=301), NOW + timedelta(seconds=301)
    for headers in ({}, slack_headers(press, secret="x"), slack_headers(press, old), slack_headers(press, ahead)):
        assert served.ask("/slack", press, headers) == 401
    assert served.ask("/pagerduty", b"[" * 100_000, {}) == 401, "what isn't signed isn't read"
    assert served.log.head() == head
    assert served.said == []
    assert counts(served, "pagerduty") == {"unsigned": 5}
    assert counts(served, "slack") == {"unsigned": 4}
    found = read(served.home, ReceiveVitals)
    assert found is not None
    assert (found.endpoints["slack"].unsigned_at, found.endpoints["slack"].at) == (NOW, None)
    assert caplog.text == ""


def test_a_rotated_secret(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """PagerDuty signs with both while it rotates; a new secret counts without a restart."""
    body = webhook()
    both = ",".join(pagerduty_headers(body, secret)["X-PagerDuty-Signature"] for secret in ("new", PAGERDUTY_SECRET))
    assert served.ask("/pagerduty", body, {"X-PagerDuty-Signature": both}) == 202
    monkeypatch.setenv("TEST_PAGERDUTY_SECRET", "new")
    assert served.ask("/pagerduty", body, {"X-PagerDuty-Signature": both}) == 202
    assert served.pagerduty(body) == 401
    monkeypatch.delenv("TEST_PAGERDUTY_SECRET")
    assert served.pagerduty(body) == 503, "it may come back"


def test_signed_but_not_understood(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for body in (b"", b"[" * 100_000, b'{"event": {"id": "planted-5ecret"}}', webhook(agent="planted-5ecret")):
        assert served.pagerduty(body) == 400
    assert served.slack(b"payload=planted-5ecret") == 400
    assert served.pagerduty(webhook("pagey.ping")) == 202
    assert served.slack(pressed(type="view_closed")) == 200
    assert counts(served, "pagerduty") == {"invalid": 4, "ignored": 1}
    assert "not understood: event.event_type: missing" in caplog.text
    assert "planted-5ecret" not in caplog.text


def post(path: str, *lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: x", *lines, "", "")).encode() + body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (post("/pagerduty", f"Content-Length: {LARGEST + 1}", body=b"x" * (LARGEST + 1)), 413),
        (post("/pagerduty", f"Content-Length: {LARGEST}", body=b"x" * LARGEST), 401),
        (post("/pagerduty", "Content-Length: 99999999999999999999"), 413),
        (post("/pagerduty", "Content-Length: " + "9" * 10_000), 413),
        (post("/pagerduty"), 411),
        (post("/pagerduty", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n"), 411),
        (post("/pagerduty", "Transfer-Encoding: chunked", "Content-Length: 1", body=b"x"), 411),
        (post("/pagerduty", "Content-Length: 1", "Content-Length: 2", body=b"xx"), 400),
        (post("/pagerduty", "Content-Length: -1"), 400),
        (post("/pagerduty", "Content-Length: 1e3"), 400),
        (post("/pagerduty", "Content-Length: ١"), 400),
        (post("/pagerduty", "Content-Length: 10", body=b"short"), 400),
        (post("/pagerduty", "Content-Length: 0"), 401),
        (post("/pagerduty", "Content-Length: 1", *(f"X-{n}: x" for n in range(200)), body=b"x"), 431),
        (post("/pagerduty", "X: " + "x" * 70_000), 431),
        (post("/" + "x" * 70_000), 414),
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"POST /pagerduty HTTP/9.9\r\n\r\n", 505),
    ],
    ids=lambda data: f"{len(data)}" if isinstance(data, bytes) else f"{data}",
)
def test_what_is_no_request(served: Served, data: bytes, status: int) -> None:
    answer = served.raw(data)
    assert answer.split(b"\r\n")[0].split(b" ")[1] == str(status).encode()
    assert answer.endswith(b"\r\n\r\n"), "nothing is said back"
    assert served.pagerduty(webhook()) == 202, "and others are served"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /pagerduty HTTP/1.1\r\nHost: x\r\n",
        b"POST /pagerduty HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_who_drips_is_dropped(tmp_path: Path, sent: bytes) -> None:
    """The time is that of the whole request, so that a byte now and then doesn't prolong it."""
    with serving(tmp_path, patience=0.3) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as sock:
            sock.sendall(sent)
            dropped = threading.Event()

            def drip() -> None:
                while not dropped.wait(0.05):
                    try:
                        sock.send(b"x")
                    except OSError:
                        return

            threading.Thread(target=drip, daemon=True).start()
            try:
                answer = sock.recv(65_536)
            except ConnectionError:
                answer = b""
            dropped.set()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
        assert served.ask("/pagerduty", b"", {}) == 401


def test_no_more_at_a_time_than_there_is_room_for(tmp_path: Path) -> None:
    with serving(tmp_path, at_once=2, patience=5) as served:
        idle = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(2)]
        for sock in idle:
            sock.sendall(b"POST /pagerduty HTTP/1.1\r\n")
        assert served.raw(post("/pagerduty", "Content-Length: 0")).startswith(b"HTTP/1.1 503 ")
        for sock in idle:
            sock.close()
        assert {served.pagerduty(webhook()) for _ in range(10)} == {202}


def unavailable() -> EventLog:
    raise StoreUnavailable("the database is away")


def test_a_store_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The provider sends it again, and then it is taken in."""
    away = True

    def opened() -> EventLog:
        return unavailable() if away else EventLog.open(f"sqlite:///{tmp_path / 'events.db'}")

    with serving(tmp_path, open_log=opened) as served:
        paged(served.log)
        body = webhook()
        assert served.pagerduty(body) == 503
        assert served.slack(pressed()) == 503
        assert served.last_word().startswith("Nothing was done")
        assert taken_by(served.log) == {"a1": None, "a2": None}
        assert counts(served, "pagerduty") == {"failed": 1}
        assert "the database is away" in caplog.text
        away = False
        assert served.pagerduty(body) == 202
        assert taken_by(served.log) == {"a1": MIRA, "a2": MIRA}


def test_a_store_that_fails_in_the_middle(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(EventLog, "append", broken)
        assert served.pagerduty(webhook()) == 503
    assert taken_by(served.log) == {"a1": None, "a2": None}
    assert served.pagerduty(webhook()) == 202
    assert taken_by(served.log) == {"a1": MIRA, "a2": MIRA}


def test_a_defect_is_no_success(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("planted-5ecret")

    with monkeypatch.context() as patched:
        patched.setattr(receiver, "take", broken)
        assert served.pagerduty(webhook()) == 500
        assert served.slack(pressed()) == 500
        assert served.last_word().startswith("Nothing was done")
    assert caplog.text.count("a defect of the control plane") == 2
    assert "a defect of the control plane: KeyError in test_receive_server.py" in caplog.text
    assert "planted-5ecret" not in caplog.text
    assert counts(served, "slack") == {"failed": 1}
    assert served.pagerduty(webhook()) == 202


def test_slack_is_answered_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is slow doesn't keep Slack waiting; whoever pressed hears of the end."""
    monkeypatch.setattr(receiver, "AT_ONCE", 0.05)
    slow = threading.Event()

    def opened() -> EventLog:
        assert slow.wait(10)
        return EventLog.open(f"sqlite:///{tmp_path / 'events.db'}")

    with serving(tmp_path, open_log=opened) as served:
        paged(served.log)
        assert served.slack(pressed()) == 200
        assert served.said == []
        slow.set()
        assert served.last_word() == "You have 2 alerts now."
        assert taken_by(served.log) == {"a1": "slack:mira", "a2": "slack:mira"}


def test_somebody_else_decides_at_the_same_moment(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is looked at anew where it changed before it was written."""
    original: Callable[..., Any] = desk.decide
    looked: list[int] = []

    def meanwhile(*arguments: Any) -> Any:
        if not looked:
            Operator(served.log).acknowledge("a1", actor="ada", now=NOW)
        looked.append(1)
        return original(*arguments)

    monkeypatch.setattr(desk, "decide", meanwhile)
    assert served.pagerduty(webhook()) == 202
    assert len(looked) == 2
    assert taken_by(served.log) == {"a1": "ada", "a2": MIRA}


def test_a_thousand_alerts_are_taken_within_the_time_of_pagerduty(served: Served) -> None:
    names = [f"n{number}" for number in range(1_000)]
    key = paged(served.log, *names, name="zone")
    began = time.process_time()
    assert served.pagerduty(webhook(key=key)) == 202
    # Processor time: what others do on the machine isn't in it.
    assert time.process_time() - began < 4
    assert sum(actor == MIRA for actor in taken_by(served.log).values()) == 1_000


def test_many_at_once(served: Served) -> None:
    """The same request from everywhere at the same time is one answer."""
    body = webhook()
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(served.pagerduty(body))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [202] * 12
    assert counts(served, "pagerduty") == {"taken": 1, "ignored": 11}
    assert len(list(served.log.read(stream=f"page:{KEY}"))) == 1


def test_where_it_can_not_listen(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        taken = f"127.0.0.1:{served.port}"
        with pytest.raises(CannotListen, match=r"receive.address or --address"):
            ReceiveServer(taken, receiver.Receiver(receive(), tmp_path, unavailable, served.hear))


def test_counts_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        with serving(tmp_path) as served:
            assert served.ask("/slack", b"", {}) == 401
    assert counts(served, "slack") == {"unsigned": 2}
    assert json.loads((tmp_path / "vitals" / "received.json").read_text())


def test_incidents_that_nothing_was_told_of_have_no_answers(served: Served) -> None:
    assert incident().told
    assert served.pagerduty(webhook(key="f" * 64)) == 202
    assert list(served.log.read(types={"page_answered.v1"})) == []
