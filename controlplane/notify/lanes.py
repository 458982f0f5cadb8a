"""What is queued, in lanes: which are due, and in which order."""

import json
from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Protocol

from controlplane.model.notifications import Delivery
from controlplane.notify.incident import RANK
from controlplane.notify.outcome import resting


class Documents(Protocol):
    """What is read of the event log."""

    def documents(self, projection: Any) -> list[tuple[str, int, str]]:
        """Key, position of the last change and JSON of every row."""


class Queued:
    """Reads what is queued again and again, and decodes only what has changed since the last time."""

    def __init__(self, log: Documents, projection: Any) -> None:
        self._log, self._projection = log, projection
        self._known: dict[str, tuple[int, Delivery]] = {}

    def read(self) -> list[Delivery]:
        """Every delivery, in no order."""
        found = {}
        for key, position, document in self._log.documents(self._projection):
            known = self._known.get(key)
            if known is None or known[0] != position:
                known = (position, Delivery.model_validate(json.loads(document)))
            found[key] = known
        self._known = found
        return [delivery for _, delivery in found.values()]


class Lanes:
    """Deliveries by lane (incident and channel) in their order, and by channel the lanes that are due at an instant."""

    def __init__(
        self,
        rows: Iterable[Delivery] = (),
        at: datetime | None = None,
        held: Collection[str] = (),
        paused: Collection[str] = (),
    ) -> None:
        """`held` lanes are worked on already; nothing of `paused` channels is due."""
        lanes: dict[str, deque[Delivery]] = defaultdict(deque)
        for delivery in sorted(rows, key=lambda d: (d.position, d.queued_at, d.id)):
            lanes[delivery.lane].append(delivery)
        self.rows = dict(lanes)
        self.todo: dict[str, deque[str]] = {}
        """Channel → its due lanes: those not tried first, then the worst, then the oldest."""
        self.next_due: datetime | None = None
        """When the next lane that isn't due becomes so."""
        if at is None:
            return
        idle = {delivery.channel for lane in lanes.values() for delivery in lane if resting(delivery, at)} | set(paused)
        heads = [lane[0] for lane in lanes.values()]
        for head in sorted(heads, key=lambda d: (d.attempts > 0, RANK[d.message.severity], d.position)):
            if head.next_attempt_at <= at and head.channel not in idle and head.lane not in held:
                self.todo.setdefault(head.channel, deque()).append(head.lane)
        self.next_due = min((head.next_attempt_at for head in heads if head.next_attempt_at > at), default=None)

    def look_by(self, at: datetime) -> None:
        """See to it that the next look isn't later."""
        self.next_due = at if self.next_due is None else min(at, self.next_due)

    def done(self, delivery: Delivery) -> None:
        """Take the head of its lane away, if it is this one."""
        rows = self.rows.get(delivery.lane)
        if rows and rows[0].id == delivery.id:
            rows.popleft()
