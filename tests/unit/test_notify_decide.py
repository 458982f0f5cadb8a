"""Who is told what, and when."""

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.alerts import AlertState
from controlplane.model.notifications import Action
from controlplane.model.payloads import IncidentChanged, NotificationQueued, NotificationSuppressed
from controlplane.model.recommendations import Status, Survival
from controlplane.model.rules import Severity
from controlplane.notify.compose import survival
from controlplane.notify.decide import decide, due, next_due
from controlplane.settings import Notify
from tests.notify_cases import Desk, alert, at, fired, queued, recommendation, resolved, route, told

WARNING, INFO, CRITICAL = Severity.WARNING, Severity.INFO, Severity.CRITICAL
SLACK = [("slack", "trigger", 1, 0)]


def test_the_first_firing_opens_an_incident_and_is_told_at_once_on_every_matching_route():
    desk = Desk()
    drafts = desk.step(0, fire=[alert("billing")])
    assert [type(draft.payload) for draft in drafts] == [IncidentChanged, NotificationQueued, NotificationQueued]
    assert told(drafts) == [("slack", "trigger", 1, 0), ("pagerduty", "trigger", 1, 0)]
    slack, pagerduty = queued(drafts)
    opened = fired(alert("billing"), at(0))
    assert slack.message == pagerduty.message
    assert slack.message.episode == str(opened.id)
    assert drafts[0].cause == opened.id
    assert slack.id != pagerduty.id
    assert slack.lane == f"{slack.message.incident}/slack"
    assert (slack.queued_at, slack.next_attempt_at, slack.attempts) == (at(0), at(0), 0)
    assert slack.message.environment == "production"
    assert len(slack.message.dedup_key) == 64


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(15, []), (285, []), (299, []), (300, [("slack", "trigger", 2, 0)]), (4000, [("slack", "trigger", 2, 0)])],
)
def test_a_later_member_waits_for_the_group_interval(seconds: int, expected: list[object]):
    desk = Desk([route("slack")])
    desk.step(0, fire=[alert("a")])
    assert told(desk.step(10, fire=[alert("b")])) == []
    assert next_due(desk.incidents, desk.notify) == at(300)
    assert due(desk.incidents, at(seconds), desk.notify) is bool(expected)
    assert told(desk.step(seconds)) == expected
    if expected:
        assert next_due(desk.incidents, desk.notify) is None
        assert told(desk.step(seconds + 3000)) == []


def test_the_interval_counts_from_the_last_message():
    desk = Desk([route("slack")])
    desk.step(0, fire=[alert("a")])
    desk.step(10, fire=[alert("b")])
    assert told(desk.step(300)) == [("slack", "trigger", 2, 0)]
    assert told(desk.step(310, fire=[alert("c")])) == []
    assert told(desk.step(599)) == []
    assert told(desk.step(600)) == [("slack", "trigger", 3, 0)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (WARNING, CRITICAL, [("slack", "trigger", 2, 0), ("pagerduty", "trigger", 2, 0)]),
        (CRITICAL, WARNING, []),
        (WARNING, WARNING, []),
        (INFO, WARNING, [("slack", "trigger", 2, 0)]),
    ],
)
def test_only_a_higher_severity_is_told_at_once(before: Severity, after: Severity, expected: list[object]):
    desk = Desk()
    desk.step(0, fire=[alert("a", severity=before)])
    assert told(desk.step(15, fire=[alert("b", severity=after)])) == expected


def test_an_incident_keeps_its_highest_severity_until_it_ends():
    desk = Desk()
    desk.step(0, fire=[alert("a", severity=WARNING), alert("b", severity=CRITICAL)])
    assert told(desk.step(15, resolve=["b"])) == []
    assert told(desk.step(30, fire=[alert("b", severity=CRITICAL)])) == []
    assert {incident.severity for incident in desk.incidents.values()} == {CRITICAL}
    assert told(desk.step(45, resolve=["a", "b"])) == [("slack", "resolve", 0, 2), ("pagerduty", "resolve", 0, 2)]


def test_the_end_is_told_at_once_and_names_what_ended():
    desk = Desk([route("slack")])
    desk.step(0, fire=[alert("a"), alert("b")])
    shrunk = desk.step(15, resolve=["a"])
    assert [type(draft.payload) for draft in shrunk] == [IncidentChanged]
    drafts = desk.step(30, resolve=["b"])
    assert told(drafts) == [("slack", "resolve", 0, 2)]
    ended = queued(drafts)[0].message
    assert [(m.alert, m.firing) for m in ended.members] == [("b", False)]
    assert (ended.started_at, ended.at, ended.title) == (at(0), at(30), "Kafka consumer group is behind")
    assert desk.incidents == {}
    assert desk.step(45) == []


def test_a_resolved_alert_that_fires_again_is_a_new_episode_of_the_same_incident():
    desk = Desk([route("slack")])
    first = queued(desk.step(0, fire=[alert("a")]))[0].message
    end = queued(desk.step(15, resolve=["a"]))[0].message
    again = queued(desk.step(30, fire=[alert("a", active_at=at(30))]))[0].message
    assert first.incident == end.incident == again.incident
    assert (first.episode, first.dedup_key) == (end.episode, end.dedup_key)
    assert again.episode != first.episode
    assert again.dedup_key != first.dedup_key


def test_groups_are_platform_and_rule():
    desk = Desk([route("slack")])
    drafts = desk.step(
        0,
        fire=[
            alert("a"),
            alert("b", platform="prism"),
            alert("c", rule="other"),
            alert("d", component="redis", rule="third"),
        ],
    )
    assert len(queued(drafts)) == 4
    assert len({d.message.incident for d in queued(drafts)}) == 4


def test_a_thousand_alerts_are_one_message_with_the_count_and_the_worst():
    desk = Desk([route("slack")])
    storm = [alert(f"g{n:04}", value=100_001.0 + n) for n in range(1_000)]
    drafts = desk.step(0, fire=storm)
    assert told(drafts) == [("slack", "trigger", 1_000, 0)]
    assert [m.alert for m in queued(drafts)[0].message.members] == [f"g{n:04}" for n in range(999, 979, -1)]


@pytest.mark.parametrize(
    ("members", "worst_first"),
    [
        ([{"value": 5.0, "threshold": "< 10"}, {"value": 1.0, "threshold": "< 10"}], ["m1", "m0"]),
        ([{"value": 50.0, "threshold": "> 10"}, {"value": 70.0, "threshold": "> 10"}], ["m1", "m0"]),
        ([{"value": None}, {"value": 1.0}], ["m1", "m0"]),
        ([{"value": 9e9, "severity": WARNING}, {"value": 1.0, "severity": CRITICAL}], ["m1", "m0"]),
        ([{"active_at": at(-10)}, {"active_at": at(-20)}], ["m1", "m0"]),
        ([{}, {}], ["m0", "m1"]),
    ],
)
def test_the_worst_come_first(members: list[dict[str, object]], worst_first: list[str]):
    drafts = Desk([route("slack")]).step(0, fire=[alert(f"m{n}", **m) for n, m in enumerate(members)])
    assert [m.alert for m in queued(drafts)[0].message.members] == worst_first


@pytest.mark.parametrize(
    ("routes", "severity", "expected"),
    [
        ([route("a")], CRITICAL, ["a"]),
        ([route("a")], WARNING, ["a"]),
        ([route("a")], INFO, []),
        ([route("a", severities=(INFO,))], INFO, ["a"]),
        ([route("a", severities=(INFO,))], CRITICAL, []),
        ([route("a", platforms=("catalyst",)), route("b", platforms=("prism",))], CRITICAL, ["a"]),
        ([route("a", components=("kafka",)), route("b", components=("redis",))], CRITICAL, ["a"]),
        ([route("a", platforms=()), route("b")], CRITICAL, ["b"]),
    ],
)
def test_routes_take_what_they_list(routes: list[object], severity: Severity, expected: list[str]):
    drafts = Desk(routes).step(0, fire=[alert("a", severity=severity)])  # type: ignore[arg-type]
    assert [d.route for d in queued(drafts)] == expected
    suppressed = [draft.payload for draft in drafts if isinstance(draft.payload, NotificationSuppressed)]
    assert len(suppressed) == (0 if expected else 1)
    if suppressed:
        assert suppressed[0].reason == f"no route takes {severity} of catalyst/kafka"


def test_without_routes_the_reason_says_so():
    desk = Desk()
    desk.routes = ()
    drafts = desk.step(0, fire=[alert("a")])
    assert [type(draft.payload) for draft in drafts] == [IncidentChanged, NotificationSuppressed]
    assert "no route is declared" in drafts[1].payload.reason  # type: ignore[union-attr]


def test_the_end_is_told_to_every_route_that_was_told_of_the_incident():
    desk = Desk([route("slack"), route("pagerduty"), route("gone")])
    desk.step(0, fire=[alert("a")])
    desk.routes = (route("slack"), route("pagerduty", severities=(WARNING,)), route("new"))
    drafts = desk.step(15, resolve=["a"])
    assert [d.route for d in queued(drafts)] == ["slack", "pagerduty", "new"]
    suppressed = [draft.payload for draft in drafts if isinstance(draft.payload, NotificationSuppressed)]
    assert [(s.route, "no longer in the settings" in s.reason) for s in suppressed] == [("gone", True)]


def test_a_recommendation_goes_with_the_next_message_and_pages_nobody():
    desk = Desk([route("slack")])
    desk.step(0, fire=[alert("a")])
    proposed = [recommendation(alert("a"))]
    assert desk.step(15, recommendations=proposed) == []
    desk.step(30, fire=[alert("b")], recommendations=proposed)
    sent = queued(desk.step(300, recommendations=proposed))[0].message
    short = sent.advice[0]
    assert (short.recommendation, short.version, short.change) == ("r1", 2, "4 consumers → 7 consumers")
    assert (short.per_month, short.one_off) == ("$9,702", "$1,200.50")
    assert short.survives == "yes, a zone"
    assert short.first_command == "kubectl scale deployment/billing --replicas=7"
    assert queued(desk.step(315, resolve=["a", "b"], recommendations=proposed))[0].message.advice == ()


def test_only_open_recommendations_of_firing_alerts_are_told_at_most_three():
    a, b = alert("a"), alert("b", rule="other")
    found = [
        recommendation(a, "closed", status=Status.REJECTED),
        recommendation(b, "elsewhere"),
        *(recommendation(a, f"r{n}", per_month=None) for n in range(5)),
    ]
    drafts = Desk([route("slack")]).step(0, fire=[a], recommendations=found)
    told_advice = queued(drafts)[0].message.advice
    assert [short.recommendation for short in told_advice] == ["r0", "r1", "r2"]
    assert {short.per_month for short in told_advice} == {"unknown"}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "not checked"),
        ([(True, "a zone"), (True, "a broker")], "yes, a zone, a broker"),
        ([(True, "a zone"), (None, "a host")], "can't be told, a host: why a host"),
        ([(None, "a host"), (False, "a zone")], "no, a zone: why a zone"),
    ],
)
def test_the_worst_verdict_on_survival_is_told(verdicts: list[tuple[bool | None, str]], expected: str):
    assert survival([Survival(loss=loss, ok=ok, reason=f"why {loss}") for ok, loss in verdicts]) == expected


def test_pending_alerts_are_nobodys_business_and_missing_data_is():
    desk = Desk([route("slack")])
    desk.alerts["p"] = alert("p", state=AlertState.PENDING)
    assert desk.decide(0, []) == []
    assert told(desk.step(0, fire=[alert("a", state=AlertState.NO_DATA, value=None)])) == SLACK


def test_an_open_incident_whose_alerts_are_gone_is_closed():
    desk = Desk([route("slack")])
    desk.step(0, fire=[alert("a")])
    desk.alerts.clear()
    assert told(desk.step(15)) == [("slack", "resolve", 0, 1)]


def test_the_runbook_is_a_link_where_the_settings_say_where_runbooks_are():
    plain = queued(Desk([route("slack")]).step(0, fire=[alert("a")]))[0].message
    linked = queued(Desk([route("slack")], runbooks="https://wiki/books/").step(0, fire=[alert("a")]))[0].message
    assert (plain.runbook, linked.runbook) == ("kafka-consumer-lag", "https://wiki/books/kafka-consumer-lag")


def test_two_environments_never_share_an_incident():
    messages = [
        queued(Desk([route("slack")], environment=name).step(0, fire=[alert("a")]))[0].message
        for name in ("production", "staging")
    ]
    assert messages[0].dedup_key != messages[1].dedup_key


def test_hostile_sizes_are_bounded_in_the_event():
    huge = alert("a", summary="x" * 100_000, labels={f"l{n}": "y" * 10_000 for n in range(500)})
    drafts = Desk([route("slack")]).step(0, fire=[huge])
    assert len(queued(drafts)[0].model_dump_json()) < 60_000


def test_ten_thousand_alerts_take_less_than_a_second():
    many = [alert(f"g{n:05}", rule=f"rule-{n % 100:03}", value=float(n)) for n in range(10_000)]
    desk = Desk([route("slack"), route("pagerduty")])
    changes = [fired(a, at(0)) for a in many]
    desk.alerts = {a.id: a for a in many}
    began = time.perf_counter()
    drafts = desk.decide(0, changes)
    assert time.perf_counter() - began < 1.0
    assert len(queued(drafts)) == 200
    assert sum(d.message.firing for d in queued(drafts)) == 20_000


_moves = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.lists(st.sampled_from("abcd"), unique=True, max_size=4),
        st.sampled_from([WARNING, CRITICAL]),
    ),
    max_size=25,
)


@given(_moves)
def test_whatever_happens_the_messages_tell_a_consistent_story(moves: list[tuple[int, list[str], Severity]]):
    """Per episode: first a trigger, at most one resolve, which is last; and when nothing fires, nothing is open."""
    desk = Desk([route("slack")])
    seconds, story = 0, []
    for steps, flipped, severity in moves:
        seconds += 15 * steps
        resolve = [name for name in flipped if name in desk.alerts]
        fire = [alert(name, severity=severity, active_at=at(seconds)) for name in flipped if name not in desk.alerts]
        before = dict(desk.rows)
        changes = [fired(a, at(seconds)) for a in fire]
        changes += [resolved(desk.alerts[name], at(seconds)) for name in resolve]
        drafts = desk.step(seconds, fire=fire, resolve=resolve)
        again = decide(
            at(seconds),
            changes,
            incidents=before,
            recommendations=(),
            alerts=desk.alerts,
            routes=desk.routes,
            notify=desk.notify,
            environment=desk.environment,
        )
        assert [draft.id for draft in again] == [draft.id for draft in drafts]
        story += [(d.message.episode, d.message.action, d.message) for d in queued(drafts)]
        assert bool(desk.incidents) is bool(desk.alerts)
        for incident in desk.incidents.values():
            assert set(incident.firing) == set(desk.alerts)
            assert due(desk.incidents, at(seconds), desk.notify) is False
    for episode in {episode for episode, _, _ in story}:
        actions = [action for e, action, _ in story if e == episode]
        assert actions[0] is Action.TRIGGER
        assert Action.RESOLVE not in actions[:-1]


def test_the_same_step_decided_twice_gives_the_same_drafts():
    changes = [fired(alert("a"), at(0))]
    desk = Desk()
    desk.alerts = {"a": alert("a")}
    assert desk.decide(0, changes) == desk.decide(0, changes)


def test_a_group_interval_of_nothing_tells_every_member():
    desk = Desk([route("slack")], group_interval=timedelta(0))
    desk.step(0, fire=[alert("a")])
    assert told(desk.step(15, fire=[alert("b")])) == [("slack", "trigger", 2, 0)]
    assert next_due({}, Notify()) is None
