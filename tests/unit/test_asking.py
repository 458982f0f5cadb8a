"""More alerts ask for advice than one step has time for: the worst are advised first, every one in its turn."""

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.events import Draft
from controlplane.model.payloads import AdviceFailed, AlertFacts, AlertFired, AlertResolved
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.resources import Inventory
from controlplane.model.routes import Route, Tree
from controlplane.model.time import to_ms
from controlplane.model.views import Unadvised
from controlplane.notify.desk import Rules
from controlplane.notify.groups import Grouper
from controlplane.notify.labels import Places
from controlplane.tick.advise import Adviser
from controlplane.tick.asking import AT_ONCE, Asking, share
from controlplane.tick.review import REVIEW_EVERY, full
from controlplane.tick.steps import Board, walk
from tests.drafts import START, facts, recommendation

STEP = timedelta(seconds=15)
ALERTS = 2 * AT_ONCE + 20
BEGIN = START + STEP
"""No step of those at which everything is asked again."""


class Refusing:
    """An adviser whose only rule never knows an answer, and notes who asked when."""

    def __init__(self) -> None:
        self.asked: list[tuple[datetime, str]] = []
        self.causes: list[UUID | None] = []

    def rules(self, rule: str, labels: Mapping[str, str]) -> list[str]:
        return ["grow"]

    def propose(self, of: AlertFacts, at: datetime, cause: UUID | None = None) -> list[Draft]:
        self.asked.append((at, of.alert))
        self.causes.append(cause)
        failed = AdviceFailed(rule="grow", alert=of.alert, error="no samples")
        key = str(to_ms(at))
        return [Draft(stream=f"recommendation:{of.alert}", key=key, payload=failed, occurred_at=at, cause=cause)]

    def review(self, *_: Any) -> list[Draft]:
        return []

    def at(self, at: datetime) -> list[str]:
        return [alert for then, alert in self.asked if then == at]


def fired(count: int = ALERTS, at: datetime = BEGIN) -> list[Draft]:
    made = []
    for n in range(count):
        of = facts(f"a{n:03}", value=float(n), threshold="> 0", active_at=at)
        made.append(Draft(stream=f"alert:{of.alert}", key="0", payload=AlertFired(facts=of), occurred_at=at))
    return made


def told() -> Rules:
    tree = Tree(Route.model_validate({"channels": ["slack"], "group_by": ["platform"]}))
    return Rules(tree=tree, grouper=Grouper(tree, Places(Inventory()), "test"), channels=("slack",))


def board() -> Board:
    return Board(alerts={}, recommendations={}, incidents={})


def walked(adviser: Refusing, on: Board, changes: list[Draft], steps: list[datetime]) -> list[UUID]:
    of: Any = adviser
    return [draft.id for draft in walk(told(), on, changes, [to_ms(at) for at in steps], of)]


def test_the_worst_are_advised_first_and_each_one_once() -> None:
    adviser, steps = Refusing(), [BEGIN + STEP * n for n in range(5)]
    walked(adviser, board(), fired(), steps)
    worst_first = [f"a{n:03}" for n in reversed(range(ALERTS))]
    assert [alert for _, alert in adviser.asked] == worst_first
    assert [len(adviser.at(at)) for at in steps] == [AT_ONCE, AT_ONCE, 20, 0, 0]
    assert all(adviser.causes[:AT_ONCE])
    assert not any(adviser.causes[AT_ONCE:])


def test_few_are_advised_at_once_in_the_order_in_which_they_fire() -> None:
    adviser = Refusing()
    walked(adviser, board(), fired(AT_ONCE), [BEGIN])
    assert adviser.at(BEGIN) == [f"a{n:03}" for n in range(AT_ONCE)]


def test_who_waits_follows_from_the_log_and_not_from_how_ticks_cut_time() -> None:
    steps = [BEGIN + STEP * n for n in range(4)]
    once, often = Refusing(), Refusing()
    whole = walked(once, board(), fired(), steps)
    on, changes = board(), fired()
    parts = []
    for at in steps:
        parts += walked(often, on, changes if at == BEGIN else [], [at])
    assert once.asked == often.asked
    assert whole == parts


def test_an_alert_that_ends_while_it_waits_is_not_advised() -> None:
    adviser, steps = Refusing(), [BEGIN, BEGIN + STEP]
    of = facts("a000", value=0.0, threshold="> 0", active_at=BEGIN)
    over = AlertResolved(facts=of, fired_at=BEGIN, reason="condition")
    end = Draft(stream="alert:a000", key="1", payload=over, occurred_at=steps[1])
    walked(adviser, board(), [*fired(AT_ONCE + 2), end], steps)
    assert adviser.at(steps[1]) == ["a001"]


def test_those_without_an_answer_are_asked_again_in_turns() -> None:
    adviser, on = Refusing(), board()
    walked(adviser, on, fired(), [BEGIN + STEP * n for n in range(3)])
    adviser.asked.clear()
    again = [START + REVIEW_EVERY * n for n in range(1, 8)]
    assert all(full(at) for at in again)
    walked(adviser, on, [], again)
    assert {len(adviser.at(at)) for at in again} == {AT_ONCE}
    asked = Counter(alert for _, alert in adviser.asked)
    assert len(asked) == ALERTS
    assert max(asked.values()) - min(asked.values()) <= 1


FULL = START + REVIEW_EVERY
OLD = timedelta(days=1)


def late(before: Recommendation | None, failed: datetime | None, fires: datetime, at: datetime) -> list[str]:
    """Who is asked at a step, with what is known of the alert a000, which fires since `fires`."""
    on = board()
    for draft in fired(1, fires):
        on.apply(draft)
    known = {"r1": before} if before else {}
    why = {"a000": Unadvised(alert="a000", errors={"grow": "no samples"}, at=failed)} if failed else {}
    nobody: Any = Refusing()
    return [of.alert for of, _ in Asking(nobody, on.alerts, known, why).turn([], at)]


@pytest.mark.parametrize(
    ("fires", "failed", "asked"),
    [
        (FULL - OLD, None, True),
        (FULL, None, True),
        (FULL + STEP, None, False),
        (FULL - OLD, FULL - STEP, True),
        (FULL - OLD, FULL, False),
        (FULL - OLD, FULL + STEP, False),
    ],
    ids=["never asked", "fires now", "fires later", "failed before", "failed at this step", "failed later"],
)
def test_nobody_is_asked_at_a_step_of_which_more_is_known(fires: datetime, failed: datetime, asked: bool) -> None:
    assert late(None, failed, fires, FULL) == ["a000"] * asked


@pytest.mark.parametrize(("made", "asked"), [(FULL - STEP, True), (FULL, False), (FULL + STEP, False)])
@pytest.mark.parametrize("status", [Status.WITHDRAWN, Status.EXPIRED, Status.INEFFECTIVE])
def test_what_was_proposed_at_a_step_or_later_is_not_proposed_there_again(
    status: Status, made: datetime, asked: bool
) -> None:
    one = recommendation(status=status).model_copy(update={"rule": "grow", "alert": "a000", "at": made})
    assert late(one, None, FULL - OLD, FULL) == ["a000"] * asked
    policy: Any = SimpleNamespace(advisers={"catalyst-disk-usage": [SimpleNamespace(id="grow", rule=None)]})
    adviser = Adviser(policy, Inventory(), lambda *_: Samples.empty(), {"r1": one}, {})
    with pytest.raises(AttributeError) if asked else nullcontext():  # it would be made
        assert adviser.propose(facts("a000", active_at=FULL - OLD), FULL) == []


def test_who_waits_at_late_steps_is_asked_at_the_first_that_is_new() -> None:
    adviser, on, fires = Refusing(), board(), BEGIN + 2 * STEP
    for draft in fired(2, fires):
        on.apply(draft)
    walked(adviser, on, [], [BEGIN + STEP * n for n in range(4)])
    assert adviser.asked == [(fires, "a001"), (fires, "a000")]


def test_two_reasons_at_one_step_are_two_events() -> None:
    placed: Any = SimpleNamespace(id="grow", rule=None, platform="catalyst")
    policy: Any = SimpleNamespace(advisers={"catalyst-disk-usage": [placed]}, prices={})
    adviser: Any = Adviser(policy, Inventory(), lambda *_: Samples.empty(), {}, {})
    ids = set()
    for reason in ("no samples", "half of them are missing", "no samples"):

        def refuse(*_: Any, said: str = reason) -> Any:
            raise AdviceError(said)

        adviser._advise = refuse
        (draft,) = adviser.propose(facts("a000"), FULL)
        assert isinstance(draft.payload, AdviceFailed)
        ids.add(draft.id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("many", "most", "taken"), [(0, 3, 0), (2, 3, 2), (3, 3, 3), (4, 3, 3), (4, 0, 0), (4, -1, 0), (7, 1, 1)]
)
def test_a_share_is_all_or_so_many_different_ones(many: int, most: int, taken: int) -> None:
    found = share(range(many), most, START)
    assert len(found) == len(set(found)) == taken


def test_no_more_are_weighed_again_than_there_is_time_for_and_what_expires_comes_first() -> None:
    on = board()
    for draft in fired(1):
        on.apply(draft)
    at = START + REVIEW_EVERY
    kept = [
        recommendation().model_copy(
            update={
                "id": f"r{n:03}",
                "alert": "a000",
                "status": Status.EXECUTED if n < 3 else Status.PROPOSED,
                "expires_at": at - STEP if n >= ALERTS - 5 else at + STEP,
            }
        )
        for n in range(ALERTS)
    ]
    over = recommendation().model_copy(update={"id": "over", "alert": "gone", "status": Status.PROPOSED})
    nobody: Any = Refusing()
    turn = Asking(nobody, on.alerts, {}, {})
    chosen = [one.id for one in turn.reviews([*kept, over], at)]
    assert chosen[:3] == ["r000", "r001", "r002"]
    assert {f"r{n:03}" for n in range(ALERTS - 5, ALERTS)} <= set(chosen)
    assert chosen[-1] == "over"
    assert len(chosen) == 3 + AT_ONCE + 1
    few: list[Recommendation] = kept[: AT_ONCE + 3]
    assert turn.reviews(few, at - STEP * 2) == few
