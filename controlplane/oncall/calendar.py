"""An iCalendar as shifts: what its entries say of people, within bounds that no calendar can break.

Recurrence, exceptions, moved occurrences and time zones are the libraries' (icalendar, recurring-ical-events). An entry
that can't be used is a problem of its own; the others go on.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.labels import printable
from controlplane.model.oncall import Person
from controlplane.oncall.recurrence import unbounded, unbounded_zone
from controlplane.oncall.shifts import Shift

if TYPE_CHECKING:
    import icalendar

MAX_BYTES = 2_000_000
SERIES = 5_000
SHIFTS = 50_000
SECONDS = 5.0
"""How long the entries may take to be worked out."""
PROBLEMS = 20
_SEPARATORS = re.compile(r"\s*[,;/&+|]\s*|\s+[-–—]\s+|\s+and\s+")
_MAIL = re.compile(r"mailto:", re.IGNORECASE)


@dataclass(slots=True)
class Read:
    """What a calendar says."""

    shifts: list[Shift] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Entries that can't be used, at most 20."""


def read_calendar(
    data: bytes, name: str, people: Mapping[str, Person], location: str, begin: datetime, end: datetime
) -> Read:
    """The shifts of an .ics file between two instants; `name` stands in errors for the file.

    InvalidInput where it is no calendar, too large, or takes too long.
    """
    calendar = _parsed(data, name)
    known = _names(people)
    read = Read()
    until = time.monotonic() + SECONDS
    series = list(_series(calendar))
    if len(series) > SERIES:
        raise _refused(name, f"it has {len(series):,} entries, more than {SERIES:,}", "Leave out what is over")
    lines = _Lines(data)
    for events in series:
        place = Place(name, lines.of(events[0]))
        try:
            shifts = list(_shifts(events, calendar, known, ZoneInfo(location), begin, end))
        except _Unusable as error:
            _note(read, Problem(place, str(error), error.remedy))
            shifts = error.shifts
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, ArithmeticError) as error:
            said = printable(str(error), 200)
            _note(read, Problem(place, f"an entry can't be read: {said}", "Correct or remove it"))
            continue
        read.shifts += shifts
        if len(read.shifts) > SHIFTS or time.monotonic() > until:
            raise _refused(name, "its entries recur too often to be worked out", "Use daily or weekly entries")
    return read


class _Unusable(Exception):
    def __init__(self, message: str, remedy: str, shifts: Iterable[Shift] = ()) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.shifts = list(shifts)


def _note(read: Read, problem: Problem) -> None:
    if len(read.problems) < PROBLEMS and problem not in read.problems:
        read.problems.append(problem)


def _refused(name: str, message: str, remedy: str) -> InvalidInput:
    return InvalidInput([Problem(Place(name), message, remedy)])


def _parsed(data: bytes, name: str) -> "icalendar.Calendar":
    import icalendar

    if len(data) > MAX_BYTES:
        raise _refused(name, f"it is larger than {MAX_BYTES // 1_000_000} MB", "Leave out entries that are over")
    try:
        if (why := unbounded_zone(data)) is not None:
            raise _refused(name, *why)
        found = icalendar.Calendar.from_ical(data)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        said = printable(str(error), 200)
        raise _refused(name, f"it is not an iCalendar: {said}", "Export it as .ics (iCalendar 2.0)") from None
    if not isinstance(found, icalendar.Calendar):
        raise _refused(name, "it is not an iCalendar", "Export it as .ics (iCalendar 2.0)")
    return found


def _series(calendar: "icalendar.Calendar") -> Iterator[list[Any]]:
    """Entries with what changes single occurrences of them."""
    found: dict[str, list[Any]] = defaultdict(list)
    for number, event in enumerate(calendar.walk("VEVENT")):
        found[str(event.get("UID", f"\n{number}"))].append(event)
    yield from found.values()


def _shifts(
    events: list[Any],
    calendar: "icalendar.Calendar",
    known: Mapping[str, str],
    zone: ZoneInfo,
    begin: datetime,
    end: datetime,
) -> Iterator[Shift]:
    import icalendar
    import recurring_ical_events

    unknown_zone = ""
    for event in events:
        if (why := unbounded(event, end)) is not None:
            raise _Unusable(*why)
        zone_name = str(event["DTSTART"].params.get("TZID", ""))
        start = event["DTSTART"].dt
        if zone_name and isinstance(start, datetime) and start.tzinfo is None:
            unknown_zone = zone_name
    part = icalendar.Calendar()
    for key in ("X-WR-TIMEZONE", "CALSCALE"):
        if key in calendar:
            part[key] = calendar[key]
    for event in events:
        part.add_component(event)
    found: list[Shift] = []
    nobody: str | None = None
    day = timedelta(days=1)  # times without a zone are compared as if they were in UTC
    for occurrence in recurring_ical_events.of(part).between(begin - day, end + day):
        if str(occurrence.get("STATUS", "")).upper() == "CANCELLED":
            continue
        people = _people(occurrence, known)
        if not people:
            nobody = nobody if nobody is not None else printable(str(occurrence.get("SUMMARY", "")), 80)
            continue
        since, until = _instant(occurrence.start, zone), _instant(occurrence.end, zone)
        found += [Shift(since, until, person) for person in people if since < until]
    if unknown_zone:
        said = f"the time zone {printable(unknown_zone, 80)!r} isn't known; {zone.key} is taken for it"
        raise _Unusable(said, "Export it with its VTIMEZONE, or name a zone such as Europe/Berlin", found)
    if nobody is not None:
        remedy = "Correct the entry, or add what it says to names of a person"
        raise _Unusable(f"the entry {nobody!r} names nobody of notify.people", remedy, found)
    yield from found


def _instant(at: date, zone: ZoneInfo) -> datetime:
    """A day begins at its local midnight; a time without a zone is local."""
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day)  # noqa: DTZ001 - the zone is added below
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)


def _names(people: Mapping[str, Person]) -> dict[str, str]:
    """What calendars may say → the person."""
    return {
        said.strip().casefold(): name
        for name, person in people.items()
        for said in (name, *person.names, *([person.pagerduty] if person.pagerduty else []))
    }


def _people(event: Any, known: Mapping[str, str]) -> list[str]:
    """Whom an entry names: its attendees, else the words of its summary."""
    attendees = event.get("ATTENDEE", [])
    attendees = attendees if isinstance(attendees, list) else [attendees]
    said = [_MAIL.sub("", str(one)) for one in attendees]
    said += [str(one.params.get("CN", "")) for one in attendees if hasattr(one, "params")]
    found = [known[text.strip().casefold()] for text in said if text.strip().casefold() in known]
    if not found:
        summary = str(event.get("SUMMARY", ""))
        texts = (summary, *_SEPARATORS.split(summary[:1_000]))
        found = [known[text.strip().casefold()] for text in texts if text.strip().casefold() in known]
    return list(dict.fromkeys(found))


class _Lines:
    """Finds the line of an entry by its id."""

    def __init__(self, data: bytes) -> None:
        self._at: dict[str, int] = {}
        for number, line in enumerate(data.splitlines(), 1):
            if line.startswith(b"UID:"):
                self._at.setdefault(line[4:].decode("utf-8", "replace").strip(), number)

    def of(self, event: Any) -> int | None:
        return self._at.get(str(event.get("UID", "")))
