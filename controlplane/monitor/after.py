"""What is done once a tick is complete: note how it went, look at chain and clocks, and send the heartbeats."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from controlplane.eventlog.projections import SOURCES
from controlplane.model.errors import ControlplaneError
from controlplane.monitor import chain, heartbeat, vitals
from controlplane.monitor.freshness import stale
from controlplane.rules.files import OWN
from controlplane.settings import Settings
from controlplane.telemetry.collector import Collector
from controlplane.tick.plane import ControlPlane

CLOCKS_EVERY = timedelta(minutes=1)

_log = logging.getLogger(__name__)


def after_tick(settings: Settings, plane: ControlPlane, now: datetime, seconds: float, at: datetime) -> None:
    """Note a tick for telemetry time `now` that took `seconds` until `at`, and what follows from it.

    Takes at most a few seconds. What goes wrong in it is logged and doesn't fail the tick, which is complete.
    """
    try:
        vitals.write(settings.home, vitals.TickVitals(now=now, at=at, seconds=seconds))
        chain.follow(settings.home, plane.log, at)
        health = plane.log.rows(SOURCES)
        answering = [source for source in plane.collectors if source.name in health and not health[source.name].failed]
        look_at_clocks(settings.home, answering, at)
        names = [source.name for source in plane.collectors if source.name != OWN]
        late = stale(names, health, now, settings.step)
        withheld = "; ".join(f"{name}: {why}" for name, why in late.items())
        if not names:
            withheld = "there is no source of samples"
        heartbeat.send(settings.home, settings.notify.heartbeat, withheld, settings.environment, at)
    except (ControlplaneError, OSError) as error:
        _log.warning("after the tick: %s", error)


def look_at_clocks(home: Path, collectors: Iterable[Collector], now: datetime) -> vitals.ClockVitals:
    """Ask those that tell it for their time, each once a minute; what isn't asked or gives no answer has none."""
    known = vitals.read(home, vitals.ClockVitals) or vitals.ClockVitals()
    found = {}
    for source in collectors:
        before = known.sources.get(source.name)
        skew = getattr(source, "clock_skew", None)
        if skew is None:
            continue
        if before is not None and timedelta(0) <= now - before.at < CLOCKS_EVERY:
            found[source.name] = before
            continue
        seconds = skew()
        if seconds is not None:
            found[source.name] = vitals.ClockReading(at=now, seconds=seconds)
    noted = vitals.ClockVitals(sources=found)
    if noted != known:
        vitals.write(home, noted)
    return noted
