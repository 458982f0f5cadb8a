"""The verdict of /healthz at its boundaries, freshness of sources, and the verdict on the hash chain."""

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.eventlog.errors import StoreUnavailable
from controlplane.eventlog.log import EventLog
from controlplane.model.time import to_ms
from controlplane.model.views import SourceHealth
from controlplane.monitor import chain, vitals
from controlplane.monitor.freshness import stale
from controlplane.monitor.health import health
from controlplane.settings import Serve, Settings, host_and_port
from tests.drafts import START, draft, tick
from tests.unit.test_monitor_metrics import asked, serving

SECOND = timedelta(seconds=1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one tick, at START."""
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as log:
        log.append([draft(tick())], recorded_at=START)
    (tmp_path / "telemetry.duckdb").write_bytes(b"12345678DUCK")
    return tmp_path


@pytest.mark.parametrize(
    ("age", "late_steps", "reason"),
    [
        (0 * SECOND, 20, None),
        (299.999 * SECOND, 20, None),
        (300 * SECOND, 20, "the last tick was 5m ago"),
        (14.999 * SECOND, 1, None),
        (15 * SECOND, 1, "the last tick was 15s ago"),
        (-5 * SECOND, 20, None),
        (-5.001 * SECOND, 20, "the last tick lies 5s in the future"),
    ],
)
def test_the_age_of_the_last_tick(home: Path, age: timedelta, late_steps: int, reason: str | None) -> None:
    configured = Settings(home=home, serve=Serve(late_steps=late_steps))
    with serving(configured, now=START + age) as address:
        status, kind, text = asked(address, "/healthz")
    found = json.loads(text)
    assert kind == "application/json"
    assert (status, found["ok"]) == ((200, True) if reason is None else (503, False))
    assert found["reasons"] == ([] if reason is None else [reason])
    assert found["last_tick"] == "2026-03-01T18:00:00Z"
    assert found["age_seconds"] == pytest.approx(age.total_seconds())


def test_before_the_first_tick(tmp_path: Path) -> None:
    with serving(Settings(home=tmp_path)) as address:
        status, _, text = asked(address, "/healthz")
    assert status == 503
    assert json.loads(text)["reasons"] == ["there has been no tick yet"]


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"12345678DUCK and more", None),
        (b"12345678DUC", "telemetry: telemetry.duckdb isn't a telemetry file"),
        (b"", "telemetry: telemetry.duckdb isn't a telemetry file"),
        (None, "telemetry: telemetry.duckdb is gone"),
    ],
)
def test_the_telemetry_file(home: Path, contents: bytes | None, reason: str | None) -> None:
    path = home / "telemetry.duckdb"
    if contents is None:
        path.unlink()
    else:
        path.write_bytes(contents)
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        assert health(Settings(home=home), log, START).reasons == (() if reason is None else (reason,))


def test_a_store_that_gives_no_answer(home: Path) -> None:
    found = health(Settings(home=home), StoreUnavailable("no such server"), START)
    assert (found.ok, found.reasons) == (False, ("event log: no such server",))
    (home / "events.db").write_bytes(b"no database" * 1000)
    with serving(Settings(home=home)) as address:
        status, _, text = asked(address, "/healthz")
    assert status == 503
    assert "isn't an event store" in text


@pytest.mark.parametrize(
    ("through", "after", "says"),
    [
        (START, 300 * SECOND, None),
        (START, 300.001 * SECOND, "its newest step is 5m old"),
        (None, 0 * SECOND, "has never answered"),
    ],
)
def test_freshness(through: Any, after: timedelta, says: str | None) -> None:
    row = SourceHealth(source="p", through_ms=through and to_ms(through), last_event_at=START)
    late = stale(["p", "q"], {"p": row}, START + after, 15 * SECOND)
    assert late == {"q": "has never answered"} | ({} if says is None else {"p": says})


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65_535)),
        ("localhost:10633", ("localhost", 10_633)),
        ("127.0.0.1:0", None),
        ("127.0.0.1:65536", None),
        ("127.0.0.1", None),
        (":10633", None),
        ("::1:10633", None),
        ("x:+5", None),
        ("", None),
    ],
)
def test_addresses(address: str, parts: tuple[str, int] | None) -> None:
    if parts is None:
        with pytest.raises(ValueError, match="host:port"):
            host_and_port(address)
    else:
        assert host_and_port(address) == parts


# the hash chain


def test_what_is_new_is_verified_and_noted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        first = chain.follow(home, log, START)
        assert (first.ok, first.position, first.whole_at) == (True, 1, None)
        log.append([draft(tick(steps=n)) for n in range(9)], recorded_at=START)
        links = []
        verify = log.verify
        monkeypatch.setattr(log, "verify", lambda **given: links.append(given["newest"]) or verify(**given))
        second = chain.follow(home, log, START + SECOND)
        assert (second.ok, second.position, links) == (True, 10, [9])
        assert chain.follow(home, log, START + SECOND).ok
        assert links == [9, 1], "at least the newest link"
    assert vitals.read(home, vitals.ChainVitals) == second


def tampered(home: Path, *statements: str) -> None:
    connection = sqlite3.connect(home / "events.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["UPDATE events SET payload = '{}' WHERE position = 5"], "position 5"),
        (["DELETE FROM events WHERE position = 5"], "position 5 is missing"),
        (
            [
                "DELETE FROM events WHERE position > 2",
                "UPDATE log_head SET position = 2, hash = (SELECT hash FROM events WHERE position = 2)",
            ],
            "ends at 2, but 3 events were verified before",
        ),
        (["UPDATE events SET hash = 'x' WHERE position = 3"], "replaced after it was verified"),
    ],
)
def test_a_broken_chain_stays_broken_until_all_of_it_holds(home: Path, statements: list[str], says: str) -> None:
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        log.append([draft(tick(steps=n)) for n in range(2)], recorded_at=START)
        assert chain.follow(home, log, START).ok
        log.append([draft(tick(steps=n)) for n in range(5)], recorded_at=START)
    kept = (home / "events.db").read_bytes()
    tampered(home, *statements)
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        broken = chain.follow(home, log, START)
        assert not broken.ok
        assert says in broken.problem
        assert chain.follow(home, log, START + SECOND) == broken
        assert not chain.note_whole(home, log, log.verify(), START).ok or "ends at" in says
    for left in home.glob("events.db-*"):
        left.unlink()
    (home / "events.db").write_bytes(kept)
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        whole = chain.note_whole(home, log, log.verify(), START + SECOND)
        assert (whole.ok, whole.whole_at, whole.position) == (True, START + SECOND, 8)
        assert chain.follow(home, log, START + 2 * SECOND).ok


def test_notes_that_cannot_be_read_are_made_anew(home: Path) -> None:
    (home / "vitals").mkdir()
    (home / "vitals" / "chain.json").write_text('{"ok": tru')
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        assert chain.follow(home, log, START).ok
    assert [path.name for path in (home / "vitals").iterdir()] == ["chain.json"]
