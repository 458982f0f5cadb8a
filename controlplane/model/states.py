"""States of alerts, recommendations and deliveries; apart from their models, so that screens draw before those load."""

from enum import StrEnum


class AlertState(StrEnum):
    """pending waits for its `for`; firing has been reported; nodata fires because its series is gone."""

    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "nodata"


class Status(StrEnum):
    """The life of a recommendation; open = proposed or approved."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXECUTED = "executed"
    VERIFIED = "verified"
    INEFFECTIVE = "ineffective"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class DeliveryState(StrEnum):
    """queued waits for its first attempt, failed for another one; dead was given up, suppressed dropped unsent."""

    QUEUED = "queued"
    FAILED = "failed"
    DELIVERED = "delivered"
    DEAD = "dead"
    SUPPRESSED = "suppressed"
