"""The control plane about itself: its samples, its alerts and who is told, and that nothing depends on the clock."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from controlplane import bootstrap
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, INCIDENTS, SOURCES
from controlplane.model.alerts import AlertState
from controlplane.model.errors import ControlplaneError
from controlplane.model.payloads import (
    AlertFired,
    AlertResolved,
    NotificationDeadLettered,
    NotificationQueued,
    SamplesIngested,
    SourceFailed,
)
from controlplane.model.resources import Inventory
from controlplane.model.time import Window, to_ms
from controlplane.monitor import source as own
from controlplane.monitor import vitals
from controlplane.monitor.source import SelfCollector
from controlplane.notify.labels import Places, labels_of
from controlplane.rules.files import OWN
from controlplane.settings import RecordedSource, Settings
from controlplane.telemetry.recorded import RecordedCollector
from controlplane.tick import ControlPlane, tick
from controlplane.tick.collect import MAX_STEPS, collect
from controlplane.tick.run import catch_up
from tests.drafts import START, delivery, draft, facts, ingested
from tests.drafts import tick as ticked

STEP = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
Found = dict[tuple[str, str], float]


def collected(home: Path, log: EventLog, now: datetime, *sources: str, signals: tuple[str, ...] = own.SIGNALS) -> Found:
    subject = SelfCollector(log, home, sources, STEP)
    end = to_ms(now)
    keys = [key for key in subject.signals() if key.signal in signals]
    batch = subject.collect({key: Window(end - 15_000, end, 15_000) for key in keys})
    assert batch.failures == ()
    assert batch.samples.coverage["signal"].to_list() == sorted(signals)
    joined = batch.samples.samples.join(batch.samples.series, on="sid")
    assert set(joined["ts"].to_list()) <= {end}
    assert joined.filter(pl.col("value").is_nan()).is_empty()
    return {
        (signal, ",".join(json.loads(labels).values())): value
        for signal, labels, value in joined.select("signal", "labels", "value").rows()
    }


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as opened:
        yield opened


def test_a_new_log_says_nothing(tmp_path: Path, log: EventLog) -> None:
    assert collected(tmp_path, log, START, "p") == {}
    assert SelfCollector(log, tmp_path, (), STEP).collect({}).samples.coverage.is_empty()


def test_only_what_is_asked_for(tmp_path: Path, log: EventLog) -> None:
    log.append([draft(ticked())], recorded_at=START)
    assert collected(tmp_path, log, START, signals=(own.TICK_GAP,)) == {(own.TICK_GAP, ""): 0}
    assert collected(tmp_path, log, START, signals=(own.CHAIN_OK,)) == {}


@pytest.mark.parametrize(
    ("age", "whole", "lost"), [(300, False, 0), (315, False, 1), (0, True, 1), (0, False, 0), (-15, False, 0)]
)
def test_sources(tmp_path: Path, log: EventLog, age: int, whole: bool, lost: float) -> None:
    drafts: list[Any] = [ingested("p", to_ms(START)), SourceFailed(source="p", signal="a/b", error="x")]
    drafts += [SourceFailed(source="p", signal="a/c", error="x"), ingested("other", to_ms(START))]
    drafts += [SourceFailed(source="p", signal=None, error="x")] if whole else []
    log.append([draft(one) for one in drafts], recorded_at=START)
    found = collected(tmp_path, log, START + timedelta(seconds=age), "p", "never asked")
    assert {key: value for key, value in found.items() if key[1]} == {
        (own.SOURCE_AGE, "p"): max(0, age),
        (own.SOURCE_FAILED, "p"): 2,
        (own.SOURCE_LOST, "p"): lost,
    }


def test_a_source_that_never_answered_is_as_old_as_its_failure(tmp_path: Path, log: EventLog) -> None:
    log.append([draft(SourceFailed(source="p", signal=None, error="x"))], recorded_at=START)
    found = collected(tmp_path, log, START + 7 * MINUTE, "p")
    assert found[own.SOURCE_AGE, "p"] == 420
    assert found[own.SOURCE_LOST, "p"] == 1


@pytest.mark.parametrize(("minutes", "letters"), [(0, 1), (59, 1), (60, None)])
def test_messages(tmp_path: Path, log: EventLog, minutes: int, letters: int | None) -> None:
    waits, gone = delivery("d1"), delivery("d2")
    log.append(
        [
            draft(NotificationQueued(delivery=waits)),
            draft(NotificationQueued(delivery=gone)),
            draft(NotificationDeadLettered(delivery="d2", channel=gone.channel, attempts=1, error="x")),
        ],
        recorded_at=START,
    )
    found = collected(tmp_path, log, START + minutes * MINUTE)
    assert found.get((own.OUTBOX_AGE, waits.channel)) == minutes * 60
    assert found.get((own.DEAD_LETTERS, gone.channel)) == letters


@pytest.mark.parametrize(("later", "age"), [(timedelta(hours=9), 0), (timedelta(0), 60), (-MINUTE, 120)])
def test_a_message_of_a_step_that_was_caught_up_is_as_old_as_its_record(
    tmp_path: Path, log: EventLog, later: timedelta, age: float
) -> None:
    log.append([draft(NotificationQueued(delivery=delivery("d1")))], recorded_at=START + later)
    assert collected(tmp_path, log, START + MINUTE)[own.OUTBOX_AGE, delivery("d1").channel] == age


def test_vitals(tmp_path: Path, log: EventLog) -> None:
    readings = {
        "p": vitals.ClockReading(at=START, seconds=-7),
        "old": vitals.ClockReading(at=START - 5 * MINUTE - STEP, seconds=9),
        "gone": vitals.ClockReading(at=START, seconds=9),
    }
    vitals.write(tmp_path, vitals.ClockVitals(sources=readings))
    vitals.write(tmp_path, vitals.ChainVitals(ok=False, at=START, position=3, problem="x"))
    assert collected(tmp_path, log, START, "p", "old") == {(own.CLOCK_SKEW, "p"): 7, (own.CHAIN_OK, ""): 0}


# in ticks


def settings(home: Path, **more: Any) -> Settings:
    source = {"name": "prom", "type": "prometheus", "url": "http://127.0.0.1:1", "retries": 0, "lookback": "1m"}
    return Settings.model_validate({"home": home, "sources": [source], "platforms": ["absmach"], **more})


def ticks(plane: ControlPlane, first: int, last: int) -> None:
    for n in range(first, last + 1):
        tick(plane, START + n * STEP)


def test_a_lost_source_is_told_like_any_other_alert(tmp_path: Path) -> None:
    plane = bootstrap.control_plane(settings(tmp_path))
    with plane.log as log:
        ticks(plane, 1, 21)
        assert {a.rule: a.state for a in log.rows(ALERTS).values()} == {
            "controlplane-sources-lost": AlertState.PENDING,
        }
        ticks(plane, 22, 26)
        fired = {alert.rule: alert for alert in log.rows(ALERTS).values() if alert.state is AlertState.FIRING}
        assert set(fired) == {"controlplane-sources-lost", "controlplane-source-stale"}
        lost, stale = fired["controlplane-sources-lost"], fired["controlplane-source-stale"]
        assert (lost.platform, lost.source, lost.labels, lost.severity) == (OWN, OWN, {}, "critical")
        assert stale.labels == {"source": "prom"}
        assert labels_of(lost, Places(Inventory()))["kind"] == "self-monitoring"
        assert {incident.rule for incident in log.rows(INCIDENTS).values()} == set(fired)
        assert not log.rows(SOURCES)[OWN].failed


def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    """The vitals are what they are when they are read; what is decided follows from the samples."""
    made = []
    for name in ("a", "b"):
        plane = bootstrap.control_plane(settings(tmp_path / name))
        with plane.log as log:
            ticks(plane, 1, 24)
            made.append([event.model_dump(exclude={"recorded_at", "hash", "previous_hash"}) for event in log.read()])
    assert made[0] == made[1]
    assert any(isinstance(event["payload"], dict) and event["type"] == "alert_fired.v1" for event in made[0])


def test_a_broken_chain_pages_at_the_second_look(tmp_path: Path) -> None:
    plane = bootstrap.control_plane(settings(tmp_path))
    vitals.write(tmp_path, vitals.ChainVitals(ok=False, at=START, position=1, problem="position 1"))
    with plane.log as log:
        ticks(plane, 1, 2)
        fired = [event.payload.facts for event in log.read() if isinstance(event.payload, AlertFired)]
    assert [(one.rule, one.severity, one.runbook) for one in fired] == [
        ("controlplane-chain-broken", "critical", "controlplane-chain-broken")
    ]


@pytest.mark.parametrize(
    ("more", "there"),
    [
        ({}, True),
        ({"platforms": [OWN]}, True),
        ({"self_monitoring": False}, False),
        ({"sources": [{"name": "r", "type": "recorded", "path": "r.csv"}]}, False),
        ({"sources": []}, False),
    ],
)
def test_where_it_watches_itself(tmp_path: Path, more: dict[str, Any], there: bool) -> None:
    configured = settings(tmp_path, **more)
    plane = bootstrap.control_plane(configured)
    plane.log.close()
    assert (OWN in [source.name for source in plane.collectors]) is there
    assert any(placed.platform == OWN for placed in plane.rules.rules) is there
    assert plane.rule_problems == ()


def test_its_name_is_taken(tmp_path: Path) -> None:
    with pytest.raises((ControlplaneError, ValueError), match="a source is called controlplane"):
        settings(tmp_path, sources=[{"name": OWN, "type": "recorded", "path": "r.csv"}])


def test_a_label_cannot_pretend_to_be_about_the_control_plane() -> None:
    alert = facts(labels={"kind": "self-monitoring", "platform": OWN})
    found = labels_of(alert, Places(Inventory()))
    assert (found["kind"], found["platform"]) == ("alert", "catalyst")


# steps in their order


RULES = """
platform: shop
component: web
signals: [{name: web.queue.length, unit: "{request}", description: Requests that wait.}]
rules:
  - id: shop-queue
    kind: alert
    title: Requests wait
    signal: web.queue.length
    when: "> 100"
    for: 30s
    missing: resolve
    severity: critical
    summary: "{value} wait"
    basis: house
    rationale: A hundred requests are more than a second of work.
"""


def shop(home: Path) -> ControlPlane:
    """A plane whose Prometheus is a recording with a queue that is long every half hour, and which watches itself."""
    home.mkdir()
    (home / "rules.yaml").write_text(RULES)
    rows = [f"{to_ms(START + n * STEP)},web.queue.length,{{}},{200 if n % 120 > 100 else 1}" for n in range(400)]
    (home / "prom.csv").write_text("ts,signal,labels,value\n" + "\n".join(rows) + "\n")
    plane = bootstrap.control_plane(settings(home, platforms=[], rules=[home / "rules.yaml"]))
    recorded = RecordedSource(
        name="prom", type="recorded", path=home / "prom.csv", platform="shop", lookback=timedelta(hours=2)
    )
    return replace(plane, collectors=[RecordedCollector(recorded, 15_000), plane.collectors[-1]])


def told(plane: ControlPlane) -> list[tuple[str, datetime]]:
    return [
        (event.type, event.occurred_at)
        for event in plane.log.read()
        if isinstance(event.payload, AlertFired | AlertResolved) and event.payload.facts.platform == "shop"
    ]


def ingestions(plane: ControlPlane) -> list[str]:
    return [event.payload.source for event in plane.log.read() if isinstance(event.payload, SamplesIngested)]


def test_after_a_longer_absence_it_is_asked_with_the_last_bite(tmp_path: Path) -> None:
    often, once = shop(tmp_path / "often"), shop(tmp_path / "once")
    with often.log, once.log:
        for n in range(0, 391, 30):
            tick(often, START + n * STEP)
        report = tick(once, START + 390 * STEP)
        assert len(report.decided) > 390 / MAX_STEPS
        assert ingestions(once) == [*["prom"] * len(report.decided), OWN]
        assert told(once) == told(often)
        assert len(told(once)) >= 6


def test_it_is_asked_once_where_others_are_asked_by_themselves(tmp_path: Path) -> None:
    plane = shop(tmp_path / "shop")
    with plane.log:
        now = START + STEP
        collected = collect(plane, now, {"prom"})
        assert [got.source for got in collected] == ["prom"]
        catch_up(plane, now, collected)
        assert ingestions(plane).count(OWN) == 1
        catch_up(plane, now, [])
        assert ingestions(plane).count(OWN) == 1
