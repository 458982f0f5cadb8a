"""When a digest is due: once for each local day, whatever its length, also after a restart. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from controlplane.model.time import human_duration

LATE = timedelta(hours=12)
"""A digest that is later than this is left out: the next one is near, and yesterday's pages are no news."""
MISSED = 7
"""Days of an absence that are recorded as left out; earlier ones were told by nobody."""


@dataclass(frozen=True, slots=True)
class Due:
    """The digest of a local day."""

    day: date
    start: datetime
    end: datetime
    """When it is due, and the end of what it tells."""
    skipped: str = ""
    """Why it isn't sent."""


def moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """The instant of a minute of a local day: the first of two, or that of the jump where the clock never shows it."""
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    after = local.astimezone(ZoneInfo("UTC"))
    if after.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return after
    # The clock jumped over it: an hour before it is wrong by as much as the jump is long.
    before = local.replace(fold=1).astimezone(ZoneInfo("UTC"))
    return after - _past_jump(before, after, zone)


def _past_jump(before: datetime, after: datetime, zone: ZoneInfo) -> timedelta:
    """How long the jump lies before `after`; it lies between the two."""
    low, high = before, after
    offset = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return after - high.replace(microsecond=0)


def due(now: datetime, minute: int, zone: ZoneInfo, last: date | None, began: datetime | None) -> Iterator[Due]:
    """What is due at `now`, oldest first: at most one that is sent, and before it the days that were missed.

    `last` is the day that was seen to last, `began` when the control plane first ticked: a day of which nothing is
    known has no digest.
    """
    day = now.astimezone(zone).date()
    if moment(day, minute, zone) > now:
        day -= timedelta(days=1)
    first = day if last is None else max(last + timedelta(days=1), day - timedelta(days=MISSED))
    while first <= day:
        one = Due(first, moment(first - timedelta(days=1), minute, zone), moment(first, minute, zone))
        if began is not None and began < one.end:
            if first < day:
                one = Due(one.day, one.start, one.end, "nothing ticked until the next one was due")
            elif now - one.end > LATE:
                late = human_duration(now - one.end)
                one = Due(one.day, one.start, one.end, f"the first tick came {late} too late, more than 12 h")
            yield one
        first += timedelta(days=1)
