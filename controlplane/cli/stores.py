"""Open the event log for a command, and say so where what it holds is nothing or old."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controlplane.cli.output import console, tell

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog
    from controlplane.operator import Operator
    from controlplane.settings import Settings

_STALE_STEPS = 20


def settings_of(config: Path | None) -> "Settings":
    """The settings of a command that needs the event log.

    NoSettings where nothing says where it is: neither settings, nor CONTROLPLANE_HOME, nor a log in ./.controlplane.
    """
    from controlplane import bootstrap

    settings = bootstrap.load_settings(config)
    named = bootstrap.settings_path(config) is not None or "CONTROLPLANE_HOME" in os.environ
    if not named and not (settings.home / "events.db").exists():
        raise bootstrap.missing_settings(None)
    return settings


@contextmanager
def event_log(config: Path | None) -> Iterator[tuple["EventLog", "Settings"]]:
    """The event log that the settings name; NoSettings as for `settings_of`."""
    from controlplane import bootstrap

    settings = settings_of(config)
    with bootstrap.open_log(settings) as log:
        yield log, settings


@contextmanager
def operating(config: Path | None) -> Iterator[tuple["EventLog", "Operator"]]:
    """The event log that the settings name, and what people decide about it; what is refused ends the command."""
    from controlplane.operator import ActionRefused, Operator

    with event_log(config) as (log, _):
        try:
            yield log, Operator(log)
        except ActionRefused as refused:
            raise click.ClickException(str(refused)) from None


def warn_if_stale(log: "EventLog", settings: "Settings") -> None:
    """Tell on stderr where there has been no tick, or none for a while: what is shown isn't how things are now."""
    from controlplane.eventlog.projections import TICK
    from controlplane.model.time import human_duration

    last = log.row(TICK, "tick")
    if last is None:
        tell("note: there has been no tick yet; do one with `controlplane tick` or start them with `make up`", err=True)
        return
    age = datetime.now(UTC) - last.now
    if age > _STALE_STEPS * settings.step:
        tell(f"note: this is as of the last tick, {human_duration(age)} ago ({last.now:%Y-%m-%d %H:%M:%SZ})", err=True)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A line on stderr while a long command works; the function that it gives takes events done and events in all."""
    with console(stderr=True).status(what) as status:

        def told(done: int, total: int) -> None:
            status.update(f"{what}: {done:,} of {total:,} events")

        yield told
