"""What every screen has: the bar, the banner, the footer, and how a snapshot reaches it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget

from tui.commands import OF_ADVICE, Kind, Target, refusal
from tui.data import Row, Snapshot
from tui.text import safe
from tui.travelling import TIMES
from tui.trust import Trust
from tui.widgets.keys import KeysFooter
from tui.widgets.status import Banner, StatusBar
from tui.widgets.tabs import Tabs

if TYPE_CHECKING:
    from controlplane.model.recommendations import Recommendation
    from tui.app import ControlplaneApp

_COMMANDS = {
    "acknowledge": Kind.ACKNOWLEDGE,
    "undo": Kind.UNDO,
    "approve": Kind.APPROVE,
    "reject": Kind.REJECT,
    "executed": Kind.EXECUTED,
    "reopen": Kind.REOPEN,
    "note": Kind.NOTE,
    "silence": Kind.SILENCE,
    "maintenance": Kind.MAINTENANCE,
}

ACT: tuple[BindingType, ...] = (
    Binding("a", "acknowledge", "Ack", id="act.acknowledge", tooltip="Acknowledge the alert, with a note"),
    Binding("u", "undo", "Undo", id="act.undo", tooltip="Withdraw the acknowledgement; end the silence"),
    Binding("s", "silence", "Silence", id="act.silence", tooltip="Silence such alerts; shows which before"),
    Binding("n", "note", "Note", show=False, id="act.note", tooltip="Write a note on the alert or recommendation"),
    Binding("M", "maintenance", "Maintenance window", show=False, id="act.maintenance", tooltip="Plan a silence"),
    Binding("ctrl+z", "undo_last", "Undo the last", show=False, id="act.undo_last", tooltip="Undo your last action"),
    Binding("y", "copy_id", "Copy", show=False, id="act.copy", tooltip="Copy the id to the clipboard"),
    Binding("ctrl+c", "screen.copy_text", "Copy the marked text", show=False, id="act.copy_text"),
)
"""Keys for what is done about the selected alert."""
MARK = Binding("space", "mark", "Mark", show=False, id="act.mark", tooltip="Mark the row; keys act on all marked ones")
"""Key of lists whose rows can be acted on together."""
DECIDE: tuple[BindingType, ...] = (
    Binding("A", "approve", "Approve", id="act.approve", tooltip="Approve the recommendation"),
    Binding("X", "reject", "Reject", id="act.reject", tooltip="Reject the recommendation, with the reason"),
    Binding("E", "executed", "Executed", show=False, id="act.executed", tooltip="Say that it was done"),
    Binding("U", "reopen", "Take back", show=False, id="act.reopen", tooltip="Take approval or rejection back"),
)
"""Keys for what is decided about the selected recommendation; uppercase, because it matters."""
MOVE: tuple[BindingType, ...] = (
    Binding("j,down", "move('down')", "Next row, or a line down", show=False, id="move.down"),
    Binding("k,up", "move('up')", "Previous row, or a line up", show=False, id="move.up"),
    Binding("g,home", "move('first')", "First", show=False, id="move.first"),
    Binding("G,end", "move('last')", "Last", show=False, id="move.last"),
    Binding("ctrl+d,pagedown", "move('page_down')", "Half a page down", show=False, id="move.page_down"),
    Binding("ctrl+u,pageup", "move('page_up')", "Half a page up", show=False, id="move.page_up"),
    Binding("colon", "app.jump", "Jump", show=False, id="find.jump", tooltip="To a screen, alert or recommendation"),
    Binding("tab", "app.focus_next", "Next pane", show=False, id="move.next_pane"),
    Binding("shift+tab", "app.focus_previous", "Previous pane", show=False, id="move.previous_pane"),
)
"""Keys for moving; they work on the pane that has the focus."""


class SnapshotScreen(Screen[None], inherit_bindings=False):
    """Bar, screens, banner, body and footer; subclasses fill in the body and say which alert is selected."""

    DEFAULT_CSS = """
    SnapshotScreen {
        &.-low Tabs, &.-slim Tabs { display: none; }
    }
    """

    KEY: ClassVar[str] = ""
    """The digit that leads here; empty for a screen that is opened from another one."""
    NAME: ClassVar[str] = ""
    SHORT: ClassVar[str] = ""
    """The name where there is little room."""
    MODE: ClassVar[str] = ""
    """The name in code."""

    @classmethod
    def count(cls, snapshot: Snapshot) -> str:  # noqa: ARG003 - other screens need it
        """How much there is on the screen, as its title says it; empty where a number says nothing."""
        return ""

    AUTO_FOCUS = None
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (60, "-middle"), (120, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-medium"), (36, "-tall")]  # noqa: RUF012 - as Textual declares it

    @property
    def control(self) -> "ControlplaneApp":
        """The app, by its own type."""
        return cast("ControlplaneApp", self.app)

    def compose(self) -> ComposeResult:
        yield StatusBar(id="bar")
        yield Tabs(id="tabs")
        yield Banner(id="banner")
        yield from self.body()
        yield KeysFooter(times=TIMES, closed=bool(self.control.travels.closed))

    def body(self) -> Iterable[Widget]:
        """The panes between banner and footer."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Take a new snapshot."""
        raise NotImplementedError

    def tell_time(self, snapshot: Snapshot, now: datetime) -> None:
        """A second has passed."""
        raise NotImplementedError

    @property
    def selected(self) -> Row | None:
        """The alert that commands are about."""
        return None

    @property
    def ended(self) -> Row | None:
        """The alert that was selected and has ended since."""
        return None

    @property
    def advised(self) -> "Recommendation | None":
        """The recommendation that decisions are about: the first one of the selected alert."""
        row = self.selected
        return row.advice[0] if row is not None and row.advice else None

    @property
    def notable(self) -> Target | None:
        """What a note is written on."""
        return self.selected or self.ended

    def target(self, kind: Kind) -> Target | None:
        """What a command would be about."""
        if kind is Kind.NOTE:
            return self.notable
        return self.advised if kind in OF_ADVICE else self.selected

    def targets(self, kind: Kind) -> Sequence[Target]:
        """All that a command would be about: the marked rows where there are any."""
        target = self.target(kind)
        return () if target is None else (target,)

    def kind_of(self, action: str) -> Kind | None:
        """The command that an action of a key sends."""
        return _COMMANDS.get(action)

    # from the app

    def deliver(self, snapshot: Snapshot, trusted: Trust, now: datetime, *, fresh: bool) -> None:
        """Show a snapshot (`fresh`), or the same one a second later."""
        if not self.is_mounted:
            return
        read_only = self.control.read_only
        with suppress(NoMatches):  # its widgets go before it does
            self.query_one(Tabs).show(self.control.tabs, self.KEY or self.control.home_key)
            self.query_one(StatusBar).show(snapshot, trusted, now, read_only=read_only)
            self.query_one(Banner).show(snapshot, trusted, now, read_only=read_only)
            self.set_class(bool(snapshot.error), "-disconnected")
            if fresh:
                self.show(snapshot, now)
            else:
                self.tell_time(snapshot, now)
            self.bindings_may_differ()

    _offered: tuple[object, ...] | None = None

    def bindings_may_differ(self) -> None:
        """Redraw the footer where a command became possible or impossible."""
        offered = (str(self.control.travelling), *(not self.refused(kind) for kind in Kind))
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def on_screen_resume(self) -> None:
        self.control.deliver(fresh=True)

    def on_resize(self) -> None:
        self.call_after_refresh(self.control.deliver, fresh=True)

    # commands

    def refused(self, kind: Kind) -> str:
        """Why a command about the selected alert is refused now; empty where it isn't."""
        ended = self.ended is not None
        return refusal(kind, self.target(kind), self.control.trusted, read_only=self.control.read_only, ended=ended)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - the signature of Textual
        """Commands that would be refused are dim, and do nothing by key, click or palette."""
        if (kind := self.kind_of(action)) is not None:
            return None if self.refused(kind) else True
        return True

    def on_key(self, event: events.Key) -> None:
        """Say why, when the key of a refused command is pressed."""
        active = self.active_bindings.get(event.key)
        if active is not None and not active.enabled and (kind := self.kind_of(active.binding.action)):
            self.notify(safe(self.refused(kind)), severity="warning", markup=False)

    def on_tabs_chosen(self, event: Tabs.Chosen) -> None:
        """A click on a screen's name is its digit."""
        self.control.go(event.key)

    def action_acknowledge(self) -> None:
        """Ask for a note and acknowledge the selected alert."""
        self.control.ask(Kind.ACKNOWLEDGE, *self.targets(Kind.ACKNOWLEDGE))

    def action_undo(self) -> None:
        """Ask and withdraw the acknowledgement of the selected alert, or end the selected silence."""
        kind = self.kind_of("undo") or Kind.UNDO
        self.control.ask(kind, *self.targets(kind))

    def action_note(self) -> None:
        """Ask for a note on what is selected."""
        self.control.ask(Kind.NOTE, *self.targets(Kind.NOTE))

    def action_silence(self) -> None:
        """Ask for a silence of the selected or marked alerts."""
        rows = [row for row in self.targets(Kind.SILENCE) if isinstance(row, Row)]
        self.control.desk.ask_silence(Kind.SILENCE, rows)

    def action_maintenance(self) -> None:
        """Ask for a maintenance window."""
        rows = [row for row in (self.selected,) if row is not None]
        self.control.desk.ask_silence(Kind.MAINTENANCE, rows)

    def action_undo_last(self) -> None:
        """Ask and take back what was done last."""
        self.control.desk.undo_last()

    def action_approve(self) -> None:
        """Ask and approve the selected recommendation; a failover needs the name of its cell typed."""
        self.control.ask(Kind.APPROVE, self.advised)

    def action_reject(self) -> None:
        """Ask for the reason and reject the selected recommendation."""
        self.control.ask(Kind.REJECT, self.advised)

    def action_executed(self) -> None:
        """Ask and say that the selected recommendation was done."""
        self.control.ask(Kind.EXECUTED, self.advised)

    def action_reopen(self) -> None:
        """Ask and take the decision about the selected recommendation back."""
        self.control.ask(Kind.REOPEN, self.advised)

    @property
    def copied(self) -> str:
        """The id that is copied."""
        row = self.selected or self.ended
        return "" if row is None else row.id

    def action_copy_id(self) -> None:
        """Copy the id of what is selected."""
        name = self.copied
        if not name:
            self.notify("Nothing is selected.", severity="warning", markup=False)
            return
        self.copy(name, safe(name))

    def copy(self, text: str, said: str) -> None:
        """Copy a text by the terminal's own clipboard (OSC 52), and say what was copied."""
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied {said}", markup=False)

    def action_move(self, where: str) -> None:
        """Scroll the focused pane; screens with a list move its cursor."""
        pane = self.focused
        if pane is None:
            return
        half = max(1, pane.size.height // 2)
        match where:
            case "down":
                pane.scroll_relative(y=1, animate=False)
            case "up":
                pane.scroll_relative(y=-1, animate=False)
            case "first":
                pane.scroll_home(animate=False)
            case "last":
                pane.scroll_end(animate=False)
            case "page_down":
                pane.scroll_relative(y=half, animate=False)
            case "page_up":
                pane.scroll_relative(y=-half, animate=False)
