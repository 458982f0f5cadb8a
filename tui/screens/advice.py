"""One recommendation on the whole screen, with everything that a decision stands on."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.commands import Target
from tui.data import AdviceRow, Row, Snapshot
from tui.describe.parts import not_there
from tui.screens.base import ACT, DECIDE, MOVE, SnapshotScreen
from tui.text import safe
from tui.widgets.lines import Lines
from tui.widgets.panes import AdviceDetail
from tui.widgets.titles import retitle

if TYPE_CHECKING:
    from controlplane.model.recommendations import Recommendation


class AdviceScreen(SnapshotScreen):
    """Follows its recommendation through versions and decisions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="view.back", tooltip="Back to the list"),
        *DECIDE,
        Binding("c", "copy_commands", "Copy commands", id="act.copy_commands", tooltip="Copy all its commands"),
        *ACT,
        *MOVE,
    ]
    DEFAULT_CSS = """
    AdviceScreen {
        layout: vertical;
        & AdviceDetail {
            height: 1fr; border-top: solid $accent; border-title-color: $accent; border-title-style: bold;
        }
        &.-wide AdviceDetail { layout: horizontal; }
        &.-disconnected AdviceDetail { opacity: 60%; }
        & #absent { display: none; height: 1fr; padding: 1 2; }
        &.-absent #absent { display: block; }
        &.-absent AdviceDetail { display: none; }
    }
    """

    def __init__(self, chosen: AdviceRow) -> None:
        super().__init__()
        self._row = chosen

    def body(self) -> Iterable[Widget]:
        """The recommendation alone."""
        yield AdviceDetail(id="advice-detail")
        yield Lines(id="absent")

    def on_mount(self) -> None:
        self.query_one(AdviceDetail).focus()

    @property
    def selected(self) -> Row | None:
        """The alert that it answers, while that lasts."""
        return self._row.row

    @property
    def advised(self) -> "Recommendation | None":
        """The recommendation."""
        return self._row.recommendation

    @property
    def notable(self) -> Target | None:
        """The recommendation, else the alert that has none."""
        return self.advised or self.selected

    @property
    def copied(self) -> str:
        """Its id."""
        return self._row.id

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Renew the picture."""
        self._row = snapshot.advice_by_id.get(self._row.id, self._row)
        self.tell_time(snapshot, now)

    def tell_time(self, snapshot: Snapshot, now: datetime) -> None:
        """Let the ages count."""
        absent = self.control.travelling and self._row.id not in snapshot.advice_by_id
        self.set_class(absent, "-absent")
        if absent:
            self.query_one("#absent", Lines).tell(not_there(self._row.title, now))
            return
        pane = self.query_one(AdviceDetail)
        pane.show(self._row, now)
        retitle(pane, f"Recommendation · {safe(self._row.title, 80)}")

    def action_copy_commands(self) -> None:
        """Copy the commands, one a line (OSC 52)."""
        commands = () if self.advised is None else self.advised.proposal.commands
        if not commands:
            self.notify("It has no commands; see the runbook.", severity="warning", markup=False)
            return
        number = len(commands)
        self.copy("\n".join(commands) + "\n", f"{number} command{'s' * (number > 1)}")

    def action_back(self) -> None:
        """Return to the list."""
        self.dismiss(None)
