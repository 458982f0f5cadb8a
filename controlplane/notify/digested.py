"""The daily digest as channels are sent it: mail and other text, and a short form for Slack. Pure."""

from typing import Any

from controlplane.digest import render
from controlplane.digest.words import Entry, Section, words
from controlplane.model.digest import Digest
from controlplane.notify.plain import ANY, Space, within
from controlplane.notify.slack import HEADER, SECTION, escape, mrkdwn

ENTRIES = 4
"""How many things of a section Slack shows; the mail has all of them."""
_LEFT_OUT = frozenset({"Pages", "Decided and done"})


def text(digest: Digest, space: Space = ANY) -> dict[str, str]:
    """Title, body in plain text, and the same as HTML for channels that show it."""
    said = within(f"Daily digest: {words(digest).subject}", [render.text(digest)], space)
    return {**said, "html": render.html(digest)}


def slack(digest: Digest) -> dict[str, Any]:
    """The body for Slack: figures, then what asks for something, a few lines each."""
    it = words(digest)
    figures = [mrkdwn(f"*{escape(number, 60)}*\n{escape(what, 100)}") for number, what, _ in it.tiles]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": escape(it.subject, HEADER), "emoji": False}},
        {"type": "context", "elements": [mrkdwn(escape(it.span, 300))]},
        {"type": "section", "text": mrkdwn(escape(it.lead, 1_000)), "fields": figures},
    ]
    told = [section for section in it.sections if section.title not in _LEFT_OUT]
    blocks += [{"type": "section", "text": mrkdwn(_section(section))} for section in told]
    blocks.append({"type": "context", "elements": [mrkdwn(escape(" · ".join(it.foot), 1_000))]})
    return {
        "text": escape(f"Daily digest: {it.subject}. {it.lead}", 1_000),
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _section(section: Section) -> str:
    lines = [f"*{escape(section.title, 200)}*"]
    lines += [escape(section.summary, 400)] if section.summary else []
    lines += [_entry(entry) for entry in section.entries[:ENTRIES]]
    if len(section.entries) > ENTRIES:
        lines.append(f"… and {len(section.entries) - ENTRIES} more")
    while len("\n".join(lines).encode("utf-16-le")) // 2 > SECTION:
        lines.pop()
    return "\n".join(lines)


def _entry(entry: Entry) -> str:
    badge = f" ({entry.badge})" if entry.badge else ""
    said = entry.act or (entry.lines[0] if entry.lines else "")
    return f"• *{escape(entry.title + badge, 250)}*: {escape(said, 500)}"
