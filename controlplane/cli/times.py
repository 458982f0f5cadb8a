"""Times and durations as options take them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click


class Instant(click.ParamType[datetime]):
    """An ISO time, made one in UTC; without a zone it is UTC, or refused where `zoned` asks for one."""

    name = "TIME"

    def __init__(self, *, zoned: bool = False) -> None:
        self._zoned = zoned

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant; a usage error where the text is none."""
        try:
            at = datetime.fromisoformat(str(value))
            if at.tzinfo is not None:
                return at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time; write it like 2026-03-12T20:00:00Z", param, ctx)
        if self._zoned:
            self.fail(f"{value!r} has no zone; add Z for UTC", param, ctx)
        return at.replace(tzinfo=UTC)


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
