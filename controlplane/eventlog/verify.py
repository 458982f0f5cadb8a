"""Verification of the hash chain: the first link that is broken, and how."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controlplane.eventlog.codec import Stored, event_hash
from controlplane.eventlog.schema import GENESIS


@dataclass(frozen=True, slots=True)
class Head:
    """A link of the chain, such as the end that the log says it has: a position and the hash of the event there."""

    position: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found; `position` and `problem` name the first broken link."""

    checked: int
    """Events that are as they were appended."""
    ok: bool
    position: int | None = None
    problem: str = ""


def verify(
    events: Iterable[Stored],
    head: Head,
    on_event: Callable[[int], None] | None = None,
    *,
    start: Head = Head(0, GENESIS),
) -> Verification:
    """Follow the chain in position order through all events after `start`, which is trusted, up to the head.

    `on_event` is told the position that the verification has reached.
    """
    reached, previous = start.position, start.hash

    def broken(position: int, problem: str) -> Verification:
        return Verification(reached - start.position, False, position, f"position {position}{problem}")

    for stored in events:
        expected = reached + 1
        if stored.position != expected:
            if stored.position <= start.position:
                return broken(stored.position, ": the event lies before the start of the log; it was put there")
            return broken(expected, " is missing")
        problem = _broken(stored, previous, head)
        if problem:
            return broken(expected, f": {problem}")
        reached, previous = expected, stored.hash
        if on_event is not None:
            on_event(reached)
    if reached < head.position:
        return broken(
            reached + 1,
            f" is missing: the log ends at {reached}, but {head.position} were appended; its tail was removed",
        )
    return Verification(reached - start.position, True)


def _broken(stored: Stored, previous: str, head: Head) -> str:
    if stored.previous_hash != previous:
        return (
            "the previous hash doesn't match the event before; one of the two was replaced"
            if stored.position > 1
            else "the previous hash of the first event isn't the one that every log begins with"
        )
    if stored.hash != event_hash(stored):
        return "the hash doesn't match; payload or envelope were changed after the event was appended"
    if stored.position > head.position:
        return f"the event isn't known to the head of the log, which is {head.position}; it wasn't appended properly"
    if stored.position == head.position and stored.hash != head.hash:
        return "the hash isn't the one in the head of the log; the last event was replaced"
    return ""
