"""What metrics count of alerts, recommendations and the outbox: a few fields of each, decoded without the rest."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, OUTBOX, RECOMMENDATIONS
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


@dataclass
class Counting:
    """Counts over the rows of one log; recommendations are never deleted, so only what changed is read again."""

    log: EventLog
    _recommendations: dict[str, _Recommendation] = field(default_factory=dict)
    _reached: int = 0

    def alerts(self) -> Counter[tuple[str, str, str]]:
        """(platform, severity, state) → active alerts."""
        rows = _decoded((doc for _, _, doc in self.log.documents(ALERTS)), _Alert)
        return Counter((row.platform, row.severity, row.state) for row in rows)

    def recommendations(self) -> Counter[tuple[str, str]]:
        """(platform, status) → open recommendations."""
        for key, position, doc in self.log.documents(RECOMMENDATIONS, after=self._reached):
            self._reached = max(self._reached, position)
            for row in _decoded((doc,), _Recommendation):
                self._recommendations[key] = row
        return Counter((row.platform, row.status) for row in self._recommendations.values() if row.status in OPEN)

    def outbox(self) -> dict[str, tuple[int, datetime]]:
        """Channel → messages that wait, and since when the oldest does."""
        found: dict[str, tuple[int, datetime]] = {}
        for row in _decoded((doc for _, _, doc in self.log.documents(OUTBOX)), _Delivery):
            number, oldest = found.get(row.channel, (0, row.queued_at))
            found[row.channel] = (number + 1, min(oldest, row.queued_at))
        return found


def _decoded(documents: Iterable[str], kind: type[T]) -> Iterable[T]:
    decoder = msgspec.json.Decoder(kind)
    return (decoder.decode(document) for document in documents)
