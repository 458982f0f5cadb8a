"""Between alerts as events and alerts as frames."""

import json
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import polars as pl

from controlplane.model.alerts import Alert, AlertState, alert_id
from controlplane.model.events import Draft
from controlplane.model.labels import canonical, printable
from controlplane.model.payloads import (
    AlertDropped,
    AlertFacts,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
    EventPayload,
)
from controlplane.model.resources import Inventory
from controlplane.model.rules import DURATION, AlertRule, DriftRule, Placed
from controlplane.model.time import from_ms, human_duration, to_ms
from controlplane.model.units import convert
from controlplane.rules.evaluate import FIRING, NO_DATA, PENDING, STATE

_CODES = {AlertState.PENDING: PENDING, AlertState.FIRING: FIRING, AlertState.NO_DATA: NO_DATA}


def as_state(alerts: Iterable[Alert]) -> pl.DataFrame:
    """Active alerts as `rules.evaluate.STATE`."""
    rows = [
        (
            alert.rule,
            alert.source,
            canonical(alert.labels),
            _CODES[alert.state],
            to_ms(alert.active_at),
            to_ms(alert.fired_at) if alert.fired_at else None,
            to_ms(alert.held_since) if alert.held_since else None,
        )
        for alert in alerts
    ]
    return pl.DataFrame(rows, schema=STATE, orient="row")


def alert_drafts(rules: Mapping[str, Placed], transitions: pl.DataFrame, inventory: Inventory) -> list[Draft]:
    """Transitions (`rules.evaluate.TRANSITIONS`) as events, in their order."""
    return [_draft(rules.get(row["rule"]), row, inventory) for row in transitions.iter_rows(named=True)]


def _draft(placed: Placed | None, row: dict[str, Any], inventory: Inventory) -> Draft:
    labels, alert = _identity(row["rule"], row["source"], row["labels"])
    return Draft(
        stream=f"alert:{alert}",
        key=str(row["ts"]),
        payload=_payload(placed, row, alert, labels, inventory),
        occurred_at=from_ms(row["ts"]),
        correlation=f"step-{row['ts']}",
    )


@lru_cache(maxsize=50_000)
def _identity(rule: str, source: str, text: str) -> tuple[dict[str, str], str]:
    """Labels and id; an alert that begins and fires at one step has two transitions."""
    labels: dict[str, str] = json.loads(text)
    return labels, alert_id(rule, source, labels)


def _payload(
    placed: Placed | None, row: dict[str, Any], alert: str, labels: dict[str, str], inventory: Inventory
) -> EventPayload:
    match row["kind"]:
        case "held":
            return AlertHeld(alert=alert, why=row["reason"], since=from_ms(row["ts"]))
        case "returned":
            return AlertReturned(alert=alert, value=row["value"])
        case "dropped":
            return AlertDropped(alert=alert, rule=row["rule"], labels=labels, value=row["value"], reason=row["reason"])
        case "pending":
            return AlertPending(facts=_facts(placed, row, alert, labels, inventory))
        case "fired":
            return AlertFired(facts=_facts(placed, row, alert, labels, inventory))
        case "nodata":
            return AlertNoData(facts=_facts(placed, row, alert, labels, inventory))
        case "resolved":
            facts = _facts(placed, row, alert, labels, inventory)
            return AlertResolved(facts=facts, fired_at=from_ms(row["fired_at"]), reason=row["reason"])
        case kind:
            raise ValueError(f"unknown transition {kind!r}")


def _facts(
    placed: Placed | None, row: dict[str, Any], alert: str, labels: dict[str, str], inventory: Inventory
) -> AlertFacts:
    known = {
        "alert": alert,
        "rule": row["rule"],
        "source": row["source"],
        "labels": labels,
        "value": row["value"],
        "active_at": from_ms(row["active_at"]),
    }
    if placed is None:
        # The rule is gone; its alert ends with what is left of it.
        return AlertFacts(
            **known, platform="", component="", severity="info", title=row["rule"], summary="", threshold="", unit="1"
        )
    rule = placed.rule
    if isinstance(rule, DriftRule):
        return AlertFacts(
            **known,
            platform=placed.platform,
            component=placed.component,
            severity=rule.severity,
            title=rule.title,
            runbook=rule.runbook,
            **_drift_facts(rule, placed.platform, labels, inventory),
        )
    assert isinstance(rule, AlertRule)
    told = summarise(rule, labels, row["value"], placed.unit)
    summary = f"no data: {rule.title}" if row["kind"] == "nodata" else told
    return AlertFacts(
        **known,
        platform=placed.platform,
        component=placed.component,
        severity=rule.severity,
        title=rule.title,
        summary=summary,
        threshold=f"{rule.when.operator} {rule.when.threshold:.12g}",
        unit=placed.unit,
        runbook=rule.runbook,
    )


def _drift_facts(rule: DriftRule, platform: str, labels: Mapping[str, str], inventory: Inventory) -> dict[str, str]:
    """Summary, threshold and unit of a drift alert; what the setting is now is read from the inventory."""
    resource, setting = labels.get("resource", ""), labels.get("setting", "")
    expected = next((one for one in rule.settings if one.setting == setting), None)
    found = next((one for one in inventory.of(platform) if one.id == resource), None)
    actual = found.settings.get(setting, "gone") if found else "gone"
    words = {"resource": resource, "setting": setting, "actual": actual, "expected": str(expected or "gone")}
    return {
        "summary": _filled(rule.summary, words, lambda name, _: words["actual" if name == "value" else "expected"]),
        "threshold": expected.breach if expected else "",
        # A text has no unit.
        "unit": expected.unit if expected and expected.expect else "",
    }


def facts_of(alert: Alert) -> AlertFacts:
    """The facts of an active alert, as at its last transition."""
    return AlertFacts(
        alert=alert.id,
        **alert.model_dump(
            include={
                "rule",
                "source",
                "platform",
                "component",
                "labels",
                "severity",
                "title",
                "summary",
                "value",
                "threshold",
                "unit",
                "active_at",
                "runbook",
            }
        ),
    )


def summarise(rule: AlertRule, labels: Mapping[str, str], value: float | None, unit: str) -> str:
    """The rule's summary with labels and numbers (in `unit`) filled in, on one printable line."""

    def number(name: str, spec: str) -> str:
        known = value if name == "value" else rule.when.threshold
        if known is None:
            return "no data"
        if spec == DURATION:
            seconds = convert(known, unit, "s")
            return human_duration(timedelta(seconds=seconds)) if abs(seconds) < _ENDLESS else "endless time"
        return format(known, spec or ",.6g")

    return _filled(rule.summary, labels, number)


_ENDLESS = 1e10
"""Seconds beyond which a forecast says no more than that it isn't going to happen."""


def _filled(template: str, words: Mapping[str, str], number: Callable[[str, str], str]) -> str:
    parts = []
    for text, name, spec, _ in string.Formatter().parse(template):
        parts.append(text)
        if name in {"value", "threshold"}:
            parts.append(number(name, spec or ""))
        elif name is not None:
            parts.append(words.get(name, "?"))
    return printable("".join(parts), 300)
