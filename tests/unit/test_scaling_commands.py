"""Commands: templates are checked when a rule is loaded, and bash reads exactly the arguments that were meant."""

import re
from functools import cache
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from controlplane.documents import parse_document, validate
from controlplane.model.commands import Argv, command, fill, quote, template
from controlplane.model.errors import AdviceError, InvalidInput
from controlplane.model.methods import PARAMETERS, ConsumerLag, FailoverMethod, Zone, parse_bytes
from controlplane.model.rules import FailoverRule, Placed, RuleFile, ScalingRule
from controlplane.rules.files import read_rule_texts, shipped_platforms
from controlplane.rules.load import load_rules
from tests.advice_cases import HOSTILE, arguments


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", "plain"),
        ("", "''"),
        ("two words", "'two words'"),
        ("it's", "'it'\"'\"'s'"),
        ("$(reboot)", "'$(reboot)'"),
        ("a\nb", "$'a\\x0ab'"),
        ("\x1b[2J", "$'\\x1b[2J'"),
        ("\x1b'\\", "$'\\x1b\\'\\\\'"),
        ("\u202e", "$'\\xe2\\x80\\xae'"),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert quoted.isprintable()


@pytest.mark.parametrize("half", [0xD800, 0xD83D, 0xDC00, 0xDC7F, 0xDD00, 0xDFFF])
def test_half_a_character_is_refused(half: int) -> None:
    with pytest.raises(AdviceError, match=rf"a name holds \\u{half:04x}, half of a character"):
        command(["kubectl", "scale", f"deployment/a{chr(half)}b"])


def test_a_byte_that_is_no_text_is_given_as_it_is() -> None:
    assert quote("a\udcff") == "$'a\\xff'"


@given(st.text(st.characters(categories=["Cs", "Ll", "Cc"]), max_size=6))
def test_quoting_refuses_or_is_printable(text: str) -> None:
    try:
        assert quote(text).isprintable()
    except AdviceError:
        assert any("\ud800" <= char <= "\udfff" for char in text)


# Bash can't hold a NUL in an argument; a label with one can't come from Prometheus or DuckDB either.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(words | st.just(HOSTILE), min_size=1, max_size=4))
def test_bash_reads_what_was_meant(parts: list[str]) -> None:
    line = command(["run", *parts])
    assert line.isprintable()
    assert arguments(line) == parts


@pytest.mark.parametrize(
    ("argv", "values", "expected"),
    [
        (("a", "{x}"), {"x": "1 2"}, "a '1 2'"),
        (("a", "--x={x}"), {"x": "-f"}, "a --x=-f"),
        (("a", "--", "{x}"), {"x": "-f"}, "a -- -f"),
        (("a", "{x}"), {"x": 3}, "a 3"),
        (("a", "{x}", "b"), {"x": ["p", "q r"]}, "a p 'q r' b"),
        (("a", "--x={x}"), {"x": ["p", "q"]}, "a --x=p,q"),
        (("a", "{x}{x}"), {"x": "{x}"}, "a '{x}{x}'"),
        (("a", "{x}"), {"x": []}, "a"),
        (("a", "{{x}}", "{1}", "{X}"), {"x": "v"}, "a '{v}' '{1}' '{X}'"),
    ],
)
def test_fill(argv: Argv, values: dict[str, str], expected: str) -> None:
    assert fill(argv, values) == expected


@pytest.mark.parametrize("value", ["-f", "--force", ["a", "-b"]])
def test_a_value_is_never_an_option(value: str) -> None:
    with pytest.raises(AdviceError, match="begins with a dash and would be an option of rm"):
        fill(("rm", "{x}"), {"x": value})


@pytest.mark.parametrize(
    ("argv", "told"),
    [((), "at least its program"), (("a", "{y}"), r"\{y\} can't be filled in here; use \{x\}")],
)
def test_templates_are_checked(argv: Argv, told: str) -> None:
    from typing import Annotated

    with pytest.raises(ValidationError, match=told):
        TypeAdapter(Annotated[Argv, template("x")]).validate_python(argv)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0 By", 0),
        ("100 GBy", 100e9),
        ("1MiBy", 2**20),
        ("1.5 TBy", 1.5e12),
        ("1 KiBy", 1024),
        ("1 kBy", 1000),
        (" 2 GiBy ", 2**31),
    ],
)
def test_sizes(text: str, size: float) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["100", 100, "-1 By", "1 GB", "1 bit", "1e3 By", "", None, "9" * 400 + " By", "1 kiBy"]
)
def test_sizes_need_a_known_unit(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size|too large"):
        parse_bytes(text)


RULES = """\
platform: shop
component: core
rules:
  - id: fine
    kind: scaling
    title: t
    on: [a]
    method: storage_growth
    basis: house
    rationale: r
  - id: wrong
    kind: scaling
    title: t
    on: [a]
    method: consumer_lag
    basis: house
    rationale: r
    parameters:
      drain_withn: 3m
      tolerance: 2
      max_step: {percent: -1}
      scale_command: [scale, "{grp}"]
  - id: other
    kind: failover
    title: t
    on: [a]
    method: primry
    basis: house
    rationale: r
    parameters: {ttl: 1}
"""


def test_parameters_are_checked_by_method_with_line_and_remedy() -> None:
    with pytest.raises(InvalidInput) as error:
        validate(parse_document(RULES, "core.yaml"), RuleFile)
    told = str(error.value).splitlines()
    for expected in (
        r"core.yaml:19:7 \(rules.1.parameters.drain_withn\): unknown key 'drain_withn'. Did you mean 'drain_within'\?",
        r"core.yaml:20:7 \(rules.1.parameters.tolerance\): Input should be less than 1",
        r"core.yaml:21:\d+ \(rules.1.parameters.max_step.percent\): Input should be greater than or equal to 0",
        r"core.yaml:22:7 \(rules.1.parameters.scale_command\): \{grp\} can't be filled in here",
        r"core.yaml:27:5 \(rules.2.method\): Input should be 'primary', 'zone'",
    ):
        assert any(re.match(expected, line) for line in told), expected
    # The parameters of an unknown method can't be judged, and those of other methods say nothing about them.
    assert len(told) == 5


COMMON = {"id": "r", "title": "t", "on": ["a"], "basis": "house", "rationale": "r"}


@cache
def shipped() -> list[Placed]:
    """The scaling and failover rules of the packs: some methods can't do without parameters."""
    texts, _ = read_rule_texts(shipped_platforms())
    rules = load_rules(texts).rules.rules
    return [placed for placed in rules if isinstance(placed.rule, ScalingRule | FailoverRule)]


@pytest.mark.parametrize("method", sorted(PARAMETERS))
def test_parameters_have_defaults_and_survive_json(method: str) -> None:
    model = FailoverRule if method in get_args(FailoverMethod) else ScalingRule
    kind = "failover" if model is FailoverRule else "scaling"
    known = next((p.rule.parameters.model_dump(mode="json") for p in shipped() if p.rule.method == method), {})
    rule = model.model_validate({**COMMON, "kind": kind, "method": method, "parameters": known})
    assert type(rule.parameters) is PARAMETERS[method]
    assert model.model_validate_json(rule.model_dump_json()) == rule
    assert model.model_validate(rule.model_dump(mode="json")) == rule


def test_parameters_of_another_method_are_refused() -> None:
    with pytest.raises(ValidationError):
        ScalingRule.model_validate({**COMMON, "kind": "scaling", "method": "placement", "parameters": ConsumerLag()})
    with pytest.raises(ValidationError, match="should have at least 1 item"):
        Zone.model_validate({"loads": []})
