"""Which recommendations a tick looks at: those that matter, however many there ever were."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from controlplane.eventlog import rows
from controlplane.eventlog.codec import decode
from controlplane.eventlog.errors import UnreadableEvent
from controlplane.eventlog.log import EventLog
from controlplane.model.payloads import RecommendationProposed
from controlplane.model.recommendations import Recommendation, Status
from controlplane.tick.advise import REMEMBERED
from controlplane.tick.standing import standing
from tests.drafts import START, draft, recommendation

OVER = (Status.REJECTED, Status.WITHDRAWN, Status.EXPIRED, Status.VERIFIED, Status.INEFFECTIVE)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path / 'events.db'}") as opened:
        yield opened


def have(log: EventLog, *made: Recommendation) -> None:
    drafts = [draft(RecommendationProposed(recommendation=one), f"recommendation:{one.id}") for one in made]
    log.append(drafts, recorded_at=START)


def some(status: Status, **update: Any) -> Recommendation:
    return recommendation(status=status).model_copy(update=update)


@pytest.mark.parametrize("status", Status)
def test_what_may_still_change_stands_and_what_is_over_does_not(log: EventLog, status: Status) -> None:
    have(log, some(status))
    for begin in (None, START):
        assert list(standing(log, [], [], begin).rows) == ([] if status in OVER else ["r1"])


@pytest.mark.parametrize("status", Status)
def test_what_is_over_stands_while_its_alert_does_or_its_end_has_to_be_told(log: EventLog, status: Status) -> None:
    have(log, some(status))
    for active, told in (("a1", ""), ("", "r1")):
        found = standing(log, {active}, {told}, START)
        assert found.rows == {"r1": some(status)}
        assert found.versions == {"recommendation:r1": 1}


@pytest.mark.parametrize(
    ("ago", "stands"), [(timedelta(0), True), (REMEMBERED - MOMENT, True), (REMEMBERED, False), (2 * REMEMBERED, False)]
)
@pytest.mark.parametrize("status", OVER)
def test_what_was_done_of_late_stands(log: EventLog, status: Status, ago: timedelta, stands: bool) -> None:
    have(log, some(status, decided_at=START - ago, decided_by="ada"))
    assert bool(standing(log, [], [], START).rows) == (stands and status is not Status.REJECTED)
    assert not standing(log, [], [], None).rows


def test_of_thousands_that_are_over_none_is_decoded_as_a_whole(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    have(log, *(recommendation(f"old{n}", status=Status.WITHDRAWN) for n in range(2_000)))
    have(log, *(recommendation(f"r{n}") for n in range(3, 0, -1)))
    whole = []

    def counted(model: type[BaseModel], text: str, where: str) -> BaseModel:
        whole.append(where)
        return decode(model, text, where)

    monkeypatch.setattr(rows, "decode", counted)
    assert list(standing(log, [], [], START).rows) == ["r1", "r2", "r3"]
    assert len(whole) == 3


def test_a_row_that_cannot_be_read_is_told(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    have(log, some(Status.WITHDRAWN))
    monkeypatch.setattr(log, "documents", lambda _: [("r1", 1, '{"status": "of another version"}')])

    def broken(model: type[BaseModel], text: str, where: str) -> BaseModel:
        return decode(model, "{}", where)

    monkeypatch.setattr(rows, "decode", broken)
    with pytest.raises(UnreadableEvent, match="Rebuild the projections"):
        standing(log, [], [], START)


def test_only_streams_that_are_gone_on_with_are_expected_to_be_as_they_were(log: EventLog) -> None:
    have(log, recommendation("r1"), recommendation("r2"))
    found = standing(log, [], [], START)
    new = [
        draft(RecommendationProposed(recommendation=recommendation(id_)), f"recommendation:{id_}")
        for id_ in ("r2", "r9")
    ]
    assert found.expected(new) == {"recommendation:r2": 1}
