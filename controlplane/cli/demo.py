"""`controlplane demo`: see it work on a recorded evening."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import (
    config_option,
    console,
    json_option,
    print_json,
    severity_text,
    table,
    tell,
)
from controlplane.cli.recommendations import list_recommendations

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from controlplane.demo import Progress

_QUARTER = 0.25


@click.command()
@json_option
@click.option("--no-tui", is_flag=True, help="Print the result and end, on a terminal too.")
@config_option
def demo(*, as_json: bool, no_tui: bool, config: Any) -> None:
    """Replay a recorded evening of five platforms and show what the control plane makes of it.

    Nothing is sent. On a terminal it ends in the on-call terminal on that data.
    """
    from controlplane import bootstrap
    from controlplane import demo as evening
    from controlplane.rules.files import shipped_platforms

    home = bootstrap.load_settings(config).home / "demo"
    home.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with replaying() as told:
        evening.clear(home)
        settings = evening.settings(home, shipped_platforms())
        plane = bootstrap.control_plane(settings)
        evening.replay(plane, told)
    with plane.log:
        result = evening.document(plane)
        if as_json:
            print_json(result)
        else:
            _show(console(), result, time.monotonic() - began)
            tell(f"Look around in it: CONTROLPLANE_HOME={home} controlplane alerts", err=True)
        if sys.stdin.isatty() and sys.stdout.isatty() and not as_json and not no_tui:
            from controlplane.cli.terminal import open_terminal

            click.pause("Press any key for the on-call terminal on this data …")
            open_terminal(plane.log, settings, as_of=evening.END)


@contextmanager
def replaying() -> "Iterator[Callable[[Progress], None]]":
    """A bar on a terminal, a line a quarter elsewhere, both on stderr."""
    from rich import progress

    screen = console(stderr=True)
    columns = (
        progress.TextColumn("Replaying {task.fields[clock]}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[found]}"),
    )
    with progress.Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=1.0, clock="18:00Z", found="")
        quarters = 0

        def told(state: "Progress") -> None:
            nonlocal quarters
            found = f"{state.alerts} alerts · {state.recommendations} recommendations"
            bar.update(task, completed=state.share, clock=f"{state.now:%H:%MZ}", found=found)
            if not screen.is_terminal and int(state.share / _QUARTER) > quarters:
                quarters = int(state.share / _QUARTER)
                tell(f"replayed to {state.now:%H:%MZ} · {found}", err=True)

        yield told


def _show(out: "Console", result: dict[str, Any], seconds: float) -> None:
    from controlplane.present import condition, measured

    summary = result["summary"]
    out.print(f"The evening of {summary['from'][:10]}, {_clock(summary['from'])} to {_clock(summary['to'])}\n")
    rows = [
        (
            severity_text(alert["severity"]),
            alert["state"],
            _clock(alert["fired_at"]),
            _clock(alert["resolved_at"]),
            alert["platform"],
            alert["summary"],
            (
                measured(alert["value"], alert["unit"], alert["threshold"]),
                condition(alert["threshold"], alert["unit"]),
            ),
        )
        for alert in result["alerts"]
    ]
    columns = ("Severity", "State", "Fired", "Ended", "Platform", "What", "Value, threshold")
    whole = ("Severity", "State", "Fired", "Ended", "Platform", "Value, threshold")
    out.print(table("Alerts", columns, rows, right=("Value, threshold",), whole=whole))
    list_recommendations(out, result["recommendations"])
    _show_messages(out, result["notifications"])
    verdict = "holds" if summary["log_verified"] else "is BROKEN"
    tell(
        f"{summary['alerts_fired']} alerts ({summary['alerts_firing']} still firing), {summary['recommendations']} "
        f"recommendations, {summary['notifications']} messages, {summary['events']:,} events (the hash chain "
        f"{verdict}) in {seconds:.1f} s. Nothing was sent."
    )


def _show_messages(out: "Console", notifications: list[dict[str, Any]]) -> None:
    """One line a message that went to all its channels, then the first one for Slack and for PagerDuty in full."""
    sent: dict[tuple[str, str, str, str], list[str]] = {}
    for n in notifications:
        sent.setdefault((n["queued_at"], n["action"], n["severity"], n["title"]), []).append(n["channel"])
    rows = [
        (_clock(at), action, severity_text(severity), title, ", ".join(channels))
        for (at, action, severity, title), channels in sent.items()
    ]
    columns = ("At", "Action", "Severity", "Title", "Routes")
    out.print(table("Messages that would have been sent", columns, rows))
    for kind, name in (("slack", "Slack"), ("pagerduty", "PagerDuty")):
        first = next((n for n in notifications if n["kind"] == kind and n["action"] == "trigger"), None)
        if first is not None:
            tell(f"The first message to {name}:")
            tell(json.dumps(first["body"], indent=1, ensure_ascii=False))
            tell("")


def _clock(at: str | None) -> str:
    return f"{at[11:19]}Z" if at else "–"
