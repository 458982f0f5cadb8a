"""The Kafka collector where nothing that speaks Kafka answers."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.model.time import Window
from controlplane.settings import KafkaSource
from controlplane.telemetry.collector import SourceError
from controlplane.telemetry.kafka import KafkaCollector
from tests.servers import free_port

STEP = 15_000


def collect(servers: str, timeout: str = "1s", **options: Any) -> None:
    source = {"name": "brokers", "type": "kafka", "platform": "p", "bootstrap_servers": servers, "timeout": timeout}
    it = KafkaCollector(KafkaSource.model_validate(source | options), STEP)
    it.collect(dict.fromkeys(it.signals(), Window(0, STEP, STEP)))


@contextlib.contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP server that gives every connection to `answer` and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        def handle(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def html(connection: socket.socket) -> None:
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>\x1b[31mno</html>")


def hang(connection: socket.socket) -> None:
    while connection.recv(10_000):
        pass


def close(connection: socket.socket) -> None:
    pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_later(connection: socket.socket) -> None:
    time.sleep(0.001)


def close_after_the_request(connection: socket.socket) -> None:
    connection.recv(10_000)


def garbage(connection: socket.socket) -> None:
    connection.recv(10_000)
    connection.sendall(b"\x00\x00\x00\x40" + b"\xff" * 64)


@pytest.mark.parametrize(
    ("answer", "told", "remedy"),
    [
        (html, "Invalid response size", "doesn't speak Kafka"),
        (hang, "no usable answer", "brokers run"),
        (close, "Disconnected", "brokers run"),
        (garbage, "no usable answer", "brokers run"),
    ],
)
def test_what_answers_is_not_kafka(answer: Callable[[socket.socket], None], told: str, remedy: str) -> None:
    with listener(answer) as address:
        started = time.monotonic()
        with pytest.raises(SourceError, match=told) as caught:
            collect(address)
        assert time.monotonic() - started < 1.3
    assert remedy in caught.value.remedy
    assert address in caught.value.message
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("answer", [close, reset, close_later, close_after_the_request])
def test_however_a_broker_hangs_up_it_is_told_in_the_same_words(answer: Callable[[socket.socket], None]) -> None:
    with listener(answer) as address:
        for _ in range(3):
            with pytest.raises(SourceError) as caught:
                collect(address, timeout="500ms")
            told = f"no usable answer from the brokers at {address}: Disconnected: connection closed by peer"
            assert caught.value.message == told


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        (f"127.0.0.1:{free_port()}", "Connection refused"),
        ("no-such-host.invalid:9092", "Failed to resolve"),
        (f"127.0.0.1:{free_port()},no-such-host.invalid:9092", "Failed to resolve"),
    ],
    ids=["refused", "unresolvable", "refused and unresolvable"],
)
def test_nobody_answers(servers: str, told: str) -> None:
    started = time.monotonic()
    with pytest.raises(SourceError, match=told) as first:
        collect(servers)
    assert time.monotonic() - started < 1.3
    with pytest.raises(SourceError) as second:
        collect(servers)
    # The words of a lasting problem don't change, or every tick would tell of a new one.
    assert (first.value.message, first.value.remedy) == (second.value.message, second.value.remedy)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"settings": {"no.such.setting": 1}}, 'No such configuration property: "no.such.setting"'),
        ({"settings": {"security.protocol": "nonsense"}}, "security.protocol"),
        ({"settings": {"security.protocol": "SSL", "ssl.ca.location": "/no/such/file"}}, "ssl.ca.location"),
        ({"secrets": {"sasl.password": {"env": "NO_SUCH_VARIABLE"}}}, "NO_SUCH_VARIABLE is not set"),
        ({"secrets": {"sasl.password": {"file": "/no/such/file"}}}, "/no/such/file can't be read"),
    ],
)
def test_settings_that_cannot_work(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SourceError, match=told.replace("/", "/")) as caught:
        collect("127.0.0.1:1", **options)
    assert caught.value.source == "brokers"


def test_groups_must_be_a_regular_expression() -> None:
    with pytest.raises(ValidationError, match="groups is not a regular expression"):
        collect("127.0.0.1:1", groups="(")


@pytest.mark.parametrize("where", ["secrets", "settings"])
def test_a_secret_in_a_refused_setting_is_not_shown(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    options: dict[str, Any] = (
        {"secrets": {"security.protocol": {"env": "SECRET"}}}
        if where == "secrets"
        else {"settings": {"sasl.password": "hunter2", "security.protocol": "hunter2"}}
    )
    with pytest.raises(SourceError, match=r"security\.protocol") as caught:
        collect("127.0.0.1:1", **options)
    assert "hunter2" not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_name_server_that_keeps_silent_does_not_hold_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the client waits for its threads; ours may not wait for it beyond the deadline."""
    from controlplane.telemetry import kafka_connection

    slow = threading.Event()

    class Slow(kafka_connection.AdminClient):
        def __exit__(self, *args: Any) -> None:
            slow.wait(10)

    monkeypatch.setattr(kafka_connection, "AdminClient", Slow)
    started = time.monotonic()
    with pytest.raises(SourceError):
        collect(f"127.0.0.1:{free_port()}")
    assert time.monotonic() - started < 1.5
    slow.set()


def test_windows_that_are_not_this_sources_are_refused() -> None:
    source = {"name": "brokers", "type": "kafka", "platform": "p", "bootstrap_servers": "127.0.0.1:1"}
    it = KafkaCollector(KafkaSource.model_validate(source), STEP)
    key = it.signals()[0]
    with pytest.raises(ValueError, match="doesn't have q/"):
        it.collect({key._replace(platform="q"): Window(0, STEP, STEP)})
    with pytest.raises(ValueError, match="grid of 15000 ms"):
        it.collect({key: Window(0, 10_000, 10_000)})
