"""The parts and claims of a plan, as its file states them (`docs/audit.md`)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from controlplane.audit.amounts import FIELDS, Amount
from controlplane.audit.numbers import Number, parse_number
from controlplane.model.base import Model, RuleId

Matters = Literal["capacity", "recovery", "money", "monitoring", "wording"]
Named = dict[str, Amount]


def _says(raw: Any) -> Any:
    """One number, or the two ends of a range."""
    if isinstance(raw, tuple):
        return raw
    ends = raw if isinstance(raw, list) else [raw]
    if len(ends) not in {1, 2}:
        raise ValueError("write one number, or [least, most]")
    numbers = tuple(parse_number(end) for end in ends)
    if numbers[0].value > numbers[-1].value:
        raise ValueError("the first end of a range is the lower one")
    return numbers


Says = Annotated[tuple[Number, ...], BeforeValidator(_says)]


class Statement(Model):
    """Where a document says something, in its words."""

    section: str
    quote: str


class Part(Model):
    """A named amount."""

    amount: Amount
    unit: str = ""
    what: str = ""
    section: str = ""
    quote: str = ""


class _Claim(Model):
    id: RuleId
    topic: str = Field(min_length=1)
    matters: Matters
    unit: str = ""
    says: Says | None = None
    statements: tuple[Statement, ...] = ()
    advice: str = ""
    """What to do, where more can be said than follows from the verdict."""


class Said(_Claim):
    """A claim that is a number."""

    says: Says


class Equals(Said):
    """The number follows from its parts."""

    check: Literal["equals"]
    of: Amount


class Within(Said):
    """The range holds what its parts come to."""

    check: Literal["within"]
    of: Amount


class Agrees(Said):
    """Other places of the plan say the same."""

    check: Literal["agrees"]
    others: Named = Field(min_length=1)


class Complete(Said):
    """Everything that belongs to the number was counted."""

    check: Literal["complete"]
    of: Named = Field(min_length=1)
    counted: tuple[str, ...] = ()


class Bound(_Claim):
    """What is needed isn't more than what there is."""

    check: Literal["bound"]
    needs: Named = Field(min_length=1)
    has: Named = Field(min_length=1)
    limit: Literal["capacity", "setting", "meaning"] = "capacity"
    """What it means to exceed it: impossible, at odds with the plan's own setting, or saying nothing."""

    @field_validator("needs", "has", mode="before")
    @classmethod
    def _one(cls, raw: Any) -> Any:
        return raw if isinstance(raw, dict) and not _is_operation(raw) else {"": raw}


def _is_operation(raw: dict[Any, Any]) -> bool:
    from controlplane.audit.amounts import OPERATIONS

    return len(raw) == 1 and next(iter(raw)) in OPERATIONS


class Selected(Model):
    """Resources of the inventory; every key that is given has to be equal."""

    kind: str = ""
    role: str = ""
    cluster: str = ""
    zone: str = ""
    region: str = ""
    host: str = ""

    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The keys that were given."""
        return {name: (getattr(self, name),) for name in FIELDS if getattr(self, name)}


class Fit(Said):
    """So many carriers hold all of these resources, those of one cluster apart."""

    check: Literal["fit"]
    items: Selected
    into: Selected
    apart: tuple[str, ...] = ()
    overhead: Named = Field(default_factory=dict)
    """Share of `cores` and `memory` of a carrier that can't be given away."""
    spare: int = Field(default=0, ge=0)


class Subnets(_Claim):
    """Networks are written in canonical form, lie inside their block and don't overlap."""

    check: Literal["subnets"]
    block: str = ""
    networks: dict[str, str] = Field(min_length=1)


class Saving(Said):
    """What is saved against something else, with the same delivered on both sides."""

    check: Literal["saving"]
    theirs: Amount
    ours: Amount
    ours_lack: Named = Field(default_factory=dict)


class LikeForLike(_Claim):
    """Both sides of a comparison count the same things."""

    check: Literal["like_for_like"]
    sides: dict[str, Named] = Field(min_length=2, max_length=2)


class Alternatives(Said):
    """A saving is counted against the cheapest of the alternatives that the plan itself prices."""

    check: Literal["alternatives"]
    ours: Amount
    others: Named = Field(min_length=1)


class BreakEven(Said):
    """Months after which an investment has paid for itself."""

    check: Literal["break_even"]
    investment: Amount
    monthly: Amount
    others: Named = Field(min_length=1)
    """What each alternative costs a month."""


class Condition(_Claim):
    """Some value can be above the one and below the other."""

    check: Literal["condition"]
    above: Amount
    below: Amount


class Members(_Claim):
    """What one place of the plan names is there in another."""

    check: Literal["members"]
    wants: tuple[str, ...] = Field(min_length=1)
    has: tuple[str, ...] = ()
    absent: Literal["omission", "contradiction", "infeasible"] = "omission"
    apart: bool = False
    """The two lists must have nothing in common instead."""


class Each(_Claim):
    """Each amount is at least, or at most, so much."""

    check: Literal["each"]
    of: Named = Field(min_length=1)
    at_least: Amount | None = None
    at_most: Amount | None = None


class Multiple(Said):
    """The number is a whole multiple of a unit that can't be divided."""

    check: Literal["multiple"]
    of: Amount


Claim = Annotated[
    Equals
    | Within
    | Agrees
    | Complete
    | Bound
    | Fit
    | Subnets
    | Saving
    | LikeForLike
    | Alternatives
    | BreakEven
    | Condition
    | Members
    | Each
    | Multiple,
    Field(discriminator="check"),
]


class Plan(Model):
    """`plan.yaml`: parts and claims of one document."""

    platform: RuleId
    document: str = ""
    inventory: str = ""
    """File with the resources, beside the plan."""
    prices: str = ""
    """Price book, beside the plan."""
    parts: dict[str, Part] = Field(default_factory=dict)
    claims: tuple[Claim, ...]
