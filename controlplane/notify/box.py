"""What the outbox is made of, and what a call that sends from it reports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from controlplane.model.events import Draft
from controlplane.notify.channels import Channels


class Log(Protocol):
    """What the outbox needs of the event log."""

    def append(self, drafts: Sequence[Draft], *, recorded_at: datetime) -> Any:
        """Append the drafts in one transaction with their projections."""

    def read(self, *, stream: str | None = None, newest_first: bool = False, limit: int | None = None) -> Iterable[Any]:
        """Events of a stream."""

    def rows(self, projection: Any) -> Mapping[str, Any]:
        """Every row of a projection by key."""

    def documents(self, projection: Any) -> list[tuple[str, int, str]]:
        """Key, position of the last change and JSON of every row of a projection."""

    def row(self, projection: Any, key: str) -> Any | None:
        """One row of a projection."""

    def head(self) -> int:
        """Position of the newest event."""

    def lease(self, name: str, holder: str, *, now: datetime, ttl: timedelta) -> bool:
        """Take or renew a lease; False while somebody else has it."""

    def release(self, name: str, holder: str) -> None:
        """Give a lease back."""

    def leased(self, name: str, *, now: datetime) -> bool:
        """Whether somebody has the lease."""


@dataclass(slots=True)
class DeliveryReport:
    """What one call did, as counts of deliveries."""

    delivered: int = 0
    failed: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    """Triggers that nobody needs any more, because their incident has ended."""
    elsewhere: int = 0
    """Lanes that another worker holds."""
    left: int = 0
    """Still undelivered, due or not."""
    errors: dict[str, str] = field(default_factory=dict)
    """The last error of each channel that failed in this call."""
    notes: dict[str, str] = field(default_factory=dict)
    """What last went wrong besides messages of each channel that did arrive, such as a chart."""


@dataclass(frozen=True)
class Outbox:
    """What is sent by which channels, and by what rules."""

    log: Log
    channels: Channels
    rows: Any
    """The projection of Delivery by id."""
    records: Any
    """The projection of DeliveryRecord by id."""
    shown: Any
    """The projection of Shown by channel and dedup_key."""
    now: Callable[[], datetime]
    holder: str
    max_age: timedelta = timedelta(hours=6)
    limit: int = 100
    """Attempts per channel in one call of `deliver`."""
    tell: Sequence[str] = ()
    """Channels that are told of the dead letters of another one, the preferred one first."""
    environment: str = ""
