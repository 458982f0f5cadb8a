"""Which sources of samples are fresh, and why the others aren't."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from controlplane.model.time import from_ms, human_duration
from controlplane.model.views import SourceHealth

STALE_STEPS = 20
"""A source whose newest step is older than this many steps is stale (5 minutes at 15 s, Prometheus' own limit)."""


def stale(names: Iterable[str], health: Mapping[str, SourceHealth], now: datetime, step: timedelta) -> dict[str, str]:
    """Source → why it isn't fresh at `now`; sources that are fresh aren't in it."""
    found = {}
    for name in sorted(names):
        row = health.get(name)
        if row is None or row.through_ms is None:
            found[name] = "has never answered"
        elif now - from_ms(row.through_ms) > STALE_STEPS * step:
            found[name] = f"its newest step is {human_duration(now - from_ms(row.through_ms))} old"
    return found
