"""Messages to chats, SMS and pushes of apprise's own plugins: short enough, and nobody is notified by a label."""

import json
import re
from typing import Any

import apprise
import pytest

from controlplane.model.notifications import Message
from controlplane.notify.channels import load_channels
from controlplane.notify.receipt import Attempt, Verdict
from tests.loopback import Handler, http_server
from tests.notify_cases import channel, member, message
from tests.office import QUICK

URLS = {
    "discord": ("discord://1234567890/tokentokentoken", 2_000),
    "telegram": ("tgram://123456789:abcdefghijklmnopqrstuvwxyzabcdefghi/12345", 4_096),
    "twilio": (f"twilio://AC{'a' * 32}:{'b' * 32}@15551233456/15551233457", 160),
    "pushover": (f"pover://{'u' * 30}@{'a' * 30}", 1_024),
    "mattermost": (f"mmost://127.0.0.1/{'a' * 24}", 4_000),
    "markdown": (f"mmost://127.0.0.1/{'a' * 24}?format=markdown", 4_000),
    "zulip": (f"zulip://bot@org/{'a' * 32}/ops", 10_000),
    "pager": (f"splunk://route@{'a' * 36}", 400),
}


def storm(summary: str = "& <b> is *behind*", listed: int = 20) -> Message:
    """Very many alerts, of which a message lists twenty."""
    members = tuple(member(f"g{n:02}", summary=f"g{n:02} {summary}", labels={"a": "<b>" * 30}) for n in range(listed))
    return message(members=members, firing=listed + 10)


@pytest.mark.parametrize("name", list(URLS))
@pytest.mark.parametrize("listed", [1, 8, 20])
def test_a_message_about_many_alerts_is_as_short_as_the_channel_takes(
    name: str, listed: int, monkeypatch: pytest.MonkeyPatch
):
    url, limit = URLS[name]
    monkeypatch.setenv("URL_X", url)
    plugin: Any = type(apprise.Apprise.instantiate(url))
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(
        plugin, "send", lambda self, body, title="", **_: sent.append((title, body)) is None, raising=True
    )
    one = load_channels([channel("x")]).loaded["x"]
    assert one.send(storm(listed=listed), Attempt(QUICK)).verdict is Verdict.DELIVERED
    ((title, body),) = sent
    assert 0 < len(f"{title}\r\n{body}") <= limit
    assert "30 alerts" in title + body if listed == 20 else "alerts" in title + body
    assert "catalyst / kafka" in body.replace("&nbsp;", " ")
    assert not body.endswith(("&", "<", "\\")), "nothing is cut within an entity"
    if limit > 1_024:
        assert "Incident" in body
        assert f"and {listed + 10 - len(re.findall(r'g[0-9][0-9][ &]', body))} more" in body


def test_all_of_it_is_sent_in_parts_where_the_url_asks_for_it(monkeypatch: pytest.MonkeyPatch):
    url = URLS["discord"][0] + "?overflow=split"
    monkeypatch.setenv("URL_X", url)
    sent: list[str] = []
    plugin: Any = type(apprise.Apprise.instantiate(url))
    monkeypatch.setattr(plugin, "send", lambda self, body, **_: sent.append(body) is None)
    load_channels([channel("x")]).loaded["x"].send(storm(), Attempt(QUICK))
    assert len(sent) > 1
    assert all(f"g{n:02} & <b>" in "".join(sent) for n in range(20))


def test_a_chat_that_refuses_what_is_too_long_gets_a_storm_and_no_mention(monkeypatch: pytest.MonkeyPatch):
    bodies: list[str] = []

    class Chat(Handler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
            bodies.append(body)
            self.reply(b"ok", 200 if len(body) <= 4_000 else 400)

    with http_server(Chat) as address:
        monkeypatch.setenv("URL_X", f"mmost://{address}/{'a' * 24}")
        one = load_channels([channel("x")]).loaded["x"]
        receipt = one.send(storm("@channel @all [x](http://evil.example)"), Attempt(QUICK))
    assert (receipt.verdict, len(bodies)) == (Verdict.DELIVERED, 1)
    assert not [found for found in ("@channel", "@all", "](") if found in bodies[0]]
