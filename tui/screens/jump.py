"""Jump: a few letters lead to a screen, an alert, a host or a recommendation."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui import theme
from tui.filter import Filter
from tui.screens.advice import AdviceScreen
from tui.screens.detail import DetailScreen
from tui.text import kind, safe, where

if TYPE_CHECKING:
    from tui.app import ControlplaneApp

_MOST = 20


class Jump(Provider):
    """Screens by name or digit, alerts and recommendations by the words of a filter."""

    @property
    def _control(self) -> "ControlplaneApp":
        return cast("ControlplaneApp", self.app)

    async def discover(self) -> Hits:
        """The screens."""
        for key, name, _, count in self._control.tabs:
            text = f"{key} {name} {count}".strip()
            yield DiscoveryHit(Content(text), partial(self._control.go, key), text)

    async def search(self, query: str) -> Hits:
        """Screens first, then alerts by urgency, then recommendations."""
        words = query.casefold().strip()
        for key, name, short, _ in self._control.tabs:
            if words == key or name.casefold().startswith(words) or short.casefold().startswith(words):
                yield Hit(1.0, Content(f"{key} {name}"), partial(self._control.go, key), name)
        for number, hit in enumerate(self._rows(Filter.parse(query))):
            if number >= _MOST:
                return
            yield hit

    def _rows(self, wanted: Filter) -> Iterator[Hit]:
        snapshot = self._control.snapshot
        for row in sorted(filter(wanted.matches, snapshot.rows), key=lambda row: row.urgency):
            alert = row.alert
            word = theme.SEVERITY_WORD[alert.severity]
            text = f"{word} {safe(alert.title, 80)} {where(alert.labels, alert.component)}"
            yield Hit(0.8, Content(text), partial(self.app.push_screen, DetailScreen(row)), text)
        for advice in sorted(filter(wanted.matches, snapshot.advice), key=lambda advice: advice.urgency):
            if advice.recommendation is not None:
                text = f"{kind(advice.recommendation)} {safe(advice.recommendation.proposal.target, 80)}"
                yield Hit(0.6, Content(text), partial(self.app.push_screen, AdviceScreen(advice)), text)
