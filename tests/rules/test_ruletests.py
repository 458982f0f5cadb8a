"""`controlplane rules test`: what it prints, how it ends, and every mistake in a test file with its place."""

import json
import shutil
from pathlib import Path

import pytest

from controlplane.cli import main
from controlplane.documents import parse_document
from controlplane.model.errors import InvalidInput
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules
from controlplane.ruletests import Outcome, play, run_tests, spread

RULES = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: kafka.consumer.drain, unit: s, derive: {method: time_to_drain, over: 1m}}
rules:
  - id: shop-lag
    kind: alert
    title: Behind
    signal: kafka.consumer.lag
    by: [consumer_group]
    fold: sum
    when: "> 100"
    clear: "< 80"
    for: 30s
    missing: {keep: 30s}
    severity: critical
    summary: "{consumer_group} is behind"
    basis: house
    rationale: a test
  - id: shop-drain
    kind: alert
    title: Slow
    signal: kafka.consumer.drain
    when: "> 60"
    severity: warning
    summary: "slow"
    basis: house
    rationale: a test
  - id: shop-gone
    kind: alert
    title: Gone
    signal: kafka.consumer.lag
    when: "> 1e9"
    missing: alert
    severity: warning
    summary: "gone"
    basis: house
    rationale: a test
  - id: shop-settings
    kind: drift
    title: Configured differently
    settings:
      - {setting: io.threads, expect: "== 8"}
    severity: warning
    basis: house
    rationale: a test
"""
GOOD = """tests:
  - rule: shop-lag
    labels: {consumer_group: billing, topic: orders}
    cases:
      firing: {values: "101*3", states: "pending*2 firing"}
      at the threshold: {values: "100*3", states: "inactive*3"}
      gap: {values: "101*3 _*2 101", states: "pending*2 firing*4"}
      missing: {values: "101*3 _*3", states: "pending*2 firing*3 inactive"}
      not answered: {values: "101*3 ?*9 79", states: "pending*2 firing*10 inactive"}
      recovery: {values: "101*3 80 79", states: "pending*2 firing*2 inactive"}
      not a number: {values: "101*3 nan", states: "pending*2 firing inactive"}
      infinite: {values: "inf*3 -inf", states: "pending*2 firing inactive"}
      by the hour: {values: "101*2", states: "pending firing", step: 1h}
      of two topics:
        series:
          - {signal: kafka.consumer.lag, labels: {consumer_group: billing, topic: a}, values: "50 50 50"}
          - {signal: kafka.consumer.lag, labels: {consumer_group: billing, topic: b}, values: "50 51 51"}
        states: inactive pending pending
  - rule: shop-drain
    cases:
      firing:
        series:
          - {signal: kafka.consumer.lag, labels: {consumer_group: billing}, values: "100 100 100"}
        states: inactive firing*2
  - rule: shop-gone
    cases:
      nodata: {values: "1 _ _ 1", states: "inactive nodata*2 inactive"}
  - rule: shop-settings
    setting: io.threads
    cases:
      firing: {values: "8 4 x _ 8", states: "inactive firing*2 inactive*2"}
      not answered: {values: "4 ? 8", states: "firing*2 inactive"}
"""


def lines(text: str) -> str:
    return f"tests:\n{text}"


def run(text: str, chosen: str = "") -> list[Outcome]:
    loaded = load_rules([RuleText("kafka.yaml", RULES)])
    assert not loaded.problems
    return list(run_tests(parse_document(text, "kafka.test.yaml"), loaded.rules, chosen))


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        run(text)
    return [str(problem) for problem in caught.value.problems]


def test_what_the_page_on_rules_says_about_values_and_states() -> None:
    outcomes = run(GOOD)
    assert [outcome for outcome in outcomes if outcome.failure] == []
    assert len(outcomes) == 14
    first = outcomes[0]
    assert (first.file, first.line, first.rule, first.case) == ("kafka.test.yaml", 5, "shop-lag", "firing")


@pytest.mark.parametrize("most", [1, 12, 10**9])
def test_what_becomes_of_a_case_does_not_depend_on_those_beside_it(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    wrong = GOOD.replace('"pending*2 firing*10 inactive"', '"pending firing*11 inactive"').replace(
        "8 4 x _ 8", "8 4 x _ 4"
    )
    monkeypatch.setattr(play, "_AT_ONCE", most)
    outcomes = run(wrong)
    failed = {(outcome.rule, outcome.case): outcome.failure for outcome in outcomes if outcome.failure}
    assert failed == {
        ("shop-lag", "not answered"): ("step 2 is pending, expected firing; all: pending*2 firing*10 inactive"),
        ("shop-settings", "firing"): "step 5 is firing, expected inactive; all: inactive firing*2 inactive firing",
    }
    assert [(outcome.rule, outcome.case) for outcome in outcomes] == [(one.rule, one.case) for one in run(GOOD)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("1*3 _", ("1", "1", "1", "_")),
        ("  1   2\n3 ", ("1", "2", "3")),
        ("-1.5e3*2", ("-1.5e3", "-1.5e3")),
    ],
)
def test_short_texts_are_spread(text: str, words: tuple[str, ...]) -> None:
    assert spread(text) == words


@pytest.mark.parametrize("text", ["1*0", "1*-1", "1**2", "*3", "1*", "1*x", "1*1000000", "1*999999", "1*3*2", "1*1_0"])
def test_what_cannot_be_spread_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"value\*times|100,000 steps"):
        spread(text)


@pytest.mark.parametrize(
    ("case", "failure"),
    [
        ('{values: "101*3", states: "pending*3"}', "step 3 is firing, expected pending; all: pending*2 firing"),
        ('{values: "101*3", states: "firing*3"}', "step 1 is pending, expected firing; all: pending*2 firing"),
        (
            '{values: "101*3 _*3", states: "pending*2 firing*4"}',
            "step 6 is inactive, expected firing; all: pending*2 firing*3 inactive",
        ),
        ('{values: "100", states: nodata}', "step 1 is inactive, expected nodata; all: inactive"),
    ],
)
def test_a_failing_case_says_where_the_states_part(case: str, failure: str) -> None:
    text = f"  - rule: shop-lag\n    labels: {{consumer_group: g}}\n    cases:\n      wrong: {case}\n"
    (outcome,) = run(lines(text))
    assert (outcome.line, outcome.failure) == (5, failure)


LAG = "  - rule: shop-lag\n    labels: {consumer_group: g}\n    cases:\n      x: "


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("  - {rule: shop-lga, cases: {x: {values: '1', states: inactive}}}", 2, ["no usable", "'shop-lag'"]),
        (LAG + '{values: "1 2", states: inactive}', 5, ["1 and 2 steps", "a state for every step"]),
        (LAG + '{values: "1", states: inactive*2}', 5, ["1 and 2 steps"]),
        (LAG + '{values: "1", states: fireing}', 5, ["'fireing' is no state", "Did you mean 'firing'"]),
        (LAG + '{values: "1", states: resolved}', 5, ["'resolved' is no state"]),
        (LAG + '{values: "1 many", states: inactive*2}', 5, ["'many' is no number", "`_`", "`?`"]),
        (LAG + '{values: "1_000", states: inactive}', 5, ["'1_000' is no number"]),
        (LAG + '{values: "1*0", states: inactive}', 5, ["'1*0' is neither a value nor value*times"]),
        (LAG + "{values: 1, states: inactive}", 5, ["is no text"]),
        (LAG + "{states: inactive}", 5, ["either values or series"]),
        (LAG + '{values: "1", states: inactive, step: 0s}', 5, ["greater than"]),
        (LAG + '{values: "1", states: inactive, step: 15}', 5, ["15 is not a duration"]),
        (LAG + '{values: "1", states: inactive, stat: 1}', 5, ["unknown key 'stat'", "'states'"]),
        (LAG + '{values: "1"}', 5, ["the key 'states' is missing"]),
        ("  - {rule: shop-lag, cases: {}}", 2, ["cases"]),
        ("  - {rule: shop-lag}", 2, ["the key 'cases' is missing"]),
        ("  - {rule: shop-lag, labels: [a], cases: {x: {values: '1', states: inactive}}}", 2, ["keys with values"]),
        (
            "  - {rule: shop-lag, setting: io.threads, cases: {x: {values: '1', states: inactive}}}",
            2,
            ["no drift rule"],
        ),
        ("  - {rule: shop-drain, cases: {x: {values: '1', states: inactive}}}", 2, ["is derived", "Write series"]),
        ("  - {rule: shop-settings, cases: {x: {values: '8', states: inactive}}}", 2, ["has no setting None"]),
        (
            "  - {rule: shop-settings, setting: io.thread, cases: {x: {values: '8', states: inactive}}}",
            2,
            ["has no setting 'io.thread'", "'io.threads'"],
        ),
        (
            "  - {rule: shop-settings, setting: io.threads, cases: {x: {series: [{signal: kafka.consumer.lag, "
            "values: '1'}], states: inactive}}}",
            2,
            ["a drift rule reads a setting"],
        ),
        (
            LAG + "{series: [{signal: kafka.consumer.lga, values: '1'}], states: inactive}",
            5,
            ["'kafka.consumer.lga' is no measured signal of shop", "'kafka.consumer.lag'"],
        ),
        (
            LAG + "{series: [{signal: kafka.consumer.drain, values: '1'}], states: inactive}",
            5,
            ["is no measured signal"],
        ),
        (
            LAG + "{series: [{signal: kafka.consumer.lag, values: '1'}, {signal: kafka.consumer.lag, values: '2'}], "
            "states: inactive}",
            5,
            ["two series have the same labels"],
        ),
        (
            "  - {rule: shop-lag, inventory: [{id: k1, kind: brokr}], cases: {x: {values: '1', states: inactive}}}",
            2,
            ["brok"],
        ),
    ],
)
def test_a_mistake_has_a_place_and_a_remedy(text: str, line: int, words: list[str]) -> None:
    found = mistakes(lines(text + "\n"))
    assert len(found) == 1, found
    assert found[0].startswith(f"kafka.test.yaml:{line}:"), found
    for word in words:
        assert word in found[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "keys with values"),
        ("[]", "keys with values"),
        ("tests: x", "a list is expected"),
        ("test: []", "Did you mean 'tests'"),
        ("tests: [", "not valid YAML"),
        ("tests: []\ntests: []", "stands here twice"),
    ],
)
def test_what_is_no_test_file_is_told(text: str, words: str) -> None:
    assert words in " ".join(mistakes(text))


def test_all_mistakes_are_told_at_once() -> None:
    text = lines(
        "  - {rule: shop-lag, cases: {x: {values: '1', states: off}, y: {values: '1 z', states: inactive}}}\n"
        "  - {rule: shop-lga, cases: {x: {values: '1', states: inactive}}}\n"
        "  - {rule: shop-drain, cases: {x: {values: '1', states: inactive}}, color: red}\n"
        "  - {rule: shop-drain, cases: {x: {values: '1', states: inactive*2}}}\n"
    )
    found = mistakes(text)
    assert [problem.split(":")[1] for problem in found] == ["2", "4", "3", "5", "5"]
    for word in ("'off'", "'shop-lga'", "'color'", "is derived", "1 and 2 steps"):
        assert word in " ".join(found)


# the command


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["rules", "test", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own pack."""
    monkeypatch.chdir(tmp_path)
    pack = tmp_path / "own"
    pack.mkdir()
    (pack / "kafka.yaml").write_text(RULES)
    (pack / "kafka.test.yaml").write_text(GOOD)
    (pack / "figures.yaml").write_text("not: rules\n")
    return pack


def test_a_folder_that_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, folder)
    assert (code, err) == (0, "")
    first, _, last = out.splitlines()[0], "", out.splitlines()[-1]
    assert first == f"{folder}/kafka.test.yaml {'.' * 14}"
    assert last.startswith("14 passed in ")
    assert command(capsys, folder / "kafka.test.yaml")[0] == 0


def test_a_folder_that_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "kafka.test.yaml").write_text(
        GOOD.replace('"100*3", states: "inactive*3"', '"100*3", states: "pending*3"')
    )
    code, out, _ = command(capsys, folder)
    assert code == 1
    assert f"kafka.test.yaml .F{'.' * 12}\n" in out
    assert (
        f"{folder}/kafka.test.yaml:6: shop-lag, at the threshold\n"
        "  step 1 is inactive, expected pending; all: inactive*3\n"
    ) in out
    assert "13 passed, 1 failed in " in out


def test_chosen_rules(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, folder, "-k", "settings")
    assert code == 0
    assert "2 passed in" in out
    # Nothing chosen is nothing proved.
    assert command(capsys, folder, "-k", "nothing")[0] == 1


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "kafka.test.yaml").write_text(
        GOOD.replace('"8 4 x _ 8", states: "inactive', '"8 4 x _ 8", states: "firing')
    )
    code, out, err = command(capsys, folder, "--json")
    assert (code, err) == (1, "")
    assert json.loads(out) == {
        "passed": 13,
        "failed": [
            {
                "file": f"{folder}/kafka.test.yaml",
                "line": 31,
                "rule": "shop-settings",
                "case": "firing",
                "failure": "step 1 is inactive, expected firing; all: inactive firing*2 inactive*2",
            }
        ],
        "problems": [],
    }


def test_mistakes_end_with_two_and_stop_no_other_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = folder / "inner"
    shutil.copytree(folder, other)
    (other / "kafka.test.yaml").write_text(lines("  - {rule: nobody, cases: {x: {values: '1', states: inactive}}}\n"))
    code, out, err = command(capsys, folder)
    assert code == 2
    assert f"{other}/kafka.test.yaml E\n" in out
    assert "14 passed in" in out
    assert f"{other}/kafka.test.yaml:2:" in err
    assert "'nobody'" in err
    code, out, _ = command(capsys, folder, "--json")
    assert (code, json.loads(out)["passed"], len(json.loads(out)["problems"])) == (2, 14, 1)


def test_rules_that_cannot_be_used_are_told_instead(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "kafka.yaml").write_text(RULES.replace('"> 100"', '"above 100"'))
    code, _, err = command(capsys, folder)
    assert code == 2
    assert f"{folder}/kafka.yaml:14:" in err
    assert "'above 100' is not a condition" in err


def test_a_place_without_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere", tmp_path / "nowhere.test.yaml"):
        code, _, err = command(capsys, path)
        assert code == 2
        assert "there are no tests of rules" in err
        assert str(path) in err
