"""`python -m benchmarks [NAME …] [--json]`: measure the cases with these names (or beginnings), or all short ones."""

import json
import os
import platform
import sys
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import cases
from benchmarks.measure import CaseFailed, Result, measure


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--list", "only_list", is_flag=True, help="Name the cases and end.")
def main(names: tuple[str, ...], as_json: bool, only_list: bool) -> None:
    """Measure time and memory of the heavy parts; see docs/benchmarks.md for earlier numbers."""
    chosen = [
        case
        for case in cases.ALL
        if any(case.name.startswith(name) for name in names) or not (names or case.on_request)
    ]
    if not chosen:
        raise click.UsageError(f"there is no case {names[0]!r}; there are {', '.join(case.name for case in cases.ALL)}")
    if only_list:
        for case in chosen:
            click.echo(f"{case.name:<28} {case.about}")
        return
    results: list[Result] = []
    failed = False
    screen = Console(stderr=True)
    for number, case in enumerate(chosen, 1):
        with screen.status(f"{number}/{len(chosen)} {case.name}"):
            if not screen.is_terminal:
                click.echo(f"{number}/{len(chosen)} {case.name}", err=True)
            try:
                results.append(measure(case))
            except CaseFailed as error:
                failed = True
                click.echo(f"failed: {error}", err=True)
    if as_json:
        compared = [dict(zip(_SIDE_BY_SIDE, row, strict=True)) for row in _side_by_side(results)]
        document = {"machine": machine(), "results": [r.as_dict() for r in results], "side_by_side": compared}
        click.echo(json.dumps(document, indent=2))
    else:
        _print(results)
        _print_side_by_side(results)
    sys.exit(1 if failed else 0)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def _print(results: list[Result]) -> None:
    width = None if sys.stdout.isatty() else 140
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (
        "Case",
        "What",
        "Best",
        "Median",
        "CPU",
        "p99",
        "Rate (median)",
        "Peak memory",
        "of it before",
        "Target",
    ):
        table.add_column(column, justify="left" if column in {"Case", "What"} else "right")
    for result in results:
        rate = f"{result.amount / result.median:,.0f} {result.unit}/s" if result.amount else "–"
        target = "–" if result.target is None else f"{'✓' if result.met else '✗'} {_seconds(result.target)}"
        table.add_row(
            result.name,
            result.about,
            *map(_seconds, (result.best, result.median, result.cpu)),
            _seconds(result.p99) if result.runs >= 20 else "–",
            rate,
            *(f"{size / 1e6:,.0f} MB" for size in (result.peak_bytes, result.before_bytes)),
            target,
        )
    Console(width=width, markup=False, highlight=False).print(table)


_SIDE_BY_SIDE = ("case", "rival", "best", "rival_best", "faster", "faster_wanted", "memory", "memory_wanted", "met")


def _side_by_side(results: list[Result]) -> list[tuple[Any, ...]]:
    """Cases next to their rivals of the same run: best times, how many times faster, share of the memory."""
    by_name = {result.name: result for result in results}
    rows = []
    for result in results:
        wanted = result.rival
        if wanted is None or wanted.name not in by_name:
            continue
        rival = by_name[wanted.name]
        faster, memory = rival.best / result.best, result.work_bytes / max(rival.work_bytes, 1)
        met = faster >= wanted.faster and (wanted.memory is None or memory <= wanted.memory)
        rows.append(
            (result.name, rival.name, result.best, rival.best, faster, wanted.faster, memory, wanted.memory, met)
        )
    return rows


def _print_side_by_side(results: list[Result]) -> None:
    rows = _side_by_side(results)
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Side by side, best of the same run")
    for column in ("Case", "Next to", "Best", "Its best", "Faster", "Wanted", "Memory of the work", "Wanted", ""):
        table.add_column(column, justify="left" if column in {"Case", "Next to"} else "right")
    for name, rival, best, its_best, faster, wanted, memory, share, met in rows:
        table.add_row(
            name,
            rival,
            _seconds(best),
            _seconds(its_best),
            f"{faster:,.1f}×",
            f"{wanted:,.0f}×",
            f"{memory:.0%}",
            "–" if share is None else f"{share:.0%}",
            "✓" if met else "✗",
        )
    Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False).print(table)


def _seconds(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{seconds * 1000:,.1f} ms"


if __name__ == "__main__":
    main()
