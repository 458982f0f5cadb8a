"""A real Prometheus on loopback: one that scrapes what a test exposes, and one that holds imported history."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.loopback import Handler, http_server
from tests.servers import eventually, free_port, require_binary, running


@dataclass(slots=True)
class Exposition:
    """What a scrape gets; a test sets `text`."""

    text: str = ""
    address: str = ""
    scrapes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def expose(self, text: str) -> None:
        """Show `text` and wait until it has been scraped twice, so that it is stored."""
        with self.changed:
            self.text = text
            wanted = self.scrapes + 2
            assert self.changed.wait_for(lambda: self.scrapes >= wanted, timeout=20), "Prometheus doesn't scrape"


@contextlib.contextmanager
def exposition() -> Iterator[Exposition]:
    """Serve an Exposition at /metrics on a free port."""
    shown = Exposition()

    class Metrics(Handler):
        def do_GET(self) -> None:
            with shown.changed:
                body = shown.text.encode()
                shown.scrapes += 1
                shown.changed.notify_all()
            self.reply(body, **{"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    with http_server(Metrics) as shown.address:
        yield shown


@contextlib.contextmanager
def prometheus_server(folder: Path, targets: Sequence[str] = (), flags: Sequence[str] = ()) -> Iterator[str]:
    """Start Prometheus with its data in `folder`, scraping itself and `targets` every second; gives its URL."""
    binary, port = require_binary("prometheus"), free_port()
    url = f"http://127.0.0.1:{port}"
    jobs = [("prometheus", [f"127.0.0.1:{port}"]), *([("test", list(targets))] if targets else [])]
    config = "global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(
        f"- {{job_name: {job}, static_configs: [{{targets: {addresses}, labels: {{zone: zone-a}}}}]}}\n"
        for job, addresses in jobs
    )
    (folder / "prometheus.yml").write_text(config)
    command = [
        str(binary),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=warn",
        *flags,
    ]
    session = requests.Session()
    session.trust_env = False

    def ready() -> bool:
        return session.get(f"{url}/-/ready", timeout=2).ok

    with running(command, log=folder / "prometheus.log", ready=ready, deadline=30):
        yield url


def import_openmetrics(folder: Path, text: str) -> None:
    """Turn samples with timestamps into blocks of the server that will run in `folder`."""
    promtool = require_binary("promtool")
    source = folder / "history.txt"
    source.write_text(text)
    (folder / "data").mkdir(exist_ok=True)
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data")],
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Exposition]]:
    """A Prometheus that scrapes an Exposition, and that Exposition."""
    require_binary("prometheus")
    with exposition() as shown, prometheus_server(tmp_path_factory.mktemp("scraped"), [shown.address]) as url:

        def up() -> bool:
            answer = requests.get(f"{url}/api/v1/query", params={"query": "count(up == 1) == 2"}, timeout=5).json()
            return bool(answer["data"]["result"])

        eventually(up, "both targets are scraped")
        yield url, shown
