"""Files of archived events: gzip JSON lines as `export.json_lines` writes them, with the hash chain inside."""

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from controlplane.eventlog.codec import Stored, document, event_hash, parse_document
from controlplane.eventlog.errors import EventStoreError
from controlplane.eventlog.verify import Head

_NAME = re.compile(r"events-([1-9]\d{0,17})-([1-9]\d{0,17})\.jsonl\.gz")
_COMPRESSION = 6
_LONGEST_LINE = 256_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """The events in [first, last]; `before` is the link that they hang on, `hash` that of the last one."""

    before: Head
    last: int
    hash: str

    @property
    def first(self) -> int:
        """Position of the first event."""
        return self.before.position + 1

    @property
    def end(self) -> Head:
        """The link for the next stretch."""
        return Head(self.last, self.hash)

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"events-{self.first}-{self.last}.jsonl.gz"


class BrokenArchive(EventStoreError):
    """A file of archived events that isn't there or isn't what was archived; `position` is the first wrong event."""

    def __init__(self, path: Path, position: int, problem: str) -> None:
        super().__init__(f"{path.name}, position {position}: {problem}")
        self.position = position


def lasts(folder: Path, first: int) -> list[int]:
    """Last positions of the files that begin with `first`, greatest first."""
    found = (_NAME.fullmatch(path.name) for path in folder.glob(f"events-{first}-*.jsonl.gz"))
    return sorted((int(match[2]) for match in found if match), reverse=True)


def write(path: Path, events: Iterable[Stored]) -> None:
    """Write the events to a file for its owner alone, durably; the same events always give the same bytes."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=raw, mtime=0) as packed:
            for stored in events:
                packed.write(f"{document(stored)}\n".encode("ascii"))
        raw.flush()
        os.fsync(raw.fileno())


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    temporary.replace(path)
    for folder in (path.parent, path.parent.parent):  # the folder itself may be new
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path, stretch: Stretch) -> Iterator[Stored]:
    """The events of a file, each after its link was checked; BrokenArchive names the first one that isn't right."""
    reached, previous = stretch.before.position, stretch.before.hash
    good: Stored | None = None  # the last event isn't given out before the end of the file was seen
    lines = _lines(path)
    while True:
        expected = reached + 1
        try:
            line = next(lines, None)
            if line is None:
                break
            stored = parse_document(line)
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise BrokenArchive(path, min(expected, stretch.last), _reason(error)) from None
        problem = _broken(stored, expected, previous, stretch)
        if problem:
            raise BrokenArchive(path, min(expected, stretch.last), problem)
        if good is not None:
            yield good
        good, reached, previous = stored, expected, stored.hash
    if reached < stretch.last:
        raise BrokenArchive(path, reached + 1, "is missing; the end of the file was removed")
    if good is not None:
        yield good


def _broken(stored: Stored, expected: int, previous: str, stretch: Stretch) -> str:
    if expected > stretch.last:
        return "events follow that weren't archived in this file"
    if stored.position != expected:
        return "is missing"
    if stored.previous_hash != previous:
        return "the previous hash doesn't match the event before; one of the two was replaced"
    if stored.hash != event_hash(stored):
        return "the hash doesn't match; the event was changed"
    if expected == stretch.last and stored.hash != stretch.hash:
        return "the hash isn't the one that the log has of the last archived event"
    return ""


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rb") as packed:
        while line := packed.readline(_LONGEST_LINE):
            if not line.endswith(b"\n"):
                raise ValueError("a line has no end")
            yield line[:-1].decode("ascii")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file isn't there; put it back"
    if isinstance(error, UnicodeDecodeError):
        return "the line is no event"
    if isinstance(error, OSError) and error.strerror:
        return f"the file can't be read: {error.strerror}"
    return str(error) if type(error) is ValueError else f"the file is damaged: {error}"
