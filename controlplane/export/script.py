"""A recommendation as a shell script with `apply` and `revert`. Pure."""

from collections.abc import Sequence

from controlplane.export.header import header
from controlplane.export.steps import Step
from controlplane.model.recommendations import Recommendation

_END = """\
*)
  echo "usage: $0 apply|revert" >&2
  exit 2
  ;;
esac
"""


def script(recommendation: Recommendation, apply: Sequence[Step], revert: Sequence[Step]) -> str:
    """The steps in order; stops at the first that fails, and `apply` refuses to run once the advice has expired."""
    expires = int(recommendation.expires_at.timestamp())
    lines = [
        "#!/usr/bin/env bash",
        *header(recommendation, "run this file with the argument revert"),
        "set -euo pipefail",
        'export AWS_PAGER=""' if any(step.program == "aws" for step in (*apply, *revert)) else "",
        'case "${1:-}" in',
        "apply)",
        f'  if [ "$(date -u +%s)" -ge {expires} ]; then',
        '    echo "this advice has expired; see controlplane recommendations for a new one" >&2',
        "    exit 3",
        "  fi",
        *_body(apply),
        "  ;;",
        "revert)",
        *_body(revert),
        "  ;;",
    ]
    return "\n".join(line for line in lines if line) + "\n" + _END


def _body(steps: Sequence[Step]) -> list[str]:
    by_hand = [step.line.lstrip("# ") for step in steps if not step.runs]
    made = [f"  {step.line}" for step in steps]
    if by_hand and not any(step.runs for step in steps):
        made += ['  echo "nothing here runs by itself; the remarks in this file say what to do" >&2', "  exit 4"]
    return made or ["  :"]
