"""Compile alert rules into frames: which series each rule looks at, how it folds them, what it compares with.

Rules that look at the same signal the same way share one *view* (platform, signal, where, by, fold), so that
folding is done once for all of them.
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.model.rules import AlertRule, DriftRule, Placed, RuleSet
from controlplane.model.signals import Signal

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
class View:
    """How some rules look at a signal."""

    platform: str
    signal: str
    where: tuple[tuple[str, str], ...]
    by: tuple[str, ...] | None
    fold: str | None


@dataclass(frozen=True, slots=True)
class Compiled:
    """Alert rules ready to be evaluated; see RULES for the frame."""

    rules: pl.DataFrame
    views: tuple[View, ...]
    derived: tuple[tuple[str, Signal], ...] = ()
    """(pack, signal) pairs of the derived signals that a rule reads."""
    drift: tuple[tuple[int, Placed], ...] = ()
    """(order, rule) pairs of the drift rules; they have no view."""

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


def members(views: tuple[View, ...], series: pl.DataFrame) -> pl.DataFrame:
    """Which series belong to which view, and the labels that identify the result they fold into.

    `series` as in `frames.SERIES`; returns view u32, sid u32, source str, labels str (canonical JSON of the
    labels in `by`; of all labels where a view doesn't fold).
    """
    parts = [_members_of(index, view, series) for index, view in enumerate(views)]
    schema = {"view": pl.UInt32, "sid": pl.UInt32, "source": pl.String, "labels": pl.String}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _members_of(index: int, view: View, series: pl.DataFrame) -> pl.DataFrame:
    mine = series.filter(
        (pl.col("signal") == view.signal) & ((pl.col("platform") == view.platform) | (pl.col("platform") == ""))
    )
    names = sorted({name for name, _ in view.where} | set(view.by or ()))
    if names:
        fields = pl.Struct([pl.Field(name, pl.String) for name in names])
        mine = mine.with_columns(pl.col("labels").str.json_decode(fields).alias("_"))
        for name, value in view.where:
            mine = mine.filter(pl.col("_").struct.field(name) == value)
    labels = pl.col("labels") if view.by is None else _identity(view.by)
    return mine.select(pl.lit(index, pl.UInt32).alias("view"), "sid", "source", labels.alias("labels"))


def _identity(by: tuple[str, ...]) -> pl.Expr:
    """Canonical JSON of the named labels, leaving out absent and empty ones."""
    pairs = []
    for name in by:
        value = pl.col("_").struct.field(name)
        # A struct with one field encodes to {"name":…}; its inside is the quoted pair.
        pair = pl.struct(value.alias(name)).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        pairs.append(pl.when(value.is_not_null() & (value != "")).then(pair))
    if not pairs:
        return pl.lit("{}")
    return pl.concat_str(pl.lit("{"), pl.concat_str(pairs, separator=",", ignore_nulls=True), pl.lit("}"))
