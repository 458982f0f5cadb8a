"""Where things are in the log: the ends of ticks and their times, incidents, and the events of each stream."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from tui.data.entries import AUDIT, TIMELINE

_TICK = "tick_completed.v1"
_QUEUED = "notification_queued.v1"
_FAILED = "advice_failed.v1"
_OPENS = frozenset({"alert_fired.v1", "alert_no_data.v1"})
_DECISIONS = ("alert_", "recommendation_", "incident_", "notification_queued", "notification_suppressed", "advice_")
_PEOPLE = frozenset(
    f"{name}.v1"
    for name in (
        "alert_acknowledged",
        "recommendation_approved",
        "recommendation_rejected",
        "recommendation_reopened",
        "recommendation_executed",
    )
)
_APART = 60.0
"""Seconds from the last decision of a tick to its end from which the two are looked at apart."""


Marked = tuple[int, str, str, str]
"""An event without its payload: position, stream, type, time as text (`controlplane.eventlog.marks.Mark`)."""


def _roles(kind: str) -> tuple[str, ...]:
    """The lists that events of a type are in."""
    found = {
        "timeline": kind in TIMELINE,
        "audit": kind in AUDIT,
        "incident": kind in _OPENS,
        "queued": kind == _QUEUED,
        "failed": kind == _FAILED,
        "decision": kind.startswith(_DECISIONS) and kind not in _PEOPLE,
    }
    return tuple(name for name, here in found.items() if here)


class TimelineIndex:
    """Built from marks in order; `extend` it with what comes later.

    A stop is where the log can be looked at as a whole: the end of a tick, and within a tick that caught up with many
    steps the end of each step at which something was decided.
    """

    def __init__(self) -> None:
        self.end = 0
        """The last position that is known."""
        self._first = 0
        self._names: list[str] = []
        self._codes: dict[str, int] = {}
        self._types = array("H")
        self._roles: list[tuple[str, ...]] = []
        self._streams: list[array[int]] = []
        """By number of the stream, the positions of its events."""
        self._at = array("Q")
        """For each event the number of its stream."""
        self._stream_names: list[str] = []
        self._stream_codes: dict[str, int] = {}
        self._stops = array("Q")
        self._times: list[str] = []
        self._lists = {name: array("Q") for name in ("timeline", "audit", "incident", "queued", "failed", "decision")}
        self._open: tuple[int, str] | None = None
        """The last decision, which is a stop if what follows it is later."""

    def extend(self, marks: Iterable[Marked]) -> None:
        """Take what follows."""
        for position, stream, kind, at in marks:
            if not self.end:
                self._first = position
            elif position != self.end + 1:
                raise ValueError(f"the log has a gap after position {self.end}")
            self.end = position
            code = self._codes.get(kind)
            if code is None:
                code = self._codes[kind] = len(self._names)
                self._names.append(kind)
                self._roles.append(_roles(kind))
            self._types.append(code)
            number = self._stream_codes.get(stream)
            if number is None:
                number = self._stream_codes[stream] = len(self._stream_names)
                self._stream_names.append(stream)
                self._streams.append(array("Q"))
            self._streams[number].append(position)
            self._at.append(number)
            for role in self._roles[code]:
                self._lists[role].append(position)
            if kind == _TICK:
                self._tick_ends(position, at)
            elif "decision" in self._roles[code]:
                if self._open is not None and at > self._open[1]:
                    self._add(*self._open)
                self._open = (position, at)

    def _tick_ends(self, position: int, at: str) -> None:
        if self._open is not None and (instant(at) - instant(self._open[1])).total_seconds() >= _APART:
            self._add(*self._open)
        self._open = None
        self._add(position, at)

    def _add(self, position: int, at: str) -> None:
        # A tick that caught up in several windows ends each of them at the same time, after the steps of the next one.
        for number in range(len(self._times) - 1, -1, -1):
            if self._times[number] <= at:
                break
            self._times[number] = at
        self._stops.append(position)
        self._times.append(at)

    # stops

    def __len__(self) -> int:
        """How many stops there are."""
        return len(self._stops)

    @property
    def begin(self) -> int:
        """The earliest position that can be looked at: the last archived one, or 0."""
        return max(0, self._first - 1)

    @property
    def last(self) -> int:
        """Position of the last stop; 0 where there is none."""
        return self._stops[-1] if self._stops else 0

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """Times of the first and the last stop; None where there is none."""
        return (instant(self._times[0]), instant(self._times[-1])) if self._times else None

    def time_of(self, position: int) -> datetime | None:
        """The time of the stop at or after `position`, else of the last one."""
        if not self._stops:
            return None
        number = min(bisect_left(self._stops, position), len(self._stops) - 1)
        return instant(self._times[number])

    def position_at(self, at: datetime) -> int | None:
        """The last stop that isn't later than `at`; None where all are."""
        text = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        number = bisect_right(self._times, text)
        return self._stops[number - 1] if number else None

    def step(self, position: int, by: int) -> int | None:
        """The stop `by` (not 0) stops before or after `position`; None where there are no so many."""
        number = (bisect_right(self._stops, position) + by - 1) if by > 0 else (bisect_left(self._stops, position) + by)
        return self._stops[number] if 0 <= number < len(self._stops) else None

    def incident(self, position: int, by: int) -> int | None:
        """The next (1) or previous (-1) stop at which an alert has begun to fire; None where there is none."""
        fired = self._lists["incident"]
        before = self._stops[number - 1] if (number := bisect_left(self._stops, position)) else 0
        if by > 0:
            number = bisect_right(fired, position)
            return self.stop_of(fired[number]) if number < len(fired) else None
        number = bisect_right(fired, before)
        return self.stop_of(fired[number - 1]) if number else None

    def stop_of(self, position: int) -> int:
        """The first stop at or after a position."""
        number = bisect_left(self._stops, position)
        return self._stops[number] if number < len(self._stops) else self.end

    # streams

    def type_at(self, position: int) -> str:
        """Type of the event at a position."""
        return self._names[self._types[position - self._first]]

    def touched(self, after: int, until: int) -> set[str]:
        """Names of the streams with events in (after, until]."""
        low, high = max(after + 1, self._first), min(until, self.end)
        return {self._stream_names[code] for code in set(self._at[low - self._first : high - self._first + 1])}

    def stream(self, name: str, until: int, types: Collection[str]) -> Iterator[int]:
        """Positions ≤ until in a stream whose event is of one of the types, newest first."""
        code = self._stream_codes.get(name)
        found = array("Q") if code is None else self._streams[code]
        for number in range(bisect_right(found, until) - 1, -1, -1):
            if self.type_at(found[number]) in types:
                yield found[number]

    def following(self, name: str, after: int) -> "array[int]":
        """Positions > after of the events of a stream, in order."""
        code = self._stream_codes.get(name)
        found = array("Q") if code is None else self._streams[code]
        return found[bisect_right(found, after) :]

    def shown(self, what: str, until: int, most: int) -> "array[int]":
        """The last positions ≤ until of what the `timeline` or the `audit` trail shows."""
        found = self._lists[what]
        end = bisect_right(found, until)
        return found[max(0, end - most) : end]

    def failures(self, until: int) -> "array[int]":
        """Positions ≤ until at which advice could not be given."""
        failed = self._lists["failed"]
        return failed[: bisect_right(failed, until)]

    def queued(self, until: int, most: int) -> set[str]:
        """Streams of the deliveries that were queued last, at most so many."""
        streams: set[str] = set()
        queued = self._lists["queued"]
        for number in range(bisect_right(queued, until) - 1, -1, -1):
            streams.add(self._stream_names[self._at[queued[number] - self._first]])
            if len(streams) == most:
                break
        return streams


def instant(text: str) -> datetime:
    """The time that a mark has as text."""
    return datetime.fromisoformat(text).astimezone(UTC)
