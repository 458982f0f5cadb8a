"""People, who of them is on call when, and who is told next when nobody takes an incident."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from controlplane.model.base import Duration, Instant, Model, RuleId

NOBODY = "none"
"""What a route says instead of the name of an escalation, so that it doesn't take its parent's over."""
LEVELS = 20
ROUNDS = 50
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
_HOUR = timedelta(hours=1)


def _local(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _LOCAL.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{value!r} is not a local time; write one without a zone, such as 2026-01-05T09:00")


LocalTime = Annotated[
    datetime, BeforeValidator(_local), PlainSerializer(lambda at: at.isoformat(timespec="minutes"), return_type=str)
]
"""The time on a wall clock, without a zone."""


def zone(name: str) -> str:
    """The name of a time zone that there is; ValueError otherwise."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is no time zone; write one such as Europe/Berlin") from None
    return name


class Person(Model):
    """Somebody who can be told."""

    channels: tuple[RuleId, ...] = Field(min_length=1)
    quiet: tuple[RuleId, ...] = ()
    """Names of times in which only critical messages reach these channels; the rest is told when they end."""
    names: tuple[str, ...] = ()
    """What calendars call the person besides the name here: other names and mail addresses."""
    slack: str | None = Field(default=None, pattern=r"^[UW][A-Z0-9]{2,30}$")
    """Id of the member at Slack, such as U024BE7LH."""
    pagerduty: str | None = Field(default=None, max_length=200)
    """Mail address of the user at PagerDuty."""


class Override(Model):
    """Somebody stands in: from one local time until before another."""

    person: RuleId
    since: LocalTime = Field(alias="from")
    until: LocalTime

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.until <= self.since:
            raise ValueError("until isn't after from")
        return self


class Rotation(Model):
    """People one after the other, each for as long; hand-overs keep their local time over changes of the clocks."""

    rotation: tuple[RuleId, ...] = Field(min_length=1)
    start: LocalTime
    """When the first one begins."""
    every: Duration = timedelta(weeks=1)
    location: str = "UTC"
    overrides: tuple[Override, ...] = ()
    """Those that stand later in the list go before those that stand earlier."""

    @field_validator("location")
    @classmethod
    def _zone(cls, name: str) -> str:
        return zone(name)

    @field_validator("every")
    @classmethod
    def _whole_hours(cls, every: timedelta) -> timedelta:
        if every < _HOUR or every % _HOUR:
            raise ValueError("every is a number of hours, days or weeks, such as 12h or 1w")
        return every


class Level(Model):
    """Who is told, and how long nobody acknowledged it after the level before."""

    to: tuple[RuleId, ...] = Field(min_length=1)
    """Names of people, schedules and channels."""
    after: Duration | None = None


class Escalation(Model):
    """Levels that are told one after the other until somebody acknowledges."""

    levels: tuple[Level, ...] = Field(min_length=1, max_length=LEVELS)
    repeat: int = Field(default=0, ge=0, le=ROUNDS)
    """How often the levels are gone through again."""
    repeat_after: Duration | None = None
    """From the last level to the first one again; absent = as long as before the last level."""

    @model_validator(mode="after")
    def _waits(self) -> Self:
        for number, level in enumerate(self.levels[1:], 2):
            if not level.after:
                raise ValueError(f"level {number} needs after, such as 10m: how long the level before has to answer")
        if self.repeat and not self.again_after:
            raise ValueError("repeat needs repeat_after, such as 15m: how long until the first level is told again")
        return self

    @property
    def again_after(self) -> timedelta:
        """From the last level to the first one of the next round."""
        found = self.repeat_after if self.repeat_after is not None else self.levels[-1].after
        return found or timedelta(0)

    def wait(self, level: int, round_: int) -> timedelta:
        """How long the level (from 1) of a round (from 1) waits after the one before it, or after the first message."""
        if level == 1 and round_ > 1:
            return self.again_after
        return self.levels[level - 1].after or timedelta(0)

    def following(self, level: int, round_: int) -> tuple[int, int] | None:
        """Level and round after these; None after the last one."""
        if level < len(self.levels):
            return level + 1, round_
        return (1, round_ + 1) if round_ <= self.repeat else None


class OnCall(Model):
    """Who is on call in a schedule now."""

    schedule: str
    people: tuple[str, ...]
    """None = a gap: nobody is."""
    since: Instant
    until: Instant | None
    """When it changes; None = not within the time that is looked ahead."""


class Pause(Model):
    """Somebody holds back the next level of an incident for a while."""

    incident: str
    page: int
    """The pause is for this page of it; a new one isn't held back."""
    until: Instant
    actor: str


class Progress(Model):
    """How far an incident has got through the levels of its escalation, under its present page."""

    name: str
    level: int = 0
    """The one that was told last, from 1; 0 = none yet."""
    round: int = 1
    due: Instant | None = None
    """When the next one is told; None = it is held or acknowledged, or there is none."""
    left: Duration | None = None
    """What is left of the wait while it is held."""
    held: str = ""
    """Why it is held."""
    over: bool = False
    """Whether the last level of the last round was told."""
    people: tuple[str, ...] = ()
    """Whom the levels have told."""
    on_call: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Schedule that a level named → who was on call there when it was last looked at."""
    channels: tuple[str, ...] = ()
    """Channels that the levels have told."""
