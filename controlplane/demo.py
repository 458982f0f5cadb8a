"""Replay the recorded evening through the same tick that production uses."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from controlplane.eventlog.projections import RECOMMENDATIONS
from controlplane.model.payloads import NotificationQueued
from controlplane.notify.addresses import PAGERDUTY, SLACK
from controlplane.notify.routing import default_route
from controlplane.present import alert_history, iso, notification_json, recommendation_json
from controlplane.settings import Channel, InventoryFile, Notify, RecordedSource, Secret, Settings
from controlplane.tick import ControlPlane, tick

START = datetime(2026, 3, 12, 18, tzinfo=UTC)
END = datetime(2026, 3, 12, 20, 24, tzinfo=UTC)
"""The recording goes on until 21:00; here a zone, a node and a database are down, with the most to look at."""
CADENCE = timedelta(minutes=24)
_STORES = ("events.db", "events.db-wal", "events.db-shm", "telemetry.duckdb", "telemetry.duckdb.wal", "tick.lock")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the replay is."""

    now: datetime
    share: float
    alerts: int
    recommendations: int
    notifications: int


def settings(home: Path, platforms: tuple[str, ...], lookback: timedelta = CADENCE) -> Settings:
    """Settings that read the shipped recording, inventories and prices of the packs; nothing is ever sent.

    `lookback` is the time before the first tick that is evaluated with it.
    """
    root = Path(str(resources.files("fixtures")))
    recorded = [
        RecordedSource(
            name=f"{platform}-recorded",
            type="recorded",
            path=root / platform / "evening.parquet",
            platform=platform,
            lookback=lookback,
        )
        for platform in platforms
    ]
    inventories = [
        InventoryFile(
            name=f"{platform}-inventory", type="inventory", platform=platform, path=root / platform / "inventory.yaml"
        )
        for platform in platforms
    ]
    channels = (
        Channel(name="slack", url=Secret(env="CONTROLPLANE_DEMO_SLACK")),
        Channel(name="pagerduty", url=Secret(env="CONTROLPLANE_DEMO_PAGERDUTY")),
    )
    route = default_route({"slack": SLACK, "pagerduty": PAGERDUTY})
    return Settings(
        environment="demo",
        home=home,
        platforms=platforms,
        sources=(*recorded, *inventories),
        notify=Notify(channels=channels, route=route),
    )


def clear(home: Path) -> None:
    """Remove what an earlier demo left; the directory is the demo's own."""
    for name in _STORES:
        (home / name).unlink(missing_ok=True)
    for left in home.glob("telemetry.duckdb.*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def replay(plane: ControlPlane, on_progress: Callable[[Progress], None]) -> None:
    """Tick through the evening; each tick catches up with the steps since the last one."""
    now, alerts, recommendations, notifications = START, 0, 0, 0
    while now < END:
        now = min(END, now + CADENCE)
        for decided in tick(plane, now).decided:
            alerts += decided.fired
            recommendations += decided.proposed
            notifications += decided.notifications
        on_progress(Progress(now, (now - START) / (END - START), alerts, recommendations, notifications))


def document(plane: ControlPlane) -> dict[str, Any]:
    """What the evening led to: alerts, recommendations, notifications and a summary."""
    log = plane.log
    alerts = alert_history(log.read(types={"alert_fired.v1", "alert_no_data.v1", "alert_resolved.v1"}))
    recommendations = sorted(log.rows(RECOMMENDATIONS).values(), key=lambda r: (r.at, r.id))
    notifications = [
        notification_json(event.payload)
        for event in log.read(types={"notification_queued.v1"})
        if isinstance(event.payload, NotificationQueued)
    ]
    verification = log.verify()
    newest = next(log.read(newest_first=True, limit=1), None)
    return {
        "alerts": alerts,
        "recommendations": [recommendation_json(recommendation) for recommendation in recommendations],
        "notifications": notifications,
        "summary": {
            "from": iso(START),
            "to": iso(END),
            "platforms": sorted({alert["platform"] for alert in alerts}),
            "rules": len(plane.rules.rules),
            "rule_problems": [str(problem) for problem in plane.rule_problems],
            "events": verification.checked,
            "log_verified": verification.ok,
            "head": newest.hash if newest else "",
            "alerts_fired": len(alerts),
            "alerts_firing": sum(alert["state"] != "resolved" for alert in alerts),
            "recommendations": len(recommendations),
            "notifications": len(notifications),
        },
    }
