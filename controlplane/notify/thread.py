"""What is at a channel already: a page's message, which is edited in place, and the timeline in its thread. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Message, Shown
from controlplane.model.time import human_duration
from controlplane.notify import message as words
from controlplane.notify.incident import RANK
from controlplane.notify.slack import escape, mrkdwn, slack

_REPLY = 1_000
_KEPT = ("text", "blocks", "parse", "link_names")
"""What chat.update takes of a message."""


@dataclass(frozen=True, slots=True)
class Thread:
    """The messages at a channel that a new one is about."""

    shown: Shown | None = None
    """The one of the same page, None where the message has to be posted."""
    superseded: tuple[Shown, ...] = ()
    """Those of the pages that end with it."""


NOTHING = Thread()


def thread_of(channel: str, message: Message, row: Callable[[str], Shown | None]) -> Thread:
    """What the channel shows of a message's page and of those that end with it; `row` gives what is kept of a key."""
    rows = {key: row(f"{channel}/{key}") for key in dict.fromkeys((message.dedup_key, *message.superseded))}
    shown = rows.pop(message.dedup_key)
    if shown is not None and shown.action is Action.RESOLVE and message.action is Action.TRIGGER:
        # Nobody is notified of an edit, and to whoever read the end this is a new page.
        shown = None
    # An earlier page is told what became of it when the new one begins, and when all is over.
    ends = shown is None or message.action is Action.RESOLVE
    return Thread(shown, tuple(one for one in rows.values() if one is not None and ends))


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit of a message, with a reply in its thread."""

    reference: str
    body: Mapping[str, Any]
    reply: Mapping[str, Any] | None = None


def edit(message: Message, shown: Shown, body: Mapping[str, Any]) -> Edit:
    """The message as it is now (its body), in place of what was shown, and what changed as a reply.

    A reminder, and what has a note, is shown in the channel, too: nobody is notified of an edit.
    """
    said = change(message, shown)
    told = message.action is Action.TRIGGER and (message.repeated or bool(message.note))
    return Edit(
        shown.reference,
        _kept(body),
        {
            "text": escape(said, _REPLY),
            "blocks": [{"type": "section", "text": mrkdwn(escape(said, _REPLY))}],
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            **({"reply_broadcast": True} if told else {}),
        },
    )


def superseded(message: Message, shown: Shown) -> Edit:
    """What becomes of the message of an earlier page: it ended, or goes on in a newer one."""
    if message.action is Action.RESOLVE:
        return Edit(shown.reference, _kept(slack(message)))
    line = f"Superseded: {printable(message.title)}"
    why = f"It is {words.state(message)} and goes on in a newer message of this channel."
    parts = [line, why, f"Incident {printable(message.incident)}"]
    return Edit(
        shown.reference,
        {
            "text": escape(" · ".join(parts), _REPLY),
            "blocks": [{"type": "section", "text": mrkdwn(f"*{escape(line, 500)}*\n{escape(why, 500)}\n{parts[2]}")}],
            "parse": "none",
            "link_names": False,
        },
    )


def change(message: Message, shown: Shown) -> str:
    """What is new since the channel was told last, in a line."""
    if message.action is Action.RESOLVE:
        return f"Resolved after {human_duration(message.at - message.started_at)}"
    note = words.note(message)
    if message.action is Action.ACKNOWLEDGE:
        return note or "Acknowledged"
    parts = []
    if message.repeated:
        parts.append(f"Still firing after {human_duration(message.at - message.started_at)}")
    if RANK[message.severity] < RANK[shown.severity]:
        parts.append(f"now {message.severity.upper()}, was {shown.severity.upper()}")
    if grown := message.firing - shown.firing:
        parts.append(f"{'+' if grown > 0 else '−'}{words.counted(message, abs(grown))}")
    parts.append(f"{message.firing:,} firing")
    if message.resolved:
        parts.append(f"{message.resolved:,} resolved")
    said = ", ".join(parts)
    said = said[:1].upper() + said[1:]
    return f"{said}. {note}" if note else said


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in _KEPT}
