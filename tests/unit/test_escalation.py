"""Who is told next when nobody acknowledges: when, whom, and what holds it back."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.model.alerts import Acknowledgement
from controlplane.model.events import Draft
from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Action, Delivery, Incident
from controlplane.model.oncall import Escalation, OnCall, Pause, Person, Progress
from controlplane.model.payloads import IncidentChanged, NotificationSuppressed
from controlplane.model.routes import Route, Times
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.notify.escalation import Situation, escalated
from controlplane.notify.reach import Reach
from tests.notify_cases import Desk, alert, at, queued, tree

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING
PEOPLE = {
    "mira": Person(channels=("sms-mira", "pager-mira")),
    "jon": Person(channels=("sms-jon",)),
    "ada": Person(channels=("sms-ada",)),
}
CHANNELS = ("slack", "pager", "sms-mira", "pager-mira", "sms-jon", "sms-ada")
LEVELS: list[dict[str, Any]] = [
    {"to": ["primary"]},
    {"to": ["secondary"], "after": "10m"},
    {"to": ["ada", "pager"], "after": "15m"},
]
MINUTE = 60


def escalation(levels: Sequence[dict[str, Any]] = LEVELS, **more: Any) -> Escalation:
    return Escalation.model_validate({"levels": levels} | more)


def on_call(**people: Iterable[str]) -> dict[str, OnCall]:
    return {
        name: OnCall(schedule=name, people=tuple(who), since=at(-3600), until=at(86_400))
        for name, who in people.items()
    }


def desk(
    policy: Escalation | None = None,
    root: Route | None = None,
    *,
    people: dict[str, Person] | None = None,
    times: dict[str, Times] | None = None,
) -> Desk:
    made = Desk(
        root or tree("slack", escalate="platform"),
        channels=CHANNELS,
        people=people or PEOPLE,
        schedules={"primary", "secondary"},
        escalations={"platform": policy or escalation()},
        takers={"slack", "pager", "pager-mira"},
        times=times or {},
    )
    made.on_call = on_call(primary=["mira"], secondary=["jon"])
    return made


def run(of: Desk, until: float, *, begin: float = 15, every: float = 15) -> list[tuple[float, str, str]]:
    """(second, channel, action) of every message while nothing happens."""
    found = []
    now = begin
    while now <= until:
        if of.due(now):
            found += [(now, d.channel, d.message.action.value) for d in queued(of.step(now))]
        now += every
    return found


def to(drafts: Iterable[Draft]) -> list[str]:
    return [delivery.channel for delivery in queued(drafts)]


def the(of: Desk) -> Incident:
    (one,) = of.incidents.values()
    return one


def progress(of: Desk) -> Progress:
    state = the(of).escalation
    assert state is not None
    return state


def take(of: Desk, *names: str, by: str = "mira") -> None:
    for name in names:
        of.alerts[name] = of.alerts[name].model_copy(update={"acknowledged": Acknowledgement(actor=by, at=at(0))})


def give_back(of: Desk, *names: str) -> None:
    for name in names:
        of.alerts[name] = of.alerts[name].model_copy(update={"acknowledged": None})


def notes(drafts: Iterable[Draft]) -> set[str]:
    return {delivery.message.note for delivery in queued(drafts)}


def reasons(drafts: Iterable[Draft]) -> list[str]:
    return [draft.payload.reason for draft in drafts if isinstance(draft.payload, NotificationSuppressed)]


def test_the_first_level_is_told_with_the_first_message_and_the_others_after_their_waits():
    of = desk()
    first = of.step(0, fire=[alert("a")])
    assert to(first) == ["slack", "sms-mira", "pager-mira"]
    assert notes(first) == {"Escalation platform, level 1 of 3: mira (primary)."}
    assert len({d.message.dedup_key for d in queued(first)}) == 1
    assert run(of, 3600) == [
        (600, "sms-jon", "trigger"),
        (1500, "pager", "trigger"),
        (1500, "sms-ada", "trigger"),
    ]
    assert progress(of).over
    assert the(of).channels == ("slack", "sms-mira", "pager-mira", "sms-jon", "pager", "sms-ada")


@pytest.mark.parametrize(("second", "told"), [(599.999, []), (600, ["sms-jon"]), (600.001, ["sms-jon"])])
def test_a_level_is_told_exactly_at_its_time_and_never_before(second: float, told: list[str]):
    of = desk()
    of.step(0, fire=[alert("a")])
    assert to(of.step(second)) == told


def test_steps_that_were_missed_are_caught_up_by_one_level_and_its_wait_counts_from_then():
    of = desk()
    of.step(0, fire=[alert("a")])
    assert to(of.step(5000)) == ["sms-jon"]
    assert progress(of).due == at(5900)
    assert [name for _, name, _ in run(of, 5899, begin=5015)] == []
    assert to(of.step(5900)) == ["pager", "sms-ada"]


def test_a_first_level_with_a_wait_lets_the_route_be_told_alone():
    of = desk(escalation([{"to": ["primary"], "after": "5m"}]))
    assert to(of.step(0, fire=[alert("a")])) == ["slack"]
    assert run(of, 1200) == [(300, "sms-mira", "trigger"), (300, "pager-mira", "trigger")]


def test_a_route_without_escalation_tells_its_channels_alone_and_a_child_can_stop_it():
    root = tree("slack", escalate="platform", routes=[{"match": ["severity=warning"], "escalate": None}])
    of = desk(root=root)
    assert to(of.step(0, fire=[alert("w", severity=WARNING)])) == ["slack"]
    assert the(of).escalation is None
    assert not of.due(15)
    assert run(of, 3600) == []


def test_rounds_go_through_the_levels_again_so_often():
    policy = escalation([{"to": ["primary"]}, {"to": ["jon"], "after": "10m"}], repeat=2, repeat_after="20m")
    of = desk(policy)
    of.step(0, fire=[alert("a")])
    seconds = [(second, name) for second, name, _ in run(of, 4 * 3600 - 15) if name.startswith("sms")]
    assert seconds == [
        *((600, "sms-jon"),),
        *((1800, "sms-mira"), (2400, "sms-jon")),
        *((3600, "sms-mira"), (4200, "sms-jon")),
    ]
    assert progress(of).round == 3


# acknowledgement


def test_an_acknowledgement_stops_it_and_is_told_once_where_it_can_be_after_the_trigger():
    of = desk()
    first = queued(of.step(0, fire=[alert("a")]))
    take(of, "a")
    assert of.due(15)
    drafts = of.step(15)
    sent = queued(drafts)
    assert [(d.channel, d.message.action) for d in sent] == [
        ("slack", Action.ACKNOWLEDGE),
        ("pager-mira", Action.ACKNOWLEDGE),
    ]
    assert {d.message.note for d in sent} == {"acknowledged by mira"}
    assert {d.message.dedup_key for d in sent} == {first[0].message.dedup_key}
    assert {d.lane for d in sent} <= {d.lane for d in first}
    assert not of.due(30)
    assert run(of, 3 * 3600, begin=30) == []
    assert progress(of).due is None


def test_a_part_of_an_incident_that_is_taken_stops_nothing():
    of = desk()
    of.step(0, fire=[alert("a"), alert("b")])
    take(of, "a")
    assert to(of.step(15)) == []
    assert to(of.step(600)) == ["sms-jon"]


def test_an_acknowledgement_that_is_given_back_begins_the_wait_anew_and_pages_under_a_new_key():
    of = desk()
    key = queued(of.step(0, fire=[alert("a")]))[0].message.dedup_key
    take(of, "a")
    of.step(300)
    give_back(of, "a")
    assert of.due(900)
    assert to(of.step(900)) == []
    assert progress(of).due == at(1500)
    assert to(of.step(1499.999)) == []
    (page,) = queued(of.step(1500))
    assert page.channel == "sms-jon"
    assert page.message.dedup_key != key
    assert page.message.superseded == (key,)
    take(of, "a", by="jon")
    assert {d.message.note for d in queued(of.step(1515))} == {"acknowledged by jon"}


def test_what_is_given_back_after_the_last_level_begins_at_the_first():
    of = desk(escalation([{"to": ["primary"]}, {"to": ["jon"], "after": "10m"}]))
    of.step(0, fire=[alert("a")])
    of.step(600)
    assert progress(of).over
    take(of, "a")
    of.step(615)
    give_back(of, "a")
    assert to(of.step(630)) == []
    assert to(of.step(1230)) == ["sms-mira", "pager-mira"]


def test_a_new_member_of_a_taken_incident_is_told_to_those_who_know_and_begins_the_wait():
    of = desk()
    of.step(0, fire=[alert("a")])
    take(of, "a")
    of.step(15)
    assert to(of.step(30, fire=[alert("b")])) == []
    assert to(of.step(300)) == ["slack", "sms-mira", "pager-mira"]
    assert progress(of).due == at(900)
    assert to(of.step(900)) == ["sms-jon"]


def test_what_nobody_has_to_be_told_of_is_acknowledged_in_silence():
    of = desk(root=tree("sms-ada"))
    of.step(0, fire=[alert("a")])
    take(of, "a")
    assert to(of.step(15)) == []
    assert the(of).taken == ("mira",)
    assert of.step(30) == []


# what holds it back


def silence(begin: float, end: float) -> Silence:
    return Silence(
        id="s",
        matchers=(Matcher.parse("platform=catalyst"),),
        starts_at=at(begin),
        ends_at=at(end),
        author="ada",
        reason="deploy",
        created_at=at(begin),
    )


def test_a_silence_holds_it_and_leaves_the_rest_of_the_wait():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.silences = [silence(200, 5000)]
    assert run(of, 4995) == []
    assert progress(of).left == timedelta(minutes=10) - timedelta(seconds=210)
    assert "silence s by ada" in progress(of).held
    # It began at the first step within the silence and ends at the first one after it.
    assert run(of, 6000, begin=5010) == [(5400, "sms-jon", "trigger")]


def test_a_pause_holds_it_and_ends_by_itself():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.step(60)
    of.pauses = {the(of).id: Pause(incident=the(of).id, page=1, until=at(1860), actor="mira")}
    assert run(of, 1845, begin=75) == []
    assert progress(of).held == "paused by mira until 2026-03-01 02:31Z"
    assert run(of, 3000, begin=1860) == [(1860 + 525, "sms-jon", "trigger")]


def test_a_pause_that_is_ended_goes_on_at_once():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.pauses = {the(of).id: Pause(incident=the(of).id, page=1, until=at(9000), actor="mira")}
    assert run(of, 1200) == []
    of.pauses = {}
    assert run(of, 2600, begin=1215) == [(1215 + 585, "sms-jon", "trigger")]


def test_steps_that_are_caught_up_tell_the_route_alone_and_whoever_is_on_call_afterwards():
    of = desk()
    of.behind = True
    assert to(of.step(0, fire=[alert("a")])) == ["slack"]
    assert run(of, 7200) == []
    of.behind = False
    of.on_call = on_call(primary=["ada"], secondary=["jon"])
    assert run(of, 9000, begin=7215) == [
        (7215, "sms-ada", "trigger"),
        (7215 + 600, "sms-jon", "trigger"),
        (7215 + 600 + 900, "pager", "trigger"),
        (7215 + 600 + 900, "sms-ada", "trigger"),
    ]


def test_what_ended_before_it_was_caught_up_wakes_nobody():
    of = desk()
    of.behind = True
    of.step(0, fire=[alert("a")])
    of.step(60, resolve=["a"])
    of.behind = False
    assert [d.channel for d in queued(of.step(300))] == ["slack"]


def test_what_has_ended_escalates_no_more_and_everybody_is_told():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.step(600)
    of.step(615, resolve=["a"])
    drafts = of.step(900)
    assert [(d.channel, d.message.action.value) for d in queued(drafts)] == [
        ("slack", "resolve"),
        ("sms-mira", "resolve"),
        ("pager-mira", "resolve"),
        ("sms-jon", "resolve"),
    ]
    assert of.incidents == {}


def test_what_ends_and_fires_again_before_its_end_is_told_goes_on_where_it_was():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.step(400, resolve=["a"])
    of.step(415)
    of.step(430, fire=[alert("a")])
    assert to(of.step(445)) == []
    assert [(second, name) for second, name, _ in run(of, 1200, begin=460)] == [(640, "sms-jon")]


def test_a_new_page_begins_at_the_first_level_with_everybody():
    of = desk()
    of.step(0, fire=[alert("a", severity=WARNING)])
    of.step(600)
    assert progress(of).level == 2
    drafts = of.step(615, fire=[alert("b")])
    assert to(drafts) == ["slack", "sms-mira", "pager-mira"]
    assert (progress(of).level, progress(of).due) == (1, at(1215))
    assert to(of.step(1215)) == ["sms-jon"]


def test_a_pause_is_for_the_page_that_was_seen():
    of = desk()
    of.step(0, fire=[alert("a", severity=WARNING)])
    of.pauses = {the(of).id: Pause(incident=the(of).id, page=1, until=at(9000), actor="mira")}
    of.step(15)
    assert to(of.step(30, fire=[alert("b")])) == ["slack", "sms-mira", "pager-mira"]
    assert to(of.step(630)) == ["sms-jon"]


# who is on call


def test_a_hand_over_tells_the_new_person_and_the_old_one_nothing():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.on_call = on_call(primary=["ada"], secondary=["jon"])
    drafts = of.step(60)
    assert to(drafts) == ["sms-ada"]
    assert notes(drafts) == {"Hand-over: ada is on call in primary now, after mira. Nobody has acknowledged it."}
    assert progress(of).due == at(600)
    assert run(of, 585, begin=75) == []
    of.on_call = on_call(primary=["mira"], secondary=["jon"])
    assert to(of.step(590)) == []


@pytest.mark.parametrize("why", ["taken", "another schedule", "a gap", "one of them was told"])
def test_a_hand_over_that_concerns_nobody_is_told_to_nobody(why: str):
    of = desk()
    of.step(0, fire=[alert("a")])
    if why == "taken":
        take(of, "a")
        of.step(15)
        of.on_call = on_call(primary=["ada"], secondary=["jon"])
    elif why == "another schedule":
        of.on_call = on_call(primary=["mira"], secondary=["ada"])
    elif why == "a gap":
        of.on_call = on_call(primary=[], secondary=["jon"])
    else:
        of.on_call = on_call(primary=["mira", "nobody-known"], secondary=["jon"])
    assert run(of, 585) == []


def test_a_hand_over_while_somebody_has_it_is_told_when_it_is_given_back():
    of = desk()
    of.step(0, fire=[alert("a")])
    take(of, "a")
    of.step(15)
    of.on_call = on_call(primary=["ada"], secondary=["jon"])
    assert to(of.step(30)) == []
    give_back(of, "a")
    assert to(of.step(45)) == ["sms-ada"]


def test_a_gap_falls_to_the_next_level_at_once_and_says_so():
    of = desk()
    of.on_call = on_call(primary=[], secondary=["jon"])
    drafts = of.step(0, fire=[alert("a")])
    assert to(drafts) == ["slack", "sms-jon"]
    assert notes(drafts) == {"Escalation platform, level 2 of 3: jon (secondary). Nobody is on call in primary."}
    assert reasons(drafts) == ["escalation platform: nobody is on call in primary; the next level is told at once"]
    assert to(of.step(900)) == ["pager", "sms-ada"]


@pytest.mark.parametrize("known", [{}, {"primary": [], "secondary": []}])
def test_where_no_level_reaches_anybody_every_channel_that_is_nobodys_own_is_told(known: dict[str, list[str]]):
    of = desk(escalation([{"to": ["primary"]}, {"to": ["secondary"], "after": "10m"}]))
    of.on_call = on_call(**known)
    drafts = of.step(0, fire=[alert("a")])
    assert to(drafts) == ["slack", "pager"]
    assert "so every channel is told" in notes(drafts).pop()
    assert len(reasons(drafts)) == 2


def test_somebody_who_left_the_settings_is_a_gap():
    of = desk(people={"jon": PEOPLE["jon"], "ada": PEOPLE["ada"]})
    assert to(of.step(0, fire=[alert("a")])) == ["slack", "sms-jon"]


# quiet hours

NIGHT = Times.model_validate({"times": [{"start_time": "00:00", "end_time": "04:00"}]})
"""The start of the tests is two o'clock."""
DAWN = 2 * 3600
SLEEPER = PEOPLE | {"mira": Person(channels=("sms-mira", "pager-mira"), quiet=("night",))}


def test_quiet_hours_hold_back_a_level_that_only_reaches_sleepers_until_they_end():
    of = desk(people=SLEEPER, times={"night": NIGHT})
    assert to(of.step(0, fire=[alert("a", severity=WARNING)])) == ["slack"]
    assert progress(of).held == "quiet hours of mira (night)"
    assert run(of, DAWN - 15) == []
    drafts = of.step(DAWN)
    assert to(drafts) == ["sms-mira", "pager-mira"]


def test_a_critical_incident_passes_quiet_hours():
    of = desk(people=SLEEPER, times={"night": NIGHT})
    assert to(of.step(0, fire=[alert("a")])) == ["slack", "sms-mira", "pager-mira"]


def test_a_channel_of_a_sleeper_that_a_route_names_is_told_when_the_quiet_hours_end():
    of = desk(root=tree("slack", "sms-mira"), people=SLEEPER, times={"night": NIGHT})
    drafts = of.step(0, fire=[alert("a", severity=WARNING)])
    assert to(drafts) == ["slack"]
    assert reasons(drafts) == ["quiet hours of mira (night): told when they end, if it still fires"]
    assert run(of, DAWN - 15) == []
    late = of.step(DAWN)
    assert to(late) == ["sms-mira"]
    assert notes(late) == {"Held back in quiet hours until now; it still fires."}
    assert run(of, DAWN + 3600, begin=DAWN + 15) == []


@pytest.mark.parametrize("why", ["ended", "taken"])
def test_what_no_longer_concerns_a_sleeper_is_not_told_in_the_morning(why: str):
    of = desk(root=tree("slack", "sms-mira"), people=SLEEPER, times={"night": NIGHT})
    of.step(0, fire=[alert("a", severity=WARNING)])
    if why == "ended":
        of.step(60, resolve=["a"])
        assert to(of.step(300)) == ["slack"]
    else:
        take(of, "a")
        of.step(60)
    assert [name for _, name, _ in run(of, DAWN + 3600, begin=315) if name == "sms-mira"] == []


def test_a_channel_of_two_people_is_quiet_while_both_are():
    both = SLEEPER | {"jon": Person(channels=("sms-mira",))}
    of = desk(root=tree("sms-mira"), people=both, times={"night": NIGHT})
    assert to(of.step(0, fire=[alert("a", severity=WARNING)])) == ["sms-mira"]


# settings that change, and properties


def test_an_escalation_that_a_route_gets_later_begins_then():
    of = desk(root=tree("slack"))
    of.step(0, fire=[alert("a")])
    of.route(
        tree("slack", escalate="platform"),
        CHANNELS,
        people=PEOPLE,
        schedules={"primary", "secondary"},
        escalations={"platform": escalation()},
    )
    assert to(of.step(60)) == ["sms-mira", "pager-mira"]


def test_the_state_is_read_as_it_was_written():
    of = desk()
    of.step(0, fire=[alert("a")])
    of.silences = [silence(100, 5000)]
    of.step(105)
    known = the(of)
    assert Incident.model_validate_json(known.model_dump_json()) == known
    old = known.model_dump(mode="json")
    for name in ("escalation", "taken", "answered", "postponed"):
        del old[name]
    assert Incident.model_validate(old).escalation is None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    waits=st.lists(st.integers(1, 40), min_size=0, max_size=4),
    first=st.integers(0, 20),
    repeat=st.integers(0, 2),
    gaps=st.lists(st.integers(1, 90), min_size=1, max_size=60),
    marks=st.lists(st.sampled_from(["", "", "", "taken", "held", "behind"]), min_size=60, max_size=60),
)
def test_no_level_is_told_before_its_time_or_twice_in_a_round(
    waits: list[int], first: int, repeat: int, gaps: list[int], marks: list[str]
):
    levels = [{"to": ["jon"], "after": f"{first}m"}, *({"to": ["jon"], "after": f"{wait}m"} for wait in waits)]
    policy = escalation(levels, repeat=repeat, repeat_after="7m")
    state: Progress | None = None
    now, taken_before = 0, False
    last_told = 0
    seen: set[tuple[int, int]] = set()
    for gap, mark in zip([0, *gaps], marks, strict=False):
        now += gap
        reach = Reach(at(now * MINUTE), PEOPLE, {}, (), {}, CHANNELS)
        taken = mark == "taken"
        situation = Situation(
            at=reach.at,
            severity=CRITICAL,
            begins=False,
            taken=taken,
            given_back=taken_before and not taken,
            hold="muted" if mark == "held" else "",
            behind=mark == "behind",
        )
        before = state
        state, calls = escalated(state, "platform", policy, reach, situation)
        again, none = escalated(state, "platform", policy, reach, situation.__class__(**_same(situation)))
        assert mark == "behind" or (again, none) == (state, ())
        if before is not None and state.over is False and before.over:
            seen.clear()  # given back after the last level: it begins anew
        if calls:
            assert len(calls) == 1
            assert not taken
            assert mark != "held"
            place = (state.level, state.round)
            assert place not in seen
            seen.add(place)
            wait = policy.wait(*place)
            assert timedelta(minutes=now - last_told) >= wait
            last_told = now
        taken_before = taken


def _same(situation: Situation) -> dict[str, Any]:
    """The next look at the same step: nobody gives back twice."""
    known = {name: getattr(situation, name) for name in Situation.__dataclass_fields__}
    return known | {"given_back": False}


def test_every_change_of_an_incident_is_told_by_one_event():
    of = desk()
    drafts = of.step(0, fire=[alert("a")])
    assert next(type(draft.payload) for draft in drafts) is IncidentChanged
    assert of.step(15) == []
    deliveries: list[Delivery] = queued(of.step(600))
    assert [d.message.repeated for d in deliveries] == [False]
