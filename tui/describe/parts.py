"""What every description is made of: named values, cut texts, ages."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from controlplane.model.time import human_duration
from tui import theme
from tui.text import safe

LINE = 300


def pairs(rows: Iterable[tuple[str | Text, RenderableType]]) -> Table:
    """Names on the left, values wrapped in a column of their own."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style=theme.QUIET, no_wrap=True, min_width=9)
    table.add_column(style=theme.PLAIN, ratio=1, overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def worded(said: str, style: Style | None = None, limit: int = LINE) -> Text:
    """A text from outside, cut to `limit` characters."""
    return Text(safe(said, limit), theme.PLAIN if style is None else style, overflow="fold")


def ago(instant: datetime, now: datetime) -> str:
    """`4m 12s ago`."""
    return f"{human_duration(now - instant)} ago"


def heading(title: str, *, first: bool = False) -> Text:
    """The title of a section, with an empty line before it unless it is the first."""
    return Text(title if first else f"\n{title}", theme.HEADING)


def not_there(title: str, now: datetime) -> Text:
    """What is said of something that there isn't at the time of the past that is looked at."""
    text = Text(safe(title, 200), theme.STRONG, overflow="fold")
    text.append(
        f"\n\nIt isn't there at {now:%H:%M:%SZ}. Other times may have it; Esc leads back to the list.", theme.QUIET
    )
    return text
