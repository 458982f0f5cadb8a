"""The event log as it was at a position: the same projections, folded from the events up to there."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.model.errors import ControlplaneError
from tui.data.log import Log, Measured
from tui.data.told import told_readings

if TYPE_CHECKING:
    from controlplane.model.events import Event


class PastLog:
    """A log that ends at `position`. Readings are kept for the present alone: a past alert has the value of its events
    and the chart of the last message about it.

    Each projection is folded once, when it is first asked for.
    """

    def __init__(self, log: Log, position: int) -> None:
        self._log = log
        self._position = position
        self._rows: dict[str, dict[str, Any]] = {}

    def head(self) -> int:
        """The position itself."""
        return self._position

    def rows(self, projection: Any) -> dict[str, Any]:
        """All rows that a projection had."""
        if projection.name not in self._rows:
            found: dict[str, Any] = {}
            for event in self._log.read(until=self._position, types=projection.types):
                for key in projection.keys(event):
                    row = projection.fold(found.get(key), event)
                    if row is None:
                        found.pop(key, None)
                    else:
                        found[key] = row
            self._rows[projection.name] = projection.bounded(found)
        return self._rows[projection.name]

    def row(self, projection: Any, key: str) -> Any:
        """One row that a projection had."""
        return self.rows(projection).get(key)

    def some(self, projection: Any, keys: Collection[str]) -> dict[str, Any]:
        """The rows of these keys, where there were any."""
        found = self.rows(projection)
        return {key: found[key] for key in keys if key in found}

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
        return self._log.read(
            after=after, until=last, types=types, stream=stream, newest_first=newest_first, limit=limit
        )

    def latest_readings(self) -> Mapping[str, Measured]:
        """What messages told of the alerts of then, in their present episode: readings aren't part of the log."""
        from controlplane.eventlog.projections import ALERTS

        alerts = self.rows(ALERTS)
        told = told_readings(self, self._position, alerts.keys())
        return {name: one for name, one in told.items() if one.at >= alerts[name].active_at}


def position_at(log: Log, at: datetime) -> int:
    """Position of the last tick that had ended by `at`; ControlplaneError where the log begins later."""
    for event in log.read(types={"tick_completed.v1"}, newest_first=True):
        if event.occurred_at <= at:
            return event.position
    raise ControlplaneError(f"no tick had ended by {at:%Y-%m-%d %H:%M:%SZ}: the log begins later")
