"""Where somebody wants to look: a time, a stretch back or ahead, or a position of the log."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable
from controlplane.model.time import parse_duration

ACCEPTED = "20:14, -2h, +10m, 2026-03-12T20:14Z, a position such as 412, or live"
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?\s*[Zz]?")
_POSITION = re.compile(r"#?\s*([0-9]{1,15})")
_LONGEST = 60


class BadSeek(ControlplaneError):
    """A text that says no time and no position."""


@dataclass(frozen=True, slots=True)
class Seek:
    """A time, a position, or neither: the present."""

    at: datetime | None = None
    position: int | None = None


def parse_seek(text: str, reference: datetime, end: datetime | None = None) -> Seek:
    """Read what somebody typed; times are UTC. BadSeek says what is accepted.

    A time of day is that of the day of `reference`, of the day before where it would lie after `end`; `-2h` counts
    from `reference`.
    """
    given = text.strip()
    if given.casefold() in {"live", "now"}:
        return Seek()
    if found := _POSITION.fullmatch(given):
        return Seek(position=int(found[1]))
    if found := _CLOCK.fullmatch(given):
        hour, minute, second = (int(part or 0) for part in found.groups())
        at = reference.astimezone(UTC).replace(hour=hour, minute=minute, second=second, microsecond=0)
        return Seek(at - timedelta(days=1) if end is not None and at > end else at)
    if given[:1] in {"-", "+", "−"}:
        try:
            by = parse_duration(given[1:].strip())
            return Seek(reference + by if given[0] == "+" else reference - by)
        except (ValueError, OverflowError):
            raise _bad(text) from None
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise _bad(text) from None
    try:
        return Seek(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    except OverflowError:
        raise _bad(text) from None


def _bad(text: str) -> BadSeek:
    said = printable(text.strip(), _LONGEST) or "nothing"
    return BadSeek(f"{said} is no time and no position; write {ACCEPTED}")
