"""`controlplane failover` on a small platform and on the recorded evening: what is read at night, and its JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest

from controlplane.cli.failover import KINDS
from controlplane.model.readiness import Dying
from tests.cli.conftest import Evening, Run, program
from tests.drafts import HOSTILE

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
CPU = "system.cpu.utilization"
RULES = """
platform: shop
component: zones
signals:
  - {name: system.cpu.utilization, unit: "1"}
  - name: zone.survivor.load
    unit: "1"
    derive: {method: survivor_load, of: [system.cpu.utilization], cell: zone}
rules:
  - {id: shop-reserve, kind: alert, title: No reserve, signal: zone.survivor.load, by: [role], fold: max,
     when: "> 1.0005", for: 1m, severity: warning, summary: "{role} at {value:.1%}", basis: house, rationale: a test}
  - {id: shop-reserve-instances, kind: scaling, title: Reserve, on: [shop-reserve], method: reserve, basis: house,
     rationale: a test, parameters: {cell: zone, of: [system.cpu.utilization], limit: 1.0005, price: node}}
"""
PRICES = """
prices:
  - {id: node, item: node, unit: USD/h, amount: "0.10", source: {document: d, section: s, quote: q, date: "2026-01-01"}}
"""


def prepare(folder: Path, load: float, zones: str = "abc") -> Path:
    """Settings, rules, inventory and samples of one instance a zone."""
    rows = [
        (CPU, json.dumps({"host": f"n{number}"}), START + STEP * step, load)
        for number in range(len(zones))
        for step in range(1, 41)
    ]
    schema = {"signal": pl.String, "labels": pl.String, "ts": pl.Datetime("ms", "UTC"), "value": pl.Float64}
    pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.col("ts").dt.epoch("ms").alias("ts"), "signal", "labels", "value"
    ).write_parquet(folder / "samples.parquet")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    (folder / "prices.yaml").write_text(PRICES, encoding="utf-8")
    nodes = [{"id": f"n{number}", "kind": "instance", "role": "web", "zone": zone} for number, zone in enumerate(zones)]
    (folder / "inventory.yaml").write_text(json.dumps({"resources": nodes}), encoding="utf-8")
    settings: dict[str, Any] = {
        "home": "home",
        "rules": ["rules.yaml"],
        "prices": {"shop": "prices.yaml"},
        "sources": [
            {"name": "r", "type": "recorded", "path": "samples.parquet", "platform": "shop", "lookback": "10m"},
            {"name": "i", "type": "inventory", "path": "inventory.yaml", "platform": "shop"},
        ],
    }
    file = folder / "controlplane.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    return file


def ticked(run: Run, folder: Path, load: float, zones: str = "abc") -> None:
    prepare(folder, load, zones)
    done = run("tick", "--at", (START + STEP * 40).strftime("%Y-%m-%dT%H:%M:%SZ"), "--no-deliver")
    assert done.code == 0, done.err


@pytest.mark.parametrize(("load", "code", "ready"), [(0.666, 0, True), (0.667, 0, True), (0.668, 1, False)])
def test_exit_code_and_rows(run: Run, here: Path, load: float, code: int, ready: bool) -> None:
    ticked(run, here, load)
    done = run("failover", "--json")
    assert done.code == code
    assert [(row["kind"], row["cell"], row["ready"]) for row in done.json] == [("zone", zone, ready) for zone in "abc"]
    assert set(done.json[0]) == {
        "platform", "kind", "cell", "takes_over", "mode", "rpo_bytes", "rpo_seconds", "rto_seconds", "rpo_target",
        "rto_target", "load_after", "ready", "reason", "remedy", "at",
    }  # fmt: skip
    assert done.json[0]["load_after"] == pytest.approx(load * 1.5)


def test_the_alert_comes_with_its_advice_before_anything_is_lost(run: Run, here: Path) -> None:
    ticked(run, here, 0.7)
    (alert,) = run("alerts", "--json").json
    assert (alert["rule"], alert["labels"]) == ("shop-reserve", {"role": "web"})
    (advice,) = run("recommendations", "--json").json
    assert (advice["kind"], advice["target"]) == ("scale_out", "group web")


def test_one_zone_alone_is_an_alert_whose_value_is_infinite(run: Run, here: Path) -> None:
    ticked(run, here, 0.1, "aa")
    (alert,) = run("alerts", "--json").json
    assert alert["value"] == "Infinity"
    (row,) = run("failover", "--json").json
    assert (row["ready"], row["takes_over"], row["mode"], row["load_after"]) == (False, "", "none", "Infinity")
    text = run("failover").out
    assert "nobody" in text
    assert "∞" in text
    assert run("events", "verify").code == 0
    assert run("recommendations", "--json").json == []


def test_the_text_says_what_why_and_what_helps(run: Run, here: Path) -> None:
    ticked(run, here, 0.7)
    done = run("failover")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].strip() == "shop"
    assert lines[1].split() == ["Ready", "If", "it", "died", "Takes", "over", "Loss", "Time", "Load"]
    assert lines[2].split()[:5] == ["NO", "zone", "a,", "b,", "c"]
    assert lines[2].split()[-2:] == ["105", "%"]
    assert "the other web would be at 105 % (system.cpu.utilization)" in done.out
    assert "→ 2 more web ($146 a month)" in done.out
    assert lines[-1] == "shop: 3 not ready"


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_it_fits_the_width(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ticked(run, here, 0.7)
    widest = max(len(line) for line in run("failover").out.splitlines())
    assert widest <= max(int(columns), 62)


def test_platforms_and_kinds_are_chosen(run: Run, here: Path) -> None:
    ticked(run, here, 0.7)
    assert len(run("failover", "--platform", "shop", "--kind", "zone", "--json").json) == 3
    other = run("failover", "--kind", "host")
    assert (other.code, other.out) == (0, "")
    assert "no rule of the enabled packs is about such a thing" in other.err
    unknown = run("failover", "--platform", "shup")
    assert unknown.code == 2
    assert "there is no platform 'shup'" in unknown.err
    assert run("failover", "--kind", "planet").code == 2


def test_all_kinds_can_be_asked_for() -> None:
    assert get_args(Dying) == KINDS


def test_before_the_first_tick(run: Run, here: Path) -> None:
    prepare(here, 0.7)
    done = run("failover")
    assert done.code == 1
    assert "there has been no tick yet" in done.err


def test_without_settings(run: Run, here: Path) -> None:
    assert run("failover").code == 2


def test_hostile_zones(run: Run, here: Path) -> None:
    prepare(here, 0.9)
    nodes = [
        {"id": f"n{number}", "kind": "instance", "role": f"[red]{HOSTILE}", "zone": f"{HOSTILE}{number}"}
        for number in range(3)
    ]
    (here / "inventory.yaml").write_text(json.dumps({"resources": nodes}), encoding="utf-8")
    assert run("tick", "--at", "2026-01-01T00:10:00Z", "--no-deliver").code == 0
    done = run("failover")
    assert done.code == 1
    assert all(line.isprintable() for line in done.out.splitlines())
    assert "[red]" in done.out


def test_the_evening_tells_what_could_not_be_carried(evening: Evening, tmp_path: Path) -> None:
    done = program("failover", "--json", cwd=tmp_path, CONTROLPLANE_HOME=str(evening.home))
    assert done.returncode == 1, done.stderr
    rows = {(row["platform"], row["kind"], row["cell"], row["takes_over"]): row for row in json.loads(done.stdout)}
    hosts = [row for row in rows.values() if row["platform"] == "catalyst_hybrid" and row["kind"] == "host"]
    # 1,328 cores asked; two hosts of 256 are left.
    assert [(row["ready"], row["load_after"]) for row in hosts] == [(False, pytest.approx(1328 / 512))] * 3
    assert all(row["remedy"] == "5 more hypervisor ($1,250,000 once)" for row in hosts)
    zones = {row["cell"]: row for row in rows.values() if row["kind"] == "zone"}
    assert "lost now" in zones["us-west-2c"]["reason"]
    assert zones["us-west-2a"]["takes_over"] == "us-west-2b"
    assert zones["us-west-2a"]["load_after"] > 1
    east = rows["prism", "region", "us-west-2", "us-east-1"]
    assert (east["mode"], east["ready"], east["rto_target"]) == ("manual", False, 480.0)
    for columns in ("80", "120"):
        text = program("failover", cwd=tmp_path, CONTROLPLANE_HOME=str(evening.home), COLUMNS=columns).stdout
        assert max(len(line) for line in text.splitlines()) <= int(columns)
