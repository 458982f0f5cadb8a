"""A real blackbox_exporter, smokeping_prober and etcd, and one Prometheus that scrapes the exporters of the packs."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.loopback import Handler, http_server
from tests.servers import answers, free_port, require_binary, running, start_prometheus
from tests.servers_exporters import Started, node_exporter, postgresql_exporter, redis, redis_exporter
from tests.servers_postgresql import PostgresqlServer

_MODULES = {
    "tcp": {"prober": "tcp", "timeout": "2s", "tcp": {"preferred_ip_protocol": "ip4"}},
    "http": {"prober": "http", "timeout": "2s", "http": {"preferred_ip_protocol": "ip4"}},
    "icmp": {"prober": "icmp", "timeout": "2s", "icmp": {"preferred_ip_protocol": "ip4"}},
}


@contextlib.contextmanager
def blackbox_exporter(folder: Path) -> Iterator[Started]:
    """Probes over TCP, HTTP and ICMP; the last one needs root, CAP_NET_RAW or a place in net.ipv4.ping_group_range."""
    address, file = f"127.0.0.1:{free_port()}", folder / "blackbox.yml"
    file.write_text(yaml.safe_dump({"modules": _MODULES}))
    binary = str(require_binary("prometheus-blackbox-exporter"))
    command = [binary, f"--config.file={file}", f"--web.listen-address={address}", "--log.level=error"]
    ready = f"http://{address}/metrics"
    with running(command, log=folder / "blackbox.log", ready=lambda: answers(ready, "blackbox_exporter")) as server:
        yield Started(address, server)


@contextlib.contextmanager
def smokeping_prober(folder: Path) -> Iterator[Started]:
    """Pings loopback ten times a second: as root over raw sockets, else over those of net.ipv4.ping_group_range."""
    address, file = f"127.0.0.1:{free_port()}", folder / "smokeping.yml"
    file.write_text("targets: []\n")
    binary = str(require_binary("prometheus-smokeping-prober"))
    command = [binary, f"--web.listen-address={address}", "--ping.interval=100ms", "127.0.0.1"]
    command[1:1] = [f"--config.file={file}", "--privileged" if os.geteuid() == 0 else "--no-privileged"]
    ready = f"http://{address}/metrics"
    text = 'smokeping_response_duration_seconds_count{host="127.0.0.1"'
    with running(command, log=folder / "smokeping.log", ready=lambda: answers(ready, text)) as server:
        yield Started(address, server)


@contextlib.contextmanager
def etcd(folder: Path) -> Iterator[Started]:
    """One etcd that has been written to and read from; it shows its metrics at its client address."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        str(require_binary("etcd")),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--metrics=extensive",
        "--log-level=error",
    ]
    with running(command, log=folder / "etcd.log", ready=lambda: answers(f"{client}/health", "true")) as server:
        yield Started(client.removeprefix("http://"), server)


class Page(Handler):
    """Answers everything with 200."""

    def do_GET(self) -> None:
        self.reply(b"ok")


@dataclass(frozen=True, slots=True)
class Exporters:
    """A Prometheus that scrapes real exporters each second, with the labels that the packs ask for."""

    url: str
    etcd: Started
    caches: tuple[Started, ...]

    def query(self, query: str) -> list[dict[str, Any]]:
        """Series of an instant query, now; AssertionError with the API's own words where it is refused."""
        answer = requests.post(f"{self.url}/api/v1/query", data={"query": query}, timeout=10).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def work(self) -> None:
        """Write and read a little, so that rates aren't zero."""
        for call, body in (("put", {"key": "YQ==", "value": "Yg=="}), ("range", {"key": "YQ=="})):
            requests.post(f"http://{self.etcd.address}/v3/kv/{call}", json=body, timeout=5)
        port = self.caches[0].address.rpartition(":")[2]
        command = [str(require_binary("redis-cli")), "-p", port, "set", "session:1", "x"]
        subprocess.run(command, capture_output=True, timeout=5, check=True)


def _job(name: str, targets: list[tuple[str, dict[str, str]]], **more: Any) -> dict[str, Any]:
    static = [{"targets": [address], "labels": labels} for address, labels in targets]
    return {"job_name": name, "static_configs": static, **more}


def _probes(name: str, module: str, blackbox: str, targets: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """A job that lets the blackbox exporter probe its targets."""
    relabel = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": blackbox},
    ]
    return _job(name, targets, metrics_path="/probe", params={"module": [module]}, relabel_configs=relabel)


@pytest.fixture(scope="session")
def exporters(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[Exporters]:
    """Every exporter that a Debian machine has and the packs name, scraped each second."""
    folder = tmp_path_factory.mktemp("exporters")
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        node = enter(node_exporter(folder, "--collector.mountstats", "--collector.netdev.address-info"))
        cache = enter(redis(folder, None, "--cluster-enabled", "yes", "--cluster-port", str(free_port())))
        (folder / "replica").mkdir()
        first = enter(redis(folder / "replica"))
        (folder / "second").mkdir()
        second = enter(redis(folder / "second", None, "--replicaof", *first.address.split(":")))
        flags = ("-check-key-groups=^(session):", "-check-keys=session:*", "-include-system-metrics")
        caches = []
        for number, one in enumerate((first, second, cache)):
            (folder / f"cache-{number}").mkdir()
            caches.append(enter(redis_exporter(folder / f"cache-{number}", one.address, *flags)).address)
        database = enter(postgresql_exporter(folder, postgresql_server)).address
        blackbox, pings, store = (enter(start(folder)) for start in (blackbox_exporter, smokeping_prober, etcd))
        web, closed = enter(http_server(Page)), f"127.0.0.1:{free_port()}"
        own = f"127.0.0.1:{free_port()}"
        about = {"cluster": "c", "zone": "z", "group": "redis-hot-tier", "tier": "t"}
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                _job("prometheus", [(own, {})]),
                _job("node", [(node.address, {**about, "placement_group": "p"})]),
                _job("redis", [(address, about) for address in caches]),
                _job("postgresql", [(database, {"cluster": "c"})]),
                _job("mqtt-broker", [(store.address, {"cluster": "c"})]),
                _job("gone", [(closed, {})]),
                _job("smokeping", [(pings.address, {"scope": scope}) for scope in ("different-host", "underlay")]),
                _probes("mqtt", "tcp", blackbox.address, [(web, {"cluster": "c", "service": "broker"})]),
                _probes("nfs", "tcp", blackbox.address, [(closed, {})]),
                _probes("s3-metadata", "http", blackbox.address, [(f"http://{web}", {"cluster": "c"})]),
                _probes("ping", "icmp", blackbox.address, [("127.0.0.1", {"path": "same-zone", "zone": "z"})]),
                _probes(
                    "load-balancer",
                    "tcp",
                    blackbox.address,
                    [(web, {"load_balancer": "lb", "way": way}) for way in ("balanced", "direct")],
                ),
            ],
        }
        enter(start_prometheus(yaml.safe_dump(config), folder, listen=own))
        yield Exporters(f"http://{own}", store, (first, second, cache))
