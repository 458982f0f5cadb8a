"""`controlplane explain`: why it paged, or didn't."""

from datetime import datetime
from typing import Any

import click

from controlplane.cli.output import config_option, console, json_option, print_json, tell
from controlplane.cli.rules.chosen import load
from controlplane.cli.stores import event_log
from controlplane.cli.times import Instant


@click.command()
@click.argument("target")
@click.option(
    "--at",
    type=Instant(zoned=True),
    help="Telemetry time, such as 2026-03-12T20:00:00Z [default: the last tick].",
)
@click.option("--labels", metavar="NAME=VALUE", multiple=True, help="Only label sets with this label; repeat it.")
@click.option("--steps", type=click.IntRange(0, 1_440), default=12, show_default=True, help="Samples to show.")
@json_option
@config_option
def explain(
    *, target: str, at: datetime | None, labels: tuple[str, ...], steps: int, as_json: bool, config: Any
) -> None:
    """Why a rule, an alert or everything about a resource paged or didn't at a time: samples, state, deliveries.

    TARGET is the id of a rule or resource, or that of an alert or its first four characters or more.
    """
    from controlplane import bootstrap
    from controlplane.explain import explain as gather
    from controlplane.explain.document import document
    from controlplane.explain.gather import NothingToExplain
    from controlplane.explain.words import lines

    chosen = _labels(labels)
    loaded = load(config)
    for problem in loaded.problems:
        tell(str(problem), err=True)
    with event_log(config) as (log, settings), console(stderr=True).status("looking it up"):
        store = bootstrap.open_store(settings)
        try:
            answer = gather(log, store, loaded.rules, target, at=at, labels=chosen, step=settings.step)
        except NothingToExplain as error:
            raise click.ClickException(str(error)) from None
    if as_json:
        print_json(document(answer, steps))
    else:
        for line in lines(answer, steps):
            tell(line)


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text} is no NAME=VALUE", param_hint="--labels")
        found[name] = value
    return found
