"""What is known about one rule: its signal and what that is made of, who advises on it, which figures it checks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controlplane.model.figures import Figure
from controlplane.model.rules import AlertRule, FailoverRule, Placed, RuleSet, ScalingRule
from controlplane.model.signals import Absent, Signal


@dataclass(frozen=True, slots=True)
class Description:
    """A rule and what surrounds it."""

    placed: Placed
    signal: Signal | None
    """What an alert rule reads; None for the other kinds."""
    inputs: tuple[Signal, ...]
    """What a derived signal is made of."""
    figures: tuple[Figure, ...]
    """The documented figures that the rule checks, as far as they are known."""
    advised_by: tuple[Placed, ...]
    """Scaling and failover rules that answer its alerts."""


def describe(placed: Placed, rules: RuleSet, figures: Mapping[str, Figure]) -> Description:
    """What the set of rules and the figures (by id) say about one of the rules."""
    known = {signal.name: signal for platform, signal in rules.signals if platform == placed.platform}
    signal = known.get(placed.rule.signal) if isinstance(placed.rule, AlertRule) else None
    inputs = tuple(known[name] for name in signal.inputs if name in known) if signal is not None else ()
    return Description(
        placed,
        signal,
        inputs,
        tuple(figures[name] for name in dict.fromkeys(placed.covers) if name in figures),
        tuple(advisers(placed.id, rules)),
    )


def advisers(rule: str, rules: RuleSet) -> Iterable[Placed]:
    """The scaling and failover rules that answer alerts of a rule, in file order."""
    for other in rules.rules:
        if isinstance(other.rule, ScalingRule | FailoverRule) and rule in other.rule.on:
            yield other


def reads(placed: Placed, signal: Signal | None) -> tuple[str, ...]:
    """The measured signals without which a rule on `signal` can't be evaluated; none where it is no alert rule."""
    if not isinstance(placed.rule, AlertRule):
        return ()
    if signal is None or signal.derive is None:
        return (placed.rule.signal,)
    # That these are gone is what the method `absent` tells.
    return () if isinstance(signal.derive, Absent) else signal.inputs
