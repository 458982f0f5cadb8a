"""What became of each figure of a document: checked by a rule, left out for a reason, or missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from controlplane.documents import Document, nearest, parse_document, validate
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.figures import CHECKED, Exclusion, ExclusionFile, Figure, FigureFile
from controlplane.model.rules import RuleSet


@dataclass(frozen=True, slots=True)
class Coverage:
    """The figures of one pack that ask for a rule, by what became of them."""

    platform: str
    covered: dict[str, tuple[str, ...]]
    """Figure → the rules that check it."""
    excluded: dict[str, Exclusion]
    missing: tuple[str, ...]
    unchecked: dict[str, int]
    """Figures that are no rule by nature: `evaluate` → how many."""
    problems: tuple[Problem, ...]

    @property
    def entries(self) -> int:
        """Figures that ask for a rule."""
        return len(self.covered) + len(self.excluded) + len(self.missing)


def read_figures(platform: str) -> FigureFile:
    """`figures.yaml` of a shipped pack; InvalidInput names what is wrong in it."""
    return validate(_document(platform, "figures"), FigureFile)


def read_exclusions(platform: str) -> ExclusionFile:
    """`excluded.yaml` of a shipped pack."""
    return validate(_document(platform, "excluded"), ExclusionFile)


def _document(platform: str, name: str) -> Document:
    file = resources.files("alert_rules") / platform / f"{name}.yaml"
    shown = f"alert_rules/{platform}/{name}.yaml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = f"{{platform: {platform}, excluded: []}}" if name == "excluded" else "{}"
    return parse_document(text, shown)


def coverage(platform: str, rules: RuleSet) -> Coverage:
    """What the rules of a pack cover of its figures."""
    document = _document(platform, "excluded")
    problems: list[Problem] = []
    try:
        exclusions = validate(document, ExclusionFile).excluded
    except InvalidInput as error:
        problems += error.problems
        exclusions = ()
    figures = {figure.id: figure for figure in read_figures(platform).figures}
    checks = _checks(platform, rules)
    problems += _strangers(document, exclusions, checks, figures)
    asked = {name: figure for name, figure in figures.items() if figure.evaluate in CHECKED}
    excluded = {name: exclusion for exclusion in exclusions for name in exclusion.figures if name in asked}
    covered = {name: checks[name] for name in asked if name in checks}
    missing = tuple(name for name in asked if name not in covered and name not in excluded)
    unchecked: dict[str, int] = {}
    for figure in figures.values():
        if figure.evaluate not in CHECKED:
            unchecked[figure.evaluate] = unchecked.get(figure.evaluate, 0) + 1
    kept = {name: exclusion for name, exclusion in excluded.items() if name not in covered}
    return Coverage(platform, covered, kept, missing, unchecked, tuple(problems))


def _checks(platform: str, rules: RuleSet) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for placed in rules.rules:
        if placed.platform == platform:
            for figure in placed.covers:
                found[figure] = (*found.get(figure, ()), placed.id)
    return found


def _strangers(
    document: Document, exclusions: Sequence[Exclusion], checks: Iterable[str], figures: dict[str, Figure]
) -> list[Problem]:
    """Names that stand for no figure, and figures that are both covered and excluded."""
    wrong = []
    checked = set(checks)
    for index, exclusion in enumerate(exclusions):
        path = ("excluded", index, "figures")
        for name in exclusion.figures:
            if name not in figures:
                wrong.append(document.problem(path, f"there is no figure {name!r}", nearest(name, figures)))
            elif name in checked:
                wrong.append(document.problem(path, f"{name!r} is covered by a rule as well", "Remove one of them"))
        if exclusion.reason == "contradiction" and not exclusion.reading:
            remedy = "Add reading: which of the figures counts"
            wrong.append(document.problem(("excluded", index), "a contradiction without the reading chosen", remedy))
    strange = sorted(checked - figures.keys())
    wrong += [
        document.problem((), f"a rule covers {name!r}, which is no figure", nearest(name, figures)) for name in strange
    ]
    return wrong
