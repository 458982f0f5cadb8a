"""An acknowledgement on its way to PagerDuty: after its trigger, once, and not once the incident has ended."""

from datetime import timedelta

import pytest

from controlplane.model.alerts import Acknowledgement
from controlplane.model.payloads import NotificationSuppressed
from tests.notify_cases import alert, at, tree
from tests.office import Hire, Office, the_office
from tests.provider_proxy import PAGERDUTY, Reply, providers_on_loopback

__all__ = ["providers_on_loopback", "the_office"]

pytestmark = pytest.mark.integration


def pager(office: Hire) -> Office:
    one = office("pager")
    one.desk.route(tree("pager", group_interval="1s"), ("pager",), takers={"pager"})
    return one


def acknowledged(one: Office, seconds: float) -> None:
    given = Acknowledgement(actor="mira", at=at(seconds))
    one.desk.alerts["a"] = alert("a", acknowledged=given)
    assert one.desk.due(seconds)
    one.step(seconds)


def bodies(one: Office) -> list[tuple[str, str]]:
    return [(request.body["event_action"], request.body["dedup_key"]) for request in one.providers.to(PAGERDUTY)]


def test_it_is_sent_once_with_the_key_of_its_page(office: Hire) -> None:
    one = pager(office)
    one.step(0, fire=[alert("a")])
    one.deliver()
    acknowledged(one, 60)
    assert one.deliver().delivered == 1
    (key,) = one.providers.open_incidents()
    assert bodies(one) == [("trigger", key), ("acknowledge", key)]
    assert set(one.providers.to(PAGERDUTY)[1].body) == {"routing_key", "event_action", "dedup_key"}
    one.step(75)
    assert one.deliver().delivered == 0
    one.step(90, resolve=["a"])
    one.deliver()
    assert bodies(one)[2:] == [("resolve", key)]


def test_it_follows_its_trigger_when_the_provider_was_away(office: Hire) -> None:
    one = pager(office)
    one.providers.next_replies(PAGERDUTY, Reply(500))
    one.step(0, fire=[alert("a")])
    one.deliver()
    acknowledged(one, 60)
    assert one.outbox() == ["trigger", "acknowledge"]
    one.clock.forward(minutes=10)
    one.deliver()
    assert [action for action, _ in bodies(one)] == ["trigger", "trigger", "acknowledge"]


@pytest.mark.parametrize("tried", [False, True])
def test_it_is_dropped_when_the_incident_has_ended_meanwhile(office: Hire, tried: bool) -> None:
    one = pager(office)
    one.step(0, fire=[alert("a")])
    one.deliver()
    acknowledged(one, 60)
    if tried:
        one.providers.next_replies(PAGERDUTY, Reply(500))
        assert one.deliver().failed == 1
    one.step(90, resolve=["a"])
    one.clock.time += timedelta(minutes=10)
    one.deliver()
    assert [action for action, _ in bodies(one)][1 + tried :] == ["resolve"]
    (dropped,) = one.events(NotificationSuppressed)
    assert dropped.channel == "pager"
    assert one.outbox() == []
    assert one.providers.open_incidents() == set()


def test_what_is_given_back_pages_under_a_new_key(office: Hire) -> None:
    one = pager(office)
    one.desk.route(tree("pager", repeat_interval="10m"), ("pager",), takers={"pager"})
    one.step(0, fire=[alert("a")])
    acknowledged(one, 60)
    one.deliver()
    one.desk.alerts["a"] = alert("a")
    one.step(75)
    assert one.desk.due(900)
    one.step(900)
    one.deliver()
    first, second = bodies(one)[0][1], bodies(one)[2][1]
    assert bodies(one) == [("trigger", first), ("acknowledge", first), ("trigger", second), ("resolve", first)]
    assert one.providers.open_incidents() == {second}
