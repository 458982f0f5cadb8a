"""A recommendation as a Terraform override file: the arguments that change, merged into resources that are there. Pure.

Override files: https://developer.hashicorp.com/terraform/language/files/override
"""

import json
import re
from collections.abc import Sequence

from controlplane.export.header import header
from controlplane.export.steps import NotExported, Step
from controlplane.model.recommendations import Recommendation

_LABEL = re.compile(r"[^A-Za-z0-9_-]")
Arguments = dict[str, "int | str | list[str]"]
_READS = ("describe-", "list-", "get-")


def terraform(recommendation: Recommendation, apply: Sequence[Step], revert: Sequence[Step]) -> str:
    """Resources with their new arguments, and the old ones as a comment; NotExported where a step has no resource."""
    before = dict(found for step in revert if (found := resource(step, recommendation)) is not None)
    lines = [
        *header(recommendation, "remove this file and apply again, or set what each resource says below"),
        "# Give each resource the label that it has in your configuration.",
    ]
    for step in apply:
        found = resource(step, recommendation)
        if found is None:
            if step.program == "ssh":
                lines += ["", f"# then, outside Terraform: {step.line}"]
            continue
        (kind, label), arguments = found
        old = before.get((kind, label))
        lines += ["", f"resource {text(kind)} {text(label)} {{"]
        lines += _aligned(arguments)
        if old is not None:
            lines += ["  # revert:", *(f"  #{line[1:]}" for line in _aligned(old))]
        lines.append("}")
    return "\n".join(lines) + "\n"


def resource(step: Step, recommendation: Recommendation) -> tuple[tuple[str, str], Arguments] | None:
    """Type, label and arguments of what a step changes; None where it changes nothing."""
    if not step.runs or (step.program == "aws" and any(part.startswith(_READS) for part in step.argv[1:3])):
        return None
    if step.argv[1:3] == ("autoscaling", "update-auto-scaling-group"):
        name, capacity = step.option("auto-scaling-group-name"), step.option("desired-capacity")
        if name and capacity:
            arguments: Arguments = {"desired_capacity": int(capacity)}
            zones = step.values("availability-zones")
            if zones:
                arguments["availability_zones"] = list(zones)
            return ("aws_autoscaling_group", _label(name)), arguments
    if step.argv[1:3] == ("ec2", "modify-volume"):
        size = step.option("size")
        if size:
            return ("aws_ebs_volume", _label(recommendation.proposal.target)), {"size": int(size)}
    if step.program == "ssh" and recommendation.proposal.kind == "add_storage":
        return None
    raise NotExported(f"no resource of Terraform stands for `{step.line[:120]}`")


def changes(steps: Sequence[Step], recommendation: Recommendation) -> bool:
    """Whether Terraform can say all that the steps change, and there is something."""
    try:
        return any(resource(step, recommendation) is not None for step in steps)
    except NotExported:
        return False


def text(value: str) -> str:
    """A string of HCL: quoted, and nothing in it is a template."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _label(name: str) -> str:
    made = _LABEL.sub("_", name)
    return made if made[:1].isalpha() or made[:1] == "_" else f"_{made}"


def _aligned(arguments: Arguments) -> list[str]:
    width = max(map(len, arguments))
    return [f"  {name:<{width}} = {_value(value)}" for name, value in arguments.items()]


def _value(value: int | str | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(text, value))}]"
    return text(value) if isinstance(value, str) else str(value)
