"""A text that is told again and again: only the lines that differ are drawn anew."""

from typing import ClassVar

from rich.console import RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget


class Lines(Widget):
    """A rich renderable as lines of the widget's width; as high as it needs. Its text can be marked and copied."""

    DEFAULT_CSS: ClassVar[str] = """
    Lines { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._said: RenderableType = Text()
        self._lines: list[list[Segment]] = []
        self._width = 0
        self._look: tuple[Style, int] | None = None

    def tell(self, said: RenderableType) -> None:
        """Show something else, or the same with other ages."""
        before_said, self._said = self._said, said
        if not self._width:
            self.refresh(layout=True)
            return
        if isinstance(said, Text) and _alike(said, before_said):
            return
        before, self._lines = self._lines, self._render_at(self._width)
        if len(before) != len(self._lines):
            self.refresh(layout=True)
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, self._width, 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - the signature of Textual
        """The lines that it takes at a width."""
        self._at(width)
        return len(self._lines)

    def _at(self, width: int) -> None:
        if width != self._width:
            self._width = width
            self._lines = self._render_at(width)

    def _render_at(self, width: int) -> list[list[Segment]]:
        console = self.app.console
        options = console.options.update(width=max(1, width), height=None, highlight=False)
        return console.render_lines(self._said, options, pad=True)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the widget; every ancestor is asked for its colours once a picture rather than once a line."""
        self._look = self.rich_style, self.size.width
        lines = super().render_lines(crop)
        self._look = None
        return lines

    def render_line(self, y: int) -> Strip:
        """One line, with what is marked of it."""
        base, width = self._look or (self.rich_style, self.size.width)
        self._at(width)
        if y >= len(self._lines):
            return Strip.blank(width, base)
        strip = Strip(Segment.apply_style(self._lines[y], base)).adjust_cell_length(width, base)
        marked = None if self.text_selection is None else self.text_selection.get_span(y)
        if marked is not None:
            start, end = marked[0], width if marked[1] == -1 else marked[1]
            whole = strip.crop(start, end)
            strip = Strip.join([strip.crop(0, start), whole.apply_style(Style(reverse=True)), strip.crop(end, width)])
        return strip.apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The marked text."""
        text = "\n".join("".join(segment.text for segment in line).rstrip() for line in self._lines)
        return selection.extract(text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - the signature of Textual
        """Draw what is marked now."""
        self.refresh()


def _alike(said: Text, before: RenderableType) -> bool:
    """Whether a text would be drawn as the one before."""
    return isinstance(before, Text) and said == before and said.style == before.style
