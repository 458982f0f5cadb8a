"""A process that ticks through the recorded evening from where the log stands; made to be killed."""

import sys
from datetime import timedelta
from pathlib import Path

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import TICK
from controlplane.tick import tick

PLATFORMS = ("catalyst", "datalyptica")
CADENCE = timedelta(minutes=2)


def main(home: Path) -> None:
    """Tick to the end of the evening; `ready` on stdout when everything is loaded, `done` at the end."""
    # The first tick, too, is decided at once, so that a kill never changes how the evening is cut.
    settings = demo.settings(home, PLATFORMS, lookback=CADENCE)
    plane = bootstrap.control_plane(settings)
    last = plane.log.row(TICK, "tick")
    now = demo.START if last is None else last.now
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while now < demo.END:
        now = min(demo.END, now + CADENCE)
        tick(plane, now)
    plane.log.close()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
