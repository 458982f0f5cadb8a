"""Purchases by quarter: when a store is full at compound growth, and what is ordered by which day."""

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.methods import GrowthPlan
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from controlplane.scaling.growth import QUARTER, Store, purchases
from tests.advice_cases import AT, HOSTILE, alert, arguments, check_complete, history, limit, resource, size, stage

TB = 1e12
GAP = timedelta(hours=1)
PARAMETERS: dict[str, Any] = {
    "usage": "s3.used",
    "limit": "s3.size",
    "growth": 0.2,
    "unit": "100 TBy",
    "unit_name": "node",
    "erasure": {"data": 3, "parity": 1},
    "price": "broker",
}


def store(used: float, size_: float = 75 * TB, *, quarterly: float = 0.0, hours: int = 48, name: str = "os") -> Samples:
    """A store whose usage grew by that share of itself a quarter, on a line."""
    slope = used * quarterly / QUARTER.total_seconds()
    points = [(-n * GAP, used - slope * n * 3600) for n in range(hours + 1)]
    labels = {"cluster": name}
    return history(("s3.used", labels, points), ("s3.size", labels, [(at, size_) for at, _ in points]))


def ask(samples: Samples, *resources: Resource, name: str = "os", **parameters: Any) -> Proposal:
    return size("growth_plan", {**PARAMETERS, **parameters}, alert("< 90 d", "s", cluster=name), samples, *resources)


def plan(used: float, size_: float, growth: float, **parameters: Any) -> list[tuple[int, int]]:
    """(quarter, units) of a store, without erasure coding."""
    values = {**PARAMETERS, "erasure": None, "unit": "1 TBy", **parameters}
    p = GrowthPlan.model_validate(values)
    return [(one.quarter, one.units) for one in purchases(Store("os", used, size_, growth, None, "", None), p, AT)]


def test_the_documents_growth() -> None:
    # 54 TB at 20 % a quarter: 80 % of 75 TB after ln(60 ÷ 54) ÷ ln 1.2 = 0.578 quarters, 100 % after 1.802
    proposal = ask(store(54 * TB))
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("add_storage", "store os")
    assert proposal.title == "os: order 1 × node now"
    assert proposal.from_ == "75 TB usable, 72.0 % used"
    assert "80 % is reached on 2026-03-25, 100 % on 2026-07-15" in proposal.why
    assert "late by 37d 6h: 86 % are used when it arrives" in proposal.why
    assert proposal.inputs["cost of a usable TB"] == "$666.67"
    assert (stage(proposal, "units"), stage(proposal, "by quarter")) == (8, 8)
    assert [line.quantity for line in proposal.cost.lines] == [1, 1, 1, 1, 1, 1, 2]
    assert (proposal.cost.one_off, proposal.cost.per_month) == (Decimal(400_000), Decimal(0))
    assert proposal.cost.do_nothing.startswith("Full on 2026-07-15")


@pytest.mark.parametrize(
    ("name", "used", "size_", "growth", "expected"),
    [
        ("exactly the target at the end of the horizon", 40.0, 100.0, 0.0, []),
        ("exactly the target now, no growth", 80.0, 100.0, 0.0, []),
        ("above the target now, no growth", 80.4, 100.0, 0.0, [(1, 1)]),
        ("exactly the target at the end of a quarter", 40.0, 100.0, 1.0, [(2, 100), (3, 200), (4, 400)]),
        ("a bit more at the end of a quarter", 40.001, 100.0, 1.0, [(1, 1), (2, 100), (3, 200), (4, 400)]),
        ("full", 100.0, 100.0, 0.0, [(1, 25)]),
        ("more than full", 120.0, 100.0, 0.0, [(1, 50)]),
        ("empty", 0.0, 100.0, 0.5, []),
    ],
)
def test_quarters(name: str, used: float, size_: float, growth: float, expected: list[tuple[int, int]]) -> None:
    assert plan(used * TB, size_ * TB, growth, horizon=4) == expected, name


def test_units_come_in_whole_multiples() -> None:
    assert plan(81 * TB, 100 * TB, 0.0, horizon=1, multiple=4) == [(1, 4)]
    proposal = ask(store(54 * TB), multiple=4)
    assert [line.quantity for line in proposal.cost.lines] == [4, 4]
    assert limit(proposal, "by quarter") is None  # eight are asked for anyway
    assert limit(ask(store(54 * TB), multiple=3), "by quarter") == "whole multiples of 3 units"


@pytest.mark.parametrize(
    ("documented", "measured", "told"),
    [
        (0.2, 0.1, "the documented 20 % count, compounded; measured +10.0 %"),
        (0.2, 0.2, "the documented 20 % count, compounded; measured +20.0 %"),
        (
            0.2,
            0.3,
            "measured +30.0 % of today's count until quarter 5, on a straight line; documented are 20 %, compounded",
        ),
        (0.2, 0.8, "measured +80.0 % of today's count, on a straight line; documented are 20 %, compounded"),
        (0.2, -0.3, "the documented 20 % count, compounded; measured -30.0 %"),
        (0.0, -0.3, "the documented 0 % count, compounded; measured -30.0 %"),
        (None, 0.3, "measured +30.0 % of today's count, on a straight line; none is documented"),
        (None, -0.3, "measured -30.0 % of today's count, on a straight line; none is documented"),
    ],
)
def test_the_faster_growth_counts_and_both_are_named(documented: float | None, measured: float, told: str) -> None:
    proposal = ask(store(70 * TB, quarterly=measured), growth=documented)
    assert told in proposal.why
    assert proposal.inputs["growth that counts"] == told


def test_a_busy_day_is_not_compounded_for_years() -> None:
    # 72.6 % a quarter on a line are 525 TB after three years, less than ten times 54; compounded they were 38 PB
    proposal = ask(store(54 * TB, quarterly=0.726))
    assert stage(proposal, "units") == 8
    assert "100 % on 2026-03-21" in proposal.why  # (75 ÷ 54 − 1) ÷ 0.726 quarters


def test_growth_of_nothing_is_never_full() -> None:
    proposal = ask(store(50 * TB), growth=0.0)
    check_complete(proposal)
    assert proposal.kind == "investigate"
    assert "at no foreseeable time" in proposal.why
    assert proposal.cost.one_off == 0


@pytest.mark.parametrize("share", [1.0, 1.1])
def test_already_full(share: float) -> None:
    proposal = ask(store(75 * TB * share))
    assert "80 % is reached already, 100 % already" in proposal.why
    assert "it is full already, before the delivery" in proposal.why
    assert proposal.cost.do_nothing == "It is full: writes fail now"


@pytest.mark.parametrize(
    ("lead", "title"),
    [
        ("52d", "os: order 1 × node by 2026-02-01"),  # 80 % is reached in 52 days and 18 hours
        ("53d", "os: order 1 × node now"),
        ("0s", "os: order 1 × node by 2026-03-25"),
    ],
)
def test_an_order_is_due_the_lead_time_before_the_target(lead: str, title: str) -> None:
    proposal = ask(store(54 * TB), lead_time=lead)
    assert proposal.title == title
    assert ("late" in proposal.why) == title.endswith("now")


def test_a_short_history_leaves_the_documents_growth() -> None:
    proposal = ask(store(54 * TB, quarterly=0.5, hours=11))
    assert "not measured: 11h of history, and a trend takes 12h" in proposal.why
    assert "+50.0 %" in ask(store(54 * TB, quarterly=0.5, hours=12)).why
    with pytest.raises(AdviceError, match="neither documented nor measured"):
        ask(store(54 * TB, hours=11), growth=None)


def test_an_event_is_no_growth_to_plan_with() -> None:
    with pytest.raises(AdviceError, match="an event and no growth"):
        ask(store(54 * TB, quarterly=11.0))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(AdviceError, match=r"s3\.size of os has no sample"):
        ask(history(("s3.used", {"cluster": "os"}, [(timedelta(0), 1.0)])))
    with pytest.raises(AdviceError, match=r"s3\.used of os has no sample"):
        ask(history(("s3.size", {"cluster": "os"}, [(timedelta(0), 1.0)])))
    stated = resource("os", "cluster", limits={"s3.size": 75 * TB})
    assert ask(history(("s3.used", {"cluster": "os"}, [(timedelta(0), 54 * TB)])), stated).kind == "add_storage"


def test_the_documents_own_plan_ends() -> None:
    proposal = ask(store(54 * TB), planned="375 TBy")
    beyond = [step for step in proposal.plan if any("the document hasn't" in before for before in step.before)]
    assert [step.do.split(",")[0] for step in beyond] == [
        "Order 1 × node by 2028-03-10", "Order 1 × node by 2028-06-09", "Order 2 × node by 2028-08-25",
    ]  # fmt: skip


def test_payback_against_renting() -> None:
    assert ask(store(54 * TB), rent="disk").inputs["payback"] == "8.3 months against $80 a TB and month for renting"
    assert ask(store(54 * TB)).inputs["payback"].startswith("unknown")
    assert ask(store(54 * TB), rent="disk", price="secret").inputs["payback"].startswith("unknown")


def test_an_unknown_price_stays_unknown() -> None:
    proposal = ask(store(54 * TB), price="nothing")
    assert (proposal.cost.one_off, proposal.cost.known) == (None, False)
    assert proposal.inputs["cost of a usable TB"] == "unknown"


def test_copies_and_coding_take_their_share() -> None:
    p = GrowthPlan.model_validate({**PARAMETERS, "replication_factor": 2})
    assert p.usable == pytest.approx(0.375)
    lost = {item.loss: item.ok for item in ask(store(54 * TB), replication_factor=2).survives}
    assert lost["1 part of a set of 4"]
    assert lost["one node"]
    assert not {item.loss: item.ok for item in ask(store(54 * TB), erasure=None).survives}["one node"]


def test_hostile_names_stay_data() -> None:
    proposal = ask(store(54 * TB, name=HOSTILE), name=HOSTILE, commands=[["mc", "admin", "--store={store}"]])
    check_complete(proposal)
    command = next(one for one in proposal.commands if one.startswith("mc admin"))
    assert arguments(command)[-1] == f"--store={HOSTILE}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"growth": -0.1}, "greater than or equal to 0"),
        ({"growth": math.nan}, "finite"),
        ({"horizon": 0}, "greater than or equal to 1"),
        ({"unit": "0 By"}, "greater than 0"),
        ({"erasure": {"data": 0, "parity": 4}}, "greater than or equal to 1"),
        ({"multiple": 0}, "greater than or equal to 1"),
        ({"commands": [["a", "{host}"]]}, "can't be filled in"),
        ({"what": 1}, "Extra inputs"),
    ],
)
def test_parameters(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GrowthPlan.model_validate({**PARAMETERS, **change})


used = st.floats(0, 200e12)
rates = st.floats(0, 2)


@settings(deadline=None)
@given(
    used=used, more=st.floats(0, 100e12), growth=rates, measured=st.none() | st.floats(-1, 2),
    size_=st.floats(1e12, 300e12), horizon=st.integers(1, 20),
)  # fmt: skip
def test_the_target_holds_and_more_never_buys_less(
    used: float, more: float, growth: float, measured: float | None, size_: float, horizon: int
) -> None:
    p = GrowthPlan.model_validate({**PARAMETERS, "horizon": horizon})
    bought = purchases(Store("os", used, size_, growth, measured, "", None), p, AT)
    assert all(one.units > 0 and one.used <= one.size * p.target * (1 + 1e-6) for one in bought)
    assert [one.quarter for one in bought] == sorted({one.quarter for one in bought})
    assert [one.needed for one in bought] == sorted(one.needed for one in bought)
    larger = purchases(Store("os", used + more, size_, growth, measured, "", None), p, AT)
    faster = purchases(Store("os", used, size_, growth + 0.1, measured, "", None), p, AT)
    units = sum(one.units for one in bought)
    assert sum(one.units for one in larger) >= units
    assert sum(one.units for one in faster) >= units


@settings(deadline=None, max_examples=30)
@given(used=st.floats(1e9, 200e12), quarterly=st.floats(-0.9, 2))
def test_every_answer_is_whole_and_the_same_again(used: float, quarterly: float) -> None:
    samples = store(used, quarterly=quarterly)
    proposal = ask(samples)
    check_complete(proposal)
    assert ask(samples) == proposal
