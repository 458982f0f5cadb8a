"""One alert in full: its signal as a chart, what will become of it, what surrounds it, its advice and its runbook."""

from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll

from tui import theme
from tui.data import Row
from tui.data.outlook import outlook
from tui.data.story import Story
from tui.describe.advice import advice, decision, grounds, lack
from tui.describe.alert import facts, headline
from tui.describe.parts import heading
from tui.describe.story import around_lines, outlook_lines
from tui.widgets.chart import caption
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from tui.widgets.signal_chart import SignalChart


class AlertDetail(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Two columns where there is room, else one."""

    DEFAULT_CSS = """
    AlertDetail {
        overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 1; layout: vertical;
        & > Vertical { height: auto; width: 1fr; }
        & Lines { margin: 0 1 1 0; }
        & #headline, & #caption { margin-bottom: 0; }
    }
    """

    def compose(self) -> ComposeResult:
        from tui.widgets.signal_chart import SignalChart  # it brings numpy: not before somebody looks

        with Vertical(id="of-the-alert"):
            yield Lines(id="headline")
            yield SignalChart(id="chart")
            yield Lines(id="caption")
            yield Lines(id="outlook")
            yield Lines(id="around")
        with Vertical(id="what-to-do"):
            yield Lines(id="advice")
            yield Lines(id="facts")
            yield Lines(id="runbook")

    _drawn: tuple[object, ...] = ()

    def show(self, row: Row, story: Story | None, now: datetime, *, gone: bool = False) -> None:
        """Describe an alert; `story` arrives later, `gone` says that the alert has ended."""
        chart: SignalChart = self.query_one("#chart")  # type: ignore[assignment]  # its module comes late
        history = row.history
        chart.show(history, row.alert.threshold, row.alert.unit)
        self._tell("#headline", headline(row, now, gone=gone))
        self._tell("#caption", caption(row))
        rule = None if story is None else story.rule
        self._tell("#outlook", Text() if gone else outlook_lines(row, outlook(row, rule, now), rule))
        around = Text("reading what surrounds it", theme.QUIET) if story is None else around_lines(story, now)
        self._tell("#around", around)
        self._tell("#advice", _advised(row, now))
        self._tell("#facts", Group(heading("Where it comes from", first=True), facts(row, now)))
        runbook = None if story is None else story.runbook
        if self._drawn != (runbook, theme.CURRENT.name):
            self._drawn = (runbook, theme.CURRENT.name)
            self._tell("#runbook", _runbook(runbook, row))

    def _tell(self, where: str, what: RenderableType) -> None:
        self.query_one(where, Lines).tell(what)


def _advised(row: Row, now: datetime) -> RenderableType:
    if not row.advice:
        return advice(row, now)
    parts: list[RenderableType] = []
    for found in [row.advice[0], *(other for other in row.advice[1:] if other.open)]:
        histories = {f"alert {row.id}": row.history}
        parts += [decision(found, None, now), Text(), grounds(found, now, histories), Text()]
    if row.lack:
        parts.append(lack(row.lack))
    return Group(*parts)


def _runbook(text: str | None, row: Row) -> RenderableType:
    if text is None:
        return Text()
    if not text:
        named = f"The runbook {row.alert.runbook} isn't here." if row.alert.runbook else "The rule names no runbook."
        return Text(named, theme.QUIET)
    # Imported here: the first paint doesn't wait for it.
    from rich.markdown import Markdown

    code = "ansi_dark" if theme.CURRENT.dark else "ansi_light"
    return Group(heading("Runbook", first=True), Markdown(text, code_theme=code, hyperlinks=False))
