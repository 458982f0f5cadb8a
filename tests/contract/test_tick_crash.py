"""kill -9 at any moment of a tick: the stores open and verify, nothing is lost and nothing is there twice."""

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import PROJECTIONS
from tests.contract import ticker

KILLS = 100
LONGEST_SECONDS = 0.6
# Each ticker is a process of its own, forked from one that has imported everything and run nothing.
_SERVED = multiprocessing.get_context("forkserver")
_SERVED.set_forkserver_preload(["tests.contract.ticker"])


def _start(home: Path) -> tuple[BaseProcess, Connection]:
    home.mkdir(exist_ok=True)
    told, tell = _SERVED.Pipe(duplex=False)
    process = _SERVED.Process(target=ticker.main, args=(home, tell))
    process.start()
    tell.close()
    return process, told


def _told(told: Connection, seconds: float) -> str | None:
    """What the ticker says next; None where it ended without a word."""
    assert told.poll(seconds), f"nothing within {seconds} s"
    try:
        return str(told.recv())
    except EOFError:
        return None


def _outcome(home: Path) -> tuple[list[tuple[int, str, str]], dict[str, object]]:
    """Every event by position, id and hash, and every row of every projection."""
    log = bootstrap.open_log(demo.settings(home, ticker.PLATFORMS))
    try:
        verification = log.verify()
        assert verification.ok, verification.problem
        events = [(event.position, str(event.id), event.hash) for event in log.read()]
        rows = {projection.name: log.rows(projection) for projection in PROJECTIONS}
        return events, rows
    finally:
        log.close()


def _samples(home: Path) -> object:
    settings = demo.settings(home, ticker.PLATFORMS)
    stored = bootstrap.open_store(settings).read(0, 10**15)
    return stored.samples.join(stored.series, on="sid").drop("sid").sort("source", "signal", "labels", "ts").rows()


def test_killed_ticks_end_where_undisturbed_ones_do(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    undisturbed = _start(whole)
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    killed, rounds, homes = 0, 0, []
    while killed < KILLS:
        home = tmp_path / f"killed-{rounds}"
        rounds += 1
        homes.append(home)
        while killed < KILLS:
            process, told = _start(home)
            assert _told(told, 60) == "ready", f"it doesn't start after a kill (seed {seed})"
            # A tick takes a fraction of this; the moment is spread over all of its parts.
            process.join(chance.uniform(0, LONGEST_SECONDS))
            ended = process.exitcode is not None
            if not ended:
                process.kill()
                process.join()
                killed += 1
            told.close()
            if ended:
                break
    started = time.monotonic()
    for process, told in (undisturbed, _start(homes[-1])):
        said = [_told(told, 120), _told(told, 120)]
        assert said == ["ready", "done"], f"seed {seed}, after {time.monotonic() - started:.0f} s"
        process.join()
    expected = _outcome(whole)
    for home in homes:
        assert _outcome(home) == expected, f"seed {seed}"
        assert _samples(home) == _samples(whole), f"seed {seed}"
