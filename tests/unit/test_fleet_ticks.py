"""A fleet through whole ticks: a source that is away takes nothing away, and a restart forgets no cooldown."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from controlplane import bootstrap
from controlplane.eventlog.projections import RECOMMENDATIONS
from controlplane.model.events import Event
from controlplane.model.payloads import AdviceFailed, AlertFired, RecommendationProposed
from controlplane.model.recommendations import Status
from controlplane.operator import Operator
from controlplane.settings import InventoryFile, RecordedSource, Settings
from controlplane.tick import ControlPlane, tick

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP, MINUTE = timedelta(seconds=15), timedelta(minutes=1)
MEMBERS = 12
RULES = """
platform: shop
component: web
signals:
  - {name: cpu, unit: "1"}
  - {name: memory, unit: "1"}
rules:
  - id: web-idle
    kind: alert
    title: More instances than are needed
    signal: cpu
    by: [group]
    fold: avg
    when: "< 0.4"
    for: 1m
    missing: {keep: 1h}
    severity: info
    summary: "{group} is {value:.0%} busy"
    basis: house
    rationale: a test
  - id: web-size
    kind: scaling
    title: Instances for the load
    on: [web-idle]
    method: fleet
    parameters:
      metrics:
        - {form: step, signal: cpu, below: 0.4, for: 1m, percent: 10, cooldown: 15m}
        - {form: step, signal: memory, above: 0.85, percent: 10}
    basis: house
    rationale: a test
"""
INVENTORY = """
resources:
  - {id: "web-{n:02}", count: 12, zones: [a, b, c], kind: instance, role: web}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """Two sources: one has the CPU, the other the memory of every instance, both quiet for an hour."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    for signal in ("cpu", "memory"):
        write(tmp_path / f"{signal}.parquet", signal, lambda _: 0.3)
    sources = [
        RecordedSource(name=name, type="recorded", path=tmp_path / f"{name}.parquet", lookback=timedelta(minutes=5))
        for name in ("cpu", "memory")
    ]
    hosts = InventoryFile(name="hosts", type="inventory", platform="shop", path=tmp_path / "inventory.yaml")
    return Settings(home=tmp_path, rules=(tmp_path / "rules.yaml",), sources=(*sources, hosts))


def write(path: Path, signal: str, value: Callable[[int], float], hosts: int = MEMBERS) -> None:
    rows = [
        {
            "ts": START + n * STEP,
            "signal": signal,
            "labels": f'{{"group":"web","host":"web-{host:02}"}}',
            "value": value(n),
        }
        for n in range(241)
        for host in range(1, hosts + 1)
    ]
    pl.DataFrame(rows).write_parquet(path)


def proposed(plane: ControlPlane) -> list[tuple[float, str, str]]:
    """Minute, kind and new size of every recommendation that was made."""
    return [
        ((event.occurred_at - START) / MINUTE, one.proposal.kind, one.proposal.to)
        for event in plane.log.read()
        if isinstance(event.payload, RecommendationProposed)
        for one in [event.payload.recommendation]
    ]


def reasons(plane: ControlPlane) -> list[str]:
    return [event.payload.error for event in plane.log.read() if isinstance(event.payload, AdviceFailed)]


def failures(plane: ControlPlane) -> list[tuple[Event, str]]:
    return [(event, event.payload.error) for event in plane.log.read() if isinstance(event.payload, AdviceFailed)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_cooldown_survives_a_restart(shop: Settings, restarts: bool) -> None:
    plane = bootstrap.control_plane(shop)
    tick(plane, START + 5 * MINUTE)
    (known,) = plane.log.rows(RECOMMENDATIONS).values()
    assert (known.proposal.kind, known.proposal.to) == ("scale_in", "10 instances (a 4, b 3, c 3)")
    done = START + 6 * MINUTE
    Operator(plane.log).executed(known.id, actor="ada", reason="quiet", now=done)
    for minute in range(7, 40, 2):
        if restarts:
            plane.log.close()
            plane = bootstrap.control_plane(shop)
        tick(plane, START + minute * MINUTE)
    # Ten minutes after it was done it hasn't helped; asked again every five minutes, the first time after the 15.
    (first, again) = proposed(plane)
    assert first[1:] == ("scale_in", "10 instances (a 4, b 3, c 3)")
    assert again[0] == pytest.approx(25)
    assert any("cooldown 15m since 00:06:00 UTC" in reason for reason in reasons(plane))
    states = {one.status for one in plane.log.rows(RECOMMENDATIONS).values()}
    assert states == {Status.INEFFECTIVE, Status.PROPOSED}


def test_a_source_that_is_away_takes_nothing_away(shop: Settings, tmp_path: Path) -> None:
    path = tmp_path / "memory.parquet"
    good = path.read_bytes()
    path.write_bytes(b"not parquet")
    plane = bootstrap.control_plane(shop)
    for minute in range(2, 21, 2):
        tick(plane, START + minute * MINUTE)
    assert proposed(plane) == []
    assert reasons(plane)[0].startswith("nothing is taken away from web (12 → 10): memory has no data")
    path.write_bytes(good)
    for minute in range(22, 32, 2):
        tick(plane, START + minute * MINUTE)
    assert [kind for _, kind, _ in proposed(plane)] == ["scale_in"]


def test_a_source_that_goes_away_later_takes_nothing_away(shop: Settings, tmp_path: Path) -> None:
    write(tmp_path / "cpu.parquet", "cpu", lambda n: 0.3 if n > 60 else 0.5)
    plane = bootstrap.control_plane(shop)
    tick(plane, START + 5 * MINUTE)
    (tmp_path / "memory.parquet").write_bytes(b"not parquet")
    plane = bootstrap.control_plane(shop)
    for minute in range(6, 30, 2):
        tick(plane, START + minute * MINUTE)
    assert proposed(plane) == []
    assert any("memory has no data" in reason for reason in reasons(plane))


def test_what_was_proposed_is_withdrawn_when_it_may_no_longer_be_done(shop: Settings, tmp_path: Path) -> None:
    tick(bootstrap.control_plane(shop), START + 5 * MINUTE)
    path = tmp_path / "memory.parquet"
    good = path.read_bytes()
    path.write_bytes(b"not parquet")
    plane = bootstrap.control_plane(shop)
    for minute in range(6, 16, 2):
        tick(plane, START + minute * MINUTE)
    (gone,) = plane.log.rows(RECOMMENDATIONS).values()
    assert gone.status is Status.WITHDRAWN
    assert gone.reason is not None
    assert gone.reason.startswith("nothing is taken away from web (12 → 10): memory has no data")
    path.write_bytes(good)
    for minute in range(16, 27, 2):
        tick(plane, START + minute * MINUTE)
    assert [kind for _, kind, _ in proposed(plane)] == ["scale_in", "scale_in"]


@pytest.mark.parametrize("hosts", [MEMBERS // 2, MEMBERS])
def test_what_a_source_answers_late_changes_nothing_that_was_said_then(
    shop: Settings, tmp_path: Path, hosts: int
) -> None:
    # The alert fires at a full five minutes: a step at which those without advice are asked again.
    write(tmp_path / "cpu.parquet", "cpu", lambda n: 0.3 if n >= 36 else 0.5)
    path = tmp_path / "memory.parquet"
    tick(bootstrap.control_plane(shop), START + MINUTE)
    path.write_bytes(b"not parquet")
    plane = bootstrap.control_plane(shop)
    for minute in range(2, 14):
        tick(plane, START + minute * MINUTE)
    said = [(event.occurred_at - START, reason) for event, reason in failures(plane)]
    assert [at for at, _ in said] == [10 * MINUTE]
    write(path, "memory", lambda _: 0.3, hosts)
    for minute in range(14, 26):
        tick(plane, START + minute * MINUTE)
    after = [(event.occurred_at - START, reason) for event, reason in failures(plane)]
    assert after[:1] == said
    assert all(at > 13 * MINUTE for at, _ in after[1:])
    if hosts == MEMBERS:
        assert [at for at, _, _ in proposed(plane)] == [15]
    else:
        assert len(after) == 2


def test_nobody_is_asked_at_a_step_before_the_alert_began(shop: Settings, tmp_path: Path) -> None:
    """Late data has the steps before it walked again, with what fires by now."""
    write(tmp_path / "cpu.parquet", "cpu", lambda n: 0.3 if n >= 44 else 0.5)
    path = tmp_path / "memory.parquet"
    path.write_bytes(b"not parquet")
    plane = bootstrap.control_plane(shop)
    for minute in range(2, 14):
        tick(plane, START + minute * MINUTE)
    write(path, "memory", lambda _: 0.3, MEMBERS // 2)
    for minute in range(14, 20):
        tick(plane, START + minute * MINUTE)
    fired = [event.occurred_at for event in plane.log.read() if isinstance(event.payload, AlertFired)]
    assert fired == [START + 12 * MINUTE]
    assert failures(plane)
    assert all(event.occurred_at >= fired[0] for event, _ in failures(plane))
