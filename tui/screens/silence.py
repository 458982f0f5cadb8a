"""The dialog that makes a silence or a maintenance window: what it would mute is seen while it is typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, cast

from rich.console import RenderableType
from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static, TextArea

from controlplane.model.alerts import Alert
from controlplane.model.matchers import Matcher, parse_matchers
from controlplane.model.silences import Silence
from controlplane.silencing import Firing, matchers_of, named
from tui import theme
from tui.acting.times import beginning, ending
from tui.commands import Kind
from tui.data import Row
from tui.describe.muted import muted
from tui.text import safe, stamp

if TYPE_CHECKING:
    from tui.app import ControlplaneApp


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: one silence with these matchers, or one for each of several alerts."""

    kind: Kind
    rows: tuple[Row, ...] = ()

    @property
    def each(self) -> bool:
        """Whether every alert gets a silence of its own."""
        return len(self.rows) > 1

    @property
    def title(self) -> str:
        """What is made."""
        if self.each:
            return f"Silence {len(self.rows)} alerts"
        return "Maintenance window" if self.kind is Kind.MAINTENANCE else "Silence"

    @property
    def line(self) -> str:
        """The matchers to begin with."""
        return " ".join(map(str, matchers_of(self.rows[0].alert))) if self.rows else ""


class MatcherLine(TextArea):
    """Matchers, broken over lines as needed; Enter leads on."""

    class Entered(Message):
        """Enter was pressed."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Entered())
            return
        await super()._on_key(event)


class SilenceDialog(ModalScreen[tuple[Silence, ...] | None]):
    """Answers with the silences that were confirmed, with None where none was; exactly once.

    Cancel has the focus, so that Enter and Esc mute nothing.
    """

    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-medium"), (36, "-tall")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="silence.cancel"),
        Binding("left,up", "app.focus_previous", "Previous", show=False, id="silence.previous"),
        Binding("right,down", "app.focus_next", "Next", show=False, id="silence.next"),
    ]
    DEFAULT_CSS = """
    SilenceDialog {
        align: center middle;
        background: $background 60%;
        & #dialog {
            width: 92; max-width: 96%; height: auto; max-height: 96%;
            border: round $accent; border-title-color: $accent; border-title-style: bold;
            background: $surface; padding: 0 1;
        }
        & .line { height: auto; margin-bottom: 1; }
        & .name { width: 10; height: 1; color: $muted; }
        & Input, & TextArea { background: $panel; padding: 0; width: 1fr; height: 1; border: none; }
        & TextArea { height: auto; max-height: 5; color: $foreground; scrollbar-size-vertical: 1; }
        & Input:focus, & TextArea:focus { background: $cursor; }
        & .said { height: 1; width: auto; max-width: 60%; margin-left: 1; color: $muted; }
        & #preview { height: auto; max-height: 11; border-top: solid $line; border-title-color: $foreground;
                     border-title-style: bold; scrollbar-size-vertical: 1; overflow-x: hidden; padding: 0; }
        & #preview:focus { border-top: solid $accent; }
        & #buttons { height: 1; align-horizontal: right; margin-top: 1; }
        & Button { margin-left: 2; min-width: 10; height: 1; border: none; background: $panel; color: $foreground; }
        & Button:disabled { color: $muted; background: $surface; text-style: italic; }
        & Button:focus { background: $accent; color: $background; text-style: bold; }
        & #hint { height: 1; width: 1fr; color: $muted; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-low .line { margin-bottom: 0; }
        &.-low TextArea { max-height: 2; }
        &.-low #preview { max-height: 5; }
        &.-low #buttons { margin-top: 0; }
    }
    """

    class Seen(Message):
        """What fires now has been read."""

        def __init__(self, firing: Firing) -> None:
            super().__init__()
            self.firing = firing

    def __init__(self, wish: Wish) -> None:
        super().__init__()
        self._wish = wish
        self._firing: Firing | None = None
        self._position = -1
        self._answered = False

    @property
    def _control(self) -> "ControlplaneApp":
        return cast("ControlplaneApp", self.app)

    def compose(self) -> ComposeResult:
        wish = self._wish
        maintenance = wish.kind is Kind.MAINTENANCE
        with Vertical(id="dialog") as dialog:
            dialog.border_title = Text(wish.title)
            if not wish.each:
                with Horizontal(classes="line"):
                    yield Static("Matchers", classes="name")
                    yield MatcherLine(
                        wish.line, id="matchers", compact=True, highlight_cursor_line=False, show_line_numbers=False
                    )
            if maintenance:
                yield from self._line("From", "begin", "now", "now, 22:00 or 2026-03-02T06:00Z")
            yield from self._line("For", "end", "2h" if maintenance else "1h", "1h or until 23:30")
            with Horizontal(classes="line"):
                yield Static("Reason", classes="name")
                placeholder = "why; it tells those who come after"
                yield Input(placeholder=placeholder, id="reason", max_length=500, compact=True, select_on_focus=False)
            with VerticalScroll(id="preview", can_focus=True):
                yield Static(id="muted")
            with Horizontal(id="buttons"):
                yield Static("Tab: next. Esc: cancel.", id="hint")
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Silence" if not maintenance else "Plan it", id="confirm", compact=True, disabled=True)

    @staticmethod
    def _line(name: str, id: str, value: str, placeholder: str) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static(name, classes="name")
            yield Input(value, placeholder=placeholder, id=id, max_length=60, compact=True, select_on_focus=False)
            yield Static(id=f"{id}-said", classes="said")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()
        self.set_interval(1, self._look)
        self._look()
        self._tell()

    # what fires

    def _look(self) -> None:
        """Look at what fires, where something new is known."""
        snapshot = self._control.snapshot
        if snapshot.position != self._position:
            self._position = snapshot.position
            self._read([row.alert for row in snapshot.rows])
        self._tell()

    @work(thread=True, exclusive=True, group="firing", exit_on_error=False)
    def _read(self, alerts: Sequence[Alert]) -> None:
        from controlplane.eventlog.projections import RESOURCES

        log = self._control.reader.log
        known = {} if log is None else log.rows(RESOURCES)
        self.post_message(self.Seen(Firing.of(alerts, known.values())))

    def on_silence_dialog_seen(self, message: Seen) -> None:
        """Preview with it."""
        self._firing = message.firing
        self._tell()

    # what is typed

    def _typed(self, name: str) -> str:
        found = next(iter(self.query(f"#{name}")), None)
        if isinstance(found, Input):
            return found.value.strip()
        return found.text.strip() if isinstance(found, TextArea) else ""

    def _matchers(self) -> tuple[tuple[Matcher, ...], ...]:
        """The matchers of each silence; ValueError says what is wrong."""
        if self._wish.each:
            return tuple(matchers_of(row.alert) for row in self._wish.rows)
        made = parse_matchers(self._typed("matchers"))
        if all(one.matches({}) for one in made):
            raise ValueError("it would mute every alert; name at least one label with its value")
        return (made,)

    def _times(self) -> tuple[datetime, datetime]:
        """Begin and end; ValueError says what is wrong."""
        begin = beginning(self._typed("begin"), self._control.now)
        return begin, ending(self._typed("end"), begin)

    def _tell(self) -> None:
        """Preview, times, and whether it can be confirmed."""
        if not self.is_mounted:
            return
        complete = bool(self._typed("reason")) and not self._control.read_only
        try:
            begin, end = self._times()
        except ValueError as error:
            complete = False
            self._say("begin-said", "")
            self._say("end-said", "")
            self._hint(str(error))
        else:
            self._say("end-said", f"until {stamp(end, self._control.now)}")
            now = self._control.now
            self._say("begin-said", f"from {stamp(begin, now)}" if begin > now else "")
            self._hint("")
        try:
            wanted = self._matchers()
        except ValueError as error:
            complete = False
            self._show("What it would mute", Text(safe(str(error), 400), theme.BAD))
        else:
            self._preview(wanted)
        self.query_one("#confirm").disabled = not complete

    def _say(self, name: str, text: str) -> None:
        found = next(iter(self.query(f"#{name}")), None)
        if isinstance(found, Static):
            found.update(Text(text, theme.QUIET))
            found.display = bool(text)  # its margin would stay

    def _hint(self, wrong: str) -> None:
        missing = "" if self._typed("reason") else "A reason is needed. "
        text = Text(safe(wrong, 200), theme.BAD) if wrong else Text(f"{missing}Tab: next. Esc: cancel.", theme.QUIET)
        self.query_one("#hint", Static).update(text)

    def _preview(self, wanted: Sequence[Sequence[Matcher]]) -> None:
        if self._firing is None:
            self._show("What it would mute", Text("reading what fires", theme.QUIET))
            return
        asked = {row.id for row in self._wish.rows} if self._wish.each else ()
        self._show(*muted(self._firing, wanted, asked))

    def _show(self, title: str, what: RenderableType) -> None:
        self.query_one("#preview").border_title = Text(title)
        self.query_one("#muted", Static).update(what)

    # keys

    @property
    def _fields(self) -> list[Widget]:
        return [*self.query("Input, TextArea").results(Widget)]

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is typed changes the preview."""
        event.stop()
        self._tell()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """What is typed changes the preview."""
        event.stop()
        self._tell()

    def on_key(self, event: events.Key) -> None:
        """What is typed while a button has the focus goes into the reason."""
        if isinstance(self.focused, Input | TextArea) or not event.is_printable or event.character is None:
            return
        if event.key in ("space", "enter") and isinstance(self.focused, Button):
            return
        event.stop()
        line = self.query_one("#reason", Input)
        line.focus()
        line.insert_text_at_cursor(event.character)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter leads to the next field, then to the button."""
        event.stop()
        self._next(event.input)

    def on_matcher_line_entered(self) -> None:
        """Enter leads to the next field."""
        self._next(self.query_one("#matchers"))

    def _next(self, field: Widget) -> None:
        after = self._fields[self._fields.index(field) + 1 :]
        target = after[0] if after else self.query_one("#confirm")
        (self.query_one("#cancel") if target.disabled else target).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The first answer counts."""
        event.stop()
        self._answer(self._made() if event.button.id == "confirm" else None)

    def _made(self) -> tuple[Silence, ...] | None:
        control = self._control
        try:
            wanted, (begin, end) = self._matchers(), self._times()
        except ValueError:
            return None
        now, reason = control.command_clock(), self._typed("reason")
        if not reason:
            return None
        return tuple(
            Silence(
                id=named(matchers, control.actor, now),
                kind="maintenance" if self._wish.kind is Kind.MAINTENANCE else "silence",
                matchers=matchers,
                starts_at=begin,
                ends_at=end,
                author=control.actor,
                reason=reason,
                created_at=now,
            )
            for matchers in wanted
        )

    def action_cancel(self) -> None:
        """Close and mute nothing."""
        self._answer(None)

    def _answer(self, answer: tuple[Silence, ...] | None) -> None:
        if not self._answered:
            self._answered = True
            self.dismiss(answer)
