"""What an attempt comes to: the event that records it, and when the next one is due."""

from datetime import datetime, timedelta

from tenacity import RetryCallState, Retrying, wait_random_exponential

from controlplane.model.events import Draft
from controlplane.model.notifications import Delivery
from controlplane.model.payloads import (
    EventPayload,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationSuppressed,
)
from controlplane.notify.receipt import Receipt, Verdict

_BACKOFF = wait_random_exponential(multiplier=2, min=1, max=300)
_LONGEST_WAIT = timedelta(hours=1)
"""A longer Retry-After isn't believed."""
_LIMITED = "asked to wait: "


def settled(delivery: Delivery, receipt: Receipt, at: datetime, max_age: timedelta) -> Draft:
    """Delivered, failed with the time of the next attempt, or dead-lettered: rejected, or too old for another one."""
    attempts = delivery.attempts + 1
    if receipt.verdict is Verdict.DELIVERED:
        delivered = NotificationDelivered(
            delivery=delivery.id,
            channel=delivery.channel,
            reference=receipt.reference,
            attempts=attempts,
            seconds=max(0.0, (at - delivery.queued_at).total_seconds()),
        )
        return _draft(delivery, "delivered", delivered, at)
    if receipt.verdict is Verdict.REJECTED:
        return dead(delivery, attempts, receipt.detail, at)
    if at - delivery.queued_at > max_age:
        return dead(delivery, attempts, f"too old for another attempt; the last one: {receipt.detail}", at)
    wait, error = backoff(attempts), receipt.detail
    if receipt.retry_after is not None:
        wait, error = max(wait, min(receipt.retry_after, _LONGEST_WAIT)), _LIMITED + error
    failed = NotificationFailed(
        delivery=delivery.id, channel=delivery.channel, attempts=attempts, error=error, next_attempt_at=at + wait
    )
    return _draft(delivery, f"failed/{attempts}", failed, at)


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
    """Whether the provider named a time to wait that isn't over; it holds for the whole channel."""
    return delivery.last_error.startswith(_LIMITED) and delivery.next_attempt_at > at


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts: full jitter, between 1 s and 2, 4, 8 … 300 s."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempts
    return timedelta(seconds=_BACKOFF(state))


def _draft(delivery: Delivery, key: str, payload: EventPayload, at: datetime) -> Draft:
    return Draft(stream=f"delivery:{delivery.id}", key=key, payload=payload, occurred_at=at)
