"""The filter line: words that must all match, such as `platform:shop sev:crit lag -test`."""

from dataclasses import dataclass

from controlplane.model.alerts import AlertState
from tui.data import Row

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
}


@dataclass(frozen=True, slots=True)
class Word:
    """One word; with a key it is looked for in that field or label alone."""

    text: str
    key: str = ""
    wanted: bool = True

    def matches(self, row: Row) -> bool:
        """Whether the row has the word where it is looked for."""
        return self._found(row) is self.wanted

    def _found(self, row: Row) -> bool:
        alert = row.alert
        match self.key:
            case "":
                return self.text in row.text
            case "severity":
                return alert.severity.value.startswith(self.text)
            case "state":
                return any(word.startswith(self.text) for word in states(row))
            case "owner":
                return alert.acknowledged is not None and self.text in alert.acknowledged.actor.casefold()
            case "platform" | "component" | "source" | "rule" | "id":
                return self.text in getattr(alert, self.key).casefold()
            case label:
                return any(
                    name.casefold() == label and self.text in value.casefold() for name, value in alert.labels.items()
                )


def states(row: Row) -> tuple[str, ...]:
    """The words under which `state:` finds a row."""
    alert, words = row.alert, [row.alert.state.value]
    if alert.held_for:
        words.append("held")
    words.append("acknowledged" if alert.acknowledged else "open")
    if row.doubt:
        words.append("?")
    if alert.state is AlertState.NO_DATA:
        words.append("no-data")
    return tuple(words)


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

    def matches(self, row: Row) -> bool:
        """Whether every word matches."""
        return all(word.matches(row) for word in self.words)
