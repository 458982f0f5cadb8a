"""Polling: a new snapshot where something is new, the last one with its reason where the store doesn't answer."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable
from tui.data.log import Log, Measured
from tui.data.rows import Entry
from tui.data.snapshot import POLL, Snapshot

if TYPE_CHECKING:
    from controlplane.eventlog.projections import Projection
    from controlplane.model.events import Event
    from tui.data.entries import Names

SHOWN = 500
"""How many events the timeline has, and how many decisions the audit trail."""
_MANY = 2_000
"""From so many new events on, whole projections are read rather than rows."""
_TICK = "tick_completed.v1"
"""A tick replaces the readings; nothing else does."""
_LONGEST_WAIT = timedelta(seconds=8)


def _projections() -> "tuple[Projection[Any], ...]":
    # Imported here: the first paint doesn't wait for it.
    from controlplane.eventlog import projections as known

    return (
        known.ALERTS,
        known.RECOMMENDATIONS,
        known.UNADVISED,
        known.SILENCES,
        known.SOURCES,
        known.RULES,
        known.RULE_SET,
        known.DELIVERIES,
        known.TICK,
    )


class SnapshotReader:
    """Polls the projections of an event log; builds a snapshot only where something is new.

    `log` is an open event log, or a function that opens it (called again until it succeeds). For one thread, but
    for `log` and `answered_at`.
    """

    def __init__(self, log: Log | Callable[[], Log], environment: str = "default") -> None:
        self.environment = environment
        self.log: Log | None = None if callable(log) else log
        """The log once it is open."""
        self.answered_at: datetime | None = None
        """When the store last answered, whether or not anything was new."""
        self._open: Callable[[], Log] | None = log if callable(log) else None
        self._last: Snapshot | None = None
        self._tables: dict[str, dict[str, Any]] = {}
        self._changed: set[str] | None = None
        """The alerts of which anything changed since the last snapshot, but for what a tick brings; None = any."""
        self._readings: Mapping[str, Measured] = {}
        self._names: Names
        """Given by the first look; it brings the payloads of events: not at the start."""
        self._entries: deque[Entry] = deque(maxlen=SHOWN)
        self._audit: deque[Entry] = deque(maxlen=SHOWN)
        self._failures = 0
        self._ending: tuple[Any, Any, dict[str, int]] = (None, None, {})
        """Tick and silences of the last look at those that end soon, and what they still mute."""

    def known(self) -> tuple[int, dict[str, dict[str, Any]]] | None:
        """Position and tables of the last poll, with perhaps some of what came after it; None before the first one."""
        last = self._last
        return None if last is None or not self._tables else (last.position, dict(self._tables))

    @property
    def wait(self) -> timedelta:
        """How long to wait before the next poll; longer after each failure."""
        return POLL if not self._failures else min(POLL * 2**self._failures, _LONGEST_WAIT)

    def poll(self, now: datetime) -> Snapshot | None:
        """The new snapshot, or None where nothing changed. Never raises: a failure is a snapshot with its reason."""
        try:
            snapshot = self._read()
        except Exception as error:  # noqa: BLE001 - whatever the store does, the picture stays up
            return self._failed(error, now)
        self._failures = 0
        self.answered_at = now
        if snapshot is self._last:
            return None
        self._last = snapshot
        return snapshot

    def _read(self) -> Snapshot:
        if self.log is None:
            assert self._open is not None
            self.log = self._open()
        log, last = self.log, self._last
        # Read first: what is appended meanwhile has a later position and is seen by the next poll.
        position = log.head()
        if last is not None and not last.error and last.position == position:
            return last
        if last is None or last.error or last.position > position or not self._renew(log, last.position, position):
            self._read_all(log, position)
        tables = self._tables
        return Snapshot.of(
            self.environment,
            alerts=tables["alerts"],
            readings=self._readings,
            recommendations=tables["recommendations"],
            unadvised=tables["unadvised"],
            silences=tables["silences"],
            ending=self._soon(log),
            sources=tables["sources"],
            rules=tables["rules"],
            rule_set=next(iter(tables["rule_set"].values()), None),
            deliveries=tables["deliveries"],
            tick=next(iter(tables["tick"].values()), None),
            entries=tuple(self._entries),
            audit=tuple(self._audit),
            position=position,
            before=last,
            changed=self._changed,
        )

    def _read_all(self, log: Log, position: int) -> None:
        from tui.data.entries import AUDIT, TIMELINE, Names

        self._tables = {projection.name: log.rows(projection) for projection in _projections()}
        self._changed = None
        self._readings = log.latest_readings()
        self._names = Names()
        self._names.learn(self._tables["alerts"].values())
        self._entries.clear()
        self._audit.clear()
        for types, kept in ((TIMELINE, self._entries), (AUDIT, self._audit)):
            newest = list(log.read(until=position, types=types, newest_first=True, limit=SHOWN))
            kept.extend(self._told(reversed(newest)))

    def _renew(self, log: Log, after: int, position: int) -> bool:
        """Read again the rows that new events are about; False where so many are new that all are read anew."""
        from tui.data.entries import AUDIT, TIMELINE

        events = list(islice(log.read(after=after, until=position), _MANY + 1))
        if len(events) > _MANY:
            return False
        changed: set[str] = set()
        for projection in _projections():
            keys = {key for event in events if event.type in projection.types for key in projection.keys(event)}
            if not keys:
                continue
            rows = log.some(projection, keys)
            table = self._tables[projection.name] | rows
            for gone in keys - rows.keys():
                table.pop(gone, None)
            self._tables[projection.name] = projection.bounded(table)
            match projection.name:
                case "alerts":
                    self._names.learn(rows.values())
                    changed |= keys
                case "unadvised":
                    changed |= keys
                case "recommendations":
                    changed |= {recommendation.alert for recommendation in rows.values()}
        if any(event.type == _TICK for event in events):
            self._readings = log.latest_readings()
        self._changed = changed
        self._entries.extend(self._told(event for event in events if event.type in TIMELINE))
        self._audit.extend(self._told(event for event in events if event.type in AUDIT))
        return True

    def _soon(self, log: Log) -> dict[str, int]:
        """Silences that end soon and how many alerts they still mute; looked at anew after each tick."""
        silences, tick = self._tables["silences"], next(iter(self._tables["tick"].values()), None)
        if self._ending[0] is not tick or self._ending[1] is not silences:
            found: dict[str, int] = {}
            if tick is not None and any(one.ends_soon(tick.now) for one in silences.values()):
                from controlplane.eventlog.projections import RESOURCES
                from controlplane.silencing import Firing, ending_soon

                firing = Firing.of(self._tables["alerts"].values(), log.rows(RESOURCES).values())
                found = ending_soon(silences.values(), firing, tick.now)
            self._ending = (tick, silences, found)
        return self._ending[2]

    def _told(self, events: "Iterable[Event]") -> Iterable[Entry]:
        from tui.data.entries import entries

        self._names.advice = self._tables["recommendations"]
        self._names.deliveries = self._tables["deliveries"]
        self._names.silences = self._tables["silences"]
        return entries(events, self._names)

    def _failed(self, error: Exception, now: datetime) -> Snapshot:
        self._failures += 1
        message = str(error) if isinstance(error, ControlplaneError) else f"{type(error).__name__}: {error}"
        last = self._last or Snapshot(self.environment)
        self._last = replace(
            last,
            error=printable(message, 500),
            error_since=last.error_since or now,
            retry_at=now + self.wait,
        )
        return self._last
