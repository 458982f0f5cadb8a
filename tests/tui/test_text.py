"""Texts of lines and cells, the columns that a width has room for, and the filter."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from controlplane.model.alerts import Acknowledgement, Alert, AlertState
from controlplane.model.recommendations import Cost, Recommendation
from tests.tui import sample
from tests.tui.sample import NOW
from tui.data import Row
from tui.filter import Filter
from tui.text import advice_line, against, change, change_money, fit, monthly, safe, short_age, where
from tui.widgets.alert_list import COLUMNS
from tui.widgets.columns import GAP, Column, layout
from tui.widgets.lists import ADVICE


def row(**fields) -> Row:
    facts = sample.facts()
    known = {name: getattr(facts, name) for name in type(facts).model_fields if name != "alert"}
    plain = {"id": facts.alert, "state": AlertState.FIRING, "fired_at": NOW, "episode": "e1"}
    return Row.of(Alert(**(known | plain | fields)))


def advised(before: str, after: str, per_month: str | None, one_off: str | None) -> Recommendation:
    money = {name: None if text is None else Decimal(text) for name, text in (("a", per_month), ("b", one_off))}
    cost = Cost(per_month=money["a"], per_month_reserved=None, one_off=money["b"], known=False, lines=(), do_nothing="")
    return sample.scale_out("a1", proposal={"from": before, "to": after, "cost": cost})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("6 consumers", "10 consumers", "6 → 10 consumers"),
        ("1 consumer", "2 consumers", "1 consumer → 2 consumers"),
        ("2 × r6g.xlarge", "4 × r6g.xlarge", "2 → 4 × r6g.xlarge"),
        ("pg-1 (eu1-a)", "pg-3 (eu1-c)", "pg-1 (eu1-a) → pg-3 (eu1-c)"),
        ("pg-1", "pg-3", "pg-1 → pg-3"),
        ("", "", " → "),
        ("\x1b[31m1 x", "2 x", "�[31m1 → 2 x"),
    ],
)
def test_what_stays_the_same_is_named_once(before: str, after: str, told: str) -> None:
    assert change(advised(before, after, "1", "0").proposal) == told


@pytest.mark.parametrize(
    ("per_month", "one_off", "column", "line"),
    [
        ("496.40", "0", "+$496/mo", "+$496.40/mo"),
        ("-35536", "0", "−$35,536/mo", "−$35,536/mo"),
        ("0", "0", "$0/mo", "$0/mo"),
        ("0", "125000", "$125,000 once", "$0/mo, one-off $125,000"),
        ("12", "125000", "+$12/mo", "+$12/mo, one-off $125,000"),
        (None, "1250", "unknown", "cost unknown, one-off $1,250"),
        (None, "0", "unknown", "cost unknown"),
        ("12", None, "+$12/mo", "+$12/mo, one-off unknown"),
    ],
)
def test_a_price_has_its_one_off_part_and_is_never_cut(
    per_month: str | None, one_off: str | None, column: str, line: str
) -> None:
    found = advised("6 consumers", "10 consumers", per_month, one_off)
    assert monthly(found.proposal.cost) == column
    assert advice_line(found) == f"SCALE OUT consumer group billing · 6 → 10 consumers · {line}"
    assert advice_line(found, 200) == advice_line(found)


@pytest.mark.parametrize(
    ("width", "per_month", "one_off", "line"),
    [
        (65, "496.40", "0", "SCALE OUT consumer group billing · 6 → 10 consumers · +$496.40/mo"),
        (64, "496.40", "0", "SCALE OUT consumer group billing · 6 → 10 consumers · +$496/mo"),
        (59, "496.40", "0", "SCALE OUT consumer group billing · 6 → 10 consu… · +$496/mo"),
        (59, "0", "125000", "SCALE OUT consumer group billing · 6 → 10… · $125,000 once"),
        (59, None, "1250", "SCALE OUT consumer group billing · 6 → 10 consumers"),
        (40, None, "1250", "SCALE OUT consumer group billing · 6 →…"),
        (5, "496.40", "0", " · +$496/mo"),
    ],
)
def test_a_line_without_room_keeps_the_price_whole(width: int, per_month: str, one_off: str, line: str) -> None:
    assert advice_line(advised("6 consumers", "10 consumers", per_month, one_off), width) == line


@given(st.text(max_size=60), st.integers(0, 40), st.booleans())
def test_a_fitted_text_has_exactly_the_width(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(safe(text), width, right=right)) == width


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    assert {category(char) for char in safe(text)}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("lag", 5, "lag  "),
        ("consumer", 5, "cons…"),
        ("日本語テスト", 6, "日本… "),
        ("日本", 4, "日本"),
        ("x", 0, ""),
        ("", 3, "   "),
    ],
)
def test_fit(text: str, width: int, shown: str) -> None:
    assert fit(text, width) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (-5, "0s"),
        (59, "59s"),
        (252, "4m12s"),
        (599, "9m59s"),
        (600, "10m"),
        (3_599, "59m"),
        (3_600, "1h"),
        (86_399, "23h59m"),
        (10_400_000, "120d8h"),
    ],
)
def test_short_age(seconds: int, shown: str) -> None:
    assert short_age(timedelta(seconds=seconds)) == shown
    assert len(shown) <= 6


@pytest.mark.parametrize(
    ("value", "threshold", "unit", "short", "shown"),
    [
        (412_000, "> 100000", "{message}", False, "412,000 > 100,000 messages"),
        (412_000, "> 100000", "{message}", True, "412k > 100k messages"),
        (9_999, "> 100", "{message}", True, "9,999 > 100 messages"),
        (1, "< 4", "{entry}", True, "1 < 4 entries"),
        (0.912, "> 0.85", "1", False, "91.2 > 85 %"),
        (0.912, "> 85 %", "1", False, "91.2 > 85 %"),
        (1.4e12, "> 900000000000", "By", True, "1.4 TB > 900 GB"),
        (812, "> 750", "ms", True, "812 > 750 ms"),
        (None, "> 5", "ms", True, "no data > 5 ms"),
        (float("inf"), "> 5", "ms", True, "+inf > 5 ms"),
        (float("nan"), "> 5", "{x}", True, "+nan > 5 xs"),
        (7, "[red]x", "ms", True, "7 ms [red]x"),
    ],
)
def test_a_value_against_its_threshold(value, threshold, unit, short, shown) -> None:
    assert against(value, threshold, unit, short=short) == shown


def test_where_leaves_out_what_another_column_says() -> None:
    assert where({"topic": "orders", "app": "kafka", "group": "billing", "empty": ""}, "kafka") == "billing orders"


def test_a_cost_is_a_change() -> None:
    cost = sample.scale_out("a").proposal.cost
    assert change_money(cost) == "+$496.40"
    assert change_money(cost, "one_off") == "$0"
    assert change_money(cost.model_copy(update={"per_month": -cost.per_month})) == "−$496.40"
    assert change_money(cost.model_copy(update={"per_month": None})) == "unknown"


@given(
    st.integers(1, 300),
    st.dictionaries(st.sampled_from([column.name for column in COLUMNS]), st.integers(2, 60)),
)
def test_columns_never_overflow(width: int, wanted: dict[str, int]) -> None:
    chosen = layout(COLUMNS, width, wanted)
    total = sum(size for _, size in chosen) + GAP * (len(chosen) - 1)
    assert total <= width or len(chosen) == 1
    assert all(size >= 1 for _, size in chosen)


@pytest.mark.parametrize("columns", [COLUMNS, ADVICE.columns], ids=["alerts", "recommendations"])
@given(width=st.integers(30, 300), wanted=st.integers(2, 60))
def test_a_price_is_whole_or_left_out(columns: Sequence[Column], width: int, wanted: int) -> None:
    everything = {column.name: min(column.most, wanted) for column in columns}
    chosen = {column.name: size for column, size in layout(columns, width, everything | {"cost": 13})}
    assert chosen.get("cost", 13) >= len("$125,000 once")


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (200, [column.name for column in COLUMNS]),
        (95, ["severity", "state", "age", "where", "alert", "value", "cost", "owner"]),
        (78, ["severity", "state", "age", "where", "alert", "value"]),
        (58, ["severity", "state", "age", "alert", "value"]),
        (30, ["severity", "alert"]),
    ],
)
def test_the_least_important_columns_leave_first(width: int, names: list[str]) -> None:
    assert [column.name for column, _ in layout(COLUMNS, width, {})] == names


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", True),
        ("behind", True),
        ("BEHIND kafka", True),
        ("behind disk", False),
        ("-disk", True),
        ("-behind", False),
        ("sev:crit", True),
        ("sev:warning", False),
        ("severity:c platform:cat component:kaf", True),
        ("platform:prism", False),
        ("-platform:prism", True),
        ("state:firing", True),
        ("state:open", True),
        ("state:ack", False),
        ("source:prom-eu1 rule:consumer-lag", True),
        ("topic:orders", True),
        ("topic:order -consumer_group:shipping", True),
        ("topic:payments", False),
        ("nolabel:x", False),
        ("owner:ana", False),
        ("sev:", True),
        (":", False),
        ("-", True),
    ],
)
def test_filter(line: str, found: bool) -> None:
    assert Filter.parse(line).matches(row()) is found


def test_filter_by_owner_and_doubt() -> None:
    taken = row(acknowledged=Acknowledgement(actor="Mira", at=NOW), held_for="missing")
    assert Filter.parse("own:mira state:acknowledged state:held").matches(taken)
    assert Filter.parse("state:?").matches(Row.of(taken.alert, doubt="source fails"))
    assert not Filter.parse("state:?").matches(taken)
