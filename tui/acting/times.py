"""Times as they are typed: how long, until when, from when."""

import re
from datetime import UTC, datetime, timedelta

from controlplane.model.time import parse_duration

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)Z?")
_EXAMPLE = "write 1h, 30m, until 23:30 or until 2026-03-02T06:00Z (UTC)"


def beginning(text: str, now: datetime) -> datetime:
    """`now` or nothing, the next `22:00`, or a date with a time, in UTC unless it names a zone; else ValueError."""
    typed = text.strip()
    if typed in ("", "now"):
        return now
    found = _instant(typed, now)
    if found is None:
        raise ValueError(f"{typed[:60]!r} is no time; write now, 22:00 or 2026-03-02T06:00Z (UTC)")
    return found


def ending(text: str, begin: datetime) -> datetime:
    """`1h` after `begin`, or `until 23:30`: the next after `begin`. ValueError where it isn't one or lies before it."""
    typed = text.strip()
    until = typed.removeprefix("until ").strip()
    try:
        found = begin + parse_duration(typed)
    except OverflowError:
        raise ValueError(f"{typed[:60]!r} is too long") from None
    except ValueError:
        at = _instant(until, begin)
        if at is None:
            raise ValueError(f"{typed[:60]!r} is no end; {_EXAMPLE}" if typed else f"no end yet; {_EXAMPLE}") from None
        found = at
    if found <= begin:
        raise ValueError("it would be over before it begins")
    return found


def _instant(text: str, after: datetime) -> datetime | None:
    try:
        if clock := _CLOCK.fullmatch(text):
            at = after.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
            return at if at > after else at + timedelta(days=1)
        if len(text) < len("2026-03-02T06"):  # a date alone would be a midnight that nobody meant
            return None
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # in UTC, or a day later, it may lie outside the years 1 to 9999
        return None
