"""The control plane as a user runs it: a controlplane.yaml in a folder, its stores, ticks and deliveries."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

from controlplane import bootstrap
from controlplane.documents import parse_document
from controlplane.eventlog.projections import ALERTS, INCIDENTS, RECOMMENDATIONS, SOURCES
from controlplane.model.alerts import Alert
from controlplane.model.events import Event
from controlplane.model.views import SourceHealth
from controlplane.notify.outbox import DeliveryReport
from controlplane.tick import TickReport, tick
from tests.servers import Server, answers, require_binary, running
from tests.servers_hostile import Asked, Handler

T = TypeVar("T")

_DECISIONS = ("alert_", "recommendation_", "advice_", "incident_", "notification_queued", "notification_suppressed")
_BEHIND = timedelta(seconds=2)


class Plane:
    """A control plane with its configuration in `folder`; used as a context manager, which closes its log."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "controlplane.yaml"
        self.config.write_text(yaml.safe_dump({"home": "state", "self_monitoring": False, **settings}))
        self.settings = bootstrap.load_settings(self.config)
        self.plane = bootstrap.control_plane(self.settings)

    def __enter__(self) -> "Plane":
        return self

    def __exit__(self, *_: object) -> None:
        verification = self.plane.log.verify()
        self.plane.log.close()
        assert verification.ok, verification.problem

    def reload(self) -> None:
        """Start anew, as another process would: settings, rules, stores."""
        self.plane.log.close()
        self.settings = bootstrap.load_settings(self.config)
        self.plane = bootstrap.control_plane(self.settings)

    def tick(self, now: datetime) -> TickReport:
        """Everything up to telemetry time `now`."""
        return tick(self.plane, now)

    def ticks(self, start: datetime, end: datetime, every: timedelta) -> None:
        """Tick at start + every, … up to and including `end`."""
        while start < end:
            start = min(end, start + every)
            self.tick(start)

    def follow(self, until: Callable[[], T], what: str, deadline: float = 40.0) -> T:
        """Tick in real time, two seconds behind it so that every sample has arrived, until `until` is true."""
        ends = time.monotonic() + deadline
        while time.monotonic() < ends:
            self.tick(datetime.now(UTC) - _BEHIND)
            if found := until():
                return found
            time.sleep(0.2)
        told = "\n".join(f"{event.occurred_at:%H:%M:%S} {event.type} {event.stream}" for event in self.plane.log.read())
        raise AssertionError(f"not within {deadline:g} s: {what}\n{told}")

    def deliver(self) -> DeliveryReport:
        """Send what is due."""
        return bootstrap.deliver(self.settings, self.plane.log)

    def cli(self, *arguments: str) -> tuple[int, Any]:
        """Run a command in a process of its own on this configuration: exit code, and the JSON on its stdout."""
        done = subprocess.run(
            [Path(sys.executable).with_name("controlplane"), *arguments, "--config", self.config],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode, json.loads(done.stdout)

    def events(self, *types: str, **having: Any) -> list[Event]:
        """Events of these types whose payload has these values, in the order of the log."""
        return [
            event
            for event in self.plane.log.read(types={f"{name}.v1" for name in types})
            if all(getattr(event.payload, name) == value for name, value in having.items())
        ]

    def of_rule(self, rule: str, *types: str) -> list[Event]:
        """Alert events with facts, of one rule."""
        return [event for event in self.events(*types) if event.payload.facts.rule == rule]

    def decisions(self) -> list[tuple[Any, ...]]:
        """What was decided, in order: everything of an event that may not depend on when ticks ran."""
        return [
            (event.occurred_at, event.type, event.id, event.stream, event.cause, event.correlation, event.payload)
            for event in self.plane.log.read()
            if event.type.startswith(_DECISIONS)
        ]

    def board(self) -> tuple[Any, ...]:
        """Where alerts, recommendations, incidents and readings stand."""
        log = self.plane.log
        return log.rows(ALERTS), log.rows(RECOMMENDATIONS), log.rows(INCIDENTS), log.readings()

    def alerts(self, rule: str) -> list[Alert]:
        """Active alerts of a rule."""
        return [alert for alert in self.plane.log.rows(ALERTS).values() if alert.rule == rule]

    def health(self, source: str) -> SourceHealth:
        """What is known of a source."""
        return self.plane.log.rows(SOURCES)[source]

    def windows(self, source: str) -> list[tuple[int, int]]:
        """(start, end] of everything that was evaluated of a source, in order."""
        found = [event.payload for event in self.events("samples_ingested", source=source)]
        assert all(payload.skipped_ms == 0 for payload in found)
        return [(payload.start_ms, payload.end_ms) for payload in found]


def assert_no_gap(windows: Sequence[tuple[int, int]]) -> None:
    """Each window begins where the one before ended."""
    assert windows
    for (_, end), (start, _) in pairwise(windows):
        assert start == end, windows


# rules


def shipped(component: str) -> dict[str, Any]:
    """A file of the pack `catalyst`."""
    text = (resources.files("alert_rules") / "catalyst" / f"{component}.yaml").read_text(encoding="utf-8")
    return dict(parse_document(text, component).data)


def retuned(component: str, rule: str, new: str, **changes: Any) -> dict[str, Any]:
    """A shipped rule under the id `new` with other values, as a user would copy it."""
    (found,) = [one for one in shipped(component)["rules"] if one["id"] == rule]
    return {**found, "id": new, **changes}


def write_rules(path: Path, platform: str, rules: Iterable[dict[str, Any]], signals: Iterable[Any] = ()) -> None:
    """A rule file of a user."""
    document = {"platform": platform, "component": "own", "signals": list(signals), "rules": list(rules)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def house_rule(name: str, signal: str, when: str, **more: Any) -> dict[str, Any]:
    """An alert rule with everything that a rule needs."""
    return {
        "id": name,
        "kind": "alert",
        "title": name,
        "signal": signal,
        "when": when,
        "severity": "critical",
        "summary": "{value}",
        "basis": "house",
        "rationale": "A figure of this house.",
        **more,
    }


# servers


@contextlib.contextmanager
def prometheus(folder: Path, port: int, targets: Sequence[str]) -> Iterator[Server]:
    """A Prometheus on this port that scrapes `targets` each second; started again, it goes on with its data."""
    folder.mkdir(exist_ok=True)
    jobs = [{"job_name": "test", "static_configs": [{"targets": list(targets)}]}]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{port}"
    command = [
        str(require_binary("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    ready = f"http://{address}/-/ready"
    with running(command, log=folder / "prometheus.log", ready=lambda: answers(ready), deadline=30) as server:
        yield server


def forward(url: str) -> Callable[[Handler, Asked], None]:
    """For a hostile server: pass every request on to `url` and the answer back."""

    def behave(handler: Handler, asked: Asked) -> None:
        answer = requests.post(f"{url}{asked.path}", data=asked.form, timeout=10)
        handler.reply(answer.content, answer.status_code)

    return behave


class Relay:
    """A TCP port in front of a server, which hangs up on everybody while `broken` is set."""

    def __init__(self, target: str) -> None:
        self.broken = False
        self.hung_up = 0
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.broken:
                    self.hung_up += 1
                    client.close()
                    continue
                server = socket.create_connection(self._target, timeout=5)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        source.settimeout(None)
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
            one.close()
