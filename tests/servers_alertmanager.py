"""A real Alertmanager on loopback, and the webhook that it tells."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.loopback import Handler, http_server
from tests.servers import free_port, require_binary, running


@dataclass(slots=True)
class Webhook:
    """What arrived, in order: (path without the slash, body)."""

    url: str = ""
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """Take every POST on a free port."""
    taken, lock = Webhook(), threading.Lock()

    class Hook(Handler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                taken.got.append((self.path.strip("/"), body))
            self.reply()

    with http_server(Hook) as address:
        taken.url = f"http://{address}"
        yield taken


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A running one; times are seconds since `begin`."""

    url: str
    begin: float

    def alert(self, labels: Mapping[str, str], *, since: float, until: float) -> None:
        """An alert that fires from `since` until `until`."""
        times = {"startsAt": _instant(self.begin + since), "endsAt": _instant(self.begin + until)}
        body = [{"labels": dict(labels), **times}]
        requests.post(f"{self.url}/api/v2/alerts", json=body, timeout=5).raise_for_status()

    def silence(self, matchers: Sequence[Mapping[str, object]], *, until: float) -> None:
        """A silence from now on."""
        body = {
            "matchers": list(matchers),
            "startsAt": _instant(time.time()),
            "endsAt": _instant(self.begin + until),
            "createdBy": "ada",
            "comment": "a test",
        }
        requests.post(f"{self.url}/api/v2/silences", json=body, timeout=5).raise_for_status()


def _instant(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03}Z"


@contextlib.contextmanager
def alertmanager(folder: Path, config: Mapping[str, Any]) -> Iterator[Alertmanager]:
    """Start one with this configuration; its time begins a second after it answers."""
    binary, port = require_binary("prometheus-alertmanager"), free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(config)))
    command = [
        str(binary),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(
        command,
        log=folder / "alertmanager.log",
        ready=lambda: requests.get(f"{url}/-/ready", timeout=1).ok,
        deadline=30,
    ):
        yield Alertmanager(url, time.time() + 1)
