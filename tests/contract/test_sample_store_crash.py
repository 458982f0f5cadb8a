"""The sample store under kill -9, damage on disk, and two processes at once."""

import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.frames import digest
from controlplane.telemetry import duckfile, maintenance
from controlplane.telemetry.store import SampleStore
from tests.contract import sample_writer
from tests.contract.forked import Forked
from tests.contract.sample_writer import STEPS, TICK
from tests.telemetry_frames import START, STEP, tick, value_at

KILLS, MOST_KILLS = 44, 400
SERIES = 400
ROOT = Path(__file__).parents[2]

Aside = list[tuple[Path, str]]


def start_writer(path: Path, first: int, rounds: int = 1_000) -> Forked:
    return Forked(sample_writer.main, path, first, SERIES, rounds)


def opened(path: Path, aside: Aside) -> SampleStore:
    return SampleStore(path, on_set_aside=lambda file, error: aside.append((file, error)))


def assert_whole(store: SampleStore, ticks: int) -> None:
    """Ticks 0 … `ticks` - 1 are there, complete and right, and nothing else."""
    found = store.query(
        f"""SELECT (ts - {START} - {STEP}) // {TICK} AS tick, count(*) AS rows,
                   count(*) FILTER (value <> substr(labels ->> 'host', 2)::DOUBLE * 1000 + ts // {STEP} % 997) AS wrong
            FROM v_samples GROUP BY tick ORDER BY tick""",
        1_000_000,
    )
    assert found["tick"].to_list() == list(range(ticks))
    assert found["rows"].to_list() == [SERIES * STEPS] * ticks
    assert found["wrong"].sum() == 0
    coverage = store.query("SELECT first, last FROM coverage").rows()
    assert coverage == [(START + STEP, START + ticks * TICK)] * 5


def test_kill_at_any_moment_leaves_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    chance = random.Random(20_260_921)
    aside: Aside = []
    done = 0
    leftovers: set[str] = set()
    killed = 0
    # On a busy machine it takes more kills until one hits each part of the writing.
    while killed < KILLS or (killed < MOST_KILLS and not leftovers >= {".wal", ".compacting"}):
        killed += 1
        writer = start_writer(path, done)
        time.sleep(chance.uniform(0.0, 0.35))
        told = writer.kill()
        acknowledged = int(told[-1]) + 1 if told else done
        leftovers |= {file.name.removeprefix(path.name) for file in tmp_path.iterdir()}
        store = opened(path, aside)
        stored = (store.read(START, 2**60).samples["ts"].max() or START) - START
        assert stored % TICK == 0, "half a batch"
        done = stored // TICK
        assert acknowledged <= done <= acknowledged + 1
        store.write([tick(done, SERIES, STEPS)])
        done += 1
        assert_whole(store, done)
    assert aside == []
    assert {".wal", ".compacting"} <= leftovers, "no kill hit a write or a compaction"
    assert done > KILLS
    maintenance.compact(opened(path, aside).file)
    assert_whole(opened(path, aside), done)
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.lock"]


class Killed(BaseException):
    """Stands for the end of the process."""


def file_calls(monkeypatch: pytest.MonkeyPatch, fatal: int) -> list[str]:
    """Let the `fatal`-th call that changes a name or syncs end the process; returns the calls that were made."""
    calls: list[str] = []

    def deadly(what: str, call: Callable[..., object]) -> Callable[..., object]:
        def made(*arguments: object, **named: object) -> object:
            if len(calls) == fatal:
                raise Killed(what)
            calls.append(what)
            return call(*arguments, **named)

        return made

    monkeypatch.setattr(duckfile, "_sync", deadly("sync", duckfile._sync))
    for operation in ("rename", "replace", "unlink"):
        monkeypatch.setattr(Path, operation, deadly(operation, getattr(Path, operation)))
    return calls


@pytest.mark.parametrize("what", ["compaction", "creation", "setting aside"])
def test_death_between_any_two_changes_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    fatal, survived = 0, False
    while not survived:
        folder = tmp_path / str(fatal)
        survived = dies(folder, monkeypatch, what, fatal)
        fatal += 1
    assert fatal > {"compaction": 8, "creation": 6, "setting aside": 9}[what]


def dies(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str, fatal: int) -> bool:
    """Let a store die at its `fatal`-th change and check what the next one finds; whether it lived to the end."""
    path = folder / "telemetry.duckdb"
    aside: Aside = []
    if what != "creation":
        opened(path, aside).write([tick(0, SERIES, STEPS)])
        opened(path, aside).write([tick(1, SERIES, STEPS)])
    if what == "setting aside":
        path.write_bytes(b"x" * 20_000)
    survived = True
    with monkeypatch.context() as patch:
        file_calls(patch, fatal)
        store = opened(path, aside)
        try:
            if what == "compaction":
                maintenance.compact(store.file)
            else:
                store.write([tick(0, SERIES, STEPS)])
        except Killed:
            survived = False
    store = opened(path, aside)
    if what == "compaction":
        assert_whole(store, 2)
    else:
        store.write([tick(0, SERIES, STEPS)])
        assert_whole(store, 1)
    broken = [file for file in folder.iterdir() if ".broken-" in file.name]
    if what == "setting aside":
        assert {file.name.endswith(".wal") for file in broken} == {True, False}
        assert any(file.read_bytes() == b"x" * 20_000 for file in broken)
    else:
        assert broken == []
        assert aside == []
    return survived


def damages() -> dict[str, tuple[str, Callable[[bytearray], bytearray]]]:
    """Ways to damage the file or its log."""

    def flipped(places: list[int]) -> Callable[[bytearray], bytearray]:
        def flip(data: bytearray) -> bytearray:
            for place in places:
                data[place % len(data)] ^= 0xFF
            return data

        return flip

    def cut(part: float) -> Callable[[bytearray], bytearray]:
        return lambda data: data[: int(len(data) * part)]

    chance = random.Random(7)
    found: dict[str, tuple[str, Callable[[bytearray], bytearray]]] = {}
    for part in (0.0, 0.001, 0.3, 0.9):
        found[f"file cut to {part}"] = ("", cut(part))
        found[f"log cut to {part}"] = (".wal", cut(part))
    for place in (0, 8, 12, 100, 4_096, 4_104, 8_192, 8_200):
        found[f"header byte {place}"] = ("", flipped([place]))
    for number in range(6):
        found[f"blocks {number}"] = ("", flipped([12_288 + chance.randrange(10**9) for _ in range(200)]))
        found[f"log {number}"] = (".wal", flipped([chance.randrange(10**9) for _ in range(3)]))
    found["log of zeros"] = (".wal", lambda data: bytearray(len(data)))
    found["log of noise"] = (".wal", lambda data: bytearray(random.Random(1).randbytes(len(data))))
    return found


@pytest.mark.parametrize("damage", damages())
def test_damage_is_set_aside_and_the_caller_goes_on(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "telemetry.duckdb"
    aside: Aside = []
    store = opened(path, aside)
    for number in range(3):
        store.write([tick(number, SERIES, STEPS)])
    maintenance.compact(store.file)
    for number in range(3, 6):
        store.write([tick(number, SERIES, STEPS)])
    suffix, harm = damages()[damage]
    target = Path(f"{path}{suffix}")
    harmed = harm(bytearray(target.read_bytes()))
    target.write_bytes(harmed)

    store = opened(path, aside)
    read = store.read(START, 2**60)
    store.write([tick(6, SERIES, STEPS)])
    maintenance.compact(store.file)
    store.write([tick(7, SERIES, STEPS)])
    after = store.read(START + 6 * TICK, 2**60)
    assert after.samples.height == 2 * SERIES * STEPS
    assert len(aside) <= 1
    # What is still read is whole and says how far it goes; what was set aside is there, byte for byte.
    assert read.samples.height % (SERIES * STEPS) == 0
    assert all(value == value_at(int(host), ts) for host, ts, value in hosts(store))
    if aside:
        assert Path(f"{aside[0][0]}{suffix}").read_bytes() == harmed
        assert after.coverage["first"].to_list() == [START + 6 * TICK + STEP] * 5
        assert read.samples.height in (0, 6 * SERIES * STEPS)
    elif suffix == "":
        assert read.samples.height == 6 * SERIES * STEPS
    covered = (read.coverage["last"].max() or START) - START
    assert read.samples.height == covered // TICK * SERIES * STEPS


def hosts(store: SampleStore) -> list[tuple[str, int, float]]:
    return store.query("SELECT substr(labels ->> 'host', 2), ts, value FROM v_samples", 10**6).rows()


FILL = """
import resource, signal, sys
from pathlib import Path
from controlplane.telemetry.duckfile import StoreError
from controlplane.telemetry.store import SampleStore
from tests.telemetry_frames import tick
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
store = SampleStore(Path(sys.argv[1]))
for number in range(50):
    try:
        store.write([tick(number, 400, 4)])
    except StoreError as error:
        sys.exit(f"{number} {error}")
"""


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    failed = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert "Check free disk space" in failed.stderr
    aside: Aside = []
    store = opened(path, aside)
    done = int(failed.stderr.split()[0])
    assert done > 0
    assert_whole(store, done)
    store.write([tick(done, SERIES, STEPS)])
    assert_whole(store, done + 1)
    assert aside == []


def test_queries_and_reads_wait_for_a_writing_process(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    aside: Aside = []
    store = opened(path, aside)
    store.write([tick(0, SERIES, STEPS)])
    rounds = 40
    writer = start_writer(path, 1, rounds)
    seen = []
    while not writer.ended(0):
        rows = int(store.query("SELECT count(*) AS n FROM samples")["n"][0])
        assert rows % (SERIES * STEPS) == 0
        seen.append(rows)
        assert store.read(START, 2**60).samples.height >= rows
    assert writer.rest()[-1] == str(rounds)
    assert writer.process.exitcode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "they never met"
    assert_whole(store, rounds + 1)
    assert aside == []


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.duckdb"
    aside: Aside = []
    shared = opened(path, aside)
    errors: list[BaseException] = []

    def work(store: SampleStore, numbers: range) -> None:
        try:
            for number in numbers:
                store.write([tick(number, SERIES, STEPS)])
                store.query("SELECT count(*) FROM samples")
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(store, range(first, 24, 3)))
        for first, store in enumerate([shared, shared, opened(path, aside)])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert aside == []
    assert_whole(shared, 24)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_the_lock_of_duckdb_is_held_while_the_file_is_open(tmp_path: Path) -> None:
    """Nothing in this process may open and close the file meanwhile: the system would drop the lock with it."""
    path = tmp_path / "telemetry.duckdb"
    store = opened(path, [])
    store.write([tick(0, SERIES, STEPS)])
    probe = f"import duckdb; duckdb.connect({str(path)!r})"

    def probed(_: object) -> str:
        store.file.sizes()
        return subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False).stderr

    assert re.search(rf"Conflicting lock is held in .*PID {os.getpid()}", store.file.run(probed))
    assert digest(store.read(START, 2**60)) == digest(tick(0, SERIES, STEPS))
