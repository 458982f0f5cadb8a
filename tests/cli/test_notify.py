"""`controlplane notify`: tests of channels, dead letters and what became of messages."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.model.events import Draft
from controlplane.model.notifications import Delivery
from controlplane.model.payloads import NotificationDelivered, NotificationQueued
from tests.cli.conftest import Run
from tests.notify_cases import at, message
from tests.provider_proxy import (
    CHANNEL,
    HOOKS,
    PAGERDUTY,
    ROUTING_KEY,
    SECRETS,
    TOKEN,
    WEBHOOK,
    Providers,
    Reply,
    providers_on_loopback,
)

__all__ = ["providers_on_loopback"]

SETTINGS = """
environment: staging
notify:
  timeout: 2s
  channels:
  - {name: hook, url: {env: URL_HOOK}}
  - {name: bot, url: {env: URL_BOT}}
  - {name: pager, url: {env: URL_PAGER}, rate: 60/m}
"""
ROUTED = """\
  route:
    channels: [hook]
    routes:
    - {match: [severity="critical"], channels: [pager]}
    - {match: [severity="info"], channels: []}
"""


@pytest.fixture
def configured(here: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three channels whose providers are on loopback, and nothing else."""
    monkeypatch.setenv("URL_HOOK", f"slackops://hooks/{'/'.join(WEBHOOK)}")
    monkeypatch.setenv("URL_BOT", f"slackops://bot/{TOKEN}/{CHANNEL}")
    monkeypatch.setenv("URL_PAGER", f"pdevents://{ROUTING_KEY}")
    (here / "controlplane.yaml").write_text(SETTINGS)
    return here


def silent(*texts: str) -> None:
    assert not [secret for secret in SECRETS for text in texts if secret in text]


def test_a_test_reaches_every_channel_and_says_that_it_is_one(run: Run, configured: Path, providers: Providers):
    done = run("notify", "test", "--json")
    assert done.code == 0, done.err
    assert [(one["channel"], one["kind"], one["delivered"]) for one in done.json] == [
        ("hook", "slack", True),
        ("bot", "slack", True),
        ("pager", "pagerduty", True),
    ]
    assert all(0 < one["seconds"] < 2 for one in done.json)
    assert done.json[1]["reference"].startswith("C0123456789/1700000000.")
    for body in providers.slack:
        assert body["text"].startswith("TEST: the channel ")
        assert "ada asked for this test. Nothing is wrong" in json.dumps(body)
    trigger, resolve = (request.body for request in providers.to(PAGERDUTY))
    assert trigger["payload"]["summary"].startswith("TEST: the channel pager works")
    assert trigger["payload"]["severity"] == "info"
    assert (resolve["event_action"], resolve["dedup_key"]) == ("resolve", trigger["dedup_key"])
    assert providers.open_incidents() == set(), "the page of the test is ended"
    assert not (configured / ".controlplane" / "events.db").exists(), "nothing is recorded"
    silent(done.out, done.err)


def test_a_test_of_a_route_reaches_its_channels_alone(run: Run, configured: Path, providers: Providers):
    (configured / "controlplane.yaml").write_text(SETTINGS + ROUTED)
    done = run("notify", "test", "--route", "0", "--json")
    assert [one["channel"] for one in done.json] == ["pager"]
    assert not providers.slack
    for path, why in (("7", "there is no route 7; there is root, 0, 1"), ("1", "the route 1 tells nobody")):
        refused = run("notify", "test", "--route", path)
        assert refused.code == 2
        assert why in refused.err


def test_a_test_that_fails_says_why(run: Run, configured: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch):
    providers.always(HOOKS, Reply(403, f"no {WEBHOOK[2]}"))
    providers.always(PAGERDUTY, Reply(hang=True))
    monkeypatch.delenv("URL_BOT")
    done = run("notify", "test", "--json")
    assert done.code == 1
    hook, bot, pager = done.json
    assert "HTTP 403" in hook["detail"]
    assert bot["detail"] == "environment variable URL_BOT is not set; set it or use {file: …}"
    assert pager["delivered"] is False
    assert pager["detail"]
    silent(done.out, done.err)
    shown = run("notify", "test", "--channel", "hook")
    assert shown.code == 1
    assert "failed" in shown.out
    assert "pager" not in shown.out


def test_one_channel_may_be_chosen(run: Run, configured: Path, providers: Providers):
    assert run("notify", "test", "--channel", "bot").code == 0
    assert (len(providers.slack), len(providers.requests)) == (1, 1)
    unknown = run("notify", "test", "--channel", "mail")
    assert unknown.code == 2
    assert "there is hook, bot, pager" in unknown.err


def test_without_channels_there_is_nothing_to_test(run: Run, here: Path):
    (here / "controlplane.yaml").write_text("environment: staging\n")
    done = run("notify", "test")
    assert done.code == 1
    assert "add one under notify.channels" in done.err


def queue(folder: Path, name: str, channel: str, incident: str = "inc1") -> None:
    when = datetime.now(UTC)
    said = message(incident=incident, at=when)
    delivery = Delivery(
        id=name,
        channel=channel,
        lane=f"{incident}/{channel}",
        message=said,
        queued_at=when,
        next_attempt_at=when,
    )
    draft = Draft(stream=f"delivery:{name}", key="q", payload=NotificationQueued(delivery=delivery), occurred_at=when)
    with log(folder) as opened:
        opened.append([draft], recorded_at=when)


def log(folder: Path) -> EventLog:
    (folder / ".controlplane").mkdir(exist_ok=True)
    return EventLog.open(f"sqlite:///{folder / '.controlplane' / 'events.db'}")


def test_dead_letters_are_listed_and_sent_again(run: Run, configured: Path, providers: Providers):
    assert run("notify", "dead-letters").out == "No message was given up.\n"
    queue(configured, "letter01", "hook")
    queue(configured, "letter02", "bot", "inc2")
    providers.next_replies(HOOKS, Reply(403, f"no {WEBHOOK[2]}"))
    report = run("deliver", "--json").json
    assert (report["dead_lettered"], report["delivered"]) == (1, 2), "with the message about the dead letter"
    listed = run("notify", "dead-letters", "--json")
    assert listed.code == 1
    (letter,) = listed.json
    assert (letter["id"], letter["channel"], letter["state"], letter["attempts"]) == ("letter01", "hook", "dead", 1)
    assert "HTTP 403" in letter["error"]
    shown = run("notify", "dead-letters")
    assert "letter01" in shown.out
    silent(listed.out, shown.out, shown.err)

    assert run("notify", "retry").code == 2
    assert run("notify", "retry", "letter01", "--all").code == 2
    refused = run("notify", "retry", "letter02")
    assert refused.code == 1
    assert "is delivered" in refused.err
    again = run("notify", "retry", "--all", "--json")
    assert (again.code, again.json) == (0, {"queued": ["letter01"], "refused": {}})
    assert run("notify", "dead-letters", "--json").json == []
    with log(configured) as opened:
        queued = [event for event in opened.read(stream="delivery:letter01") if event.type == "notification_queued.v1"]
    assert [(event.actor, event.correlation) for event in queued] == [("controlplane", ""), ("ada", "operator")]
    assert run("deliver", "--json").json["left"] == 0
    assert len(providers.slack) >= 2
    assert run("notify", "retry", "--all").out == "Nothing was queued again.\n"


def test_status_shows_how_long_messages_took_in_the_last_day(run: Run, configured: Path):
    now = datetime.now(UTC)
    with log(configured) as opened:
        for number, age in [(n, timedelta(hours=25)) for n in (500, 900)] + [(n, timedelta(0)) for n in range(1, 101)]:
            delivered = NotificationDelivered(delivery=f"d{number}", channel="pager", attempts=1, seconds=number)
            draft = Draft(stream=f"delivery:d{number}", key="d", payload=delivered, occurred_at=at(0))
            opened.append([draft], recorded_at=now - age)
    told = run("notify", "status", "--json").json["latency_seconds"]
    assert told == {"pager": {"messages": 100, "p50": 50.0, "p99": 99.0, "longest": 100.0}}
    shown = run("notify", "status")
    assert "99.00 s" in shown.out


def test_up_refuses_to_start_without_its_channels(run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("URL_BOT")
    monkeypatch.setenv("URL_PAGER", f"pdevents://{ROUTING_KEY}?region=mars")
    done = run("up", "--no-tui")
    assert done.code == 2
    bot, pager = done.err.removeprefix("error: ").strip().splitlines()
    assert bot == (
        "settings (notify.channels.bot): can't be loaded (named by the root, route 0): "
        "environment variable URL_BOT is not set; set it or use {file: …}"
    )
    assert "notify.channels.pager): can't be loaded (named by route 0): the URL in" in pager
    silent(done.out, done.err)
    assert not (configured / ".controlplane" / "dagster").exists()


def test_a_tick_tells_of_channels_that_are_missing_and_uses_the_others(
    run: Run, configured: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("URL_BOT")
    queue(configured, "one", "hook")
    done = run("tick", "--json")
    assert done.code == 1
    assert [problem.partition(":")[0] for problem in done.json["channel_problems"]] == [
        "settings (notify.channels.bot)"
    ]
    assert "URL_BOT is not set" in done.err
    assert done.json["delivered"]["delivered"] == 1


def test_doctor_finds_channels_that_are_missing_and_dead_letters(
    run: Run, configured: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("URL_BOT")
    queue(configured, "letter", "hook")
    providers.next_replies(HOOKS, Reply(410, "channel_is_archived"))
    run("deliver")
    found = {(one["name"], one["verdict"]): one for one in run("doctor", "--json").json}
    assert found["pager", "ok"]["message"] == "pagerduty channel is ready, at most 60/m (nothing was sent)"
    assert found["hook", "ok"]["message"].startswith("slack channel is ready, at most 1/s")
    assert "2 routes would tell nobody there" in json.dumps(list(found.values()))
    assert "1 message given up, the last one to hook: HTTP 410" in found["dead letters", "warn"]["message"]
    assert "retry --all" in found["dead letters", "warn"]["remedy"]


def test_follow_has_no_document(run: Run, configured: Path):
    assert run("deliver", "--follow", "--json").code == 2
