"""Readings for screens: the newest value at once, the history when somebody looks at it."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from controlplane.eventlog.codec import decode
from controlplane.model.alerts import Reading
from controlplane.model.labels import printable
from controlplane.model.time import Instant


class _Head(msgspec.Struct):
    """What is decoded at once; the rest of the document is skipped."""

    at: datetime
    value: float | str | None


@dataclass(frozen=True, slots=True)
class LatestReading:
    """The newest value of the signal behind an alert; decoding all histories of many alerts would take seconds."""

    alert: str
    at: Instant
    value: float | None
    document: str

    @property
    def history(self) -> tuple[tuple[int, float | None], ...]:
        """(epoch ms, value), oldest first; decoded anew at each call. UnreadableEvent where it isn't a reading."""
        return decode(Reading, self.document, _where(self.alert)).history


def latest(alert: str, document: str) -> LatestReading:
    """A stored reading; UnreadableEvent where it isn't one."""
    try:
        head = msgspec.json.decode(document, type=_Head)
    except msgspec.MsgspecError:
        return _thorough(alert, document)
    if isinstance(head.value, str) or head.at.tzinfo is None:
        return _thorough(alert, document)
    return LatestReading(alert, head.at, head.value, document)


def _thorough(alert: str, document: str) -> LatestReading:
    """By the strict way, which also knows NaN and names what is wrong."""
    reading = decode(Reading, document, _where(alert))
    return LatestReading(alert, reading.at, reading.value, document)


def _where(alert: str) -> str:
    return f"the reading of alert {printable(alert)}"
