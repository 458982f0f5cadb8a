"""What a screen needs of the signals behind active alerts: the newest value and the last half hour."""

from collections.abc import Iterable, Mapping

import polars as pl

from controlplane.model.alerts import Alert, Reading
from controlplane.model.labels import canonical
from controlplane.model.time import from_ms

POINTS = 120


def readings(alerts: Iterable[Alert], results: pl.DataFrame, before: Mapping[str, Reading]) -> list[Reading]:
    """One reading per active alert: its earlier history and the results (`rules.fold.RESULTS`) of the window."""
    active = [(alert.id, alert.rule, alert.source, canonical(alert.labels)) for alert in alerts]
    schema = {"alert": pl.String, "rule": pl.String, "source": pl.String, "labels": pl.String}
    index = pl.DataFrame(active, schema=schema, orient="row")
    rows = index.join(results, on=["rule", "source", "labels"], how="left").sort("alert", "ts")
    fresh = rows.group_by("alert", maintain_order=True).agg(pl.col("ts").drop_nulls(), "value")
    made = []
    for alert, steps, values in fresh.iter_rows():
        old = before.get(alert)
        points = dict(old.history) if old else {}
        points.update(zip(steps, values, strict=False))
        history = tuple(sorted(points.items())[-POINTS:])
        if history:
            made.append(Reading(alert=alert, at=from_ms(history[-1][0]), value=history[-1][1], history=history))
    return made
