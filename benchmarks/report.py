"""Results as tables: each case, and cases next to their rivals of the same run."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Result

_COLUMNS = ("case", "what", "best", "median", "CPU", "p99", "rate (median)", "peak memory", "of it before", "target")
_PAIR_COLUMNS = ("case", "next to", "best", "its best", "faster", "wanted", "memory of the work", "wanted", "")


class SideBySide(NamedTuple):
    """A case and its rival: best seconds, how many times faster the case is, its share of the rival's memory."""

    case: str
    rival: str
    best: float
    rival_best: float
    faster: float
    faster_wanted: float
    memory: float
    memory_wanted: float | None
    met: bool


def side_by_side(results: Sequence[Result]) -> list[SideBySide]:
    """Cases whose rival was measured too."""
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
            SideBySide(
                result.name, rival.name, result.best, rival.best, faster, wanted.faster, memory, wanted.memory, met
            )
        )
    return rows


def show(results: Sequence[Result]) -> None:
    """Print the tables for people."""
    width = None if sys.stdout.isatty() else 140
    console = Console(width=width, markup=False, highlight=False)
    tables: list[tuple[str, Sequence[str], list[list[str]]]] = [("", _COLUMNS, [_cells(result) for result in results])]
    if pairs := side_by_side(results):
        tables.append(("Side by side, best of the same run", _PAIR_COLUMNS, [_pair_cells(pair) for pair in pairs]))
    for title, columns, rows in tables:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title or None)
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number < 2 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def markdown(results: Sequence[Result]) -> str:
    """The same tables for a page."""
    parts = [_table(_COLUMNS, [_cells(result) for result in results])]
    if pairs := side_by_side(results):
        parts.append(_table(_PAIR_COLUMNS, [_pair_cells(pair) for pair in pairs]))
    return "\n\n".join(parts)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *(([f"`{row[0]}`", *row[1:]]) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(result: Result) -> list[str]:
    return [
        result.name,
        result.about,
        *map(_seconds, (result.best, result.median, result.cpu)),
        _seconds(result.p99) if result.runs >= 20 else "–",
        f"{result.amount / result.median:,.0f} {result.unit}/s" if result.amount else "–",
        *(f"{size / 1e6:,.0f} MB" for size in (result.peak_bytes, result.before_bytes)),
        "–" if result.target is None else _target(result, result.target),
    ]


def _target(result: Result, seconds: float) -> str:
    return f"{'✓' if result.met else '✗'} {_seconds(seconds)}{' (p99)' if result.tail else ''}"


def _pair_cells(pair: SideBySide) -> list[str]:
    return [
        pair.case,
        pair.rival,
        _seconds(pair.best),
        _seconds(pair.rival_best),
        f"{pair.faster:,.1f}×",
        f"{pair.faster_wanted:,.0f}×",
        f"{pair.memory:.0%}",
        "–" if pair.memory_wanted is None else f"{pair.memory_wanted:.0%}",
        "✓" if pair.met else "✗",
    ]


def _seconds(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{seconds * 1000:,.1f} ms"
