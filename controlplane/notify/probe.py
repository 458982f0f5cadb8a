"""A test of channels: a marked message through the real thing, what came of it and how long it took."""

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane.model.labels import printable, short_hash
from controlplane.model.notifications import Action, Message, Subject
from controlplane.model.severity import Severity
from controlplane.notify.channels import Channel, Channels
from controlplane.notify.receipt import Attempt, Receipt, Verdict


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of the test of one channel."""

    channel: str
    kind: str
    """Empty where the channel couldn't be loaded."""
    delivered: bool
    seconds: float
    """Until the provider's answer, or until it was given up."""
    detail: str
    """Why it failed, and what to do; empty where it didn't."""
    reference: str = ""
    """The provider's id of the message."""


def test_message(channel: str, *, at: datetime, author: str, environment: str) -> Message:
    """A message that says that it is a test; at PagerDuty its page ends as soon as it was taken."""
    name = short_hash("test", channel, at.isoformat(), author)
    key = hashlib.sha256(f"test|{name}".encode()).hexdigest()
    return Message(
        action=Action.TRIGGER,
        subject=Subject.TEST,
        incident=name,
        episode=name,
        dedup_key=key,
        superseded=(key,),
        title=f"the channel {channel} works",
        severity=Severity.INFO,
        platform="controlplane",
        component="notify",
        rule="test",
        started_at=at,
        at=at,
        members=(),
        firing=0,
        resolved=0,
        note=f"{printable(author, 60)} asked for this test. Nothing is wrong and nothing is to be done.",
        environment=environment,
    )


def probe(channels: Channels, names: Sequence[str], *, at: datetime, author: str, environment: str) -> list[Tested]:
    """Send a test by each of the named channels at once; a channel that gives no answer in time has failed."""
    results: dict[str, Tested] = {}

    def one(channel: Channel) -> None:
        attempt = Attempt(channels.timeout)
        began = time.monotonic()
        timer = threading.Timer(channels.timeout.total_seconds(), attempt.abort)
        timer.start()
        receipt = channel.send(test_message(channel.name, at=at, author=author, environment=environment), attempt)
        timer.cancel()
        results[channel.name] = _tested(channel, receipt, time.monotonic() - began)

    threads = {
        name: threading.Thread(target=one, args=(channels.loaded[name],), name=f"probe-{name}", daemon=True)
        for name in names
        if name in channels.loaded
    }
    for thread in threads.values():
        thread.start()
    limit = channels.timeout.total_seconds()
    ends = time.monotonic() + limit + 1
    for thread in threads.values():
        thread.join(max(0.0, ends - time.monotonic()))
    late = f"no answer within {limit:g} s; the message may have arrived"
    return [
        results[name]
        if name in results
        else Tested(name, channels.loaded[name].kind.value, False, limit, late)
        if name in threads
        else Tested(name, "", False, 0.0, channels.broken[name])
        for name in names
    ]


def _tested(channel: Channel, receipt: Receipt, seconds: float) -> Tested:
    delivered = receipt.verdict is Verdict.DELIVERED
    return Tested(channel.name, channel.kind.value, delivered, seconds, receipt.detail, receipt.reference)
