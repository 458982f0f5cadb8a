"""A recommendation as a shell script with `apply` and `revert`. Pure."""

import shlex
from collections.abc import Iterator, Sequence

from controlplane.export.header import header
from controlplane.export.steps import Step, Stretch, titled
from controlplane.model.recommendations import Recommendation

_ASK = """\
# Asks whether everything that a step needs is true; --yes says so for all of them.
before() {
  printf '%s\\n' "$1" >&2
  shift
  printf '  before: %s\\n' "$@" >&2
  if [ "$yes" = --yes ]; then return; fi
  printf 'Is all of that so? [y/N] ' >&2
  read -r answer || answer=
  if [ "$answer" != y ]; then
    echo "stopped: nothing that follows was run" >&2
    exit 5
  fi
}
yes="${2:-}\""""
_ASKED = "  before "
_DONE = "it is done"
_END = """\
*)
  echo "usage: $0 apply|revert%s" >&2
  exit 2
  ;;
esac
"""


def script(recommendation: Recommendation, apply: Sequence[Stretch], revert: Sequence[Step]) -> str:
    """The steps in order; stops at the first that fails, and `apply` refuses to run once the advice has expired.

    What has to be true or done by hand before a command is asked for; it ends where that isn't confirmed.
    """
    expires = int(recommendation.expires_at.timestamp())
    everything = [step for stretch in apply for step in stretch.steps]
    planned, back = list(_planned(apply)), _body(revert)
    asks = any(line.startswith(_ASKED) for line in (*planned, *back))
    lines = [
        "#!/usr/bin/env bash",
        *header(recommendation, "run this file with the argument revert"),
        "set -euo pipefail",
        'export AWS_PAGER=""' if any(step.program == "aws" for step in (*everything, *revert)) else "",
        _ASK if asks else "",
        'case "${1:-}" in',
        "apply)",
        f'  if [ "$(date -u +%s)" -ge {expires} ]; then',
        '    echo "this advice has expired; see controlplane recommendations for a new one" >&2',
        "    exit 3",
        "  fi",
        *planned,
        "  ;;",
        "revert)",
        *back,
        "  ;;",
    ]
    return "\n".join(line for line in lines if line) + "\n" + _END % (" [--yes]" if asks else "")


def _planned(apply: Sequence[Stretch]) -> Iterator[str]:
    runs = any(step.runs for stretch in apply for step in stretch.steps)
    for number, stretch in enumerate(apply, 1):
        title = titled(number, len(apply), stretch)
        followed = any(step.runs for later in apply[number:] for step in later.steps)
        if stretch.do:
            yield f"  # {title}"
        if stretch.before:
            yield _asked(title, *stretch.before)
        elif stretch.do and not stretch.steps:
            yield _asked(title, _DONE) if followed else f"  printf '%s\\n' {shlex.quote(title)} >&2"
        if stretch.steps and (runs or not stretch.do):
            yield from _lines(stretch.steps, followed=followed) if stretch.do else _body(stretch.steps)


def _body(steps: Sequence[Step]) -> list[str]:
    made = list(_lines(steps, followed=False))
    if steps and not any(step.runs for step in steps):
        made += ['  echo "nothing here runs by itself; the remarks in this file say what to do" >&2', "  exit 4"]
    return made or ["  :"]


def _lines(steps: Sequence[Step], *, followed: bool) -> Iterator[str]:
    """`followed`: whether a command comes after them."""
    for index, step in enumerate(steps, 1):
        yield f"  {step.line}"
        if not step.runs and (followed or any(later.runs for later in steps[index:])):
            yield _asked(f"By hand: {step.line.lstrip('# ')}", _DONE)


def _asked(what: str, *before: str) -> str:
    return f"{_ASKED}{' '.join(map(shlex.quote, (what, *before)))}"
