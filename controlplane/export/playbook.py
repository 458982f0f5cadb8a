"""A recommendation as an Ansible playbook: plays for its steps, and one with the tag `revert`. Pure."""

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
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_STRICT = "set -euo pipefail; "
_ASKS_FIRST = "confirmed is not defined"
_STOPPED = "stopped: nobody said y; -e confirmed=1 says it to every question"
_Task = dict[str, Any]


def playbook(recommendation: Recommendation, apply: Sequence[Stretch], revert: Sequence[Step]) -> str:
    """Plays on this machine in the order of the steps; NotExported where a step would be a template.

    The first that fails ends it, and so does advice that has expired, which a revert doesn't look at. What has to be
    true or done by hand before a command is asked for, unless the variable `confirmed` is set; only `y` goes on.
    """
    title = printable(recommendation.proposal.title, 200)
    plays = [_play(f"Not once it has expired: {title}", [_current(recommendation)], ["apply"])]
    for number, stretch in enumerate(apply, 1):
        name = titled(number, len(apply), stretch) if stretch.do else title
        followed = any(step.runs for later in apply[number:] for step in later.steps)
        tasks = _condition(name, stretch.before) if stretch.before else []
        if stretch.do and not tasks and not stretch.steps:
            tasks = _by_hand(name, followed=followed)
        plays.append(_play(name, tasks + _tasks(stretch.steps, followed=followed), ["apply"]))
    plays.append(_play(f"Revert: {title}", _tasks(revert, followed=False), ["never", "revert"]))
    told = "ansible-playbook --tags revert; commands that ask are given --force"
    text: str = yaml.safe_dump(
        [play for play in plays if play["tasks"]], sort_keys=False, allow_unicode=True, width=_WIDE
    )
    return "\n".join(header(recommendation, told)) + "\n---\n" + text


def _play(name: str, tasks: list[_Task], tags: list[str]) -> dict[str, Any]:
    # Other hosts would be skipped where the inventory doesn't have them, and the play after them would run.
    return {
        "name": _safe(name),
        "hosts": "localhost",
        "gather_facts": False,
        "tags": tags,
        "connection": "local",
        "tasks": tasks,
    }


def _current(recommendation: Recommendation) -> _Task:
    expires = f"{recommendation.expires_at:{_TIME}}"
    return {
        "name": f"This advice expires at {expires}",
        "ansible.builtin.fail": {"msg": "this advice has expired; see controlplane recommendations for a new one"},
        "when": f"now(utc=true, fmt='{_TIME}') >= '{expires}'",
    }


def _tasks(steps: Sequence[Step], *, followed: bool) -> list[_Task]:
    """`followed`: whether a command comes after them."""
    tasks: list[_Task] = []
    for index, step in enumerate(steps):
        if any(mark in step.line for mark in _TEMPLATES):
            raise NotExported(f"Ansible would take a part of `{step.line[:120]}` for a template")
        if step.runs:
            tasks.append(_command(step))
        else:
            later = followed or any(one.runs for one in steps[index + 1 :])
            tasks += _by_hand(step.line.lstrip("# "), followed=later)
    return tasks


def _condition(name: str, before: Sequence[str]) -> list[_Task]:
    conditions = "".join(f"\n- {_safe(text)}" for text in before)
    return _asked(f"Before {name}", f"{_safe(name)}. Before it, this has to be true:{conditions}\nIs all of that so?")


def _by_hand(what: str, *, followed: bool) -> list[_Task]:
    name = f"By hand: {what}"
    if followed:
        return _asked(name, f"{_safe(name)}\nIs it done?")
    return [{"name": _safe(name), "ansible.builtin.debug": {"msg": _safe(what)}}]


def _asked(name: str, question: str) -> list[_Task]:
    # Where nobody can answer, pause goes on with an empty input.
    return [
        {
            "name": _safe(name),
            "ansible.builtin.pause": {"prompt": f"{question} y goes on, anything else stops"},
            "register": "answer",
            "when": _ASKS_FIRST,
        },
        {
            "name": "Only after a y",
            "ansible.builtin.assert": {"that": "answer.user_input == 'y'", "fail_msg": _STOPPED},
            "when": _ASKS_FIRST,
        },
    ]


def _command(step: Step) -> _Task:
    name = _safe(step.line)
    if not step.plain:
        return {"name": name, "ansible.builtin.shell": {"cmd": _STRICT + step.line, "executable": "/bin/bash"}}
    argv = list(_forced(step))
    # What a shell would leave in quotes, Ansible expands.
    kept = {"expand_argument_vars": False} if any("$" in part or part.startswith("~") for part in argv) else {}
    return {"name": name, "ansible.builtin.command": {"argv": argv, **kept}}


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
