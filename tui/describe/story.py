"""What surrounds an alert in words: its rule, outlook, places, messages and events."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controlplane.model.states import AlertState, DeliveryState
from controlplane.model.time import human_duration
from tui import theme
from tui.data import Entry, Row
from tui.data.outlook import Outlook
from tui.data.rulebook import RuleFacts
from tui.data.story import TOLD, UNTOLD, Place, Story
from tui.describe.parts import LINE, heading, pairs, worded
from tui.text import brief, safe, stamp, where

_SHOWN = 5
_EVENTS = 12
_BAR = 20


def outlook_lines(row: Row, view: Outlook, facts: RuleFacts | None) -> RenderableType:
    """How long it has waited or will last, and how fast the value moves."""
    alert = row.alert
    rows: list[tuple[str, RenderableType]] = []
    if alert.state is AlertState.PENDING and view.waited is not None:
        rows.append(("for", _waiting(view)))
    elif facts is not None and facts.for_:
        rows.append(("for", Text(f"had to hold for {human_duration(facts.for_)}", theme.QUIET)))
    rows.append(("rate", _rate(row, view)))
    if alert.state is not AlertState.PENDING:
        rows.append(("ends", _ends(row, view, facts)))
    return pairs(rows)


def _waiting(view: Outlook) -> Text:
    assert view.waited is not None
    if view.waits is None or view.fires_in is None:
        return Text(f"waiting for {human_duration(view.waited)}; its rule isn't known here", theme.QUIET)
    if not view.waits:
        return Text("fires at once", theme.QUIET)
    done = min(_BAR, int(_BAR * (view.waited / view.waits)))
    text = Text("━" * done, theme.DOUBT)
    text.append("─" * (_BAR - done), theme.QUIET)
    text.append(f" {human_duration(view.waited)} of {human_duration(view.waits)}", theme.PLAIN)
    return text.append(f" · fires in {human_duration(view.fires_in)} if it holds", theme.STRONG)


def _rate(row: Row, view: Outlook) -> Text:
    if view.per_minute is None:
        return Text("unknown: too few values in the last 10m", theme.QUIET)
    speed = brief(abs(view.per_minute), row.alert.unit)
    if not view.per_minute:
        return Text("steady over the last 10m", theme.PLAIN)
    way = "rises" if view.per_minute > 0 else "falls"
    return Text(f"{way} by {speed} a minute over the last 10m", theme.PLAIN)


def _ends(row: Row, view: Outlook, facts: RuleFacts | None) -> Text:
    if row.alert.held_for is not None:
        return Text("held: the condition is gone or can't be seen", theme.DOUBT)
    if view.bound is None:
        return Text("when its condition is no longer met", theme.QUIET)
    side = "above" if row.alert.threshold.startswith("<") else "below"
    bound = f"{side} {brief(view.bound, row.alert.unit)}"
    kept = f", then kept for {human_duration(facts.keep_firing_for)}" if facts and facts.keep_firing_for else ""
    if view.ends_in is None and view.per_minute:
        away = (view.per_minute < 0) == row.alert.threshold.startswith("<")
        way = "rises" if view.per_minute > 0 else "falls"
        if away:
            return Text(f"{bound}{kept}: not while it {way}", theme.DOUBT, overflow="fold")
    if view.ends_in is None:
        how = "not while it stands still" if view.per_minute == 0 else "not within a day at this rate"
        return Text(f"{bound}{kept}: {how}", theme.DOUBT, overflow="fold")
    text = Text(f"{bound}{kept}: ", theme.PLAIN, overflow="fold")
    return text.append(f"in {human_duration(view.ends_in)} at this rate", theme.STRONG)


def place_lines(places: Iterable[Place], same: tuple[Row, ...]) -> RenderableType:
    """What else is red in its host, cluster, zone and region, and other alerts of its rule."""
    parts: list[RenderableType] = []
    for place in places:
        line = Text(f"{place.kind} ", theme.QUIET, overflow="fold")
        line.append(safe(place.name, 80), theme.STRONG)
        if place.resources:
            line.append(f" · {place.resources:,} resources", theme.QUIET)
        red = f"{len(place.red):,} more red" if place.red else "nothing else is red"
        line.append(f" · {red}", theme.DOUBT if place.red else theme.OK)
        parts += [line, *_alert_lines(place.red)]
    if same:
        parts.append(Text(f"{len(same):,} more of the same rule", theme.DOUBT))
        parts += _alert_lines(same)
    if not parts:
        return Text("No label says where it is, and no inventory knows it.", theme.QUIET)
    return Group(*parts)


def _alert_lines(rows: tuple[Row, ...]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for row in rows[:_SHOWN]:
        line = Text("  ", no_wrap=True, overflow="ellipsis")
        line.append(theme.SEVERITY_WORD[row.alert.severity], theme.severity_style(row.alert.severity))
        line.append(f" {safe(row.alert.title, 80)}", theme.PLAIN)
        line.append(f" {where(row.alert.labels, row.alert.component)}", theme.QUIET)
        lines.append(line)
    if len(rows) > _SHOWN:
        lines.append(Text(f"  and {len(rows) - _SHOWN:,} more", theme.QUIET))
    return lines


def told_lines(story: Story, now: datetime) -> RenderableType:
    """Who was told, how and when; what was not told, and why."""
    parts: list[RenderableType] = []
    words = {
        DeliveryState.QUEUED: ("waits", theme.DOUBT),
        DeliveryState.FAILED: ("tried", theme.DOUBT),
        DeliveryState.DELIVERED: ("told ", theme.OK),
        DeliveryState.DEAD: ("NOT  ", theme.BAD),
        DeliveryState.SUPPRESSED: ("held ", theme.DOUBT),
    }
    for record in story.told[-TOLD:]:
        word, style = words[record.state]
        line = Text.assemble((f"{stamp(record.at, now)} ", theme.QUIET), (f"{word} ", style), overflow="fold")
        line.append(safe(record.channel, 40), theme.STRONG).append(f" {record.action.value}", theme.PLAIN)
        tries = f" after {record.attempts} attempts" if record.attempts > 1 else ""
        took = "" if record.seconds is None else f" in {record.seconds:.1f} s"
        line.append(f"{took}{tries}", theme.QUIET)
        if record.note:
            line.append(f" · {safe(record.note, LINE)}", theme.PLAIN)
        if record.error:
            line.append(f": {safe(record.error, LINE)}", theme.DOUBT)
        parts.append(line)
    for at, channel, reason in story.untold[-UNTOLD:]:
        line = Text.assemble((f"{stamp(at, now)} ", theme.QUIET), ("held  ", theme.DOUBT), overflow="fold")
        parts.append(line.append(f"{safe(channel or 'nobody', 40)}: {safe(reason, LINE)}", theme.PLAIN))
    if story.told_from is not None:
        begin = stamp(story.told_from, now)
        none = "" if parts else f"Nobody was told since {begin}. "
        parts.append(Text(f"{none}Messages before {begin} aren't known here.", theme.DOUBT, overflow="fold"))
    return Group(*parts) if parts else Text("Nobody was told since it fired.", theme.DOUBT)


def event_lines(events: tuple[Entry, ...], now: datetime) -> RenderableType:
    """The newest events of an alert, newest first."""
    if not events:
        return Text("No event is known.", theme.QUIET)
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, style=theme.QUIET)
    table.add_column(no_wrap=True, style=theme.STRONG)
    table.add_column(ratio=1, overflow="fold")
    for entry in reversed(events[-_EVENTS:]):
        by = f" by {safe(entry.actor, 40)}" if entry.actor else ""
        table.add_row(Text(stamp(entry.at, now)), Text(entry.what), worded(f"{entry.said}{by}"))
    if len(events) > _EVENTS:
        table.add_row(Text(""), Text(""), Text(f"and {len(events) - _EVENTS} earlier", theme.QUIET))
    return table


def around_lines(story: Story, now: datetime) -> RenderableType:
    """Places, messages, events and the origin of the rule, each under its title."""
    parts: list[RenderableType] = [
        heading("Around it", first=True),
        place_lines(story.places, story.same),
        heading("Told"),
        told_lines(story, now),
        heading("Events"),
        event_lines(story.events, now),
    ]
    if story.rule is not None and story.rule.origin:
        parts += [heading("Rule"), worded(story.rule.origin, theme.QUIET, 600)]
    if story.error:
        parts.append(worded(f"The rules can't be read: {story.error}", theme.DOUBT))
    return Group(*parts)
