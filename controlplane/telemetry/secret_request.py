"""Requests to addresses that are secrets: bounded in time, not redirected, nothing of the address told or logged."""

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import requests

from controlplane.model.errors import ControlplaneError
from controlplane.telemetry.transport import TimedAdapter, ends_at

_LOGGERS = ("urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")
_UNDER_WAY: ContextVar[bool] = ContextVar("this thread asks an address that is a secret", default=False)


class RequestFailed(ControlplaneError):
    """There was no usable answer; the text says why, without any part of the address."""


@contextlib.contextmanager
def answer_of(
    method: str, url: str, timeout: float, *, accept: str = "*/*", json: Mapping[str, Any] | None = None
) -> Iterator[requests.Response]:
    """The answer, with a status of 2xx and its body still to be read inside the block; all of it within `timeout` s.

    RequestFailed also stands for what goes wrong with the connection inside the block.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_SILENCE)
    before = _UNDER_WAY.set(True)
    try:
        with requests.Session() as session, ends_at(time.monotonic() + timeout):
            for prefix in ("http://", "https://"):
                session.mount(prefix, TimedAdapter())
            answer = session.request(
                method,
                url,
                json=json,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
                headers={"User-Agent": "controlplane", "Accept": accept},
            )
            with contextlib.closing(answer):
                _check(answer.status_code)
                yield answer
    except ControlplaneError:
        raise
    except (requests.Timeout, TimeoutError):
        raise RequestFailed(f"no complete answer within {timeout:g} s") from None
    except requests.exceptions.SSLError:
        raise RequestFailed("TLS failed; is its certificate one that this machine trusts?") from None
    except (requests.ConnectionError, OSError):
        raise RequestFailed("no connection") from None
    except Exception as error:  # noqa: BLE001 - the text of an error would show the URL
        raise RequestFailed(f"the request failed ({type(error).__name__})") from None
    finally:
        _UNDER_WAY.reset(before)


def _check(status: int) -> None:
    if 300 <= status < 400:
        raise RequestFailed(f"it redirects (HTTP {status}), which isn't followed; name the address that it leads to")
    if not 200 <= status < 300:
        raise RequestFailed(f"it answers with HTTP {status}")


class _Silence(logging.Filter):
    """Drops what urllib3 logs meanwhile: it logs URLs."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - what counts is the thread, not the words
        """False for a record of a thread that asks such an address now."""
        return not _UNDER_WAY.get()


_SILENCE = _Silence()
