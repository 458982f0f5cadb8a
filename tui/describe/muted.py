"""What a silence would mute, in words."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from tui import theme
from tui.text import safe, where

if TYPE_CHECKING:
    from controlplane.model.alerts import Alert
    from controlplane.model.matchers import Matcher
    from controlplane.silencing import Firing

_LINES = 200
"""Alerts that are listed at most."""


def muted(
    firing: "Firing", wanted: "Sequence[Sequence[Matcher]]", asked: Collection[str]
) -> tuple[str, RenderableType]:
    """A title with the number, and the alerts, worst first; `asked` are those that each have a silence of their own."""
    found = {alert.id: alert for matchers in wanted for alert in firing.matching(matchers)}
    others = len(found.keys() - set(asked)) if asked else 0
    extra = f", {others:,} of them not marked" if others else ""
    title = f"Would mute {len(found):,} of {len(firing.alerts):,} that fire now{extra}"
    if not found:
        return title, Text("Nothing that fires now; what fires later is muted all the same.", theme.DOUBT)
    lines = [_line(alert) for alert in list(found.values())[:_LINES]]
    if len(found) > _LINES:
        lines.append(Text(f"and {len(found) - _LINES:,} more", theme.QUIET))
    return title, Group(*lines)


def _line(alert: "Alert") -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(theme.SEVERITY_WORD[alert.severity], theme.severity_style(alert.severity))
    line.append(f" {safe(alert.title, 80)} ", theme.PLAIN)
    return line.append(where(alert.labels, alert.component), theme.QUIET)
