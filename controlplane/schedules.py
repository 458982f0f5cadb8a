"""The settings of schedules: a calendar file, a calendar's address, or a rotation."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Discriminator, Tag, field_validator, model_validator

from controlplane.model.base import Duration, Model
from controlplane.model.oncall import NOBODY, Escalation, Person, Rotation, zone
from controlplane.secret import Secret


class Calendar(Model):
    """Entries of an iCalendar, whose summaries or attendees name people."""

    calendar: Path | None = None
    """An .ics file."""
    url: Secret | None = None
    """Where the https address of an .ics feed is read from."""
    refresh: Duration = timedelta(minutes=5)
    """How often the feed is asked; its last good copy holds until the next one."""
    location: str = "UTC"
    """The time zone of all-day entries, and of times without one where the calendar names none."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.calendar is None) == (self.url is None):
            raise ValueError("name one of calendar (an .ics file), url ({env: …}) and rotation (a list of people)")
        return self

    @field_validator("location")
    @classmethod
    def _zone(cls, name: str) -> str:
        return zone(name)

    @field_validator("refresh")
    @classmethod
    def _calm(cls, refresh: timedelta) -> timedelta:
        if refresh < timedelta(minutes=1):
            raise ValueError("refresh is at least 1m")
        return refresh


def _kind(value: Any) -> str:
    return (
        "rotation" if isinstance(value, Rotation) or (isinstance(value, dict) and "rotation" in value) else "calendar"
    )


Schedule = Annotated[Annotated[Calendar, Tag("calendar")] | Annotated[Rotation, Tag("rotation")], Discriminator(_kind)]


def check_people(
    people: Mapping[str, Person],
    schedules: Mapping[str, Calendar | Rotation],
    escalations: Mapping[str, Escalation],
    channels: Collection[str],
    times: Collection[str],
) -> None:
    """ValueError where one of them names what isn't declared, or two things have one name."""
    for name, person in people.items():
        _known(f"people.{name}", "channel", person.channels, channels)
        _known(f"people.{name}", "time", person.quiet, times)
    for name, schedule in schedules.items():
        if isinstance(schedule, Rotation):
            named = (*schedule.rotation, *(override.person for override in schedule.overrides))
            _known(f"schedules.{name}", "person", named, people)
        if name in people:
            raise ValueError(f"{name} is a person and a schedule; levels couldn't tell them apart. Rename one of them")
    for name in sorted({*people, *schedules} & set(channels)):
        what = "person" if name in people else "schedule"
        raise ValueError(f"{name} is a {what} and a channel; levels couldn't tell them apart. Rename one of them")
    for name, escalation in escalations.items():
        if name == NOBODY:
            raise ValueError(f"no escalation can be called {NOBODY}: that is how a route says that it has none")
        for number, level in enumerate(escalation.levels):
            place = f"escalations.{name}.levels.{number}"
            _known(place, "person, schedule or channel", level.to, {*people, *schedules, *channels})


def _known(place: str, kind: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ValueError(f"{place} names the {kind} {name}, which isn't declared; there is {there}")
