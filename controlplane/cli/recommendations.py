"""`controlplane recommendations`: what to do, what it costs, and the whole record behind one of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import (
    actor,
    config_option,
    console,
    json_option,
    pick,
    print_json,
    table,
    tell,
)
from controlplane.cli.stores import event_log, operating, warn_if_stale

if TYPE_CHECKING:
    from rich.console import Console

MARKS = {True: "✓", False: "✗", None: "?"}


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Withdrawn, expired and decided ones too.")
@json_option
@config_option
@click.pass_context
def recommendations(context: click.Context, *, everything: bool, as_json: bool, config: Any) -> None:
    """Open recommendations with their cost; `show` prints everything about one."""
    if context.invoked_subcommand is None:
        _list(config, everything=everything, as_json=as_json)
    elif everything or as_json:
        raise click.UsageError(f"--all and --json belong to the list, or behind {context.invoked_subcommand}")


@recommendations.command("list")
@click.option("--all", "everything", is_flag=True, help="Withdrawn, expired and decided ones too.")
@json_option
@config_option
def list_(*, everything: bool, as_json: bool, config: Any) -> None:
    """Open recommendations with their cost, as without a command."""
    _list(config, everything=everything, as_json=as_json)


def _list(config: Any, *, everything: bool, as_json: bool) -> None:
    from controlplane.eventlog.projections import RECOMMENDATIONS
    from controlplane.present import recommendation_json

    with event_log(config) as (log, settings):
        rows = sorted(log.rows(RECOMMENDATIONS).values(), key=lambda row: (row.at, row.id))
        warn_if_stale(log, settings)
    documents = [recommendation_json(row) for row in rows if everything or row.open]
    if as_json:
        print_json(documents)
    elif documents:
        list_recommendations(console(), documents)
    else:
        hidden = len(rows) - len(documents)
        tell("No open recommendations." + (f" {hidden} are closed; --all shows them." if hidden else ""))


@recommendations.command()
@click.argument("recommendation")
@json_option
@config_option
def show(*, recommendation: str, as_json: bool, config: Any) -> None:
    """The full record of one recommendation, by its id or enough of the beginning of it."""
    from controlplane.eventlog.projections import RECOMMENDATIONS
    from controlplane.present import recommendation_json

    with event_log(config) as (log, _):
        rows = log.rows(RECOMMENDATIONS)
    remedy = "see `controlplane recommendations --all`"
    row = rows[pick(recommendation, rows, "recommendation", remedy)]
    if as_json:
        print_json(recommendation_json(row))
    else:
        from controlplane.cli.record import print_record

        print_record(console(), row)


_DONE = {"approve": "approved", "reject": "rejected", "executed": "executed", "reopen": "reopened"}


def _decide(action: str, config: Any, given: str, *, as_json: bool, **more: Any) -> None:
    from datetime import UTC, datetime

    from controlplane.eventlog.projections import RECOMMENDATIONS

    who = actor()
    with operating(config) as (log, operator):
        chosen = pick(given, log.rows(RECOMMENDATIONS), "recommendation", "see `controlplane recommendations --all`")
        done = getattr(operator, action)(chosen, actor=who, now=datetime.now(UTC), **more)
        row = log.row(RECOMMENDATIONS, chosen)
    assert row is not None
    if as_json:
        document = {"recommendation": chosen, "version": row.version, "status": row.status.value, "actor": who}
        print_json({**document, "changed": done is not None})
    else:
        tell(f"{chosen} {_DONE[action]} by {who}" if done else f"{chosen} is {row.status.value} already")


_version = click.option("--version", type=int, help="Refuse if it was revised since this version.")


@recommendations.command()
@click.argument("recommendation")
@_version
@click.option("--reason", default="", help="For those who come after.")
@json_option
@config_option
def approve(*, recommendation: str, version: int | None, reason: str, as_json: bool, config: Any) -> None:
    """Say that it shall be done. Nothing is executed by approving."""
    _decide("approve", config, recommendation, as_json=as_json, version=version, reason=reason)


@recommendations.command()
@click.argument("recommendation")
@_version
@click.option("--reason", required=True, help="Why not.")
@json_option
@config_option
def reject(*, recommendation: str, version: int | None, reason: str, as_json: bool, config: Any) -> None:
    """Say that it shall not be done, and why."""
    _decide("reject", config, recommendation, as_json=as_json, version=version, reason=reason)


@recommendations.command()
@click.argument("recommendation")
@_version
@click.option("--note", "reason", default="", help="What was done differently, for instance.")
@json_option
@config_option
def executed(*, recommendation: str, version: int | None, reason: str, as_json: bool, config: Any) -> None:
    """Say that it was done: its alert is watched, and it ends as verified or ineffective."""
    _decide("executed", config, recommendation, as_json=as_json, version=version, reason=reason)


@recommendations.command()
@click.argument("recommendation")
@json_option
@config_option
def reopen(*, recommendation: str, as_json: bool, config: Any) -> None:
    """Take an approval or rejection back."""
    _decide("reopen", config, recommendation, as_json=as_json)


_FORMATS = ("terraform", "kubectl", "aws-cli", "patronictl", "ansible")


@recommendations.command()
@click.argument("recommendation")
@click.option("--format", "form", type=click.Choice(_FORMATS), required=True, help="What your team runs.")
@click.option("-o", "output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write it there.")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
@click.option("--closed", is_flag=True, help="Also one that is withdrawn, expired or rejected.")
@json_option
@config_option
def export(
    *, recommendation: str, form: str, output: Path | None, force: bool, closed: bool, as_json: bool, config: Any
) -> None:
    """The change as a text to review and run, with its revert. Nothing is run here."""
    from controlplane.eventlog.projections import RECOMMENDATIONS
    from controlplane.export import NotExported, fitting
    from controlplane.export import export as exported
    from controlplane.model.recommendations import Status

    with event_log(config) as (log, _):
        rows = log.rows(RECOMMENDATIONS)
    row = rows[pick(recommendation, rows, "recommendation", "see `controlplane recommendations --all`")]
    if row.status in {Status.WITHDRAWN, Status.EXPIRED, Status.REJECTED} and not closed:
        raise click.ClickException(f"{row.id} is {row.status.value}; --closed hands it over all the same")
    try:
        made = exported(row, form)
        formats = fitting(row)
    except NotExported as refused:
        raise click.ClickException(str(refused)) from None
    if output is not None:
        if output.exists() and not force:
            raise click.UsageError(f"{output} would be overwritten; --force replaces it")
        output.write_text(made.text, encoding="utf-8")
        if made.runs:
            output.chmod(0o755)
    if as_json:
        print_json(
            {
                "recommendation": made.recommendation,
                "version": made.version,
                "status": row.status.value,
                "format": made.format,
                "formats": formats,
                "name": made.name,
                "file": None if output is None else str(output),
                "text": made.text,
            }
        )
    elif output is not None:
        tell(f"{output}: {row.id}, version {row.version}, for {form}")
    else:
        click.echo(made.text, nl=False)


def list_recommendations(out: "Console", documents: list[dict[str, Any]]) -> None:
    """Recommendations (`present.recommendation_json`) as a table: what, from → to, and the money."""
    rows = []
    for item in documents:
        cost = item["cost"]
        rows.append(
            (
                (item["title"], f"{item['from']} → {item['to']}"),
                money(cost["per_month"]),
                money(cost["one_off"]),
                [f"{MARKS[s['ok']]} {s['loss']}" for s in item["survives"]] or "–",
                item["status"],
                item["id"],
            )
        )
    columns = ("Recommendation", "Per month", "One-off", "Survives the loss of", "Status", "Id")
    whole = ("Per month", "One-off", "Status", "Id")
    out.print(table("Recommendations", columns, rows, right=("Per month", "One-off"), whole=whole))


def money(amount: str | None) -> str:
    """A decimal string as people write money; None is `unknown`."""
    from decimal import Decimal

    from controlplane.model.money import human_money

    return human_money(None if amount is None else Decimal(amount))
