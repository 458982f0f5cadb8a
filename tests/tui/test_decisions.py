"""Decisions about recommendations: confirmed, by version, with a reason, a failover by name, and sent once."""

import pytest
from textual.widgets import Button

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import RECOMMENDATIONS
from controlplane.model.errors import ControlplaneError
from controlplane.model.payloads import RecommendationRevised
from controlplane.model.recommendations import Status
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.driving import notices, painted, painted_all, ready, renew, row_line, screen_text, terminal, until
from tests.tui.sample import NOW
from tui.commands import Kind, refusal
from tui.questions import cell
from tui.screens.advice import AdviceScreen
from tui.screens.confirm import ConfirmDialog
from tui.trust import Mode, Trust

SIZE = (140, 45)


async def at(pilot, kind: str) -> str:
    """On the second screen with the cursor on the recommendation of a kind; its id."""
    await ready(pilot)
    await pilot.press("2")
    await pilot.pause()
    table = pilot.app.screen.table
    row = next(row for row in table.rows if row.recommendation and row.recommendation.proposal.kind == kind)
    table.move_to(table.rows.index(row))
    await pilot.pause()
    return row.id


def status(log: EventLog, name: str) -> Status:
    return log.row(RECOMMENDATIONS, name).status


async def test_approving_takes_two_deliberate_steps(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        name = await at(pilot, "scale_out")
        await pilot.press("A", "enter")
        assert status(log, name) is Status.PROPOSED
        await pilot.press("A", *"fits", "enter", "enter")
        await until(lambda: app.snapshot.advice_by_id[name].recommendation.status is Status.APPROVED, "approval")
        await pilot.pause()
        found = log.row(RECOMMENDATIONS, name)
        assert (found.decided_by, found.reason) == ("ana", "fits")
        assert "Approved: Add consumers to billing" in notices(app)
        assert "approved" in screen_text(app)
        await pilot.press("A")
        await pilot.pause()
        assert "approved by ana already" in notices(app)[-1]

        await pilot.press("U", "tab", "enter")
        await until(lambda: status(log, name) is Status.PROPOSED)


async def test_a_failover_needs_the_name_of_its_cell(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        name = await at(pilot, "failover")
        await pilot.press("A")
        confirm = app.screen.query_one("#confirm", Button)
        assert app.screen.focused.id == "cancel"
        for typed, usable in (("billing-d", False), ("b", True), ("x", False)):
            await pilot.press(*typed)
            assert confirm.disabled is not usable, typed
        confirm.press()
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        assert status(log, name) is Status.PROPOSED

        app.screen.query_one("#exact").focus()
        await pilot.press("backspace", "enter", "enter")
        await until(lambda: status(log, name) is Status.APPROVED)


async def test_a_rejection_needs_a_reason(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        name = await at(pilot, "scale_out")
        await pilot.press("X")
        assert app.screen.query_one("#confirm", Button).disabled
        await pilot.press("tab", "space")
        assert app.screen.query_one("#confirm", Button).disabled
        await pilot.press(*"too dear", "enter", "enter")
        await until(lambda: status(log, name) is Status.REJECTED)
        assert log.row(RECOMMENDATIONS, name).reason == "too dear"


async def test_a_version_that_was_superseded_under_the_dialog_is_refused(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        name = await at(pilot, "scale_out")
        await pilot.press("A", "tab", "tab")
        found = log.row(RECOMMENDATIONS, name)
        revised = found.model_copy(update={"version": 2})
        payload = RecommendationRevised(recommendation=revised, changed=("to",))
        sample.append(log, [sample.draft(payload, NOW, stream=f"recommendation:{name}")])
        await renew(pilot)
        app.screen.query_one("#confirm", Button).press()
        await pilot.pause()
        assert notices(app) == ["It was revised: you saw version 1, now it is 2. Look again."]
        assert status(log, name) is Status.PROPOSED


class Failing(Operator):
    """Refuses every approval."""

    def approve(self, *args, **options) -> None:
        raise ControlplaneError("the store is [locked]")


async def test_a_decision_that_fails_leaves_a_mark_until_it_succeeds(log: EventLog) -> None:
    app = terminal(log, actions=Failing(log))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        name = await at(pilot, "scale_out")
        line = row_line(app.screen.table, name) + 1
        await pilot.press("A", "tab", "enter")
        await until(lambda: notices(app))
        await pilot.pause()
        assert notices(app) == ["the store is [locked]"]
        assert app.failed == {name: "the store is [locked]"}
        assert painted(app.screen.table).split("\n")[line].startswith(">!")

        await pilot.press("X", *"no", "enter", "enter")
        await until(lambda: status(log, name) is Status.REJECTED)
        assert app.failed == {}


async def test_what_somebody_decided_under_the_dialog_is_told(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        name = await at(pilot, "scale_out")
        await pilot.press("A")
        Operator(log).reject(name, actor="mira", reason="no", now=NOW)
        app.screen.query_one("#confirm", Button).press()
        await until(lambda: notices(app))
        assert "rejected by mira" in notices(app)[0]


async def test_double_enter_is_one_decision(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        name = await at(pilot, "scale_out")
        await pilot.press("E")
        confirm = app.screen.query_one("#confirm", Button)
        confirm.press()
        confirm.press()
        await until(lambda: status(log, name) is Status.EXECUTED)
        assert len(list(log.read(stream=f"recommendation:{name}"))) == 2


async def test_a_read_only_terminal_decides_nothing(log: EventLog) -> None:
    app = terminal(log, read_only=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await at(pilot, "scale_out")
        for key in "AXEU":
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, ConfirmDialog)
        assert set(notices(app)) == {"This terminal is read-only."}


async def test_the_detail_copies_commands_and_decides(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=SIZE) as pilot:
        name = await at(pilot, "scale_out")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, AdviceScreen)
        text = painted_all(app.screen.query_one("#advice-detail"))
        for part in (
            "change of the bill",
            "+$496.40",
            "a year",
            "NO  zone eu1-b",
            "To take it back",
            "412,000 messages",
            "missing",
            "limited by +4 per 5m",
            "14 consumers",
            "drain per consumer",
        ):
            assert part in text, part
        await pilot.press("c")
        assert app.clipboard.splitlines() == list(log.row(RECOMMENDATIONS, name).proposal.commands)
        await pilot.press("y")
        assert app.clipboard == name
        await pilot.press("X", *"no", "enter", "enter")
        await until(lambda: status(log, name) is Status.REJECTED)
        await until(lambda: "rejected by ana: no" in painted_all(app.screen.query_one("#advice-detail")))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("database cluster billing-db", "billing-db"),
        ("zone eu1-b", "eu1-b"),
        ("billing", "billing"),
        ("zone \x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
        ("zone eu1-b ", "eu1-b"),
    ],
)
def test_the_name_of_a_cell(target: str, name: str) -> None:
    assert cell(sample.failover("a").proposal.model_copy(update={"target": target})) == name


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (Kind.APPROVE, Status.PROPOSED, ""),
        (Kind.APPROVE, Status.APPROVED, "approved already"),
        (Kind.REJECT, Status.APPROVED, ""),
        (Kind.EXECUTED, Status.APPROVED, ""),
        (Kind.EXECUTED, Status.EXECUTED, "is executed"),
        (Kind.APPROVE, Status.WITHDRAWN, "is withdrawn"),
        (Kind.REJECT, Status.EXPIRED, "is expired"),
        (Kind.REOPEN, Status.PROPOSED, "no decision to take back"),
        (Kind.REOPEN, Status.REJECTED, ""),
        (Kind.REOPEN, Status.EXECUTED, "no decision to take back"),
    ],
)
def test_what_may_be_decided(kind: Kind, status: Status, said: str) -> None:
    found = sample.scale_out("a").model_copy(update={"status": status})
    reason = refusal(kind, found, Trust(Mode.LIVE), read_only=False)
    assert said in reason
    assert bool(reason) is bool(said)


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.LIVE])
def test_nothing_is_decided_on_a_picture_that_is_not_live(mode: Mode) -> None:
    for kind in (Kind.APPROVE, Kind.REJECT, Kind.EXECUTED, Kind.REOPEN):
        assert refusal(kind, sample.scale_out("a"), Trust(mode, "why"), read_only=False)
