"""What the screens show: immutable snapshots of the event store's projections, and how old they may get."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Event
from controlplane.model.labels import printable
from controlplane.model.payloads import TickCompleted
from controlplane.model.recommendations import Recommendation
from controlplane.model.rules import Severity
from controlplane.model.views import SourceHealth

if TYPE_CHECKING:
    from controlplane.eventlog.projections import Projection

POLL = timedelta(seconds=1)
"""How often the event store is asked for something new."""
MISSED = 3
"""A picture is stale after so many missed polls or ticks."""
_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_MANY = 200
"""From so many new events on, whole projections are read rather than rows."""
_LONGEST_WAIT = timedelta(seconds=8)
_LONGEST_TICK = timedelta(minutes=5)


History = tuple[tuple[int, float | None], ...]
"""(epoch ms, value), oldest first."""


class Measured(Protocol):
    """A reading; its history may be decoded only when asked for."""

    @property
    def at(self) -> datetime:
        """Step of the newest value."""
        ...

    @property
    def value(self) -> float | None:
        """The newest value, in the alert's unit."""
        ...

    @property
    def history(self) -> History:
        """The values up to the newest one."""
        ...


class Log(Protocol):
    """What the terminal needs of the event log."""

    def head(self) -> int:
        """Position of the newest event."""
        ...

    def rows(self, projection: Any) -> dict[str, Any]:
        """All rows of a projection by key."""
        ...

    def row(self, projection: Any, key: str) -> Any:
        """One row of a projection."""
        ...

    def read(self, *, after: int, until: int) -> Iterator[Event]:
        """Events with after < position ≤ until, in order."""
        ...

    def latest_readings(self) -> Mapping[str, Measured]:
        """The current reading of each alert."""
        ...


def utc_now() -> datetime:
    """The time of the wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One alert with everything that its line and its detail show."""

    alert: Alert
    reading: Measured | None = None
    advice: tuple[Recommendation, ...] = ()
    """Open recommendations first, then the newest."""
    doubt: str = ""
    """Why this may no longer be true, such as a failed source; empty where there is no doubt."""
    text: str = ""
    """Everything that a filter word may match, in one case."""
    newest: float = 0.0
    """Sorts by `since`, the newest first."""
    urgency: tuple[bool, int, bool, float] = (False, 0, False, 0.0)
    """Sorts reported before pending, then by severity, open before acknowledged, the newest first."""

    @classmethod
    def of(
        cls,
        alert: Alert,
        reading: Measured | None = None,
        advice: tuple[Recommendation, ...] = (),
        doubt: str = "",
        before: "Row | None" = None,
    ) -> "Row":
        """A row with what filtering and sorting need; `before` is taken over as far as it is equal."""
        if before is None or (before.alert is not alert and before.alert != alert):
            newest = -(alert.fired_at or alert.active_at).timestamp()
            pending = alert.state is AlertState.PENDING
            urgency = (pending, _RANK[alert.severity], alert.acknowledged is not None, newest)
            return cls(alert, reading, advice, doubt, _searchable(alert), newest, urgency)
        if (before.reading, before.advice, before.doubt) == (reading, advice, doubt):
            return before
        return cls(alert, reading, advice, doubt, before.text, before.newest, before.urgency)

    @property
    def value(self) -> float | None:
        """The newest known value, in the alert's unit."""
        return self.alert.value if self.reading is None else self.reading.value

    @property
    def history(self) -> History:
        """The known past of the value; empty where there is none that can be read."""
        try:
            return () if self.reading is None else self.reading.history
        except ControlplaneError:
            return ()

    @property
    def since(self) -> datetime:
        """When it fired, or while it is pending when the condition began."""
        return self.alert.fired_at or self.alert.active_at


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one position of the log; `error` says why it could not be renewed."""

    environment: str
    rows: tuple[Row, ...] = ()
    sources: tuple[SourceHealth, ...] = ()
    tick: TickCompleted | None = None
    position: int = 0
    error: str = ""
    error_since: datetime | None = None
    retry_at: datetime | None = None
    reported: Mapping[Severity, int] = field(default_factory=dict, compare=False)
    """Firing and no-data alerts by severity."""
    acknowledged: int = 0
    pending: int = 0
    by_id: Mapping[str, Row] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        environment: str,
        *,
        alerts: Mapping[str, Alert],
        readings: Mapping[str, Measured] | None = None,
        recommendations: Mapping[str, Recommendation] | None = None,
        sources: Mapping[str, SourceHealth] | None = None,
        tick: TickCompleted | None = None,
        position: int = 0,
        before: "Snapshot | None" = None,
    ) -> "Snapshot":
        """Join the projections; rows that are equal to those of `before` are taken over."""
        health = tuple(sorted((sources or {}).values(), key=lambda source: source.source))
        failing = {source.source: source.failed[""] for source in health if "" in source.failed}
        oldest = None if tick is None else tick.now - MISSED * tick_interval(tick)
        advice: dict[str, list[Recommendation]] = {}
        for recommendation in (recommendations or {}).values():
            advice.setdefault(recommendation.alert, []).append(recommendation)
        known = before.by_id if before is not None else {}
        rows = []
        for key, alert in sorted(alerts.items()):
            reading = (readings or {}).get(key)
            chosen = tuple(sorted(advice.get(key, ()), key=lambda r: (not r.open, -r.at.timestamp())))
            doubt = _doubt(alert, reading, failing, oldest)
            rows.append(Row.of(alert, reading, chosen, doubt, known.get(key)))
        return cls(
            environment=environment,
            rows=tuple(rows),
            sources=health,
            tick=tick,
            position=position,
            reported=Counter(row.alert.severity for row in rows if row.alert.state is not AlertState.PENDING),
            acknowledged=sum(row.alert.acknowledged is not None for row in rows),
            pending=sum(row.alert.state is AlertState.PENDING for row in rows),
            by_id={row.alert.id: row for row in rows},
        )


def _doubt(alert: Alert, reading: Measured | None, failing: Mapping[str, str], oldest: datetime | None) -> str:
    if alert.source in failing:
        return f"source {alert.source} fails: {failing[alert.source]}"
    # A held or no-data alert has no fresh value by its nature; its state says so.
    measured = alert.state is not AlertState.NO_DATA and alert.held_for is None
    if measured and reading is not None and oldest is not None and reading.at < oldest:
        return "its newest value is older than 3 ticks"
    return ""


def _searchable(alert: Alert) -> str:
    parts = [alert.title, alert.summary, alert.component, alert.platform, alert.rule, alert.source]
    parts += alert.labels.values()
    return "\n".join(part[:300] for part in parts).casefold()


def tick_interval(tick: TickCompleted) -> timedelta:
    """How far apart ticks are: the steps that the last one evaluated, within one step and five minutes."""
    step = timedelta(milliseconds=tick.step_ms)
    return max(step, min(step * max(1, tick.steps), _LONGEST_TICK))


def _projections() -> "tuple[Projection[Any], ...]":
    # Imported here: the first paint doesn't wait for it.
    from controlplane.eventlog.projections import ALERTS, RECOMMENDATIONS, SOURCES, TICK

    return ALERTS, RECOMMENDATIONS, SOURCES, TICK


class SnapshotReader:
    """Polls the projections of an event log; builds a snapshot only where something is new.

    `log` is an open event log, or a function that opens it (called again until it succeeds). For one thread.
    """

    def __init__(self, log: Log | Callable[[], Log], environment: str = "default") -> None:
        self.environment = environment
        self._log: Log | None = None if callable(log) else log
        self._open: Callable[[], Log] | None = log if callable(log) else None
        self._last: Snapshot | None = None
        self._tables: dict[str, dict[str, Any]] = {}
        self._failures = 0
        self.answered_at: datetime | None = None
        """When the store last answered, whether or not anything was new."""

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
        if self._log is None:
            assert self._open is not None
            self._log = self._open()
        log, last = self._log, self._last
        # Read first: what is appended meanwhile has a later position and is seen by the next poll.
        position = log.head()
        if last is not None and not last.error and last.position == position:
            return last
        if last is None or last.error or last.position > position or not self._renew(log, last.position, position):
            self._tables = {projection.name: log.rows(projection) for projection in _projections()}
        tables = self._tables
        return Snapshot.of(
            self.environment,
            alerts=tables["alerts"],
            readings=log.latest_readings(),
            recommendations=tables["recommendations"],
            sources=tables["sources"],
            tick=next(iter(tables["tick"].values()), None),
            position=position,
            before=last,
        )

    def _renew(self, log: Log, after: int, position: int) -> bool:
        """Read again the rows that new events are about; False where so many are new that all are read anew."""
        events = list(islice(log.read(after=after, until=position), _MANY + 1))
        if len(events) > _MANY:
            return False
        for projection in _projections():
            table = dict(self._tables[projection.name])
            for key in {key for event in events for key in projection.keys(event)}:
                row = log.row(projection, key)
                if row is None:
                    table.pop(key, None)
                else:
                    table[key] = row
            self._tables[projection.name] = table
        return True

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
