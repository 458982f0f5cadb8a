"""A client of a Kafka cluster for one collection: its deadline, its errors in plain words, its secrets kept."""

import logging
import re
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]  # documented, but not declared as exported

from controlplane.model.labels import printable
from controlplane.model.time import format_duration
from controlplane.settings import KafkaSource, MissingSecret
from controlplane.telemetry.collector import SourceError

_LOGGER = logging.getLogger(__name__)
_TURN_SECONDS = 0.1
_SECRET_NAME = re.compile(r"password|secret|token|\.key\.pem$|oauthbearer\.config$")
# What differs from one attempt to the next; without it the same problem gives the same words.
_VARIABLE = re.compile(r"\[thrd:[^\]]*\]: |(?:\w+://)?\S+/(?:bootstrap|\d+): | \(after \d+ms in state .*\)")
# Whether a peer that hangs up is met while connecting, sending or receiving is chance.
_HUNG_UP = re.compile(
    r"(?:Connect to \S+ failed: |(?:Receive|Send) failed: |Disconnected: )"
    r"(?:[Cc]onnection (?:reset|closed) by peer|Broken pipe).*"
)

# Causes of a missing answer, the most telling first: code, whether waiting can't mend it, remedy.
_CAUSES: tuple[tuple[int, bool, str], ...] = (
    (
        KafkaError._AUTHENTICATION,
        True,
        "Check sasl.mechanism and sasl.username in its settings, sasl.password in its secrets",
    ),
    (
        KafkaError._SSL,
        True,
        "Check security.protocol, ssl.ca.location and the broker's certificate; the port may not speak TLS",
    ),
    (
        KafkaError._BAD_MSG,
        True,
        "What answers there doesn't speak Kafka, or speaks TLS; check bootstrap_servers and security.protocol",
    ),
    (KafkaError._RESOLVE, False, "Check the host names in bootstrap_servers"),
    (
        KafkaError._TRANSPORT,
        False,
        "Check that the brokers run, bootstrap_servers, the network, and that security.protocol suits the port",
    ),
)
_OTHERWISE = (
    "Check that the brokers run, bootstrap_servers, the network, and that security.protocol suits the port; "
    "raise timeout if they are slow"
)


class Connection:
    """A connected client, used as a context manager; entering reads the secrets. Every failure is a SourceError."""

    def __init__(self, settings: KafkaSource) -> None:
        self._settings = settings
        self._until = time.monotonic() + settings.timeout.total_seconds()
        self._errors: dict[int, set[str]] = {}
        self._failures: set[str] = set()
        self._logged: set[tuple[int, str]] = set()
        self._hidden: list[str] = []

    def __enter__(self) -> Self:
        name, settings = self._settings.name, self._settings.settings
        try:
            secrets = {key: secret.read() for key, secret in self._settings.secrets.items()}
        except MissingSecret as error:
            raise SourceError(name, str(error)) from None
        configured = {key: _text(value) for key, value in settings.items()} | secrets
        hidden = {str(value) for key, value in configured.items() if key in secrets or _SECRET_NAME.search(key)}
        self._hidden = sorted(hidden - {""}, key=len, reverse=True)
        try:
            options: dict[str, Any] = {
                "client.id": "controlplane",
                "reconnect.backoff.ms": 250,
                # One silent broker of the bootstrap list may not use up the time for all of them.
                "socket.connection.setup.timeout.ms": max(1000, round(self.left(0.3) * 1000)),
                **configured,
                "bootstrap.servers": self._settings.bootstrap_servers,
                "error_cb": self._on_error,
            }
            self.client = AdminClient(options, logger=self)
        except (KafkaException, TypeError, ValueError) as error:
            raise SourceError(
                name,
                f"the Kafka client refuses the settings: {self.plain(error)}",
                "Correct the settings and secrets of this source; they are librdkafka's",
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing waits for the client's threads, which may hang in the name resolver far beyond our deadline.
        self.client.poll(0)
        closing = threading.Thread(target=self.client.__exit__, args=(None, None, None), daemon=True)
        closing.start()
        closing.join(max(self.left(), 0.1))

    def left(self, share: float = 1.0) -> float:
        """Seconds until the deadline, or that share of them; never less than a millisecond."""
        return max((self._until - time.monotonic()) * share, 0.001)

    def wait(self, futures: Collection[Future[Any]]) -> None:
        """Wait until all futures are done; SourceError at the deadline, or before where waiting can't help."""
        waiting: Collection[Future[Any]] = futures
        while waiting := wait(waiting, timeout=min(_TURN_SECONDS, self.left())).not_done:
            self.client.poll(0)
            if time.monotonic() >= self._until or self._hopeless():
                raise self.unreachable()
        self.client.poll(0)

    def metadata(self, timeout: float) -> ClusterMetadata:
        """Brokers, topics and partitions; SourceError where no broker answers within `timeout` seconds."""
        try:
            return self.client.list_topics(timeout=timeout)
        except KafkaException as error:
            self.client.poll(0)
            raise self.unreachable(self.plain(error)) from None

    def unreachable(self, detail: str = "") -> SourceError:
        """No broker answers usefully: the most telling cause seen, with its remedy."""
        for code, _, remedy in _CAUSES:
            if code in self._errors:
                return self._silent(min(self._errors[code]), remedy)
        return self._silent(min(self._failures, default=detail), _OTHERWISE)

    def plain(self, error: BaseException | KafkaError) -> str:
        """An error of the client in words that are safe to show and the same for the same problem."""
        if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
            error = error.args[0]
        return self._clean(error.str() if isinstance(error, KafkaError) else str(error))

    def log(self, level: int, template: str, *parts: object) -> None:
        """librdkafka's way to log; each line is passed on once, without secrets."""
        line = self._clean(template % parts)
        if parts and parts[0] == "FAIL":
            self._failures.add(self._clean(str(parts[-1])))
        if (level, line) not in self._logged:
            self._logged.add((level, line))
            _LOGGER.log(level, "%s: %s", self._settings.name, line)

    def _silent(self, cause: str, remedy: str) -> SourceError:
        servers = printable(self._settings.bootstrap_servers)
        why = f": {cause}" if cause else f" within {format_duration(self._settings.timeout)}"
        return SourceError(self._settings.name, f"no usable answer from the brokers at {servers}{why}", remedy)

    def _hopeless(self) -> bool:
        # All brokers are down, one of them for a reason that the next attempt won't change.
        lasting = any(code in self._errors for code, lasts, _ in _CAUSES if lasts)
        return lasting and KafkaError._ALL_BROKERS_DOWN in self._errors

    def _on_error(self, error: KafkaError) -> None:
        self._errors.setdefault(error.code(), set()).add(self.plain(error))

    def _clean(self, text: str) -> str:
        for value in self._hidden:
            text = text.replace(value, "***")
        return printable(_HUNG_UP.sub("Disconnected: connection closed by peer", _VARIABLE.sub("", text)), 400)


def _text(value: str | int | bool) -> str | int:
    return str(value).lower() if isinstance(value, bool) else value
