"""What takes a command back."""

from dataclasses import replace
from datetime import datetime

from tui.commands import Command, Kind
from tui.data import Snapshot

_STAYS = {
    Kind.NOTE: "A note stays; write another one that corrects it.",
    Kind.EXECUTED: "That it was done stays; a note can say what is different.",
    Kind.REOPEN: "Decide anew: A approves, X rejects.",
}


def inverse(command: Command, snapshot: Snapshot, actor: str, now: datetime) -> Command | str:
    """The command that takes another one back, or why there is none."""
    if command.kind in _STAYS:
        return _STAYS[command.kind]
    if command.kind in (Kind.ACKNOWLEDGE, Kind.UNDO):
        if (row := snapshot.by_id.get(command.subject)) is None:
            return "This alert has ended; nothing was done."
        other = Kind.UNDO if command.kind is Kind.ACKNOWLEDGE else Kind.ACKNOWLEDGE
        return Command.about(other, row).noted(command.note)
    if command.kind in (Kind.APPROVE, Kind.REJECT):
        return replace(command, kind=Kind.REOPEN, note="")
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
