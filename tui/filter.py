"""The filter line: words that must all match, such as `platform:shop sev:crit lag -test`."""

from dataclasses import dataclass
from typing import Protocol

_KEYS = {
    "sev": "severity",
    "severity": "severity",
    "state": "state",
    "st": "state",
    "platform": "platform",
    "component": "component",
    "service": "component",
    "source": "source",
    "src": "source",
    "rule": "rule",
    "id": "id",
    "own": "owner",
    "owner": "owner",
    "ack": "owner",
    "by": "owner",
    "actor": "owner",
    "kind": "kind",
    "target": "target",
}
_BEGINNINGS = {"severity", "state", "kind"}
"""Keys whose words are found by their beginning: `sev:crit`."""


class Searchable(Protocol):
    """A row as a filter sees it."""

    @property
    def text(self) -> str:
        """Everything that a word without a key may match, in one case."""
        ...

    def words(self, key: str) -> tuple[str, ...]:
        """What a word with this key is compared with."""
        ...


@dataclass(frozen=True, slots=True)
class Word:
    """One word; with a key it is looked for in that field or label alone."""

    text: str
    key: str = ""
    wanted: bool = True

    def matches(self, row: Searchable) -> bool:
        """Whether the row has the word where it is looked for."""
        return self._found(row) is self.wanted

    def _found(self, row: Searchable) -> bool:
        if not self.key:
            return self.text in row.text
        if self.key in _BEGINNINGS:
            return any(word.casefold().startswith(self.text) for word in row.words(self.key))
        return any(self.text in word.casefold() for word in row.words(self.key))


@dataclass(frozen=True, slots=True)
class Filter:
    """All words of a filter line; without words it matches everything."""

    words: tuple[Word, ...] = ()

    @classmethod
    def parse(cls, line: str) -> "Filter":
        """Read a filter line; a key that is no field is taken for the name of a label."""
        words = []
        for part in line.casefold().split():
            wanted = not (part.startswith("-") and len(part) > 1)
            part = part if wanted else part[1:]
            key, colon, text = part.partition(":")
            if colon and key and text:
                words.append(Word(text, _KEYS.get(key, key), wanted))
            elif not (colon and key):
                words.append(Word(part, "", wanted))
        return cls(tuple(words))

    def matches(self, row: Searchable) -> bool:
        """Whether every word matches."""
        return all(word.matches(row) for word in self.words)
