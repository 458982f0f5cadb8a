"""Taking back: what the same person did, in the same episode or version; what others have done since stays."""

from datetime import timedelta

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, RECOMMENDATIONS
from controlplane.model.alerts import Acknowledgement, Alert
from controlplane.model.recommendations import Status
from controlplane.model.states import AlertState
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.driving import alerts, notices, ready, renew, screen_text, terminal, until
from tests.tui.sample import NOW
from tui.acting.inverse import inverse
from tui.commands import Command, Kind, Target, superseded
from tui.data import Row, Snapshot
from tui.screens.confirm import ConfirmDialog

SIZE = (140, 45)


def alert(episode: str | None = "one", by: str = "") -> Row:
    """The alert of the lagging group in an episode, acknowledged by somebody or not."""
    facts = sample.facts()
    known = {name: getattr(facts, name) for name in type(facts).model_fields if name != "alert"}
    given = Acknowledgement(actor=by, at=NOW, note="") if by else None
    state = AlertState.PENDING if episode is None else AlertState.FIRING
    made = Alert(id=facts.alert, state=state, event="e", episode=episode, acknowledged=given, fired_at=NOW, **known)
    return Row.of(made)


def advice(status: Status = Status.PROPOSED, by: str | None = None, version: int = 1):
    """The recommendation for it."""
    return sample.scale_out("a", status=status, decided_by=by, version=version)


def snapshot(target: Target | None) -> Snapshot:
    rows = {target.id: target.alert} if isinstance(target, Row) else {}
    known = {} if target is None or isinstance(target, Row) else {target.id: target}
    return Snapshot.of("prod-eu1", alerts=rows, recommendations=known)


@pytest.mark.parametrize(
    ("kind", "before", "now", "said"),
    [
        (Kind.ACKNOWLEDGE, alert(), alert(by="ana"), ""),
        (Kind.ACKNOWLEDGE, alert(), alert(), ""),  # the picture may lag behind what was just done
        (Kind.ACKNOWLEDGE, alert(), alert(by="mira"), "It was acknowledged by ana, now it is acknowledged by mira."),
        (Kind.ACKNOWLEDGE, alert(), alert("two"), "has ended"),
        (Kind.ACKNOWLEDGE, alert(), alert("two", by="ana"), "has ended"),
        (Kind.ACKNOWLEDGE, alert(), alert("two", by="mira"), "has ended"),
        (Kind.ACKNOWLEDGE, alert(), alert(None), "has ended"),
        (Kind.ACKNOWLEDGE, alert(), None, "has ended"),
        (Kind.UNDO, alert(by="mira"), alert(), ""),
        (Kind.UNDO, alert(by="mira"), alert("two"), "has ended"),
        (Kind.APPROVE, advice(), advice(Status.APPROVED, "ana"), ""),
        (Kind.APPROVE, advice(), advice(), ""),
        (Kind.APPROVE, advice(), advice(Status.APPROVED, "mira"), "It was approved by ana, now it is approved by mira"),
        (Kind.APPROVE, advice(), advice(Status.REJECTED, "mira"), "now it is rejected by mira"),
        (Kind.APPROVE, advice(), advice(Status.REJECTED, "ana"), "now it is rejected by ana"),
        (Kind.APPROVE, advice(), advice(Status.APPROVED, "ana", version=2), "you saw version 1, now it is 2"),
        (Kind.APPROVE, advice(), None, "is gone"),
        (Kind.REJECT, advice(Status.APPROVED, "mira"), advice(Status.REJECTED, "ana"), ""),
        (Kind.REJECT, advice(), advice(Status.REJECTED, "mira"), "now it is rejected by mira"),
    ],
)
def test_what_was_done_is_taken_back_while_it_is_still_ones_own(
    kind: Kind, before: Target, now: Target | None, said: str
) -> None:
    command = Command.about(kind, before)
    found = inverse(command, snapshot(now), "ana", NOW)
    if said:
        assert isinstance(found, str)
        assert said in found
        return
    assert isinstance(found, Command)
    assert (found.subject, found.seen) == (command.subject, command.seen)
    assert found.kind is {Kind.ACKNOWLEDGE: Kind.UNDO, Kind.UNDO: Kind.ACKNOWLEDGE}.get(kind, Kind.REOPEN)
    later = [alert(by="mira"), alert("two", by="ana")] if isinstance(before, Row) else [advice(Status.REJECTED, "ivo")]
    if found.kind is not Kind.ACKNOWLEDGE:
        assert all(superseded(found, one) for one in later)


@pytest.mark.parametrize(
    ("kind", "seen", "now", "said"),
    [
        (Kind.UNDO, alert(by="mira"), alert(by="mira"), ""),
        (Kind.UNDO, alert(by="mira"), alert(), ""),
        (Kind.UNDO, alert(by="mira"), alert(by="ivo"), "It was acknowledged by mira, now it is acknowledged by ivo."),
        (Kind.UNDO, alert(), alert(by="ivo"), "It was open, now it is acknowledged by ivo."),
        (Kind.ACKNOWLEDGE, alert(), alert(by="ivo"), ""),
        (Kind.REOPEN, advice(Status.APPROVED, "mira"), advice(Status.APPROVED, "mira"), ""),
        (Kind.REOPEN, advice(Status.APPROVED, "mira"), advice(Status.EXECUTED, "mira"), ""),
        (Kind.REOPEN, advice(Status.APPROVED, "mira"), advice(), ""),
        (Kind.REOPEN, advice(Status.APPROVED, "mira"), advice(Status.APPROVED, "ivo"), "now it is approved by ivo"),
        (Kind.REOPEN, advice(Status.APPROVED, "mira"), advice(Status.REJECTED, "mira"), "now it is rejected by mira"),
        (Kind.APPROVE, advice(), advice(Status.APPROVED, "ivo"), ""),
    ],
)
def test_what_a_dialog_would_take_back_has_to_be_what_it_names(
    kind: Kind, seen: Target, now: Target, said: str
) -> None:
    found = superseded(Command.about(kind, seen), now)
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize("again", [False, True])
async def test_the_acknowledgement_of_another_person_stays(log: EventLog, again: bool) -> None:
    app, others = terminal(log), Operator(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        table = alerts(app)
        table.move_to(next(n for n, row in enumerate(table.rows) if row.alert.rule == sample.LAG))
        await pilot.pause()
        name = table.selected.id
        await pilot.press("a", "tab", "enter")
        await until(lambda: log.row(ALERTS, name).acknowledged)
        await until(lambda: app.snapshot.by_id[name].alert.acknowledged and not app.busy)
        if again:
            facts = sample.facts()
            sample.append(log, [sample.resolved(facts), sample.fired(facts, timedelta(seconds=-15))])
        else:
            others.undo_acknowledge(name, actor="mira", now=NOW)
        others.acknowledge(name, actor="mira", now=NOW)
        await renew(pilot)
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)
        assert ("has ended" if again else "now it is acknowledged by mira") in notices(app)[-1]
        assert log.row(ALERTS, name).acknowledged.actor == "mira"


async def test_the_decision_of_another_person_stays(log: EventLog) -> None:
    app, others = terminal(log), Operator(log)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("2")
        await pilot.pause()
        table = app.screen.table
        kinds = [row.recommendation and row.recommendation.proposal.kind for row in table.rows]
        table.move_to(kinds.index("scale_out"))
        await pilot.pause()
        name = app.screen.chosen.id
        await pilot.press("A", "tab", "enter")
        await until(lambda: log.row(RECOMMENDATIONS, name).status is Status.APPROVED)
        others.reopen(name, actor="mira", now=NOW)
        others.reject(name, actor="mira", reason="it would lose data", now=NOW)
        await renew(pilot)
        await until(lambda: not app.busy)
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)
        assert "It was approved by ana, now it is rejected by mira." in notices(app)[-1]

        await pilot.press("U")
        assert "mira has rejected" in screen_text(app)
        others.reopen(name, actor="ivo", now=NOW)
        others.approve(name, actor="ivo", now=NOW)
        await renew(pilot)
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert "It was rejected by mira, now it is approved by ivo." in notices(app)[-1]
        found = log.row(RECOMMENDATIONS, name)
        assert (found.status, found.decided_by) == (Status.APPROVED, "ivo")
