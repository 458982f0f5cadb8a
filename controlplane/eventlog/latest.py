"""Readings as text: written compactly, the newest value read at once, the history when somebody looks at it."""

import math
from datetime import datetime

import msgspec

from controlplane.eventlog.errors import UnreadableEvent
from controlplane.model.alerts import Reading
from controlplane.model.labels import printable

Number = float | str | None
"""A string is NaN or ±Infinity, for which JSON has no number."""


class _Head(msgspec.Struct):
    """What is decoded at once; the rest of the document is skipped."""

    at: datetime
    value: Number


class _Document(msgspec.Struct, omit_defaults=True):
    """A stored reading; its alert is the key of the row, and bytes are base64."""

    at: datetime
    value: Number
    ages: bytes = b""
    numbers: bytes = b""
    history: list[tuple[int, Number]] = msgspec.field(default_factory=list)
    """(epoch ms, value), as readings were written before they were packed."""


_HEAD = msgspec.json.Decoder(_Head)
_DOCUMENT = msgspec.json.Decoder(_Document)
_ENCODER = msgspec.json.Encoder()


class LatestReading(msgspec.Struct, frozen=True, gc=False):
    """The newest value of the signal behind an alert; decoding all histories of many alerts would take seconds."""

    alert: str
    at: datetime
    value: float | None
    document: str

    @property
    def history(self) -> tuple[tuple[int, float | None], ...]:
        """(epoch ms, value), oldest first; decoded anew at each call. UnreadableEvent where it isn't a reading."""
        return decode_reading(self.alert, self.document).history


def encode_reading(reading: Reading) -> str:
    """The document of a reading."""
    written = _Document(reading.at, _written(reading.value), reading.ages, reading.numbers)
    return _ENCODER.encode(written).decode()


def decode_reading(alert: str, document: str) -> Reading:
    """The inverse of `encode_reading`; UnreadableEvent where it isn't a reading."""
    try:
        found = _DOCUMENT.decode(document)
        value = _number(found.value)
        if found.history:
            return Reading.of(alert, found.at, value, [(ms, _number(number)) for ms, number in found.history])
    except (msgspec.MsgspecError, ValueError) as error:
        raise _unreadable(alert, str(error)) from None
    if found.at.tzinfo is None or 2 * len(found.ages) != len(found.numbers) or len(found.ages) % 4:
        raise _unreadable(alert, "its parts don't fit together")
    return Reading(alert, found.at, value, found.ages, found.numbers)


def latest(alert: str, document: str) -> LatestReading:
    """The newest value of a stored reading; UnreadableEvent where it isn't one."""
    try:
        head = _HEAD.decode(document)
        value = _number(head.value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _unreadable(alert, str(error)) from None
    if head.at.tzinfo is None:
        raise _unreadable(alert, "its time has no zone")
    return LatestReading(alert, head.at, value, document)


def _written(value: float | None) -> Number:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _number(value: Number) -> float | None:
    return float(value) if isinstance(value, str) else value


def _unreadable(alert: str, why: str) -> UnreadableEvent:
    return UnreadableEvent(
        f"the reading of alert {printable(alert)} can't be read: {printable(why)}. The next tick writes it anew"
    )
