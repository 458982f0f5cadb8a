"""From samples to one value per view, label set and step, and whether each rule's conditions hold there."""

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne

import polars as pl

from controlplane.frames import Samples, in_order
from controlplane.rules.compile import Compiled, members

RESULTS = pl.Schema(
    {
        "rule": pl.String,
        "order": pl.UInt32,
        "source": pl.String,
        "labels": pl.String,
        "ts": pl.Int64,
        "value": pl.Float64,
        "met": pl.Boolean,
        "cleared": pl.Boolean,
    }
)
"""One row a rule, label set and step at which the folded signal has a value (null = not a number)."""

_KEY = ["view", "source", "labels", "ts"]


def results(compiled: Compiled, window: Samples) -> pl.DataFrame:
    """What every rule sees in the window: RESULTS, in no particular order.

    Folding follows Prometheus: `sum` and `avg` of a value that is not a number are not a number, `max` and
    `min` ignore it, `count` counts it.
    """
    of_view = members(compiled.views, window.series)
    folds = pl.DataFrame(
        {"view": range(len(compiled.views)), "fold": [view.fold or "" for view in compiled.views]},
        schema={"view": pl.UInt32, "fold": pl.String},
    )
    parts = []
    value = pl.col("value")
    how: dict[str, pl.Expr] = {
        "": value.first(),
        "sum": pl.when(value.is_null().any()).then(None).otherwise(in_order(value).list.sum()),
        "avg": pl.when(value.is_null().any()).then(None).otherwise(in_order(value).list.mean()),
        "max": value.max(),
        "min": value.min(),
        "count": pl.len().cast(pl.Float64),
    }
    for (fold,), views in folds.partition_by("fold", as_dict=True).items():
        mine = of_view.join(views.select("view"), on="view", how="semi")
        rows = window.samples.join(mine, on="sid", maintain_order="left")
        if not fold and not rows.select(_KEY).is_duplicated().any():
            parts.append(rows.select(*_KEY, "value", pl.lit(1, pl.UInt32).alias("n")))
            continue
        n = pl.len() if not fold else pl.lit(1)
        parts.append(rows.group_by(_KEY).agg(how[fold].alias("value"), n.cast(pl.UInt32).alias("n")))
    if not parts:
        return RESULTS.to_frame().with_columns(pl.lit(1, pl.UInt32).alias("n"))
    folded = pl.concat(part.select(*_KEY, "value", "n") for part in parts)
    rules = compiled.rules.select("rule", "order", "view", "operator", "threshold", "clear_operator", "clear_threshold")
    return (
        rules.join(folded, on="view")
        .with_columns(pl.col("value").fill_nan(None))
        .with_columns(
            _holds("operator", "threshold").alias("met"),
            _holds("clear_operator", "clear_threshold").alias("cleared"),
        )
        .select(*RESULTS, "n")
    )


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": gt, ">=": ge, "<": lt, "<=": le, "==": eq, "!=": ne,
}  # fmt: skip


def compare(value: float, operator: str, threshold: float) -> bool:
    """Whether one number meets a condition."""
    return _COMPARISONS[operator](value, threshold)


def _holds(operator: str, threshold: str) -> pl.Expr:
    value, limit, op = pl.col("value"), pl.col(threshold), pl.col(operator)
    return (
        pl.when(op == ">")
        .then(value > limit)
        .when(op == ">=")
        .then(value >= limit)
        .when(op == "<")
        .then(value < limit)
        .when(op == "<=")
        .then(value <= limit)
        .when(op == "==")
        .then(value == limit)
        .when(op == "!=")
        .then(value != limit)
    ).fill_null(value=False)


def covered(compiled: Compiled, coverage: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Which (rule, source, ts) were answered; a step that isn't here says nothing about the rule there.

    `coverage` as in `frames.COVERAGE`; `steps` has the column ts.
    """
    views = pl.DataFrame(
        {
            "view": range(len(compiled.views)),
            "of": [view.platform for view in compiled.views],
            "signal": [view.signal for view in compiled.views],
        },
        schema={"view": pl.UInt32, "of": pl.String, "signal": pl.String},
    )
    return (
        views.join(coverage, on="signal")
        .filter((pl.col("platform") == pl.col("of")) | (pl.col("platform") == ""))
        .join_where(steps, pl.col("ts") >= pl.col("first"), pl.col("ts") <= pl.col("last"))
        .join(compiled.rules.select("rule", "view"), on="view")
        .select("rule", "source", "ts")
        .unique()
    )
