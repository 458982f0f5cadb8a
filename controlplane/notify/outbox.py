"""The outbox: sends what is queued, in order per lane, and records what came of every attempt.

At least once: an attempt whose outcome couldn't be recorded is made again. PagerDuty recognises the repetition by its
dedup_key; Slack, mail and the like can't.
"""

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Draft
from controlplane.model.notifications import Action, Delivery
from controlplane.model.payloads import (
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationSuppressed,
)
from controlplane.notify.channels import Channel, Channels
from controlplane.notify.outcome import dead, dropped, resting, settled
from controlplane.notify.receipt import Attempt, Receipt, Verdict

_NEVER = timedelta(days=3650)


class Log(Protocol):
    """What the outbox needs of the event log."""

    def append(self, drafts: Sequence[Draft], *, recorded_at: datetime) -> Any:
        """Append the drafts in one transaction with their projections."""

    def rows(self, projection: Any) -> Mapping[str, Any]:
        """Every row of a projection by key."""

    def row(self, projection: Any, key: str) -> Any | None:
        """One row of a projection."""

    def lease(self, name: str, holder: str, *, now: datetime, ttl: timedelta) -> bool:
        """Take or renew a lease; False while somebody else has it."""

    def release(self, name: str, holder: str) -> None:
        """Give a lease back."""


@dataclass(slots=True)
class DeliveryReport:
    """What one call did, as counts of deliveries."""

    delivered: int = 0
    failed: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    """Triggers that nobody needs any more, because their incident has ended."""
    elsewhere: int = 0
    """Lanes that another worker holds."""
    left: int = 0
    """Still undelivered, due or not."""
    errors: dict[str, str] = field(default_factory=dict)
    """The last error of each channel that failed in this call."""


@dataclass(slots=True, eq=False)
class _Sending:
    """An attempt on its way in a thread of its own."""

    delivery: Delivery
    attempt: Attempt
    deadline: float


def deliver(
    log: Log,
    channels: Channels,
    *,
    outbox: Any,
    now: Callable[[], datetime],
    holder: str,
    max_age: timedelta = timedelta(hours=6),
    limit: int = 100,
) -> DeliveryReport:
    """Send what is due in the projection `outbox` (rows of Delivery), at most `limit` attempts per channel.

    Lanes (incident and channel) are strictly first-in-first-out. Channels are independent: each has at most one send on
    its way, with a hard deadline of `channels.timeout`, and is left until the next call after a failure that may pass.
    The call lasts two deadlines at most. A delivery is dead-lettered when the provider rejects it, when its channel
    isn't declared any more, or when an attempt fails and it is older than `max_age`.
    """
    return _Run(log, channels, outbox, now, f"{holder}/{uuid4().hex[:12]}", max_age, limit).run()


class _Run:
    """One call of `deliver`. All access to the log is in the calling thread; sends are in threads, one per channel."""

    def __init__(
        self,
        log: Log,
        channels: Channels,
        outbox: Any,
        now: Callable[[], datetime],
        holder: str,
        max_age: timedelta,
        limit: int,
    ) -> None:
        self._log, self._channels, self._outbox = log, channels, outbox
        self._now, self._holder, self._max_age = now, holder, max_age
        self._report = DeliveryReport()
        self._lanes: dict[str, deque[Delivery]] = {}
        self._todo: dict[str, deque[str]] = {}
        """Route → its lanes that are due; the lane at the left is the one that is worked on."""
        self._budget: dict[str, int] = defaultdict(lambda: limit)
        self._sending: dict[str, _Sending] = {}
        self._results: queue.SimpleQueue[tuple[_Sending, Receipt]] = queue.SimpleQueue()
        self._stop_at = time.monotonic() + channels.timeout.total_seconds()

    def run(self) -> DeliveryReport:
        """Send until every channel has nothing due, has failed, or has used its time."""
        self._read(self._log.rows(self._outbox).values())
        for channel in self._todo:
            self._advance(channel)
        while self._sending:
            wait = min(sending.deadline for sending in self._sending.values()) - time.monotonic()
            try:
                sending, receipt = self._results.get(timeout=max(wait, 0.0))
            except queue.Empty:
                self._overdue()
            else:
                # A late answer to an attempt that was cut off is of no interest.
                if self._sending.get(sending.delivery.channel) is sending:
                    self._finish(sending, receipt)
        self._report.left = len(self._log.rows(self._outbox))
        return self._report

    def _read(self, rows: Iterable[Delivery]) -> None:
        """Put rows into lanes and lanes into channels; within a channel those not tried yet go first, then by age."""
        at = self._now()
        lanes: dict[str, deque[Delivery]] = defaultdict(deque)
        for delivery in sorted(rows, key=lambda d: (d.position, d.queued_at, d.id)):
            lanes[delivery.lane].append(delivery)
        idle = {delivery.channel for lane in lanes.values() for delivery in lane if resting(delivery, at)}
        todo: dict[str, deque[str]] = defaultdict(deque)
        for head in sorted((lane[0] for lane in lanes.values()), key=lambda d: (d.attempts > 0, d.position)):
            if head.next_attempt_at <= at and head.channel not in idle:
                todo[head.channel].append(head.lane)
        self._lanes, self._todo = dict(lanes), dict(todo)

    def _advance(self, channel: str) -> None:
        """Work on the channel's lanes until a send is on its way or nothing is left to do for it in this call."""
        lanes = self._todo[channel]
        while lanes:
            lane = lanes[0]
            if self._budget[channel] <= 0 or time.monotonic() >= self._stop_at:
                self._rest(channel)
            elif not self._lease(f"deliver/{lane}"):
                self._report.elsewhere += 1
                lanes.popleft()
            elif self._begin(lane):
                return
            elif lanes:
                self._log.release(f"deliver/{lanes.popleft()}", self._holder)

    def _rest(self, channel: str) -> None:
        """Leave the channel until the next call, and the lane that was worked on to whoever comes next."""
        lanes = self._todo[channel]
        self._log.release(f"deliver/{lanes[0]}", self._holder)
        lanes.clear()

    def _begin(self, lane: str) -> bool:
        """Start sending the first row of the lane; False where nothing of it can be sent now. The lease is held."""
        rows = self._lanes[lane]
        for row in list(rows):
            # Read again under the lease: another worker may have sent it since.
            delivery: Delivery | None = self._log.row(self._outbox, row.id)
            if delivery is not None:
                if delivery.next_attempt_at > self._now():
                    return False
                broken = self._channels.broken.get(delivery.channel)
                channel = self._channels.loaded.get(delivery.channel)
                if broken is not None:
                    self._record(settled(delivery, Receipt(Verdict.RETRY, broken), self._now(), self._max_age))
                    self._rest(delivery.channel)
                    return False
                if channel is None:
                    error = f"the channel {delivery.channel} is no longer in the settings"
                    self._record(dead(delivery, delivery.attempts, error, self._now()))
                elif self._ended(delivery, rows) and self._untouched(delivery):
                    reason = "the incident ended before anybody was told of it; the resolve follows"
                    self._record(dropped(delivery, reason, self._now()))
                    self._log.release(f"attempt/{delivery.id}", self._holder)
                else:
                    self._start(channel, delivery)
                    return True
            rows.popleft()
        return False

    def _ended(self, delivery: Delivery, lane: Iterable[Delivery]) -> bool:
        """Whether it is a trigger whose resolve is queued behind it."""
        episode = delivery.message.episode
        return delivery.message.action is Action.TRIGGER and any(
            other.message.action is Action.RESOLVE and other.message.episode == episode for other in lane
        )

    def _untouched(self, delivery: Delivery) -> bool:
        """Whether certainly nobody ever began to send it, not even a worker that died before it could tell."""
        return delivery.attempts == 0 and self._lease(f"attempt/{delivery.id}", _NEVER)

    def _start(self, channel: Channel, delivery: Delivery) -> None:
        if delivery.attempts == 0:
            # Stays behind if this process dies in the middle, and then says that the message may have arrived.
            self._lease(f"attempt/{delivery.id}", _NEVER)
        timeout = self._channels.timeout
        sending = _Sending(delivery, Attempt(timeout), time.monotonic() + timeout.total_seconds())
        self._sending[delivery.channel] = sending
        self._budget[delivery.channel] -= 1

        def send() -> None:
            self._results.put((sending, channel.send(delivery.message, sending.attempt)))

        threading.Thread(target=send, name=f"notify-{delivery.channel}", daemon=True).start()

    def _overdue(self) -> None:
        """Cut off every attempt whose deadline has passed."""
        error = f"no answer within {self._channels.timeout.total_seconds():g} s; the message may have arrived"
        for sending in list(self._sending.values()):
            if sending.deadline <= time.monotonic():
                sending.attempt.abort()
                self._finish(sending, Receipt(Verdict.RETRY, error))

    def _finish(self, sending: _Sending, receipt: Receipt) -> None:
        """Record the outcome, then go on with the lane, or let the channel rest after a failure that may pass."""
        delivery = sending.delivery
        channel = delivery.channel
        del self._sending[channel]
        try:
            given_up_or_done = self._record(settled(delivery, receipt, self._now(), self._max_age))
        except ControlplaneError as error:
            # Another worker has recorded another outcome of this attempt, which stands.
            self._report.errors[channel] = str(error)
            given_up_or_done = False
        if delivery.attempts == 0:
            self._log.release(f"attempt/{delivery.id}", self._holder)
        if given_up_or_done:
            self._lanes[delivery.lane].popleft()
        else:
            self._rest(channel)
        self._advance(channel)

    def _record(self, draft: Draft) -> bool:
        """Append and count an outcome; True where the delivery has left the outbox by it."""
        self._log.append([draft], recorded_at=self._now())
        match draft.payload:
            case NotificationDelivered():
                self._report.delivered += 1
            case NotificationSuppressed():
                self._report.dropped += 1
            case NotificationDeadLettered(channel=channel, error=error):
                self._report.dead_lettered += 1
                self._report.errors[channel] = error
            case NotificationFailed(channel=channel, error=error):
                self._report.failed += 1
                self._report.errors[channel] = error
                return False
        return True

    def _lease(self, name: str, ttl: timedelta | None = None) -> bool:
        # Longer than a send may take, so that nobody else sends while we wait for an answer.
        ttl = ttl or 2 * self._channels.timeout + timedelta(seconds=30)
        return self._log.lease(name, self._holder, now=self._now(), ttl=ttl)
