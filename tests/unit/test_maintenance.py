from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from controlplane.frames import Samples, digest
from controlplane.model.events import Event
from controlplane.model.payloads import SourceFailed
from controlplane.model.time import from_ms
from controlplane.settings import Retention
from controlplane.telemetry import maintenance
from controlplane.telemetry.schema import TABLES
from controlplane.telemetry.store import SampleStore
from tests.telemetry_frames import HOUR, START, STEP, contents, name, samples, tick

MINUTE = 60_000
DAY = 24 * HOUR


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    return SampleStore(tmp_path / "telemetry.duckdb", step=timedelta(milliseconds=STEP))


def at(ms: int) -> datetime:
    return from_ms(ms)


def everything(store: SampleStore) -> Samples:
    return store.read(-1, 2**60)


def table(store: SampleStore, sql: str) -> pl.DataFrame:
    return store.query(sql, 1_000_000)


def dump(store: SampleStore) -> dict[str, list[tuple[object, ...]]]:
    """Every table, and what is known of them."""
    return {name: table(store, f"SELECT * FROM {name} ORDER BY ALL").rows() for name in (*TABLES, "meta")}


# rollups


def test_rollups_are_what_polars_computes(store: SampleStore) -> None:
    for number in range(0, 60):
        store.write([tick(number, series=3)])
    store.maintain(at(START + HOUR), Retention())
    long = everything(store).samples
    for table_name, length in (("rollup_5m", 5 * MINUTE), ("rollup_1h", HOUR)):
        expected = (
            long.with_columns(ts=pl.col("ts") // length * length)
            .group_by("sid", "ts")
            .agg(
                pl.col("value").min().alias("min"),
                pl.col("value").max().alias("max"),
                pl.col("value").mean().alias("avg"),
                pl.len().alias("count"),
                pl.col("value").last().alias("last"),
            )
            .sort("sid", "ts")
        )
        found = table(
            store,
            f"""SELECT ts, min, max, avg, count, last
                FROM {table_name} JOIN series USING (sid) ORDER BY signal, labels, ts""",
        )
        assert_frame_equal(found, expected.drop("sid"), check_dtypes=False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, 6.0], (1.0, 6.0, 3.0, 3, 6.0)),
        ([1.0, None, 3.0, None], (1.0, 3.0, 2.0, 2, 3.0)),
        ([None, None], (None, None, None, 0, None)),
        ([float("inf"), 1.0], (1.0, float("inf"), float("inf"), 2, 1.0)),
        ([float("inf"), float("-inf")], (float("-inf"), float("inf"), None, 2, float("-inf"))),
        ([7.0], (7.0, 7.0, 7.0, 1, 7.0)),
    ],
)
def test_a_bucket(store: SampleStore, values: list[float | None], expected: tuple[object, ...]) -> None:
    store.write([samples({name(): {START + n * STEP: value for n, value in enumerate(values)}})])
    store.maintain(at(START + HOUR), Retention())
    for table_name in ("rollup_5m", "rollup_1h"):
        assert table(store, f"SELECT min, max, avg, count, last FROM {table_name}").rows() == [expected]


def test_a_sample_on_the_edge_belongs_to_the_bucket_that_it_begins(store: SampleStore) -> None:
    edge = START + 5 * MINUTE
    store.write([samples({name(): {edge - STEP: 1.0, edge: 2.0, START + HOUR - STEP: 3.0, START + HOUR: 4.0}})])
    store.maintain(at(START + 2 * HOUR), Retention())
    assert table(store, "SELECT ts, max FROM rollup_5m ORDER BY ts").rows() == [
        (START, 1.0),
        (edge, 2.0),
        (START + 55 * MINUTE, 3.0),
        (START + HOUR, 4.0),
    ]
    assert table(store, "SELECT ts, max, count FROM rollup_1h ORDER BY ts").rows() == [
        (START, 3.0, 3),
        (START + HOUR, 4.0, 1),
    ]


def test_late_and_corrected_samples_are_rolled_up_again(store: SampleStore) -> None:
    times = [START + n * STEP for n in range(4)]
    store.write([samples({name(host="a"): dict.fromkeys(times, 1.0), name(host="b"): dict.fromkeys(times, 1.0)})])
    store.maintain(at(START + HOUR), Retention())
    store.write([samples({name(host="a"): {times[1]: 9.0}}, [("prom", "catalyst", "cpu", times[0], times[3])])])
    store.maintain(at(START + HOUR), Retention())
    assert table(store, "SELECT labels ->> 'host', min, max, count FROM v_5m").rows() == [("a", 9.0, 9.0, 1)]
    assert table(store, "SELECT labels ->> 'host', min, max, count FROM v_1h").rows() == [("a", 9.0, 9.0, 1)]
    store.write([samples({}, [("prom", "catalyst", "cpu", times[0], times[3])])])
    report = store.maintain(at(START + HOUR), Retention())
    assert {name: report.rows_after[name] for name in ("series", "samples", "rollup_5m", "rollup_1h")} == {
        "series": 0,
        "samples": 0,
        "rollup_5m": 0,
        "rollup_1h": 0,
    }


def test_rollups_of_a_long_backfill_are_complete(store: SampleStore) -> None:
    times = [START + n * 7 * HOUR for n in range(20)]
    store.write([samples({name(): {ts: float(n) for n, ts in enumerate(times)}})])
    told: list[str] = []
    store.maintain(at(times[-1]), Retention(full=timedelta(days=30)), progress=told.append)
    assert table(store, "SELECT ts, last FROM rollup_1h ORDER BY ts").rows() == [
        (ts, float(n)) for n, ts in enumerate(times)
    ]
    assert told[-1] == "Compacting the telemetry file"
    assert len(told) == len(times) + 1


# retention


def test_each_resolution_is_kept_for_its_time(store: SampleStore) -> None:
    now = START + 800 * DAY
    ages = [0, DAY, 2 * DAY - 1, 2 * DAY, 2 * DAY + HOUR, 29 * DAY, 31 * DAY, 700 * DAY, 731 * DAY]
    times = sorted(now - age for age in ages)
    store.write([samples({name(): dict.fromkeys(times, 1.0)})])
    store.maintain(at(now), Retention())
    kept = {
        name: table(store, f"SELECT ts FROM {name}")["ts"].to_list() for name in ("samples", "rollup_5m", "rollup_1h")
    }
    assert kept["samples"] == [ts for ts in times if ts >= now - 2 * DAY]
    for table_name, length, age in (("rollup_5m", 5 * MINUTE, 30 * DAY), ("rollup_1h", HOUR, 730 * DAY)):
        assert kept[table_name] == sorted({ts - ts % length for ts in times if ts >= now - age})


@pytest.mark.parametrize(("past_the_hour", "kept"), [(0, 4), (1, 4), (HOUR - 1, 4), (HOUR, 0)])
def test_full_samples_go_hour_by_hour(store: SampleStore, past_the_hour: int, kept: int) -> None:
    store.write([tick(0, series=1)])
    report = store.maintain(at(START + 2 * DAY + past_the_hour), Retention())
    assert (report.rows_before["samples"], report.rows_after["samples"]) == (4, kept)
    assert report.rows_after["rollup_5m"] == report.rows_after["rollup_1h"] == 1


def test_series_go_with_their_last_row_and_ids_stay(store: SampleStore) -> None:
    old, new = name(host="old"), name(host="new")
    store.write([samples({old: {START: 1.0}})])
    store.write([samples({new: {START + 750 * DAY: 2.0}})])
    report = store.maintain(at(START + 750 * DAY), Retention())
    assert (report.rows_before["series"], report.rows_after["series"]) == (2, 1)
    assert contents(everything(store)) == {new: {START + 750 * DAY: 2.0}}
    assert table(store, "SELECT sid, labels FROM series").rows() == [(1, new[3])]
    store.write([samples({old: {START + 750 * DAY: 3.0}, new: {START + 750 * DAY: 2.0}})])
    assert contents(everything(store)) == {new: {START + 750 * DAY: 2.0}, old: {START + 750 * DAY: 3.0}}


def test_twice_is_as_once(store: SampleStore) -> None:
    for number in range(40):
        store.write([tick(number)])
    now = at(START + 2 * DAY + HOUR)
    store.maintain(now, Retention())
    first = dump(store)
    report = store.maintain(now, Retention())
    assert dump(store) == first
    assert report.rows_before == report.rows_after
    assert report.rolled_up == 0


def test_the_file_shrinks(store: SampleStore) -> None:
    random = Random(1)
    times = [START + n * STEP for n in range(10_000)]
    store.write([samples({name(host=f"h{n}"): {ts: random.random() for ts in times} for n in range(60)})])
    before = sum(store.file.sizes())
    report = store.maintain(at(START + 200 * DAY), Retention())
    assert report.bytes_before == before
    assert report.bytes_after == sum(store.file.sizes())
    assert report.bytes_after < before / 2
    assert report.rows_after["samples"] == 0


def test_what_is_gone_is_unknown_and_not_absent(store: SampleStore) -> None:
    times = [START + n * STEP for n in range(0, 480)]
    store.write([samples({name(): dict.fromkeys(times, 1.0)})])
    store.maintain(at(START + 2 * DAY + HOUR), Retention())
    read = everything(store)
    assert read.coverage.rows() == [("prom", "catalyst", "cpu", START + HOUR, times[-1])]
    assert read.samples["ts"].min() == START + HOUR
    assert store.history(-1, 2**60).coverage.rows() == [("prom", "catalyst", "cpu", START, times[-1])]


def test_a_longer_retention_does_not_pretend_that_samples_came_back(store: SampleStore) -> None:
    store.write([samples({name(): {START + n * HOUR: float(n) for n in range(10)}})])
    store.maintain(at(START + 10 * HOUR), Retention(full=timedelta(hours=2)))
    store.maintain(at(START + 10 * HOUR), Retention(full=timedelta(hours=9)))
    assert everything(store).coverage["first"].to_list() == [START + 8 * HOUR]


def test_a_clock_that_was_wrong_does_not_hide_later_samples(store: SampleStore) -> None:
    store.write([tick(0)])
    store.maintain(at(START + 3_000 * DAY), Retention())
    assert everything(store).samples.height == 0
    store.maintain(at(START + HOUR), Retention())
    store.write([tick(60)])
    assert digest(everything(store)) == digest(tick(60))


def test_samples_that_come_between_rollup_and_compaction_are_not_dropped(store: SampleStore) -> None:
    store.write([samples({name(): {START: 1.0, START + 9 * DAY: 9.0}})])
    late = samples({name(): {START + DAY: 2.0}})

    def write(text: str) -> None:
        if text.startswith("Compacting"):
            store.write([late])

    store.maintain(at(START + 9 * DAY), Retention(), progress=write)
    store.maintain(at(START + 9 * DAY), Retention())
    expected = {START: 1.0, START + DAY: 2.0, START + 9 * DAY: 9.0}
    assert contents(store.history(-1, START + 9 * DAY)) == {name(): expected}


def test_a_clock_that_goes_back_drops_no_rollup(store: SampleStore) -> None:
    store.write([samples({name(): {START + HOUR: 1.0}})])
    store.maintain(at(START + 3 * DAY), Retention())
    store.maintain(at(START), Retention())
    store.write([samples({name(): {START: 0.0}})])
    store.maintain(at(START + 4 * DAY), Retention())
    assert contents(store.history(-1, START + DAY)) == {name(): {START: 0.0, START + HOUR: 1.0}}


# history


def test_history_goes_from_hours_over_minutes_to_steps(store: SampleStore) -> None:
    day = [START + n * 15 * MINUTE for n in range(0, 24 * 4)]
    store.write([samples({name(): {ts: float(n) for n, ts in enumerate(day)}})])
    retention = Retention(full=timedelta(hours=4), five_minutes=timedelta(hours=12))
    store.maintain(at(START + DAY), retention)
    for aggregate, of_hour in (("avg", 1.5), ("min", 0.0), ("max", 3.0), ("last", 3.0)):
        history = store.history(START - 1, START + DAY, aggregate=aggregate)
        assert history.series.height == 1
        expected = [(START + n * HOUR, 4 * n + of_hour) for n in range(12)]
        expected += [(ts, float(n)) for n, ts in enumerate(day) if ts >= START + 12 * HOUR]
        assert history.samples.select("ts", "value").rows() == expected
    assert store.read(START - 1, START + DAY).samples["ts"].min() == START + 20 * HOUR


def test_history_of_some_signals(store: SampleStore) -> None:
    store.write([samples({name(signal): {START: 1.0, START + 10 * HOUR: 2.0} for signal in ("a", "b")})])
    store.maintain(at(START + 10 * HOUR), Retention(full=timedelta(hours=1), five_minutes=timedelta(hours=1)))
    found = store.history(-1, START + 10 * HOUR, signals=["b"], platforms=["catalyst"])
    assert contents(found) == {name("b"): {START: 1.0, START + 10 * HOUR: 2.0}}


def test_samples_older_than_the_full_ones_fill_empty_buckets_only(store: SampleStore) -> None:
    now = START + 10 * DAY
    store.write([samples({name(): {START: 1.0, START + STEP: 3.0}})])
    store.maintain(at(now), Retention())
    store.write([samples({name(): {START: 100.0, START + HOUR: 5.0}})])
    store.maintain(at(now), Retention())
    assert contents(store.history(-1, now)) == {name(): {START: 2.0, START + HOUR: 5.0}}
    assert table(store, "SELECT count(*) FROM samples").item() == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["write", "maintain", "compact"]), st.integers(0, 30), st.integers(0, 5)), max_size=12
    )
)
def test_nothing_is_lost_before_its_rollup_is_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Each hour is written once at most; whatever else happens, history has exactly one bucket or the samples of it."""
    store = SampleStore(tmp_path_factory.mktemp("store") / "telemetry.duckdb")
    retention = Retention(full=timedelta(hours=5), five_minutes=timedelta(hours=10))
    written: set[int] = set()
    for what, hour, more in steps:
        if what == "write" and hour not in written:
            written.add(hour)
            store.write([samples({name(): {START + hour * HOUR + n * STEP: float(hour) for n in range(more + 1)}})])
        elif what == "maintain":
            store.maintain(at(START + hour * HOUR), retention)
        else:
            maintenance.compact(store.file)
    store.maintain(at(START + 31 * HOUR), retention)
    found = store.history(-1, START + 40 * HOUR).samples
    assert set(found["ts"] // HOUR - START // HOUR) == written
    assert found.filter(pl.col("value") != pl.col("ts") // HOUR - START // HOUR).is_empty()


def test_compaction_keeps_everything(store: SampleStore) -> None:
    log = Log(3)
    for number in range(5):
        store.write([tick(number)])
    store.mirror(log)
    before = dump(store)
    maintenance.compact(store.file)
    assert dump(store) == before
    assert store.file.sizes()[1] == 0


# mirror


class Log:
    """An event log in memory, as the mirror sees it."""

    def __init__(self, count: int = 0, name: str = "log") -> None:
        self.events: list[Event] = []
        self.name = name
        self.add(count)

    def add(self, count: int, recorded_at: datetime | None = None) -> None:
        for position in range(len(self.events) + 1, len(self.events) + count + 1):
            moment = recorded_at or at(START + position * 1_000 + 123)
            self.events.append(
                Event(
                    position=position,
                    id=uuid4(),
                    stream="source/prom'",
                    version=position,
                    type="source_failed.v1",
                    occurred_at=moment,
                    recorded_at=moment + timedelta(microseconds=7),
                    actor="Zoë",
                    correlation="",
                    cause=uuid4() if position % 2 else None,
                    payload=SourceFailed(source="prom", error=f'"quoted" \x1b[31m {position}'),
                    previous_hash="",
                    hash=f"{self.name}-{position}",
                )
            )

    def head(self) -> int:
        return len(self.events)

    def read(self, *, after: int = 0, until: int | None = None, limit: int | None = None) -> Iterator[Event]:
        found = [
            event for event in self.events if event.position > after and (until is None or event.position <= until)
        ]
        return iter(found[:limit])


def mirrored(store: SampleStore) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in table(store, "SELECT position, hash FROM events ORDER BY position").rows()]


def test_events_are_mirrored_as_they_are(store: SampleStore) -> None:
    log = Log(3)
    assert store.mirror(log) == maintenance.MirrorReport(3, rebuilt=False)
    found = table(store, "SELECT * FROM events ORDER BY position").rows(named=True)
    for row, event in zip(found, log.events, strict=True):
        assert SourceFailed.model_validate_json(row.pop("payload")) == event.payload
        assert row.pop("occurred_at").astimezone(UTC) == event.occurred_at
        assert row.pop("recorded_at").astimezone(UTC) == event.recorded_at
        expected = event.model_dump(exclude={"payload", "occurred_at", "recorded_at", "previous_hash"})
        assert row == {**expected, "id": str(event.id), "cause": event.cause and str(event.cause)}
    assert (
        table(store, "SELECT payload ->> 'error' AS e FROM events WHERE position = 1")["e"][0] == '"quoted" \x1b[31m 1'
    )


def test_only_new_events_are_appended(store: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_EVENTS_AT_ONCE", 4)
    log = Log()
    for more, appended in [(0, 0), (9, 9), (0, 0), (1, 1), (4, 4)]:
        log.add(more)
        assert store.mirror(log) == maintenance.MirrorReport(appended, rebuilt=False)
        assert mirrored(store) == [(event.position, event.hash) for event in log.events]


@pytest.mark.parametrize("count", [0, 2, 6, 20])
def test_another_log_is_mirrored_from_the_start(
    store: SampleStore, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(maintenance, "_EVENTS_AT_ONCE", 5)
    store.mirror(Log(6))
    other = Log(count, name="other")
    assert store.mirror(other) == maintenance.MirrorReport(count, rebuilt=True)
    assert mirrored(store) == [(event.position, event.hash) for event in other.events]
    assert store.mirror(other) == maintenance.MirrorReport(0, rebuilt=False)


def test_two_mirrors_at_once_copy_each_event_once(store: SampleStore) -> None:
    class Overtaken(Log):
        def read(self, *, after: int = 0, until: int | None = None, limit: int | None = None) -> Iterator[Event]:
            found = super().read(after=after, until=until, limit=limit)
            if not mirrored(store):
                store.mirror(self.plain)
            return found

    log = Overtaken(5)
    log.plain = Log()
    log.plain.events = log.events
    assert store.mirror(log).appended == 0
    assert mirrored(store) == [(event.position, event.hash) for event in log.events]


def test_old_events_go_and_the_newest_stays(store: SampleStore) -> None:
    log = Log()
    log.add(3, at(START))
    log.add(2, at(START + DAY))
    store.mirror(log)
    retention = Retention(events=timedelta(days=1))
    store.maintain(at(START + 2 * DAY), retention)
    assert [position for position, _ in mirrored(store)] == [4, 5]
    store.maintain(at(START + 9 * DAY), retention)
    assert [position for position, _ in mirrored(store)] == [5]
    log.add(1)
    assert store.mirror(log) == maintenance.MirrorReport(1, rebuilt=False)
    assert [position for position, _ in mirrored(store)] == [5, 6]
