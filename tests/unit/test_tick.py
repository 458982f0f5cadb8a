"""The tick as a whole on recorded samples: what must not depend on cadence, order or luck."""

import dataclasses
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import ALERTS, PROJECTIONS, SOURCES
from controlplane.frames import Samples
from controlplane.model.methods import ConsumerLag
from controlplane.model.payloads import AdviceFailed, AlertFired, NotificationQueued, SamplesIngested
from controlplane.model.time import Window, to_ms
from controlplane.rules.files import OWN
from controlplane.settings import RecordedSource, Retention, Settings
from controlplane.telemetry.collector import Batch, Collector, SignalFailure, SignalKey, SourceError
from controlplane.tick import ControlPlane, tick
from controlplane.tick.collect import collect
from controlplane.tick.methods import METHODS
from tests.telemetry_frames import samples

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


# sources that are away, and watermarks


def beside(plane: ControlPlane, source: Collector) -> ControlPlane:
    """The same control plane with one more source."""
    return dataclasses.replace(plane, collectors=(*plane.collectors, source))


class Answering(Flaky):
    """A source that answers so often, then fails; what it answers is a series of one signal."""

    def __init__(self, name: str, times: int) -> None:
        super().__init__(name)
        self.max_catch_up = timedelta(hours=1)
        self.times = times

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        self.times -= 1
        if self.times < 0:
            return super().collect(windows)
        ((key, window),) = windows.items()
        series = (self.name, key.platform, key.signal, "{}")
        return Batch(self.name, samples({series: dict.fromkeys(window.steps(), 1.0)}))


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_source_that_is_away_does_not_make_a_tick_read_what_it_has_seen_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    groups = {name: [1.0] * 40 for name in "abcd"}
    plane = beside(bootstrap.control_plane(shop(tmp_path, groups)), Answering("flaky", answers))
    read, rows = plane.store.read, [0]

    def counted(*window: int, **chosen: Collection[str] | None) -> Samples:
        found = read(*window, **chosen)
        rows[0] += len(found.samples)
        return found

    monkeypatch.setattr(plane.store, "read", counted)
    per_tick = []
    for steps in range(3, 36, 4):
        rows[0] = 0
        tick(plane, at(steps))
        per_tick.append(rows[0])
    assert per_tick[3:] == [4 * len(groups)] * len(per_tick[3:])
    ingested = [e.payload for e in plane.log.read() if isinstance(e.payload, SamplesIngested)]
    assert [batch.rows for batch in ingested if batch.source == "recorded"][1:] == [4 * len(groups)] * 8
    assert len([batch for batch in ingested if batch.source == "flaky"]) == answers


class Away(Answering):
    """A source of two signals, one of which fails until it is mended."""

    def signals(self) -> tuple[SignalKey, ...]:
        return SignalKey("shop", "kafka.consumer.lag"), SignalKey("shop", "other.signal")

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        self.times -= 1
        key = SignalKey("shop", "other.signal")
        failed = () if self.times < 0 else (SignalFailure(key, "too slow"),)
        found = {
            (self.name, one.platform, one.signal, "{}"): dict.fromkeys(window.steps(), 1.0)
            for one, window in windows.items()
            if one not in {failure.key for failure in failed}
        }
        return Batch(self.name, samples(found), failed)


def test_a_signal_that_comes_back_is_decided_from_its_own_watermark_and_no_sample_twice(tmp_path: Path) -> None:
    plane = beside(bootstrap.control_plane(shop(tmp_path, {"a": [1.0] * 20})), Away("partly", 3))
    for steps in range(3, 8):
        tick(plane, at(steps))
    ingested = [e.payload for e in plane.log.read() if isinstance(e.payload, SamplesIngested)]
    partly = [(batch.rows, list(batch.behind)) for batch in ingested if batch.source == "partly"]
    late = ["shop/other.signal"]
    # The fourth tick brings one step of the first signal, and all 23 of the one that comes back.
    assert partly == [(20, late), (1, late), (1, late), (24, []), (2, [])]


class Empty(Flaky):
    """A source that answers nothing, not even that there is nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lookback = self.max_catch_up = timedelta(hours=1)
        self.asked = 0

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        self.asked += 1
        assert self.asked < 20
        return Batch(self.name, Samples.empty())


def test_a_source_that_gets_nowhere_does_not_keep_a_tick_going(tmp_path: Path) -> None:
    source, own = Empty("empty"), Answering(OWN, 9)
    own.history = False
    plane = beside(beside(bootstrap.control_plane(shop(tmp_path, {"a": [101.0] * 10})), source), own)
    tick(plane, at(5))
    assert source.asked == 2
    assert plane.log.rows(SOURCES)[OWN].through_ms == to_ms(at(5))
    assert [alert.state for alert in plane.log.rows(ALERTS).values()] == ["firing"]
    tick(plane, at(6))
    assert source.asked == 4


HOURS = 240
"""Steps of an hour."""


@pytest.mark.parametrize("hours", [1, 2])
def test_what_is_not_kept_at_full_resolution_is_not_asked_for(tmp_path: Path, hours: int) -> None:
    now = 3 * HOURS
    settings = shop(tmp_path, {"a": [101.0] * now})
    plane = bootstrap.control_plane(settings)
    tick(plane, at(now - 1))
    plane.store.maintain(at(now), Retention(full=timedelta(hours=hours)))
    plane.log.close()
    (recorded,) = settings.sources
    new = recorded.model_copy(update={"name": "new", "lookback": timedelta(minutes=150)})
    plane = bootstrap.control_plane(settings.model_copy(update={"sources": (recorded, new)}))
    report = tick(plane, at(now))
    ingested = [
        e.payload for e in plane.log.read() if isinstance(e.payload, SamplesIngested) and e.payload.source == "new"
    ]
    assert ingested[0].start_ms == to_ms(at(now - hours * HOURS - 1))
    assert ingested[-1].end_ms == to_ms(at(now))
    assert sum(batch.rows for batch in ingested) == hours * HOURS + 1
    assert len([got for got in report.collected if got.source == "new"]) == len(ingested)


def test_a_coarser_grid_goes_on_where_the_finer_one_stopped(tmp_path: Path) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 20})
    plane = bootstrap.control_plane(settings)
    tick(plane, at(5))
    plane.log.close()
    coarse = bootstrap.control_plane(settings.model_copy(update={"step": 2 * STEP}))
    for steps in (7, 8, 10):
        tick(coarse, at(steps))
    assert not list(coarse.log.read(types={"source_failed.v1"}))
    assert [alert.state for alert in coarse.log.rows(ALERTS).values()] == ["firing"]
    assert not list(coarse.log.read(types={"alert_resolved.v1"}))
    windows = [e.payload for e in coarse.log.read() if isinstance(e.payload, SamplesIngested)]
    assert [(batch.rows, batch.end_ms) for batch in windows[1:]] == [
        (1, to_ms(at(6))),
        (1, to_ms(at(8))),
        (1, to_ms(at(10))),
    ]


def test_what_was_stored_beside_a_coarser_grid_is_decided_on_it(tmp_path: Path) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 20})
    plane = bootstrap.control_plane(settings)
    tick(plane, at(5))
    collect(plane, at(9))
    plane.log.close()
    (tmp_path / "recorded.parquet").write_bytes(b"not parquet")
    coarse = bootstrap.control_plane(settings.model_copy(update={"step": 2 * STEP}))
    tick(coarse, at(10))
    last = [e.payload for e in coarse.log.read() if isinstance(e.payload, SamplesIngested)][-1]
    assert (last.rows, last.start_ms, last.end_ms) == (2, to_ms(at(4)), to_ms(at(8)))
    assert [alert.state for alert in coarse.log.rows(ALERTS).values()] == ["firing"]
    assert not list(coarse.log.read(types={"alert_resolved.v1"}))


def test_a_finer_grid_goes_on_where_the_coarser_one_stopped(tmp_path: Path) -> None:
    settings = shop(tmp_path, {"a": [101.0] * 20})
    plane = bootstrap.control_plane(settings.model_copy(update={"step": 2 * STEP}))
    tick(plane, at(6))
    plane.log.close()
    fine = bootstrap.control_plane(settings)
    tick(fine, at(9))
    last = [e.payload for e in fine.log.read() if isinstance(e.payload, SamplesIngested)][-1]
    assert (last.rows, last.start_ms, last.end_ms) == (3, to_ms(at(6)), to_ms(at(9)))
    assert [alert.state for alert in fine.log.rows(ALERTS).values()] == ["firing"]


@pytest.mark.parametrize(("reach", "kept", "fits"), [(6, 6, True), (6, 5, False), (49, 48, False)])
def test_a_source_is_not_asked_for_more_than_is_kept(tmp_path: Path, reach: int, kept: int, fits: bool) -> None:
    source = {"name": "a", "type": "recorded", "path": tmp_path, "max_catch_up": f"{reach}h"}
    wanted = {"sources": [source], "retention": {"full": f"{kept}h"}}
    if fits:
        assert Settings.model_validate(wanted).sources
    else:
        with pytest.raises(ValidationError, match=r"max_catch_up of the source a .* retention\.full"):
            Settings.model_validate(wanted)


BURN = """
platform: shop
component: kafka
signals:
  - {name: other.signal, unit: "1"}
  - {name: a.burn, unit: "1", derive: {method: burn_rate, of: other.signal, objective: 0.99, windows: [30m, 5m]}}
rules:
  - {id: burn, kind: alert, title: Burns, signal: a.burn, when: "> 1", for: 1m, severity: critical,
     summary: "{value}", basis: house, rationale: a test}
"""


@pytest.mark.parametrize("back", [101, 130, 180])
def test_a_source_that_is_caught_up_moves_no_derived_alert(tmp_path: Path, back: int) -> None:
    """Another source is away from step 100 on; what the first one says never changes."""
    (tmp_path / "rules.yaml").write_text(BURN)
    sources = []
    for name in ("well", "late"):
        labels = f'{{"of":"{name}"}}'
        rows = [{"ts": at(n), "signal": "other.signal", "labels": labels, "value": 0.5} for n in range(1, 191)]
        pl.DataFrame(rows).write_parquet(tmp_path / f"{name}.parquet")
        path = tmp_path / f"{name}.parquet"
        sources.append(RecordedSource(name=name, type="recorded", path=path, lookback=timedelta(minutes=25)))
    plane = bootstrap.control_plane(Settings(home=tmp_path, rules=(tmp_path / "rules.yaml",), sources=tuple(sources)))
    away = dataclasses.replace(plane, collectors=(plane.collectors[0], Flaky("late")))
    for steps in range(80, 190, 5):
        tick(away if 100 <= steps < back else plane, at(steps))
    told = [event.type for event in plane.log.read() if event.type.startswith("alert_")]
    assert sorted(told) == ["alert_fired.v1"] * 2 + ["alert_pending.v1"] * 2
    assert sorted(alert.source for alert in plane.log.rows(ALERTS).values()) == ["late", "well"]
