"""A recommendation in words: what a decision needs first, then what it stands on."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controlplane.model.money import human_money
from controlplane.model.states import Status
from controlplane.model.time import human_duration
from controlplane.model.units import human
from tui import theme
from tui.data import History, Lack, Row
from tui.describe.parts import LINE, ago, heading, pairs, worded
from tui.text import change_money, kind, safe, spark

if TYPE_CHECKING:
    from controlplane.model.recommendations import CostLine, Evidence, PlanStep, Recommendation

Histories = Mapping[str, History]
"""Reference of an evidence → the known past of its signal."""
_COMMAND = 2_000
_SOON = timedelta(minutes=15)
_SPARK = 16
_NO_HISTORIES: Histories = {}


def advice(row: Row, now: datetime) -> RenderableType:
    """The open recommendations of an alert in short; else the last one, or why there is none."""
    if not row.advice:
        return lack(row.lack) if row.lack else Text("No recommendation for this alert.", theme.QUIET)
    first, *others = row.advice
    parts: list[RenderableType] = [short(first, now)]
    for other in (other for other in others if other.open):
        parts += [Text(), short(other, now)]
    if row.lack:
        parts += [Text(), lack(row.lack)]
    return Group(*parts)


def lack(reasons: Lack, title: str = "") -> RenderableType:
    """Why an alert has no recommendation, rule by rule."""
    head = Text("NO RECOMMENDATION", theme.DOUBT, overflow="fold")
    if title:
        head.append(f"  {safe(title, 120)}", theme.STRONG)
    parts: list[RenderableType] = [head]
    for rule, why in reasons:
        parts.append(Text.assemble((safe(rule, 80), theme.QUIET), ": ", safe(why, 1_000), overflow="fold"))
    return Group(*parts, Text("It is asked for again every 5 minutes while the alert fires.", theme.QUIET))


def short(found: "Recommendation", now: datetime) -> RenderableType:
    """A recommendation as it fits beside a list: change, cost, survival, first commands, doubtful evidence."""
    proposal = found.proposal
    rows: list[tuple[str, RenderableType]] = [("change", _change(found)), ("cost", _cost(found))]
    if not found.open:
        rows.insert(0, ("closed", _closed(found)))
    rows.append(("survives", _survival(found)))
    rows += _objectives(found)
    rows.append(("run", _commands(proposal.commands, 3)))
    if proposal.stages:
        rows.append(("sizing", _stages(found)))
    rows += [("why", worded(proposal.why)), ("gain", worded(proposal.gain))]
    rows.append(("effect", Text(f"within {human_duration(proposal.time_to_effect)}")))
    if notable := [item for item in proposal.evidence if item.value is None or item.verdict]:
        rows.append(("evidence", _evidence_lines(found, notable[:4], now)))
    rows.append(("if not", worded(proposal.cost.do_nothing)))
    return pairs([head(found, now), *rows])


def head(found: "Recommendation", now: datetime) -> tuple[Text, Text]:
    """Kind; target, status, version, age and when it expires."""
    text = Text.assemble((safe(found.proposal.target, 120), theme.STRONG), overflow="fold")
    status = "" if found.status is Status.PROPOSED else f"{found.status.value} "
    text.append(f"  {status}v{found.version} {ago(found.at, now)}", theme.QUIET)
    if found.open:
        text.append(" · ", theme.QUIET).append_text(_expiry(found, now))
    return Text(kind(found), theme.HEADING), text


def decision(found: "Recommendation", row: Row | None, now: datetime) -> RenderableType:
    """What somebody needs who decides: change, money, survival, and the steps with what has to be true first."""
    proposal = found.proposal
    rows: list[tuple[str, RenderableType]] = []
    if row is not None:
        rows.append(("answers", worded(f"{row.alert.title}: {row.alert.summary}")))
    if not found.open or found.status is Status.APPROVED:
        rows.append(("decided" if found.open else "closed", _closed(found)))
    rows += [
        ("change", _change(found)),
        ("why", worded(proposal.why, limit=1_000)),
        ("gain", worded(proposal.gain)),
        ("effect", Text(f"within {human_duration(proposal.time_to_effect)}")),
        *_objectives(found),
    ]
    return Group(
        pairs([head(found, now), *rows]),
        heading("Cost"),
        _money(found),
        heading("Survives after the change"),
        _survival(found),
        heading("Plan" if proposal.plan else "Commands"),
        _plan(proposal.plan) if proposal.plan else _commands(proposal.commands, 999),
        heading("To take it back"),
        _commands(proposal.revert, 999),
    )


def grounds(found: "Recommendation", now: datetime, histories: Histories = _NO_HISTORIES) -> RenderableType:
    """What it stands on: evidence, stages of the number, alternatives, inputs, names."""
    proposal = found.proposal
    parts: list[RenderableType] = [heading("Evidence", first=True), evidence_table(found, now, histories)]
    if proposal.stages:
        parts += [heading("How the number came about"), _stages(found)]
    if proposal.rejected:
        parts.append(heading("Considered and rejected"))
        parts.append(pairs((safe(one.option, 60), worded(one.reason)) for one in proposal.rejected))
    if proposal.inputs:
        parts.append(heading("Inputs"))
        parts.append(pairs((safe(name, 60), worded(value)) for name, value in proposal.inputs.items()))
    names: list[tuple[str, RenderableType]] = [("rule", worded(found.rule)), ("id", worded(found.id))]
    return Group(*parts, heading("Names"), pairs(names))


# parts


def _objectives(found: "Recommendation") -> list[tuple[str, RenderableType]]:
    return [
        (safe(name, 40), worded(value, theme.STRONG))
        for name, value in found.proposal.inputs.items()
        if any(word in name.casefold() for word in ("rpo", "rto"))
    ]


def _closed(found: "Recommendation") -> Text:
    by = f" by {safe(found.decided_by, 80)}" if found.decided_by else ""
    reason = f": {safe(found.reason, LINE)}" if found.reason else ""
    return Text(f"{found.status.value}{by}{reason}", theme.DOUBT, overflow="fold")


def _change(found: "Recommendation") -> Text:
    text = worded(found.proposal.from_)
    text.append("  →  ", theme.HEADING)
    text.append(safe(found.proposal.to, LINE), theme.STRONG)
    return text


def _cost(found: "Recommendation") -> Text:
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


def _money(found: "Recommendation") -> RenderableType:
    """The change of the bill a month, a year and once, its lines, and what doing nothing costs."""
    cost = found.proposal.cost
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style=theme.PLAIN, ratio=1, overflow="fold")
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    table.add_row(Text(""), *(Text(title, theme.QUIET) for title in ("a month", "reserved", "one-off")))
    for line in cost.lines:
        name = Text(f"{safe(line.item, 100)}{_quantity(line)}", overflow="fold")
        if line.note:
            name.append(f" ({safe(line.note, 200)})", theme.QUIET)
        amounts = (line.per_month, line.per_month_reserved, line.one_off)
        table.add_row(name, *(_amount(human_money(amount, cost.currency)) for amount in amounts))
    total = [change_money(cost, name) for name in ("per_month", "per_month_reserved")]
    total.append(human_money(cost.one_off, cost.currency))
    table.add_row(Text("change of the bill", theme.STRONG), *(_amount(text, strong=True) for text in total))
    rows: list[tuple[str, RenderableType]] = [("if not", worded(cost.do_nothing, limit=600))]
    if cost.per_month is not None:
        rows.insert(0, ("a year", worded(change_money(cost.model_copy(update={"per_month": cost.per_month * 12})))))
    return Group(table, pairs(rows))


def _quantity(line: "CostLine") -> str:
    """` × 4` things, ` × 500 GB`; nothing for one thing."""
    number, size = format(line.quantity.normalize(), ",f"), " GB" if "GBy" in line.unit else ""
    return f" × {number}{size}" if size or line.quantity != 1 else ""


def _amount(text: str, *, strong: bool = False) -> Text:
    return Text(text, theme.DOUBT if text == "unknown" else theme.STRONG if strong else theme.PLAIN)


def _expiry(found: "Recommendation", now: datetime) -> Text:
    left = found.expires_at - now
    if found.status is Status.EXPIRED or left <= timedelta(0):
        return Text(f"expired {ago(found.expires_at, now)}", theme.DOUBT)
    return Text(f"expires in {human_duration(left)}", theme.DOUBT if left < _SOON else theme.QUIET)


def _survival(found: "Recommendation") -> Text:
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


def _stages(found: "Recommendation") -> Text:
    lines = []
    width = max(len(safe(stage.name, 30)) for stage in found.proposal.stages)
    values = [_number(stage.value) for stage in found.proposal.stages]
    longest = max(map(len, values))
    for stage, value in zip(found.proposal.stages, values, strict=True):
        line = Text(f"{safe(stage.name, 30).ljust(width)}  {value:>{longest}}  ", theme.PLAIN)
        if stage.limit is not None:
            line.append(f"limited by {safe(stage.limit, 80)}: ", theme.DOUBT)
        line.append(safe(stage.reason, LINE), theme.QUIET)
        lines.append(line)
    return Text("\n").join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"


def _commands(commands: tuple[str, ...], most: int) -> Text:
    if not commands:
        return Text("no command; see the runbook", theme.QUIET)
    lines = [worded(f"$ {command}", theme.PLAIN, _COMMAND) for command in commands[:most]]
    if len(commands) > most:
        lines.append(Text(f"and {len(commands) - most} more; Enter shows them", theme.QUIET))
    return Text("\n").join(lines)


def _plan(steps: "tuple[PlanStep, ...]") -> RenderableType:
    """The steps in order: what has to be true before each, then what to do."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, style=theme.HEADING)
    table.add_column(ratio=1, overflow="fold")
    for number, step in enumerate(steps, 1):
        lines = [worded(step.do, theme.STRONG, 600)]
        for condition in step.before:
            line = Text.assemble(("first ", theme.DOUBT), overflow="fold")
            lines.append(line.append(safe(condition, 600), theme.PLAIN))
        lines += [worded(f"$ {command}", theme.PLAIN, _COMMAND) for command in step.commands]
        table.add_row(Text(f"{number}."), Text("\n").join(lines))
    return table


def _evidence_lines(found: "Recommendation", items: "Iterable[Evidence]", now: datetime) -> Text:
    everything = found.proposal.evidence
    lines = [_measured_of(everything)]
    for item in items:
        line = worded(item.signal, limit=80)
        line.append(" ").append_text(_value(item))
        if item.limit:
            line.append(f" limit {safe(item.limit, 80)}", theme.QUIET)
        if item.verdict:
            line.append(f": {safe(item.verdict, LINE)}", theme.PLAIN)
        line.append(f"  {ago(item.at, now)}", theme.QUIET)
        lines.append(line)
    return Text("\n").join(lines)


def _measured_of(items: "tuple[Evidence, ...]") -> Text:
    present = sum(item.value is not None for item in items)
    return Text(f"{present} of {len(items)} inputs measured", theme.PLAIN if present == len(items) else theme.DOUBT)


def _value(item: "Evidence") -> Text:
    missing = item.value is None
    return Text("missing" if missing else human(item.value, item.unit), theme.DOUBT if missing else theme.STRONG)


def _trend(item: "Evidence") -> History:
    """The points that a recommendation has of an input; when they were isn't told, but they are equally far apart."""
    return tuple(enumerate(dropwhile(lambda value: value is None, item.trend)))


def evidence_table(found: "Recommendation", now: datetime, histories: Histories = _NO_HISTORIES) -> RenderableType:
    """Signal, value now, limit and age of every input, its past where it is known, and the verdict under it."""
    items = found.proposal.evidence
    if not items:
        return Text("none recorded", theme.DOUBT)
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1, overflow="fold")
    for right in (True, True, True):
        table.add_column(justify="right" if right else "left", no_wrap=True)
    table.add_row(*(Text(title, theme.QUIET) for title in ("signal", "now", "limit", "read")))
    for item in items:
        name = worded(item.signal, limit=80)
        if item.labels:
            labels = " ".join(safe(value, 60) for _, value in sorted(item.labels.items()))
            name.append(f" {labels}", theme.QUIET)
        if line := spark(histories.get(item.reference) or _trend(item), _SPARK):
            name.append(f"\n{line}", theme.CHART)
        if item.verdict:
            name.append(f"\n{safe(item.verdict, LINE)}", theme.QUIET)
        table.add_row(name, _value(item), worded(item.limit or "-", limit=40), Text(ago(item.at, now), theme.QUIET))
    return Group(_measured_of(items), table)
