"""The fourth screen: what keeps people from being paged, who did it and for how long."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.commands import Kind, Target
from tui.data import Holding, Row, Snapshot
from tui.screens.base import ACT, DECIDE, MARK, MOVE
from tui.screens.listing import FIND, ListScreen, answered
from tui.widgets.lists import HOLDINGS
from tui.widgets.panes import DetailPane, pane_title
from tui.widgets.row_list import RowList
from tui.widgets.titles import retitle


class AcknowledgementsScreen(ListScreen):
    """The longest held first, so that a forgotten one is seen."""

    KEY = "4"
    NAME = "Silences and acknowledgements"
    SHORT = "Held"
    MODE = "acknowledgements"
    NOUN = "silences and acknowledgements"
    EXAMPLE = "own:mira sev:crit platform:shop"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="view.open", tooltip="Everything about the alert"),
        *ACT[:4],
        *DECIDE,
        *FIND,
        *ACT[4:],
        MARK,
        *MOVE,
    ]

    @classmethod
    def count(cls, snapshot: Snapshot) -> str:
        """What is held."""
        return f"{len(snapshot.holdings):,}"

    def listing(self) -> RowList[Holding]:
        """One line an acknowledgement."""
        return RowList(HOLDINGS, id="holdings")

    def rows(self, snapshot: Snapshot) -> Sequence[Holding]:
        """Every acknowledgement of an active alert."""
        return snapshot.holdings

    def beside(self) -> Iterable[Widget]:
        """The alert that is held."""
        yield DetailPane(id="detail", classes="pane")

    @property
    def selected(self) -> Row | None:
        """The alert that is acknowledged."""
        found: Holding | None = self.table.selected if self.is_mounted else None
        return None if found is None else found.row

    @property
    def ended(self) -> Row | None:
        """The alert that was acknowledged and no longer is."""
        found: Holding | None = self.table.ended if self.is_mounted else None
        if found is None or found.row is None:
            return None
        return self.control.snapshot.by_id.get(found.row.id, found.row)

    @property
    def chosen(self) -> Holding | None:
        """The row under the cursor."""
        if not self.is_mounted:
            return None
        found: Holding | None = self.table.selected or self.table.ended
        return found

    def kind_of(self, action: str) -> Kind | None:
        """Undoing a silence is ending it; of marked rows, the first one says which is done."""
        marked: Sequence[Holding] = self.table.marked if self.is_mounted else ()
        first = next(iter(marked), self.chosen)
        silent = first is not None and first.silence is not None
        return Kind.END_SILENCE if action == "undo" and silent else super().kind_of(action)

    def target(self, kind: Kind) -> Target | None:
        """The alert, or the silence itself."""
        return self.chosen if kind is Kind.END_SILENCE else super().target(kind)

    def marked_targets(self, kind: Kind, marked: Sequence[Holding]) -> Sequence[Target]:
        """All marked rows, an acknowledgement as its alert; what the command isn't for is refused."""
        return [one if one.row is None or kind is Kind.END_SILENCE else one.row for one in marked]

    def named(self, subjects: Iterable[str]) -> Collection[str]:
        """An acknowledgement is about its alert."""
        return frozenset(subjects) | {f"ack:{subject}" for subject in subjects}

    def nothing(self, snapshot: Snapshot, now: datetime) -> str:
        """Nothing is held."""
        return f"Nothing is acknowledged or silenced · {answered(snapshot, now)}"

    def show_panes(self, snapshot: Snapshot, now: datetime) -> None:
        """The alert that is acknowledged."""
        pane = self.query_one(DetailPane)
        if pane.display:
            row = self.selected or self.ended
            gone = row is not None and row.id not in snapshot.by_id
            pane.show(row, now, gone=gone)
            retitle(pane, pane_title(row, gone=gone))

    def action_open(self) -> None:
        """Everything about the alert."""
        row = self.selected
        if row is not None:
            self.open_alert(row)
