"""A digest as HTML for mail, as plain text, and as a Slack body."""

import textwrap
from typing import Any

from controlplane.digest.words import Entry, words
from controlplane.mail_page import template
from controlplane.model.digest import Digest

WIDTH = 78


def html(digest: Digest) -> str:
    """One HTML page of tables with inline styles, 600 px wide, as mail clients show it; every text is escaped."""
    return template("controlplane.digest", "digest.html").render(it=words(digest))


def text(digest: Digest) -> str:
    """Plain text, at most 78 columns wide but for long words."""
    it = words(digest)
    lines = [it.subject, it.span, "", *textwrap.wrap(it.lead, WIDTH)]
    for section in it.sections:
        lines += ["", section.title.upper()]
        lines += textwrap.wrap(section.summary, WIDTH)
        for entry in section.entries:
            lines += _lines(entry)
        lines += [f"  {section.more}"] if section.more else []
    return "\n".join([*lines, "", *it.foot]) + "\n"


def _lines(entry: Entry) -> list[str]:
    badge = f"[{entry.badge}] " if entry.badge else ""
    found = textwrap.wrap(f"- {badge}{entry.title}", WIDTH, subsequent_indent="  ")
    for line in entry.lines:
        found += textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="  ")
    if entry.act:
        found += textwrap.wrap(entry.act, WIDTH, initial_indent="  > ", subsequent_indent="    ")
    return found


def document(digest: Digest) -> dict[str, Any]:
    """The digest as a JSON document."""
    return digest.model_dump(mode="json")
