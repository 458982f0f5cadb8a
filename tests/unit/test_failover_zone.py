"""A lost zone: what the survivors carry, how many instances start where, and what that costs."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.failover.fleet import spread
from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from tests.advice_cases import (
    HOSTILE,
    Series,
    alert,
    arguments,
    both,
    check_complete,
    history,
    limit,
    moving,
    resource,
    stage,
    steady,
    take_over,
)

CPU = "system.cpu.utilization"
LOST = timedelta(minutes=2)
GB = 1e9


def fleet(count: int, zones: str = "abc", role: str = "cache", **fields: Any) -> list[Resource]:
    """Instances dealt out to the zones in turn."""
    return [
        resource(f"{role}-{n}", "instance", role=role, zone=zones[n % len(zones)], **({"price": "node"} | fields))
        for n in range(count)
    ]


def loaded(resources: list[Resource], value: float | None, signal: str = CPU, lost: str = "a") -> Samples:
    """Their load, which ends for those of the lost zone 2 minutes before AT and rises for the others."""
    return history(*(_load(signal, r, value, r.zone == lost) for r in resources))


def _load(signal: str, r: Resource, value: float | None, gone: bool) -> Series:
    def used(seconds: float) -> float | None:
        return value if value is None or seconds < -120 else value * 1.4

    return signal, {"host": r.id, "zone": r.zone}, moving(used, until=timedelta(seconds=135 if gone else 0))


def up(resources: list[Resource], down: str = "a", dead: tuple[str, ...] = ()) -> Samples:
    return history(
        *(
            ("instance.up", {"host": r.id, "zone": r.zone}, steady(0.0 if r.zone in down or r.id in dead else 1.0))
            for r in resources
        )
    )


def ask(samples: Samples, resources: list[Resource], zone: str = "a", **parameters: Any) -> Proposal:
    return take_over("zone", parameters, alert("<= 0", "1", began=LOST, zone=zone), samples, *resources)


def started(proposal: Proposal) -> dict[str, int]:
    return {zone: int(count) for zone, count in re.findall(r"([a-z]) \+(\d+)", proposal.to)}


def test_whole_shards_start_in_the_surviving_zones() -> None:
    # 48 × 0.7 ÷ 0.667 = 50.4 → 51 − 32 = 19 → 21 in units of 3
    nodes = fleet(48)
    proposal = ask(both(loaded(nodes, 0.7), up(nodes)), nodes, unit=3, replication_factor=3, rto_target="12s")
    check_complete(proposal)
    assert (proposal.kind, proposal.from_) == ("failover", "32 of 48 instances outside zone a")
    assert proposal.to == "start 21 cache (b +11, c +10)"
    assert (stage(proposal, "cache raw"), stage(proposal, "cache rounded")) == (19, 21)
    assert limit(proposal, "cache rounded") == "units of 3"
    assert proposal.gain == "cache 32 → 53 instances, utilisation 105 % → 63 %"
    assert "carry all of the load, 105 % of their capacity" in proposal.why
    assert "105 % of what is left, so a part of the load fails" in proposal.cost.do_nothing
    # 21 × 2.016 × 730, and half of it reserved
    assert proposal.cost.per_month == Decimal("30905.28")
    assert proposal.cost.per_month_reserved == Decimal("15452.64")
    assert "$42.34 an hour" in proposal.cost.lines[0].note
    assert proposal.commands == (
        "aws autoscaling update-auto-scaling-group --auto-scaling-group-name=cache --desired-capacity=53 "
        "--availability-zones b c",
    )
    assert proposal.revert == (
        "aws autoscaling update-auto-scaling-group --auto-scaling-group-name=cache --desired-capacity=48 "
        "--availability-zones b c a",
    )
    assert [step.do for step in proposal.plan] == [
        "Make sure that zone a is lost, and stop what would take capacity away",
        "Start 21 cache in b, c",
        "See that the survivors are below 66.7 %, and that nothing is left without a primary",
    ]
    assert all(step.before for step in proposal.plan)
    assert proposal.plan[1].commands == proposal.commands
    assert {item.loss: item.ok for item in proposal.survives} == {
        "one more zone (cache)": False,
        "one host (cache)": True,
        "the data of the lost zone": True,
    }
    assert {item.signal: item.verdict for item in proposal.evidence}["RTO objective"] == "missed for full capacity"


@pytest.mark.parametrize(
    ("load", "count"),
    [(0.0, 0), (0.444, 0), (0.4446, 0), (0.4447, 1), (0.6, 12), (0.667, 16), (0.668, 17), (1.0, 40)],
)
def test_the_limit_decides_how_many(load: float, count: int) -> None:
    # 32 survivors carry 32 × 0.667 ÷ 48 = 0.44467 of each before.
    nodes = fleet(48)
    proposal = ask(loaded(nodes, load), nodes)
    check_complete(proposal)
    assert stage(proposal, "cache clamped") == count
    assert sum(started(proposal).values()) == count
    if count == 0:
        assert proposal.to == "no instance to start: b, c carry the load"
        assert (proposal.cost.per_month, proposal.cost.known) == (0, True)


def test_the_load_before_the_loss_counts_not_the_one_after() -> None:
    # The survivors show 1.4 times as much by now; the lost ones show nothing.
    nodes = fleet(48)
    assert "cache system.cpu.utilization" in ask(loaded(nodes, 0.5), nodes).inputs
    assert ask(loaded(nodes, 0.5), nodes).inputs["cache system.cpu.utilization"].startswith("50.0 % on average of 48")


@pytest.mark.parametrize(
    ("serving", "count", "added"),
    [
        ({"b": 16, "c": 16}, 21, {"b": 11, "c": 10}),
        ({"b": 16, "c": 10}, 4, {"b": 0, "c": 4}),
        ({"b": 16, "c": 10}, 10, {"b": 2, "c": 8}),
        ({"b": 0}, 3, {"b": 3}),
        ({"c": 1, "b": 1, "d": 1}, 2, {"b": 1, "c": 1, "d": 0}),
        ({"b": 5}, 0, {"b": 0}),
        ({}, 3, {}),
    ],
)
def test_spread(serving: dict[str, int], count: int, added: dict[str, int]) -> None:
    assert spread(serving, count) == added


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 200))
def test_spread_is_even_within_one_wherever_something_was_added(serving: dict[str, int], count: int) -> None:
    added = spread(serving, count)
    assert sum(added.values()) == count
    assert set(added) == set(serving)
    sizes = {zone: have + added[zone] for zone, have in serving.items()}
    grown = [sizes[zone] for zone, more in added.items() if more]
    assert not grown or max(grown) - min(sizes.values()) <= 1


def test_roles_are_sized_apart_with_their_own_units_loads_and_prices() -> None:
    caches = fleet(12, capacity={"memory_bytes": 100 * GB})
    proxies = fleet(9, role="proxy", price="worker")
    samples = both(loaded(caches, 0.2), loaded(caches, 80 * GB, "redis.memory.usage"), loaded(proxies, 0.6))
    parameters = {
        "loads": [{"signal": CPU}, {"signal": "redis.memory.usage", "capacity": "memory_bytes"}],
        "units": {"cache": 3},
    }
    proposal = ask(samples, caches + proxies, **parameters)
    check_complete(proposal)
    # cache: 12 × 0.8 ÷ 0.667 = 14.4 → 15 − 8 = 7 → 9; proxy: 9 × 0.6 ÷ 0.667 = 8.1 → 9 − 6 = 3
    assert (stage(proposal, "cache raw"), stage(proposal, "cache clamped"), stage(proposal, "proxy clamped")) == (
        7,
        9,
        3,
    )
    assert [(line.price, line.quantity) for line in proposal.cost.lines] == [("node", 9), ("worker", 3)]
    assert len(proposal.commands) == 2
    only = ask(samples, caches + proxies, **parameters, roles=["proxy"])
    assert only.to == "start 3 proxy (b +2, c +1)"


def test_a_role_without_a_measured_load_is_replaced_one_for_one() -> None:
    caches, proxies = fleet(12), fleet(9, role="proxy")
    proposal = ask(loaded(caches, 0.5), caches + proxies)
    check_complete(proposal)
    assert stage(proposal, "proxy raw") == 3
    assert {item.loss: item.ok for item in proposal.survives}["one host (proxy)"] is None


@pytest.mark.parametrize(
    ("known", "fine"), [(48, True), (44, True), (43, False), (0, False)]
)  # nine tenths of 48 are 43.2
def test_most_loads_have_to_be_known(known: int, fine: bool) -> None:
    nodes = fleet(48)
    samples = loaded(nodes[:known], 0.7) if known else Samples.empty()
    if fine:
        assert stage(ask(samples, nodes), "cache raw") == 19
    else:
        with pytest.raises(AdviceError, match=r"the load before the loss isn't known: system\.cpu\.utilization has"):
            ask(samples, nodes)


def test_a_capacity_that_the_inventory_lacks_is_missing() -> None:
    nodes = fleet(12)
    loads = [{"signal": "redis.memory.usage", "capacity": "memory_bytes"}]
    with pytest.raises(AdviceError, match="their capacity isn't in the inventory"):
        ask(loaded(nodes, 80 * GB, "redis.memory.usage"), nodes, loads=loads)


def test_survivors_that_dont_answer_carry_nothing() -> None:
    nodes = fleet(12)
    samples = loaded(nodes, 0.5)
    assert stage(ask(both(samples, up(nodes)), nodes), "cache raw") == 1
    dead = ask(both(samples, up(nodes, dead=("cache-1", "cache-2"))), nodes)
    assert stage(dead, "cache raw") == 3
    assert dead.inputs["cache before, lost, serving"] == "12, 4, 6 instances (2 elsewhere don't answer)"


@pytest.mark.parametrize(
    ("load", "dead", "count", "size"),
    [
        pytest.param(0.3, 0, 0, 32, id="all survivors answer"),
        pytest.param(0.3, 4, 0, 32, id="enough without the silent ones"),
        pytest.param(0.389, 4, 0, 32, id="just enough"),
        pytest.param(0.3892, 4, 1, 33, id="one more"),
        pytest.param(0.7, 4, 23, 55, id="many more"),
    ],
)
def test_survivors_that_dont_answer_stay_in_the_group(load: float, dead: int, count: int, size: int) -> None:
    # 28 survivors carry 28 × 0.667 ÷ 48 = 0.38908 of each before.
    nodes = fleet(48)
    quiet = tuple(f"cache-{1 + 3 * n}" for n in range(dead))
    proposal = ask(both(loaded(nodes, load), up(nodes, dead=quiet)), nodes)
    check_complete(proposal)
    assert stage(proposal, "cache clamped") == count
    assert arguments(proposal.commands[0])[3:] == [f"--desired-capacity={size}", "--availability-zones", "b", "c"]
    assert "--desired-capacity=48" in proposal.revert[0]
    assert ("4 elsewhere don't answer and stay in the group" in proposal.why) == (dead > 0)
    if not count:
        assert proposal.plan[1].do == "Keep cache at 32 in b, c"


@pytest.mark.parametrize(("maximum", "count"), [(32, 0), (33, 1), (54, 22), (55, 23), (60, 23)])
def test_survivors_that_dont_answer_count_toward_the_largest_size(maximum: int, count: int) -> None:
    nodes = fleet(48)
    samples = both(loaded(nodes, 0.7), up(nodes, dead=("cache-1", "cache-4", "cache-7", "cache-10")))
    proposal = ask(samples, nodes, maximum={"cache": maximum})
    assert stage(proposal, "cache clamped") == count
    assert f"--desired-capacity={32 + count} " in proposal.commands[0]


@pytest.mark.parametrize("how", ["ratio", "instances"])
def test_nothing_starts_in_a_second_lost_zone(how: str) -> None:
    nodes = fleet(12)
    second = (
        history(("zone.up.ratio", {"zone": "b"}, steady(0.0)), ("zone.up.ratio", {"zone": "c"}, steady(1.0)))
        if how == "ratio"
        else up(nodes, down="ab")
    )
    proposal = ask(both(loaded(nodes, 0.5), second), nodes)
    assert proposal.inputs["lost zones"] == "a, b"
    assert started(proposal) == {"c": 5}


def test_the_largest_fleet_is_a_limit_in_whole_units() -> None:
    nodes = fleet(48)
    proposal = ask(loaded(nodes, 0.7), nodes, unit=3, maximum={"cache": 48})
    check_complete(proposal)
    # 16 are left to 48, 15 of them in whole units.
    assert (stage(proposal, "cache rounded"), stage(proposal, "cache clamped")) == (21, 15)
    assert limit(proposal, "cache clamped") == "at most 48 instances"
    assert any(item.reason == "at most 48 instances" for item in proposal.rejected)
    assert stage(ask(loaded(nodes, 0.7), nodes, maximum={"cache": 10}), "cache clamped") == 0


@pytest.mark.parametrize(
    ("samples", "nodes", "told"),
    [
        (Samples.empty(), fleet(6, "a"), "no zone survives: all instances of the inventory are in a, and nothing"),
        (up(fleet(6), down="abc"), fleet(6), "no zone survives: all instances of the inventory are in a, b, c"),
        (Samples.empty(), fleet(6, "bc"), "the inventory has no instance in zone a, so what was lost isn't known"),
        (Samples.empty(), [], "the inventory has no instance in zone a"),
    ],
)
def test_without_zones_there_is_no_advice(samples: Samples, nodes: list[Resource], told: str) -> None:
    with pytest.raises(AdviceError, match=re.escape(told)):
        ask(samples, nodes)


def test_an_alert_without_a_zone_says_so() -> None:
    with pytest.raises(AdviceError, match="has no label zone"):
        take_over("zone", {}, alert(region="r"), Samples.empty(), *fleet(3))


@pytest.mark.parametrize("price", [None, "nothing", "secret", "cross-zone"])
def test_an_unknown_price_is_not_zero(price: str | None) -> None:
    nodes = fleet(48, price=price)
    proposal = ask(loaded(nodes, 0.7), nodes)
    check_complete(proposal)
    assert (proposal.cost.per_month, proposal.cost.known) == (None, False)


def test_hostile_names_stay_text() -> None:
    nodes = [
        resource(f"{HOSTILE}{n}", "instance", role=HOSTILE, zone=f"{HOSTILE}{n % 2}", price=HOSTILE) for n in range(4)
    ]
    zone = f"{HOSTILE}0"
    proposal = ask(loaded(nodes, 0.9, lost=zone), nodes, zone=zone)
    check_complete(proposal)
    assert arguments(proposal.commands[0])[2:] == [
        f"--auto-scaling-group-name={HOSTILE}",
        "--desired-capacity=6",
        "--availability-zones",
        f"{HOSTILE}1",
    ]
    options = [r.model_copy(update={"zone": "-x" if r.zone != zone else zone}) for r in nodes]
    with pytest.raises(AdviceError, match="begins with a dash"):
        ask(loaded(options, 0.9, lost=zone), options, zone=zone)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(2, 4), st.floats(0.01, 1), st.sampled_from([0.5, 0.667, 0.9]), st.integers(1, 4))
def test_the_limit_holds_and_no_unit_is_spare(count: int, zones: int, load: float, top: float, unit: int) -> None:
    nodes = fleet(count, "abcd"[:zones])
    proposal = ask(loaded(nodes, load), nodes, limit=top, unit=unit)
    check_complete(proposal)
    more = int(stage(proposal, "cache clamped"))
    left = sum(node.zone != "a" for node in nodes)
    assert more % unit == 0
    assert load * count / (left + more) <= top + 1e-6
    assert more == 0 or load * count / max(1e-9, left + more - unit) > top - 1e-6
    assert "a" not in started(proposal)
    assert proposal.cost.per_month == Decimal(more) * Decimal("2.016") * 730
