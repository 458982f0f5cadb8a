"""A log with pages in it, and the requests by which providers tell that somebody answered one."""

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS
from controlplane.listening import PagerDutyWebhooks, Receive, SlackButtons
from controlplane.model.alerts import Alert
from controlplane.model.events import Draft
from controlplane.model.notifications import Incident
from controlplane.model.payloads import AlertFired, AlertPending, AlertResolved, IncidentChanged
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms
from controlplane.notify.compose import dedup_key
from controlplane.receive.receiver import Receiver
from controlplane.receive.server import ReceiveServer
from controlplane.secret import Secret
from tests.drafts import facts
from tests.servers import free_port

START = datetime.fromisoformat("2026-03-01T02:00:00Z")
NOW = START + timedelta(minutes=10)
PAGERDUTY_SECRET = "pd-5up3r-s3cret"
SLACK_SECRET = "slack-5up3r-s3cret"
REPLY_TO = "https://hooks.slack.com/actions/T1/2/abc"


def incident(name: str = "inc1", firing: Sequence[str] = ("a1", "a2"), **changes: Any) -> Incident:
    """An open incident that was told."""
    known: dict[str, Any] = {
        "id": name,
        "episode": f"episode-of-{name}",
        "route": "root",
        "group": {"platform": "catalyst", "rule": "lag"},
        "platform": "catalyst",
        "component": "kafka",
        "rule": "lag",
        "severity": Severity.CRITICAL,
        "started_at": START,
        "firing": tuple(firing),
        "told": tuple(firing),
        "told_at": START,
        "look_at": NOW + timedelta(minutes=5),
        "peak": len(firing),
    }
    return Incident(**{**known, **changes})


KEY = dedup_key(incident())


def write(log: EventLog, *payloads: Any, at: datetime = START) -> None:
    """Append what a tick would."""
    log.append([_draft(payload, at) for payload in payloads], recorded_at=at)


def _draft(payload: Any, at: datetime) -> Draft:
    if isinstance(payload, IncidentChanged):
        stream = f"incident:{payload.incident.id}"
    else:
        stream = f"alert:{payload.facts.alert}"
    return Draft(stream=stream, key=f"{to_ms(at)}", payload=payload, occurred_at=at)


def paged(log: EventLog, *alerts: str, name: str = "inc1", at: datetime = START, **changes: Any) -> str:
    """Let alerts fire and be told as one page; its dedup key."""
    found = incident(name, alerts or ("a1", "a2"), **changes)
    write(log, *(AlertFired(facts=facts(alert)) for alert in found.firing), IncidentChanged(incident=found), at=at)
    return dedup_key(found)


def pending(log: EventLog, alert: str) -> None:
    """An alert that waits for its `for`."""
    write(log, AlertPending(facts=facts(alert)))


def ended(log: EventLog, *alerts: str, at: datetime) -> None:
    """Let alerts end."""
    write(log, *(AlertResolved(facts=facts(a), fired_at=START, reason="condition") for a in alerts), at=at)


def row(log: EventLog, alert: str = "a1") -> Alert:
    """The alert as it is."""
    found = log.row(ALERTS, alert)
    assert found is not None
    return found


def taken_by(log: EventLog) -> dict[str, str | None]:
    """Active alert → who has it."""
    return {name: one.acknowledged and one.acknowledged.actor for name, one in sorted(log.rows(ALERTS).items())}


USER = {"id": "PLH1HKV", "type": "user_reference", "summary": "Mira Fox"}
INTEGRATION = {"id": "PINT", "type": "events_api_v2_inbound_integration_reference", "summary": "Events API V2"}


def webhook(
    event_type: str = "incident.acknowledged",
    key: str | None = KEY,
    at: datetime = NOW,
    event_id: str = "",
    agent: Any = USER,
    **data: Any,
) -> bytes:
    """The body of a V3 webhook, with the fields that PagerDuty documents."""
    incident_data = {
        "id": "PGR0VU2",
        "type": "incident",
        "self": "https://api.pagerduty.com/incidents/PGR0VU2",
        "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2",
        "number": 2,
        "status": "acknowledged",
        "incident_key": key,
        "created_at": "2026-03-01T02:00:31Z",
        "title": "critical: lag",
        "service": {"id": "PF9KMXH", "summary": "controlplane", "type": "service_reference"},
        "assignees": [{"id": "PTUXL6G", "summary": "User 123", "type": "user_reference"}],
        "priority": None,
        "urgency": "high",
        "conference_bridge": None,
        "resolve_reason": None,
    }
    event = {
        "id": event_id or hashlib.sha256(f"{event_type}{key}{at}".encode()).hexdigest()[:26],
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "agent": agent,
        "client": {"name": "PagerDuty"},
        "data": incident_data | data,
    }
    return json.dumps({"event": event}).encode()


def pressed(action: str = "acknowledge", key: str = KEY, trigger: str = "1.2.3", **payload: Any) -> bytes:
    """The body of Slack's request after a button was pressed."""
    document = {
        "type": "block_actions",
        "team": {"id": "T1", "domain": "acme"},
        "user": {"id": "U1", "username": "mira", "name": "mira", "team_id": "T1"},
        "api_app_id": "A1",
        "trigger_id": trigger,
        "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "C1"},
        "response_url": REPLY_TO,
        "actions": [
            {
                "type": "button",
                "action_id": action,
                "block_id": "b1",
                "value": key,
                "text": {"type": "plain_text", "text": "Acknowledge"},
                "action_ts": "1548426417.840180",
            }
        ],
        **payload,
    }
    return urlencode({"payload": json.dumps(document)}).encode()


def digest(secret: str, message: bytes) -> str:
    """HMAC-SHA256 in hex."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def pagerduty_headers(body: bytes, secret: str = PAGERDUTY_SECRET) -> dict[str, str]:
    """What PagerDuty sends with a body."""
    return {"X-PagerDuty-Signature": f"v1={digest(secret, body)}", "Content-Type": "application/json"}


def slack_headers(body: bytes, at: datetime = NOW, secret: str = SLACK_SECRET) -> dict[str, str]:
    """What Slack sends with a body."""
    stamp = str(int(at.timestamp()))
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest(secret, f'v0:{stamp}:'.encode() + body)}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


@dataclass
class Served:
    """A receiver that listens, its clock, and what it said in Slack."""

    home: Path
    port: int
    log: EventLog
    now: datetime = NOW
    said: list[tuple[str, str]] = field(default_factory=list)
    heard: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def hear(self, url: str, text: str) -> None:
        """Take what would be said in Slack."""
        self.said.append((url, text))
        self.heard.release()

    def last_word(self) -> str:
        """What was said in Slack next."""
        assert self.heard.acquire(timeout=10), "nothing was said"
        return self.said[-1][1]

    def ask(self, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> int:
        """Send a request; the status. An answer never has a body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        assert answer.read() == b""
        connection.close()
        return answer.status

    def pagerduty(self, body: bytes) -> int:
        """Send a signed webhook."""
        return self.ask("/pagerduty", body, pagerduty_headers(body))

    def slack(self, body: bytes) -> int:
        """Send a signed press of a button."""
        return self.ask("/slack", body, slack_headers(body, self.now))

    def raw(self, data: bytes) -> bytes:
        """Send bytes, close the sending side, and read the whole answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            found = b""
            while part := sock.recv(65_536):
                found += part
            return found


def receive(**changes: Any) -> Receive:
    """Both endpoints, with secrets in files."""
    known: dict[str, Any] = {
        "pagerduty": PagerDutyWebhooks(secret=Secret(env="TEST_PAGERDUTY_SECRET")),
        "slack": SlackButtons(signing_secret=Secret(env="TEST_SLACK_SECRET")),
    }
    return Receive(**{**known, **changes})


@contextmanager
def serving(
    home: Path, configured: Receive | None = None, open_log: Any = None, say: Any = None, **bounds: Any
) -> Iterator[Served]:
    """A real server on loopback over the event log in a folder."""
    url = f"sqlite:///{home / 'events.db'}"
    with EventLog.open(url) as log:
        served = Served(home, 0, log)
        opened = open_log or (lambda: EventLog.open(url))
        receiver = Receiver(configured or receive(), home, opened, say or served.hear, lambda: served.now)
        with ReceiveServer(f"127.0.0.1:{free_port()}", receiver, **bounds) as server:
            served.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            yield served
            server.shutdown()
            thread.join(5)
        server.end()
