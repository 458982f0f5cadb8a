"""The question before a command: Cancel has the focus, so that Enter and Esc change nothing."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from tui import theme
from tui.questions import Question
from tui.text import safe


class ConfirmDialog(ModalScreen[str | None]):
    """Answers with the note (perhaps empty) when confirmed, with None when not; exactly once.

    Typing goes into the note; Enter there leads to the button and executes nothing by itself.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="confirm.cancel"),
        Binding("left,up", "app.focus_previous", "Previous", show=False, id="confirm.previous"),
        Binding("right,down", "app.focus_next", "Next", show=False, id="confirm.next"),
    ]
    DEFAULT_CSS = """
    ConfirmDialog {
        align: center middle;
        background: $background 60%;
        & #dialog {
            width: 64; max-width: 96%; height: auto; max-height: 96%;
            border: round $accent; border-title-color: $accent; border-title-style: bold;
            background: $surface; padding: 0 1;
        }
        & Static { margin-bottom: 1; }
        & Input { margin-bottom: 1; background: $panel; padding: 0 1; }
        & Input:focus { background: $cursor; }
        & #buttons { height: 1; align-horizontal: right; }
        & Button { margin-left: 2; min-width: 10; height: 1; border: none; background: $panel; color: $foreground; }
        & Button:disabled { color: $muted; background: $surface; text-style: italic; }
        & Button:focus { background: $accent; color: $background; text-style: bold; }
        & #hint { margin: 1 0 0 0; color: $muted; }
    }
    """

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question
        self._answered = False

    def compose(self) -> ComposeResult:
        asked = self._question
        with VerticalScroll(id="dialog", can_focus=False) as dialog:
            dialog.border_title = Text(asked.title)
            yield Static(Text(safe(asked.text, 400), theme.PLAIN))
            if asked.exact:
                yield Static(Text.assemble("Type ", (asked.exact, theme.STRONG), " to go on."), id="exact-hint")
                yield Input(id="exact", max_length=200, compact=True, select_on_focus=False)
            if asked.note:
                yield Input(placeholder=asked.note, id="note", max_length=500, compact=True, select_on_focus=False)
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(asked.verb, id="confirm", compact=True, disabled=not self._complete)
            first = "Type the name, " if asked.exact else "Type a note, " if asked.note else ""
            first = f"Type {asked.required}, " if asked.required else first
            yield Static(Text(f"{first}Tab and Enter: {asked.verb.lower()}. Esc: cancel."), id="hint")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()

    def _typed(self, name: str) -> str:
        found = self.query(f"#{name}").results(Input) if self.is_mounted else iter(())
        return next((line.value.strip() for line in found), "")

    @property
    def _complete(self) -> bool:
        """Whether what has to be typed is there."""
        asked = self._question
        exact = not asked.exact or self._typed("exact") == asked.exact
        return exact and (not asked.required or bool(self._typed("note")))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Confirming becomes possible with the exact name, and with a reason where one is needed."""
        event.stop()
        self.query_one("#confirm").disabled = not self._complete

    def on_key(self, event: events.Key) -> None:
        """What is typed while a button has the focus goes into the first line."""
        line = next(iter(self.query(Input)), None)
        if line is None or not event.is_printable or event.character is None:
            return
        if not isinstance(self.focused, Input):
            event.stop()
            line.focus()
            line.insert_text_at_cursor(event.character)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next line that is to be filled in, then to the button."""
        event.stop()
        lines = list(self.query(Input))
        after = lines[lines.index(event.input) + 1 :]
        target = after[0] if after and not self._complete else self.query_one("#confirm")
        (self.query_one("#cancel") if target.disabled else target).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The first answer counts."""
        event.stop()
        self._answer(self._typed("note") if event.button.id == "confirm" and self._complete else None)

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self._answer(None)

    def _answer(self, answer: str | None) -> None:
        if not self._answered:
            self._answered = True
            self.dismiss(answer)
