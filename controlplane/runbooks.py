"""The runbooks that are shipped: their text, and the first check of each in plain text."""

import re
import shlex
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FOLDERS = (
    Path(__file__).parents[1] / "docs" / "runbooks",
    Path(sysconfig.get_path("data")) / "share" / "controlplane" / "runbooks",
)
"""In a checkout, and where the wheel puts them."""
_LONGEST = 100_000
_HEADING = "## First checks"
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_QUESTION, _COMMAND, _LINES = 300, 1_200, 12


def runbook(name: str | None, folders: Iterable[Path] = FOLDERS) -> str:
    """The text of a runbook in Markdown; empty where there is none by that name."""
    if not name or not name.replace("-", "").replace("_", "").isalnum():
        return ""
    return _read(tuple(folders), name)


@cache
def first_check(name: str) -> str:
    """What to look at first, as a line of text and then a command of one or more lines; each may be missing."""
    return first_check_in(runbook(name))


def first_check_in(text: str) -> str:
    """The first check of a runbook's text: what stands before the first block under its heading, and the command in it.

    A command that doesn't fit in 12 lines of 1,200 characters is left out: half of one is worse than none.
    """
    question: list[str] = []
    block: list[str] | None = None
    _, _, rest = text.partition(f"\n{_HEADING}\n")
    for line in rest.splitlines():
        if line.startswith("## "):
            break
        if line.startswith("```"):
            if block is not None:
                break
            block = []
        elif block is not None:
            block.append(line)
        elif line.strip():
            question.append(line.strip())
        elif question:
            # Another paragraph may come before the block; the first one is the question.
            question.append("")
    asked = " ".join(question).partition("  ")[0].strip()
    said = _LINK.sub(r"\1", asked).replace("`", "")
    said = said if len(said) <= _QUESTION else said[: _QUESTION - 1] + "…"
    command = _first_command(block or [])
    return f"{said}\n{command}" if command else said


def _first_command(lines: list[str]) -> str:
    taken: list[str] = []
    for line in lines:
        if taken and not (line.startswith((" ", "\t")) or line in {"done", "fi"} or _unfinished("\n".join(taken))):
            break
        taken.append(line.rstrip())
    command = "\n".join(taken).strip()
    return command if len(taken) <= _LINES and len(command) <= _COMMAND else ""


def _unfinished(command: str) -> bool:
    if command.endswith(("\\", "|", "&&", "||", "; do", "; then")):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


@cache
def _read(folders: tuple[Path, ...], name: str) -> str:
    for folder in folders:
        path = folder / f"{name}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")[:_LONGEST]
    return ""
