"""The chart of a message as a PNG: values, threshold, gaps and UTC times, readable at 600 by 250 pixels.

matplotlib is loaded here alone. As a program it draws what it reads (see `draw`); the same chart gives the same bytes.
"""

import io
import json
import math
import os
import statistics
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from matplotlib import dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from controlplane.model.labels import printable
from controlplane.model.notifications import Chart
from controlplane.model.time import from_ms
from controlplane.model.units import human
from controlplane.notify.draw import HEAD

_INCHES = (6.0, 2.5)
_DPI = 200
"""Twice 600 by 250 pixels, for displays that show them with four."""
_PAPER, _INK, _QUIET, _GRID = "#f7f8fa", "#1d2733", "#5c6773", "#dfe3e8"
_LINE, _LIMIT, _GAP = "#1f5fbf", "#c62828", "#e3e6ea"
_DAY, _MINUTES = timedelta(days=1), timedelta(minutes=6)
_dates: Any = dates


def png(chart: Chart, title: str) -> bytes:
    """The picture, 1,200 by 500 pixels."""
    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.115, 0.15, 0.85, 0.66), facecolor=_PAPER)
    times = [from_ms(ms) for ms in chart.at_ms]
    values = [math.nan if value is None else value for value in chart.values]
    known = [value for value in values if math.isfinite(value)]
    _frame(axes, times, known, chart)
    if known:
        _gaps(axes, times, values)
        _limit(axes, chart)
        _values(axes, times, values)
    else:
        _text(axes, 0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=_QUIET, fontsize=11)
    _text(figure, 0.02, 0.945, _short(title), ha="left", va="top", color=_INK, fontsize=9.5, fontweight="bold")
    figure_text = f"now {_number(known[-1], chart.unit)}" if known and math.isfinite(values[-1]) else "now no data"
    beyond = known and chart.threshold is not None and _beyond(known[-1], chart)
    color = _LIMIT if beyond or not math.isfinite(values[-1] if values else math.nan) else _INK
    _text(figure, 0.98, 0.945, figure_text, ha="right", va="top", color=color, fontsize=9.5, fontweight="bold")
    target = io.BytesIO()
    figure.savefig(target, format="png", facecolor=_PAPER, metadata={"Software": None})
    return target.getvalue()


def _frame(axes: Any, times: list[datetime], known: list[float], chart: Chart) -> None:
    for name in ("top", "right", "left"):
        axes.spines[name].set_visible(False)
    axes.spines["bottom"].set_color(_QUIET)
    axes.grid(axis="y", color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", colors=_QUIET, labelsize=8, length=2.5)
    axes.tick_params(axis="y", length=0)
    if known:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, min_n_ticks=3))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _bare(value, chart.unit)))
    else:
        axes.set_yticks([])
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1] + (times[-1] - times[0]) * 0.015)
    lasts = times[-1] - times[0] if times else timedelta(0)
    style = "%d %b %H:%M" if lasts > _DAY else "%H:%M" if lasts > _MINUTES else "%H:%M:%S"
    axes.xaxis.set_major_locator(_dates.AutoDateLocator(tz=UTC, minticks=3, maxticks=7))
    axes.xaxis.set_major_formatter(_dates.DateFormatter(style, tz=UTC))
    shown = [*known, *([chart.threshold] if chart.threshold is not None else [])]
    if shown:
        low, high = min(shown), max(shown)
        room = (high - low) * 0.12 or abs(high) * 0.1 or 1.0
        floor = 0.0 if 0 <= low < (high - low) * 2 else low - room
        axes.set_ylim(floor, high + room)
    _text(axes.get_figure(), 0.02, 0.03, "UTC", ha="left", va="bottom", color=_QUIET, fontsize=8)


def _gaps(axes: Any, times: list[datetime], values: list[float]) -> None:
    """Grey where nothing was measured."""
    known = [at for at, value in zip(times, values, strict=True) if math.isfinite(value)]
    step = _step(times)
    edges = [*pairwise(known), *([(times[0], known[0])] if known[0] > times[0] else [])]
    edges += [(known[-1], times[-1])] if known[-1] < times[-1] else []
    for start, end in edges:
        if end - start > 1.5 * step or (start, end) not in pairwise(known):
            axes.axvspan(_dates.date2num(start), _dates.date2num(end), color=_GAP, linewidth=0, zorder=0.5)
            if (end - start) > (times[-1] - times[0]) * 0.12:
                middle = _dates.date2num(start + (end - start) / 2)
                where = axes.get_xaxis_transform()
                _text(axes, middle, 0.5, "no data", transform=where, ha="center", va="center", color=_QUIET, fontsize=8)


def _limit(axes: Any, chart: Chart) -> None:
    if chart.threshold is None:
        return
    low, high = axes.get_ylim()
    start, end = (low, chart.threshold) if chart.below else (chart.threshold, high)
    axes.axhspan(start, end, color=_LIMIT, alpha=0.06, linewidth=0, zorder=0.6)
    axes.axhline(chart.threshold, color=_LIMIT, linewidth=1.2, linestyle=(0, (5, 3)), zorder=2)
    label = f"alert {'below' if chart.below else 'above'} {_number(chart.threshold, chart.unit)}"
    where = axes.get_yaxis_transform()
    _text(
        axes,
        0.008,
        chart.threshold,
        label,
        transform=where,
        ha="left",
        va="bottom",
        color=_LIMIT,
        fontsize=8,
        zorder=4,
        bbox={"facecolor": _PAPER, "alpha": 0.75, "linewidth": 0, "pad": 0.8},
    )


def _values(axes: Any, times: list[datetime], values: list[float]) -> None:
    step = _step(times)
    line_times: list[datetime] = []
    line: list[float] = []
    for number, (at, value) in enumerate(zip(times, values, strict=True)):
        if number and at - times[number - 1] > 1.5 * step:
            line_times.append(times[number - 1] + step)
            line.append(math.nan)
        line_times.append(at)
        line.append(value)
    axes.plot(line_times, line, color=_LINE, linewidth=1.7, solid_capstyle="round", solid_joinstyle="round", zorder=3)
    padded = [math.nan, *line, math.nan]
    alone = [
        (at, value)
        for number, (at, value) in enumerate(zip(line_times, line, strict=True))
        if math.isfinite(value) and not math.isfinite(padded[number]) and not math.isfinite(padded[number + 2])
    ]
    last = [(at, value) for at, value in zip(line_times, line, strict=True) if math.isfinite(value)][-1:]
    for points, size in ((alone, 2.5), (last, 4.5)):
        axes.plot([at for at, _ in points], [value for _, value in points], "o", color=_LINE, markersize=size, zorder=5)


def _step(times: list[datetime]) -> timedelta:
    """The usual distance of two values."""
    seconds = [(later - sooner).total_seconds() for sooner, later in pairwise(times)]
    return timedelta(seconds=statistics.median(seconds)) if seconds else timedelta(seconds=1)


def _beyond(value: float, chart: Chart) -> bool:
    assert chart.threshold is not None
    return value <= chart.threshold if chart.below else value >= chart.threshold


def _number(value: float, unit: str) -> str:
    return printable(human(value, unit), 40)


def _bare(value: float, unit: str) -> str:
    """A number of the axis, without the noun that stands next to the newest value."""
    return _number(value, unit).partition(" ")[0] if unit.startswith("{") else _number(value, unit)


def _short(title: str) -> str:
    return title if len(title) <= 62 else title[:61] + "…"


def _text(on: Any, x: float, y: float, text: str, **style: Any) -> None:
    # What a label says is no formula.
    on.text(x, y, text, parse_math=False, **style)


def main() -> None:
    """Draw the charts of standard input, a JSON document in each line, until it ends."""
    os.nice(10)  # messages come first
    for line in sys.stdin.buffer:
        try:
            asked = json.loads(line)
            drawn, data = True, png(Chart.model_validate(asked["chart"]), str(asked["title"]))
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            drawn, data = False, f"{type(error).__name__}: {error}".encode()[:1_000]
        sys.stdout.buffer.write(HEAD.pack(drawn, len(data)) + data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
