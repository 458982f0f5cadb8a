"""Ten thousand broken rule files: none stops the loader, and what loads is what is written."""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.documents import parse_document, validate
from controlplane.model.base import Condition
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.figures import ExclusionFile, FigureFile
from controlplane.model.rules import AlertRule
from controlplane.model.time import format_duration, parse_duration
from controlplane.model.units import convert
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules
from controlplane.ruletests import run_tests

FILES = 10_000
BATCH = 1_000

RULES = """\
platform: shop
component: kafka
signals:
  - name: kafka.consumer.lag
    unit: "{message}"
    description: Messages behind
    prometheus: sum by (consumergroup) (lag)
    labels: {consumergroup: consumer_group}
  - {name: kafka.drain, unit: s, derive: {method: time_to_drain, over: 10m}}
  - {name: api.success, unit: "1"}
  - {name: api.burn, unit: "1", derive: {method: burn_rate, of: api.success, objective: 0.999, windows: [1h, 5m]}}
  - {name: kafka.consumer.offset, unit: "{message}"}
  - {name: kafka.partition.offset, unit: "{message}"}
  - {name: group.status, unit: "1", derive: {method: lag_status, window: 10}}
rules:
  - id: shop-lag
    kind: alert
    title: Behind
    signal: kafka.consumer.lag
    where: {topic: orders}
    by: [consumer_group]
    fold: sum
    when: "> 100000"
    clear: "< 80000"
    for: 2m
    keep_firing_for: 0s
    missing: {keep: 10m}
    severity: critical
    summary: "{consumer_group} is {value:,.0f} behind"
    runbook: kafka-consumer-lag
    covers: [a, b]
    basis: documented
    source: {document: Guide, section: Kafka, quote: "lag > 100k"}
  - id: shop-burn
    kind: alert
    title: Burns
    signal: api.burn
    when: "> 14.4"
    severity: warning
    summary: burns
    basis: house
    rationale: a test
  - id: shop-ratio
    kind: alert
    title: Fails
    signal: api.success
    when: "< 99.9 %"
    missing: alert
    severity: info
    summary: fails
    basis: house
    rationale: a test
  - id: shop-size
    kind: scaling
    title: More
    on: [shop-lag]
    method: consumer_lag
    parameters: {drain_within: 30m, tolerance: 0.1, window: 10, minimum: 1}
    expires_after: 4h
    basis: house
    rationale: a test
  - id: shop-settings
    kind: drift
    title: Configured differently
    of: {role: kafka}
    settings:
      - {setting: io.threads, expect: "== 8", covers: [c]}
      - {setting: wal, one_of: [replica, logical]}
    for: 1m
    severity: warning
    basis: house
    rationale: a test
"""
TESTS = """\
tests:
  - rule: shop-lag
    labels: {consumer_group: billing, topic: orders}
    step: 15s
    cases:
      firing: {values: "100001*3", states: "pending*3"}
      series: {series: [{signal: kafka.consumer.lag, labels: {topic: orders}, values: "1 _ ?"}], states: "inactive*3"}
  - rule: shop-burn
    alert: {}
    cases:
      burns: {series: [{signal: api.success, values: "1 1"}], states: "inactive*2", step: 5m}
  - rule: shop-settings
    setting: io.threads
    inventory: [{id: k1, kind: broker}]
    cases: {differs: {values: "8 4", states: "inactive pending"}}
"""
FIGURES = """\
platform: shop
document: Guide
figures:
  - id: a
    component: kafka
    kind: alert
    evaluate: runtime
    signal: kafka.consumer.lag
    attributes: {topic: orders}
    comparator: ">"
    threshold: 100000
    unit: "{message}"
    sense: breach
    for: 2m
    conflicts_with: [b]
    section: Kafka
    quote: "lag > 100k"
  - {id: b, component: kafka, kind: slo, evaluate: none, signal: x, comparator: "<=", threshold: 0.5, range: [0, 1],
     unit: "1", sense: healthy, derived: true, section: Kafka, quote: half}
"""
EXCLUDED = """\
platform: shop
excluded:
  - {figures: [a, b], reason: contradiction, because: "they differ", reading: a}
  - {figures: [c], reason: duplicate, because: twice}
"""

# What a value may be replaced by, as it is written.
ODD = (
    "no", "on", "yes", "off", "True", "12:30:00", "010", "0x10", "1_000", "1e3", "1e999", "-0", ".5", "5", "-1", "0",
    "true", "false", "null", "~", ".nan", ".inf", "99999999999999999999999999", "1.10", "2026-03-12", "[]", "{}",
    "[1, 2]", "{a: b}", "[[x]]", "''", "' '", '"5"', '"\\u202e\\e[31m"', "ünïcödé", "'{}'", "'{value!r}'", "'> 1'",
    "'> 010'", "'>1e400'", "'> 1 %'", "'= 1'", "5m", "5", "'5m '", "1h1h", "-5m", "90000000000000d", "'*'", "'&x'",
    "!!str 5", "!!int x", "!x y", "&a b", "*a", "'a: b'", "|", "x" * 5_000, "@x", "`x`", "%x", "'\t'",
)  # fmt: skip
KEY = re.compile(r"(?<=[{ ,\n])([a-z_]+)(?=:)")
VALUE = re.compile(r'(?<=: )("[^"\n]*"|[^\s{\[\]},"][^,}\]\n]*|\{[^}\n]*\}|\[[^\]\n]*\])')


def mutated(text: str, chance: random.Random) -> str:
    """The text with one to four things wrong, or odd but right."""
    for _ in range(chance.randint(1, 4)):
        text = chance.choice(MUTATIONS)(text, chance)
    return text


def _replace(pattern: re.Pattern[str], text: str, chance: random.Random, make: Callable[[str], str]) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    one = chance.choice(found)
    return text[: one.start(1)] + make(one[1]) + text[one.end(1) :]


def _key(text: str, chance: random.Random) -> str:
    def changed(key: str) -> str:
        at = chance.randrange(len(key))
        return chance.choice(
            [key[:at] + key[at + 1 :], key.upper(), key + "s", f"'{key}'", "no", "10", key + "_", "? x"]
        )

    return _replace(KEY, text, chance, changed)


def _value(text: str, chance: random.Random) -> str:
    return _replace(VALUE, text, chance, lambda _: chance.choice(ODD))


def _number(text: str, chance: random.Random) -> str:
    odd = ("010", "'5'", "true", "1_0", "1e2", "-1", "0.50", "1e400", "0x1F", "5.0", "no")
    return _replace(re.compile(r"(?<=: )([0-9.]+)(?=[,}\n])"), text, chance, lambda _: chance.choice(odd))


def _swap(text: str, chance: random.Random) -> str:
    other = chance.choice(VALUE.findall(text) or [""])
    return _replace(VALUE, text, chance, lambda _: other)


def _line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines[at] = "  " + lines[at]
        case 3:
            lines[at] = "\t" + lines[at]
        case _:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    return "".join(lines) or "\n"


def _character(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice("{}[]:,#&*!|>'\"%@`-?\t\n\x00\x1b\u2028é ") + text[at + chance.randint(0, 1) :]


MUTATIONS = (_key, _value, _value, _number, _number, _swap, _line, _character)


def check_problems(problems: list[Problem], text: str, name: str) -> None:
    """Each names the file, a line of it and, but for what is no YAML or no rule file, the key."""
    assert problems
    length = text.count("\n") + 2
    for problem in problems:
        assert problem.place.file == name
        assert problem.message
        broken = "not valid YAML" in problem.message or "#x" in problem.message
        assert broken or problem.place.line is not None, problem
        assert problem.place.line is None or 1 <= problem.place.line <= length, problem


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def same(written: Any, loaded: Any, unit: str) -> bool:
    """Whether a loaded value is the written one: a duration and a condition may be written in several ways."""
    if type(written) is type(loaded) and written == loaded:
        return True
    if isinstance(written, str) and isinstance(loaded, str):
        try:
            return format_duration(parse_duration(written)) == loaded
        except ValueError:
            pass
        try:
            one, two = Condition.parse(written), Condition.parse(loaded)
        except ValueError:
            return False
        threshold = convert(one.threshold, one.unit or unit, two.unit or unit)
        return one.operator == two.operator and threshold == pytest.approx(two.threshold, rel=1e-11)
    # A whole number is a number; true, false and text are none.
    return type(written) is int and type(loaded) is float and written == loaded


def as_written(written: Any, loaded: Any, unit: str) -> bool:
    """Whether every value of a document is there after loading."""
    try:
        return all(same(value, at(loaded, path), unit) for path, value in leaves(written))
    except (KeyError, IndexError, TypeError):
        return False


def at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def check_loaded(text: str, name: str) -> int:
    """Load a file; how many rules were usable."""
    loaded = load_rules([RuleText(name, text)])
    if loaded.problems:
        check_problems(list(loaded.problems), text, name)
    if not loaded.rules.rules and not loaded.rules.signals:
        return 0
    data = parse_document(text, name).data
    for placed in loaded.rules.rules:
        dumped = placed.rule.model_dump(mode="json", by_alias=True)
        if isinstance(placed.rule, AlertRule):
            keep = placed.rule.missing.policy == "keep"
            dumped["missing"] = {"keep": dumped["missing"]["keep_for"]} if keep else dumped["missing"]["policy"]
        # Another one with its id may have been refused.
        written = [one for one in data["rules"] if isinstance(one, dict) and one.get("id") == placed.id]
        assert any(as_written(one, dumped, placed.unit) for one in written), (name, dumped, written)
    for platform, signal in loaded.rules.signals:
        assert platform == data["platform"]
        dumped = signal.model_dump(mode="json", by_alias=True)
        written = [one for one in data["signals"] if isinstance(one, dict) and one.get("name") == signal.name]
        assert any(as_written(one, dumped, "1") for one in written), (name, dumped, written)
    if not loaded.problems and loaded.rules.rules:
        check_round_trip(loaded.rules.rules, loaded.rules.signals, data, name)
    return len(loaded.rules.rules)


def check_round_trip(rules: Any, signals: Any, data: Any, name: str) -> None:
    """Dumped as JSON, which is YAML, and loaded again it is equal."""
    dumped = []
    for placed in rules:
        one = placed.rule.model_dump(mode="json", by_alias=True, exclude_none=True)
        if isinstance(placed.rule, AlertRule):
            keep = placed.rule.missing.policy == "keep"
            one["missing"] = {"keep": one["missing"]["keep_for"]} if keep else one["missing"]["policy"]
        dumped.append(one)
    document = {
        "platform": data["platform"],
        "component": data["component"],
        "signals": [signal.model_dump(mode="json", by_alias=True, exclude_none=True) for _, signal in signals],
        "rules": dumped,
    }
    again = load_rules([RuleText(name, json.dumps(document, ensure_ascii=False))])
    assert not again.problems, again.problems
    assert again.rules.signals == signals
    for one, two in zip(rules, again.rules.rules, strict=True):
        assert one.model_dump(mode="json") == two.model_dump(mode="json")


def test_the_files_are_right_before_they_are_broken() -> None:
    assert check_loaded(RULES, "shop.yaml") == 5
    assert not load_rules([RuleText("shop.yaml", RULES)]).problems


@pytest.mark.parametrize("first", range(0, FILES, BATCH))
def test_ten_thousand_rule_files(first: int) -> None:
    usable = 0
    for seed in range(first, first + BATCH):
        text = mutated(RULES, random.Random(seed))
        try:
            usable += check_loaded(text, f"{seed}.yaml")
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{text}") from error
    # Neither is everything refused nor everything taken.
    assert BATCH < usable < 4.9 * BATCH


@settings(max_examples=2_000, derandomize=True, deadline=None)
@given(st.integers(0, len(RULES)), st.integers(0, 40), st.text(max_size=20))
@example(RULES.index("essage}"), 0, " ")
def test_any_text_in_any_place(at: int, cut: int, new: str) -> None:
    check_loaded(RULES[:at] + new + RULES[at + cut :], "spliced.yaml")


def test_four_hundred_test_files() -> None:
    rules = load_rules([RuleText("shop.yaml", RULES)]).rules
    ran = 0
    for seed in range(400):
        text = mutated(TESTS, random.Random(seed))
        try:
            ran += len(list(run_tests(parse_document(text, "shop.test.yaml"), rules)))
        except InvalidInput as error:
            check_problems(error.problems, text, "shop.test.yaml")
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{text}") from error
    assert ran > 40


@pytest.mark.parametrize(
    ("text", "model"), [(FIGURES, FigureFile), (EXCLUDED, ExclusionFile)], ids=["figures", "excluded"]
)
def test_two_thousand_files_beside_the_rules(text: str, model: Any) -> None:
    usable = 0
    for seed in range(2_000):
        broken = mutated(text, random.Random(seed))
        try:
            document = parse_document(broken, "beside.yaml")
            found = validate(document, model)
        except InvalidInput as error:
            check_problems(error.problems, broken, "beside.yaml")
            continue
        usable += 1
        dumped = found.model_dump(mode="json", by_alias=True)
        for path, value in leaves(document.data):
            assert same(value, at(dumped, path), "1"), (seed, path, value, at(dumped, path))
        assert validate(parse_document(json.dumps(dumped), "again.yaml"), model) == found
    assert 100 < usable < 1_900


def test_all_mistakes_of_a_file_are_told_in_one_go() -> None:
    wrong = (
        RULES.replace("component: kafka\n", "component: kafka\ncolour: red\n")
        .replace("unit: s,", "unit: parsecs,")
        .replace("for: 2m", "for: 2")
        .replace("severity: critical", "severty: critical")
        .replace('"> 14.4"', '"above 14.4"')
        .replace("tolerance: 0.1", 'tolerance: "0.1"')
        .replace("window: 10, minimum", "window: true, minimum")
        .replace("setting: wal, one_of: [replica, logical]", "setting: wal, one_of: []")
    )
    found = [str(problem) for problem in load_rules([RuleText("shop.yaml", wrong)]).problems]
    for written, word in [
        ("colour: red", "unknown key 'colour'"), ("unit: parsecs", "parsecs"), ("for: 2\n", "2 is not a duration"),
        ("severty", "'severty'"), ("above", "'above 14.4'"), ('"0.1"', "number"), ("window: true, m", "integer"),
        ("setting: wal,", "either expect"),
    ]:  # fmt: skip
        line = wrong[: wrong.index(written)].count("\n") + 1
        assert [one for one in found if one.startswith(f"shop.yaml:{line}:") and word in one], (line, word, found)
