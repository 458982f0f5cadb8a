"""Check every claim of a plan against its parts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from controlplane.audit.amounts import Known, Node, Unknown, Value, as_stated, value_of
from controlplane.audit.comparing import alternatives, break_even, like_for_like, saving
from controlplane.audit.figures import agrees, complete, equals, matches, multiple, within
from controlplane.audit.findings import Audit, Checked, Outcome
from controlplane.audit.fitting import fit
from controlplane.audit.holding import bound, condition, each, members
from controlplane.audit.plan import Claim, Equals
from controlplane.audit.reading import Material
from controlplane.audit.subnets import subnets
from controlplane.model.errors import InvalidInput, Problem

Evaluate = Callable[[Node], Value]

_DEEP = 40

_CHECKS: dict[str, Callable[[Any, Evaluate], Outcome]] = {
    "equals": equals,
    "within": within,
    "agrees": agrees,
    "complete": complete,
    "multiple": multiple,
    "bound": bound,
    "condition": condition,
    "each": each,
    "members": members,
    "saving": saving,
    "like_for_like": like_for_like,
    "alternatives": alternatives,
    "break_even": break_even,
    "subnets": subnets,
}


def audit(material: Material) -> Audit:
    """Every claim of a plan, checked; InvalidInput where some can't be computed, with all the reasons."""
    work = _Work(material)
    checked: list[Checked] = []
    problems: list[Problem] = []
    for index, claim in enumerate(material.plan.claims):
        try:
            outcome = work.outcome(claim)
        except (Unknown, ArithmeticError) as error:
            message = f"can't be recomputed: {error if isinstance(error, Unknown) else 'a number is too large'}"
            problems.append(material.document.problem(("claims", index), message, "Correct it, or add what is missing"))
            continue
        if not outcome.claimed and claim.statements:
            outcome = replace(outcome, claimed=f"“{claim.statements[0].quote}”")
        checked.append(
            Checked(
                claim.id,
                material.plan.platform,
                claim.topic,
                claim.matters,
                claim.unit,
                claim.says or (),
                claim.statements,
                outcome,
                claim.advice,
            )
        )
    if problems:
        raise InvalidInput(problems)
    return Audit(material.plan.platform, material.plan.document, material.document.name, tuple(checked))


class _Work:
    """Looks names up, each once, and finds those that refer to themselves."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._claims = {claim.id: claim for claim in material.plan.claims}
        self._parts: dict[str, Value] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._open: list[str] = []
        self._known = Known(self._part, self._claim, material.price, self._resources, material.limit)

    def outcome(self, claim: Claim) -> Outcome:
        """What the check of a claim comes to; Unknown where it can't be computed."""
        if claim.id not in self._outcomes:
            self._outcomes[claim.id] = self._once(f"claim {claim.id}", lambda: self._check(claim))
        return self._outcomes[claim.id]

    def _check(self, claim: Claim) -> Outcome:
        if claim.check == "fit":
            return fit(claim, self._value, self._material)
        outcome = _CHECKS[claim.check](claim, self._value)
        return self._inherited(claim, outcome) if isinstance(claim, Equals) and outcome.verdict else outcome

    def _inherited(self, claim: Equals, outcome: Outcome) -> Outcome:
        """A total that adds up from its parts as they are stated is wrong in the way of the part that is."""
        parts = [node.name for node in claim.of.walk() if node.operation == "recomputed"]
        wrong = [name for name in parts if self._outcomes[name].verdict]
        if not wrong or not matches(claim.says, self._value(as_stated(claim.of))):
            return outcome
        why = f"it adds up, but {', '.join(wrong)} is wrong"
        return replace(outcome, verdict=self._outcomes[wrong[0]].verdict, why=why)

    def _value(self, node: Node) -> Value:
        return value_of(node, self._known)

    def _part(self, name: str) -> tuple[Value, str]:
        part = self._material.plan.parts[name]
        if name not in self._parts:
            self._parts[name] = self._once(f"part {name}", lambda: self._value(part.amount))
        return self._parts[name], part.unit

    def _claim(self, which: str, name: str) -> Value:
        claim = self._claims[name]
        if which == "stated":
            if claim.says is None:
                raise Unknown(f"the claim {name} says no number")
            low, high = claim.says[0].value, claim.says[-1].value
            return Value(low, high, "", unit=claim.unit)
        result = self.outcome(claim).result
        if result is None:
            raise Unknown(f"the claim {name} comes to no number")
        return replace(result, unit=claim.unit or result.unit)

    def _resources(self, wanted: Mapping[str, Sequence[str]], of: str) -> Sequence[Decimal]:
        return self._material.amounts(wanted, of)

    def _once(self, what: str, compute: Callable[[], Any]) -> Any:
        if what in self._open:
            raise Unknown(f"the {what} refers to itself")
        if len(self._open) > _DEEP:
            raise Unknown("too many parts are made of each other in a row")
        self._open.append(what)
        try:
            return compute()
        finally:
            self._open.pop()
