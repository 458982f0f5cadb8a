"""Shifts, and who is on call at an instant by them. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """Somebody is on call from `since` until before `until` (UTC)."""

    since: datetime
    until: datetime
    person: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """The same people are on call from `since` until before `until`; without people it is a gap."""

    people: tuple[str, ...]
    since: datetime
    until: datetime | None
    """None = not before the end of what is looked at."""


class Rota:
    """The shifts of a schedule between two instants, as stretches without holes and overlaps."""

    def __init__(self, shifts: Iterable[Shift], begin: datetime, end: datetime) -> None:
        known = [shift for shift in shifts if shift.since < shift.until and shift.until > begin and shift.since < end]
        edges = sorted({begin, *(edge for one in known for edge in (one.since, one.until) if begin < edge < end)})
        self.stretches: list[Stretch] = []
        """In order; the first one begins at the latest at `begin`."""
        starts: dict[datetime, list[str]] = {}
        ends: dict[datetime, list[str]] = {}
        for shift in known:
            starts.setdefault(max(shift.since, begin), []).append(shift.person)
            ends.setdefault(shift.until, []).append(shift.person)
        on: list[str] = []
        for edge in edges:
            for person in ends.get(edge, ()):
                on.remove(person)
            on += starts.get(edge, ())
            people = tuple(sorted(set(on)))
            if not self.stretches or self.stretches[-1].people != people:
                if self.stretches:
                    last = self.stretches[-1]
                    self.stretches[-1] = Stretch(last.people, last.since, edge)
                self.stretches.append(Stretch(people, edge, None))
        first = self.stretches[0]
        earlier = [shift.since for shift in known if shift.since < begin and shift.person in first.people]
        if earlier and first.people:
            self.stretches[0] = Stretch(first.people, max(earlier), first.until)
        self._edges = edges
        self._since = [stretch.since for stretch in self.stretches]

    def at(self, at: datetime) -> Stretch:
        """The stretch of an instant."""
        return self.stretches[max(0, bisect_right(self._since, at) - 1)]

    def after(self, at: datetime) -> Stretch | None:
        """The first stretch that begins after an instant."""
        place = bisect_right(self._since, at)
        return self.stretches[place] if place < len(self.stretches) else None

    def gaps(self, begin: datetime, end: datetime) -> Sequence[Stretch]:
        """The stretches without people between two instants."""
        return [
            one
            for one in self.stretches
            if not one.people and one.since < end and (one.until is None or one.until > begin)
        ]
