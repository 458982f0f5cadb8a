"""How the watching itself does: what is muted or forgotten, sources that were down, messages that were given up."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

from controlplane.digest.facts import Facts, short
from controlplane.model.digest import LISTED, DeadLetters, Down, Muted
from controlplane.model.payloads import NotificationDeadLettered, SourceFailed, SourceRecovered, TickCompleted

SOON = timedelta(days=1)
"""Silences that end within this time are told."""
FORGOTTEN = timedelta(hours=8)
"""An acknowledgement that is older than a shift, of an alert that still fires, is forgotten (house)."""


def muted(facts: Facts) -> list[Muted]:
    """Silences that end within the next day, and forgotten acknowledgements; what ends first, then the oldest."""
    ends = [
        Muted(
            kind=one.kind,
            what=short(", ".join(str(matcher) for matcher in one.matchers)),
            by=short(one.author, 60),
            at=one.ends_at,
            matches=facts.muted.get(name, 0),
            reason=short(one.reason),
        )
        for name, one in facts.silences.items()
        if one.active(facts.as_of) and one.ends_at <= facts.as_of + SOON
    ]
    taken = [
        Muted(
            kind="acknowledgement",
            what=short(alert.summary or alert.title),
            by=short(alert.acknowledged.actor, 60),
            at=alert.acknowledged.at,
            matches=1,
            reason=short(alert.acknowledged.note),
        )
        for alert in facts.alerts.values()
        if alert.acknowledged is not None and facts.as_of - alert.acknowledged.at >= FORGOTTEN
    ]
    ends.sort(key=lambda one: (one.at, one.what))
    taken.sort(key=lambda one: (one.at, one.what))
    return [*ends[:LISTED], *taken[:LISTED]][: 2 * LISTED]


def down(facts: Facts) -> list[Down]:
    """Sources that failed within the day, those that still do first, then the longest."""
    spans: dict[tuple[str, str], list[tuple[datetime, datetime]]] = {}
    since: dict[tuple[str, str], datetime] = {}
    errors: dict[tuple[str, str], str] = {}
    for event in facts.events:
        payload = event.payload
        if isinstance(payload, SourceFailed):
            key = (payload.source, payload.signal or "")
            since.setdefault(key, event.occurred_at)
            errors[key] = payload.error
        elif isinstance(payload, SourceRecovered):
            key = (payload.source, payload.signal or "")
            began = max(since.pop(key, payload.failed_since), facts.start)
            spans.setdefault(key, []).append((began, event.occurred_at))
    for name, health in facts.sources.items():
        for signal, error in health.failed.items():
            key = (name, signal)
            errors.setdefault(key, error)
            since.setdefault(key, health.since.get(signal, facts.start))
    going = {key for key in since if key[1] in _failed(facts, key[0])}
    for key, began in since.items():
        if began < facts.end:
            spans.setdefault(key, []).append((max(began, facts.start), facts.end))
    by_source: dict[str, list[tuple[str, str]]] = {}
    for key in spans:
        by_source.setdefault(key[0], []).append(key)
    found = [
        Down(
            source=short(source, 60),
            signals=0 if any(not signal for _, signal in keys) else len(keys),
            lasted=_length([span for key in keys for span in spans[key]]),
            error=short(errors.get(keys[-1], "")),
            now=any(key in going for key in keys),
        )
        for source, keys in by_source.items()
    ]
    found.sort(key=lambda one: (not one.now, -one.lasted, one.source))
    return found[:LISTED]


def _failed(facts: Facts, source: str) -> frozenset[str]:
    health = facts.sources.get(source)
    return frozenset(health.failed) if health is not None else frozenset()


def _length(spans: list[tuple[datetime, datetime]]) -> timedelta:
    """How long at least one of the spans held."""
    whole = timedelta(0)
    reached: datetime | None = None
    for began, ended in sorted(spans):
        start = began if reached is None else max(began, reached)
        whole += max(timedelta(0), ended - start)
        reached = ended if reached is None else max(reached, ended)
    return whole


def dead(facts: Facts) -> list[DeadLetters]:
    """Messages that were given up within the day, by channel."""
    counts: Counter[str] = Counter()
    errors: dict[str, str] = {}
    for event in facts.events:
        if isinstance(event.payload, NotificationDeadLettered):
            counts[event.payload.channel] += 1
            errors[event.payload.channel] = event.payload.error
    return [
        DeadLetters(channel=short(name, 60), count=count, error=short(errors[name]))
        for name, count in counts.most_common(LISTED)
    ]


def ticks(facts: Facts) -> tuple[int, timedelta]:
    """How many ticks there were, and the longest time between two of them."""
    at = list(dict.fromkeys(event.payload.now for event in facts.events if isinstance(event.payload, TickCompleted)))
    return len(at), max((after - before for before, after in pairwise(at)), default=timedelta(0))
