"""Schedules of the settings: who is on call at each step, as drafts for the log, and what is wrong with them."""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controlplane.model.errors import ControlplaneError, InvalidInput, Place, Problem
from controlplane.model.events import Draft, observation
from controlplane.model.oncall import OnCall, Person, Rotation
from controlplane.model.payloads import OnCallChanged, SourceFailed, SourceRecovered
from controlplane.model.time import from_ms
from controlplane.model.views import SourceHealth
from controlplane.oncall.calendar import Read, read_calendar
from controlplane.oncall.copies import Copies, read_bounded
from controlplane.oncall.feed import TIMEOUT, fetch
from controlplane.oncall.rotation import rotated
from controlplane.oncall.shifts import Rota
from controlplane.schedules import Calendar

SOURCE = "on-call"
"""The source by whose name failing schedules are told; its signals are the schedules."""
AHEAD = timedelta(days=28)
"""How far is looked ahead."""
_DAY = timedelta(days=1)
_SHOWN = 3
_CACHED = 64


@dataclass(frozen=True, slots=True)
class Known:
    """A schedule between two instants."""

    rota: Rota
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Roster:
    """The schedules, with the people that they name."""

    schedules: Mapping[str, Calendar | Rotation] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    home: Path | None = None
    """Where copies of calendars are kept; None = nowhere, and feeds aren't asked."""
    _cache: dict[tuple[str, str, datetime], Read] = field(default_factory=dict, repr=False)

    def known(self, schedule: str, begin: datetime, end: datetime) -> Known:
        """A schedule between two instants; what can't be read is a gap, and a problem that says so."""
        of = self.schedules[schedule]
        if isinstance(of, Rotation):
            return Known(Rota(rotated(of, begin, end), begin, end))
        read = self._calendar(schedule, of, begin, end)
        return Known(Rota(read.shifts, begin, end), tuple(read.problems))

    def changes(self, rows: Mapping[str, OnCall], steps: Sequence[int]) -> list[Draft]:
        """A draft for each step (epoch ms, ascending) at which who is on call, or until when, isn't as in `rows`."""
        if not steps or not self.schedules:
            return []
        begin = _midnight(from_ms(steps[0]))
        end = from_ms(steps[-1]) + AHEAD
        current = dict(rows)
        drafts = []
        rotas = {name: self.known(name, begin, end).rota for name in self.schedules}
        for ts in steps:
            at = from_ms(ts)
            for name, rota in rotas.items():
                found, row = rota.at(at), current.get(name)
                # A step that is caught up later than others says nothing of what has been known since.
                if row is not None and (at < row.since or (row.people, row.until) == (found.people, found.until)):
                    continue
                since = row.since if row is not None and row.people == found.people else found.since
                current[name] = OnCall(schedule=name, people=found.people, since=since, until=found.until)
                payload = OnCallChanged(schedule=name, people=found.people, since=since, until=found.until)
                drafts.append(observation(f"on-call:{name}", payload, at))
        return drafts

    def health(self, known: SourceHealth | None, at: datetime) -> list[Draft]:
        """Drafts for schedules that began to fail, fail for another reason, or work again."""
        begin = _midnight(at)
        failed = known.failed if known is not None else {}
        since = known.since if known is not None else {}
        drafts = []
        for name in sorted({*self.schedules, *failed}):
            problems = self.known(name, begin, begin + AHEAD).problems if name in self.schedules else ()
            error = "; ".join(f"{one.place}: {one.message}" for one in problems[:_SHOWN])
            if error and failed.get(name) != error:
                payload = SourceFailed(source=SOURCE, signal=name, error=error, remedy=problems[0].remedy)
                drafts.append(observation(f"source:{SOURCE}", payload, at))
            elif not error and name in failed:
                recovered = SourceRecovered(source=SOURCE, signal=name, failed_since=since.get(name, at))
                drafts.append(observation(f"source:{SOURCE}", recovered, at))
        return drafts

    def refresh(self, now: datetime) -> list[threading.Thread]:
        """Begin to fetch the feeds whose time it is; where there is no copy yet, it is waited for.

        The threads end within TIMEOUT; `settle` waits for them.
        """
        threads = []
        copies = self._copies
        for name, schedule in self.schedules.items():
            if copies is None or not isinstance(schedule, Calendar) or schedule.url is None:
                continue
            last = copies.attempt(name)
            if last is not None and timedelta(0) <= now - last.at < schedule.refresh:
                continue
            thread = threading.Thread(
                target=self._fetch, args=(name, schedule, now), name=f"calendar-{name}", daemon=True
            )
            thread.start()
            threads.append(thread)
            if copies.read(name) is None:
                thread.join(TIMEOUT + 1)
        return threads

    def _fetch(self, name: str, schedule: Calendar, now: datetime) -> None:
        assert self._copies is not None
        assert schedule.url is not None
        try:
            data = fetch(schedule.url)
            read_calendar(data, f"feed of {name}", self.people, schedule.location, now, now + AHEAD)
        except InvalidInput as error:
            self._copies.attempted(name, now, error.problems[0].message)
        except ControlplaneError as error:
            self._copies.attempted(name, now, str(error))
        else:
            self._copies.keep(name, data)
            self._copies.attempted(name, now, "")

    @property
    def _copies(self) -> Copies | None:
        return Copies(self.home / "oncall") if self.home is not None else None

    def _calendar(self, name: str, of: Calendar, begin: datetime, end: datetime) -> Read:
        copies = self._copies
        copy = copies.read(name) if copies is not None else None
        if of.calendar is not None:
            data = read_bounded(of.calendar)
            if data is not None:
                try:
                    read = self._read(data, str(of.calendar), of, begin, end)
                except InvalidInput as error:
                    problems = error.problems
                else:
                    if copies is not None:
                        copies.keep(name, data)
                    return read
            else:
                problems = [Problem(Place(str(of.calendar)), "the calendar can't be read", "Correct the path")]
        else:
            last = copies.attempt(name) if copies is not None else None
            place = Place(f"feed of {name}")
            problems = []
            if last is not None and last.error:
                good = f"; in force is what it said at {last.good_at:%Y-%m-%d %H:%MZ}" if last.good_at else ""
                remedy = "Mend the feed or its address; it is asked again by itself"
                problems = [Problem(place, f"{last.error}{good}", remedy)]
            elif copy is None:
                problems = [Problem(place, "it wasn't fetched yet", "Do a tick with `controlplane tick`")]
        if copy is None:
            return Read([], problems)
        try:
            read = self._read(copy, str(of.calendar or f"feed of {name}"), of, begin, end)
        except InvalidInput:  # the settings changed since it was kept
            return Read([], problems)
        return Read(read.shifts, [*problems, *read.problems])

    def _read(self, data: bytes, name: str, of: Calendar, begin: datetime, end: datetime) -> Read:
        """As `read_calendar`, remembered for the day: a tick asks several times for the same."""
        until = _midnight(end) + _DAY
        key = (hashlib.sha256(data).hexdigest(), f"{name}\n{of.location}", begin)
        found = self._cache.get(key)
        if found is None:
            found = read_calendar(data, name, self.people, of.location, begin, until)
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[key] = found
        return found


def settle(threads: Iterable[threading.Thread]) -> None:
    """Wait for what `refresh` began."""
    for thread in threads:
        thread.join(TIMEOUT + 1)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
