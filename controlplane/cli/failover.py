"""`controlplane failover`: if it died now, who takes over, what is lost, how long, and do the others carry the load?"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, tell
from controlplane.model.labels import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from controlplane.model.readiness import Dying, Readiness

KINDS = ("primary", "cache", "broker", "zone", "region", "host")
_WORDS = {True: "yes", False: "NO", None: "unknown"}
_STYLES = {True: "#56B4E9", False: "bold #FF8A80", None: "#E69F00"}
_COUNTED = ((False, "not ready"), (None, "unknown"), (True, "ready"))
_TITLES = ("Ready", "If it died", "Takes over", "Loss", "Time", "Load")
_TOGETHER = {"host", "broker", "zone"}
_LISTED = 3
_TEXT = 1_000
_INDENT = 8


@click.command()
@config_option
@click.option("--platform", metavar="NAME", help="This platform alone.")
@click.option("--kind", type=click.Choice(KINDS), help="This kind of thing alone.")
@json_option
def failover(config: Path | None, platform: str | None, kind: "Dying | None", *, as_json: bool) -> None:
    """If it died now: who takes over, what is lost, how long it takes, and whether the others carry the load.

    As of the last tick, what isn't ready first, with what would make it ready. Exit 1 where something isn't ready.
    """
    from controlplane import bootstrap
    from controlplane.cli.priced import load_books
    from controlplane.cli.rules.chosen import load
    from controlplane.cli.stores import event_log, warn_if_stale
    from controlplane.readiness_report import NothingToAssess, report

    loaded = load(config)
    for problem in loaded.problems:
        tell(str(problem), err=True)
    packs = sorted({placed.platform for placed in loaded.rules.rules})
    _known(platform, packs)
    with event_log(config) as (log, settings), console(stderr=True).status("looking it up"):
        try:
            rows = report(
                log,
                bootstrap.open_store(settings),
                loaded.rules,
                load_books(settings, packs),
                platforms=(platform,) if platform else (),
                kinds=(kind,) if kind else (),
            )
        except NothingToAssess as error:
            raise click.ClickException(str(error)) from None
        warn_if_stale(log, settings)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        _show(rows)
    finish(1 if any(row.ready is False for row in rows) else 0)


def _known(platform: str | None, packs: Sequence[str]) -> None:
    if platform is not None and platform not in packs:
        raise click.UsageError(
            f"there is no platform {printable(platform, 60)!r}; enabled are {', '.join(packs) or 'none'}"
        )


def _show(rows: "Sequence[Readiness]") -> None:
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    for platform in dict.fromkeys(row.platform for row in rows):
        own = [row for row in rows if row.platform == platform]
        out.print(Text(printable(platform, 60), style="bold"))
        out.print(_line(out.width, *(Text(title, style="bold") for title in _TITLES)))
        for alike in _alike(own):
            first = alike[0]
            ready = Text(_WORDS[first.ready], style=_STYLES[first.ready])
            what = Text(f"{first.kind} {_cells(alike)}")
            lost, takes = _lost(first), _time(first.rto_seconds, first.rto_target)
            out.print(_line(out.width, ready, what, _takers(alike), Text(lost), Text(takes), Text(_load(alike))))
            why = [first.reason] + ([f"→ {first.remedy}"] if first.remedy else [])
            for text in why:
                out.print(Padding(Text(printable(text, _TEXT)), (0, 0, 0, _INDENT)))
        out.print()
    for platform in dict.fromkeys(row.platform for row in rows):
        tell(_summary(platform, [row for row in rows if row.platform == platform]))
    if not rows:
        tell("no rule of the enabled packs is about such a thing", err=True)


def _line(width: int, *cells: "Text") -> "Table":
    """One row whose columns stand in the same places in every row of the output."""
    from rich.table import Table

    widths = (7, 0, 0, 11, 15, 5)
    free = max(20, width - sum(widths) - len(widths) + 1)
    row = Table.grid(padding=(0, 1, 0, 0))
    for number, fixed in enumerate(widths):
        size = fixed or (free - free // 2 if number == 1 else free // 2)
        row.add_column(width=size, justify="right" if number == len(widths) - 1 else "left", overflow="fold")
    row.add_row(*cells)
    return row


def _alike(rows: "Sequence[Readiness]") -> "list[list[Readiness]]":
    """Rows that differ in nothing but the name of what dies and how full the others would be, together."""
    groups: dict[tuple[object, ...], list[Readiness]] = {}
    for row in rows:
        same = (row.kind, row.mode, row.ready, _steady(row.reason), row.remedy, row.rto_seconds, row.rpo_seconds)
        one = () if row.kind in _TOGETHER else (row.cell, row.takes_over)
        groups.setdefault((*same, *one), []).append(row)
    return list(groups.values())


def _steady(reason: str) -> str:
    return "".join(char for char in reason if not char.isdigit())


def _cells(rows: "Sequence[Readiness]") -> str:
    names = [printable(row.cell, 60) for row in rows]
    return ", ".join(names) if len(names) <= _LISTED else f"{names[0]} … {names[-1]} ({len(names)})"


def _takers(rows: "Sequence[Readiness]") -> "Text":
    from rich.text import Text

    names = {row.takes_over for row in rows}
    told = (names.pop() or "nobody") if len(names) == 1 else "the others"
    mode = rows[0].mode
    return Text(printable(told, 200) + ("" if mode == "none" else f", {mode}"))


def _time(seconds: float | None, target: float | None) -> str:
    from controlplane.failover.regions import told_seconds

    goal = "" if target is None else f" (≤ {told_seconds(target)})"
    return f"{'?' if seconds is None else told_seconds(seconds)}{goal}"


def _lost(row: "Readiness") -> str:
    from controlplane.model.units import human

    if row.rpo_seconds is None and row.rpo_bytes is not None:
        return human(row.rpo_bytes, "By")
    return _time(row.rpo_seconds, row.rpo_target)


def _load(rows: "Sequence[Readiness]") -> str:
    loads = [row.load_after for row in rows if row.load_after is not None]
    if not loads:
        return "?"
    worst = max(loads)
    return f"{worst * 100:.0f} %" if math.isfinite(worst) else "∞"


def _summary(platform: str, rows: "Sequence[Readiness]") -> str:
    counts = [(sum(row.ready is state for row in rows), words) for state, words in _COUNTED]
    return f"{platform}: {', '.join(f'{count} {words}' for count, words in counts if count)}"
