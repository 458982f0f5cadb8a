"""The parts of a message that every channel words alike."""

import re
from datetime import UTC, datetime

from controlplane.model.labels import describe, printable
from controlplane.model.notifications import Action, Advice, Member, Message, Subject
from controlplane.model.time import human_duration
from controlplane.model.units import human, many
from controlplane.notify import occasions

TITLE = 250
NOTE = 500
COMMAND_LINES = 12
MENTION = re.compile(r"(?<=<)@|@(?=_?\*|(?:all|channel|everyone|group|here|room)\b)", re.IGNORECASE)
"""The @ by which a chat notifies everybody, or in `<@…>` and `@**…**` somebody."""
_LABELS = 300
_LINE = 400


def fit(text: str, limit: int) -> str:
    """Text cut to `limit` UTF-16 units, the unit in which providers count, with … at the cut."""
    if width(text) <= limit:
        return text
    kept = text[: limit - 1]
    while width(kept) > limit - 1:
        kept = kept[:-1]
    return kept + "…"


def width(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le", "replace")) // 2


def state(message: Message) -> str:
    """Severity and state in words: `CRITICAL firing`, `CRITICAL still firing`, `RESOLVED`."""
    if (other := occasions.state(message)) is not None:
        return other
    if message.subject is Subject.TEST:
        return "TEST"
    if message.subject is Subject.SELF and message.action is Action.TRIGGER:
        return message.severity.upper()
    if message.action is Action.RESOLVE:
        return "RESOLVED"
    if message.action is Action.ACKNOWLEDGE:
        return f"{message.severity.upper()} acknowledged"
    return f"{message.severity.upper()} {'still ' if message.repeated else ''}firing"


def headline(message: Message) -> str:
    """State, how many, and what, in a line."""
    count = f" ({counted(message, message.firing)})" if message.firing > 1 else ""
    return f"{state(message)}{count}: {printable(message.title)}"


def place(message: Message) -> str:
    """Platform, component and environment."""
    where = f"{printable(message.platform)} / {printable(message.component)}"
    return f"{where} ({printable(message.environment)})" if message.environment else where


def instant(at: datetime) -> str:
    """`2026-01-31 19:00:15 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def numbers(message: Message) -> str:
    """How many fire or ended, and since when."""
    if (other := occasions.numbers(message)) is not None:
        return other
    lasted = human_duration(message.at - message.started_at)
    if message.subject is Subject.TEST:
        return f"sent {instant(message.at)}"
    if message.subject is Subject.SELF:
        if message.action is Action.RESOLVE:
            return f"messages get through again, after {lasted}"
        return f"{counted(message, message.firing)} given up since {instant(message.started_at)}"
    if message.action is Action.RESOLVE:
        return f"{_alerts(message.resolved)} resolved after {lasted}, began {instant(message.started_at)}"
    ended = f", {message.resolved:,} resolved" if message.resolved else ""
    muted = f"; it mutes {_alerts(message.inhibited)}" if message.inhibited else ""
    return f"{_alerts(message.firing)} firing{ended} since {instant(message.started_at)} ({lasted}){muted}"


def counted(message: Message, number: int) -> str:
    """`12 alerts`, or messages where it is about those."""
    return many(number, "message") if message.subject is Subject.SELF else _alerts(number)


def _alerts(number: int) -> str:
    return f"{number:,} alert" + ("" if number == 1 else "s")


def member(item: Member) -> str:
    """One alert in a line: summary, value against threshold, labels, since."""
    # What the control plane tells of itself has no threshold.
    summary = f"{printable(item.summary)} [{value(item)}]" if item.threshold else printable(item.summary, 400)
    return " · ".join([summary, *_circumstances(item)])


def evidence(item: Member) -> str:
    """The same without the summary."""
    return " · ".join([*([value(item)] if item.threshold else []), *_circumstances(item)])


def brief(item: Member) -> str:
    """Summary and labels, for one of many."""
    labels = f" · {printable(describe(item.labels), 120)}" if item.labels else ""
    return f"{printable(item.summary)}{labels}"


def note(message: Message) -> str:
    """What else there is to say; of an incident as a sentence begins, others begin with a name."""
    said = printable(message.note, NOTE)
    return said[:1].upper() + said[1:] if message.subject is Subject.ALERT else said


def _circumstances(item: Member) -> list[str]:
    labels = [printable(describe(item.labels), _LABELS)] if item.labels else []
    return [*labels, f"since {instant(item.active_at)}" if item.firing else "resolved"]


def value(item: Member) -> str:
    """Measured value and the condition it met."""
    return f"{printable(human(item.value, item.unit))}, threshold {printable(item.threshold)}"


def unlisted(message: Message, listed: int) -> str:
    """`… and 980 more` for what isn't among the first `listed` members, or nothing."""
    ended = message.action is Action.RESOLVE
    shown = sum(1 for item in message.members[:listed] if item.firing is not ended)
    left = (message.resolved if ended else message.firing) - shown
    return f"… and {left:,} more" if left > 0 and listed else ""


def impact(message: Message) -> list[str]:
    """How far it reaches, and what else fires there."""
    return [printable(line, _LINE) for line in message.impact]


def check(message: Message) -> tuple[str, str]:
    """The first check of the runbook: what to find out, and the command (of several lines), each may be empty."""
    question, _, command = message.check.partition("\n")
    lines = [printable(line, _LINE) for line in command.splitlines()[:COMMAND_LINES]]
    return printable(question, _LINE), "\n".join(line for line in lines if line.strip())


def hidden(message: Message) -> list[str]:
    """The worst of the alerts that nobody is told of because of this one, and how many they are."""
    if not message.hidden:
        return []
    more = message.inhibited - len(message.hidden)
    lines = ["Muted by it:", *(f"- {member(item)}" for item in message.hidden)]
    return [*lines, f"… and {more:,} more"] if more else lines


def advice(item: Advice) -> list[str]:
    """A recommendation in lines: what, cost, survival, first command."""
    lines = [
        f"{printable(item.title)}: {printable(item.change, 300)}",
        f"Cost: {printable(item.per_month)} per month, {printable(item.one_off)} one-off",
        f"Survives: {printable(item.survives, 300)}",
    ]
    if item.first_command:
        lines.append(f"First command: {printable(item.first_command, 500)}")
    return [*lines, f"Recommendation {printable(item.recommendation)}, version {item.version}"]


def link(message: Message) -> str | None:
    """The runbook's URL, None where the settings don't say where runbooks are."""
    runbook = printable(message.runbook, 1_000) if message.runbook else ""
    return runbook if runbook.startswith(("https://", "http://")) and " " not in runbook else None


def references(message: Message) -> list[str]:
    """Rule, incident and runbook; a test of a channel has none of them."""
    if message.subject is Subject.TEST:
        return ["Sent by `controlplane notify test`"]
    found = [f"Rule {printable(message.rule)}", f"Incident {printable(message.incident)}"]
    return [*found, f"Runbook {printable(message.runbook, 1_000)}"] if message.runbook else found
