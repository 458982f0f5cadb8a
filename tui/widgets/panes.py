"""The panes beside the list: the selected alert with its advice, and the sources."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from controlplane.model.states import AlertState
from tui import theme
from tui.data import AdviceRow, Entry, Row, Snapshot
from tui.describe.advice import advice as describe_advice
from tui.describe.advice import decision as describe_decision
from tui.describe.advice import grounds as describe_grounds
from tui.describe.advice import lack as describe_lack
from tui.describe.advice import short as describe_short
from tui.describe.alert import facts as describe_facts
from tui.describe.alert import headline as describe_headline
from tui.describe.entry import entry as describe_entry
from tui.describe.health import message_lines, rule_lines, source_lines
from tui.text import advice_line
from tui.widgets.chart import History, caption
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from controlplane.model.views import SourceHealth


class DetailPane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """The selected alert beside a list."""

    DEFAULT_CSS = """
    DetailPane {
        overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 0 0 1;
        & > Lines { margin: 0 1 1 0; }
        & > #headline, & > #facts { margin-bottom: 0; }
        & > .-empty { display: none; }
    }
    """

    def compose(self) -> ComposeResult:
        yield Lines(id="headline")
        yield History(id="history")
        yield Lines(id="caption")
        yield Lines(id="advice")
        yield Lines(id="facts")

    def show(self, row: Row | None, now: datetime, *, gone: bool = False) -> None:
        """Describe `row`; `gone` says that its alert has ended."""
        headline, facts = self.query_one("#headline", Lines), self.query_one("#facts", Lines)
        history, under = self.query_one(History), self.query_one("#caption", Lines)
        advised = self.query_one("#advice", Lines)
        for widget in (under, advised, facts):
            widget.set_class(row is None, "-empty")
        if row is None:
            history.remove_class("-drawn")
            headline.tell(Text("No alert is selected.", theme.QUIET))
            return
        headline.tell(describe_headline(row, now, gone=gone))
        history.show(row)
        under.tell(caption(row))
        advised.tell(describe_advice(row, now))
        facts.tell(describe_facts(row, now))


class TextPane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """A text that scrolls."""

    DEFAULT_CSS = """
    TextPane { overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        yield Lines(id="text")

    def tell(self, said: RenderableType) -> None:
        """Show something else."""
        self.query_one("#text", Lines).tell(said)


class AdvicePane(TextPane):
    """The selected recommendation beside a list."""

    def show(self, row: AdviceRow | None, now: datetime) -> None:
        """Describe a recommendation, or why there is none."""
        if row is None:
            self.tell(Text("No recommendation is selected.", theme.QUIET))
        elif row.recommendation is None:
            self.tell(describe_lack(row.lack, row.title))
        else:
            self.tell(describe_short(row.recommendation, now))


class AdviceDetail(VerticalScroll, can_focus=True, inherit_bindings=False):
    """One recommendation in full: what to decide, and what it stands on, side by side where there is room."""

    DEFAULT_CSS = """
    AdviceDetail {
        overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 1; layout: vertical;
        & > Lines { width: 1fr; height: auto; margin: 0 2 1 0; }
    }
    """

    def compose(self) -> ComposeResult:
        yield Lines(id="decision")
        yield Lines(id="grounds")

    def show(self, row: AdviceRow, now: datetime) -> None:
        """Describe a recommendation."""
        found = row.recommendation
        if found is None:
            return
        histories = {} if row.row is None else {f"alert {row.row.id}": row.row.history}
        self.query_one("#decision", Lines).tell(describe_decision(found, row.row, now))
        self.query_one("#grounds", Lines).tell(describe_grounds(found, now, histories))


class EntryPane(TextPane):
    """One event in full."""

    def show(self, entry: Entry | None, now: datetime) -> None:
        """Describe an event."""
        self.tell(Text("No event is selected.", theme.QUIET) if entry is None else describe_entry(entry, now))


class HealthPane(TextPane):
    """Sources, rules and messages."""

    def show(self, snapshot: Snapshot, now: datetime) -> None:
        """Failed sources first."""
        ordered = sorted(snapshot.sources, key=lambda source: (not source.failed, source.source))
        none = Text("No source has answered yet.", theme.QUIET)
        self.tell(
            Group(
                source_lines(ordered, now) if ordered else none,
                Text(),
                Text("Rules", theme.HEADING),
                rule_lines(snapshot, now),
                Text(),
                Text("Messages", theme.HEADING),
                message_lines(snapshot),
            )
        )


class SourcesPane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """One line a source."""

    DEFAULT_CSS = """
    SourcesPane { overflow-x: hidden; scrollbar-size-vertical: 1; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        yield Lines(id="sources-lines")

    def show(self, sources: "Sequence[SourceHealth]", now: datetime) -> None:
        """Failed sources first."""
        lines = self.query_one("#sources-lines", Lines)
        if not sources:
            lines.tell(Text("No source has answered yet.", theme.QUIET))
            return
        ordered = sorted(sources, key=lambda source: (not source.failed, source.source))
        lines.tell(source_lines(ordered, now))


class AdviceLine(Static):
    """The advice for the selected alert in one line, where there is no room for more."""

    DEFAULT_CSS = """
    AdviceLine { height: 1; display: none; background: $surface; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    _told = Text()

    def show(self, row: Row | None) -> None:
        """The first open recommendation of the row."""
        found = next((advice for advice in row.advice if advice.open), None) if row is not None else None
        text = Text(" no recommendation" if found is None else f" {advice_line(found, (self.size.width or 80) - 1)}")
        text.stylize(theme.QUIET if found is None else theme.STRONG)
        text.no_wrap = True
        text.overflow = "ellipsis"
        if text != self._told:
            self._told = text
            self.update(text, layout=False)


def pane_title(row: Row | None, *, gone: bool) -> str:
    """The title of a detail pane: how many recommendations are open, and whether the alert has ended."""
    if row is None:
        return "Alert"
    number = sum(advice.open for advice in row.advice)
    advised = "no recommendation" if not number else f"{number} recommendation{'s' * (number > 1)}"
    state = "ended" if gone else ("pending" if row.alert.state is AlertState.PENDING else "")
    return " · ".join(part for part in ("Alert", state, advised) if part)
