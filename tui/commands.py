"""Commands of the operator: what may be asked for, why it is refused, and that it is sent once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Union

from controlplane.model.states import AlertState, Status
from tui.data import Entry, Holding, Row
from tui.trust import Mode, Trust

if TYPE_CHECKING:
    from controlplane.model.recommendations import Recommendation
    from controlplane.model.silences import Silence

Target = Union[Row, "Recommendation", Holding, Entry]
"""What a command is about; an event, where a note is written on the alert that it is about and that has ended."""


class Actions(Protocol):
    """What the terminal can have done (`controlplane.operator.Operator`); doing it twice does it once.

    Each raises ControlplaneError with the reason where it can't be done.
    """

    def acknowledge(self, alert_id: str, *, actor: str, note: str, episode: str | None, now: datetime) -> object:
        """Take the alert, for the episode that was seen."""
        ...

    def undo_acknowledge(self, alert_id: str, *, actor: str, now: datetime) -> object:
        """Give the alert back."""
        ...

    def approve(self, recommendation: str, *, actor: str, version: int | None, reason: str, now: datetime) -> object:
        """Want the version done that was seen."""
        ...

    def reject(self, recommendation: str, *, actor: str, version: int | None, reason: str, now: datetime) -> object:
        """Not want the version done that was seen."""
        ...

    def executed(self, recommendation: str, *, actor: str, version: int | None, reason: str, now: datetime) -> object:
        """Have done the version that was seen."""
        ...

    def reopen(self, recommendation: str, *, actor: str, now: datetime) -> object:
        """Take an approval or rejection back."""
        ...

    def note(self, about: str, *, actor: str, text: str, now: datetime) -> object:
        """Write a note on `alert:<id>` or `recommendation:<id>`."""
        ...

    def silence(self, new: "Silence") -> object:
        """Mute alerts for a while."""
        ...

    def end_silence(self, name: str, *, actor: str, now: datetime) -> object:
        """End a silence before its time."""
        ...


class Kind(StrEnum):
    """The commands."""

    ACKNOWLEDGE = "acknowledge"
    UNDO = "undo_acknowledge"
    APPROVE = "approve"
    REJECT = "reject"
    EXECUTED = "executed"
    REOPEN = "reopen"
    NOTE = "note"
    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    END_SILENCE = "end_silence"


OF_ALERTS = frozenset({Kind.ACKNOWLEDGE, Kind.UNDO})
"""Commands about the episode of an alert."""
OF_ADVICE = frozenset({Kind.APPROVE, Kind.REJECT, Kind.EXECUTED, Kind.REOPEN})
"""Commands about a version of a recommendation."""
DONE = {
    Kind.ACKNOWLEDGE: "Acknowledged",
    Kind.UNDO: "Acknowledgement withdrawn",
    Kind.APPROVE: "Approved",
    Kind.REJECT: "Rejected",
    Kind.EXECUTED: "Marked as executed",
    Kind.REOPEN: "Decision taken back",
    Kind.NOTE: "Note written",
    Kind.SILENCE: "Silenced",
    Kind.MAINTENANCE: "Maintenance window",
    Kind.END_SILENCE: "Silence ended",
}
"""What is said once it is done."""
_DECIDED = {Kind.APPROVE: Status.APPROVED, Kind.REJECT: Status.REJECTED}


@dataclass(frozen=True, slots=True)
class Command:
    """One command about one episode of an alert, one version of a recommendation, or one silence."""

    kind: Kind
    subject: str
    """Id of the row that it is about: of an alert or recommendation, or `silence:<id>`."""
    seen: str
    """The episode or version that the operator saw."""
    title: str
    note: str = ""
    silence: "Silence | None" = None
    """What is to be made, or was ended."""
    stream: str = ""
    """The stream of the alert or recommendation."""
    held: str = ""
    """Who was seen to have acknowledged or decided it, as `held` says it."""

    @classmethod
    def about(cls, kind: Kind, target: Target) -> "Command":
        """The command about what is on the screen now."""
        if isinstance(target, Row):
            seen = target.alert.episode or ""
            return cls(kind, target.id, seen, target.alert.title, stream=f"alert:{target.id}", held=held(target))
        if isinstance(target, Holding):
            return cls(kind, target.id, target.id, target.what, silence=target.silence)
        if isinstance(target, Entry):
            return cls(kind, target.alert, "", target.subject, stream=f"alert:{target.alert}")
        seen, stream = str(target.version), f"recommendation:{target.id}"
        return cls(kind, target.id, seen, target.proposal.title, stream=stream, held=held(target))

    def noted(self, note: str) -> "Command":
        """The same with a note or reason."""
        return replace(self, note=note)

    @property
    def key(self) -> tuple[str, str]:
        """Commands with the same key are not sent at the same time."""
        if self.kind in OF_ALERTS | OF_ADVICE:
            return self.subject, self.seen
        return self.subject, f"{self.kind.value}:{self.silence.id if self.silence else self.note}"

    def run(self, actions: Actions, actor: str, now: datetime) -> None:
        """Have it done."""
        if self.kind is Kind.ACKNOWLEDGE:
            actions.acknowledge(self.subject, actor=actor, note=self.note, episode=self.seen, now=now)
        elif self.kind is Kind.UNDO:
            actions.undo_acknowledge(self.subject, actor=actor, now=now)
        elif self.kind is Kind.REOPEN:
            actions.reopen(self.subject, actor=actor, now=now)
        elif self.kind is Kind.NOTE:
            actions.note(self.stream, actor=actor, text=self.note, now=now)
        elif self.silence is not None and self.kind is Kind.END_SILENCE:
            actions.end_silence(self.silence.id, actor=actor, now=now)
        elif self.silence is not None:
            actions.silence(self.silence)
        else:
            decide: dict[Kind, Callable[..., object]] = {
                Kind.APPROVE: actions.approve,
                Kind.REJECT: actions.reject,
                Kind.EXECUTED: actions.executed,
            }
            decide[self.kind](self.subject, actor=actor, version=int(self.seen), reason=self.note, now=now)


def silencing(kind: Kind, subject: str, new: "Silence") -> Command:
    """The command that makes a silence, with the row that it was begun from."""
    what = " ".join(map(str, new.matchers))
    return Command(kind, subject or f"silence:{new.id}", new.id, what, silence=new)


def refusal(kind: Kind, target: Target | None, trusted: Trust, *, read_only: bool, ended: bool = False) -> str:
    """Why a command about `target` is refused now; empty where it may be sent."""
    if read_only:
        return "This terminal is read-only."
    if trusted.refused:
        return trusted.refused
    if trusted.mode is not Mode.LIVE:
        return f"The picture is {trusted.mode.value.lower()}: {trusted.reason or 'nothing is known yet'}"
    if kind in OF_ALERTS:
        if isinstance(target, Holding):
            return "This is a silence, no alert."
        if not isinstance(target, Row):
            return "This alert has ended; nothing was done." if ended else "No alert is selected."
        return _about_alert(kind, target)
    if kind in OF_ADVICE:
        if target is None or isinstance(target, Row | Holding | Entry):
            return "There is no recommendation to decide on."
        return _about_advice(kind, target)
    if kind is Kind.END_SILENCE:
        if isinstance(target, Holding) and target.silence is None:
            return "This is an acknowledgement, no silence."
        over = "This silence is over; nothing was done." if ended else "No silence is selected."
        return "" if isinstance(target, Holding) else over
    if kind is Kind.NOTE and isinstance(target, Holding):
        return "No note can be written on a silence."
    if kind is Kind.NOTE and target is None and not ended:  # what has ended can have a note, too
        return "Nothing is selected that a note could be written on."
    return ""


def _about_alert(kind: Kind, row: Row) -> str:
    alert = row.alert
    if kind is Kind.UNDO:
        return "" if alert.acknowledged else "Nobody has acknowledged this alert."
    if alert.state is AlertState.PENDING or alert.episode is None:
        return "A pending alert has not been reported yet, so there is nothing to acknowledge."
    if alert.acknowledged is not None:
        return f"{alert.acknowledged.actor} has acknowledged this alert already."
    return ""


def _about_advice(kind: Kind, found: "Recommendation") -> str:
    by = f" by {found.decided_by}" if found.decided_by else ""
    if kind is Kind.REOPEN:
        decided = found.status in {Status.APPROVED, Status.REJECTED}
        return "" if decided else f"This recommendation is {found.status.value}; there is no decision to take back."
    if not found.open:
        return f"This recommendation is {found.status.value}{by}."
    if kind is Kind.APPROVE and found.status is Status.APPROVED:
        return f"This recommendation is approved{by} already."
    return ""


def held(target: "Row | Recommendation") -> str:
    """Who has it, such as `acknowledged by mira` or `rejected by mira`; empty where nobody has."""
    if isinstance(target, Row):
        given = target.alert.acknowledged
        return "" if given is None else holding(Kind.ACKNOWLEDGE, given.actor)
    kind = next((kind for kind, status in _DECIDED.items() if status is target.status), None)
    return "" if kind is None else holding(kind, target.decided_by or "nobody")


def holding(kind: Kind, actor: str) -> str:
    """What `held` says once the actor has acknowledged, approved or rejected it."""
    return f"{DONE[kind].lower()} by {actor}"


def superseded(command: Command, target: Target | None) -> str:
    """Why a command no longer fits what is there now; empty where it does.

    What is taken back is what was seen: of the same episode or version, and by the same person.
    """
    if command.kind in OF_ALERTS:
        if not isinstance(target, Row) or (target.alert.episode or "") != command.seen:
            return "This alert has ended; nothing was done."
    elif command.kind in OF_ADVICE:
        if target is None or isinstance(target, Row | Holding | Entry):
            return "This recommendation is gone; nothing was done."
        if str(target.version) != command.seen:
            return f"It was revised: you saw version {command.seen}, now it is {target.version}. Look again."
    else:
        return ""
    now = held(target) if command.kind in (Kind.UNDO, Kind.REOPEN) else ""
    if now in ("", command.held):  # that there is nothing to take back is for `refusal`
        return ""
    return f"It was {command.held or 'open'}, now it is {now}. Look again."
