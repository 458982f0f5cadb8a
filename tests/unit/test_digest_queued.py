"""The digest in the tick: queued once a local day, also after a restart, and to whom."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import bootstrap
from controlplane.eventlog.projections import OUTBOX
from controlplane.model.notifications import Subject
from controlplane.model.payloads import DigestQueued
from controlplane.settings import Settings
from controlplane.tick import tick
from controlplane.tick.digesting import queue_digest
from controlplane.tick.plane import ControlPlane
from tests.drafts import draft
from tests.drafts import tick as ticked

SEVEN = datetime(2026, 3, 12, 7, tzinfo=UTC)
"""08:00 in Berlin."""
CHANNELS = {"slack": "slackops://hooks/T0/B0/x0", "mail": "mailtos://ops:secret@example.com"}


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    planes: list[ControlPlane] = []
    for name, url in CHANNELS.items():
        monkeypatch.setenv(f"TEST_{name.upper()}", url)

    def made(**notify: Any) -> ControlPlane:
        channels = [{"name": name, "url": {"env": f"TEST_{name.upper()}"}} for name in notify.pop("channels", CHANNELS)]
        digest = {"at": "08:00", "location": "Europe/Berlin"}
        settings = Settings.model_validate(
            {"home": tmp_path, "notify": {"channels": channels, "digest": digest} | notify}
        )
        planes.append(bootstrap.control_plane(settings))
        return planes[-1]

    yield made
    for plane in planes:
        plane.log.close()


def noted(plane: ControlPlane) -> list[tuple[str, tuple[str, ...], bool]]:
    events = plane.log.read(stream="digest")
    return [(e.payload.day, e.payload.channels, bool(e.payload.reason)) for e in events]


def test_once_a_day_also_after_a_restart(opened: Any) -> None:
    plane = opened()
    for at in (SEVEN - timedelta(hours=1), SEVEN - timedelta(seconds=15), SEVEN, SEVEN + timedelta(seconds=15)):
        tick(plane, at)
    tick(opened(), SEVEN + timedelta(hours=3))
    assert noted(plane) == [("2026-03-12", ("mail",), False)]
    (row,) = plane.log.rows(OUTBOX).values()
    assert (row.channel, row.message.subject, row.queued_at) == ("mail", Subject.DIGEST, SEVEN)
    assert row.message.digest is not None
    assert row.message.digest.end - row.message.digest.start == timedelta(days=1)
    tick(plane, SEVEN + timedelta(days=1))
    assert [day for day, _, _ in noted(plane)] == ["2026-03-12", "2026-03-13"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (timedelta(hours=12), [("2026-03-12", ("mail",), False)]),
        (timedelta(hours=12, minutes=1), [("2026-03-12", (), True)]),
        (timedelta(days=2), [("2026-03-12", (), True), ("2026-03-13", (), True), ("2026-03-14", ("mail",), False)]),
    ],
)
def test_a_machine_that_was_off(opened: Any, after: timedelta, expected: list[Any]) -> None:
    plane = opened()
    plane.log.append([draft(ticked(), occurred_at=SEVEN - timedelta(days=3))], recorded_at=SEVEN - timedelta(days=3))
    plane.log.append(
        [draft(DigestQueued(day="2026-03-11", start=SEVEN, end=SEVEN), stream="digest")], recorded_at=SEVEN
    )
    queue_digest(plane, SEVEN + after)
    assert noted(plane)[1:] == expected


def test_switched_on_again_after_its_days_were_archived(opened: Any, tmp_path: Path) -> None:
    plane = opened()
    tick(plane, SEVEN - timedelta(hours=1))
    tick(plane, SEVEN)
    plane.log.archive(SEVEN + timedelta(seconds=1), tmp_path / "archive")
    assert noted(plane) == []
    for day in (40, 41):
        queue_digest(plane, SEVEN + timedelta(days=day))
    assert noted(plane) == [("2026-04-21", ("mail",), False), ("2026-04-22", ("mail",), False)]
    assert plane.log.versions(["digest"]) == {"digest": 3}


@pytest.mark.parametrize(
    ("notify", "to"),
    [
        ({}, ("mail",)),
        ({"channels": ["slack"]}, ()),
        (
            {"route": {"channels": ["slack"], "routes": [{"match": ['kind="digest"'], "channels": ["slack"]}]}},
            ("slack",),
        ),
        (
            {"route": {"channels": ["slack"], "routes": [{"match": ['severity="info"'], "channels": ["slack"]}]}},
            ("mail",),
        ),
        (
            {"route": {"routes": [{"match": ['kind=~"digest|recommendation"'], "channels": ["mail", "slack"]}]}},
            ("slack", "mail"),
        ),
        ({"route": {"routes": [{"match": ['kind="digest"', 'platform="none"'], "channels": ["mail"]}]}}, ()),
        ({"route": {"routes": [{"match": ['kind="digest"'], "channels": []}]}}, ()),
    ],
)
def test_who_gets_it(opened: Any, notify: dict[str, Any], to: tuple[str, ...]) -> None:
    plane = opened(**notify)
    plane.log.append([draft(ticked(), occurred_at=SEVEN - timedelta(days=1))], recorded_at=SEVEN - timedelta(days=1))
    (one,) = queue_digest(plane, SEVEN)
    assert (one.channels, bool(one.reason)) == (to, not to)


def test_a_defect_costs_neither_the_tick_nor_its_pages(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("controlplane.tick.digesting.make", broken)
    plane = opened()
    tick(plane, SEVEN - timedelta(hours=1))
    tick(plane, SEVEN)
    ((day, channels, left_out),) = noted(plane)
    assert (day, channels, left_out) == ("2026-03-12", (), True)


def test_nothing_without_the_setting(opened: Any) -> None:
    plane = opened(digest=None)
    tick(plane, SEVEN - timedelta(hours=1))
    tick(plane, SEVEN)
    assert noted(plane) == []
