"""The fold behind messages about recommendations: which of them somebody was told of, and where."""

from typing import Any

from controlplane.model.events import Event
from controlplane.model.notifications import Action, Subject
from controlplane.model.payloads import NotificationQueued, NotificationSuppressed
from controlplane.model.views import AdviceTold

SUBJECTS = frozenset({Subject.RECOMMENDATION, Subject.FAILOVER})
TOLD = (NotificationQueued, NotificationSuppressed)


def advised_key(payload: Any) -> str | None:
    """The recommendation's id; None for what isn't about one. A suppression names what it is about as its incident."""
    if isinstance(payload, NotificationQueued):
        message = payload.delivery.message
        return message.incident if message.subject in SUBJECTS else None
    return None if payload.delivery else payload.incident or None


def fold_advised(row: AdviceTold | None, event: Event) -> AdviceTold | None:
    """A recommendation that somebody was told of, until the end of it was told as well."""
    match event.payload:
        case NotificationQueued(delivery=delivery):
            message = delivery.message
            if message.action is Action.RESOLVE:
                return None
            before = row.channels if row else ()
            return AdviceTold(
                recommendation=message.incident,
                version=message.advice[0].version if message.advice else 0,
                channels=(*before, *({delivery.channel} - set(before))),
                message=message.model_copy(update={"members": (), "advice": message.advice[:1]}),
            )
        case NotificationSuppressed():
            return row and row.model_copy(update={"owed": True})
    return row
