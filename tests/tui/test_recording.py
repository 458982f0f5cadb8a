"""Going to any position gives what the log had then; stops, incidents and what somebody may type to get there."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import INCIDENTS, PROJECTIONS, RESOURCES, TICK
from controlplane.eventlog.schema import to_text
from controlplane.model.events import Draft
from controlplane.model.payloads import (
    AdviceFailed,
    RecommendationProposed,
    RecommendationRevised,
    RuleSetActivated,
    SamplesIngested,
    TickCompleted,
)
from tests import drafts
from tests.tui import sample
from tests.tui.past import BEGIN, STEP, TICKS, ends, short_past, time_of
from tests.tui.sample import NOW
from tui.data import SnapshotReader
from tui.data.interest import most_interesting
from tui.data.past import PastLog
from tui.data.past_reader import PastReader
from tui.data.recording import Recording
from tui.data.seek import BadSeek, Seek, parse_seek
from tui.data.timeline_index import TimelineIndex

KNOWN = [
    projection
    for projection in PROJECTIONS
    if projection.name
    in {
        "alerts",
        "recommendations",
        "unadvised",
        "silences",
        "sources",
        "rules",
        "rule_set",
        "deliveries",
        "tick",
        "incidents",
        "resources",
    }
]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    """A log with the short past."""
    with sample.open_log(tmp_path) as opened:
        sample.append(opened, short_past())
        yield opened


def natural(payloads: Sequence[Any]) -> list[Draft]:
    """Drafts in the streams in which the control plane writes such payloads."""
    made = []
    for number, payload in enumerate(payloads):
        if isinstance(payload, SamplesIngested):  # batches of a source follow one another in time
            payload = payload.model_copy(update={"end_ms": number})
        if isinstance(payload, AdviceFailed):
            payload = payload.model_copy(update={"alert": ("x1", "x2", "a1")[number % 3]})
        if isinstance(payload, RecommendationProposed | RecommendationRevised):
            made_for = payload.recommendation.model_copy(update={"alert": payload.recommendation.id})
            payload = payload.model_copy(update={"recommendation": made_for})
        made.append(drafts.draft(payload, stream_of(payload), key=str(number)))
    return made


def stream_of(payload: Any) -> str:
    kind = payload.type
    if isinstance(payload, TickCompleted | RuleSetActivated):
        return "tick" if isinstance(payload, TickCompleted) else "rules"
    if kind.startswith("recommendation"):
        found = payload.recommendation
        return f"recommendation:{getattr(found, 'id', found)}"
    if kind.startswith("resource"):
        return f"resource:{payload.key if hasattr(payload, 'key') else payload.resource.key}"
    if kind.startswith(("samples", "source")):
        return f"source:{payload.source}"
    if kind.startswith("rule"):
        return f"rule:{payload.rule}"
    if kind.startswith("notification"):
        return f"delivery:{payload.delivery.id if kind == 'notification_queued.v1' else payload.delivery}"
    if kind.startswith("incident"):
        return f"incident:{payload.incident.id}"
    if kind in ("silence_created.v1", "silence_ended.v1"):
        return f"silence:{getattr(payload.silence, 'id', payload.silence)}"
    if hasattr(payload, "facts"):
        return f"alert:{payload.facts.alert}"
    return f"alert:{payload.alert}" if hasattr(payload, "alert") else "others"


FOLDED = st.one_of(*(drafts.BY_PAYLOAD[kind] for kind in dict.fromkeys(kind for one in KNOWN for kind in one.payloads)))


def plain(payload: Any) -> bool:
    """Whether its ids can name a stream."""
    try:
        stream_of(payload).encode()
    except UnicodeEncodeError:
        return False
    return True


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(FOLDED.filter(plain), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_every_table_at_every_position_is_that_of_a_log_that_ended_there(payloads: list[Any], order: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, sample.open_log(Path(folder)) as log:
        sample.append(log, natural(payloads))
        recording = Recording(log)
        recording.renew()
        positions = list(range(log.head() + 1))
        order.shuffle(positions)
        for position in positions[:8]:
            past, fresh = recording.at(position), PastLog(log, position)
            for projection in KNOWN:
                assert past.rows(projection) == fresh.rows(projection), (projection.name, position)


def test_the_newest_deliveries_are_those_of_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliveries = next(projection for projection in PROJECTIONS if projection.name == "deliveries")
    monkeypatch.setitem(deliveries.__dict__, "keep", 3)
    with sample.open_log(tmp_path) as log:
        payloads = [drafts.NotificationQueued(delivery=drafts.delivery(f"d{number}")) for number in range(9)]
        sample.append(log, natural(payloads))
        recording = Recording(log)
        recording.renew()
        for position in (9, 2, 5, 0, 8):
            assert recording.at(position).rows(deliveries) == PastLog(log, position).rows(deliveries)


def test_snapshots_whichever_way_one_comes(log: EventLog) -> None:
    recording, reader = Recording(log), PastReader(lambda: log, "e")
    recording.renew()
    positions = [*range(log.head() + 1)]
    random.Random(7).shuffle(positions)
    for position in positions[:20]:
        then = reader.at(recording.at(position))
        assert then == SnapshotReader(PastLog(log, position), "e").poll(NOW)
        for projection in (INCIDENTS, RESOURCES):
            assert recording.at(position).rows(projection) == PastLog(log, position).rows(projection)


def test_tables_that_hold_what_came_later(log: EventLog) -> None:
    before = log.head()
    recording = Recording(log)
    sample.append(log, [sample.ticked(NOW + STEP)])
    recording.know(before, {"tick": log.rows(TICK)})
    assert recording.at(before).rows(TICK)["tick"].now == NOW
    assert recording.at(before + 1).rows(TICK)["tick"].now == NOW + STEP


def index_of(log: EventLog) -> TimelineIndex:
    index = TimelineIndex()
    index.extend(log.marks())
    return index


def test_stops_are_ticks(log: EventLog) -> None:
    index, stops = index_of(log), ends(log)
    assert len(index) == TICKS
    assert [index.time_of(stop) for stop in stops] == [time_of(number) for number in range(TICKS)]
    assert index.position_at(BEGIN - timedelta(microseconds=1)) is None
    assert index.position_at(BEGIN) == stops[0]
    assert index.position_at(time_of(4) + STEP / 2) == stops[4]
    assert index.position_at(NOW + timedelta(days=1)) == stops[-1]
    assert [index.step(stops[0], -1), index.step(stops[-1], 1)] == [None, None]
    assert [index.step(0, 1), index.step(0, -1)] == [stops[0], None]
    assert index.step(stops[3] + 1, -1) == stops[3]
    assert index.step(stops[3] + 1, 1) == stops[4]


def test_incidents_are_ticks_in_which_something_begins_to_fire(log: EventLog) -> None:
    index, stops = index_of(log), ends(log)
    first, second, third = (stops[number] for number in (2, 5, 9))
    assert [index.incident(0, 1), index.incident(first, 1), index.incident(second, 1)] == [first, second, third]
    assert index.incident(third, 1) is None
    assert [index.incident(log.head(), -1), index.incident(third, -1), index.incident(second, -1)] == [
        third,
        second,
        first,
    ]
    assert index.incident(first, -1) is None
    assert index.incident(0, -1) is None


def test_a_tick_that_caught_up_is_looked_at_step_by_step(empty_log: EventLog) -> None:
    minutes = [NOW + timedelta(minutes=number) for number in range(5)]
    decided = [sample.draft(sample.AlertFired(facts=sample.facts(f"r{n}")), minutes[n]) for n in (0, 0, 1)]
    decided[1] = sample.draft(sample.AlertFired(facts=sample.facts("other")), minutes[0])
    sample.append(empty_log, [*decided, sample.ticked(minutes[4], 16), sample.ticked(minutes[4] + STEP)])
    index = index_of(empty_log)
    assert len(index) == 4
    assert [index.time_of(position) for position in (1, 2, 3, 4, 5)] == [
        minutes[0],
        minutes[0],
        minutes[1],
        minutes[4],
        minutes[4] + STEP,
    ]


def test_an_index_grows(log: EventLog) -> None:
    index = index_of(log)
    sample.append(log, [sample.ticked(NOW + STEP)])
    index.extend(log.marks(after=index.end))
    assert (index.end, index.last, len(index)) == (log.head(), log.head(), TICKS + 1)


def test_a_log_whose_beginning_is_archived(log: EventLog, tmp_path: Path) -> None:
    later = EventLog.open(f"sqlite:///{tmp_path}/cut.db")
    with later:
        half = short_past()
        later.append(half[:24], recorded_at=NOW - timedelta(days=9))
        later.append(half[24:], recorded_at=NOW)
        later.archive(NOW - timedelta(days=1), tmp_path / "archives")
        assert later.start() == 24
        recording = Recording(later)
        recording.renew()
        assert recording.index.begin == 24
        for position in (log.head(), 24, 30, 27):
            for projection in KNOWN:
                assert recording.at(position).rows(projection) == PastLog(log, position).rows(projection)


def test_the_most_interesting_is_where_most_begins_to_fire(log: EventLog, empty_log: EventLog) -> None:
    del empty_log
    assert most_interesting(log) == ends(log)[2]


def test_nothing_is_interesting_where_nothing_fires(empty_log: EventLog) -> None:
    assert most_interesting(empty_log) is None


REFERENCE = datetime(2026, 3, 12, 20, 14, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20:14", Seek(datetime(2026, 3, 12, 20, 14, tzinfo=UTC))),
        (" 20:14Z ", Seek(datetime(2026, 3, 12, 20, 14, tzinfo=UTC))),
        ("9:05:07", Seek(datetime(2026, 3, 12, 9, 5, 7, tzinfo=UTC))),
        ("20:15", Seek(datetime(2026, 3, 11, 20, 15, tzinfo=UTC))),
        ("-2h", Seek(REFERENCE - timedelta(hours=2))),
        ("-1h30m", Seek(REFERENCE - timedelta(minutes=90))),
        ("+10m", Seek(REFERENCE + timedelta(minutes=10))),
        ("2026-03-12T20:14Z", Seek(datetime(2026, 3, 12, 20, 14, tzinfo=UTC))),
        ("2026-03-12 20:14", Seek(datetime(2026, 3, 12, 20, 14, tzinfo=UTC))),
        ("2026-03-12T20:14+01:00", Seek(datetime(2026, 3, 12, 19, 14, tzinfo=UTC))),
        ("2026-03-12", Seek(datetime(2026, 3, 12, tzinfo=UTC))),
        ("412", Seek(position=412)),
        ("#0", Seek(position=0)),
        ("live", Seek()),
        ("NOW", Seek()),
    ],
)
def test_where_somebody_wants_to_go(text: str, found: Seek) -> None:
    assert parse_seek(text, REFERENCE, REFERENCE) == found


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "24:00", "20:60", "-2", "-", "+", "--2h", "-99999999999d", "2026-13-01", "-2h ago", "[red]\x1b"],
)
def test_what_is_no_time_is_told_with_what_is(text: str) -> None:
    with pytest.raises(BadSeek) as raised:
        parse_seek(text, REFERENCE, REFERENCE)
    assert "20:14, -2h, +10m, 2026-03-12T20:14Z, a position such as 412" in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_marks_are_the_events_without_their_payloads(log: EventLog) -> None:
    events = list(log.read())
    assert [tuple(mark) for mark in log.marks()] == [
        (event.position, event.stream, event.type, to_text(event.occurred_at)) for event in events
    ]
    assert [mark.position for mark in log.marks(after=40)] == [event.position for event in events[40:]]
    assert log.pick([3, 1, 3, 9999]) == [events[0], events[2]]
