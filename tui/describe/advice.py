"""A recommendation in words."""

from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.text import Text

from controlplane.model.money import human_money
from controlplane.model.recommendations import Evidence, Recommendation, Status
from controlplane.model.time import human_duration
from controlplane.model.units import human
from tui import theme
from tui.data import Lack, Row
from tui.describe.parts import LINE, ago, pairs, worded
from tui.text import change_money, kind, safe

_COMMAND = 2_000
_SOON = timedelta(minutes=15)


def advice(row: Row, now: datetime, *, full: bool = False) -> RenderableType:
    """The recommendations of an alert; `full` adds evidence, cost lines, reverting and rejected options."""
    if not row.advice:
        return lack(row.lack) if row.lack else Text("No recommendation for this alert.", theme.QUIET)
    first, *others = row.advice
    parts: list[RenderableType] = [_recommendation(first, now, full=full)]
    for other in others if full else [other for other in others if other.open]:
        parts += [Text(), _recommendation(other, now, full=full)]
    return Group(*parts)


def lack(reasons: Lack, title: str = "") -> RenderableType:
    """Why an alert has no recommendation, rule by rule."""
    head = Text("NO RECOMMENDATION", theme.DOUBT, overflow="fold")
    if title:
        head.append(f"  {safe(title, 120)}", theme.STRONG)
    head.append("  asked for again every 5m while the alert fires", theme.QUIET)
    return Group(head, pairs((safe(rule, 60), worded(why, limit=1_000)) for rule, why in reasons))


def one(found: Recommendation, row: Row | None, now: datetime, *, full: bool = False) -> RenderableType:
    """One recommendation; `row` is the alert that it answers, while that lasts."""
    parts: list[RenderableType] = [_recommendation(found, now, full=full)]
    if row is not None:
        parts.append(pairs([("answers", worded(f"{row.alert.title}: {row.alert.summary}"))]))
    return Group(*parts)


def _recommendation(found: Recommendation, now: datetime, *, full: bool) -> RenderableType:
    proposal = found.proposal
    head = Text(overflow="fold")
    head.append(kind(found), theme.HEADING)
    head.append(f"  {safe(proposal.target, 120)}", theme.STRONG)
    status = "" if found.status is Status.PROPOSED else f"{found.status.value} "
    head.append(f"  {status}v{found.version} {ago(found.at, now)}", theme.QUIET)
    if found.open:
        head.append(" · ", theme.QUIET).append_text(_expiry(found, now))
    rows: list[tuple[str, RenderableType]] = [("change", _change(found)), ("cost", _cost(found))]
    if not found.open:
        by = f" by {safe(found.decided_by, 80)}" if found.decided_by else ""
        reason = f": {safe(found.reason, LINE)}" if found.reason else ""
        rows.insert(0, ("closed", Text(f"{found.status.value}{by}{reason}", theme.DOUBT)))
    rows.append(("survives", _survival(found)))
    rows += [(name, worded(value, theme.STRONG)) for name, value in proposal.inputs.items() if _objective(name)]
    rows.append(("run", _commands(proposal.commands, 99 if full else 3)))
    if proposal.stages:
        rows.append(("sizing", _stages(found)))
    rows += [("why", worded(proposal.why)), ("gain", worded(proposal.gain))]
    rows.append(("effect", Text(f"within {human_duration(proposal.time_to_effect)}")))
    if full or any(_notable(item) for item in proposal.evidence):
        rows.append(("evidence", _evidence(found, now, full=full)))
    rows.append(("if not", worded(proposal.cost.do_nothing)))
    if full:
        rows += _rest(found)
    return Group(head, pairs((safe(name, 40), value) for name, value in rows))


def _objective(name: str) -> bool:
    return any(word in name.casefold() for word in ("rpo", "rto"))


def _change(found: Recommendation) -> Text:
    text = worded(found.proposal.from_)
    text.append("  →  ", theme.HEADING)
    text.append(safe(found.proposal.to, LINE), theme.STRONG)
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
        return Text(f"expired {ago(found.expires_at, now)}", theme.DOUBT)
    return Text(f"expires in {human_duration(left)}", theme.DOUBT if left < _SOON else theme.QUIET)


def _survival(found: Recommendation) -> Text:
    if not found.proposal.survives:
        return Text("not checked", theme.DOUBT)
    words = {True: ("yes", theme.OK), False: ("NO ", theme.BAD), None: ("?  ", theme.DOUBT)}
    lines = []
    for verdict in found.proposal.survives:
        word, style = words[verdict.ok]
        line = Text.assemble((word.ljust(4), style), (safe(verdict.loss, 100), theme.STRONG), overflow="fold")
        line.append(f": {safe(verdict.reason, LINE)}", theme.PLAIN)
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
        line.append(safe(stage.reason, LINE), theme.QUIET)
        lines.append(line)
    return Text("\n").join(lines)


def _commands(commands: tuple[str, ...], most: int) -> Text:
    if not commands:
        return Text("no command; see the runbook", theme.QUIET)
    lines = [worded(f"$ {command}", theme.PLAIN, _COMMAND) for command in commands[:most]]
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
            line.append(f": {safe(item.verdict, LINE)}", theme.PLAIN)
        line.append(f"  {ago(item.at, now)}", theme.QUIET)
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
        inputs = "\n".join(f"{safe(k, 80)} = {safe(v, LINE)}" for k, v in proposal.inputs.items())
        rows.append(("inputs", Text(inputs, overflow="fold")))
    rows.append(("revert", _commands(proposal.revert, 99)))
    if proposal.rejected:
        rejected = "\n".join(f"{safe(r.option, 120)}: {safe(r.reason, LINE)}" for r in proposal.rejected)
        rows.append(("rejected", Text(rejected, overflow="fold")))
    rows += [("rule", worded(found.rule)), ("advice id", worded(found.id))]
    return rows
