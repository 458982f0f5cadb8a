"""What follows: alerts and recommendations, decided in one transaction, and the messages about them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from dagster import AssetExecutionContext, AssetKey, AssetSpec, MaterializeResult, asset, multi_asset

from assets.resources import ControlPlaneResource, readable_errors
from assets.telemetry import inventory, kafka_lag, now_of, prometheus_samples
from controlplane import bootstrap
from controlplane.eventlog.projections import ALERTS, OUTBOX
from controlplane.monitor.after import after_tick
from controlplane.monitor.counting import Counting
from controlplane.tick.run import catch_up


@multi_asset(
    group_name="decisions",
    specs=[
        AssetSpec(
            "alerts",
            deps=[prometheus_samples, kafka_lag, inventory],
            description="Rules over samples: pending, fired and resolved alerts, as events.",
            kinds={"polars"},
        ),
        AssetSpec(
            "recommendations",
            deps=[AssetKey("alerts"), inventory],
            description="What to do about the alerts that fire, with its cost and whether it survives a loss.",
            kinds={"python"},
        ),
    ],
)
def decisions(context: AssetExecutionContext, control_plane: ControlPlaneResource) -> Iterator[MaterializeResult[None]]:
    """Evaluate every step since the last tick and append what follows from it."""
    began = time.monotonic()
    plane = control_plane.plane
    with readable_errors():
        passes, _ = catch_up(plane, now_of(context), control_plane.collected)
    took = round((time.monotonic() - began) * 1000)
    fired, resolved = sum(p.fired for p in passes), sum(p.resolved for p in passes)
    yield MaterializeResult(
        asset_key="alerts",
        metadata={
            "steps": sum(p.steps for p in passes),
            "rows": sum(p.rows for p in passes),
            "series": max((p.series for p in passes), default=0),
            "pending": sum(p.pending for p in passes),
            "fired": fired,
            "resolved": resolved,
            "transitions": sum(p.pending for p in passes) + fired + resolved,
            "active": len(plane.log.rows(ALERTS)),
            "rules": len(plane.rules.alert_rules()),
            "log_position": plane.log.head(),
            "milliseconds": took,
        },
    )
    yield MaterializeResult(
        asset_key="recommendations",
        metadata={
            "proposed": sum(p.proposed for p in passes),
            "revised": sum(p.revised for p in passes),
            "withdrawn": sum(p.withdrawn for p in passes),
            "open": Counting(plane.log).recommendations().total(),
            "milliseconds": took,
        },
    )


@asset(group_name="delivery", deps=["alerts", "recommendations"], kinds={"slack", "pagerduty"})
def notifications(context: AssetExecutionContext, control_plane: ControlPlaneResource) -> MaterializeResult[None]:
    """Deliver what is due in the outbox: each message queued before it is sent, delivered or failed after.

    It ends a tick, which is then noted and told to whoever waits for heartbeats.
    """
    began = time.monotonic()
    with readable_errors():
        report = bootstrap.deliver(control_plane.settings, control_plane.plane.log)
        now, at = now_of(context), datetime.now(UTC)
        after_tick(control_plane.settings, control_plane.plane, now, max(0.0, (at - now).total_seconds()), at)
    return MaterializeResult(
        metadata={
            "delivered": report.delivered,
            "failed": report.failed,
            "dead_lettered": report.dead_lettered,
            "waiting": len(control_plane.plane.log.rows(OUTBOX)),
            "milliseconds": round((time.monotonic() - began) * 1000),
        }
    )
