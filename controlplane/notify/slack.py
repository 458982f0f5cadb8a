"""A message as a Slack body (Block Kit), within Slack's limits and with nothing in it that Slack would act on.

Limits: header 150 characters, section 3,000, 50 blocks.
"""

from typing import Any

from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Advice, Message, Subject
from controlplane.model.severity import Severity
from controlplane.notify import message as words
from controlplane.notify.message import MENTION, fit

HEADER = 150
SECTION = 3_000
LISTED = 5
"""How many alerts are shown; the others are a number."""
_FALLBACK = 1_000
_LIGHTS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
_MARKS = {Action.RESOLVE: "🟢", Action.ACKNOWLEDGE: "👀"}
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str, limit: int) -> str:
    """Text in which Slack finds no mention, link or entity, at most `limit` long and never cut within an entity."""
    clean = MENTION.sub("＠", text)
    room = limit
    while len((escaped := fit(clean, room).translate(_ENTITIES)).encode("utf-16-le")) // 2 > limit:
        room -= max(1, (len(escaped) - limit) // 5)
    return escaped


def slack(message: Message, *, buttons: bool = False) -> dict[str, Any]:
    """The body for an incoming webhook or, with a channel added, for chat.postMessage.

    With `buttons` what fires can be acknowledged and silenced in Slack (block `controlplane`, values are the page's
    dedup_key); something has to receive that.
    """
    headline = words.headline(message)
    mark = _MARKS.get(message.action) or _LIGHTS[message.severity]
    place, numbers = words.place(message), words.numbers(message)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": escape(f"{mark} {headline}", HEADER), "emoji": False},
        },
        _section(f"*{escape(place, 500)}*\n{escape(numbers, 500)}"),
    ]
    if message.note:
        blocks.append(_section(escape(words.note(message), SECTION)))
    if message.members:
        blocks.append(_section(_members(message)))
    if message.impact:
        lines = [f"• {escape(line, 500)}" for line in words.impact(message)]
        blocks.append(_section(_within(["*Reach*", *lines])))
    url = words.link(message)
    link = f"<{escape(url, 1_200).replace('|', '%7C')}|Runbook>" if url else ""
    if message.check:
        blocks.append(_section(_check(message)))
    if link:
        blocks.append(_section(link))
    blocks += [_section(_advice(item)) for item in message.advice]
    if message.hidden:
        blocks.append(_section(_hidden(message)))
    names = words.references(message)[: 2 if url else None]
    blocks.append({"type": "context", "elements": [mrkdwn(escape(" · ".join(names), 2_000))]})
    if buttons and message.action is Action.TRIGGER and message.subject is Subject.ALERT:
        blocks.append(_actions(message.dedup_key))
    return {
        "text": escape(f"{headline} · {place} · {numbers}", _FALLBACK),
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _members(message: Message) -> str:
    """The worst in full, some more in a line each, and how many are left out."""
    worst, *others = message.members[:LISTED]
    lines = [f"*{escape(printable(worst.summary, 400).replace('*', '∗'), 500)}*", escape(words.evidence(worst), 600)]
    lines += [f"• {escape(words.brief(item), 420)}" for item in others]
    return _within([*lines, words.unlisted(message, 1 + len(others))]).rstrip("\n")


def _check(message: Message) -> str:
    question, command = words.check(message)
    first = f"*First check* {escape(question, 500)}".rstrip()
    if not command:
        return first
    # Room for the fences; a fence of the command's own would end the block.
    code = escape(command.replace("```", "'''"), SECTION - len(first.encode("utf-16-le")) // 2 - 10)
    return f"{first}\n```\n{code}\n```"


def _within(lines: list[str]) -> str:
    """As many of the lines as a section takes."""
    while len("\n".join(lines).encode("utf-16-le")) // 2 > SECTION:
        lines = lines[:-1]
    return "\n".join(lines)


def _actions(dedup_key: str) -> dict[str, Any]:
    names = (("acknowledge", "Acknowledge"), ("silence_1h", "Silence 1 h"))
    elements = [
        {
            "type": "button",
            "action_id": action,
            "text": {"type": "plain_text", "text": text, "emoji": False},
            "value": dedup_key,
        }
        for action, text in names
    ]
    return {"type": "actions", "block_id": "controlplane", "elements": elements}


def _hidden(message: Message) -> str:
    first, *others = words.hidden(message)
    lines = [f"*{escape(first, 50)}*", *(escape(fit(line.replace("- ", "• ", 1), 400), 550) for line in others)]
    return "\n".join(lines)


def _advice(item: Advice) -> str:
    first, *lines = [escape(line, 550) for line in words.advice(item)]
    return "\n".join([f"*Recommendation* {first}", *lines])


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text)}


def mrkdwn(text: str) -> dict[str, Any]:
    """A text object of Slack's markup."""
    # verbatim: Slack turns no bare URL, channel or user name of the text into a link or a mention.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
