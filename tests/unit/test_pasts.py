"""The past of alerts: what was measured before they began, what charts of messages show, and that both are bounded."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from controlplane import bootstrap
from controlplane.eventlog.projections import ALERTS
from controlplane.model.notifications import Chart
from controlplane.model.payloads import NotificationQueued
from controlplane.model.time import to_ms
from controlplane.settings import Notify, RecordedSource, Settings
from controlplane.telemetry.duckfile import StoreError
from controlplane.telemetry.store import SampleStore
from controlplane.tick import ControlPlane, tick
from controlplane.tick.pasts import BEGINNING, POINTS
from controlplane.tick.thinning import KEPT_MS

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
HOURS = 480
"""Steps of two hours."""
RULES = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: disk.utilization, unit: "1"}
  - {name: service.up, unit: "1"}
  - {name: lag.drain, unit: s, derive: {method: time_to_drain, of: kafka.consumer.lag, over: 5m}}
rules:
  - id: lag
    kind: alert
    title: Behind
    signal: kafka.consumer.lag
    by: [consumer_group]
    fold: sum
    when: "> 100"
    for: 30s
    severity: critical
    summary: "{consumer_group} is {value:,.0f} behind"
    basis: house
    rationale: a test
  - id: disk
    kind: alert
    title: Full
    signal: disk.utilization
    when: "> 85 %"
    severity: warning
    summary: "{host}"
    basis: house
    rationale: a test
  - id: drain
    kind: alert
    title: Slow
    signal: lag.drain
    when: "> 1h"
    severity: warning
    summary: "{consumer_group}"
    basis: house
    rationale: a test
  - id: few
    kind: alert
    title: Few are up
    signal: service.up
    by: [service]
    fold: sum
    when: "< 2"
    severity: warning
    summary: "{service}"
    basis: house
    rationale: a test
"""

Rows = Mapping[tuple[str, str], list[float | None]]
"""(signal, labels) → a value a step from the first one on; None = no sample."""


def at(steps: int) -> datetime:
    return START + STEP * steps


def plane(home: Path, rows: Rows, step: timedelta = STEP) -> ControlPlane:
    (home / "rules.yaml").write_text(RULES)
    frame = [
        {"ts": START + step * number, "signal": signal, "labels": labels, "value": value}
        for (signal, labels), values in rows.items()
        for number, value in enumerate(values, start=1)
        if value is not None
    ]
    pl.DataFrame(frame).write_parquet(home / "recorded.parquet")
    lookback = step * max(map(len, rows.values()))
    source = RecordedSource(
        name="recorded", type="recorded", path=home / "recorded.parquet", lookback=lookback, max_catch_up=lookback
    )
    notify = Notify.model_validate(
        {
            "channels": [{"name": "slack", "url": {"env": "NOBODY"}}],
            "route": {"channels": ["slack"], "group_wait": "0s"},
        }
    )
    settings = Settings(home=home, rules=(home / "rules.yaml",), sources=(source,), notify=notify, step=step)
    return bootstrap.control_plane(settings)


LAG = ("kafka.consumer.lag", '{"consumer_group":"a","topic":"t"}')
OTHER = ("kafka.consumer.lag", '{"consumer_group":"a","topic":"u"}')


def history(made: ControlPlane, rule: str) -> tuple[tuple[int, float | None], ...]:
    (alert,) = (alert for alert in made.log.rows(ALERTS).values() if alert.rule == rule)
    return made.log.readings()[alert.id].history


def charts(made: ControlPlane) -> dict[str, Chart | None]:
    """The chart of the first message of each rule."""
    found: dict[str, Chart | None] = {}
    for event in made.log.read(types={"notification_queued.v1"}):
        assert isinstance(event.payload, NotificationQueued)
        message = event.payload.delivery.message
        found.setdefault(message.rule, message.chart)
    return found


def in_steps(made: ControlPlane, *steps: int) -> ControlPlane:
    for number in steps:
        tick(made, at(number))
    return made


def test_an_alert_begins_with_what_its_rule_saw_before(tmp_path: Path) -> None:
    calm, high = [40.0] * HOURS, [80.0] * 40
    # Both topics count, and so does one that is gone by now.
    gone = ("kafka.consumer.lag", '{"consumer_group":"a","topic":"v"}')
    rows = {LAG: calm + high, OTHER: calm + high, gone: [5.0] * 400}
    made = in_steps(plane(tmp_path, rows), HOURS, HOURS + 40)
    found = dict(history(made, "lag"))
    begun = to_ms(at(HOURS + 1))
    assert min(found) == to_ms(at(8))  # two minutes after the start
    assert found[to_ms(at(8))] == 85.0
    assert found[begun - 120_000 + 105_000] == 80.0
    assert [found.get(begun + 15_000 * number) for number in range(40)] == [160.0] * 40
    chart = charts(made)["lag"]
    assert chart is not None
    assert (chart.threshold, chart.below, chart.unit) == (100.0, False, "{message}")
    assert 30 < len(chart.at_ms) <= POINTS
    assert chart.at_ms[-1] == begun + 30_000, "a message shows nothing later than its step"
    assert (chart.values[0], chart.values[-1]) == (85.0, 160.0)


@pytest.mark.parametrize(
    ("rule", "rows", "threshold", "below", "unit"),
    [
        ("disk", {("disk.utilization", '{"host":"h"}'): [0.5] * 40 + [0.9] * 4}, 0.85, False, "1"),
        (
            "few",
            {("service.up", f'{{"host":"{n}","service":"s"}}'): [1.0] * 40 + [0.5] * 4 for n in "ab"},
            2,
            True,
            "1",
        ),
        ("drain", {LAG: [2000.0 - 40 * n for n in range(40)] + [400.0 + n for n in range(30)]}, 3600.0, False, "s"),
    ],
)
def test_a_chart_has_the_threshold_in_the_unit_of_its_values(
    tmp_path: Path, rule: str, rows: Rows, threshold: float, below: bool, unit: str
) -> None:
    made = in_steps(plane(tmp_path, rows), 40, max(map(len, rows.values())))
    chart = charts(made)[rule]
    assert chart is not None
    assert (chart.threshold, chart.below, chart.unit) == (threshold, below, unit)
    (alert,) = (alert for alert in made.log.rows(ALERTS).values() if alert.rule == rule)
    earlier = [value for ms, value in history(made, rule) if ms < to_ms(alert.active_at)]
    assert earlier
    assert not any(value is None for value in earlier)


def test_what_is_missing_is_a_gap_and_not_a_line(tmp_path: Path) -> None:
    values = [50.0] * 240 + [None] * 120 + [50.0] * 40 + [200.0] * 8
    made = in_steps(plane(tmp_path, {LAG: values}), 400, 408)
    chart = charts(made)["lag"]
    assert chart is not None
    (gap,) = (ms for ms, value in zip(chart.at_ms, chart.values, strict=True) if value is None)
    assert to_ms(at(240)) < gap < to_ms(at(361))


def test_six_hours_are_kept(tmp_path: Path) -> None:
    minute = timedelta(minutes=1)
    values = [float(number % 90) for number in range(1, 420)] + [200.0] * 60
    made = plane(tmp_path, {LAG: values}, minute)
    for steps in (419, 425, 479):
        tick(made, START + minute * steps)
    found = history(made, "lag")
    now = to_ms(START + minute * 479)
    assert found[-1] == (now, 200.0)
    assert now - KEPT_MS - 300_000 < found[0][0] <= now - KEPT_MS + 300_000
    assert len(found) <= 170
    assert max(value for ms, value in found if value is not None and ms < now - KEPT_MS / 2) >= 85


def test_the_worst_are_served_first_however_many_begin_at_once(tmp_path: Path) -> None:
    many = BEGINNING + 20
    rows = {
        ("kafka.consumer.lag", f'{{"consumer_group":"g{number:03}"}}'): [1.0] * 40 + [200.0 + number] * 4
        for number in range(many)
    }
    made = in_steps(plane(tmp_path, rows), 40, 44)
    readings = made.log.readings()
    alerts = [alert for alert in made.log.rows(ALERTS).values() if alert.rule == "lag"]
    lengths = {alert.labels["consumer_group"]: len(readings[alert.id].history) for alert in alerts}
    assert {group for group, length in lengths.items() if length > 4} == {f"g{n:03}" for n in range(20, many)}
    assert min(lengths.values()) == 4


def failing(*_: object, **__: object) -> None:
    raise StoreError("the file is away")


def defect(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize("fails", [failing, defect])
def test_a_page_goes_out_without_its_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[..., None]
) -> None:
    made = plane(tmp_path, {LAG: [1.0] * 40 + [200.0] * 4})
    monkeypatch.setattr(SampleStore, "read_at", fails)
    in_steps(made, 40, 44)
    chart = charts(made)["lag"]
    assert chart is not None
    assert chart.at_ms[0] == to_ms(at(41))


def test_an_alert_without_a_reading_gets_its_past_again(tmp_path: Path) -> None:
    made = in_steps(plane(tmp_path, {LAG: [1.0] * 40 + [200.0] * 20}), 40, 50)
    made.log.append([], recorded_at=START, readings=[])
    in_steps(made, 51)
    found = dict(history(made, "lag"))
    assert (found[to_ms(at(8))], found[to_ms(at(48))]) == (1.0, 200.0)


@pytest.mark.parametrize("cut", [(60,), (41, 44, 46, 47, 60)])
def test_an_alert_that_ends_and_begins_again_looks_the_same_in_any_windows(
    tmp_path: Path, cut: tuple[int, ...]
) -> None:
    values = [1.0] * 40 + [200.0] * 4 + [1.0] * 2 + [300.0] * 14
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    one = in_steps(plane(whole, {LAG: values}), 40, 60)
    other = in_steps(plane(parts, {LAG: values}), 40, *cut)
    assert history(one, "lag") == history(other, "lag")
    messages = [[event.payload for event in made.log.read(types={"notification_queued.v1"})] for made in (one, other)]
    assert messages[0] == messages[1]
    assert dict(history(one, "lag"))[to_ms(at(40))] == 1.0
