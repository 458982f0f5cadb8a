"""A backtest for people: tables of alerts, recommendations and messages, and what is to be known about the numbers."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from controlplane.cli.output import severity_text, table, tell
from controlplane.cli.recommendations import list_recommendations, money
from controlplane.model.time import human_duration
from controlplane.model.units import many

if TYPE_CHECKING:
    from rich.console import Console

_MOST = 200
"""Rows of a table; --json has all of them."""
_FEW = 5
"""Rules without data that are named."""


def show(out: "Console", result: dict[str, Any], alerts: list[dict[str, Any]]) -> None:
    """Print a backtest (`backtest.report.document`) and its alerts (`backtest.report.episodes`)."""
    from controlplane.present import condition, measured

    summary = result["summary"]
    out.print(f"{clock(summary['from'])} to {clock(summary['to'])}, every {summary['step']}\n")
    rows = [
        (
            severity_text(alert["severity"]),
            clock(alert["fired_at"]),
            clock(alert["resolved_at"]),
            (alert["summary"], alert["rule"]),
            (
                measured(alert["value"], alert["unit"], alert["threshold"]),
                condition(alert["threshold"], alert["unit"]) if alert["unit"] else alert["threshold"],
            ),
        )
        for alert in alerts[:_MOST]
    ]
    columns = ("Severity", "Fired", "Ended", "What", "Value, threshold")
    whole = ("Severity", "Fired", "Ended", "Value, threshold")
    out.print(table("Alerts", columns, rows, right=("Value, threshold",), whole=whole))
    _cut(len(alerts), "alerts")
    list_recommendations(out, result["recommendations"][:_MOST])
    _cut(len(result["recommendations"]), "recommendations")
    _messages(out, result["notifications"])
    _remarks(summary)
    at_night = f" ({summary['pages_at_night']} at night, {summary['night']} UTC)"
    tell(
        f"{many(summary['alerts'], 'alert')}, {many(summary['pages'], 'page')}{at_night}, "
        f"{many(summary['recommendations'], 'recommendation')}; {many(summary['rules'], 'rule')} over "
        f"{many(summary['samples'], 'sample')} of {summary['series']:,} series at {many(summary['steps'], 'step')} "
        f"in {summary['seconds']:.1f} s. Nothing was sent."
    )


def show_comparison(out: "Console", result: dict[str, Any]) -> None:
    """Print what a new rule set changes (`backtest.compare.comparison` with its summaries)."""
    old, new = result["summary"]["old"], result["summary"]["new"]
    out.print(f"{clock(new['from'])} to {clock(new['to'])}, every {new['step']}\n")
    rows: list[tuple[object, ...]] = [
        (
            one["change"],
            severity_text(one["severity"]),
            (one["rule"], ", ".join(f"{name}={value}" for name, value in one["labels"].items())),
            _span(one["old"]),
            _span(one["new"]),
            _shift(one["fired_seconds"]),
        )
        for one in result["alerts"][:_MOST]
    ]
    columns = ("Change", "Severity", "Alert", "Old", "New", "Fires")
    out.print(table("Alerts that differ", columns, rows, whole=("Change", "Severity", "Old", "New", "Fires")))
    _cut(len(result["alerts"]), "alerts")
    pages = result["pages"]
    told = sorted([("added", one) for one in pages["added"]] + [("removed", one) for one in pages["removed"]],
                  key=lambda row: row[1]["at"])  # fmt: skip
    rows = [
        (change, clock(one["at"]) + (" (night)" if one["night"] else ""), severity_text(one["severity"]),
         (one["title"], one["rule"]), ", ".join(one["channels"]))
        for change, one in told[:_MOST]
    ]  # fmt: skip
    out.print(table("Pages that differ", ("Change", "At", "Severity", "Title", "Routes"), rows, whole=("Change", "At")))
    _cut(len(told), "pages")
    rows = [
        (one["change"], (one["title"], one["rule"]), _said(one["old"]), _said(one["new"]))
        for one in result["recommendations"][:_MOST]
    ]
    out.print(table("Recommendations that differ", ("Change", "Recommendation", "Old", "New"), rows, whole=("Change",)))
    _cut(len(result["recommendations"]), "recommendations")
    for name, summary in (("old", old), ("new", new)):
        cost = result["monthly_cost"][name]
        unknown = f" (and {cost['unknown']} of unknown price)" if cost["unknown"] else ""
        tell(
            f"{name}: {many(summary['alerts'], 'alert')}, {many(summary['pages'], 'page')} "
            f"({summary['pages_at_night']} at night), {many(summary['recommendations'], 'recommendation')}, "
            f"{money(cost['per_month'])} a month{unknown}"
        )
        _remarks(summary)
    tell(
        f"{len(pages['added'])} pages added ({pages['added_at_night']} at night), {len(pages['removed'])} removed "
        f"({pages['removed_at_night']} at night) in {new['seconds']:.1f} s. Nothing was sent."
    )


def _span(times: dict[str, Any] | None) -> object:
    return "–" if times is None else (clock(times["fired_at"]), f"to {clock(times['ended_at'])}")


def _shift(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    amount = human_duration(timedelta(seconds=abs(seconds)))
    return "at the same time" if seconds == 0 else f"{amount} {'earlier' if seconds < 0 else 'later'}"


def _said(said: dict[str, Any] | None) -> object:
    if said is None:
        return "–"
    return f"{said['from']} → {said['to']}", f"{money(said['per_month'])} a month, {money(said['one_off'])} once"


def _messages(out: "Console", notifications: list[dict[str, Any]]) -> None:
    """One line a message that went to all its channels."""
    sent: dict[tuple[str, ...], list[str]] = {}
    for one in notifications:
        key = (one["queued_at"], one["action"], one["severity"], one["title"], one["incident"])
        sent.setdefault(key, []).append(one["channel"])
    rows = [
        (clock(at), action, severity_text(severity), title, ", ".join(channels))
        for (at, action, severity, title, _), channels in list(sent.items())[:_MOST]
    ]
    columns = ("At", "Action", "Severity", "Title", "Routes")
    out.print(table("Messages that would have been sent", columns, rows, whole=("At", "Action", "Severity")))
    _cut(len(sent), "messages")


def _cut(there: int, what: str) -> None:
    if there > _MOST:
        tell(f"The first {_MOST} of {there:,} {what}; --json has all of them.\n")


def _remarks(summary: dict[str, Any]) -> None:
    absent = summary["rules_without_data"]
    for one in absent[:_FEW]:
        where = " with " + ", ".join(f"{name}={value}" for name, value in one["where"].items()) if one["where"] else ""
        tell(f"absent: {one['rule']} has no series of {', '.join(one['signals'])}{where}; it could say nothing")
    if len(absent) > _FEW:
        tell(f"absent: {len(absent) - _FEW} further rules have no series either; --json names them")
    for one in summary["duplicates"]:
        labels = ", ".join(f"{name}={value}" for name, value in one["labels"].items())
        steps = many(one["steps"], "step")
        tell(f"clash: {one['rule']} has two results with the labels {labels or '(none)'} at {steps}, first {one['at']}")
    for one in summary["advice_failed"]:
        tell(f"no advice: {one['rule']}: {one['error']}")


def clock(at: str | None) -> str:
    """`2026-03-12 19:12:30Z`, or a dash."""
    return at.replace("T", " ") if at else "–"
