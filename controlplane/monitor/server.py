"""`/metrics` and `/healthz` over HTTP. Nobody has to log in, so the address is one of this machine unless asked."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from controlplane.eventlog.log import EventLog
from controlplane.model.errors import ControlplaneError
from controlplane.monitor.counting import Counting
from controlplane.monitor.health import Health, health
from controlplane.monitor.metrics import P, gather
from controlplane.settings import Settings, host_and_port

PATIENCE = 5.0
"""Seconds that a request waits for the one before it; a client that is slow is dropped after as long."""


class CannotListen(ControlplaneError):
    """The address isn't one that can be listened on."""


class Gathering(Collector):
    """What a scrape and a probe see; the event log is opened when it is first needed, and again after an error."""

    def __init__(
        self, settings: Settings, open_log: Callable[[], EventLog], clock: Callable[[], datetime] | None = None
    ) -> None:
        self._settings, self._open = settings, open_log
        self._clock = clock or (lambda: datetime.now(UTC))
        self._counting: Counting | None = None
        self.lock = threading.Lock()

    def collect(self) -> list[Metric]:
        """Every metric, or `controlplane_up` 0 alone where the event store gives no answer."""
        up = GaugeMetricFamily(P + "up", "1 where the event store gives answers.")
        try:
            found = list(gather(self._settings, self._logged(), self._clock()))
        except ControlplaneError:
            self.close()
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [up, *found]

    def health(self) -> Health:
        """The verdict now."""
        try:
            log: EventLog | ControlplaneError = self._logged().log
        except ControlplaneError as error:
            log = error
        found = health(self._settings, log, self._clock())
        if not found.ok:
            self.close()
        return found

    def close(self) -> None:
        """Close the event log; the next question opens it anew."""
        if self._counting is not None:
            self._counting.log.close()
            self._counting = None

    def _logged(self) -> Counting:
        if self._counting is None:
            self._counting = Counting(self._open())
        return self._counting


class MonitorServer(ThreadingHTTPServer):
    """Serves `/metrics` and `/healthz` until `shutdown`; CannotListen says why it can't begin."""

    daemon_threads = True

    def __init__(self, address: str, gathering: Gathering) -> None:
        host, port = host_and_port(address)
        self.gathering = gathering
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(gathering)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise CannotListen(
                f"{address} can't be listened on: {error.strerror}; choose another one with serve.address or --address"
            ) from None

    def end(self) -> None:
        """Close what the answers were read from."""
        self.gathering.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: MonitorServer
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"
    server_version = "controlplane"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path not in {"/metrics", "/healthz"}:
            self._answer(404, "text/plain; charset=utf-8", b"there are /metrics and /healthz\n")
            return
        # One at a time: what a scrape costs doesn't grow with the number of scrapers.
        if not self.server.gathering.lock.acquire(timeout=PATIENCE):
            self._answer(503, "text/plain; charset=utf-8", b"the request before this one isn't answered yet\n")
            return
        try:
            status, kind, body = self._metrics() if path == "/metrics" else self._healthz()
        except Exception as error:  # noqa: BLE001 - whoever asks gets an answer
            status, kind = 500, "text/plain; charset=utf-8"
            body = f"a defect of the control plane: {type(error).__name__}\n".encode()
        finally:
            self.server.gathering.lock.release()
        self._answer(status, kind, body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _metrics(self) -> tuple[int, str, bytes]:
        try:
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
        except Exception:  # noqa: BLE001 - it takes apart what the client sent
            encode, kind = choose_encoder("")
        return 200, kind, encode(self.server.registry)

    def _healthz(self) -> tuple[int, str, bytes]:
        found = self.server.gathering.health()
        body = json.dumps(found.as_dict(), ensure_ascii=True).encode() + b"\n"
        return 200 if found.ok else 503, "application/json", body

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is no news."""
