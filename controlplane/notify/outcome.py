"""What an attempt comes to: the event that records it, and when the next one is due."""

import hashlib
from datetime import datetime, timedelta

from controlplane.model.events import Draft
from controlplane.model.notifications import Delivery, Shown
from controlplane.model.payloads import (
    EventPayload,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationSuppressed,
)
from controlplane.notify.receipt import Receipt, Verdict

_SHORTEST, _LONGEST = 1.0, 300.0
_LONGEST_WAIT = timedelta(hours=1)
"""A longer Retry-After isn't believed."""
_LIMITED = "asked to wait: "


def settled(delivery: Delivery, receipt: Receipt, at: datetime, max_age: timedelta) -> Draft:
    """Delivered, failed with the time of the next attempt, or dead-lettered: rejected, or waiting for too long."""
    attempts = delivery.attempts + 1
    if receipt.verdict is Verdict.DELIVERED:
        delivered = NotificationDelivered(
            delivery=delivery.id,
            channel=delivery.channel,
            reference=receipt.reference,
            attempts=attempts,
            seconds=max(0.0, (at - delivery.waits_since).total_seconds()),
            detail=receipt.detail,
            shown=_shown(delivery, receipt),
        )
        return _draft(delivery, "delivered", delivered, at)
    if receipt.verdict is Verdict.REJECTED:
        return dead(delivery, attempts, receipt.detail, at)
    if at - delivery.waits_since > max_age:
        return dead(delivery, attempts, f"too old for another attempt; the last one: {receipt.detail}", at)
    wait, error = backoff(f"{delivery.id}/{delivery.turn}", attempts), receipt.detail
    if receipt.limited:
        asked = receipt.retry_after or timedelta(0)
        wait, error = max(wait, min(asked, _LONGEST_WAIT)), _LIMITED + error
    failed = NotificationFailed(
        delivery=delivery.id, channel=delivery.channel, attempts=attempts, error=error, next_attempt_at=at + wait
    )
    return _draft(delivery, f"failed/{attempts}", failed, at)


def _shown(delivery: Delivery, receipt: Receipt) -> Shown | None:
    message = delivery.message
    if not receipt.editable:
        return None
    return Shown(
        channel=delivery.channel,
        dedup_key=message.dedup_key,
        reference=receipt.reference,
        action=message.action,
        severity=message.severity,
        firing=message.firing,
    )


def dead(delivery: Delivery, attempts: int, error: str, at: datetime) -> Draft:
    """Given up."""
    payload = NotificationDeadLettered(delivery=delivery.id, channel=delivery.channel, attempts=attempts, error=error)
    return _draft(delivery, "dead", payload, at)


def dropped(delivery: Delivery, reason: str, at: datetime) -> Draft:
    """Not sent, because nobody needs it any more."""
    payload = NotificationSuppressed(
        incident=delivery.message.incident, channel=delivery.channel, reason=reason, delivery=delivery.id
    )
    return _draft(delivery, "dropped", payload, at)


def resting(delivery: Delivery, at: datetime) -> bool:
    """Whether the provider wanted fewer messages and the wait isn't over; it holds for the whole channel."""
    return delivery.last_error.startswith(_LIMITED) and delivery.next_attempt_at > at


def backoff(delivery: str, attempts: int) -> timedelta:
    """How long to wait after so many failed attempts: full jitter, between 1 s and 2, 4, 8 … 300 s.

    The jitter is a hash of delivery and attempt: those that failed together come apart, and a replay waits as long.
    """
    high = min(_LONGEST, 2.0 ** min(attempts, 20))
    drawn = int.from_bytes(hashlib.sha256(f"{delivery}|{attempts}".encode()).digest()[:8], "big") / 2**64
    return timedelta(seconds=_SHORTEST + drawn * (high - _SHORTEST))


def _draft(delivery: Delivery, key: str, payload: EventPayload, at: datetime) -> Draft:
    key = f"{delivery.turn}/{key}" if delivery.turn else key
    return Draft(stream=f"delivery:{delivery.id}", key=key, payload=payload, occurred_at=at)
