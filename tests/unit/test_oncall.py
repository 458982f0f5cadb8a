"""Who is on call: rotations over changes of the clocks, calendars as they are written, feeds, facts of the log."""

import contextlib
import itertools
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.eventlog.projections import ON_CALL
from controlplane.model.errors import InvalidInput
from controlplane.model.oncall import Escalation, OnCall, Person, Rotation
from controlplane.model.payloads import OnCallChanged, SourceFailed, SourceRecovered
from controlplane.model.time import to_ms
from controlplane.model.views import SourceHealth
from controlplane.oncall import calendar as calendar_module
from controlplane.oncall import check, feed
from controlplane.oncall.calendar import read_calendar
from controlplane.oncall.roster import SOURCE, Roster, settle
from controlplane.oncall.rotation import rotated
from controlplane.oncall.shifts import Rota, Shift
from controlplane.schedules import Calendar
from controlplane.secret import Secret
from controlplane.settings import Notify
from controlplane.telemetry.secret_request import RequestFailed
from controlplane.tick.steps import provisional
from tests.loopback import Handler, http_server

PEOPLE = {
    "mira": Person(channels=("sms",), names=("Mira Jones",), pagerduty="mira@example.com"),
    "jon": Person(channels=("sms",)),
}
BEGIN, END = datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rotation(**changes: Any) -> Rotation:
    known = {"rotation": ["mira", "jon"], "start": "2026-01-05T09:00", "every": "1w", "location": "Europe/Berlin"}
    return Rotation.model_validate(known | changes)


def edges(of: Rotation, begin: str, end: str) -> list[tuple[str, str]]:
    """(person, hand-over in UTC) of the shifts that begin between two instants."""
    shifts = rotated(of, utc(begin), utc(end))
    return [(one.person, f"{one.since:%m-%dT%H:%M}") for one in shifts if one.since >= utc(begin)]


# rotations


@pytest.mark.parametrize(
    ("location", "begin", "expected"),
    [
        ("Europe/Berlin", "2026-03-27", ["27T08:00", "28T08:00", "29T07:00", "30T07:00"]),
        ("Europe/Berlin", "2026-10-23", ["23T07:00", "24T07:00", "25T08:00", "26T08:00"]),
        ("America/New_York", "2026-03-06", ["06T14:00", "07T14:00", "08T13:00", "09T13:00"]),
        ("America/New_York", "2026-10-30", ["30T13:00", "31T13:00", "01T14:00", "02T14:00"]),
        ("UTC", "2026-03-27", ["27T09:00", "28T09:00", "29T09:00", "30T09:00"]),
    ],
)
def test_a_hand_over_keeps_its_local_time_when_clocks_change(location: str, begin: str, expected: list[str]) -> None:
    of = rotation(start=f"{begin}T09:00", every="1d", location=location)
    end = (utc(begin) + timedelta(days=4)).isoformat()[:10]
    found = edges(of, begin, end)
    assert [when[3:] for _, when in found] == expected
    assert [who for who, _ in found] == ["mira", "jon", "mira", "jon"]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # 02:30 is left out on the 29th: half past one in UTC, which is 03:30 in summer.
        ("2026-03-28T02:30", ["03-28T01:30", "03-29T01:30", "03-30T00:30"]),
        # 02:30 comes twice on the 25th: the first of them.
        ("2026-10-24T02:30", ["10-24T00:30", "10-25T00:30", "10-26T01:30"]),
    ],
)
def test_a_hand_over_at_a_time_that_is_left_out_or_comes_twice(start: str, expected: list[str]) -> None:
    begin = utc(start[:10])
    found = edges(rotation(start=start, every="1d"), f"{begin:%Y-%m-%d}", f"{begin + timedelta(days=3):%Y-%m-%d}")
    assert [when for _, when in found] == expected


def test_before_its_start_a_rotation_has_nobody_and_after_it_always_one() -> None:
    rota = Rota(rotated(rotation(), utc("2026-01-01"), utc("2026-03-01")), utc("2026-01-01"), utc("2026-03-01"))
    first, *others = rota.stretches
    assert (first.people, first.until) == ((), utc("2026-01-05T08:00"))
    assert {one.people for one in others} == {("mira",), ("jon",)}
    assert rota.at(utc("2026-01-12T07:59")).people == ("mira",)
    assert rota.at(utc("2026-01-12T08:00")).people == ("jon",)


def test_overrides_stand_in_and_the_later_one_wins() -> None:
    overrides = [
        {"person": "jon", "from": "2026-01-06T09:00", "until": "2026-01-08T09:00"},
        {"person": "mira", "from": "2026-01-07T09:00", "until": "2026-01-07T18:00"},
    ]
    rota = Rota(rotated(rotation(overrides=overrides), utc("2026-01-05"), utc("2026-01-13")), *_week())
    found = [(one.people, f"{one.since:%d %H}") for one in rota.stretches]
    assert found == [
        *(((), "05 00"), (("mira",), "05 08"), (("jon",), "06 08"), (("mira",), "07 08"), (("jon",), "07 17")),
        *((("mira",), "08 08"), (("jon",), "12 08")),
    ]


def _week() -> tuple[datetime, datetime]:
    return utc("2026-01-05"), utc("2026-01-13")


@settings(max_examples=60, deadline=None)
@given(
    every=st.integers(1, 24 * 15),
    people=st.integers(1, 4),
    day=st.integers(0, 700),
    location=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]),
)
def test_a_rotation_leaves_no_hole_and_has_one_person_at_a_time(
    every: int, people: int, day: int, location: str
) -> None:
    names = ["a", "b", "c", "d"][:people]
    of = rotation(rotation=names, every=f"{every}h", location=location)
    begin = utc("2026-02-01") + timedelta(days=day)
    end = begin + timedelta(days=20)
    shifts = rotated(of, begin, end)
    assert shifts[0].since <= begin
    assert shifts[-1].until >= end
    assert all(one.until == other.since for one, other in itertools.pairwise(shifts))


# calendars


def ics(*entries: str, head: str = "") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *([head] if head else [])]
    for number, entry in enumerate(entries):
        uid = [] if "UID:" in entry else [f"UID:u{number}"]
        lines += ["BEGIN:VEVENT", *uid, *entry.strip().splitlines(), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def shifts(data: bytes, location: str = "Europe/Berlin") -> list[tuple[str, str, str]]:
    read = read_calendar(data, "oncall.ics", PEOPLE, location, BEGIN, END)
    assert read.problems == []
    return _told(read.shifts)


def _told(found: list[Shift]) -> list[tuple[str, str, str]]:
    return [(one.person, f"{one.since:%m-%dT%H:%M}", f"{one.until:%m-%dT%H:%M}") for one in sorted(found)]


BERLIN = "DTSTART;TZID=Europe/Berlin:{}\nDTEND;TZID=Europe/Berlin:{}\nSUMMARY:{}"


def test_a_weekly_entry_keeps_its_local_time_when_clocks_change() -> None:
    entry = BERLIN.format("20260316T090000", "20260316T170000", "mira") + "\nRRULE:FREQ=WEEKLY;COUNT=4"
    assert shifts(ics(entry)) == [
        ("mira", "03-23T08:00", "03-23T16:00"),
        ("mira", "03-30T07:00", "03-30T15:00"),
        ("mira", "04-06T07:00", "04-06T15:00"),
    ]


def test_an_exception_and_a_moved_occurrence() -> None:
    series = (
        "UID:s\n"
        + BERLIN.format("20260321T090000", "20260321T170000", "mira")
        + "\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;TZID=Europe/Berlin:20260322T090000"
    )
    moved = "UID:s\nRECURRENCE-ID;TZID=Europe/Berlin:20260323T090000\n" + BERLIN.format(
        "20260323T120000", "20260323T200000", "jon"
    )
    assert shifts(ics(series, moved)) == [
        ("mira", "03-21T08:00", "03-21T16:00"),
        ("jon", "03-23T11:00", "03-23T19:00"),
        ("mira", "03-24T08:00", "03-24T16:00"),
    ]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("Europe/Berlin", ("mira", "03-27T23:00", "03-29T22:00")),
        ("America/New_York", ("mira", "03-28T04:00", "03-30T04:00")),
        ("UTC", ("mira", "03-28T00:00", "03-30T00:00")),
    ],
)
def test_an_all_day_entry_lasts_from_midnight_to_midnight_of_its_place(
    location: str, expected: tuple[str, str, str]
) -> None:
    data = ics("DTSTART;VALUE=DATE:20260328\nDTEND;VALUE=DATE:20260330\nSUMMARY:mira")
    assert shifts(data, location) == [expected]


@pytest.mark.parametrize(("head", "expected"), [("", "03-25T08:00"), ("X-WR-TIMEZONE:America/New_York", "03-25T13:00")])
def test_a_time_without_a_zone_is_the_calendars_or_the_schedules(head: str, expected: str) -> None:
    found = shifts(ics("DTSTART:20260325T090000\nDTEND:20260325T100000\nSUMMARY:jon", head=head))
    assert [since for _, since, _ in found] == [expected]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("SUMMARY:mira", ["mira"]),
        ("SUMMARY: MIRA ", ["mira"]),
        ("SUMMARY:On Call - Mira Jones - Primary", ["mira"]),
        ("SUMMARY:mira\\, jon", ["jon", "mira"]),
        ("SUMMARY:jon & mira", ["jon", "mira"]),
        ("SUMMARY:On call\nATTENDEE:mailto:MIRA@example.com", ["mira"]),
        ("SUMMARY:mira\nATTENDEE;CN=jon:mailto:x@example.com", ["jon"]),
        ("SUMMARY:jon\nSTATUS:CANCELLED", []),
    ],
)
def test_whom_an_entry_names(words: str, expected: list[str]) -> None:
    data = ics(f"DTSTART:20260325T090000Z\nDTEND:20260325T100000Z\n{words}")
    assert [person for person, _, _ in shifts(data)] == expected


GOOD = "DTSTART:20260325T090000Z\nDTEND:20260326T090000Z\nSUMMARY:jon"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (GOOD.replace("jon", "bob"), "the entry 'bob' names nobody of notify.people"),
        (GOOD.replace("SUMMARY:jon", "SUMMARY:\x1b[31m<!channel>"), "names nobody"),
        ("SUMMARY:mira", "an entry can't be read"),
        (GOOD.replace("20260325T090000Z", "soon"), "an entry can't be read"),
        (GOOD + "\nRRULE:FREQ=SOMETIMES", "an entry "),
        (GOOD + "\nRRULE:FREQ=SECONDLY", "an entry recurs SECONDLY"),
        (GOOD + "\nRRULE:FREQ=MINUTELY", "an entry recurs MINUTELY"),
        (GOOD.replace("20260325", "00010325") + "\nRRULE:FREQ=DAILY", "an entry recurs since before 1990"),
        (GOOD.replace("20260325", "19910325") + "\nRRULE:FREQ=HOURLY", "an entry recurs too often"),
        (GOOD + "\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "on some days of months or years"),
        (
            GOOD + "\nRRULE:FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE="
            + ",".join(map(str, range(60))) + ";BYSECOND=" + ",".join(map(str, range(60))),
            "an entry recurs too often",
        ),
        (GOOD + "\nRRULE:FREQ=DAILY;INTERVAL=0", "an entry recurs DAILY with an INTERVAL of 0"),
        (GOOD + "\nRRULE:FREQ=HOURLY;INTERVAL=0", "with an INTERVAL of 0"),
        (GOOD + "\nRRULE:FREQ=YEARLY;INTERVAL=0;COUNT=2", "with an INTERVAL of 0"),
        (GOOD + "\nRRULE:FREQ=WEEKLY;INTERVAL=-1", "with an INTERVAL of -1"),
        (GOOD + "\nRRULE:FREQ=DAILY;INTERVAL=1;INTERVAL=0", "with an INTERVAL of 0"),
        (GOOD + "\nRRULE:FREQ=HOURLY;BYMONTH=13", "in a month that isn't there"),
        (GOOD + "\nRRULE:FREQ=DAILY;BYMONTH=0", "in a month that isn't there"),
        (GOOD + "\nRRULE:FREQ=HOURLY;INTERVAL=168;BYDAY=TH;BYMINUTE=0,30", "an entry recurs too often"),
        (GOOD + "\nRRULE:FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6,7,8,9,10,11", "at more than 5 positions"),
        (GOOD + "".join(f"\nRRULE:FREQ=YEARLY;BYMONTHDAY={30 + n}" for n in range(5)), "5 rules by which it recurs"),
        ("DTSTART;TZID=Nowhere/Land:20260325T090000\nDTEND;TZID=Nowhere/Land:20260325T100000\nSUMMARY:mira", "Nowhere"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_used_is_told_by_its_line_and_the_others_go_on(entry: str, says: str) -> None:
    read = read_calendar(ics("UID:bad\n" + entry, GOOD), "oncall.ics", PEOPLE, "UTC", BEGIN, END)
    (problem,) = read.problems
    assert (problem.place.file, problem.place.line) == ("oncall.ics", 5)
    assert says in problem.message
    assert problem.remedy
    assert "\x1b" not in str(problem)
    assert "jon" in {one.person for one in read.shifts}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"garbage", "not an iCalendar"),
        (b"", "not an iCalendar"),
        (b"\x00\xff\xfe" * 1_000, "not an iCalendar"),
        (b"BEGIN:VCALENDAR\r\n" * 500, "not an iCalendar"),
        (b"BEGIN:VEVENT\r\nSUMMARY:mira\r\nEND:VEVENT\r\n", "not an iCalendar"),
        (b"<html>sign in</html>", "not an iCalendar"),
        (ics(GOOD) + b"X" * 10_000_000, "larger than 2 MB"),
    ],
)
def test_what_is_no_calendar_is_refused_as_a_whole(data: bytes, says: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read_calendar(data, "oncall.ics", PEOPLE, "UTC", BEGIN, END)
    assert says in str(error.value)
    assert "oncall.ics" in str(error.value)
    assert error.value.problems[0].remedy


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;INTERVAL=1;COUNT=2", ["03-25", "03-26"]),
        ("FREQ=MONTHLY;BYDAY=WE;BYSETPOS=1,2,3,4,-1", ["03-25", "04-01", "04-08", "04-15"]),
        ("FREQ=YEARLY;BYMONTH=1,3,12;BYMONTHDAY=25", ["03-25"]),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", ["03-25"]),  # its first one is on in any case
        ("FREQ=YEARLY;BYDAY=MO;BYSETPOS=60", ["03-25"]),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TH", ["03-25"]),
    ],
)
def test_what_recurs_within_bounds_is_worked_out_although_it_may_never_match(rule: str, expected: list[str]) -> None:
    data = ics(f"DTSTART:20260325T090000Z\nDTEND:20260325T100000Z\nSUMMARY:mira\nRRULE:{rule}")
    assert [since[:5] for _, since, _ in shifts(data)] == expected


def _zone(rule: str, name: str) -> str:
    part = "DTSTART:20000326T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200"
    of = f"BEGIN:DAYLIGHT\n{part}\nRRULE:{rule}\nEND:DAYLIGHT"
    return f"BEGIN:VTIMEZONE\nTZID:{name}\n{of}\nEND:VTIMEZONE".replace("\n", "\r\n")


IN_ZONE = "DTSTART;TZID=Own/Land:20260401T090000\nDTEND;TZID=Own/Land:20260401T100000\nSUMMARY:mira"


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
        "FREQ=YEARLY;WKST=MO;INTERVAL=1;BYMONTH=3;BYDAY=SU;BYSETPOS=-1",
        "FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=-1SU;BYMONTH=3;UNTIL=20300101T000000Z",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=SU;BYMONTHDAY=25,26,27,28,29,30,31",
    ],
)
def test_a_time_zone_that_the_calendar_defines(rule: str) -> None:
    name = f"Land/{sum(rule.encode())}"  # the library remembers zones by their names
    data = ics(IN_ZONE.replace("Own/Land", name), head=_zone(rule, name))
    assert shifts(data) == [("mira", "04-01T07:00", "04-01T08:00")]


@pytest.mark.parametrize(
    "rule",
    [
        *("FREQ=YEARLY;INTERVAL=0", "FREQ=YEAR\n LY;INTER\n VAL=0", "freq=yearly;interval=0", "FREQ=SECONDLY"),
        *("FREQ=MINUTELY;COUNT=5", "FREQ=YEARLY;BYHOUR=1,2"),
    ],
)
def test_a_time_zone_that_never_ends_is_refused(rule: str) -> None:
    with pytest.raises(InvalidInput, match="the clocks of a time zone"):
        read_calendar(ics(IN_ZONE, head=_zone(rule, "Endless/Land")), "oncall.ics", PEOPLE, "UTC", BEGIN, END)


def test_time_zones_are_bounded() -> None:
    zones = "\r\n".join(_zone("FREQ=YEARLY", f"Land/{number}") for number in range(101))
    with pytest.raises(InvalidInput, match="too many time zones"):
        read_calendar(ics(GOOD, head=zones), "oncall.ics", PEOPLE, "UTC", BEGIN, END)


def test_a_calendar_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_module, "SECONDS", -1.0)
    with pytest.raises(InvalidInput, match="recur too often"):
        read_calendar(ics(GOOD), "oncall.ics", PEOPLE, "UTC", BEGIN, END)


def test_problems_are_bounded() -> None:
    many = [GOOD.replace("jon", f"bob{number}") for number in range(200)]
    assert len(read_calendar(ics(*many), "oncall.ics", PEOPLE, "UTC", BEGIN, END).problems) == 20


# the roster


def entries(*turns: tuple[str, str, str]) -> bytes:
    return ics(*(f"DTSTART:{since}\nDTEND:{until}\nSUMMARY:{who}" for who, since, until in turns))


TURNS = (("mira", "20260325T090000Z", "20260326T090000Z"), ("jon", "20260326T100000Z", "20260327T090000Z"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "oncall.ics"
    path.write_bytes(entries(*TURNS))
    return path


def roster(file: Path, home: Path) -> Roster:
    return Roster({"primary": Calendar(calendar=file)}, PEOPLE, home)


def facts(of: Roster, rows: dict[str, OnCall], *moments: str) -> list[tuple[tuple[str, ...], str, str | None]]:
    """(people, step, until) of what changes at these steps; `rows` is kept up to date."""
    found = []
    for draft in of.changes(rows, [to_ms(utc(moment)) for moment in moments]):
        payload = draft.payload
        assert isinstance(payload, OnCallChanged)
        until = payload.until and f"{payload.until:%dT%H:%M}"
        found.append((payload.people, f"{draft.occurred_at:%dT%H:%M}", until))
        row = ON_CALL.fold(rows.get(payload.schedule), provisional(draft))
        assert row is not None
        rows[payload.schedule] = row
    return found


def test_a_change_is_a_fact_at_the_step_at_which_it_is_so(file: Path, tmp_path: Path) -> None:
    rows: dict[str, OnCall] = {}
    made = roster(file, tmp_path)
    assert facts(made, rows, "2026-03-25T08:59:45", "2026-03-25T09:00", "2026-03-25T09:00:15") == [
        ((), "25T08:59", "25T09:00"),
        (("mira",), "25T09:00", "26T09:00"),
    ]
    assert rows["primary"].since == utc("2026-03-25T09:00")
    assert facts(made, rows, "2026-03-25T12:00") == []
    # Another process, the next day: nothing is told twice, and the gap is a fact too.
    assert facts(roster(file, tmp_path), rows, "2026-03-26T08:00", "2026-03-26T09:30", "2026-03-26T10:00") == [
        ((), "26T09:30", "26T10:00"),
        (("jon",), "26T10:00", "27T09:00"),
    ]


def test_steps_that_are_caught_up_late_change_nothing(file: Path, tmp_path: Path) -> None:
    rows: dict[str, OnCall] = {}
    made = roster(file, tmp_path)
    facts(made, rows, "2026-03-26T10:00")
    assert facts(made, rows, "2026-03-25T12:00") == []


def test_the_same_steps_give_the_same_drafts(file: Path, tmp_path: Path) -> None:
    steps = [to_ms(utc("2026-03-25T00:00") + timedelta(hours=hour)) for hour in range(80)]
    once = roster(file, tmp_path).changes({}, steps)
    rows: dict[str, OnCall] = {}
    parts = []
    for start in range(0, 80, 7):
        made = roster(file, tmp_path).changes(rows, steps[start : start + 7])
        parts += made
        for draft in made:
            row = ON_CALL.fold(None, provisional(draft))
            assert row is not None
            rows["primary"] = row
    assert [draft.id for draft in parts] == [draft.id for draft in once]


@pytest.mark.parametrize("broken", [b"garbage", None])
def test_the_last_good_copy_holds_and_the_failure_is_told_until_it_works_again(
    file: Path, tmp_path: Path, broken: bytes | None
) -> None:
    home, now = tmp_path / "home", utc("2026-03-25T12:00")
    assert facts(roster(file, home), {}, "2026-03-25T12:00")[0][0] == ("mira",)
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    made = roster(file, home)
    assert facts(made, {}, "2026-03-25T12:00")[0][0] == ("mira",)
    (draft,) = made.health(None, now)
    failed = draft.payload
    assert isinstance(failed, SourceFailed)
    assert (failed.source, failed.signal) == (SOURCE, "primary")
    assert str(file) in failed.error
    assert failed.remedy
    known = SourceHealth(source=SOURCE, failed={"primary": failed.error}, since={"primary": now}, last_event_at=now)
    assert made.health(known, now) == []
    file.write_bytes(entries(*TURNS))
    (draft,) = roster(file, home).health(known, now)
    assert draft.payload == SourceRecovered(source=SOURCE, signal="primary", failed_since=now)


def test_a_schedule_that_was_removed_no_longer_fails(tmp_path: Path) -> None:
    now = utc("2026-03-25T12:00")
    known = SourceHealth(source=SOURCE, failed={"old": "x"}, since={"old": now}, last_event_at=now)
    (draft,) = Roster(home=tmp_path).health(known, now)
    assert isinstance(draft.payload, SourceRecovered)


def test_gaps_of_the_next_two_weeks(file: Path, tmp_path: Path) -> None:
    found = check.gaps(roster(file, tmp_path), "primary", utc("2026-03-25T12:00"))
    assert [(one.since, one.until) for one in found] == [
        (utc("2026-03-26T09:00"), utc("2026-03-26T10:00")),
        (utc("2026-03-27T09:00"), None),
    ]
    assert check.told(found, utc("2026-03-25T12:00")) == (
        "2026-03-26 09:00Z to 2026-03-26 10:00Z, 2026-03-27 09:00Z to the end of the next 14 days"
    )


# feeds

SECRET = "5up3r-s3cret-uuid"


class Server:
    """Answers as a test says."""

    code, body, location = 200, entries(*TURNS), ""
    asked = 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()

    class Feed(Handler):
        def do_GET(self) -> None:
            made.asked += 1
            with contextlib.suppress(OSError):
                self.reply(made.body, made.code, **({"Location": made.location} if made.location else {}))

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with http_server(Feed) as address:
        monkeypatch.setenv("ONCALL_ICS", f"http://{address}/{SECRET}.ics")
        yield made


def fed(home: Path) -> Roster:
    return Roster({"primary": Calendar(url=Secret(env="ONCALL_ICS"))}, PEOPLE, home)


def asked(of: Roster, moment: str) -> None:
    settle(of.refresh(utc(moment)))


def test_a_feed_is_asked_when_its_time_comes(tmp_path: Path, server: Server) -> None:
    made = fed(tmp_path)
    asked(made, "2026-03-25T12:00")
    assert facts(made, {}, "2026-03-25T12:00")[0][0] == ("mira",)
    assert made.health(None, utc("2026-03-25T12:00")) == []
    for moment, times in (("12:04:59", 1), ("12:05", 2), ("12:09:59", 2)):
        asked(fed(tmp_path), f"2026-03-25T{moment}")
        assert server.asked == times


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"code": 500}, "HTTP 500"),
        ({"code": 302, "location": "https://elsewhere.example/"}, "redirects"),
        ({"body": b"<html>sign in</html>"}, "not an iCalendar"),
        ({"body": b"X" * 3_000_000}, "larger than 2 MB"),
    ],
)
def test_a_feed_that_fails_leaves_the_last_good_copy(
    tmp_path: Path, server: Server, change: dict[str, Any], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked(fed(tmp_path), "2026-03-25T12:00")
    for name, value in change.items():
        setattr(server, name, value)
    made = fed(tmp_path)
    asked(made, "2026-03-25T13:00")
    assert facts(made, {}, "2026-03-25T13:00")[0][0] == ("mira",)
    (draft,) = made.health(None, utc("2026-03-25T13:00"))
    assert isinstance(draft.payload, SourceFailed)
    assert says in draft.payload.error
    assert "in force is what it said at 2026-03-25 12:00Z" in draft.payload.error
    kept = "".join(path.read_text("utf-8", "replace") for path in tmp_path.rglob("*.json"))
    assert SECRET not in draft.payload.error + draft.payload.remedy + kept + caplog.text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://calendar.example/x.ics", "isn't https"),
        ("ftp://127.0.0.1/x.ics", "isn't https"),
        ("nonsense", "isn't an https URL"),
        ("https://calendar.example/a b", "isn't an https URL"),
    ],
)
def test_an_address_that_others_could_answer_for_is_refused(
    url: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCALL_ICS", url)
    with pytest.raises(RequestFailed, match=says):
        feed.fetch(Secret(env="ONCALL_ICS"))


# settings

CHANNELS = [{"name": "sms", "url": {"env": "SMS"}}]


@pytest.mark.parametrize(
    ("notify", "says"),
    [
        ({"people": {"mira": {"channels": ["mail"]}}}, "people.mira names the channel mail, which isn't declared"),
        ({"people": {"mira": {"channels": ["sms"], "quiet": ["n"]}}}, "people.mira names the time n"),
        ({"people": {"sms": {"channels": ["sms"]}}}, "sms is a person and a channel"),
        ({"schedules": {"p": {"rotation": ["bob"], "start": "2026-01-05T09:00"}}}, "schedules.p names the person bob"),
        ({"schedules": {"p": {}}}, "name one of calendar"),
        ({"schedules": {"p": {"calendar": "a.ics", "url": {"env": "X"}}}}, "name one of calendar"),
        ({"schedules": {"p": {"rotation": ["a"], "start": "soon"}}}, "is not a local time"),
        ({"schedules": {"p": {"rotation": ["a"], "start": "2026-01-05T09:00", "every": "90m"}}}, "every is a number"),
        ({"schedules": {"p": {"calendar": "a.ics", "location": "Nowhere"}}}, "is no time zone"),
        ({"escalations": {"e": {"levels": [{"to": ["x"]}]}}}, "names the person, schedule or channel x"),
        ({"escalations": {"e": {"levels": [{"to": ["sms"]}, {"to": ["sms"]}]}}}, "level 2 needs after"),
        ({"escalations": {"e": {"levels": [{"to": ["sms"]}], "repeat": 1}}}, "repeat needs repeat_after"),
        ({"escalations": {"none": {"levels": [{"to": ["sms"]}]}}}, "no escalation can be called none"),
        ({"route": {"escalate": "e"}}, "route names the escalation e, which isn't declared; there is none"),
    ],
)
def test_settings_that_name_what_is_not_there(notify: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as error:
        Notify.model_validate({"channels": CHANNELS} | notify)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("place", "expected"), [((0, 1), (1, 1)), ((1, 1), (2, 1)), ((2, 1), (1, 2)), ((1, 2), (2, 2)), ((2, 2), None)]
)
def test_which_level_follows(place: tuple[int, int], expected: tuple[int, int] | None) -> None:
    levels = [{"to": ["a"]}, {"to": ["b"], "after": "10m"}]
    policy = Escalation.model_validate({"levels": levels, "repeat": 1})
    assert policy.following(*place) == expected
    assert policy.again_after == timedelta(minutes=10)
