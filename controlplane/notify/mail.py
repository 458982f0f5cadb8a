"""A message as HTML for mail: tables with inline styles, as mail clients show them; every text is escaped. Pure."""

from dataclasses import dataclass

from controlplane.mail_page import template
from controlplane.model.labels import describe, printable
from controlplane.model.notifications import Action, Advice, Member, Message, Subject
from controlplane.model.severity import Severity
from controlplane.notify import message as words

PICTURE = "chart.png"
"""Name of the attached chart, which the HTML shows."""
_LISTED = 5
_TONES = {Severity.CRITICAL: "critical", Severity.WARNING: "warning", Severity.INFO: "info"}


@dataclass(frozen=True, slots=True)
class _Row:
    """One alert."""

    summary: str
    value: str
    labels: str
    since: str


def html(message: Message, *, picture: bool = False) -> str:
    """The page; with `picture` it shows the attachment `chart.png`."""
    question, command = words.check(message)
    listed = message.members[:_LISTED]
    return template("controlplane.notify", "incident.html").render(
        tone=_tone(message),
        state=words.state(message),
        count=words.counted(message, message.firing) if message.firing > 1 else "",
        title=printable(message.title),
        place=words.place(message),
        numbers=words.numbers(message),
        note=words.note(message),
        picture=PICTURE if picture else "",
        rows=[_row(item) for item in listed],
        more=words.unlisted(message, len(listed)),
        reach=words.impact(message),
        hidden=words.hidden(message)[1:],
        question=question,
        command=command,
        link=words.link(message),
        advice=[_advice(item) for item in message.advice],
        references=words.references(message)[: 2 if words.link(message) else None],
    )


def _tone(message: Message) -> str:
    if message.subject is Subject.TEST:
        return "info"
    if message.action is Action.RESOLVE:
        return "good"
    return "plain" if message.action is Action.ACKNOWLEDGE else _TONES[message.severity]


def _row(item: Member) -> _Row:
    return _Row(
        summary=printable(item.summary, 400),
        value=words.value(item) if item.threshold else "",
        labels=printable(describe(item.labels), 300),
        since=f"since {words.instant(item.active_at)}" if item.firing else "resolved",
    )


def _advice(item: Advice) -> dict[str, str]:
    return {
        "title": printable(item.title),
        "change": printable(item.change, 300),
        "cost": f"{printable(item.per_month)} per month, {printable(item.one_off)} one-off",
        "survives": printable(item.survives, 300),
        "command": printable(item.first_command, 500),
        "id": f"{printable(item.recommendation)}, version {item.version}",
    }
