"""The daily digest in its time: queued once for each local day, in one transaction with the note that it was."""

import logging
from datetime import date, datetime
from zoneinfo import ZoneInfo

from controlplane.digest.make import make
from controlplane.digest.schedule import Due, due
from controlplane.digest.words import words
from controlplane.eventlog.errors import ConcurrencyError
from controlplane.eventlog.log import EventLog
from controlplane.model.digest import Digest
from controlplane.model.events import Draft
from controlplane.model.labels import short_hash
from controlplane.model.notifications import Action, Message, Subject
from controlplane.model.payloads import DigestQueued, NotificationQueued, TickCompleted
from controlplane.model.severity import Severity
from controlplane.model.time import from_ms, on_grid, to_ms
from controlplane.notify.decide import delivery
from controlplane.notify.routing import told_digest
from controlplane.tick.gather import Place, gather
from controlplane.tick.plane import ControlPlane

_log = logging.getLogger(__name__)

STREAM = "digest"
_TICKED = {TickCompleted.model_fields["type"].default}


def queue_digest(plane: ControlPlane, now: datetime) -> list[DigestQueued]:
    """Queue the digest that is due, and note the days that are left out; what was noted, the newest last."""
    settings = plane.notify.digest
    if settings is None:
        return []
    version = plane.log.versions([STREAM])[STREAM]
    newest = next(plane.log.read(stream=STREAM, newest_first=True, limit=1), None)
    last = newest.payload.day if newest is not None and isinstance(newest.payload, DigestQueued) else None
    zone = ZoneInfo(settings.location)
    done = []
    known = None if last is None else date.fromisoformat(last)
    for one in due(now, settings.at, zone, known, _began(plane.log)):
        noted, drafts = _drafts(plane, one, now)
        try:
            plane.log.append(drafts, recorded_at=now, expected={STREAM: version})
        except ConcurrencyError:
            break  # another process was first
        version += 1
        done.append(noted)
    return done


def _began(log: EventLog) -> datetime | None:
    """When the control plane first ticked; the beginning of time where that is archived."""
    if log.start():
        return from_ms(0)
    first = next(log.read(types=_TICKED, limit=1), None)
    return first.occurred_at if first is not None else None


def _drafts(plane: ControlPlane, one: Due, now: datetime) -> tuple[DigestQueued, list[Draft]]:
    at = from_ms(on_grid(to_ms(now), plane.step_ms))
    to, reason = told_digest(plane.tree, plane.notify.times, plane.schemes, at)
    reason = one.skipped or reason
    queued: list[Draft] = []
    if not reason:
        try:
            message = digest_message(_digest(plane, one, now), at)
        except Exception as error:  # noqa: BLE001 - a defect here must cost neither the tick nor its pages
            _log.exception("the digest of %s failed", one.day)
            reason = f"a defect of the control plane: {type(error).__name__}: {error}"
        else:
            for name in to:
                row = delivery(at, name, message)
                payload = NotificationQueued(delivery=row)
                queued.append(Draft(stream=f"delivery:{row.id}", key=str(one.day), payload=payload, occurred_at=at))
    noted = DigestQueued(
        day=str(one.day), start=one.start, end=one.end, channels=() if reason else tuple(to), reason=reason
    )
    return noted, [Draft(stream=STREAM, key=str(one.day), payload=noted, occurred_at=at), *queued]


def _digest(plane: ControlPlane, one: Due, now: datetime) -> Digest:
    settings = plane.notify.digest
    place = Place(plane.environment, settings.location if settings else "UTC", plane.placed, plane.prices)
    return make(gather(plane.log, place, one.start, one.end, now))


def digest_message(digest: Digest, at: datetime) -> Message:
    """The message that carries a digest; at a pager its page ends as soon as it was taken."""
    name = short_hash("digest", digest.environment, digest.start.isoformat(), digest.end.isoformat())
    return Message(
        action=Action.TRIGGER,
        subject=Subject.DIGEST,
        incident=name,
        episode=name,
        dedup_key=name,
        superseded=(name,),
        title="Daily digest",
        severity=Severity.INFO,
        platform="controlplane",
        component="digest",
        rule="digest",
        started_at=digest.start,
        at=at,
        members=(),
        firing=0,
        resolved=0,
        note=words(digest).lead,
        environment=digest.environment,
        digest=digest,
    )
