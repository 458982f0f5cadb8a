"""Which recurrences can be worked out within bounds.

The libraries look for a match up to the year 9999, and for ever where a rule doesn't move on; nothing interrupts them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from controlplane.model.labels import printable

_OLDEST = 1990
_ITERATIONS = 200_000
"""Of one rule from its start to the end of what is asked for."""
_RULES = 4
"""Of one entry; RFC 5545 (3.8.5.3) knows one."""
_POSITIONS = 5
"""Of BYSETPOS; each is looked for in every month or year."""
_ZONES = 100
_SPARSE = ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS", "BYEASTER")
_FREQUENT = {"HOURLY": 24, "DAILY": 1, "WEEKLY": 1, "MONTHLY": 1, "YEARLY": 1}
_OF_ZONES = ("FREQ", "INTERVAL", "UNTIL", "COUNT", "WKST", "BYMONTH", "BYDAY", "BYMONTHDAY")
_ONCE = ("BYSETPOS", "BYHOUR", "BYMINUTE", "BYSECOND")
"""What Outlook and Notes write into rules of time zones besides, with one value each."""


class Unbounded(NamedTuple):
    """Why a recurrence isn't worked out."""

    message: str
    remedy: str


def unbounded(event: Any, end: datetime) -> Unbounded | None:
    """What would take for ever in an entry (VEVENT) up to `end`; None = nothing."""
    start = event["DTSTART"].dt
    if start.year < _OLDEST and "RRULE" in event:
        return Unbounded(f"an entry recurs since before {_OLDEST}", "Let it begin later")
    rules = event.get("RRULE", [])
    rules = rules if isinstance(rules, list) else [rules]
    if len(rules) > _RULES:
        return Unbounded(f"an entry has {len(rules):,} rules by which it recurs", "Make it several entries")
    days = max(1, (end.date() - (start.date() if isinstance(start, datetime) else start)).days)
    return next((found for rule in rules if (found := _of_rule(rule, days)) is not None), None)


def _of_rule(rule: Mapping[str, Any], days: int) -> Unbounded | None:
    frequency = _frequency(rule)
    times = _FREQUENT.get(frequency)
    if times is None:
        return Unbounded(f"an entry recurs {printable(frequency, 20)}", "Use HOURLY to YEARLY")
    if (interval := _interval(rule)) < 1:
        return Unbounded(f"an entry recurs {frequency} with an INTERVAL of {interval}", "Set INTERVAL to 1 or more")
    if any(not 1 <= int(month) <= 12 for month in _values(rule, "BYMONTH")):
        return Unbounded("an entry recurs in a month that isn't there", "Set BYMONTH to 1 to 12")
    if frequency in {"HOURLY", "DAILY", "WEEKLY"} and any(key in rule for key in _SPARSE):
        return Unbounded(f"an entry recurs {frequency} on some days of months or years", "Use MONTHLY or YEARLY")
    if len(_values(rule, "BYSETPOS")) > _POSITIONS:
        return Unbounded(f"an entry recurs at more than {_POSITIONS} positions (BYSETPOS)", "Make it several entries")
    within = [max(1, len(_values(rule, key))) for key in ("BYMINUTE", "BYSECOND")]
    times *= max(1, len(_values(rule, "BYHOUR"))) * within[0] * within[1]
    if days * times > _ITERATIONS or (frequency == "HOURLY" and max(within) > 1):
        return Unbounded("an entry recurs too often", "Let it begin later, or recur daily or weekly")
    return None


def unbounded_zone(data: bytes) -> Unbounded | None:
    """What would take for ever in the time zones of a calendar, which are worked out as it is parsed; None = nothing.

    ValueError where it can't be parsed.
    """
    from icalendar.parser import Contentlines
    from icalendar.prop import vRecur

    lines: Any = Contentlines  # untyped
    zones, inside = 0, False
    for line in lines.from_ical(data):
        if not line.lstrip().upper().startswith(("BEGIN", "END", "RRULE")):
            continue
        name, _, value = line.parts()
        if value.strip().upper() == "VTIMEZONE":
            inside = name.upper() == "BEGIN"
            zones += inside
        elif inside and name.upper() == "RRULE":
            rule = vRecur.from_ical(value)
            once = all(len(_values(rule, key)) <= 1 for key in _ONCE)
            if _frequency(rule) != "YEARLY" or _interval(rule) < 1 or not once or rule.keys() - {*_OF_ZONES, *_ONCE}:
                return Unbounded("the clocks of a time zone change in a way that isn't known", "Export it anew")
    return Unbounded("it has too many time zones", "Export it in UTC") if zones > _ZONES else None


def _values(rule: Mapping[str, Any], key: str) -> list[Any]:
    given = rule.get(key, [])
    return given if isinstance(given, list) else [given]


def _frequency(rule: Mapping[str, Any]) -> str:
    return str((_values(rule, "FREQ") or ["?"])[0]).upper()


def _interval(rule: Mapping[str, Any]) -> int:
    return min((int(given) for given in _values(rule, "INTERVAL")), default=1)
