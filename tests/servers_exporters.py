"""Real node, PostgreSQL and Redis exporters, a real Prometheus that scrapes them, and a disk to fill."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.servers import Server, answers, free_port, missing, require_binary, running, start_prometheus
from tests.servers_postgresql import PostgresqlServer

_DISK_BYTES = 16 * 2**20

_CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - {{job_name: node, static_configs: [{{targets: ["{node}"]}}]}}
  - {{job_name: postgresql, static_configs: [{{targets: ["{postgresql}"]}}]}}
  - {{job_name: redis, static_configs: [{{targets: ["{redis}"]}}]}}
"""


@dataclass(frozen=True, slots=True)
class Started:
    """A server on loopback and the address (host:port) that it listens on."""

    address: str
    server: Server


@contextlib.contextmanager
def node_exporter(folder: Path, *flags: str) -> Iterator[Started]:
    """An exporter of the metrics of this machine."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(require_binary("prometheus-node-exporter")), f"--web.listen-address={address}", "--log.level=error"]
    command += flags
    with _exporter(command, folder / "node-exporter.log", address, "node_filesystem_size_bytes") as started:
        yield started


@contextlib.contextmanager
def redis(folder: Path, port: int | None = None, *options: str) -> Iterator[Started]:
    """A Redis without persistence, on a free port where none is given."""
    port = port or free_port()
    command = [str(require_binary("redis-server")), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    command += options
    ping = [str(require_binary("redis-cli")), "-p", str(port), "ping"]

    def ready() -> bool:
        return b"PONG" in subprocess.run(ping, capture_output=True, timeout=5).stdout

    with running(command, log=folder / "redis.log", ready=ready, cwd=folder) as server:
        yield Started(f"127.0.0.1:{port}", server)


@contextlib.contextmanager
def redis_exporter(folder: Path, address: str, *flags: str) -> Iterator[Started]:
    """An exporter of the metrics of the Redis at `address`."""
    listen = f"127.0.0.1:{free_port()}"
    binary = str(require_binary("prometheus-redis-exporter"))
    command = [binary, f"-redis.addr=redis://{address}", f"-web.listen-address={listen}", *flags]
    with _exporter(command, folder / "redis-exporter.log", listen, "redis_up 1") as started:
        yield started


@contextlib.contextmanager
def postgresql_exporter(
    folder: Path, server: PostgresqlServer, database: str = "postgres", port: int | None = None
) -> Iterator[Started]:
    """An exporter of the metrics of a PostgreSQL, on a free port where none is given."""
    listen = f"127.0.0.1:{port or free_port()}"
    url = server.url(database).replace("+psycopg", "") + "?sslmode=disable"
    command = [str(require_binary("prometheus-postgres-exporter")), f"--web.listen-address={listen}"]
    env = {"DATA_SOURCE_NAME": url}
    with _exporter(command, folder / "postgresql-exporter.log", listen, "pg_up 1", env) as started:
        yield started


def _exporter(
    command: list[str], log: Path, address: str, metric: str, env: dict[str, str] | None = None
) -> contextlib.AbstractContextManager[Started]:
    @contextlib.contextmanager
    def start() -> Iterator[Started]:
        with running(command, log=log, ready=lambda: answers(f"http://{address}/metrics", metric), env=env) as server:
            yield Started(address, server)

    return start()


@dataclass(frozen=True, slots=True)
class Monitoring:
    """A Prometheus that scrapes every second, and what it scrapes."""

    url: str
    node: Started
    redis: Started
    redis_exporter: Started
    postgresql_exporter: Started

    def query_range(self, query: str, start: float, end: float, step: float = 1.0) -> list[dict[str, Any]]:
        """Series of a range query; times in seconds."""
        wanted: dict[str, str | float] = {"query": query, "start": start, "end": end, "step": step}
        answer = requests.get(f"{self.url}/api/v1/query_range", params=wanted, timeout=10).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def query(self, query: str) -> list[dict[str, Any]]:
        """Series of an instant query, now."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])


@pytest.fixture(scope="session")
def monitoring(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[Monitoring]:
    """This machine, a PostgreSQL and a Redis, with their exporters and a Prometheus that scrapes them each second."""
    folder = tmp_path_factory.mktemp("monitoring")
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(node_exporter(folder))
        cache = stack.enter_context(redis(folder))
        cache_exporter = stack.enter_context(redis_exporter(folder, cache.address))
        database_exporter = stack.enter_context(postgresql_exporter(folder, postgresql_server))
        config = _CONFIG.format(node=node.address, postgresql=database_exporter.address, redis=cache_exporter.address)
        url = stack.enter_context(start_prometheus(config, folder))
        yield Monitoring(url, node, cache, cache_exporter, database_exporter)


@dataclass(frozen=True, slots=True)
class Disk:
    """A small mounted file system."""

    path: Path
    kind: str
    """ext4, or tmpfs where loop devices aren't permitted (rules for disks usually leave tmpfs out)."""

    @property
    def utilization(self) -> float:
        """1 − available / size, as the node exporter has them."""
        stat = os.statvfs(self.path)
        return 1 - stat.f_bavail / stat.f_blocks

    def fill(self, share: float) -> None:
        """Take space until the utilization is at least `share`."""
        self.empty()
        stat = os.statvfs(self.path)
        blocks = stat.f_bavail - int(stat.f_blocks * (1 - share))
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, blocks * stat.f_frsize)
            os.fsync(file.fileno())
        assert self.utilization >= share

    def empty(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty file system of 16 MB, mounted for one test, that the test can fill."""
    image, at = tmp_path / "disk.img", tmp_path / "disk"
    at.mkdir()
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    attempts = {
        "ext4": [["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(at)]],
        "tmpfs": [["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(at)]],
    }
    refused = []
    for kind, commands in attempts.items():
        if (problem := _run_all(commands)) is None:
            break
        refused.append(f"{kind}: {problem}")
    else:
        missing(f"no file system can be mounted here ({'; '.join(refused)})")
    disk = Disk(at, kind)
    try:
        yield disk
    finally:
        if _run_all([["umount", str(at)]]) is not None:
            subprocess.run(["umount", "--lazy", str(at)], check=True, timeout=30)


def _run_all(commands: list[list[str]]) -> str | None:
    """Run one after the other; what the first that fails says, None if none does."""
    for name, *arguments in commands:
        done = subprocess.run([require_binary(name), *arguments], capture_output=True, text=True, timeout=30)
        if done.returncode:
            return done.stderr.strip() or f"{name} ended with {done.returncode}"
    return None
