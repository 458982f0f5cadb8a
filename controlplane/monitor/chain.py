"""The verdict on the hash chain: what came since the last look after each tick, the whole log now and then."""

import logging
from datetime import datetime
from pathlib import Path

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.verify import Verification
from controlplane.model.labels import printable
from controlplane.monitor.vitals import ChainVitals, read, write

_log = logging.getLogger(__name__)

LINKS = 5_000
"""Links that one look verifies at most; the whole log is verified by maintenance and `controlplane events verify`."""


def note_whole(home: Path, log: EventLog, verification: Verification, now: datetime) -> ChainVitals:
    """Note the verdict of a verification of the whole log, which also lifts an earlier one."""
    position = verification.position if verification.position is not None else log.start() + verification.checked
    known = read(home, ChainVitals)
    noted = ChainVitals(
        ok=verification.ok,
        at=now,
        position=position,
        hash=_hash_at(log, position) if verification.ok else "",
        problem=printable(verification.problem, 300),
        whole_at=now if verification.ok else known and known.whole_at,
    )
    _note(home, noted)
    return noted


def follow(home: Path, log: EventLog, now: datetime) -> ChainVitals:
    """Verify what was appended since the last look, at most LINKS, and that what was verified then is still there.

    A broken chain stays broken until the whole log is verified again.
    """
    known = read(home, ChainVitals)
    if known is not None and not known.ok:
        return known
    head, start = log.head(), log.start()
    problem, position = "", head
    if known is not None and known.hash and known.position > start:
        if known.position > head:
            problem = f"the log ends at {head}, but {known.position} events were verified before; its tail was removed"
        elif _hash_at(log, known.position) != known.hash:
            position = known.position
            problem = f"position {position}: the event was replaced after it was verified"
    if not problem and head > start:
        before = known.position if known is not None else 0
        verification = log.verify(newest=min(max(head - before, 1), LINKS))
        if not verification.ok:
            problem, position = verification.problem, verification.position or head
    noted = ChainVitals(
        ok=not problem,
        at=now,
        position=position,
        hash=_hash_at(log, position) if not problem else "",
        problem=printable(problem, 300),
        whole_at=known and known.whole_at,
    )
    _note(home, noted)
    return noted


def _note(home: Path, noted: ChainVitals) -> None:
    try:
        write(home, noted)
    except OSError as error:
        _log.warning("the verdict on the hash chain can't be noted in %s: %s", home, error.strerror)


def _hash_at(log: EventLog, position: int) -> str:
    found = next(log.stored(after=position - 1, until=position), None)
    return found.hash if found is not None else ""
