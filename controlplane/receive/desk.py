"""Takes an answer to a page in: reads what the log says, decides, and has it written as a whole."""

from collections.abc import Iterator
from datetime import datetime

from controlplane.eventlog.errors import ConcurrencyError, EventStoreError
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, INCIDENTS
from controlplane.model.payloads import AcknowledgementWithdrawn, PageAnswered
from controlplane.operator import Operator, page_stream
from controlplane.receive.answers import Answer
from controlplane.receive.apply import Decided, Known, decide, page_of

_TRIES = 5
_BACK = frozenset({AcknowledgementWithdrawn.model_fields["type"].default})


class Busy(EventStoreError):
    """The alerts of the page changed whenever the answer was to be written; nothing was."""


def take(log: EventLog, answer: Answer, now: datetime) -> Decided:
    """Do what an answer asks for, and say what that was; a second time nothing.

    An error of the store means that the answer wasn't taken in: whoever sent it has to send it again.
    """
    incident, why = page_of(log.rows(INCIDENTS), answer.dedup_key)
    if incident is None:
        return Decided(why)
    for _ in range(_TRIES):
        try:
            return _once(log, answer, incident.id, now)
        except ConcurrencyError:
            continue
    raise Busy("the alerts of the page changed all the time")


def _once(log: EventLog, answer: Answer, incident_id: str, now: datetime) -> Decided:
    page = page_stream(answer.dedup_key)
    # Versions first, rows after them: what changes in between fails the append and is looked at anew.
    expected = log.versions((page, f"incident:{incident_id}"))
    row = log.row(INCIDENTS, incident_id)
    incident, why = page_of({incident_id: row} if row is not None else {}, answer.dedup_key)
    if incident is None:
        return Decided(why)
    versions = log.versions([f"alert:{name}" for name in incident.firing])
    rows = log.rows(ALERTS)
    known = Known(
        incident=incident,
        alerts={name: rows[name] for name in incident.firing if name in rows},
        withdrawn=_withdrawn(log, answer.at),
        answers=list(_answers(log, page)),
    )
    decided = decide(answer, known, now)
    operator = Operator(log)
    if decided.silence is not None:
        operator.silence(decided.silence)
    if decided.record is not None:
        changed = {stream: versions[stream] for stream in (f"alert:{one.alert}" for one in decided.changes)}
        operator.answered(decided.record, decided.changes, expected=expected | changed, now=now)
    return decided


def _answers(log: EventLog, page: str) -> Iterator[PageAnswered]:
    for event in log.read(stream=page):
        if isinstance(event.payload, PageAnswered):
            yield event.payload


def _withdrawn(log: EventLog, since: datetime) -> dict[str, datetime]:
    """Alerts that were given back since then, and when last."""
    found: dict[str, datetime] = {}
    for event in log.read(types=_BACK, newest_first=True):
        if event.recorded_at < since:
            break
        if isinstance(event.payload, AcknowledgementWithdrawn):
            found[event.payload.alert] = max(event.occurred_at, found.get(event.payload.alert, event.occurred_at))
    return found
