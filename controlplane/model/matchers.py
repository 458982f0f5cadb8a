"""Matchers on labels, as Alertmanager writes them: `severity="critical"`, `host=~"kafka-.*"`, `zone!=""`."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Literal

import re2
from pydantic import BeforeValidator, PlainSerializer

from controlplane.model.base import LABEL, Model

_MATCHER = re.compile(
    r'\s*(?P<label>[^\s=!~"]+)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>"(?:[^"\\]|\\.)*"|[^"]*?)\s*', re.S
)
_EXAMPLE = 'severity="critical" or host=~"kafka-.*"'
LONGEST = 1_000
"""Characters of a matcher."""
_MEMORY = 256 * 1024
"""Bytes of a compiled pattern: the largest one that fits takes about a tenth of a second for a value of 10 kB."""


class Matcher(Model):
    """A condition on one label; an absent label counts as empty. A pattern (RE2 syntax) must match the whole value."""

    label: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    @classmethod
    def parse(cls, text: object) -> "Matcher":
        """Read `label="value"` (quotes may be left out); ValueError says what is wrong."""
        if isinstance(text, Matcher):
            return text
        found = _MATCHER.fullmatch(text) if isinstance(text, str) and len(text) <= LONGEST else None
        if found is None:
            raise ValueError(f"{str(text)[:100]!r} is not a matcher; write one such as {_EXAMPLE}")
        if not LABEL.fullmatch(found["label"]):
            raise ValueError(f"{found['label'][:100]!r} is not a label name")
        value = found["value"]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", lambda escaped: {"n": "\n"}.get(escaped[1], escaped[1]), value[1:-1], flags=re.S)
        if found["operator"].endswith("~"):
            try:
                _pattern(value)
            except re2.error as error:
                said = error.args[0].decode("utf-8", "replace")
                raise ValueError(f"{value!r} is not a regular expression (RE2 syntax): {said}") from None
        return cls(label=found["label"], operator=found["operator"], value=value)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds for an alert's labels."""
        value = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (value == self.value) is (self.operator == "=")
        found = _pattern(self.value).fullmatch(value.encode("utf-8", "replace"))
        return (found is not None) is (self.operator == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{escaped}"'


_ONE = re.compile(r'([^\s=!~",{}]+\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|[^\s,"]*))(?:\s*,\s*|\s+|$)', re.S)


def parse_matchers(line: str) -> tuple[Matcher, ...]:
    """Matchers in a line, apart by blanks or commas, as `{host=~"kafka-.*", zone!="b"}`; ValueError says what is wrong.

    A value with a blank or a comma has to be quoted.
    """
    text = line.strip()
    if text.startswith("{"):
        if not text.endswith("}"):
            raise ValueError("a brace is open; close it with }")
        text = text[1:-1]
    text = text.strip()
    found = []
    position = 0
    while position < len(text):
        part = _ONE.match(text, position)
        if part is None:
            raise ValueError(f"{text[position:][:100]!r} is not a matcher; write one such as {_EXAMPLE}")
        found.append(Matcher.parse(part[1]))
        position = part.end()
    if not found:
        raise ValueError(f"no matcher yet; write one such as {_EXAMPLE}")
    return tuple(found)


@lru_cache(maxsize=1_000)
def _pattern(text: str) -> re2._Regexp:
    # Python's own patterns can take longer than the universe for one value: a silence would hold up every page.
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return re2.compile(text.encode("utf-8", "replace"), options)


MatcherField = Annotated[Matcher, BeforeValidator(Matcher.parse), PlainSerializer(str, return_type=str)]


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher holds; so it is where there is none."""
    return all(matcher.matches(labels) for matcher in matchers)
