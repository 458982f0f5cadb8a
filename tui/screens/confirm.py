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
        & Button:focus { background: $accent; color: $background; text-style: bold; }
        & #hint { margin: 1 0 0 0; color: $muted; }
    }
    """

    def __init__(self, title: str, question: str, verb: str, *, note: bool) -> None:
        super().__init__()
        self._title, self._question, self._verb, self._asks_note = title, question, verb, note
        self._answered = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", can_focus=False) as dialog:
            dialog.border_title = Text(self._title)
            yield Static(Text(safe(self._question, 400), theme.PLAIN))
            if self._asks_note:
                yield Input(
                    placeholder="a note for the others", id="note", max_length=500, compact=True, select_on_focus=False
                )
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._verb, id="confirm", compact=True)
            hint = "Type a note, " if self._asks_note else ""
            yield Static(Text(f"{hint}Tab and Enter: {self._verb.lower()}. Esc: cancel."), id="hint")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()

    def on_key(self, event: events.Key) -> None:
        """What is typed while a button has the focus goes into the note."""
        if not self._asks_note or not event.is_printable or event.character is None:
            return
        note = self.query_one("#note", Input)
        if not note.has_focus:
            event.stop()
            note.focus()
            note.insert_text_at_cursor(event.character)

    def on_input_submitted(self) -> None:
        self.query_one("#confirm").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The first answer counts."""
        event.stop()
        note = self.query_one("#note", Input).value.strip() if self._asks_note else ""
        self._answer(note if event.button.id == "confirm" else None)

    def action_cancel(self) -> None:
        """Close and change nothing."""
        self._answer(None)

    def _answer(self, answer: str | None) -> None:
        if not self._answered:
            self._answered = True
            self.dismiss(answer)
