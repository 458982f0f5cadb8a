"""The question where to look: a time, a stretch back or a position; what is no such thing is told under it."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from controlplane.model.errors import ControlplaneError
from tui import theme
from tui.data.seek import ACCEPTED, Seek
from tui.text import safe


class SeekDialog(ModalScreen[Seek | None]):
    """Answers with where to look once `read` has understood it, with None where nobody wants to go."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", id="seek.cancel")]
    DEFAULT_CSS = """
    SeekDialog {
        align: center middle;
        background: $background 60%;
        & #dialog {
            width: 64; max-width: 96%; height: auto; max-height: 96%;
            border: round $accent; border-title-color: $accent; border-title-style: bold;
            background: $surface; padding: 0 1;
        }
        & Input { margin-bottom: 1; background: $panel; padding: 0 1; }
        & Input:focus { background: $cursor; }
        & #error { display: none; margin-bottom: 1; }
        & #error.-there { display: block; }
        & #hint { color: $muted; }
    }
    """

    def __init__(self, here: str, read: Callable[[str], Seek]) -> None:
        super().__init__()
        self._here, self._read = here, read

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog", can_focus=False) as dialog:
            dialog.border_title = Text("Go to a time")
            dialog.border_subtitle = Text(self._here)
            yield Input(placeholder="20:14", id="where", max_length=60, compact=True, select_on_focus=False)
            yield Static(id="error")
            yield Static(Text(f"{ACCEPTED}. Times are UTC. Enter: go. Esc: cancel."), id="hint")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong is being corrected."""
        event.stop()
        self.query_one("#error").remove_class("-there")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go there, or say why not and stay open."""
        event.stop()
        try:
            answer = self._read(event.value)
        except ControlplaneError as error:
            said = self.query_one("#error", Static)
            said.update(Text(safe(str(error), 400), theme.DOUBT))
            said.add_class("-there")
        else:
            self.dismiss(answer)

    def action_cancel(self) -> None:
        """Stay where one is."""
        self.dismiss(None)
