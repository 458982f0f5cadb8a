"""The footer: what it offers where there isn't room for all keys."""

import pytest
from textual.widgets._footer import FooterKey

from controlplane.eventlog.log import EventLog
from tests.tui import sample
from tests.tui.driving import ready, terminal, until
from tests.tui.past import ends, short_past
from tui.app import ControlplaneApp
from tui.data.seek import Seek
from tui.widgets.keys import fitting

KEYS = (
    ("a", "Ack", "acknowledge", False),
    ("u", "Undo", "undo", True),
    ("[", "", "step(-1)", False),
    ("]", "Tick", "step(1)", False),
    ("X", "Reject", "reject", True),
    ("?", "Help", "app.help", False),
    ("q", "Quit", "quit", False),
)


@pytest.mark.parametrize(
    ("width", "kept"),
    [
        (44, "a u [ ] X ? q"),
        (43, "a u [ ] ? q"),
        (35, "a u [ ] ? q"),
        (34, "a [ ] ? q"),
        (28, "a [ ] ? q"),
        (27, "a [ ] ?"),
        (21, "a [ ] ?"),
        (20, "a ?"),
        (12, "a ?"),
        (11, "?"),
        (1, "?"),
    ],
)
def test_what_does_nothing_leaves_first_and_help_never(width: int, kept: str) -> None:
    keys = [FooterKey(key, key, word, action, disabled=disabled) for key, word, action, disabled in KEYS]
    assert " ".join(key.key for key in fitting(keys, width)) == kept


def offered(app: ControlplaneApp) -> list[str]:
    """The words of the footer that are wholly in view."""
    return [
        f"{key.key_display} {key.description}".strip()
        for key in app.screen.query(FooterKey)
        if key.region.right <= app.size.width
    ]


async def test_help_is_offered_at_every_width(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        for width, last in ((160, "q Quit"), (60, "? Help"), (30, "? Help"), (160, "q Quit")):
            await pilot.resize_terminal(width, 20)
            await until(lambda last=last: offered(app)[-1:] == [last], last)
            assert "? Help" in offered(app)
            assert "⏎ Open" in offered(app) or width < 60
            assert ("u Undo" in offered(app)) is (width == 160)


@pytest.mark.parametrize("width", [60, 80])
async def test_in_the_past_the_way_back_is_offered(empty_log: EventLog, width: int) -> None:
    sample.append(empty_log, short_past())
    app = terminal(empty_log, start=Seek(position=ends(empty_log)[9]))
    async with app.run_test(size=(width, 15)) as pilot:
        await ready(pilot)
        await until(lambda: {"L Live", "? Help"} <= set(offered(app)), "the keys of the past")
        assert offered(app)[:5] == ["t Time", "[", "] Tick", "{", "} Incident"]
