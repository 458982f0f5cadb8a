"""How commands print: JSON documents, tables, and the options that all of them share."""

import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from controlplane.model.labels import printable

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])

WIDTH = 120
"""Columns of a table that doesn't go to a terminal, unless COLUMNS says otherwise."""
_CELL = 400
_PREFIX = 4
_LINE = 4_000
_SUSPECT = re.compile(r"[^\x00-\x7e]")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _nearest_config(context: click.Context, _parameter: click.Parameter, given: Path | None) -> Path | None:
    above = context.parent
    while given is None and above is not None:
        given, above = above.params.get("config"), above.parent
    return given


def config_option(function: F) -> F:
    """`--config FILE`, also where it was given before the name of the command."""
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_nearest_config,
        help="Settings file [default: $CONTROLPLANE_CONFIG or ./controlplane.yaml].",
    )(function)


def output_option(function: F) -> F:
    """`--output FILE`: a text file that is opened once there is something to write, or stdout."""
    return click.option(
        "--output",
        "-o",
        type=click.File("w", encoding="utf-8", lazy=True),
        default="-",
        help="File to write [default: stdout].",
    )(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def print_json(document: Any) -> None:
    """One JSON document on stdout; characters that could steer a terminal or hide text are escaped.

    JSON has no numbers beyond the finite ones: they become "Infinity", "-Infinity" and "NaN". Times are ISO 8601 with
    Z; one without a zone is UTC.
    """
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, default=_text, allow_nan=False)
    click.echo(_SUSPECT.sub(lambda match: _escaped(match[0]), text))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _text(value: object) -> str:
    if not isinstance(value, datetime):
        return str(value)
    at = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return at.isoformat().replace("+00:00", "Z")


def _escaped(char: str) -> str:
    if char == "\x7f":
        return "\\u007f"
    return json.dumps(char)[1:-1] if unicodedata.category(char) in _HIDDEN else char


def tell(text: str, *, err: bool = False) -> None:
    """Text on stdout (or stderr), line by line, with control characters made visible."""
    for line in text.split("\n"):
        click.echo(printable(line, _LINE), err=err)


def finish(code: int) -> None:
    """End the command with this exit code."""
    click.get_current_context().exit(code)


def console(*, stderr: bool = False) -> "Console":
    """A console that prints what it is given: no markup, no highlighting of numbers."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    piped = int(columns) if columns.isdecimal() and 20 <= int(columns) <= 1_000 else WIDTH
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else piped
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Any:
    """A plain table; every cell is printed literally, a list or tuple as one line an entry.

    Columns in `right` are aligned to the right, those in `whole` are never broken over lines.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(printable(title, _CELL), style="bold", no_wrap=True) if title else None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
    )
    for column in columns:
        justify: Any = "right" if column in right else "left"
        made.add_column(Text(printable(column, _CELL)), justify=justify, overflow="fold", no_wrap=column in whole)
    for row in rows:
        made.add_row(*(_cell(cell) for cell in row))
        if any(isinstance(cell, list | tuple) for cell in row):
            made.leading = 1  # an empty line between rows, where rows have several lines by intent
    return made


def _cell(cell: object) -> Any:
    from rich.text import Text

    if isinstance(cell, Text):
        return cell
    lines = cell if isinstance(cell, list | tuple) else [cell]
    return Text("\n".join(printable(str(line), _CELL) for line in lines))


def severity_text(severity: str) -> Any:
    """The word, with weight and colour: never colour alone."""
    from rich.text import Text

    styles = {"critical": "bold #FF8A80", "warning": "bold #E69F00", "info": "#56B4E9"}
    return Text(printable(severity.upper(), 20), style=styles.get(severity, ""))


def moment(at: datetime | None) -> str:
    """`2026-03-12 19:12:30Z`, or a dash."""
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M:%SZ")


def pick(given: str, known: Iterable[str], what: str, remedy: str) -> str:
    """The id that `given` is, or is the only beginning of, with 4 characters or more; ClickException where it isn't."""
    ids = sorted(known)
    if given in ids:
        return given
    found = [name for name in ids if len(given) >= _PREFIX and name.startswith(given)]
    if len(found) == 1:
        return found[0]
    shown = printable(given, 100)
    if found:
        raise click.ClickException(f"{shown} is the beginning of {len(found)} ids; write more of it")
    raise click.ClickException(f"there is no {what} {shown}; {remedy}")


def actor() -> str:
    """Who is acting: CONTROLPLANE_ACTOR, else the login name."""
    import getpass

    try:
        return os.environ.get("CONTROLPLANE_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
