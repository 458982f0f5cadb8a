"""The log as JSON lines, for other tools and for keeping.

Each line is one canonical JSON document with everything of an event. Whoever removes `hash` from it and writes it
again with sorted keys, without spaces and in ASCII has the text whose sha256 is that hash.
"""

from collections.abc import Collection, Iterator

from controlplane.eventlog.codec import document
from controlplane.eventlog.log import EventLog


def json_lines(
    log: EventLog,
    *,
    after: int = 0,
    until: int | None = None,
    types: Collection[str] | None = None,
    stream: str | None = None,
) -> Iterator[str]:
    """One line (without line end) an event in position order, also for types that this version doesn't know."""
    return (document(stored) for stored in log.stored(after=after, until=until, types=types, stream=stream))
