"""What the terminal asks of an event log: the only door through which it sees anything."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from controlplane.model.events import Event

History = tuple[tuple[int, float | None], ...]
"""(epoch ms, value), oldest first."""


class Measured(Protocol):
    """A reading; its history may be decoded only when asked for."""

    @property
    def at(self) -> datetime:
        """Step of the newest value."""
        ...

    @property
    def value(self) -> float | None:
        """The newest value, in the alert's unit."""
        ...

    @property
    def history(self) -> History:
        """The values up to the newest one."""
        ...


class Log(Protocol):
    """What the terminal needs of the event log (`controlplane.eventlog.log.EventLog`), now or as of a position."""

    def head(self) -> int:
        """Position of the newest event."""
        ...

    def rows(self, projection: Any) -> dict[str, Any]:
        """All rows of a projection by key."""
        ...

    def row(self, projection: Any, key: str) -> Any:
        """One row of a projection."""
        ...

    def some(self, projection: Any, keys: Collection[str]) -> dict[str, Any]:
        """The rows of these keys, where there are any."""
        ...

    def read(
        self,
        *,
        after: int = 0,
        until: int | None = None,
        types: Collection[str] | None = None,
        stream: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> "Iterator[Event]":
        """Events with after < position ≤ until, in order."""
        ...

    def latest_readings(self) -> Mapping[str, Measured]:
        """The current reading of each alert."""
        ...


def utc_now() -> datetime:
    """The time of the wall clock."""
    return datetime.now(UTC)
