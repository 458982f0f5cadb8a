"""Hosts to add and machines to move so that the loss of a host is carried, with their price."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from controlplane.telemetry.inventory_file import read_inventory
from tests.advice_cases import HOSTILE, alert, arguments, check_complete, history, limit, resource, size, stage

GB = 1e9
HYBRID = Path(__file__).parents[2] / "fixtures" / "catalyst_hybrid" / "inventory.yaml"


def hosts(count: int, cores: float = 16, **fields: Any) -> list[Resource]:
    capacity = {"cores": cores, "memory_bytes": 64 * GB}
    given = {"cluster": "hosts", "role": "hypervisor", "price": "broker"} | fields
    return [resource(f"host-{n}", "host", capacity=capacity, **given) for n in range(1, count + 1)]


def vm(name: str, at: int, cores: float = 8, memory: float = 32 * GB, **fields: Any) -> Resource:
    return resource(name, "vm", host=f"host-{at}", capacity={"cores": cores, "memory_bytes": memory}, **fields)


def ask(*resources: Resource, **parameters: Any) -> Proposal:
    facts = alert("> 1", "1", cluster="hosts")
    return size("host_spare", parameters, facts, history(), *resources)


def test_hosts_that_lack_are_added_and_priced() -> None:
    # Six machines of half a host: three hosts carry them, four also the loss of one.
    proposal = ask(*hosts(2), *(vm(f"m{n}", 1 + n % 2) for n in range(6)))
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("scale_out", "group hypervisor")
    assert proposal.title == "Add 2 hypervisors so that the loss of any one host is carried, and move 2 machines"
    assert [stage(proposal, name) for name in ("by cores", "by memory", "packed", "spare", "clamped")] == [
        3,
        3,
        3,
        4,
        4,
    ]
    assert proposal.cost.one_off == Decimal(100000)
    assert proposal.survives[0].ok is True
    assert proposal.survives[1].ok is False
    assert "find no room" in proposal.cost.do_nothing
    moves = [step for step in proposal.plan if step.do.startswith("Move")]
    assert len(moves) == len(proposal.commands) == 2
    assert proposal.commands[0].startswith("openstack server migrate --live-migration --wait --host=new-")
    assert len(proposal.revert) == 2


def test_where_hosts_suffice_machines_move() -> None:
    # Three on a host that holds two, and groups of two that share one.
    proposal = ask(*hosts(4), vm("a", 1), vm("b", 1), vm("c", 1))
    check_complete(proposal)
    assert (proposal.kind, proposal.cost.one_off, proposal.cost.known) == ("rebalance", 0, True)
    assert proposal.title == "Move 1 machine so that the loss of any one host is carried"
    assert limit(proposal, "clamped") is None


def test_groups_apart_and_whole_machines_count() -> None:
    kafka = [vm(f"k{n}", 1 + n % 2, 1, 1 * GB, cluster="kafka") for n in range(4)]
    proposal = ask(*hosts(2), *kafka)
    check_complete(proposal)
    assert (stage(proposal, "by cores"), stage(proposal, "packed"), stage(proposal, "spare")) == (1, 4, 5)
    assert limit(proposal, "packed") == "whole machines, groups apart"


@pytest.mark.parametrize(("maximum", "added", "held"), [(3, 1, True), (4, 2, False), (2, 0, True), (9, 2, False)])
def test_never_more_hosts_than_there_is_place_for(maximum: int, added: int, held: bool) -> None:
    proposal = ask(*hosts(2), *(vm(f"m{n}", 1 + n % 2) for n in range(6)), maximum=maximum)
    check_complete(proposal)
    assert stage(proposal, "clamped") == 2 + added
    assert (limit(proposal, "clamped") is not None) == held
    assert (proposal.survives[0].ok is False) == held
    assert proposal.kind == ("scale_out" if added else "investigate")


def test_the_plan_of_the_document_takes_eight_hosts() -> None:
    shop = tuple(
        r.model_copy(update={"price": "broker" if r.kind == "host" else None}) for r in read_inventory(HYBRID, "shop")
    )
    facts = alert("> 1", "1", cluster="hybrid-hosts")
    proposal = size("host_spare", {}, facts, history(), *shop)
    check_complete(proposal)
    # 1,328 cores ÷ 235.52 and 9,216 GB ÷ 1,986.56; whole machines take one more, and one is spare.
    assert [stage(proposal, name) for name in ("by cores", "by memory", "packed", "spare", "clamped")] == [
        6,
        5,
        7,
        8,
        8,
    ]
    assert proposal.title == "Add 5 hypervisors so that the loss of any one host is carried, and move 8 machines"
    assert proposal.cost.one_off == Decimal(250000)
    assert {item.loss: item.ok for item in proposal.survives} == {"one host": True, "2 hosts": False}
    assert "no way takes fewer" in next(item.reason for item in proposal.rejected if "anew" in item.option)
    assert proposal == size("host_spare", {}, facts, history(), *shop)


def test_nothing_to_do_is_no_proposal() -> None:
    with pytest.raises(AdviceError, match="the loss of 1 host is carried as things are"):
        ask(*hosts(3), vm("a", 1), vm("b", 2))


@pytest.mark.parametrize(
    ("resources", "error"),
    [
        ([vm("a", 1)], "the inventory has no host with cluster hosts"),
        ([*hosts(2), vm("a", 1, 32)], "no number of further hosts of the kind that is there"),
        ([*hosts(2)], "the inventory has no resource of kind vm"),
    ],
)
def test_what_cant_be_computed_is_no_guess(resources: list[Resource], error: str) -> None:
    with pytest.raises(AdviceError, match=error):
        ask(*resources)


def test_an_unknown_price_stays_unknown() -> None:
    proposal = ask(*hosts(2, price="secret"), *(vm(f"m{n}", 1 + n % 2) for n in range(6)))
    assert (proposal.cost.one_off, proposal.cost.known) == (None, False)


def test_hostile_names_reach_no_shell_and_no_terminal() -> None:
    evil = [vm("m", 1).model_copy(update={"id": f"{HOSTILE}{n}"}) for n in range(3)]
    proposal = ask(*hosts(4, role=HOSTILE), *evil)
    check_complete(proposal)
    assert arguments(proposal.commands[0])[-1].startswith(HOSTILE)
