"""`controlplane sql` and `maintain`: look into the telemetry store and keep it small."""

import sys
from datetime import UTC, datetime
from typing import Any

import click

from controlplane.cli.output import config_option, console, json_option, print_json, table, tell
from controlplane.cli.stores import event_log
from controlplane.model.units import many


@click.command()
@click.argument("query")
@click.option("--limit", type=click.IntRange(1), default=1_000, show_default=True, help="At most so many rows.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@config_option
def sql(*, query: str, limit: int, as_csv: bool, as_json: bool, config: Any) -> None:
    """Ask the telemetry store (read-only) in SQL; the tables are in docs/sql.md.

    The event log is mirrored into the table `events` first.
    """
    from controlplane import bootstrap

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    with event_log(config) as (log, settings), console(stderr=True).status("mirroring the event log") as status:
        store = bootstrap.open_store(settings)
        store.mirror(log)
        status.update("asking")
        frame = store.query(query, limit)
    if as_json:
        print_json(frame.to_dicts())
    elif as_csv:
        text = frame.write_csv()
        if sys.stdout.isatty():
            tell(text.removesuffix("\n"))
        else:
            click.echo(text, nl=False)
    else:
        numbers = [name for name, kind in frame.schema.items() if kind.is_numeric()]
        cut = f" (the first {limit:,})" if len(frame) == limit else ""
        console().print(table("", frame.columns, frame.rows(), right=numbers))
        tell(f"{many(len(frame), 'row')}{cut}", err=True)


@click.command()
@json_option
@config_option
def maintain(*, as_json: bool, config: Any) -> None:
    """Roll up and expire samples, mirror and archive the event log and compact the telemetry file."""
    from controlplane import bootstrap, maintenance

    with event_log(config) as (log, settings), console(stderr=True).status("mirroring the event log") as status:
        store = bootstrap.open_store(settings)
        done = maintenance.maintain(settings, log, store, datetime.now(UTC), progress=status.update)
    if as_json:
        print_json(done.as_dict())
        return
    report = done.telemetry
    rows = [(name, f"{report.rows_before[name]:,}", f"{rows:,}") for name, rows in report.rows_after.items()]
    console().print(table("Rows", ("Table", "Before", "After"), rows, right=("Before", "After")))
    tell(
        f"{done.mirrored.appended:,} events mirrored, {report.rolled_up:,} rollups computed, "
        f"{report.bytes_before:,} → {report.bytes_after:,} bytes"
    )
    tell(str(done.archived))
