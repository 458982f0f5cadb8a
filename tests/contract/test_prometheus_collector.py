"""The Prometheus collector against servers that err, lie, hang and drip."""

import json
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from controlplane.frames import COVERAGE, SAMPLES, SERIES
from controlplane.model.signals import Signal
from controlplane.model.time import Window
from controlplane.settings import Basic, InventoryTargets, PrometheusSource, Secret, Tls
from controlplane.telemetry import inventory
from controlplane.telemetry.collector import Batch, SignalKey, SourceError
from controlplane.telemetry.prometheus import PrometheusCollector
from tests.servers import free_port
from tests.servers_hostile import Asked, Handler, Hostile, answer_well, hostile_server, matrix, series

STEP = 15_000
T0 = 1_700_000_010_000 // STEP * STEP
WINDOW = Window(T0, T0 + 4 * STEP, STEP)
SLACK = 1.5
TOKEN = "tok-3f9c2e77a1"


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile_server() as hostile:
        yield hostile


def signal(name: str, query: str | None = None, **labels: str) -> tuple[str, Signal]:
    return "pack", Signal(name=name, unit="1", prometheus=query or name, labels=labels)


def collector(server: Hostile | str, *signals: tuple[str, Signal], **more: Any) -> PrometheusCollector:
    url = server if isinstance(server, str) else server.url
    more.setdefault("timeout", timedelta(seconds=5))
    source = PrometheusSource.model_validate({"name": "prom", "type": "prometheus", "url": url, **more})
    return PrometheusCollector(source, signals or (signal("a"),), STEP)


def collect(server: Hostile | str, *signals: tuple[str, Signal], window: Window = WINDOW, **more: Any) -> Batch:
    subject = collector(server, *signals, **more)
    return subject.collect(dict.fromkeys(subject.signals(), window))


def values(batch: Batch) -> dict[tuple[str, str], list[tuple[int, float | None]]]:
    """(signal, labels) → samples in order."""
    joined = batch.samples.samples.join(batch.samples.series, on="sid").sort("ts")
    found: dict[tuple[str, str], list[tuple[int, float | None]]] = {}
    for name, labels, ts, value in joined.select("signal", "labels", "ts", "value").rows():
        found.setdefault((name, labels), []).append((ts, value))
    return found


def always(**reply: Any) -> Callable[[Handler, Asked], None]:
    return lambda handler, _: handler.reply(**reply)


# answers


def test_samples_arrive_on_the_grid_with_series_and_coverage(server: Hostile) -> None:
    nasty = 'x"\\},{"metric":\x1b[31m ü' + "y" * 10_000

    def behave(handler: Handler, asked: Asked) -> None:
        one = series(asked.form, {"__name__": "m", "consumergroup": nasty})
        one["values"] = [[ts, v] for (ts, _), v in zip(one["values"], ["NaN", "+Inf", "-Inf", "5e-324"], strict=True)]
        handler.reply_json(matrix(one, series(asked.form, {"__name__": "m", "a": "b"}, "2")))

    server.behave = behave
    batch = collect(server, signal("a", "m", consumergroup="consumer_group"))
    steps = list(WINDOW.steps())
    label = json.dumps({"consumer_group": nasty}, ensure_ascii=False, separators=(",", ":"))
    assert values(batch) == {
        ("a", label): list(zip(steps, [None, math.inf, -math.inf, 5e-324], strict=True)),
        ("a", '{"a":"b"}'): [(ts, 2.0) for ts in steps],
    }
    assert (batch.samples.series.schema, batch.samples.samples.schema) == (SERIES, SAMPLES)
    assert batch.samples.coverage.schema == COVERAGE
    assert batch.samples.coverage.rows() == [("prom", "pack", "a", steps[0], steps[-1])]
    assert batch.failures == batch.warnings == ()


def test_a_query_is_asked_once_for_all_signals_that_share_it(server: Hostile) -> None:
    batch = collect(server, signal("a", "same"), signal("b", "same", q="query"), signal("c", "other"), bearer=None)
    assert sorted(asked.form["query"] for asked in server.asked) == ["other", "same"]
    assert [(name, labels) for name, labels in values(batch)] == [
        ("a", '{"q":"same"}'),
        ("b", '{"query":"same"}'),
        ("c", '{"q":"other"}'),
    ]
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("POST", "/api/v1/query_range")
    assert (asked.form["start"], asked.form["end"], asked.form["step"]) == (
        f"{WINDOW.first / 1000:.3f}",
        f"{WINDOW.end / 1000:.3f}",
        "15.000",
    )
    assert 0 < float(asked.form["timeout"]) <= 5
    assert batch.samples.samples["sid"].n_unique() == batch.samples.series.height == 3


def test_each_signal_has_its_own_window_and_empty_ones_ask_nothing(server: Hostile) -> None:
    subject = collector(server, signal("a", "same"), signal("b", "same"), signal("c", "c"))
    later = Window(T0 + STEP, T0 + 4 * STEP, STEP)
    a, b, c = subject.signals()
    batch = subject.collect({a: WINDOW, b: later, c: Window(T0, T0, STEP)})
    assert len(server.asked) == 2
    assert batch.samples.coverage.rows() == [
        ("prom", "pack", "a", WINDOW.first, WINDOW.end),
        ("prom", "pack", "b", later.first, later.end),
    ]
    assert subject.collect({}).samples.coverage.height == 0
    with pytest.raises(ValueError, match="grid"):
        subject.collect({a: Window(0, 1000, 1000)})


def test_only_signals_with_a_query_of_its_packs_are_offered(server: Hostile) -> None:
    signals = (signal("a"), ("other", signal("b")[1]), ("pack", Signal(name="c", unit="1")))
    assert collector(server, *signals, platforms=["pack"]).signals() == (SignalKey("pack", "a"),)
    assert collector(server, *signals).signals() == (SignalKey("pack", "a"), SignalKey("other", "b"))


def test_an_empty_result_is_an_answer(server: Hostile) -> None:
    server.behave = lambda handler, _: handler.reply_json(matrix())
    batch = collect(server)
    assert batch.samples.series.height == batch.samples.samples.height == 0
    assert batch.samples.coverage.height == 1


def test_long_windows_are_asked_in_parts_and_joined(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        late = {"late": "yes"} if float(asked.form["start"]) * 1000 > T0 + 11_000 * STEP else {"early": "yes"}
        handler.reply_json(matrix(series(asked.form, late), series(asked.form, {"always": "yes"})))

    server.behave = behave
    window = Window(T0, T0 + 23_000 * STEP, STEP)
    batch = collect(server, window=window)
    points = [round((float(a.form["end"]) - float(a.form["start"])) / float(a.form["step"])) + 1 for a in server.asked]
    assert points == [11_000, 11_000, 1_000]
    found = values(batch)
    assert [ts for ts, _ in found["a", '{"always":"yes"}']] == list(window.steps())
    assert [ts for ts, _ in found["a", '{"early":"yes"}']] == list(window.steps())[:11_000]
    assert [ts for ts, _ in found["a", '{"late":"yes"}']] == list(window.steps())[11_000:]
    assert batch.samples.series.height == 3


def test_warnings_and_native_histograms_are_told(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        histogram = {"metric": {"h": "1"}, "histograms": [[T0 / 1000, {"count": "1", "sum": "1"}]]}
        found = series(asked.form, {"a": "1"})
        handler.reply_json(matrix(found, histogram, warnings=["remote read: \x1b]0;pwned\x07" + "z" * 9000]))

    server.behave = behave
    batch = collect(server)
    remote, native = batch.warnings
    assert remote.startswith("pack/a: remote read: ")
    assert "\x1b" not in remote
    assert len(remote) < 600
    assert "native histograms of 1 series" in native
    assert list(values(batch)) == [("a", '{"a":"1"}')]


def test_packed_answers_are_read(server: Hostile) -> None:
    server.behave = lambda h, asked: h.reply_packed(json.dumps(matrix(series(asked.form, {"a": "1"}))).encode())
    assert len(values(collect(server))["a", '{"a":"1"}']) == 4
    assert server.asked[0].headers["accept-encoding"] == "gzip"


def test_samples_outside_the_window_are_dropped(server: Hostile) -> None:
    odd = [[(WINDOW.first - STEP) / 1000, "1"], [(WINDOW.first + 1) / 1000, "2"], [(WINDOW.end + 1) / 1000, "3"]]
    server.behave = lambda handler, _: handler.reply_json(matrix({"metric": {}, "values": odd}))
    assert values(collect(server)) == {("a", "{}"): [(WINDOW.first + STEP, 2.0)]}


# refusals


def api_error(handler: Handler, status: int, kind: str, text: str, **headers: str) -> None:
    handler.reply_json({"status": "error", "errorType": kind, "error": text}, status, **headers)


@pytest.mark.parametrize("status", [400, 422])
def test_a_bad_query_fails_alone_in_the_words_of_the_api_and_is_not_repeated(server: Hostile, status: int) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if asked.form["query"] == "bad":
            api_error(handler, status, "bad_data", "1:4: parse error: \x1b[31m" + "q" * 10_000)
        else:
            answer_well(handler, asked)

    server.behave = behave
    batch = collect(server, signal("a", "bad"), signal("b", "good"))
    (failure,) = batch.failures
    assert failure.key == SignalKey("pack", "a")
    assert failure.message.startswith("bad_data: 1:4: parse error: ")
    assert "\x1b" not in failure.message
    assert len(failure.message) <= 500
    assert "query" in failure.remedy
    assert [row[2] for row in batch.samples.coverage.rows()] == ["b"]
    assert [asked.form["query"] for asked in server.asked].count("bad") == 1


def test_a_bad_query_is_no_failure_of_the_source_even_alone(server: Hostile) -> None:
    server.behave = lambda handler, _: api_error(handler, 400, "bad_data", "no")
    batch = collect(server)
    assert len(batch.failures) == 1
    assert batch.samples.coverage.height == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(server: Hostile, status: int) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if len(server.asked) < 3:
            handler.reply(b"try later", status, "text/plain")
        else:
            answer_well(handler, asked)

    server.behave = behave
    assert len(values(collect(server))) == 1
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_lasting_fault_ends_after_the_retries(server: Hostile, status: int) -> None:
    server.behave = always(body=b"overloaded\x1b[2J", status=status, kind="text/plain")
    with pytest.raises(SourceError, match=rf"HTTP {status} from {server.url}: overloaded") as caught:
        collect(server, retries=1)
    assert "\x1b" not in str(caught.value)
    assert caught.value.remedy
    # Two attempts for the signal; only one signal failed, so nothing else is asked.
    assert [asked.path for asked in server.asked].count("/api/v1/query_range") == 2


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410, 418])
def test_a_refusal_is_not_repeated(server: Hostile, status: int) -> None:
    server.behave = always(body=b"no", status=status, kind="text/plain")
    with pytest.raises(SourceError, match=f"HTTP {status}"):
        collect(server)
    assert [asked.path for asked in server.asked].count("/api/v1/query_range") == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(server: Hostile, status: int) -> None:
    at: list[float] = []

    def behave(handler: Handler, asked: Asked) -> None:
        at.append(time.monotonic())
        if len(at) == 1:
            handler.reply(b"", status, Retry_After="1")
        else:
            answer_well(handler, asked)

    server.behave = behave
    collect(server)
    assert 1.0 <= at[1] - at[0] < 3.0


@pytest.mark.parametrize("header", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT", "99999999999999999999"])
def test_a_longer_wait_than_the_deadline_is_not_waited_for(server: Hostile, header: str) -> None:
    server.behave = always(body=b"", status=503, Retry_After=header)
    began = time.monotonic()
    with pytest.raises(SourceError, match="asks to wait"):
        collect(server)
    assert time.monotonic() - began < SLACK
    assert [asked.path for asked in server.asked].count("/api/v1/query_range") == 1


@pytest.mark.parametrize("header", ["soon", "-5", "", "\xff", "1e9"])
def test_a_senseless_retry_after_is_ignored(server: Hostile, header: str) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if len(server.asked) == 1:
            handler.reply(b"", 503, Retry_After=header)
        else:
            answer_well(handler, asked)

    server.behave = behave
    assert len(values(collect(server))) == 1


def test_a_query_that_the_server_gave_up_is_not_repeated(server: Hostile) -> None:
    server.behave = lambda handler, _: api_error(handler, 503, "timeout", "query timed out in expression evaluation")
    with pytest.raises(SourceError, match="query timed out"):
        collect(server)
    assert [asked.path for asked in server.asked].count("/api/v1/query_range") == 1


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "text/html", "web page"),
        (b"", "application/json", "empty answer"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"valu', "application/json",
         "not complete JSON"),
        (b'{"status":"success"}', "application/json", "without data"),
        (b"\xff\xfe\x00", "application/octet-stream", "not complete JSON"),
        (b"[" * 100_000, "application/json", "not complete JSON"),
    ],
)  # fmt: skip
def test_what_is_no_answer_fails_with_a_remedy(server: Hostile, body: bytes, kind: str, message: str) -> None:
    server.behave = always(body=body, kind=kind)
    with pytest.raises(SourceError, match=message) as caught:
        collect(server)
    assert caught.value.remedy
    assert [asked.path for asked in server.asked].count("/api/v1/query_range") == 1


def test_an_unusable_answer_to_one_query_fails_that_signal_only(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if asked.form["query"] == "bad":
            handler.reply(b'{"status":"success","data":{"resultType":"matrix","result":[')
        else:
            answer_well(handler, asked)

    server.behave = behave
    batch = collect(server, signal("a", "bad"), signal("b", "good"))
    assert [failure.key.signal for failure in batch.failures] == ["a"]
    assert [name for name, _ in values(batch)] == ["b"]


def test_two_series_with_equal_labels_are_named(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        names = [{"__name__": name, "host": "db-1"} for name in ("one", "two")]
        handler.reply_json(matrix(*(series(asked.form, labels) for labels in names)))

    server.behave = behave
    (failure,) = collect(server).failures
    assert "same labels: host=db-1" in failure.message


def test_a_redirect_is_not_followed(server: Hostile) -> None:
    with hostile_server() as other:
        for status in (301, 302, 303, 307, 308):
            server.behave = always(body=b"x" * 100_000, status=status, Location=f"{other.url}/steal?t=1")
            with pytest.raises(SourceError, match=f"redirects to {other.url}; not followed"):
                collect(server, bearer=Secret(env="TEST_TOKEN"))
        server.behave = always(body=b"", status=302, Location="http://[bad")
        with pytest.raises(SourceError, match="redirects to something that is not a URL"):
            collect(server)
        assert other.asked == []


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


# time and size


def drip_body(handler: Handler, _: Asked) -> None:
    handler.drip(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"status":"success"', b" ")


def drip_chunks(handler: Handler, _: Asked) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")


def drip_until_close(handler: Handler, _: Asked) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" ")


def drip_headers(handler: Handler, _: Asked) -> None:
    handler.drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a")


def drip_error(handler: Handler, _: Asked) -> None:
    handler.drip(b"HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n", b"x")


def hang(handler: Handler, _: Asked) -> None:
    handler.hang()


@pytest.mark.parametrize("behave", [drip_body, drip_chunks, drip_until_close, drip_headers, drip_error, hang])
def test_a_query_ends_at_its_deadline(server: Hostile, behave: Callable[[Handler, Asked], None]) -> None:
    server.behave = behave
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"no complete answer from .* within 0.6 s"):
        collect(server, timeout=timedelta(seconds=0.6), retries=5)
    assert 0.5 < time.monotonic() - began < 0.6 + SLACK
    assert len(server.asked) == 1


def test_a_silent_tls_handshake_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"within 0.5 s"):
            collect(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=timedelta(seconds=0.5))
        assert time.monotonic() - began < 0.5 + SLACK


def test_a_hung_server_is_given_up_without_asking_for_everything(server: Hostile) -> None:
    server.behave = hang
    signals = [signal(f"s{n:02}") for n in range(40)]
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"no complete answer .*40 signals failed"):
        collect(server, *signals, timeout=timedelta(seconds=0.5), concurrency=4)
    # One round, the probe, and what started meanwhile: not the ten rounds that forty signals take.
    assert time.monotonic() - began < 1.5 + SLACK
    assert len(server.asked) <= 16


def test_slow_queries_do_not_starve_the_others(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if asked.form["query"].startswith("slow"):
            handler.hang()
        else:
            answer_well(handler, asked)

    server.behave = behave
    slow = [signal(f"a{n}", f"slow{n}") for n in range(4)]
    batch = collect(server, *slow, *(signal(f"b{n}") for n in range(6)), timeout=timedelta(seconds=0.5), concurrency=2)
    assert [failure.key.signal for failure in batch.failures] == ["a0", "a1", "a2", "a3"]
    assert sorted(name for name, _ in values(batch)) == [f"b{n}" for n in range(6)]


def test_no_more_queries_run_at_once_than_allowed(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        deadline = time.monotonic() + 0.3
        while server.most_running < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        answer_well(handler, asked)

    server.behave = behave
    collect(server, *(signal(f"s{n}") for n in range(9)), concurrency=3)
    assert server.most_running == 3


def oversized(handler: Handler, asked: Asked) -> None:
    handler.reply_json(matrix(series(asked.form, {"a": "x" * 5_000})))


def bomb(handler: Handler, _: Asked) -> None:
    handler.reply_packed(b" " * 50_000_000)


def endless(handler: Handler, _: Asked) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(100_000):
        handler.wfile.write(b" " * 65_536)


@pytest.mark.parametrize("behave", [oversized, bomb, endless])
def test_an_oversized_answer_fails_its_signal(server: Hostile, behave: Callable[[Handler, Asked], None]) -> None:
    server.behave = behave
    batch = collect(server, max_answer_bytes=4_000)
    (failure,) = batch.failures
    assert failure.message == "the answer is larger than 0.004 MB"
    assert "max_answer_bytes" in failure.remedy
    # The window of 4 steps is tried whole, halved and as one step.
    assert len(server.asked) == 3


def test_a_window_whose_answer_is_too_large_is_asked_in_parts(server: Hostile) -> None:
    server.behave = lambda h, asked: h.reply_json(matrix(series(asked.form, {"a": "x" * 500}, "1" * 300)))
    batch = collect(server, max_answer_bytes=1_500)
    ((_, found),) = values(batch).items()
    assert [ts for ts, _ in found] == list(WINDOW.steps())
    assert batch.samples.series.height == 1
    assert len(server.asked) == 3


# connections


def test_a_closed_connection_is_tried_again(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        match len(server.asked):
            case 1:
                handler.hang_up()
            case 2:
                handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"status":"success"')
                handler.hang_up()
            case _:
                answer_well(handler, asked)

    server.behave = behave
    assert len(values(collect(server))) == 1
    assert len(server.asked) == 3


def test_a_connection_that_always_breaks_is_an_error(server: Hostile) -> None:
    server.behave = lambda handler, _: handler.hang_up()
    with pytest.raises(SourceError, match="closed before the answer was complete"):
        collect(server, retries=1)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:{port}", "Connection refused"),
        ("http://no-such-host.invalid", "connection to http://no-such-host.invalid failed: "),
        ("http://[::1", "url can't be read"),
        ("http://:9090", "is not a URL"),
        ("http://127.0.0.1:99999", "is not a URL"),
        ("http://a..b/", "is not a URL|connection to"),
    ],
)
def test_an_unreachable_server(url: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        collect(url.format(port=free_port()), signal("a"), signal("b"), retries=0)
    assert caught.value.remedy


def test_rubbish_instead_of_http(server: Hostile) -> None:
    server.behave = lambda handler, _: (handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n"), handler.hang_up())[1]
    with pytest.raises(SourceError, match="connection to"):
        collect(server, retries=0)


# credentials and TLS


def echo(status: int) -> Callable[[Handler, Asked], None]:
    """A server that repeats every header in its error."""
    return lambda handler, asked: api_error(handler, status, "internal", json.dumps(asked.headers))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 503])
@pytest.mark.parametrize(
    ("settings", "header", "sent"),
    [
        ({"bearer": Secret(env="TEST_TOKEN")}, "authorization", f"Bearer {TOKEN}"),
        (
            {"basic": Basic(username="ops", password=Secret(env="TEST_TOKEN"))},
            "authorization",
            "Basic b3BzOnRvay0zZjljMmU3N2Ex",
        ),
        ({"headers": {"X-Api-Key": TOKEN}}, "x-api-key", TOKEN),
    ],
)
def test_credentials_are_sent_and_never_shown(
    server: Hostile, settings: dict[str, Any], header: str, sent: str, status: int
) -> None:
    server.behave = echo(status)
    subject = collector(server, retries=0, **settings)
    try:
        text = str(subject.collect(dict.fromkeys(subject.signals(), WINDOW)).failures)
    except SourceError as error:
        text = str(error)
    text += str(subject.check())
    assert all(asked.headers[header] == sent for asked in server.asked)
    assert "***" in text
    for secret in (TOKEN, "b3BzOnRvay0zZjljMmU3N2Ex"):
        assert secret not in text


def test_a_password_in_the_url_is_used_and_never_shown(server: Hostile) -> None:
    server.behave = echo(403)
    with pytest.raises(SourceError) as caught:
        collect(server.url.replace("//", f"//ops:{TOKEN}@"))
    assert server.asked[0].headers["authorization"] == "Basic b3BzOnRvay0zZjljMmU3N2Ex"
    assert TOKEN not in str(caught.value)
    assert "b3BzOnRvay" not in str(caught.value)


@pytest.mark.parametrize("value", ["line\nbreak-93", "€uro-93"])
@pytest.mark.parametrize("where", ["bearer", "header"])
def test_a_secret_that_no_header_can_hold_is_not_shown(
    server: Hostile, monkeypatch: pytest.MonkeyPatch, value: str, where: str
) -> None:
    monkeypatch.setenv("TEST_TOKEN", value)
    settings: dict[str, Any] = (
        {"bearer": Secret(env="TEST_TOKEN")} if where == "bearer" else {"headers": {"X-K": value}}
    )
    with pytest.raises(SourceError, match="a header holds a sign that HTTP forbids") as caught:
        collect(server, **settings)
    (finding,) = collector(server, **settings).check()
    assert "-93" not in str(caught.value) + finding
    assert server.asked == []


def test_netrc_is_not_consulted(server: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password loot\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    collect(server)
    collect(server, headers={"Authorization": "Custom mine"})
    assert "authorization" not in server.asked[0].headers
    assert server.asked[1].headers["authorization"] == "Custom mine"


def test_a_missing_secret_or_file_says_which(server: Hostile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TEST_TOKEN")
    with pytest.raises(SourceError, match="TEST_TOKEN is not set"):
        collect(server, bearer=Secret(env="TEST_TOKEN"))
    for key in ("ca", "certificate", "key"):
        with pytest.raises(SourceError, match=rf"tls.{key}: .*absent.pem can't be read"):
            collect(server, tls=Tls.model_validate({key: tmp_path / "absent.pem"}))
    assert server.asked == []


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, host: str = "127.0.0.1", *, client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    if client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(own))
    trustme.CA().cert_pem.write_to_path(str(other))
    with hostile_server(tls_server(authority)) as server:
        assert len(values(collect(server, tls=Tls(ca=own)))) == 1
        assert len(values(collect(server, tls=Tls(verify=False)))) == 1
        # The environment may name a bundle; what the settings say goes first.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
        assert len(values(collect(server, tls=Tls(ca=own)))) == 1
        asked = len(server.asked)
        for tls in (Tls(), Tls(ca=other)):
            with pytest.raises(SourceError, match=r"no TLS connection to https://.*: .*certificate") as caught:
                collect(server, tls=tls)
            assert "tls" in caught.value.remedy
        own.write_text("no certificate")
        with pytest.raises(SourceError, match=r"no TLS connection|ca.pem"):
            collect(server, tls=Tls(ca=own))
        assert len(server.asked) == asked


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with (
        hostile_server(tls_server(authority, "elsewhere.example")) as server,
        pytest.raises(SourceError, match=r"no TLS connection .*127.0.0.1"),
    ):
        collect(server, tls=Tls(ca=ca))


def test_client_certificates(authority: trustme.CA, tmp_path: Path) -> None:
    ca, certificate, key, both = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem", "both.pem"))
    authority.cert_pem.write_to_path(str(ca))
    mine = authority.issue_cert("operator@example.org")
    mine.cert_chain_pems[0].write_to_path(str(certificate))
    mine.private_key_pem.write_to_path(str(key))
    mine.private_key_and_cert_chain_pem.write_to_path(str(both))
    with hostile_server(tls_server(authority, client=True)) as server:
        assert len(values(collect(server, tls=Tls(ca=ca, certificate=certificate, key=key)))) == 1
        assert len(values(collect(server, tls=Tls(ca=ca, certificate=both)))) == 1
        asked = len(server.asked)
        with pytest.raises(SourceError, match=r"TLS|connection to"):
            collect(server, tls=Tls(ca=ca), retries=0)
        with pytest.raises(SourceError, match=r"without tls.certificate"):
            collect(server, tls=Tls(ca=ca, key=key))
        assert len(server.asked) == asked


# discovery


def test_check_finds_nothing_wrong_with_a_sane_server(server: Hostile) -> None:
    assert collector(server, signal("a"), signal("b", "b # note")).check() == []
    assert [asked.form["query"] for asked in server.asked] == ["vector(1)", "count(\na\n)", "count(\nb # note\n)"]


def test_check_names_queries_without_series_and_bad_ones(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if "none" in asked.form["query"]:
            handler.reply_json({"status": "success", "data": {"resultType": "vector", "result": []}})
        elif "bad" in asked.form["query"]:
            api_error(handler, 400, "bad_data", "parse error")
        else:
            answer_well(handler, asked)

    server.behave = behave
    findings = collector(server, signal("a", "none"), signal("b", "bad"), signal("c", "good")).check()
    assert findings == [
        "pack/a: the query gives no series now",
        "pack/b: bad_data: parse error. Correct the query",
    ]


def test_check_stops_at_a_server_that_is_not_there(server: Hostile) -> None:
    (finding,) = collector(f"http://127.0.0.1:{free_port()}", signal("a"), signal("b"), retries=0).check()
    assert "Connection refused" in finding
    server.behave = always(body=b"<html>", kind="text/html")
    (finding,) = collector(server, signal("a"), signal("b")).check()
    assert "no answer of a Prometheus API" in finding


def test_check_warns_of_credentials_without_tls() -> None:
    findings = collector("http://prometheus.invalid", bearer=Secret(env="TEST_TOKEN"), retries=0).check()
    assert findings[0] == "credentials travel unencrypted to prometheus.invalid. Use https in url"
    assert "not verified" in collector("https://x.invalid", tls=Tls(verify=False), retries=0).check()[0]


def test_available(server: Hostile) -> None:
    assert collector(server).available(["up", "down"]) == {"up"}
    server.behave = always(body=b"[]")
    with pytest.raises(SourceError, match="no Prometheus API"):
        collector(server).available(["up"])
    server.behave = echo(403)
    with pytest.raises(SourceError, match=r"HTTP 403.*\*\*\*") as caught:
        collector(server, bearer=Secret(env="TEST_TOKEN")).available(["up"])
    assert TOKEN not in str(caught.value)


# targets as an inventory


def targets(server: Hostile, *labels: Any, **more: Any) -> inventory.InventoryTargets:
    answer = {"status": "success", "data": {"activeTargets": [{"labels": one} for one in labels]}}
    server.behave = lambda handler, _: handler.reply_json(answer)
    source = {"name": "t", "type": "prometheus_targets", "platform": "pack", "url": server.url, **more}
    return inventory.InventoryTargets(InventoryTargets.model_validate(source))


def test_the_targets_of_a_machine_are_one_resource(server: Hostile) -> None:
    found = targets(
        server,
        {"instance": "db-1:9100", "job": "node", "az": "b"},
        {"instance": "db-1:9187", "job": "postgres", "az": "c"},
        {"instance": "db-1:9308", "job": "node", "az": ""},
        {"instance": "[fd00::1]:9100", "job": "node", "az": "a"},
        {"instance": "plain"},
        labels={"zone": "az"},
    ).load()
    assert [(r.key, r.kind, r.zone, r.attributes) for r in found] == [
        ("pack/[fd00::1]", "host", "a", {"jobs": "node"}),
        ("pack/db-1", "host", "b", {"jobs": "node, postgres"}),
        ("pack/plain", "host", "", {}),
    ]
    assert server.asked[0].form == {"state": "active"}


def test_a_service_keeps_its_port_and_names_its_host(server: Hostile) -> None:
    labels = [{"instance": "10.0.0.1:80", "node": "h1"}, {"instance": "10.0.0.1:81", "node": "h1"}]
    found = targets(server, *labels, kind="service", labels={"host": "node"}).load()
    assert [(r.id, r.host) for r in found] == [("10.0.0.1:80", "h1"), ("10.0.0.1:81", "h1")]
    found = targets(server, *labels, kind="vm", labels={"host": "node"}).load()
    assert [(r.id, r.host) for r in found] == [("h1", "")]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"job": "x\x1b"}, "without the label instance"),
        ({"instance": "h" * 300}, "id: "),
        ({"instance": 5}, "not texts"),
        ("text", "not texts"),
    ],
)
def test_unusable_targets(server: Hostile, labels: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        targets(server, labels).load()
    assert "\x1b" not in str(caught.value)


def test_no_list_of_targets(server: Hostile) -> None:
    subject = targets(server)
    for body in (b"<html>", b"[]", b'{"data":{}}', b'{"data":{"activeTargets":[1]}}', b'{"data":{"activeTargets":5}}'):
        server.behave = always(body=body)
        with pytest.raises(SourceError, match="no list of targets"):
            subject.load()
    server.behave = hang
    slow = targets(server, timeout=timedelta(seconds=0.5))
    server.behave = hang
    with pytest.raises(SourceError, match=r"within 0.5 s"):
        slow.load()


def test_frames_are_the_same_whatever_answers_first(server: Hostile) -> None:
    def behave(handler: Handler, asked: Asked) -> None:
        if asked.form["query"] == late:
            time.sleep(0.1)
        answer_well(handler, asked)

    server.behave = behave
    batches = []
    for late in ("a", "b", "c"):  # noqa: B007 - the server looks at it
        batches += [collect(server, signal("a"), signal("b"), signal("c"))]
    for batch in batches[1:]:
        assert batch.samples.series.equals(batches[0].samples.series)
        assert batch.samples.samples.equals(batches[0].samples.samples)
        assert batch.samples.coverage.equals(batches[0].samples.coverage)
    assert batches[0].samples.series["sid"].to_list() == [0, 1, 2]
