"""One line with the screens and their digits; a click leads there."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from tui import theme


class Tabs(Static):
    """The screens in one line, as long as there is room in words, else in short words."""

    DEFAULT_CSS = """
    Tabs { height: 1; text-wrap: nowrap; text-overflow: clip; }
    """

    class Chosen(Message):
        """A screen was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    _drawn: tuple[object, ...] = ()
    _ends: tuple[tuple[int, str], ...] = ()

    def show(self, screens: Sequence[tuple[str, str, str, str]], here: str) -> None:
        """Draw (digit, name, short name, count) of each screen; `here` is the digit of the open one."""
        width = self.size.width or 80
        drawn = (tuple(screens), here, width, theme.CURRENT.name)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        for parts in (
            [(key, f"{name} {count}".strip()) for key, name, _, count in screens],
            [(key, f"{short} {count}".strip()) for key, _, short, count in screens],
            [(key, short) for key, _, short, _ in screens],
            [(key, "") for key, *_ in screens],
        ):
            text, ends = self._line(parts, here)
            if cell_len(text.plain) <= width:
                break
        self._ends = ends
        self.update(text, layout=False)

    @staticmethod
    def _line(parts: Sequence[tuple[str, str]], here: str) -> tuple[Text, tuple[tuple[int, str], ...]]:
        text, ends = Text(no_wrap=True), []
        for key, name in parts:
            chosen = key == here
            text.append(f" {key}", theme.HERE if chosen else theme.HEADING)
            text.append(f" {name}".rstrip() + " ", theme.HERE if chosen else theme.QUIET)
            ends.append((cell_len(text.plain), key))
        return text, tuple(ends)

    def on_click(self, event: events.Click) -> None:
        key = next((key for end, key in self._ends if event.x < end), None)
        if key is not None:
            self.post_message(self.Chosen(key))
