"""An event in words."""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from tui import theme
from tui.data import Entry
from tui.describe.parts import ago, worded
from tui.text import safe, stamp


def entry(row: Entry, now: datetime) -> RenderableType:
    """When, what, about what, by whom, and the whole text."""
    head = Text(overflow="fold")
    head.append(f"{stamp(row.at, now)} ", theme.QUIET)
    head.append(row.what, theme.BAD if row.serious else theme.STRONG)
    head.append(f"  {safe(row.subject, 200)}", theme.STRONG)
    if row.actor:
        head.append(f"  by {safe(row.actor, 80)}", theme.PLAIN)
    head.append(f"  {ago(row.at, now)}", theme.QUIET)
    names = Text(f"event {row.position} · {row.id}", theme.QUIET, overflow="fold")
    if row.alert:
        names.append(f" · alert {safe(row.alert)}")
    if row.advice:
        names.append(f" · recommendation {safe(row.advice)}")
    return Group(head, worded(row.said, limit=2_000), names)
