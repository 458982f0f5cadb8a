"""Traffic across zones: which flows move, what it saves in dollars without a slip of units, and what can't move."""

import re
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from controlplane.scaling.placement import moves
from tests.advice_cases import (
    HOSTILE,
    Series,
    alert,
    arguments,
    check_complete,
    history,
    limit,
    resource,
    size,
    stage,
    steady,
)

GB = 1e9
CROSS, TOTAL, RATIO = "network.cross_az.throughput", "network.throughput", "network.cross_az.ratio"


def flow(name: str, value: float | None, source: str = "a", destination: str = "b", cluster: str = "graph") -> Series:
    labels = {"cluster": cluster, "source_zone": source, "destination_zone": destination, "flow": name}
    return CROSS, labels, steady(value)


def everything(value: float | None, cluster: str = "graph") -> Series:
    return TOTAL, {"cluster": cluster}, steady(value)


def ask(samples: Samples, *resources: Resource, cluster: str = "graph", **parameters: Any) -> Proposal:
    facts = alert("> 0.05", "1", cluster=cluster)
    return size("placement", {"price": "cross-zone", "bytes_per_move": "0 By"} | parameters, facts, samples, *resources)


def test_seventy_gigabytes_a_second_cost_1_814_400_a_month_in_each_direction() -> None:
    # 1.4 TB/s × 5 % = 70 GB/s; × 86,400 s × 30 d = 181,440,000 GB; × 0.01 = 1,814,400 USD
    proposal = ask(history(everything(1400 * GB), flow("reads", 70 * GB), flow("writes", 70 * GB, "b", "a")))
    check_complete(proposal)
    assert proposal.kind == "rebalance"
    assert stage(proposal, "excess") == pytest.approx(70 * GB)
    out, into, copied = proposal.cost.lines
    assert (out.item, into.item) == (
        "Traffic out of the source zone, GB a month",
        "Traffic into the destination zone, GB a month",
    )
    assert out.quantity == into.quantity == -181_440_000
    assert out.per_month == into.per_month == -1_814_400
    assert (copied.per_month, copied.one_off) == (0, 0)
    assert (proposal.cost.per_month, proposal.cost.per_month_reserved) == (-3_628_800, -3_628_800)
    assert proposal.cost.do_nothing == (
        "The excess of 70 GB/s is 181,440,000 GB a month: $3,628,800 a month, both directions"
    )
    assert (proposal.from_, proposal.to) == ("10.00 % of traffic across zones", "5.00 % of traffic across zones")


FLOWS = [("f1", 40.0), ("f2", 30.0), ("f3", 20.0), ("f4", 10.0)]


@pytest.mark.parametrize(
    ("excess", "moved"),
    [
        (0, []),
        (-1, []),
        (0.001, ["f1"]),
        (40, ["f1"]),
        (40.001, ["f1", "f2"]),
        (70, ["f1", "f2"]),
        (99.9, ["f1", "f2", "f3", "f4"]),
        (1000, ["f1", "f2", "f3", "f4"]),
    ],
)
def test_the_largest_flows_until_the_excess_is_covered(excess: float, moved: list[str]) -> None:
    frame = pl.DataFrame(
        [(name, "a", "b", value) for name, value in reversed([*FLOWS, ("f5", 0.0)])],
        schema=["flow", "source_zone", "destination_zone", "value"],
        orient="row",
    )
    assert moves(frame, excess)["flow"].to_list() == moved


flows_ = st.lists(st.floats(0, 1e12), min_size=1, max_size=20)


@given(flows_, st.floats(0, 1e13))
def test_moves_cover_the_excess_with_no_flow_to_spare(values: list[float], excess: float) -> None:
    frame = pl.DataFrame({"flow": [str(n) for n in range(len(values))], "value": values}).with_columns(
        source_zone=pl.lit("a"), destination_zone=pl.lit("b")
    )
    moved = moves(frame, excess)["value"].to_list()
    assert moved == sorted((value for value in values if value > 0), reverse=True)[: len(moved)]
    assert sum(moved) >= excess * (1 - 1e-9) or len(moved) == sum(value > 0 for value in values)
    assert not moved or sum(moved[:-1]) < excess * (1 + 1e-9)


def cluster(*flows: tuple[str, float], total: float = 1000.0) -> Samples:
    return history(
        everything(total * GB),
        *(flow(name, value * GB, "a" if n % 2 else "b", "c") for n, (name, value) in enumerate(flows)),
    )


def test_whole_flows_and_what_remains() -> None:
    proposal = ask(cluster(*FLOWS), resource("n1", "instance", cluster="graph", zone="a"))
    check_complete(proposal)
    # 100 of 1,000 cross, 50 may: 40 + 30 move, 30 remain.
    assert (proposal.to, stage(proposal, "moved")) == ("3.00 % of traffic across zones", 70 * GB)
    assert [item.verdict for item in proposal.evidence[2:]] == ["to be made local"] * 2 + ["stays"] * 2
    assert "f1 b → c (40 GB/s); f2 a → c (30 GB/s)" in proposal.why
    assert proposal.gain == "traffic across zones 100 GB/s → 30 GB/s"
    assert {item.loss: item.ok for item in proposal.survives} == {"one zone": None, "one host": True}


def test_flows_that_cross_on_purpose_stay() -> None:
    proposal = ask(cluster(*FLOWS), immovable=["f1"])
    assert (stage(proposal, "moved"), proposal.to) == (50 * GB, "5.00 % of traffic across zones")
    assert limit(proposal, "moved") == "1 flow kept on purpose"
    short = ask(cluster(*FLOWS), immovable=["f1", "f2"])
    check_complete(short)
    assert short.to == "7.00 %, still above 5 % of traffic across zones"
    assert limit(short, "moved") == "2 flows kept on purpose"
    none = ask(cluster(*FLOWS), immovable=[name for name, _ in FLOWS])
    check_complete(none)
    assert (none.kind, none.cost.per_month) == ("investigate", 0)


@pytest.mark.parametrize(
    ("stated", "one_off", "known"),
    [("0 By", Decimal(0), True), ("120 GBy", Decimal("4.80"), True), (None, None, False)],
)
def test_copying_is_priced_once_or_unknown(stated: str | None, one_off: Decimal | None, known: bool) -> None:
    # two flows × 120 GB × two directions × 0.01
    proposal = ask(cluster(*FLOWS), bytes_per_move=stated)
    check_complete(proposal)
    assert (proposal.cost.one_off, proposal.cost.known) == (one_off, known)
    assert proposal.cost.per_month == -2 * 70 * 2_592_000 * Decimal("0.01")


@pytest.mark.parametrize("price", [None, "nothing", "secret", "node"])
def test_an_unknown_price_saves_an_unknown_amount(price: str | None) -> None:
    proposal = ask(cluster(*FLOWS), price=price)
    check_complete(proposal)
    assert (proposal.cost.per_month, proposal.cost.known) == (None, False)
    assert "at an unknown price" in proposal.cost.do_nothing


def test_the_total_follows_from_the_ratio() -> None:
    samples = history(flow("f1", 100 * GB), (RATIO, {"cluster": "graph"}, steady(0.1)))
    assert ask(samples).from_ == "10.00 % of traffic across zones"


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (history(everything(GB)), "network.cross_az.throughput of cluster graph has no sample"),
        (history(everything(GB), flow("f", None)), "network.cross_az.throughput of cluster graph has no sample"),
        (history(everything(GB), flow("f", 1.0, cluster="other")), "network.cross_az.throughput of cluster graph"),
        (history(flow("f", GB)), "network.throughput (or network.cross_az.ratio) of cluster graph has no sample"),
        (history(flow("f", GB), everything(0.0)), "network.throughput of cluster graph is 0"),
        (history(flow("f", 50.0), everything(1000.0)), "5.00 % of the traffic of cluster graph crosses zones, within"),
        (Samples.empty(), "has no sample"),
    ],
)
def test_missing_or_contradicting_inputs_are_named(samples: Samples, told: str) -> None:
    with pytest.raises(AdviceError, match=re.escape(told)):
        ask(samples)


def test_commands_for_each_flow() -> None:
    argv = ["place", "--cluster={cluster}", "--from={source_zone}", "--to={destination_zone}", "--", "{flow}"]
    proposal = ask(cluster(*FLOWS), move_command=argv, revert_command=["back", "--", "{flow}"])
    assert proposal.commands[0] == "place --cluster=graph --from=b --to=c -- f1"
    assert proposal.revert == ("back -- f1", "back -- f2")
    words = ask(cluster(*FLOWS))
    assert words.commands[0] == "# make f1 local: serve its side in c from b"
    assert words.revert[0] == "# put f1 back: serve its side in b from c as before"


def test_hostile_names_stay_text() -> None:
    samples = history(everything(GB, HOSTILE), flow(HOSTILE, GB / 2, HOSTILE, HOSTILE, HOSTILE))
    proposal = ask(samples, cluster=HOSTILE, move_command=["place", "--flow={flow}", "--", "{source_zone}"])
    check_complete(proposal)
    assert arguments(proposal.commands[0]) == [f"--flow={HOSTILE}", "--", HOSTILE]
    check_complete(ask(samples, cluster=HOSTILE))


@settings(max_examples=40, deadline=None)
@given(flows_, st.floats(0, 0.99))
def test_what_remains_is_allowed_and_money_follows_bytes(values: list[float], allowed: float) -> None:
    total = sum(values) * 1.25
    if sum(values) <= allowed * total * (1 + 1e-9) or total < 1:
        return
    proposal = ask(
        history(everything(total), *(flow(f"f{n}", value) for n, value in enumerate(values))), allowed_ratio=allowed
    )
    check_complete(proposal)
    assert stage(proposal, "remaining") <= allowed * total * (1 + 1e-6) + 1e-6
    assert proposal.cost.per_month is not None
    expected = -stage(proposal, "moved") * 2_592_000 / 1e9 * 0.01 * 2
    assert float(proposal.cost.per_month) == pytest.approx(expected, rel=1e-6, abs=0.03)
    assert proposal.cost.per_month <= 0
