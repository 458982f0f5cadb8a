"""A lost region: who takes over, what is lost, the order of the steps and what has to be true before each."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.methods import Region
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from tests.advice_cases import (
    HOSTILE,
    Series,
    alert,
    both,
    check_complete,
    history,
    moving,
    resource,
    stage,
    steady,
    take_over,
)

UP = "region.up"
LAG = "replication.lag"
RATE = "transaction.rate"
LOST = timedelta(minutes=2)


def regions(west: int = 20) -> list[Resource]:
    return [
        resource("east", "region", limits={RATE: 3000.0}, settings={"instances": "30"}),
        resource("west", "region", limits={RATE: 3000.0}, settings={"instances": str(west)}),
        resource("north", "region"),
    ]


def rule(**changes: Any) -> dict[str, Any]:
    return {
        "home": "east",
        "targets": [
            {
                "region": "west",
                "mode": "automatic",
                "candidate": "pg-west",
                "lag": {"signal": LAG, "where": {"scope": "west"}},
                "takes": "1s",
                "rto_target": "3m",
                "rpo_target": "0s",
            },
            {"region": "north", "mode": "manual", "lag": {"signal": LAG, "where": {"scope": "north"}, "unit": "h"}},
        ],
        "load": {"signal": RATE, "where": {"region": "east"}},
        "tiers": [{"name": "web", "setting": "instances", "price": "worker"}],
        "read": [["patronictl", "list"]],
        "fence": [["ssh", "--", "{lost}", "fence"]],
        "promote": [["patronictl", "failover", "--candidate={candidate}"]],
        "scale": [["scale", "--region={target}", "--tier={tier}", "--to={total}", "--by={start}"]],
        "route": [["aws", "route53", "change-resource-record-sets", "--change-batch=file://{target}.json"]],
        "verify": [["curl", "https://{target}.example.com/health"]],
        **changes,
    }


def samples(load: float | None = 1500.0, west: float | None = 0.0, *, north: float = 10.0, up: float = 1.0) -> Samples:
    rows: list[Series] = [
        (UP, {"region": "east"}, moving(lambda s: 0.0 if s >= -120 else 1.0)),
        (UP, {"region": "west"}, steady(up)),
        # When the region is lost its load is gone and the lag grows: what was before counts.
        (RATE, {"region": "east", "service": "a"}, moving(lambda s: load, until=LOST)),
        (LAG, {"scope": "west"}, moving(lambda s: west if west is None or s <= -120 else west + 100)),
        (LAG, {"scope": "north"}, steady(north)),
    ]
    return history(*rows)


def ask(known: Samples, resources: list[Resource], region: str = "east", **changes: Any) -> Proposal:
    facts = alert("== 0", "1", began=LOST, region=region)
    return take_over("region", rule(**changes), facts, known, *resources)


def test_the_steps_come_in_order_each_with_what_must_be_true_before() -> None:
    proposal = ask(samples(2500.0), regions())
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("failover", "region east")
    assert [step.do.split(" ")[0] for step in proposal.plan] == ["Read", "Fence", "See", "Lead", "Verify", "Start"]
    assert all(step.before for step in proposal.plan)
    assert proposal.commands == (
        "patronictl list",
        "ssh -- east fence",
        "patronictl failover --candidate=pg-west",
        "aws route53 change-resource-record-sets --change-batch=file://west.json",
        "curl https://west.example.com/health",
        "scale --region=west --tier=web --to=25 --by=5",
    )
    assert "nothing in east takes writes" in proposal.plan[2].before
    # 25 of 30 instances carry 2,500 of 3,000; 20 are there.
    assert (stage(proposal, "web raw"), stage(proposal, "web start")) == (25, 5)
    assert "west would be at 125 %" in proposal.why
    assert proposal.to == "west, with 5 web to start"
    # 5 × 0.10 × 730
    assert proposal.cost.per_month == Decimal(365)
    assert "by itself" in proposal.why


@pytest.mark.parametrize(
    ("load", "start", "after"),
    [(0.0, 0, "0 %"), (1999.0, 0, "99.95 %"), (2000.0, 0, "100 %"), (2001.0, 1, "100 %"), (3000.0, 10, "150 %")],
)
def test_as_many_are_started_as_the_load_takes(load: float, start: int, after: str) -> None:
    proposal = ask(samples(load), regions())
    assert stage(proposal, "web start") == start
    assert f"west would be at {after}" in proposal.why


def test_without_a_measured_load_what_was_lost_is_replaced() -> None:
    proposal = ask(samples(None), regions())
    assert stage(proposal, "web start") == 10
    assert "isn't known" in proposal.why
    assert "one for one" in proposal.stages[0].reason


def test_an_empty_region_is_filled_before_clients_are_led_there() -> None:
    proposal = ask(samples(), regions(west=0))
    assert [step.do.split(" ")[0] for step in proposal.plan] == ["Read", "Fence", "See", "Start", "Lead", "Verify"]
    assert "they have to be started first" in proposal.why
    # Started instances serve after 10 minutes: the objective of 3 is missed.
    assert {one.signal: one.verdict for one in proposal.evidence}["RTO objective"] == "missed"


@pytest.mark.parametrize(
    ("lag", "kept", "verdict"), [(0.0, True, "met"), (0.5, False, "missed"), (None, None, "unknown")]
)
def test_what_is_lost_is_the_lag_when_the_loss_began(lag: float | None, kept: bool | None, verdict: str) -> None:
    proposal = ask(samples(west=lag), regions())
    check_complete(proposal)
    assert {one.loss: one.ok for one in proposal.survives}["the data of the lost region"] is kept
    assert {one.signal: one.verdict for one in proposal.evidence}["RPO objective"] == verdict


def test_the_next_region_takes_over_where_the_first_does_not_answer() -> None:
    proposal = ask(samples(up=0.0), regions())
    check_complete(proposal)
    assert proposal.title == "Move from region east to north"
    assert "10h behind" not in proposal.inputs["west"]
    assert "36000" not in proposal.why
    assert "10h" in proposal.why
    assert proposal.rejected[0].reason == "it doesn't answer either"
    nobody = both(samples(up=0.0), history((UP, {"region": "north"}, steady(0.0))))
    with pytest.raises(AdviceError, match="no region is left: west, north"):
        ask(nobody, regions())


def answering(west: float | None, north: float | None, silent: timedelta = timedelta(0)) -> Samples:
    """West's last sample is `silent` old; None where a region has none."""
    return history(
        (UP, {"region": "west"}, [(-silent, west)]),
        (UP, {"region": "north"}, [(timedelta(0), north)]),
        (LAG, {"scope": "north"}, steady(10.0)),
    )


NORTH_DOES = "whether it answers isn't known, and north does"
AFTER_WEST = "manual, 10h behind; it stands behind west in the rule"


@pytest.mark.parametrize(
    ("known", "to", "reason"),
    [
        (answering(1.0, 1.0), "west", AFTER_WEST),
        (answering(1.0, 1.0, timedelta(minutes=4, seconds=59)), "west", AFTER_WEST),
        (answering(1.0, 1.0, timedelta(minutes=5)), "north", NORTH_DOES),
        (answering(0.0, 1.0, timedelta(minutes=10)), "north", NORTH_DOES),
        (answering(None, 1.0), "north", NORTH_DOES),
        (answering(1.0, None), "west", "whether it answers isn't known, and west does"),
        (answering(None, None), "west", AFTER_WEST),
        (answering(None, 0.0), "west", "it doesn't answer either"),
        (answering(0.0, None), "north", "it doesn't answer either"),
    ],
)
def test_one_that_answers_comes_before_one_that_is_not_heard_of(known: Samples, to: str, reason: str) -> None:
    proposal = ask(known, regions())
    check_complete(proposal)
    assert proposal.title == f"Move from region east to {to}"
    assert proposal.rejected[0].reason == reason
    heard = "not measured" not in proposal.inputs[to]
    assert (f"Whether {to} answers isn't known: region.up isn't measured." in proposal.why) is not heard


def test_another_region_than_the_one_that_serves_needs_no_failover() -> None:
    with pytest.raises(AdviceError, match="serves nobody in normal times"):
        ask(samples(), regions(), region="west")


def test_traffic_back_is_priced_once_and_unknown_where_it_is_not_measured() -> None:
    changes = {"copy_back": {"signal": "data.size", "copies": 3}, "traffic_price": "cross-zone"}
    held = both(
        samples(), history(("data.size", {"host": "a"}, steady(6e12)), ("data.size", {"host": "b"}, steady(3e12)))
    )
    # 9 TB in three copies: 3,000 GB at 0.01.
    assert ask(held, regions(), **changes).cost.one_off == Decimal(30)
    unknown = ask(samples(), regions(), **changes).cost
    assert (unknown.known, unknown.one_off) == (False, None)


def test_hostile_names() -> None:
    targets = [{"region": HOSTILE, "mode": "manual"}]
    home = "east"
    nodes = [resource(home, "region"), resource(HOSTILE, "region")]
    check_complete(ask(samples(), nodes, targets=targets, tiers=[{"name": HOSTILE}]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"targets": [{"region": "east", "mode": "manual"}]}, "can't take over from itself"),
        ({"targets": [{"region": "west", "mode": "manual"}] * 2}, "names a region twice"),
        ({"targets": []}, "at least 1"),
        ({"read": [], "fence": [], "promote": [], "route": [], "verify": []}, "name the commands"),
        ({"promote": [["x", "{host}"]]}, "can't be filled in"),
    ],
)
def test_parameters_that_make_no_sense(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Region.model_validate(rule(**changes))


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 10_000), st.floats(0, 10_000), st.integers(0, 40))
def test_more_load_never_takes_fewer_instances(a: float, b: float, west: int) -> None:
    less, more = (stage(ask(samples(load), regions(west)), "web start") for load in sorted((a, b)))
    assert 0 <= less <= more
