"""Sends that are on their way: each in a thread of its own with a deadline; what came of them in one queue."""

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta

from controlplane.model.notifications import Delivery
from controlplane.notify.channels import Channel
from controlplane.notify.receipt import Attempt, Receipt, Verdict
from controlplane.notify.thread import NOTHING, Thread

_WAITING = 20
"""Charts that wait for their channel at most; the oldest are left out."""


@dataclass(slots=True, eq=False)
class Sending:
    """An attempt to send a message, or the chart that follows it."""

    delivery: Delivery
    attempt: Attempt
    deadline: float
    """Monotonic."""
    thread: Thread = NOTHING
    chart: bool = False


class Sends:
    """At most one message of a channel at a time and, besides, one chart, which no message waits for."""

    def __init__(self) -> None:
        self.messages: dict[str, Sending] = {}
        self.charts: dict[str, Sending] = {}
        self._undrawn: dict[str, deque[tuple[Delivery, str]]] = {}
        self._results: queue.SimpleQueue[tuple[Sending, Receipt]] = queue.SimpleQueue()

    @property
    def deadlines(self) -> list[float]:
        """Of everything on its way."""
        return [sending.deadline for sending in (*self.messages.values(), *self.charts.values())]

    def message(self, channel: Channel, delivery: Delivery, thread: Thread, timeout: timedelta) -> None:
        """Begin to send a message."""
        sending = _sending(delivery, timeout)
        sending.thread = thread
        self.messages[delivery.channel] = sending

        def work() -> None:
            self._results.put((sending, channel.send(delivery.message, sending.attempt, thread)))

        threading.Thread(target=work, name=f"notify-{delivery.channel}", daemon=True).start()

    def arrived(self, channel: Channel, sending: Sending, reference: str) -> None:
        """Remember the chart of a message that has arrived, where it has one: one that was sent anew, or a reminder."""
        delivery, shown = sending.delivery, sending.thread.shown
        edited = shown is not None and shown.reference == reference and not delivery.message.repeated
        if channel.illustrates(delivery.message) and not edited and (reference or not channel.edits):
            self._undrawn.setdefault(delivery.channel, deque(maxlen=_WAITING)).append((delivery, reference))

    def undrawn(self, channel: str) -> bool:
        """Whether a chart could be begun."""
        return channel not in self.charts and bool(self._undrawn.get(channel))

    def forget(self, channel: str) -> None:
        """Leave out the charts that wait."""
        self._undrawn.pop(channel, None)

    def chart(self, channel: Channel, timeout: timedelta) -> None:
        """Begin to send the next chart."""
        delivery, reference = self._undrawn[channel.name].popleft()
        sending = _sending(delivery, timeout)
        sending.chart = True
        self.charts[delivery.channel] = sending

        def work() -> None:
            self._results.put((sending, channel.illustrate(delivery.message, reference, sending.attempt)))

        threading.Thread(target=work, name=f"chart-{delivery.channel}", daemon=True).start()

    def next(self, seconds: float) -> tuple[Sending, Receipt] | None:
        """The next that has come to an end, or None after so many seconds without one."""
        try:
            sending, receipt = self._results.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return None
        return (sending, receipt) if self._over(sending) else None

    def overdue(self) -> list[tuple[Sending, Receipt]]:
        """Cut off every attempt whose deadline has passed."""
        found = []
        for sending in (*self.messages.values(), *self.charts.values()):
            if sending.deadline > time.monotonic():
                continue
            sending.attempt.abort()
            limit = f"no answer within {sending.attempt.timeout.total_seconds():g} s"
            receipt = Receipt(Verdict.RETRY, f"{limit}; the message may have arrived", unreachable=True)
            if sending.attempt.arrived is not None:
                receipt = replace(sending.attempt.arrived, detail=f"{limit} to what follows the message")
            if self._over(sending):
                found.append((sending, receipt))
        return found

    def _over(self, sending: Sending) -> bool:
        # A late answer to an attempt that was cut off is of no interest.
        running = self.charts if sending.chart else self.messages
        if running.get(sending.delivery.channel) is not sending:
            return False
        del running[sending.delivery.channel]
        return True


def _sending(delivery: Delivery, timeout: timedelta) -> Sending:
    return Sending(delivery, Attempt(timeout), time.monotonic() + timeout.total_seconds())
