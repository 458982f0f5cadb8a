"""From demand to a number of consumers or brokers: raw → tolerance → stabilised → spread → limited → clamped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.model.methods import ConsumerLag, Step
from controlplane.model.recommendations import Stage
from controlplane.model.time import format_duration
from controlplane.model.units import many

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Sized:
    """A number with the stages that led to it."""

    count: int
    wanted: int
    """What the demand alone would take."""
    short: bool
    """Whether the demand is above what is there, beyond the tolerance."""
    stages: tuple[Stage, ...]


def whole(number: float) -> int:
    """The next whole number, unless it is above one by no more than a rounding error."""
    return math.ceil(number - _ROUNDING * max(1.0, abs(number)))


def largest_step(current: int, step: Step) -> int:
    """The size that one step may reach from `current`: the larger of percent and count (HPA, policy Max)."""
    percent = current if step.percent is None else whole(current * (1 + step.percent / 100))
    return max(percent, current + (step.count or 0))


def smallest_step(current: int, step: Step) -> int:
    """The size that one step down may reach from `current`: the smaller of percent and count (HPA, policy Max)."""
    percent = current if step.percent is None else math.trunc(current * max(0.0, 1 - step.percent / 100) + _ROUNDING)
    return max(0, min(percent, current - (step.count or 0)))


def consumers(
    *,
    required: float,
    per_consumer: float,
    current: int,
    partitions: int,
    lag: float,
    threshold: float | None,
    required_before: Sequence[float],
    parameters: ConsumerLag,
) -> Sized:
    """Consumers for `required` messages/s at `per_consumer` messages/s each; never more than there are partitions.

    `required_before` holds the demand at earlier instants of the stabilisation window. An alert about lag never
    takes consumers away. Sources: KEDA kafka_scaler.go for lag ÷ threshold, Kubernetes replica_calculator.go and
    horizontal.go for tolerance, stabilisation and step.
    """
    p = parameters
    stages: list[Stage] = []

    def stage(name: str, value: int, limit: str | None, reason: str) -> int:
        stages.append(Stage(name=name, value=value, limit=limit, reason=reason))
        return value

    if threshold:
        reason = f"KEDA's ceil({lag:,.0f} ÷ {threshold:,.0f}), for comparison: it knows no rates"
        stage("lag ÷ threshold", whole(lag / threshold), None, reason)

    wanted = whole(required / per_consumer)
    reason = f"ceil({required:,.1f} messages/s ÷ {per_consumer:,.1f} messages/s of one consumer)"
    stage("raw", wanted, None, reason)

    ratio = required / (per_consumer * current) if current else math.inf
    limit: str | None
    short = ratio > 1 + p.tolerance + _ROUNDING
    if not short:
        below = ratio < 1 - p.tolerance - _ROUNDING
        limit = "lag never takes consumers away" if below else f"tolerance {p.tolerance:g}"
        count = stage("tolerance", current, limit, f"the demand is {ratio:.2f} of what {many(current, 'consumer')} do")
    else:
        count = stage("tolerance", wanted, None, f"the demand is {ratio:.2f} of what {many(current, 'consumer')} do")

    least = max(current, min([count, *(whole(before / per_consumer) for before in required_before)]))
    window = format_duration(p.stabilise)
    limit = f"smallest demand within {window}" if least < count else None
    count = stage("stabilised", least, limit, f"the smallest demand within {window} counts upwards")

    if p.zones > 1 and count > current:
        even = whole(count / p.zones) * p.zones
        limit = f"{p.zones} zones" if even != count else None
        count = stage("spread", even, limit, f"as many in each of {p.zones} zones")

    reach = largest_step(current, p.max_step)
    limit = f"one step from {current} reaches {reach}" if count > reach else None
    count = stage("rate-limited", min(count, reach), limit, "the largest change at once")

    upper, name = partitions, many(partitions, "partition")
    if p.maximum is not None and p.maximum < upper:
        upper, name = p.maximum, f"maximum {p.maximum}"
    lower = min(p.minimum, upper)
    limit = name if count > upper else f"minimum {p.minimum}" if count < lower else None
    reason = f"between {lower} and {upper}: a partition is read by one consumer of a group"
    count = stage("clamped", min(max(count, lower), upper), limit, reason)
    return Sized(count, wanted, short, tuple(stages))


def brokers_needed(load: float, allowed: float, each: float) -> int:
    """Cruise Control's ceil((utilisation − allowed capacity) ÷ (capacity of a broker × threshold)).

    `allowed` is the capacity of all brokers × threshold and `each` that of one × threshold, in the unit of the load.
    Below 0 so many brokers are more than the load takes.
    """
    return whole((load - allowed) / each)
