"""The history of a reading as a sparkline with its threshold."""

from datetime import timedelta

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import RenderResult as WidgetResult
from textual.renderables.sparkline import Sparkline as SparklineRenderable
from textual.widgets import Sparkline

from controlplane.model.time import human_duration
from controlplane.model.units import is_state
from tui import theme
from tui.data import History as Past
from tui.data import Row
from tui.data.shares import shares
from tui.text import brief, condition

_EIGHTHS = 8


class _Marked:
    """A sparkline with gaps left empty and a dashed line where the threshold lies."""

    def __init__(self, spark: SparklineRenderable[float], gaps: set[int], row: int | None, mark: Style) -> None:
        self._spark, self._gaps, self._row, self._mark = spark, gaps, row, mark

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        row = column = 0
        for segment in self._spark.__rich_console__(console, options):
            if not isinstance(segment, Segment):
                continue
            if segment.text == "\n":
                row, column = row + 1, 0
                yield segment
                continue
            empty = column in self._gaps or segment.text == " "
            if empty:
                yield Segment("╌", self._mark) if row == self._row else Segment(" ")
            else:
                yield segment
            column += 1


class History(Sparkline):
    """Textual's sparkline of a reading's history; hidden where there are fewer than two values."""

    DEFAULT_CSS = """
    History { height: 3; display: none; width: 1fr; margin-right: 1; }
    History.-drawn { display: block; }
    """

    threshold: float | None = None
    _history: Past = ()
    _lowest = False

    def show(self, row: Row) -> None:
        """Draw the history of the row's reading; of a `<` rule each bar is the lowest of its share."""
        parsed = condition(row.alert.threshold)
        limit = None if parsed is None else parsed.threshold
        lowest = parsed is not None and parsed.operator.startswith("<")
        history = row.history
        self.set_class(sum(value is not None for _, value in history) >= 2, "-drawn")
        if (history, limit, lowest) != (self._history, self.threshold, self._lowest):
            self._history, self.threshold, self._lowest = history, limit, lowest
            self.refresh()

    def render(self) -> WidgetResult:
        """The sparkline with one cell a bar, gaps and threshold."""
        values = shares(self._history, self.size.width, min if self._lowest else max)
        known = [value for value in values if value is not None]
        if len(known) < 2:
            return Text()
        low, high = min(known), max(known)
        spark: SparklineRenderable[float] = SparklineRenderable(
            [low if value is None else value for value in values],
            width=len(values),
            height=self.size.height,
            min_color=Color.parse(theme.CURRENT.deep),
            max_color=Color.parse(theme.CURRENT.bright),
        )
        gaps = {column for column, value in enumerate(values) if value is None}
        return _Marked(spark, gaps, self._threshold_row(low, high), theme.DOUBT)

    def _threshold_row(self, low: float, high: float) -> int | None:
        if self.threshold is None or not low <= self.threshold <= high:
            return None
        eighth = int((self.threshold - low) / ((high - low) or 1) * (_EIGHTHS * self.size.height - 1))
        return self.size.height - 1 - eighth // _EIGHTHS


def caption(row: Row) -> Text:
    """What the sparkline shows: its window, its range, and where the threshold lies."""
    history = row.history
    known = [value for _, value in history if value is not None]
    if len(known) < 2:
        return Text("no history yet", theme.QUIET)
    unit, parsed = row.alert.unit, condition(row.alert.threshold)
    span = timedelta(milliseconds=history[-1][0] - history[0][0])
    state = parsed is not None and is_state(parsed.operator, unit)

    def say(value: float) -> str:
        return f"{value:g}" if state else brief(value, unit)

    lowest, highest = say(min(known)), say(max(known))
    if unit.startswith("{") or lowest.partition(" ")[2] == highest.partition(" ")[2]:
        lowest = lowest.partition(" ")[0]
    text = Text(overflow="fold")
    text.append(f"{lowest} to {highest} in {human_duration(span)}", theme.QUIET)
    if parsed is not None:
        limit = say(parsed.threshold)
        if min(known) <= parsed.threshold <= max(known):
            text.append(" · ").append("╌", theme.DOUBT).append(f" {limit}", theme.QUIET)
        else:
            side = "below" if parsed.threshold < min(known) else "above"
            text.append(f" · threshold {limit} is {side} all of it", theme.QUIET)
    return text
