"""Acknowledging and taking it back: confirmed, sent once, refused with a reason, never about another alert."""

import threading
from datetime import timedelta

import pytest
from textual.widgets import Button, Input

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS
from controlplane.model.errors import ControlplaneError
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.driving import Clock, alerts, notices, painted, ready, renew, row_line, screen_text, terminal, until
from tests.tui.sample import NOW
from tui.app import ControlplaneApp
from tui.commands import Kind
from tui.screens.confirm import ConfirmDialog

SIZE = (120, 40)


class Recording:
    """The real operator; notes every call, and holds each one up until it is let go."""

    def __init__(self, log: EventLog, error: Exception | None = None) -> None:
        self.operator, self.error, self.calls = Operator(log), error, []
        self.go = threading.Event()
        self.go.set()

    def acknowledge(self, alert_id: str, *, actor: str, note: str, episode: str | None, now) -> object:
        self.calls.append(("acknowledge", alert_id, actor, note, episode))
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        return self.operator.acknowledge(alert_id, actor=actor, note=note, episode=episode, now=now)

    def undo_acknowledge(self, alert_id: str, *, actor: str, now) -> object:
        self.calls.append(("undo_acknowledge", alert_id, actor))
        self.go.wait(10)
        if self.error is not None:
            raise self.error
        return self.operator.undo_acknowledge(alert_id, actor=actor, now=now)


async def settled(app: ControlplaneApp) -> None:
    await until(lambda: not app.busy, "the command to end")


async def select(pilot, rule: str) -> str:
    """Put the cursor on the alert of a rule and return its id."""
    app = pilot.app
    row = next(row for row in alerts(app).rows if row.alert.rule == rule)
    alerts(app).move_to(alerts(app).rows.index(row))
    await pilot.pause()
    return row.alert.id


async def test_a_note_and_two_deliberate_steps_acknowledge(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        alert = await select(pilot, sample.LAG)
        episode = app.snapshot.by_id[alert].alert.episode
        await pilot.press("a")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press(*"on it", "enter")
        assert actions.calls == []
        await pilot.press("enter")
        await until(lambda: actions.calls)
        await settled(app)

        assert actions.calls == [("acknowledge", alert, "ana", "on it", episode)]
        await until(lambda: app.snapshot.by_id[alert].alert.acknowledged, "the acknowledgement in the picture")
        await pilot.pause()
        assert log.row(ALERTS, alert).acknowledged.note == "on it"
        assert "ACK" in painted(alerts(app)).split("\n")[row_line(alerts(app), alert) + 1]
        assert "“on it”" in painted(app.screen.query_one("#headline"))
        assert any(message.startswith("Acknowledged") for message in notices(app))


@pytest.mark.parametrize("keys", [["enter"], ["escape"], ["n", "o", "escape"], ["n", "enter", "escape"]])
async def test_enter_and_escape_execute_nothing(log: EventLog, keys: list[str]) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("a")
        assert app.screen.focused.id == "cancel"
        await pilot.press(*keys)
        await pilot.pause()

        assert not isinstance(app.screen, ConfirmDialog)
        assert (actions.calls, app.busy) == ([], frozenset())


async def test_tab_and_enter_acknowledge_without_a_note(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("a", "tab")
        assert app.screen.focused.id == "confirm"
        await pilot.press("enter")
        await until(lambda: actions.calls)
        assert actions.calls[0][3] == ""
        await settled(app)


async def test_double_enter_is_one_command(log: EventLog) -> None:
    actions = Recording(log)
    actions.go.clear()
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("a", "tab", "enter", "enter", "enter")
        await until(lambda: actions.calls)
        await pilot.press("escape")
        actions.go.set()
        await settled(app)

        assert len(actions.calls) == 1


async def test_a_double_click_is_one_command(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("a")
        button = app.screen.query_one("#confirm", Button)
        button.press()
        button.press()
        await until(lambda: actions.calls)
        await settled(app)

        assert len(actions.calls) == 1


async def test_the_same_command_is_not_sent_again_while_it_is_under_way(log: EventLog) -> None:
    actions = Recording(log)
    actions.go.clear()
    app = terminal(log, actions=actions)
    async with app.run_test(size=(170, 40)) as pilot:
        await ready(pilot)
        alert = alerts(app).selected.alert.id
        for _ in range(2):
            await pilot.press("a", "tab", "enter")
        await until(lambda: actions.calls)
        assert app.busy == {alert}
        assert painted(alerts(app)).split("\n")[1].startswith(">…")
        actions.go.set()
        await settled(app)

        assert len(actions.calls) == 1


async def test_a_failed_command_says_why_and_may_be_tried_again(log: EventLog) -> None:
    actions = Recording(log, ControlplaneError("the store is [bold]locked[/] by pid 7"))
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("a", "tab", "enter")
        await settled(app)
        assert notices(app) == ["the store is [bold]locked[/] by pid 7"]
        assert "[bold]locked[/]" in screen_text(app)

        actions.error = None
        await pilot.press("a", "tab", "enter")
        await until(lambda: len(actions.calls) == 2)
        await settled(app)
        await until(lambda: alerts(app).selected.alert.acknowledged)


async def test_an_unexpected_failure_does_not_end_the_terminal(log: EventLog) -> None:
    app = terminal(log, actions=Recording(log, RuntimeError("boom")))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("a", "tab", "enter")
        await settled(app)
        assert notices(app) == ["RuntimeError: boom"]
        assert app.is_running


async def test_an_acknowledgement_is_withdrawn(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        alert = await select(pilot, "catalyst-disk-usage")
        await pilot.press("u")
        assert "acknowledgement of mira" in screen_text(app)
        assert not app.screen.query(Input)
        await pilot.press("enter")
        assert actions.calls == []
        await pilot.press("u", "tab", "enter")
        await until(lambda: actions.calls)
        await settled(app)

        assert actions.calls == [("undo_acknowledge", alert, "ana")]
        assert log.row(ALERTS, alert).acknowledged is None


async def test_the_action_of_a_row_that_vanished_is_refused(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await select(pilot, sample.LAG)
        sample.append(log, [sample.resolved(sample.facts())])
        await renew(pilot)
        await pilot.press("a")
        await pilot.pause()

        assert not isinstance(app.screen, ConfirmDialog)
        assert notices(app) == ["This alert has ended; nothing was done."]
        assert actions.calls == []


@pytest.mark.parametrize("again", [False, True])
async def test_an_alert_that_ends_or_fires_anew_under_the_dialog_is_refused(log: EventLog, again: bool) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await select(pilot, sample.LAG)
        await pilot.press("a", *"mine", "enter")
        later = [sample.resolved(sample.facts(), NOW - timedelta(seconds=30))]
        if again:
            later.append(sample.fired(sample.facts(), timedelta(seconds=15)))
        sample.append(log, later)
        await renew(pilot)
        await pilot.press("enter")
        await pilot.pause()

        assert notices(app) == ["This alert has ended; nothing was done."]
        assert (actions.calls, app.busy) == ([], frozenset())


async def test_what_the_operator_refuses_is_told(log: EventLog) -> None:
    """Somebody else is faster than the picture."""
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        alert = await select(pilot, sample.LAG)
        await pilot.press("a", "tab")
        Operator(log).acknowledge(alert, actor="mira", now=NOW)
        await pilot.press("enter")
        await settled(app)
        assert "acknowledged" in notices(app)[0]
        assert "mira" in notices(app)[0]


async def _refused(pilot, app: ControlplaneApp, key: str, action: str) -> str:
    """Try an action by key, by a click in the footer and from the palette; the reason that was given."""
    await pilot.press(key)
    await pilot.pause()
    (reason,) = notices(app)
    footer = next(item for item in app.screen.query("FooterKey") if item.action == action)
    assert footer.has_class("-disabled")
    await pilot.click(footer)
    assert action not in {command.title for command in app.get_system_commands(app.screen)}
    assert {"Ack", "Undo"}.isdisjoint({command.title for command in app.get_system_commands(app.screen)} - {"Undo"})
    await app.screen.run_action(action)
    await pilot.pause()
    assert not isinstance(app.screen, ConfirmDialog)
    return reason


async def test_a_read_only_terminal_refuses_by_every_way(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions, read_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        assert await _refused(pilot, app, "a", "acknowledge") == "This terminal is read-only."
        assert "READ-ONLY" in painted(app.screen.query_one("#bar"))
        app.ask(Kind.ACKNOWLEDGE, alerts(app).selected)
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert actions.calls == []


async def test_a_stale_picture_refuses_until_it_is_fresh(log: EventLog) -> None:
    clock = Clock()
    app = terminal(log, clock=clock)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        clock.forward(timedelta(minutes=5))
        await until(lambda: app.reader.answered_at == clock.now)
        app.deliver(fresh=False)
        await pilot.pause()
        assert "stale" in await _refused(pilot, app, "a", "acknowledge")

        sample.append(log, [sample.ticked(clock.now)])
        await renew(pilot)
        await pilot.press("a")
        assert isinstance(app.screen, ConfirmDialog)


@pytest.mark.parametrize(
    ("rule", "key", "reason"),
    [
        ("catalyst-api-latency", "a", "pending alert has not been reported"),
        ("catalyst-disk-usage", "a", "mira has acknowledged this alert already."),
        (sample.LAG, "u", "Nobody has acknowledged this alert."),
    ],
)
async def test_commands_that_fit_no_state_are_refused(log: EventLog, rule: str, key: str, reason: str) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await select(pilot, rule)
        await pilot.press(key)
        await pilot.pause()
        assert reason in notices(app)[0]
        assert not isinstance(app.screen, ConfirmDialog)


async def test_the_detail_screen_acts_on_its_own_alert(log: EventLog) -> None:
    actions = Recording(log)
    app = terminal(log, actions=actions)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        alert = await select(pilot, sample.LAG)
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("a", "tab", "enter")
        await until(lambda: actions.calls)
        await settled(app)
        assert actions.calls[0][1] == alert
        await until(lambda: app.screen.selected.alert.acknowledged)

        sample.append(log, [sample.resolved(sample.facts())])
        await renew(pilot)
        assert app.screen.selected is None
        assert "This alert has ended" in screen_text(app)
        await pilot.press("u")
        await pilot.pause()
        assert notices(app)[-1] == "This alert has ended; nothing was done."


async def test_the_id_is_copied(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        alert = await select(pilot, sample.LAG)
        await pilot.press("y")
        assert app.clipboard == alert
