"""Load after the loss of a zone, region or host: by hand at every boundary, and what may never make it better."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.resources import Resource
from controlplane.model.signals import Signal
from controlplane.readiness.cells import capacities, crew
from controlplane.rules.derive import Past
from tests.rules.test_derive import Found, Row, given_, signal, values

CPU = "system.cpu.utilization"
RATE = "rpc.server.request.rate"
UP = "instance.up"


def node(name: str, zone: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "platform": "shop", "kind": "instance", "role": "web", "zone": zone, **fields}


def fleet(zones: str, **fields: Any) -> list[dict[str, Any]]:
    """One instance a letter, in the zone of that name."""
    return [node(f"{zone}{n}", zone, **fields) for n, zone in enumerate(zones)]


def loads(nodes: Sequence[Mapping[str, Any]], text: str, name: str = CPU) -> list[Row]:
    return [("s", name, {"host": one["id"]}, text) for one in nodes]


def zones(**keys: Any) -> Signal:
    return signal("survivor_load", of=[CPU], cell="zone", **keys)


def at(found: Found, step: int) -> dict[str, float]:
    """Zone (and role, where it isn't web) → value at a step."""
    import json

    told = {}
    for (_, text), points in found.items():
        labels = json.loads(text)
        name = labels["zone"] if labels.get("role", "web") == "web" else f"{labels['role']}/{labels['zone']}"
        if step in points:
            told[name] = points[step]
    return told


@pytest.mark.parametrize(
    ("where", "load", "expected"),
    [
        pytest.param("abc", "0.66", {"a": 0.99, "b": 0.99, "c": 0.99}, id="66 % of three zones"),
        pytest.param("abc", "0.666", {"a": 0.999, "b": 0.999, "c": 0.999}, id="66.6 %"),
        pytest.param("abc", "0.667", {"a": 1.0005, "b": 1.0005, "c": 1.0005}, id="66.7 %"),
        pytest.param("abc", "0.668", {"a": 1.002, "b": 1.002, "c": 1.002}, id="66.8 %"),
        pytest.param("abc" * 16, "0.667", {"a": 1.0005, "b": 1.0005, "c": 1.0005}, id="66.7 % of 48"),
        pytest.param("ab", "0.5", {"a": 1.0, "b": 1.0}, id="half of two zones"),
        pytest.param("aaab", "0.5", {"a": 2.0, "b": 0.666666667}, id="uneven zones"),
        pytest.param("aaa", "0.1", {"a": math.inf}, id="one zone only"),
        pytest.param("aaa", "0", {"a": math.inf}, id="one zone only, and nothing to do"),
        pytest.param("abc", "0", {"a": 0.0, "b": 0.0, "c": 0.0}, id="no load"),
        pytest.param("abc", "nan", {}, id="not a number"),
        pytest.param("abc", "inf", {}, id="infinite"),
        pytest.param("abc", "1e300", {}, id="no measurement"),
        pytest.param("ab", "1e18", {"a": 2e18, "b": 2e18}, id="as much as is added up"),
        pytest.param("ab", "1.1e18", {}, id="more than is added up"),
        pytest.param("", "0.5", {}, id="a zone without members"),
    ],
)
def test_load_after_the_loss_of_each_zone(where: str, load: str, expected: dict[str, float]) -> None:
    nodes = fleet(where)
    window = given_(*loads(nodes or fleet("x"), load))
    assert at(values(zones(), window, inventory=nodes), 1) == expected


def test_members_are_weighed_by_their_size() -> None:
    nodes = [node("a", "a", capacity={"cores": 16.0}), node("b", "b", capacity={"cores": 8.0})]
    window = given_(("s", CPU, {"host": "a"}, "0.5"), ("s", CPU, {"host": "b"}, "0.25"))
    # 8 + 2 of 24 cores.
    assert at(values(zones(), window, inventory=nodes), 1) == {"a": 1.25, "b": 0.625}


def test_a_role_of_which_some_have_no_size_is_left_out() -> None:
    nodes = [node("a", "a", capacity={"cores": 16.0}), node("b", "b")]
    assert values(zones(), given_(*loads(nodes, "0.5")), inventory=nodes) == {}


def test_the_largest_of_the_signals_counts_and_limits_come_from_the_inventory() -> None:
    nodes = fleet("abc", limits={RATE: 1000.0})
    window = given_(*loads(nodes, "0.5"), *loads(nodes, "600", RATE))
    both = signal("survivor_load", of=[CPU, RATE], cell="zone")
    assert at(values(both, window, inventory=nodes), 1) == {"a": 0.9, "b": 0.9, "c": 0.9}


def test_a_signal_that_nobody_of_a_role_has_is_none_of_its_loads() -> None:
    web, db = fleet("ab", limits={RATE: 1000.0}), [node(f"db{n}", n, role="db") for n in "ab"]
    window = given_(*loads(web, "300", RATE), *loads(db, "0.2"))
    both = signal("survivor_load", of=[CPU, RATE], cell="zone")
    assert at(values(both, window, inventory=[*web, *db]), 1) == {"a": 0.6, "b": 0.6, "db/a": 0.4, "db/b": 0.4}
    only = signal("survivor_load", of=[CPU, RATE], cell="zone", roles=["db"])
    assert at(values(only, window, inventory=[*web, *db]), 1) == {"db/a": 0.4, "db/b": 0.4}


@pytest.mark.parametrize(
    ("third", "known"),
    [
        pytest.param("0.5 0.5 0.5 0.5 0.5 0.5 0.5", {1, 2, 3, 4, 5, 6, 7}, id="measured"),
        pytest.param("0.5 _ _ _ _ _ _", {1, 2, 3, 4, 5}, id="its newest sample counts for five minutes"),
        pytest.param("_ 0.5 0.5 0.5 0.5 0.5 0.5", {2, 3, 4, 5, 6, 7}, id="not measured yet"),
        pytest.param("nan nan 0.5 nan nan nan nan", {3, 4, 5, 6, 7}, id="not a number"),
        pytest.param("0.5 ? 0.5 0.5 0.5 0.5 0.5", {1, 3, 4, 5, 6, 7}, id="no answer of the source"),
    ],
)
def test_nothing_is_said_while_a_member_is_unknown(third: str, known: set[int]) -> None:
    nodes = fleet("abc")
    silent = " ".join("?" if word == "?" else "0.5" for word in third.split())
    window = given_(*loads(nodes[:2], silent), *loads(nodes[2:], third))
    found = values(zones(), window, inventory=nodes)
    assert {step for step in range(1, 8) if at(found, step)} == known
    assert all(at(found, step) == {"a": 0.75, "b": 0.75, "c": 0.75} for step in known)


@pytest.mark.parametrize(
    ("ups", "expected"),
    [
        pytest.param("1 1 1 1", {"a": 1.0, "b": 1.0}, id="all answer"),
        pytest.param("1 1 1 0", {"a": 1.5, "b": 0.75}, id="one of b is down, with its load and capacity"),
        pytest.param("0 1 1 0", {"a": 1.0, "b": 1.0}, id="one of each is down"),
        pytest.param("1 1 0 0", {}, id="a whole zone is down: the reserve is in use"),
        pytest.param("0 0 0 0", {}, id="everything is down"),
        pytest.param("1 1 1 _", {"a": 1.0, "b": 1.0}, id="whether it answers isn't known, but its load is"),
    ],
)
def test_members_that_are_down_neither_carry_nor_could(ups: str, expected: dict[str, float]) -> None:
    nodes = fleet("aabb")
    answers: list[Row] = [("s", UP, {"host": one["id"]}, word) for one, word in zip(nodes, ups.split(), strict=True)]
    window = given_(*loads(nodes, "0.5"), *answers)
    assert at(values(zones(up=UP), window, inventory=nodes), 1) == expected


@pytest.mark.parametrize(
    ("cell", "fields", "label"),
    [
        ("region", [{"region": "east"}, {"region": "west"}], "east"),
        ("cluster", [{"cluster": "east"}, {"cluster": "west"}], "east"),
        ("host", [{"host": "east"}, {"host": "west"}], "east"),
    ],
)
def test_cells_are_fields_of_the_inventory(cell: str, fields: list[dict[str, str]], label: str) -> None:
    nodes = [node(f"n{n}", "", **one) for n, one in enumerate(fields)]
    found = values(signal("survivor_load", of=[CPU], cell=cell), given_(*loads(nodes, "0.6")), inventory=nodes)
    assert {labels for _, labels in found} >= {f'{{"{cell}":"{label}","role":"web"}}'}
    assert all(points == {1: 1.2} for points in found.values())


def test_a_host_without_a_host_is_a_cell_of_its_own() -> None:
    hosts = [{"id": f"h{n}", "platform": "shop", "kind": "host", "role": "web"} for n in range(8)]
    found = values(signal("survivor_load", of=[CPU], cell="host"), given_(*loads(hosts, "0.7")), inventory=hosts)
    assert len(found) == 8
    assert all(points == {1: 0.8} for points in found.values())


def test_what_carries_no_load_is_no_member() -> None:
    stock = [
        Resource.model_validate(one)
        for one in (node("i", "a"), node("v", "a", kind="volume"), node("s", "a", kind="service"), node("n", ""))
    ]
    assert [one.id for one in crew(stock, "zone")] == ["i"]
    assert capacities([], [CPU]).is_empty()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), min_size=1, max_size=8),
    st.integers(0, 7),
    st.floats(0, 1),
)
def test_more_load_never_makes_it_ready(members: list[tuple[str, float]], which: int, more: float) -> None:
    nodes = fleet("".join(zone for zone, _ in members))
    before = [load for _, load in members]
    after = [load + (more if n == which % len(before) else 0) for n, load in enumerate(before)]

    def told(each: list[float]) -> dict[str, float]:
        rows: list[Row] = [("s", CPU, {"host": one["id"]}, repr(x)) for one, x in zip(nodes, each, strict=True)]
        return at(values(zones(), given_(*rows), inventory=nodes), 1)

    less, greater = told(before), told(after)
    assert less.keys() == greater.keys()
    assert all(greater[zone] >= less[zone] for zone in less)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(1, 64), st.floats(0, 500)), min_size=2, max_size=8),
    st.integers(0, 7),
    st.floats(0.01, 1),
)
def test_removing_capacity_never_lowers_the_value(
    members: list[tuple[str, float, float]], which: int, factor: float
) -> None:
    def told(shrink: float) -> dict[str, float]:
        nodes = [
            node(f"n{n}", zone, limits={RATE: size * (shrink if n == which % len(members) else 1)})
            for n, (zone, size, _) in enumerate(members)
        ]
        rows: list[Row] = [("s", RATE, {"host": f"n{n}"}, repr(load)) for n, (_, _, load) in enumerate(members)]
        return at(values(signal("survivor_load", of=[RATE], cell="zone"), given_(*rows), inventory=nodes), 1)

    before, after = told(1), told(factor)
    assert before.keys() == after.keys()
    assert all(after[zone] >= before[zone] for zone in before)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1) | st.none(), min_size=12, max_size=24), st.integers(1, 11))
def test_the_result_is_the_same_however_the_window_is_cut(each: list[float | None], cut: int) -> None:
    nodes = fleet("abc")
    words = ["_" if load is None else repr(load) for load in each]
    rows = loads(nodes[:2], " ".join(["0.4"] * len(words))) + loads(nodes[2:], " ".join(words))

    def part(first: int, last: int) -> Samples:
        return given_(*((a, b, c, " ".join(text.split()[first:last])) for a, b, c, text in rows), start=first + 1)

    whole = values(zones(), part(0, len(words)), inventory=nodes)
    earlier = part(0, cut)
    second = values(
        zones(),
        part(cut, len(words)),
        inventory=nodes,
        past=Past(lambda _, after, until: _between(earlier, after, until)),
    )
    for key, points in whole.items():
        assert second.get(key, {}) == {step: value for step, value in points.items() if step > cut}


def _between(samples: Samples, after: int, until: int) -> Samples:
    import polars as pl

    inside = pl.col("ts").is_between(after, until, closed="right")
    return Samples(samples.series, samples.samples.filter(inside), samples.coverage.clear())
