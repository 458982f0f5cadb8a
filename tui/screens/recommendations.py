"""The second screen: what to do, with its price, its evidence and whether it survives."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.commands import Target
from tui.data import AdviceRow, Row, Snapshot
from tui.screens.base import ACT, DECIDE, MOVE
from tui.screens.listing import FIND, ListScreen
from tui.widgets.lists import ADVICE
from tui.widgets.panes import AdvicePane
from tui.widgets.row_list import RowList
from tui.widgets.titles import retitle

if TYPE_CHECKING:
    from controlplane.model.recommendations import Recommendation


class RecommendationsScreen(ListScreen):
    """What can be decided first, then what has no advice and why, then what is watched or over."""

    KEY = "2"
    NAME = "Recommendations"
    SHORT = "Advice"
    MODE = "recommendations"
    NOUN = "recommendations"
    EXAMPLE = "state:open kind:scale platform:shop billing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="view.open", tooltip="Everything about the recommendation"),
        *DECIDE,
        *FIND,
        *ACT,
        *MOVE,
    ]

    @classmethod
    def count(cls, snapshot: Snapshot) -> str:
        """Open recommendations."""
        return f"{snapshot.open_advice:,}"

    def listing(self) -> RowList[AdviceRow]:
        """One line a recommendation."""
        return RowList(ADVICE, id="recommendations")

    def rows(self, snapshot: Snapshot) -> Sequence[AdviceRow]:
        """Every recommendation, and every alert without one."""
        return snapshot.advice

    def beside(self) -> Iterable[Widget]:
        """The selected recommendation."""
        yield AdvicePane(id="advice-pane", classes="pane")

    @property
    def chosen(self) -> AdviceRow | None:
        """The row under the cursor."""
        if not self.is_mounted:
            return None
        found: AdviceRow | None = self.table.selected
        return found

    @property
    def selected(self) -> Row | None:
        """The alert that the selected recommendation answers."""
        return None if self.chosen is None else self.chosen.row

    @property
    def advised(self) -> "Recommendation | None":
        """The selected recommendation."""
        return None if self.chosen is None else self.chosen.recommendation

    @property
    def notable(self) -> Target | None:
        """The recommendation, else the alert that has none."""
        return self.advised or self.selected

    @property
    def copied(self) -> str:
        """The recommendation's id."""
        return "" if self.chosen is None else self.chosen.id.removeprefix("alert:")

    def show_panes(self, snapshot: Snapshot, now: datetime) -> None:  # noqa: ARG002 - other screens need it
        """The selected recommendation."""
        pane = self.query_one(AdvicePane)
        if pane.display:
            pane.show(self.chosen, now)
            retitle(pane, "Recommendation")

    def action_open(self) -> None:
        """Everything about the recommendation; about the alert where there is none."""
        chosen = self.chosen
        if chosen is None:
            return
        if chosen.recommendation is not None:
            self.open_advice(chosen)
        elif chosen.row is not None:
            self.open_alert(chosen.row)
