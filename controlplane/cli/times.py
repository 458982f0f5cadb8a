"""Times and durations as options take them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

_YEARS = range(1970, 9_999)
"""Those of the epoch that have a year behind them, which is further than anything looks."""


class Instant(click.ParamType[datetime]):
    """An ISO time, made one in UTC; without a zone it is UTC, or refused where `zoned` asks for one."""

    name = "TIME"

    def __init__(self, *, zoned: bool = False) -> None:
        self._zoned = zoned

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant; a usage error where the text is none."""
        try:
            at = datetime.fromisoformat(str(value))
            zone = at.tzinfo
            at = at.replace(tzinfo=UTC) if zone is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time; write it like 2026-03-12T20:00:00Z", param, ctx)
        if self._zoned and zone is None:
            self.fail(f"{value!r} has no zone; add Z for UTC", param, ctx)
        if at.year not in _YEARS:
            self.fail(f"{value!r} is too far away", param, ctx)
        return at


class Duration(click.ParamType[timedelta]):
    """A duration such as `90s` or `1h30m`."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration; a usage error where the text is none."""
        from controlplane.model.time import parse_duration

        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def after(begin: datetime, length: timedelta) -> datetime:
    """So much later than `begin`; a usage error where that is beyond the calendar."""
    try:
        return begin + length
    except OverflowError:
        raise click.UsageError(f"{length.days:,} days are too long") from None
