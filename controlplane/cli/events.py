"""`controlplane events`: read, verify and rebuild the log."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from controlplane.cli.output import (
    config_option,
    console,
    finish,
    json_option,
    moment,
    output_option,
    print_json,
    table,
    tell,
)
from controlplane.cli.stores import event_log, progress
from controlplane.model.labels import printable

_POSITION = click.IntRange(0, 2**63 - 1)
_LIMIT = click.IntRange(1, 1_000_000)


@click.group()
def events() -> None:
    """The append-only log of everything that was decided."""


@events.command("list")
@click.option("--type", "types", multiple=True, help="Only this type, such as alert_fired.v1; may be repeated.")
@click.option("--stream", help="Only this stream, such as alert:0123456789abcdef.")
@click.option("--after", type=_POSITION, default=0, show_default=True, help="Only events after this position.")
@click.option("--limit", type=_LIMIT, default=50, show_default=True, help="At most so many, the newest ones.")
@json_option
@config_option
def list_(*, types: tuple[str, ...], stream: str | None, after: int, limit: int, as_json: bool, config: Any) -> None:
    """The newest events, oldest first."""
    _check_types(types)
    with event_log(config) as (log, _):
        newest = log.read(after=after, types=types or None, stream=stream, newest_first=True, limit=limit)
        found = list(newest)[::-1]
    if as_json:
        print_json([event.model_dump(mode="json", by_alias=True) for event in found])
        return
    if not found:
        tell("No events." if not (types or stream or after) else "No such events.")
        return
    rows = [(event.position, moment(event.occurred_at), event.type, event.stream, event.actor) for event in found]
    columns = ("Position", "Occurred", "Type", "Stream", "Actor")
    console().print(table("Events", columns, rows, right=("Position",), whole=("Position", "Occurred")))


@events.command()
@click.argument("event")
@config_option
def show(*, event: str, config: Any) -> None:
    """One event as JSON, by position or id."""
    with event_log(config) as (log, _):
        if event.isdecimal():
            position = min(int(event), 2**63 - 1)
            found = next(log.read(after=max(0, position - 1), until=position), None)
        else:
            found = log.get(event)
        head = log.head()
    if found is None:
        which = f"position {event}" if event.isdecimal() else printable(event, 100)
        raise click.ClickException(f"there is no event {which}; positions go from 1 to {head}" if head else "no events")
    print_json(found.model_dump(mode="json", by_alias=True))


@events.command()
@click.option("--after", type=_POSITION, default=0, show_default=True, help="Only events after this position.")
@output_option
@config_option
def export(*, after: int, output: Any, config: Any) -> None:
    """Every event as one JSON document a line, with everything that its hash is made of."""
    from controlplane.eventlog.export import json_lines

    with event_log(config) as (log, _):
        for line in json_lines(log, after=after):
            output.write(line + "\n")


@events.command()
@json_option
@config_option
def verify(*, as_json: bool, config: Any) -> None:
    """Check the hash chain; exit 1 and the first broken link where it doesn't hold."""
    from controlplane.monitor.chain import note_whole

    with event_log(config) as (log, settings), progress("following the hash chain") as told:
        verification = log.verify(progress=told)
        note_whole(settings.home, log, verification, datetime.now(UTC))
    if as_json:
        print_json(asdict(verification))
    elif verification.ok:
        tell(f"{verification.checked:,} events, the hash chain holds")
    else:
        tell(f"the hash chain is broken after {verification.checked:,} events: {verification.problem}")
        tell("Keep the store as it is, restore a backup, and find out who changed it.", err=True)
    finish(0 if verification.ok else 1)


@events.command()
@click.argument("projections", nargs=-1)
@json_option
@config_option
def rebuild(*, projections: tuple[str, ...], as_json: bool, config: Any) -> None:
    """Fold projections anew from the log (all of them where none is named)."""
    from controlplane.eventlog.projections import PROJECTIONS

    with event_log(config) as (log, _), progress("rebuilding projections") as told:
        log.rebuild(projections or None, progress=told)
        head = log.head()
    names = sorted(set(projections) or {projection.name for projection in PROJECTIONS})
    if as_json:
        print_json({"rebuilt": names, "events": head})
    else:
        tell(f"rebuilt {', '.join(names)} from {head:,} events")


def _check_types(given: Iterable[str]) -> None:
    from typing import get_args

    from controlplane.documents import nearest
    from controlplane.model.payloads import EventPayload

    known = [payload.model_fields["type"].default for payload in get_args(get_args(EventPayload)[0])]
    for name in given:
        if name not in known:
            remedy = nearest(name, known) or f"There are {', '.join(known)}"
            raise click.BadParameter(f"there is no event type {printable(name, 100)}. {remedy}", param_hint="--type")
