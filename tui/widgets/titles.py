"""Titles of panes."""

from textual.content import Content
from textual.widget import Widget


def retitle(widget: Widget, title: str) -> None:
    """Give a pane a title, without parsing markup; nothing is drawn where it has that title already."""
    if str(widget.border_title or "") != title:
        widget.border_title = Content(title)
