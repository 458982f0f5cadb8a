"""What somebody answered to a page elsewhere, as the providers' requests are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.model.oncall import Person
from controlplane.model.payloads import Answered, Provider

NAME = 100
"""Characters of a name that are kept."""


class NotUnderstood(ValueError):
    """A request that was signed as it should, but isn't of the documented form."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one page."""

    provider: Provider
    event: str
    """Names the request at the provider: the same one delivered twice has the same."""
    what: Answered
    dedup_key: str
    """Of the page."""
    actor: str
    at: datetime
    """When it was given, by the provider's clock."""
    person: bool = True
    """Whether somebody did it, and not a timer or an integration."""


def slack_members(people: Mapping[str, Person]) -> dict[str, str]:
    """Id of a member at Slack → the name of the person in the settings."""
    return {person.slack: name for name, person in people.items() if person.slack is not None}


def pagerduty_users(people: Mapping[str, Person]) -> dict[str, str]:
    """Name of a user at PagerDuty, in lower case → the name of the person in the settings.

    A webhook names a user by that alone, so it has to stand in `names` or to be the person's name; a name that two
    people have is nobody's.
    """
    found: dict[str, set[str]] = {}
    for name, person in people.items():
        for known in {name.casefold(), *(other.strip().casefold() for other in person.names)}:
            found.setdefault(known, set()).add(name)
    return {known: next(iter(names)) for known, names in found.items() if len(names) == 1}
