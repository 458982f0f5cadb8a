"""What metrics count of alerts, recommendations and the outbox: a few fields of each, decoded without the rest."""

from collections import Counter
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, OUTBOX, RECOMMENDATIONS, Projection
from controlplane.model.recommendations import Status

T = TypeVar("T")

OPEN = (Status.PROPOSED, Status.APPROVED)


class _Alert(msgspec.Struct):
    platform: str
    severity: str
    state: str


class _Recommendation(msgspec.Struct):
    platform: str
    status: str


class _Delivery(msgspec.Struct):
    channel: str
    queued_at: datetime
    decided_at: datetime | None = None


class _Kept(Generic[T]):
    """The rows of one projection with the fields of `kind`; each look reads only what changed since the last one."""

    def __init__(self, log: EventLog, projection: Projection[Any], kind: type[T]) -> None:
        self._log, self._projection = log, projection
        self._decoder = msgspec.json.Decoder(kind)
        self._rows: dict[str, T] = {}
        self._reached = 0

    def rows(self) -> list[T]:
        """The rows there are now, in no order."""
        for key, position, doc in self._log.documents(self._projection, after=self._reached):
            self._reached = max(self._reached, position)
            self._rows[key] = self._decoder.decode(doc)
        # Counting is much cheaper than asking for all keys, and few rows go.
        if len(self._rows) != self._log.count(self._projection):
            for gone in self._rows.keys() - self._log.keys(self._projection):
                del self._rows[gone]
        return list(self._rows.values())


class Counting:
    """Counts over the rows of one log, for as long as it is open."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._alerts = _Kept(log, ALERTS, _Alert)
        self._recommendations = _Kept(log, RECOMMENDATIONS, _Recommendation)
        self._outbox = _Kept(log, OUTBOX, _Delivery)

    def alerts(self) -> Counter[tuple[str, str, str]]:
        """(platform, severity, state) → active alerts."""
        return Counter((row.platform, row.severity, row.state) for row in self._alerts.rows())

    def recommendations(self) -> Counter[tuple[str, str]]:
        """(platform, status) → open recommendations."""
        return Counter((row.platform, row.status) for row in self._recommendations.rows() if row.status in OPEN)

    def outbox(self) -> dict[str, tuple[int, datetime]]:
        """Channel → messages that wait, and since when the oldest does."""
        found: dict[str, tuple[int, datetime]] = {}
        for row in self._outbox.rows():
            since = row.decided_at or row.queued_at  # as Delivery.waits_since
            number, oldest = found.get(row.channel, (0, since))
            found[row.channel] = (number + 1, min(oldest, since))
        return found
