"""A rotation as shifts: hand-overs are at the same local time, whatever the clocks do. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from controlplane.model.oncall import Rotation
from controlplane.oncall.shifts import Shift

_MARGIN = timedelta(days=2)
"""More than the clocks of any place can be changed by."""


def rotated(rotation: Rotation, begin: datetime, end: datetime) -> list[Shift]:
    """The shifts between two instants, with those who stand in put in their place."""
    zone = ZoneInfo(rotation.location)
    shifts = list(_turns(rotation, zone, begin, end))
    for override in rotation.overrides:
        since, until = _instant(override.since, zone), _instant(override.until, zone)
        if since < until:
            shifts = [part for shift in shifts for part in _without(shift, since, until)]
            shifts.append(Shift(since, until, override.person))
    return sorted(shift for shift in shifts if shift.until > begin and shift.since < end)


def _turns(rotation: Rotation, zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[Shift]:
    local = (begin.astimezone(zone)).replace(tzinfo=None) - _MARGIN
    number = max(0, (local - rotation.start) // rotation.every)
    while True:
        # Added to the clock on the wall: a day is a day, also where it has 23 or 25 hours.
        since = _instant(rotation.start + number * rotation.every, zone)
        if since >= end:
            return
        until = _instant(rotation.start + (number + 1) * rotation.every, zone)
        if until > begin and since < until:
            yield Shift(since, until, rotation.rotation[number % len(rotation.rotation)])
        number += 1


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time: the first of two, and as much later where the clocks leave it out."""
    return local.replace(tzinfo=zone).astimezone(UTC)


def _without(shift: Shift, since: datetime, until: datetime) -> Iterator[Shift]:
    if shift.since < since:
        yield Shift(shift.since, min(shift.until, since), shift.person)
    if shift.until > until:
        yield Shift(max(shift.since, until), shift.until, shift.person)
