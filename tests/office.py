"""For the tests of deliveries: a desk that decides, a log that remembers and channels that send on loopback."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES, INCIDENTS, OUTBOX, SHOWN
from controlplane.notify.channels import Channels, load_channels
from controlplane.notify.outbox import DeliveryReport, Outbox, deliver
from controlplane.settings import Channel
from tests.notify_cases import Desk, at, channel, queued, store, tree
from tests.provider_proxy import (
    CHANNEL,
    HOOKS,
    PAGERDUTY,
    PAGERDUTY_EU,
    ROUTING_KEY,
    SECRETS,
    SLACK,
    TOKEN,
    WEBHOOK,
    Providers,
    Reply,
)

URLS = {
    "hook": f"slackops://hooks/{'/'.join(WEBHOOK)}",
    "bot": f"slackops://bot/{TOKEN}/{CHANNEL}",
    "pager": f"pdevents://{ROUTING_KEY}",
    "eu": f"pdevents://{ROUTING_KEY}?region=eu",
}
HOST = {"hook": HOOKS, "bot": SLACK, "pager": PAGERDUTY, "eu": PAGERDUTY_EU}
QUICK = timedelta(seconds=5)


class Clock:
    """The time that the outbox is told."""

    def __init__(self) -> None:
        self.time = at(0)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **duration: float) -> None:
        self.time += timedelta(**duration)


class Office:
    """A desk that decides, an event log that remembers and channels that send."""

    def __init__(self, folder: Path, providers: Providers, names: tuple[str, ...]) -> None:
        self.folder, self.providers = folder, providers
        self.log = EventLog.open(store(folder))
        self.clock = Clock()
        self.declared = [channel(name, f"URL_{name.upper()}", rate="1000/s") for name in names]
        self.desk = Desk(tree(*names, group_interval="1s"), channels=names)
        self.timeout = QUICK

    def step(self, seconds: float, **changes: Any) -> list[str]:
        """Decide a step and append it; ids of what was queued."""
        self.clock.time = max(self.clock.time, at(seconds))
        drafts = self.desk.step(seconds, **changes)
        self.log.append(drafts, recorded_at=self.clock())
        return [delivery.id for delivery in queued(drafts)]

    def channels(self, declared: list[Channel] | None = None, **options: Any) -> Channels:
        return load_channels(self.declared if declared is None else declared, timeout=self.timeout, **options)

    def deliver(self, channels: Channels | None = None, holder: str = "worker", **options: Any) -> DeliveryReport:
        return deliver(outbox(self.log, channels or self.channels(), self.clock, holder, **options))

    def events(self, *types: type) -> list[Any]:
        """Payloads of these types, oldest first."""
        return [event.payload for event in self.log.read() if isinstance(event.payload, types)]

    def outbox(self) -> list[str]:
        return [d.message.action.value for d in sorted(self.log.rows(OUTBOX).values(), key=lambda d: d.position)]


def outbox(log: EventLog, channels: Channels, now: Callable[[], datetime], holder: str, **options: Any) -> Outbox:
    """What these channels send."""
    return Outbox(log, channels, OUTBOX, DELIVERIES, SHOWN, now, holder, **options)


Hire = Callable[..., Office]


@pytest.fixture(name="office")
def the_office(
    tmp_path: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Hire]:
    """Makes an office with the named channels; afterwards no secret may stand in any event, row or log line."""
    caplog.set_level(logging.DEBUG)
    for name, url in URLS.items():
        monkeypatch.setenv(f"URL_{name.upper()}", url)
    made: list[Office] = []

    def hire(*names: str) -> Office:
        made.append(Office(tmp_path, providers, names))
        return made[-1]

    yield hire
    for one in made:
        told = [event.model_dump_json() for event in one.log.read()]
        told += [row.model_dump_json() for p in (OUTBOX, DELIVERIES, INCIDENTS) for row in one.log.rows(p).values()]
        records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
        told += [record.getMessage() + str(record.exc_text) for record in records]
        for secret in SECRETS:
            assert not [line for line in told if secret in line]
        one.log.close()
    assert not [host for host in providers.refused if host != "unknown.example"]


_WORKER = """
import sys
from datetime import datetime, timedelta
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES, OUTBOX, SHOWN
from controlplane.notify.channels import load_channels
from controlplane.notify.outbox import Outbox, deliver, follow
from controlplane.settings import Channel, Secret

log = EventLog.open(sys.argv[1])
channels = load_channels([Channel(name=n, url=Secret(env="URL_" + n.upper())) for n in sys.argv[3:]])
moment = datetime.fromisoformat(sys.argv[2])
deliver(Outbox(log, channels, OUTBOX, DELIVERIES, SHOWN, now=lambda: moment, holder="worker"))
"""


def killed_in_the_middle(one: Office, host: str, *names: str) -> None:
    """Let another process send, and kill it when the provider has acted on the request but not yet answered.

    `host` is that of the request, or its host and path.
    """
    one.providers.next_replies(host, Reply(process=True, hang=True))
    while not one.providers.received.empty():
        one.providers.received.get()
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, store(one.folder), one.clock().isoformat(), *names])
    try:
        while not f"{(request := one.providers.received.get(timeout=60)).host}{request.path}".startswith(host):
            pass
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(10)
    one.providers.release()
