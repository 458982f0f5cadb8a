"""How far a picture can be trusted: live, stale, disconnected, of the past, or not there yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controlplane.model.time import human_duration
from tui.data import MISSED, POLL, Snapshot, tick_interval


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
    age, interval = now - snapshot.tick.now, tick_interval(snapshot.tick)
    if age > MISSED * interval:
        expected = human_duration(interval)
        reason = f"no tick for {human_duration(age)}, one is due every {expected}; is the scheduler running?"
        return Trust(Mode.STALE, reason)
    return Trust(Mode.LIVE)
