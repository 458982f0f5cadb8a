"""Advice over time: asked for again while an alert has none, told once why not, and aware of what was done before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from controlplane import bootstrap
from controlplane.eventlog.projections import RECOMMENDATIONS, UNADVISED
from controlplane.model.payloads import AdviceFailed, RecommendationProposed
from controlplane.model.recommendations import Recommendation, Status
from controlplane.operator import Operator
from controlplane.settings import InventoryFile, RecordedSource, Settings
from controlplane.tick import ControlPlane, tick

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
HISTORY = timedelta(minutes=30)
"""What the method needs before it says anything (its default)."""
RULES = """
platform: shop
component: disks
signals:
  - {name: system.filesystem.usage, unit: By}
  - {name: system.filesystem.limit, unit: By}
  - {name: system.filesystem.utilization, unit: "1"}
rules:
  - id: full
    kind: alert
    title: Filling up
    signal: system.filesystem.utilization
    by: [host, mountpoint]
    fold: max
    when: "> 0.85"
    severity: critical
    summary: "{host} is {value:.0%} full"
    basis: house
    rationale: a test
  - id: grow
    kind: scaling
    title: Grow
    on: [full]
    method: storage_growth
    parameters: {time_to_effect: 5m}
    basis: house
    rationale: a test
"""


@pytest.fixture
def plane(tmp_path: Path) -> ControlPlane:
    """A disk that is 90 % full from the first step on, for an hour and a half."""
    return bootstrap.control_plane(settings(tmp_path))


def settings(home: Path) -> Settings:
    (home / "rules.yaml").write_text(RULES)
    (home / "inventory.yaml").write_text("resources:\n  - {id: h1, kind: host}\n")
    limit = 1e12
    values = {"usage": lambda n: 0.9 * limit + n * 1e6, "limit": lambda _: limit, "utilization": lambda _: 0.9}
    rows = [
        {
            "ts": START + STEP * n,
            "signal": f"system.filesystem.{name}",
            "labels": '{"host":"h1","mountpoint":"/data"}',
            "value": value(n),
        }
        for name, value in values.items()
        for n in range(1, 360)
    ]
    pl.DataFrame(rows).write_parquet(home / "disk.parquet")
    source = RecordedSource(name="recorded", type="recorded", path=home / "disk.parquet", lookback=timedelta(minutes=5))
    stock = InventoryFile(name="stock", type="inventory", path=home / "inventory.yaml", platform="shop")
    return Settings(home=home, rules=(home / "rules.yaml",), sources=(source, stock))


def run(plane: ControlPlane, begin: timedelta, end: timedelta) -> None:
    at = begin
    while at < end:
        at += timedelta(minutes=5)
        tick(plane, START + at)


def failures(plane: ControlPlane) -> list[AdviceFailed]:
    return [event.payload for event in plane.log.read() if isinstance(event.payload, AdviceFailed)]


def proposed(plane: ControlPlane) -> list[datetime]:
    return [event.occurred_at for event in plane.log.read() if isinstance(event.payload, RecommendationProposed)]


def the_one(plane: ControlPlane) -> Recommendation:
    (found,) = [one for one in plane.log.rows(RECOMMENDATIONS).values() if one.open]
    return found


def test_an_alert_without_advice_gets_it_as_soon_as_the_inputs_are_there(plane: ControlPlane) -> None:
    run(plane, timedelta(0), HISTORY - timedelta(minutes=5))
    assert len(failures(plane)) == 1
    (row,) = plane.log.rows(UNADVISED).values()
    assert list(row.errors) == ["grow"]
    assert proposed(plane) == []

    run(plane, HISTORY - timedelta(minutes=5), HISTORY + timedelta(minutes=10))
    assert len(failures(plane)) == 1
    assert proposed(plane) == [START + HISTORY + timedelta(minutes=5)]
    assert plane.log.rows(UNADVISED) == {}


def test_when_advice_is_asked_for_does_not_depend_on_how_often_ticks_run(plane: ControlPlane, tmp_path: Path) -> None:
    run(plane, timedelta(0), timedelta(minutes=45))
    home = tmp_path / "rarely"
    home.mkdir()
    rarely = bootstrap.control_plane(settings(home))
    tick(rarely, START + timedelta(minutes=5))
    tick(rarely, START + timedelta(minutes=45))
    decisions = [
        [(event.id, event.occurred_at) for event in one.log.read() if event.type.startswith(("recommend", "advice"))]
        for one in (plane, rarely)
    ]
    assert decisions[0] == decisions[1]
    assert len(decisions[0]) == 2


def test_what_was_rejected_is_not_proposed_again_while_the_alert_fires(plane: ControlPlane) -> None:
    run(plane, timedelta(0), timedelta(minutes=40))
    now = START + timedelta(minutes=40)
    Operator(plane.log).reject(the_one(plane).id, actor="ada", reason="it is a log that can go", now=now)
    run(plane, timedelta(minutes=40), timedelta(minutes=80))
    assert [one.status for one in plane.log.rows(RECOMMENDATIONS).values()] == [Status.REJECTED]


def test_after_a_change_without_effect_the_next_advice_says_so(plane: ControlPlane) -> None:
    run(plane, timedelta(0), timedelta(minutes=40))
    first = the_one(plane)
    Operator(plane.log).executed(first.id, actor="ada", now=START + timedelta(minutes=40))
    run(plane, timedelta(minutes=40), timedelta(minutes=50))
    second = the_one(plane)
    assert plane.log.rows(RECOMMENDATIONS)[first.id].status is Status.INEFFECTIVE
    assert second.at == START + timedelta(minutes=45)
    assert f"Recommendation {first.id} ({first.proposal.title}) was executed at 00:40 UTC" in second.proposal.why
