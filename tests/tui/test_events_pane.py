"""What happened to the alert under the cursor, beside the list where the terminal is large."""

from datetime import timedelta

import pytest
from textual.pilot import Pilot

from controlplane.eventlog.log import EventLog
from tests.tui import sample
from tests.tui.driving import painted_all, ready, renew, terminal, until
from tests.tui.past import DISK, LAG, time_of
from tui.widgets.events_pane import EventsPane

LARGE = (160, 50)


async def lines(pilot: Pilot[None]) -> list[str]:
    """What the pane tells once it has read everything."""
    pane = pilot.app.screen.query_one(EventsPane)
    await until(lambda: pane.told, "the events")
    await pilot.pause()
    return [line.rstrip() for line in painted_all(pane).split("\n") if line.strip()]


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (119, 50), (160, 35)])
async def test_it_is_there_where_there_is_room_for_it(log: EventLog, size: tuple[int, int]) -> None:
    app = terminal(log)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        assert not app.screen.query_one(EventsPane).display
        await pilot.resize_terminal(120, 36)
        assert app.screen.query_one(EventsPane).display


async def test_it_follows_the_cursor_and_what_happens(empty_log: EventLog) -> None:
    fired = sample.draft(sample.AlertFired(facts=DISK), time_of(2))
    drafts = [fired, sample.fired(LAG, timedelta(minutes=1)), sample.proposed(sample.scale_out(LAG.alert))]
    sample.append(empty_log, [*drafts, sample.ticked()])
    app = terminal(empty_log)
    async with app.run_test(size=LARGE) as pilot:
        await ready(pilot)
        advised, began = await lines(pilot)
        assert "ADVICE" in advised
        assert "FIRING" in began
        await pilot.press("j")
        assert [line.split()[1] for line in await lines(pilot)] == ["FIRING"]
        sample.append(empty_log, [sample.taken(DISK, fired, "mira", "on it", time_of(6))])
        await renew(pilot)
        pane = app.screen.query_one(EventsPane)
        await until(lambda: "on it" in painted_all(pane), "the acknowledgement")
        assert "mira" in painted_all(pane)
        assert len(await lines(pilot)) == 2


async def test_in_the_past_it_tells_what_was_known_then(empty_log: EventLog) -> None:
    fired = sample.draft(sample.AlertFired(facts=DISK), time_of(2))
    for drafts, tick in (([fired], 2), ([sample.taken(DISK, fired, "mira", "on it", time_of(6))], 6), ([], 7)):
        sample.append(empty_log, [*drafts, sample.ticked(time_of(tick))])
    app = terminal(empty_log)
    async with app.run_test(size=LARGE) as pilot:
        await ready(pilot)
        assert len(await lines(pilot)) == 2
        for position, known in ((4, 2), (2, 1)):
            await pilot.press("left_square_bracket")
            await until(lambda at=position: app.travels.moment and app.travels.moment.position == at, "the past")
            await pilot.pause()
            assert len(await lines(pilot)) == known
        await pilot.press("L")
        await until(lambda: not app.travelling, "the present")
        await pilot.pause()
        assert len(await lines(pilot)) == 2


async def test_text_from_outside_is_text(empty_log: EventLog) -> None:
    hostile = "[red]\x1b[31mx[/] <!channel> " + "宽" * 300
    sample.append(
        empty_log, [sample.fired(LAG.model_copy(update={"summary": hostile}), timedelta(minutes=1)), sample.ticked()]
    )
    app = terminal(empty_log)
    async with app.run_test(size=LARGE) as pilot:
        await ready(pilot)
        text = "\n".join(await lines(pilot))
        assert "[red]" in text
        assert "<!channel>" in text
        assert "\x1b" not in text
