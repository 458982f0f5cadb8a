"""Whether a group has something to tell. Source: Alertmanager, notify.go (DedupStage.needsUpdate). Pure."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import StrEnum


class News(StrEnum):
    """Why something is told."""

    FIRST = "first"
    FIRING = "firing"
    """An alert that the last message didn't have."""
    OVER = "over"
    """Nothing fires any more."""
    ENDED = "ended"
    """One more alert ended."""
    REPEAT = "repeat"


def news(
    *,
    at: datetime,
    firing: AbstractSet[str],
    ended: AbstractSet[str],
    told: AbstractSet[str],
    told_ended: AbstractSet[str],
    told_at: datetime | None,
    repeat: timedelta,
) -> News | None:
    """Why to send a message of `firing` and `ended` when the last one, at `told_at`, had `told` and `told_ended`."""
    if not firing and not ended:
        # What fires is muted: that it isn't told now is no end.
        return None
    if told_at is None:
        return News.FIRST if firing else None
    if not firing <= told:
        return News.FIRING
    if not firing:
        return News.OVER if told else None
    if not ended <= told_ended:
        return News.ENDED
    return News.REPEAT if told_at < at - repeat else None
