"""An alert in words."""

from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from controlplane.model.states import AlertState
from controlplane.model.time import human_duration
from tui import theme
from tui.data import Row
from tui.data.told import Told
from tui.describe.parts import LINE, ago, pairs, worded
from tui.text import against, safe, stamp

if TYPE_CHECKING:
    from controlplane.model.alerts import Alert


def state_text(row: Row, now: datetime) -> Text:
    """The state in words, with the reason where it is held: `pending for 45s, not reported yet`."""
    alert = row.alert
    age = human_duration(now - row.since)
    if alert.state is AlertState.PENDING:
        text = Text(f"pending for {age}, not reported yet", theme.QUIET)
    elif alert.state is AlertState.NO_DATA:
        text = Text(f"no data for {age}: the series is gone, its source answers", theme.DOUBT)
    else:
        text = Text(f"firing for {age}", theme.PLAIN)
    if alert.held_for is not None:
        held = "" if alert.held_since is None else f" for {human_duration(now - alert.held_since)}"
        why = {
            "missing": "the series is missing",
            "keep_firing_for": "the condition is gone, keep_firing_for holds it",
        }
        text.append(f" · held{held}: {why.get(alert.held_for, alert.held_for)}", theme.DOUBT)
    return text


def headline(row: Row, now: datetime, *, gone: bool = False) -> RenderableType:
    """Severity, title, what is wrong in a sentence, the value against its threshold, and who has it."""
    alert = row.alert
    title = Text(overflow="fold")
    calling = alert.acknowledged is None and alert.state is not AlertState.PENDING and not gone
    title.append(f" {theme.SEVERITY_WORD[alert.severity]} ", theme.severity_style(alert.severity, calling=calling))
    title.append(" ")
    title.append(safe(alert.title, 200), theme.STRONG)
    parts: list[RenderableType] = [title]
    if gone:
        parts.append(Text("This alert has ended; what follows is the last that was known.", theme.DOUBT))
    parts.append(worded(alert.summary))
    measured = Text(overflow="fold")
    measured.append(against(row.value, alert.threshold, alert.unit), theme.STRONG)
    if row.reading is not None and not isinstance(row.reading, Told):
        measured.append(f" · read {ago(row.reading.at, now)}", theme.QUIET)
    rows: list[tuple[str, RenderableType]] = [("value", measured)]
    plain = alert.state is AlertState.FIRING and alert.held_for is None
    if plain:
        measured.append(f" · firing {human_duration(now - row.since)}", theme.QUIET)
    else:
        rows.append(("state", state_text(row, now)))
    if row.doubt:
        rows.append(("doubt ?", worded(row.doubt, theme.DOUBT)))
    if alert.acknowledged is not None:
        rows.append(("taken by", _taken(alert, now)))
    return Group(*parts, pairs(rows))


def _taken(alert: "Alert", now: datetime) -> Text:
    taken = alert.acknowledged
    assert taken is not None
    text = Text(safe(taken.actor, 80), theme.STRONG, overflow="fold")
    text.append(f"  {ago(taken.at, now)}", theme.QUIET)
    if taken.note:
        text.append(f"  “{safe(taken.note, LINE)}”", theme.PLAIN)
    return text


def facts(row: Row, now: datetime) -> RenderableType:
    """Where the alert comes from: labels, times, source, rule, runbook, id."""
    alert = row.alert
    labels = Text(overflow="fold")
    for name, value in sorted(alert.labels.items()):
        labels.append(f"{safe(name, 80)}=", theme.QUIET)
        labels.append(safe(value, LINE), theme.PLAIN)
        labels.append("  ")
    began = f"{stamp(alert.active_at, now)}  {ago(alert.active_at, now)}"
    rows: list[tuple[str, RenderableType]] = [
        ("labels", labels if alert.labels else Text("none", theme.QUIET)),
        ("since", Text(began)),
    ]
    if alert.fired_at is not None:
        rows.append(("fired", Text(f"{stamp(alert.fired_at, now)}  {ago(alert.fired_at, now)}")))
    rows += [
        ("platform", worded(f"{alert.platform} / {alert.component}")),
        ("source", worded(alert.source)),
        ("rule", worded(alert.rule)),
        ("runbook", worded(alert.runbook) if alert.runbook else Text("none", theme.QUIET)),
        ("id", worded(alert.id)),
    ]
    return pairs(rows)
