"""The same rules over the same series in a real Prometheus on this machine: what one evaluation of all takes."""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks import world
from benchmarks.measure import Case, Seconds, Unavailable

PARTS = 10
"""Targets that the series are spread over."""
EVALUATIONS = 6
_PATIENCE_SECONDS = 240.0


class _Exporter(BaseHTTPRequestHandler):
    """Serves `/part/<n>`."""

    parts: tuple[bytes, ...] = ()

    def do_GET(self) -> None:
        body = self.parts[int(self.path.rpartition("/")[2])]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def exposition(series: int, part: int) -> bytes:
    """The metrics of one target, as an exporter writes them."""
    lines = []
    for metric in range(part, world.RULES, PARTS):
        lines.append(f"# TYPE m{metric} gauge\n")
        for number, sid in enumerate(range(metric, series, world.RULES)):
            host, disk, zone = world.place(number)
            lines.append(f'm{metric}{{disk="sd{disk}",host="h{host}",zone="z{zone}"}} {world.value(sid, 0)}\n')
    return "".join(lines).encode()


@dataclass(frozen=True)
class Prometheus:
    """One evaluation of all rules, as the server itself reports it."""

    series: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """Wait until every series is scraped, then read the time of a few evaluations."""
        program = shutil.which("prometheus")
        if program is None:
            raise Unavailable("there is no program prometheus; install it (apt-get install prometheus) to compare")
        handler = type("_Handler", (_Exporter,), {"parts": tuple(exposition(self.series, n) for n in range(PARTS))})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "rules.yml").write_text(world.prometheus_rules(), encoding="utf-8")
        (folder / "prometheus.yml").write_text(_configuration(server.server_address[1]), encoding="utf-8")
        url = f"http://127.0.0.1:{_free_port()}"
        command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--log.level=error",
        ]

        def work() -> Seconds:
            process = subprocess.Popen(command)
            try:
                _wait(lambda: _scraped(url) >= self.series, process)
                seconds = _evaluations(url, process)
                seconds.peak_bytes = _most_memory(process.pid)
                return seconds
            finally:
                process.terminate()
                process.wait()
                server.shutdown()

        return work


def _configuration(port: int) -> str:
    targets = f"static_configs: [{{targets: ['127.0.0.1:{port}']}}]"
    jobs = "".join(f"- {{job_name: part-{n}, metrics_path: /part/{n}, {targets}}}\n" for n in range(PARTS))
    return (
        "global: {scrape_interval: 30s, scrape_timeout: 20s, evaluation_interval: 5s}\n"
        f"rule_files: [rules.yml]\nscrape_configs:\n{jobs}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
            return json.load(answer)["data"]
    except (OSError, urllib.error.URLError, ValueError):
        return None


def _scraped(url: str) -> int:
    found = _get(f"{url}/api/v1/query?query=sum(scrape_samples_scraped)")
    return int(found["result"][0]["value"][1]) if found and found["result"] else 0


def _evaluations(url: str, process: "subprocess.Popen[bytes]") -> Seconds:
    """The seconds of evaluations that begin when all series are there; the first two create the alerts."""
    seen: dict[str, float] = {}

    def enough() -> bool:
        found = _get(f"{url}/api/v1/rules")
        for group in found["groups"] if found else ():
            seen[group["lastEvaluation"]] = group["evaluationTime"]
        return len(seen) >= EVALUATIONS + 3

    _wait(enough, process)
    return Seconds(list(seen.values())[3:])


def _wait(done: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("Prometheus doesn't come up, or takes too long; see its messages above")
        time.sleep(0.5)


def _most_memory(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


CASES = tuple(
    Case(
        f"prometheus-{series // 1000}k",
        f"Prometheus: {world.RULES} rules, {series:,} series, 1 step",
        Prometheus(series),
        1,
        series,
        "samples",
    )
    for series in (10_000, 100_000, 500_000)
)
