"""Prism: what the shipped policies say about the shipped inventory, in numbers of the memo."""

from decimal import Decimal
from functools import cache

import pytest

import fixtures
from controlplane.costs import read_price_book
from controlplane.frames import Samples
from controlplane.history import History
from controlplane.model.errors import AdviceError
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Inventory
from controlplane.model.rules import RuleSet, ScalingRule
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.telemetry.inventory_file import read_inventory
from controlplane.tick.methods import METHODS
from tests.advice_cases import AT, alert, both, check_complete, history, limit, only, resource, stage, steady
from tests.fleet_cases import HALF_AN_HOUR

PACK = "prism"
REDIS, PROXY = "prism-redis-size", "prism-proxy-size"
CPU, MEMORY, NETWORK, REQUESTS = (
    "system.cpu.utilization",
    "system.memory.utilization",
    "system.network.throughput",
    "rpc.server.request.rate",
)
MIDDLING = {CPU: 0.5, MEMORY: 0.6, NETWORK: 5e9, REQUESTS: 20_000.0}
ADDRESSES = history(("ipam.address.used", {"network": "prism-private-subnets"}, steady(1800.0)), platform=PACK)


@cache
def rules() -> RuleSet:
    return load_rules(read_rule_texts([PACK])[0]).rules


@cache
def shipped() -> tuple[Inventory, PriceBook]:
    resources = read_inventory(fixtures.path(PACK, "inventory.yaml"), PACK)
    return Inventory(resources=resources), read_price_book(fixtures.path(PACK, "prices.yaml"))


def measured(hosts: list[str], values: dict[str, float]) -> Samples:
    series = [
        (signal, {"host": host}, steady(value, HALF_AN_HOUR)) for host in hosts for signal, value in values.items()
    ]
    return both(history(*series, platform=PACK), ADDRESSES)


def asked(name: str, values: dict[str, float], more: int = 0, lost: str = "") -> Proposal:
    """Advice for the group with these means on every instance; `more` instances than the shipped ones.

    The zone `lost` doesn't answer.
    """
    placed = next(placed for placed in rules().rules if placed.id == name)
    assert isinstance(placed.rule, ScalingRule)
    inventory, prices = shipped()
    group = "redis-hot-tier" if name == REDIS else "proxy-nodes"
    extra = [
        resource(f"new-{n}", "instance", role=group, zone=f"us-west-2{'abc'[n % 3]}", price="r6i.4xlarge").model_copy(
            update={"platform": PACK}
        )
        for n in range(more)
    ]
    inventory = Inventory(resources=(*inventory.resources, *extra))
    hosts = [one.id for one in inventory.of(PACK, role=group)]
    facts = alert(group=group).model_copy(update={"platform": PACK})
    ratios = history(*(("zone.up.ratio", {"zone": lost}, steady(0.0)) for _ in range(bool(lost))), platform=PACK)
    samples = only(both(measured(hosts, {**MIDDLING, **values}), ratios), placed.rule.parameters.reads())
    return METHODS[type(placed.rule.parameters)](History(facts, samples, AT), placed.rule.parameters, inventory, prices)


@pytest.mark.parametrize("values", [{CPU: 0.72}, {MEMORY: 0.86}, {NETWORK: 8.1e9}])
def test_redis_grows_by_a_tenth_in_whole_shards(values: dict[str, float]) -> None:
    proposal = asked(REDIS, values)
    check_complete(proposal)
    assert (stage(proposal, "raw"), stage(proposal, "clamped")) == (53, 54)
    assert limit(proposal, "whole units") == "units of 3 (a primary and two replicas)"
    assert proposal.to == "54 instances (us-west-2a 18, us-west-2b 18, us-west-2c 18)"
    # Six nodes at 2.016 and 1.008 USD an hour, and 250 GB of EBS each.
    assert proposal.cost.per_month == Decimal("8950.08")
    assert proposal.cost.per_month_reserved == Decimal("4535.04")
    assert proposal.inputs["free addresses"] == "10,488"
    assert not [command for command in proposal.commands if "create-placement-group" in command]


def test_target_tracking_is_shown_with_its_number() -> None:
    options = [item.option for item in asked(REDIS, {CPU: 0.8}).rejected]
    assert "Target tracking of the memo (70 %, 85 %, 8 Gbit/s): 55 instances" in options
    assert "48 instances of type r6i.8xlarge" in options


def test_redis_at_its_minimum_keeps_its_size_and_above_it_shrinks() -> None:
    with pytest.raises(AdviceError, match="minimum 48 holds it"):
        asked(REDIS, {CPU: 0.3})
    proposal = asked(REDIS, {CPU: 0.3}, more=12)
    check_complete(proposal)
    assert (proposal.kind, stage(proposal, "clamped")) == ("scale_in", 54)
    assert proposal.cost.per_month == Decimal("-8950.08")
    assert proposal.plan[0].before


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({CPU: 0.39, MEMORY: 0.766}, "system.memory.utilization would be 85.11 %"),
        ({CPU: 0.39, NETWORK: 7.21e9}, "system.network.throughput would be 8.011 Gbit/s"),
        ({CPU: 0.39, NETWORK: 6.1e9}, "67.8 % of the capacity, and the loss of a zone is carried up to 66.7 %"),
    ],
)
def test_redis_keeps_what_another_trigger_or_a_zone_needs(values: dict[str, float], why: str) -> None:
    with pytest.raises(AdviceError) as refused:
        asked(REDIS, values, more=12)
    assert why in str(refused.value)


def test_proxies_follow_the_house_policy() -> None:
    assert asked(PROXY, {CPU: 0.72}).to.startswith("53 instances")
    # 48 × 40,000 requests a second, 50,000 each and two thirds of it.
    busy = asked(PROXY, {REQUESTS: 40_000.0})
    check_complete(busy)
    assert (busy.kind, stage(busy, "raw")) == ("scale_out", 58)
    assert busy.cost.per_month == 10 * Decimal("0.34") * 730
    with pytest.raises(AdviceError, match="keeps its 48 instances"):
        asked(PROXY, {CPU: 0.2})
    rule = next(placed.rule for placed in rules().rules if placed.id == PROXY)
    assert rule.basis == "house"


def test_no_command_takes_instances_away_while_a_zone_is_lost() -> None:
    proxies = asked(PROXY, {CPU: 0.72}, more=24, lost="us-west-2a")
    check_complete(proxies)
    assert (proxies.title, proxies.from_) == ("Add 5 instances to proxy-nodes", "48 instances")
    assert proxies.commands[0].endswith("desiredSize=77")
    assert proxies.commands[1].endswith("--replicas=77")
    assert proxies.revert[0].endswith("--replicas=72")
    assert proxies.revert[1].endswith("desiredSize=72")
    redis = asked(REDIS, {CPU: 0.72}, more=24, lost="us-west-2a")
    assert redis.commands[0].endswith("--desired-capacity=54 --availability-zones us-west-2b us-west-2c")
    assert redis.revert[1].endswith("--desired-capacity=72 --availability-zones us-west-2b us-west-2c us-west-2a")
