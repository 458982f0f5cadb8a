"""A recommendation as an Ansible playbook: a play for the change, and one with the tag `revert`. Pure."""

from collections.abc import Sequence
from typing import Any

import yaml

from controlplane.export.header import header
from controlplane.export.steps import NotExported, Step, Stretch, titled
from controlplane.model.labels import printable
from controlplane.model.recommendations import Recommendation

_ASKS = {"failover", "switchover", "reinit"}
_TEMPLATES = ("{{", "{%", "{#")
_WIDE = 1_000


def playbook(recommendation: Recommendation, apply: Sequence[Stretch], revert: Sequence[Step]) -> str:
    """Plays in the order of the steps, over ssh where a step does so; NotExported where a step would be a template.

    What has to be true before a step of the plan is asked for, unless the variable `confirmed` is set.
    """
    title = printable(recommendation.proposal.title, 200)
    plays: list[dict[str, Any]] = []
    for number, stretch in enumerate(apply, 1):
        name = titled(number, len(apply), stretch) if stretch.do else title
        if stretch.before or (stretch.do and not stretch.steps):
            plays.append(_asked(name, stretch))
        plays += _plays(name, stretch.steps, ["apply"])
    plays += _plays(f"Revert: {title}", revert, ["never", "revert"])
    told = "ansible-playbook --tags revert; commands that ask are given --force"
    text: str = yaml.safe_dump(plays, sort_keys=False, allow_unicode=True, width=_WIDE)
    return "\n".join(header(recommendation, told)) + "\n---\n" + text


def _asked(name: str, stretch: Stretch) -> dict[str, Any]:
    """A play that waits until somebody says that what a step needs is true."""
    conditions = "".join(f"\n- {_safe(text)}" for text in stretch.before)
    wanted = f"Before it, this has to be true:{conditions}\n" if conditions else ""
    task = {
        "name": _safe(f"Before {name}" if conditions else name),
        "ansible.builtin.pause": {"prompt": f"{_safe(name)}. {wanted}Enter goes on, Ctrl-C and A stop"},
        "when": "confirmed is not defined",
    }
    return {
        "name": _safe(name),
        "hosts": "localhost",
        "gather_facts": False,
        "tags": ["apply"],
        "connection": "local",
        "tasks": [task],
    }


def _plays(title: str, steps: Sequence[Step], tags: list[str]) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = []
    for step in steps:
        if any(mark in step.line for mark in _TEMPLATES):
            raise NotExported(f"Ansible would take a part of `{step.line[:120]}` for a template")
        host, task = _task(step)
        if not plays or plays[-1]["hosts"] != host:
            play: dict[str, Any] = {"name": _safe(title), "hosts": host, "gather_facts": False, "tags": tags}
            if host == "localhost":
                play["connection"] = "local"
            play["tasks"] = []
            plays.append(play)
        plays[-1]["tasks"].append(task)
    return plays


def _task(step: Step) -> tuple[str, dict[str, Any]]:
    if not step.runs:
        remark = step.line.lstrip("# ")
        return "localhost", {"name": _safe(f"By hand: {remark}"), "ansible.builtin.debug": {"msg": _safe(remark)}}
    name = _safe(step.line)
    if step.program == "ssh":
        operands = [part for part in step.argv[1:] if part != "--"]
        host, remote = operands[0], " ".join(operands[1:])
        return host, {"name": name, "ansible.builtin.shell": {"cmd": remote, "executable": "/bin/bash"}}
    if not step.plain:
        return "localhost", {"name": name, "ansible.builtin.shell": {"cmd": step.line, "executable": "/bin/bash"}}
    return "localhost", {"name": name, "ansible.builtin.command": {"argv": list(_forced(step))}}


def _forced(step: Step) -> tuple[str, ...]:
    """Nobody can answer a question that a playbook's command asks."""
    if step.program == "patronictl" and len(step.argv) > 1 and step.argv[1] in _ASKS and "--force" not in step.argv:
        return (*step.argv[:2], "--force", *step.argv[2:])
    return step.argv


def _safe(text: str) -> str:
    """Text for a name or message, which Ansible reads as a template too."""
    made = printable(text, 200)
    for mark in _TEMPLATES:
        made = made.replace(mark, " ".join(mark))
    return made
