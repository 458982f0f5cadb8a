"""One HTTPS POST: verified TLS, no redirects, no credentials but those given, bounded time and answer."""

import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPSConnection

from controlplane.notify.receipt import CURRENT, Attempt, Receipt, Verdict

CONNECT_SECONDS = 5.0
ANSWER_BYTES = 65_536
_EXCERPT = 200
_RETRIED_4XX = {408, 429}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said; `text` is at most 64 KiB."""

    status: int
    text: str
    retry_after: timedelta | None

    def json(self) -> dict[str, Any]:
        """The answer as a JSON object, empty where it isn't one."""
        try:
            data = json.loads(self.text)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}

    def failure(self, detail: str) -> Receipt:
        """The receipt of an answer that isn't success: 4xx other than 408 and 429 is final, the rest may pass."""
        final = 400 <= self.status < 500 and self.status not in _RETRIED_4XX
        verdict = Verdict.REJECTED if final else Verdict.RETRY
        if 300 <= self.status < 400:
            detail = "redirected elsewhere, not followed; something stands between us and the provider"
        detail = f"HTTP {self.status}: {detail}"
        return Receipt(verdict, detail, status=self.status, retry_after=self.retry_after)


class _Bearer(AuthBase):
    """Sets the token, and by being there keeps requests from adding credentials of a .netrc file."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Connection(HTTPSConnection):
    """Tells the running attempt of its socket before the request is written."""

    def connect(self) -> None:
        super().connect()
        attempt = CURRENT.get()
        if attempt is not None and self.sock is not None:
            attempt.opened(self.sock)


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _Connection
        return pool


def post(attempt: Attempt, url: str, body: Mapping[str, Any], token: str | None = None) -> Answer | Receipt:
    """POST the body as JSON; see `send`."""
    return send(attempt, url, json.dumps(body, ensure_ascii=False).encode(), "application/json; charset=utf-8", token)


def form(attempt: Attempt, url: str, fields: Mapping[str, str], token: str | None = None) -> Answer | Receipt:
    """POST the fields of a form; see `send`."""
    return send(attempt, url, urlencode(fields).encode(), "application/x-www-form-urlencoded", token)


def send(attempt: Attempt, url: str, data: bytes, content: str, token: str | None = None) -> Answer | Receipt:
    """POST the data; an Answer of any status, or the receipt of a failure without one.

    Proxy and certificate authority come from the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE).
    """
    seconds = attempt.timeout.total_seconds()
    headers = {"Content-Type": content, "User-Agent": "controlplane", "Connection": "close"}
    try:
        with requests.Session() as session:
            session.mount("https://", _Adapter(max_retries=0))
            with session.post(
                url,
                data=data,
                headers=headers,
                auth=_Bearer(token),
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(response.status_code, _text(response), _retry_after(response.headers))
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        return Receipt(Verdict.RETRY, _explain(error, attempt), unreachable=True)


def excerpt(answer: Answer) -> str:
    """The beginning of an answer, for people."""
    return repr(answer.text[:_EXCERPT]) if answer.text else "nothing"


def _text(response: requests.Response) -> str:
    data = b""
    for chunk in response.iter_content(8_192):
        data += chunk
        if len(data) >= ANSWER_BYTES:
            break
    return data[:ANSWER_BYTES].decode("utf-8", "replace")


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Retry-After as seconds or as a date (RFC 9110, 10.2.3); None where absent or unreadable."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 86_400))
    try:
        at = email.utils.parsedate_to_datetime(value)
        sent = email.utils.parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return min(max(at - sent, timedelta(0)), timedelta(days=1))
    except (TypeError, ValueError):
        return None


def _explain(error: Exception, attempt: Attempt) -> str:
    if attempt.connected:
        return f"the connection broke before the answer; the message may have arrived ({_reason(error)})"
    # urllib3 tells of every trouble on the way through a proxy as of one with the proxy; TLS has its own class.
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS: the certificate can't be trusted; check REQUESTS_CA_BUNDLE and the proxy ({_reason(error)})"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy didn't let us through ({_reason(error)})"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return f"no connection ({_reason(error)})"
    return f"{type(error).__name__}: {error}"


def _reason(error: Exception) -> object:
    """What urllib3 gives as the reason, without the URL around it."""
    return getattr(error.args[0] if error.args else error, "reason", error)
