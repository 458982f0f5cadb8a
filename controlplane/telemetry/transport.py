"""Connections on which every read ends by the end of the request.

A socket's timeout starts anew with every byte, so a server that drips could hold a request for ever. Here the timeout
of each read is what is left of the request's time.
"""

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_END: ContextVar[float] = ContextVar("end of the request on the monotonic clock")


@contextlib.contextmanager
def ends_at(end: float) -> Iterator[None]:
    """Requests of this thread inside the block end by `end` on the monotonic clock, with a TimeoutError."""
    token = _END.set(end)
    try:
        yield
    finally:
        _END.reset(token)


def left() -> float:
    """Seconds until the end of the request; TimeoutError where none is left."""
    seconds = _END.get() - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the request's time is over")
    return seconds


class _Timed(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock), 1 << 18)


class _Http(HTTPConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        sock.settimeout(left())
        return sock


class _Https(HTTPSConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        sock.settimeout(left())
        return sock


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class TimedAdapter(HTTPAdapter):
    """The adapter of requests with such connections, also through a proxy; use it inside `ends_at`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager
