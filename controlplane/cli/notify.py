"""`controlplane notify`: who is told what, and what waits to be sent."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli import oncall, sending
from controlplane.cli.output import config_option, console, json_option, moment, pick, print_json, table, tell
from controlplane.cli.stores import event_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlplane.model.routes import Node, Tree
    from controlplane.settings import Settings


@click.group()
def notify() -> None:
    """Who is told what, and what became of it."""


for _command in (sending.dead_letters, sending.retry, sending.test, oncall.pause, oncall.resume):
    notify.add_command(_command)


@notify.command()
@click.option("--explain", "about", multiple=True, help="An alert's id, or label=value; as often as you like.")
@json_option
@config_option
def routes(*, about: tuple[str, ...], as_json: bool, config: Any) -> None:
    """The tree of routes, or which route an alert takes and why."""
    from controlplane.bootstrap import route
    from controlplane.model.routes import Tree

    with event_log(config) as (log, settings):
        tree = Tree(route(settings.notify))
        labels = _labels(log, about) if about else {}
    if about:
        _explained(tree, labels, settings, as_json=as_json)
        return
    if as_json:
        print_json([node.model_dump(mode="json") for node in tree.nodes.values()])
        return
    _tree(tree, settings)


def _labels(log: Any, about: tuple[str, ...]) -> dict[str, str]:
    from controlplane.eventlog.projections import ALERTS, RESOURCES
    from controlplane.model.resources import Inventory
    from controlplane.notify.labels import Places, labels_of

    if all("=" in text for text in about):
        return {"kind": "alert"} | dict(text.split("=", 1) for text in about)
    if len(about) > 1:
        raise click.UsageError("--explain takes one alert, or label=value as often as you like")
    alerts = log.rows(ALERTS)
    chosen = pick(about[0], alerts, "active alert", "it may have ended; see `controlplane alerts`")
    places = Places(Inventory(resources=tuple(row.resource for row in log.rows(RESOURCES).values())))
    return labels_of(alerts[chosen], places)


def _explained(tree: "Tree", labels: "Mapping[str, str]", settings: "Settings", *, as_json: bool) -> None:
    nodes = tree.of(labels)
    now = datetime.now(UTC)
    if as_json:
        told = [
            node.model_dump(mode="json")
            | {"group": _group(node, labels), "escalation": oncall.levels_of(settings, node.escalate, now)}
            for node in nodes
        ]
        print_json({"labels": dict(labels), "routes": told, "steps": [step for step, _ in tree.explain(labels)]})
        return
    from controlplane.model.labels import describe, printable
    from controlplane.model.time import format_duration

    tell(printable(describe(labels), 2_000))
    for step, depth in tree.explain(labels):
        tell(f"{'  ' * depth}{printable(step, 500)}")
    for node in nodes:
        group = describe(_group(node, labels)) or "all alerts of the route"
        waits = (node.group_wait, node.group_interval, node.repeat_interval)
        tell(f"Told on: {', '.join(node.channels) or 'no channel'}; as one message with {printable(group, 500)}")
        tell("after {}, changes every {}, again after {}".format(*(format_duration(wait) for wait in waits)))
        for line in oncall.told_next(settings, node.escalate, now):
            tell(line)


def _group(node: "Node", labels: "Mapping[str, str]") -> dict[str, str]:
    return {name: labels.get(name, "") for name in node.group_by}


def _tree(tree: "Tree", settings: "Settings") -> None:
    from controlplane.model.time import format_duration

    rows = []
    for route, node, depth in tree.walk():
        match = ", ".join(str(matcher) for matcher in route.match) or ("everything" if not depth else "everything else")
        rows.append(
            (
                node.path or "root",
                "  " * depth + match + (" (continue)" if route.continue_ else ""),
                ", ".join(node.channels) or "nobody",
                ", ".join(node.group_by) or "all together",
                " / ".join(
                    format_duration(wait) for wait in (node.group_wait, node.group_interval, node.repeat_interval)
                ),
                ", ".join((*node.mute, *(f"only {name}" for name in node.active))) or "–",
                node.escalate or "–",
            )
        )
    columns = ("Route", "Alerts", "Channels", "One message for each", "Wait / interval / repeat", "Times", "Escalation")
    console().print(table("Routes", columns, rows, whole=("Route",)))
    if not settings.notify.channels:
        tell("No channel is declared under notify.channels: nobody is told.")


@notify.command()
@json_option
@config_option
def status(*, as_json: bool, config: Any) -> None:
    """Open incidents, the messages that wait, failed or were given up, and how long messages took in the last day."""
    from controlplane.eventlog.projections import DELIVERIES, INCIDENTS
    from controlplane.model.views import DeliveryState
    from controlplane.notify.latency import latencies

    with event_log(config) as (log, _):
        incidents = [one for one in log.rows(INCIDENTS).values() if one.look_at is not None]
        deliveries = list(log.rows(DELIVERIES).values())
        took = latencies(log, datetime.now(UTC))
    open_ = [one for one in deliveries if one.state is not DeliveryState.DELIVERED]
    open_ = [one for one in open_ if one.state is not DeliveryState.SUPPRESSED]
    incidents.sort(key=lambda one: (one.started_at, one.id))
    open_.sort(key=lambda one: (one.queued_at, one.id))
    if as_json:
        print_json(
            {
                "incidents": [one.model_dump(mode="json", exclude={"flaps"}) for one in incidents],
                "deliveries": [one.model_dump(mode="json") for one in open_],
                "latency_seconds": {name: asdict(one) for name, one in took.items()},
            }
        )
        return
    rows = [
        (
            one.severity.value,
            one.rule,
            str(len(one.firing)),
            moment(one.started_at),
            moment(one.told_at) if one.told_at else "not yet",
            ", ".join(one.channels) or "–",
            "; ".join(one.quiet) or "–",
            oncall.standing(one),
            one.id,
        )
        for one in incidents
    ]
    columns = ("Severity", "Rule", "Firing", "Since", "Told", "On", "Quiet because", "Escalation", "Id")
    if rows:
        console().print(table("Open incidents", columns, rows, right=("Firing",), whole=("Severity", "Since", "Id")))
    waiting = [
        (one.channel, one.state.value, one.title, moment(one.queued_at), str(one.attempts), one.error or "–", one.id)
        for one in open_
    ]
    if waiting:
        names = ("Channel", "State", "What", "Queued", "Attempts", "Last error", "Id")
        whole = ("Channel", "Queued", "Id")
        console().print(table("Not delivered", names, waiting, right=("Attempts",), whole=whole))
    if took:
        lately = [
            (name, f"{one.messages:,}", *(f"{seconds:.2f} s" for seconds in (one.p50, one.p99, one.longest)))
            for name, one in took.items()
        ]
        shown = ("Channel", "Messages", "p50", "p99", "Longest")
        console().print(table("From decision to delivery, last day", shown, lately, right=shown[1:]))
    if not rows and not waiting:
        tell("No open incident, and nothing waits to be sent.")
