"""The buckets of the channels, filled with what the log knows to have been sent."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from controlplane.notify.box import Log
from controlplane.notify.channels import Channels
from controlplane.notify.pace import Bucket


class Buckets:
    """How long a channel has to wait before its next request; one that is broken has no bucket and never waits."""

    def __init__(self, log: Log, records: Any) -> None:
        self._log, self._records = log, records
        self._known: dict[str, Bucket] = {}

    def fill(self, wanted: Iterable[str], channels: Channels, at: datetime) -> None:
        """Make the buckets of these channels that aren't there yet."""
        names = [name for name in wanted if name not in self._known and name in channels.loaded]
        if not names:
            return
        sent: dict[str, list[timedelta]] = defaultdict(list)
        for record in self._log.rows(self._records).values():
            if record.attempts and record.channel in names:
                sent[record.channel].append(max(timedelta(0), at - record.at))
        for name in names:
            rate = channels.loaded[name].rate
            self._known[name] = Bucket(rate, [ago for ago in sent[name] if ago < rate.per])

    def clear(self) -> None:
        """Make them anew when they are wanted, as after a change of the settings."""
        self._known.clear()

    def wait(self, channel: str) -> float:
        """Seconds until the channel has a token."""
        return self._known[channel].wait() if channel in self._known else 0.0

    def take(self, channel: str, number: int = 1) -> None:
        """Take so many tokens of the channel."""
        if channel in self._known:
            self._known[channel].take(number)
