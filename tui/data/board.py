"""The alerts of a snapshot as rows, with what they count as; renewed where few of thousands differ."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Self

from controlplane.model.severity import Severity
from tui.data.rows import Row, Tally

_TALLY, _ID = attrgetter("tally"), attrgetter("id")


@dataclass(frozen=True, slots=True)
class Board:
    """Rows in the order of their ids."""

    rows: tuple[Row, ...] = ()
    by_id: Mapping[str, Row] = field(default_factory=dict, compare=False, repr=False)
    tally: Mapping[Tally, int] = field(default_factory=dict, compare=False, repr=False)
    """How many rows count as what."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """All rows anew, in the order of their ids."""
        found = tuple(rows)
        return cls(found, {row.id: row for row in found}, Counter(map(_TALLY, found)))

    def renewed(self, changed: Mapping[str, Row | None]) -> Self:
        """The same with these rows by id in place of what they were, if they were; None = gone."""
        rows, by_id, tally = list(self.rows), dict(self.by_id), Counter(self.tally)
        for key, new in changed.items():
            old, at = by_id.get(key), bisect_left(rows, key, key=_ID)
            if old is not None:
                tally[old.tally] -= 1
                del rows[at]
            if new is not None:
                tally[new.tally] += 1
                rows.insert(at, new)
                by_id[key] = new
            else:
                by_id.pop(key, None)
        return type(self)(tuple(rows), by_id, tally)

    @property
    def reported(self) -> Counter[Severity]:
        """Firing and no-data alerts by severity."""
        total: Counter[Severity] = Counter()
        for (pending, severity, _), number in self.tally.items():
            total[severity] += 0 if pending else number
        return +total

    @property
    def acknowledged(self) -> int:
        """How many alerts somebody has taken."""
        return sum(number for (_, _, taken), number in self.tally.items() if taken)

    @property
    def pending(self) -> int:
        """How many alerts aren't reported yet."""
        return sum(number for (pending, _, _), number in self.tally.items() if pending)
