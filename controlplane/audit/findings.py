"""What an audit finds: verdicts, how much they matter, and the record of each checked claim."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from controlplane.audit.amounts import Value
from controlplane.audit.numbers import Number
from controlplane.audit.plan import Matters, Statement

NEGLIGIBLE = Decimal("0.01")
"""A claim that misses by at most 1 % was rounded."""
SLIP = Decimal(10)
"""No rounding and no forgotten part explains a factor of ten: a unit was taken for another."""
LARGE = {"money": Decimal("1.05"), "capacity": Decimal("1.25"), "recovery": Decimal("1.25")}
"""Off by 5 % a budget is another budget; off by a quarter a plan of capacity or recovery is another plan."""


class Verdict(StrEnum):
    """What is wrong with a claim."""

    SUM_ERROR = "sum_error"
    UNIT_ERROR = "unit_error"
    CONTRADICTION = "contradiction"
    INFEASIBLE = "infeasible"
    OMISSION = "omission"
    NOT_LIKE_FOR_LIKE = "not_like_for_like"
    UNDEFINED = "undefined"
    ROUNDING = "rounding"


class Impact(StrEnum):
    """How much a finding matters."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the highest."""
        return list(Impact).index(self)


WORDS = {
    Verdict.SUM_ERROR: "doesn't add up",
    Verdict.UNIT_ERROR: "off by a unit",
    Verdict.CONTRADICTION: "contradicts itself",
    Verdict.INFEASIBLE: "can't be done",
    Verdict.OMISSION: "something is left out",
    Verdict.NOT_LIKE_FOR_LIKE: "compares unlike things",
    Verdict.UNDEFINED: "means nothing",
    Verdict.ROUNDING: "rounded away",
}
REMEDIES = {
    Verdict.SUM_ERROR: "Use the recomputed figure, or correct the part that is wrong",
    Verdict.UNIT_ERROR: "Write the units into the calculation and do it again",
    Verdict.CONTRADICTION: "Decide which of the statements holds, and change the others",
    Verdict.INFEASIBLE: "Plan more, or promise less",
    Verdict.OMISSION: "Add what is missing, and whatever is computed from it",
    Verdict.NOT_LIKE_FOR_LIKE: "Compare both sides with the same things in them",
    Verdict.UNDEFINED: "State a condition or figure that can be checked",
    Verdict.ROUNDING: "Write the rounded figure as it is",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to; no verdict = the claim follows."""

    verdict: Verdict | None
    arithmetic: str
    why: str = ""
    values: dict[str, Value] = field(default_factory=dict)
    """What was recomputed, the main figure first, in the claim's unit."""
    claimed: str = ""
    recomputed: str = ""
    factor: Decimal | None = None
    """How many times the larger is the smaller; None where it isn't a matter of size."""
    result: Value | None = None
    """What other claims get that refer to what was recomputed here."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One claim after its check."""

    id: str
    platform: str
    topic: str
    matters: Matters
    unit: str
    says: tuple[Number, ...]
    """The claimed number, or both ends of a range; empty where none is claimed."""
    statements: tuple[Statement, ...]
    outcome: Outcome
    advice: str = ""

    @property
    def follows(self) -> bool:
        """Whether the claim follows from its parts."""
        return self.outcome.verdict is None

    @property
    def impact(self) -> Impact:
        """How much the finding matters: by what it concerns and by how far it is off."""
        return impact(self.outcome.verdict, self.matters, self.outcome.factor)

    @property
    def remedy(self) -> str:
        """What to do."""
        verdict = self.outcome.verdict
        general = REMEDIES[verdict] + "." if verdict else ""
        return f"{general} {self.advice}".strip()


def impact(verdict: Verdict | None, matters: Matters, factor: Decimal | None) -> Impact:
    """Low: rounding, or nothing rests on it. High: not a matter of size, or off by a large factor. Else medium."""
    if verdict in {None, Verdict.ROUNDING} or matters == "wording":
        return Impact.LOW
    if factor is None:
        return Impact.HIGH
    return Impact.HIGH if matters in LARGE and factor >= LARGE[matters] else Impact.MEDIUM


@dataclass(frozen=True, slots=True)
class Audit:
    """All claims of one plan, in its order."""

    platform: str
    document: str
    file: str
    checked: tuple[Checked, ...]

    @property
    def findings(self) -> tuple[Checked, ...]:
        """Claims that don't follow, what matters most first."""
        wrong = [one for one in self.checked if not one.follows]
        return tuple(sorted(wrong, key=lambda one: one.impact.rank))

    @property
    def verified(self) -> tuple[Checked, ...]:
        """Claims that follow."""
        return tuple(one for one in self.checked if one.follows)
