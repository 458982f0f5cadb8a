"""What providers are sent: complete, within their limits, and harmless whatever the labels hold."""

import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.errors import ControlplaneError
from controlplane.model.notifications import Action, Message, Shown, Subject
from controlplane.model.severity import Severity
from controlplane.notify.addresses import kind_of, own, scrub, secrets_of
from controlplane.notify.mail import html
from controlplane.notify.message import fit
from controlplane.notify.pagerduty import pagerduty, size
from controlplane.notify.plain import Space, text
from controlplane.notify.preview import Kind, bodies, render, render_for
from controlplane.notify.slack import escape, slack
from controlplane.notify.thread import Thread, change, edit, superseded, thread_of
from tests.notify_cases import advice, at, channel, member, message
from tests.provider_proxy import block_kit_problem

HOSTILE = (
    "<!channel> @channel @here",
    "<@U123> <https://evil.example|click>",
    "\x1b[31mred\x1b[0m\x07\x00",
    "x" * 10_000,
    "\u202egnp.exe\u202c\u2066\u200b\ufeff",
    "a\r\nb\tc\u2028d",
    "&amp;&lt;!everyone&gt;",
    "`code` *bold* ~strike~ _it_",
    "'; DROP TABLE events; --",
    "😀" * 3_000,
    "[b]markup[/b] {value} %s",
    "&" * 10_000,
)
SHOWN = Shown(
    channel="slack",
    dedup_key="d" * 64,
    reference="C1/1.0",
    action=Action.TRIGGER,
    severity=Severity.CRITICAL,
    firing=3,
)
hostile_text = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=300), st.text(alphabet="<>&@!|\x1b\u202e😀", max_size=4_000)
)


def everywhere(bad: str, count: int = 20, action: Action = Action.TRIGGER) -> Message:
    """A message that has the text in every field that comes from outside."""
    members = [
        member("m", labels={bad: bad, "b": bad}, summary=bad, threshold=bad, unit=bad, firing=action is Action.TRIGGER)
        for _ in range(count)
    ]
    short = advice(title=bad, change=bad, per_month=bad, one_off=bad, survives=bad, first_command=bad)
    return message(
        action=action,
        title=bad,
        component=bad,
        platform=bad,
        rule=bad,
        environment=bad,
        runbook=bad,
        members=tuple(members),
        firing=1_000,
        inhibited=1_000,
        hidden=tuple(members[:5]),
        repeated=True,
        note=bad,
        impact=(bad,) * 8,
        check=f"{bad}\n{bad}\n{bad}",
        advice=(short, short, short),
    )


def strings(value: Any) -> list[str]:
    """Every text in a body, keys included."""
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in (*strings(k), *strings(v))]
    if isinstance(value, list):
        return [s for v in value for s in strings(v)]
    return [value] if isinstance(value, str) else []


def units(value: str) -> int:
    return len(value.encode("utf-16-le")) // 2


def assert_harmless(body: dict[str, Any], allowed: str = "") -> None:
    for found in strings(body):
        bad = [c for c in found if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in allowed]
        assert not bad, (found[:80], bad)


def assert_slack_is_fine(body: dict[str, Any]) -> None:
    assert block_kit_problem(body) == ""
    assert 0 < len(body["blocks"]) <= 50
    for block in body["blocks"]:
        parts = [block.get("text"), *(block["elements"] if block["type"] == "context" else [])]
        for part in parts:
            if part is None:
                continue
            limit = 150 if block["type"] == "header" else 3_000
            assert 0 < units(part["text"]) <= limit
            shown = re.sub(r"<https?://[^<>|]*\|Runbook>", "", part["text"])
            assert not re.search(r"[<>]", shown), shown
            assert not re.search(r"&(?!(?:amp|lt|gt);)", shown), shown
            assert not re.search(r"@(?:channel|here|everyone)\b", shown, re.IGNORECASE), shown
            assert part["type"] == "plain_text" or part["verbatim"] is True
    assert not re.search(r"[<>]", body["text"])
    assert (body["parse"], body["link_names"]) == ("none", False)
    assert_harmless(body, "\n")


def assert_pagerduty_is_fine(body: dict[str, Any]) -> None:
    assert 0 < len(body["dedup_key"]) <= 255
    assert size(body) <= 512_000
    assert len(json.dumps(body, ensure_ascii=False).encode()) == size(body)
    if body["event_action"] == "trigger":
        payload = body["payload"]
        assert 0 < units(payload["summary"]) <= 1_024
        assert payload["source"]
        assert payload["severity"] in {"critical", "warning", "info"}
        assert "\n" not in payload["summary"]
    assert_harmless(body, "\n")


@pytest.mark.parametrize("bad", HOSTILE)
@pytest.mark.parametrize("action", list(Action))
def test_hostile_text_is_harmless_everywhere(bad: str, action: Action):
    said = everywhere(bad, action=action)
    assert_slack_is_fine(slack(said))
    assert_pagerduty_is_fine(pagerduty(said))
    plain = text(said)
    assert units(plain["title"]) <= 250
    assert_harmless(plain, "\n")


@given(hostile_text, st.integers(0, 20))
def test_any_text_is_harmless_everywhere(bad: str, count: int):
    said = everywhere(bad, count)
    assert_slack_is_fine(slack(said))
    assert_pagerduty_is_fine(pagerduty(said))
    assert_harmless(text(said), "\n")


@given(st.text(alphabet="<>&@channel here😀", max_size=400), st.integers(5, 300))
def test_an_escaped_text_fits_and_no_entity_is_cut(bad: str, limit: int):
    escaped = escape(bad, limit)
    assert units(escaped) <= limit
    assert not re.search(r"&(?!(?:amp|lt|gt);)|[<>]", escaped)
    if units(bad) * 5 <= limit:
        assert len(escaped) >= len(bad)


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("😀😀", 4, "😀😀"), ("😀😀", 3, "😀…"), ("a😀b", 3, "a…"), ("", 1, "")],
)
def test_fit_counts_utf16_units_and_splits_no_character(value: str, limit: int, expected: str):
    assert fit(value, limit) == expected
    assert units(expected) <= limit


def test_slack_says_everything_an_engineer_needs():
    said = message(firing=3, resolved=1)
    body = slack(said)
    assert body["blocks"][0]["text"]["text"] == "🔴 CRITICAL firing (3 alerts): Kafka consumer group is behind"
    shown = "\n".join(strings(body["blocks"]))
    for expected in (
        "catalyst / kafka (production)",
        "3 alerts firing, 1 resolved since 2026-03-01 02:00:00 UTC (2m 15s)",
        "*billing is 412,000 messages behind*\n412,000 messages, threshold &gt; 100000 · consumer_group=billing",
        "consumer_group=billing",
        "since 2026-03-01 02:00:00 UTC",
        "… and 2 more",
        "Add consumers to billing: 4 consumers → 7 consumers",
        "Cost: $9,702 per month, $0 one-off",
        "Survives: yes, loss of a zone",
        "First command: kubectl scale deployment/billing --replicas=7",
        "Incident inc0123456789abc",
        "Rule catalyst-kafka-consumer-lag",
        "<https://runbooks.example/kafka-consumer-lag|Runbook>",
    ):
        assert expected in shown
    assert body["text"].startswith("CRITICAL firing (3 alerts): Kafka consumer group is behind · catalyst / kafka")


def test_a_resolve_says_that_it_is_over():
    said = message(
        action=Action.RESOLVE, firing=0, resolved=2, members=(member("billing", firing=False),), advice=(), at=at(600)
    )
    shown = "\n".join(strings(slack(said)))
    assert "RESOLVED: Kafka consumer group is behind" in shown
    assert "2 alerts resolved after 10m, began 2026-03-01 02:00:00 UTC" in shown
    assert "… and 1 more" in shown
    assert pagerduty(said) == {"event_action": "resolve", "dedup_key": "d" * 64}
    assert text(said)["title"] == "RESOLVED: Kafka consumer group is behind"


@pytest.mark.parametrize("severity", list(Severity))
def test_pagerduty_has_every_field(severity: Severity):
    body = pagerduty(message(severity=severity))
    assert body["event_action"] == "trigger"
    assert body["dedup_key"] == "d" * 64
    assert body["client"] == "controlplane (production)"
    assert body["links"] == [{"href": "https://runbooks.example/kafka-consumer-lag", "text": "Runbook"}]
    payload = body["payload"]
    assert payload["severity"] == severity.value
    assert payload["source"] == "production/catalyst/kafka"
    assert (payload["component"], payload["group"]) == ("kafka", "catalyst")
    assert payload["class"] == "catalyst-kafka-consumer-lag"
    assert payload["timestamp"] == "2026-03-01T02:02:15.000+00:00"
    assert payload["summary"].endswith("catalyst / kafka (production) · billing is 412,000 messages behind")
    details = payload["custom_details"]
    assert details["evidence"][0]["value"] == "412,000 messages, threshold > 100000"
    assert details["recommendations"][0]["cost_per_month"] == "$9,702"
    assert details["recommendations"][0]["survives"] == "yes, loss of a zone"
    assert details["incident"] == "inc0123456789abc"


@pytest.mark.parametrize(
    ("runbook", "linked"),
    [
        (None, False),
        ("kafka-consumer-lag", False),
        ("javascript:alert(1)", False),
        ("https://wiki/a b", False),
        ("https://wiki/a|b>", True),
    ],
)
def test_only_a_url_becomes_a_link(runbook: str | None, linked: bool):
    said = message(runbook=runbook)
    assert bool(pagerduty(said)["links"]) is linked
    sections = [block["text"]["text"] for block in slack(said)["blocks"] if block["type"] == "section"]
    assert any(section.startswith("<http") for section in sections) is linked
    if linked:
        assert "<https://wiki/a%7Cb&gt;|Runbook>" in sections


def test_evidence_is_cut_before_the_event_is_too_large():
    labels = {f"label{n}": "😀" * 200 for n in range(40)}
    said = message(members=tuple(member(f"m{n}", labels=labels) for n in range(20)))
    body = pagerduty(said)
    kept = len(body["payload"]["custom_details"]["evidence"])
    assert 0 < kept < 20
    assert size(body) <= 511_000


@pytest.mark.parametrize(
    ("url", "kind", "rewritten"),
    [
        ("slackops://hooks/T/B/X", Kind.SLACK, None),
        ("slackops://bot/xoxb-1/C0123456789", Kind.SLACK, None),
        ("https://hooks.slack.com/services/T0/B0/X0", Kind.SLACK, "slackops://hooks/T0/B0/X0"),
        ("slack://T0/B0/X0", Kind.SLACK, "slackops://hooks/T0/B0/X0"),
        ("slack://xoxb-1-a/#ops", Kind.SLACK, "slackops://bot/xoxb-1-a/%23ops"),
        ("slack://xoxb-1-a/#ops/#more", Kind.TEXT, None),
        ("pdevents://KEY", Kind.PAGERDUTY, None),
        ("PDEVENTS://KEY?region=eu", Kind.PAGERDUTY, None),
        ("pagerduty://KEY@api", Kind.PAGERDUTY, "pdevents://KEY"),
        ("pagerduty://KEY@api/source/part?region=eu", Kind.PAGERDUTY, "pdevents://KEY?region=eu"),
        ("mailtos://user:password@example.org", Kind.TEXT, None),
        ("https://hooks.slack.com.evil.example/services/T/B/X", Kind.TEXT, None),
        ("", Kind.TEXT, None),
    ],
)
def test_the_url_tells_the_kind(url: str, kind: Kind, rewritten: str | None):
    assert kind_of(url) is kind
    assert own(url) == (rewritten or url)


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("slackops://hooks/T0AA/B0BB/s3cr3t", ["T0AA", "B0BB", "s3cr3t", "T0AA/B0BB/s3cr3t"]),
        ("pdevents://0123456789abcdef?region=eu", ["0123456789abcdef"]),
        ("mailtos://me:p%40ssw0rd@example.org?smtp=x&name=tok%2Fen", ["p%40ssw0rd", "p@ssw0rd", "tok/en", "tok%2Fen"]),
        ("not a url/with-secret", ["with-secret"]),
        ("http://[broken/secret", ["secret"]),
    ],
)
def test_every_form_of_a_secret_is_scrubbed(url: str, secrets: list[str]):
    hidden = secrets_of(url)
    for secret in (*secrets, url):
        shown = scrub(f"POST to {secret} failed", hidden)
        assert secret not in shown
        assert shown.startswith("POST to ")


def test_preview_shows_the_body_without_secrets(monkeypatch: pytest.MonkeyPatch):
    said = message()
    for url, kind in (("slackops://hooks/T/B/topsecret", Kind.SLACK), ("pdevents://topsecret", Kind.PAGERDUTY)):
        monkeypatch.setenv("URL_X", url)
        shown = render_for(channel("x"), said)
        assert (shown["channel"], shown["kind"], shown["body"]) == ("x", kind.value, render(kind, said))
        assert "topsecret" not in json.dumps(shown)
    monkeypatch.delenv("URL_X")
    with pytest.raises(ControlplaneError, match="URL_X is not set"):
        render_for(channel("x"), said)


HIDDEN = tuple(member(f"db{n}", summary=f"db{n} is down", labels={"host": f"db{n}"}) for n in range(5))


def test_a_repetition_says_that_nothing_is_new():
    said = message(repeated=True, firing=3)
    assert text(said)["title"] == "CRITICAL still firing (3 alerts): Kafka consumer group is behind"
    assert slack(said)["blocks"][0]["text"]["text"] == f"🔴 {text(said)['title']}"
    assert pagerduty(said)["payload"]["summary"].startswith(text(said)["title"])
    assert pagerduty(said)["payload"]["custom_details"]["state"] == "CRITICAL still firing"
    assert "still" not in str(slack(message()))


def test_what_is_muted_by_it_is_counted_and_named_everywhere():
    said = message(inhibited=412, hidden=HIDDEN)
    lines = text(said)["body"].splitlines()
    assert lines[1].endswith("; it mutes 412 alerts")
    start = lines.index("Muted by it:")
    assert lines[start - 1] == ""
    assert [line[:8] for line in lines[start + 1 : start + 6]] == [f"- db{n} is" for n in range(5)]
    assert lines[start + 6] == "… and 407 more"
    (block,) = [b["text"]["text"] for b in slack(said)["blocks"] if "Muted" in str(b)]
    assert block.splitlines()[0] == "*Muted by it:*"
    assert block.count("• db") == 5
    assert block.endswith("… and 407 more")
    muted = pagerduty(said)["payload"]["custom_details"]["muted_by_it"]
    assert (len(muted), muted[0][:11], muted[5]) == (6, "db0 is down", "… and 407 more")
    assert "muted_by_it" not in pagerduty(message())["payload"]["custom_details"]


def test_what_the_control_plane_says_of_itself_has_no_threshold_and_says_what_to_do():
    letter = member("d1", summary="“Lag”: HTTP 403", threshold="", value=None, unit="", labels={})
    said = message(
        subject=Subject.SELF, title="Messages to slack are given up", members=(letter,), note="See x", advice=()
    )
    assert text(said)["title"] == "CRITICAL: Messages to slack are given up"
    assert "1 message given up since" in text(said)["body"]
    assert "- “Lag”: HTTP 403 · since" in text(said)["body"]
    assert "\nSee x\n" in text(said)["body"]
    details = pagerduty(said)["payload"]["custom_details"]
    assert details["note"] == "See x"
    assert "value" not in details["evidence"][0]
    assert any(b.get("text", {}).get("text") == "See x" for b in slack(said)["blocks"])
    over = said.model_copy(update={"action": Action.RESOLVE, "members": (), "firing": 0, "resolved": 7, "note": ""})
    assert text(over)["title"].startswith("RESOLVED: ")
    assert "messages get through again" in text(over)["body"]
    assert "more" not in text(over)["body"]


def test_superseded_pages_are_ended_after_the_new_one_and_at_pagerduty_alone():
    said = message(superseded=("a" * 64, "b" * 300))
    made = bodies(Kind.PAGERDUTY, said)
    assert [body["event_action"] for body in made] == ["trigger", "resolve", "resolve"]
    assert [body["dedup_key"] for body in made] == ["d" * 64, "a" * 64, "b" * 255]
    assert len(bodies(Kind.SLACK, said)) == len(bodies(Kind.TEXT, said)) == 1


def test_every_channel_says_how_far_it_reaches_and_what_to_check_first():
    said = message(
        impact=("zone b: 4 alerts on 3 of 9 hosts",), check="Is it one?\nkafka --describe \\\n  --group a && b"
    )
    body = text(said)["body"]
    assert "\nReach\n- zone b: 4 alerts on 3 of 9 hosts\n" in body
    assert "\nFirst check: Is it one?\n  kafka --describe \\\n    --group a && b\n" in body
    sections = [block["text"]["text"] for block in slack(said)["blocks"] if block["type"] == "section"]
    assert "*Reach*\n• zone b: 4 alerts on 3 of 9 hosts" in sections
    assert "*First check* Is it one?\n```\nkafka --describe \\\n  --group a &amp;&amp; b\n```" in sections
    details = pagerduty(said)["payload"]["custom_details"]
    assert details["reach"] == ["zone b: 4 alerts on 3 of 9 hosts"]
    assert details["first_check"] == "Is it one?\nkafka --describe \\\n  --group a && b"
    page = html(said)
    assert "zone b: 4 alerts on 3 of 9 hosts" in page
    assert "kafka --describe \\\n  --group a &amp;&amp; b</pre>" in page


def test_a_command_cannot_leave_its_block():
    (found,) = [
        block["text"]["text"]
        for block in slack(message(check="?\necho ``` <!here> ```"))["blocks"]
        if "First check" in str(block)
    ]
    assert found.count("```") == 2
    assert "<!here>" not in found


BUTTONS = [("acknowledge", "Acknowledge"), ("silence_1h", "Silence 1 h")]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"repeated": True}, True),
        ({"action": Action.RESOLVE}, False),
        ({"action": Action.ACKNOWLEDGE}, False),
        ({"subject": Subject.SELF}, False),
        ({"subject": Subject.TEST}, False),
    ],
)
def test_what_fires_has_buttons_where_somebody_receives_them(changes: dict[str, Any], shown: bool):
    said = message(**changes)
    actions = [block for block in slack(said, buttons=True)["blocks"] if block["type"] == "actions"]
    assert [block for block in slack(said)["blocks"] if block["type"] == "actions"] == []
    assert bool(actions) is shown
    if shown:
        assert actions[0]["block_id"] == "controlplane"
        found = [(one["action_id"], one["text"]["text"], one["value"]) for one in actions[0]["elements"]]
        assert found == [(action, label, said.dedup_key) for action, label in BUTTONS]


def test_an_acknowledgement_goes_to_the_same_key():
    said = message(action=Action.ACKNOWLEDGE, note="acknowledged by mira")
    assert pagerduty(said) == {"event_action": "acknowledge", "dedup_key": "d" * 64}
    assert slack(said)["blocks"][0]["text"]["text"].startswith("👀 CRITICAL acknowledged")
    assert "Acknowledged by mira" in json.dumps(slack(said))


class _Reader(HTMLParser):
    """What of a page is text, and which tags and links it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"} or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


_TAGS = {"html", "head", "meta", "style", "body", "table", "tr", "td", "div", "img", "br", "pre", "a"}


@pytest.mark.parametrize(
    "bad", [*HOSTILE, "<script>alert(1)</script><img src=x onerror=alert(1)>", '"><a href="//evil">']
)
@pytest.mark.parametrize("action", list(Action))
def test_no_text_becomes_markup_in_a_mail(bad: str, action: Action):
    found = _Reader(html(everywhere(bad, action=action), picture=True))
    assert found.tags <= _TAGS
    assert found.links == ["cid:chart.png"]
    assert not [c for c in found.text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"]
    assert len(found.text) < 60_000


def test_a_mail_links_to_the_runbook_and_is_coloured_by_state():
    page = html(message(check="?\nx"))
    assert _Reader(page).links == ["https://runbooks.example/kafka-consumer-lag"]
    assert 'bgcolor="#b3261e"' in page
    assert 'bgcolor="#1e6b34"' in html(message(action=Action.RESOLVE))


THREADS: list[tuple[dict[str, Any], str, bool]] = [
    ({"firing": 5}, "+2 alerts, 5 firing", False),
    ({"firing": 4}, "+1 alert, 4 firing", False),
    ({"firing": 2, "resolved": 1}, "−1 alert, 2 firing, 1 resolved", False),
    ({"firing": 3}, "3 firing", False),
    ({"firing": 1_003}, "+1,000 alerts, 1,003 firing", False),
    ({"firing": 3, "repeated": True, "at": at(4 * 3_600)}, "Still firing after 4h, 3 firing", True),
    ({"firing": 3, "note": "level 2: told ada"}, "3 firing. Level 2: told ada", True),
    ({"action": Action.ACKNOWLEDGE, "note": "acknowledged by mira"}, "Acknowledged by mira", False),
    ({"action": Action.ACKNOWLEDGE}, "Acknowledged", False),
    ({"action": Action.RESOLVE, "at": at(125)}, "Resolved after 2m 5s", False),
]


@pytest.mark.parametrize(("changes", "said", "shown"), THREADS)
def test_what_changed_is_a_line_in_the_thread(changes: dict[str, Any], said: str, shown: bool):
    made = edit(message(**changes), SHOWN, slack(message(**changes)))
    assert made.reply is not None
    assert (made.reply["text"], made.reply.get("reply_broadcast", False)) == (said, shown)
    assert set(made.body) == {"text", "blocks", "parse", "link_names"}


def test_what_got_worse_is_said():
    shown = SHOWN.model_copy(update={"severity": Severity.WARNING})
    assert change(message(firing=3), shown) == "Now CRITICAL, was WARNING, 3 firing"


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_text_is_harmless_in_a_thread(bad: str):
    for action in Action:
        said = everywhere(bad, action=action)
        for made in (edit(said, SHOWN, slack(said)), superseded(said, SHOWN)):
            for body in (made.body, *([made.reply] if made.reply else [])):
                assert_slack_is_fine({"link_names": False, "parse": "none", **body})


def test_an_earlier_page_is_told_when_the_new_one_begins_and_at_the_end():
    rows = {"slack/old": SHOWN, "slack/" + "d" * 64: SHOWN.model_copy(update={"reference": "C1/2.0"})}
    said = message(superseded=("old", "unknown"))
    assert thread_of("slack", said, {"slack/old": SHOWN}.get) == Thread(None, (SHOWN,))
    assert thread_of("slack", said, rows.get).superseded == ()
    assert thread_of("slack", said.model_copy(update={"action": Action.RESOLVE}), rows.get).superseded == (SHOWN,)
    assert thread_of("other", said, rows.get) == Thread()


@pytest.mark.parametrize(
    ("before", "now", "kept"),
    [
        (before, now, (before, now) != (Action.RESOLVE, Action.TRIGGER))
        for before in (Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE)
        for now in (Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE)
    ],
)
def test_only_a_page_that_fires_after_its_end_was_shown_is_posted_anew(before: Action, now: Action, kept: bool):
    shown = SHOWN.model_copy(update={"action": before})
    rows = {"slack/old": SHOWN, "slack/" + "d" * 64: shown}
    thread = thread_of("slack", message(action=now, superseded=("old",)), rows.get)
    assert thread.shown == (shown if kept else None)
    assert thread.superseded == (() if kept and now is not Action.RESOLVE else (SHOWN,))


def long(**changes: Any) -> Message:
    """What a storm sends: 20 alerts listed, with everything else that there may be."""
    members = tuple(member(f"g{n:02}", labels={"consumer_group": f"g{n:02}" * 9}) for n in range(20))
    known = {"members": members, "firing": 30, "inhibited": 412, "hidden": HIDDEN, "note": "level 2: told ada"}
    return message(**{**known, "impact": ("zone b: 30 alerts",), "check": "Is it one?\nkafka --describe", **changes})


PARTS = ("Level 2", "Reach", "First check", "Recommendation\n", "Muted by it")


@pytest.mark.parametrize(
    ("room", "listed", "parts"),
    [
        (None, 20, 5),
        (10_000, 20, 5),
        (4_096, 19, 5),
        (2_000, 5, 5),
        (1_000, 1, 4),
        (600, 1, 3),
        (450, 1, 0),
        (160, 0, 0),
        (67, 0, 0),
    ],
)
def test_a_text_has_fewer_alerts_and_then_less_besides_until_it_fits(room: int | None, listed: int, parts: int):
    said = text(long(), Space(250, room))
    body = said["body"]
    assert room is None or units(said["title"] + body) <= room - 20
    assert body.startswith("catalyst"), "where it is has room in any case"
    found = re.findall(r"^- g\d\d is 412,000 messages behind .*:00 UTC$", body, re.MULTILINE)
    assert len(found) == listed
    assert sum(part in body for part in PARTS) == parts
    assert (f"… and {30 - listed} more" in body) is bool(listed)
    assert ("Incident inc0123456789abc" in body) is bool(listed)


def test_the_last_character_that_fits_decides():
    whole = text(message())
    needed = units(whole["title"] + whole["body"]) + 20
    assert text(message(), Space(250, needed)) == whole
    assert text(message(), Space(250, needed - 1))["body"] != whole["body"]


@given(hostile_text, st.integers(0, 20), st.integers(67, 5_000), st.sampled_from([None, 60, 250]), st.booleans())
def test_any_text_fits_as_it_is_sent(bad: str, count: int, room: int, title: int | None, escaped: bool):
    def taken(value: str) -> int:
        return units(value.replace("&", "&amp;").replace("<", "&lt;") if escaped else value)

    said = text(everywhere(bad, count), Space(title, room, taken))
    assert taken(said["title"]) + taken(said["body"]) <= room
    assert title is None or units(said["title"]) <= title
    assert said["title"]
    assert said["body"]
    assert_harmless(said, "\n")


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        ("@everyone", "＠everyone"),
        ("@channel,@here", "＠channel,＠here"),
        ("x@ALL!", "x＠ALL!"),
        ("@room", "＠room"),
        ("<@U1> <@&7> <@all>", "<＠U1> <＠&7> <＠all>"),
        ("@**all** @*ops* @_**Mira**", "＠**all** ＠*ops* ＠_**Mira**"),
        ("[x](http://evil.example)", "[x]（http://evil.example)"),
        ("mira@example.org @allies @hereby @ all", "mira@example.org @allies @hereby @ all"),
    ],
)
def test_no_text_notifies_everybody_or_hides_where_a_link_leads(bad: str, shown: str):
    said = text(everywhere(bad, 1))
    assert f": {shown}" in said["title"]
    lines = [line for line in said["body"].splitlines() if line.startswith((f"{shown} / ", f"- {shown} [412,000"))]
    assert len(lines) == 3, "place, alert and what it mutes"
    found = re.search(r"@(?:everyone|channel|here|all|room)\b|<@|@_?\*|\]\(", "".join(said.values()), re.IGNORECASE)
    assert found is None
