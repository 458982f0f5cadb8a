"""From a decision to the provider's answer: real plugins over TLS to Slack and PagerDuty on loopback."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Case, Seconds, Unavailable

MESSAGES = 100
EVERY = 0.6
"""Seconds between two decisions: 100 a minute."""
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Deliver:
    """So many messages a minute in turn by four channels that a worker follows, two for each incident, with charts."""

    hung: int = 0
    """Further channels that get messages as well and whose provider never answers."""

    def __call__(self, folder: Path) -> Callable[[], object]:
        """One minute of it; Seconds are those that the events of delivered messages tell."""
        try:
            from tests import provider_proxy as proxy
        except ImportError as error:
            raise Unavailable(f"run it from the repository with the packages of its tests ({error})") from None
        from controlplane.eventlog.log import EventLog
        from controlplane.eventlog.projections import DELIVERIES, OUTBOX, SHOWN
        from controlplane.notify.channels import load_channels
        from controlplane.notify.outbox import Outbox, follow
        from controlplane.settings import Channel, Secret

        providers, stop, environment = proxy.start_providers(folder)
        for name in proxy.CLEARED:
            os.environ.pop(name, None)
        os.environ |= environment
        healthy = {
            "hook": f"slackops://hooks/{'/'.join(proxy.WEBHOOK)}",
            "pager": f"pdevents://{proxy.ROUTING_KEY}",
            "eu": f"pdevents://{proxy.ROUTING_KEY}?region=eu",
        }
        bot = f"slackops://bot/{proxy.TOKEN}/{proxy.CHANNEL}"
        hanging = {f"hung{number}": bot for number in range(self.hung)}
        if hanging:
            providers.always(proxy.SLACK, proxy.Reply(hang=True))
        else:
            healthy["bot"] = bot
        for name, url in (healthy | hanging).items():
            os.environ[f"BENCH_{name.upper()}"] = url
        channels = load_channels(
            [Channel(name=name, url=Secret(env=f"BENCH_{name.upper()}")) for name in healthy | hanging]
        )
        log = EventLog.open(f"sqlite:///{folder / 'events.db'}")
        box = Outbox(log, channels, OUTBOX, DELIVERIES, SHOWN, now=lambda: datetime.now(UTC), holder="bench")

        def work() -> Seconds:
            ended = threading.Event()
            worker = threading.Thread(target=follow, args=(box, ended.is_set))
            worker.start()
            names = list(healthy)
            began = time.monotonic()
            for number in range(MESSAGES):
                time.sleep(max(0.0, began + number * EVERY - time.monotonic()))
                _decide(log, number, len(names), [names[number % len(names)], *hanging])
            seconds = _delivered(log, list(healthy))
            ended.set()
            providers.release()
            worker.join()
            stop()
            return seconds

        return work


def _decide(log: object, number: int, healthy: int, channels: list[str]) -> None:
    from controlplane.eventlog.log import EventLog
    from controlplane.model.events import Draft
    from controlplane.model.notifications import Action, Chart, Delivery, Member, Message
    from controlplane.model.payloads import NotificationQueued
    from controlplane.model.severity import Severity

    assert isinstance(log, EventLog)
    now = datetime.now(UTC)
    # The next message of the same channel is about the same page.
    page = number // (2 * healthy) * healthy + number % healthy
    incident = f"incident{page:04}"
    past = tuple(int(now.timestamp() * 1000) - (119 - step) * 15_000 for step in range(120))
    values = tuple(0.8 + step / 1_000 for step in range(120))
    member = Member(
        alert=f"alert{number}",
        labels={"host": f"h{number}", "mountpoint": "/data"},
        summary=f"h{number} /data is 91 % full",
        value=0.91,
        threshold="> 0.85",
        unit="1",
        active_at=now,
        firing=True,
    )
    message = Message(
        action=Action.TRIGGER,
        incident=incident,
        episode=incident,
        dedup_key=f"{page:064}",
        title="A disk is nearly full",
        severity=Severity.CRITICAL,
        platform="bench",
        component="hosts",
        rule="bench-rule",
        started_at=now - timedelta(minutes=2),
        at=now,
        members=(member,) * 20,
        firing=20,
        resolved=0,
        chart=Chart(alert=f"alert{number}", at_ms=past, values=values, threshold=0.85, unit="1"),
    )
    drafts = []
    for channel in channels:
        name = f"message{number:04}-{channel}"
        delivery = Delivery(
            id=name,
            channel=channel,
            lane=f"{incident}/{channel}",
            message=message,
            queued_at=now,
            next_attempt_at=now,
        )
        queued = NotificationQueued(delivery=delivery)
        drafts.append(Draft(stream=f"delivery:{name}", key="queued", payload=queued, occurred_at=now))
    log.append(drafts, recorded_at=now)


def _delivered(log: object, channels: list[str]) -> Seconds:
    """What the events say, once all have arrived."""
    from controlplane.eventlog.log import EventLog
    from controlplane.model.payloads import NotificationDelivered

    assert isinstance(log, EventLog)
    ends = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < ends:
        found = [event.payload for event in log.read(types={"notification_delivered.v1"})]
        seconds = [one.seconds for one in found if isinstance(one, NotificationDelivered) and one.channel in channels]
        if len(seconds) == MESSAGES:
            return Seconds(seconds)
        time.sleep(0.1)
    raise TimeoutError(f"not all of {MESSAGES} messages arrived within {_PATIENCE_SECONDS:g} s")


CASES = (
    Case(
        "deliver-100",
        f"decision to provider's answer, {MESSAGES} messages a minute by 4 channels",
        Deliver(),
        1,
        target=2.0,
        why="a page within two seconds",
        tail=True,
    ),
    Case(
        "deliver-100-hung",
        "the same by 3 channels while 6 others hang, each with every message",
        Deliver(hung=6),
        1,
        target=2.0,
        why="a page within two seconds",
        tail=True,
        on_request=True,
    ),
)
