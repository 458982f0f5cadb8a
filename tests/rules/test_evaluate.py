"""The alert state machine: a table of cases, an oracle, and what must not depend on how ticks are cut."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.rules import AlertRule
from controlplane.rules.compile import compile_rules
from controlplane.rules.evaluate import FIRING, NO_DATA, STATE, evaluate
from tests.rules.machine import SIGNAL, STEP, Plain, compiled, kinds, numbers, rule_set, samples

OVER = 'when: "> 100"'


@pytest.mark.parametrize(
    ("lines", "series", "expected"),
    [
        pytest.param([OVER], "100 101", [(2, "fired")], id="at the threshold is not over it"),
        pytest.param(['when: ">= 100"'], "99 100", [(2, "fired")], id="at least includes the threshold"),
        pytest.param(['when: "== 0"'], "1 0 1", [(2, "fired"), (3, "resolved")], id="equal"),
        pytest.param([OVER, "for: 30s"], "101 101 100", [(1, "pending"), (3, "dropped")], id="one step short of for"),
        pytest.param([OVER, "for: 30s"], "101 101 101", [(1, "pending"), (3, "fired")], id="exactly for"),
        pytest.param([OVER, "for: 20s"], "101 101 101", [(1, "pending"), (3, "fired")], id="for between two steps"),
        pytest.param(
            [OVER, "for: 30s"],
            "101 101 _ 101 101 101",
            [(1, "pending"), (3, "dropped"), (4, "pending"), (6, "fired")],
            id="one gap resets for",
        ),
        pytest.param([OVER, "for: 30s"], "101 x 101", [(1, "pending"), (3, "fired")], id="no answer leaves the state"),
        pytest.param([OVER], "101 x x 100", [(1, "fired"), (4, "resolved")], id="no answer keeps firing"),
        pytest.param([OVER], "101 nan", [(1, "fired"), (2, "resolved")], id="nan meets nothing"),
        pytest.param(['when: "!= 5"'], "nan 6", [(2, "fired")], id="nan isn't unequal either"),
        pytest.param([OVER], "inf -inf", [(1, "fired"), (2, "resolved")], id="infinity compares"),
        pytest.param([OVER], "101 _", [(1, "fired"), (2, "resolved")], id="a missing series resolves"),
        pytest.param(
            [OVER, "keep_firing_for: 30s"],
            "101 1 1 1",
            [(1, "fired"), (2, "held"), (4, "resolved")],
            id="keep_firing_for counts from the first absence",
        ),
        pytest.param(
            [OVER, "keep_firing_for: 30s"],
            "101 1 101 1 1 1",
            [(1, "fired"), (2, "held"), (3, "returned"), (4, "held"), (6, "resolved")],
            id="presence clears keep_firing_for",
        ),
        pytest.param(
            [OVER, "keep_firing_for: 30s"],
            "101 _ _ _",
            [(1, "fired"), (2, "held"), (4, "resolved")],
            id="keep_firing_for holds a missing series too",
        ),
        pytest.param([OVER, 'clear: "< 80"'], "101 90 80 79", [(1, "fired"), (4, "resolved")], id="hysteresis"),
        pytest.param(
            [OVER, 'clear: "< 80"', "for: 15s"], "101 90", [(1, "pending"), (2, "dropped")], id="not while pending"
        ),
        pytest.param(
            [OVER, "missing: {keep: 30s}"],
            "101 _ _ _",
            [(1, "fired"), (2, "held"), (4, "resolved")],
            id="keep holds for its time",
        ),
        pytest.param(
            [OVER, "missing: {keep: 30s}"],
            "101 1",
            [(1, "fired"), (2, "resolved")],
            id="keep is for missing series only",
        ),
        pytest.param(
            [OVER, "for: 30s", "missing: {keep: 30s}"],
            "101 _ 101",
            [(1, "pending"), (2, "held"), (3, "returned"), (3, "fired")],
            id="a held pending alert doesn't lose its time",
        ),
        pytest.param(
            [OVER, "missing: alert"],
            "1 _ _ 1",
            [(2, "nodata"), (4, "resolved")],
            id="no data of a healthy series",
        ),
        pytest.param(
            [OVER, "missing: alert"],
            "101 _ 101",
            [(1, "fired"), (2, "nodata"), (3, "resolved"), (3, "fired")],
            id="no data of a firing series",
        ),
    ],
)
def test_cases(lines: list[str], series: str, expected: list[tuple[int, str]]) -> None:
    assert kinds(compiled(*lines), series) == expected


VALUES = st.sampled_from(["1", "80", "90", "100", "101", "nan", "inf", "-inf", "_", "x"])


@given(
    series=st.lists(st.lists(VALUES, min_size=12, max_size=12), min_size=1, max_size=3),
    hold=st.sampled_from([0, 15, 20, 30, 60]),
    keep=st.sampled_from([0, 15, 40]),
    missing=st.sampled_from(["resolve", "{keep: 15s}", "{keep: 45s}"]),
    operator=st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
    clear=st.sampled_from([None, "< 80", "<= 90"]),
    cuts=st.sets(st.integers(1, 11)),
)
def test_agrees_with_the_oracle_however_ticks_are_cut(
    series: list[list[str]], hold: int, keep: int, missing: str, operator: str, clear: str | None, cuts: set[int]
) -> None:
    lines = [f'when: "{operator} 100"', f"for: {hold}s", f"keep_firing_for: {keep}s", f"missing: {missing}"]
    if clear:
        lines.append(f'clear: "{clear}"')
    rules = rule_set(*lines)
    # A step that isn't answered is so for every series of the source.
    silent = {step for step in range(12) if any(row[step] == "x" for row in series)}
    series = [["x" if step in silent else value for step, value in enumerate(row)] for row in series]
    whole = samples({str(index): " ".join(row) for index, row in enumerate(series)})
    found = []
    state = STATE.to_frame()
    bounds = [0, *sorted(cuts), 12]
    for first, last in pairwise(bounds):
        part = _between(whole, first * STEP, last * STEP)
        result = evaluate(compile_rules(rules), state, part, STEP)
        state = result.state
        found += list(result.transitions.select("ts", "labels", "kind").iter_rows())
    placed = rules.rules[0].rule
    assert isinstance(placed, AlertRule)
    expected = []
    for index, row in enumerate(series):
        plain = Plain(placed)
        for step, value in enumerate(numbers(" ".join(row))):
            plain.step((step + 1) * STEP, value)
        expected += [(ts, f'{{"name":"{index}"}}', kind) for ts, kind in plain.log]
    assert found == sorted(expected, key=lambda row: (row[0], row[1]))


def _between(window: Samples, after: int, until: int) -> Samples:
    inside = pl.col("ts").is_between(after, until, closed="right")
    covered = pl.col("last").is_between(after, until, closed="right")
    return Samples(window.series, window.samples.filter(inside), window.coverage.filter(covered))


def test_a_step_nobody_answered_changes_nothing() -> None:
    rules = compiled(OVER)
    before = evaluate(rules, STATE.to_frame(), samples({"a": "101"}), STEP).state
    after = evaluate(rules, before, Samples.empty(), STEP)
    assert after.state.equals(before)
    assert not len(after.transitions)


def test_a_longer_for_takes_a_firing_alert_back_to_pending() -> None:
    before = evaluate(compiled(OVER), STATE.to_frame(), samples({"a": "101"}), STEP).state
    result = evaluate(compiled(OVER, "for: 30s"), before, samples({"a": "101 101"}, start=2), STEP)
    assert [
        (ts // STEP, kind, reason) for ts, kind, reason in result.transitions.select("ts", "kind", "reason").iter_rows()
    ] == [
        (2, "resolved", "rule_changed"),
        (2, "pending", "condition"),
        (3, "fired", "condition"),
    ]


def test_alerts_of_a_removed_rule_end() -> None:
    before = evaluate(compiled(OVER), STATE.to_frame(), samples({"a": "101"}), STEP).state
    renamed = compile_rules(rule_set(OVER).model_copy(update={"rules": ()}))
    result = evaluate(renamed, before, samples({"a": "101"}, start=2), STEP)
    assert result.transitions["kind"].to_list() == ["resolved"]
    assert result.transitions["reason"].to_list() == ["rule_removed"]
    assert not len(result.state)


@pytest.mark.parametrize("missing", ["resolve", "alert"])
def test_alerts_of_a_removed_source_end(missing: str) -> None:
    rules = compiled(OVER, f"missing: {missing}")
    gone = evaluate(rules, STATE.to_frame(), samples({"a": "101"}, source="old"), STEP).state
    result = evaluate(rules, gone, samples({"b": "1"}, source="new", start=2), STEP, sources=["new"])
    assert result.transitions.select("kind", "reason").rows() == [("resolved", "missing")]
    kept = evaluate(rules, gone, samples({"b": "1"}, source="new", start=2), STEP, sources=["new", "old"])
    assert not len(kept.transitions)


def test_one_for_want_of_data_of_a_removed_source_ends_and_none_begins() -> None:
    rules = compiled(OVER, "missing: alert")
    there, away = samples({"a": "1", "b": "1"}, source="old"), samples({"a": "_", "b": "1"}, source="old", start=2)
    before = evaluate(rules, STATE.to_frame(), away, STEP, recent=there.series).state
    assert before["state"].to_list() == [NO_DATA]
    new = samples({"c": "1"}, source="new", start=3)
    result = evaluate(rules, before, new, STEP, recent=there.series, sources=["new"])
    assert result.transitions.select("labels", "kind", "reason").rows() == [('{"name":"a"}', "resolved", "missing")]
    assert not len(result.state)
    kept = evaluate(rules, before, new, STEP, recent=there.series, sources=["new", "old"])
    assert kept.state.equals(before)


@pytest.mark.parametrize(("last", "ends"), [(9, []), (10, []), (11, [11]), (12, [11])])
@pytest.mark.parametrize("gone", ["source", "rule"])
def test_they_end_at_a_step_that_is_new(gone: str, last: int, ends: list[int]) -> None:
    """The alert fired at step 10, up to which all is decided; another source is caught up from step 2 on."""
    before = evaluate(compiled(OVER), STATE.to_frame(), samples({"a": "101"}, source="old", start=10), STEP).state
    rules = compiled(OVER) if gone == "source" else compile_rules(rule_set(OVER).model_copy(update={"rules": ()}))
    late = samples({"b": " ".join(["1"] * (last - 1))}, source="new", start=2)
    sources = ["new"] if gone == "source" else ["new", "old"]
    result = evaluate(rules, before, late, STEP, sources=sources, decided=10 * STEP)
    assert [ts // STEP for ts in result.transitions["ts"]] == ends
    assert result.transitions["kind"].to_list() == ["resolved"] * len(ends)
    assert len(result.state) == 1 - len(ends)


def test_two_results_with_one_identity_fail_the_rule_and_keep_its_alerts() -> None:
    rules = compiled(OVER)
    before = evaluate(rules, STATE.to_frame(), samples({"a": "101"}), STEP).state
    one = samples({"a": "1"}, source="s", start=2)
    two = samples({"a": "1"}, source="t", start=2)
    both = Samples(
        pl.concat([one.series, two.series.with_columns(pl.col("sid") + 1)]),
        pl.concat([one.samples, two.samples.with_columns(pl.col("sid") + 1)]),
        pl.concat([one.coverage, two.coverage]),
    )
    result = evaluate(rules, before, both, STEP)
    assert result.duplicates.select("rule", "source").rows() == [("lag", "s, t")]
    assert result.state["state"].to_list() == [FIRING]
    assert not len(result.transitions)


def test_a_series_known_before_the_window_is_missed() -> None:
    rules = compiled(OVER, "missing: alert")
    seen = samples({"a": "1", "b": "1"})
    now = samples({"b": "1"}, start=2)
    result = evaluate(rules, STATE.to_frame(), now, STEP, recent=seen.series)
    assert result.transitions.select("labels", "kind").rows() == [('{"name":"a"}', "nodata")]


@pytest.mark.parametrize(
    ("fold", "values", "fires"),
    [
        ("sum", ("60", "41"), True),
        ("sum", ("60", "40"), False),
        ("sum", ("600", "nan"), False),
        ("avg", ("100", "102.1"), True),
        ("avg", ("600", "nan"), False),
        ("max", ("101", "nan"), True),
        ("max", ("nan", "nan"), False),
        ("min", ("101", "102"), True),
        ("min", ("101", "1"), False),
        ("sum", ("inf", "-inf"), False),
    ],
)
def test_folds_follow_prometheus(fold: str, values: tuple[str, str], *, fires: bool) -> None:
    rules = compiled(OVER, "by: []", f"fold: {fold}")
    result = evaluate(rules, STATE.to_frame(), samples(dict(zip("ab", values, strict=True))), STEP)
    assert bool(len(result.transitions)) == fires
    assert result.transitions["labels"].unique().to_list() in ([], ["{}"])


def test_count_counts_what_is_not_a_number_too() -> None:
    rules = compiled('when: "== 2"', "by: []", "fold: count")
    assert len(evaluate(rules, STATE.to_frame(), samples({"a": "nan", "b": "1"}), STEP).transitions)


def test_hostile_labels_survive_the_fold() -> None:
    name = 'x","y":"\\ \u202e\x1b[31m{}' + "z" * 10_000
    rules = compiled(OVER, "by: [name]", "fold: sum")
    result = evaluate(rules, STATE.to_frame(), samples({name: "101"}), STEP)
    whole = evaluate(compiled(OVER), STATE.to_frame(), samples({name: "101"}), STEP)
    assert result.transitions["labels"].to_list() == whole.transitions["labels"].to_list()


def test_rules_of_another_platform_see_nothing() -> None:
    other = samples({"a": "101"})
    other = Samples(
        other.series.with_columns(platform=pl.lit("elsewhere")),
        other.samples,
        other.coverage.with_columns(platform=pl.lit("elsewhere")),
    )
    assert not len(evaluate(compiled(OVER), STATE.to_frame(), other, STEP).transitions)


def test_where_narrows_a_signal() -> None:
    rules = compiled(OVER, "where: {name: a}")
    found = evaluate(rules, STATE.to_frame(), samples({"a": "101", "b": "101"}), STEP).transitions
    assert found["labels"].unique().to_list() == ['{"name":"a"}']
    assert SIGNAL == "kafka.consumer.lag"
