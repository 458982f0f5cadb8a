"""The palette of Ctrl-P: whatever it offers is done, whether a key of the screen or of the program does it."""

from typing import Any

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from controlplane.eventlog.log import EventLog
from tests.tui import sample
from tests.tui.driving import alerts, ready, terminal, until
from tests.tui.past import ends, short_past
from tui.app import ControlplaneApp
from tui.data.seek import Seek
from tui.screens.confirm import ConfirmDialog
from tui.screens.detail import DetailScreen
from tui.screens.help import HelpScreen
from tui.screens.seek import SeekDialog
from tui.trust import Mode


async def choose(pilot: Pilot[None], said: str) -> None:
    """Open the palette, type what an entry says, and take the first that is found."""
    await pilot.press("ctrl+p")
    await until(lambda: isinstance(pilot.app.screen, CommandPalette), "the palette")
    pilot.app.screen.query_one(Input).value = said
    found = pilot.app.screen.query_one(CommandList)
    await until(lambda: found.option_count and str(found.get_option_at_index(0).prompt).split("\n")[0] == said, said)
    await pilot.press("enter")
    await until(lambda: not isinstance(pilot.app.screen, CommandPalette), "the palette to close")
    await pilot.pause()


@pytest.mark.parametrize(
    ("said", "done"),
    [
        ("Recommendations", lambda app: app.current_mode == "recommendations"),
        ("Timeline", lambda app: app.current_mode == "timeline"),
        ("Help", lambda app: isinstance(app.screen, HelpScreen)),
        ("Time", lambda app: isinstance(app.screen, SeekDialog)),
        ("Play", lambda app: app.trusted.mode is Mode.REPLAY),
        ("Quit", lambda app: not app.is_running),
        ("Ack", lambda app: isinstance(app.screen, ConfirmDialog)),
        ("Mark", lambda app: bool(alerts(app).marked)),
        ("Open", lambda app: isinstance(app.screen, DetailScreen)),
    ],
)
async def test_what_is_chosen_is_done(empty_log: EventLog, said: str, done: Any) -> None:
    sample.append(empty_log, short_past())
    app = terminal(empty_log)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        assert not done(app)
        await choose(pilot, said)
        await until(lambda: done(app), said)


async def test_the_way_back_from_the_past_is_in_it(empty_log: EventLog) -> None:
    sample.append(empty_log, short_past())
    app = terminal(empty_log, start=Seek(position=ends(empty_log)[9]))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await until(lambda: app.travels.moment is not None, "the past")
        await choose(pilot, "Live")
        assert not app.travelling


@pytest.mark.parametrize("opened", [[], ["2"], ["3"], ["4"], ["5"], ["enter"], ["2", "enter"]])
async def test_there_is_an_action_for_every_entry(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    lost: list[str] = []
    ran: list[str] = []

    async def dispatched(_: ControlplaneApp, node: Any, name: str, __: Any) -> bool:
        ran.append(name)
        if not any(callable(getattr(node, f"{start}_{name}", None)) for start in ("action", "_action")):
            lost.append(name)
        return True

    app = terminal(log)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        for key in opened:
            await pilot.press(key)
            await pilot.pause()
        entries = [one for one in app.get_system_commands(app.screen) if not one.title.startswith("Theme: ")]
        monkeypatch.setattr(ControlplaneApp, "_dispatch_action", dispatched)
        for entry in entries:
            await entry.callback()
        monkeypatch.undo()
    assert lost == []
    assert len(ran) == len(entries) > 15
