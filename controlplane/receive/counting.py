"""Counts of what was received, for metrics and the doctor."""

import threading
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from controlplane.monitor.vitals import Received, ReceiveVitals, read, write


class Outcome(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    """Somebody answered a page of ours."""
    IGNORED = "ignored"
    """It tells of something else, or of what was known or is over."""
    UNSIGNED = "unsigned"
    INVALID = "invalid"
    """Too large, too slow, or not of the documented form."""
    FAILED = "failed"
    """It has to be sent again."""


class Counts:
    """Counts on from what was noted in the home, also after a restart."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._endpoints = dict((read(home, ReceiveVitals) or ReceiveVitals()).endpoints)

    def add(self, endpoint: str, outcome: Outcome, now: datetime) -> None:
        """Count one request; a folder that can't be written loses the count, not the request."""
        with self._lock:
            known = self._endpoints.get(endpoint, Received())
            signed = outcome not in {Outcome.UNSIGNED, Outcome.INVALID}
            self._endpoints[endpoint] = Received(
                outcomes={**known.outcomes, outcome.value: known.outcomes.get(outcome.value, 0) + 1},
                at=now if signed else known.at,
                unsigned_at=now if outcome is Outcome.UNSIGNED else known.unsigned_at,
            )
            with suppress(OSError):
                write(self._home, ReceiveVitals(endpoints=self._endpoints))
