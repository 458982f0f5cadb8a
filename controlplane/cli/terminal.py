"""`controlplane tui`: the on-call terminal."""

from datetime import datetime
from typing import Any

import click

from controlplane.cli.output import actor, config_option


@click.command()
@click.option("--read-only", is_flag=True, help="Look, don't touch.")
@config_option
def tui(*, read_only: bool, config: Any) -> None:
    """The on-call terminal. It reads the event store alone, so it never disturbs a tick."""
    from controlplane.cli.stores import event_log

    with event_log(config) as (log, settings):
        open_terminal(log, settings, read_only=read_only)


def open_terminal(log: Any, settings: Any, *, read_only: bool = False, as_of: datetime | None = None) -> None:
    """Run the terminal on a log until it is left; `as_of` freezes its clock, as for a recording."""
    from controlplane import bootstrap
    from controlplane.operator import Operator
    from tui.app import run
    from tui.data import rule_facts

    run(
        log,
        Operator(log),
        environment=settings.environment,
        actor=actor(),
        read_only=read_only,
        as_of=as_of,
        palette=settings.tui.theme,
        keys=settings.tui.keys,
        rules=lambda: rule_facts(bootstrap.load_rule_set(settings).rules.rules),
    )
