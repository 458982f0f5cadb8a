"""The time axis of a signal's chart: each label is whole, stands under its tick and away from the next."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from textual.app import App, ComposeResult

from tests.tui.driving import screen_text
from tui import theme
from tui.widgets.signal_chart import SignalChart, _Clock

NOW = datetime(2026, 3, 1, 19, 0, tzinfo=UTC)
SPANS = [timedelta(minutes=minutes) for minutes in (1, 7, 29.75, 60, 142, 361)]
ENDS = [timedelta(seconds=seconds) for seconds in (0, 1, 30, 61, 150, 299, 600, 1_790)]
"""How long after a round time the axis ends: its last ticks come close to the right edge."""


class Bench(App[None]):
    """A chart alone."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(theme.theme(theme.DARK))
        self.theme = theme.DARK.name

    def compose(self) -> ComposeResult:
        yield SignalChart(id="chart")


@pytest.mark.parametrize("cells", [1, 8, 12, 20, 30, 46, 62, 110, 400])
def test_labels_neither_touch_nor_leave_the_axis(cells: int) -> None:
    clock = _Clock(lambda: cells)
    for span in SPANS:
        for late in ENDS:
            end = (NOW + late).timestamp()
            ticks = clock.get_ticks(end - span.total_seconds(), end)
            places = [(tick - end) / span.total_seconds() * cells + cells for tick in ticks]
            assert all(place <= cells - 2 for place in places), (span, late, places)
            assert all(after - before >= 6 for before, after in pairwise(places)), (span, late, places)
            assert len(ticks) <= 8
            assert len(ticks) >= 2 or cells < 46 or span == SPANS[0], (span, late)


@pytest.mark.parametrize("width", [40, 60, 120])
async def test_a_chart_that_ends_where_a_tick_would_be_has_whole_labels(width: int) -> None:
    app = Bench()
    async with app.run_test(size=(width, 14)) as pilot:
        chart = app.query_one(SignalChart)
        for span in (SPANS[2], SPANS[5]):
            for late in ENDS[:4]:
                end = NOW + late
                points = [end - span * (1 - number / 40) for number in range(41)]
                history = tuple((int(at.timestamp() * 1000), float(n % 7)) for n, at in enumerate(points))
                chart.show(history, "> 3", "1")
                await pilot.pause()
                frame, labels = [line for line in screen_text(app).split("\n") if "┻" not in line and line.strip()][-2:]
                told = [found.start() + 2 for found in re.finditer(r"\b\d\d:\d\d\b", labels)]
                ticks = [place for place, character in enumerate(frame) if character in "┳┣"]
                assert len(labels.split()) == len(told) == len(ticks) > 0, (span, late, labels)
                assert all(abs(one - other) <= 1 for one, other in zip(told, ticks, strict=True)), (span, late)
