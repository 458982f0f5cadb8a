"""What can go wrong with the event store; every message says what, where and what to do."""

from controlplane.model.errors import ControlplaneError


class EventStoreError(ControlplaneError):
    """Base of every error of the event store."""


class ConcurrencyError(EventStoreError):
    """Somebody appended to a stream since the caller looked at it; nothing was written."""


class EventConflict(EventStoreError):
    """An event with this id but another payload is in the log; nothing was written."""


class UnreadableEvent(EventStoreError):
    """A stored event or row that this version of the program can't read."""


class StoreUnavailable(EventStoreError):
    """The store can't be reached, is held by somebody else, or is damaged."""
