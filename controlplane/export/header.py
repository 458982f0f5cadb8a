"""What stands at the top of everything that is handed over: which change, why, what it costs, until when. Pure."""

from controlplane.costs.explain import explain
from controlplane.model.labels import printable
from controlplane.model.recommendations import Recommendation

_LONG = 1_000


def header(recommendation: Recommendation, revert: str) -> list[str]:
    """Lines of a comment, each beginning with `#`; nothing in them can end the comment."""
    proposal = recommendation.proposal
    money = explain(recommendation, None)
    cost = f"{money.per_month.told()} a month on demand, {money.per_month_reserved.told()} with reservations, "
    cost += f"{money.one_off.told()} once"
    unknown = f"; unknown: {', '.join(money.unknown)}" if money.unknown else ""
    lines = [
        proposal.title,
        f"recommendation {recommendation.id}, version {recommendation.version}, {recommendation.status.value}",
        f"platform {recommendation.platform}, rule {recommendation.rule}, alert {recommendation.alert}",
        f"change: {proposal.from_} → {proposal.to}",
        f"why: {proposal.why}",
        f"cost: {cost}{unknown}",
        f"expires: {recommendation.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        f"revert: {revert}",
        "Nothing of this has been run. Read it before you do.",
    ]
    if not recommendation.open:
        lines.insert(0, f"CLOSED: this recommendation is {recommendation.status.value}.")
    return [f"# {printable(line, _LONG)}" for line in lines]
