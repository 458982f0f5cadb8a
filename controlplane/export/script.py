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
    echo "stopped: nothing of this step was run" >&2
    exit 5
  fi
}
yes="${2:-}\""""
_END = """\
*)
  echo "usage: $0 apply%s|revert" >&2
  exit 2
  ;;
esac
"""


def script(recommendation: Recommendation, apply: Sequence[Stretch], revert: Sequence[Step]) -> str:
    """The steps in order; stops at the first that fails, and `apply` refuses to run once the advice has expired.

    Where the plan says what has to be true before a step, `apply` asks, and ends where that isn't confirmed.
    """
    expires = int(recommendation.expires_at.timestamp())
    everything = [step for stretch in apply for step in stretch.steps]
    asks = any(stretch.before for stretch in apply)
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
        *_planned(apply),
        "  ;;",
        "revert)",
        *_body(revert),
        "  ;;",
    ]
    return "\n".join(line for line in lines if line) + "\n" + _END % (" [--yes]" if asks else "")


def _planned(apply: Sequence[Stretch]) -> Iterator[str]:
    runs = any(step.runs for stretch in apply for step in stretch.steps)
    for number, stretch in enumerate(apply, 1):
        if stretch.do:
            yield f"  # {titled(number, len(apply), stretch)}"
        if stretch.before:
            parts = [titled(number, len(apply), stretch), *stretch.before]
            yield f"  before {' '.join(map(shlex.quote, parts))}"
        elif stretch.do and not stretch.steps:
            yield f"  printf '%s\\n' {shlex.quote(titled(number, len(apply), stretch))} >&2"
        if stretch.steps and (runs or not stretch.do):
            yield from _body(stretch.steps) if not stretch.do else (f"  {step.line}" for step in stretch.steps)


def _body(steps: Sequence[Step]) -> list[str]:
    by_hand = [step.line.lstrip("# ") for step in steps if not step.runs]
    made = [f"  {step.line}" for step in steps]
    if by_hand and not any(step.runs for step in steps):
        made += ['  echo "nothing here runs by itself; the remarks in this file say what to do" >&2', "  exit 4"]
    return made or ["  :"]
