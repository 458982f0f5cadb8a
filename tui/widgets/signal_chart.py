"""The chart of a signal: its known past against time, with the threshold; a widget of textual-plot."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import AxisFormatter, NumericAxisFormatter

from controlplane.model.severity import Severity
from controlplane.model.units import is_state
from tui import theme
from tui.data import History
from tui.data.shares import is_gap
from tui.text import brief, condition, fit

_LEFT = 10
_DOTS = 300
_LABEL = 5
"""Cells of a label of the time axis."""
_APART = _LABEL + 3
"""Cells from one label to the next, at least."""
_TICKS = (
    timedelta(minutes=1),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(days=1),
)


class _Clock(AxisFormatter):
    """Times of day in UTC at round minutes; the axis is in epoch seconds and as wide as `cells` says."""

    def __init__(self, cells: Callable[[], int]) -> None:
        self._cells = cells

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Round times between the ends, at most so many, and no more than have room for their whole label."""
        cells, span = max(1, self._cells()), max_ - min_
        most = max(1, min(max_ticks, cells // _APART))
        seconds = next((t.total_seconds() for t in _TICKS if span / t.total_seconds() <= most), 86_400.0)
        first = -(-min_ // seconds) * seconds
        last = max_ - span * (_LABEL // 2 + 1) / cells
        return [first + seconds * number for number in range(int((last - first) // seconds) + 1)]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """`19:05`."""
        return [datetime.fromtimestamp(tick, UTC).strftime("%H:%M") for tick in ticks]


class _Amount(AxisFormatter):
    """Round numbers with their unit, in a fixed width."""

    def __init__(self, unit: str, *, state: bool) -> None:
        self._unit, self._state = unit, state

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Round values between the ends."""
        factor = 100.0 if self._unit == "1" and not self._state else 1.0
        ticks = NumericAxisFormatter().get_ticks(min_ * factor, max_ * factor, min(max_ticks, 5))
        return [tick / factor for tick in ticks]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """`412k`, `91.2 %`, `18.4 MB`."""
        return [f"{tick:g}" if self._state else self._short(tick) for tick in ticks]

    def _short(self, tick: float) -> str:
        said = brief(tick, self._unit)
        number, _, name = said.partition(" ")
        return fit(number if self._unit.startswith("{") else f"{number} {name}", _LEFT - 2, right=True).strip()


class SignalChart(PlotWidget, can_focus=False, inherit_bindings=False):
    """The past of a value as a line with gaps left out, and its threshold as a line of dots."""

    DEFAULT_CSS = """
    SignalChart {
        height: 12; display: none; width: 1fr; margin-right: 2;
        &.-drawn { display: block; }
        & > .plot--axis { color: $line; }
        & > .plot--tick { color: $muted; text-style: none; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, allow_pan_and_zoom=False)
        self._shown: tuple[object, ...] = ()

    def on_mount(self) -> None:
        """Leave little room around the plot."""
        super().on_mount()
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, _LEFT

    def show(self, history: History, threshold: str, unit: str) -> None:
        """Draw a history; hidden where there are fewer than two values."""
        shown = (history, threshold, unit, theme.CURRENT.name)
        if shown == self._shown:
            return
        self._shown = shown
        known = [(ms, value) for ms, value in history if value is not None and value - value == 0]
        self.set_class(len(known) >= 2, "-drawn")
        if len(known) < 2:
            return
        self.clear()
        parsed = condition(threshold)
        state = parsed is not None and is_state(parsed.operator, unit)
        self.set_x_formatter(_Clock(lambda: self.size.width - _LEFT))
        self.set_y_formatter(_Amount(unit, state=state))
        values = [value for _, value in known]
        low, high = min(values), max(values)
        first, last = known[0][0] / 1000, known[-1][0] / 1000
        line, limit = theme.CURRENT.bright, theme.CURRENT.severity[Severity.WARNING]
        if parsed is not None:
            low, high = min(low, parsed.threshold), max(high, parsed.threshold)
            across = [first + (last - first) * number / _DOTS for number in range(_DOTS + 1)]
            self.scatter(across, [parsed.threshold] * len(across), "╌", limit)
        for run in _runs(history):  # over the threshold, so that no value is hidden by it
            self.plot([ms / 1000 for ms, _ in run], [value for _, value in run], line, HiResMode.BRAILLE)
        room = ((high - low) or abs(high) or 1.0) * 0.08
        self.set_xlimits(first, last)
        self.set_ylimits(low - room, high + room)


def _runs(history: History) -> list[list[tuple[int, float]]]:
    """The stretches without a gap; a single value is a stretch of two equal points."""
    runs: list[list[tuple[int, float]]] = [[]]
    for ms, value in history:
        if value is None or value - value != 0:
            runs.append([])
            continue
        if runs[-1] and is_gap(runs[-1][-1][0], ms, history[-1][0]):
            runs.append([])
        runs[-1].append((ms, value))
    return [run if len(run) > 1 else run * 2 for run in runs if run]
