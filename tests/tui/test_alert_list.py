"""The list of alerts: its cursor belongs to an alert, it draws what is in view, and it never scrolls sideways."""

from datetime import timedelta

import pytest

from controlplane.eventlog.log import EventLog
from tests.tui import sample
from tests.tui.driving import Clock, alerts, painted, ready, renew, terminal
from tests.tui.sample import NOW
from tui.widgets.columns import GAP

MINUTE = timedelta(minutes=1)


def host(number: int, **fields) -> sample.AlertFacts:
    labels = {"host": f"host-{number:04}"}
    return sample.facts("disk", labels=labels, component="disk", title=f"Disk {number:04} is full", **fields)


def line_of(app) -> int:
    """The line of the widget that has the mark."""
    return next(y for y, line in enumerate(painted(alerts(app)).split("\n")) if line.startswith(">"))


@pytest.fixture
def many(empty_log: EventLog) -> EventLog:
    """200 alerts, host-0000 the newest."""
    drafts = [sample.fired(host(number), MINUTE * (number + 1)) for number in range(200)]
    sample.append(empty_log, [*drafts, sample.ticked()])
    return empty_log


async def test_the_cursor_stays_on_its_alert_through_inserts_removals_and_sorting(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        for _ in range(7):
            await pilot.press("j")
        chosen = alerts(app).selected.alert.id
        assert chosen == host(7).alert

        sample.append(many, [sample.fired(host(900 + n), timedelta(seconds=n)) for n in range(3)])
        await renew(pilot)
        assert alerts(app).selected.alert.id == chosen
        assert line_of(app) == 1 + 7 + 3

        sample.append(many, [sample.resolved(host(n)) for n in (0, 2, 5, 8)])
        await renew(pilot)
        assert alerts(app).selected.alert.id == chosen

        for _ in range(3):
            await pilot.press("o")
            assert alerts(app).selected.alert.id == chosen
            assert ">" in painted(alerts(app))


async def test_the_line_under_the_eyes_stays_where_it_is_while_scrolled(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        for _ in range(60):
            await pilot.press("j")
        before, chosen = line_of(app), alerts(app).selected.alert.id

        sample.append(many, [sample.fired(host(900 + n), timedelta(seconds=n)) for n in range(5)])
        await renew(pilot)

        assert (line_of(app), alerts(app).selected.alert.id) == (before, chosen)


async def test_when_its_alert_ends_the_cursor_waits_and_then_moves_to_a_neighbour(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        await pilot.press("j", "j")
        sample.append(many, [sample.resolved(host(2))])
        await renew(pilot)

        assert alerts(app).selected is None
        assert alerts(app).ended.alert.id == host(2).alert
        assert not any(line.startswith(">") for line in painted(alerts(app)).split("\n"))
        assert "This alert has ended" in painted(app.screen.query_one("#headline"))

        await pilot.press("j")
        assert alerts(app).selected.alert.id == host(3).alert

        sample.append(many, [sample.resolved(host(3))])
        await renew(pilot)
        await pilot.press("k")
        assert alerts(app).selected.alert.id == host(1).alert


async def test_when_the_last_row_ends_the_cursor_moves_up(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        await pilot.press("G")
        assert alerts(app).selected.alert.id == host(199).alert
        sample.append(many, [sample.resolved(host(199))])
        await renew(pilot)
        await pilot.press("k")
        assert alerts(app).selected.alert.id == host(198).alert


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["j"], 1),
        (["down", "down"], 2),
        (["j", "k"], 0),
        (["k"], 0),
        (["up"], 0),
        (["G"], 199),
        (["end", "j"], 199),
        (["G", "g"], 0),
        (["end", "home"], 0),
        (["ctrl+d"], 5),
        (["pagedown", "pagedown", "pageup"], 5),
        (["G", "ctrl+u"], 194),
    ],
)
async def test_movement(many: EventLog, keys: list[str], expected: int) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        assert alerts(app).size.height == 12
        await pilot.press(*keys)
        assert alerts(app).selected.alert.id == host(expected).alert
        assert 1 <= line_of(app) < alerts(app).size.height


async def test_a_click_moves_the_cursor_and_a_double_click_opens(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        await pilot.click(alerts(app), offset=(20, 4))
        assert alerts(app).selected.alert.id == host(3).alert
        await pilot.click(alerts(app), offset=(20, 0))
        assert alerts(app).selected.alert.id == host(3).alert
        await pilot.click(alerts(app), offset=(20, 2), times=2)
        assert type(app.screen).__name__ == "DetailScreen"
        assert app.screen.selected.alert.id == host(1).alert


async def test_filtering_keeps_the_cursor_where_it_was_put(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        await pilot.press("j", "j", "j", "slash", *"host:0007")
        assert [row.alert.id for row in alerts(app).rows] == [host(7).alert]
        assert alerts(app).selected.alert.id == host(7).alert
        await pilot.press(*["backspace"] * 4)
        assert len(alerts(app).rows) == 200
        assert alerts(app).selected.alert.id == host(3).alert

        await pilot.press(*"zzz")
        assert alerts(app).rows == []
        assert alerts(app).selected is None
        assert alerts(app).ended is None
        assert "None of 200 alerts matches the filter" in painted(alerts(app))
        await pilot.press("escape")
        assert len(alerts(app).rows) == 200
        assert alerts(app).selected.alert.id == host(3).alert
        assert alerts(app).has_focus


async def test_an_entered_filter_stays_until_escape(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        await pilot.press("slash", *"disk 019", "enter")
        assert alerts(app).has_focus
        assert len(alerts(app).rows) == 11
        sample.append(many, [sample.fired(host(1_019), timedelta(0)), sample.fired(host(5_000), timedelta(0))])
        await renew(pilot)
        assert len(alerts(app).rows) == 12
        await pilot.press("escape")
        assert len(alerts(app).rows) == 202


async def test_a_row_that_the_filter_comes_to_hide_stays_selected(many: EventLog) -> None:
    app = terminal(many)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        await pilot.press("slash", *"state:open", "enter", "j")
        row = alerts(app).selected
        found = host(1)
        sample.append(many, [sample.taken(found, sample.fired(found, MINUTE * 2), "mira", "mine", NOW)])
        await renew(pilot)

        assert row.alert.id == found.alert
        assert found.alert not in {shown.alert.id for shown in alerts(app).rows}
        assert alerts(app).selected.alert.acknowledged.actor == "mira"
        assert alerts(app).ended is None
        await pilot.press("j")
        assert alerts(app).selected.alert.id == host(2).alert


async def test_only_the_age_is_drawn_anew_as_time_passes(many: EventLog) -> None:
    clock = Clock(NOW)
    app = terminal(many, clock=clock)
    async with app.run_test(size=(100, 26)) as pilot:
        await ready(pilot)
        before = painted(alerts(app)).split("\n")
        clock.forward(timedelta(seconds=1))
        app.deliver(fresh=False)
        await pilot.pause()
        after = painted(alerts(app)).split("\n")

        assert "1m" in before[1]
        assert "1m1s" in after[1]
        assert before[0] == after[0]
        assert after[1].replace("1m1s", "  1m") == before[1]


@pytest.mark.parametrize("size", [(200, 50), (160, 50), (120, 30), (80, 24), (60, 15), (40, 12), (20, 6), (10, 3)])
async def test_no_size_scrolls_sideways(log: EventLog, size: tuple[int, int]) -> None:
    app = terminal(log)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        for widget in app.screen.walk_children():
            if widget.display and widget.region.area:
                scrolls = widget.show_horizontal_scrollbar and widget.styles.scrollbar_size_horizontal > 0
                assert not scrolls, widget
        assert all(len(line) <= size[0] for line in painted(alerts(app)).split("\n"))
        assert alerts(app).virtual_size.width <= max(1, alerts(app).size.width)


@pytest.mark.parametrize("size", [(160, 50), (80, 24), (60, 15)])
async def test_columns_fit_beside_a_scrollbar_and_without_one(many: EventLog, size: tuple[int, int]) -> None:
    app = terminal(many)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        table = alerts(app)
        seen = []
        for keys in ([], ["slash", *"host:0007"], ["escape"]):
            await pilot.press(*keys)
            await pilot.pause()
            painted(table)
            assert 2 + sum(width + GAP for _, width in table._columns) - GAP == table.width
            seen.append(table.show_vertical_scrollbar)
        assert seen == [True, False, True]
