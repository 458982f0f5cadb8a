"""How far a picture can be trusted: live, stale, disconnected, of the past, or not there yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from controlplane.model.time import human_duration
from tui.data import MISSED, POLL, Snapshot, late_after, tick_interval

if TYPE_CHECKING:
    from controlplane.model.payloads import TickCompleted


class Mode(StrEnum):
    """How far the picture can be trusted."""

    WAITING = "WAITING"
    LIVE = "LIVE"
    STALE = "STALE"
    DISCONNECTED = "DISCONNECTED"
    REPLAY = "REPLAY"


@dataclass(frozen=True, slots=True)
class Trust:
    """A mode and, where it isn't live, what is wrong."""

    mode: Mode
    reason: str = ""
    at: datetime | None = None
    """Of which time of the past it is."""
    word: str = ""
    """What the past is called, such as `REPLAY`."""
    late: bool = False
    """Whether of that time, too, the picture was stale."""
    beside: str = ""
    """What has to be seen of the present meanwhile."""
    refused: str = ""
    """Why nothing can be done in it."""


def trust(snapshot: Snapshot | None, now: datetime, answered_at: datetime | None) -> Trust:
    """How far `snapshot` can be trusted at `now`, given when the store last answered."""
    if snapshot is None:
        return Trust(Mode.WAITING, "reading the event store")
    if snapshot.error:
        down = human_duration(now - (snapshot.error_since or now))
        again = human_duration(max(timedelta(0), (snapshot.retry_at or now) - now))
        return Trust(Mode.DISCONNECTED, f"for {down}, next try in {again} · {snapshot.error}")
    if answered_at is not None and now - answered_at > MISSED * POLL:
        return Trust(Mode.STALE, f"the event store has not answered for {human_duration(now - answered_at)}")
    if snapshot.tick is None:
        return Trust(Mode.WAITING, "no tick has been evaluated yet")
    if late(snapshot.tick, now):
        age, limit, interval = now - snapshot.tick.now, late_after(snapshot.tick), tick_interval(snapshot.tick)
        caught_up = limit < MISSED * interval  # how far apart ticks are isn't known then
        due = f"late after {human_duration(limit)}" if caught_up else f"one is due every {human_duration(interval)}"
        return Trust(Mode.STALE, f"no tick for {human_duration(age)}, {due}; is the scheduler running?")
    return Trust(Mode.LIVE)


def late(tick: "TickCompleted", now: datetime) -> bool:
    """Whether the tick after this one is overdue at `now`."""
    return now - tick.now > late_after(tick)
