"""`POST /pagerduty` and `POST /slack` over HTTP: bounded in size, time and number; silent to whoever doesn't sign."""

import io
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from controlplane.listening import host_and_port
from controlplane.model.errors import ControlplaneError
from controlplane.receive.counting import Outcome
from controlplane.receive.receiver import Receiver

LARGEST = 512_000
"""Bytes of a body; PagerDuty sends at most 256 KB."""
PATIENCE = 5.0
"""Seconds in which a request has to have arrived as a whole."""
AT_ONCE = 16
"""Requests at a time; what is beyond is asked to come again."""
_ROOM = 0.5
"""Seconds that the next one waits for room."""
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class CannotListen(ControlplaneError):
    """The address isn't one that can be listened on."""


class ReceiveServer(ThreadingHTTPServer):
    """Serves the endpoints of a receiver until `shutdown`; CannotListen says why it can't begin."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, receiver: Receiver, patience: float = PATIENCE, at_once: int = AT_ONCE) -> None:
        host, port = host_and_port(address)
        self.receiver, self.patience = receiver, patience
        self._room = threading.BoundedSemaphore(at_once)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise CannotListen(
                f"{address} can't be listened on: {error.strerror}; choose another one with receive.address or "
                "--address"
            ) from None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or say that there is no room."""
        if self._room.acquire(timeout=_ROOM):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.settimeout(0.1)
            request.sendall(_FULL)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def end(self) -> None:
        """Let what is on its way come to an end."""
        self.receiver.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Timely(io.RawIOBase):
    """Reads from a socket until a deadline, however slowly it drips."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: ReceiveServer
    protocol_version = "HTTP/1.1"
    server_version = "controlplane"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Timely(self.connection, time.monotonic() + self.server.patience))

    def do_POST(self) -> None:
        self.close_connection = True
        path = self._path()
        if path is None:
            self._refuse(404)
            return
        body = self._body()
        receiver = self.server.receiver
        if isinstance(body, bytes):
            reply = receiver.handle(path, lambda name: self.headers.get_all(name, []), body)
            self._answer(reply.status)
            if reply.then is not None:
                reply.then()
        else:
            self._refuse(receiver.counted(path, Outcome.INVALID, body).status)

    def _path(self) -> str | None:
        path = self.path.partition("?")[0]
        return path if path in self.server.receiver.paths else None

    def _body(self) -> bytes | int:
        """The whole body, or the status that says what is wrong with it."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            return 411
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            return 400
        if len(lengths[0]) > 9 or int(lengths[0]) > LARGEST:
            return 413
        try:
            body = self.rfile.read(int(lengths[0]))
        except TimeoutError:
            return 408
        return body if len(body) == int(lengths[0]) else 400

    def _refuse(self, status: int) -> None:
        """Answer, and let what is still being sent run out: closing on it could cut off the answer."""
        self._answer(status)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            left = 2 * LARGEST
            while left > 0 and (read := self.rfile.read1(65_536)):
                left -= len(read)

    def _answer(self, status: int) -> None:
        # Whatever came instead of a request is answered with a status line, too.
        self.request_version = self.protocol_version
        with suppress(OSError):
            self.connection.settimeout(self.server.patience)
            self.send_response(status)
            if status == 405:
                self.send_header("Allow", "POST")
            if status == 503:
                self.send_header("Retry-After", "5")
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the signature of http.server
        """A status alone: nothing of the request is said back."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:  # any method but POST
            code = 404 if self._path() is None else 405
        self._refuse(code)

    def log_message(self, format: str, *args: Any) -> None:
        """What was sent is in no log."""
