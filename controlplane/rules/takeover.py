"""The derived signals of takeover: rows of their inputs in, rows of the derived signal out."""

from collections.abc import Mapping

import polars as pl

from controlplane.model.resources import Inventory
from controlplane.model.takeover import (
    FailoverCandidates,
    FailoverLoss,
    IsrMargin,
    SentinelCandidates,
    SentinelMargin,
    Takeover,
)
from controlplane.readiness import brokers, caches, databases
from controlplane.rules.columns import as_labels, label
from controlplane.rules.windows import ROWS


def takeover_values(
    method: Takeover, rows: Mapping[str, pl.DataFrame], steps: pl.DataFrame, inventory: Inventory, platform: str
) -> pl.DataFrame:
    """`windows.ROWS` at the steps (source, ts); a step at which it can't be told has no row."""
    match method:
        case FailoverCandidates() | FailoverLoss():
            position, lag, synchronous = (_columns(rows[name], "cluster", "host") for name in method.inputs)
            members = databases.members_of(inventory.resources, platform, method.role)
            standing = databases.standings(position, lag, synchronous, members, steps, method)
            found = (
                databases.losses(standing, method.measure)
                if isinstance(method, FailoverLoss)
                else databases.candidates(standing)
            )
            return _series(found, "cluster")
        case SentinelCandidates() | SentinelMargin():
            now = {name: _columns(_at(rows[name], steps), "cluster") for name in method.inputs}
            judged = caches.judged(now, method.inputs)
            return _series(
                caches.margins(judged) if isinstance(method, SentinelMargin) else caches.candidates(judged), "cluster"
            )
        case IsrMargin():
            in_sync = _columns(_at(rows[method.of], steps), "cluster", "topic", "partition")
            minimum = _columns(_at(rows[method.minimum], steps), "cluster", "topic")
            return _series(brokers.worst(brokers.margins(in_sync, minimum, method.or_else)), "cluster", "topic")
        case _:
            raise NotImplementedError(type(method).__name__)


def _at(rows: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    return rows.join(steps, on=["source", "ts"], how="semi")


def _columns(rows: pl.DataFrame, *names: str) -> pl.DataFrame:
    return rows.select("source", *(label(name).alias(name) for name in names), "ts", "value")


def _series(found: pl.DataFrame, *names: str) -> pl.DataFrame:
    labels = as_labels(**{name: pl.col(name) for name in names}).alias("labels")
    return found.select("source", labels, "ts", "value").cast(ROWS)
