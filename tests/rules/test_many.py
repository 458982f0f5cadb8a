"""Many rules, sources and series at once against the plain machine; what must not depend on window or series."""

import json
from collections.abc import Callable
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.rules import RuleSet
from controlplane.rules.compile import compile_rules
from controlplane.rules.evaluate import FIRING, STATE, evaluate
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules
from tests.rules.machine import SIGNAL, STEP, PlainRules, compiled, rule_set, samples

STEPS = 6
SIGNALS = ("a.value", "b.value")
Draw = Callable[..., object]


@st.composite
def rules(draw: st.DrawFn) -> RuleSet:
    made = []
    for number in range(draw(st.integers(1, 4))):
        by = draw(st.sampled_from([None, None, [], ["host"], ["zone"], ["zone", "host"]]))
        fold = draw(st.sampled_from(["sum", "avg", "max", "min", "count"]))
        rule = {
            "id": f"r{number}",
            "kind": "alert",
            "title": "Rule",
            "signal": draw(st.sampled_from(SIGNALS)),
            "where": draw(st.sampled_from([{}, {}, {"zone": "z1"}])),
            "when": draw(st.sampled_from([">", ">=", "<", "<=", "==", "!="])) + " 5",
            "for": draw(st.sampled_from(["0s", "15s", "20s", "30s"])),
            "keep_firing_for": draw(st.sampled_from(["0s", "0s", "30s"])),
            "missing": draw(st.sampled_from(["resolve", "alert", {"keep": "30s"}])),
            "severity": "warning",
            "summary": "s",
            "basis": "house",
            "rationale": "a test",
        }
        if by is not None:
            rule |= {"by": by, "fold": fold}
        if draw(st.booleans()):
            rule["clear"] = draw(st.sampled_from(["< 3", "> 7", "<= 4"]))
        made.append(rule)
    pack = {
        "platform": "shop",
        "component": "c",
        "signals": [{"name": name, "unit": "1"} for name in SIGNALS],
        "rules": made,
    }
    loaded = load_rules([RuleText("test.yaml", json.dumps(pack))])
    assert not loaded.problems, loaded.problems
    return loaded.rules


@st.composite
def windows(draw: st.DrawFn) -> Samples:
    """Two sources, series of any, this or another platform, samples where there was an answer."""
    names = st.fixed_dictionaries({"host": st.sampled_from(["h1", "h2", ""]), "zone": st.sampled_from(["z1", "z2"])})
    keys = st.tuples(st.sampled_from("st"), st.sampled_from(["shop", "shop", "", "other"]), st.sampled_from(SIGNALS))
    named = draw(st.lists(st.tuples(keys, names), min_size=1, max_size=6))
    series = [(sid, *key, canonical(labels)) for sid, (key, labels) in enumerate(named)]
    coverage = [
        (source, draw(st.sampled_from(["", "shop"])), signal, step * STEP, step * STEP)
        for source in "st"
        for signal in SIGNALS
        for step in range(1, STEPS + 1)
        if draw(st.integers(0, 4))
    ]
    answered = {(source, signal, ts) for source, _, signal, ts, _ in coverage}
    values = st.sampled_from([1.0, 3.0, 4.0, 5.0, 6.0, 8.0, 0.1, float("inf"), float("-inf"), None, "_"])
    rows = [
        (sid, step * STEP, value)
        for sid, source, _, signal, _ in series
        for step in range(1, STEPS + 1)
        if (source, signal, step * STEP) in answered and (value := draw(values)) != "_"
    ]
    return Samples(
        pl.DataFrame(series, SERIES, orient="row"),
        pl.DataFrame(rows, SAMPLES, orient="row"),
        pl.DataFrame(coverage, COVERAGE, orient="row"),
    )


@given(rules=rules(), window=windows(), cuts=st.sets(st.integers(1, STEPS - 1), max_size=2), shuffled=st.randoms())
def test_agrees_with_the_plain_machine_however_ticks_are_cut(
    rules: RuleSet, window: Samples, cuts: set[int], shuffled: object
) -> None:
    plain = PlainRules(rules)
    expected = plain.run(window)
    ready, state = compile_rules(rules), STATE.to_frame()
    found, clashes, before = [], set(), SERIES.to_frame()
    for first, last in pairwise([0, *sorted(cuts), STEPS]):
        inside = pl.col("ts").is_between(first * STEP, last * STEP, closed="right")
        covered = pl.col("last").is_between(first * STEP, last * STEP, closed="right")
        rows = window.samples.filter(inside)
        order = shuffled.sample(range(len(rows)), len(rows))
        # As the store does, a window has the series that have samples in it, under numbers of its own.
        series = window.series.join(rows, on="sid", how="semi", maintain_order="left").with_columns(
            pl.col("sid") * 2 + first
        )
        moved = rows[order].with_columns((pl.col("sid") * 2 + first).cast(pl.UInt32))
        part = Samples(series.cast(SERIES), moved, window.coverage.filter(covered))
        result = evaluate(ready, state, part, STEP, recent=before)
        state = result.state
        before = pl.concat([before, part.series])
        found += result.transitions.select("ts", "rule", "source", "labels", "kind").rows()
        clashes |= set(result.duplicates.select("ts", "rule", "labels").rows())
    assert found == expected
    assert clashes == plain.clashes


def many(values: list[float], *, absent: int = 0) -> Samples:
    """One step of many series, in front of which some have no sample."""
    names = [canonical({"name": f"{number:03}"}) for number in range(absent + len(values))]
    return Samples(
        pl.DataFrame([(sid, "s", "", SIGNAL, name) for sid, name in enumerate(names)], SERIES, orient="row"),
        pl.DataFrame([(absent + n, STEP, value) for n, value in enumerate(values)], SAMPLES, orient="row"),
        pl.DataFrame([("s", "", SIGNAL, STEP, STEP)], COVERAGE, orient="row"),
    )


@pytest.mark.parametrize("fold", ["sum", "avg"])
@pytest.mark.parametrize("absent", [0, 1, 3, 8, 200])
def test_sums_are_added_in_order_whatever_series_are_absent(fold: str, absent: int) -> None:
    values = [0.1 * (number + 1) for number in range(300)]
    expected = 0.0
    for value in values:
        expected += value
    expected = expected / len(values) if fold == "avg" else expected
    ready = compiled(f'when: "> {expected!r}"', "by: []", f"fold: {fold}")
    assert not len(evaluate(ready, STATE.to_frame(), many(values, absent=absent), STEP).transitions)
    shown = evaluate(compiled('when: "> 1"', "by: []", f"fold: {fold}"), STATE.to_frame(), many(values), STEP)
    assert shown.results["value"].to_list() == [expected]


def test_other_series_under_the_same_numbers_are_told_apart() -> None:
    ready = compiled('when: "> 100"')
    first = evaluate(ready, STATE.to_frame(), samples({"a": "101", "b": "1"}), STEP)
    second = evaluate(ready, first.state, samples({"c": "1", "a": "101"}, start=2), STEP)
    assert not len(second.transitions)
    assert second.state["labels"].to_list() == ['{"name":"a"}']


def test_a_series_that_comes_up_in_the_window_was_not_missing_before() -> None:
    ready = compiled('when: "> 100"', "missing: alert")
    result = evaluate(ready, STATE.to_frame(), samples({"a": "1 1 1 1", "b": "_ _ 1 _"}), STEP)
    assert [(ts // STEP, labels, kind) for ts, labels, kind in result.transitions.select(
        "ts", "labels", "kind"
    ).iter_rows()] == [(4, '{"name":"b"}', "nodata")]  # fmt: skip


def test_a_firing_alert_of_a_changed_rule_whose_series_is_gone_is_nodata() -> None:
    before = evaluate(compiled('when: "> 100"'), STATE.to_frame(), samples({"a": "101"}), STEP).state
    changed = compiled('when: "> 100"', "for: 1m", "missing: alert")
    result = evaluate(changed, before, samples({"b": "1"}, start=2), STEP)
    assert result.transitions["kind"].to_list() == ["resolved", "nodata"]


def test_alerts_of_a_removed_rule_stay_until_something_is_answered() -> None:
    before = evaluate(compiled('when: "> 100"'), STATE.to_frame(), samples({"a": "101"}), STEP).state
    gone = compile_rules(rule_set('when: "> 100"').model_copy(update={"rules": ()}))
    assert evaluate(gone, before, Samples.empty(), STEP).state["state"].to_list() == [FIRING]


def test_results_are_those_of_active_alerts_and_the_last_step_of_every_rule() -> None:
    ready = compiled('when: "> 100"')
    result = evaluate(ready, STATE.to_frame(), samples({"a": "101 nan 1 _", "b": "1 1 1 1"}), STEP)
    rows = result.results.filter(pl.col("labels") == '{"name":"a"}').select("ts", "value", "met").rows()
    assert rows == [(STEP, 101.0, True), (2 * STEP, None, False), (3 * STEP, 1.0, False)]
    assert result.last_seen == {"lag": 4 * STEP}


@pytest.mark.parametrize(
    ("operator", "meeting"),
    [(">", {101}), (">=", {100, 101}), ("<", {99}), ("<=", {99, 100}), ("==", {100}), ("!=", {99, 101})],
)
def test_every_comparison_at_its_boundary(operator: str, meeting: set[int]) -> None:
    ready = compiled(f'when: "{operator} 100"')
    for value in (99, 100, 101):
        # A value that is not a number is there too, and meets nothing.
        result = evaluate(ready, STATE.to_frame(), samples({"a": f"{value} nan"}), STEP)
        fired = result.transitions.filter(pl.col("kind") == "fired")["ts"].to_list()
        assert fired == ([STEP] if value in meeting else [])


def test_a_series_that_comes_up_was_not_missing_while_others_fired() -> None:
    ready = compiled('when: "> 100"', "missing: alert")
    result = evaluate(ready, STATE.to_frame(), samples({"a": "101 101 1 1", "b": "_ _ 1 _"}), STEP)
    rows = result.transitions.filter(pl.col("kind") == "nodata").select("ts", "labels").rows()
    assert rows == [(4 * STEP, '{"name":"b"}')]


def test_a_series_known_before_is_missed_until_it_is_back_in_the_window() -> None:
    ready = compiled('when: "> 100"', "missing: alert")
    seen = samples({"a": "1", "b": "1"})
    result = evaluate(ready, STATE.to_frame(), samples({"a": "_ 1", "b": "1 1"}, start=2), STEP, recent=seen.series)
    rows = result.transitions.select("ts", "labels", "kind").rows()
    assert rows == [(2 * STEP, '{"name":"a"}', "nodata"), (3 * STEP, '{"name":"a"}', "resolved")]
