"""A worker of the outbox: lanes, leases, buckets and the sends that are on their way."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
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
from controlplane.notify.box import DeliveryReport, Outbox
from controlplane.notify.buckets import Buckets
from controlplane.notify.channels import Channel
from controlplane.notify.lanes import Lanes, Queued
from controlplane.notify.lead import FOLLOWED, LEASE, lead
from controlplane.notify.letters import Letters
from controlplane.notify.outcome import dead, dropped, settled
from controlplane.notify.receipt import Receipt, Verdict
from controlplane.notify.sends import Sending, Sends
from controlplane.notify.thread import Thread, thread_of

_NEVER = timedelta(days=3650)
_SECOND = timedelta(seconds=1)
_ELSEWHERE = timedelta(seconds=5)
"""After which a follower looks again for a lane that somebody else had."""
_POLL = 0.2
_PAUSE = 15.0
"""Seconds that a follower leaves a channel alone at most after a failure of the channel as a whole."""
_MEND = 15.0
"""Seconds after which a follower looks whether its settings have changed."""
_UNLIMITED = 10**9


class Worker:
    """The state of a worker. All access to the log is in the calling thread; sends are in threads, one per channel."""

    def __init__(self, outbox: Outbox) -> None:
        self._box, self._log, self._now = outbox, outbox.log, outbox.now
        self._channels = outbox.channels
        self._holder = f"{outbox.holder}/{uuid4().hex[:12]}"
        self._report = DeliveryReport()
        self._rows = Queued(self._log, outbox.rows)
        self._lanes = Lanes()
        self._head = -1
        """Position up to which the lanes have what the log says."""
        self._held: dict[str, str] = {}
        """Channel → the lane of it that is worked on, whose lease is ours."""
        self._sends = Sends()
        self._waiting: dict[str, float] = {}
        """Channel → when (monotonic) it has a token again."""
        self._paused: dict[str, float] = {}
        """Channel → until when (monotonic) it is left alone."""
        self._buckets = Buckets(self._log, outbox.records)
        self._budget: dict[str, int] = defaultdict(lambda: outbox.limit)
        self._stop_at = time.monotonic() + self._channels.timeout.total_seconds()
        self._following = False
        self._queued = False
        """Whether this call has put something into the outbox itself."""

    def once(self) -> DeliveryReport:
        """Send until every channel has nothing due, rests, or has used its time."""
        self._queued = True
        while self._queued:  # what tells of a dead letter goes at once
            self._queued = False
            self._read()
            for channel in list(self._lanes.todo):
                self._advance(channel)
            while self._sends.messages or self._sends.charts or self._waiting:
                self._turn()
        self._report.left = len(self._rows.read())
        return self._report

    def elsewhere(self) -> DeliveryReport:
        """The report of a call that leaves everything to the worker that follows the outbox."""
        self._read()
        self._report.elsewhere = sum(len(lanes) for lanes in self._lanes.todo.values())
        self._report.left = len(self._rows.read())
        return self._report

    def follow(
        self,
        ended: Callable[[], bool],
        reload: Callable[[], Outbox | None],
        on_report: Callable[[DeliveryReport], None],
    ) -> None:
        """Send until `ended`, then let what is on its way come to an end."""
        self._following = True
        self._stop_at = float("inf")
        self._budget = defaultdict(lambda: _UNLIMITED)
        renewed, loaded = float("-inf"), time.monotonic()
        try:
            while not ended():
                at = time.monotonic()
                if at - renewed >= LEASE.total_seconds() / 3:
                    if not lead(self._box, ended):
                        break
                    renewed = at = time.monotonic()
                if at - loaded >= _MEND:
                    loaded = at
                    if (anew := reload()) is not None:
                        self._box, self._channels = anew, anew.channels
                        self._buckets.clear()
                        self._head = -1  # without reading, channels would have no rate
                newest = self._log.head()
                woken = [channel for channel, until in self._paused.items() if until <= at]
                for channel in woken:
                    del self._paused[channel]
                if newest != self._head or woken or self._due():
                    self._head = newest
                    self._read()
                    for channel in list(self._lanes.todo):
                        if channel not in self._sends.messages and channel not in self._waiting:
                            self._advance(channel)
                self._turn(_POLL)
                if self._report != DeliveryReport():
                    on_report(self._report)
                    self._report = DeliveryReport()
            self._stop_at = time.monotonic()
            self._waiting.clear()
            while self._sends.messages:
                self._turn()
        finally:
            self._log.release(FOLLOWED, self._box.holder)
            for lane in self._held.values():
                self._log.release(f"deliver/{lane}", self._holder)

    def _due(self) -> bool:
        return self._lanes.next_due is not None and self._lanes.next_due <= self._now()

    def _turn(self, longest: float = float("inf")) -> None:
        """Wait for the next thing to happen, at most so long, and deal with it."""
        moments = self._sends.deadlines + list(self._waiting.values())
        found = self._sends.next(min([longest, *(moment - time.monotonic() for moment in moments)]))
        for sending, receipt in self._sends.overdue() if found is None else [found]:
            if sending.chart:
                self._drawn(sending, receipt)
            else:
                self._finish(sending, receipt)
        if found is None:
            for channel in [name for name, moment in self._waiting.items() if moment <= time.monotonic()]:
                del self._waiting[channel]
                self._advance(channel)

    def _read(self) -> None:
        at = self._now()
        self._lanes = Lanes(self._rows.read(), at, held=set(self._held.values()), paused=self._paused)
        self._buckets.fill({*self._lanes.todo, *self._held}, self._channels, at)

    def _advance(self, channel: str) -> None:
        """Work on the channel's lanes until a send is on its way or nothing is left to do for it for now."""
        while True:
            lane = self._held.get(channel)
            if lane is not None and not self._lanes.rows.get(lane):
                self._let_go(channel)
                lane = None
            if lane is None and not self._lanes.todo.get(channel):
                self._draw(channel)
                return
            wait = self._buckets.wait(channel)
            at = time.monotonic()
            if self._budget[channel] <= 0 or at >= self._stop_at or at + wait > self._stop_at:
                self._rest(channel)
                return
            if wait:
                self._waiting[channel] = at + wait
                return
            if lane is None:
                lane = self._lanes.todo[channel].popleft()
                if not self._lease(f"deliver/{lane}"):
                    self._report.elsewhere += 1
                    self._lanes.look_by(self._now() + _ELSEWHERE)
                    continue
                self._held[channel] = lane
            if self._begin(lane):
                return
            self._let_go(channel)

    def _let_go(self, channel: str) -> None:
        """Leave the lane that was worked on to whoever comes next."""
        if (lane := self._held.pop(channel, None)) is not None:
            self._log.release(f"deliver/{lane}", self._holder)

    def _rest(self, channel: str, wait: float = 0.0) -> None:
        """Leave the channel until the next call, or for a while where we follow."""
        self._let_go(channel)
        self._lanes.todo.pop(channel, None)
        self._paused[channel] = time.monotonic() + min(wait, _PAUSE) if self._following else float("inf")

    def _begin(self, lane: str) -> bool:
        """Start sending the first row of the lane; False where nothing of it can be sent now. The lease is held."""
        rows = self._lanes.rows.get(lane, deque())
        for row in list(rows):
            # Read again under the lease: another worker may have sent it since.
            delivery: Delivery | None = self._log.row(self._box.rows, row.id)
            if delivery is not None:
                if delivery.next_attempt_at > self._now():
                    return False
                broken = self._channels.broken.get(delivery.channel)
                channel = self._channels.loaded.get(delivery.channel)
                if broken is not None:
                    self._record(
                        delivery, settled(delivery, Receipt(Verdict.RETRY, broken), self._now(), self._max_age)
                    )
                    self._rest(delivery.channel, _PAUSE)
                    return False
                if channel is None:
                    error = f"the channel {delivery.channel} is no longer in the settings"
                    self._record(delivery, dead(delivery, delivery.attempts, error, self._now()))
                elif self._ended(delivery, rows) and (_answers(delivery) or self._untouched(delivery)):
                    reason = "the incident ended before anybody was told of it; the resolve follows"
                    self._record(delivery, dropped(delivery, reason, self._now()))
                    self._log.release(f"attempt/{delivery.id}", self._holder)
                elif why := channel.unwanted(delivery.message, self._thread(delivery)):
                    self._record(delivery, dropped(delivery, why, self._now()))
                else:
                    self._start(channel, delivery)
                    return True
            rows.popleft()
        return False

    def _ended(self, delivery: Delivery, lane: Iterable[Delivery]) -> bool:
        """Whether the resolve of what it opens, or says that somebody has, is queued behind it."""
        episode = delivery.message.episode
        return delivery.message.action is not Action.RESOLVE and any(
            other.message.action is Action.RESOLVE and other.message.episode == episode for other in lane
        )

    def _untouched(self, delivery: Delivery) -> bool:
        """Whether certainly nobody ever began to send it, not even a worker that died before it could tell."""
        first = delivery.attempts == 0 and delivery.turn == 0
        return first and self._lease(f"attempt/{delivery.id}", _NEVER)

    def _start(self, channel: Channel, delivery: Delivery) -> None:
        if delivery.attempts == 0:
            # Stays behind if this process dies in the middle, and then says that the message may have arrived.
            self._lease(f"attempt/{delivery.id}", _NEVER)
        thread = self._thread(delivery)
        self._budget[delivery.channel] -= 1
        self._buckets.take(delivery.channel, channel.requests(delivery.message, thread))
        self._sends.message(channel, delivery, thread, self._channels.timeout)

    def _thread(self, delivery: Delivery) -> Thread:
        """What the channel shows of the page, and of those that end with it."""
        return thread_of(delivery.channel, delivery.message, partial(self._log.row, self._box.shown))

    def _draw(self, channel: str) -> None:
        """Begin to send a chart where no message waits and the rate allows it."""
        loaded = self._channels.loaded.get(channel)
        if loaded is None or channel in self._paused:
            self._sends.forget(channel)
        elif channel not in self._waiting and self._sends.undrawn(channel):
            at, wait = time.monotonic(), self._buckets.wait(channel)
            if at + wait >= self._stop_at:
                self._sends.forget(channel)
            elif wait:
                self._waiting[channel] = at + wait
            else:
                self._buckets.take(channel)
                self._sends.chart(loaded, self._channels.timeout)

    def _drawn(self, sending: Sending, receipt: Receipt) -> None:
        """What came of a chart; nobody waits for it, and it isn't tried again."""
        channel = sending.delivery.channel
        if receipt.verdict is not Verdict.DELIVERED:
            self._report.notes[channel] = f"the message arrived, its chart didn't: {receipt.detail}"
        if channel not in self._sends.messages:
            self._advance(channel)

    def _finish(self, sending: Sending, receipt: Receipt) -> None:
        """Record the outcome, then go on with the lane or, after a failure, with what the failure isn't about."""
        delivery = sending.delivery
        channel = delivery.channel
        draft = settled(delivery, receipt, self._now(), self._max_age)
        try:
            gone = self._record(delivery, draft)
        except ControlplaneError as error:
            # Another worker has recorded another outcome of this attempt, which stands.
            self._report.errors[channel] = str(error)
            gone = False
        if delivery.attempts == 0:
            self._log.release(f"attempt/{delivery.id}", self._holder)
        if gone:
            self._lanes.done(delivery)
        if gone and receipt.verdict is Verdict.DELIVERED and (loaded := self._channels.loaded.get(channel)):
            self._sends.arrived(loaded, sending, receipt.reference)
        if receipt.unreachable or receipt.limited:
            payload = draft.payload
            wait = payload.next_attempt_at - draft.occurred_at if isinstance(payload, NotificationFailed) else _SECOND
            self._rest(channel, wait.total_seconds())
        elif not gone:
            self._let_go(channel)
        self._advance(channel)

    def _record(self, delivery: Delivery, draft: Draft) -> bool:
        """Append and count an outcome, with what follows from it; True where the delivery has left the outbox by it."""
        more: list[Draft] = []
        match draft.payload:
            case NotificationDeadLettered(error=error):
                more = self._letters.given_up(delivery, error, draft)
            case NotificationDelivered():
                more = self._letters.got_through(delivery, draft)
        events = self._log.append([draft, *more], recorded_at=self._now())
        self._queued |= bool(more)
        if not more and events and events[0].position == self._head + 1:
            self._head = events[-1].position  # nobody else wrote meanwhile: there is nothing new to read
        match draft.payload:
            case NotificationDelivered(channel=channel, detail=detail):
                self._report.delivered += 1
                self._report.notes |= {channel: detail} if detail else {}
            case NotificationSuppressed():
                self._report.dropped += 1
            case NotificationDeadLettered(channel=channel, error=error):
                self._report.dead_lettered += 1
                self._report.errors[channel] = error
            case NotificationFailed(channel=channel, error=error, next_attempt_at=at):
                self._lanes.look_by(at)
                self._report.failed += 1
                self._report.errors[channel] = error
                return False
        return True

    @property
    def _max_age(self) -> timedelta:
        return self._box.max_age

    @property
    def _letters(self) -> Letters:
        box = self._box
        return Letters(self._log, box.records, box.tell, self._channels.loaded.keys(), box.environment)

    def _lease(self, name: str, ttl: timedelta | None = None) -> bool:
        # Longer than a send may take, so that nobody else sends while we wait for an answer.
        ttl = ttl or 2 * self._channels.timeout + timedelta(seconds=30)
        return self._log.lease(name, self._holder, now=self._now(), ttl=ttl)


def _answers(delivery: Delivery) -> bool:
    return delivery.message.action is Action.ACKNOWLEDGE
