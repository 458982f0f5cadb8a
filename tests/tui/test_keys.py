"""Keys in the settings: used where they can be, refused with a reason where they can't."""

import re
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from tests.tui.driving import alerts, ready, terminal
from tui.app import SCREENS, ControlplaneApp
from tui.keys import BadKeys, bound, checked
from tui.screens.advice import AdviceScreen
from tui.screens.confirm import ConfirmDialog
from tui.screens.detail import DetailScreen

BOUND = bound(SCREENS, ControlplaneApp)
PAGE = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text()
NAMES = {
    *(f"view.{number}" for number in range(1, 6)),
    *re.findall(r"`([a-z]+\.[a-z][a-z_]*)`", PAGE.partition("Names are `view.1`")[2]),
}
"""The names of bindings that the page on the terminal lists."""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"act.acknowlege": "x"}, "no binding act.acknowlege; did you mean act.acknowledge?"),
        ({"zzz": "x"}, "no binding zzz; there are act.acknowledge"),
        ({"act.acknowledge": ""}, "tui.keys.act.acknowledge: an empty key"),
        ({"act.acknowledge": "x,"}, "an empty key"),
        ({"act.acknowledge": "q"}, "q would be both"),
        ({"act.acknowledge": "/"}, "slash would be both"),
        ({"act.approve": "z", "act.reject": "z"}, "z would be both"),
        ({"find.order": "1"}, "1 would be both"),
    ],
)
def test_a_mistake_is_named(keys: dict[str, str], said: str) -> None:
    with pytest.raises(BadKeys) as raised:
        checked(keys, BOUND)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ({}, {}),
        ({"act.acknowledge": "x"}, {"act.acknowledge": "x"}),
        ({"find.filter": "f, ctrl+f"}, {"find.filter": "f,ctrl+f"}),
        ({"find.filter": ";"}, {"find.filter": "semicolon"}),
        ({"act.acknowledge": "u", "act.undo": "a"}, {"act.acknowledge": "u", "act.undo": "a"}),
    ],
)
def test_usable_keys(keys: dict[str, str], made: dict[str, str]) -> None:
    assert checked(keys, BOUND) == made


async def test_keys_of_the_settings_work_and_the_old_ones_do_not(log: EventLog) -> None:
    app = terminal(log, keys={"act.acknowledge": "x", "move.down": "z", "view.2": "ctrl+r"})
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        first = alerts(app).selected.alert.id
        await pilot.press("z")
        assert alerts(app).selected.alert.id != first
        await pilot.press("a")
        assert not isinstance(app.screen, ConfirmDialog)
        await pilot.press("x")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("escape", "ctrl+r")
        await pilot.pause()
        assert app.current_mode == "recommendations"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_that_is_listed_can_be_bound(empty_log: EventLog, name: str) -> None:
    terminal(empty_log, keys={name: "f12"})


def test_every_name_that_can_be_bound_is_listed() -> None:
    assert {
        name for screen in bound((*SCREENS, DetailScreen, AdviceScreen), ControlplaneApp) for name in screen
    } == NAMES


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"act.acknowledge": "r"}, "r would be both act.acknowledge and view.advice"),
        ({"act.note": "c"}, "c would be both"),
        ({"view.back": "q"}, "q would be both view.back and app.quit"),
        ({"view.advice": "a"}, "a would be both act.acknowledge and view.advice"),
        ({"act.copy_commands": "y"}, "y would be both"),
        ({"view.advise": "v"}, "no binding view.advise; did you mean view.advice?"),
    ],
)
def test_the_screens_of_a_row_count_too(empty_log: EventLog, keys: dict[str, str], said: str) -> None:
    with pytest.raises(BadKeys) as raised:
        terminal(empty_log, keys=keys)
    assert said in str(raised.value)


async def test_keys_of_the_screens_of_a_row(log: EventLog) -> None:
    app = terminal(log, keys={"act.acknowledge": "r", "view.advice": "a", "view.back": "b"})
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        await pilot.press("enter", "r")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("escape", "a")
        assert isinstance(app.screen, AdviceScreen)
        await pilot.press("b", "escape")
        assert isinstance(app.screen, DetailScreen)
        await pilot.press("b")
        assert len(app.screen_stack) == 1
