"""`controlplane tui`: where it opens, on which log, and what makes no sense."""

import contextlib
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tui.serve
import tui.start
from controlplane import demo
from controlplane.eventlog.log import EventLog
from controlplane.tick import ControlPlane
from tests.cli.conftest import Run
from tests.tui import sample
from tests.tui.past import ends, short_past
from tui.data.seek import Seek

Opened = dict[str, Any]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Opened]:
    """What the terminal was opened with, in place of opening it."""
    found: list[Opened] = []

    def run(given: EventLog | Callable[[], EventLog], _actions: object, **options: Any) -> int:
        log = given() if callable(given) else given
        found.append({"head": log.head(), "file": log._database.name, **options})
        return 0

    monkeypatch.setattr(tui.start, "run", run)
    return found


@pytest.fixture
def kept(here: Path) -> Path:
    """A log as `backtest --log` keeps one."""
    with sample.open_log(here) as log:
        sample.append(log, short_past())
    return (here / "events.db").rename(here / "kept.db")


def test_it_opens_on_the_own_store_in_the_present(home: Path, run: Run, opened: list[Opened]) -> None:
    assert run("tui").code == 0
    (one,) = opened
    assert Path(one["file"]).is_relative_to(home)
    assert (one["head"], one["start"], one["closed"], one["as_of"], one["read_only"]) == (0, None, "", None, False)


def test_the_first_picture_is_that_of_the_settings(home: Path, run: Run, opened: list[Opened]) -> None:
    said = "environment: prod-eu\ntui: {theme: light, keys: {act.acknowledge: x}}\n"
    (home.parent / "controlplane.yaml").write_text(said, encoding="utf-8")
    assert run("tui").code == 0
    (one,) = opened
    assert (one["environment"], one["palette"], one["keys"]) == ("prod-eu", "light", {"act.acknowledge": "x"})
    one["check"]()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no configuration"),
        ("environment: [", "not valid YAML"),
        ("environment: 7", "controlplane.yaml:1:1 (environment)"),
        ("tui: {theme: blue}", "(tui.theme)"),
        ("tui: {keys: {x: 7}}", "(tui.keys.x)"),
    ],
)
def test_settings_that_say_nothing_of_the_first_picture_open_nothing(
    here: Path, run: Run, opened: list[Opened], text: str, said: str
) -> None:
    if text:
        (here / "controlplane.yaml").write_text(text, encoding="utf-8")
    done = run("tui")
    assert (done.code, done.out, opened) == (2, "", [])
    assert said in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sorces: []", "Did you mean 'sources'?"),
        ("step: 7s", "divides a day"),
        ("events: {env: NO_SUCH_URL}", "NO_SUCH_URL"),
    ],
)
def test_settings_that_are_wrong_elsewhere_end_the_terminal(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (here / "controlplane.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(tui.start, "run", lambda *_, check, **__: check())
    done = run("tui")
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert [path.name for path in here.iterdir()] == ["controlplane.yaml"]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("now", None),
        ("17", Seek(position=17)),
        ("2026-03-12T20:14Z", Seek(at=datetime(2026, 3, 12, 20, 14, tzinfo=UTC))),
    ],
)
def test_as_of_is_where_it_opens(home: Path, run: Run, opened: list[Opened], text: str, start: Seek | None) -> None:
    del home
    assert run("tui", "--read-only", "--as-of", text).code == 0
    (one,) = opened
    assert (one["start"], one["read_only"]) == (start, True)


def test_a_kept_backtest_opens_where_the_most_begins_to_fire(
    here: Path, kept: Path, run: Run, opened: list[Opened]
) -> None:
    assert run("tui", "--backtest", kept).code == 0
    assert run("tui", "--backtest", kept, "--as-of", "3").code == 0
    with EventLog.open(f"sqlite:///{kept}") as log:
        stops = ends(log)
    first, second = opened
    assert (first["closed"], first["environment"], first["head"]) == ("BACKTEST", "kept", stops[-1])
    assert first["start"].position in stops
    assert second["start"] == Seek(position=3)
    assert not (here / ".controlplane").exists()


def test_the_demo_keeps_nothing(home: Path, run: Run, opened: list[Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "replay", lambda plane, _told: sample.append(plane.log, short_past()))
    done = run("tui", "--demo")
    assert (done.code, done.out) == (0, "")
    (one,) = opened
    assert (one["as_of"], one["closed"]) == (demo.END, "")
    assert one["start"].position > 0
    assert not home.exists()
    assert not Path(one["file"]).exists()


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGHUP])
def test_the_demo_keeps_nothing_when_it_is_ended(
    home: Path, run: Run, opened: list[Opened], monkeypatch: pytest.MonkeyPatch, name: signal.Signals
) -> None:
    del home
    folders = []

    def replay(plane: ControlPlane, _told: object) -> None:
        folders.append(Path(plane.log._database.name).parent)
        signal.raise_signal(name)

    monkeypatch.setattr(demo, "replay", replay)
    before = signal.signal(name, signal.SIG_IGN)
    try:
        assert run("tui", "--demo").code == 130
        assert signal.getsignal(name) is signal.SIG_IGN
    finally:
        signal.signal(name, before)
    (folder,) = folders
    assert not folder.exists()
    assert opened == []


def test_the_demo_can_be_looked_at_without_acting(
    home: Path, run: Run, opened: list[Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setattr(demo, "replay", lambda plane, _told: sample.append(plane.log, short_past()))
    assert run("tui", "--demo", "--read-only").code == 0
    assert [one["read_only"] for one in opened] == [True]


@pytest.fixture
def pages(run: Run, opened: list[Opened], monkeypatch: pytest.MonkeyPatch) -> list[Opened]:
    """What two pages of a served terminal were opened with, in place of serving them."""

    def serve(command: Sequence[str], port: int, _tell: object) -> None:
        assert (command[:3], port) == ([sys.executable, "-m", "controlplane"], 0)
        for _ in range(2):
            assert run(*command[3:]).code == 0

    monkeypatch.setattr(tui.serve, "serve", serve)
    monkeypatch.setattr(tui.serve, "follow", lambda _: None)
    for name in ("CONTROLPLANE_PAGE_OF", "CONTROLPLANE_DEMO_IN"):
        monkeypatch.setenv(name, "")  # so that what is set is taken back
    return opened


@pytest.mark.parametrize(("arguments", "start"), [([], None), (["--as-of", "3"], Seek(position=3))])
def test_the_demo_is_replayed_once_for_all_pages(
    home: Path,
    run: Run,
    pages: list[Opened],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    start: Seek | None,
) -> None:
    replays = []

    def replay(plane: ControlPlane, _told: object) -> None:
        replays.append(sample.append(plane.log, short_past()))

    monkeypatch.setattr(demo, "replay", replay)
    assert run("tui", "--serve", "--demo", "--port", "0", *arguments).code == 0
    assert (len(replays), len(pages)) == (1, 2)
    for one in pages:
        assert start is None or one["start"] == start
        assert (one["as_of"], one["read_only"], one["environment"]) == (demo.END, True, "demo")
        assert one["head"] > 0
        assert one["start"].position > 0
        assert not Path(one["file"]).exists()
    assert pages[0]["file"] == pages[1]["file"]
    assert not home.exists()


def test_pages_show_a_kept_backtest(kept: Path, run: Run, pages: list[Opened]) -> None:
    assert run("tui", "--serve", "--port", "0", "--backtest", kept, "--as-of", "3").code == 0
    assert [(one["closed"], one["start"]) for one in pages] == [("BACKTEST", Seek(position=3))] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--as-of", "25:00"], "25:00 is no time and no position; write 20:14"),
        (["--as-of", "\x1b[31m"], "is no time and no position"),
        (["--as-of", "+1h"], "has not come yet"),
        (["--demo", "--backtest", "kept.db"], "--demo has data and settings of its own"),
        (["--demo", "--config", "own.yaml"], "--demo has data and settings of its own"),
        (["--demo", "--serve", "--config", "own.yaml"], "--demo has data and settings of its own"),
        (["--backtest", "kept.db", "--config", "own.yaml"], "--backtest needs no settings"),
        (["--backtest", "none.db"], "none.db: No such file or directory"),
        (["--backtest", "."], ".: Is a directory"),
        (["--backtest", "text.db"], "text.db: it is no event log; run the backtest again with --log FILE"),
        (["--backtest", "empty.db"], "empty.db: it is no event log"),
        (["--port", "80"], "--port belongs to --serve"),
        (["--serve", "--port", "65536"], "65536 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_said_and_opens_nothing(
    here: Path, kept: Path, run: Run, opened: list[Opened], arguments: list[str], said: str
) -> None:
    del kept
    (here / "text.db").write_text("ts,signal\n", encoding="utf-8")
    (here / "empty.db").touch()
    done = run("tui", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in " ".join(done.err.split())
    assert "\x1b" not in done.err
    assert "Traceback" not in done.err
    assert opened == []


def test_a_damaged_log_is_said(here: Path, kept: Path, run: Run, opened: list[Opened]) -> None:
    del here
    good = kept.read_bytes()
    kept.write_bytes(good[:16] + bytes(len(good) - 16))
    done = run("tui", "--backtest", kept)
    assert done.code == 2
    assert "it is no event log" in " ".join(done.err.split())
    assert opened == []


def test_a_file_of_sqlite_that_is_no_event_log_is_left_alone(here: Path, run: Run, opened: list[Opened]) -> None:
    with contextlib.closing(sqlite3.connect(here / "other.db")) as other:
        other.execute("CREATE TABLE mine (x)")
        other.commit()
    before = (here / "other.db").read_bytes()
    done = run("tui", "--backtest", "other.db")
    assert done.code == 2, done
    assert "it is no event log" in " ".join(done.err.split())
    assert (here / "other.db").read_bytes() == before
    assert opened == []
