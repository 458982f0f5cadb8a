"""What a backtest found, as a document: transitions, recommendations, notifications and a summary."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from controlplane.backtest.run import Clash, Run
from controlplane.model.events import Draft
from controlplane.model.notifications import Action, Delivery
from controlplane.model.payloads import (
    AlertDropped,
    AlertFired,
    AlertNoData,
    AlertPending,
    AlertResolved,
    NotificationQueued,
)
from controlplane.model.rules import AlertRule, DriftRule
from controlplane.model.signals import Absent, Utilization
from controlplane.model.time import from_ms
from controlplane.present import alert_history, iso, notification_json, recommendation_json
from controlplane.tick.plane import Policy
from controlplane.tick.steps import provisional


@dataclass(frozen=True, slots=True)
class Night:
    """Hours of the day (UTC) at which a page wakes somebody, in minutes since midnight; `end` is outside."""

    begin: int = 22 * 60
    end: int = 7 * 60

    def has(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        minute = at.hour * 60 + at.minute
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.begin, self.end))


@dataclass(frozen=True, slots=True)
class Page:
    """A message that opens an incident or adds to it, to all of its channels."""

    at: datetime
    incident: str
    rule: str
    platform: str
    severity: str
    title: str
    channels: tuple[str, ...]


def pages(notifications: Iterable[NotificationQueued]) -> list[Page]:
    """The messages that trigger, each once however many channels it takes."""
    found: dict[tuple[datetime, str], list[Delivery]] = {}
    for queued in notifications:
        delivery = queued.delivery
        if delivery.message.action is Action.TRIGGER:
            found.setdefault((delivery.queued_at, delivery.message.incident), []).append(delivery)
    made = []
    for (at, incident), deliveries in found.items():
        message, channels = deliveries[0].message, tuple(delivery.channel for delivery in deliveries)
        severity = message.severity.value
        made.append(Page(at, incident, message.rule, message.platform, severity, message.title, channels))
    return made


def document(run: Run, night: Night, about: dict[str, Any], series: pl.DataFrame) -> dict[str, Any]:
    """The result of a run as JSON-ready data; `about` (span, step, counts) begins the summary."""
    recommendations = sorted(run.recommendations.values(), key=lambda r: (r.at, r.id))
    found = pages(run.notifications)
    at_night = [page for page in found if night.has(page.at)]
    return {
        "transitions": [_transition(run.policy, draft) for draft in run.alerts],
        "recommendations": [recommendation_json(recommendation) for recommendation in recommendations],
        "notifications": [notification_json(queued) for queued in run.notifications],
        "summary": {
            **about,
            "steps": run.steps,
            "rules": len(run.policy.rules.rules),
            "rule_problems": [],
            "alerts": sum(isinstance(draft.payload, AlertFired | AlertNoData) for draft in run.alerts),
            "pages": len(found),
            "pages_at_night": len(at_night),
            "pages_by_channel": _by_channel(found),
            "pages_at_night_by_channel": _by_channel(at_night),
            "night": str(night),
            "recommendations": len(recommendations),
            "advice_failed": [{"rule": one.rule, "alert": one.alert, "error": one.error} for one in run.failures],
            "duplicates": [_clash(one) for one in run.clashes()],
            "rules_without_data": without_data(run.policy, series),
        },
    }


def _clash(clash: Clash) -> dict[str, Any]:
    return {
        "rule": clash.rule,
        "labels": json.loads(clash.labels),
        "source": clash.source,
        "at": iso(from_ms(clash.first)),
        "steps": clash.steps,
    }


def _by_channel(found: Iterable[Page]) -> dict[str, int]:
    return dict(sorted(Counter(channel for page in found for channel in page.channels).items()))


def _transition(policy: Policy, draft: Draft) -> dict[str, Any]:
    payload, more = draft.payload, {}
    match payload:
        case AlertPending():
            state = "pending"
        case AlertFired():
            state = "firing"
        case AlertNoData():
            state, more = "firing", {"reason": "no_data"}
        case AlertResolved():
            state = "resolved"
        case AlertDropped():
            state = "inactive"
        case _:
            raise ValueError(f"{payload.type} is no transition")
    told = payload if isinstance(payload, AlertDropped) else payload.facts
    value = told.value
    present = isinstance(payload, AlertResolved | AlertDropped) and payload.reason == "condition"
    if value is None and present and isinstance(policy.placed[told.rule].rule, AlertRule):
        value = math.nan
    return {"rule": told.rule, "labels": told.labels, "state": state, "at": iso(draft.occurred_at), "value": value,
            **more}  # fmt: skip


def episodes(run: Run) -> list[dict[str, Any]]:
    """Every firing with its end, as `present.alert_history` has it."""
    kinds = (AlertFired, AlertNoData, AlertResolved)
    return alert_history(provisional(draft) for draft in run.alerts if isinstance(draft.payload, kinds))


def without_data(policy: Policy, series: pl.DataFrame) -> list[dict[str, Any]]:
    """Rules that can't say anything, because no series is there that they look at: neither firing nor fine."""
    signals = {(platform, signal.name): signal for platform, signal in policy.rules.signals}
    found = []
    for placed in policy.rules.alert_rules():
        rule = placed.rule
        if isinstance(rule, DriftRule):
            continue
        assert isinstance(rule, AlertRule)
        signal = signals[placed.platform, rule.signal]
        there = series.filter(pl.col("platform").is_in([placed.platform, ""]))
        needed = signal.inputs or (signal.name,)
        missing = [name for name in needed if name not in set(there["signal"].unique())]
        any_of = isinstance(signal.derive, Utilization | Absent)
        if missing and (not any_of or len(missing) == len(needed)):
            found.append({"rule": rule.id, "state": "absent", "signals": missing, "where": {}})
        elif not signal.inputs and rule.where and not _matches(there, signal.name, rule.where):
            found.append({"rule": rule.id, "state": "absent", "signals": [signal.name], "where": rule.where})
    return found


def _matches(series: pl.DataFrame, signal: str, where: dict[str, str]) -> bool:
    labels = pl.col("labels").str.json_decode(pl.Struct(dict.fromkeys(where, pl.String)))
    wanted = [labels.struct.field(name) == value for name, value in where.items()]
    return not series.filter(pl.col("signal") == signal).filter(*wanted).is_empty()
