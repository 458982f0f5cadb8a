"""One recommendation in full, for a reader who wants to check it before acting on it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from controlplane.cli.output import moment, table, tell
from controlplane.costs.explain import explain
from controlplane.model.labels import describe, printable
from controlplane.model.money import human_money
from controlplane.model.recommendations import CostLine, PlanStep, PriceSource, Proposal, Recommendation
from controlplane.model.time import human_duration
from controlplane.model.units import human

if TYPE_CHECKING:
    from rich.console import Console

_VERDICTS = {True: "yes", False: "NO", None: "can't be told"}


def print_record(out: "Console", recommendation: Recommendation) -> None:
    """Everything that the record holds; commands stand on lines of their own, unbroken, to be copied."""
    proposal = recommendation.proposal
    out.print(printable(proposal.title, 400), style="bold")
    tell(f"{proposal.from_} → {proposal.to}")
    tell("")
    decided = f", by {recommendation.decided_by}" if recommendation.decided_by else ""
    because = f": {recommendation.reason}" if recommendation.reason else ""
    _pairs(
        [
            ("Id", f"{recommendation.id}, version {recommendation.version}"),
            ("Kind", proposal.kind),
            ("Status", f"{recommendation.status.value}{decided}{because}"),
            ("Made", moment(recommendation.at)),
            ("Expires", moment(recommendation.expires_at)),
            ("Target", proposal.target),
            ("Rule", f"{recommendation.rule} ({recommendation.platform})"),
            ("Alert", recommendation.alert),
            ("Takes effect in", human_duration(proposal.time_to_effect)),
        ]
    )
    _text(out, "Why", [proposal.why])
    _text(out, "Gain", [proposal.gain])
    _numbers(out, proposal)
    _cost(out, recommendation)
    if proposal.survives:
        rows = [(s.loss, _VERDICTS[s.ok], s.reason) for s in proposal.survives]
        out.print(table("Survives, after the change", ("Loss of", "Survives", "Reason"), rows))
    if proposal.plan:
        _plan(out, proposal.plan)
    else:
        _commands(out, "Commands", proposal.commands)
    _commands(out, "To revert", proposal.revert)
    _evidence(out, proposal)
    if proposal.rejected:
        rejected = [(r.option, r.reason) for r in proposal.rejected]
        out.print(table("Considered and rejected", ("Option", "Reason"), rejected))


def _pairs(pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        tell(f"{name:<16} {value}")
    tell("")


def _text(out: "Console", title: str, lines: Iterable[str]) -> None:
    out.print(title, style="bold")
    for line in lines:
        out.print(printable(line, 4_000))
    out.print()


def _commands(out: "Console", title: str, commands: Iterable[str]) -> None:
    out.print(title, style="bold")
    found = list(commands)
    for command in found or ["–"]:
        for line in command.splitlines():
            tell(f"  {line}")
    out.print()


def _plan(out: "Console", plan: Iterable[PlanStep]) -> None:
    """The steps in order, with what has to be true before each."""
    out.print("Plan: in this order, and stop where something isn't so", style="bold")
    for number, step in enumerate(plan, 1):
        tell(f"  {number}. {step.do}")
        for condition in step.before:
            tell(f"     before: {condition}")
        for command in step.commands:
            for line in command.splitlines():
                tell(f"       {line}")
    out.print()


def _numbers(out: "Console", proposal: Proposal) -> None:
    if proposal.stages:
        stages = [(s.name, f"{s.value:,.6g}", s.limit or "–", s.reason) for s in proposal.stages]
        columns = ("Stage", "Value", "Limited by", "Reason")
        out.print(table("How the number came about", columns, stages, right=("Value",), whole=("Value",)))
    if proposal.inputs:
        out.print(table("Inputs", ("Input", "Value"), list(proposal.inputs.items())))


def _cost(out: "Console", recommendation: Recommendation) -> None:
    made = explain(recommendation, None)
    cost = recommendation.proposal.cost

    def money(amount: Decimal | None) -> str:
        return human_money(amount, cost.currency)

    rows: list[tuple[object, ...]] = [
        (
            [line.item, *([line.note] if line.note else [])],
            f"{line.quantity.normalize():f}" + (f" × {line.price}" if line.price else ""),
            *map(money, (line.per_month, line.per_month_reserved, line.one_off)),
            _origin(line),
        )
        for line in cost.lines
    ]
    rows.append(("Total", "", *(total.told() for total in (made.per_month, made.per_month_reserved, made.one_off)), ""))
    columns = ("Item", "Quantity × price", "Per month", "Reserved", "One-off", "Price from")
    amounts = ("Per month", "Reserved", "One-off")
    out.print(table("Cost (negative = saved)", columns, rows, right=amounts, whole=amounts))
    tell(f"Per year       {made.per_year.told()} on demand, {made.per_year_reserved.told()} with reservations")
    tell(f"Pays back      {made.payback.told}")
    for one in made.capacity:
        often = "a month" if one.paid == "per_month" else "once"
        tell(f"Per {one.unit}: {money(one.before)} → {money(one.after)} {often}")
    for item in made.unknown:
        tell(f"Unknown        the price of {item}")
    tell(f"Doing nothing: {cost.do_nothing}")
    tell("")


def _origin(line: CostLine) -> str:
    source: PriceSource | None = line.source
    if source is None:
        return "–"
    return ", ".join(part for part in (source.document, source.section, source.date) if part)


def _evidence(out: "Console", proposal: Proposal) -> None:
    if not proposal.evidence:
        return
    rows = [
        (
            [e.signal, *([describe(e.labels)] if e.labels else [])],
            human(e.value, e.unit),
            e.limit or "–",
            [e.verdict or "–", *([e.reference] if e.reference else [])],
            moment(e.at),
        )
        for e in proposal.evidence
    ]
    columns = ("Signal", "Value", "Limit", "Verdict, alert or samples", "At")
    out.print(table("Evidence", columns, rows, right=("Value",), whole=("At",)))
