import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples, digest
from controlplane.telemetry.duckfile import StoreBusy, StoreError
from controlplane.telemetry.store import SampleStore
from tests.servers import eventually
from tests.telemetry_frames import START, STEP, contents, name, samples, tick

HOSTILE = [
    "",
    "'; DROP TABLE series; --",
    '"quoted" \\ back',
    '},{"metric":',
    "[bold red]x[/] <script>",
    "\x1b[31mred\x1b[0m \x00 \x7f",
    "line\nbreak\ttab",
    "Zoë 火 \u202e evil \U0001f525",
    "@everyone ${HOME} $signals ? %s {0}",
    "x" * 10_000,
]


@pytest.fixture
def aside() -> list[tuple[Path, str]]:
    return []


@pytest.fixture
def store(tmp_path: Path, aside: list[tuple[Path, str]]) -> SampleStore:
    return SampleStore(
        tmp_path / "telemetry.duckdb",
        on_set_aside=lambda path, error: aside.append((path, error)),
        wait=timedelta(seconds=10),
    )


def everything(store: SampleStore) -> Samples:
    return store.read(-1, 2**60)


def rows(store: SampleStore, table: str) -> int:
    return int(store.query(f"SELECT count(*) AS n FROM {table}")["n"][0])


# writing and reading


def test_what_is_written_is_read(store: SampleStore) -> None:
    written = [tick(number) for number in range(3)]
    for batch in written:
        store.write([batch])
    read = everything(store)
    whole = Samples(written[0].series, pl.concat([batch.samples for batch in written]), written[0].coverage)
    assert digest(read) == digest(whole)
    assert (read.series.schema, read.samples.schema, read.coverage.schema) == (SERIES, SAMPLES, COVERAGE)


def test_series_are_numbered_in_order_and_samples_sorted(store: SampleStore) -> None:
    names = [name("b", host="2"), name("a", host="2"), name("a", host="1", source="kafka"), name("a", host="1")]
    store.write([samples({key: {START + STEP: 1.0, START: 0.0} for key in names})])
    read = everything(store)
    assert read.series["sid"].to_list() == [0, 1, 2, 3]
    assert read.series.drop("sid").rows() == sorted(names)
    assert read.samples.select("sid", "ts").rows() == [(n, ts) for n in range(4) for ts in (START, START + STEP)]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_come_back_unchanged(store: SampleStore, text: str) -> None:
    key = (text, text, text, json.dumps({"label": text, text: "x"}))
    store.write([samples({key: {START: 1.0}})])
    assert contents(store.read(START - 1, START, signals=[text], platforms=[text])) == {key: {START: 1.0}}
    assert contents(store.read(START - 1, START, signals=[text + "'"])) == {}
    shown = store.query("SELECT labels ->> 'label' AS label FROM v_samples")
    assert shown["label"].to_list() == [text]


def test_not_a_number_is_null_and_infinity_stays(store: SampleStore) -> None:
    values = [float("nan"), float("inf"), float("-inf"), None, -0.0, 5e-324, 1.7e308]
    store.write([samples({name(): {START + n * STEP: value for n, value in enumerate(values)}})])
    assert everything(store).samples["value"].to_list() == [None, *values[1:]]


@pytest.mark.parametrize(
    ("after", "until", "expected", "covered"),
    [
        (START - 1, START + 3 * STEP, [0, 1, 2, 3], (0, 3)),
        (START, START + 3 * STEP, [1, 2, 3], (1, 3)),
        (START, START + STEP, [1], (1, 1)),
        (START + STEP, START + STEP, [], None),
        (START + 3 * STEP, START + 9 * STEP, [], None),
        (START - 9 * STEP, START - STEP, [], None),
        (START + 2 * STEP, START + 2**40, [3], (3, 3)),
    ],
)
def test_the_window_is_open_below_and_closed_above(
    store: SampleStore, after: int, until: int, expected: list[int], covered: tuple[int, int] | None
) -> None:
    store.write([samples({name(): {START + n * STEP: float(n) for n in range(4)}})])
    read = store.read(after, until)
    assert read.samples["value"].to_list() == expected
    assert read.series.height == bool(expected)
    steps = [((first - START) // STEP, (last - START) // STEP) for *_, first, last in read.coverage.rows()]
    assert steps == ([] if covered is None else [covered])


def test_signals_and_packs_can_be_chosen(store: SampleStore) -> None:
    keys = [name(signal, platform=platform) for signal in ("a", "b") for platform in ("", "catalyst", "prism")]
    store.write([samples({key: {START: 1.0} for key in keys})])
    for signals, platforms in [
        (["a"], None),
        (None, ["prism", ""]),
        (["a", "b"], ["catalyst"]),
        ([], None),
        (None, []),
    ]:
        read = store.read(START - 1, START, signals=signals, platforms=platforms)
        expected = {
            key for key in keys if (signals is None or key[2] in signals) and (platforms is None or key[1] in platforms)
        }
        assert set(contents(read)) == expected
        assert {row[:3] for row in read.coverage.rows()} == {key[:3] for key in expected}


@pytest.mark.parametrize("sources", [[], ["prom"], ["kafka", "prom"], ["other"]])
def test_sources_can_be_chosen(store: SampleStore, sources: list[str]) -> None:
    keys = [name(source=source, host=host) for source in ("kafka", "prom") for host in "ab"]
    store.write([samples({key: {START: 1.0} for key in keys})])
    read = store.read(START - 1, START, sources=sources)
    assert set(contents(read)) == {key for key in keys if key[0] in sources}
    assert {row[0] for row in read.coverage.rows()} == {"kafka", "prom"} & set(sources)


def test_a_signal_without_series_is_covered_all_the_same(store: SampleStore) -> None:
    store.write([samples({}, [("prom", "catalyst", "cpu", START, START + STEP)])])
    read = everything(store)
    assert (read.series.height, read.coverage.rows()) == (0, [("prom", "catalyst", "cpu", START, START + STEP)])


def test_nothing_is_read_before_anything_was_written(store: SampleStore) -> None:
    read = everything(store)
    assert (read.series.height, read.samples.height, read.coverage.height) == (0, 0, 0)
    assert read.samples.schema == SAMPLES


def test_writing_nothing_does_not_make_a_file(store: SampleStore) -> None:
    store.write([])
    store.write([Samples.empty()])
    assert not store.file.path.exists()


# replacing


def test_writing_again_changes_nothing(store: SampleStore) -> None:
    batches = [tick(0), tick(1)]
    for batch in [*batches, *batches, batches[0]]:
        store.write([batch])
    assert rows(store, "samples") == sum(batch.samples.height for batch in batches)
    assert rows(store, "series") == batches[0].series.height
    assert rows(store, "coverage") == 5


def test_covered_steps_are_replaced_and_others_stay(store: SampleStore) -> None:
    gone, kept, other = name(host="gone"), name(host="kept"), name("memory", host="gone")
    times = [START + n * STEP for n in range(4)]
    store.write([samples({key: dict.fromkeys(times, 1.0) for key in (gone, kept, other)})])
    store.write([samples({kept: {times[1]: 2.0}}, [("prom", "catalyst", "cpu", times[1], times[2])])])
    assert contents(everything(store)) == {
        gone: {times[0]: 1.0, times[3]: 1.0},
        kept: {times[0]: 1.0, times[1]: 2.0, times[3]: 1.0},
        other: dict.fromkeys(times, 1.0),
    }


def test_of_two_batches_with_the_same_sample_the_later_counts(store: SampleStore) -> None:
    first = samples({name(host="a"): {START: 1.0}, name(host="b"): {START: 1.0}})
    second = samples({name(host="b"): {START: 2.0, START + STEP: 3.0}}, first_sid=7)
    store.write([first, second])
    assert contents(everything(store)) == {
        name(host="a"): {START: 1.0},
        name(host="b"): {START: 2.0, START + STEP: 3.0},
    }


def test_the_later_batch_counts_for_every_one_of_many_samples(store: SampleStore) -> None:
    times = [START + n * STEP for n in range(20_000)]
    store.write([samples({name(): dict.fromkeys(times, float(batch))}) for batch in range(5)])
    assert everything(store).samples["value"].to_list() == [4.0] * len(times)


@pytest.mark.parametrize(
    ("written", "united"),
    [
        ([(0, 3), (4, 7)], [(0, 7)]),
        ([(4, 7), (0, 3)], [(0, 7)]),
        ([(0, 3), (5, 7)], [(0, 3), (5, 7)]),
        ([(0, 3), (5, 7), (4, 4)], [(0, 7)]),
        ([(0, 9), (2, 3)], [(0, 9)]),
        ([(2, 3), (0, 9)], [(0, 9)]),
        ([(0, 5), (3, 9), (20, 20)], [(0, 9), (20, 20)]),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_coverage_is_united(
    store: SampleStore, written: list[tuple[int, int]], united: list[tuple[int, int]], at_once: bool
) -> None:
    batches = [samples({}, [("prom", "catalyst", "cpu", START + a * STEP, START + b * STEP)]) for a, b in written]
    if at_once:
        store.write(batches)
        store.write(batches[:1])
    else:
        for batch in batches:
            store.write([batch])
    found = [((first - START) // STEP, (last - START) // STEP) for *_, first, last in everything(store).coverage.rows()]
    assert found == united


@pytest.mark.parametrize(
    "wrong",
    [
        samples({name(): {START: 1.0, START + STEP: 1.0}}, [("prom", "catalyst", "cpu", START, START)]),
        samples({name(): {START: 1.0}}, [("prom", "catalyst", "memory", START, START)]),
        samples({name(): {START: 1.0}}, [("prom", "", "cpu", START, START)]),
        samples({name(): {START: 1.0}}, []),
        Samples(samples({}).series, samples({name(): {START: 1.0}}).samples, samples({name(): {START: 1.0}}).coverage),
    ],
    ids=["step", "signal", "platform", "none", "no series"],
)
def test_a_sample_that_nothing_covers_is_refused_with_its_batch(store: SampleStore, wrong: Samples) -> None:
    with pytest.raises(ValueError, match="coverage"):
        store.write([tick(0), wrong])
    assert everything(store).samples.height == 0
    store.write([tick(0)])
    assert digest(everything(store)) == digest(tick(0))


names = st.builds(
    name,
    st.sampled_from(["cpu", "memory"]),
    source=st.sampled_from(["prom", "kafka"]),
    platform=st.sampled_from(["", "catalyst"]),
    host=st.sampled_from(["a", "b", "'"]),
)


@st.composite
def batches(draw: st.DrawFn) -> Samples:
    first = draw(st.integers(0, 8))
    last = draw(st.integers(first, 9))
    steps = st.integers(first, last).map(lambda step: START + step * STEP)
    values = draw(st.dictionaries(names, st.dictionaries(steps, st.none() | st.floats(allow_nan=False))))
    also = draw(st.lists(names, max_size=2))
    covered = {(*key[:3], START + first * STEP, START + last * STEP) for key in [*values, *also]}
    return samples(values, sorted(covered), first_sid=draw(st.integers(0, 3)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(st.lists(batches(), max_size=3), max_size=5), compact=st.booleans())
def test_the_store_behaves_like_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[Samples]], compact: bool
) -> None:
    store = SampleStore(tmp_path_factory.mktemp("store") / "telemetry.duckdb", wal_limit=0 if compact else 10**9)
    held: dict[tuple[object, int], float | None] = {}
    covered: set[tuple[str, str, str, int]] = set()
    for write in writes:
        store.write(write)
        fresh = {
            (*row[:3], step)
            for batch in write
            for row in batch.coverage.rows()
            for step in range(row[3], row[4] + 1, STEP)
        }
        held = {(key, ts): value for (key, ts), value in held.items() if (*key[:3], ts) not in fresh}
        covered |= fresh
        for batch in write:
            held.update({(key, ts): value for key, points in contents(batch).items() for ts, value in points.items()})
    read = everything(store)
    assert {(key, ts): value for key, points in contents(read).items() for ts, value in points.items()} == held
    steps = [(*row[:3], step) for row in read.coverage.rows() for step in range(row[3], row[4] + 1, STEP)]
    assert len(steps) == len(set(steps))
    assert set(steps) == covered


# the file


def open_files() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_is_open_after_a_call_even_a_failed_one(store: SampleStore) -> None:
    store.write([tick(0)])
    everything(store)
    with pytest.raises(ValueError, match="coverage"):
        store.write([samples({name(): {START: 1.0}}, [])])
    assert [path for path in open_files() if "telemetry.duckdb" in path] == []


def test_a_write_never_touches_the_header_of_the_file(store: SampleStore) -> None:
    store.write([tick(0)])
    before = store.file.path.read_bytes()[:12_288]
    inode = store.file.path.stat().st_ino
    for number in range(1, 6):
        store.write([tick(number)])
        everything(store)
    assert store.file.path.read_bytes()[:12_288] == before
    assert store.file.path.stat().st_ino == inode


def test_the_log_is_bounded_by_compaction(tmp_path: Path) -> None:
    store = SampleStore(tmp_path / "telemetry.duckdb", wal_limit=100_000)
    largest = 0
    for number in range(30):
        store.write([tick(number, series=200)])
        largest = max(largest, store.file.sizes()[1])
    assert 0 < largest <= 100_000
    assert everything(store).samples.height == 30 * 200 * 4
    assert sorted(path.name for path in tmp_path.iterdir()) in (
        ["telemetry.duckdb", "telemetry.duckdb.lock"],
        ["telemetry.duckdb", "telemetry.duckdb.lock", "telemetry.duckdb.wal"],
    )


def test_a_directory_that_can_not_be_used_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="Check that the directory"):
        SampleStore(tmp_path / "file" / "telemetry.duckdb").write([tick(0)])


def test_a_directory_in_place_of_the_file_is_not_set_aside(store: SampleStore, aside: list[tuple[Path, str]]) -> None:
    store.file.path.mkdir()
    with pytest.raises(StoreError):
        store.write([tick(0)])
    assert store.file.path.is_dir()
    assert aside == []


# somebody else has it open


HOLD = "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); print(1, flush=True); sys.stdin.read()"


def start(code: str, path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_file_that_another_process_reads_is_busy_and_not_broken(
    tmp_path: Path, aside: list[tuple[Path, str]]
) -> None:
    path = tmp_path / "telemetry.duckdb"
    SampleStore(path).write([tick(0)])
    holder = start(HOLD, path)
    try:
        store = SampleStore(
            path, on_set_aside=lambda file, error: aside.append((file, error)), wait=timedelta(seconds=0.3)
        )
        with pytest.raises(StoreBusy, match=rf"process {holder.pid} .*Wait for it") as caught:
            store.write([tick(1)])
        assert str(path) in str(caught.value)
        assert everything(store).samples.height == tick(0).samples.height
    finally:
        holder.communicate("")
    store.write([tick(1)])
    assert everything(store).samples.height == 2 * tick(0).samples.height
    assert aside == []


def test_a_writer_waits_until_the_reader_is_done(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    store = SampleStore(path, wait=timedelta(seconds=30))
    store.write([tick(0)])
    code = HOLD.replace("sys.stdin.read()", "import time; time.sleep(0.5)")
    holder = start(code, path)
    store.write([tick(1)])
    assert holder.wait(10) == 0
    assert everything(store).samples.height == 2 * tick(0).samples.height


def test_the_lock_of_another_user_is_waited_for_and_its_process_named(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    store = SampleStore(path, wait=timedelta(seconds=0.2))
    store.write([tick(0)])
    code = (
        "import sys; from pathlib import Path; from datetime import timedelta\n"
        "from controlplane.telemetry.duckfile import TelemetryFile\n"
        "file = TelemetryFile(Path(sys.argv[1]), wait=timedelta(seconds=5))\n"
        "file.guarded(lambda: (print(1, flush=True), sys.stdin.read()))"
    )
    holder = start(code, path)
    try:
        with pytest.raises(StoreBusy, match=f"process {holder.pid} "):
            store.read(0, 1)
    finally:
        holder.communicate("")
    eventually(lambda: everything(store).samples.height, "the lock is free again")


# broken files


def test_damage_that_is_no_duckdb_file(store: SampleStore, tmp_path: Path, aside: list[tuple[Path, str]]) -> None:
    store.file.path.write_bytes(b"not a database" * 1_000)
    os.utime(store.file.path, (1_790_000_000, 1_790_000_000))
    store.write([tick(0)])
    assert digest(everything(store)) == digest(tick(0))
    assert [path.name for path, _ in aside] == ["telemetry.duckdb.broken-20260921T141320Z"]
    assert "not a valid DuckDB database file" in aside[0][1]
    assert aside[0][0].read_bytes() == b"not a database" * 1_000


def test_the_log_goes_along_and_names_never_collide(store: SampleStore, aside: list[tuple[Path, str]]) -> None:
    for number in range(3):
        store.write([tick(number)])
        wal = Path(f"{store.file.path}.wal")
        log = wal.read_bytes()
        store.file.path.write_bytes(b"x" * 20_000)
        for file in (store.file.path, wal):
            os.utime(file, (1_790_000_000, 1_790_000_000))
        assert everything(store).samples.height == 0
        assert aside[number][0].read_bytes() == b"x" * 20_000
        assert Path(f"{aside[number][0]}.wal").read_bytes() == log
    assert len({path for path, _ in aside}) == 3


@pytest.mark.parametrize("kind", ["empty", "foreign", "other version", "log without its file"])
def test_other_files_that_are_none_of_ours(store: SampleStore, aside: list[tuple[Path, str]], kind: str) -> None:
    path = store.file.path
    expected = {"empty": "is empty", "foreign": "without telemetry tables", "other version": "version"}
    if kind == "empty":
        path.touch()
    elif kind == "foreign":
        duckdb.connect(str(path)).close()
    elif kind == "other version":
        store.write([tick(0)])
        with duckdb.connect(str(path)) as connection:
            connection.execute("UPDATE meta SET version = 99")
    else:
        Path(f"{path}.wal").write_bytes(b"left over")
    store.write([tick(1)])
    assert digest(everything(store)) == digest(tick(1))
    assert len(aside) == 1
    assert expected.get(kind, "lost its file") in aside[0][1]
    assert aside[0][0].exists()


def test_the_callback_may_use_the_store(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    path.write_bytes(b"x" * 5_000)
    heights = []
    store = SampleStore(path, on_set_aside=lambda *_: heights.append(everything(store).samples.height))
    store.write([tick(0)])
    assert heights == [tick(0).samples.height]
