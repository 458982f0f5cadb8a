"""Price books: reading them, pricing quantities, and what stays unknown."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.costs import PriceBook, free_line, gb_per_month, parse_price_book, read_price_book, total
from controlplane.model.errors import InvalidInput
from controlplane.model.prices import THINGS, TRAFFIC
from tests.advice_cases import HOSTILE, PRICES, price

BOOK = """\
currency: USD
prices:
  - id: r6i-4xlarge
    item: r6i.4xlarge
    unit: USD/h
    amount: "2.016"
    reserved: "1.008"
    source: {document: Memo, section: Hot tier, quote: $2.016/hour, date: "2025-11-15"}
  - id: quote-pending
    item: rack
    unit: USD
    amount: null
    source: {document: Letter, date: "2026-01-31"}
"""


def test_a_book_is_read_with_its_sources(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(BOOK, encoding="utf-8")
    book = read_price_book(path)
    assert book == parse_price_book(BOOK, "prices.yaml")
    node = book.get("r6i-4xlarge")
    assert node is not None
    assert (node.amount, node.reserved, node.source.quote) == (Decimal("2.016"), Decimal("1.008"), "$2.016/hour")
    assert book.get("r6i") is None
    assert book.get(None) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("quote-pending", "r6i-4xlarge", "p.yaml:9:5 (prices.1.id): the price 'r6i-4xlarge' stands in line 3 already"),
        ('"2.016"', '"-2"', "p.yaml:6:5 (prices.0.amount): '-2' is negative"),
        ('"1.008"', '"-0.5"', "p.yaml:7:5 (prices.0.reserved): '-0.5' is negative"),
        ('"2.016"', "two", "p.yaml:6:5 (prices.0.amount): 'two' is not an amount"),
        ('"2.016"', '"NaN"', "p.yaml:6:5 (prices.0.amount): 'NaN' is not an amount"),
        ("USD/h", "USD/hour", "p.yaml:5:5 (prices.0.unit): Input should be 'USD/h'"),
        ("    unit: USD\n", "", "prices.1.unit): the key 'unit' is missing"),
        ("reserved", "reservd", "unknown key 'reservd'. Did you mean 'reserved'?"),
        ("2025-11-15", "15.11.2025", "(prices.0.source.date): '15.11.2025' is not a day. Write it as 2026-01-31"),
        ("2025-11-15", "20251115", "'20251115' is not a day"),
        ("currency: USD", "currency: EUR", "p.yaml:1:1 (currency): Input should be 'USD'"),
    ],
)
def test_errors_name_line_key_and_remedy(old: str, new: str, told: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_price_book(BOOK.replace(old, new, 1), "p.yaml")
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "prices: 3", "prices: [3]", "- a"])
def test_what_is_no_book_is_an_error_and_not_a_crash(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_price_book(text, "p.yaml")


def test_every_problem_is_told_at_once() -> None:
    text = BOOK.replace('"2.016"', '"-2"').replace("2026-01-31", "soon")
    with pytest.raises(InvalidInput) as error:
        parse_price_book(text, "p.yaml")
    assert len(error.value.problems) == 2


def test_ids_are_unique_however_a_book_is_made() -> None:
    with pytest.raises(ValueError, match="'a' stands here twice"):
        PriceBook(prices=(price("a", "USD", "1"), price("a", "USD", "2")))


@pytest.mark.parametrize(
    ("name", "quantity", "per_month", "reserved", "one_off"),
    [
        ("node", 1, "1471.68", "735.84", "0"),
        ("node", 12, "17660.16", "8830.08", "0"),
        ("node", -2, "-2943.36", "-1471.68", "0"),
        ("node", 0, "0.00", "0.00", "0"),
        ("server", 3, "1200.00", None, "0"),
        ("licence", 1, "100.00", None, "0"),
        ("licence", Decimal("0.5"), "50.00", None, "0"),
        ("broker", 2, "0", "0", "100000.00"),
        ("disk", 200, "16.00", "16.00", "0"),
        ("cross-zone", 181_440_000, "1814400.00", "1814400.00", "0"),
        ("cross-zone", -1.5, "-0.02", "-0.02", "0"),
    ],
)
def test_amounts(name: str, quantity: float, per_month: str, reserved: str | None, one_off: str) -> None:
    line = PRICES.line(name, quantity)
    assert line.per_month == Decimal(per_month)
    assert line.per_month_reserved == (None if reserved is None else Decimal(reserved))
    assert line.one_off == Decimal(one_off)
    assert line.price == name
    assert line.source is not None


def test_traffic_once_is_one_off() -> None:
    line = PRICES.line("cross-zone", 240, once=True)
    assert (line.per_month, line.per_month_reserved, line.one_off) == (0, 0, Decimal("2.40"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (None, "no price is named for it"),
        ("", "no price is named for it"),
        ("nodes", "the price book has no entry 'nodes'"),
        ("secret", "the price is not known"),
        (HOSTILE, "the price book has no entry"),
    ],
)
def test_an_unknown_price_is_never_zero(name: str | None, told: str) -> None:
    line = PRICES.line(name, 0)
    assert (line.per_month, line.per_month_reserved, line.one_off) == (None, None, None)
    assert told in line.note
    assert line.item.isprintable()
    assert line.note.isprintable()
    cost = total((line, PRICES.line("node", 1)), "nothing")
    assert (cost.per_month, cost.one_off, cost.known) == (None, None, False)


def test_a_price_in_another_unit_is_no_price() -> None:
    line = PRICES.line("cross-zone", 3, units=THINGS)
    assert (line.per_month, line.one_off) == (None, None)
    assert "a price in USD/GBy doesn't fit" in line.note
    assert PRICES.line("cross-zone", 3, units=TRAFFIC).per_month == Decimal("0.03")


@pytest.mark.parametrize("quantity", [float("nan"), float("inf"), Decimal("Infinity")])
def test_a_quantity_is_finite(quantity: float) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        PRICES.line("node", quantity)


def test_a_free_line_is_known() -> None:
    cost = total((free_line("Promotion"),), "nothing")
    assert (cost.per_month, cost.per_month_reserved, cost.one_off, cost.known) == (0, 0, 0, True)


@pytest.mark.parametrize(
    ("bytes_per_second", "gb"), [(0, "0"), (1e9, "2592000"), (70e9, "181440000"), (938e9, "2431296000")]
)
def test_traffic_of_a_month(bytes_per_second: float, gb: str) -> None:
    assert gb_per_month(bytes_per_second) == Decimal(gb)


names = st.sampled_from([entry.id for entry in PRICES.prices] + ["missing"])
quantities = st.decimals(min_value=-(10**9), max_value=10**9, places=3) | st.integers(-(10**9), 10**9)


@given(st.lists(st.tuples(names, quantities), max_size=6))
def test_money_adds_up(wanted: list[tuple[str, Decimal | int]]) -> None:
    lines = tuple(PRICES.line(name, quantity) for name, quantity in wanted)
    cost = total(lines, "nothing")
    for field in ("per_month", "per_month_reserved", "one_off"):
        parts = [getattr(line, field) for line in lines]
        assert getattr(cost, field) == (None if None in parts else sum(parts, Decimal(0)))
    unknown = any(name in {"missing", "secret"} for name, _ in wanted)
    assert cost.known is not unknown


@given(names, quantities)
def test_a_saving_mirrors_the_cost(name: str, quantity: Decimal | int) -> None:
    spent, saved = PRICES.line(name, quantity), PRICES.line(name, -quantity)
    for field in ("per_month", "per_month_reserved", "one_off"):
        a, b = getattr(spent, field), getattr(saved, field)
        assert (a is None) is (b is None)
        if a is not None:
            assert a == -b
            assert a == a.quantize(Decimal("0.01"))
