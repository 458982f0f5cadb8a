"""Events: every decision and every outside fact the control plane acted on, before and after it is appended."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid5

from pydantic import Field

from controlplane.model.base import Instant, Model
from controlplane.model.labels import short_hash
from controlplane.model.payloads import EventPayload
from controlplane.model.time import to_ms

NAMESPACE = UUID("6f1f2a52-6a0c-5f0e-9a51-1f6f0c0e7f10")


class Draft(Model):
    """An event before it is appended: its id is derived from its cause, so that the same decision is the same event.

    `key` tells apart events of one type in one stream, usually the step in epoch ms.
    """

    stream: str = Field(min_length=1, max_length=300)
    key: str
    payload: EventPayload
    occurred_at: Instant
    actor: str = "controlplane"
    correlation: str = ""
    """The tick or command that this belongs to."""
    cause: UUID | None = None

    @property
    def id(self) -> UUID:
        """uuid5 of type, stream and key."""
        return _named(self.payload.type, self.stream, self.key)


@lru_cache(maxsize=50_000)
def _named(kind: str, stream: str, key: str) -> UUID:
    # A draft is asked for its id several times, and a storm has many thousands of drafts.
    name = "\x1f".join((kind, stream, key))
    return uuid5(NAMESPACE, name.encode("utf-8", "backslashreplace").decode())  # a lone surrogate isn't UTF-8


def observation(
    stream: str, payload: EventPayload, at: datetime, *, correlation: str = "", cause: UUID | None = None
) -> Draft:
    """A draft of something that may be found in several ways at one step, such as what a source answered.

    Its key is the step and the payload: the same finding is the same event, another one is another event.
    """
    key = f"{to_ms(at)}/{short_hash(payload.model_dump_json())}"
    return Draft(stream=stream, key=key, payload=payload, occurred_at=at, correlation=correlation, cause=cause)


class Event(Model):
    """An event as the log holds it."""

    position: int
    id: UUID
    stream: str
    version: int
    """Counts from 1 within the stream."""
    type: str
    occurred_at: Instant
    """Telemetry time."""
    recorded_at: Instant
    actor: str
    correlation: str
    cause: UUID | None
    payload: EventPayload
    previous_hash: str
    hash: str
