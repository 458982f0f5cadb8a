"""The folds of who is on call and of what holds an escalation back."""

from typing import Any

from controlplane.model.events import Event
from controlplane.model.oncall import OnCall, Pause
from controlplane.model.payloads import EscalationPaused, EscalationResumed, IncidentChanged, OnCallChanged


def fold_on_call(row: OnCall | None, event: Event) -> OnCall | None:
    """Who is on call in a schedule; a gap has a row without people."""
    if isinstance(event.payload, OnCallChanged):
        return OnCall(**event.payload.model_dump(exclude={"type"}))
    return row


def fold_pause(row: Pause | None, event: Event) -> Pause | None:
    """A pause, until somebody ends it or its incident ends; whether it still holds, its own end says."""
    match event.payload:
        case EscalationPaused() as paused:
            return Pause(**paused.model_dump(exclude={"type"}))
        case EscalationResumed():
            return None
        case IncidentChanged(incident=incident):
            return row if incident.look_at is not None else None
    return row


def pause_key(payload: Any) -> str:
    """The incident's id."""
    return payload.incident.id if isinstance(payload, IncidentChanged) else str(payload.incident)
