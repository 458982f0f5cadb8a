"""Charts and mail: drawn for the channels that take them, and never at the cost of the message."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.model.notifications import Chart, Message
from controlplane.model.payloads import NotificationDelivered, NotificationFailed
from controlplane.notify import chart as charts
from controlplane.notify import draw
from controlplane.notify.channels import load_channels
from controlplane.notify.receipt import Attempt, Verdict
from tests.notify_cases import START, alert, channel, member, message, tree
from tests.office import QUICK, Hire, Office, the_office
from tests.provider_proxy import CHANNEL, FILES, HOOKS, SLACK, Reply, providers_on_loopback
from tests.servers_smtp import Mails, mails_on_loopback

__all__ = ["mails_on_loopback", "providers_on_loopback", "the_office"]

FIRST = "1700000000.000001"
PNG = b"\x89PNG\r\n\x1a\n"
_MS = int(START.timestamp() * 1000)


def chart(values: list[float | None], threshold: float | None = 3.0, *, step: int = 15_000, **more: Any) -> Chart:
    at = tuple(_MS + step * number for number in range(len(values)))
    return Chart(alert="a", at_ms=at, values=tuple(values), threshold=threshold, **{"unit": "1", **more})


RISING = chart([float(n) for n in range(20)])


@pytest.fixture(scope="module", autouse=True)
def _artist() -> None:
    """Start the process that draws, so that no test waits for it."""
    draw.picture(RISING, "first", 60)


def drawing(one: Office, made: Chart = RISING) -> Office:
    """The office, with this chart in every message."""
    one.desk.rules = _with(one.desk.rules, chart=lambda _alert, _at: made)
    return one


def _with(rules: Any, **changes: Any) -> Any:
    return type(rules)(**{**{name: getattr(rules, name) for name in rules.__dataclass_fields__}, **changes})


def size(data: bytes) -> tuple[int, int]:
    assert data[:8] == PNG
    return struct.unpack(">II", data[16:24])


def pixels(data: bytes) -> bytes:
    """The decoded rows of an RGBA picture, with their filter bytes."""
    found, place = b"", 8
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        found += data[place + 8 : place + 8 + length] if kind == b"IDAT" else b""
        place += 12 + length
    return zlib.decompress(found)


# drawing

CASES = {
    "rising": RISING,
    "a gap": chart([1, 2, None, None, 3, 4]),
    "missing steps": Chart(alert="a", at_ms=(_MS, _MS + 1000, _MS + 60_000), values=(1, 2, 3), threshold=2, unit="s"),
    "one alone between gaps": chart([1, None, 2, None, 3]),
    "below": chart([5, 4, 3, 2, 1], below=True),
    "nothing": chart([None] * 5),
    "no values at all": chart([]),
    "one value": chart([5.0]),
    "no threshold": chart([1, 2, 3], None),
    "equal": chart([3.0] * 10),
    "zero": chart([0.0] * 10, 0.0),
    "negative": chart([-5, -4, -3], -4.5),
    "huge and tiny": chart([1e-12, 1e18], 1e17),
    "a day": chart([float(n) for n in range(120)], step=900_000),
    "not a number": chart([1.0, float("nan"), float("inf"), 2.0]),
    "hostile unit": chart([1, 2], unit="{$\\frac{x}$<!channel>}"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_every_chart_is_drawn_in_the_same_size_without_a_date(case: str):
    data = charts.png(CASES[case], "db-1 is $full$ \\frac{ 😀 <!channel>")
    assert size(data) == (1_200, 500)
    assert len(data) < 120_000
    assert b"tEXt" not in data, "no software, no date"


def test_the_same_chart_is_the_same_bytes_in_another_process():
    assert draw.picture(RISING, "t", 60) == charts.png(RISING, "t")


def test_what_a_chart_shows_depends_on_gap_threshold_and_side():
    seen = {pixels(charts.png(made, "t")) for made in (RISING, chart([*range(9), None, *range(10, 20)]))}
    seen |= {
        pixels(charts.png(made, "t")) for made in (chart(list(range(20)), 5.0), chart(list(range(20)), below=True))
    }
    assert len(seen) == 4


def test_charts_are_drawn_for_several_threads_as_for_one():
    wanted = dict(list(CASES.items())[:3])
    found: dict[str, bytes] = {}

    def work(name: str) -> None:
        found[name] = draw.picture(wanted[name], name, 60)

    threads = [threading.Thread(target=work, args=(name,)) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {name: charts.png(made, name) for name, made in wanted.items()}


def test_a_process_that_died_is_started_anew_and_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch):
    draw.picture(RISING, "before", 60)
    process = draw._ARTIST._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(draw.CannotDraw, match=r"no chart within 0\.2 s"):
        draw.picture(RISING, "while it hangs", 0.2)
    assert process.poll() is not None
    assert draw.picture(RISING, "after", 60) == charts.png(RISING, "after")
    process = draw._ARTIST._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    assert draw.picture(RISING, "again", 60) == charts.png(RISING, "again")


def test_the_process_that_draws_gets_no_secret_and_says_what_it_cannot_draw(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLACK_URL", "plantedSecret")
    artist = draw._Artist()
    wrong = Chart(alert="a", at_ms=(1, 2), values=(1.0,), threshold=None, unit="1")
    with pytest.raises(draw.CannotDraw, match="ValueError"):
        artist.draw(wrong, "t", 60)
    process = artist._process
    assert process is not None
    assert b"plantedSecret" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    artist._end()


def test_the_caption_is_of_the_alert_that_the_chart_is_of():
    said = message(members=(member("b", summary="b is full"), member("a", summary="a is\x1b full")), chart=RISING)
    assert draw.caption(said) == "a is\N{REPLACEMENT CHARACTER} full"
    assert draw.caption(message(chart=RISING)) == message().title


# Slack


def test_a_chart_follows_into_the_thread_of_its_message(office: Hire):
    one = drawing(office("bot"))
    one.step(0, fire=[alert("a")])
    report = one.deliver()
    assert (report.delivered, report.errors, report.notes) == (1, {}, {})
    (data,) = one.providers.files.values()
    assert size(data) == (1_200, 500)
    assert one.providers.threads[FIRST] == [{"files": ["F00000000"]}]
    begun, uploaded, completed = [r for r in one.providers.requests if "chat" not in r.path]
    assert begun.body == {"filename": "chart.png", "length": str(len(data)), "alt_txt": "a is 412,000 messages behind"}
    assert "authorization" not in uploaded.headers, "the token goes to the API alone"
    assert completed.body["channel_id"] == CHANNEL


FAILURES: list[tuple[str, Reply, str]] = [
    (f"{SLACK}/api/files.getUploadURLExternal", Reply(200, '{"ok": false, "error": "missing_scope"}'), "missing_scope"),
    (f"{SLACK}/api/files.getUploadURLExternal", Reply(503, ""), "HTTP 503"),
    (
        f"{SLACK}/api/files.getUploadURLExternal",
        Reply(200, json.dumps({"ok": True, "upload_url": "https://unknown.example/x", "file_id": "F1"})),
        "outside of slack.com",
    ),
    (FILES, Reply(500, "no"), "HTTP 500"),
    (FILES, Reply(disconnect=True), "may have arrived"),
    (f"{SLACK}/api/files.completeUploadExternal", Reply(200, '{"ok": false, "error": "fatal_error"}'), "fatal_error"),
]


@pytest.mark.parametrize(("place", "reply", "error"), FAILURES)
def test_a_chart_that_cannot_be_uploaded_costs_nothing_but_itself(office: Hire, place: str, reply: Reply, error: str):
    one = drawing(office("bot"))
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(place, reply)
    report = one.deliver()
    assert (report.delivered, report.failed, report.left) == (1, 0, 0)
    assert report.notes["bot"].startswith("the message arrived, its chart didn't: ")
    assert error in report.notes["bot"]
    assert one.events(NotificationFailed) == []
    assert len(one.providers.slack) == 1


def test_a_chart_that_hangs_holds_up_no_message(office: Hire):
    one = drawing(office("bot"))
    one.timeout = timedelta(seconds=3)
    one.providers.next_replies(FILES, Reply(hang=True))
    one.step(0, fire=[alert(f"a{n}", rule=f"rule-{n}") for n in range(3)])
    report = one.deliver()
    assert (report.delivered, report.failed) == (3, 0)
    posted = [request.at for request in one.providers.to(SLACK) if request.path == "/api/chat.postMessage"]
    assert posted[-1] < one.providers.to(FILES)[0].at, "charts wait for messages, messages for no chart"
    assert "no answer within 3 s" in report.notes["bot"]


def test_a_chart_that_cannot_be_drawn_costs_nothing_but_itself(
    office: Hire, mails: Mails, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: Any) -> bytes:
        raise MemoryError("no room for a picture")

    monkeypatch.setattr(draw, "picture", broken)
    one = drawing(office("bot"))
    monkeypatch.setenv("URL_MAIL", mails.url)
    one.declared.append(channel("mail", rate="1000/s"))
    one.desk.route(tree("bot", "mail"), channels=("bot", "mail"))
    drawing(one).step(0, fire=[alert("a")])
    report = one.deliver()
    assert (report.delivered, report.left) == (2, 0)
    assert "no room for a picture" in report.notes["bot"]
    details = {event.channel: event.detail for event in one.events(NotificationDelivered)}
    assert details == {"bot": "", "mail": "sent without its chart: MemoryError: no room for a picture"}
    assert {part.get_content_type() for part in mails.received[0].walk()} == {
        *("multipart/alternative", "text/plain", "text/html")
    }


def test_an_edit_has_no_chart_of_its_own_and_a_reminder_has(office: Hire):
    one = drawing(office("bot"))
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(400, fire=[alert("b")])
    one.deliver()
    assert len(one.providers.files) == 1
    one.step(5 * 3_600)
    one.deliver()
    assert len(one.providers.files) == 2


def test_hooks_and_pagers_get_no_chart_and_nothing_is_drawn_for_them(office: Hire, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draw, "picture", lambda *_: pytest.fail("drawn"))
    one = drawing(office("hook", "pager"))
    one.step(0, fire=[alert("a")])
    report = one.deliver()
    assert (report.delivered, report.errors) == (2, {})
    assert len(one.providers.to(HOOKS)) == 1


# mail


@pytest.fixture
def mail(mails: Mails, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("URL_MAIL", mails.url)
    return load_channels([channel("mail")]).loaded["mail"]


def sent(mail: Any, said: Message) -> Any:
    receipt = mail.send(said, Attempt(QUICK))
    assert receipt.verdict is Verdict.DELIVERED
    return receipt


def test_a_mail_is_html_with_its_chart_in_it_and_plain_text_besides(mail: Any, mails: Mails):
    sent(mail, message(chart=RISING, firing=3, check="Is it one?\nkafka --describe"))
    assert [received["to"] for received in mails.received] == ["ada@example.com", "bob@example.com"]
    received = mails.received[0]
    assert received["subject"] == "CRITICAL firing (3 alerts): Kafka consumer group is behind"
    assert received.get_content_type() == "multipart/related"
    (picture,) = [part for part in received.walk() if part.get_content_type() == "image/png"]
    assert (picture["content-id"], size(picture.get_content())) == ("<chart.png>", (1_200, 500))
    pages = {part.get_content_type(): part.get_content() for part in received.walk() if not part.is_multipart()}
    assert 'src="cid:chart.png"' in pages["text/html"]
    assert "billing is 412,000 messages behind" in pages["text/plain"]
    assert "kafka --describe" in pages["text/plain"]
    assert "<" not in pages["text/plain"]


def test_hostile_text_stays_text_in_a_mail(mail: Any, mails: Mails):
    bad = "<script>alert(1)</script>\r\nBcc: eve@evil.example\r\n\r\n<img src=x onerror=y> <!channel>"
    sent(mail, message(title=bad, members=(member("m", summary=bad, labels={"a": bad}),), note=bad, platform=bad))
    received = mails.received[0]
    assert received["bcc"] is None
    assert "\n" not in received["subject"]
    page = next(part.get_content() for part in received.walk() if part.get_content_type() == "text/html")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "onerror=y&gt;" in page


def test_a_mail_server_that_refuses_is_tried_again(mail: Any, mails: Mails):
    mails.refuse = b"451 later"
    assert mail.send(message(), Attempt(QUICK)).verdict is Verdict.RETRY
    mails.refuse = b""
    sent(mail, message())
    assert len(mails.received) == 2


def test_nothing_loads_matplotlib_but_a_chart():
    code = "import sys, controlplane.notify.worker, controlplane.notify.decide; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
