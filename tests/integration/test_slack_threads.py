"""A page at Slack: a message that is edited in place with its timeline in the thread, over the real plugin and log."""

import json
from typing import Any

import pytest

from controlplane.eventlog.projections import DELIVERIES, OUTBOX, SHOWN
from controlplane.model.events import Draft
from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Action, Delivery, Message
from controlplane.model.payloads import NotificationDelivered, NotificationFailed, NotificationQueued
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.model.views import DeliveryState
from tests.notify_cases import alert, at
from tests.office import Hire, Office, killed_in_the_middle, the_office
from tests.provider_proxy import CHANNEL, HOOKS, PAGERDUTY, SLACK, Reply, providers_on_loopback

__all__ = ["providers_on_loopback", "the_office"]

POST, UPDATE = f"{SLACK}/api/chat.postMessage", f"{SLACK}/api/chat.update"
FIRST = "1700000000.000001"


def heads(one: Office) -> list[str]:
    """The headers of the messages in the channel as they are now."""
    return [body["blocks"][0]["text"]["text"] for body in one.providers.slack]


def replies(one: Office, ts: str = FIRST) -> list[str]:
    return [body["text"] for body in one.providers.threads[ts]]


def methods(one: Office) -> list[str]:
    return [request.path.removeprefix("/api/") for request in one.providers.to(SLACK)]


def no(error: str) -> Reply:
    return Reply(200, json.dumps({"ok": False, "error": error}))


def acknowledge(one: Office, *channels: str, note: str = "Acknowledged by mira") -> None:
    """Queue that somebody has the newest page, as a decision does."""
    last: Message = max(one.events(NotificationQueued), key=lambda event: event.delivery.message.at).delivery.message
    said = last.model_copy(update={"action": Action.ACKNOWLEDGE, "note": note, "superseded": ()})
    drafts = []
    for name in channels:
        lane = f"{said.incident}/{name}"
        delivery = Delivery(
            id=f"ack-{name}",
            channel=name,
            lane=lane,
            message=said,
            queued_at=one.clock(),
            next_attempt_at=one.clock(),
        )
        queued = NotificationQueued(delivery=delivery)
        drafts.append(Draft(stream=f"delivery:{delivery.id}", key="q", payload=queued, occurred_at=one.clock()))
    one.log.append(drafts, recorded_at=one.clock())


def test_a_page_is_one_message_that_is_edited_with_a_timeline_in_its_thread(office: Hire):
    one = office("bot", "pager")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(400, fire=[alert("b"), alert("c")])
    one.deliver()
    acknowledge(one, "bot", "pager")
    one.deliver()
    assert heads(one) == ["👀 CRITICAL acknowledged (3 alerts): Kafka consumer group is behind"]
    assert "Acknowledged by mira" in json.dumps(one.providers.slack[0])
    one.step(800, resolve=["a"])
    one.deliver()
    one.step(7_500, resolve=["b", "c"])
    report = one.deliver()
    assert (report.errors, report.left) == ({}, 0)
    assert heads(one) == ["🟢 RESOLVED: Kafka consumer group is behind"]
    assert replies(one) == [
        "+2 alerts, 3 firing",
        "Acknowledged by mira",
        "−1 alert, 2 firing, 1 resolved",
        "Resolved after 2h 5m",
    ]
    assert {body["thread_ts"] for body in one.providers.threads[FIRST]} == {FIRST}
    assert methods(one) == ["chat.postMessage", *["chat.update", "chat.postMessage"] * 4]
    shown = one.log.row(SHOWN, f"bot/{one.events(NotificationQueued)[0].delivery.message.dedup_key}")
    assert (shown.reference, shown.firing, shown.action) == (f"{CHANNEL}/{FIRST}", 0, Action.RESOLVE)
    assert [request.body["event_action"] for request in one.providers.to(PAGERDUTY)] == [
        *("trigger", "trigger", "acknowledge", "trigger", "resolve")
    ]
    one.step(8_000, fire=[alert("a")])
    one.deliver()
    assert len(one.providers.slack) == 2, "a new episode is a new message"


def test_a_reminder_is_shown_in_the_channel_because_nobody_is_notified_of_an_edit(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(4 * 3600 + 1)
    assert one.deliver().delivered == 1
    (reply,) = one.providers.threads[FIRST]
    assert (reply["text"], reply.get("reply_broadcast")) == ("Still firing after 4h 1s, 1 firing", True)


def test_what_fires_again_within_an_episode_after_its_end_was_told_is_posted_anew(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a"), alert("b")])
    one.deliver()
    one.desk.silences = [
        Silence(
            id="s1",
            matchers=(Matcher.parse("consumer_group=b"),),
            starts_at=at(60),
            ends_at=at(7_200),
            author="ada",
            reason="planned",
            created_at=at(60),
        )
    ]
    one.step(600, resolve=["a"])
    one.deliver()
    assert heads(one) == ["🟢 RESOLVED: Kafka consumer group is behind"]
    one.step(7_200)
    assert one.deliver().delivered == 1
    assert [event.delivery.message.action for event in one.events(NotificationQueued)] == [
        *(Action.TRIGGER, Action.RESOLVE, Action.TRIGGER)
    ]
    assert len({event.delivery.message.dedup_key for event in one.events(NotificationQueued)}) == 1
    assert [head[:10] for head in heads(one)] == ["🟢 RESOLVED", "🔴 CRITICAL"]
    assert methods(one)[-1] == "chat.postMessage"
    one.step(9_000, resolve=["b"])
    one.deliver()
    assert [head[:10] for head in heads(one)] == ["🟢 RESOLVED"] * 2
    assert replies(one, "1700000000.000002")[-1:] == ["Resolved after 2h 30m"], "what follows edits the new one"


def test_a_new_page_is_a_new_message_and_the_one_before_says_so(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a", severity=Severity.WARNING)])
    one.deliver()
    one.step(60, fire=[alert("b", severity=Severity.CRITICAL)])
    assert one.deliver().errors == {}
    old, new = one.providers.slack
    assert old["text"].startswith("Superseded: Kafka consumer group is behind · It is CRITICAL firing")
    assert new["text"].startswith("CRITICAL firing (2 alerts)")
    one.step(600, resolve=["a", "b"])
    one.deliver()
    assert [head[:10] for head in heads(one)] == ["🟢 RESOLVED"] * 2
    assert replies(one, "1700000000.000002") == ["Resolved after 10m"]


def test_the_end_of_an_earlier_page_that_fails_costs_no_second_page(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a", severity=Severity.WARNING)])
    one.deliver()
    one.step(60, fire=[alert("b", severity=Severity.CRITICAL)])
    one.providers.next_replies(UPDATE, Reply(503, ""))
    assert one.deliver().delivered == 1
    assert len(one.providers.slack) == 2
    row = max(one.log.rows(DELIVERIES).values(), key=lambda row: row.position)
    assert row.state is DeliveryState.DELIVERED
    assert "the message of an earlier page stays as it was: HTTP 503" in row.error


@pytest.mark.parametrize(
    "error", ["message_not_found", "cant_update_message", "channel_not_found", "edit_window_closed", "invalid_blocks"]
)
def test_what_cannot_be_edited_any_more_is_posted_anew(office: Hire, error: str):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(400, fire=[alert("b")])
    one.providers.next_replies(UPDATE, no(error))
    assert one.deliver().delivered == 1
    assert [head[:28] for head in heads(one)] == ["🔴 CRITICAL firing: Kafka con", "🔴 CRITICAL firing (2 alerts)"]
    one.step(800, resolve=["a"])
    one.deliver()
    assert replies(one) == []
    assert replies(one, "1700000000.000002") == ["−1 alert, 1 firing, 1 resolved"], "what follows edits the new one"


def test_a_deleted_message_comes_back_with_the_end(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.providers.gone.add(FIRST)
    one.step(400, resolve=["a"])
    assert one.deliver().delivered == 1
    assert [head[:10] for head in heads(one)] == ["🔴 CRITICAL", "🟢 RESOLVED"]


RETRIED: list[tuple[str, Reply, str]] = [
    (UPDATE, Reply(429, "", {"Retry-After": "30"}), "HTTP 429"),
    (UPDATE, no("internal_error"), "internal_error"),
    (UPDATE, Reply(disconnect=True), "the message may have arrived"),
    (POST, Reply(503, ""), "the reply in its thread failed: HTTP 503"),
    (POST, no("ratelimited"), "the reply in its thread failed: Slack answered ok: false, ratelimited"),
]


@pytest.mark.parametrize(("place", "reply", "error"), RETRIED)
def test_an_edit_that_may_work_later_is_tried_again_and_ends_in_one_message(
    office: Hire, place: str, reply: Reply, error: str
):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(400, fire=[alert("b")])
    one.providers.next_replies(place, reply)
    assert error in one.deliver().errors["bot"]
    one.clock.time = one.events(NotificationFailed)[0].next_attempt_at
    assert one.deliver().delivered == 1
    assert heads(one) == ["🔴 CRITICAL firing (2 alerts): Kafka consumer group is behind"]
    assert replies(one) == ["+1 alert, 2 firing"]


def test_a_reply_that_slack_refuses_is_told_and_not_repeated(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(400, fire=[alert("b")])
    one.providers.next_replies(POST, no("thread_not_found"))
    assert one.deliver().delivered == 1
    assert one.events(NotificationDelivered)[-1].detail.startswith("no reply in its thread: Slack answered")


def test_a_worker_killed_between_edit_and_reply_repeats_the_reply_at_most(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.step(400, fire=[alert("b")])
    killed_in_the_middle(one, POST, "bot")
    assert heads(one)[0].startswith("🔴 CRITICAL firing (2 alerts)")
    assert replies(one) == ["+1 alert, 2 firing"]
    one.clock.forward(minutes=2)
    assert one.deliver().delivered == 1
    assert len(one.providers.slack) == 1
    assert replies(one) == ["+1 alert, 2 firing"] * 2
    assert one.log.rows(OUTBOX) == {}


def test_a_hook_edits_nothing_and_shows_no_acknowledgement(office: Hire):
    one = office("hook")
    one.step(0, fire=[alert("a")])
    one.deliver()
    acknowledge(one, "hook")
    report = one.deliver()
    assert (report.dropped, report.delivered, report.left) == (1, 0, 0)
    assert len(one.providers.to(HOOKS)) == 1
    one.step(400, resolve=["a"])
    one.deliver()
    assert len(one.providers.slack) == 2
    assert one.log.rows(SHOWN) == {}


def test_an_acknowledgement_of_what_was_never_shown_is_dropped(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.providers.next_replies(SLACK, no("invalid_auth"))
    one.deliver()
    acknowledge(one, "bot")
    assert one.deliver().dropped == 1
    assert one.providers.slack == []


def test_the_message_is_found_by_another_process_after_a_rebuild(office: Hire):
    one = office("bot")
    one.step(0, fire=[alert("a")])
    one.deliver()
    one.log.rebuild()
    one.step(400, fire=[alert("b", summary="<!channel> & <@U1> " + "x" * 5_000)])
    one.deliver(holder="another")
    said: dict[str, Any] = one.providers.slack[0]
    assert len(one.providers.slack) == 1
    assert "<!channel>" not in json.dumps(said)
