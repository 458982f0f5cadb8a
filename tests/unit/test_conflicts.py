"""Never two open recommendations for one target that contradict each other."""

import pytest

from controlplane.model.recommendations import Recommendation, Stage, Status
from controlplane.tick.conflicts import contender, prevails
from tests.drafts import recommendation


def of(kind: str, size: float | None = None, *, name: str = "r1", target: str = "t") -> Recommendation:
    stages = (
        ()
        if size is None
        else (Stage(name="raw", value=size + 5, reason=""), Stage(name="clamped", value=size, reason=""))
    )
    one = recommendation(name)
    proposal = one.proposal.model_copy(update={"kind": kind, "target": target, "stages": stages})
    return one.model_copy(update={"proposal": proposal})


@pytest.mark.parametrize(
    ("new", "standing", "wins"),
    [
        (of("failover"), of("scale_out", 9), True),
        (of("failover"), of("scale_in", 1), True),
        (of("failover"), of("failover"), False),
        (of("scale_out", 3), of("scale_in", 1), True),
        (of("scale_in", 1), of("scale_out", 3), False),
        (of("scale_out", 4), of("scale_out", 3), True),
        (of("scale_out", 3), of("scale_out", 3), False),
        (of("scale_out", 3), of("scale_out", 4), False),
        (of("add_storage", 9), of("scale_out", 3), False),
        (of("scale_out"), of("scale_out", 3), False),
        (of("rebalance"), of("scale_out", 3), False),
        (of("scale_out", 3), of("rebalance"), True),
        (of("rebalance"), of("scale_in"), True),
        (of("failover"), of("repair"), True),
        (of("investigate"), of("repair"), True),
        (of("repair"), of("failover"), False),
    ],
    ids=lambda value: (
        f"{value.proposal.kind} {value.proposal.stages[-1].value if value.proposal.stages else '-'}"
        if isinstance(value, Recommendation)
        else str(value)
    ),
)
def test_which_of_two_stands(new: Recommendation, standing: Recommendation, wins: bool) -> None:
    assert prevails(new, standing) is wins


@pytest.mark.parametrize(
    ("known", "found"),
    [
        (of("scale_in", name="r2"), True),
        (of("scale_in", name="r2", target="another"), False),
        (of("scale_in", name="r1"), False),
        (of("scale_in", name="r2").model_copy(update={"platform": "prism"}), False),
        (of("scale_in", name="r2").model_copy(update={"status": Status.APPROVED}), True),
        (of("scale_in", name="r2").model_copy(update={"status": Status.REJECTED}), False),
        (of("scale_in", name="r2").model_copy(update={"status": Status.EXECUTED}), False),
    ],
    ids=["same target", "another target", "itself", "another platform", "approved", "rejected", "executed"],
)
def test_only_what_is_open_for_the_same_target_contends(known: Recommendation, found: bool) -> None:
    assert contender(of("scale_out", 3), [known]) == (known if found else None)
