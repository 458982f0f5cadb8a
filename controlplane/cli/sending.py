"""`controlplane notify dead-letters`, `retry` and `test`: what was given up, and whether channels work."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import (
    actor,
    config_option,
    console,
    finish,
    json_option,
    moment,
    pick,
    print_json,
    table,
    tell,
)
from controlplane.cli.stores import event_log
from controlplane.model.units import many

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog
    from controlplane.model.views import DeliveryRecord
    from controlplane.settings import Settings


@click.command("dead-letters")
@json_option
@config_option
def dead_letters(*, as_json: bool, config: Any) -> None:
    """Messages that were given up, the oldest first; exit 1 where there are any."""
    with event_log(config) as (log, _):
        found = _dead(log)
    if as_json:
        print_json([one.model_dump(mode="json", exclude={"position"}) for one in found])
    elif found:
        rows = [
            (
                one.channel,
                f"{one.severity.value} {one.action.value}",
                one.title,
                moment(one.queued_at),
                moment(one.at),
                str(one.attempts),
                one.error,
                one.id,
            )
            for one in found
        ]
        columns = ("Channel", "Message", "What", "Queued", "Given up", "Attempts", "Because", "Id")
        whole = ("Queued", "Given up", "Id")
        console().print(table("Dead letters", columns, rows, right=("Attempts",), whole=whole))
    else:
        tell("No message was given up.")
    finish(1 if found else 0)


def _dead(log: "EventLog") -> list["DeliveryRecord"]:
    from controlplane.eventlog.projections import DELIVERIES
    from controlplane.model.views import DeliveryState

    found = [one for one in log.rows(DELIVERIES).values() if one.state is DeliveryState.DEAD]
    return sorted(found, key=lambda one: (one.at, one.position))


@click.command()
@click.argument("name", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="All that somebody still needs.")
@json_option
@config_option
def retry(*, name: str | None, everything: bool, as_json: bool, config: Any) -> None:
    """Queue messages again that were given up; the next tick, or `controlplane deliver`, sends them.

    A message whose incident has ended, or has been told of since, stays a dead letter: nobody needs it. Exit 1 where
    that is so for one that is named.
    """
    from controlplane.eventlog.projections import DELIVERIES
    from controlplane.operator import ActionRefused, Operator

    if everything is (name is not None):
        raise click.UsageError("give the id of a message, or --all")
    now, who = datetime.now(UTC), actor()
    queued: list[str] = []
    refused: dict[str, str] = {}
    with event_log(config) as (log, _):
        if name is not None:
            chosen = [pick(name, log.rows(DELIVERIES), "message", "see `controlplane notify dead-letters`")]
        else:
            chosen = [one.id for one in _dead(log)]
        for one in chosen:
            try:
                if Operator(log).send_again(one, actor=who, now=now) is not None:
                    queued.append(one)
            except ActionRefused as error:
                refused[one] = str(error)
    if as_json:
        print_json({"queued": queued, "refused": refused})
    else:
        for why in refused.values():
            tell(why, err=True)
        tell(f"{many(len(queued), 'message')} queued again" if queued else "Nothing was queued again.")
    finish(1 if refused and not everything else 0)


@click.command()
@click.option("--channel", "names", multiple=True, metavar="NAME", help="Only this one; as often as you like.")
@click.option("--route", metavar="PATH", help="Those of a route, as `notify routes` names it: root, 0, 0/1 …")
@json_option
@config_option
def test(*, names: tuple[str, ...], route: str | None, as_json: bool, config: Any) -> None:
    """Send a message that is marked as a test through the real channels; exit 1 where one fails.

    At PagerDuty it opens a page and ends it at once. Nothing is recorded, and neither an incident nor a tick is needed.
    """
    from controlplane import bootstrap
    from controlplane.notify.probe import probe

    settings = bootstrap.load_settings(config)
    declared = [channel.name for channel in settings.notify.channels]
    if unknown := [name for name in names if name not in declared]:
        there = ", ".join(declared) or "none"
        raise click.UsageError(f"there is no channel {unknown[0]} under notify.channels; there is {there}")
    if not declared:
        raise click.ClickException("no channel is declared: add one under notify.channels")
    chosen = (*names, *_of_route(settings, route)) if route is not None else names
    wanted = list(dict.fromkeys(chosen)) or declared
    with console(stderr=True).status("sending"):
        found = probe(
            bootstrap.channels(settings),
            wanted,
            at=datetime.now(UTC),
            author=actor(),
            environment=settings.environment,
        )
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        rows = [
            (
                one.channel,
                one.kind or "–",
                "delivered" if one.delivered else "failed",
                f"{one.seconds:.2f} s",
                one.detail or one.reference or "–",
            )
            for one in found
        ]
        columns = ("Channel", "Kind", "Outcome", "Took", "Detail")
        console().print(table("Tests", columns, rows, right=("Took",), whole=("Channel", "Outcome", "Took")))
    finish(0 if all(one.delivered for one in found) else 1)


def _of_route(settings: "Settings", path: str) -> tuple[str, ...]:
    """The channels that a route tells; UsageError where there is no such route, or it tells nobody."""
    from controlplane import bootstrap
    from controlplane.model.routes import Tree

    nodes = {node.path or "root": node for _, node, _ in Tree(bootstrap.route(settings.notify)).walk()}
    if path not in nodes:
        raise click.UsageError(
            f"there is no route {path}; there is {', '.join(nodes)} (see `controlplane notify routes`)"
        )
    if not nodes[path].channels:
        raise click.UsageError(f"the route {path} tells nobody")
    return nodes[path].channels
