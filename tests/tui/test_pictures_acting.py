"""Pictures of the dialogs that act: silence with its preview, maintenance, note, marks; also in little room."""

from collections.abc import Callable

import pytest

from controlplane.eventlog.log import EventLog
from tests.tui.driving import ready, still, terminal, until
from tui.screens.silence import SilenceDialog

SIZES = pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 30)], ids=["60x15", "80x24", "120x30"])


@pytest.fixture
def alike(snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Compare with the accepted picture once the keys were pressed and what fires was read."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")

    def compare(app, size: tuple[int, int], *keys: str) -> bool:
        async def prepare(pilot) -> None:
            await ready(pilot)
            await pilot.press(*keys)
            await pilot.pause()
            if isinstance(pilot.app.screen, SilenceDialog):
                await until(lambda: pilot.app.screen._firing is not None, "what fires")
            await still(pilot)
            await pilot.pause()

        return snap_compare(app, terminal_size=size, run_before=prepare)

    return compare


@SIZES
def test_silence(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "j", "s", *"deploy")


@SIZES
def test_maintenance(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "4", "M")


@SIZES
def test_note(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "j", "n", *"see the deploy")


@SIZES
def test_marks(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "space", "space", "k", "a")


def test_marked_rows(log: EventLog, alike) -> None:
    assert alike(terminal(log), (120, 30), "space", "space", "k")


def test_marked_rows_are_silenced_each(log: EventLog, alike) -> None:
    assert alike(terminal(log), (80, 24), "space", "space", "s")
