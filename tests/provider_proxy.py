"""Slack and PagerDuty on loopback: a CONNECT proxy that ends TLS for their hosts and speaks their protocols.

Every other host is refused and remembered. `next_replies` scripts the coming answers of a host; without a script a
request is handled as the real provider handles it.
"""

import json
import queue
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
import trustme

SLACK = "slack.com"
HOOKS = "hooks.slack.com"
PAGERDUTY = "events.pagerduty.com"
PAGERDUTY_EU = "events.eu.pagerduty.com"
FILES = "files.slack.com"
HOSTS = (SLACK, HOOKS, FILES, PAGERDUTY, PAGERDUTY_EU)

WEBHOOK = ("T0PLANTED", "B0PLANTED", "plantedWebhookSecret99")
TOKEN = "xoxb-1111-2222-plantedBotSecret77"
CHANNEL = "C0123456789"
ROUTING_KEY = "plantedRoutingKey0123456789abcde"
SECRETS = (WEBHOOK[2], "/".join(WEBHOOK), TOKEN, ROUTING_KEY)


@dataclass(frozen=True)
class Reply:
    """A scripted answer. `process` decides whether the provider acts on the request before it answers."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    process: bool = False
    disconnect: bool = False
    """Close without an answer."""
    hang: bool = False
    """Never answer."""
    drip: float = 0.0
    """Seconds between two bytes of the answer."""


@dataclass(frozen=True)
class Request:
    """What arrived."""

    host: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    data: bytes = b""


@dataclass
class PagerDutyIncident:
    """An alert as PagerDuty keeps it by routing key and dedup_key."""

    open: bool
    opened: int = 1
    """How often it was opened anew."""
    triggers: int = 1
    summary: str = ""


class Providers:
    """What the providers have received, and how they answer next."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refused: list[str] = []
        self.slack: list[dict[str, Any]] = []
        """Messages that were accepted, in order; a bot's are as they are after their last edit."""
        self.threads: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """Replies by the ts of their message."""
        self.gone: set[str] = set()
        """ts of messages that somebody deleted."""
        self.files: dict[str, bytes] = {}
        self.incidents: dict[str, PagerDutyIncident] = {}
        self.received: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self.connected = threading.Event()
        self.port = 0
        self._posts: dict[str, int] = {}
        self._scripts: dict[str, list[Reply]] = defaultdict(list)
        self._released = threading.Event()
        self._lock = threading.Lock()

    def next_replies(self, host: str, *replies: Reply) -> None:
        """Answer the next requests of a host, or of a host and path (`slack.com/api/chat.update`), like this."""
        with self._lock:
            self._scripts[host].extend(replies)

    def always(self, host: str, reply: Reply) -> None:
        """Answer all further requests of the host like this."""
        self.next_replies(host, *[reply] * 10_000)

    def recover(self, host: str) -> None:
        """Drop the script of the host."""
        with self._lock:
            self._scripts[host].clear()

    def to(self, host: str) -> list[Request]:
        """Requests of a host in order of arrival."""
        return [request for request in self.requests if request.host == host]

    def open_incidents(self) -> set[str]:
        """dedup_keys of the incidents that are open at PagerDuty."""
        return {key for key, incident in self.incidents.items() if incident.open}

    def release(self) -> None:
        """Let every hanging answer end."""
        self._released.set()

    # the protocols

    def handle(self, request: Request) -> Reply | None:
        """Take note of a request and say how to answer; None = hung and given up."""
        with self._lock:
            self.requests.append(request)
            script = self._scripts[request.host + request.path] or self._scripts[request.host]
            scripted = script.pop(0) if script else None
            reply = self._process(request) if scripted is None or scripted.process else Reply()
        self.received.put(request)
        if scripted is None:
            return reply
        if scripted.hang:
            self._released.wait(60)
            return None
        return scripted

    def _process(self, request: Request) -> Reply:
        if request.host == HOOKS:
            return self._webhook(request)
        if request.host == SLACK:
            return self._api(request)
        if request.host == FILES:
            self.files[request.path.rpartition("/")[2]] = request.data
            return Reply(200, f"OK - {len(request.data)}")
        if request.host in {PAGERDUTY, PAGERDUTY_EU}:
            return self._enqueue(request)
        return Reply(404, "not found")

    def _webhook(self, request: Request) -> Reply:
        if request.path != "/services/" + "/".join(WEBHOOK):
            return Reply(404, "no_service")
        if problem := block_kit_problem(request.body):
            return Reply(400, problem)
        self.slack.append(request.body)
        return Reply(200, "ok", {"Content-Type": "text/html"})

    def _api(self, request: Request) -> Reply:
        """The methods of Slack's Web API that a bot may call in its channel."""
        body, method = request.body, request.path.removeprefix("/api/")

        def said(**answer: Any) -> Reply:
            return Reply(200, json.dumps(answer), {"Content-Type": "application/json"})

        def no(error: str) -> Reply:
            return said(ok=False, error=error)

        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return no("invalid_auth")
        if method == "files.getUploadURLExternal":
            if not body.get("filename") or not body.get("length", "").isdigit():
                return no("invalid_arguments")
            name = f"F{len(self.files):08d}"
            self.files[name] = b""
            return said(ok=True, upload_url=f"https://{FILES}/upload/v1/{name}", file_id=name)
        if method == "files.completeUploadExternal":
            names = [file["id"] for file in body.get("files", [])]
            if not names or not all(self.files.get(name) for name in names):
                return no("file_not_found")
            if body.get("channel_id") != CHANNEL or body.get("thread_ts") not in self._posts:
                return no("channel_not_found")
            self.threads[body["thread_ts"]].append({"files": names})
            return said(ok=True, files=[{"id": name} for name in names])
        if method not in {"chat.postMessage", "chat.update"}:
            return no("unknown_method")
        if body.get("channel") != CHANNEL:
            return no("channel_not_found")
        if problem := block_kit_problem(body):
            return no(problem)
        if method == "chat.update":
            ts = body.get("ts", "")
            if ts not in self._posts or ts in self.gone:
                return no("message_not_found")
            self.slack[self._posts[ts]] |= {name: body[name] for name in ("text", "blocks") if name in body}
            return said(ok=True, channel=CHANNEL, ts=ts, text=body["text"])
        if (thread := body.get("thread_ts")) is not None:
            if thread not in self._posts:
                return no("thread_not_found")
            self.threads[thread].append(body)
            ts = f"1700000001.{sum(map(len, self.threads.values())):06d}"
        else:
            self.slack.append(dict(body))
            ts = f"1700000000.{len(self.slack):06d}"
            self._posts[ts] = len(self.slack) - 1
        return said(ok=True, channel=CHANNEL, ts=ts)

    def _enqueue(self, request: Request) -> Reply:
        event = request.body

        def invalid(*errors: str) -> Reply:
            answer = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return Reply(400, json.dumps(answer))

        if request.path != "/v2/enqueue" or event.get("routing_key") != ROUTING_KEY:
            return invalid("Invalid routing key")
        if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            return invalid("'event_action' is invalid")
        key = event.get("dedup_key", "")
        if not 0 < len(key) <= 255:
            return invalid("Length of 'dedup_key' is incorrect")
        if event["event_action"] == "trigger":
            payload = event.get("payload", {})
            missing = [name for name in ("summary", "source", "severity") if not payload.get(name)]
            if missing or len(payload["summary"]) > 1024 or payload["severity"] not in _SEVERITIES:
                return invalid(*(f"'payload.{name}' is missing" for name in missing), "payload")
            known = self.incidents.get(key)
            if known is None:
                self.incidents[key] = PagerDutyIncident(open=True, summary=payload["summary"])
            else:
                known.triggers += 1
                known.opened += not known.open
                known.open, known.summary = True, payload["summary"]
        elif event["event_action"] == "resolve" and key in self.incidents:
            self.incidents[key].open = False
        return Reply(202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key}))


_SEVERITIES = {"critical", "error", "warning", "info"}


def block_kit_problem(body: dict[str, Any]) -> str:
    """What Slack would reject a message for, "" where it is fine."""
    blocks = body.get("blocks", [])
    if not body.get("text") and not blocks:
        return "no_text"
    if len(blocks) > 50 or len(body.get("text", "")) > 40_000:
        return "invalid_blocks"
    for block in blocks:
        if block["type"] == "header" and (
            not 0 < len(block["text"]["text"]) <= 150 or block["text"]["type"] != "plain_text"
        ):
            return "invalid_blocks"
        if block["type"] == "section" and not 0 < len(block["text"]["text"]) <= 3000:
            return "invalid_blocks"
        if block["type"] == "actions" and (
            not 0 < len(block["elements"]) <= 25 or any(len(b["value"]) > 2000 for b in block["elements"])
        ):
            return "invalid_blocks"
        if block["type"] == "context" and not 0 < len(block["elements"]) <= 10:
            return "invalid_blocks"
    return ""


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, providers: Providers, tls: ssl.SSLContext) -> None:
        self.providers, self.tls = providers, tls
        super().__init__(("127.0.0.1", 0), _Proxy)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up in the middle are part of the tests."""


class _Proxy(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        target = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        host = target.partition(":")[0]
        if host not in HOSTS:
            self.server.providers.refused.append(host)
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.server.providers.connected.set()
        try:
            inner = self.server.tls.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError):
            return  # the client doesn't trust us
        with inner:
            _Provider(inner, self.client_address, self.server, host)


class _Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, connection: socket.socket, address: Any, server: _Server, host: str) -> None:
        self.host = host
        super().__init__(connection, address, server)

    def do_POST(self) -> None:
        self.close_connection = True
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server: _Server = self.server
        kind = headers.get("content-type", "").partition(";")[0]
        body = json.loads(data) if kind == "application/json" else {}
        if kind == "application/x-www-form-urlencoded":
            body = dict(parse_qsl(data.decode()))
        reply = server.providers.handle(Request(self.host, self.path, headers, body, time.monotonic(), data))
        if reply is None or reply.disconnect:
            return
        text = reply.body.encode()
        head = [f"HTTP/1.1 {reply.status} X", f"Content-Length: {len(text)}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        answer = "\r\n".join([*head, "", ""]).encode() + text
        if not reply.drip:
            self.wfile.write(answer)
            return
        for byte in answer:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(reply.drip)

    def log_message(self, format: str, *args: Any) -> None:
        """No output."""


def start_providers(folder: Path) -> tuple[Providers, Callable[[], None], dict[str, str]]:
    """Start them; (what they see, how to stop them, the environment that leads to them)."""
    authority = trustme.CA()
    bundle = folder / "providers-ca.pem"
    authority.cert_pem.write_to_path(bundle)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(tls)
    providers = Providers()
    server = _Server(providers, tls)
    providers.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop() -> None:
        providers.release()
        server.shutdown()
        server.server_close()

    proxy = f"http://127.0.0.1:{providers.port}"
    environment = {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "REQUESTS_CA_BUNDLE": str(bundle),
        "SSL_CERT_FILE": str(bundle),
    }
    return providers, stop, environment


CLEARED = ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "CURL_CA_BUNDLE")


@pytest.fixture(name="providers")
def providers_on_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Providers]:
    """Slack and PagerDuty on loopback, with the environment of this process leading to them alone."""
    found, stop, environment = start_providers(tmp_path)
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield found
    stop()
