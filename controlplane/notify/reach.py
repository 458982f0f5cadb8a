"""Whom the names in an escalation reach at an instant, and whose channels are quiet then. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controlplane.model.oncall import Level, OnCall, Person
from controlplane.model.routes import Times
from controlplane.model.severity import Severity


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom a level tells."""

    channels: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    on_call: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Schedule of the level → who is on call there."""
    gaps: tuple[str, ...] = ()
    """Schedules in which nobody is on call."""
    words: tuple[str, ...] = ()
    """The names, for people."""


@dataclass(frozen=True)
class Reach:
    """People and schedules at an instant."""

    at: datetime
    people: Mapping[str, Person]
    on_call: Mapping[str, OnCall]
    schedules: Collection[str]
    times: Mapping[str, Times]
    channels: Sequence[str]
    """Names of those that are declared, in their order."""

    def level(self, level: Level) -> Reached:
        """Whom the level tells now; a name that isn't in the settings any more tells nobody."""
        channels: list[str] = []
        people: list[str] = []
        words: list[str] = []
        on_call: dict[str, tuple[str, ...]] = {}
        for name in level.to:
            if name in self.schedules:
                found = self.on_duty(name)
                on_call[name] = found
                people += found
                words += [f"{person} ({name})" for person in found]
            elif name in self.people:
                people.append(name)
                words.append(name)
            elif name in self.channels:
                channels.append(name)
                words.append(name)
        people = list(dict.fromkeys(people))
        return Reached(
            channels=self.declared([*channels, *self.of(people)]),
            people=tuple(people),
            on_call=on_call,
            gaps=tuple(name for name, found in on_call.items() if not found),
            words=tuple(dict.fromkeys(words)),
        )

    def on_duty(self, schedule: str) -> tuple[str, ...]:
        """Who is on call in a schedule and can be told."""
        row = self.on_call.get(schedule)
        return tuple(person for person in row.people if person in self.people) if row is not None else ()

    def of(self, people: Iterable[str]) -> list[str]:
        """The channels of people."""
        return [channel for person in people if person in self.people for channel in self.people[person].channels]

    def declared(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those that are declared, each once, in their order."""
        wanted = set(names)
        return tuple(name for name in self.channels if name in wanted)

    def everywhere(self) -> tuple[str, ...]:
        """The channels that are nobody's own; all of them where there are no others."""
        own = set(self.of(self.people))
        return tuple(name for name in self.channels if name not in own) or tuple(self.channels)

    def quiet(self, channel: str, severity: Severity) -> str | None:
        """In whose quiet hours the channel isn't told now; None = it is told. Critical messages always are."""
        if severity is Severity.CRITICAL:
            return None
        owners = [(name, person) for name, person in self.people.items() if channel in person.channels]
        hours = [self._hours(name, person) for name, person in owners]
        return ", ".join(text for text in hours if text) if hours and all(hours) else None

    def _hours(self, name: str, person: Person) -> str | None:
        found = next((time for time in person.quiet if time in self.times and self.times[time].holds(self.at)), None)
        return f"{name} ({found})" if found is not None else None
