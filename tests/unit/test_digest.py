"""The daily digest: when it is due, what it says of a day, and that hostile text stays text."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.digest import render
from controlplane.digest.changes import Firing, Shape, advise
from controlplane.digest.facts import Facts
from controlplane.digest.make import make
from controlplane.digest.noise import occasions
from controlplane.digest.schedule import due, moment
from controlplane.eventlog.log import EventLog
from controlplane.model.alerts import Acknowledgement
from controlplane.model.digest import LISTED
from controlplane.model.events import Draft, Event
from controlplane.model.notifications import Action
from controlplane.model.payloads import (
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    IncidentChanged,
    NotificationDeadLettered,
    NotificationQueued,
    RecommendationExecuted,
    RecommendationVerified,
    SourceFailed,
    SourceRecovered,
)
from controlplane.model.recommendations import Status
from controlplane.model.severity import Severity
from controlplane.notify.addresses import Kind
from controlplane.notify.plain import Space
from controlplane.notify.preview import bodies
from controlplane.tick.digesting import digest_message
from controlplane.tick.gather import Place, gather
from controlplane.tick.steps import provisional
from tests.drafts import HOSTILE, START, delivery, facts, incident, recommendation, silence

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "minute", "expected"),
    [
        (date(2026, 3, 12), 480, "2026-03-12T07:00:00"),
        (date(2026, 3, 29), 119, "2026-03-29T00:59:00"),
        (date(2026, 3, 29), 120, "2026-03-29T01:00:00"),
        (date(2026, 3, 29), 150, "2026-03-29T01:00:00"),
        (date(2026, 3, 29), 180, "2026-03-29T01:00:00"),
        (date(2026, 3, 29), 480, "2026-03-29T06:00:00"),
        (date(2026, 10, 25), 150, "2026-10-25T00:30:00"),
        (date(2026, 10, 25), 480, "2026-10-25T07:00:00"),
    ],
)
def test_the_minute_of_a_local_day(day: date, minute: int, expected: str) -> None:
    assert moment(day, minute, BERLIN) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 3, 30), 24), (date(2026, 10, 25), 25)])
def test_a_day_is_as_long_as_the_clock_makes_it(day: date, hours: int) -> None:
    now = moment(day, 480, BERLIN)
    (one,) = due(now, 480, BERLIN, day - DAY, START - 99 * DAY)
    assert (one.day, one.end, one.end - one.start, one.skipped) == (day, now, timedelta(hours=hours), "")


@pytest.mark.parametrize(
    ("late", "skipped"),
    [
        (timedelta(0), False),
        (timedelta(seconds=15), False),
        (timedelta(hours=12), False),
        (timedelta(hours=12, seconds=1), True),
        (timedelta(hours=23, minutes=59), True),
    ],
)
def test_late_by_twelve_hours_at_most(late: timedelta, skipped: bool) -> None:
    day = date(2026, 3, 12)
    (one,) = due(moment(day, 480, BERLIN) + late, 480, BERLIN, day - DAY, START - DAY)
    assert bool(one.skipped) is skipped


def test_days_without_a_tick_are_noted_and_the_last_one_is_sent() -> None:
    found = list(due(moment(date(2026, 3, 12), 481, BERLIN), 480, BERLIN, date(2026, 3, 9), START - DAY))
    assert [(one.day.day, bool(one.skipped)) for one in found] == [(10, True), (11, True), (12, False)]


@pytest.mark.parametrize("began", [None, moment(date(2026, 3, 12), 480, BERLIN)])
def test_a_day_of_which_nothing_is_known_has_no_digest(began: datetime | None) -> None:
    assert list(due(moment(date(2026, 3, 12), 500, BERLIN), 480, BERLIN, None, began)) == []


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),  # noqa: DTZ001 - as hypothesis asks
    minute=st.integers(0, 1439),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
    steps=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=20),
)
def test_each_local_day_is_noted_once(start: datetime, minute: int, zone: str, steps: list[int]) -> None:
    now, last, seen = start.replace(tzinfo=UTC), None, []
    for step in steps:
        now += timedelta(minutes=step)
        for one in due(now, minute, ZoneInfo(zone), last, start.replace(tzinfo=UTC) - DAY):
            assert one.end <= now
            last = one.day
            seen.append(one.day)
    assert seen == sorted(set(seen))
    assert not seen or seen == [seen[0] + n * DAY for n in range(len(seen))]


SHAPE = Shape(
    wait=5 * MINUTE,
    keep=timedelta(0),
    operator=">",
    threshold=0.85,
    unit="1",
    severity=Severity.WARNING,
    clears=False,
)


def firings(
    minutes: Sequence[float | None], *, apart: float = 60, acted: Sequence[int] = (), value: float = 2.0
) -> Any:
    """Firings of one alert each, `apart` minutes between their beginnings."""
    return [
        Firing(
            f"a{n}",
            START + n * apart * MINUTE,
            None if length is None else START + n * apart * MINUTE + length * MINUTE,
            n in acted,
            value,
        )
        for n, length in enumerate(minutes)
    ]


@pytest.mark.parametrize(
    ("found", "shape", "said"),
    [
        (firings([3] * 14), {}, "Raise `for` from 5m to 10m: 14 of 14 wouldn't have fired."),
        (firings([3] * 12 + [60, 90]), {}, "12 of 14 wouldn't have fired, the other 2 firings 5m later"),
        (firings([3] * 12 + [60, 90], acted=(12, 13)), {}, "nothing that somebody acted on would have been missed"),
        (firings([3] * 12 + [4.9], acted=(12,)), {}, ""),
        (firings([5] * 10), {}, "from 5m to 15m"),
        (firings([4.99] * 10), {}, "from 5m to 10m"),
        (firings([3, 3]), {}, ""),
        (firings([3] * 7 + [70] * 3), {}, ""),
        (firings([11] * 10), {"severity": Severity.CRITICAL}, ""),
        (firings([9] * 10), {"severity": Severity.CRITICAL}, "from 5m to 15m"),
        (firings([300] * 3, apart=400), {}, "lower `severity` from warning to info"),
        (firings([300] * 3, apart=400), {"severity": Severity.INFO}, ""),
        (firings([None] * 3), {}, ""),
        (firings([80] * 4, value=0.87), {}, "set `when` from `> 0.85` to `> 0.88`"),
        (firings([80] * 4, value=0.87, acted=(1,)), {}, ""),
        (firings([80] * 4, value=0.8), {"operator": "<"}, "set `when` from `< 0.85` to `< 0.79`"),
        (firings([80] * 4, value=1.0), {"operator": "=="}, ""),
    ],
)
def test_what_to_change(found: list[Firing], shape: dict[str, Any], said: str) -> None:
    made = advise(found, Shape(**(vars(SHAPE) | shape)))
    assert said in made
    assert bool(made) is bool(said)


def test_what_comes_back_at_once_is_held() -> None:
    found = [Firing("a", START + 6 * n * MINUTE, START + 6 * n * MINUTE + 4 * MINUTE) for n in range(10)]
    made = advise(found, Shape(**(vars(SHAPE) | {"wait": timedelta(0)})))
    assert "comes back within 2m" in made
    assert "raise `keep_firing_for` from 0s to 3m" in made
    assert "10 firings would have been 1" in made
    assert "`clear`" in made


def test_no_change_without_the_rule() -> None:
    assert advise(firings([3] * 14), None) == ""


@pytest.mark.parametrize(
    ("seconds", "count"), [([], 0), ([0, 0, 0], 1), ([0, 300], 1), ([0, 301], 2), ([0, 299, 598], 1)]
)
def test_what_begins_together_is_one_occasion(seconds: list[int], count: int) -> None:
    assert occasions([Firing(str(n), START + timedelta(seconds=at)) for n, at in enumerate(seconds)]) == count


def at(minutes: float, payload: Any, stream: str = "s") -> Event:
    return provisional(
        Draft(stream=stream, key=str(minutes), payload=payload, occurred_at=START + timedelta(minutes=minutes))
    )


def page(minutes: float, key: str = "k", action: Action = Action.TRIGGER, **update: Any) -> Event:
    row = delivery()
    when = START + timedelta(minutes=minutes)
    message = row.message.model_copy(update={"dedup_key": key, "action": action, "at": when, **update})
    return at(minutes, NotificationQueued(delivery=row.model_copy(update={"message": message})))


def day(*events: Event, **more: Any) -> Facts:
    return Facts(start=START, end=START + DAY, as_of=START + DAY, events=events, **more)


def acknowledged(minutes: float, alert: str = "a1", actor: str = "ada") -> Event:
    given = Acknowledgement(actor=actor, at=START + timedelta(minutes=minutes))
    return at(minutes, AlertAcknowledged(alert=alert, episode="e", acknowledgement=given))


def test_pages_of_a_day() -> None:
    made = make(
        day(
            at(1, IncidentChanged(incident=incident())),
            page(1),
            page(3, repeated=True),
            page(4),
            acknowledged(7),
            acknowledged(8, actor="bob"),
            at(41, IncidentChanged(incident=incident(firing=()))),
            page(41, action=Action.RESOLVE),
            page(50, "other", severity=Severity.WARNING, platform="prism", episode="e2"),
        )
    ).pages
    assert (made.count, made.by_severity) == (2, {Severity.CRITICAL: 1, Severity.WARNING: 1})
    assert made.by_platform == {"catalyst": 1, "prism": 1}
    assert made.acknowledged is not None
    assert made.acknowledged.median == 6 * MINUTE
    assert made.by_person == {"ada": 1}
    assert made.resolved is not None
    assert made.resolved.longest == 41 * MINUTE
    assert [one.lasted for one in made.listed] == [41 * MINUTE, None]


def test_an_update_of_an_older_page_is_no_page() -> None:
    before = {"i1": incident()}
    assert make(day(page(4), before=before, told_before={"k"})).pages.count == 0
    assert make(day(page(4), before=before)).pages.count == 1


def noisy_day(count: int, *, severity: Severity = Severity.WARNING, acted: bool = False) -> list[Event]:
    events = []
    for n in range(count):
        of = facts(severity=severity)
        events.append(at(60 * n, AlertFired(facts=of)))
        events += [acknowledged(60 * n + 1)] if acted else []
        events.append(
            at(60 * n + 3, AlertResolved(facts=of, fired_at=START + timedelta(minutes=60 * n), reason="condition"))
        )
    return events


@pytest.mark.parametrize(
    ("events", "listed"),
    [
        (noisy_day(2), 0),
        (noisy_day(3), 1),
        (noisy_day(14), 1),
        (noisy_day(14, severity=Severity.INFO), 0),
        (noisy_day(14, acted=True), 0),
    ],
)
def test_noise_is_what_fires_often_for_nothing(events: list[Event], listed: int) -> None:
    assert len(make(day(*events)).noisy) == listed


def test_noise_is_told_with_its_facts() -> None:
    (one,) = make(day(*noisy_day(14))).noisy
    assert one.said == "fired 14 times, median 3m, nobody acted on any, 14 of them for host=h1, mountpoint=/data"
    assert one.change == ""


def test_money_is_summed_and_what_is_unknown_is_counted() -> None:
    known = recommendation("r1")
    unknown = recommendation("r2")
    cost = unknown.proposal.cost.model_copy(update={"per_month": None})
    unknown = unknown.model_copy(update={"proposal": unknown.proposal.model_copy(update={"cost": cost})})
    over = recommendation("r3", status=Status.REJECTED)
    made = make(day(recommendations={one.id: one for one in (known, unknown, over)}))
    assert made.advised_count == 2
    (total,) = made.totals
    assert (total.per_month, total.unknown_per_month, total.unknown_one_off) == (Decimal("12.340"), 1, 2)
    assert "+$12.34 a month (1 of 2 unknown), unknown once (2 of 2 unknown)" in render.text(made)


def test_what_was_decided_and_what_came_of_it() -> None:
    rows = {"r1": recommendation()}
    done = RecommendationExecuted(recommendation="r1", version=1, actor="ada")
    works = RecommendationVerified(recommendation="r1", reason="the alert ended")
    made = make(day(at(1, done), at(9, works), recommendations=rows)).decided
    assert [(one.outcome, one.by, one.reason) for one in made] == [
        ("verified", "", "the alert ended"),
        ("executed", "ada", ""),
    ]


def test_what_is_muted_down_or_lost() -> None:
    soon, later = silence("s1", minutes=2 * 1440), silence("s2", minutes=2 * 1440 + 1)
    made = make(
        day(
            at(10, SourceFailed(source="prometheus", error="refused")),
            at(25, SourceRecovered(source="prometheus", failed_since=START + 10 * MINUTE)),
            at(30, NotificationDeadLettered(delivery="d", channel="mail", attempts=3, error="550")),
            silences={"s1": soon, "s2": later},
            muted={"s1": 12},
        )
    )
    assert [(one.by, one.matches) for one in made.muted] == [("ada", 12)]
    assert [(one.source, one.lasted, one.now) for one in made.down] == [("prometheus", 15 * MINUTE, False)]
    assert [(one.channel, one.count) for one in made.dead] == [("mail", 1)]


def test_a_quiet_day_says_so() -> None:
    made = make(day())
    assert made.quiet
    assert "Nobody was paged, and nothing waits for a decision." in render.text(made)
    assert "<html" in render.html(made)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x>', "{{ 7 * 7 }}", "<!channel>", *HOSTILE])
def test_hostile_text_stays_text(text: str) -> None:
    events = [page(n, f"k{n}", title=text, platform=text, component=text, rule=text) for n in range(3 * LISTED)]
    of = facts(title=text, labels={"host": text}, rule=text)
    made = make(day(*events, *noisy_day(3), *[at(60 * n, AlertFired(facts=of)) for n in range(3)]))
    page_ = render.html(made)
    assert "<script>" not in page_
    assert "<img" not in page_
    assert len(page_) < 100_000
    assert "\x1b" not in render.text(made)
    message = digest_message(made, START)
    (body,) = bodies(Kind.SLACK, message)
    assert "<!channel>" not in str(body)
    assert len(body["blocks"]) <= 50
    assert all(len(block.get("text", {}).get("text", "")) <= 3_000 for block in body["blocks"])
    assert len(message.model_dump_json()) < 100_000


@pytest.mark.parametrize("room", [67, 160, 400, 2_000])
def test_a_chat_gets_as_much_of_it_as_it_takes(room: int) -> None:
    made = make(day())
    (body,) = bodies(Kind.TEXT, digest_message(made, START), space=Space(250, room))
    assert len(body["title"] + body["body"]) <= room - 20
    assert body["body"][:10] == render.text(made)[:10]
    assert body["html"] == render.html(made)


def test_a_pager_closes_it_at_once() -> None:
    trigger, end = bodies(Kind.PAGERDUTY, digest_message(make(day()), START))
    assert (trigger["event_action"], end["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == end["dedup_key"]


def test_a_past_day_is_told_as_it_was(tmp_path: Path) -> None:
    def put(log: EventLog, minutes: float, payload: Any, stream: str) -> None:
        when = START + timedelta(minutes=minutes)
        log.append([Draft(stream=stream, key=str(minutes), payload=payload, occurred_at=when)], recorded_at=when)

    with EventLog.open(f"sqlite:///{tmp_path / 'events.db'}") as log:
        put(log, 1, IncidentChanged(incident=incident()), "incident:i1")
        put(log, 2, NotificationQueued(delivery=delivery()), "delivery:d1")
        put(log, 60, IncidentChanged(incident=incident(firing=())), "incident:i1")
        early = make(gather(log, Place(), START - DAY, START + 30 * MINUTE))
        late = make(gather(log, Place(), START, START + DAY))
        now = make(gather(log, Place(), START, START + DAY, START + DAY))
    assert (early.pages.count, early.open_count) == (1, 1)
    assert (late.pages.count, late.open_count) == (1, 0)
    assert now == late
