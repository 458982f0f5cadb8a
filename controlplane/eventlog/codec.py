"""How events and rows become text and text becomes events: canonical JSON, and the hash that links the log."""

import hashlib
import json
import math
from datetime import datetime
from typing import Any, NamedTuple, TypeVar, get_args
from uuid import UUID

import msgspec
from pydantic import BaseModel, ValidationError

from controlplane.eventlog.errors import UnreadableEvent
from controlplane.eventlog.schema import from_text
from controlplane.model.events import Event
from controlplane.model.labels import printable
from controlplane.model.payloads import PAYLOAD, EventPayload, upcast

T = TypeVar("T", bound=BaseModel)

_TYPES = frozenset(kind.model_fields["type"].default for kind in get_args(get_args(EventPayload)[0]))


class Stored(NamedTuple):
    """An event as its row in the table: times are text, the payload is canonical JSON."""

    position: int
    id: str
    stream: str
    version: int
    type: str
    occurred_at: str
    recorded_at: str
    actor: str
    correlation: str
    cause: str | None
    payload: str
    previous_hash: str
    hash: str = ""


def encode(model: BaseModel) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII alone; NaN and ±Infinity are the strings that pydantic reads."""
    # Not mode="json", which replaces lone surrogates in keys.
    data = model.model_dump(by_alias=True)
    try:
        return _canonical(data)
    except ValueError:
        return _canonical(_finite(data))


def decode(model: type[T], text: str, where: str) -> T:
    """The inverse of `encode`; UnreadableEvent names `where` if the text doesn't fit."""
    try:
        return model.model_validate(_parsed(text))
    except (ValidationError, ValueError) as error:
        raise UnreadableEvent(f"{where} can't be read: {_first(error)}. Rebuild the projections") from None


def decode_payload(text: str, where: str) -> EventPayload:
    """A payload, lifted to the version that the code knows; UnreadableEvent names `where` and the type."""
    try:
        data = upcast(_parsed(text))
        kind = data.get("type")
        if kind not in _TYPES:
            raise UnreadableEvent(
                f"{where} has the type {printable(str(kind))!r}, which this version doesn't know. "
                "A newer version wrote it: upgrade this one"
            )
        return PAYLOAD.validate_python(data)
    except (ValidationError, ValueError, AttributeError) as error:
        raise UnreadableEvent(
            f"{where} can't be read: {_first(error)}. "
            "Run `controlplane events verify`; if the log is intact, another version wrote it"
        ) from None


def to_event(stored: Stored, payload: EventPayload | None = None) -> Event:
    """The event of a row; `payload` saves decoding it again."""
    # The columns have been checked as they were written, and the payload is checked here.
    return Event.model_construct(
        position=stored.position,
        id=UUID(stored.id),
        stream=stored.stream,
        version=stored.version,
        type=stored.type,
        occurred_at=from_text(stored.occurred_at),
        recorded_at=from_text(stored.recorded_at),
        actor=stored.actor,
        correlation=stored.correlation,
        cause=None if stored.cause is None else UUID(stored.cause),
        payload=payload or decode_payload(stored.payload, f"the event at position {stored.position}"),
        previous_hash=stored.previous_hash,
        hash=stored.hash,
    )


def document(stored: Stored, *, with_hash: bool = True) -> str:
    """The whole event as one canonical JSON document; its hash is the sha256 of the document without `hash`."""
    before, after = _around(stored, with_hash)
    return f"{before}{stored.payload}{after}"


def parse_document(text: str) -> Stored:
    """The inverse of `document` with the hash; ValueError where the text isn't exactly such a document."""
    try:
        data = json.loads(text)
        found = Stored(payload="", **{name: data[name] for name in Stored._fields if name != "payload"})
        before, after = _around(found, with_hash=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("the line is no event") from None
    # All around the payload is known; it stays as it was written.
    if not (text.startswith(before) and text.endswith(after)):
        raise ValueError("the line isn't written as an event is")
    return found._replace(payload=text[len(before) : len(text) - len(after)])


def _around(stored: Stored, with_hash: bool) -> tuple[str, str]:
    """The document before and after the payload, which is canonical already and whose key stands between the two."""
    # Every event is written so several times: a dictionary that is sorted by json takes three times as long.
    cause = "null" if stored.cause is None else _quoted(stored.cause)
    own = f'"hash":{_quoted(stored.hash)},' if with_hash else ""
    before = (
        f'{{"actor":{_quoted(stored.actor)},"cause":{cause},"correlation":{_quoted(stored.correlation)},{own}'
        f'"id":{_quoted(stored.id)},"occurred_at":{_quoted(stored.occurred_at)},"payload":'
    )
    after = (
        f',"position":{stored.position},"previous_hash":{_quoted(stored.previous_hash)},'
        f'"recorded_at":{_quoted(stored.recorded_at)},"stream":{_quoted(stored.stream)},'
        f'"type":{_quoted(stored.type)},"version":{stored.version}}}'
    )
    return before, after


def event_hash(stored: Stored) -> str:
    """sha256 of the document, which holds the previous event's hash: the link of the chain."""
    return hashlib.sha256(document(stored, with_hash=False).encode()).hexdigest()


def _parsed(text: str) -> Any:
    """The same as `json.loads`, in a third of the time."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):  # a lone surrogate, or what is no JSON: json says where
        return json.loads(text)


def _canonical(data: Any) -> str:
    return _ENCODER.encode(data)


def _plain(value: object) -> str:
    """What json has no form for; money, durations and enumerations are text already."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no canonical form")


_DECODER = msgspec.json.Decoder()
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_plain)
_quoted = json.encoder.encode_basestring_ascii
"""A text as json writes it; TypeError for anything else."""


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return "NaN" if math.isnan(data) else "Infinity" if data > 0 else "-Infinity"
    return data


def _first(error: Exception) -> str:
    """The first finding of a validation, for people."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return printable(f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}")
    return printable(str(error))
