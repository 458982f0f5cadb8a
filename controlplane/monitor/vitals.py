"""What a control plane knows of itself beside the log: files in `<home>/vitals`, each replaced as a whole.

How long a tick took or whether a heartbeat got through differs from run to run, so it is no event; no decision reads it
but as a sample that was stored first.
"""

import os
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from controlplane.model.base import Instant, Model

M = TypeVar("M", bound=Model)


class TickVitals(Model):
    """The last tick that was completed."""

    now: Instant
    """Telemetry time that it was for."""
    at: Instant
    """When it was done, by this machine's clock."""
    seconds: float
    """From its begin to the last message that it sent."""


class ChainVitals(Model):
    """The last verification of the hash chain."""

    ok: bool
    at: Instant
    position: int
    """The log is verified up to here, or the first broken link."""
    hash: str = ""
    """Of the event there."""
    problem: str = ""
    whole_at: Instant | None = None
    """When the whole log was last verified and held."""


class ClockReading(Model):
    """How far a source's clock is ahead of this machine's; negative where it is behind."""

    at: Instant
    seconds: float


class ClockVitals(Model):
    """Clocks of the sources that tell theirs, by name."""

    sources: dict[str, ClockReading] = Field(default_factory=dict)


class Beat(Model):
    """The last heartbeat to one address."""

    at: Instant
    """When it was last sent or withheld."""
    ok: bool
    error: str = ""
    """Why it failed or was withheld."""
    delivered_at: Instant | None = None
    sent: int = 0
    failed: int = 0


class BeatVitals(Model):
    """Heartbeats by name."""

    beats: dict[str, Beat] = Field(default_factory=dict)


class Received(Model):
    """Requests to one endpoint of the receiver."""

    outcomes: dict[str, int] = Field(default_factory=dict)
    """How many were `taken`, `ignored`, `unsigned` (a signature that isn't right), `invalid` or `failed`."""
    at: Instant | None = None
    """When the last one with a good signature came."""
    unsigned_at: Instant | None = None
    """When the last one without came."""


class ReceiveVitals(Model):
    """What the receiver was sent, by endpoint."""

    endpoints: dict[str, Received] = Field(default_factory=dict)


_FILES: dict[type[Model], str] = {
    TickVitals: "tick.json",
    ChainVitals: "chain.json",
    ClockVitals: "clocks.json",
    BeatVitals: "heartbeats.json",
    ReceiveVitals: "received.json",
}


def read(home: Path, model: type[M]) -> M | None:
    """What was last noted; None where nothing was, or where it can't be read any more."""
    try:
        return model.model_validate_json((home / "vitals" / _FILES[model]).read_bytes())
    except (OSError, ValidationError):
        return None


def write(home: Path, noted: Model) -> None:
    """Replace what was noted; a reader sees the old or the new. OSError where the folder can't be written."""
    path = home / "vitals" / _FILES[type(noted)]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(noted.model_dump_json())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
