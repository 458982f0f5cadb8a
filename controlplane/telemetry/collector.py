"""What every collector of samples offers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple, Protocol

from controlplane.frames import Samples
from controlplane.model.errors import ControlplaneError
from controlplane.model.time import Window


class SourceError(ControlplaneError):
    """A source gave no usable answer; nothing may be concluded from it. Says what to do about it."""

    def __init__(self, source: str, message: str, remedy: str = "") -> None:
        self.source = source
        self.message = message
        self.remedy = remedy
        super().__init__(f"{source}: {message}" + (f". {remedy}" if remedy else ""))


class SignalKey(NamedTuple):
    """A signal of a pack; the pack is "" where a source doesn't know it."""

    platform: str
    signal: str

    def __str__(self) -> str:
        return f"{self.platform}/{self.signal}"


@dataclass(frozen=True, slots=True)
class SignalFailure:
    """One signal that a source could not answer while others worked."""

    key: SignalKey
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source answered: samples with their coverage, failed signals, and the warnings it gave."""

    source: str
    samples: Samples
    failures: tuple[SignalFailure, ...] = ()
    warnings: tuple[str, ...] = field(default=())


class Collector(Protocol):
    """A source of samples."""

    name: str
    history: bool
    """Whether past steps can be asked for; without history only the newest one is answered."""
    lookback: timedelta
    """How far back the very first collection reaches."""
    max_catch_up: timedelta
    """The longest absence that is caught up; what is older is given up and recorded."""

    def signals(self) -> tuple[SignalKey, ...]:
        """The signals that `collect` may be asked for."""
        ...

    def check(self) -> list[str]:
        """Try it out without collecting; what is worth knowing, SourceError where it doesn't work at all."""
        ...

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        """Fetch each signal on the grid steps of its window; SourceError where the source as a whole fails.

        A source without history answers for the last step only and covers only that one.
        """
        ...
