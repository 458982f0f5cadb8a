"""The fold behind metrics: how many ticks and deliveries there were, in all."""

from typing import Any

from controlplane.model.events import Event
from controlplane.model.payloads import (
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
    TickCompleted,
)
from controlplane.model.views import LATENCY, Activity

COUNTED = (
    TickCompleted,
    NotificationQueued,
    NotificationDelivered,
    NotificationFailed,
    NotificationDeadLettered,
    NotificationSuppressed,
)


def activity_key(payload: Any) -> str:
    """`channel/NAME`, or `tick`."""
    if isinstance(payload, TickCompleted):
        return "tick"
    return f"channel/{payload.delivery.channel if isinstance(payload, NotificationQueued) else payload.channel}"


def fold_activity(row: Activity | None, event: Event) -> Activity | None:
    """Everything is counted once; a tick that went on bite by bite is one tick."""
    row = row or Activity()
    match event.payload:
        case TickCompleted(now=now, steps=steps):
            update: dict[str, Any] = {"ticks": row.ticks + (row.last != now), "steps": row.steps + steps, "last": now}
        case NotificationQueued():
            update = {"queued": row.queued + 1}
        case NotificationDelivered(seconds=seconds):
            update = {"delivered": row.delivered + 1, "seconds": row.seconds + seconds, "within": _within(row, seconds)}
        case NotificationFailed():
            update = {"failed": row.failed + 1}
        case NotificationDeadLettered():
            update = {"dead": row.dead + 1}
        case NotificationSuppressed():
            update = {"suppressed": row.suppressed + 1}
        case _:
            return row
    return row.model_copy(update=update)


def _within(row: Activity, seconds: float) -> tuple[int, ...]:
    return tuple(count + (seconds <= limit) for count, limit in zip(row.within, LATENCY, strict=True))
