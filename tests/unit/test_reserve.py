"""The reserve for the loss of a zone or host: how many instances, where, what they cost, and when nothing is said."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from tests.advice_cases import (
    HOSTILE,
    alert,
    arguments,
    both,
    check_complete,
    history,
    limit,
    resource,
    size,
    stage,
    steady,
)

CPU = "system.cpu.utilization"
UP = "instance.up"


def fleet(zones: str, role: str = "cache", **fields: Any) -> list[Resource]:
    """One instance a letter, in the zone of that name."""
    return [
        resource(f"{role}-{n}", "instance", role=role, zone=zone, **({"price": "node"} | fields))
        for n, zone in enumerate(zones)
    ]


def loaded(nodes: list[Resource], value: float | None, signal: str = CPU) -> Samples:
    return history(*((signal, {"host": one.id}, steady(value)) for one in nodes))


def ask(samples: Samples, nodes: list[Resource], role: str = "cache", **parameters: Any) -> Proposal:
    given_ = {"cell": "zone", "of": [CPU], "limit": 1.0005, **parameters}
    return size("reserve", given_, alert("> 1.0005", "1", role=role), samples, *nodes)


def test_instances_are_added_in_whole_units_over_the_zones_and_priced() -> None:
    # 48 × 0.7 = 33.6; two zones of 17 carry 34, and units of three make it 51.
    nodes = fleet("abc" * 16)
    proposal = ask(loaded(nodes, 0.7), nodes, unit=3)
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("scale_out", "group cache")
    assert (stage(proposal, "raw"), stage(proposal, "rounded"), stage(proposal, "clamped")) == (3, 3, 3)
    assert proposal.from_ == "48 instances, 105 % after the loss of the worst zone"
    assert proposal.to == "51 instances (a +1, b +1, c +1), 98.82 %"
    # 3 × 2.016 × 730
    assert proposal.cost.per_month == Decimal("4415.04")
    assert proposal.cost.per_month_reserved == Decimal("2207.52")
    assert {one.loss: one.ok for one in proposal.survives} == {"one zone": True, "two zones at once": False}
    assert proposal.commands == (
        "aws autoscaling set-desired-capacity --auto-scaling-group-name=cache --desired-capacity=51",
    )
    assert any(one.option == "Shed 5% of the load when a zone is lost" for one in proposal.rejected)
    assert any("1.05 times as large" in one.option for one in proposal.rejected)
    assert "5% of the load fails" in proposal.cost.do_nothing


@pytest.mark.parametrize(
    ("zones", "load", "added"),
    [
        pytest.param("abc" * 16, 0.666, 0, id="66.6 %"),
        pytest.param("abc" * 16, 0.667, 0, id="66.7 %"),
        pytest.param("abc" * 16, 0.668, 2, id="66.8 %: two, as either zone that grew may be lost"),
        pytest.param("aabb", 0.5, 0, id="half of two zones"),
        pytest.param("aabb", 0.6, 2, id="more than half of two zones"),
        pytest.param("aaab", 0.5, 1, id="uneven zones: where fewest are"),
        pytest.param("abc", 1.0, 2, id="full"),
        pytest.param("abc", 0.0, 0, id="no load"),
    ],
)
def test_the_fewest_that_do(zones: str, load: float, added: int) -> None:
    nodes = fleet(zones)
    proposal = ask(loaded(nodes, load), nodes)
    check_complete(proposal)
    assert stage(proposal, "raw") == added
    assert proposal.kind == ("scale_out" if added else "investigate")


def test_a_role_in_one_zone_is_started_in_the_others_of_the_platform() -> None:
    nodes = fleet("aaa")
    elsewhere = fleet("bc", role="web")
    proposal = ask(loaded(nodes, 0.5), [*nodes, *elsewhere])
    # Without zone a, 1.5 need two; each goes to the zone with fewest.
    assert proposal.to.startswith("5 instances (b +1, c +1)")
    assert proposal.from_ == "3 instances, in one zone"
    with pytest.raises(AdviceError, match="has no other zone to start them in"):
        ask(loaded(nodes, 0.5), nodes)


def test_the_largest_size_holds_the_number() -> None:
    nodes = fleet("abc" * 4)
    proposal = ask(loaded(nodes, 0.9), nodes, unit=3, maximum={"cache": 14})
    check_complete(proposal)
    assert (stage(proposal, "rounded"), stage(proposal, "clamped")) == (6, 0)
    assert limit(proposal, "clamped") == "at most 14 instances"
    assert proposal.kind == "investigate"
    assert {one.loss: one.ok for one in proposal.survives}["one zone"] is False


@pytest.mark.parametrize(
    ("silent", "load", "added", "size"),
    [
        pytest.param(0, 0.7, 3, 51, id="all answer"),
        pytest.param(1, 0.7, 3, 51, id="one doesn't"),
        pytest.param(6, 0.7, 3, 51, id="two of each zone don't"),
        pytest.param(6, 0.6, 0, 48, id="enough without them"),
    ],
)
def test_members_that_dont_answer_stay_in_the_group(silent: int, load: float, added: int, size: int) -> None:
    nodes = fleet("abc" * 16)
    answers = history(*((UP, {"host": one.id}, steady(0.0 if n < silent else 1.0)) for n, one in enumerate(nodes)))
    proposal = ask(both(loaded(nodes, load), answers), nodes, unit=3, up=UP)
    check_complete(proposal)
    assert stage(proposal, "clamped") == added
    assert arguments(proposal.commands[0])[-1] == f"--desired-capacity={size}"
    assert arguments(proposal.revert[0])[-1] == "--desired-capacity=48"
    told = f", {silent} of them silent" if silent else ""
    assert proposal.from_.startswith(f"48 instances{told}, ")
    assert proposal.to.startswith(f"{size} instances{told}")
    assert proposal.inputs.get("members that don't answer", "0").startswith(f"{silent}")


@pytest.mark.parametrize(("maximum", "added"), [(50, 0), (51, 3), (53, 3), (54, 6), (57, 9)])
def test_members_that_dont_answer_count_toward_the_largest_size(maximum: int, added: int) -> None:
    nodes = fleet("abc" * 16)
    answers = history(*((UP, {"host": one.id}, steady(0.0 if n < 6 else 1.0)) for n, one in enumerate(nodes)))
    proposal = ask(both(loaded(nodes, 0.8), answers), nodes, unit=3, up=UP, maximum={"cache": maximum})
    assert stage(proposal, "clamped") == added
    assert f"--desired-capacity={48 + added}" in proposal.commands[0]


def test_hosts_by_what_their_machines_ask_for() -> None:
    # 1,328 cores in 16 machines of 83 on hosts of 256: three a host, so six hosts and one more.
    hosts = [
        resource(f"host-{n}", "host", role="hypervisor", price="server", capacity={"cores": 256.0}) for n in (1, 2, 3)
    ]
    machines = [
        resource(f"vm-{n}", "vm", role="web", host=f"host-{1 + n % 3}", capacity={"cores": 1328 / 16})
        for n in range(16)
    ]
    parameters = {"cell": "host", "of": ["hypervisor.vcpu.allocated"], "asked": True, "limit": 1.0}
    proposal = ask(history(), [*hosts, *machines], role="hypervisor", **parameters)
    check_complete(proposal)
    assert stage(proposal, "raw") == 4
    assert proposal.to.startswith("7 instances, 86.46 %")
    assert proposal.cost.per_month == Decimal(1600)
    assert {one.loss: one.ok for one in proposal.survives} == {"one host": True, "two hosts at once": False}
    # The same in eight machines of 166, of which a host holds one: eight hosts and one more.
    large = [
        resource(f"vm-{n}", "vm", role="web", host=f"host-{1 + n % 3}", capacity={"cores": 1328 / 8}) for n in range(8)
    ]
    assert stage(ask(history(), [*hosts, *large], role="hypervisor", **parameters), "raw") == 6
    with pytest.raises(AdviceError, match="isn't known"):
        ask(history(), [*hosts, *machines], role="hypervisor", **(parameters | {"asked": False}))
    unsized = resource("vm-x", "vm", role="web", host="host-1")
    with pytest.raises(AdviceError, match="isn't measured"):
        ask(history(), [*hosts, *machines, unsized], role="hypervisor", **parameters)


def test_nothing_is_said_without_the_load_of_all_nor_while_a_zone_is_lost() -> None:
    nodes = fleet("abc")
    with pytest.raises(AdviceError, match="1 of 3 members of cache isn't measured"):
        ask(loaded(nodes[:2], 0.9), nodes)
    with pytest.raises(AdviceError, match="isn't known"):
        ask(loaded(nodes, None), nodes)
    answers = history(*((UP, {"host": one.id}, steady(0.0 if one.zone == "c" else 1.0)) for one in nodes))
    with pytest.raises(AdviceError, match="a whole zone of cache is lost now"):
        ask(both(loaded(nodes, 0.9), answers), nodes, up=UP)
    with pytest.raises(AdviceError, match="the inventory has nothing with role web"):
        ask(loaded(nodes, 0.9), nodes, role="web")


@pytest.mark.parametrize(("price", "known"), [("node", True), ("secret", False), ("gone", False), (None, False)])
def test_a_price_that_is_not_known_is_not_nothing(price: str | None, known: bool) -> None:
    nodes = fleet("abc", price=price)
    proposal = ask(loaded(nodes, 0.9), nodes)
    assert proposal.cost.known is known
    assert (proposal.cost.per_month is not None) is known


def test_hostile_names() -> None:
    nodes = [resource(f"n{n}", "instance", role=HOSTILE, zone=f"{HOSTILE}{n}") for n in range(3)]
    check_complete(ask(loaded(nodes, 0.9), nodes, role=HOSTILE))


def test_the_same_input_gives_the_same_record() -> None:
    nodes = fleet("abc" * 5)
    assert ask(loaded(nodes, 0.8), nodes) == ask(loaded(nodes, 0.8), list(reversed(nodes)))


@settings(deadline=None, max_examples=40)
@given(
    st.text("abcd", min_size=2, max_size=12).filter(lambda zones: len(set(zones)) > 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 4),
)
def test_it_does_grows_with_the_load_and_stays_in_units(zones: str, a: float, b: float, unit: int) -> None:
    nodes = fleet(zones)
    less, more = sorted((a, b))
    few, many = (ask(loaded(nodes, load), nodes, unit=unit) for load in (less, more))
    assert stage(few, "clamped") <= stage(many, "clamped")
    assert stage(many, "clamped") % unit == 0
    assert many.survives[0].ok


def test_time_to_effect_is_that_of_the_rule() -> None:
    nodes = fleet("abc")
    assert ask(loaded(nodes, 0.9), nodes, time_to_effect="20m").time_to_effect == timedelta(minutes=20)
