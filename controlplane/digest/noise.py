"""Rules that fire often while nobody has to act, and what to change about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from controlplane.digest.changes import Firing, Shape, advise
from controlplane.digest.facts import Facts, short
from controlplane.digest.pages import TOLD
from controlplane.model.digest import Noisy
from controlplane.model.labels import describe
from controlplane.model.notifications import Action
from controlplane.model.payloads import (
    AlertAcknowledged,
    AlertFacts,
    AlertFired,
    AlertNoData,
    AlertResolved,
    NotificationQueued,
    RecommendationApproved,
    RecommendationExecuted,
    RecommendationRejected,
)
from controlplane.model.rules import AlertRule
from controlplane.model.severity import Severity
from controlplane.model.time import human_duration
from controlplane.model.units import many

LEAST = 3
"""A rule that was right so seldom, or fired no oftener, isn't noise."""
TOGETHER = timedelta(minutes=5)
"""Alerts of a rule that begin within this time of each other are one occasion, such as the loss of a zone."""
TOP = 5


@dataclass
class _Rule:
    facts: AlertFacts
    firings: list[Firing] = field(default_factory=list)
    pages: set[str] = field(default_factory=set)
    alerts: Counter[str] = field(default_factory=Counter)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def idle(self) -> list[Firing]:
        return [one for one in self.firings if not one.acted]


def noisy(facts: Facts) -> list[Noisy]:
    """The rules that fired on most occasions without anybody acting, the worst first; at most TOP of them."""
    rules = [rule for rule in _gathered(facts).values() if _worth(rule)]
    rules.sort(key=lambda rule: (-occasions(rule.idle), -len(rule.firings), rule.facts.rule))
    return [_told(facts, rule) for rule in rules[:TOP]]


def _worth(rule: _Rule) -> bool:
    """Whether it disturbed somebody often enough, and mostly for nothing."""
    disturbs = bool(rule.pages) or rule.facts.severity is not Severity.INFO
    return disturbs and occasions(rule.idle) >= LEAST and 2 * len(rule.idle) > len(rule.firings)


def occasions(firings: Sequence[Firing]) -> int:
    """How many times something happened: what begins within five minutes of another one counts once."""
    return len(_occasions(firings))


def _occasions(firings: Sequence[Firing]) -> list[list[Firing]]:
    found: list[list[Firing]] = []
    for one in sorted(firings, key=lambda firing: firing.began):
        if not found or one.began - found[-1][-1].began > TOGETHER:
            found.append([])
        found[-1].append(one)
    return found


def _gathered(facts: Facts) -> dict[str, _Rule]:
    rules: dict[str, _Rule] = {}
    rule_of: dict[str, _Rule] = {}
    going: dict[str, Firing] = {}
    of = {one.id: one.alert for one in facts.recommendations.values()}
    for event in facts.events:
        payload = event.payload
        if isinstance(payload, AlertFired | AlertNoData):
            one = payload.facts
            rule = rules.setdefault(one.rule, _Rule(one))
            if one.alert not in going:
                rule_of[one.alert] = rule
                going[one.alert] = Firing(one.alert, event.occurred_at, value=one.value)
                rule.firings.append(going[one.alert])
                rule.alerts[one.alert] += 1
                rule.labels[one.alert] = one.labels
        elif isinstance(payload, AlertResolved):
            ended = going.pop(payload.facts.alert, None)
            if ended is not None:
                ended.ended = event.occurred_at
        elif isinstance(payload, AlertAcknowledged):
            _acted(going, payload.alert)
        elif isinstance(payload, RecommendationApproved | RecommendationExecuted | RecommendationRejected):
            _acted(going, of.get(payload.recommendation, ""))
        elif isinstance(payload, NotificationQueued):
            message = payload.delivery.message
            if message.subject in TOLD and message.action is Action.TRIGGER and not message.repeated:
                for member in message.members:
                    if member.firing and member.alert in rule_of:
                        rule_of[member.alert].pages.add(message.dedup_key)
    for rule in rules.values():
        _shared(rule.firings)
    return rules


def _acted(going: dict[str, Firing], alert: str) -> None:
    if alert in going:
        going[alert].acted = True


def _shared(firings: Sequence[Firing]) -> None:
    """Who acts on one alert of an occasion acts on the occasion."""
    for together in _occasions(firings):
        if any(one.acted for one in together):
            for one in together:
                one.acted = True


def _told(facts: Facts, rule: _Rule) -> Noisy:
    one = rule.facts
    lengths = [length for firing in rule.firings if (length := firing.length) is not None]
    acted = len(rule.firings) - len(rule.idle)
    return Noisy(
        rule=short(one.rule, 80),
        title=short(one.title),
        platform=short(one.platform, 60),
        severity=one.severity,
        fired=len(rule.firings),
        alerts=len(rule.alerts),
        acted=acted,
        median=_middle(lengths),
        pages=len(rule.pages),
        said=_sentence(rule, lengths, acted, facts.as_of),
        change=short(advise(rule.firings, _shape(facts, one)), 500),
    )


def _sentence(rule: _Rule, lengths: Sequence[timedelta], acted: int, as_of: datetime) -> str:
    fired = len(rule.firings)
    parts = [f"fired {many(fired, 'time')}"]
    happened = occasions(rule.firings)
    if happened < fired:
        parts[0] += f" on {many(happened, 'occasion')}"
    middle = _middle(lengths)
    parts.append("none has ended" if middle is None else f"median {human_duration(middle)}")
    if going := fired - len(lengths):
        longest = max(as_of - one.began for one in rule.firings if one.ended is None)
        parts += [f"{going} still firing, for up to {human_duration(longest)}"] if lengths else []
    parts.append("nobody acted on any" if not acted else f"somebody acted on {acted}")
    alert, often = rule.alerts.most_common(1)[0]
    if fired >= 2 * LEAST and 5 * often >= 4 * fired:
        parts.append(f"{often} of them for {short(describe(rule.labels[alert]), 120) or 'one alert'}")
    return ", ".join(parts)


def _middle(lengths: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=round(median(one.total_seconds() for one in lengths))) if lengths else None


def _shape(facts: Facts, one: AlertFacts) -> Shape | None:
    placed = facts.rules.get(one.rule)
    if placed is None or not isinstance(placed.rule, AlertRule):
        return None
    rule = placed.rule
    return Shape(
        wait=rule.for_,
        keep=rule.keep_firing_for,
        operator=rule.when.operator,
        threshold=rule.when.in_unit(placed.unit).threshold,
        unit=placed.unit,
        severity=rule.severity,
        clears=rule.clear is not None,
    )
