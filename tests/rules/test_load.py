"""Bad rule files: each gives file, line, key and remedy, and stops nothing else."""

from pathlib import Path

import pytest

from controlplane.model.base import Condition
from controlplane.model.rules import AlertRule
from controlplane.rules.files import RuleText, read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.tick.alerts import summarise
from tests.rules.machine import HEAD, RULE

GOOD = RULE.replace("id: lag", "id: good") + '    when: "> 1"\n'


def problems(*rules: str, head: str = HEAD) -> list[str]:
    """Problems of a file with a good rule and some others; the good one must survive."""
    loaded = load_rules([RuleText("shop/kafka.yaml", head + GOOD + "".join(rules))])
    assert "good" in [placed.id for placed in loaded.rules.rules]
    return [str(problem) for problem in loaded.problems]


def rule(*lines: str, **replace: str) -> str:
    text = RULE
    for old, new in replace.items():
        text = text.replace(f"{old}: ", f"{new}: ")
    return text + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("bad", "line", "words"),
    [
        (rule('when: "> 1"', "sevrity: critical"), 27, ["unknown key 'sevrity'", "Did you mean 'severity'"]),
        (rule('when: "more than 1"'), 26, ["is not a condition", "write an operator and a number"]),
        (rule('when: "> 1 ms"'), 26, ["can't be compared", "{message}"]),
        (rule('when: "> 1 parsecs"'), 26, ["unknown unit 'parsecs'"]),
        (rule('when: "> 1"', "for: 5"), 27, ["5 is not a duration", "5m"]),
        (rule('when: "> 1"', "for: -5m"), 27, ["is not a duration"]),
        (rule('when: "> 1"', "by: [group]"), 18, ["by and fold go together"]),
        (rule('when: "> 1"', "missing: forget"), 27, ["missing-data policy"]),
        (rule(), 18, ["the key 'when' is missing"]),
        (rule('when: "> 1"', kind="knid"), 18, ["unknown kind of rule None"]),
        (rule('when: "> 1"').replace("kind: alert", "kind: alrt"), 19, ["unknown kind of rule 'alrt'", "'alert'"]),
        (rule('when: "> 1"').replace("id: lag", "id: good"), 18, ["the id 'good' is taken", "shop/kafka.yaml:8"]),
        (
            rule('when: "> 1"').replace("kafka.consumer.lag", "kafka.consumer.lga"),
            21,
            ["is not declared", "Did you mean 'kafka.consumer.lag'"],
        ),
        (rule('when: "> 1"').replace("behind by {value:,.0f}", "{value!r}"), 18, ["{value!r} is not a label"]),
        (rule('when: "> 1"').replace("behind by {value:,.0f}", "{value.__class__}"), 18, ["label"]),
        (rule('when: "> 1"').replace("{value:,.0f}", "{value:d d}"), 18, ["is no format of a number"]),
        (
            rule('when: "> 1"', "by: [group]", "fold: sum").replace("{value:,.0f}", "{topic}"),
            18,
            ["is not among the labels in by"],
        ),
        (rule('when: "> 1"').replace("basis: house", "basis: documented"), 18, ["needs its source"]),
        (rule('when: "> 1"').replace("severity: critical", "severity: no"), 22, ["'critical', 'warning' or 'info'"]),
    ],
)
def test_a_bad_rule_names_line_and_remedy(bad: str, line: int, words: list[str]) -> None:
    found = problems(bad)
    assert len(found) == 1, found
    assert found[0].startswith(f"shop/kafka.yaml:{line}:"), found
    for word in words:
        assert word in found[0]


def test_every_problem_is_told_at_once() -> None:
    assert len(problems(rule('when: "oops"', "for: 5", "cler: 1"))) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("platform: shop\ncomponent: [a\n", "broken.yaml:3:1: not valid YAML"),
        ("", "is not a rule file"),
        ("- 1\n", "is not a rule file"),
        ("platform: shop\n", "'component' is missing"),
        ("platform: shop\ncomponent: x\nrules: yes\n", "rules is not a list"),
        ("platform: shop\ncomponent: x\nplatform: y\n", "stands here twice"),
        ("platform: shop\ncomponent: x\nrule: []\n", "Did you mean 'rules'"),
        ("platform: shop\ncomponent: x\nrules: [5]\n", "is not a rule"),
        ("platform: &a\n  b: *a\n", "broken.yaml"),
        ("platform: !!python/object/apply:os.system [ls]\n", "is not supported"),
    ],
)
def test_a_bad_file_doesnt_stop_the_others(text: str, words: str) -> None:
    loaded = load_rules([RuleText("broken.yaml", text), RuleText("good.yaml", HEAD + GOOD)])
    assert [placed.id for placed in loaded.rules.rules] == ["good"]
    assert len(loaded.problems) == 1
    assert words in str(loaded.problems[0])


def test_a_signal_declared_in_two_ways_is_a_problem() -> None:
    second = 'platform: shop\ncomponent: other\nsignals: [{name: kafka.consumer.lag, unit: "1"}]\n'
    loaded = load_rules([RuleText("a.yaml", HEAD + GOOD), RuleText("b.yaml", second)])
    assert "declared differently at a.yaml:5" in str(loaded.problems[0])


def test_advice_for_a_rule_that_is_unusable_is_unusable_too() -> None:
    advice = """
  - {id: more, kind: scaling, title: More, on: [lag], method: consumer_lag, basis: house, rationale: a test}
"""
    found = problems(rule('when: "oops"'), advice)
    assert any("no usable alert rule 'lag'" in problem for problem in found)


def test_a_threshold_may_carry_a_unit() -> None:
    head = HEAD.replace('"{message}"', '"1"')
    loaded = load_rules([RuleText("a.yaml", head + rule('when: "> 85 %"', 'clear: "< 0.8"'))])
    placed = loaded.rules.rules[0].rule
    assert isinstance(placed, AlertRule)
    assert placed.when == Condition(operator=">", threshold=0.85, unit="1")


def test_the_digest_names_the_rules_and_nothing_else() -> None:
    first = load_rules([RuleText("a.yaml", HEAD + GOOD)]).rules.digest
    assert first == load_rules([RuleText("b.yaml", "# a comment\n" + HEAD + GOOD)]).rules.digest
    assert first != load_rules([RuleText("a.yaml", HEAD + GOOD.replace("> 1", "> 2"))]).rules.digest


def test_missing_packs_and_paths_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"platform: \xff")
    texts, found = read_rule_texts(["catalist"], [tmp_path / "nowhere", tmp_path])
    assert texts == []
    words = " ".join(str(problem) for problem in found)
    assert "there is no pack 'catalist'. Did you mean 'catalyst'?" in words
    assert "nowhere" in words
    assert "latin.yaml" in words


@pytest.mark.parametrize(
    ("unit", "value", "told"),
    [
        ("s", 90_061.0, "full in 1d 1h"),
        ("min", 90.0, "full in 1h 30m"),
        ("h", 0.0, "full in 0s"),
        ("s", float("inf"), "full in endless time"),
        ("s", None, "full in no data"),
    ],
)
def test_a_summary_shows_a_time_as_people_say_it(unit: str, value: float | None, told: str) -> None:
    text = HEAD.replace('"{message}"', unit) + RULE.replace('"behind by {value:,.0f}"', '"full in {value:duration}"')
    loaded = load_rules([RuleText("a.yaml", text + '    when: "< 1"\n')])
    placed = loaded.rules.rules[0]
    assert isinstance(placed.rule, AlertRule)
    assert summarise(placed.rule, {}, value, placed.unit) == told


def test_only_a_time_is_shown_as_a_duration() -> None:
    (problem,) = problems(rule('when: "< 1"').replace('"behind by {value:,.0f}"', '"{value:duration}"'))
    assert "the summary shows '{message}' as a duration" in problem


def test_derived_signals_stand_on_measured_ones() -> None:
    derived = HEAD.replace(
        "rules:\n",
        "  - {name: a, unit: '1', derive: {method: absent, of: [kafka.consumer.lag]}}\n"
        "  - {name: b, unit: '1', derive: {method: absent, of: [a]}}\n"
        "  - {name: c, unit: '1', derive: {method: absent, of: [kafka.consumer.lagg]}}\n"
        "  - {name: d, unit: '1', derive: {method: absence, of: [a]}}\n"
        "  - {name: e, unit: '1', prometheus: up, derive: {method: absent, of: [a]}}\n"
        "rules:\n",
    )
    found = problems(head=derived)
    for word in (
        "'b' is derived from 'a', which is derived itself",
        "'c' is derived from 'kafka.consumer.lagg', which is not declared on platform 'shop'",
        "Did you mean 'kafka.consumer.lag'?",
        "unknown method 'absence'. Did you mean 'absent'?",
        "a derived signal has no query of its own",
    ):
        assert any(word in problem for problem in found), (word, found)


def test_a_share_of_a_limit_is_by_the_label_of_the_resource() -> None:
    derived = "  - {name: a, unit: '1', derive: {method: utilization, of: [kafka.consumer.lag], by: limit}}\n"
    (problem,) = problems(head=HEAD.replace("rules:\n", derived + "rules:\n"))
    line = HEAD.count("\n")
    assert problem.startswith(
        f"shop/kafka.yaml:{line}:82 (signals.1.derive.by): limit is the label that names the sign"
    )
    assert "name the label that holds the id of the resource" in problem


def test_a_single_file_comes_with_the_signals_of_its_folder(tmp_path: Path) -> None:
    head = "platform: shop\ncomponent: {}\n"
    derived = "derive: {method: absent, of: [queue.depth]}"
    (tmp_path / "signals.yaml").write_text(
        head.format("signals")
        + "signals:\n  - {name: queue.depth, unit: '1'}\n  - {name: unused, unit: '1'}\n"
        + f"  - {{name: queue.absent, unit: '1', {derived}}}\n"
        + GOOD.replace("  - id: good", "rules:\n  - id: other").replace("kafka.consumer.lag", "queue.depth")
    )
    (tmp_path / "broken.yaml").write_text("platform: [")
    chosen = tmp_path / "kafka.yaml"
    chosen.write_text(head.format("kafka") + "rules:" + GOOD.replace("kafka.consumer.lag", "queue.absent"))
    texts, unread = read_rule_texts((), [chosen])
    loaded = load_rules(texts)
    assert (unread, loaded.problems) == ([], ())
    assert [placed.id for placed in loaded.rules.rules] == ["good"]
    assert [signal.name for _, signal in loaded.rules.signals] == ["queue.absent", "queue.depth"]
    everything = load_rules(read_rule_texts((), [tmp_path])[0])
    assert {placed.id for placed in everything.rules.rules} == {"good", "other"}
    assert len(everything.problems) == 1


def test_a_single_file_comes_with_the_alerts_that_it_answers(tmp_path: Path) -> None:
    head = "platform: shop\ncomponent: {}\n"
    signal = "signals:\n  - {name: kafka.consumer.lag, unit: '{message}'}\n"
    alerts = GOOD + GOOD.replace("  - id: good", "  - id: unasked")
    (tmp_path / "alerts.yaml").write_text(head.format("alerts") + signal + "rules:" + alerts)
    chosen = tmp_path / "answers.yaml"
    answer = (
        "rules:\n  - {id: answer, kind: scaling, title: Size it, on: [good], method: consumer_lag, "
        "basis: house, rationale: a test}\n"
    )
    chosen.write_text(head.format("answers") + answer)
    loaded = load_rules(read_rule_texts((), [chosen])[0])
    assert loaded.problems == ()
    assert {placed.id for placed in loaded.rules.rules} == {"good", "answer"}
    chosen.write_text(head.format("answers") + answer.replace("[good]", "[nowhere]"))
    assert len(load_rules(read_rule_texts((), [chosen])[0]).problems) == 1
