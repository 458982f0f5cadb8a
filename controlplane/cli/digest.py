"""`controlplane digest`: the last day as the daily mail tells it, without sending it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from controlplane.cli.output import config_option, console, json_option, print_json, tell
from controlplane.cli.stores import event_log
from controlplane.cli.times import Instant


@click.command()
@click.option("--at", "end", type=Instant(), help="The end of the day to tell (ISO time in UTC) [default: now].")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the mail there.")
@json_option
@config_option
def digest(*, end: datetime | None, html: Path | None, as_json: bool, config: Any) -> None:
    """The last 24 hours: pages, noisy rules and what to change, open recommendations and their money, costs.

    Nothing is sent or written to the log. A day that is over is told as things stood at its end.
    """
    from controlplane import bootstrap
    from controlplane.digest import render
    from controlplane.digest.make import make
    from controlplane.tick.gather import Place, gather

    with event_log(config) as (log, settings):
        at = end or datetime.now(UTC)
        location = settings.notify.digest.location if settings.notify.digest else "UTC"
        rules = {placed.id: placed for placed in bootstrap.load_rule_set(settings).rules.rules}
        books, _ = bootstrap.load_prices(settings, sorted({placed.platform for placed in rules.values()}))
        place = Place(settings.environment, location, rules, books)
        with console(stderr=True).status("reading the log"):
            facts = gather(log, place, at - timedelta(days=1), at, None if end else at)
            made = make(facts)
    if html is not None:
        html.write_text(render.html(made), encoding="utf-8")
        tell(f"{html} written", err=True)
    if as_json:
        print_json(render.document(made))
    elif html is None:
        tell(render.text(made).rstrip("\n"))
