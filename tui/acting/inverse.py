"""What takes a command back."""

from dataclasses import replace
from datetime import datetime

from tui.commands import Command, Kind, holding, superseded
from tui.data import Snapshot

_STAYS = {
    Kind.NOTE: "A note stays; write another one that corrects it.",
    Kind.EXECUTED: "That it was done stays; a note can say what is different.",
    Kind.REOPEN: "Decide anew: A approves, X rejects.",
}


def inverse(command: Command, snapshot: Snapshot, actor: str, now: datetime) -> Command | str:
    """The command that takes another one back, or why there is none: what others have done since is theirs."""
    if command.kind in _STAYS:
        return _STAYS[command.kind]
    if command.kind in (Kind.ACKNOWLEDGE, Kind.UNDO):
        other = Kind.UNDO if command.kind is Kind.ACKNOWLEDGE else Kind.ACKNOWLEDGE
        back = replace(command, kind=other, held=holding(Kind.ACKNOWLEDGE, actor))
        return superseded(back, snapshot.by_id.get(command.subject)) or back
    if command.kind in (Kind.APPROVE, Kind.REJECT):
        back = replace(command, kind=Kind.REOPEN, note="", held=holding(command.kind, actor))
        known = snapshot.advice_by_id.get(command.subject)
        return superseded(back, None if known is None else known.recommendation) or back
    silence = command.silence
    assert silence is not None
    subject = f"silence:{silence.id}"
    if command.kind is not Kind.END_SILENCE:
        return Command(Kind.END_SILENCE, subject, subject, command.title, silence=silence)
    if silence.ends_at <= now:
        return "Its time is over by now; make a new one."
    from controlplane.silencing import named  # it brings the projections: not at the start

    again = silence.model_copy(
        update={
            "id": named(silence.matchers, actor, now, silence.id),
            "starts_at": max(silence.starts_at, now),
            "created_at": now,
            "author": actor,
            "ended_by": None,
        }
    )
    kind = Kind.MAINTENANCE if silence.kind == "maintenance" else Kind.SILENCE
    return Command(kind, f"silence:{again.id}", subject, command.title, silence=again)
