"""HTTP to a Prometheus API: one deadline for a whole request, bounded answers, retries, and no secret in an error."""

import base64
import http.client
import io
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_random_exponential
from urllib3.util.retry import Retry

from controlplane.model.labels import printable
from controlplane.settings import MEGABYTE, InventoryTargets, MissingSecret, PrometheusSource, Tls
from controlplane.telemetry.collector import SourceError
from controlplane.telemetry.decode import AnswerError, api_error
from controlplane.telemetry.transport import TimedAdapter, ends_at, left

_ERROR_BYTES = 64_000
_SHOWN_ERROR = 500
_AGAIN = frozenset({429, 500, 502, 503, 504})
_BACKOFF = wait_random_exponential(multiplier=0.25, max=10)


class HttpFailure(AnswerError):
    """A request without a usable answer. `again`: trying once more may help, `retry_after` seconds from now."""

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        whole: bool = True,
        again: bool = False,
        retry_after: float = 0.0,
        too_large: bool = False,
    ) -> None:
        super().__init__(message, remedy, whole=whole)
        self.again = again
        self.retry_after = retry_after
        self.too_large = too_large


class ApiSession(requests.Session):
    """A session for one source: its authentication, TLS and limits hold for every request sent through it.

    A request ends within `timeout` including its answer and repetitions (name resolution has limits of its own), an
    answer is at most `max_answer_bytes` large when unpacked, and redirects are not followed. Every answer but 200
    raises HttpFailure; SourceError where a secret or TLS file is missing. Usable from several threads.
    """

    def __init__(self, source: PrometheusSource | InventoryTargets) -> None:
        super().__init__()
        try:
            parts = urlsplit(source.url)
        except ValueError as error:
            raise SourceError(
                source.name, f"url can't be read: {error}", "Write it like http://prometheus:9090"
            ) from None
        host = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
        self.timeout = source.timeout.total_seconds()
        wide = source if isinstance(source, PrometheusSource) else None
        self._max_bytes = wide.max_answer_bytes if wide else 256 * MEGABYTE
        self._retries = wide.retries if wide else 2
        self._pool_size = 1 + wide.concurrency if wide else 1
        self._secrets: list[str] = []
        try:
            self.auth = self._authorization(source, parts.username, parts.password)
        except MissingSecret as error:
            raise SourceError(source.name, str(error)) from None
        self.headers.update({"User-Agent": "controlplane", "Accept": "application/json", "Accept-Encoding": "gzip"})
        if wide:
            self.headers.update(wide.headers)
            self._secrets += [value for value in wide.headers.values() if len(value) > 3]
        self._secrets.sort(key=len, reverse=True)
        self._use_tls(source.name, source.tls)
        self._adapter = TimedAdapter(pool_maxsize=self._pool_size)
        self.mount(self.url, self._adapter)

    def client(self) -> PrometheusConnect:
        """The Prometheus client on this session, for discovery; bulk data goes through the session itself."""
        client = PrometheusConnect(url=self.url, session=self, retry=Retry(0, read=False), method="POST")
        self.mount(self.url, self._adapter)  # the client has just mounted its own in this place
        return client

    def redact(self, text: str) -> str:
        """`text` with every secret of the source blotted out."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As requests does, but without showing a header or URL in an error."""
        try:
            return super().prepare_request(request)
        except requests.exceptions.InvalidHeader:
            raise _bad_header() from None
        except ValueError:
            raise HttpFailure(f"{printable(self.url)} is not a URL", "Write it like http://prometheus:9090") from None

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: a redirect could carry credentials to another host."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send and read the whole answer; see the class for limits and errors."""
        end = time.monotonic() + self.timeout
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, HttpFailure) and error.again),
            stop=stop_after_attempt(self._retries + 1) | stop_before_delay(self.timeout),
            wait=_pause,
            reraise=True,
        )
        return retrying(self._once, request, end, kwargs)

    def _once(self, request: requests.PreparedRequest, end: float, kwargs: dict[str, Any]) -> requests.Response:
        kwargs = {**kwargs, "stream": True, "allow_redirects": False}
        if self.verify is not True:
            kwargs["verify"] = self.verify  # else the environment's bundle would take its place
        try:
            with ends_at(end):
                response = super().send(request, **{**kwargs, "timeout": left()})
                with response:
                    ok = response.status_code == requests.codes.ok
                    body = self._read(response, self._max_bytes if ok else _ERROR_BYTES, cut=not ok)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, http.client.HTTPException) as error:
            raise self._broken(error, end) from None
        except ValueError:
            raise _bad_header() from None
        if not ok:
            raise self._refused(response, body)
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]  # how requests notes that the body is read
        return response

    def _read(self, response: requests.Response, limit: int, *, cut: bool) -> bytes:
        buffer = io.BytesIO()
        for part in response.raw.stream(1 << 20, decode_content=True):
            buffer.write(part)
            if buffer.tell() > limit:
                if cut:
                    break
                raise HttpFailure(
                    f"the answer is larger than {limit / MEGABYTE:,.6g} MB",
                    "Aggregate in the query, or raise max_answer_bytes of the source",
                    whole=False,
                    too_large=True,
                )
        return buffer.getvalue()

    def _broken(self, error: Exception, end: float) -> HttpFailure:
        """The failure behind an exception of the transport."""
        causes = list(_causes(error))
        late = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
        refused = urllib3.exceptions.NewConnectionError  # a timeout by its class only
        waited = any(isinstance(cause, late) and not isinstance(cause, refused) for cause in causes)
        if waited or time.monotonic() >= end:
            return HttpFailure(
                f"no complete answer from {self.url} within {self.timeout:g} s",
                "Raise timeout of the source, make the query cheaper, or look at the server's load",
            )
        for cause in causes:
            if isinstance(cause, ssl.SSLError | ssl.CertificateError):
                reason = getattr(cause, "verify_message", "") or cause.reason or "handshake failed"
                return HttpFailure(
                    f"no TLS connection to {self.url}: {self._shown(str(reason))}",
                    "Check tls (ca, certificate, key) of the source and the host name in url",
                )
        unpacking = (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError)
        if any(isinstance(cause, unpacking) for cause in causes):
            return HttpFailure(f"the answer of {self.url} is packed in a broken way", "Look at proxies in between")
        reason = next((str(cause.strerror) for cause in causes if isinstance(cause, OSError) and cause.strerror), "")
        reason = self._shown(reason or "the connection was closed before the answer was complete")
        return HttpFailure(
            f"connection to {self.url} failed: {reason}", "Check url and that the server runs", again=True
        )

    def _refused(self, response: requests.Response, body: bytes) -> HttpFailure:
        """The failure behind a status other than 200."""
        status, words = response.status_code, self._words(body)
        if 300 <= status < 400:
            where = self._shown(_origin(response.headers.get("Location", "")))
            return HttpFailure(f"{self.url} redirects to {where}; not followed", "Set url to where the API answers")
        if status in {400, 422}:
            remedy = "Correct the query" if status == 400 else "Correct the query, or aggregate more in it"
            return HttpFailure(words or f"HTTP {status}", remedy, whole=False)
        message = f"HTTP {status} from {self.url}" + (f": {words}" if words else "")
        if status in {401, 403}:
            return HttpFailure(message, "Check bearer, basic, headers or the client certificate of the source")
        if status not in _AGAIN:
            return HttpFailure(message, "Is url a Prometheus API?")
        try:
            wait = Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            wait = 0.0
        remedy = f"The server asks to wait {wait:g} s" if wait else "Look at the server's load and log"
        again = not words.startswith("timeout:")  # a query that took too long would do so again
        return HttpFailure(message, remedy, again=again, retry_after=wait)

    def _words(self, body: bytes) -> str:
        """What the server says in an error: the API's words, or the start of a plain text."""
        words = api_error(body)
        if words is None:
            text = body.decode("utf-8", "replace").strip()
            words = "a web page" if text.startswith("<") else text
        return self._shown(words)

    def _shown(self, text: str) -> str:
        return printable(self.redact(text), _SHOWN_ERROR)

    def _authorization(
        self, source: PrometheusSource | InventoryTargets, user: str | None, password: str | None
    ) -> "_Authorization":
        if source.bearer is not None:
            token = source.bearer.read()
            self._secrets.append(token)
            return _Authorization(f"Bearer {token}")
        if source.basic is not None:
            user, password = source.basic.username, source.basic.password.read()
        elif user is not None:
            user, password = unquote(user), unquote(password or "")
        else:
            return _Authorization(None)
        packed = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._secrets += [text for text in (password, packed) if text]
        return _Authorization(f"Basic {packed}")

    def _use_tls(self, name: str, tls: Tls) -> None:
        for key, path in (("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)):
            try:
                if path is not None:
                    path.expanduser().open("rb").close()
            except OSError as error:
                raise SourceError(
                    name, f"tls.{key}: {path} can't be read: {error.strerror}", "Correct the path"
                ) from None
        if tls.key is not None and tls.certificate is None:
            raise SourceError(name, "tls.key without tls.certificate", "Name the certificate that belongs to the key")
        if not tls.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.verify = _text(tls.ca) if tls.verify and tls.ca else tls.verify
        if tls.certificate is not None:
            self.cert = (_text(tls.certificate), _text(tls.key)) if tls.key else _text(tls.certificate)


class _Authorization(AuthBase):
    """Sets the header, or nothing; being there keeps requests from looking into ~/.netrc and the URL."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value is not None:
            r.headers["Authorization"] = self._value
        return r


def _bad_header() -> HttpFailure:
    remedy = "Check headers, user name and token for line breaks and signs beyond Latin-1"
    return HttpFailure("the request can't be sent: a header holds a sign that HTTP forbids", remedy)


def _origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "something that is not a URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"


def _text(path: Path) -> str:
    return str(path.expanduser())


def _pause(state: RetryCallState) -> float:
    """Full jitter, at least as long as the server asks for."""
    failure = state.outcome.exception() if state.outcome else None
    return max(_BACKOFF(state), failure.retry_after if isinstance(failure, HttpFailure) else 0.0)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything it wraps, the outermost first."""
    todo, seen = [error], set[int]()
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        todo += [other for other in inner if isinstance(other, BaseException)]
