"""The footer: the keys of the present, or of travelling in the past."""

from textual.app import ComposeResult
from textual.compose import compose
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

ALWAYS = "seek"
"""What is offered in the present, too."""
HOME = "live"
"""What leads back to the present, or to the end of a log that doesn't grow."""
_PAIRED = ("step(-1)", "incident(-1)")
"""Keys whose word stands behind the next one."""


class KeysFooter(Footer):
    """In the past the keys for it come first; in the present only the one that leads there is shown."""

    def __init__(self, *, times: tuple[str, ...], closed: bool = False) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._closed = closed
        self._times = times
        """Actions of the keys for the past, in the order in which they are shown."""

    def compose(self) -> ComposeResult:
        """The keys that have room, in their order."""
        keys = compose(self, super().compose())
        times = [key for key in keys if isinstance(key, FooterKey) and key.action in self._times]
        if not getattr(self.app, "travelling", False):
            yield from (key for key in keys if key not in times or getattr(key, "action", "") == ALWAYS)
            return
        others = [key for key in keys if key not in times]
        for key in sorted(times, key=lambda key: self._times.index(key.action)):
            if key.action in _PAIRED:
                key.description = ""
            if key.action == HOME and self._closed:
                key.description = "End"
            yield key
        yield from others
