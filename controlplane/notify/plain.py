"""A message as plain text (no markup), for channels without a layout of their own, as long as they take. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from controlplane.model.notifications import Message
from controlplane.notify import message as words
from controlplane.notify.message import MENTION, TITLE, fit, width

_LINK = re.compile(r"\]\(")
_SPARE = 20
"""Characters for what stands between title and body."""
_LEAST = ("hidden", "advice", "reach", "check", "note")
"""What is left out where not even one alert has room besides, in this order."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a channel takes."""

    title: int | None = None
    """Characters of a title, None where it becomes the first line of the body."""
    body: int | None = None
    """Characters of a body, None where it doesn't matter."""
    taken: Callable[[str], int] = width
    """Characters that a text takes as it is sent: the channel may want another format, in which it is longer."""


ANY = Space(TITLE)


def text(message: Message, space: Space = ANY) -> dict[str, str]:
    """Title and body; where it is too long for the channel with fewer alerts, then without what is needed least."""
    return within(words.headline(message), _shorter(message), space)


def within(title: str, bodies: Iterable[str], space: Space) -> dict[str, str]:
    """Title and the first of the bodies that fits, else the last one, cut; nothing in them notifies anybody."""
    limit = TITLE if space.title is None else min(TITLE, space.title)
    if space.body is None:
        return {"title": inert(fit(title, limit)), "body": inert(next(iter(bodies)))}
    # The body says where and since when, however short it is.
    head = _cut(title, min(limit, space.body // 2), space.taken)
    room = space.body - space.taken(head) - _SPARE
    body = ""
    for body in bodies:
        if space.taken(body) <= room:
            break
    return {"title": inert(head), "body": inert(_cut(body, room, space.taken))}


def inert(text: str) -> str:
    """Text in which no channel finds a mention of everybody or a link under another name."""
    return _LINK.sub("]（", MENTION.sub("＠", text))


def _cut(text: str, room: int, taken: Callable[[str], int]) -> str:
    limit = room
    while taken(cut := fit(text, limit)) > room and limit > 1:
        limit = max(1, limit - max(1, (taken(cut) - room) // 6))
    return cut


def _shorter(message: Message) -> Iterator[str]:
    """The body, and ever shorter ones."""
    least = min(1, len(message.members))
    for listed in range(len(message.members), least - 1, -1):
        yield _body(message, listed, ())
    for count in range(1, len(_LEAST) + 1):
        yield _body(message, least, _LEAST[:count])


def _body(message: Message, listed: int, without: tuple[str, ...]) -> str:
    lines = [words.place(message), words.numbers(message)]
    if listed:
        lines += ["", *(f"- {words.member(item)}" for item in message.members[:listed])]
    lines += [more] if (more := words.unlisted(message, listed)) else []
    parts = {
        "note": [words.note(message)] if message.note else [],
        "reach": ["Reach", *(f"- {line}" for line in words.impact(message))] if message.impact else [],
        "hidden": words.hidden(message),
        "check": _check(message),
        "advice": _advice(message),
        "references": words.references(message),
    }
    told = [part for name, part in parts.items() if part and name not in without]
    return "\n".join([*lines, *(line for part in told for line in ("", *part))])


def _check(message: Message) -> list[str]:
    question, command = words.check(message)
    if not (question or command):
        return []
    return [f"First check: {question}".rstrip(" :"), *(f"  {line}" for line in command.splitlines())]


def _advice(message: Message) -> list[str]:
    lines = [
        line for item in message.advice for line in ("", "Recommendation", *(f"  {it}" for it in words.advice(item)))
    ]
    return lines[1:]
