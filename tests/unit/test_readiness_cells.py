"""Readiness of zones, hosts and regions: ready, not ready and unknown, each with its reason and its remedy."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.failover import cells, region_readiness
from controlplane.failover.moment import Moment
from controlplane.frames import Samples
from controlplane.model.methods import Region, Reserve
from controlplane.model.readiness import Readiness
from controlplane.model.resources import Inventory, Resource
from tests.advice_cases import AT, HOSTILE, PRICES, Series, both, history, resource, steady

CPU = "system.cpu.utilization"
UP = "instance.up"


def fleet(zones: str, role: str = "cache", **fields: Any) -> list[Resource]:
    return [
        resource(f"{role}-{n}", "instance", role=role, zone=zone, **({"price": "node"} | fields))
        for n, zone in enumerate(zones)
    ]


def loaded(nodes: list[Resource], value: float | None) -> Samples:
    return history(*((CPU, {"host": one.id}, steady(value)) for one in nodes))


def ups(nodes: list[Resource], down: str = "") -> Samples:
    return history(*((UP, {"host": one.id}, steady(0.0 if one.zone in down else 1.0)) for one in nodes))


def moment(samples: Samples, resources: list[Resource]) -> Moment:
    return Moment("shop", samples, Inventory(resources=tuple(resources)), PRICES, AT)


def zones(samples: Samples, resources: list[Resource], **parameters: Any) -> dict[str, Readiness]:
    p = Reserve.model_validate({"cell": "zone", "of": [CPU], "up": UP, "limit": 1.0005, **parameters})
    return {row.cell: row for row in cells.assess(moment(samples, resources), p)}


@pytest.mark.parametrize(
    ("load", "ready", "after"),
    [(0.666, True, 0.999), (0.667, True, 1.0005), (0.668, False, 1.002), (1.0, False, 1.5), (0.0, True, 0.0)],
)
def test_two_zones_of_three_carry_all_up_to_two_thirds(load: float, ready: bool, after: float) -> None:
    nodes = fleet("abc" * 4)
    rows = zones(loaded(nodes, load), nodes)
    assert list(rows) == ["a", "b", "c"]
    for cell, row in rows.items():
        assert (row.ready, row.load_after, row.mode) == (ready, after, "automatic")
        assert row.takes_over == ", ".join(sorted(set("abc") - {cell}))
        assert (row.remedy == "") is ready
        assert row.reason.startswith(f"the other cache would be at {after * 100:.4g} %")


def test_the_remedy_names_number_and_price() -> None:
    nodes = fleet("abc" * 16)
    row = zones(loaded(nodes, 0.7), nodes, units={"cache": 3})["a"]
    # 3 × 2.016 × 730
    assert row.remedy == "3 more cache ($4,415.04 a month)"
    assert zones(loaded(nodes, 0.7), nodes, price="secret")["a"].remedy.endswith("(price unknown)")
    assert "shed load" in zones(loaded(nodes, 0.7), nodes, maximum={"cache": 48})["a"].remedy


def test_what_is_not_measured_is_unknown_and_never_ready() -> None:
    nodes = fleet("abc")
    for samples, told in (
        (loaded(nodes[:2], 0.1), "system.cpu.utilization of 1 of 3 cache isn't measured"),
        (loaded(nodes, None), "the load of cache isn't measured"),
        (history(), "the load of cache isn't measured"),
    ):
        for row in zones(samples, nodes).values():
            assert (row.ready, row.reason, row.load_after, row.remedy) == (None, told, None, "")


def test_one_zone_alone_has_nobody_to_take_over() -> None:
    nodes = fleet("aa")
    row = zones(loaded(nodes, 0.1), nodes)["a"]
    assert (row.ready, row.takes_over, row.mode) == (False, "", "none")
    assert row.load_after == math.inf
    assert row.reason == "there is no cache elsewhere"
    assert row.remedy == "cache in another zone"


def test_while_a_zone_is_lost_the_others_are_judged_by_what_is_left() -> None:
    nodes = fleet("abc" * 4)
    rows = zones(both(loaded(nodes, 0.6), ups(nodes, "c")), nodes)
    assert (rows["c"].ready, rows["c"].reason) == (
        False,
        "lost now: none of its cache answers, and the others carry its load",
    )
    # 8 of 8 left carry 60 %; without a further zone 120 %.
    assert rows["c"].load_after == pytest.approx(0.6)
    assert rows["a"].ready is False
    assert rows["a"].load_after == pytest.approx(1.2)
    assert rows["a"].takes_over == "b"
    assert rows["a"].reason == "c is lost already; the other cache would be at 120 % (system.cpu.utilization)"
    assert rows["a"].remedy == "c back, or what the answer to its loss starts"


def test_several_roles_make_one_row_of_which_the_worst_counts() -> None:
    caches, webs = fleet("abc"), fleet("ab", role="web")
    rows = zones(both(loaded(caches, 0.3), loaded(webs, 0.6)), [*caches, *webs])
    assert rows["a"].load_after == pytest.approx(1.2)
    assert "web" in rows["a"].reason
    assert rows["c"].ready is True


@pytest.mark.parametrize(
    ("takes", "target", "ready"),
    [("20s", "12s", False), ("12s", "12s", True), (None, "12s", True), ("20s", None, True)],
)
def test_objectives(takes: str | None, target: str | None, ready: bool) -> None:
    nodes = fleet("abc")
    row = zones(loaded(nodes, 0.1), nodes, takes=takes, rto_target=target)["a"]
    assert row.ready is ready
    assert row.rto_target == (None if target is None else 12.0)
    assert ("taking over takes 20s" in row.reason) is not ready


@pytest.mark.parametrize(("lag", "ready"), [(60.0, True), (61.0, False), (None, True)])
def test_what_would_be_lost(lag: float | None, ready: bool) -> None:
    nodes = fleet("abc")
    known = both(
        loaded(nodes, 0.1), history(("lag", {"zone": "a"}, steady(lag)), ("lag", {"zone": "b"}, steady(500.0)))
    )
    parameters = {"lag": {"signal": "lag", "label": "zone"}, "rpo_target": "1m"}
    row = zones(known, nodes, **parameters)["a"]
    assert (row.ready, row.rpo_seconds, row.rpo_target) == (ready, lag, 60.0)
    assert zones(known, nodes, lag={"signal": "lag", "label": "zone", "unit": "min"})["a"].rpo_seconds == (
        None if lag is None else lag * 60
    )


def test_hosts_by_what_the_inventory_places_on_them() -> None:
    hosts = [resource(f"host-{n}", "host", role="hv", price="server", capacity={"cores": 256.0}) for n in (1, 2, 3)]
    machines = [resource(f"vm-{n}", "vm", host=f"host-{1 + n % 3}", capacity={"cores": 83.0}) for n in range(16)]
    p = Reserve.model_validate(
        {"cell": "host", "of": ["hypervisor.vcpu.allocated"], "roles": ["hv"], "asked": True, "mode": "manual"}
    )
    rows = cells.assess(moment(history(), [*hosts, *machines]), p)
    assert [(row.kind, row.cell, row.ready) for row in rows] == [("host", f"host-{n}", False) for n in (1, 2, 3)]
    assert rows[0].load_after == pytest.approx(1328 / 512, abs=1e-6)
    assert rows[0].remedy == "4 more hv ($1,600 a month)"
    assert cells.assess(moment(history(), hosts), p)[0].ready is None


def test_many_hosts_are_counted_not_listed() -> None:
    hosts = [resource(f"h{n}", "host", role="web") for n in range(8)]
    p = Reserve.model_validate({"cell": "host", "of": [CPU]})
    rows = cells.assess(moment(loaded(hosts, 0.5), hosts), p)
    assert rows[0].takes_over == "the other 7 web"
    assert rows[0].ready is True


# regions


def region(**changes: Any) -> Region:
    return Region.model_validate(
        {
            "home": "east",
            "targets": [
                {
                    "region": "west",
                    "mode": "automatic",
                    "lag": {"signal": "lag"},
                    "takes": "1s",
                    "rto_target": "1m",
                    "rpo_target": "10s",
                }
            ],
            "load": {"signal": "rate", "where": {"region": "east"}},
            "tiers": [{"name": "web", "setting": "instances", "price": "worker"}],
            "verify": [["true"]],
            **changes,
        }
    )


def plan(there: int = 20) -> list[Resource]:
    return [
        resource("east", "region", limits={"rate": 300.0}, settings={"instances": "30"}),
        resource("west", "region", limits={"rate": 300.0}, settings={"instances": str(there)}),
    ]


def state(load: float | None = 150.0, lag: float | None = 1.0, up: float | None = 1.0) -> Samples:
    rows: list[Series] = [
        ("rate", {"region": "east"}, steady(load)),
        ("lag", {}, steady(lag)),
        ("region.up", {"region": "west"}, steady(up)),
    ]
    return history(*rows)


@pytest.mark.parametrize(
    ("known", "there", "ready", "reason"),
    [
        pytest.param(state(), 20, True, "it would be at 75 %; it is 1s behind", id="ready"),
        pytest.param(state(200.0), 20, True, "it would be at 100 %; it is 1s behind", id="exactly full"),
        pytest.param(state(201.0), 20, False, "it would be at 100.5 %; it takes 10m", id="too full"),
        pytest.param(state(lag=10.0), 20, True, "it would be at 75 %; it is 10s behind", id="lag at the objective"),
        pytest.param(state(lag=11.0), 20, False, "it is 11s behind", id="lag beyond the objective"),
        pytest.param(state(lag=None), 20, None, "lag isn't measured", id="lag unknown"),
        pytest.param(state(None), 20, None, "whether it carries the load isn't known", id="load unknown"),
        pytest.param(state(up=None), 20, None, "region.up isn't measured", id="not known whether it answers"),
        pytest.param(state(up=0.0), 20, False, "it doesn't answer", id="it doesn't answer"),
        pytest.param(state(), 0, False, "it has no web; it takes 10m", id="empty"),
        pytest.param(state(None, None, None), 0, False, "it has no web; it takes 10m", id="empty, and nothing known"),
    ],
)
def test_a_region_that_could_take_over(known: Samples, there: int, ready: bool | None, reason: str) -> None:
    (row,) = region_readiness.assess(moment(known, plan(there)), region())
    assert (row.kind, row.cell, row.takes_over, row.mode) == ("region", "east", "west", "automatic")
    assert (row.ready, row.reason) == (ready, reason)
    assert bool(row.remedy) is (ready is False)


def test_the_remedy_of_a_region_is_what_it_lacks() -> None:
    (row,) = region_readiness.assess(moment(state(300.0), plan()), region())
    # 10 × 0.10 × 730
    assert row.remedy == "10 web there ($730 a month)"
    assert row.load_after == pytest.approx(1.5)


def test_hostile_names() -> None:
    nodes = [resource(f"n{n}", "instance", role=HOSTILE, zone=f"{HOSTILE}{n}") for n in range(3)]
    for row in zones(loaded(nodes, 0.9), nodes).values():
        assert (row.reason + row.remedy + row.takes_over).isprintable()


@settings(deadline=None, max_examples=40)
@given(st.text("abc", min_size=1, max_size=9), st.floats(0, 1), st.floats(0, 1))
def test_more_load_never_makes_it_ready(where: str, a: float, b: float) -> None:
    nodes = fleet(where)
    less, more = (zones(loaded(nodes, load), nodes) for load in sorted((a, b)))
    for cell, row in more.items():
        assert not (row.ready and not less[cell].ready)


@settings(deadline=None, max_examples=40)
@given(st.text("abc", min_size=2, max_size=9), st.floats(0, 1), st.integers(0, 8))
def test_fewer_members_never_make_it_ready(where: str, load: float, which: int) -> None:
    nodes = fleet(where)
    gone = nodes[which % len(nodes)]
    left = [one for one in nodes if one.id != gone.id]
    # The load of the one that goes is the others'.
    total, share = load * len(nodes), len(nodes) / len(left)
    before, after = zones(loaded(nodes, load), nodes), zones(loaded(left, total / len(left)), left)
    assert share > 1
    for cell, row in after.items():
        assert row.load_after is not None
        earlier = before[cell].load_after
        assert earlier is not None
        assert row.load_after >= earlier or cell == gone.zone
