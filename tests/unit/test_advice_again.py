"""Advice over time: asked for again while an alert has none, told once why not, and aware of what was done before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from controlplane import bootstrap
from controlplane.eventlog.errors import ConcurrencyError
from controlplane.eventlog.projections import RECOMMENDATIONS, UNADVISED
from controlplane.model.events import Draft, Event
from controlplane.model.payloads import AdviceFailed, RecommendationProposed, RecommendationRevised, SamplesIngested
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.time import to_ms
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
    missing: resolve
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


def settings(home: Path, missing: str = "resolve", gone: range = range(0)) -> Settings:
    """The same with a policy for missing data, without the samples of the steps `gone`."""
    (home / "rules.yaml").write_text(RULES.replace("missing: resolve", f"missing: {missing}"))
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
        if n not in gone
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


# what becomes of advice when the data of its alert is gone

GONE = 42 * 4
"""The first step without data, two minutes after the change was made."""
LOST = "there is no data of the alert any more"
UNKNOWN = f"whether it helped isn't known: {LOST}"


@pytest.mark.parametrize(
    ("missing", "back", "status", "reason"),
    [
        ("resolve", 360, Status.INEFFECTIVE, UNKNOWN),
        ("alert", 360, Status.INEFFECTIVE, UNKNOWN),
        ("{keep: 1h}", 360, Status.INEFFECTIVE, UNKNOWN),
        ("{keep: 1m}", 360, Status.INEFFECTIVE, UNKNOWN),
        ("alert", GONE + 4, Status.INEFFECTIVE, "5m after it was executed the alert still fires"),
        ("{keep: 1h}", GONE + 4, Status.INEFFECTIVE, "5m after it was executed the alert still fires"),
    ],
    ids=["resolved", "no data", "kept", "kept for less than it takes to help", "back as it was", "kept until back"],
)
def test_a_change_after_which_the_data_is_gone_is_not_verified(
    tmp_path: Path, missing: str, back: int, status: Status, reason: str
) -> None:
    plane = bootstrap.control_plane(settings(tmp_path, missing, range(GONE, back)))
    run(plane, timedelta(0), timedelta(minutes=40))
    done = the_one(plane).id
    Operator(plane.log).executed(done, actor="ada", now=START + timedelta(minutes=40))
    run(plane, timedelta(minutes=40), timedelta(minutes=50))
    found = plane.log.rows(RECOMMENDATIONS)[done]
    assert (found.status, found.reason) == (status, reason)


def test_data_that_comes_back_good_in_time_verifies_the_change(tmp_path: Path) -> None:
    made = settings(tmp_path, "alert", range(GONE, GONE + 4))
    path = tmp_path / "disk.parquet"
    kept = pl.read_parquet(path)
    healed = (pl.col("ts") >= START + STEP * GONE) & (pl.col("signal") == "system.filesystem.utilization")
    kept.with_columns(pl.when(healed).then(0.5).otherwise("value").alias("value")).write_parquet(path)
    plane = bootstrap.control_plane(made)
    run(plane, timedelta(0), timedelta(minutes=40))
    done = the_one(plane).id
    Operator(plane.log).executed(done, actor="ada", now=START + timedelta(minutes=40))
    run(plane, timedelta(minutes=40), timedelta(minutes=45))
    found = plane.log.rows(RECOMMENDATIONS)[done]
    assert (found.status, found.reason) == (Status.VERIFIED, "the alert ended within 3m")


@pytest.mark.parametrize("missing", ["resolve", "alert"])
def test_advice_is_withdrawn_with_the_data_and_says_so(tmp_path: Path, missing: str) -> None:
    plane = bootstrap.control_plane(settings(tmp_path, missing, range(GONE, 360)))
    run(plane, timedelta(0), timedelta(minutes=45))
    (found,) = plane.log.rows(RECOMMENDATIONS).values()
    assert (found.status, found.reason) == (Status.WITHDRAWN, LOST)


# what somebody decides while a tick is under way


@pytest.fixture
def renewing(tmp_path: Path) -> ControlPlane:
    """The same plane with advice that is renewed every ten minutes."""
    wanted = settings(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES.replace("growth\n", "growth\n    expires_after: 20m\n"))
    return bootstrap.control_plane(wanted)


RENEWED_AT = timedelta(minutes=45)


@pytest.mark.parametrize(
    ("action", "status"),
    [("approve", Status.APPROVED), ("reject", Status.REJECTED), ("executed", Status.EXECUTED)],
)
def test_what_is_decided_while_a_tick_runs_stands(
    renewing: ControlPlane, monkeypatch: pytest.MonkeyPatch, action: str, status: Status
) -> None:
    run(renewing, timedelta(0), RENEWED_AT - timedelta(minutes=5))
    first = the_one(renewing)
    log, decided = renewing.log, START + RENEWED_AT
    appended, done = log.append, []

    def append(drafts: Sequence[Draft], **more: Any) -> list[Event]:
        if not done and any(isinstance(draft.payload, RecommendationRevised) for draft in drafts):
            done.append(action)
            getattr(Operator(log), action)(first.id, actor="ada", reason="it is a log that can go", now=decided)
        return appended(drafts, **more)

    monkeypatch.setattr(log, "append", append)
    tick(renewing, decided)
    assert done == [action]
    (row,) = log.rows(RECOMMENDATIONS).values()
    assert (row.status, row.version, row.decided_by, row.decided_at) == (status, 1, "ada", decided)
    last = [event.payload for event in log.read() if isinstance(event.payload, SamplesIngested)][-1]
    assert last.end_ms == to_ms(decided)


def test_a_tick_that_never_gets_its_turn_appends_nothing(
    renewing: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(renewing, timedelta(0), RENEWED_AT - timedelta(minutes=5))
    first = the_one(renewing)
    log = renewing.log
    appended, notes = log.append, []

    def append(drafts: Sequence[Draft], **more: Any) -> list[Event]:
        if any(isinstance(draft.payload, RecommendationRevised) for draft in drafts):
            notes.append(f"note {len(notes)}")
            Operator(log).note(f"recommendation:{first.id}", actor="ada", text=notes[-1], now=first.at)
        return appended(drafts, **more)

    monkeypatch.setattr(log, "append", append)
    with pytest.raises(ConcurrencyError):
        tick(renewing, START + RENEWED_AT)
    assert len(notes) == 5
    assert the_one(renewing) == first
    monkeypatch.undo()
    tick(renewing, START + RENEWED_AT)
    assert the_one(renewing).version == 2
