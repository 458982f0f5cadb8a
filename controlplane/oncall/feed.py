"""A calendar feed: fetched within bounds, and no part of its address in an error."""

import contextlib
import logging
import threading
import time
from urllib.parse import urlsplit

import requests

from controlplane.model.errors import ControlplaneError
from controlplane.oncall.calendar import MAX_BYTES
from controlplane.secret import Secret
from controlplane.telemetry.transport import TimedAdapter, ends_at

TIMEOUT = 5.0
"""Seconds of one fetch, the answer included."""
THREADS = "calendar"
_LOGGERS = ("urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")
_LOCAL = {"127.0.0.1", "::1", "localhost"}
_CHUNK = 65_536


class FeedFailed(ControlplaneError):
    """A feed gave no usable answer."""


def fetch(url: Secret) -> bytes:
    """The body of the feed, at most MAX_BYTES; FeedFailed says why not. To be called in a thread named THREADS.

    A redirect isn't followed, and plain http only reaches this machine.
    """
    _be_quiet()
    try:
        address = url.read().strip()
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        raise FeedFailed("what the settings name for it isn't an https URL") from None
    if any(char.isspace() for char in address) or not host:
        raise FeedFailed("what the settings name for it isn't an https URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOCAL):
        raise FeedFailed("its address isn't https; whoever listens in could say who is on call")
    try:
        return _body(address)
    except ControlplaneError:
        raise
    except (requests.Timeout, TimeoutError):
        raise FeedFailed(f"no complete answer within {TIMEOUT:g} s") from None
    except requests.exceptions.SSLError:
        raise FeedFailed("TLS failed; is its certificate one that this machine trusts?") from None
    except (requests.ConnectionError, OSError):
        raise FeedFailed("no connection") from None
    except Exception as error:  # noqa: BLE001 - the text of an error would show the URL
        raise FeedFailed(f"it can't be fetched ({type(error).__name__})") from None


def _body(address: str) -> bytes:
    with requests.Session() as session, ends_at(time.monotonic() + TIMEOUT):
        for prefix in ("http://", "https://"):
            session.mount(prefix, TimedAdapter())
        answer = session.get(
            address,
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
            headers={"User-Agent": "controlplane", "Accept": "text/calendar, */*;q=0.1"},
        )
        with contextlib.closing(answer):
            if 300 <= answer.status_code < 400:
                raise FeedFailed(
                    f"it redirects (HTTP {answer.status_code}), which isn't followed; name the address that it leads to"
                )
            if answer.status_code != requests.codes.ok:
                raise FeedFailed(f"it answers with HTTP {answer.status_code}")
            body = bytearray()
            for part in answer.iter_content(_CHUNK):
                body += part
                if len(body) > MAX_BYTES:
                    raise FeedFailed(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    return bytes(body)


class _Silence(logging.Filter):
    """Drops what urllib3 logs about feeds: it logs URLs, and the path of one is often a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record of a thread that fetches one."""
        return not (record.threadName or "").startswith(THREADS)


_SILENCE = _Silence()
_quiet = threading.Lock()


def _be_quiet() -> None:
    with _quiet:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_SILENCE)
