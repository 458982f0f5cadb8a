"""The tick as a whole, behind a lock: two ticks at once would do the same work twice."""

from dataclasses import dataclass
from datetime import datetime

from filelock import Timeout

from controlplane.model.errors import ControlplaneError
from controlplane.model.time import on_grid, to_ms
from controlplane.rules.files import OWN
from controlplane.tick.collect import Collected, collect, going_on
from controlplane.tick.decide import Decided, decide
from controlplane.tick.digesting import queue_digest
from controlplane.tick.garbage import seldom_collected
from controlplane.tick.inventory import Inventoried, take_inventory
from controlplane.tick.plane import ControlPlane

PATIENCE_SECONDS = 5.0


class TickRunning(ControlplaneError):
    """Another process is in the middle of a tick."""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What a tick did."""

    inventories: tuple[Inventoried, ...]
    collected: tuple[Collected, ...]
    decided: tuple[Decided, ...]


def tick(plane: ControlPlane, now: datetime) -> TickReport:
    """Inventory, collect and decide up to telemetry time `now`; TickRunning where another tick is under way."""
    inventories = tuple(take_inventory(plane, now))
    collected = collect(plane, now)
    decided, more = catch_up(plane, now, collected)
    return TickReport(inventories, (*collected, *more), decided)


def catch_up(
    plane: ControlPlane, now: datetime, collected: list[Collected] | None = None
) -> tuple[tuple[Decided, ...], tuple[Collected, ...]]:
    """Decide what was collected, then go on bite by bite until every source that answers is at `now`.

    A source that was asked for the same bite again got nowhere with it and is left to the next tick.
    """
    end = on_grid(to_ms(now), plane.step_ms)
    decided: list[Decided] = []
    more: list[Collected] = []
    again: set[str] | None = None
    reached: dict[str, int] = {}
    if collected is not None and OWN not in {got.source for got in collected} and not going_on(collected, end):
        collected = [*collected, *collect(plane, now, {OWN})]
    try:
        with plane.lock.acquire(timeout=PATIENCE_SECONDS), seldom_collected():
            while True:
                decided.append(decide(plane, now))
                if collected is not None:
                    moved = [got for got in collected if got.through_ms > reached.get(got.source, 0)]
                    reached |= {got.source: got.through_ms for got in collected}
                    again = going_on(moved, end)
                    if not again and not going_on(collected, end):
                        break
                    again.add(OWN)
                collected = collect(plane, now, again)
                more += collected
                if not collected:
                    break
            queue_digest(plane, now)
    except Timeout:
        raise TickRunning(f"a tick is running already (lock {plane.home / 'tick.lock'})") from None
    return tuple(decided), tuple(more)
