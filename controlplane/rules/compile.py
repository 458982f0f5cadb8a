"""Compile alert rules into frames: which series each rule looks at, how it folds them, what it compares with.

Rules that look at the same signal the same way share one *view* (platform, signal, where, by, fold), so that
folding is done once for all of them.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from controlplane.model.rules import AlertRule, DriftRule, Placed, RuleSet
from controlplane.model.signals import Signal
from controlplane.rules.membership import Memory, View

RULES = pl.Schema(
    {
        "rule": pl.String,
        "order": pl.UInt32,
        "view": pl.UInt32,
        "operator": pl.String,
        "threshold": pl.Float64,
        "clear_operator": pl.String,
        "clear_threshold": pl.Float64,
        "for_ms": pl.Int64,
        "keep_firing_ms": pl.Int64,
        "keep_missing_ms": pl.Int64,
        "alert_on_missing": pl.Boolean,
    }
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Alert rules ready to be evaluated; see RULES for the frame."""

    rules: pl.DataFrame
    views: tuple[View, ...]
    derived: tuple[tuple[str, Signal], ...] = ()
    """(pack, signal) pairs of the derived signals that a rule reads."""
    drift: tuple[tuple[int, Placed], ...] = ()
    """(order, rule) pairs of the drift rules; they have no view."""
    measured: Memory = field(default_factory=Memory, compare=False, repr=False)
    """Remembers which of the series in a window belong to which view."""
    expected: Memory = field(default_factory=Memory, compare=False, repr=False)
    """The same for the series that rules with `missing: alert` expect."""

    def signals(self) -> frozenset[str]:
        """Names of the signals that the rules read, those that they are derived from included."""
        return frozenset(
            [*(view.signal for view in self.views), *(name for _, signal in self.derived for name in signal.inputs)]
        )


def compile_rules(rule_set: RuleSet) -> Compiled:
    """Compile the alert rules of a rule set, in its order."""
    views: dict[View, int] = {}
    rows = []
    drift = []
    for order, placed in enumerate(rule_set.alert_rules()):
        rule = placed.rule
        if isinstance(rule, DriftRule):
            drift.append((order, placed))
            rows.append({"rule": rule.id, "order": order, "for_ms": _ms(rule.for_), "keep_firing_ms": 0,
                         "keep_missing_ms": 0, "alert_on_missing": False})  # fmt: skip
            continue
        assert isinstance(rule, AlertRule)
        by = None if rule.by is None else tuple(sorted(rule.by))
        view = View(placed.platform, rule.signal, tuple(sorted(rule.where.items())), by, rule.fold)
        rows.append(
            {
                "rule": rule.id,
                "order": order,
                "view": views.setdefault(view, len(views)),
                "operator": rule.when.operator,
                "threshold": rule.when.threshold,
                "clear_operator": rule.clear.operator if rule.clear else None,
                "clear_threshold": rule.clear.threshold if rule.clear else None,
                "for_ms": _ms(rule.for_),
                "keep_firing_ms": _ms(rule.keep_firing_for),
                "keep_missing_ms": _ms(rule.missing.keep_for) if rule.missing.policy == "keep" else 0,
                "alert_on_missing": rule.missing.policy == "alert",
            }
        )
    read = {(view.platform, view.signal) for view in views}
    derived = tuple(
        (platform, signal)
        for platform, signal in rule_set.signals
        if signal.derive is not None and (platform, signal.name) in read
    )
    return Compiled(pl.DataFrame(rows, schema=RULES), tuple(views), derived, tuple(drift))


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))
