"""An HTTP server in a thread that speaks the Prometheus API as badly as a test wants."""

import contextlib
import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(slots=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """Hands every request to the test's `behave`."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self._handle(urlsplit(self.path).query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._handle(f"{urlsplit(self.path).query}&{body}")

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def _handle(self, query: str) -> None:
        hostile = self.server.hostile
        form = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        path = urlsplit(self.path).path
        asked = Asked(self.command, path, {k.lower(): v for k, v in self.headers.items()}, form)
        with hostile.lock:
            hostile.asked.append(asked)
            hostile.running += 1
            hostile.most_running = max(hostile.most_running, hostile.running)
        try:
            with contextlib.suppress(OSError):
                hostile.behave(self, asked)
        finally:
            with hostile.lock:
                hostile.running -= 1

    def reply(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        """A well-formed HTTP answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def reply_json(self, answer: Any, status: int = 200, **headers: str) -> None:
        """Compact JSON, as Prometheus writes it."""
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        self.reply(text.encode(), status, **headers)

    def reply_packed(self, body: bytes) -> None:
        """gzip in chunks."""
        packed = gzip.compress(body)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(packed), 1000):
            chunk = packed[start : start + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        """Close the connection without a further word."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def drip(self, start: bytes, byte: bytes, every: float = 0.05) -> None:
        """Send `start`, then a byte at a time until the client leaves or the test ends."""
        self.wfile.write(start)
        while not self.server.hostile.over.wait(every):
            self.wfile.write(byte)
            self.wfile.flush()
        self.close_connection = True

    def hang(self) -> None:
        """Say nothing until the test ends."""
        self.server.hostile.over.wait()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hostile: "Hostile"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Failed handshakes and clients that left are part of the tests."""


def series(form: dict[str, str], labels: dict[str, str], value: str = "1") -> dict[str, Any]:
    """A series with `value` at every step that was asked for."""
    start, end, step = (round(float(form[name]) * 1000) for name in ("start", "end", "step"))
    return {"metric": labels, "values": [[ms / 1000, value] for ms in range(start, end + 1, step)]}


def matrix(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A successful answer to a range query."""
    return {"status": "success", "data": {"resultType": "matrix", "result": list(found)}, **more}


def answer_well(handler: Handler, asked: Asked) -> None:
    """What a sane server would say: one series, named after the query."""
    if asked.path.endswith("/query_range"):
        handler.reply_json(matrix(series(asked.form, {"q": asked.form["query"]})))
    elif asked.path.endswith("/query"):
        handler.reply_json({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {}, "value": [time.time(), "1"]}]}})  # fmt: skip
    elif asked.path.endswith("/label/__name__/values"):
        handler.reply_json({"status": "success", "data": ["up", "go_goroutines"]})
    else:
        handler.reply(b"404 page not found\n", 404, "text/plain")


@dataclass(slots=True)
class Hostile:
    """The server of a test: set `behave`, look at `asked`."""

    url: str = ""
    behave: Callable[[Handler, Asked], None] = answer_well
    asked: list[Asked] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def hostile_server(tls: ssl.SSLContext | None = None) -> Iterator[Hostile]:
    """Serve on a free port of 127.0.0.1 until the block is left."""
    hostile = Hostile()
    server = _Server(("127.0.0.1", 0), Handler)
    server.hostile = hostile
    hostile.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hostile
    finally:
        hostile.over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
