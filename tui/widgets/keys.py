"""The footer: the keys of the present, or of travelling in the past, as many as have room."""

from collections.abc import Iterable

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.compose import compose
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

ALWAYS = "seek"
"""What is offered in the present, too."""
HOME = "live"
"""What leads back to the present, or to the end of a log that doesn't grow."""
_STAYS = (HOME, "help", "app.help")
"""What is offered however little room there is: all other keys are found by it."""
_PAIRED = ("step(-1)", "incident(-1)")
"""Keys whose word stands behind the next one."""


class KeysFooter(Footer):
    """In the past the keys for it come first; in the present only the one that leads there is shown."""

    def __init__(self, *, times: tuple[str, ...], closed: bool = False) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._closed = closed
        self._times = times
        """Actions of the keys for the past, in the order in which they are shown."""
        self._fitted = 0
        """The width that the keys were chosen for."""

    def compose(self) -> ComposeResult:
        """The keys that have room, in their order."""
        self._fitted = self.app.size.width
        yield from fitting(self._ordered(compose(self, super().compose())), self._fitted)

    async def recompose(self) -> None:
        """Only where it says something else, after the first picture: each key is a widget, mounted and styled anew."""
        if not self.is_attached or not getattr(self.app, "painted", True):  # or its screen has been left meanwhile
            return
        wanted = [_said(key) for key in compose(self) if isinstance(key, FooterKey)]
        if wanted != [_said(key) for key in self.query_children(FooterKey)]:
            await super().recompose()

    def on_resize(self, event: events.Resize) -> None:
        """Choose the keys again for another width."""
        if event.size.width != self._fitted:
            self.call_after_refresh(self.recompose)

    def _ordered(self, keys: list[Widget]) -> list[FooterKey]:
        found = [key for key in keys if isinstance(key, FooterKey)]
        if not getattr(self.app, "travelling", False):
            return [key for key in found if key.action not in self._times or key.action == ALWAYS]
        times = sorted(
            (key for key in found if key.action in self._times), key=lambda key: self._times.index(key.action)
        )
        for key in times:
            if key.action in _PAIRED:
                key.description = ""
            if key.action == HOME and self._closed:
                key.description = "End"
        return [*times, *(key for key in found if key not in times)]


def fitting(keys: Iterable[FooterKey], width: int) -> list[FooterKey]:
    """The keys that fit into `width` cells: those that do nothing now leave first, then the last ones, Help never."""
    kept = list(keys)
    while sum(map(_cells, kept)) - 1 > width:
        optional = [key for key in kept if key.action not in _STAYS]
        if not optional:
            break
        gone = next((key for key in reversed(optional) if key.has_class("-disabled")), optional[-1])
        place = kept.index(gone)
        first = place - 1 if place and kept[place - 1].action in _PAIRED else place
        del kept[first : place + 1]
    return kept


def _said(key: FooterKey) -> tuple[object, ...]:
    """What a key says and does."""
    return key.key, key.key_display, key.description, key.action, key.has_class("-disabled"), key.tooltip


def _cells(key: FooterKey) -> int:
    """The cells of a key with its word and the gap after it."""
    return cell_len(f"{key.key_display} {key.description}".rstrip()) + 1
