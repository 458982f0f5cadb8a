"""Any position of a log in little time: rows that didn't change are kept, the others are folded from their stream.

A row of a projection is made of the events of one stream, and most streams have events after which nothing before them
matters, such as the end of an alert. So going from one position to another decodes what the streams that were touched
in between need, whichever way it goes and however long the log is. Alerts without advice are the exception: they
also depend on recommendations.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tui.data.entries import AUDIT, TIMELINE
from tui.data.log import Log
from tui.data.past import PastLog
from tui.data.timeline_index import Marked, TimelineIndex

if TYPE_CHECKING:
    from controlplane.model.events import Event

_ANEW: Mapping[str, frozenset[str]] = {
    "alerts": frozenset({"alert_pending.v1", "alert_resolved.v1", "alert_dropped.v1"}),
    "recommendations": frozenset({"recommendation_proposed.v1", "recommendation_revised.v1"}),
    "silences": frozenset({"silence_created.v1"}),
    "rule_set": frozenset({"rule_set_activated.v1"}),
    "tick": frozenset({"tick_completed.v1"}),
    "deliveries": frozenset({"notification_queued.v1"}),
    "incidents": frozenset({"incident_changed.v1"}),
    "resources": frozenset({"resource_added.v1", "resource_changed.v1"}),
}
"""By projection, events after which nothing before them in their stream matters."""
_INGESTED = "samples_ingested.v1"
_ENDED = frozenset({"alert_resolved.v1"})
_PROPOSED = frozenset({"recommendation_proposed.v1"})
_STREAMS: Mapping[str, str] = {
    "alerts": "alert:",
    "recommendations": "recommendation:",
    "silences": "silence:",
    "sources": "source:",
    "rules": "rule:",
    "deliveries": "delivery:",
    "incidents": "incident:",
    "resources": "resource:",
    "tick": "tick",
    "rule_set": "rules",
}
"""By projection, how the names of its streams begin; what follows is the key, of `rules` the part before the source."""
_MANY = 50
_KEPT = 4_000
"""Decoded events that are kept."""

Table = dict[str, Any]


class _State(NamedTuple):
    """Rows that hold every event up to `low`, and none after `high`."""

    low: int
    high: int
    rows: Table


class Recorded(Log, Protocol):
    """What looking at the past needs of an event log beyond what the present does."""

    def marks(self, *, after: int = 0) -> Iterator[Marked]:
        """Every event beyond a position without its payload."""
        ...

    def pick(self, positions: Iterable[int]) -> "list[Event]":
        """The events at these positions, in order."""
        ...

    def initial(self, projection: Any) -> dict[str, Any]:
        """The rows that a projection had where the log starts."""
        ...


class Recording:
    """A log with an index, and the tables of the position that was looked at last. Safe to use from several threads."""

    def __init__(self, log: Recorded) -> None:
        self.index = TimelineIndex()
        self._log = log
        self._lock = threading.RLock()
        self._events: OrderedDict[int, Event] = OrderedDict()
        self._now: dict[str, _State] = {}
        """The tables as they were when somebody first looked at the past."""
        self._last: dict[str, _State] = {}
        """The tables of the position that was looked at last."""
        self._initial: dict[str, Table] = {}
        self._lacking: dict[int, str] = {}

    def renew(self) -> None:
        """Take what was appended since the last time into the index."""
        with self._lock:
            self.index.extend(self._log.marks(after=self.index.end))

    def at(self, position: int) -> "RecordedLog":
        """The log as it was at a position between 0 and `index.end`."""
        return RecordedLog(self, self._log, position)

    def know(self, position: int, tables: Mapping[str, Table]) -> None:
        """Take tables that somebody has read already: of `position`, or with some of what came after it."""
        with self._lock:
            self.renew()  # so that whatever the rows contain is known to have happened
            for name, rows in tables.items():
                self._now.setdefault(name, _State(position, self.index.end, rows))

    def table(self, projection: Any, position: int) -> Table:
        """The rows that a projection had at a position."""
        with self._lock:
            if projection.name not in self._now:
                head = self._log.head()
                self.know(head, {projection.name: self._log.rows(projection)})
            known = self._last.get(projection.name, self._now[projection.name])
            if not known.low == known.high == position:
                known = _State(position, position, self._moved(projection, known, position))
                self._last[projection.name] = known
            return known.rows

    def events(self, positions: Iterable[int]) -> "list[Event]":
        """The events at these positions, in order."""
        with self._lock:
            wanted = sorted(set(positions))
            missing = [position for position in wanted if position not in self._events]
            found = {event.position: event for event in self._log.pick(missing)} if missing else {}
            made = []
            for position in wanted:
                event = found.get(position) or self._events.get(position)
                if event is not None:
                    made.append(event)
                    self._events[position] = event
                    self._events.move_to_end(position)
            while len(self._events) > _KEPT:
                self._events.popitem(last=False)
            return made

    def reached(self, position: int, at: datetime) -> int:
        """Position up to which nothing is later than a time, from a stop on and before the next one."""
        stop = self.index.step(position, 1)
        end = self.index.end if stop is None else stop - 1
        while position < end:
            found = self.events(range(position + 1, min(position + _MANY, end) + 1))
            for event in found:
                if event.occurred_at > at:
                    return position
                position = event.position
            if not found:
                break
        return position

    def evaluated(self, position: int, at: datetime) -> bool:
        """Whether a tick that ended after a position looked at a time when it caught up with steps until then."""
        from controlplane.model.payloads import TickCompleted

        ended: datetime | None = None
        evaluated = timedelta(0)
        for later in self.index.following(_STREAMS["tick"], position):
            for tick in (event.payload for event in self.events([later])):
                if not isinstance(tick, TickCompleted) or ended not in {None, tick.now}:
                    return False
                step = timedelta(milliseconds=tick.step_ms)
                ended, evaluated = tick.now, evaluated + tick.steps * step  # it may have caught up in several windows
                if ended - evaluated + step <= at:
                    return True
        return False

    def _moved(self, projection: Any, known: _State, position: int) -> Table:
        if projection.name == "unadvised":
            return self._unadvised(projection, position)
        start = _STREAMS[projection.name]
        touched = self._touched(start, known, position)
        rows = dict(known.rows)
        if projection.keep is not None:
            newest = self.index.queued(position, projection.keep)
            there = {f"{start}{key}" for key in rows}
            rows = {key: row for key, row in rows.items() if f"{start}{key}" in newest}
            touched = (touched & newest) | (newest - there)
        elif len(touched) > _MANY:  # going far: what didn't change since is as it is now
            now = self._now[projection.name]
            same = touched - self._touched(start, now, position)
            for name in same:
                _replace(projection.name, rows, name[len(start) :], now.rows)
            touched -= same
        self._fold(projection, rows, touched, position)
        return rows

    def _touched(self, start: str, known: _State, position: int) -> set[str]:
        """Streams whose rows may differ between a state and a position."""
        names = self.index.touched(min(known.low, position), max(known.high, position))
        return {name for name in names if name.startswith(start)}

    def _fold(self, projection: Any, rows: Table, streams: Iterable[str], position: int) -> None:
        """Put the rows of some streams as of a position in the place of those that are there."""
        start, needed = _STREAMS[projection.name], set()
        from_start = self._at_start(projection)
        for name in streams:
            found, complete = self._needed(projection, name, position)
            needed.update(found)
            _replace(projection.name, rows, name[len(start) :], {} if complete else from_start)
        _folded(projection, rows, self.events(needed))

    def _needed(self, projection: Any, stream: str, position: int) -> tuple[list[int], bool]:
        """Positions of the events that the rows of a stream are made of, and whether nothing before them matters."""
        anew, found, ingested = _ANEW.get(projection.name, frozenset()), [], False
        for at in self.index.stream(stream, position, projection.types):
            kind = self.index.type_at(at)
            if kind == _INGESTED:
                if ingested:
                    continue  # a batch says everything about itself, and batches follow one another in time
                ingested = True
            found.append(at)
            if kind in anew:
                return found, True
        return found, False

    def _at_start(self, projection: Any) -> Table:
        if projection.name not in self._initial:
            self._initial[projection.name] = self._log.initial(projection)
        return self._initial[projection.name]

    def _unadvised(self, projection: Any, position: int) -> Table:
        """Alerts without advice: what failed since they last ended, and the proposals for them since then."""
        from controlplane.eventlog.projections import RECOMMENDATIONS

        rows = dict(self._at_start(projection))
        failed = self._failures(position)
        alerts = {alert for _, alert in failed} | set(rows)
        if not alerts:
            return rows
        ended = {alert: max(self.index.stream(f"alert:{alert}", position, _ENDED), default=0) for alert in alerts}
        needed = {at for at, alert in failed if at > ended[alert]}
        needed.update(at for alert, at in ended.items() if at and alert in rows)
        for key, found in self.table(RECOMMENDATIONS, position).items():
            if found.alert in alerts:
                made = self.index.stream(f"recommendation:{key}", position, _PROPOSED)
                needed.update(at for at in made if at > ended[found.alert])
        _folded(projection, rows, self.events(needed))
        return rows

    def _failures(self, position: int) -> list[tuple[int, str]]:
        """Where up to a position advice could not be given, and the alert that it was for."""
        positions = self.index.failures(position)
        unknown = [at for at in positions if at not in self._lacking]
        self._lacking |= {event.position: event.payload.alert for event in self.events(unknown)}  # type: ignore[union-attr]  # no others are read
        return [(at, self._lacking[at]) for at in positions]


def _replace(projection: str, rows: Table, about: str, others: Mapping[str, Any]) -> None:
    """Put the rows that others have of a stream in the place of those that are there."""
    for key in _keys(projection, rows, about):
        rows.pop(key, None)
    rows.update((key, others[key]) for key in _keys(projection, others, about) if key in others)


def _keys(projection: str, rows: Mapping[str, Any], about: str) -> list[str]:
    """Keys of the rows that a stream about something has."""
    if not about:
        return list(rows)
    return [key for key, row in rows.items() if row.rule == about] if projection == "rules" else [about]


def _folded(projection: Any, rows: Table, events: "Iterable[Event]") -> None:
    for event in events:
        for key in projection.keys(event):
            row = projection.fold(rows.get(key), event)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row


class RecordedLog(PastLog):
    """The log as it was at a position, out of a recording."""

    def __init__(self, recording: Recording, log: Log, position: int) -> None:
        super().__init__(log, position)
        self._recording = recording

    def rows(self, projection: Any) -> dict[str, Any]:
        """All rows that a projection had."""
        if projection.name not in self._rows:
            if projection.name != "unadvised" and projection.name not in _STREAMS:
                return super().rows(projection)
            self._rows[projection.name] = self._recording.table(projection, self._position)
        return self._rows[projection.name]

    def read(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        types: Collection[str] | None = None,
        stream: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> "Iterator[Event]":
        """Events with after < position ≤ until, none after the end of the log."""
        last = self._position if until is None else min(until, self._position)
        if newest_first and limit is not None and stream is None and not after and types in (TIMELINE, AUDIT):
            what = "timeline" if types == TIMELINE else "audit"
            found = self._recording.events(self._recording.index.shown(what, last, limit))
            return iter(found[::-1])
        return super().read(after=after, until=last, types=types, stream=stream, newest_first=newest_first, limit=limit)
