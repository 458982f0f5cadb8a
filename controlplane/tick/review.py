"""When a recommendation is looked at again, what counts as a change, and what came of one that was executed. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from controlplane.model.payloads import AlertFacts, EventPayload, RecommendationIneffective, RecommendationVerified
from controlplane.model.recommendations import Proposal, Recommendation, Status
from controlplane.model.time import human_duration, to_ms

REVIEW_EVERY = timedelta(minutes=5)
MATERIAL = Decimal("0.1")
"""A cost that moves by more than this share is told as a revision; less is noise of the measurement."""


def material_changes(before: Proposal, after: Proposal) -> tuple[str, ...]:
    """Names of the parts that somebody who acts on the proposal has to know about."""
    # Other texts carry measurements, which move with every sample.
    parts: dict[str, tuple[object, object]] = {
        "kind": (before.kind, after.kind),
        "target": (before.target, after.target),
        "title": (before.title, after.title),
        "commands": (_executable(before), _executable(after)),
        "survives": ([(s.loss, s.ok) for s in before.survives], [(s.loss, s.ok) for s in after.survives]),
    }
    changed = [name for name, (old, new) in parts.items() if old != new]
    if _moved(before.cost.per_month, after.cost.per_month) or _moved(before.cost.one_off, after.cost.one_off):
        changed.append("cost")
    return tuple(changed)


def _executable(proposal: Proposal) -> list[str]:
    return [command for command in proposal.commands if not command.startswith("#")]


def _moved(before: Decimal | None, after: Decimal | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > MATERIAL * max(abs(before), abs(after))


def full(at: datetime) -> bool:
    """Whether this step is one of those, every five minutes, on which advice is looked at again."""
    return to_ms(at) % round(REVIEW_EVERY.total_seconds() * 1000) == 0


def due(recommendations: Iterable[Recommendation], at: datetime) -> list[Recommendation]:
    """Recommendations to look at on this step.

    Those proposed every full five minutes, those open when they expire, those executed at every step.
    """
    return [
        recommendation
        for recommendation in recommendations
        if at > recommendation.at
        and (
            recommendation.status is Status.EXECUTED
            or (recommendation.open and at >= recommendation.expires_at)
            or (recommendation.status is Status.PROPOSED and full(at))
        )
    ]


def effect(
    recommendation: Recommendation, facts: AlertFacts | None, at: datetime, lost: str = ""
) -> list[EventPayload]:
    """How an executed one ends; `facts` of its alert, None where that is over. Empty while it may still help.

    `lost` says why nothing is known of the alert any more: a change that took the data away has not ended it.
    """
    assert recommendation.decided_at is not None
    done, time = recommendation.decided_at, recommendation.proposal.time_to_effect
    if facts is None and not lost:
        reason = f"the alert ended within {human_duration(max(at - done, timedelta(0)))}"
        return [RecommendationVerified(recommendation=recommendation.id, reason=reason)]
    if facts is not None and at < done + time:
        return []
    if lost:
        reason = f"whether it helped isn't known: {lost}"
        return [RecommendationIneffective(recommendation=recommendation.id, reason=reason)]
    reason = f"{human_duration(time)} after it was executed the alert still fires"
    return [RecommendationIneffective(recommendation=recommendation.id, reason=reason)]
