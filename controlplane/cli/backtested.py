"""A backtest for people: tables of alerts, recommendations and messages, and what is to be known about the numbers."""

from typing import TYPE_CHECKING, Any

from controlplane.cli.output import severity_text, table, tell
from controlplane.cli.recommendations import list_recommendations
from controlplane.model.units import many

if TYPE_CHECKING:
    from rich.console import Console

_MOST = 200
"""Rows of a table; --json has all of them."""


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


def _messages(out: "Console", notifications: list[dict[str, Any]]) -> None:
    """One line a message that went to all its routes."""
    sent: dict[tuple[str, ...], list[str]] = {}
    for one in notifications:
        key = (one["queued_at"], one["action"], one["severity"], one["title"], one["incident"])
        sent.setdefault(key, []).append(one["route"])
    rows = [
        (clock(at), action, severity_text(severity), title, ", ".join(routes))
        for (at, action, severity, title, _), routes in list(sent.items())[:_MOST]
    ]
    columns = ("At", "Action", "Severity", "Title", "Routes")
    out.print(table("Messages that would have been sent", columns, rows, whole=("At", "Action", "Severity")))
    _cut(len(sent), "messages")


def _cut(there: int, what: str) -> None:
    if there > _MOST:
        tell(f"The first {_MOST} of {there:,} {what}; --json has all of them.\n")


def _remarks(summary: dict[str, Any]) -> None:
    for one in summary["rules_without_data"]:
        where = " with " + ", ".join(f"{name}={value}" for name, value in one["where"].items()) if one["where"] else ""
        tell(f"absent: {one['rule']} has no series of {', '.join(one['signals'])}{where}; it could say nothing")
    for one in summary["duplicates"]:
        labels = ", ".join(f"{name}={value}" for name, value in one["labels"].items())
        steps = many(one["steps"], "step")
        tell(f"clash: {one['rule']} has two results with the labels {labels or '(none)'} at {steps}, first {one['at']}")
    for one in summary["advice_failed"]:
        tell(f"no advice: {one['rule']}: {one['error']}")


def clock(at: str | None) -> str:
    """`2026-03-12 19:12:30Z`, or a dash."""
    return at.replace("T", " ") if at else "–"
