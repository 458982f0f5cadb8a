"""Choose the format: which ones can say what a recommendation changes, and what it looks like in one. Pure."""

from dataclasses import dataclass

from controlplane.export.playbook import playbook
from controlplane.export.script import script
from controlplane.export.steps import NotExported, Step, steps, stretches
from controlplane.export.terraform import hindrance, terraform
from controlplane.model.labels import printable
from controlplane.model.recommendations import Recommendation

_PROGRAMS = {"kubectl": "kubectl", "aws-cli": "aws", "patronictl": "patronictl"}
FORMATS = ("terraform", "kubectl", "aws-cli", "patronictl", "ansible")
_SUFFIX = {"terraform": "_override.tf", "ansible": ".yaml"}


@dataclass(frozen=True, slots=True)
class Exported:
    """A change in a format."""

    recommendation: str
    version: int
    format: str
    name: str
    """A name for its file."""
    runs: bool
    """Whether the file is a program."""
    text: str


def fitting(recommendation: Recommendation) -> tuple[str, ...]:
    """The formats that can say what it changes; NotExported where a name in it is one that no tool should be given."""
    if recommendation.proposal.kind == "investigate":
        return ()
    apply = steps(recommendation.proposal.commands)
    return tuple(name for name in FORMATS if _fits(name, apply, recommendation))


def _fits(name: str, apply: tuple[Step, ...], recommendation: Recommendation) -> bool:
    if name == "terraform":
        return hindrance(apply, recommendation) is None
    if name == "ansible":
        return any(step.runs for step in apply)
    return any(step.program == _PROGRAMS[name] for step in apply)


def export(recommendation: Recommendation, form: str) -> Exported:
    """The change as a text in one of FORMATS; NotExported says why not, and which formats can say it."""
    proposal = recommendation.proposal
    fits = fitting(recommendation)
    if form not in fits:
        raise NotExported(_refusal(recommendation, form, fits))
    apply, revert = stretches(proposal), steps(proposal.revert)
    made = {"terraform": terraform, "ansible": playbook}.get(form, script)(recommendation, apply, revert)
    return Exported(
        recommendation=recommendation.id,
        version=recommendation.version,
        format=form,
        name=f"recommendation_{recommendation.id}{_SUFFIX.get(form, '.sh')}",
        runs=form in _PROGRAMS,
        text=made,
    )


def _refusal(recommendation: Recommendation, form: str, fits: tuple[str, ...]) -> str:
    proposal = recommendation.proposal
    what = f"{proposal.kind} of {printable(proposal.target, 80)}"
    if proposal.kind == "investigate":
        return f"{what} changes nothing, so there is nothing to hand over; `recommendations show` has its commands"
    if not fits:
        return f"{what} is work by hand: no command is recorded; `recommendations show` says what to do"
    can = f"{' and '.join(fits)} can"
    if form == "terraform":
        return f"terraform can't say this {what}: {hindrance(steps(proposal.commands), recommendation)}; {can}"
    if form in _PROGRAMS:
        programs = sorted({step.program for step in steps(proposal.commands) if step.runs})
        return f"{form} can't say this {what}: it is done with {', '.join(programs)}; {can}"
    return f"{form} can't say this {what}; {can}"
