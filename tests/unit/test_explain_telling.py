"""Which advice an alert had, and why a rule had none: its last answer counts."""

from datetime import timedelta
from typing import Any

import pytest

from controlplane.explain.model import Episode
from controlplane.explain.telling import Telling
from controlplane.model.payloads import AdviceFailed
from controlplane.tick.steps import provisional
from tests.drafts import START, draft, recommendation

MINUTE = timedelta(minutes=1)


def told(failures: list[tuple[int, str, str]], advised: list[tuple[int, str]], ended: int | None = None) -> Any:
    """What is told of an alert that fires at START; failures and advice at minutes after it."""
    events = tuple(
        provisional(
            draft(AdviceFailed(rule=rule, alert="a1", error=why), stream=f"x{at}", occurred_at=START + at * MINUTE)
        )
        for at, rule, why in failures
    )
    made = [
        recommendation(f"r{at}").model_copy(update={"alert": "a1", "rule": rule, "at": START + at * MINUTE})
        for at, rule in advised
    ]
    telling = Telling(None, events, {}, {one.id: one for one in made})
    ends = None if ended is None else START + ended * MINUTE
    return telling.of("a1", "catalyst", "rule", Episode(START, None, START, ends), START + 60 * MINUTE)


@pytest.mark.parametrize(
    ("failures", "advised", "ended", "why"),
    [
        ([(0, "grow", "no data")], [], None, ("grow: no data",)),
        ([(0, "grow", "no data"), (5, "grow", "no price")], [], None, ("grow: no price",)),
        ([(0, "grow", "no data")], [(5, "grow")], None, ()),
        ([(0, "grow", "no data")], [(0, "grow")], None, ("grow: no data",)),
        ([(5, "grow", "no data")], [(0, "grow")], None, ("grow: no data",)),
        ([(0, "grow", "no data")], [(5, "move")], None, ("grow: no data",)),
        ([(0, "grow", "no data"), (0, "move", "no zone")], [(5, "grow")], None, ("move: no zone",)),
        ([(9, "grow", "no data")], [], 8, ()),
        ([(8, "grow", "no data")], [], 8, ("grow: no data",)),
    ],
)
def test_the_last_answer_of_a_rule_counts(
    failures: list[tuple[int, str, str]], advised: list[tuple[int, str]], ended: int | None, why: tuple[str, ...]
) -> None:
    assert told(failures, advised, ended).no_advice == why
