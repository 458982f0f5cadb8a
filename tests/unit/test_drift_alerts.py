"""A setting that differs from what is documented: from the inventory to what people read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from controlplane import bootstrap
from controlplane.eventlog.projections import ALERTS
from controlplane.model.alerts import Alert
from controlplane.model.payloads import AlertResolved
from controlplane.present import condition, measured
from controlplane.settings import InventoryFile, RecordedSource, Settings
from controlplane.telemetry.recorded import RecordedCollector
from controlplane.tick import ControlPlane, tick
from tui.text import against

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
RULES = """
platform: shop
component: kafka
rules:
  - id: settings
    kind: drift
    title: Configured differently
    of: {role: kafka}
    settings:
      - {setting: io.threads, expect: "== 8 {thread}"}
      - {setting: heap, expect: ">= 64 GiBy"}
      - {setting: wal, one_of: [replica, logical]}
    for: 15s
    severity: warning
    basis: house
    rationale: a test
"""


def plane(home: Path) -> ControlPlane:
    (home / "rules.yaml").write_text(RULES)
    (home / "samples.csv").write_text("ts,signal,labels,value\n0,other,{},1\n")
    sources = (
        RecordedSource(name="recorded", type="recorded", path=home / "samples.csv", lookback=STEP),
        InventoryFile(name="hosts", type="inventory", platform="shop", path=home / "inventory.yaml"),
    )
    return bootstrap.control_plane(Settings(home=home, rules=(home / "rules.yaml",), sources=sources))


def configure(home: Path, **settings: object) -> None:
    resources = [
        {"id": "k1", "kind": "broker", "role": "kafka", "settings": settings},
        {"id": "k2", "kind": "broker", "role": "zookeeper", "settings": {"io.threads": 1}},
    ]
    (home / "inventory.yaml").write_text(yaml.safe_dump({"resources": resources}))


def alerts(one: ControlPlane) -> dict[str, Alert]:
    return {alert.labels["setting"]: alert for alert in one.log.rows(ALERTS).values()}


@pytest.mark.parametrize("begins", [6, 10], ids=["while a source is away", "as it is back"])
def test_a_source_that_is_caught_up_moves_no_alert(tmp_path: Path, begins: int) -> None:
    """Another source is away from step 3 on and back at step 10: steps 3 to 9 are in the window again."""
    configure(tmp_path, **{"io.threads": 8})
    one = plane(tmp_path)
    other = tmp_path / "other.csv"
    late = RecordedSource(name="late", type="recorded", path=other, lookback=STEP)
    for n in range(1, 13):
        other.write_text("" if 3 <= n < 10 else "ts,signal,labels,value\n0,another,{},1\n")
        configure(tmp_path, **{"io.threads": 4 if n >= begins else 8})
        # A recording is read once.
        tick(replace(one, collectors=[*one.collectors, RecordedCollector(late, one.step_ms)]), START + n * STEP)
    told = [(event.occurred_at, event.type) for event in one.log.read() if event.type.startswith("alert_")]
    assert told == [
        (START + begins * STEP, "alert_pending.v1"),
        (START + (begins + 1) * STEP, "alert_fired.v1"),
    ]
    one.log.close()


@pytest.mark.parametrize(
    ("setting", "value", "summary", "shown"),
    [
        ("io.threads", 4, "io.threads of k1 is 4, documented is == 8 {thread}", "4 != 8 threads"),
        ("io.threads", "many", "io.threads of k1 is many, documented is == 8 {thread}", "no data != 8 threads"),
        ("heap", "32 GiBy", "heap of k1 is 32 GiBy, documented is >= 64 GiBy", "32 < 64 GiBy"),
        ("wal", "minimal", "wal of k1 is minimal, documented is replica or logical", "– != replica or logical"),
        (
            "wal",
            "[red]x\x1b[31m",
            "wal of k1 is [red]x\ufffd[31m, documented is replica or logical",
            "– != replica or logical",
        ),
    ],
)
def test_a_difference_is_told_in_words_and_numbers(
    tmp_path: Path, setting: str, value: object, summary: str, shown: str
) -> None:
    configure(tmp_path, **{"io.threads": 8, "heap": "64 GiBy", "wal": "replica", setting: value})
    one = plane(tmp_path)
    tick(one, START + STEP)
    assert {alert.state.value for alert in alerts(one).values()} == {"pending"}
    tick(one, START + 2 * STEP)
    found = alerts(one)
    assert list(found) == [setting]
    alert = found[setting]
    assert (alert.state.value, alert.source, alert.summary) == ("firing", "inventory", summary)
    assert against(alert.value, alert.threshold, alert.unit) == shown
    assert measured(alert.value, alert.unit, alert.threshold)
    assert condition(alert.threshold, alert.unit)
    one.log.close()


def test_an_alert_follows_the_inventory(tmp_path: Path) -> None:
    configure(tmp_path, **{"io.threads": 4})
    one = plane(tmp_path)
    for n in (1, 2):
        tick(one, START + n * STEP)
    (before,) = alerts(one).values()
    configure(tmp_path, **{"io.threads": 5})
    tick(one, START + 3 * STEP)
    (still,) = alerts(one).values()
    assert (still.id, still.state.value) == (before.id, "firing")
    (tmp_path / "inventory.yaml").write_text("resources: [")
    tick(one, START + 4 * STEP)
    assert list(alerts(one)) == ["io.threads"]
    configure(tmp_path, **{"io.threads": 8})
    tick(one, START + 5 * STEP)
    assert alerts(one) == {}
    (resolved,) = [e.payload for e in one.log.read() if isinstance(e.payload, AlertResolved)]
    assert resolved.reason == "condition"
    one.log.close()
