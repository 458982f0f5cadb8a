"""Silences, notes, marks and undoing: seen before they are done, done once, each on its own, and taken back."""

from datetime import UTC, datetime, timedelta

import pytest
from textual.widgets import Button, Input

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, SILENCES
from controlplane.model.errors import ControlplaneError
from controlplane.model.matchers import parse_matchers
from controlplane.model.payloads import NoteAdded
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.operator import Operator
from controlplane.silencing import matchers_of, named
from tests.tui import sample
from tests.tui.driving import alerts, notices, painted, ready, renew, row_line, screen_text, terminal, until
from tests.tui.sample import NOW
from tui.acting.times import beginning, ending
from tui.screens.confirm import ConfirmDialog
from tui.screens.silence import MatcherLine, SilenceDialog

SIZE = (120, 40)
HOUR = timedelta(hours=1)


async def select(pilot, rule: str) -> str:
    table = alerts(pilot.app)
    row = next(row for row in table.rows if row.alert.rule == rule)
    table.move_to(table.rows.index(row))
    await pilot.pause()
    return row.id


def preview(app) -> str:
    return painted(app.screen.query_one("#muted"))


def heading(app) -> str:
    return str(app.screen.query_one("#preview").border_title)


async def opened(pilot, key: str = "s") -> SilenceDialog:
    await pilot.press(key)
    dialog = pilot.app.screen
    assert isinstance(dialog, SilenceDialog)
    await until(lambda: dialog._firing is not None, "what fires")
    await pilot.pause()
    return dialog


def silences(log: EventLog) -> list[tuple[str, ...]]:
    return [tuple(map(str, one.matchers)) for one in log.rows(SILENCES).values()]


async def test_a_silence_begins_with_the_alert_and_shows_what_it_would_mute(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await select(pilot, sample.LAG)
        dialog = await opened(pilot)
        line = dialog.query_one(MatcherLine)
        assert line.text == f'rule="{sample.LAG}" consumer_group="billing" topic="orders"'
        assert "Would mute 1 of 9 that fire now" in heading(app)
        assert preview(app).split()[:2] == ["CRIT", "Kafka"]

        line.text = 'platform="catalyst"'
        await pilot.pause()
        muted = [one for one in log.rows(ALERTS).values() if one.platform == "catalyst" and one.fired_at]
        assert f"Would mute {len(muted)} of 9" in heading(app)
        assert sum(word in ("CRIT", "WARN", "INFO") for word in preview(app).split()) == len(muted) > 1

        for text, said in (("host", "is not a matcher"), ('a=~"["', "not a regular expression"), ('a!="x"', "every")):
            line.text = text
            await pilot.pause()
            assert said in preview(app), text
            assert dialog.query_one("#confirm", Button).disabled

        line.text = "consumer_group=nobody"
        await pilot.pause()
        assert "Would mute 0 of 9" in heading(app)
        assert silences(log) == []


async def test_a_silence_is_made_once_with_its_reason_and_end_and_can_be_undone(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await select(pilot, sample.LAG)
        dialog = await opened(pilot)
        assert app.focused.id == "cancel"
        confirm = dialog.query_one("#confirm", Button)
        assert confirm.disabled
        await pilot.press(*"deploy")
        assert dialog.query_one("#reason", Input).value == "deploy"
        dialog.query_one("#end", Input).value = "until 21:30"
        await pilot.press("enter")
        assert app.focused is confirm
        assert silences(log) == []
        confirm.press()
        confirm.press()
        await until(lambda: silences(log))
        await until(lambda: not app.busy)
        (made,) = log.rows(SILENCES).values()
        assert (made.author, made.reason, made.kind) == ("ana", "deploy", "silence")
        assert (made.starts_at, made.ends_at) == (NOW, datetime(2026, 3, 1, 21, 30, tzinfo=UTC))
        assert notices(app)[0].startswith("Silenced: rule=")

        await renew(pilot)
        await pilot.press("ctrl+z")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("tab", "enter")
        await until(lambda: log.row(SILENCES, made.id).ended_by == "ana")


@pytest.mark.parametrize("keys", [["enter"], ["escape"], ["x", "escape"], ["x", "enter", "escape"]])
async def test_enter_and_escape_mute_nothing(log: EventLog, keys: list[str]) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await opened(pilot)
        await pilot.press(*keys)
        await pilot.pause()
        assert not isinstance(app.screen, SilenceDialog)
        assert (silences(log), app.busy) == ([], frozenset())


async def test_a_silence_is_ended_from_its_screen_and_made_again(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("4")
        await pilot.pause()
        dialog = await opened(pilot, "M")
        assert not dialog.query_one(MatcherLine).text or "rule=" in dialog.query_one(MatcherLine).text
        dialog.query_one(MatcherLine).text = "zone=eu1-b"
        dialog.query_one("#begin", Input).value = "22:00"
        dialog.query_one("#reason", Input).value = "switch replaced"
        await pilot.pause()
        dialog.query_one("#confirm", Button).press()
        await until(lambda: silences(log) == [('zone="eu1-b"',)])
        (made,) = log.rows(SILENCES).values()
        assert made.kind == "maintenance"
        assert made.starts_at == datetime(2026, 3, 1, 22, tzinfo=UTC)
        assert made.ends_at - made.starts_at == 2 * HOUR
        await renew(pilot)
        await until(lambda: not app.busy)
        table = app.screen.table
        table.move_to(row_line(table, f"silence:{made.id}"))
        await pilot.pause()
        await pilot.press("u")
        assert "switch replaced" in screen_text(app)
        await pilot.press("tab", "enter")
        await until(lambda: log.row(SILENCES, made.id).ended_by == "ana")
        await until(lambda: not app.busy)
        await renew(pilot)
        await pilot.press("ctrl+z", "tab", "enter")
        await until(lambda: len(silences(log)) == 2)
        again = next(one for one in log.rows(SILENCES).values() if one.id != made.id)
        assert (again.matchers, again.starts_at, again.ends_at) == (made.matchers, made.starts_at, made.ends_at)


async def test_a_note_is_in_the_events_the_timeline_and_the_decisions(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(160, 60), notifications=True) as pilot:
        await ready(pilot)
        alert = await select(pilot, sample.LAG)
        await pilot.press("n")
        assert app.screen.query_one("#confirm", Button).disabled
        await pilot.press(*"see the [deploy]", "enter", "enter")
        await until(lambda: any(isinstance(e.payload, NoteAdded) for e in log.read(stream=f"alert:{alert}")))
        await until(lambda: not app.busy)
        await renew(pilot)
        for key in ("3", "5"):
            await pilot.press(key)
            await pilot.pause()
            first = painted(app.screen.table).split("\n")[1]
            assert all(part in first for part in ("NOTE", "see the [deploy]", "ana", "Kafka consumer")), first
        await pilot.press("enter")
        await until(lambda: "Around it" in screen_text(app))
        assert "see the [deploy] by ana" in screen_text(app)

        await pilot.press("escape", "2")
        await pilot.pause()
        chosen = app.screen.chosen
        await pilot.press("n", *"later", "enter", "enter")
        stream = f"recommendation:{chosen.id}"
        await until(lambda: any(isinstance(e.payload, NoteAdded) for e in log.read(stream=stream)))


@pytest.mark.parametrize(("key", "what"), [("3", "ENDED"), ("5", "ACK")])
async def test_a_note_is_written_on_an_alert_that_is_over(log: EventLog, key: str, what: str) -> None:
    disk = next(one for one in log.rows(ALERTS).values() if one.acknowledged)
    facts = sample.facts(disk.rule, title=disk.title, labels=disk.labels)
    sample.append(log, [sample.resolved(facts)])
    app = terminal(log)
    async with app.run_test(size=(160, 60), notifications=True) as pilot:
        await ready(pilot)
        await pilot.press(key)
        await pilot.pause()
        table = app.screen.table
        table.move_to(next(n for n, row in enumerate(table.rows) if (row.what, row.alert) == (what, disk.id)))
        await pilot.pause()
        assert app.screen.selected is None
        await pilot.press("n")
        assert f"{disk.title}, which has ended" in screen_text(app)
        await pilot.press(*"was it the shard?", "enter", "enter")
        await until(lambda: any(isinstance(e.payload, NoteAdded) for e in log.read(stream=f"alert:{disk.id}")))
        await until(lambda: notices(app) == [f"Note written: {disk.title}"])
        await renew(pilot)
        assert table.rows[0].said == "was it the shard?"


async def test_no_note_is_written_on_an_event_about_neither_alert_nor_recommendation(log: EventLog) -> None:
    sample.append(log, [sample.source_failed("prom-eu1", "no answer")])
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await pilot.pause()
        assert app.screen.chosen.what == "SOURCE"
        await pilot.press("n")
        await pilot.pause()
        assert notices(app) == ["Nothing is selected that a note could be written on."]


class Picky(Operator):
    """Refuses one alert."""

    def __init__(self, log: EventLog, refused: str) -> None:
        super().__init__(log)
        self.refused, self.calls = refused, []

    def acknowledge(self, alert_id: str, **options) -> object:
        self.calls.append(alert_id)
        if alert_id == self.refused:
            raise ControlplaneError("somebody was faster")
        return super().acknowledge(alert_id, **options)


async def test_what_is_done_about_marked_alerts_is_done_or_refused_one_by_one(log: EventLog) -> None:
    rows = sorted(one.id for one in log.rows(ALERTS).values() if one.fired_at and not one.acknowledged)[:3]
    taken = next(one.id for one in log.rows(ALERTS).values() if one.acknowledged)
    actions = Picky(log, rows[0])
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        table = alerts(app)
        for name in (*rows, taken):
            table.move_to(row_line(table, name))
            await pilot.press("space")
        await pilot.pause()
        assert [row.id for row in table.marked] == [*rows, taken]
        assert "4 marked" in str(app.screen.query_one("#left").border_title)
        assert sum(line[0] in "•»" for line in painted(table).split("\n")[1:] if line) == 4
        await pilot.press("a")
        text = screen_text(app)
        assert "Acknowledge 3 alerts" in text
        assert "1 of 4 marked can't be" in text
        await pilot.press("tab", "enter")
        await until(lambda: len(actions.calls) == 3)
        await until(lambda: notices(app) and len(notices(app)) == 2)
        assert sorted(actions.calls) == rows
        assert notices(app) == ["Acknowledged: 2 of 3", "1 of 3: somebody was faster"]
        assert app.failed == {rows[0]: "somebody was faster"}
        assert {row.id for row in table.marked} == {rows[0], taken}
        await renew(pilot)
        await until(lambda: not app.busy)
        await pilot.press("ctrl+z", "tab", "enter")
        await until(lambda: [log.row(ALERTS, name).acknowledged for name in rows] == [None] * 3)


async def test_marks_drop_what_has_gone_and_go_with_escape(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        table = alerts(app)
        lag = await select(pilot, sample.LAG)
        await pilot.press("space", "space")
        assert len(table.marked) == 2
        assert lag in {row.id for row in table.marked}
        sample.append(log, [sample.resolved(sample.facts())])
        await renew(pilot)
        assert len(table.marked) == 1
        sample.append(log, [sample.fired(sample.facts(), timedelta(0))])
        await renew(pilot)
        assert len(table.marked) == 1, "what comes back isn't marked again"
        await pilot.press("escape")
        assert table.marked == []


async def held(pilot, log: EventLog) -> tuple[str, str, str]:
    """On the fourth screen with an acknowledgement and a silence; the alert's id and the ids of both rows."""
    matchers = tuple(parse_matchers("zone=eu1-b"))
    silence = Silence(
        id=named(matchers, "ivo", NOW),
        matchers=matchers,
        starts_at=NOW,
        ends_at=NOW + HOUR,
        author="ivo",
        reason="switch replaced",
        created_at=NOW,
    )
    Operator(log).silence(silence)
    await ready(pilot)
    await pilot.press("4")
    await pilot.pause()
    name = next(one.id for one in log.rows(ALERTS).values() if one.acknowledged)
    return name, f"ack:{name}", f"silence:{silence.id}"


async def mark(pilot, *names: str) -> None:
    table = pilot.app.screen.table
    for name in names:
        table.move_to(row_line(table, name))
        await pilot.press("space")


@pytest.mark.parametrize("both", [False, True])
async def test_what_is_taken_back_is_what_was_marked_wherever_the_cursor_is(log: EventLog, both: bool) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        name, taken, muted = await held(pilot, log)
        await mark(pilot, taken, *([muted] if both else []))
        app.screen.table.move_to(row_line(app.screen.table, muted))
        await pilot.pause()
        await pilot.press("u")
        assert isinstance(app.screen, ConfirmDialog)
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert ("1 of 2 marked can't be: This is a silence, no alert." in text) is both
        assert both or "take the acknowledgement of mira back" in text
        await pilot.press("tab", "enter")
        await until(lambda: log.row(ALERTS, name).acknowledged is None)
        await until(lambda: notices(app) and notices(app)[0].startswith("Acknowledgement withdrawn"))
        assert next(iter(log.rows(SILENCES).values())).ended_by is None
        await renew(pilot)
        assert [row.id for row in app.screen.table.marked] == ([muted] if both else [])


async def test_of_marked_rows_the_first_says_what_is_taken_back(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        name, taken, muted = await held(pilot, log)
        await mark(pilot, muted, taken)
        await pilot.press("u")
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "1 of 2 marked can't be: This is an acknowledgement, no silence." in text
        await pilot.press("tab", "enter")
        await until(lambda: next(iter(log.rows(SILENCES).values())).ended_by == "ana")
        assert log.row(ALERTS, name).acknowledged.actor == "mira"


@pytest.mark.parametrize(
    ("key", "said"), [("a", "This is a silence, no alert."), ("n", "No note can be written on a silence.")]
)
async def test_what_a_marked_silence_is_not_for_is_refused(log: EventLog, key: str, said: str) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        _, taken, muted = await held(pilot, log)
        await mark(pilot, muted)
        app.screen.table.move_to(row_line(app.screen.table, taken))
        await pilot.pause()
        await pilot.press(key)
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)
        assert notices(app) == [said]


async def test_each_marked_alert_gets_a_silence_of_its_own(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        table = alerts(app)
        wanted = [row for row in table.rows if row.alert.severity is Severity.CRITICAL][:2]
        for row in wanted:
            table.move_to(row_line(table, row.id))
            await pilot.press("space")
        dialog = await opened(pilot)
        assert not dialog.query(MatcherLine)
        assert "Silence 2 alerts" in screen_text(app)
        assert "Would mute 2 of 9" in heading(app)
        await pilot.press(*"flood", "enter", "enter")
        await until(lambda: len(silences(log)) == 2)
        assert sorted(silences(log)) == sorted(tuple(map(str, matchers_of(row.alert))) for row in wanted)


@pytest.mark.parametrize("key", ["s", "n", "M"])
async def test_a_read_only_terminal_asks_nothing(log: EventLog, key: str) -> None:
    app = terminal(log, read_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press(key)
        await pilot.pause()
        assert notices(app) == ["This terminal is read-only."]
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog | SilenceDialog)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1h", NOW + HOUR),
        ("1h30m", NOW + 1.5 * HOUR),
        ("until 23:30", NOW.replace(hour=23, minute=30, second=0)),
        ("7:05", NOW.replace(day=2, hour=7, minute=5, second=0)),
        ("until 19:04", NOW.replace(day=2, second=0)),
        ("until 19:05Z", NOW.replace(minute=5, second=0)),
        ("until 2026-03-02T06:00Z", datetime(2026, 3, 2, 6, tzinfo=UTC)),
        ("until 2026-03-02 06:00", datetime(2026, 3, 2, 6, tzinfo=UTC)),
        ("2026-03-02T06:00+02:00", datetime(2026, 3, 2, 4, tzinfo=UTC)),
        ("", "no end yet"),
        ("0s", "over before"),
        ("60", "is no end"),
        ("until", "is no end"),
        ("2026-03-02", "is no end"),
        ("24:00", "is no end"),
        ("2025-03-02T06:00Z", "over before"),
        ("999999999w", "is no end"),
        ("500000w", "too long"),
        ("until 9999-12-31T23:59Z", datetime(9999, 12, 31, 23, 59, tzinfo=UTC)),
        ("until 9999-12-31T23:59-05:00", "is no end"),
        ("until 0001-01-01T00:00+05:00", "is no end"),
        ("until 0001-01-01T05:00+05:00", "over before"),
    ],
)
def test_when_it_ends(text: str, at: datetime | str) -> None:
    if isinstance(at, datetime):
        assert ending(text, NOW) == at
        return
    with pytest.raises(ValueError, match=at):
        ending(text, NOW)


@pytest.mark.parametrize(
    ("text", "at"), [("", NOW), (" now ", NOW), ("22:00", NOW.replace(hour=22, minute=0, second=0))]
)
def test_when_it_begins(text: str, at: datetime) -> None:
    assert beginning(text, NOW) == at


@pytest.mark.parametrize(
    ("text", "said"), [("22:59", "is no end"), ("23:00", "is no end"), ("1h", "too long"), ("59m59s", "")]
)
def test_when_it_ends_on_the_last_day_there_is(text: str, said: str) -> None:
    begin = datetime(9999, 12, 31, 23, 0, 0, 500_000, tzinfo=UTC)
    if not said:
        assert ending(text, begin) == datetime(9999, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
        return
    with pytest.raises(ValueError, match=said):
        ending(text, begin)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("end", "until 9999-12-31T23:59-05:00"),
        ("begin", "9999-12-31T23:59-05:00"),
        ("begin", "0001-01-01T00:00+05:00"),
        ("end", "until 9999-12-31T23:59Z"),
        ("begin", "0001-01-01T00:00Z"),
    ],
)
async def test_no_time_that_is_typed_ends_the_terminal(log: EventLog, line: str, text: str) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        dialog = await opened(pilot, "M")
        dialog.query_one("#reason", Input).value = "deploy"
        dialog.query_one(f"#{line}", Input).value = text
        await pilot.pause()
        assert app.screen is dialog
        known = text.endswith("Z")
        assert dialog.query_one("#confirm", Button).disabled is not known
        assert ("is no" in painted(dialog.query_one("#hint"))) is not known


@pytest.mark.parametrize("text", ["later", "1h", "25:00", "9999-12-31T23:59-05:00", "0001-01-01T00:00+05:00"])
def test_when_it_does_not_begin(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        beginning(text, NOW)
