"""Metrics, probes and heartbeats of a control plane that runs: scraped by a real Prometheus, and stopped."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.dagster_plane import RULES
from tests.loopback import Handler, http_server
from tests.servers import eventually, free_port, require_binary, running
from tests.servers_prometheus import prometheus_server

pytestmark = pytest.mark.integration

SECRET = "5up3r-s3cret-uuid"
PROGRAM = "import sys; from controlplane.cli import main; sys.exit(main(sys.argv[1:]))"
TICKS = """
import sys, time
from controlplane.cli import main
while True:
    began = time.monotonic()
    main(["tick"])
    sys.stdout.flush()
    time.sleep(max(0.0, 1 - (time.monotonic() - began)))
"""


@contextmanager
def snitch() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Snitch(Handler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.reply()

    with http_server(Snitch) as address:
        yield f"http://{address}/ping/{SECRET}", asked


def configure(folder: Path, prometheus: str, address: str) -> Path:
    config = {
        "home": "home",
        "step": "1s",
        "rules": ["web.yaml"],
        "sources": [{"name": "prom", "type": "prometheus", "url": prometheus, "lookback": "5s"}],
        "serve": {"address": address, "late_steps": 8},
        "notify": {"heartbeat": [{"name": "snitch", "url": {"env": "SNITCH"}, "every": "10s"}]},
    }
    (folder / "web.yaml").write_text(
        # One query that always has an answer, and no host.
        RULES.replace("unit:", "prometheus: count(up), unit:", 1).replace(" on {host}", "")
    )
    path = folder / "controlplane.yaml"
    path.write_text(json.dumps(config))
    return path


def test_a_ticker_that_is_stopped_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_binary("prometheus")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    address = f"127.0.0.1:{free_port()}"
    for folder in ("prometheus", "plane"):
        (tmp_path / folder).mkdir()
    with prometheus_server(tmp_path / "prometheus", [address]) as prometheus, snitch() as (url, asked):
        config = configure(tmp_path / "plane", prometheus, address)
        env = {"CONTROLPLANE_CONFIG": str(config), "SNITCH": url}

        def probe() -> tuple[int, Any]:
            answer = requests.get(f"http://{address}/healthz", timeout=10)
            return answer.status_code, answer.json()

        def query(text: str) -> float | None:
            found = requests.get(f"{prometheus}/api/v1/query", params={"query": text}, timeout=10).json()
            return float(found["data"]["result"][0]["value"][1]) if found["data"]["result"] else None

        serve = [sys.executable, "-c", PROGRAM, "serve"]
        with running(serve, log=tmp_path / "serve.log", ready=probe, env=env) as served:
            assert probe() == (
                503,
                {"ok": False, "reasons": ["there has been no tick yet"], "last_tick": None, "age_seconds": None},
            )
            ticks = [sys.executable, "-c", TICKS]
            with running(ticks, log=tmp_path / "ticks.log", ready=lambda: probe()[0] == 200, env=env, deadline=60) as t:
                eventually(lambda: (query("controlplane_ticks_total") or 0) >= 2, "Prometheus has scraped ticks")
                eventually(lambda: asked, "a heartbeat is sent")
                assert query("controlplane_up") == 1
                assert query('controlplane_source_up{source="prom"}') == 1
                assert query('up{job="test"}') == 1
                assert query("controlplane_hash_chain_ok") == 1
                assert query("controlplane_heartbeat_ok") == 1
                skew = query('controlplane_clock_skew_seconds{source="prom"}')
                assert skew is not None
                assert abs(skew) < 1, "both have the same clock"

                t.signal(signal.SIGSTOP)
                _, found = eventually(lambda: (p := probe())[0] == 503 and p, "the probe fails", 40)
                assert [reason[:17] for reason in found["reasons"]] == ["the last tick was"]
                eventually(lambda: (query("controlplane_last_tick_age_seconds") or 0) >= 8, "Prometheus sees it")
                before = len(asked)
                eventually(lambda: probe()[1]["age_seconds"] > 14, "longer than between heartbeats")
                assert len(asked) == before, "whoever waits for a heartbeat hears nothing"
                t.signal(signal.SIGCONT)
                eventually(lambda: probe()[0] == 200, "it goes on", 40)
                eventually(lambda: len(asked) > before, "and tells it", 40)
            served.signal(signal.SIGTERM)
            assert served.process.wait(10) == 0
    text = (tmp_path / "serve.log").read_text() + (tmp_path / "ticks.log").read_text()
    assert "Traceback" not in text
    home = tmp_path / "plane" / "home"
    files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert SECRET not in text
    assert not any(SECRET.encode() in data for data in files)


def test_the_address_is_checked_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "controlplane.yaml").write_text("home: home\n")
    for given, says in (("127.0.0.1", "is not host:port"), ("192.0.2.1:10633", "can't be listened on")):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "serve", "--address", given],
            cwd=tmp_path,
            env={**os.environ, "CONTROLPLANE_CONFIG": str(tmp_path / "controlplane.yaml")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert says in done.stderr
