"""An alert and a recommendation in words and numbers: pure functions from the model to rich renderables.

Text from outside goes through `safe` into `Text`, which never parses markup.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.money import human_money
from controlplane.model.recommendations import Evidence, Recommendation, Status
from controlplane.model.time import from_ms, human_duration
from controlplane.model.units import human
from controlplane.model.views import SourceHealth
from tui import theme
from tui.data import Row
from tui.text import against, change_money, kind, safe, stamp

_LINE = 300
_COMMAND = 2_000
_SOON = timedelta(minutes=15)


def _pairs(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Names on the left, values wrapped in a column of their own."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style=theme.QUIET, no_wrap=True, min_width=9)
    table.add_column(style=theme.PLAIN, ratio=1, overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _text(text: str, style: Style = theme.PLAIN, limit: int = _LINE) -> Text:
    return Text(safe(text, limit), style, overflow="fold")


def _ago(instant: datetime, now: datetime) -> str:
    return f"{human_duration(now - instant)} ago"


# alert


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
    parts.append(_text(alert.summary))
    measured = Text(overflow="fold")
    measured.append(against(row.value, alert.threshold, alert.unit), theme.STRONG)
    if row.reading is not None:
        measured.append(f" · read {_ago(row.reading.at, now)}", theme.QUIET)
    rows: list[tuple[str, RenderableType]] = [("value", measured)]
    plain = alert.state is AlertState.FIRING and alert.held_for is None
    if plain:
        measured.append(f" · firing {human_duration(now - row.since)}", theme.QUIET)
    else:
        rows.append(("state", state_text(row, now)))
    if row.doubt:
        rows.append(("doubt ?", _text(row.doubt, theme.DOUBT)))
    if alert.acknowledged is not None:
        rows.append(("taken by", _taken(alert, now)))
    return Group(*parts, _pairs(rows))


def _taken(alert: Alert, now: datetime) -> Text:
    taken = alert.acknowledged
    assert taken is not None
    text = Text(safe(taken.actor, 80), theme.STRONG, overflow="fold")
    text.append(f"  {_ago(taken.at, now)}", theme.QUIET)
    if taken.note:
        text.append(f"  “{safe(taken.note, _LINE)}”", theme.PLAIN)
    return text


def facts(row: Row, now: datetime) -> RenderableType:
    """Where the alert comes from: labels, times, source, rule, runbook, id."""
    alert = row.alert
    labels = Text(overflow="fold")
    for name, value in sorted(alert.labels.items()):
        labels.append(f"{safe(name, 80)}=", theme.QUIET)
        labels.append(safe(value, _LINE), theme.PLAIN)
        labels.append("  ")
    began = f"{stamp(alert.active_at, now)}  {_ago(alert.active_at, now)}"
    rows: list[tuple[str, RenderableType]] = [
        ("labels", labels if alert.labels else Text("none", theme.QUIET)),
        ("since", Text(began)),
    ]
    if alert.fired_at is not None:
        rows.append(("fired", Text(f"{stamp(alert.fired_at, now)}  {_ago(alert.fired_at, now)}")))
    rows += [
        ("platform", _text(f"{alert.platform} / {alert.component}")),
        ("source", _text(alert.source)),
        ("rule", _text(alert.rule)),
        ("runbook", _text(alert.runbook) if alert.runbook else Text("none", theme.QUIET)),
        ("id", _text(alert.id)),
    ]
    return _pairs(rows)


# recommendation


def advice(row: Row, now: datetime, *, full: bool = False) -> RenderableType:
    """The recommendations of an alert; `full` adds evidence, cost lines, reverting and rejected options."""
    if not row.advice:
        return Text("No recommendation for this alert.", theme.QUIET)
    first, *others = row.advice
    parts: list[RenderableType] = [_recommendation(first, now, full=full)]
    for other in others if full else [other for other in others if other.open]:
        parts += [Text(), _recommendation(other, now, full=full)]
    return Group(*parts)


def _recommendation(found: Recommendation, now: datetime, *, full: bool) -> RenderableType:
    proposal = found.proposal
    head = Text(overflow="fold")
    head.append(kind(found), theme.HEADING)
    head.append(f"  {safe(proposal.target, 120)}", theme.STRONG)
    status = "" if found.status is Status.PROPOSED else f"{found.status.value} "
    head.append(f"  {status}v{found.version} {_ago(found.at, now)}", theme.QUIET)
    if found.open:
        head.append(" · ", theme.QUIET).append_text(_expiry(found, now))
    rows: list[tuple[str, RenderableType]] = [("change", _change(found)), ("cost", _cost(found))]
    if not found.open:
        by = f" by {safe(found.decided_by, 80)}" if found.decided_by else ""
        reason = f": {safe(found.reason, _LINE)}" if found.reason else ""
        rows.insert(0, ("closed", Text(f"{found.status.value}{by}{reason}", theme.DOUBT)))
    rows.append(("survives", _survival(found)))
    rows += [(name, _text(value, theme.STRONG)) for name, value in proposal.inputs.items() if _objective(name)]
    rows.append(("run", _commands(proposal.commands, 99 if full else 3)))
    if proposal.stages:
        rows.append(("sizing", _stages(found)))
    rows += [("why", _text(proposal.why)), ("gain", _text(proposal.gain))]
    rows.append(("effect", Text(f"within {human_duration(proposal.time_to_effect)}")))
    if full or any(_notable(item) for item in proposal.evidence):
        rows.append(("evidence", _evidence(found, now, full=full)))
    rows.append(("if not", _text(proposal.cost.do_nothing)))
    if full:
        rows += _rest(found)
    return Group(head, _pairs((safe(name, 40), value) for name, value in rows))


def _objective(name: str) -> bool:
    return any(word in name.casefold() for word in ("rpo", "rto"))


def _change(found: Recommendation) -> Text:
    text = _text(found.proposal.from_)
    text.append("  →  ", theme.HEADING)
    text.append(safe(found.proposal.to, _LINE), theme.STRONG)
    return text


def _cost(found: Recommendation) -> Text:
    cost = found.proposal.cost
    text = Text(overflow="fold")
    monthly = change_money(cost)
    text.append(
        monthly if monthly == "unknown" else f"{monthly} a month",
        theme.DOUBT if cost.per_month is None else theme.STRONG,
    )
    if cost.per_month is not None or cost.per_month_reserved is not None:
        text.append(f" · reserved {change_money(cost, 'per_month_reserved')}")
    text.append(f" · one-off {human_money(cost.one_off, cost.currency)}")
    return text


def _expiry(found: Recommendation, now: datetime) -> Text:
    left = found.expires_at - now
    if found.status is Status.EXPIRED or left <= timedelta(0):
        return Text(f"expired {_ago(found.expires_at, now)}", theme.DOUBT)
    return Text(f"expires in {human_duration(left)}", theme.DOUBT if left < _SOON else theme.QUIET)


def _survival(found: Recommendation) -> Text:
    if not found.proposal.survives:
        return Text("not checked", theme.DOUBT)
    words = {True: ("yes", theme.OK), False: ("NO ", theme.BAD), None: ("?  ", theme.DOUBT)}
    lines = []
    for verdict in found.proposal.survives:
        word, style = words[verdict.ok]
        line = Text.assemble((word.ljust(4), style), (safe(verdict.loss, 100), theme.STRONG), overflow="fold")
        line.append(f": {safe(verdict.reason, _LINE)}", theme.PLAIN)
        lines.append(line)
    return Text("\n").join(lines)


def _stages(found: Recommendation) -> Text:
    lines = []
    width = max(len(safe(stage.name, 30)) for stage in found.proposal.stages)
    values = [f"{stage.value:,.6g}" for stage in found.proposal.stages]
    longest = max(map(len, values))
    for stage, value in zip(found.proposal.stages, values, strict=True):
        line = Text(f"{safe(stage.name, 30).ljust(width)}  {value:>{longest}}  ", theme.PLAIN)
        if stage.limit is not None:
            line.append(f"limited by {safe(stage.limit, 80)}: ", theme.DOUBT)
        line.append(safe(stage.reason, _LINE), theme.QUIET)
        lines.append(line)
    return Text("\n").join(lines)


def _commands(commands: tuple[str, ...], most: int) -> Text:
    if not commands:
        return Text("no command; see the runbook", theme.QUIET)
    lines = [_text(f"$ {command}", theme.PLAIN, _COMMAND) for command in commands[:most]]
    if len(commands) > most:
        lines.append(Text(f"and {len(commands) - most} more; Enter shows them", theme.QUIET))
    return Text("\n").join(lines)


def _notable(item: Evidence) -> bool:
    return item.value is None or bool(item.verdict)


def _evidence(found: Recommendation, now: datetime, *, full: bool) -> Text:
    items = found.proposal.evidence
    if not items:
        return Text("none recorded", theme.DOUBT)
    present = sum(item.value is not None for item in items)
    lines = [Text(f"{present} of {len(items)} inputs measured", theme.PLAIN)]
    for item in items if full else [item for item in items if _notable(item)][:4]:
        line = Text(safe(item.signal, 80), theme.PLAIN)
        line.append(" ")
        missing = item.value is None
        line.append("missing" if missing else human(item.value, item.unit), theme.DOUBT if missing else theme.STRONG)
        if item.limit:
            line.append(f" limit {safe(item.limit, 80)}", theme.QUIET)
        if item.verdict:
            line.append(f": {safe(item.verdict, _LINE)}", theme.PLAIN)
        line.append(f"  {_ago(item.at, now)}", theme.QUIET)
        lines.append(line)
    return Text("\n").join(lines)


def _rest(found: Recommendation) -> list[tuple[str, RenderableType]]:
    proposal = found.proposal
    lines = [
        f"{safe(line.item, 100)}: {format(line.quantity.normalize(), 'f')} × {safe(line.unit, 20)}, "
        f"{human_money(line.per_month, proposal.cost.currency)} a month"
        + (f", one-off {human_money(line.one_off, proposal.cost.currency)}" if line.one_off else "")
        + (f" ({safe(line.note, 200)})" if line.note else "")
        for line in proposal.cost.lines
    ]
    rows: list[tuple[str, RenderableType]] = []
    if lines:
        rows.append(("priced", Text("\n".join(lines), overflow="fold")))
    if proposal.inputs:
        inputs = "\n".join(f"{safe(k, 80)} = {safe(v, _LINE)}" for k, v in proposal.inputs.items())
        rows.append(("inputs", Text(inputs, overflow="fold")))
    rows.append(("revert", _commands(proposal.revert, 99)))
    if proposal.rejected:
        rejected = "\n".join(f"{safe(r.option, 120)}: {safe(r.reason, _LINE)}" for r in proposal.rejected)
        rows.append(("rejected", Text(rejected, overflow="fold")))
    rows += [("rule", _text(found.rule)), ("advice id", _text(found.id))]
    return rows


# sources


def source_lines(sources: Iterable[SourceHealth], now: datetime) -> Table:
    """One line a source: whether it answers, how old its newest step is, its series, and what to do."""
    table = Table.grid(padding=(0, 2), expand=True)
    for ratio in (None, None, None, None, 1):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    for source in sources:
        word, style, said = _verdict(source, now)
        step = "never answered" if source.through_ms is None else f"data {_ago(from_ms(source.through_ms), now)}"
        series = "" if source.series is None else f"{source.series:,} series"
        table.add_row(
            Text(word, style),
            Text(safe(source.source, 40), theme.STRONG),
            Text(step, theme.PLAIN),
            Text(series, theme.QUIET),
            said,
        )
    return table


def _verdict(source: SourceHealth, now: datetime) -> tuple[str, Style, Text]:
    if source.failed:
        key = "" if "" in source.failed else min(source.failed)
        since = source.since.get(key, source.failed_since or now)
        about = f"{safe(key, 80)}: " if key else ""
        more = f" (and {len(source.failed) - 1} more)" if len(source.failed) > 1 else ""
        said = Text(f"for {human_duration(now - since)} · {about}{safe(source.failed[key], _LINE)}{more}")
        if remedy := source.remedies.get(key):
            said.append(f" · {safe(remedy, _LINE)}", theme.PLAIN)
        return ("FAILED", theme.BAD, said) if key == "" else ("PARTLY", theme.DOUBT, said)
    if source.warnings:
        return "ok", theme.OK, Text(f"warns: {safe(source.warnings[0], _LINE)}", theme.QUIET)
    return "ok", theme.OK, Text()
