"""What a digest is made from: the events of a day, and how things stood at its end."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from controlplane.model.alerts import Alert
from controlplane.model.events import Event
from controlplane.model.labels import printable
from controlplane.model.notifications import Incident
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AlertAcknowledged,
    AlertFired,
    AlertNoData,
    AlertResolved,
    IncidentChanged,
    NotificationDeadLettered,
    NotificationQueued,
    NotificationSuppressed,
    RecommendationApproved,
    RecommendationExecuted,
    RecommendationExpired,
    RecommendationIneffective,
    RecommendationRejected,
    RecommendationVerified,
    SourceFailed,
    SourceRecovered,
    TickCompleted,
)
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Recommendation
from controlplane.model.resources import Resource
from controlplane.model.rules import Placed
from controlplane.model.silences import Silence
from controlplane.model.views import SourceHealth

READS = (
    AlertFired,
    AlertNoData,
    AlertResolved,
    AlertAcknowledged,
    AcknowledgementWithdrawn,
    IncidentChanged,
    NotificationQueued,
    NotificationSuppressed,
    NotificationDeadLettered,
    RecommendationApproved,
    RecommendationRejected,
    RecommendationExecuted,
    RecommendationVerified,
    RecommendationIneffective,
    RecommendationExpired,
    SourceFailed,
    SourceRecovered,
    TickCompleted,
)
"""Payloads of the events that `Facts.events` has to hold."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A day [start, end) and how things stood at `as_of`, its end or later."""

    start: datetime
    end: datetime
    as_of: datetime
    location: str = "UTC"
    environment: str = ""
    events: Sequence[Event] = ()
    """Those that occurred within the day and have a payload of READS, in the order of the log."""
    before: Mapping[str, Incident] = field(default_factory=dict)
    """Incidents as they stood at `start`, by id: at least those that go on into the day."""
    told_before: Collection[str] = frozenset()
    """dedup keys of the pages that were told before `start`, of the same incidents."""
    alerts: Mapping[str, Alert] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    recommendations: Mapping[str, Recommendation] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)
    sources: Mapping[str, SourceHealth] = field(default_factory=dict)
    muted: Mapping[str, int] = field(default_factory=dict)
    """Silence → how many firing alerts it mutes."""
    rules: Mapping[str, Placed] = field(default_factory=dict)
    prices: Mapping[str, PriceBook] = field(default_factory=dict)
    resources: Sequence[Resource] = ()
    resources_before: Sequence[Resource] | None = None
    """The inventory at `start`; None = there was none yet."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the day is told."""
        return ZoneInfo(self.location)


def short(text: str, limit: int = 160) -> str:
    """Text for a digest: one printable line of bounded length."""
    return printable(text, limit)
