"""Opens the terminal on an event log, and says how it ended."""

import gc
from collections.abc import Callable, Mapping
from datetime import datetime

from tui.app import ControlplaneApp
from tui.commands import Actions
from tui.data import Log, SnapshotReader, utc_now
from tui.data.rulebook import Rules
from tui.data.seek import Seek
from tui.garbage import opening
from tui.theme import PALETTES

_GARBAGE = 50_000
"""New objects before the collector looks at them: at Python's own 700 it takes an eighth of the processor time."""


def run(
    log: Log | Callable[[], Log],
    actions: Actions | Callable[[], Actions],
    *,
    environment: str = "default",
    read_only: bool = False,
    actor: str | None = None,
    as_of: datetime | None = None,
    rules: Callable[[], Rules] | None = None,
    palette: str = "dark",
    keys: Mapping[str, str] | None = None,
    start: Seek | None = None,
    closed: str = "",
    check: Callable[[], object] | None = None,
) -> int:
    """Open the terminal on an event log until the operator quits; the exit code.

    `log` may be a function that opens it and `actions` one that makes them: they are called once something is painted,
    and before them `check`: what it raises ends the terminal and is raised here.
    `as_of` freezes the clock, as for a recording; commands are still dated one after the other. `start` is where in
    the past it opens, `closed` names a log that doesn't grow and is only looked at.
    """
    began = utc_now()
    app = ControlplaneApp(
        SnapshotReader(opening(log)),
        actions,
        environment=environment,
        read_only=read_only,
        actor=actor,
        clock=utc_now if as_of is None else lambda: as_of,
        command_clock=utc_now if as_of is None else lambda: as_of + (utc_now() - began),
        rules=rules,
        palette=PALETTES[palette],
        keys=keys,
        start=start,
        closed=closed,
        check=check,
    )
    gc.set_threshold(_GARBAGE)  # a poll makes thousands of objects and hardly a cycle
    app.run()
    if app.unusable is not None:
        raise app.unusable
    gc.freeze()  # nor is there anything to collect as the process ends
    return app.return_code or 0
