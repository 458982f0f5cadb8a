"""Pictures of the first screen at four sizes and in its states; the accepted ones are in __snapshots__."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from controlplane.eventlog.log import EventLog
from tests.tui import sample
from tests.tui.driving import Clock, ready, terminal
from tests.tui.sample import NOW

SIZES = [(60, 15), (80, 24), (120, 30), (160, 50)]


@pytest.fixture
def alike(snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Compare with the accepted picture after the first snapshot was painted and the keys were pressed."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")

    def compare(app, size: tuple[int, int], *keys: str) -> bool:
        async def prepare(pilot) -> None:
            await ready(pilot)
            await pilot.press(*keys)
            await pilot.pause()

        return snap_compare(app, terminal_size=size, run_before=prepare)

    return compare


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_alerts(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "j")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_detail(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "j", "enter")


@pytest.mark.parametrize("size", [(60, 15), (80, 24)], ids=["60x15", "80x24"])
def test_confirm(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "a")


def test_help(log: EventLog, alike) -> None:
    assert alike(terminal(log), (100, 40), "question_mark")


def test_first_run(empty_log: EventLog, alike) -> None:
    assert alike(terminal(empty_log), (80, 24))


def test_nothing_fires(empty_log: EventLog, alike) -> None:
    sample.append(empty_log, [sample.ingested("prom-eu1", 10), sample.ticked(NOW - timedelta(seconds=2))])
    assert alike(terminal(empty_log), (80, 24))


def test_a_source_fails(log: EventLog, alike) -> None:
    since = NOW - timedelta(minutes=4)
    failed = sample.source_failed("prom-us1", "connection refused", "Start Prometheus or correct its url", since)
    sample.append(log, [failed])
    assert alike(terminal(log), (120, 30))


def test_stale(log: EventLog, alike) -> None:
    assert alike(terminal(log, clock=Clock(NOW + timedelta(minutes=2))), (80, 24))
