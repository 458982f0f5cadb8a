"""kill -9 at any moment of a tick: the stores open and verify, nothing is lost and nothing is there twice."""

import random
import time
from pathlib import Path

from controlplane import bootstrap, demo
from controlplane.eventlog.projections import PROJECTIONS
from tests.contract import ticker
from tests.contract.forked import Forked

KILLS = 100
LONGEST_SECONDS = 0.6


def _start(home: Path) -> Forked:
    home.mkdir(exist_ok=True)
    return Forked(ticker.main, home)


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
            ticking = _start(home)
            # A tick takes a fraction of this; the moment is spread over all of its parts.
            if ticking.ended(chance.uniform(0, LONGEST_SECONDS)):
                break
            ticking.kill()
            killed += 1
    started = time.monotonic()
    for ticking in (undisturbed, _start(homes[-1])):
        said = ticking.told(120)
        assert said == "done", f"seed {seed}, after {time.monotonic() - started:.0f} s"
        ticking.rest()
    expected = _outcome(whole)
    for home in homes:
        assert _outcome(home) == expected, f"seed {seed}"
        assert _samples(home) == _samples(whole), f"seed {seed}"
