"""One recommendation's money: lines that can be recomputed, what isn't known, payback, and cost by capacity."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.costs.amounts import Amount, add
from controlplane.costs.capacity import UnitCost, unit_costs
from controlplane.costs.explain import Explanation, explain, payback
from controlplane.model.prices import PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, Proposal, Stage, total
from tests.advice_cases import PRICES, price
from tests.drafts import START, recommendation


def explained(*lines: CostLine, book: PriceBook | None = PRICES, **changes: Any) -> Explanation:
    plain = recommendation("r" * 16)
    proposal = plain.proposal.model_copy(update={"cost": total(lines, "it gets worse"), **changes})
    return explain(plain.model_copy(update={"proposal": proposal}), book)


def test_lines_can_be_recomputed() -> None:
    made = explained(PRICES.line("node", 12), PRICES.line("disk", 200), PRICES.line("broker", 2), free_line("Moving"))
    told = [(line.quantity, line.unit_amount, line.unit, line.times) for line in made.lines]
    assert told == [
        (12, Decimal("2.016"), "USD/h", "730 h"),
        (200, Decimal("0.08"), "USD/GBy.mo", "1 month"),
        (2, Decimal(50000), "USD", "once"),
        (1, None, "USD", "once"),
    ]
    assert made.per_month.amount == Decimal("17660.16") + 16
    assert made.per_year.amount == 12 * (Decimal("17660.16") + 16)
    assert made.one_off.amount == 100_000
    assert made.unknown == ()
    assert made.do_nothing == "it gets worse"


@pytest.mark.parametrize("book", [None, PriceBook(), PriceBook(prices=(price("node", "USD/h", "9"),))])
def test_a_price_that_changed_since_is_reckoned_back_from_the_record(book: PriceBook | None) -> None:
    (line,) = explained(PRICES.line("node", 12), book=book).lines
    assert line.unit_amount == Decimal("2.016")
    assert "reckoned back from the record; the price book" in line.note
    assert line.per_month == Decimal("17660.16")


def test_traffic_once_is_reckoned_as_such() -> None:
    (line,) = explained(PRICES.line("cross-zone", 240, once=True)).lines
    assert (line.unit_amount, line.one_off, line.per_month) == (Decimal("0.01"), Decimal("2.40"), 0)


@pytest.mark.parametrize("name", ["secret", "gone", None])
def test_an_unknown_price_is_named_and_makes_totals_at_least(name: str | None) -> None:
    made = explained(PRICES.line("node", 1), PRICES.line(name, 3, item="Racks"))
    assert made.unknown == ("Racks",)
    assert made.lines[1].unit_amount is None
    assert made.per_month == Amount(amount=Decimal("1471.68"), bound="at_least")
    assert made.one_off.bound == "unknown"
    assert made.payback.months is None


def exact(amount: str) -> Amount:
    return Amount(amount=Decimal(amount), bound="exact")


@pytest.mark.parametrize(
    ("one_off", "per_month", "months", "told"),
    [
        ("12000", "-1000", "12.0", "12.0 months: $12,000 ÷ $1,000 a month"),
        ("1000", "-3000", "0.4", "0.4 months"),
        ("0.01", "-1000", "0.1", "0.1 months"),
        ("0", "-1", "0", "at once"),
        ("12000", "0", None, "never: no month saves anything"),
        ("0", "0", None, "nothing is paid and nothing is saved"),
        ("12000", "5", None, "never"),
    ],
)
def test_payback(one_off: str, per_month: str, months: str | None, told: str) -> None:
    made = payback(exact(one_off), exact(per_month))
    assert made.months == (months and Decimal(months))
    assert made.told.startswith(told)


@pytest.mark.parametrize(
    ("one_off", "per_month", "what"),
    [
        (add([(None, Decimal(1))]), exact("-5"), "what is paid once"),
        (exact("100"), add([(Decimal(-5), Decimal(-1)), (None, Decimal(1))]), "what a month saves"),
    ],
)
def test_payback_of_unknown_money_cannot_be_told(one_off: Amount, per_month: Amount, what: str) -> None:
    made = payback(one_off, per_month)
    assert (made.months, made.told) == (None, f"can't be told: {what} isn't known in full")


@given(st.lists(st.tuples(st.sampled_from(["node", "disk", "broker", "secret", "server"]), st.integers(-50, 50))))
def test_totals_are_sums(wanted: list[tuple[str, int]]) -> None:
    made = explained(*(PRICES.line(name, quantity) for name, quantity in wanted))
    for field in ("per_month", "per_month_reserved", "one_off"):
        parts = [getattr(line, field) for line in made.lines]
        sum_ = getattr(made, field)
        assert sum_.exact is (None not in parts)
        if sum_.exact:
            assert sum_.amount == sum(parts, Decimal(0))
    assert made.per_year.amount == (None if made.per_month.amount is None else 12 * made.per_month.amount)


def stages(**values: float) -> tuple[Stage, ...]:
    return tuple(Stage(name=name.replace("_", " "), value=value, reason="r") for name, value in values.items())


def costs_of(kind: str, *lines: CostLine, **changes: Any) -> tuple[UnitCost, ...]:
    proposal = recommendation("r" * 16).proposal
    return unit_costs(proposal.model_copy(update={"kind": kind, "cost": total(lines, "n"), **changes}))


GROUP = {"rate of one consumer": "97.8 messages/s", "members": "12 consumers", "partitions": "12 partitions of 1 topic"}


def test_cost_of_what_consumers_read() -> None:
    (made,) = costs_of(
        "shard",
        free_line("4 more partitions"),
        PRICES.line("node", 4),
        inputs=GROUP,
        stages=stages(clamped=12, partitions=16, even=16, consumers=16),
    )
    assert (made.capacity_before, made.capacity_after) == (Decimal("1.174"), Decimal("1.565"))
    per = Decimal("1471.68") * 4 / (4 * Decimal("0.0978"))
    assert made.added == per.quantize(Decimal("0.01"))
    assert made.before == made.after == made.added


def test_idle_consumers_make_what_is_read_dearer() -> None:
    (made,) = costs_of(
        "scale_out", PRICES.line("node", 8), inputs=GROUP | {"partitions": "14 partitions"}, stages=stages(clamped=20)
    )
    assert made.before is not None
    assert made.after is not None
    assert made.after > made.before


@pytest.mark.parametrize("unit", ["disk", "broker"])
def test_cost_of_storage(unit: str) -> None:
    evidence = (Evidence(signal="system.filesystem.limit", value=4e12, unit="By", at=START),)
    line = PRICES.line(unit, 5000 if unit == "disk" else 5)
    (made,) = costs_of("add_storage", line, stages=stages(clamped=5e12), evidence=evidence)
    assert (made.unit, made.capacity_before, made.capacity_after) == ("TB", 4, 9)
    assert (made.paid, made.added) == (("per_month", Decimal(80)) if unit == "disk" else ("one_off", Decimal(50000)))
    assert made.before == (Decimal(80) if unit == "disk" else None)


def test_cost_of_traffic_falls() -> None:
    evidence = (Evidence(signal="network.cross_az.ratio", value=0.1, unit="1", at=START),)
    lines = (PRICES.line("cross-zone", -1_296_000), PRICES.line("cross-zone", -1_296_000))
    (made,) = costs_of("rebalance", *lines, stages=stages(moved=5e8, remaining=5e8), evidence=evidence)
    assert made.capacity_before == 25920, "1 GB/s is a tenth of 10 GB/s, 25,920 TB in 30 days"
    assert (made.before, made.after) == (Decimal("2.00"), Decimal("1.00"))


def test_cost_of_instances() -> None:
    (made,) = costs_of(
        "failover",
        free_line("No proxy to start"),
        PRICES.line("node", 12, item="12 × redis hot until the zone is back"),
        inputs={"redis hot before, lost, serving": "48, 16, 32 instances", "proxy before, lost, serving": "8, 2, 6"},
        stages=(
            *(Stage(name=f"proxy {name}", value=0, reason="r") for name in ("raw", "clamped")),
            *(Stage(name=f"redis hot {name}", value=12, reason="r") for name in ("raw", "clamped")),
        ),
    )
    assert (made.what, made.capacity_before, made.capacity_after) == ("redis hot", 32, 44)
    assert made.before == made.after == Decimal("1471.68")


@pytest.mark.parametrize("kind", ["scale_out", "shard", "add_storage", "rebalance", "failover", "investigate"])
@pytest.mark.parametrize(
    "inputs", [{}, {"members": "many", "rate of one consumer": "?"}, {" before, lost, serving": ""}]
)
def test_a_record_that_says_too_little_gives_no_cost(kind: str, inputs: dict[str, str]) -> None:
    assert costs_of(kind, PRICES.line("node", 2), inputs=inputs, stages=stages(clamped=3, a=1)) == ()


def test_an_unknown_price_gives_capacity_without_money() -> None:
    (made,) = costs_of("scale_out", PRICES.line("secret", 4), inputs=GROUP, stages=stages(clamped=16))
    assert (made.before, made.after, made.added) == (None, None, None)


def fleet(kind: str, before: int, after: int, price: str = "node") -> Proposal:
    plain = recommendation("f" * 16).proposal
    lines = (PRICES.line(price, after - before),) if after != before else (free_line("nothing"),)
    told = {"kind": kind, "from_": f"{before} instances", "to": f"{after:,} instances (a 2, b 1)", "stages": ()}
    return plain.model_copy(update={**told, "inputs": {}, "evidence": (), "cost": total(lines, "it stays")})


@pytest.mark.parametrize(
    ("proposal", "told"),
    [
        (fleet("scale_out", 48, 1053), ("instance", 48, 1053, "1471.68", "1471.68")),
        (fleet("scale_in", 48, 42), ("instance", 48, 42, "1471.68", None)),
        (fleet("scale_out", 1, 3), ("instance", 1, 3, "1471.68", "1471.68")),
        (fleet("scale_out", 48, 53, "secret"), ("instance", 48, 53, None, None)),
        (fleet("scale_out", 48, 53, "broker"), ("instance", 48, 53, "50000.00", "50000.00")),
        (fleet("investigate", 48, 48), None),
        (fleet("rebalance", 48, 53), None),
        (fleet("scale_out", 48, 53).model_copy(update={"to": "60 instances"}), None),
        (fleet("scale_out", 48, 53).model_copy(update={"to": "53 shards"}), None),
        (fleet("scale_out", 48, 53).model_copy(update={"from_": "some"}), None),
    ],
)
def test_what_one_of_a_fleet_costs(proposal: Proposal, told: Any) -> None:
    made = [
        (
            one.unit,
            one.capacity_before,
            one.capacity_after,
            one.before and str(one.before),
            one.added and str(one.added),
        )
        for one in unit_costs(proposal)
    ]
    assert made == ([told] if told else [])
