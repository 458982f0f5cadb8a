"""Strict YAML: what is written is what is read, duplicate keys are errors, and every value knows its line.

Only `true`, `false`, `null`, decimal integers and decimal floats are anything but text: `no`, `on`, `010` and
`12:30:00` stay what they look like.
"""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml

from controlplane.json_text import joined
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.labels import printable

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound="BaseModel")
Path_ = tuple[str | int, ...]

MAX_BYTES = 16_000_000
_TOO_DEEP = 40
_MANY_VALUES = 100_000
"""So many values may come from repeating anchors, or as many as the text has characters."""
_DIGITS = 1_000
_TAG = "tag:yaml.org,2002:"
_TAGS = {"map", "seq", "str", "bool", "null", "int", "float"}
# tag → (what is written that way, the characters that it may begin with, its name)
_PLAIN_SCALARS = {
    "bool": (re.compile(r"true|false"), "tf", "true or false"),
    "null": (re.compile(r"null|~|"), ["n", "~", ""], "null"),
    "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), "-+0123456789", "a whole number"),
    "float": (
        re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9]+(?:[eE][-+]?[0-9]+)?"),
        "-+.0123456789",
        "a number",
    ),
}


class _StrictLoader(yaml.CSafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML fills it


for _tag, (_pattern, _first, _) in _PLAIN_SCALARS.items():
    _StrictLoader.add_implicit_resolver(_TAG + _tag, re.compile(f"^(?:{_pattern.pattern})$"), list(_first))


def stays_text(text: str) -> bool:
    """Whether a text that is written without quotes is read as text: `0E0` and `null` aren't."""
    return not any(pattern.fullmatch(text) for pattern, _, _ in _PLAIN_SCALARS.values())


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document: its data, and the place of every value in it."""

    name: str
    data: Any
    places: dict[Path_, tuple[int, int]]
    numbers: dict[Path_, str] = field(default_factory=dict)
    """Numbers as they are written: `1.10` is another text than `1.1`."""

    def as_written(self, path: Path_, value: Any) -> Any:
        """The number at `path` as the text that stands there; any other value as it is."""
        return self.numbers.get(path, value)

    def place(self, path: Path_ = ()) -> Place:
        """Where the value at `path` stands, or the nearest value around it."""
        known = path
        while known not in self.places and known:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        return Place(self.name, line, column, ".".join(str(part) for part in path))

    def problem(self, path: Path_, message: str, remedy: str = "") -> Problem:
        """A problem at `path`."""
        return Problem(self.place(path), message, remedy)


def read_document(path: Path, name: str | None = None) -> Document:
    """Read one YAML or JSON file; InvalidInput names the line of a syntax error or duplicate key."""
    shown = name or str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput([Problem(Place(shown), "the file is larger than 16 MB", "Split it")])
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput([Problem(Place(shown), f"can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem(Place(shown), f"is not UTF-8 (byte {error.start})", "Save it as UTF-8")]) from None
    return parse_document(text, shown)


def parse_document(text: str, name: str) -> Document:
    """Parse YAML or JSON text; `name` stands in error messages for the file."""
    text = joined(text, name)
    try:
        _check_depth(text, name)
        loader = _StrictLoader(text)
        try:
            node = loader.get_single_node()
            builder = _Builder(name, max(_MANY_VALUES, len(text)))
            data = None if node is None else builder.build(node, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        message = f"not valid YAML: {error.problem or error.context}"
        raise InvalidInput([Problem(place, message, "Check indentation, quotes and colons there")]) from None
    except yaml.YAMLError as error:
        raise InvalidInput([Problem(Place(name), f"not valid YAML: {error}")]) from None
    return Document(name, data, builder.places, builder.numbers)


def _check_depth(text: str, name: str) -> None:
    """Refuse what is nested too deeply before it is composed: the composer of libyaml has no limit but the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_StrictLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _TOO_DEEP:
                raise InvalidInput([Problem(_at(name, event), "nested too deeply")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _at(name: str, found: yaml.Node | yaml.Event) -> Place:
    mark = found.start_mark
    return Place(name) if mark is None else Place(name, mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Builder:
    """Makes plain data of nodes and notes the place of every value."""

    name: str
    left: int
    """Values that may still be made: anchors can repeat a short text endlessly."""
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    numbers: dict[Path_, str] = field(default_factory=dict)

    def build(self, node: yaml.Node, path: Path_) -> Any:
        self.left -= 1
        if len(path) > _TOO_DEEP or self.left < 0:
            raise self._problem(
                node, "refers to itself" if self.left >= 0 else "anchors repeat too much", "Write it out"
            )
        kind = node.tag.removeprefix(_TAG)
        if kind not in _TAGS:
            raise self._problem(node, f"the tag {printable(node.tag)} is not supported", "Remove it")
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        if kind in {"int", "float"}:
            self.numbers[path] = node.value
        return self._scalar(node, kind)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._problem(key_node, "a key must be plain text")
            key = key_node.value
            if key in result:
                raise self._problem(key_node, f"the key {printable(repr(key))} stands here twice", "Remove one of them")
            result[key] = self.build(value_node, (*path, key))
            self.places[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        return result

    def _scalar(self, node: yaml.Node, kind: str) -> Any:
        text: str = node.value
        if kind in {"map", "seq"}:
            raise self._problem(node, f"is no {'mapping' if kind == 'map' else 'list'}", "Remove the tag")
        if kind == "str":
            return text
        pattern, _, what = _PLAIN_SCALARS[kind]
        if not pattern.fullmatch(text):
            raise self._problem(node, f"{printable(repr(text), 60)} is not {what}", "Correct it, or remove the tag")
        if kind == "bool":
            return text == "true"
        if kind == "null":
            return None
        if kind == "int" and len(text) <= _DIGITS:
            return int(text)
        number = float(text)
        if not math.isfinite(number) or kind == "int":
            raise self._problem(
                node, f"{printable(text, 60)} is too large for a number", "Put it in quotes if it is text"
            )
        return number

    def _problem(self, node: yaml.Node, message: str, remedy: str = "") -> InvalidInput:
        return InvalidInput([Problem(_at(self.name, node), message, remedy)])


def validate(document: Document, model: type[M], data: Any = None, path: Path_ = ()) -> M:
    """Validate `data` (default: the whole document) against `model`; InvalidInput names line, key and remedy."""
    from pydantic import ValidationError  # the first picture of the terminal reads a document without it

    try:
        # Only the names that the documentation has: `for`, not the `for_` that it is in the code.
        return model.model_validate(document.data if data is None and not path else data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidInput(_problems(document, model, error, path)) from None


def _problems(document: Document, model: "type[BaseModel]", error: "ValidationError", path: Path_) -> list[Problem]:
    """pydantic's findings as problems at lines; unknown keys come with the nearest known one."""
    found = []
    for item in error.errors(include_url=False):
        where = (*path, *_in_document(document, path, item["loc"]))
        message, remedy = item["msg"].removeprefix("Value error, "), ""
        if item["type"] == "extra_forbidden":
            message = f"unknown key {item['loc'][-1]!r}"
            word, known_names = str(item["loc"][-1]), _field_names(model)
            remedy = "It doesn't belong here" if word in known_names else nearest(word, known_names) or "Remove it"
        elif item["type"] == "missing":
            message = f"the key {item['loc'][-1]!r} is missing"
            remedy = "Add it"
        elif item["type"] == "union_tag_not_found":
            message, remedy = f"the key {item['ctx']['discriminator']} is missing", "Add it"
        elif item["type"] == "union_tag_invalid":
            known = [tag.strip().strip("'") for tag in item["ctx"]["expected_tags"].split(",")]
            message = f"unknown {item['ctx']['discriminator'].strip(chr(39))} {item['ctx']['tag']!r}"
            remedy = nearest(item["ctx"]["tag"], known) or f"There are {', '.join(known)}"
        elif item["type"] in _PLAIN:
            message, remedy = _PLAIN[item["type"]]
        found.append(document.problem(where, message, remedy))
    return found


_LIST = ("a list is expected here", "Write [a, b], or one entry a line that starts with a dash")
_MAPPING = ("keys with values are expected here", "Write one `key: value` a line")
_PLAIN = {"tuple_type": _LIST, "list_type": _LIST, "model_type": _MAPPING, "dict_type": _MAPPING}


def _in_document(document: Document, path: Path_, loc: Sequence[str | int]) -> Path_:
    # pydantic puts the tags of unions among the keys; keep only what leads somewhere in the document.
    kept: Path_ = ()
    for index, part in enumerate(loc):
        if (*path, *kept, part) in document.places or index == len(loc) - 1:
            kept = (*kept, part)
    return kept


def _field_names(model: "type[BaseModel]") -> set[str]:
    """The keys of a model and of every model inside it."""
    from pydantic import BaseModel

    names: set[str] = set()
    todo: list[Any] = [model]
    seen: set[Any] = set()
    while todo:
        kind = todo.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
            seen.add(kind)
            names |= {field.alias or name for name, field in kind.model_fields.items()}
            todo.extend(field.annotation for field in kind.model_fields.values())
        else:
            todo.extend(get_args(kind))
    return names


def nearest(word: str, known: Iterable[str]) -> str:
    """`Did you mean …?` with the closest known word, or an empty text."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""
