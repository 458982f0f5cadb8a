"""The tick as a whole on recorded samples: what must not depend on cadence, order or luck."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import ALERTS, PROJECTIONS, SOURCES
from controlplane.model.methods import ConsumerLag
from controlplane.model.payloads import AdviceFailed, AlertFired, NotificationQueued, SamplesIngested
from controlplane.model.time import Window
from controlplane.settings import RecordedSource, Settings
from controlplane.telemetry.collector import Batch, SignalKey, SourceError
from controlplane.tick import ControlPlane, tick
from controlplane.tick.methods import METHODS

DECISIONS = ("alert_", "recommendation_", "incident_", "notification_queued", "advice_failed")
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
RULES = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: other.signal, unit: "1"}
rules:
  - id: lag
    kind: alert
    title: Behind
    signal: kafka.consumer.lag
    by: [group]
    fold: sum
    when: "> 100"
    for: 30s
    severity: critical
    summary: "{group} is {value:,.0f} behind"
    basis: house
    rationale: a test
"""


def decisions(plane: ControlPlane) -> list[tuple[str, str]]:
    return [(str(event.id), event.type) for event in plane.log.read() if event.type.startswith(DECISIONS)]


def evening(home: Path, cadence: timedelta) -> ControlPlane:
    home.mkdir()
    plane = bootstrap.control_plane(demo.settings(home, ("catalyst", "prism")))
    # The first tick decides what the sources are asked for, and so what is stored from before.
    now = demo.START + demo.CADENCE
    tick(plane, now)
    while now < demo.END:
        now = min(demo.END, now + cadence)
        tick(plane, now)
    return plane


def test_decisions_do_not_depend_on_how_often_ticks_run(tmp_path: Path) -> None:
    often = evening(tmp_path / "often", demo.CADENCE)
    rarely = evening(tmp_path / "rarely", timedelta(minutes=35))
    assert [kind for _, kind in decisions(often)].count("recommendation_proposed.v1") >= 3
    assert decisions(often) == decisions(rarely)
    charts = [event.payload.delivery.message.chart for event in often.log.read(types={"notification_queued.v1"})]
    assert any(chart is not None and len(chart.at_ms) > 50 for chart in charts)
    assert often.log.readings() == rarely.log.readings()


def test_replaying_the_log_gives_the_same_projections(tmp_path: Path) -> None:
    plane = evening(tmp_path / "home", timedelta(minutes=20))
    before = {projection.name: plane.log.rows(projection) for projection in PROJECTIONS}
    plane.log.rebuild()
    assert {projection.name: plane.log.rows(projection) for projection in PROJECTIONS} == before


def shop(home: Path, rows: Mapping[str, list[float | None]], *, name: str = "recorded") -> Settings:
    """Settings with one rule and one recording: series by group, a value a step, None for no sample."""
    home.mkdir(exist_ok=True)
    (home / "rules.yaml").write_text(RULES)
    write(home / f"{name}.parquet", rows)
    source = RecordedSource(name=name, type="recorded", path=home / f"{name}.parquet", lookback=timedelta(minutes=5))
    return Settings(home=home, rules=(home / "rules.yaml",), sources=(source,))


def write(path: Path, rows: Mapping[str, list[float | None]]) -> None:
    frame = [
        {"ts": START + STEP * index, "signal": "kafka.consumer.lag", "labels": f'{{"group":"{group}"}}', "value": value}
        for group, values in rows.items()
        for index, value in enumerate(values, start=1)
        if value is not None
    ]
    pl.DataFrame(frame).write_parquet(path)


def at(steps: int) -> datetime:
    return START + STEP * steps


def test_the_same_tick_twice_appends_no_decision(tmp_path: Path) -> None:
    plane = bootstrap.control_plane(shop(tmp_path, {"a": [101.0] * 10}))
    tick(plane, at(5))
    before = decisions(plane)
    assert [kind for _, kind in before][:2] == ["alert_pending.v1", "alert_fired.v1"]
    tick(plane, at(5))
    assert decisions(plane) == before


class Flaky:
    """A source that fails while it is told to."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.history = True
        self.lookback = self.max_catch_up = timedelta(minutes=5)
        self.error = error

    def signals(self) -> tuple[SignalKey, ...]:
        return (SignalKey("shop", "other.signal"),)

    def check(self) -> list[str]:
        return []

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        assert windows
        raise self.error or SourceError(self.name, "away", "bring it back")


@pytest.mark.parametrize("error", [SourceError("flaky", "away", "bring it back"), ZeroDivisionError("a defect")])
def test_a_failing_source_stops_nobody_and_is_told_once(tmp_path: Path, error: Exception) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 20})
    plane = bootstrap.control_plane(settings)
    plane = ControlPlane(
        **{
            **{name: getattr(plane, name) for name in plane.__dataclass_fields__},
            "collectors": (*plane.collectors, Flaky("flaky", error)),
        }
    )
    for steps in range(1, 10):
        tick(plane, at(steps))
    assert [event.payload.facts.rule for event in plane.log.read() if isinstance(event.payload, AlertFired)] == ["lag"]
    failed = list(plane.log.read(types={"source_failed.v1"}))
    assert len(failed) == 1
    assert plane.log.rows(SOURCES)["flaky"].through_ms is None


def test_a_source_that_fails_keeps_its_alerts_and_is_caught_up(tmp_path: Path) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 5 + [1.0] * 15})
    plane = bootstrap.control_plane(settings)
    tick(plane, at(4))
    path = tmp_path / "recorded.parquet"
    good = path.read_bytes()
    path.write_bytes(b"not parquet")
    broken = bootstrap.control_plane(settings)
    for steps in (6, 8):
        tick(broken, at(steps))
    assert [alert.state for alert in broken.log.rows(ALERTS).values()] == ["firing"]
    path.write_bytes(good)
    mended = bootstrap.control_plane(settings)
    tick(mended, at(10))
    assert not mended.log.rows(ALERTS)
    kinds = [event.type for event in mended.log.read() if event.type.startswith("source_")]
    assert kinds == ["source_failed.v1", "source_recovered.v1"]
    resolved = next(mended.log.read(types={"alert_resolved.v1"}))
    assert resolved.occurred_at == at(6)
    windows = [e.payload for e in mended.log.read() if isinstance(e.payload, SamplesIngested)]
    assert [w.start_ms for w in windows[1:]] == [w.end_ms for w in windows[:-1]]


def test_a_telemetry_file_that_does_not_open_is_set_aside_and_the_tick_goes_on(tmp_path: Path) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 20})
    plane = bootstrap.control_plane(settings)
    tick(plane, at(4))
    plane.log.close()
    (tmp_path / "telemetry.duckdb").write_bytes(b"garbage" * 5_000)
    again = bootstrap.control_plane(settings)
    tick(again, at(8))
    assert [alert.state for alert in again.log.rows(ALERTS).values()] == ["firing"]
    aside = list(again.log.read(types={"telemetry_set_aside.v1"}))
    assert len(aside) == 1
    assert list(tmp_path.glob("telemetry.duckdb.broken-*"))


def test_a_defect_in_advice_never_costs_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setitem(METHODS, ConsumerLag, defect)
    home = tmp_path / "home"
    home.mkdir()
    plane = bootstrap.control_plane(demo.settings(home, ("catalyst",)))
    now = demo.START
    while now < demo.START + timedelta(minutes=85):
        now += timedelta(minutes=5)
        tick(plane, now)
    payloads = [event.payload for event in plane.log.read()]
    assert any(isinstance(payload, AdviceFailed) and "a defect" in payload.error for payload in payloads)
    assert any(isinstance(payload, NotificationQueued) for payload in payloads)


def test_a_rule_that_is_removed_ends_its_alerts(tmp_path: Path) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 20})
    plane = bootstrap.control_plane(settings)
    tick(plane, at(4))
    plane.log.close()
    (tmp_path / "rules.yaml").write_text(RULES.replace("id: lag", "id: renamed"))
    again = bootstrap.control_plane(settings)
    tick(again, at(8))
    assert [alert.rule for alert in again.log.rows(ALERTS).values()] == ["renamed"]
    assert [event.payload.reason for event in again.log.read(types={"alert_resolved.v1"})] == ["rule_removed"]
    assert len(list(again.log.read(types={"rule_set_activated.v1"}))) == 2
