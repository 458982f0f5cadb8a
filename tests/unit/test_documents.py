"""Strict YAML: what is written is what is read, and everything that is wrong has a place."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from controlplane.documents import MAX_BYTES, nearest, parse_document, read_document, validate
from controlplane.model.base import Duration, Model
from controlplane.model.errors import InvalidInput


def data(text: str) -> Any:
    return parse_document(text, "x.yaml").data


def problem(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_document(text, "x.yaml")
    (only,) = caught.value.problems
    return str(only)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # what other YAML readers turn into something else
        ("no", "no"),
        ("No", "No"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("True", "True"),
        ("TRUE", "TRUE"),
        ("Null", "Null"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("0o10", "0o10"),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1,000", "1,000"),
        ("12:30:00", "12:30:00"),
        ("1:30", "1:30"),
        ("2026-03-12", "2026-03-12"),
        ("2026-03-12T18:00:00Z", "2026-03-12T18:00:00Z"),
        (".inf", ".inf"),
        ("-.Inf", "-.Inf"),
        (".nan", ".nan"),
        ("<<", "<<"),
        ("=", "="),
        ("!", ""),
        ("1.2.3", "1.2.3"),
        ("15s", "15s"),
        ("+", "+"),
        ("-", [None]),
        (".", "."),
        ("1e", "1e"),
        # what is a number or a constant
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("-12", -12),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("0.5", 0.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("1.5e+2", 150.0),
        # quotes make text
        ("'true'", "true"),
        ('"1"', "1"),
        ("''", ""),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">\n  a\n  b\n", "a b\n"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = data(text) if text in {"-", "<<", "="} else data(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_empty_documents() -> None:
    for text in ("", "\n\n", "# only a comment", "---\n"):
        assert data(text) is None


def test_keys_are_text() -> None:
    assert data("{no: 1, 10: 2, true: 3, 1.5: 4, null: 5, 12:30:00: 6}") == {
        "no": 1,
        "10": 2,
        "true": 3,
        "1.5": 4,
        "null": 5,
        "12:30:00": 6,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3:1: the key 'a' stands here twice. Remove one of them"),
        ("r:\n- {x: 1, y: 2,\n   x: 3}", "x.yaml:3:4: the key 'x' stands here twice"),
        ("1: a\n'1': b", "x.yaml:2:1: the key '1' stands here twice"),
        ("? [a, b]\n: 1", "x.yaml:1:3: a key must be plain text"),
        ("a: [1, 2", "not valid YAML"),
        ("a: b: c", "x.yaml:1:5: not valid YAML"),
        ("a:\n\t- b", "x.yaml:2:1: not valid YAML"),
        ("a: 'b", "not valid YAML"),
        ("a: 1\n---\nb: 2", "x.yaml:2:1: not valid YAML"),
        ("a: *nowhere", "x.yaml:1:4: not valid YAML: found undefined alias"),
        ("a: \x00", "not valid YAML"),
        ("a: \x1b[31m", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", "python/object/apply:os.system is not supported. Remove it"),
        ("a: !!binary aGk=", "is not supported"),
        ("a: !!timestamp 2026-01-01", "is not supported"),
        ("a: !!set {b, c}", "is not supported"),
        ("a: !own b", "x.yaml:1:4: the tag !own is not supported. Remove it"),
        ("a: !%E2%80%AEown b", "the tag !\ufffdown is not supported"),
        ("a: !!int abc", "x.yaml:1:4: 'abc' is not a whole number"),
        ("a: !!float abc", "x.yaml:1:4: 'abc' is not a number"),
        ("a: !!bool yes", "x.yaml:1:4: 'yes' is not true or false"),
        ("a: !!int '12:30'", "x.yaml:1:4: '12:30' is not a whole number"),
        ("a: !!float nan", "x.yaml:1:4: 'nan' is not a number"),
        ("a: !!null x", "x.yaml:1:4: 'x' is not null"),
        ("a: !!map x", "x.yaml:1:4: is no mapping"),
        ("a: !!seq x", "x.yaml:1:4: is no list"),
        ("a: 1e999", "x.yaml:1:4: 1e999 is too large for a number. Put it in quotes if it is text"),
        ("a: " + "9" * 5000, "is too large for a number"),
        ("a: &a [*a]", "x.yaml:1:4: refers to itself"),
        ("a: &a {b: *a}", "x.yaml:1:4: refers to itself"),
        ("[" * 50 + "]" * 50, "nested too deeply"),
        ("{a: " * 50 + "1" + "}" * 50, "nested too deeply"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    shown = problem(text)
    assert says in shown
    assert shown.startswith("x.yaml:")
    assert "\u202e" not in shown


def test_depth_that_is_fine() -> None:
    found = data("[" * 40 + "]" * 40)
    for _ in range(39):
        (found,) = found
    assert found == []


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_absurd_depth_is_refused_and_kills_nothing(depth: int, opening: str, closing: str) -> None:
    assert "x.yaml" in problem(opening * depth + "1" + closing * depth)


def test_anchors_are_read() -> None:
    assert data("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}
    assert data("a: &x {b: 1}\nc: {<<: *x}") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}, "nothing is merged"


def test_a_billion_laughs_are_refused_soon() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    began = time.monotonic()
    shown = problem("\n".join(lines))
    assert time.monotonic() - began < 10
    assert "anchors repeat too much. Write it out" in shown


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("\ufeffa: é\n", encoding="utf-8")
    assert read_document(file, "shown").data == {"a": "é"}
    file.write_text('{"a": [1, null, true, "x"]}')
    assert read_document(file).data == {"a": [1, None, True, "x"]}, "JSON is YAML"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: \xff", "is not UTF-8 (byte 3). Save it as UTF-8"),
        (b"a: \xed\xa0\x80", "is not UTF-8"),
        ("a: b".encode("utf-16"), "is not UTF-8"),
        (b"# " + b"x" * MAX_BYTES, "the file is larger than 16 MB. Split it"),
    ],
    ids=["latin", "surrogate", "utf-16", "huge"],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_document(file, "shown.yaml")
    assert str(caught.value).startswith("shown.yaml: ")
    assert says in str(caught.value)


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: 1 #".ljust(MAX_BYTES, b"x"))
    assert read_document(file).data == {"a": 1}


@pytest.mark.parametrize("missing", ["gone.yaml", ""])
def test_files_that_are_not_there(tmp_path: Path, missing: str) -> None:
    with pytest.raises(InvalidInput, match="can't be read"):
        read_document(tmp_path / missing)


class Inner(Model):
    kind: Literal["a", "b"] = "a"
    wait: Duration = Field(default=...)


class Outer(Model):
    items: tuple[Inner, ...] = ()
    names: dict[str, int] = Field(default_factory=dict)
    long_name: str = Field(default="", alias="long-name")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("item: []", ["x.yaml:1:1 (item): unknown key 'item'. Did you mean 'items'?"]),
        ("long-nam: a", ["x.yaml:1:1 (long-nam): unknown key 'long-nam'. Did you mean 'long-name'?"]),
        ("zzz: 1", ["x.yaml:1:1 (zzz): unknown key 'zzz'. Remove it"]),
        ("items: a", ["x.yaml:1:1 (items): a list is expected here. Write [a, b]"]),
        ("names: [a]", ["x.yaml:1:1 (names): keys with values are expected here. Write one `key: value`"]),
        ("items:\n  - {kind: a}", ["x.yaml:2:5 (items.0.wait): the key 'wait' is missing. Add it"]),
        ("items:\n  - a", ["x.yaml:2:5 (items.0): keys with values are expected here"]),
        ("items:\n- wait: 5s\n- wait: 5", ["x.yaml:3:3 (items.1.wait): 5 is not a duration"]),
        ("items:\n- wait: 5s\n  kind: c", ["x.yaml:3:3 (items.0.kind): Input should be 'a' or 'b'"]),
        ("names:\n  a: 1\n  b: x", ["x.yaml:3:3 (names.b): Input should be a valid integer"]),
        ("names: {a: 1.5}\nitem: 1", ["x.yaml:1:9 (names.a)", "x.yaml:2:1 (item)"]),
        ("a", ["x.yaml:1:1: keys with values are expected here"]),
    ],
)
def test_what_does_not_fit_a_model_has_its_place(text: str, says: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(parse_document(text, "x.yaml"), Outer)
    found = [str(each) for each in caught.value.problems]
    assert len(found) == len(says)
    for shown, part in zip(found, says, strict=True):
        assert shown.startswith(part)


def test_a_part_of_a_document_keeps_its_places() -> None:
    document = parse_document("top:\n  - {kind: a}\n  - {kind: b, wat: 1}", "x.yaml")
    with pytest.raises(InvalidInput) as caught:
        validate(document, Inner, document.data["top"][1], ("top", 1))
    assert sorted(str(each) for each in caught.value.problems) == [
        "x.yaml:3:15 (top.1.wat): unknown key 'wat'. Did you mean 'wait'?",
        "x.yaml:3:5 (top.1.wait): the key 'wait' is missing. Add it",
    ]
    assert validate(parse_document("wait: 5s", "x"), Inner).kind == "a"


# JSON writes astral characters as two escapes, which YAML doesn't know; other tools write them as they are.
_text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co", "Zl", "Zp")), max_size=30)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _text)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4))


@given(_values)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert data(json.dumps({"v": value}, ensure_ascii=False))["v"] == value


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        yaml.safe_dump(parse_document(text, "x.yaml").data)


@given(st.lists(st.integers(0, 3), max_size=3), st.integers(0, 50))
def test_every_value_has_a_place(shape: list[int], padding: int) -> None:
    lines = [""] * padding + [
        f"k{index}:" + "".join(f"\n  - {n}" for n in range(size)) for index, size in enumerate(shape)
    ]
    document = parse_document("\n".join(lines), "x.yaml")
    text = "\n".join(lines).split("\n")
    for index, size in enumerate(shape):
        place = document.place((f"k{index}",))
        assert text[(place.line or 0) - 1].startswith(f"k{index}:")
        for n in range(size):
            place = document.place((f"k{index}", n))
            assert text[(place.line or 0) - 1] == f"  - {n}"
            assert place.column == 5


def test_the_place_of_what_is_not_there_is_the_place_around_it() -> None:
    document = parse_document("a:\n  b: 1", "x.yaml")
    assert str(document.place(("a", "b", "c"))) == "x.yaml:2:3 (a.b.c)"
    assert str(document.place(("z",))) == "x.yaml:1:1 (z)"
    assert str(parse_document("", "x.yaml").place()) == "x.yaml:1:1"


def test_nearest() -> None:
    assert nearest("prometeus", ["kafka", "prometheus"]) == "Did you mean 'prometheus'?"
    assert nearest("q", ["kafka", "prometheus"]) == ""
    assert nearest("x", []) == ""
