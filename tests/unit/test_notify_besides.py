"""What is told besides alerts: recommendations where a route names their kind, and silences that end soon."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from controlplane.eventlog.projections import ADVISED
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft
from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Action, Message, Subject
from controlplane.model.payloads import (
    NotificationQueued,
    NotificationSuppressed,
    RecommendationProposed,
    RecommendationRevised,
    SilenceWarned,
)
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.resources import Inventory
from controlplane.model.routes import Route, Times, Tree
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.model.views import AdviceTold
from controlplane.notify import message as words
from controlplane.notify.advising import AT_ONCE, asked, tell
from controlplane.notify.desk import Desk, Rules
from controlplane.notify.ending import ending, warn
from controlplane.notify.groups import Grouper
from controlplane.notify.labels import Places
from controlplane.notify.preview import Kind, bodies
from controlplane.tick.steps import provisional
from tests.drafts import START, recommendation

HOUR = timedelta(hours=1)
ROUTE = {
    "channels": ["slack", "pager"],
    "routes": [
        {"match": ['severity="info"'], "channels": []},
        {"match": ['kind="recommendation"'], "channels": ["slack"]},
        {"match": ['kind="failover"'], "channels": ["pager"], "mute": ["nights"]},
    ],
}
NIGHTS = Times.model_validate({"times": [{"start_time": "22:00", "end_time": "24:00"}]})


def alert(name: str = "a1", **fields: Any) -> Alert:
    plain: dict[str, Any] = {
        "id": name,
        "rule": "catalyst-disk-usage",
        "source": "prometheus",
        "platform": "catalyst",
        "component": "disk",
        "labels": {"host": name},
        "state": AlertState.FIRING,
        "severity": Severity.CRITICAL,
        "title": "A disk is nearly full",
        "summary": f"{name} is full",
        "value": 0.91,
        "threshold": "> 0.85",
        "unit": "1",
        "active_at": START - HOUR,
    }
    return Alert(**(plain | fields))


def desk(
    alerts: Sequence[Alert] = (alert(),), silences: Sequence[Silence] = (), at: Any = START, route: Any = ROUTE
) -> Desk:
    tree = Tree(Route.model_validate(route))
    rules = Rules(
        tree=tree,
        grouper=Grouper(tree, Places(Inventory()), "test"),
        times={"nights": NIGHTS},
        channels=("slack", "pager"),
        urgent={"pager"},
        environment="test",
    )
    return Desk(at, rules, {one.id: one for one in alerts}, silences)


def advice(name: str = "r1", kind: str = "add_storage", **fields: Any) -> Recommendation:
    made = recommendation(name)
    return made.model_copy(update={"proposal": made.proposal.model_copy(update={"kind": kind}), **fields})


def proposed(*made: Recommendation) -> list[Draft]:
    return [
        Draft(
            stream=f"recommendation:{one.id}",
            key="0",
            payload=RecommendationProposed(recommendation=one),
            occurred_at=START,
        )
        for one in made
    ]


def said(drafts: Sequence[Draft]) -> list[tuple[str, Message]]:
    rows = [draft.payload.delivery for draft in drafts if isinstance(draft.payload, NotificationQueued)]
    return [(row.channel, row.message) for row in rows]


def told_of(drafts: Sequence[Draft], before: dict[str, AdviceTold] | None = None) -> dict[str, AdviceTold]:
    rows = dict(before or {})
    for draft in drafts:
        event = provisional(draft)
        for key in ADVISED.keys(event):
            row = ADVISED.fold(rows.get(key), event)
            rows.pop(key, None)
            if row is not None:
                rows[key] = row
    return rows


@pytest.mark.parametrize(
    ("match", "labels", "to"),
    [
        (['kind="recommendation"'], {"kind": "recommendation"}, True),
        (['kind=~"recommendation|digest"'], {"kind": "recommendation"}, True),
        (['kind=~".*"'], {"kind": "recommendation"}, True),
        (['kind!="alert"'], {"kind": "recommendation"}, False),
        (['kind!~"alert|digest"'], {"kind": "recommendation"}, False),
        (['kind=""'], {"kind": "recommendation"}, False),
        (['kind="failover"'], {"kind": "recommendation"}, False),
        ([], {"kind": "recommendation"}, False),
        ([], {"kind": "alert"}, True),
        (['kind="recommendation"', 'platform="x"'], {"kind": "recommendation"}, False),
    ],
)
def test_a_kind_has_to_be_named(match: list[str], labels: dict[str, str], to: bool) -> None:
    tree = Tree(Route.model_validate({"routes": [{"match": match, "channels": ["slack"]}]}))
    assert any("slack" in node.channels for node in tree.of(labels)) is to


def test_a_route_that_names_nothing_keeps_nothing_from_those_behind_it() -> None:
    (node,) = Tree(Route.model_validate(ROUTE)).of({"kind": "recommendation", "severity": "info"})
    assert node.path == "1"
    found = [
        text for text, _ in Tree(Route.model_validate(ROUTE)).explain({"kind": "recommendation", "severity": "info"})
    ]
    assert found[1] == 'route 0 is passed over: nothing in it names kind="recommendation"'


def test_what_is_below_a_route_that_names_it_is_reached() -> None:
    route = {
        "routes": [
            {"match": ['kind="failover"'], "channels": ["a"], "routes": [{"match": ['zone="z"'], "channels": ["b"]}]}
        ]
    }
    tree = Tree(Route.model_validate(route))
    assert [node.channels for node in tree.of({"kind": "failover", "zone": "z"})] == [("b",)]
    assert [node.channels for node in tree.of({"kind": "failover"})] == [("a",)]


def test_asked_says_whether_anybody_wants_to_know() -> None:
    assert asked(Tree(Route.model_validate(ROUTE)))
    assert not asked(Tree(Route(channels=("slack",))))


def test_a_proposal_is_told_once() -> None:
    one = advice()
    drafts = tell(desk(), proposed(one), {"r1": one}, {}, full=False)
    ((channel, message),) = said(drafts)
    assert (channel, message.subject, message.action) == ("slack", Subject.RECOMMENDATION, Action.TRIGGER)
    assert message.advice[0].recommendation == "r1"
    assert words.headline(message) == "RECOMMENDATION: Add storage"
    told = told_of(drafts)
    assert tell(desk(), [], {"r1": one}, told, full=True) == []


@pytest.mark.parametrize(("changed", "count"), [(("cost",), 1), (("commands", "expires_at"), 1), (("expires_at",), 0)])
def test_a_revision_is_told_where_it_matters(changed: tuple[str, ...], count: int) -> None:
    told = told_of(tell(desk(), proposed(advice()), {"r1": advice()}, {}, full=False))
    newer = advice(version=2)
    payload = RecommendationRevised(recommendation=newer, changed=changed)
    drafts = tell(
        desk(), [Draft(stream="r", key="1", payload=payload, occurred_at=START)], {"r1": newer}, told, full=False
    )
    found = said(drafts)
    assert len(found) == count
    first = next(iter(told.values())).message
    assert all(message.dedup_key == first.dedup_key for _, message in found)
    assert all("version 2" in message.note for _, message in found)


@pytest.mark.parametrize(
    ("status", "note"),
    [
        (Status.VERIFIED, "It worked: it ended."),
        (Status.INEFFECTIVE, "It was done, but nothing shows that it helped: it ended."),
        (Status.WITHDRAWN, "Withdrawn: it ended."),
        (Status.REJECTED, "Rejected by ada: it ended."),
        (Status.EXPIRED, "It expired: it ended."),
        (Status.PROPOSED, None),
        (Status.APPROVED, None),
        (Status.EXECUTED, None),
    ],
)
def test_its_outcome_is_told_where_it_was_told(status: Status, note: str | None) -> None:
    told = told_of(tell(desk(), proposed(advice()), {"r1": advice()}, {}, full=False))
    over = advice(status=status, reason="it ended", decided_by="ada")
    drafts = tell(desk(alerts=()), [], {"r1": over}, told, full=True)
    assert [(channel, message.action, message.note) for channel, message in said(drafts)] == (
        [] if note is None else [("slack", Action.RESOLVE, note)]
    )
    assert (told_of(drafts, told) == {}) is (note is not None)


@pytest.mark.parametrize(
    ("one", "where", "to"),
    [
        (advice(), desk(alerts=()), []),
        (advice(), desk(alerts=(alert(state=AlertState.PENDING),)), []),
        (advice(status=Status.REJECTED), desk(), []),
        (advice(kind="failover"), desk(), ["pager"]),
        (advice(kind="failover"), desk(at=START + 5 * HOUR), []),
        (advice(), desk(at=START + 5 * HOUR), ["slack"]),
    ],
)
def test_who_is_told(one: Recommendation, where: Desk, to: list[str]) -> None:
    assert [channel for channel, _ in said(tell(where, proposed(one), {"r1": one}, {}, full=False))] == to


def mute(minutes: float = 60, **fields: Any) -> Silence:
    plain: dict[str, Any] = {
        "id": "s1",
        "matchers": (Matcher(label="component", operator="=", value="disk"),),
        "starts_at": START - 3 * HOUR,
        "ends_at": START + timedelta(minutes=minutes),
        "author": "ada",
        "reason": "new disks",
        "created_at": START - 3 * HOUR,
    }
    return Silence(**(plain | fields))


def test_what_is_muted_is_told_when_that_ends() -> None:
    one = advice()
    silent = tell(desk(silences=[mute()]), proposed(one), {"r1": one}, {}, full=True)
    assert [type(draft.payload) for draft in silent] == [NotificationSuppressed]
    again = tell(desk(silences=[mute()]), [], {"r1": one}, told_of(silent), full=True)
    assert again == []
    late = tell(desk(at=START + HOUR, silences=[mute()]), [], {"r1": one}, told_of(silent), full=True)
    assert [channel for channel, _ in said(late)] == ["slack"]


def test_a_revision_that_was_muted_is_told_afterwards() -> None:
    told = told_of(tell(desk(), proposed(advice()), {"r1": advice()}, {}, full=False))
    newer = advice(version=2)
    revised = Draft(
        stream="r", key="1", payload=RecommendationRevised(recommendation=newer, changed=("cost",)), occurred_at=START
    )
    told = told_of(tell(desk(silences=[mute()]), [revised], {"r1": newer}, told, full=False), told)
    assert told["r1"].owed
    drafts = tell(desk(), [], {"r1": newer}, told, full=True)
    assert len(said(drafts)) == 1
    assert not told_of(drafts, told)["r1"].owed


def test_very_many_are_told_bit_by_bit() -> None:
    alerts = [alert(f"a{n}") for n in range(50)]
    rows = {f"r{n}": advice(f"r{n}", alert=f"a{n}") for n in range(50)}
    told: dict[str, AdviceTold] = {}
    counts = []
    drafts = tell(desk(alerts), proposed(*rows.values()), rows, told, full=False)
    for _ in range(4):
        counts.append(len(said(drafts)))
        told = told_of(drafts, told)
        drafts = tell(desk(alerts), [], rows, told, full=True)
    assert counts == [AT_ONCE, AT_ONCE, 10, 0]
    assert told.keys() == rows.keys()


@pytest.mark.parametrize(
    ("length", "before", "near"),
    [
        (timedelta(hours=8), timedelta(hours=1), True),
        (timedelta(hours=8), timedelta(hours=1, seconds=1), False),
        (timedelta(hours=2), timedelta(minutes=30), True),
        (timedelta(hours=2), timedelta(minutes=31), False),
        (timedelta(hours=8), timedelta(0), False),
    ],
)
def test_when_an_end_is_near(length: timedelta, before: timedelta, near: bool) -> None:
    one = mute(starts_at=START - length, ends_at=START)
    assert bool(ending([one], START - before)) is near


def test_a_silence_that_still_mutes_says_so_once() -> None:
    alerts = [alert(f"a{n}") for n in range(12)]
    one = mute(50)
    drafts = warn(desk(alerts, [one]))
    warned = drafts[0].payload
    assert isinstance(warned, SilenceWarned)
    assert (warned.matches, warned.channels) == (12, ("slack",))
    ((channel, message),) = said(drafts)
    assert (channel, message.subject, message.severity, message.firing) == (
        "slack",
        Subject.SILENCE,
        Severity.WARNING,
        12,
    )
    assert words.headline(message) == "SILENCE ENDS (12 alerts): Silence by ada ends in 50m and still mutes 12 alerts"
    assert "new disks" in message.note
    assert "the worst critical" in message.note
    assert warn(desk(alerts, [one.model_copy(update={"warned_at": START})])) == []
    assert len(bodies(Kind.PAGERDUTY, message)) == 2


@pytest.mark.parametrize(
    ("alerts", "silences"),
    [
        ([], [mute(50)]),
        ([alert(component="net")], [mute(50)]),
        ([alert(state=AlertState.PENDING)], [mute(50)]),
        ([alert(severity=Severity.INFO)], [mute(50)]),
        ([alert()], [mute(50), mute(500, id="s2")]),
    ],
)
def test_nobody_is_warned_of_what_pages_nobody(alerts: list[Alert], silences: list[Silence]) -> None:
    assert warn(desk(alerts, silences)) == []


def test_those_who_are_woken_are_warned_where_nobody_else_is() -> None:
    drafts = warn(desk([alert()], [mute(50)], route={"channels": ["pager"]}))
    assert [channel for channel, _ in said(drafts)] == ["pager"]


def test_a_maintenance_window_says_what_it_is() -> None:
    ((_, message),) = said(warn(desk([alert()], [mute(50, kind="maintenance")])))
    assert message.title == "Maintenance window by ada ends in 50m and still mutes 1 alert"


def test_money_of_a_recommendation_is_in_its_message() -> None:
    one = advice()
    cost = one.proposal.cost.model_copy(update={"per_month": Decimal(120)})
    one = one.model_copy(update={"proposal": one.proposal.model_copy(update={"cost": cost})})
    ((_, message),) = said(tell(desk(), proposed(one), {"r1": one}, {}, full=False))
    assert message.advice[0].per_month == "$120"
