"""`controlplane tui`: the on-call terminal, of the present or of the past."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import actor, config_option
from controlplane.cli.stores import event_log, settings_of
from controlplane.glance import Glance, glance

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog
    from controlplane.operator import Operator
    from controlplane.settings import Settings
    from tui.data.rulebook import Rules
    from tui.data.seek import Seek

_PAGE_OF = "CONTROLPLANE_PAGE_OF"
"""Set for the process of a page in a browser: the id of the server that started it."""
_DEMO_IN = "CONTROLPLANE_DEMO_IN"
"""Set for the process of a page of the demo: the folder in which its server has replayed the evening."""
_SQLITE = b"SQLite format 3\0"


@click.command()
@click.option("--read-only", is_flag=True, help="Look, don't touch.")
@click.option("--as-of", metavar="TIME", help="Open in the past: 20:14, -2h, 2026-03-12T20:14Z or a position.")
@click.option("--demo", is_flag=True, help="Look at a recorded evening; nothing of yours is read or written.")
@click.option("--backtest", type=click.Path(path_type=Path), metavar="FILE", help="Look at what `backtest --log` kept.")
@click.option("--serve", "served", is_flag=True, help="Show it in a browser on this machine, read-only.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="With --serve: the port; 0 takes a free one [default: 8765]."
)
@config_option
def tui(
    *,
    read_only: bool,
    as_of: str | None,
    demo: bool,
    backtest: Path | None,
    served: bool,
    port: int | None,
    config: Path | None,
) -> None:
    """The on-call terminal. It reads the event store alone, so it never disturbs a tick."""
    if demo and (backtest is not None or config is not None):
        raise click.UsageError("--demo has data and settings of its own; leave --backtest and --config out")
    if backtest is not None and config is not None:
        raise click.UsageError("--backtest needs no settings; leave --config out")
    if port is not None and not served:
        raise click.UsageError("--port belongs to --serve")
    if (server := os.environ.get(_PAGE_OF, "")).isdigit():
        from tui.serve import follow

        follow(int(server))
    start = _seek(as_of)
    with ExitStack() as opened:
        if served and demo:
            _, settings, _ = opened.enter_context(_evening())
            os.environ[_DEMO_IN] = str(settings.home)
            _serve(port, "--demo", as_of=as_of)
        elif served:
            with _recorded(backtest) if backtest else event_log(config):
                pass  # it can be opened; each page has a process of its own
            _serve(port, as_of=as_of, backtest=backtest, config=config)
        elif demo:
            log, settings, interesting = opened.enter_context(_evening())
            open_terminal(log, settings, read_only=read_only, as_of=_end(), start=start or interesting)
        elif backtest is not None:
            from controlplane.settings import Settings

            log = opened.enter_context(_recorded(backtest))
            settings = Settings(environment=backtest.stem)
            open_terminal(log, settings, start=start or _interesting(log), closed="BACKTEST")
        else:
            own = opened.enter_context(closing(_Own(config)))
            # What can't be told at a glance is told before the terminal opens, by all of the settings.
            look = glance(config) or _look(own.settings())
            _open(own.log, own.settings, look, read_only=read_only, start=start)


def open_terminal(
    log: "EventLog",
    settings: "Settings",
    *,
    read_only: bool = False,
    as_of: datetime | None = None,
    start: "Seek | None" = None,
    closed: str = "",
) -> None:
    """Run the terminal on a log until it is left; `as_of` freezes its clock, as for a recording.

    `start` is where in the past it opens, `closed` names a log that doesn't grow, such as `BACKTEST`.
    """
    look = _look(settings)
    _open(lambda: log, lambda: settings, look, read_only=read_only, as_of=as_of, start=start, closed=closed)


def _open(
    log: "Callable[[], EventLog]",
    settings: "Callable[[], Settings]",
    look: Glance,
    *,
    read_only: bool = False,
    as_of: datetime | None = None,
    start: "Seek | None" = None,
    closed: str = "",
) -> None:
    """`log` and `settings` are called once something is painted, `look` is what that shows."""
    from tui.garbage import put_off

    def operator() -> "Operator":
        from controlplane.operator import Operator

        return Operator(log())

    def rules() -> "Rules":
        from controlplane import bootstrap
        from tui.data.rulebook import rule_facts

        return rule_facts(bootstrap.load_rule_set(settings()).rules.rules)

    with put_off():
        from tui.start import run

        run(
            log,
            operator,
            environment=look.environment,
            read_only=read_only,
            actor=actor(),
            as_of=as_of,
            rules=rules,
            palette=look.theme,
            keys=look.keys,
            start=start,
            closed=closed,
            check=settings,
        )


def _look(settings: "Settings") -> Glance:
    return Glance(settings.environment, settings.tui.theme, settings.tui.keys)


def _seek(text: str | None) -> "Seek | None":
    """Where to open; None = where the terminal opens by itself."""
    if text is None:
        return None
    from tui.data import utc_now
    from tui.data.seek import BadSeek, Seek, parse_seek

    now = utc_now()
    try:
        found = parse_seek(text, now, now)
    except BadSeek as error:
        raise click.BadParameter(str(error), param_hint="--as-of") from None
    if found.at is not None and found.at > now:
        raise click.BadParameter(f"{found.at:%Y-%m-%d %H:%M:%S}Z has not come yet", param_hint="--as-of")
    return None if found == Seek() else found


class _Own:
    """The settings and the event log that they name, read when first asked for: the first picture waits for neither."""

    def __init__(self, config: Path | None) -> None:
        self._config = config
        self._lock = threading.RLock()  # it is polled and acted on by several threads
        self._settings: Settings | None = None
        self._log: EventLog | None = None

    def settings(self) -> "Settings":
        """NoSettings, InvalidInput or MissingSecret where the log can't even be named."""
        with self._lock:
            if self._settings is None:
                from controlplane import bootstrap

                found = settings_of(self._config)
                bootstrap.events_url(found)
                self._settings = found
            return self._settings

    def log(self) -> "EventLog":
        with self._lock:
            if self._log is None:
                from controlplane import bootstrap

                self._log = bootstrap.open_log(self.settings())
            return self._log

    def close(self) -> None:
        if self._log is not None:
            self._log.close()


@contextmanager
def _recorded(path: Path) -> "Iterator[EventLog]":
    """The event log that a backtest kept."""
    from controlplane.eventlog.log import EventLog

    try:
        with path.open("rb") as file:
            begin = file.read(len(_SQLITE))
    except OSError as error:
        raise click.UsageError(f"--backtest {path}: {error.strerror}") from None
    if begin != _SQLITE or not _has_events(path.absolute()):
        said = "it is no event log; run the backtest again with --log FILE and open that file"
        raise click.UsageError(f"--backtest {path}: {said}")
    with EventLog.open(f"sqlite:///{path.absolute()}") as log:
        yield log


def _has_events(path: Path) -> bool:
    """Whether an SQLite file holds events; opening another one as a log would write tables into it."""
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
            found = file.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'events'")
            return found.fetchone() is not None
    except sqlite3.Error:
        return False


def _interesting(log: "EventLog") -> "Seek":
    """Where the most begins to fire; the first event where nothing does."""
    from tui.data.interest import most_interesting
    from tui.data.seek import Seek

    return Seek(position=most_interesting(log) or 0)


@contextmanager
def _evening() -> "Iterator[tuple[EventLog, Any, Seek]]":
    """The recorded evening in a folder that goes with it; for a page, as its server has replayed it."""
    import signal
    from tempfile import TemporaryDirectory

    from controlplane import bootstrap
    from controlplane import demo as evening
    from controlplane.cli.demo import replaying
    from controlplane.rules.files import shipped_platforms

    if _PAGE_OF in os.environ and (replayed := os.environ.get(_DEMO_IN)):
        settings = evening.settings(Path(replayed), shipped_platforms())
        with bootstrap.open_log(settings) as log:
            yield log, settings, _interesting(log)
        return
    # A hang-up is the end of the window that it was opened in.
    before = {name: signal.signal(name, _ended) for name in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with TemporaryDirectory(prefix="controlplane-demo-") as folder:
            settings = evening.settings(Path(folder), shipped_platforms())
            plane = bootstrap.control_plane(settings)
            with plane.log as log:
                with replaying() as told:
                    evening.replay(plane, told)
                yield log, settings, _interesting(log)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _ended(*_: object) -> None:
    raise KeyboardInterrupt  # ends as Ctrl-C does, so that what is open is closed


def _end() -> datetime:
    from controlplane import demo as evening

    return evening.END


def _serve(port: int | None, *flags: str, **values: str | Path | None) -> None:
    """Serve pages that run `controlplane tui --read-only` with these flags and options."""
    from controlplane.cli.output import tell
    from tui.serve import DEFAULT_PORT, serve

    command = [sys.executable, "-m", "controlplane", "tui", "--read-only", *flags]
    for name, value in values.items():
        command += [] if value is None else [f"--{name.replace('_', '-')}={value}"]
    os.environ[_PAGE_OF] = str(os.getpid())
    serve(command, DEFAULT_PORT if port is None else port, lambda said: tell(said, err=True))
