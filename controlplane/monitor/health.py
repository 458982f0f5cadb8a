"""Is it well? The verdict behind `/healthz`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import TICK
from controlplane.model.errors import ControlplaneError
from controlplane.model.time import human_duration
from controlplane.settings import Settings

AHEAD = timedelta(seconds=5)
"""A tick may lie so far in the future, by the clocks of two machines."""
_MAGIC = b"DUCK"
_MAGIC_AT = 8


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict, and why where it is bad."""

    reasons: tuple[str, ...]
    last_tick: datetime | None
    age: timedelta | None
    """Of the last tick."""

    @property
    def ok(self) -> bool:
        """Whether ticks are done and the stores are there."""
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a document."""
        return {
            "ok": self.ok,
            "reasons": list(self.reasons),
            "last_tick": None if self.last_tick is None else self.last_tick.isoformat().replace("+00:00", "Z"),
            "age_seconds": None if self.age is None else round(self.age.total_seconds(), 3),
        }


def health(settings: Settings, log: EventLog | ControlplaneError, now: datetime) -> Health:
    """The verdict at `now`: the last tick is younger than `serve.late_steps` steps, and both stores are usable.

    `log` is the error where the event log couldn't be opened. The telemetry file is looked at, not opened.
    """
    reasons = []
    last: datetime | None = None
    try:
        if isinstance(log, ControlplaneError):
            raise log
        row = log.row(TICK, "tick")
        last = None if row is None else row.now
        if last is None:
            reasons.append("there has been no tick yet")
    except ControlplaneError as error:
        reasons.append(f"event log: {error}")
    age = None if last is None else now - last
    if age is not None and age >= settings.serve.late_steps * settings.step:
        reasons.append(f"the last tick was {human_duration(age)} ago")
    if age is not None and age < -AHEAD:
        reasons.append(f"the last tick lies {human_duration(-age)} in the future")
    if problem := telemetry_problem(settings.home / "telemetry.duckdb", needed=last is not None):
        reasons.append(f"telemetry: {problem}")
    return Health(tuple(reasons), last, age)


def telemetry_problem(path: Path, *, needed: bool) -> str:
    """What is wrong with the telemetry file, by its first bytes; empty where nothing is."""
    try:
        with path.open("rb") as file:
            start = file.read(_MAGIC_AT + len(_MAGIC))
    except FileNotFoundError:
        return f"{path.name} is gone" if needed else ""
    except OSError as error:
        return f"{path.name} can't be read: {error.strerror}"
    return "" if start[_MAGIC_AT:] == _MAGIC else f"{path.name} isn't a telemetry file"
