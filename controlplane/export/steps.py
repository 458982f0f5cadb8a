"""The commands of a recommendation as steps: parsed, and checked for names that a tool doesn't take. Pure."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.model.commands import command
from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable
from controlplane.model.recommendations import Proposal


class NotExported(ControlplaneError):
    """Why a recommendation can't be handed over in a format."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a recommendation."""

    line: str
    program: str
    """Empty for a remark, which is something to be done by hand."""
    argv: tuple[str, ...] = ()
    plain: bool = False
    """Whether the line is nothing but the arguments: no pipe, redirection or variable."""

    @property
    def runs(self) -> bool:
        """Whether it is a command."""
        return bool(self.program)

    def option(self, name: str) -> str | None:
        """The value of `--name=value` or `--name value`."""
        for index, part in enumerate(self.argv):
            if part.startswith(f"--{name}="):
                return part.partition("=")[2]
            if part == f"--{name}" and index + 1 < len(self.argv):
                return self.argv[index + 1]
        return None

    def values(self, name: str) -> tuple[str, ...]:
        """The arguments behind `--name`, up to the next option."""
        if f"--{name}" not in self.argv:
            return ()
        found: list[str] = []
        for part in self.argv[self.argv.index(f"--{name}") + 1 :]:
            if part.startswith("-"):
                break
            found.append(part)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps that belong together: what they do, and what has to be true before them."""

    do: str
    before: tuple[str, ...]
    steps: tuple[Step, ...]


def stretches(proposal: Proposal) -> tuple[Stretch, ...]:
    """The plan of a proposal with its commands as steps, or all of them as one stretch where it has none.

    NotExported as for `steps`. Texts of the plan are made printable: they stand in comments and questions.
    """
    if not proposal.plan:
        return (Stretch("", (), steps(proposal.commands)),)
    return tuple(
        Stretch(printable(one.do, _LONG), tuple(printable(text, _LONG) for text in one.before), steps(one.commands))
        for one in proposal.plan
    )


def titled(number: int, of: int, stretch: Stretch) -> str:
    """`step 2 of 3: change the size`."""
    return f"step {number} of {of}: {stretch.do}"


_LONG = 1_000
_PATRONI = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_AWS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/#+=@-]{0,254}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_HOST = re.compile(r"([a-z_][a-z0-9_-]{0,31}@)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_DNS = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_OPERANDS: dict[str, tuple[re.Pattern[str], str]] = {
    "kubectl": (re.compile(rf"{_DNS}(/{_DNS})?"), "lower case letters, digits, dots and dashes"),
    "patronictl": (_PATRONI, "letters, digits, dots, dashes and underscores, 63 at most"),
    "openstack": (_GROUP, "letters, digits, dots, dashes and underscores"),
    "aws": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,254}"), "letters, digits, dots and dashes"),
}
_OPTIONS: dict[tuple[str, str], re.Pattern[str]] = {
    ("kubectl", "replicas"): _NUMBER,
    ("patronictl", "candidate"): _PATRONI,
    ("patronictl", "leader"): _PATRONI,
    ("aws", "auto-scaling-group-name"): _AWS_NAME,
    ("aws", "desired-capacity"): _NUMBER,
    ("aws", "size"): _NUMBER,
    ("ansible-playbook", "limit"): _GROUP,
    ("openstack", "flavor"): _GROUP,
    ("kafka-topics.sh", "topic"): _TOPIC,
    ("kafka-topics.sh", "partitions"): _NUMBER,
}
_FLAG = re.compile(r"--?[A-Za-z][A-Za-z0-9-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")


def steps(lines: Iterable[str]) -> tuple[Step, ...]:
    """The lines as steps; NotExported names the first one that no tool should be given."""
    return tuple(_step(line) for line in lines if line.strip())


def _step(line: str) -> Step:
    shown = printable(line, 120)
    # `quote` writes control and direction characters as $'…'; what isn't printable at all didn't come from there.
    if not line.isprintable() or "$'" in line:
        raise NotExported(f"a name in {shown!r} has control or direction characters; do it by hand, or rename it")
    if line.lstrip().startswith("#"):
        return Step(line.strip(), "")
    try:
        argv = tuple(shlex.split(line))
    except ValueError as error:
        raise NotExported(f"{shown!r} can't be read as a command: {error}") from None
    if not argv or not _WORD.fullmatch(argv[0]):
        raise NotExported(f"{shown!r} doesn't begin with the name of a program")
    step = Step(line.strip(), argv[0], argv, command(argv) == line.strip())
    _check(step)
    return step


def _check(step: Step) -> None:
    """Refuse names outside the tool's own characters, and those that it would take for an option."""
    if step.program == "ssh":
        host = next((part for part in step.argv[1:] if part != "--"), "")
        if not _HOST.fullmatch(host):
            raise NotExported(f"{printable(host, 80)!r} is no host for ssh: letters, digits, dots and dashes are")
        return
    operand = _OPERANDS.get(step.program)
    rest = False
    for part in step.argv[1:]:
        if part == "--" and not rest:
            rest = True
            continue
        if part.startswith("-") and not rest:
            name, _, value = part.partition("=")
            allowed = _OPTIONS.get((step.program, name.lstrip("-")))
            short = step.program == "aws" and not part.startswith("--")
            if not _FLAG.fullmatch(name) or short or (allowed is not None and not allowed.fullmatch(value)):
                told = printable(value or part, 80)
                raise NotExported(f"{told!r} is no {name.strip('-') or 'option'} that {step.program} takes")
        elif operand is not None and not operand[0].fullmatch(part):
            raise NotExported(f"{printable(part, 80)!r} is no name that {step.program} takes: {operand[1]}")
