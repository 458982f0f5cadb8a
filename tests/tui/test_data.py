"""Snapshots: what the reader reads, when it reads nothing, and how far a picture is trusted."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.doctor import stores as doctor
from controlplane.eventlog.errors import StoreUnavailable
from controlplane.eventlog.latest import LatestReading
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import DELIVERIES
from controlplane.listening import Serve
from controlplane.model.errors import ControlplaneError
from controlplane.model.payloads import NotificationQueued, TickCompleted
from controlplane.model.severity import Severity
from tests import drafts
from tests.tui import sample
from tests.tui.sample import NOW
from tui.data import POLL, Row, Snapshot, SnapshotReader, late_after, tick_interval
from tui.data.snapshot import LATE_STEPS
from tui.trust import Mode, trust

SECOND = timedelta(seconds=1)


class Counting:
    """An event log that counts what is asked of it, and fails when told to."""

    def __init__(self, log: EventLog) -> None:
        self.log, self.asked, self.error = log, [], None

    def __getattr__(self, name):
        def call(*args, **options):
            self.asked.append(name)
            if self.error is not None:
                raise self.error
            return getattr(self.log, name)(*args, **options)

        return call


def read(log: EventLog) -> Snapshot:
    found = SnapshotReader(log, "prod").poll(NOW)
    assert found is not None
    assert not found.error
    return found


def test_a_snapshot_joins_alerts_readings_advice_and_sources(log: EventLog) -> None:
    snapshot = read(log)

    assert len(snapshot.rows) == 10
    assert snapshot.position == log.head()
    assert (snapshot.acknowledged, snapshot.pending) == (1, 1)
    assert snapshot.reported == {Severity.CRITICAL: 3, Severity.WARNING: 4, Severity.INFO: 2}
    lag = next(row for row in snapshot.rows if row.alert.rule == sample.LAG)
    assert lag.value == 412_000
    assert len(lag.history) == 120
    assert [advice.proposal.kind for advice in lag.advice] == ["scale_out"]
    assert [source.source for source in snapshot.sources] == ["kafka-lag", "prom-eu1", "prom-us1"]
    assert not any(row.doubt for row in snapshot.rows)


def test_nothing_is_read_while_nothing_changes(log: EventLog) -> None:
    counting = Counting(log)
    reader = SnapshotReader(counting)
    assert reader.poll(NOW) is not None
    counting.asked.clear()

    assert reader.poll(NOW + SECOND) is None
    assert counting.asked == ["head"]
    assert reader.answered_at == NOW + SECOND


def test_a_few_new_events_read_only_their_rows_and_give_the_same_as_reading_all(log: EventLog) -> None:
    counting = Counting(log)
    reader = SnapshotReader(counting, "prod")
    before = reader.poll(NOW)
    counting.asked.clear()
    new = sample.facts("other-rule", labels={"host": "h9"})
    gone = next(row.alert for row in before.rows if row.alert.rule == sample.LAG)
    sample.append(
        log,
        [
            sample.fired(new, timedelta(0)),
            sample.resolved(sample.facts()),
            sample.source_failed("prom-us1", "refused"),
            sample.ticked(NOW),
        ],
    )

    after = reader.poll(NOW)

    assert "rows" not in counting.asked
    assert after == read(log)
    assert {row.alert.id for row in after.rows} - {row.alert.id for row in before.rows} == {new.alert}
    assert gone.id not in after.by_id
    kept = [row for row in after.rows if row.alert.id in before.by_id and not row.doubt]
    assert len(kept) == 7
    assert all(row.alert is before.by_id[row.alert.id].alert for row in kept)


def test_many_new_events_read_whole_projections(log: EventLog) -> None:
    counting = Counting(log)
    reader = SnapshotReader(counting, "prod")
    reader.poll(NOW)
    counting.asked.clear()
    facts = [sample.facts("many", labels={"host": str(number)}) for number in range(2_001)]
    sample.append(log, [sample.fired(found, timedelta(0)) for found in facts])

    after = reader.poll(NOW)

    assert "rows" in counting.asked
    assert "some" not in counting.asked
    assert after == read(log)
    assert len(after.rows) == 2_011


def test_no_more_deliveries_are_kept_than_the_log_keeps(log: EventLog) -> None:
    reader = SnapshotReader(log)
    for first, number in ((0, DELIVERIES.keep), (DELIVERIES.keep, 3)):
        queued = [NotificationQueued(delivery=drafts.delivery(f"d{first + one}")) for one in range(number)]
        sample.append(log, [sample.draft(payload, NOW, stream=f"delivery:{payload.delivery.id}") for payload in queued])
        reader.poll(NOW)
        assert reader.known()[1]["deliveries"] == log.rows(DELIVERIES)


def test_a_failed_source_puts_its_alerts_in_doubt_and_no_others(log: EventLog) -> None:
    sample.append(log, [sample.source_failed("prom-us1", "connection refused", "Start it")])

    doubted = {row.alert.source for row in read(log).rows if row.doubt}
    trusted = {row.alert.source for row in read(log).rows if not row.doubt}

    assert doubted == {"prom-us1"}
    assert trusted == {"prom-eu1", "kafka-lag"}


@pytest.mark.parametrize(
    ("age", "steps", "doubted"),
    [(45, 1, False), (46, 1, True), (180, 4, False), (181, 4, True), (300, 1_440, False), (301, 1_440, True)],
)
def test_a_value_older_than_three_ticks_is_in_doubt(empty_log: EventLog, age: int, steps: int, doubted: bool) -> None:
    found = sample.facts()
    reading = sample.reading(found, [1.0, 2.0], at=NOW - timedelta(seconds=age))
    sample.append(empty_log, [sample.fired(found, timedelta(minutes=1)), sample.ticked(NOW, steps)], [reading])

    assert bool(read(empty_log).rows[0].doubt) is doubted


def test_a_failing_store_keeps_the_last_picture_and_recovers(log: EventLog) -> None:
    counting = Counting(log)
    reader = SnapshotReader(counting, "prod")
    good = reader.poll(NOW)
    counting.error = StoreUnavailable("events.db is locked")

    failed = reader.poll(NOW + SECOND)
    again = reader.poll(NOW + 3 * SECOND)
    counting.error = None
    recovered = reader.poll(NOW + 7 * SECOND)

    assert failed.rows == good.rows
    assert failed.error == "events.db is locked"
    assert (failed.error_since, failed.retry_at) == (NOW + SECOND, NOW + 3 * SECOND)
    assert (again.error_since, again.retry_at) == (NOW + SECOND, NOW + 7 * SECOND)
    assert recovered == good
    assert reader.wait == POLL


def test_the_wait_between_failing_polls_grows_to_eight_seconds(log: EventLog) -> None:
    counting = Counting(log)
    counting.error = OSError("gone")
    reader = SnapshotReader(counting)
    waits = []
    for _ in range(5):
        assert "OSError: gone" in reader.poll(NOW).error
        waits.append(reader.wait.total_seconds())

    assert waits == [2, 4, 8, 8, 8]


def test_an_absent_store_is_opened_again_until_it_is_there(tmp_path: Path) -> None:
    sample.open_log(tmp_path).close()
    there: list[EventLog] = []

    def opening() -> EventLog:
        if not there:
            raise ControlplaneError("there is no event store in /nowhere")
        return there[0]

    reader = SnapshotReader(opening, "prod")
    missing = reader.poll(NOW)
    there.append(sample.open_log(tmp_path))
    found = reader.poll(NOW)
    there[0].close()

    assert (missing.error, missing.rows) == ("there is no event store in /nowhere", ())
    assert (found.error, found.position) == ("", 0)


def test_a_corrupt_store_is_an_error_with_its_reason(log: EventLog, tmp_path: Path) -> None:
    reader = SnapshotReader(log)
    good = reader.poll(NOW)
    log.close()
    for name in ("events.db-wal", "events.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "events.db").write_bytes(b"not a database" * 1000)

    failed = reader.poll(NOW)

    assert failed.rows == good.rows
    assert failed.error
    assert "\n" not in failed.error


def tick(age: timedelta, steps: int = 1) -> TickCompleted:
    return sample.ticked(NOW - age, steps).payload


@pytest.mark.parametrize(
    ("snapshot", "answered", "mode", "said"),
    [
        (None, None, Mode.WAITING, "reading"),
        (Snapshot("e"), NOW, Mode.WAITING, "no tick"),
        (Snapshot("e", tick=tick(45 * SECOND)), NOW, Mode.LIVE, ""),
        (Snapshot("e", tick=tick(46 * SECOND)), NOW, Mode.STALE, "no tick for 46s, one is due every 15s"),
        (Snapshot("e", tick=tick(180 * SECOND, steps=4)), NOW, Mode.LIVE, ""),
        (Snapshot("e", tick=tick(181 * SECOND, steps=4)), NOW, Mode.STALE, "one is due every 1m"),
        (Snapshot("e", tick=tick(270 * SECOND, steps=6)), NOW, Mode.LIVE, ""),
        (Snapshot("e", tick=tick(271 * SECOND, steps=6)), NOW, Mode.STALE, "for 4m 31s, one is due every 1m 30s"),
        (Snapshot("e", tick=tick(300 * SECOND, steps=7)), NOW, Mode.LIVE, ""),
        (Snapshot("e", tick=tick(301 * SECOND, steps=7)), NOW, Mode.STALE, "no tick for 5m 1s, late after 5m"),
        (Snapshot("e", tick=tick(300 * SECOND, steps=1_440)), NOW, Mode.LIVE, ""),
        (Snapshot("e", tick=tick(301 * SECOND, steps=1_440)), NOW, Mode.STALE, "no tick for 5m 1s, late after 5m"),
        (Snapshot("e", tick=tick(SECOND)), NOW - 3 * SECOND, Mode.LIVE, ""),
        (Snapshot("e", tick=tick(SECOND)), NOW - 4 * SECOND, Mode.STALE, "has not answered for 4s"),
        (
            Snapshot("e", tick=tick(SECOND), error="locked", error_since=NOW - 5 * SECOND, retry_at=NOW + 2 * SECOND),
            NOW,
            Mode.DISCONNECTED,
            "for 5s, next try in 2s · locked",
        ),
        (Snapshot("e", tick=tick(-90 * SECOND)), NOW, Mode.LIVE, ""),
    ],
)
def test_how_far_a_picture_is_trusted(snapshot, answered, mode, said) -> None:
    found = trust(snapshot, NOW, answered)

    assert found.mode is mode
    assert said in found.reason
    assert bool(found.reason) is (mode is not Mode.LIVE)


@pytest.mark.parametrize(
    ("steps", "seconds", "late"),
    [(0, 15, 45), (1, 15, 45), (4, 60, 180), (6, 90, 270), (7, 105, 300), (20, 300, 300), (1_440, 21_600, 300)],
)
def test_ticks_are_as_far_apart_as_the_steps_they_evaluate_and_late_after_three(
    steps: int, seconds: int, late: int
) -> None:
    assert tick_interval(tick(SECOND, steps)) == timedelta(seconds=seconds)
    assert late_after(tick(SECOND, steps)) == timedelta(seconds=late)


def test_a_tick_is_late_when_the_others_say_so() -> None:
    assert Serve().late_steps == doctor.LATE_STEPS == LATE_STEPS


def test_a_snapshot_is_immutable(log: EventLog) -> None:
    snapshot = read(log)
    with pytest.raises(AttributeError):
        snapshot.position = 3
    assert replace(snapshot, error="x").rows is snapshot.rows


def test_latest_readings_say_what_readings_say(empty_log: EventLog) -> None:
    histories = ([1.0, None, 3.5], [], [float("inf"), 2.0], [None], [1.0, float("-inf")])
    found = [sample.facts(labels={"host": str(number)}) for number in range(len(histories))]
    readings = [sample.reading(facts, values) for facts, values in zip(found, histories, strict=True)]
    sample.append(empty_log, [], readings)

    strict, latest = empty_log.readings(), empty_log.latest_readings()

    assert strict.keys() == latest.keys()
    for key, reading in strict.items():
        assert (latest[key].at, latest[key].value) == (reading.at, reading.value)
        assert latest[key].history == reading.history


def test_a_history_that_cannot_be_read_is_no_history(log: EventLog) -> None:
    row = next(row for row in read(log).rows if row.history)
    assert Row.of(row.alert, LatestReading("a", NOW, 1.0, '{"at": 1}')).history == ()
