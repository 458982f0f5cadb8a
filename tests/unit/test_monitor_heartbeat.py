"""Heartbeats against a local server: when they go out, what may go wrong, and that no URL is told anybody."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from controlplane.monitor import after, heartbeat, vitals
from controlplane.monitor.vitals import BeatVitals, read
from controlplane.settings import Heartbeat, Notify, Secret, Settings
from tests.drafts import START, ingested
from tests.loopback import Handler, http_server

SECRET = "5up3r-s3cret-uuid"
SECOND = timedelta(seconds=1)


@dataclass
class Snitch:
    """A server that answers as a test says and remembers what it was asked."""

    url: str = ""
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: status(handler, 200)
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)


def status(handler: BaseHTTPRequestHandler, code: int, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"OK")


def drip(handler: BaseHTTPRequestHandler) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000:
        try:
            handler.wfile.write(bytes([byte]))
        except OSError:
            return
        time.sleep(0.05)


@pytest.fixture
def snitch() -> Iterator[Snitch]:
    shown = Snitch()

    class Answering(Handler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            shown.asked.append((self.command, self.path, body))
            shown.answer(self)

        def do_POST(self) -> None:
            self.do_GET()

    with http_server(Answering) as address:
        shown.url = f"http://{address}/ping/{SECRET}"
        yield shown


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, snitch: Snitch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SNITCH", snitch.url)


def beat(name: str = "snitch", env: str = "SNITCH", **more: Any) -> Heartbeat:
    return Heartbeat(name=name, url=Secret(env=env), **more)


def sent(home: Path, *declared: Heartbeat, withheld: str = "", now: datetime = START) -> BeatVitals:
    return heartbeat.send(home, declared, withheld, "production", now)


def test_it_gets_through(tmp_path: Path, snitch: Snitch) -> None:
    noted = sent(tmp_path, beat()).beats["snitch"]
    assert (noted.ok, noted.error, noted.sent, noted.failed, noted.delivered_at) == (True, "", 1, 0, START)
    assert snitch.asked == [("GET", f"/ping/{SECRET}", b"")]
    assert read(tmp_path, BeatVitals) == BeatVitals(beats={"snitch": noted})


def test_a_post_says_whose_it_is(tmp_path: Path, snitch: Snitch) -> None:
    assert sent(tmp_path, beat(method="POST")).beats["snitch"].ok
    assert snitch.asked == [
        ("POST", f"/ping/{SECRET}", b'{"environment": "production", "at": "2026-03-01T18:00:00+00:00"}')
    ]


@pytest.mark.parametrize(
    ("every", "after_", "times"),
    [
        ("1m", 54.999, 1),
        ("1m", 55, 2),
        ("10s", 4.999, 1),
        ("10s", 5, 2),
        ("1m", -1, 2),  # the clock was set back
    ],
)
def test_when_it_is_due(tmp_path: Path, snitch: Snitch, every: str, after_: float, times: int) -> None:
    one = Heartbeat.model_validate({"name": "snitch", "url": {"env": "SNITCH"}, "every": every})
    sent(tmp_path, one)
    sent(tmp_path, one, now=START + timedelta(seconds=after_))
    assert len(snitch.asked) == times


def test_after_a_failure_the_next_tick_sends_it_again(tmp_path: Path, snitch: Snitch) -> None:
    snitch.answer = lambda handler: status(handler, 500)
    first = sent(tmp_path, beat()).beats["snitch"]
    assert (first.ok, first.failed, first.error) == (False, 1, "it answers with HTTP 500")
    snitch.answer = lambda handler: status(handler, 204)
    second = sent(tmp_path, beat(), now=START + SECOND).beats["snitch"]
    assert (second.ok, second.sent, second.failed, second.error) == (True, 1, 1, "")


def test_it_is_withheld_and_says_why(tmp_path: Path, snitch: Snitch) -> None:
    sent(tmp_path, beat())
    held = sent(tmp_path, beat(), withheld="prometheus: has never answered", now=START + 60 * SECOND).beats["snitch"]
    assert (held.ok, held.error) == (False, "withheld: prometheus: has never answered")
    assert (held.sent, held.failed, held.delivered_at) == (1, 0, START)
    assert len(snitch.asked) == 1
    assert sent(tmp_path, beat(), now=START + 61 * SECOND).beats["snitch"].ok


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(tmp_path: Path, snitch: Snitch, code: int) -> None:
    snitch.answer = lambda handler: status(handler, code, Location=snitch.url + "/elsewhere")
    noted = sent(tmp_path, beat()).beats["snitch"]
    assert not noted.ok
    assert f"redirects (HTTP {code})" in noted.error
    assert len(snitch.asked) == 1


@pytest.mark.parametrize(
    ("code", "good"), [(200, True), (299, True), (300, False), (400, False), (404, False), (429, False), (503, False)]
)
def test_only_2xx_is_success(tmp_path: Path, snitch: Snitch, code: int, good: bool) -> None:
    snitch.answer = lambda handler: status(handler, code)
    assert sent(tmp_path, beat()).beats["snitch"].ok is good


def test_an_answer_that_is_no_http(tmp_path: Path, snitch: Snitch) -> None:
    snitch.answer = lambda handler: handler.wfile.write(b"garbage\r\n\r\n") and None
    assert sent(tmp_path, beat()).beats["snitch"].error == "no connection"


@pytest.mark.parametrize("how", [drip, lambda handler: time.sleep(30)], ids=["drips", "hangs"])
def test_one_that_hangs_ends_in_time_and_delays_no_other(
    tmp_path: Path, snitch: Snitch, monkeypatch: pytest.MonkeyPatch, how: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    monkeypatch.setattr(heartbeat, "TIMEOUT", 0.5)
    snitch.answer = lambda handler: how(handler) if "slow" in handler.path else status(handler, 200)
    monkeypatch.setenv("SLOW", snitch.url + "/slow")
    began = time.monotonic()
    noted = sent(tmp_path, *(beat(f"slow{n}", "SLOW") for n in range(6)), beat()).beats
    assert time.monotonic() - began < 2
    assert noted["snitch"].ok
    assert {noted[f"slow{n}"].error for n in range(6)} == {"no complete answer within 0.5 s"}


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_no_part_of_a_url_is_told(
    tmp_path: Path, snitch: Snitch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with closed_port() as port:
        urls = {
            "OK": snitch.url,
            "GONE": f"http://127.0.0.1:{port}/{SECRET}",
            "TLS": snitch.url.replace("http:", "https:"),
            "SCHEME": f"ftp://{SECRET}@127.0.0.1/x",
            "SPACES": f"http://127.0.0.1/ {SECRET}",
            "ODD": f"http://[{SECRET}/",
            "USER": f"http://user:{SECRET}@127.0.0.1:{port}/",
            "NONE": "",
        }
        for name, url in urls.items():
            monkeypatch.setenv(name, url)
        noted = sent(tmp_path, *(beat(name.lower(), name) for name in urls)).beats
    assert [name for name, one in noted.items() if one.ok] == ["ok"]
    assert noted["gone"].error == "no connection"
    assert noted["scheme"].error == "what the settings name for it isn't one http or https URL"
    assert noted["none"].error.startswith("environment variable NONE is not set")
    told = caplog.text + (tmp_path / "vitals" / "heartbeats.json").read_text()
    assert SECRET not in told
    assert "/ping/" not in told


def test_what_is_no_longer_declared_is_forgotten(tmp_path: Path) -> None:
    sent(tmp_path, beat("old"), beat("kept"))
    assert set(sent(tmp_path, beat("kept")).beats) == {"kept"}
    assert sent(tmp_path).beats == {}


@pytest.mark.parametrize(("every", "good"), [("10s", True), ("9s", False)])
def test_how_often_it_may_be(every: str, good: bool) -> None:
    document = {"name": "a", "url": {"env": "X"}, "every": every}
    if good:
        assert Heartbeat.model_validate(document).every == 10 * SECOND
    else:
        with pytest.raises(ValueError, match="at least 10s"):
            Heartbeat.model_validate(document)


# after a tick


@dataclass
class Source:
    """A source as what follows a tick sees it."""

    name: str = "prometheus"
    skew: float | None = 1.5
    asked: int = 0

    def clock_skew(self) -> float | None:
        self.asked += 1
        return self.skew


def plane(home: Path, *sources: Source) -> Any:
    from types import SimpleNamespace

    from controlplane.eventlog.log import EventLog

    return SimpleNamespace(log=EventLog.open(f"sqlite:///{home}/events.db"), collectors=sources)


@pytest.mark.parametrize(
    ("answered", "late", "error"),
    [
        (("prometheus",), 300, ""),
        (("prometheus",), 301, "withheld: prometheus: its newest step is 5m 1s old"),
        ((), 0, "withheld: prometheus: has never answered"),
    ],
)
def test_a_tick_is_told_only_with_fresh_sources(
    tmp_path: Path, snitch: Snitch, answered: tuple[str, ...], late: int, error: str
) -> None:
    from controlplane.model.time import to_ms
    from tests.drafts import draft

    made = plane(tmp_path, Source())
    for name in answered:
        made.log.append([draft(ingested(name, to_ms(START)))], recorded_at=START)
    now = START + late * SECOND
    configured = Settings(home=tmp_path, notify=Notify(heartbeat=(beat(),)))
    after.after_tick(configured, made, now, 2.5, now)
    noted = read(tmp_path, BeatVitals)
    assert noted is not None
    assert noted.beats["snitch"].error == error
    assert len(snitch.asked) == (not error)
    assert read(tmp_path, vitals.TickVitals) == vitals.TickVitals(now=now, at=now, seconds=2.5)
    made.log.close()


def test_without_sources_nothing_is_fresh(tmp_path: Path, snitch: Snitch) -> None:
    made = plane(tmp_path)
    after.after_tick(Settings(home=tmp_path, notify=Notify(heartbeat=(beat(),))), made, START, 1, START)
    assert snitch.asked == []
    made.log.close()


def test_what_goes_wrong_after_a_tick_does_not_fail_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = plane(tmp_path, Source())
    made.log.close()
    (tmp_path / "file").write_text("")
    after.after_tick(Settings(home=tmp_path / "file"), made, START, 1, START)
    assert "after the tick" in caplog.text


def test_clocks_are_asked_once_a_minute(tmp_path: Path) -> None:
    source, mute = Source(), Source("mute", None)
    for seconds, asked in ((0, 1), (59, 1), (60, 2), (61, 2), (30, 3)):
        after.look_at_clocks(tmp_path, [source, mute], START + seconds * SECOND)
        assert source.asked == asked
    noted = read(tmp_path, vitals.ClockVitals)
    assert noted is not None
    assert {name: reading.seconds for name, reading in noted.sources.items()} == {"prometheus": 1.5}
