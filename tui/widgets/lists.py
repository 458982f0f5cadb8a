"""The lists of recommendations, events and acknowledgements."""

import math
from datetime import datetime, timedelta
from operator import attrgetter

from rich.style import Style

from controlplane.model.states import Status
from tui import theme
from tui.data import AdviceRow, Entry, Holding
from tui.text import change, kind, monthly, safe, short_age, stamp, where
from tui.widgets.columns import Column, Table

_STATUS = {
    Status.PROPOSED: "open",
    Status.APPROVED: "approved",
    Status.REJECTED: "rejected",
    Status.EXECUTED: "executed",
    Status.VERIFIED: "verified",
    Status.INEFFECTIVE: "no effect",
    Status.WITHDRAWN: "withdrawn",
    Status.EXPIRED: "expired",
}


def _plain(_: object) -> Style:
    return theme.PLAIN


# recommendations


def status_word(row: AdviceRow) -> str:
    """The status in a word; `none` where there is no recommendation."""
    return "none" if row.recommendation is None else _STATUS[row.recommendation.status]


def _live(row: AdviceRow) -> bool:
    return row.recommendation is not None and row.recommendation.open


def _kind(row: AdviceRow, _: datetime) -> str:
    return "NO ADVICE" if row.recommendation is None else kind(row.recommendation)


def _target(row: AdviceRow, _: datetime) -> str:
    return safe(row.title if row.recommendation is None else row.recommendation.proposal.target, 120)


def _change(row: AdviceRow, _: datetime) -> str:
    if row.recommendation is None:
        return safe(row.lack[0][1], 120) if row.lack else ""
    return change(row.recommendation.proposal)


def _money(row: AdviceRow, _: datetime) -> str:
    if row.recommendation is None:
        return ""
    return monthly(row.recommendation.proposal.cost)


def _evidence(row: AdviceRow, _: datetime) -> str:
    if row.recommendation is None:
        return ""
    items = row.recommendation.proposal.evidence
    return f"{sum(item.value is not None for item in items)}/{len(items)}"


def _survives(row: AdviceRow, _: datetime) -> str:
    if row.recommendation is None:
        return ""
    verdicts = [verdict.ok for verdict in row.recommendation.proposal.survives]
    if not verdicts:
        return "not checked"
    bad, unknown = verdicts.count(False), verdicts.count(None)
    return f"NO {bad}/{len(verdicts)}" if bad else f"? {unknown}/{len(verdicts)}" if unknown else "yes"


def _expires(row: AdviceRow, now: datetime) -> str:
    if row.recommendation is None or not row.recommendation.open:
        return ""
    left = row.recommendation.expires_at - now
    return "expired" if left <= timedelta(0) else short_age(left)


def _by(row: AdviceRow, _: datetime) -> str:
    return "-" if row.recommendation is None else safe(row.recommendation.decided_by or "-", 30)


def _severity_word(row: AdviceRow | Entry) -> str:
    return "" if row.severity is None else theme.SEVERITY_WORD[row.severity]


def _severity(row: AdviceRow | Entry) -> Style:
    return theme.QUIET if row.severity is None else theme.severity_style(row.severity)


def _kind_style(row: AdviceRow) -> Style:
    return theme.HEADING if _live(row) else theme.QUIET


def _status_style(row: AdviceRow) -> Style:
    found = row.recommendation
    if found is None or found.status is Status.INEFFECTIVE:
        return theme.DOUBT
    return theme.STRONG if found.status is Status.PROPOSED else theme.PLAIN if found.watched else theme.QUIET


def _target_style(row: AdviceRow) -> Style:
    return theme.STRONG if _live(row) else theme.PLAIN


def _survives_style(row: AdviceRow) -> Style:
    said = _survives(row, row.at)
    return theme.BAD if said.startswith("NO") else theme.OK if said == "yes" else theme.DOUBT


def _advice_name(row: AdviceRow) -> tuple[str, str, str]:
    return (row.platform, row.title, row.id)


def _spending(row: AdviceRow) -> tuple[bool, float, str]:
    cost = None if row.recommendation is None else row.recommendation.proposal.cost.per_month
    return (cost is None, -float(cost or 0), row.id)


ADVICE: Table[AdviceRow] = Table(
    (
        Column("severity", "Sev", 4, 4, 3, lambda row, _: _severity_word(row), _severity),
        Column("kind", "Kind", 9, 12, 0, _kind, _kind_style),
        Column("status", "Status", 8, 9, 1, lambda row, _: status_word(row), _status_style),
        Column("age", "Age", 6, 6, 6, lambda row, now: short_age(now - row.at), right=True),
        Column("platform", "Platform", 8, 15, 8, lambda row, _: safe(row.platform, 40)),
        Column("target", "Target", 16, 40, 0, _target, _target_style, grows=True),
        Column("change", "Change", 16, 44, 4, _change, _plain),
        Column("cost", "Cost", 13, 14, 2, _money, _plain, right=True),
        Column("evidence", "Evid", 4, 5, 9, _evidence, right=True),
        Column("survives", "Survives", 8, 11, 5, _survives, _survives_style),
        Column("expires", "Left", 6, 7, 7, _expires, right=True),
        Column("by", "By", 4, 12, 10, _by),
    ),
    {
        "urgency": attrgetter("urgency", "id"),
        "newest": attrgetter("newest", "id"),
        "cost": _spending,
        "name": _advice_name,
    },
    {"severity": "urgency", "status": "urgency", "age": "newest", "cost": "cost", "platform": "name", "target": "name"},
)


# events


def _what_style(row: Entry) -> Style:
    if row.serious:
        return theme.BAD
    return theme.STRONG if row.what in {"FIRING", "NO DATA", "ADVICE"} or row.actor else theme.QUIET


def _subject_style(row: Entry) -> Style:
    return theme.STRONG if row.what in {"FIRING", "NO DATA"} else theme.PLAIN


_ENTRY_COLUMNS: tuple[Column[Entry], ...] = (
    Column("time", "Time", 9, 17, 0, lambda row, now: stamp(row.at, now)),
    Column("what", "What", 9, 9, 1, lambda row, _: row.what, _what_style),
    Column("severity", "Sev", 4, 4, 4, lambda row, _: _severity_word(row), _severity),
    Column("platform", "Platform", 10, 15, 6, lambda row, _: safe(row.platform, 40)),
    Column("subject", "About", 18, 48, 2, lambda row, _: safe(row.subject, 120), _subject_style),
    Column("said", "Said", 18, 60, 0, lambda row, _: safe(row.said, 200), _plain, grows=True),
    Column("actor", "By", 4, 12, 5, lambda row, _: safe(row.actor or "-", 30), _plain),
)
ENTRIES: Table[Entry] = Table(
    _ENTRY_COLUMNS,
    {"newest": attrgetter("newest", "id"), "oldest": attrgetter("position", "id")},
    {"time": "newest"},
)


# acknowledgements


def _kind_of(row: Holding, _: datetime) -> str:
    return {"ack": "ACK", "silence": "MUTE", "maintenance": "MAINT"}.get(row.kind, row.kind.upper())


def _held(row: Holding, now: datetime) -> str:
    return short_age(now - row.at) if row.at <= now else f"in {short_age(row.at - now)}"


def _until(row: Holding, now: datetime) -> str:
    return "with it" if row.until is None else f"in {short_age(max(timedelta(0), row.until - now))}"


def _until_style(row: Holding) -> Style:
    return theme.DOUBT if row.still else theme.QUIET


def _note_style(row: Holding) -> Style:
    return theme.DOUBT if row.still else theme.PLAIN


def _note(row: Holding, _: datetime) -> str:
    soon = f"ends soon, still matches {row.still:,} · " if row.still else ""
    return f"{soon}{safe(row.note or '-', 200)}"


def _held_severity(row: Holding, _: datetime) -> str:
    return "-" if row.row is None else theme.SEVERITY_WORD[row.row.alert.severity]


def _held_style(row: Holding) -> Style:
    return theme.QUIET if row.row is None else theme.severity_style(row.row.alert.severity)


def _held_where(row: Holding, _: datetime) -> str:
    return "" if row.row is None else where(row.row.alert.labels, row.row.alert.component)


def _platform(row: Holding, _: datetime) -> str:
    return "" if row.row is None else safe(row.row.alert.platform, 40)


def _held_urgency(row: Holding) -> tuple[object, ...]:
    return (math.inf if row.row is None else row.row.urgency, row.id)


HOLDINGS: Table[Holding] = Table(
    (
        Column("kind", "Kind", 4, 5, 0, _kind_of, lambda _: theme.STRONG),
        Column("severity", "Sev", 4, 4, 3, _held_severity, _held_style),
        Column("held", "Held", 6, 9, 1, _held, _plain, right=True),
        Column("until", "Ends", 7, 8, 1, _until, _until_style, right=True),
        Column("actor", "By", 6, 16, 0, lambda row, _: safe(row.actor, 30), _plain),
        Column("platform", "Platform", 8, 15, 6, _platform),
        Column("what", "What", 20, 48, 0, lambda row, _: safe(row.what, 120), _plain),
        Column("where", "Where", 12, 26, 4, _held_where, _plain),
        Column("note", "Note", 12, 60, 2, _note, _note_style, grows=True),
    ),
    {
        "longest": lambda row: (-row.newest, row.id),
        "newest": attrgetter("newest", "id"),
        "urgency": _held_urgency,
    },
    {"held": "longest", "severity": "urgency"},
)
