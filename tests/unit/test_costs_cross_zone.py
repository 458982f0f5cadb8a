"""Traffic between zones as the memo states it, through the shipped rule and price book: 5 % of 1.4 TB/s."""

from decimal import Decimal

import pytest

import fixtures
from controlplane.costs import gb_per_month, read_price_book
from controlplane.costs.explain import explain
from controlplane.history import History
from controlplane.model.methods import Placement
from controlplane.model.recommendations import Proposal, Recommendation, Status
from controlplane.model.resources import Inventory
from controlplane.model.time import to_ms
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.telemetry.inventory_file import read_inventory
from controlplane.tick.methods import METHODS
from tests.advice_cases import AT, alert, history, steady

TOTAL = 1.4e12
"""By/s of the whole platform, as in the memo's section."""


def advise(movable: float, immovable: float) -> Proposal:
    """The shipped rule's advice where these shares of the traffic cross zones."""
    placed = next(
        one for one in load_rules(read_rule_texts(["prism"])[0]).rules.rules if one.id == "prism-cross-az-placement"
    )
    p = getattr(placed.rule, "parameters", None)
    assert isinstance(p, Placement)
    flow = {"cluster": "prism", "source_zone": "us-west-2b", "destination_zone": "us-west-2a"}
    samples = history(
        ("network.throughput", {"cluster": "prism"}, steady(TOTAL)),
        ("network.cross_az.throughput", {**flow, "flow": "proxy to graph"}, steady(movable * TOTAL)),
        ("network.cross_az.throughput", {**flow, "flow": p.immovable[0]}, steady(immovable * TOTAL)),
        platform="prism",
    )
    facts = alert("> 0.05", "1", cluster="prism").model_copy(update={"platform": "prism"})
    inventory = Inventory(resources=read_inventory(fixtures.path("prism", "inventory.yaml"), "prism"))
    book = read_price_book(fixtures.path("prism", "prices.yaml"))
    assert to_ms(AT)
    return METHODS[Placement](History(facts, samples, AT), p, inventory, book)


def test_five_percent_are_181440_tb_and_1814400_dollars_a_month_in_one_direction() -> None:
    assert gb_per_month(0.05 * TOTAL) == Decimal(181_440_000), "181,440 TB in 30 days"
    proposal = advise(movable=0.05, immovable=0.05)
    out, into, *_ = proposal.cost.lines
    for line in (out, into):
        assert (line.price, line.unit, line.quantity) == ("cross-az", "USD/GBy", Decimal(-181_440_000))
        assert (line.per_month, line.per_month_reserved) == (Decimal("-1814400.00"), Decimal("-1814400.00"))
    assert (proposal.cost.per_month, proposal.cost.one_off) == (Decimal("-3628800.00"), Decimal(0))
    assert proposal.cost.do_nothing == (
        "The excess of 70 GB/s is 181,440,000 GB a month: $3,628,800 a month, both directions"
    )


def test_a_year_of_it_and_what_a_terabyte_costs() -> None:
    made = explain(
        Recommendation(
            id="r" * 16,
            version=1,
            rule="prism-cross-az-placement",
            platform="prism",
            alert="a" * 16,
            status=Status.PROPOSED,
            proposal=advise(movable=0.05, immovable=0.05),
            at=AT,
            expires_at=AT,
        ),
        read_price_book(fixtures.path("prism", "prices.yaml")),
    )
    assert made.per_year.amount == Decimal("-43545600.00")
    assert made.lines[0].unit_amount == Decimal("0.01")
    assert made.payback.months == 0
    (unit,) = made.capacity
    assert (unit.unit, unit.capacity_before, unit.before, unit.after) == (
        "TB",
        Decimal(3_628_800),
        Decimal("2.00"),
        Decimal("1.00"),
    )


@pytest.mark.parametrize(("share", "gb"), [(0.01, 36_288_000), (0.025, 90_720_000), (1.0, 3_628_800_000)])
def test_other_shares_of_it(share: float, gb: int) -> None:
    assert gb_per_month(share * TOTAL) == Decimal(gb)
