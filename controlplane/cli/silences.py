"""`controlplane silence`: mute alerts for a while, with a name, a reason and an end."""

from datetime import UTC, datetime, timedelta
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
    table,
    tell,
)
from controlplane.cli.stores import event_log, operating
from controlplane.cli.times import Duration, Instant, after

if TYPE_CHECKING:
    from controlplane.model.silences import Silence

_SHOWN = 12


@click.group()
def silence() -> None:
    """Alerts that nobody is told of for a while."""


@silence.command()
@click.argument("matchers", nargs=-1, required=True)
@click.option("--for", "length", type=Duration(), required=True, help="How long, such as 2h or 30m.")
@click.option("--reason", required=True, help="Why, for those who come after.")
@click.option("--start", type=Instant(), help="When it begins (ISO time in UTC); now, if left out.")
@click.option("--maintenance", is_flag=True, help="It is planned work.")
@click.option("--dry-run", is_flag=True, help="Only show what it would mute now.")
@json_option
@config_option
def add(
    *,
    matchers: tuple[str, ...],
    length: timedelta,
    reason: str,
    start: datetime | None,
    maintenance: bool,
    dry_run: bool,
    as_json: bool,
    config: Any,
) -> None:
    """Mute alerts for which every matcher holds, such as zone=z1 'host=~"redis-.*"'.

    Matchers see what routes see (docs/notifications.md). What would be muted now is shown; the end of what was told is
    told in any case.
    """
    from controlplane.model.matchers import Matcher
    from controlplane.model.silences import Silence
    from controlplane.silencing import firing, named

    now, who = datetime.now(UTC), actor()
    try:
        wanted = tuple(Matcher.parse(text) for text in matchers)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    begin = start or now
    new = Silence(
        id=named(wanted, who, now),
        kind="maintenance" if maintenance else "silence",
        matchers=wanted,
        starts_at=begin,
        ends_at=after(begin, length),
        author=who,
        reason=reason,
        created_at=now,
    )
    with operating(config) as (log, operator):
        muted = firing(log).matching(new.matchers)
        if not dry_run:
            operator.silence(new)
    if as_json:
        print_json({"silence": _document(new), "mutes_now": [alert.id for alert in muted], "changed": not dry_run})
        return
    would = "would mute" if dry_run or begin > now else "mutes"
    what = ", ".join(str(one) for one in wanted)
    tell(f"{new.kind} {new.id}: {what}; {moment(new.starts_at)} to {moment(new.ends_at)}")
    tell(f"It {would} {len(muted)} of the alerts that fire now" + (":" if muted else "."))
    for alert in muted[:_SHOWN]:
        tell(f"  {alert.severity.value} {alert.summary}")
    if len(muted) > _SHOWN:
        tell(f"  … and {len(muted) - _SHOWN} more")


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@json_option
@config_option
def list_(*, everything: bool, as_json: bool, config: Any) -> None:
    """Silences that hold or will hold, those that end first coming first."""
    from controlplane.eventlog.projections import SILENCES
    from controlplane.silencing import ending_soon, firing

    now = datetime.now(UTC)
    with event_log(config) as (log, _):
        found = [one for one in log.rows(SILENCES).values() if everything or one.ends_at > now]
        alerts = firing(log)
        matching = {one.id: len(alerts.matching(one.matchers)) for one in found}
        soon = ending_soon(found, alerts, now)
    found.sort(key=lambda one: (one.ends_at, one.id))
    if as_json:
        print_json([_document(one) | {"matches_now": matching[one.id]} for one in found])
        return
    if not found:
        tell("No silences.")
        return
    rows = [
        (
            one.kind,
            ", ".join(str(matcher) for matcher in one.matchers),
            moment(one.starts_at),
            moment(one.ends_at) + (" (soon)" if one.id in soon else ""),
            str(matching[one.id]),
            one.author,
            one.reason,
            one.id,
        )
        for one in found
    ]
    columns = ("Kind", "Matchers", "From", "Until", "Matches now", "By", "Why", "Id")
    console().print(table("Silences", columns, rows, right=("Matches now",), whole=("From", "Until", "Id")))


@silence.command()
@click.argument("name")
@json_option
@config_option
def end(*, name: str, as_json: bool, config: Any) -> None:
    """End a silence before its time. The id, or enough of its beginning, is in `controlplane silence list`."""
    from controlplane.eventlog.projections import SILENCES

    with operating(config) as (log, operator):
        chosen = pick(name, log.rows(SILENCES), "silence", "see `controlplane silence list --all`")
        done = operator.end_silence(chosen, actor=actor(), now=datetime.now(UTC))
    if as_json:
        print_json({"silence": chosen, "changed": done is not None})
    else:
        tell(f"silence {chosen} ended" if done else f"silence {chosen} is over already")


def _document(one: "Silence") -> dict[str, Any]:
    return one.model_dump(mode="json")
