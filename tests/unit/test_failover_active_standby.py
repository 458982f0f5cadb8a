"""One active node and its standby: who may take over, what is never proposed, and the order of the runbook."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.methods import ActiveStandby
from controlplane.model.recommendations import Proposal
from tests.advice_cases import (
    HOSTILE,
    Series,
    alert,
    arguments,
    check_complete,
    history,
    moving,
    resource,
    steady,
    take_over,
)

ACTIVE, UP, SYNC, FENCE = "nfs.active", "nfs.up", "nfs.sync", "nfs.fencing"
PARAMETERS: dict[str, Any] = {
    "active": ACTIVE,
    "up": UP,
    "synchronous": SYNC,
    "fencing": FENCE,
    "rto_target": "30s",
    "address": "10.30.0.11",
    "mounts": {"/home": "client-1"},
    "look_commands": [["pcs", "status"]],
    "fence_commands": [["pcs", "stonith", "fence", "{lost}"]],
    "fenced_commands": [["pcs", "stonith", "history"]],
    "take_over_commands": [["pcs", "move", "group", "{candidate}"]],
    "answer_commands": [["showmount", "--exports", "{address}"]],
    "revert": [["pcs", "clear", "group"]],
}
LOST = timedelta(minutes=2)


def servers(
    *,
    b_up: float | None = 1.0,
    b_sync: float | None = 1.0,
    a_back: bool = False,
    b_active: float = 0.0,
    fencing: float | None = 1.0,
    a: str = "nfs-01",
    b: str = "nfs-02",
) -> Samples:
    """nfs-01 was active until two minutes ago; nfs-02 stands by."""
    gone = moving(lambda s: 1.0 if a_back or s < -LOST.total_seconds() else 0.0)
    series: list[Series] = [(ACTIVE, {"host": a}, gone), (UP, {"host": a}, gone), (SYNC, {"host": a}, steady(1.0))]
    series.append((ACTIVE, {"host": b}, steady(b_active)))
    series += [(UP, {"host": b}, steady(b_up))] if b_up is not None else []
    series += [(SYNC, {"host": b}, steady(b_sync))] if b_sync is not None else []
    series += [(FENCE, {"cluster": "nfs"}, steady(fencing))] if fencing is not None else []
    return history(*series)


def ask(samples: Samples, *resources: Any, **parameters: Any) -> Proposal:
    return take_over(
        "active_standby", {**PARAMETERS, **parameters}, alert(">= 30", "s", service="nfs"), samples, *resources
    )


def test_the_standby_takes_over_in_order() -> None:
    proposal = ask(servers())
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("failover", "file service nfs")
    assert proposal.title == "nfs-02 takes over nfs from nfs-01"
    assert "last seen to provide it at 18:57:45 UTC" in proposal.from_
    assert [step.do for step in proposal.plan] == [
        "Look who provides nfs now",
        "Fence nfs-01",
        "Start nfs on nfs-02",
        "See that 10.30.0.11 answers",
        "Look at each mount from a client",
    ]
    assert proposal.commands == (
        "ssh -- nfs-02 'pcs status'",
        "ssh -- nfs-02 'pcs stonith fence nfs-01'",
        "ssh -- nfs-02 'pcs stonith history'",
        "ssh -- nfs-02 'pcs move group nfs-02'",
        "showmount --exports 10.30.0.11",
        "ssh -- client-1 'timeout 5 stat -f -- /home'",
    )
    assert "nfs-01 is off" in proposal.plan[2].before[0]
    assert "2 checks in a row, 10 s apart" in proposal.plan[4].before[0]
    assert {item.loss: item.ok for item in proposal.survives} == {"nfs-02": False, "data": True}
    assert (proposal.cost.per_month, proposal.cost.one_off) == (0, 0)
    # three failed checks and a timeout are 35 s, longer than the 30 s of the document
    assert "35s at most" in proposal.inputs["health checks"]
    assert "the checks alone take longer" in proposal.inputs["objective of an automatic failover"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"b_sync": 0.0}, "nfs-02's data is not current"),
        ({"b_sync": None}, "nfs-02's data is of unknown age"),
        ({"b_up": 0.0}, "nfs-02 is no member"),
        ({"b_up": None}, "nfs-02 is not heard of"),
    ],
)
def test_nobody_may_take_over(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(AdviceError) as error:
        ask(servers(**parts))
    assert message in str(error.value)
    assert "from nfs-01" in str(error.value)


def test_a_node_that_was_never_seen_is_named() -> None:
    with pytest.raises(AdviceError, match="nfs-03 is not heard of"):
        ask(servers(b_sync=0.0), resource("nfs-03", "host", role="nfs-node"), role="nfs-node")


@pytest.mark.parametrize(("age", "eligible"), [(59, True), (60, False), (61, False)])
def test_how_long_a_word_counts(age: int, eligible: bool) -> None:
    told = [(timedelta(seconds=-age), 1.0)]
    samples = history(
        (ACTIVE, {"host": "a"}, moving(lambda s: 1.0 if s < -120 else 0.0)),
        (UP, {"host": "a"}, steady(0.0)),
        (UP, {"host": "b"}, told),
        (SYNC, {"host": "b"}, told),
    )
    if eligible:
        assert ask(samples).title == "b takes over nfs from a"
    else:
        with pytest.raises(AdviceError, match="b is not heard of"):
            ask(samples)


def test_nothing_is_moved_while_a_node_serves() -> None:
    proposal = ask(servers(a_back=True))
    check_complete(proposal)
    assert (proposal.kind, proposal.title) == ("investigate", "nfs-01 provides nfs")
    assert all("fence" not in text and "move" not in text for text in proposal.commands)
    assert proposal.survives[0].ok


def test_two_that_serve_are_told_and_nothing_is_moved() -> None:
    proposal = ask(servers(a_back=True, b_active=1.0))
    check_complete(proposal)
    assert (proposal.kind, proposal.title) == ("investigate", "nfs-01 and nfs-02 both provide nfs")
    assert all("fence" not in text and "move" not in text for text in proposal.commands)


@pytest.mark.parametrize(
    ("fencing", "told"),
    [(1.0, "fencing is enabled"), (0.0, "fencing is off: cut the power by hand"), (None, "fencing is enabled")],
)
def test_fencing(fencing: float | None, told: str) -> None:
    assert told in ask(servers(fencing=fencing)).plan[1].before


def test_what_is_missing_is_named() -> None:
    with pytest.raises(AdviceError, match="has no sample"):
        ask(history((FENCE, {}, steady(1.0))))
    with pytest.raises(AdviceError, match="no node has provided nfs"):
        ask(history((ACTIVE, {"host": "a"}, steady(0.0)), (UP, {"host": "a"}, steady(1.0))))


def test_hostile_names_stay_data_on_both_machines() -> None:
    proposal = ask(servers(a=HOSTILE, b="nfs-02"))
    check_complete(proposal)
    remote = arguments(proposal.commands[1])
    assert remote[:2] == ["--", "nfs-02"]
    assert arguments(remote[2])[-1] == HOSTILE


def test_three_nodes_leave_one_for_the_next_loss() -> None:
    more = history(
        (ACTIVE, {"host": "a"}, moving(lambda s: 1.0 if s < -120 else 0.0)),
        *((UP, {"host": name}, steady(1.0)) for name in "bc"),
        *((SYNC, {"host": name}, steady(1.0)) for name in "bc"),
    )
    proposal = ask(more)
    assert proposal.title == "b takes over nfs from a"
    assert proposal.survives[0].ok
    assert any(item.option == "c takes over" for item in proposal.rejected)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([0.0, 1.0, None]), st.sampled_from([0.0, 1.0, None]), st.booleans(), st.sampled_from([0.0, 1.0]))
def test_who_has_not_everything_never_takes_over(
    up: float | None, sync: float | None, back: bool, active: float
) -> None:
    samples = servers(b_up=up, b_sync=sync, a_back=back, b_active=active)
    try:
        proposal = ask(samples)
    except AdviceError:
        return
    assert ask(samples) == proposal
    if proposal.kind == "failover":
        assert (up, sync, back) == (1.0, 1.0, False)
        assert active == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": ""}, "at least 1"),
        ({"fence_commands": [["pcs", "{host}"]]}, "can't be filled in"),
        ({"healthy_after": 0}, "greater than or equal to 1"),
        ({"x": 1}, "Extra inputs"),
    ],
)
def test_parameters(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ActiveStandby.model_validate({**PARAMETERS, **change})
