"""Who is told what, and when."""

import pytest
from apprise.manager_plugins import NotificationManager
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.alerts import Acknowledgement, Alert, AlertState
from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Action
from controlplane.model.payloads import IncidentChanged, NotificationQueued, NotificationSuppressed
from controlplane.model.recommendations import Status, Survival
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.routes import Inhibition, Times
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.notify.addresses import PAGERDUTY
from controlplane.notify.compose import survival
from controlplane.notify.decide import decide
from controlplane.notify.routing import URGENT, default_route
from tests.notify_cases import BY_SEVERITY, Desk, alert, at, fired, queued, recommendation, resolved, told, tree

WARNING, INFO, CRITICAL = Severity.WARNING, Severity.INFO, Severity.CRITICAL
SLACK = [("slack", "trigger", 1, 0)]
HOUR = 3600


def test_a_group_is_first_told_after_its_wait_with_everything_that_came_meanwhile():
    desk = Desk(tree("slack", "pagerduty", group_wait="30s"))
    drafts = desk.step(0, fire=[alert("billing")])
    assert [type(draft.payload) for draft in drafts] == [IncidentChanged]
    assert drafts[0].cause == fired(alert("billing"), at(0)).id
    assert not desk.due(15)
    assert told(desk.step(15, fire=[alert("b")])) == []
    assert desk.due(30)
    drafts = desk.step(30)
    assert [type(draft.payload) for draft in drafts] == [IncidentChanged, NotificationQueued, NotificationQueued]
    assert told(drafts) == [("slack", "trigger", 2, 0), ("pagerduty", "trigger", 2, 0)]
    slack, pagerduty = queued(drafts)
    assert slack.message == pagerduty.message
    assert slack.id != pagerduty.id
    assert slack.lane == f"{slack.message.incident}/slack"
    assert (slack.queued_at, slack.next_attempt_at, slack.attempts) == (at(30), at(30), 0)
    assert slack.message.environment == "production"
    assert len(slack.message.dedup_key) == 64


def test_what_ends_within_the_wait_is_never_told():
    desk = Desk(tree("slack", group_wait="30s"))
    desk.step(0, fire=[alert("a")])
    desk.step(15, resolve=["a"])
    assert told(desk.step(30)) == []
    assert desk.incidents == {}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(15, []), (285, []), (299, []), (300, [("slack", "trigger", 2, 0)]), (4000, [("slack", "trigger", 2, 0)])],
)
def test_a_later_member_waits_for_the_group_interval(seconds: int, expected: list[object]):
    desk = Desk()
    desk.step(0, fire=[alert("a")])
    assert told(desk.step(10, fire=[alert("b")])) == []
    assert desk.due(seconds) is bool(expected)
    assert told(desk.step(seconds)) == expected
    assert bool(told(desk.step(seconds + 3000))) is not bool(expected)


@pytest.mark.parametrize(("change", "looked"), [(1, 300), (300, 300), (301, 600), (899, 900), (3601, 3900)])
def test_a_quiet_group_is_looked_at_on_the_ticks_of_its_interval(change: int, looked: int):
    desk = Desk()
    desk.step(0, fire=[alert("a")])
    sent = told(desk.step(change, fire=[alert("b")]))
    if change == looked:
        assert sent == [("slack", "trigger", 2, 0)]
    else:
        assert sent == []
        assert not desk.due(looked - 1)
        assert told(desk.step(looked)) == [("slack", "trigger", 2, 0)]


def test_an_end_within_a_group_that_goes_on_is_told_with_the_next_message():
    desk = Desk()
    desk.step(0, fire=[alert("a"), alert("b")])
    assert told(desk.step(15, resolve=["a"])) == []
    drafts = desk.step(300)
    assert told(drafts) == [("slack", "trigger", 1, 1)]
    assert [(m.alert, m.firing) for m in queued(drafts)[0].message.members] == [("b", True), ("a", False)]
    assert not desk.due(600)


def test_the_end_is_told_on_the_next_tick_and_names_what_ended():
    desk = Desk()
    desk.step(0, fire=[alert("a"), alert("b")])
    assert told(desk.step(15, resolve=["a"])) == []
    assert told(desk.step(30, resolve=["b"])) == []
    drafts = desk.step(300)
    assert told(drafts) == [("slack", "resolve", 0, 2)]
    ended = queued(drafts)[0].message
    assert [(m.alert, m.firing) for m in ended.members] == [("a", False), ("b", False)]
    assert (ended.started_at, ended.at, ended.title) == (at(0), at(300), "Kafka consumer group is behind")
    assert desk.incidents == {}
    assert desk.step(315) == []


def test_what_ends_and_fires_again_before_the_next_tick_is_no_news():
    desk = Desk()
    desk.step(0, fire=[alert("a")])
    desk.step(15, resolve=["a"])
    desk.step(45, fire=[alert("a", active_at=at(45))])
    assert told(desk.step(300)) == []


def test_what_fires_again_after_the_end_was_told_is_a_new_episode_of_the_same_incident():
    desk = Desk()
    first = queued(desk.step(0, fire=[alert("a")]))[0].message
    desk.step(15, resolve=["a"])
    end = queued(desk.step(300))[0].message
    again = queued(desk.step(330, fire=[alert("a", active_at=at(330))]))[0].message
    assert first.incident == end.incident == again.incident
    assert (first.episode, first.dedup_key) == (end.episode, end.dedup_key)
    assert again.episode != first.episode
    assert again.dedup_key != first.dedup_key


@pytest.mark.parametrize(
    ("interval", "expected"),
    [("4h", [4 * HOUR + 300, 8 * HOUR + 600]), ("10m", [900, 1800, 2700]), ("1s", [300, 600, 900, 1200])],
)
def test_what_still_fires_is_told_again_on_the_first_tick_after_the_repeat_interval(interval: str, expected: list[int]):
    desk = Desk(tree("slack", repeat_interval=interval))
    desk.step(0, fire=[alert("a")])
    sent = desk.until(expected[-1], begin=15)
    assert [second for second, _ in sent] == expected
    assert queued(desk.decide(expected[-1] + 30 * HOUR, []))[0].message.repeated


def test_what_somebody_took_is_not_told_again_until_it_is_given_back():
    desk = Desk(tree("slack", repeat_interval="10m"))
    desk.step(0, fire=[alert("a")])
    taken = Acknowledgement(actor="ada", at=at(60))
    desk.alerts["a"] = alert("a", acknowledged=taken)
    assert desk.until(2 * HOUR, begin=15) == []
    desk.alerts["a"] = alert("a")
    assert [second for second, _ in desk.until(2 * HOUR + 600, begin=2 * HOUR + 15)] == [2 * HOUR + 300]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (WARNING, CRITICAL, [("slack", "trigger", 2, 0)]),
        (CRITICAL, WARNING, []),
        (WARNING, WARNING, []),
        (INFO, WARNING, [("slack", "trigger", 2, 0)]),
    ],
)
def test_only_a_higher_severity_is_told_at_once_as_another_page(
    before: Severity, after: Severity, expected: list[object]
):
    desk = Desk()
    first = queued(desk.step(0, fire=[alert("a", severity=before)]))[0].message
    drafts = desk.step(15, fire=[alert("b", severity=after)])
    assert told(drafts) == expected
    if expected:
        second = queued(drafts)[0].message
        assert (second.incident, second.episode) == (first.incident, first.episode)
        assert second.dedup_key != first.dedup_key
        assert second.superseded == (first.dedup_key,)
        desk.step(30, resolve=["a", "b"])
        end = queued(desk.step(315))[0].message
        assert (end.dedup_key, end.superseded) == (second.dedup_key, (first.dedup_key,))


@pytest.mark.parametrize(("more", "at_once"), [(9, False), (10, True)])
def test_a_much_wider_extent_is_told_at_once_as_another_page(more: int, at_once: bool):
    desk = Desk()
    taken = Acknowledgement(actor="ada", at=at(5))
    desk.step(0, fire=[alert("a", acknowledged=taken)])
    drafts = desk.step(15, fire=[alert(f"b{n}") for n in range(more)])
    assert bool(told(drafts)) is at_once


def test_what_was_wide_already_has_to_triple():
    desk = Desk()
    desk.step(0, fire=[alert(f"a{n:02}") for n in range(20)])
    assert told(desk.step(15, fire=[alert(f"b{n:02}") for n in range(39)])) == []
    assert told(desk.step(30, fire=[alert("c")])) == [("slack", "trigger", 60, 0)]


def test_an_incident_keeps_its_highest_severity_until_it_ends():
    desk = Desk()
    desk.step(0, fire=[alert("a", severity=WARNING), alert("b", severity=CRITICAL)])
    desk.step(15, resolve=["b"])
    assert told(desk.step(30, fire=[alert("b", severity=CRITICAL)])) == []
    assert {incident.severity for incident in desk.incidents.values()} == {CRITICAL}


@pytest.mark.parametrize(
    ("group_by", "incidents"),
    [(["platform", "rule"], 4), (["platform"], 2), (["consumer_group"], 4), (["absent"], 1), ([], 1)],
)
def test_a_group_is_what_has_the_same_values_of_its_labels(group_by: list[str], incidents: int):
    fire = [
        alert("a"),
        alert("b", platform="prism"),
        alert("c", rule="other"),
        alert("d", component="redis", rule="third"),
    ]
    drafts = Desk(tree("slack", group_by=group_by)).step(0, fire=fire)
    assert len({d.message.incident for d in queued(drafts)}) == len(queued(drafts)) == incidents
    assert sum(d.message.firing for d in queued(drafts)) == 4


def test_a_thousand_alerts_are_one_message_with_the_count_and_the_worst():
    storm = [alert(f"g{n:04}", value=100_001.0 + n) for n in range(1_000)]
    drafts = Desk().step(0, fire=storm)
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
    drafts = Desk().step(0, fire=[alert(f"m{n}", **m) for n, m in enumerate(members)])
    assert [m.alert for m in queued(drafts)[0].message.members] == worst_first


def test_a_child_route_takes_over_what_it_does_not_say():
    desk = Desk(tree("slack", routes=[{"match": ["rule=~'catalyst-.*'".replace("'", '"')]}], group_wait="1m"))
    desk.step(0, fire=[alert("a")])
    assert not desk.due(59)
    assert told(desk.step(60)) == SLACK


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([], ["a"]),
        ([{"match": ["severity=critical"], "channels": ["b"]}], ["b"]),
        ([{"match": ["severity=warning"], "channels": ["b"]}], ["a"]),
        ([{"match": ["severity=critical"], "channels": []}], []),
        ([{"match": ["severity=critical", "platform=prism"], "channels": ["b"]}], ["a"]),
        ([{"match": [], "channels": ["b"]}, {"match": [], "channels": ["c"]}], ["b"]),
        ([{"match": [], "channels": ["b"], "continue": True}, {"match": [], "channels": ["c"]}], ["b", "c"]),
        ([{"match": [], "channels": ["b"], "continue": True}, {"match": ["x=y"], "channels": ["c"]}], ["b"]),
        ([{"match": ["kind=alert"], "routes": [{"match": ["component=kafka"], "channels": ["c"]}]}], ["c"]),
        ([{"match": ["zone=z1"], "channels": ["b"]}], ["b"]),
        ([{"match": ["zone=z2"], "channels": ["b"]}], ["a"]),
        ([{"match": ["consumer_group=a"], "channels": ["b"]}], ["b"]),
    ],
)
def test_an_alert_takes_the_first_route_that_matches_and_the_next_after_continue(
    routes: list[object], expected: list[str]
):
    where = Resource(id="h1", platform="catalyst", kind=ResourceKind.HOST, zone="z1")
    desk = Desk(tree("a", routes=routes), channels=("a", "b", "c"), resources=[where])
    drafts = desk.step(0, fire=[alert("a", labels={"consumer_group": "a", "host": "h1"})])
    assert [d.channel for d in queued(drafts)] == expected
    suppressed = [draft.payload for draft in drafts if isinstance(draft.payload, NotificationSuppressed)]
    assert len(suppressed) == (0 if expected else 1)
    if suppressed:
        assert suppressed[0].reason == "route 0 of the incident names no channel"


def test_a_label_cannot_pose_as_what_the_alert_is():
    desk = Desk(BY_SEVERITY)
    drafts = desk.step(0, fire=[alert("a", severity=WARNING, labels={"severity": "critical", "platform": "prism"})])
    assert [d.channel for d in queued(drafts)] == ["slack"]


def test_without_channels_the_reason_says_so():
    drafts = Desk(tree(), channels=()).step(0, fire=[alert("a")])
    assert [type(draft.payload) for draft in drafts] == [IncidentChanged, NotificationSuppressed]
    assert "no channel is declared" in drafts[1].payload.reason


def test_the_end_is_told_to_every_channel_that_was_told_of_the_incident():
    desk = Desk(tree("slack", "pagerduty", "gone"), channels=("slack", "pagerduty", "gone"))
    desk.step(0, fire=[alert("a")])
    desk.route(tree("slack", "new"), channels=("slack", "pagerduty", "new"))
    desk.step(15, resolve=["a"])
    drafts = desk.step(300)
    assert [d.channel for d in queued(drafts)] == ["slack", "pagerduty", "new"]
    suppressed = [draft.payload for draft in drafts if isinstance(draft.payload, NotificationSuppressed)]
    assert [(s.channel, "no longer in the settings" in s.reason) for s in suppressed] == [("gone", True)]


def test_an_incident_whose_route_is_gone_ends_and_its_alerts_take_another():
    desk = Desk(tree("slack", routes=[{"match": ["severity=critical"], "channels": ["pagerduty"]}]))
    desk.step(0, fire=[alert("a")])
    desk.route(tree("slack"))
    assert desk.due(15)
    assert told(desk.step(15)) == [("slack", "trigger", 1, 0), ("pagerduty", "resolve", 0, 1)]
    assert len(desk.incidents) == 1


def test_a_recommendation_goes_with_the_next_message_and_pages_nobody():
    desk = Desk()
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
    desk.step(315, resolve=["a", "b"], recommendations=proposed)
    assert queued(desk.step(600, recommendations=proposed))[0].message.advice == ()


def test_only_open_recommendations_of_firing_alerts_are_told_at_most_three():
    a, b = alert("a"), alert("b", rule="other")
    found = [
        recommendation(a, "closed", status=Status.REJECTED),
        recommendation(b, "elsewhere"),
        *(recommendation(a, f"r{n}", per_month=None) for n in range(5)),
    ]
    told_advice = queued(Desk().step(0, fire=[a], recommendations=found))[0].message.advice
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
    desk = Desk()
    desk.alerts["p"] = alert("p", state=AlertState.PENDING)
    assert desk.decide(0, []) == []
    assert told(desk.step(0, fire=[alert("a", state=AlertState.NO_DATA, value=None)])) == SLACK


def test_an_open_incident_whose_alerts_are_gone_is_closed():
    desk = Desk()
    desk.step(0, fire=[alert("a")])
    desk.alerts.clear()
    assert told(desk.step(300)) == [("slack", "resolve", 0, 1)]


def test_the_runbook_is_a_link_where_the_settings_say_where_runbooks_are():
    plain = queued(Desk().step(0, fire=[alert("a")]))[0].message
    linked = queued(Desk(runbooks="https://wiki/books/").step(0, fire=[alert("a")]))[0].message
    assert (plain.runbook, linked.runbook) == ("kafka-consumer-lag", "https://wiki/books/kafka-consumer-lag")


def test_two_environments_never_share_an_incident():
    keys = {
        queued(Desk(environment=name).step(0, fire=[alert("a")]))[0].message.dedup_key
        for name in ("production", "staging")
    }
    assert len(keys) == 2


def test_hostile_sizes_are_bounded_in_the_event():
    huge = alert("a", summary="x" * 100_000, labels={f"l{n}": "y" * 10_000 for n in range(500)})
    assert len(queued(Desk().step(0, fire=[huge]))[0].model_dump_json()) < 60_000


def test_a_storm_of_ten_thousand_alerts_is_a_message_for_each_rule():
    many = [alert(f"g{n:05}", rule=f"rule-{n % 100:03}", value=float(n)) for n in range(10_000)]
    desk = Desk(tree("slack", "pagerduty"))
    changes = [fired(a, at(0)) for a in many]
    desk.alerts = {a.id: a for a in many}
    drafts = desk.decide(0, changes)
    assert len(queued(drafts)) == 200
    assert sum(d.message.firing for d in queued(drafts)) == 20_000


# who is woken

PAGERS = (
    *("pdevents", "pagerduty", "opsgenie", "jira", "splunk", "victorops", "ilert", "goalert", "goalerts", "squadcast"),
    *("signl4", "pagertree", "xmatters", "incidentio", "firehydrant", "spike", "betterstack"),
)
SMS = (
    *("twilio", "sns", "nexmo", "vonage", "atalk", "msgbird", "clickatell", "seven", "46elks", "elks", "voipms"),
    *("telnyx", "smseagle", "smseagles", "smsmgr", "smsmanager", "burstsms", "kudosity", "kavenegar", "infobip"),
    *("bulkvs", "octopush", "telesign", "smpp", "smpps"),
)


@pytest.mark.parametrize("scheme", [*PAGERS, *SMS])
def test_pagers_and_sms_are_told_what_is_critical_alone(scheme: str):
    route = default_route({"chat": "slackops", "phone": scheme})
    assert route.channels == ("chat",)
    assert [child.channels for child in route.routes] == [("chat", "phone"), ()]


@pytest.mark.parametrize("scheme", ["slackops", "mailtos", "discord", "tgram", "pover", "ntfy", "json", ""])
def test_others_are_told_of_warnings_too(scheme: str):
    assert default_route({"chat": scheme}).channels == ("chat",)


def test_whatever_wakes_people_is_a_scheme_of_apprise_or_our_own():
    known = NotificationManager().schemas()
    assert URGENT - {PAGERDUTY} <= set(known)


def test_whatever_takes_one_sms_wakes_people():
    manager = NotificationManager()
    short = {scheme for scheme in manager.schemas() if manager[scheme].body_maxlen in (140, 160)}
    assert short - URGENT == {"pushed"}, "a push that is as short"


# what nobody is told of


def silence(*matchers: str, begin: float = 0, end: float = HOUR, **changes: object) -> Silence:
    known = {
        "id": "s1",
        "matchers": [Matcher.parse(text) for text in matchers],
        "starts_at": at(begin),
        "ends_at": at(end),
        "author": "ada",
        "reason": "planned",
        "created_at": at(-60),
    }
    return Silence.model_validate(known | changes)


def reasons(drafts: object) -> list[str]:
    return [d.payload.reason for d in drafts if isinstance(d.payload, NotificationSuppressed)]


def test_a_silenced_alert_is_told_when_the_silence_is_over_and_the_reason_is_on_record():
    desk = Desk()
    desk.silences = [silence("consumer_group=a", end=900)]
    drafts = desk.step(0, fire=[alert("a")])
    assert told(drafts) == []
    assert reasons(drafts) == ["silence s1 by ada until 2026-03-01 02:15Z: planned"]
    assert desk.until(899, begin=15) == []
    assert [second for second, _ in desk.until(1800, begin=900)] == [900]


@pytest.mark.parametrize(("second", "muted"), [(59, False), (60, True), (119, True), (120, False)])
def test_a_silence_holds_from_its_begin_until_before_its_end(second: int, muted: bool):
    desk = Desk()
    desk.silences = [silence("platform=catalyst", begin=60, end=120)]
    assert bool(told(desk.step(second, fire=[alert("a")]))) is not muted


def test_the_end_of_what_was_told_is_told_although_it_is_silenced_by_then():
    desk = Desk()
    desk.step(0, fire=[alert("a")])
    desk.silences = [silence("consumer_group=a")]
    desk.step(15, resolve=["a"])
    assert told(desk.step(300)) == [("slack", "resolve", 0, 1)]


def test_what_began_and_ended_under_a_silence_is_not_told():
    desk = Desk()
    desk.step(0, fire=[alert("b")])
    desk.silences = [silence("consumer_group=a")]
    desk.step(15, fire=[alert("a")])
    desk.step(30, resolve=["a"])
    assert told(desk.step(300)) == []


def test_what_began_and_ended_between_two_messages_is_told():
    desk = Desk()
    desk.step(0, fire=[alert("b")])
    desk.step(15, fire=[alert("a")])
    desk.step(30, resolve=["a"])
    assert told(desk.step(300)) == [("slack", "trigger", 1, 1)]


def test_a_silence_for_a_part_leaves_the_others():
    desk = Desk()
    desk.silences = [silence("consumer_group=a")]
    drafts = desk.step(0, fire=[alert("a"), alert("b")])
    assert [m.alert for m in queued(drafts)[0].message.members] == ["b"]


ZONE = Inhibition.model_validate(
    {"source": ["rule=zone-lost"], "target": ["rule!=zone-lost"], "equal": ["platform", "zone"]}
)


def zone_lost(name: str = "z", **changes: object) -> Alert:
    return alert(name, rule="zone-lost", title="Zone z1 is lost", labels={"zone": "z1"}, **changes)


def test_one_page_for_a_dead_zone_names_it_and_counts_what_it_mutes():
    where = [Resource(id=f"h{n}", platform="catalyst", kind=ResourceKind.HOST, zone="z1") for n in range(1_000)]
    desk = Desk(tree("slack", group_wait="30s"), inhibit=(ZONE,), resources=where)
    hosts = [alert(f"h{n}", rule="host-down", labels={"host": f"h{n}"}, value=float(n)) for n in range(1_000)]
    elsewhere = alert("other", rule="host-down", labels={"host": "h-elsewhere"}, platform="prism")
    desk.step(0, fire=hosts)
    desk.step(15, fire=[zone_lost(), elsewhere])
    first = desk.step(30)
    assert told(first) == []
    assert reasons(first) == ["inhibited by alert z: Zone z1 is lost"]
    drafts = desk.step(45)
    page = {d.message.rule: d.message for d in queued(drafts)}
    assert page.keys() == {"zone-lost", "host-down"}
    assert (page["zone-lost"].firing, page["zone-lost"].inhibited) == (1, 1_000)
    assert [m.alert for m in page["zone-lost"].hidden] == [f"h{n}" for n in range(999, 994, -1)]
    assert [m.alert for m in page["host-down"].members] == ["other"]


def test_what_was_inhibited_is_told_when_its_source_ends_and_still_fires():
    desk = Desk(inhibit=(ZONE,))
    desk.step(0, fire=[zone_lost(), alert("a", labels={"zone": "z1"})])
    desk.step(60, resolve=["z"])
    assert desk.until(600, begin=60) == [(300, ["a"]), (300, [])]


def test_an_alert_inhibits_neither_itself_nor_its_like():
    rule = Inhibition.model_validate({"source": ["platform=catalyst"], "target": ["platform=catalyst"]})
    assert len(queued(Desk(inhibit=(rule,)).step(0, fire=[alert("a"), alert("b", rule="other")]))) == 2


NIGHT = {"night": Times.model_validate({"times": [{"start_time": "01:00", "end_time": "03:00"}]})}


def test_a_route_tells_nobody_in_its_mute_times_and_what_still_fires_afterwards():
    desk = Desk(tree("slack", mute=["night"]), times=NIGHT)
    drafts = desk.step(0, fire=[alert("a"), alert("b")])
    assert (told(drafts), reasons(drafts)) == ([], ["muted in the time night"])
    desk.step(600, resolve=["b"])
    assert desk.until(2 * HOUR, begin=615) == [(HOUR, ["a"])]


def test_a_route_tells_only_in_its_active_times():
    desk = Desk(tree("slack", active=["night"]), times=NIGHT)
    assert told(desk.step(0, fire=[alert("a")])) == SLACK
    assert reasons(desk.step(2 * HOUR, fire=[alert("b", rule="other")])) == ["active only in the time night"]


_moves = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.lists(st.sampled_from("abcd"), unique=True, max_size=4),
        st.sampled_from([WARNING, CRITICAL]),
        st.sampled_from(["0s", "30s"]),
    ),
    max_size=25,
)


@given(_moves)
def test_whatever_happens_the_messages_tell_a_consistent_story(moves: list[tuple[int, list[str], Severity, str]]):
    """Per episode: first a trigger, at most one resolve, which is last; and when nothing fires, nothing stays open."""
    desk = Desk(tree("slack", group_wait=moves[0][3] if moves else "0s"))
    seconds, story = 0, []
    for steps, flipped, severity, _ in moves:
        seconds += 15 * steps
        resolve = [name for name in flipped if name in desk.alerts]
        fire = [alert(name, severity=severity, active_at=at(seconds)) for name in flipped if name not in desk.alerts]
        before = dict(desk.rows)
        changes = [fired(a, at(seconds)) for a in fire]
        changes += [resolved(desk.alerts[name], at(seconds)) for name in resolve]
        drafts = desk.step(seconds, fire=fire, resolve=resolve)
        again = decide(at(seconds), changes, rules=desk.rules, incidents=before, alerts=desk.alerts)
        assert [draft.id for draft in again] == [draft.id for draft in drafts]
        story += [(d.message.episode, d.message.action, d.message) for d in queued(drafts)]
        for incident in desk.incidents.values():
            assert set(incident.firing) == set(desk.alerts)
            assert not desk.due(seconds)
    for later in (seconds + 300, seconds + 600):
        story += [(d.message.episode, d.message.action, d.message) for d in queued(desk.step(later))]
    assert bool(desk.incidents) is bool(desk.alerts)
    for incident in desk.incidents.values():
        assert set(incident.told) == set(desk.alerts) or any("flap" in why for why in incident.quiet)
    for episode in {episode for episode, _, _ in story}:
        actions = [action for e, action, _ in story if e == episode]
        assert actions[0] is Action.TRIGGER
        assert Action.RESOLVE not in actions[:-1]


def test_the_same_step_decided_twice_gives_the_same_drafts():
    changes = [fired(alert("a"), at(0))]
    desk = Desk()
    desk.alerts = {"a": alert("a")}
    assert desk.decide(0, changes) == desk.decide(0, changes)
