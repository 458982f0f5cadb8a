"""Columns of the alert list: what a cell says, and which columns a width has room for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rich.style import Style

from controlplane.model.alerts import AlertState
from tui import theme
from tui.data import Row
from tui.text import against, change_money, safe, short_age, where

GAP = 1
_SAMPLE = 80


@dataclass(frozen=True, slots=True)
class Column:
    """A column: it needs `least` cells and uses up to `most`; those of the highest `drop` leave first."""

    name: str
    title: str
    least: int
    most: int
    drop: int
    cell: Callable[[Row, datetime], str]
    right: bool = False


def state_word(row: Row) -> str:
    """FIR, ACK, HLD, NOD or PND; with a question mark where the source is in doubt."""
    alert = row.alert
    if alert.acknowledged is not None:
        word = "ACK"
    elif alert.held_for is not None:
        word = "HLD"
    else:
        word = {AlertState.FIRING: "FIR", AlertState.NO_DATA: "NOD", AlertState.PENDING: "PND"}[alert.state]
    return word + ("?" if row.doubt else "")


def _cost(row: Row, _: datetime) -> str:
    """The first open recommendation's change of the monthly bill, in whole units."""
    if not row.advice or not row.advice[0].open:
        return ""
    cost = row.advice[0].proposal.cost
    money = change_money(cost.model_copy(update={"per_month": cost.per_month and cost.per_month.quantize(Decimal(1))}))
    return money if money == "unknown" else f"{money}/mo"


def _owner(row: Row, _: datetime) -> str:
    return safe(row.alert.acknowledged.actor, 30) if row.alert.acknowledged else "-"


COLUMNS = (
    Column("severity", "Sev", 4, 4, 0, lambda row, _: theme.SEVERITY_WORD[row.alert.severity]),
    Column("state", "St", 4, 4, 1, lambda row, _: state_word(row)),
    Column("age", "Age", 6, 6, 1, lambda row, now: short_age(now - row.since), right=True),
    Column("platform", "Platform", 8, 12, 8, lambda row, _: safe(row.alert.platform, 40)),
    Column("component", "Component", 9, 14, 5, lambda row, _: safe(row.alert.component, 40)),
    Column("where", "Where", 12, 26, 3, lambda row, _: where(row.alert.labels, row.alert.component)),
    Column("alert", "Alert", 22, 48, 0, lambda row, _: safe(row.alert.title, 120)),
    Column(
        "value", "Value", 18, 34, 2, lambda row, _: against(row.value, row.alert.threshold, row.alert.unit, short=True)
    ),
    Column("cost", "Cost", 10, 14, 6, _cost, right=True),
    Column("owner", "Own", 4, 12, 7, _owner),
)


def needs(rows: Sequence[Row], now: datetime) -> dict[str, int]:
    """The cells that each column would fill for `rows`, at most its `most`; a column of one size keeps it."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    wanted = {}
    for column in COLUMNS:
        longest = max([len(column.title), *(len(column.cell(row, now)) for row in sample)])
        wanted[column.name] = column.most if column.least == column.most else min(column.most, longest)
    return wanted


def layout(width: int, wanted: dict[str, int]) -> list[tuple[Column, int]]:
    """Columns that fit into `width` cells with their widths; the least important are left out, none overflows."""

    def least(column: Column) -> int:
        return min(column.least, wanted.get(column.name, column.least))

    kept = list(COLUMNS)
    while len(kept) > 1 and sum(least(column) + GAP for column in kept) - GAP > width:
        kept.remove(max(kept, key=lambda column: column.drop))
    widths = {column.name: least(column) for column in kept}
    spare = width - sum(widths.values()) - GAP * (len(kept) - 1)
    while hungry := [column.name for column in kept if widths[column.name] < wanted.get(column.name, 0)][:spare]:
        for name in hungry:  # a cell to each, so that none is starved
            widths[name] += 1
        spare -= len(hungry)
    if "alert" in widths:
        widths["alert"] = max(1, widths["alert"] + spare)
    return [(column, widths[column.name]) for column in kept]


def cell_style(column: Column, row: Row) -> Style:
    """The style of a cell; the severity's word is bold and, while nobody has taken it, turned around."""
    alert = row.alert
    reported = alert.state is not AlertState.PENDING
    if column.name == "severity":
        return theme.severity_style(alert.severity, calling=reported and alert.acknowledged is None)
    if column.name == "state":
        return theme.DOUBT if row.doubt or alert.state is AlertState.NO_DATA else theme.QUIET
    if column.name == "alert":
        return theme.STRONG if reported and alert.acknowledged is None else theme.PLAIN
    return theme.PLAIN if column.name in {"value", "component", "where", "owner"} else theme.QUIET
