"""How long messages take from the decision to the provider's answer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controlplane.model.payloads import NotificationDelivered

LATELY = timedelta(days=1)
_TYPE = NotificationDelivered.model_fields["type"].default


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds, over so many messages."""

    messages: int
    p50: float
    p99: float
    longest: float


def latencies(log: Any, now: datetime) -> dict[str, Latency]:
    """By channel, of what was delivered within a day before `now`; channels without any are left out."""
    found: dict[str, list[float]] = {}
    for event in log.read(types={_TYPE}, newest_first=True):
        if event.recorded_at < now - LATELY:
            break
        found.setdefault(event.payload.channel, []).append(event.payload.seconds)
    return {name: latency(found[name]) for name in sorted(found)}


def latency(seconds: Iterable[float]) -> Latency:
    """Quantiles by the nearest rank; ValueError where there is nothing to rank."""
    ordered = sorted(seconds)
    if not ordered:
        raise ValueError("no message, no latency")
    return Latency(len(ordered), _rank(ordered, 0.5), _rank(ordered, 0.99), ordered[-1])


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
