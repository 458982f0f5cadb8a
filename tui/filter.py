"""The filter line: words that must all match, such as `platform:shop sev:crit lag -test`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

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


S = TypeVar("S", bound=Searchable)


@dataclass(frozen=True, slots=True)
class Word:
    """One word; with a key it is looked for in that field or label alone."""

    text: str
    key: str = ""
    wanted: bool = True

    def matches(self, row: Searchable) -> bool:
        """Whether the row has the word where it is looked for."""
        found = self.text in row.text if not self.key else self.among(row.words(self.key))
        return found is self.wanted

    def among(self, words: tuple[str, ...]) -> bool:
        """Whether it is one of these words, or part of one."""
        if self.key in _BEGINNINGS:
            return any(word.casefold().startswith(self.text) for word in words)
        return any(self.text in word.casefold() for word in words)


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

    def among(self, rows: Iterable[S]) -> list[S]:
        """The rows that match. What a field of many rows says is compared once for all that say the same."""
        found = list(rows)
        for word in sorted(self.words, key=lambda word: bool(word.key)):  # the text of a row is looked at quickest
            text, wanted, key = word.text, word.wanted, word.key
            if not key:
                found = [row for row in found if (text in row.text) is wanted]
                continue
            known: dict[tuple[str, ...], bool] = {}
            kept = []
            for row in found:
                words = row.words(key)
                said = known.get(words)
                if said is None:
                    said = known[words] = word.among(words)
                if said is wanted:
                    kept.append(row)
            found = kept
        return found
