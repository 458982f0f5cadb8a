"""How fast a channel is sent to: a bucket of tokens that come back in time. Not pure: it reads the monotonic clock."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta

from controlplane.model.rate import Rate
from controlplane.notify.addresses import Kind

HOUSE = {
    Kind.SLACK: Rate(1, timedelta(seconds=1)),
    Kind.PAGERDUTY: Rate(120, timedelta(minutes=1)),
    Kind.TEXT: Rate(60, timedelta(minutes=1)),
}
"""Where the settings say nothing. Slack documents 1 message a second for webhooks and for a channel ("Rate limits",
api.slack.com), PagerDuty's support 120 events a minute for an integration key; for the others it is a house rule."""


class Bucket:
    """`rate.number` tokens, each of which comes back `rate.per` after it was taken.

    So no stretch of that length, wherever it begins, sees more than the rate; a plain bucket would allow twice as many.
    """

    def __init__(
        self, rate: Rate, ago: Iterable[timedelta] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Of tokens taken before, `ago` says how long before."""
        self._per, self._clock = rate.per.total_seconds(), clock
        self._taken = deque(sorted(clock() - back.total_seconds() for back in ago), maxlen=rate.number)

    def wait(self) -> float:
        """Seconds until there is a token, 0 where there is one."""
        if len(self._taken) < (self._taken.maxlen or 0):
            return 0.0
        return max(0.0, self._taken[0] + self._per - self._clock())

    def take(self, number: int = 1) -> None:
        """Take so many at once; what isn't there is owed and comes back later for it."""
        for _ in range(number):
            at = self._clock()
            full = len(self._taken) == self._taken.maxlen
            self._taken.append(max(at, self._taken[0] + self._per) if full else at)
