"""A process that ticks through the recorded evening from where the log stands; made to be killed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import TICK
from controlplane.tick import tick

PLATFORMS = ("catalyst", "datalyptica")
CADENCE = timedelta(minutes=2)
END = demo.START + timedelta(hours=1)


def main(home: Path, tell: Callable[[str], None]) -> None:
    """Tick through the first hour of the evening; tells `ready` when everything is loaded, `done` at the end."""
    # The first tick, too, is decided at once, so that a kill never changes how the evening is cut.
    settings = demo.settings(home, PLATFORMS, lookback=CADENCE)
    plane = bootstrap.control_plane(settings)
    last = plane.log.row(TICK, "tick")
    now = demo.START if last is None else last.now
    tell("ready")
    while now < END:
        now += CADENCE
        tick(plane, now)
    plane.log.close()
    tell("done")
