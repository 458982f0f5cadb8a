"""What a dialog asks before a command."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.commands import DONE, Command, Kind, Target
from tui.data import Entry, Holding, Row
from tui.text import advice_line, safe

if TYPE_CHECKING:
    from controlplane.model.recommendations import Proposal, Recommendation

_SHOWN = 4
_NOTE = "a note for the others"


@dataclass(frozen=True, slots=True)
class Question:
    """What a dialog asks before a command."""

    title: str
    text: str
    verb: str
    note: str = ""
    """What the text that may be typed is for; empty where there is none."""
    required: str = ""
    """What the text is called where it has to be there, such as `the reason`."""
    exact: str = ""
    """What has to be typed before it can be confirmed."""


def question(kind: Kind, *targets: Target, refused: Sequence[str] = ()) -> Question:
    """What to ask before a command about each of `targets`; `refused` are the reasons of those that can't be done."""
    if len(targets) > 1 or refused:
        return _of_many(kind, targets, refused)
    target = targets[0]
    if kind is Kind.NOTE:
        about = f"{target.alert.title}: {target.alert.summary}" if isinstance(target, Row) else name_of(target)
        return Question("Note", about, "Write", "what others should know", required="the note")
    if isinstance(target, Holding):
        return Question("End silence", f"{target.what}: {target.note} ({target.actor})", "End")
    if isinstance(target, Row):
        alert = target.alert
        if kind is Kind.ACKNOWLEDGE:
            return Question("Acknowledge", f"{alert.title}: {alert.summary}", "Acknowledge", _NOTE)
        holder = alert.acknowledged.actor if alert.acknowledged else "nobody"
        text = f"{alert.title}: take the acknowledgement of {holder} back?"
        return Question("Undo acknowledgement", text, "Undo")
    assert not isinstance(target, Entry)  # an event has notes alone
    return _of_advice(kind, target)


def _of_advice(kind: Kind, target: "Recommendation") -> Question:
    line = f"{advice_line(target)} · version {target.version}"
    if kind is Kind.APPROVE:
        name = cell(target.proposal) if target.proposal.kind == "failover" else ""
        return Question("Approve", line, "Approve", "a reason, if there is one", exact=name)
    if kind is Kind.REJECT:
        return Question("Reject", line, "Reject", "why; it tells those who come after", required="the reason")
    if kind is Kind.EXECUTED:
        return Question("Executed", f"{line}: was it done?", "Executed", "what was done differently, if anything")
    by = target.decided_by or "nobody"
    return Question("Take back", f"{line}: take back that {by} has {target.status.value} it?", "Take back")


def _of_many(kind: Kind, targets: Sequence[Target], refused: Sequence[str]) -> Question:
    verb, what, note = {
        Kind.ACKNOWLEDGE: ("Acknowledge", "alerts", _NOTE),
        Kind.UNDO: ("Undo", "acknowledgements", ""),
        Kind.END_SILENCE: ("End", "silences", ""),
        Kind.NOTE: ("Write", "alerts", "the same note on each"),
    }.get(kind, (kind.value.capitalize(), "of them", ""))
    number = len(targets)
    title = f"{verb} on {number} {what}" if kind is Kind.NOTE else f"{verb} {number} {what}"
    names = [safe(name_of(target), 60) for target in targets[:_SHOWN]]
    more = f" and {number - _SHOWN} more" if number > _SHOWN else ""
    text = f"{'; '.join(names)}{more}."
    if refused:
        text += f" {len(refused)} of {number + len(refused)} marked can't be: {safe(refused[0], 120)}"
    return Question(title, text, verb, note, required="the note" if kind is Kind.NOTE else "")


def undoing(commands: Sequence[Command], refused: Sequence[str]) -> Question:
    """What to ask before what was done last is taken back; `refused` are the reasons of those that can't be."""
    names = "; ".join(safe(command.title, 60) for command in commands[:_SHOWN])
    more = f" and {len(commands) - _SHOWN} more" if len(commands) > _SHOWN else ""
    text = f"{DONE[commands[0].kind]}: {names}{more}. Take it back?"
    if refused:
        text += f" {len(refused)} of {len(commands)} can't be: {safe(refused[0], 120)}"
    return Question("Undo the last action", text, "Undo")


def name_of(target: Target) -> str:
    """A target in a few words."""
    if isinstance(target, Row):
        return target.alert.title
    if isinstance(target, Entry):
        return f"{target.subject}, which has ended"
    return target.what if isinstance(target, Holding) else advice_line(target)


def cell(proposal: "Proposal") -> str:
    """The name of what a proposal changes, without the kind of thing: `billing-db` of `database cluster billing-db`."""
    return safe(proposal.target.strip().rpartition(" ")[2], 80)
