"""Time travel in the terminal: every pane shows what was known then, and nothing can be done there."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from textual.widgets._footer import FooterKey

from controlplane.eventlog.log import EventLog
from controlplane.model.events import Draft
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.driving import Clock, alerts, notices, painted, painted_all, ready, screen_text, terminal, until
from tests.tui.past import BEGIN, LAG, STEP, ends, short_past, time_of
from tests.tui.sample import NOW
from tui.app import SCREENS, ControlplaneApp
from tui.commands import Command, Kind
from tui.data import SnapshotReader
from tui.data.past import PastLog
from tui.data.seek import Seek
from tui.screens.detail import DetailScreen
from tui.screens.seek import SeekDialog
from tui.travel import Report, Traveller
from tui.travelling import Refused
from tui.trust import Mode

SIZE = (120, 40)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the short past, closed."""
    folder = tmp_path_factory.mktemp("past")
    with sample.open_log(folder) as log:
        sample.append(log, short_past())
    return folder / "events.db"


@pytest.fixture
def log(filled: Path, tmp_path: Path) -> Iterator[EventLog]:
    """A log of its own with the short past."""
    shutil.copy(filled, tmp_path / "events.db")
    with sample.open_log(tmp_path) as opened:
        yield opened


async def arrived(pilot: Pilot[None], position: int) -> None:
    """Wait until the picture is that of a position."""
    app = pilot.app
    assert isinstance(app, ControlplaneApp)
    await until(lambda: app.travels.moment is not None and app.travels.moment.position == position, f"at {position}")
    await pilot.pause()


async def seek(pilot: Pilot[None], text: str) -> None:
    """Type where to go."""
    await pilot.press("t")
    await pilot.pause()
    pilot.app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await pilot.pause()


async def bodies(pilot: Pilot[None]) -> dict[str, list[str]]:
    """What each of the five screens shows between banner and footer."""
    shown = {}
    for screen in SCREENS:
        await pilot.press(screen.KEY)
        await pilot.pause()
        await pilot.pause()
        lines = painted_all(pilot.app.screen.query_one("#panes")).split("\n")
        shown[screen.NAME] = [line for line in lines if line.strip()]  # the banner takes a line of an empty rest
    return shown


@pytest.mark.parametrize("tick", [0, 7])
async def test_every_pane_is_that_of_a_terminal_that_was_opened_then(log: EventLog, tick: int) -> None:
    position = ends(log)[tick]
    app = terminal(log, start=Seek(position=position))  # columns are as wide as what was seen, so nothing before it
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await arrived(pilot, position)
        assert app.snapshot == SnapshotReader(PastLog(log, position), "prod-eu").poll(NOW)
        assert app.now == time_of(tick)
        past = await bodies(pilot)
    then = terminal(PastLog(log, position), actions=Operator(log), clock=Clock(time_of(tick)))
    async with then.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        assert past == await bodies(pilot)


@pytest.mark.parametrize("position", [0, 1])
async def test_before_the_first_tick_there_is_nothing(log: EventLog, position: int) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await seek(pilot, str(position))
        await arrived(pilot, position)
        assert (app.snapshot.rows, app.snapshot.entries) == ((), ())
        assert "No tick had ended then" in painted(alerts(app))


async def test_the_bar_and_the_banner_say_when_and_that_the_present_goes_on(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("left_curly_bracket")
        await arrived(pilot, ends(log)[9])
        bar, _, banner = screen_text(app).split("\n")[:3]
        assert f"REPLAY {time_of(9):%H:%M:%S}Z" in bar
        assert "live: 2 critical" in bar
        assert f"REPLAY {time_of(9):%Y-%m-%d %H:%M:%S}Z · position {ends(log)[9]} of {log.head()} · stopped" in banner
        assert "t Time [ ] Tick { } Incident p Play" in screen_text(app).split("\n")[-1]
        for width, height in ((60, 15), (40, 12)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert "live: 2 critical" in screen_text(app).split("\n")[0]
            assert "REPLAY" in screen_text(app).split("\n")[0]


async def test_what_is_new_moves_the_count_of_the_present_alone(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("left_square_bracket")
        await arrived(pilot, ends(log)[10])
        before, shown = app.snapshot, painted(alerts(app))
        sample.append(log, [sample.fired(sample.facts("new-one"), timedelta(0)), sample.ticked(NOW + STEP)])
        app.wake()
        await until(lambda: app.live.position == log.head(), "the present")
        await pilot.pause()
        assert app.snapshot is before
        assert painted(alerts(app)) == shown
        assert "live: 3 critical" in screen_text(app).split("\n")[0]
        await pilot.press("L")
        await pilot.pause()
        assert (app.trusted.mode, app.snapshot.position) == (Mode.LIVE, log.head())
        assert "new-one" in {row.alert.rule for row in app.snapshot.rows}


async def test_steps_and_incidents_to_their_ends(log: EventLog) -> None:
    stops = ends(log)
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        for key, position in (
            ("left_square_bracket", stops[10]),
            ("left_square_bracket", stops[9]),
            ("right_square_bracket", stops[10]),
            ("left_curly_bracket", stops[9]),
            ("left_curly_bracket", stops[5]),
            ("left_curly_bracket", stops[2]),
            ("right_curly_bracket", stops[5]),
        ):
            await pilot.press(key)
            await arrived(pilot, position)
        await seek(pilot, str(stops[2]))
        await pilot.press("left_curly_bracket")
        await until(lambda: "No alert began to fire before." in notices(app))
        await seek(pilot, str(stops[9]))
        await pilot.press("right_curly_bracket")
        await until(lambda: "No alert began to fire after." in notices(app))
        await seek(pilot, str(stops[0]))
        await pilot.press("left_square_bracket")
        await until(lambda: "There is no earlier tick." in notices(app))
        await seek(pilot, str(stops[-1]))
        await pilot.press("right_square_bracket")
        await until(lambda: "There is no later tick." in notices(app))
        await arrived(pilot, stops[-1])


async def test_many_steps_at_once_arrive_where_all_of_them_lead(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press(*["left_square_bracket"] * 8)
        await arrived(pilot, ends(log)[3])


async def test_in_the_present_there_is_nothing_ahead(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        for key in ("right_square_bracket", "right_curly_bracket", "L", "plus"):
            await pilot.press(key)
        assert not app.travelling
        assert len(notices(app)) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("25:00", "is no time and no position; write 20:14"),
        ("+10m", "has not come yet"),
    ],
)
async def test_the_dialog_says_what_is_accepted(log: EventLog, text: str, said: str) -> None:
    app = terminal(log)
    async with app.run_test(size=(60, 15)) as pilot:
        await ready(pilot)
        await seek(pilot, text)
        assert isinstance(app.screen, SeekDialog)
        assert said in " ".join(painted(app.screen.query_one("#error")).split())
        await pilot.press("escape")
        assert (isinstance(app.screen, SeekDialog), app.travelling) == (False, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9999", "There is no position 9,999: the log ends at"),
        ("-2h", "lies before the first tick"),
    ],
)
async def test_where_the_log_has_nothing_one_stays(log: EventLog, text: str, said: str) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await seek(pilot, text)
        await until(lambda: any(said in notice for notice in notices(app)), said)
        assert not app.travelling
        assert app.trusted.mode is Mode.LIVE


async def test_a_log_without_a_tick_has_no_past(empty_log: EventLog) -> None:
    app = terminal(empty_log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("p")
        await until(lambda: any("there is no past" in notice for notice in notices(app)))
        assert not app.travelling


def footer(app: ControlplaneApp) -> dict[str, FooterKey]:
    return {key.action: key for key in app.screen.query(FooterKey)}


async def test_nothing_can_be_done_by_any_way(log: EventLog) -> None:
    head = log.head()
    app = terminal(log)
    async with app.run_test(size=(200, 40), notifications=True) as pilot:
        await ready(pilot)
        alert = app.snapshot.rows[0]
        await pilot.press("left_square_bracket")
        await arrived(pilot, ends(log)[10])
        await until(lambda: "step(-1)" in footer(app), "the keys of the past")
        keys = {binding.key: binding for _, binding, _, _ in app.screen.active_bindings.values()}
        acts = [
            key for key, binding in keys.items() if (binding.id or "").startswith("act.") and "copy" not in binding.id
        ]
        assert len(acts) >= 6
        for key in acts:
            await pilot.press(key)
            await pilot.pause()
            assert len(app.screen_stack) == 1, key
        for name in ("acknowledge", "approve"):
            assert footer(app)[name].has_class("-disabled")
            await pilot.click(footer(app)[name])
            await pilot.pause()
            assert len(app.screen_stack) == 1
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert offered.isdisjoint({"Ack", "Approve", "Reject", "Silence", "Note", "Undo"})
        app.desk.submit([Command.about(Kind.ACKNOWLEDGE, alert)])
        await pilot.pause()
        assert any("nothing can be done in it" in notice for notice in notices(app))
        with pytest.raises(Refused, match="nothing can be done in it"):
            app.desk._actions.acknowledge(alert.id, actor="ana", note="", episode=alert.alert.episode, now=NOW)
        assert (log.head(), app.busy) == (head, frozenset())


async def test_a_dialog_that_was_opened_before_does_nothing_in_the_past(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        head = log.head()
        await pilot.press("a")
        app.depart("step", -1)
        await arrived(pilot, ends(log)[10])
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert log.head() == head
        assert any("nothing can be done in it" in notice for notice in notices(app))


async def test_a_read_only_terminal_is_refused_by_the_service_too(log: EventLog) -> None:
    app = terminal(log, read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        with pytest.raises(Refused, match="read-only"):
            app.desk._actions.approve("r", actor="ana", version=1, reason="", now=NOW)


async def test_details_show_what_was_known_then(log: EventLog) -> None:
    stops = ends(log)
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        row = next(row for row in app.snapshot.rows if row.alert.rule == sample.LAG)
        await seek(pilot, str(stops[6]))
        await arrived(pilot, stops[6])
        app.push_screen(DetailScreen(app.snapshot.by_id[row.id]))
        await until(lambda: isinstance(app.screen, DetailScreen) and app.screen.told, "the story")
        await pilot.pause()
        shown = painted_all(app.screen.query_one("#detail"))
        assert "15s" in shown
        assert "mira" not in shown
        await pilot.press(*["right_square_bracket"] * 2)
        await arrived(pilot, stops[8])
        await until(lambda: "mira" in painted_all(app.screen.query_one("#detail")), "the approval")
        await seek(pilot, str(stops[4]))
        await arrived(pilot, stops[4])
        assert not app.screen.query_one("#detail").display
        assert "It isn't there at" in painted(app.screen.query_one("#absent"))
        await pilot.press("L")
        await pilot.pause()
        assert app.screen.query_one("#detail").display


async def test_the_cursor_comes_back_to_its_alert(log: EventLog) -> None:
    stops = ends(log)
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        row = next(row for row in alerts(app).rows if row.alert.rule == sample.LAG)
        alerts(app).move_to(alerts(app).rows.index(row))
        await seek(pilot, str(stops[2]))
        await arrived(pilot, stops[2])
        assert alerts(app).selected.alert.rule == "disk-usage"
        assert alerts(app).ended is None
        await seek(pilot, str(stops[10]))
        await arrived(pilot, stops[10])
        assert alerts(app).selected.id == row.id


async def test_freezing_stops_the_picture_and_the_ages(log: EventLog) -> None:
    clock = Clock()
    app = terminal(log, clock=clock)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("p")
        await arrived(pilot, log.head())
        clock.forward(timedelta(minutes=1))
        sample.append(log, [sample.ticked(NOW + timedelta(minutes=1))])
        await renew_live(app, log)
        assert (app.now, app.snapshot.position) == (NOW, ends(log)[-2])


async def renew_live(app: ControlplaneApp, log: EventLog) -> None:
    app.wake()
    await until(lambda: app.live.position == log.head(), "the present")


async def test_playing_ends_in_the_present(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await seek(pilot, str(ends(log)[0]))
        await arrived(pilot, ends(log)[0])
        await pilot.press("plus", "plus", "plus", "plus", "p")
        await until(lambda: app.travels.moment is None or app.travels.moment.playing, "playing")
        for size in ((60, 15), (160, 50), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await until(lambda: not app.travelling, "the present")
        await pilot.pause()
        assert (app.trusted.mode, app.snapshot.position) == (Mode.LIVE, log.head())
        assert "This is the present." in notices(app)


async def test_a_log_that_does_not_grow_is_played_to_its_end(log: EventLog) -> None:
    app = terminal(log, closed="BACKTEST", start=Seek(position=ends(log)[2]))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await arrived(pilot, ends(log)[2])
        assert f"BACKTEST {time_of(2):%Y-%m-%d %H:%M:%S}Z" in screen_text(app)
        assert "live" not in screen_text(app).split("\n")[0]
        await pilot.press("a")
        assert any("This is a backtest; nothing can be done in it." in notice for notice in notices(app))
        await pilot.press("plus", "plus", "plus", "p")
        await until(lambda: app.travels.moment.position == log.head() and not app.travels.moment.playing, "the end")
        await pilot.press("p")
        await until(lambda: any("This is the end" in notice for notice in notices(app)))
        await pilot.press("left_curly_bracket")
        await arrived(pilot, ends(log)[9])
        await pilot.press("L")
        await arrived(pilot, log.head())
        assert app.travelling


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_playing_goes_as_fast_as_is_asked(log: EventLog) -> None:
    hand, told = Hand(), []
    traveller = Traveller(lambda: log, lambda: None, told.append, clock=hand)

    def now(what: str, value: Any = None) -> None:
        traveller._do(lambda recording: getattr(traveller, f"_{what}")(recording, value))
        traveller._arrive(0, "", asked=True)

    now("seek", Seek(at=BEGIN))
    now("play")
    hand.now = 14.0
    traveller._arrive(0, "", asked=False)
    assert (told[-1].moment.position, told[-1].moment.at) == (ends(log)[0], BEGIN + timedelta(seconds=14))
    hand.now = 15.0
    traveller._arrive(0, "", asked=False)
    assert told[-1].moment.position == ends(log)[1]
    now("speed", 1)
    hand.now = 18.0
    traveller._arrive(0, "", asked=False)
    assert (told[-1].moment.position, told[-1].moment.at) == (ends(log)[3], BEGIN + timedelta(seconds=45))
    now("speed", -1)
    now("speed", -1)
    assert told[-1].moment.speed == 1
    now("play")
    hand.now = 100.0
    traveller._arrive(0, "", asked=False)
    assert told[-1].moment.at == BEGIN + timedelta(seconds=45)


def travels(log: EventLog) -> tuple[Callable[..., None], list[Report], Hand]:
    """A traveller on a log, driven from the test: what asks it, what it reports, and its clock."""
    hand, told = Hand(), []
    traveller = Traveller(lambda: log, lambda: None, told.append, clock=hand)

    def ask(what: str = "", value: Any = None) -> None:
        if what:
            traveller._do(lambda recording: getattr(traveller, f"_{what}")(recording, value))
        traveller._arrive(0, "", asked=bool(what))

    return ask, told, hand


HOUR = timedelta(hours=1)


def noted(at: timedelta, note: str) -> Draft:
    """Somebody acknowledged the lag so long after the ticks had stopped."""
    return sample.taken(LAG, sample.draft(sample.AlertFired(facts=LAG), time_of(5)), "mira", note, NOW + at)


@pytest.mark.parametrize(
    ("after", "events", "late"),
    [
        (timedelta(seconds=45), 0, False),
        (timedelta(seconds=46), 0, True),
        (2 * HOUR - timedelta(milliseconds=1), 0, True),
        (2 * HOUR, 1, True),
        (3 * HOUR, 2, True),
        (5 * HOUR, 2, True),
        (6 * HOUR - timedelta(milliseconds=1), 2, True),
    ],
)
@pytest.mark.parametrize("ticks_again", [False, True])
def test_where_ticks_had_stopped_the_past_is_late_and_has_what_people_did(
    log: EventLog, after: timedelta, events: int, late: bool, ticks_again: bool
) -> None:
    end = log.head()
    sample.append(log, [noted(2 * HOUR, "on it"), noted(3 * HOUR, "still")])
    if ticks_again:
        sample.append(log, [sample.ingested("prom-eu1", 9, NOW + 6 * HOUR), sample.ticked(NOW + 6 * HOUR)])
    ask, told, _ = travels(log)
    ask("seek", Seek(at=NOW + after))
    assert (told[-1].moment.position, told[-1].moment.late) == (end + events, late)
    acknowledged = told[-1].moment.snapshot.by_id[LAG.alert].alert.acknowledged
    assert (acknowledged and acknowledged.note) == (None, "on it", "still")[events]


@pytest.mark.parametrize(
    ("steps", "late"), [((1_440,), False), ((960, 480), False), ((481,), False), ((480,), True), ((1,), True)]
)
def test_a_time_that_a_later_tick_caught_up_with_is_not_late(log: EventLog, steps: Sequence[int], late: bool) -> None:
    sample.append(log, [noted(2 * HOUR, "on it")])
    sample.append(log, [caught_up(NOW + 6 * HOUR, one, number) for number, one in enumerate(steps)])
    ask, told, _ = travels(log)
    ask("seek", Seek(at=NOW + 4 * HOUR))
    assert told[-1].moment.late is late
    assert told[-1].moment.snapshot.by_id[LAG.alert].alert.acknowledged.note == "on it"
    ask("seek", Seek(at=NOW + 6 * HOUR))
    assert not told[-1].moment.late


def caught_up(at: datetime, steps: int, number: int) -> Draft:
    """The end of one of the windows of a tick."""
    made = sample.ticked(at, steps)
    return made.model_copy(update={"key": f"{made.key}/{number}"})


def test_playing_through_a_time_without_ticks_has_what_people_did(log: EventLog) -> None:
    end = log.head()
    sample.append(log, [noted(2 * HOUR, "on it"), *(sample.ticked(NOW + 6 * HOUR + n * STEP) for n in (0, 1))])
    ask, told, hand = travels(log)
    ask("seek", Seek(at=NOW + HOUR))
    ask("play")
    for seconds, position, late in ((3_599, end, True), (3_600, end + 1, True), (18_000, end + 2, False)):
        hand.now = float(seconds)
        ask()
        assert (told[-1].moment.position, told[-1].moment.late) == (position, late)


@pytest.mark.parametrize(("width", "age"), [(120, True), (80, True), (60, False)])
async def test_the_bar_and_the_banner_say_that_no_tick_had_ended_for_long(log: EventLog, width: int, age: bool) -> None:
    sample.append(log, [noted(2 * HOUR, "on it"), noted(6 * HOUR, "still")])
    clock = Clock(NOW + 7 * HOUR)
    app = terminal(log, clock=clock)
    async with app.run_test(size=(width, 24)) as pilot:
        await ready(pilot)
        await seek(pilot, "00:04:20")
        await arrived(pilot, log.head() - 1)
        lines = screen_text(app).split("\n")
        assert "REPLAY 2026-03-02 00:04:20Z · no tick for 5h then" in lines[2]
        assert ("age 5h" in lines[0]) is age
        assert app.snapshot.by_id[LAG.alert].alert.acknowledged.actor == "mira"
        await seek(pilot, "19:04:20")
        await arrived(pilot, ends(log)[-1])
        assert "no tick" not in screen_text(app)
        assert "age" not in screen_text(app).split("\n")[0]


async def test_a_store_that_fails_leaves_the_picture(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("left_square_bracket")
        await arrived(pilot, ends(log)[10])

        def gone(*_: Any, **__: Any) -> Any:
            raise OSError("the disk is gone")

        monkeypatch.setattr(log, "pick", gone)
        await seek(pilot, str(ends(log)[5]))
        await until(lambda: any("the disk is gone" in notice for notice in notices(app)))
        assert app.travels.moment.position == ends(log)[10]
        monkeypatch.undo()
        await pilot.press("left_square_bracket")
        await until(lambda: app.travels.moment.position != ends(log)[10], "moved on")


async def test_quitting_while_it_plays(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("left_curly_bracket")
        await arrived(pilot, ends(log)[9])
        await pilot.press("p")
        await until(lambda: app.travels.moment.playing)
        before = asyncio.get_running_loop().time()
        await pilot.press("q")
    assert asyncio.get_running_loop().time() - before < 5
