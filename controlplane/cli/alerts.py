"""`controlplane alerts`, `ack`, `unack`: what fires now, and who has taken it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import (
    actor,
    config_option,
    console,
    json_option,
    moment,
    pick,
    print_json,
    severity_text,
    table,
    tell,
)
from controlplane.cli.stores import event_log, operating, warn_if_stale
from controlplane.model.labels import printable

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog

_RANK = {"critical": 0, "warning": 1, "info": 2}


@click.command()
@click.option("--pending", is_flag=True, help="Pending alerts too.")
@json_option
@config_option
def alerts(*, pending: bool, as_json: bool, config: Any) -> None:
    """Active alerts, the worst first."""
    from controlplane.eventlog.projections import ALERTS, RECOMMENDATIONS, UNADVISED
    from controlplane.present import alert_json, condition, measured

    with event_log(config) as (log, settings):
        unadvised, open_ = log.rows(UNADVISED), [one for one in log.rows(RECOMMENDATIONS).values() if one.open]
        found = [alert for alert in log.rows(ALERTS).values() if pending or alert.state.value != "pending"]
        readings = log.readings()
        warn_if_stale(log, settings)
    found.sort(key=lambda alert: (_RANK[alert.severity.value], alert.active_at, alert.id))
    if as_json:
        advice = {alert.id: sorted(one.id for one in open_ if one.alert == alert.id) for alert in found}
        print_json([alert_json(a, readings.get(a.id), unadvised.get(a.id), advice[a.id]) for a in found])
        return
    if not found:
        tell("No active alerts.")
        return
    rows = [
        (
            severity_text(alert.severity.value),
            alert.state.value,
            moment(alert.active_at),
            alert.summary,
            measured(readings[alert.id].value if alert.id in readings else alert.value, alert.unit, alert.threshold),
            condition(alert.threshold, alert.unit),
            alert.acknowledged.actor if alert.acknowledged else "–",
            alert.id,
        )
        for alert in found
    ]
    columns = ("Severity", "State", "Since", "What", "Now", "Threshold", "Taken by", "Id")
    console().print(table("Active alerts", columns, rows, right=("Now",), whole=("Severity", "State", "Since", "Id")))
    for alert in found:
        for rule, why in sorted(unadvised[alert.id].errors.items() if alert.id in unadvised else ()):
            tell(f"no advice for {alert.id} ({printable(alert.title, 80)}) by {rule}: {why}")


@click.command()
@click.argument("alert")
@click.option("--note", default="", help="What you are doing about it.")
@json_option
@config_option
def ack(*, alert: str, note: str, as_json: bool, config: Any) -> None:
    """Acknowledge an alert: you take it. The id, or enough of its beginning, is in `controlplane alerts`.

    You are CONTROLPLANE_ACTOR, or your login name.
    """
    who = actor()
    with operating(config) as (log, operator):
        chosen = _active(log, alert)
        done = operator.acknowledge(chosen, actor=who, note=note, now=datetime.now(UTC))
    if as_json:
        print_json({"alert": chosen, "acknowledged_by": who, "changed": done is not None})
    else:
        tell(f"{chosen} acknowledged by {who}" if done else f"{who} has {chosen} already")


@click.command()
@click.argument("alert")
@json_option
@config_option
def unack(*, alert: str, as_json: bool, config: Any) -> None:
    """Take an acknowledgement back."""
    with operating(config) as (log, operator):
        chosen = _active(log, alert)
        done = operator.undo_acknowledge(chosen, actor=actor(), now=datetime.now(UTC))
    if as_json:
        print_json({"alert": chosen, "acknowledged_by": None, "changed": done is not None})
    else:
        tell(f"acknowledgement of {chosen} withdrawn" if done else f"nobody has taken {chosen}")


@click.command()
@click.argument("target")
@click.argument("text")
@json_option
@config_option
def note(*, target: str, text: str, as_json: bool, config: Any) -> None:
    """Write a note on an alert or a recommendation, for those who come after.

    TARGET is its id, or enough of its beginning while it is active. The same note twice is one.
    """
    who = actor()
    with operating(config) as (log, operator):
        about = _notable(log, target)
        done = operator.note(about, actor=who, text=text, now=datetime.now(UTC))
    if as_json:
        print_json({"about": about, "by": who, "changed": done is not None})
    else:
        tell(f"note on {about.replace(':', ' ', 1)}" if done else "the note is there already")


def _notable(log: "EventLog", given: str) -> str:
    """The stream of an alert or recommendation, also of one that is over where the id is whole."""
    from controlplane.eventlog.projections import ALERTS, RECOMMENDATIONS

    streams = {name: f"alert:{name}" for name in log.rows(ALERTS)}
    streams |= {name: f"recommendation:{name}" for name in log.rows(RECOMMENDATIONS)}
    if given not in streams and next(log.read(stream=f"alert:{given}", limit=1), None) is not None:
        return f"alert:{given}"
    known = "see `controlplane alerts` and `controlplane recommendations --all`"
    return streams[pick(given, streams, "alert or recommendation", known)]


def _active(log: "EventLog", given: str) -> str:
    from controlplane.eventlog.projections import ALERTS

    return pick(given, log.rows(ALERTS), "active alert", "it may have ended; see `controlplane alerts`")
