"""One recommendation a target: of two that would contradict each other, the one that must be done first stands."""

from collections.abc import Iterable

from controlplane.model.recommendations import Recommendation

_RANK = {
    "failover": 3,
    "scale_out": 2,
    "add_storage": 2,
    "shard": 2,
    "migrate": 2,
    "rebalance": 1,
    "investigate": 1,
    "repair": 0,
    "resize": 0,
    "scale_in": 0,
}


def contender(new: Recommendation, known: Iterable[Recommendation]) -> Recommendation | None:
    """The open recommendation for the same target of the same platform, if there is one."""
    for one in known:
        if (
            one.open
            and one.id != new.id
            and one.platform == new.platform
            and one.proposal.target == new.proposal.target
        ):
            return one
    return None


def prevails(new: Recommendation, standing: Recommendation) -> bool:
    """Whether a new recommendation takes the place of the one that stands.

    Failover beats growing, growing beats moving, anything beats shrinking, and a standby that is repaired gives
    way to what its primary's loss asks for; of two that grow, the larger wins; of equal
    ones the first stays.
    """
    ranks = _RANK[new.proposal.kind], _RANK[standing.proposal.kind]
    if ranks[0] != ranks[1]:
        return ranks[0] > ranks[1]
    sizes = [one.proposal.stages[-1].value if one.proposal.stages else None for one in (new, standing)]
    if sizes[0] is None or sizes[1] is None or new.proposal.kind != standing.proposal.kind:
        return False
    return sizes[0] > sizes[1]
