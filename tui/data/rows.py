"""Frozen rows of the lists: each has an id, what a filter may look for in it, and how it sorts."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.model.errors import ControlplaneError
from controlplane.model.severity import Severity
from controlplane.model.states import AlertState, Status
from tui.data.log import History, Measured
from tui.data.told import Told

if TYPE_CHECKING:
    from controlplane.model.alerts import Acknowledgement, Alert
    from controlplane.model.recommendations import Recommendation
    from controlplane.model.silences import Silence

_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
_CLOSED = 9
_ERA = 1e11
"""Seconds, more than any time has."""
_FIELDS = frozenset({"severity", "platform", "component", "source", "rule", "id"})
_ORDER = {Status.PROPOSED: 0, Status.APPROVED: 1, Status.EXECUTED: 3}
_LACKING = 2
_LONGEST = 300

Lack = tuple[tuple[str, str], ...]
"""(rule id, why it has no recommendation)."""
Tally = tuple[bool, Severity, bool]
"""Pending, severity, acknowledged."""


def _folded(parts: list[str]) -> str:
    return "\n".join(part[:_LONGEST] for part in parts).casefold()


@dataclass(frozen=True, slots=True)
class Row:
    """One alert with everything that its line and its detail show."""

    alert: "Alert"
    reading: Measured | None = None
    advice: "tuple[Recommendation, ...]" = ()
    """Open recommendations first, then the newest."""
    doubt: str = ""
    """Why this may no longer be true, such as a failed source; empty where there is no doubt."""
    lack: Lack = ()
    text: str = ""
    """Everything that a filter word may match, in one case."""
    newest: float = 0.0
    """Sorts by `since`, the newest first."""
    urgency: float = 0.0
    """Sorts reported before pending, then by severity, open before acknowledged, the newest first."""
    name: str = ""
    """Sorts by platform, component and title."""
    id: str = ""
    """The alert's id."""
    tally: Tally = (False, Severity.INFO, False)
    """What it counts as."""

    @classmethod
    def of(
        cls,
        alert: "Alert",
        reading: Measured | None = None,
        advice: "tuple[Recommendation, ...]" = (),
        doubt: str = "",
        lack: Lack = (),
        before: "Row | None" = None,
    ) -> "Row":
        """A row with what filtering and sorting need; `before` is taken over as far as it is equal."""
        if before is None or (before.alert is not alert and before.alert != alert):
            newest = -(alert.fired_at or alert.active_at).timestamp()
            pending, taken = alert.state is AlertState.PENDING, alert.acknowledged is not None
            # One number for all of them: tens of thousands of rows are sorted between two keys.
            rank = (pending * len(_RANK) + _RANK[alert.severity]) * 2 + taken
            name = "\0".join((alert.platform, alert.component, alert.title))
            tally = (pending, alert.severity, taken)
            text = _searchable(alert) if before is None or _renamed(before.alert, alert) else before.text
            ordered = (newest, rank * _ERA + newest, name, alert.id, tally)
            return cls(alert, reading, advice, doubt, lack, text, *ordered)
        if (before.reading, before.advice, before.doubt, before.lack) == (reading, advice, doubt, lack):
            return before
        ordered = (before.newest, before.urgency, before.name, before.id, before.tally)
        return cls(alert, reading, advice, doubt, lack, before.text, *ordered)

    @property
    def value(self) -> float | None:
        """The newest known value, in the alert's unit."""
        return self.alert.value if self.reading is None or isinstance(self.reading, Told) else self.reading.value

    @property
    def history(self) -> History:
        """The known past of the value; empty where there is none that can be read."""
        try:
            return () if self.reading is None else self.reading.history
        except ControlplaneError:
            return ()

    @property
    def since(self) -> datetime:
        """When it fired, or while it is pending when the condition began."""
        return self.alert.fired_at or self.alert.active_at

    def words(self, key: str) -> tuple[str, ...]:
        """What a filter word with this key is compared with; any other key is the name of a label."""
        alert = self.alert
        if key in _FIELDS:
            return (getattr(alert, key),)
        match key:
            case "state":
                return self._states()
            case "owner":
                return () if alert.acknowledged is None else (alert.acknowledged.actor,)
        labels = tuple(value for name, value in alert.labels.items() if name.casefold() == key)
        if key == "kind":
            return (*labels, *(found.proposal.kind for found in self.advice if found.open))
        return labels

    def _states(self) -> tuple[str, ...]:
        alert = self.alert
        words = [alert.state.value, "acknowledged" if alert.acknowledged else "open"]
        words += ["held"] if alert.held_for else []
        words += ["?"] if self.doubt else []
        words += ["no-data"] if alert.state is AlertState.NO_DATA else []
        return tuple(words)


def _renamed(before: "Alert", alert: "Alert") -> bool:
    """Whether a filter may find it by other words; the same alert keeps its labels, rule and source."""
    return (before.title, before.summary, before.component, before.platform) != (
        alert.title,
        alert.summary,
        alert.component,
        alert.platform,
    )


def _searchable(alert: "Alert") -> str:
    parts = [alert.title, alert.summary, alert.component, alert.platform, alert.rule, alert.source]
    return _folded([*parts, *alert.labels.values()])


@dataclass(frozen=True, slots=True)
class AdviceRow:
    """One recommendation, or an alert that has none and why."""

    id: str
    """The recommendation's id; `alert:<id>` where there is none."""
    alert: str
    title: str
    platform: str
    at: datetime
    recommendation: "Recommendation | None" = None
    lack: Lack = ()
    severity: Severity | None = None
    """Of the alert while it lasts."""
    row: Row | None = None
    """The alert that it answers, while it lasts."""
    text: str = ""
    newest: float = 0.0
    urgency: tuple[int, int, float] = (0, 0, 0.0)
    """Sorts what can be decided first, then what is watched, what is lacking, and what is over."""

    @classmethod
    def of(cls, found: "Recommendation", row: Row | None, before: "AdviceRow | None" = None) -> "AdviceRow":
        """The row of a recommendation."""
        if before is not None and before.recommendation is found and before.row is row:
            return before
        proposal = found.proposal
        severity = None if row is None else row.alert.severity
        rank = len(_RANK) if severity is None else _RANK[severity]
        parts = [proposal.title, proposal.target, proposal.kind, proposal.from_, proposal.to, found.rule]
        parts += [found.platform, *((row.alert.title, *row.alert.labels.values()) if row else ())]
        newest = -found.at.timestamp()
        order = (_ORDER.get(found.status, _CLOSED), rank, newest)
        return cls(
            found.id,
            found.alert,
            proposal.title,
            found.platform,
            found.at,
            found,
            (),
            severity,
            row,
            _folded(parts),
            newest,
            order,
        )

    @classmethod
    def lacking(cls, row: Row, at: datetime) -> "AdviceRow":
        """The row of an alert for which a rule has no recommendation."""
        alert = row.alert
        text = _folded([row.text, *(part for pair in row.lack for part in pair)])
        newest = -at.timestamp()
        order = (_LACKING, _RANK[alert.severity], newest)
        name = f"alert:{alert.id}"
        return cls(
            name, alert.id, alert.title, alert.platform, at, None, row.lack, alert.severity, row, text, newest, order
        )

    def words(self, key: str) -> tuple[str, ...]:
        """What a filter word with this key is compared with; other keys look at the alert."""
        found = self.recommendation
        match key:
            case "state":
                return ("lacking",) if found is None else (found.status.value, "open" if found.open else "closed")
            case "kind":
                return ("none",) if found is None else (found.proposal.kind,)
            case "target":
                return () if found is None else (found.proposal.target,)
            case "owner":
                return () if found is None or found.decided_by is None else (found.decided_by,)
            case "platform":
                return (self.platform,)
            case "id":
                return (self.id,)
            case "rule" if found is not None:
                return (found.rule,)
        return () if self.row is None else self.row.words(key)


@dataclass(frozen=True, slots=True)
class Holding:
    """Something that keeps people from being paged: an acknowledgement, a silence or a maintenance window."""

    id: str
    kind: str
    """`ack`, `silence` or `maintenance`."""
    actor: str
    at: datetime
    """When it began, or will."""
    note: str
    what: str
    """The alert's title, or the matchers of a silence."""
    until: datetime | None = None
    """When it ends by itself; None = with its alert."""
    row: Row | None = None
    """The alert that is acknowledged."""
    text: str = ""
    silence: "Silence | None" = None
    """What is held by it, where it is no acknowledgement."""
    still: int = 0
    """How many alerts a silence mutes that ends soon; 0 where it doesn't, or mutes none."""

    @classmethod
    def taken(cls, row: Row, given: "Acknowledgement") -> "Holding":
        """The row of an acknowledgement."""
        text = _folded([row.text, given.actor, given.note])
        return cls(f"ack:{row.id}", "ack", given.actor, given.at, given.note, row.alert.title, None, row, text)

    @classmethod
    def muted(cls, silence: "Silence", still: int = 0) -> "Holding":
        """The row of a silence or maintenance window; `still` where it ends soon and mutes so many alerts."""
        what = " ".join(str(matcher) for matcher in silence.matchers)
        text = _folded([what, silence.author, silence.reason, silence.kind])
        name, begin, end = f"silence:{silence.id}", silence.starts_at, silence.ends_at
        return cls(name, silence.kind, silence.author, begin, silence.reason, what, end, None, text, silence, still)

    @property
    def newest(self) -> float:
        """Sorts the newest first."""
        return -self.at.timestamp()

    def words(self, key: str) -> tuple[str, ...]:
        """What a filter word with this key is compared with."""
        if key == "kind":
            return (self.kind,)
        if key == "owner":
            return (self.actor,)
        return () if self.row is None else self.row.words(key)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline or of the audit trail: an event in words."""

    id: str
    position: int
    at: datetime
    what: str
    subject: str
    said: str
    actor: str = ""
    severity: Severity | None = None
    platform: str = ""
    alert: str = ""
    """The alert that it is about."""
    advice: str = ""
    """The recommendation that it is about."""
    serious: bool = False
    """Whether something failed."""
    text: str = ""

    @property
    def newest(self) -> int:
        """Sorts the newest first."""
        return -self.position

    def words(self, key: str) -> tuple[str, ...]:
        """What a filter word with this key is compared with."""
        match key:
            case "severity":
                return () if self.severity is None else (self.severity.value,)
            case "state" | "kind":
                return (self.what,)
            case "owner":
                return (self.actor,)
            case "platform":
                return (self.platform,)
            case "id":
                return (self.id, self.alert, self.advice)
        return ()
