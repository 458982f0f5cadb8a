"""A recommendation as a Terraform override file: the arguments that change, merged into resources that are there. Pure.

Override files: https://developer.hashicorp.com/terraform/language/files/override
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from controlplane.export.header import header
from controlplane.export.steps import NotExported, Step, Stretch, titled
from controlplane.model.recommendations import Recommendation

_LABEL = re.compile(r"[^A-Za-z0-9_-]")
Arguments = dict[str, "int | str | list[str]"]
_READS = ("describe-", "list-", "get-")


def terraform(recommendation: Recommendation, apply: Sequence[Stretch], revert: Sequence[Step]) -> str:
    """Resources with their new arguments, and the old ones as a comment; NotExported where a step has no resource."""
    before = dict(found for step in revert if (found := resource(step, recommendation)) is not None)
    lines = [
        *header(recommendation, "remove this file and apply again, or set what each resource says below"),
        "# Give each resource the label that it has in your configuration.",
    ]
    for number, stretch in enumerate(apply, 1):
        if stretch.do:
            lines += ["", f"# {titled(number, len(apply), stretch)}"]
            lines += [f"#   before: {condition}" for condition in stretch.before]
        for step in stretch.steps:
            lines += _block(step, recommendation, before)
    return "\n".join(lines) + "\n"


def _block(step: Step, recommendation: Recommendation, before: Mapping[tuple[str, str], "Arguments"]) -> Iterator[str]:
    found = resource(step, recommendation)
    if found is None:
        if _outside(step):
            yield from ("", f"# then, outside Terraform: {step.line}")
        elif not step.runs:
            yield from ("", f"# by hand: {step.line.lstrip('# ')}")
        return
    (kind, label), arguments = found
    yield from ("", f"resource {text(kind)} {text(label)} {{", *_aligned(arguments))
    old = before.get((kind, label))
    if old is not None:
        yield from ("  # revert:", *(f"  #{line[1:]}" for line in _aligned(old)))
    yield "}"


def _outside(step: Step) -> bool:
    """Whether a step is done beside Terraform, after it: on a host, or by the group that takes a new template."""
    return step.program == "ssh" or step.argv[1:3] == ("autoscaling", "start-instance-refresh")


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
    if step.argv[1:3] == ("autoscaling", "set-desired-capacity"):
        name, capacity = step.option("auto-scaling-group-name"), step.option("desired-capacity")
        if name and capacity:
            return ("aws_autoscaling_group", _label(name)), {"desired_capacity": int(capacity)}
    if step.argv[1:3] == ("ec2", "create-launch-template-version"):
        name, kind = step.option("launch-template-name"), _instance_type(step.option("launch-template-data"))
        if name and kind:
            return ("aws_launch_template", _label(name)), {"instance_type": kind}
    if step.argv[1:3] == ("ec2", "modify-volume"):
        size = step.option("size")
        if size:
            return ("aws_ebs_volume", _label(recommendation.proposal.target)), {"size": int(size)}
    if step.program == "ssh" and recommendation.proposal.kind == "add_storage":
        return None
    if step.argv[1:3] == ("autoscaling", "start-instance-refresh"):
        return None
    raise NotExported(f"no resource of Terraform stands for `{step.line[:120]}`")


def _instance_type(data: str | None) -> str | None:
    """The instance type of launch template data that say nothing else."""
    try:
        read = json.loads(data or "")
    except ValueError:
        return None
    found = read.get("InstanceType") if isinstance(read, dict) and len(read) == 1 else None
    return found if isinstance(found, str) else None


def hindrance(steps: Sequence[Step], recommendation: Recommendation) -> str | None:
    """Why Terraform can't say all that the steps change; None where it can, and there is something."""
    try:
        changed = [resource(step, recommendation) for step in steps]
    except NotExported as error:
        return str(error)
    return None if any(changed) else "none of its commands changes a resource of Terraform"


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
