"""Commands of the operator: what may be asked for, why it is refused, and that it is sent once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from controlplane.model.alerts import AlertState
from controlplane.model.recommendations import Proposal, Recommendation, Status
from tui.data import Row
from tui.text import advice_line, safe
from tui.trust import Mode, Trust

Target = Row | Recommendation
"""What a command is about."""


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


class Kind(StrEnum):
    """The commands."""

    ACKNOWLEDGE = "acknowledge"
    UNDO = "undo_acknowledge"
    APPROVE = "approve"
    REJECT = "reject"
    EXECUTED = "executed"
    REOPEN = "reopen"


OF_ALERTS = frozenset({Kind.ACKNOWLEDGE, Kind.UNDO})
"""Commands about alerts; the others are about recommendations."""
DONE = {
    Kind.ACKNOWLEDGE: "Acknowledged",
    Kind.UNDO: "Acknowledgement withdrawn",
    Kind.APPROVE: "Approved",
    Kind.REJECT: "Rejected",
    Kind.EXECUTED: "Marked as executed",
    Kind.REOPEN: "Decision taken back",
}
"""What is said once it is done."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command about one episode of an alert, or one version of a recommendation."""

    kind: Kind
    subject: str
    """Id of the alert or recommendation."""
    seen: str
    """The episode or version that the operator saw."""
    title: str
    note: str = ""

    @classmethod
    def about(cls, kind: Kind, target: Target) -> "Command":
        """The command about what is on the screen now."""
        if isinstance(target, Row):
            return cls(kind, target.id, target.alert.episode or "", target.alert.title)
        return cls(kind, target.id, str(target.version), target.proposal.title)

    def noted(self, note: str) -> "Command":
        """The same with a note or reason."""
        return replace(self, note=note)

    @property
    def key(self) -> tuple[str, str]:
        """Commands with the same key are not sent at the same time."""
        return self.subject, self.seen

    def run(self, actions: Actions, actor: str, now: datetime) -> None:
        """Have it done."""
        if self.kind is Kind.ACKNOWLEDGE:
            actions.acknowledge(self.subject, actor=actor, note=self.note, episode=self.seen, now=now)
        elif self.kind is Kind.UNDO:
            actions.undo_acknowledge(self.subject, actor=actor, now=now)
        elif self.kind is Kind.REOPEN:
            actions.reopen(self.subject, actor=actor, now=now)
        else:
            decide: dict[Kind, Callable[..., object]] = {
                Kind.APPROVE: actions.approve,
                Kind.REJECT: actions.reject,
                Kind.EXECUTED: actions.executed,
            }
            decide[self.kind](self.subject, actor=actor, version=int(self.seen), reason=self.note, now=now)


@dataclass(frozen=True, slots=True)
class Question:
    """What a dialog asks before a command."""

    title: str
    text: str
    verb: str
    note: str = ""
    """What the text that may be typed is for; empty where there is none."""
    required: bool = False
    """Whether the text has to be there."""
    exact: str = ""
    """What has to be typed before it can be confirmed."""


def question(kind: Kind, target: Target) -> Question:
    """What to ask before a command about `target`."""
    if isinstance(target, Row):
        alert = target.alert
        if kind is Kind.ACKNOWLEDGE:
            return Question("Acknowledge", f"{alert.title}: {alert.summary}", "Acknowledge", "a note for the others")
        holder = alert.acknowledged.actor if alert.acknowledged else "nobody"
        text = f"{alert.title}: take the acknowledgement of {holder} back?"
        return Question("Undo acknowledgement", text, "Undo")
    line = f"{advice_line(target)} · version {target.version}"
    if kind is Kind.APPROVE:
        name = cell(target.proposal) if target.proposal.kind == "failover" else ""
        return Question("Approve", line, "Approve", "a reason, if there is one", exact=name)
    if kind is Kind.REJECT:
        return Question("Reject", line, "Reject", "why; it tells those who come after", required=True)
    if kind is Kind.EXECUTED:
        return Question("Executed", f"{line}: was it done?", "Executed", "what was done differently, if anything")
    by = target.decided_by or "nobody"
    return Question("Take back", f"{line}: take back that {by} has {target.status.value} it?", "Take back")


def cell(proposal: Proposal) -> str:
    """The name of what a proposal changes, without the kind of thing: `billing-db` of `database cluster billing-db`."""
    return safe(proposal.target.strip().rpartition(" ")[2], 80)


def refusal(kind: Kind, target: Target | None, trusted: Trust, *, read_only: bool, ended: bool = False) -> str:
    """Why a command about `target` is refused now; empty where it may be sent."""
    if read_only:
        return "This terminal is read-only."
    if trusted.mode is not Mode.LIVE:
        return f"The picture is {trusted.mode.value.lower()}: {trusted.reason or 'nothing is known yet'}"
    if kind in OF_ALERTS:
        if not isinstance(target, Row):
            return "This alert has ended; nothing was done." if ended else "No alert is selected."
        return _about_alert(kind, target)
    if not isinstance(target, Recommendation):
        return "There is no recommendation to decide on."
    return _about_advice(kind, target)


def _about_alert(kind: Kind, row: Row) -> str:
    alert = row.alert
    if kind is Kind.UNDO:
        return "" if alert.acknowledged else "Nobody has acknowledged this alert."
    if alert.state is AlertState.PENDING or alert.episode is None:
        return "A pending alert has not been reported yet, so there is nothing to acknowledge."
    if alert.acknowledged is not None:
        return f"{alert.acknowledged.actor} has acknowledged this alert already."
    return ""


def _about_advice(kind: Kind, found: Recommendation) -> str:
    by = f" by {found.decided_by}" if found.decided_by else ""
    if kind is Kind.REOPEN:
        decided = found.status in {Status.APPROVED, Status.REJECTED}
        return "" if decided else f"This recommendation is {found.status.value}; there is no decision to take back."
    if not found.open:
        return f"This recommendation is {found.status.value}{by}."
    if kind is Kind.APPROVE and found.status is Status.APPROVED:
        return f"This recommendation is approved{by} already."
    return ""


def superseded(command: Command, target: Target | None) -> str:
    """Why a command no longer fits what is there now; empty where it does."""
    if command.kind in OF_ALERTS:
        current = target if isinstance(target, Row) else None
        gone = current is None or (current.alert.episode or "") != command.seen
        return "This alert has ended; nothing was done." if gone else ""
    if not isinstance(target, Recommendation):
        return "This recommendation is gone; nothing was done."
    if str(target.version) != command.seen:
        return f"It was revised: you saw version {command.seen}, now it is {target.version}. Look again."
    return ""
