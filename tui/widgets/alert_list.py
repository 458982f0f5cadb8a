"""The list of alerts."""

from datetime import datetime
from operator import attrgetter

from rich.style import Style

from controlplane.model.states import AlertState
from tui import theme
from tui.data import Row
from tui.text import against, monthly, safe, short_age, where
from tui.widgets.columns import Column, Table
from tui.widgets.row_list import RowList


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
    """The first open recommendation's change of the monthly bill, in whole units; what is lacking is said."""
    if not row.advice or not row.advice[0].open:
        return "no advice" if row.lack else ""
    return monthly(row.advice[0].proposal.cost)


def _owner(row: Row, _: datetime) -> str:
    return safe(row.alert.acknowledged.actor, 30) if row.alert.acknowledged else "-"


def _calling(row: Row) -> bool:
    """Whether it is reported and nobody has taken it."""
    return row.alert.state is not AlertState.PENDING and row.alert.acknowledged is None


def _severity(row: Row) -> Style:
    return theme.severity_style(row.alert.severity, calling=_calling(row))


def _state(row: Row) -> Style:
    return theme.DOUBT if row.doubt or row.alert.state is AlertState.NO_DATA else theme.QUIET


def _title(row: Row) -> Style:
    return theme.STRONG if _calling(row) else theme.PLAIN


def _plain(_: Row) -> Style:
    return theme.PLAIN


COLUMNS: tuple[Column[Row], ...] = (
    Column("severity", "Sev", 4, 4, 0, lambda row, _: theme.SEVERITY_WORD[row.alert.severity], _severity, steady=True),
    Column("state", "St", 4, 4, 1, lambda row, _: state_word(row), _state, steady=True),
    Column("age", "Age", 6, 6, 1, lambda row, now: short_age(now - row.since), right=True),
    Column("platform", "Platform", 8, 12, 8, lambda row, _: safe(row.alert.platform, 40), steady=True),
    Column("component", "Component", 14, 14, 7, lambda row, _: safe(row.alert.component, 40), _plain, steady=True),
    Column(
        "where", "Where", 12, 26, 3, lambda row, _: where(row.alert.labels, row.alert.component), _plain, steady=True
    ),
    Column("alert", "Alert", 22, 48, 0, lambda row, _: safe(row.alert.title, 120), _title, grows=True, steady=True),
    Column(
        "value",
        "Value",
        18,
        34,
        2,
        lambda row, _: against(row.value, row.alert.threshold, row.alert.unit, short=True),
        _plain,
        steady=True,
    ),
    Column("cost", "Cost", 13, 14, 5, _cost, right=True, steady=True),
    Column("owner", "Own", 4, 12, 6, _owner, _plain, steady=True),
)
ALERTS = Table(
    COLUMNS,
    # The rows come in the order of their ids, and sorting keeps that where they are equal.
    {"urgency": attrgetter("urgency"), "newest": attrgetter("newest"), "name": attrgetter("name")},
    {
        "severity": "urgency",
        "state": "urgency",
        "age": "newest",
        "platform": "name",
        "component": "name",
        "alert": "name",
    },
)


class AlertList(RowList[Row]):
    """One line an alert."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(ALERTS, id=id)
