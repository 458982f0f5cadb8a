"""`controlplane failover`: if it died now, who takes over, what is lost, how long, and do the others carry the load?"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, table, tell
from controlplane.model.labels import printable
from controlplane.model.readiness import Dying, Readiness

_WORDS = {True: "yes", False: "NO", None: "unknown"}
_STYLES = {True: "#56B4E9", False: "bold #FF8A80", None: "#E69F00"}
_LISTED = 3


@click.command()
@config_option
@click.option("--platform", metavar="NAME", help="This platform alone.")
@click.option("--kind", type=click.Choice(get_args(Dying)), help="This kind of thing alone.")
@json_option
def failover(config: Path | None, platform: str | None, kind: Dying | None, *, as_json: bool) -> None:
    """If it died now: who takes over, what is lost, how long it takes, and whether the others carry the load.

    As of the last tick, what isn't ready first, with what would make it ready. Exit 1 where something isn't ready.
    """
    from controlplane import bootstrap
    from controlplane.cli.priced import load_books
    from controlplane.cli.rules.chosen import load
    from controlplane.cli.stores import event_log, warn_if_stale
    from controlplane.readiness_report import report

    loaded = load(config)
    for problem in loaded.problems:
        tell(str(problem), err=True)
    packs = sorted({placed.platform for placed in loaded.rules.rules})
    _known(platform, packs)
    with event_log(config) as (log, settings), console(stderr=True).status("looking it up"):
        rows = report(
            log,
            bootstrap.open_store(settings),
            loaded.rules,
            load_books(settings, packs),
            platforms=(platform,) if platform else (),
            kinds=(kind,) if kind else (),
        )
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


def _show(rows: Sequence[Readiness]) -> None:
    from rich.text import Text

    out = console()
    for platform in dict.fromkeys(row.platform for row in rows):
        own = [row for row in rows if row.platform == platform]
        lines = [
            (
                (alike[0].kind, *_cells(alike)),
                Text(_WORDS[alike[0].ready], style=_STYLES[alike[0].ready]),
                (alike[0].takes_over or "nobody", *((alike[0].mode,) if alike[0].mode != "none" else ())),
                (f"lost {_lost(alike)}", f"takes {_time(alike[0].rto_seconds, alike[0].rto_target)}"),
                _load(alike),
                (alike[0].reason, *((f"→ {alike[0].remedy}",) if alike[0].remedy else ())),
            )
            for alike in _alike(own)
        ]
        columns = ("If it died", "Ready", "Takes over", "Loss, time", "Load", "Why → what makes it ready")
        out.print(table(platform, columns, lines, right=("Load",), whole=("Ready", "Load")))
    for platform in dict.fromkeys(row.platform for row in rows):
        tell(_summary(platform, [row for row in rows if row.platform == platform]))
    if not rows:
        tell("no rule of the enabled packs says who takes over", err=True)


def _alike(rows: Sequence[Readiness]) -> list[list[Readiness]]:
    """Rows that differ in nothing but what dies and how full the others would be, together."""
    groups: dict[tuple[object, ...], list[Readiness]] = {}
    for row in rows:
        others = row.takes_over if row.kind in {"host", "broker"} else ""
        key = (row.kind, others, row.mode, row.ready, _steady(row.reason), row.remedy, row.rto_seconds, row.rpo_seconds)
        lone = () if row.kind in {"host", "broker", "zone"} else (row.cell, row.takes_over)
        groups.setdefault((*key, *lone), []).append(row)
    return list(groups.values())


def _steady(reason: str) -> str:
    return "".join(char for char in reason if not char.isdigit())


def _cells(rows: Sequence[Readiness]) -> list[str]:
    names = [printable(row.cell, 60) for row in rows]
    return names if len(names) <= _LISTED else [f"{names[0]} … {names[-1]}", f"({len(names)})"]


def _time(seconds: float | None, target: float | None) -> str:
    from controlplane.failover.regions import told_seconds

    goal = "" if target is None else f" (≤ {told_seconds(target)})"
    return f"{'?' if seconds is None else told_seconds(seconds)}{goal}"


def _lost(rows: Sequence[Readiness]) -> str:
    from controlplane.model.units import human

    row = rows[0]
    if row.rpo_seconds is None and row.rpo_bytes is not None:
        return human(row.rpo_bytes, "By")
    return _time(row.rpo_seconds, row.rpo_target)


def _load(rows: Sequence[Readiness]) -> str:
    loads = [row.load_after for row in rows if row.load_after is not None]
    if not loads:
        return "?"
    worst = max(loads)
    return f"{worst:.0%}" if math.isfinite(worst) else "all"


def _summary(platform: str, rows: Sequence[Readiness]) -> str:
    counts = {state: sum(row.ready is state for row in rows) for state in (False, None, True)}
    told = [
        f"{counts[False]} not ready" if counts[False] else "",
        f"{counts[None]} unknown" if counts[None] else "",
        f"{counts[True]} ready" if counts[True] else "",
    ]
    return f"{platform}: {', '.join(part for part in told if part)} of {len(rows):,}"
