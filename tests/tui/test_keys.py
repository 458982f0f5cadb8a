"""Keys in the settings: used where they can be, refused with a reason where they can't."""

import pytest

from controlplane.eventlog.log import EventLog
from tests.tui.driving import alerts, ready, terminal
from tui.app import SCREENS, ControlplaneApp
from tui.keys import BadKeys, bound, checked
from tui.screens.confirm import ConfirmDialog

BOUND = bound(SCREENS, ControlplaneApp)


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
