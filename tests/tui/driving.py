"""Running the terminal in tests: an app on a real event log, and waiting for what should become visible."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from textual.geometry import Region
from textual.pilot import Pilot
from textual.widget import Widget

from controlplane.eventlog.log import EventLog
from controlplane.operator import Operator
from tests.tui.sample import NOW
from tui.app import ControlplaneApp
from tui.data import SnapshotReader
from tui.widgets.alert_list import AlertList
from tui.widgets.events_pane import EventsPane
from tui.widgets.row_list import RowList


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, duration: timedelta) -> None:
        """Let time pass."""
        self.now += duration


def terminal(log: EventLog, *, clock: Callable[[], datetime] | None = None, **options: Any) -> ControlplaneApp:
    """The app on a log with the real operator; its clock stands at NOW."""
    actions = options.pop("actions", None) or Operator(log)
    settings = {"environment": "prod-eu", "actor": "ana"} | options
    return ControlplaneApp(SnapshotReader(log), actions, clock=clock or Clock(), **settings)


async def until(condition: Callable[[], Any], what: str = "", seconds: float = 8.0) -> None:
    """Wait until the condition holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or 'the condition'}")
        await asyncio.sleep(0.02)


async def ready(pilot: Pilot[None]) -> ControlplaneApp:
    """Wait for the first snapshot and its painting."""
    app = pilot.app
    assert isinstance(app, ControlplaneApp)
    await until(lambda: app.delivered, "the first snapshot")
    await pilot.pause()
    return app


async def renew(pilot: Pilot[None]) -> None:
    """Have the log polled now, and wait until what is new is shown."""
    app = pilot.app
    assert isinstance(app, ControlplaneApp)
    head = app.reader.log.head() if app.reader.log is not None else 0
    app._wake.set()
    await until(lambda: app.snapshot.position >= head, f"position {head}")
    await pilot.pause()


async def still(pilot: Pilot[None]) -> None:
    """Wait for what is read beside the snapshot, and have no cursor blink: a picture doesn't depend on its moment."""
    for pane in pilot.app.screen.query(EventsPane):
        if pane.display:
            await until(lambda pane=pane: pane.told, "the events of the alert")
            await pilot.pause()
    for line in pilot.app.screen.query("Input, TextArea"):
        line.cursor_blink = False


def alerts(app: ControlplaneApp) -> AlertList:
    """The list of the first screen."""
    return app.screen_stack[0].query_one(AlertList)


def painted(widget: Widget) -> str:
    """What a widget shows now, as lines of text."""
    width, height = widget.size
    return "\n".join(strip.text for strip in widget.render_lines(Region(0, 0, width, height)))


def painted_all(widget: Widget) -> str:
    """What the texts and charts below a widget show, also where they are scrolled out of sight."""
    return "\n".join(
        painted(child) for child in widget.walk_children(Widget, with_self=True) if child.display and not child.children
    )


def screen_text(app: ControlplaneApp) -> str:
    """The whole screen as lines of text."""
    width, height = app.size
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips(app.size)[:height]) if width else ""


def notices(app: ControlplaneApp) -> list[str]:
    """The notifications that are up."""
    return [notice.message for notice in app._notifications]


def row_line(table: RowList[Any], name: str) -> int:
    """The line on which a list shows the row of an id."""
    return next(number for number, row in enumerate(table.rows) if row.id == name)
