"""Sources and rules in words."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.style import Style
from rich.table import Table
from rich.text import Text

from controlplane.model.states import DeliveryState
from controlplane.model.time import from_ms, human_duration
from tui import theme
from tui.data import Snapshot
from tui.describe.parts import LINE, ago
from tui.text import safe

if TYPE_CHECKING:
    from controlplane.model.views import SourceHealth


def source_lines(sources: "Iterable[SourceHealth]", now: datetime) -> Table:
    """One line a source: whether it answers, how old its newest step is, its series, and what to do."""
    table = Table.grid(padding=(0, 2), expand=True)
    for ratio in (None, None, None, None, 1):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    for source in sources:
        word, style, said = _verdict(source, now)
        step = "never answered" if source.through_ms is None else f"data {ago(from_ms(source.through_ms), now)}"
        series = "" if source.series is None else f"{source.series:,} series"
        table.add_row(
            Text(word, style),
            Text(safe(source.source, 40), theme.STRONG),
            Text(step, theme.PLAIN),
            Text(series, theme.QUIET),
            said,
        )
    return table


def _verdict(source: "SourceHealth", now: datetime) -> tuple[str, Style, Text]:
    if source.failed:
        key = "" if "" in source.failed else min(source.failed)
        since = source.since.get(key, source.failed_since or now)
        about = f"{safe(key, 80)}: " if key else ""
        more = f" (and {len(source.failed) - 1} more)" if len(source.failed) > 1 else ""
        said = Text(f"for {human_duration(now - since)} · {about}{safe(source.failed[key], LINE)}{more}")
        if remedy := source.remedies.get(key):
            said.append(f" · {safe(remedy, LINE)}", theme.PLAIN)
        return ("FAILED", theme.BAD, said) if key == "" else ("PARTLY", theme.DOUBT, said)
    if source.warnings:
        return "ok", theme.OK, Text(f"warns: {safe(source.warnings[0], LINE)}", theme.QUIET)
    return "ok", theme.OK, Text()


def rule_lines(snapshot: Snapshot, now: datetime) -> Text:
    """The rules in force, those that can't be evaluated or used, and how the last messages fared."""
    text = Text(overflow="fold")
    active = snapshot.rule_set
    if active is None:
        text.append("No rule set is in force yet.", theme.QUIET)
    else:
        text.append(f"{active.rules} rules", theme.STRONG)
        text.append(f" of {', '.join(safe(name, 40) for name in active.platforms)}", theme.PLAIN)
        text.append(f" · digest {active.digest[:12]}", theme.QUIET)
        for problem in active.problems:
            text.append(f"\nUNUSED  {safe(problem, LINE)}", theme.DOUBT)
    for rule in snapshot.rules:
        text.append("\nFAILED  ", theme.BAD).append(
            f"{safe(rule.rule, 80)} over {safe(rule.source, 40)} ", theme.STRONG
        )
        text.append(f"for {human_duration(now - rule.failed_since)}: {safe(rule.error, LINE)}", theme.PLAIN)
    return text


def message_lines(snapshot: Snapshot) -> Text:
    """How the newest messages fared, by state, and the last one that was given up."""
    counts = Counter(record.state for record in snapshot.deliveries)
    if not counts:
        return Text("No message was sent yet.", theme.QUIET)
    text = Text(overflow="fold")
    styles = {DeliveryState.DEAD: theme.BAD, DeliveryState.FAILED: theme.DOUBT, DeliveryState.DELIVERED: theme.OK}
    words = {DeliveryState.DEAD: "given up", DeliveryState.FAILED: "to be tried again", DeliveryState.QUEUED: "waiting"}
    for state in DeliveryState:
        if counts[state]:
            text.append(" · " if text.plain else "", theme.QUIET)
            text.append(f"{counts[state]:,} {words.get(state, state.value)}", styles.get(state, theme.PLAIN))
    failed = [r for r in snapshot.deliveries if r.state in {DeliveryState.DEAD, DeliveryState.FAILED} and r.error]
    if failed:
        last = failed[-1]
        text.append(f"\n{safe(last.channel, 40)}: {safe(last.error, LINE)}", theme.DOUBT)
    return text
