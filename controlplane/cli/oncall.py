"""`controlplane oncall`, `notify pause`, `notify resume`: who is on call, who is told next, and holding that back."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import actor, config_option, console, finish, json_option, moment, pick, print_json, table
from controlplane.cli.output import tell as say
from controlplane.cli.stores import operating
from controlplane.cli.times import Duration, Instant

if TYPE_CHECKING:
    from controlplane.model.errors import Problem
    from controlplane.model.notifications import Incident
    from controlplane.notify.reach import Reach
    from controlplane.oncall.roster import Roster
    from controlplane.settings import Settings


@click.command()
@click.option("--at", "when", type=Instant(), help="An instant (ISO time, UTC without a zone); now, if left out.")
@json_option
@config_option
def oncall(*, when: datetime | None, as_json: bool, config: Any) -> None:
    """Who is on call in each schedule, until when and who is next, and whom each escalation would tell.

    Exit 1 where a schedule has a gap then, or can't be read.
    """
    from controlplane import bootstrap

    settings = bootstrap.load_settings(config)
    at = when or datetime.now(UTC)
    schedules, problems = _schedules(settings, at)
    escalations = {name: levels_of(settings, name, at) for name in settings.notify.escalations}
    if as_json:
        print_json(
            {
                "at": at,
                "schedules": schedules,
                "escalations": escalations,
                "problems": [str(problem) for problem in problems],
            }
        )
    else:
        _shown(settings, schedules, at)
        for problem in problems:
            say(str(problem), err=True)
    finish(1 if problems or any(not one["people"] for one in schedules) else 0)


def _shown(settings: "Settings", schedules: list[dict[str, Any]], at: datetime) -> None:
    if not schedules:
        say("There are no schedules; see docs/on-call.md.")
    else:
        rows = [
            (
                one["schedule"],
                ", ".join(one["people"]) or "NOBODY",
                moment(one["since"]),
                moment(one["until"]),
                ("nobody" if not one["next"] else ", ".join(one["next"])) if one["until"] else "–",
            )
            for one in schedules
        ]
        columns = ("Schedule", "On call", "Since", "Until", "Then")
        console().print(table(f"On call at {moment(at)}", columns, rows, whole=("Since", "Until")))
    for name in settings.notify.escalations:
        for line in told_next(settings, name, at):
            say(line)


def _schedules(settings: "Settings", at: datetime) -> tuple[list[dict[str, Any]], list["Problem"]]:
    from controlplane.oncall.roster import AHEAD

    roster = _roster(settings)
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for name in roster.schedules:
        known = roster.known(name, at, at + AHEAD)
        now, then = known.rota.at(at), known.rota.after(at)
        problems += known.problems
        found.append(
            {
                "schedule": name,
                "people": list(now.people),
                "since": now.since if now.people else None,
                "until": now.until,
                "next": list(then.people) if then is not None else [],
            }
        )
    return found, problems


def _roster(settings: "Settings") -> "Roster":
    from controlplane.oncall.roster import Roster

    return Roster(settings.notify.schedules, settings.notify.people, settings.home)


def _reach(settings: "Settings", at: datetime) -> "Reach":
    from controlplane.model.oncall import OnCall
    from controlplane.notify.reach import Reach
    from controlplane.oncall.roster import AHEAD

    notify, roster = settings.notify, _roster(settings)
    rows = {}
    for name in roster.schedules:
        now = roster.known(name, at, at + AHEAD).rota.at(at)
        rows[name] = OnCall(schedule=name, people=now.people, since=now.since, until=now.until)
    channels = [channel.name for channel in notify.channels]
    return Reach(at, notify.people, rows, notify.schedules.keys(), notify.times, channels)


def levels_of(settings: "Settings", name: str | None, at: datetime) -> list[dict[str, Any]]:
    """Whom each level of an escalation would tell at an instant, as a document."""
    from controlplane.model.time import format_duration

    policy = settings.notify.escalations.get(name) if name is not None else None
    if policy is None:
        return []
    reach = _reach(settings, at)
    found = []
    for number, level in enumerate(policy.levels, 1):
        reached = reach.level(level)
        found.append(
            {
                "level": number,
                "after": format_duration(policy.wait(number, 1)),
                "to": list(level.to),
                "people": list(reached.people),
                "channels": list(reached.channels),
                "nobody_in": list(reached.gaps),
            }
        )
    return found


def told_next(settings: "Settings", name: str | None, at: datetime) -> list[str]:
    """An escalation in words, a line for each level."""
    policy = settings.notify.escalations.get(name) if name is not None else None
    if policy is None:
        return []
    reach = _reach(settings, at)
    again = f", gone through {policy.repeat + 1} times" if policy.repeat else ""
    lines = [f"Escalation {name}, while nobody acknowledges it{again}:"]
    waited = timedelta(0)
    for number, level in enumerate(policy.levels, 1):
        waited += policy.wait(number, 1)
        reached = reach.level(level)
        gaps = f"; nobody is on call in {', '.join(reached.gaps)}" if reached.gaps else ""
        who = ", ".join(reached.words) or "nobody"
        lines.append(f"  {number}. {_after(waited)}: {who} on {', '.join(reached.channels) or 'no channel'}{gaps}")
    return lines


def _after(wait: timedelta) -> str:
    from controlplane.model.time import format_duration

    return f"after {format_duration(wait)}" if wait else "with the first message"


def standing(incident: "Incident") -> str:
    """How far an incident has escalated, in a line."""
    if incident.taken:
        return f"acknowledged by {', '.join(incident.taken)}"
    state = incident.escalation
    if state is None:
        return "–"
    place = f"{state.name} level {state.level}" + (f", round {state.round}" if state.round > 1 else "")
    if state.due is not None:
        return f"{place}, next at {moment(state.due)}"
    return f"{place}, held: {state.held}" if state.left is not None else f"{place}, the last one"


@click.command()
@click.argument("incident")
@click.option("--for", "length", type=Duration(), required=True, help="How long, such as 30m; at most 24h.")
@json_option
@config_option
def pause(*, incident: str, length: timedelta, as_json: bool, config: Any) -> None:
    """Hold back the next level of an incident for a while; it goes on by itself then.

    A new page of it (a higher severity, a much wider extent) is told all the same.
    """
    _change(incident, length, as_json=as_json, config=config)


@click.command()
@click.argument("incident")
@json_option
@config_option
def resume(*, incident: str, as_json: bool, config: Any) -> None:
    """End a pause before its time; ids of incidents are in `controlplane notify status`."""
    _change(incident, None, as_json=as_json, config=config)


def _change(given: str, length: timedelta | None, *, as_json: bool, config: Any) -> None:
    from controlplane.eventlog.projections import INCIDENTS

    now = datetime.now(UTC)
    with operating(config) as (log, operator):
        open_ = {name for name, one in log.rows(INCIDENTS).items() if one.look_at is not None}
        chosen = pick(given, open_, "open incident", "see `controlplane notify status`")
        if length is None:
            done = operator.resume(chosen, actor=actor(), now=now)
        else:
            done = operator.pause(chosen, length=length, actor=actor(), now=now)
    until = None if length is None else now + length
    if as_json:
        print_json({"incident": chosen, "paused_until": until, "changed": done is not None})
    elif until is not None:
        say(f"incident {chosen} escalates no further until {moment(until)}")
    else:
        say(f"incident {chosen} escalates again" if done else f"incident {chosen} wasn't paused")
