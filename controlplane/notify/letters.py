"""Dead letters: somebody is told by another channel, once for all of a channel, and of the end of it.

What was told is in the stream `dead-letters:<channel>` of the event log: the messages that were queued about it. They
are appended in the transaction of the dead letter itself, so that none is given up in silence.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from controlplane.model.events import Draft
from controlplane.model.labels import printable, short_hash
from controlplane.model.notifications import Action, Delivery, Member, Message, Subject
from controlplane.model.payloads import NotificationQueued, NotificationSuppressed
from controlplane.model.severity import Severity
from controlplane.model.views import DeliveryRecord, DeliveryState
from controlplane.notify.incident import RANK, cut

AGAIN = timedelta(hours=4)
"""How long until further dead letters of a channel are told again: the repeat_interval of Alertmanager."""
CALM = timedelta(hours=1)
"""So long after the last dead letter a message that gets through is the end of it (house)."""
LISTED = 5
RULE = "dead-letters"
LABELS = {
    "kind": Subject.SELF.value,
    "severity": Severity.CRITICAL.value,
    "platform": "controlplane",
    "component": "notify",
    "rule": RULE,
    "title": "Messages are given up",
}
"""What routes see of it."""


class Log(Protocol):
    """What is read of the event log."""

    def read(self, *, stream: str | None = None, newest_first: bool = False, limit: int | None = None) -> Iterable[Any]:
        """Events of a stream."""

    def rows(self, projection: Any) -> Mapping[str, Any]:
        """Every row of a projection by key."""

    def row(self, projection: Any, key: str) -> Any | None:
        """One row of a projection."""


@dataclass(frozen=True)
class Letters:
    """Says what is queued because of a dead letter, or because of a message that gets through after one."""

    log: Log
    deliveries: Any
    """The projection of DeliveryRecord by id."""
    tell: Sequence[str]
    """Channels to tell, the preferred one first."""
    usable: Collection[str]
    """Those of them that can be sent to."""
    environment: str = ""

    def given_up(self, letter: Delivery, error: str, cause: Draft) -> list[Draft]:
        """What tells somebody of a dead letter: a message to another channel, or nothing where it was told already.

        A message about dead letters that is itself given up is told to nobody: that could go on for ever.
        """
        if letter.message.subject is Subject.SELF:
            return []
        at = cause.occurred_at
        last = self._last(letter.channel)
        severity = letter.message.severity
        open_ = last is not None and last.message.action is Action.TRIGGER and not self._dead(last)
        if last is not None and open_:
            known = last.message.severity
            if at - last.queued_at < AGAIN and RANK[known] <= RANK[severity]:
                return []
            severity = min(severity, known, key=RANK.__getitem__)
        to = self._channel(letter.channel, last, open_)
        if to is None:
            why = f"nobody is told that messages to {letter.channel} are given up: no other channel can be sent to"
            suppressed = NotificationSuppressed(incident=_incident(letter.channel), channel="", reason=why)
            return [self._draft(letter.channel, f"{letter.id}/{letter.turn}", suppressed, at, cause)]
        began = last.message if last is not None and open_ else None
        rows = self._rows(letter.channel)
        earlier = sorted((row for row in rows if row.id != letter.id), key=lambda row: row.at, reverse=True)
        since = [row for row in earlier if began is not None and row.at >= began.started_at]
        members = [_member(letter, error, at), *(_earlier(row) for row in since[: LISTED - 1])]
        message = Message(
            action=Action.TRIGGER,
            subject=Subject.SELF,
            incident=_incident(letter.channel),
            episode=began.episode if began is not None else letter.id,
            dedup_key=_key(letter.channel, began.episode if began is not None else letter.id),
            title=f"Messages to {letter.channel} are given up",
            severity=severity,
            platform=LABELS["platform"],
            component=LABELS["component"],
            rule=RULE,
            started_at=began.started_at if began is not None else at,
            at=at,
            members=tuple(members),
            firing=len(since) + 1,
            resolved=0,
            note=_REMEDY,
            environment=self.environment,
        )
        return [self._queued(letter.channel, to, message, f"{letter.id}/{letter.turn}", cause)]

    def got_through(self, delivery: Delivery, cause: Draft) -> list[Draft]:
        """What tells the end of it when a message gets through, and the dead letters were sent again or are old."""
        if delivery.message.subject is Subject.SELF:
            return []
        last = self._last(delivery.channel)
        if last is None or last.message.action is not Action.TRIGGER:
            return []
        at = cause.occurred_at
        if any(at - row.at < CALM for row in self._rows(delivery.channel)):
            return []
        told = last.message
        message = told.model_copy(
            update={"action": Action.RESOLVE, "at": at, "members": (), "firing": 0, "resolved": told.firing, "note": ""}
        )
        return [self._queued(delivery.channel, last.channel, message, f"{delivery.id}/{delivery.turn}", cause)]

    def _channel(self, dead: str, last: Delivery | None, open_: bool) -> str | None:
        found = [name for name in self.tell if name != dead and name in self.usable]
        if last is not None and last.channel in found:
            if open_:
                return last.channel
            if self._dead(last):
                # It gave up the last message of this kind: any other is a better choice.
                found = [*(name for name in found if name != last.channel), last.channel]
        whole = [name for name in found if not self._troubled(name)]
        return next(iter([*whole, *found]), None)

    def _troubled(self, channel: str) -> bool:
        """Whether it has dead letters of its own."""
        last = self._last(channel)
        return last is not None and last.message.action is Action.TRIGGER

    def _last(self, channel: str) -> Delivery | None:
        """The newest message about dead letters of the channel."""
        for event in self.log.read(stream=f"dead-letters:{channel}", newest_first=True, limit=1):
            if isinstance(event.payload, NotificationQueued):
                return event.payload.delivery
        return None

    def _dead(self, delivery: Delivery) -> bool:
        row = self.log.row(self.deliveries, delivery.id)
        return row is not None and row.state is DeliveryState.DEAD

    def _rows(self, channel: str) -> list[DeliveryRecord]:
        rows = self.log.rows(self.deliveries).values()
        return [row for row in rows if row.channel == channel and row.state is DeliveryState.DEAD]

    def _queued(self, of: str, to: str, message: Message, key: str, cause: Draft) -> Draft:
        at = message.at
        delivery = Delivery(
            id=short_hash("delivery", message.incident, key, message.action.value, to),
            channel=to,
            lane=f"{message.incident}/{to}",
            message=message,
            queued_at=at,
            next_attempt_at=at,
        )
        return self._draft(of, f"{message.action.value}/{key}", NotificationQueued(delivery=delivery), at, cause)

    def _draft(
        self, of: str, key: str, payload: NotificationQueued | NotificationSuppressed, at: datetime, cause: Draft
    ) -> Draft:
        return Draft(stream=f"dead-letters:{of}", key=key, payload=payload, occurred_at=at, cause=cause.id)


_REMEDY = "See `controlplane notify dead-letters`; once the channel works, `controlplane notify retry --all` sends them"


def _incident(channel: str) -> str:
    return short_hash(RULE, channel)


def _key(channel: str, episode: str) -> str:
    return hashlib.sha256(f"{_incident(channel)}|{episode}".encode()).hexdigest()


def _member(letter: Delivery, error: str, at: datetime) -> Member:
    said = letter.message
    return _told(letter.id, f"{said.severity.upper()} {said.action.value} “{said.title}”: {error}", at, said.incident)


def _earlier(row: DeliveryRecord) -> Member:
    return _told(row.id, f"{row.severity.upper()} {row.action.value} “{row.title}”: {row.error}", row.at, row.incident)


def _told(name: str, summary: str, at: datetime, incident: str) -> Member:
    return Member(
        alert=name,
        labels={"incident": incident},
        summary=cut(printable(summary, 400)),
        value=None,
        threshold="",
        unit="",
        active_at=at,
        firing=True,
    )
