"""What a rule says when data is missing, at its two thresholds, and when the rule set changes: tables to be read."""

from collections.abc import Sequence

import polars as pl
import pytest

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.rules import RuleSet
from controlplane.rules.compile import compile_rules
from controlplane.rules.evaluate import FIRING, NO_DATA, PENDING, STATE, Evaluation, evaluate
from tests.rules.machine import RULE, SIGNAL, STEP, rule_set

OVER = 'when: "> 100"'
Series = tuple[str, dict[str, str], float]
"""source, labels, value."""


def at(step: int, *series: Series, answered: Sequence[str] = ("s",)) -> Samples:
    """One step: the series that are there, and the sources that answered."""
    ts = step * STEP
    named = [(sid, source, "", SIGNAL, canonical(labels)) for sid, (source, labels, _) in enumerate(series)]
    return Samples(
        pl.DataFrame(named, schema=SERIES, orient="row"),
        pl.DataFrame([(sid, ts, value) for sid, (_, _, value) in enumerate(series)], schema=SAMPLES, orient="row"),
        pl.DataFrame([(source, "", SIGNAL, ts, ts) for source in answered], schema=COVERAGE, orient="row"),
    )


def tick(rules: RuleSet, state: pl.DataFrame, window: Samples, **more: object) -> Evaluation:
    return evaluate(compile_rules(rules), state, window, STEP, **more)


def told(done: Evaluation) -> list[tuple[str, str]]:
    return done.transitions.select("kind", "reason").rows()


# missing data


A, B = {"name": "a"}, {"name": "b"}
POLICIES = {"resolve": "resolve", "keep": "{keep: 30s}", "alert": "alert"}
GONE = {
    # (policy, state before) → what the first step without the series tells, and the second and third one.
    ("resolve", PENDING): [[("dropped", "missing")], [], []],
    ("resolve", FIRING): [[("resolved", "missing")], [], []],
    ("keep", PENDING): [[("held", "missing")], [], [("dropped", "missing")]],
    ("keep", FIRING): [[("held", "missing")], [], [("resolved", "missing")]],
    ("alert", PENDING): [[("nodata", "missing")], [], []],
    ("alert", FIRING): [[("nodata", "missing")], [], []],
}


@pytest.mark.parametrize("what", ["the series is missing, others are there", "the result is empty", "the query failed"])
@pytest.mark.parametrize("before", [PENDING, FIRING], ids=["pending", "firing"])
@pytest.mark.parametrize("policy", list(POLICIES))
def test_missing_data(policy: str, before: int, what: str) -> None:
    """A failed query changes nothing under any policy; a series is gone whether others are there or not."""
    rules = rule_set(OVER, "for: 1h" if before == PENDING else "for: 0s", f"missing: {POLICIES[policy]}")
    done = tick(rules, STATE.to_frame(), at(1, ("s", A, 101.0), ("s", B, 1.0)))
    assert done.state["state"].to_list() == [before]
    state, found = done.state, []
    for step in (2, 3, 4):
        if what == "the query failed":
            window = at(step, answered=())
        elif what == "the result is empty":
            window = at(step)
        else:
            window = at(step, ("s", B, 1.0))
        done = tick(rules, state, window)
        found.append(told(done))
        if what == "the query failed":
            assert done.state.equals(state)
        state = done.state
    assert found == ([[], [], []] if what == "the query failed" else GONE[policy, before])


@pytest.mark.parametrize(
    ("policy", "steps", "expected"),
    [
        # What was said while nobody answered doesn't count towards `keep`, but the time does.
        ("{keep: 30s}", ["_", "x", "_"], [["held"], [], ["resolved"]]),
        ("{keep: 45s}", ["_", "x", "_"], [["held"], [], []]),
        ("{keep: 30s}", ["x", "_", "_"], [[], ["held"], []]),
        ("{keep: 30s}", ["_", "101", "_"], [["held"], ["returned"], ["held"]]),
        # It comes back below the threshold: that ends it at once.
        ("{keep: 30s}", ["_", "1"], [["held"], ["resolved"]]),
        ("{keep: 30s}", ["_", "100"], [["held"], ["resolved"]]),
        ("alert", ["_", "x", "1"], [["nodata"], [], ["resolved"]]),
        ("alert", ["_", "x", "101"], [["nodata"], [], ["resolved", "fired"]]),
        ("resolve", ["x", "101"], [[], []]),
    ],
)
def test_missing_data_over_time(policy: str, steps: list[str], expected: list[list[str]]) -> None:
    rules = rule_set(OVER, f"missing: {policy}")
    state, found = tick(rules, STATE.to_frame(), at(1, ("s", A, 101.0))).state, []
    for step, word in enumerate(steps, start=2):
        if word == "x":
            window = at(step, answered=())
        elif word == "_":
            window = at(step)
        else:
            window = at(step, ("s", A, float(word)))
        done = tick(rules, state, window)
        state = done.state
        found.append([kind for kind, _ in told(done)])
    assert found == expected


def test_a_source_that_fails_freezes_its_own_alerts_only() -> None:
    rules = rule_set(OVER)
    done = tick(rules, STATE.to_frame(), at(1, ("s", A, 101.0), ("t", B, 101.0), answered=("s", "t")))
    after = tick(rules, done.state, at(2, answered=("t",)))
    assert after.transitions.select("source", "kind").rows() == [("t", "resolved")]
    assert after.state["source"].to_list() == ["s"]


# hysteresis


@pytest.mark.parametrize(
    ("when", "clear", "fires", "ends"),
    [
        # value → fires from rest?; value → ends a firing alert?
        ("> 100", "< 80", {100.0: False, 100.00001: True}, {80.0: False, 79.99999: True, 90.0: False, 100.0: False}),
        ("> 100", "<= 80", {100.0: False, 100.00001: True}, {80.0: True, 80.00001: False}),
        (">= 100", "< 80", {100.0: True, 99.99999: False}, {80.0: False, 79.99999: True}),
        ("< 10", "> 20", {10.0: False, 9.99999: True}, {20.0: False, 20.00001: True, 15.0: False}),
        ("<= 10", ">= 20", {10.0: True, 10.00001: False}, {20.0: True, 19.99999: False}),
        ("== 0", ">= 2", {0.0: True, 1.0: False}, {1.0: False, 2.0: True}),
        ("!= 1", "== 1", {1.0: False, 0.0: True}, {1.0: True, 2.0: False}),
        # An exit that overlaps the entry: what meets `when` is active, whatever `clear` says.
        ("> 100", "< 120", {110.0: True}, {110.0: False, 119.0: False, 100.0: True}),
    ],
)
def test_the_two_thresholds(when: str, clear: str, fires: dict[float, bool], ends: dict[float, bool]) -> None:
    rules = rule_set(f'when: "{when}"', f'clear: "{clear}"')
    for value, expected in fires.items():
        assert bool(told(tick(rules, STATE.to_frame(), at(1, ("s", A, value))))) is expected, value
    start = {">": 1e9, "<": -1e9, "=": 0.0, "!": 0.0}[when[0]]
    firing = tick(rules, STATE.to_frame(), at(1, ("s", A, start))).state
    assert firing["state"].to_list() == [FIRING]
    for value, expected in ends.items():
        assert bool(told(tick(rules, firing, at(2, ("s", A, value))))) is expected, value


@pytest.mark.parametrize(
    ("lines", "values", "expected"),
    [
        # Between the thresholds a pending alert ends and a firing one goes on.
        (['clear: "< 80"', "for: 15s"], [101, 90], ["pending", "dropped"]),
        (['clear: "< 80"', "for: 15s"], [101, 101, 90, 90, 79], ["pending", "fired", "", "", "resolved"]),
        # After the end it takes the entry threshold again.
        (['clear: "< 80"'], [101, 79, 90, 100, 101], ["fired", "resolved", "", "", "fired"]),
        # keep_firing_for begins where the exit is crossed, and the middle brings it back.
        (
            ['clear: "< 80"', "keep_firing_for: 30s"],
            [101, 79, 90, 79, 79, 79],
            ["fired", "held", "returned", "held", "", "resolved"],
        ),
        # What isn't a number ends it, although it doesn't meet the exit either.
        (['clear: "< 80"'], [101, float("nan")], ["fired", "resolved"]),
    ],
)
def test_hysteresis_over_time(lines: list[str], values: list[float], expected: list[str]) -> None:
    rules = rule_set(OVER, *lines)
    state, found = STATE.to_frame(), []
    for step, value in enumerate(values, start=1):
        window = at(step, ("s", A, value))
        window = Samples(window.series, window.samples.with_columns(pl.col("value").fill_nan(None)), window.coverage)
        done = tick(rules, state, window)
        state = done.state
        found.append(" ".join(kind for kind, _ in told(done)))
    assert found == expected


# changes of the rule set while an alert fires

CHANGES = [
    # The rule afterwards, the value then, and what is told in the first step with it.
    pytest.param([OVER], 101.0, [], id="unchanged"),
    pytest.param([OVER, "for: 15s"], 101.0, [], id="`for` raised to less than it has been active"),
    pytest.param([OVER, "for: 30s"], 101.0, [], id="`for` raised to exactly that"),
    pytest.param(
        [OVER, "for: 31s"], 101.0, [("resolved", "rule_changed"), ("pending", "condition")], id="`for` raised to more"
    ),
    pytest.param(
        [OVER, "for: 31s"],
        1.0,
        [("resolved", "rule_changed"), ("pending", "condition"), ("dropped", "condition")],
        id="`for` raised to more, and the condition is gone",
    ),
    pytest.param(['when: "> 101"'], 101.0, [("resolved", "condition")], id="a higher threshold"),
    pytest.param(['when: "> 50"'], 60.0, [], id="a lower threshold"),
    pytest.param(['when: "< 50"'], 101.0, [("resolved", "condition")], id="another operator"),
    pytest.param([OVER, 'clear: "< 80"'], 90.0, [], id="an exit threshold that isn't reached"),
    pytest.param([OVER, "keep_firing_for: 1m"], 1.0, [("held", "keep_firing_for")], id="keep_firing_for"),
    pytest.param([OVER, "where: {name: b}"], 101.0, [("resolved", "missing")], id="where leaves it out"),
]


@pytest.mark.parametrize(("lines", "value", "expected"), CHANGES)
def test_a_changed_rule(lines: list[str], value: float, expected: list[tuple[str, str]]) -> None:
    """The alert has been active for 30 s when the rule changes."""
    before = tick(rule_set(OVER), STATE.to_frame(), at(1, ("s", A, 101.0))).state
    assert told(tick(rule_set(*lines), before, at(3, ("s", A, value)))) == expected


WATCHED = [OVER, "missing: alert"]
UNWATCHED = [
    # What the alert for want of data was raised with, the rule afterwards, and whether that ends it.
    pytest.param([], WATCHED, False, id="unchanged"),
    pytest.param([], [*WATCHED, "for: 1h"], False, id="another `for`"),
    pytest.param([], ['when: "> 200"', "missing: alert"], False, id="another threshold"),
    pytest.param([], [OVER], True, id="resolve"),
    pytest.param([], [OVER, "missing: {keep: 1h}"], True, id="keep"),
    pytest.param([], [*WATCHED, "where: {name: b}"], True, id="where leaves it out"),
    pytest.param([], [*WATCHED, "where: {cluster: c}"], True, id="where asks for a label that it hasn't"),
    pytest.param([], [*WATCHED, "where: {name: a}"], False, id="where takes it in"),
    pytest.param([], [*WATCHED, "by: [cluster]", "fold: sum"], True, id="by leaves a label out"),
    pytest.param([], [*WATCHED, "by: []", "fold: sum"], True, id="by leaves all labels out"),
    pytest.param([], [*WATCHED, "by: [name]", "fold: sum"], False, id="by keeps its labels"),
    pytest.param([], [*WATCHED, "by: [cluster, name]", "fold: sum"], False, id="an empty label is no label"),
    pytest.param(["by: [name]", "fold: sum"], [*WATCHED, "by: [name]", "fold: max"], False, id="another fold"),
    pytest.param(
        ["by: [name]", "fold: sum"],
        [*WATCHED, "by: [name]", "fold: sum", "where: {cluster: c}"],
        False,
        id="where narrows by a label that isn't in by",
    ),
    pytest.param(
        ["by: [name]", "fold: sum"],
        [*WATCHED, "by: [name]", "fold: sum", "where: {name: b}"],
        True,
        id="where narrows by one that is",
    ),
]


@pytest.mark.parametrize("others", [[], [("s", B, 1.0)]], ids=["alone", "others are there"])
@pytest.mark.parametrize(("before", "lines", "ends"), UNWATCHED)
def test_an_alert_for_want_of_data_ends_where_its_series_is_not_asked_for(
    before: list[str], lines: list[str], others: list[Series], *, ends: bool
) -> None:
    """A series that is merely absent stays one, for days; one that can't come back doesn't."""
    old = rule_set(*WATCHED, *before)
    there = tick(old, STATE.to_frame(), at(1, ("s", A, 101.0)))
    gone = tick(old, there.state, at(2, *others))
    assert gone.state["state"].to_list() == [NO_DATA]
    new = rule_set(*lines)
    assert told(tick(new, gone.state, at(3, answered=()))) == []
    state, found = gone.state, []
    for step in (3, 4, 20_000):
        done = tick(new, state, at(step, *others))
        state = done.state
        found.append(told(done))
    assert found == ([[("resolved", "missing")], [], []] if ends else [[], [], []])
    # The change itself makes no firing alert one for want of data.
    changed = tick(new, there.state, at(3, *others)).transitions.filter(pl.col("labels") == canonical(A))
    assert ("nodata" in changed["kind"]) is not ends


def test_a_severity_is_no_part_of_the_state() -> None:
    before = tick(rule_set(OVER), STATE.to_frame(), at(1, ("s", A, 101.0))).state
    milder = rule_set(OVER, rule=RULE.replace("critical", "info"))
    done = tick(milder, before, at(2, ("s", A, 101.0)))
    assert told(done) == []
    assert done.state.equals(before)


def test_other_labels_in_by_are_other_alerts() -> None:
    old = rule_set(OVER, "by: [name]", "fold: sum")
    new = rule_set(OVER, "by: [cluster]", "fold: sum")
    labels = {"name": "a", "cluster": "c"}
    before = tick(old, STATE.to_frame(), at(1, ("s", labels, 101.0))).state
    done = tick(new, before, at(2, ("s", labels, 101.0)))
    assert done.transitions.select("labels", "kind", "reason").rows() == [
        ('{"cluster":"c"}', "fired", "condition"),
        ('{"name":"a"}', "resolved", "missing"),
    ]


def test_a_removed_rule_ends_its_alerts_and_leaves_the_others() -> None:
    two = rule_set(OVER, rule=RULE.replace("id: lag", "id: other") + f"    {OVER}\n" + RULE)
    before = tick(two, STATE.to_frame(), at(1, ("s", A, 101.0))).state
    assert sorted(before["rule"]) == ["lag", "other"]
    done = tick(rule_set(OVER), before, at(2, ("s", A, 101.0)))
    assert done.transitions.select("rule", "kind", "reason").rows() == [("other", "resolved", "rule_removed")]
    assert done.state["rule"].to_list() == ["lag"]
    # A pending one is dropped; and without a step that anybody answered nothing happens yet.
    pending = before.with_columns(pl.lit(PENDING, pl.Int8).alias("state"), pl.lit(None, pl.Int64).alias("fired_at"))
    ended = tick(rule_set(OVER), pending.filter(pl.col("rule") == "other"), at(2))
    assert told(ended) == [("dropped", "rule_removed")]
    unheard = tick(rule_set(OVER), before, at(2, answered=()))
    assert told(unheard) == []
    assert unheard.state.sort("rule").equals(before.sort("rule"))


# duplicate identities

SAME = {"name": "a", "pod": ""}
DUPLICATES = [
    pytest.param([("s", A, 1.0), ("s", A, 200.0)], ["s"], id="twice within a source"),
    pytest.param([("s", A, 200.0), ("s", SAME, 1.0)], ["s"], id="an empty label is no label"),
    pytest.param([("s", A, 1.0), ("t", A, 200.0)], ["s, t"], id="in two sources"),
    pytest.param([("s", A, 200.0), ("t", A, 200.0)], ["s, t"], id="in two sources that agree"),
    pytest.param([("s", A, 1.0), ("t", A, 1.0), ("s", B, 200.0)], ["s, t"], id="others of the rule wait too"),
]


@pytest.mark.parametrize(("series", "sources"), DUPLICATES)
@pytest.mark.parametrize("before", ["inactive", "firing"])
def test_two_results_with_one_identity(series: list[Series], sources: list[str], before: str) -> None:
    """The rule fails, whatever the values say: nothing is overwritten, and its alerts stay where they are."""
    rules = rule_set(OVER)
    state = STATE.to_frame()
    if before == "firing":
        state = tick(rules, state, at(1, ("s", A, 101.0))).state
    done = tick(rules, state, at(2, *series, answered=("s", "t")))
    assert done.duplicates.select("rule", "source", "labels").rows() == [("lag", sources[0], '{"name":"a"}')]
    assert told(done) == []
    assert done.state.equals(state)


@pytest.mark.parametrize(("fold", "fires"), [("sum", True), ("max", False), ("count", False)])
def test_a_fold_over_one_source_is_no_duplicate(fold: str, *, fires: bool) -> None:
    rules = rule_set(OVER, "by: [name]", f"fold: {fold}")
    done = tick(rules, STATE.to_frame(), at(1, ("s", {**A, "pod": "1"}, 60.0), ("s", {**A, "pod": "2"}, 60.0)))
    assert done.duplicates.is_empty()
    assert bool(told(done)) is fires


def test_a_fold_doesnt_add_up_over_sources() -> None:
    rules = rule_set(OVER, "by: [name]", "fold: sum")
    one, two = {**A, "pod": "1"}, {**A, "pod": "2"}
    done = tick(rules, STATE.to_frame(), at(1, ("s", one, 60.0), ("t", two, 60.0), answered=("s", "t")))
    assert done.duplicates["source"].to_list() == ["s, t"]
    assert told(done) == []


def test_a_duplicate_stops_its_own_rule_and_step_only() -> None:
    two = rule_set(OVER, rule=RULE.replace("id: lag", "id: other") + f"    {OVER}\n    where: {{name: b}}\n" + RULE)
    first = at(1, ("s", A, 200.0), ("t", A, 200.0), ("s", B, 200.0), answered=("s", "t"))
    done = tick(two, STATE.to_frame(), first)
    assert done.transitions.select("rule", "kind").rows() == [("other", "fired")]
    later = tick(two, done.state, at(2, ("s", A, 200.0), ("s", B, 200.0), answered=("s", "t")))
    assert later.duplicates.is_empty()
    assert later.transitions.filter(pl.col("kind") == "fired").select("rule", "labels").rows() == [
        ("lag", '{"name":"a"}'),
        ("lag", '{"name":"b"}'),
    ]
