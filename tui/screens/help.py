"""The keys, generated from the bindings of the screen that was open."""

from collections.abc import Mapping
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui import theme

GROUPS = {
    "view": "Look",
    "move": "Move",
    "find": "Find",
    "act": "Act",
    "time": "Look back",
    "app": "Program",
}


def help_lines(app: App[object], active: Mapping[str, ActiveBinding]) -> dict[str, list[tuple[str, str]]]:
    """Keys and what they do, by group; keys of one action stand together."""
    found: dict[str, dict[str, tuple[list[str], str]]] = {}
    for _, binding, _, tooltip in active.values():
        group = GROUPS.get((binding.id or "app").split(".")[0], GROUPS["app"])
        said = binding.description if not tooltip or tooltip == binding.description else tooltip
        keys, _ = found.setdefault(group, {}).setdefault(binding.action, ([], said or binding.action))
        keys.append(app.get_key_display(binding))
    return {
        group: [(" ".join(keys), said) for keys, said in found[group].values()]
        for group in GROUPS.values()
        if group in found
    }


class HelpScreen(ModalScreen[None]):
    """Every key that works, and the marks in the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "close", "Close", id="help.close"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up"),
    ]
    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        background: $background 60%;
        & #help {
            width: 76; max-width: 98%; height: auto; max-height: 98%;
            border: round $accent; border-title-color: $accent; border-title-style: bold;
            border-subtitle-color: $muted;
            background: $surface; padding: 0 1; scrollbar-size-vertical: 1; overflow-x: hidden;
        }
    }
    """
    MARKS = (
        ("FIR ACK", "firing; acknowledged"),
        ("PND NOD", "pending, not reported yet; the series is gone"),
        ("HLD", "held: the condition or the series is gone, the rule keeps it for a while"),
        ("?", "in doubt: its source fails or its value is old"),
        ("• »", "marked; marked and under the cursor"),
        ("… !", "a command is under way; the last one failed"),
    )

    def __init__(self, active: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._active = dict(active)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = Text("Keys")
            box.border_subtitle = Text("j k scroll · Esc closes")
            yield Static(self._table())

    def _table(self) -> Group:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True, justify="right", style=theme.STRONG)
        table.add_column(ratio=1, style=theme.PLAIN, overflow="fold")
        groups = help_lines(self.app, self._active)
        for group, lines in {**groups, "Marks": list(self.MARKS)}.items():
            table.add_row(Text(group, theme.HEADING), "")
            for keys, said in lines:
                table.add_row(Text(keys), Text(said))
        return Group(table)

    def action_scroll(self, lines: int) -> None:
        """Scroll the keys."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)
