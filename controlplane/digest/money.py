"""What is recommended and what it costs, what was decided, and how the cost of what runs has moved."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from controlplane.costs.bill import bill
from controlplane.digest.facts import Facts, short
from controlplane.model.digest import LISTED, Advised, Decided, Drift, Total
from controlplane.model.payloads import (
    RecommendationApproved,
    RecommendationExecuted,
    RecommendationExpired,
    RecommendationIneffective,
    RecommendationRejected,
    RecommendationVerified,
)
from controlplane.model.recommendations import Recommendation, Survival
from controlplane.model.resources import Resource

_Outcome = Literal["approved", "rejected", "executed", "verified", "ineffective", "expired"]


def advised(facts: Facts) -> tuple[list[Advised], int, list[Total]]:
    """Open recommendations, those of most money first, how many they are, and their sums."""
    open_ = [one for one in facts.recommendations.values() if one.open]
    open_.sort(key=lambda one: (-_weight(one), one.at, one.id))
    return [_advised(one) for one in open_[:LISTED]], len(open_), totals(open_)


def totals(recommendations: Sequence[Recommendation]) -> list[Total]:
    """Sums by currency; an unknown amount is counted."""
    found: dict[str, list[Recommendation]] = {}
    for one in recommendations:
        found.setdefault(one.proposal.cost.currency, []).append(one)
    return [
        Total(
            currency=currency,
            per_month=sum((one.proposal.cost.per_month or Decimal(0) for one in own), Decimal(0)),
            one_off=sum((one.proposal.cost.one_off or Decimal(0) for one in own), Decimal(0)),
            count=len(own),
            unknown_per_month=sum(one.proposal.cost.per_month is None for one in own),
            unknown_one_off=sum(one.proposal.cost.one_off is None for one in own),
        )
        for currency, own in sorted(found.items())
    ]


def _weight(one: Recommendation) -> Decimal:
    return abs(one.proposal.cost.per_month or Decimal(0))


def _advised(one: Recommendation) -> Advised:
    proposal = one.proposal
    return Advised(
        recommendation=one.id,
        title=short(proposal.title),
        change=short(f"{proposal.from_} → {proposal.to}"),
        status=one.status.value,
        since=one.at,
        per_month=proposal.cost.per_month,
        one_off=proposal.cost.one_off,
        currency=proposal.cost.currency,
        survives=short(_survives(proposal.survives)),
    )


def _survives(verdicts: Sequence[Survival]) -> str:
    for ok, words in ((False, "doesn't survive"), (None, "can't be told whether it survives")):
        found = [verdict.loss for verdict in verdicts if verdict.ok is ok]
        if found:
            return f"{words} {found[0]}"
    return f"survives {', '.join(verdict.loss for verdict in verdicts)}" if verdicts else ""


def decided(facts: Facts) -> list[Decided]:
    """What was decided about recommendations within the day, and what came of it; the newest first."""
    found = []
    for event in facts.events:
        payload, by, why = event.payload, "", ""
        outcome: _Outcome
        if isinstance(payload, RecommendationApproved | RecommendationRejected | RecommendationExecuted):
            by, why = payload.actor, payload.reason
            outcome = (
                "approved"
                if isinstance(payload, RecommendationApproved)
                else "rejected"
                if isinstance(payload, RecommendationRejected)
                else "executed"
            )
        elif isinstance(payload, RecommendationVerified | RecommendationIneffective):
            why = payload.reason
            outcome = "verified" if isinstance(payload, RecommendationVerified) else "ineffective"
        elif isinstance(payload, RecommendationExpired):
            outcome = "expired"
        else:
            continue
        name = payload.recommendation
        row = facts.recommendations.get(name)
        found.append(
            Decided(
                recommendation=name,
                title=short(row.proposal.title if row else name),
                outcome=outcome,
                by=short(by, 60),
                at=event.occurred_at,
                reason=short(why),
                per_month=row.proposal.cost.per_month if row else None,
                currency=row.proposal.cost.currency if row else "USD",
            )
        )
    return found[::-1][:LISTED]


def drift(facts: Facts) -> list[Drift]:
    """What each platform costs a month by its inventory and price book, against the inventory of a day ago."""
    found = []
    for platform in sorted({resource.platform for resource in facts.resources}):
        book = facts.prices.get(platform)
        if book is None:
            continue
        now = {one.id: one for one in facts.resources if one.platform == platform}
        made = bill(platform, list(now.values()), book)
        whole = made.sums.whole_per_month
        row = Drift(
            platform=short(platform, 60),
            now=whole.told(),
            now_per_month=whole.amount,
            change=None,
            unknown=len(made.unknown),
        )
        if facts.resources_before is None:
            found.append(row.model_copy(update={"note": "no inventory of a day ago"}))
            continue
        before = {one.id: one for one in facts.resources_before if one.platform == platform}
        earlier = bill(platform, list(before.values()), book).sums.whole_per_month if before else None
        moved = None
        if earlier is not None and whole.amount is not None and earlier.amount is not None:
            moved = whole.amount - earlier.amount
        found.append(row.model_copy(update={"change": moved, **_moves(before, now)}))
    found.sort(key=lambda row: (-abs(row.change or Decimal(0)), row.platform))
    return found[:LISTED]


def _moves(before: dict[str, Resource], now: dict[str, Resource]) -> dict[str, object]:
    return {
        "added": len(now.keys() - before.keys()),
        "removed": len(before.keys() - now.keys()),
        "changed": sum(before[name] != now[name] for name in before.keys() & now.keys()),
        "note": "" if before else "no inventory of a day ago",
    }
