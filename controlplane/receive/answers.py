"""What somebody answered to a page elsewhere, as the providers' requests are read."""

from dataclasses import dataclass
from datetime import datetime

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
