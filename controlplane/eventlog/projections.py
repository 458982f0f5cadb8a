"""Projections: what the log says now, as rows that a pure fold keeps up to date.

Raise `version` whenever a fold or its model changes: the rows are then rebuilt when the log is opened.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from controlplane.eventlog.advised import TOLD, advised_key, fold_advised
from controlplane.eventlog.counts import COUNTED, activity_key, fold_activity
from controlplane.eventlog.folds import (
    alert_key,
    delivery_key,
    fold_alert,
    fold_delivery,
    fold_incident,
    fold_outbox,
    fold_recommendation,
    fold_resource,
    fold_rule,
    fold_rule_set,
    fold_shown,
    fold_silence,
    fold_source,
    fold_tick,
    fold_unadvised,
    recommendation_key,
    resource_key,
    shown_key,
    silence_key,
    unadvised_key,
)
from controlplane.eventlog.folds_oncall import fold_on_call, fold_pause, pause_key
from controlplane.model.alerts import Alert
from controlplane.model.base import Model
from controlplane.model.events import Event
from controlplane.model.notifications import Delivery, Incident, Shown
from controlplane.model.oncall import OnCall, Pause
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AdviceFailed,
    AlertAcknowledged,
    AlertDropped,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
    EscalationPaused,
    EscalationResumed,
    IncidentChanged,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
    OnCallChanged,
    RecommendationApproved,
    RecommendationExecuted,
    RecommendationExpired,
    RecommendationIneffective,
    RecommendationProposed,
    RecommendationRejected,
    RecommendationReopened,
    RecommendationRevised,
    RecommendationVerified,
    RecommendationWithdrawn,
    ResourceAdded,
    ResourceChanged,
    ResourceRemoved,
    RuleFailed,
    RuleRecovered,
    RuleSetActivated,
    SamplesIngested,
    SilenceCreated,
    SilenceEnded,
    SilenceWarned,
    SourceFailed,
    SourceRecovered,
    TickCompleted,
)
from controlplane.model.recommendations import Recommendation
from controlplane.model.silences import Silence
from controlplane.model.views import (
    Activity,
    AdviceTold,
    DeliveryRecord,
    KnownResource,
    RuleHealth,
    SourceHealth,
    Unadvised,
)

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Projection(Generic[T]):
    """Rows of `model` by key, made of the events whose payload is one of `payloads`."""

    name: str
    version: int
    model: type[T]
    payloads: tuple[type[Model], ...]
    key: Callable[[Any], str | None]
    """The row that a payload changes; None = none."""
    fold: Callable[[T | None, Event], T | None]
    """The row after an event; None = there is none. Pure, and it decides by the event alone."""
    keep: int | None = None
    """Bound on the rows: those of highest `rank` stay. A fold must neither lower a rank nor delete such rows."""
    rank: Callable[[T], int] | None = None

    def keys(self, event: Event) -> Iterable[str]:
        """Keys of the rows that `event` may change."""
        key = self.key(event.payload) if isinstance(event.payload, self.payloads) else None
        return () if key is None else (key,)

    def bounded(self, rows: dict[str, T]) -> dict[str, T]:
        """The rows that stay of these: all of them, or those of highest rank."""
        if self.keep is None or self.rank is None or len(rows) <= self.keep:
            return rows
        rank = self.rank
        return dict(sorted(rows.items(), key=lambda pair: rank(pair[1]), reverse=True)[: self.keep])

    @cached_property
    def types(self) -> frozenset[str]:
        """Type names of the events that it reads."""
        return frozenset(payload.model_fields["type"].default for payload in self.payloads)


_DELIVERY_EVENTS = (
    NotificationQueued,
    NotificationSuppressed,
    NotificationDelivered,
    NotificationFailed,
    NotificationDeadLettered,
)
_ALERT_EVENTS = (
    AlertPending,
    AlertFired,
    AlertNoData,
    AlertHeld,
    AlertReturned,
    AlertResolved,
    AlertDropped,
    AlertAcknowledged,
    AcknowledgementWithdrawn,
)

ALERTS = Projection("alerts", 1, Alert, _ALERT_EVENTS, alert_key, fold_alert)
"""Pending, firing and nodata alerts by alert id."""

RECOMMENDATIONS = Projection(
    "recommendations",
    2,
    Recommendation,
    (
        RecommendationProposed,
        RecommendationRevised,
        RecommendationWithdrawn,
        RecommendationExpired,
        RecommendationApproved,
        RecommendationRejected,
        RecommendationReopened,
        RecommendationExecuted,
        RecommendationVerified,
        RecommendationIneffective,
    ),
    recommendation_key,
    fold_recommendation,
)
"""Every recommendation by id, whatever its status."""

UNADVISED = Projection(
    "unadvised",
    1,
    Unadvised,
    (AdviceFailed, RecommendationProposed, AlertResolved),
    unadvised_key,
    fold_unadvised,
)
"""Alerts without a recommendation that a rule should give, by alert id, with the reasons."""

SOURCES = Projection(
    "sources",
    1,
    SourceHealth,
    (SamplesIngested, SourceFailed, SourceRecovered),
    lambda payload: payload.source,
    fold_source,
)
"""Health of every source by name."""

RESOURCES = Projection(
    "resources",
    1,
    KnownResource,
    (ResourceAdded, ResourceChanged, ResourceRemoved),
    resource_key,
    fold_resource,
)
"""Resources by `platform/id`, each with the inventory that last told of it."""

SILENCES = Projection("silences", 2, Silence, (SilenceCreated, SilenceEnded, SilenceWarned), silence_key, fold_silence)
"""Every silence by id, also those that are over."""

INCIDENTS = Projection("incidents", 4, Incident, (IncidentChanged,), lambda payload: payload.incident.id, fold_incident)
"""Incidents by id, open ones and those whose alerts may turn out to flap."""

ON_CALL = Projection("on_call", 1, OnCall, (OnCallChanged,), lambda payload: payload.schedule, fold_on_call)
"""Who is on call, by schedule."""

PAUSES = Projection("pauses", 1, Pause, (EscalationPaused, EscalationResumed, IncidentChanged), pause_key, fold_pause)
"""Pauses of escalations that nobody ended, by incident id."""

OUTBOX = Projection("outbox", 2, Delivery, _DELIVERY_EVENTS, delivery_key, fold_outbox)
"""Deliveries by id that are still to be sent."""

DELIVERIES = Projection(
    "deliveries",
    3,
    DeliveryRecord,
    _DELIVERY_EVENTS,
    delivery_key,
    fold_delivery,
    keep=1000,
    rank=lambda record: record.position,
)
"""Last state of the 1,000 deliveries that were queued last, by id."""

SHOWN = Projection(
    "shown",
    1,
    Shown,
    (NotificationDelivered,),
    shown_key,
    fold_shown,
    keep=1000,
    rank=lambda shown: shown.position,
)
"""The 1,000 messages told last that later ones of their page edit, by `channel/dedup_key`."""

ADVISED = Projection("advised", 1, AdviceTold, TOLD, advised_key, fold_advised)
"""Recommendations that somebody was told of, by id, until the end of it was told as well."""

RULES = Projection(
    "rules",
    1,
    RuleHealth,
    (RuleFailed, RuleRecovered),
    lambda payload: f"{payload.rule}/{payload.source}",
    fold_rule,
)
"""Rules that can't be evaluated, by `rule/source`; a healthy rule has no row."""

TICK = Projection("tick", 1, TickCompleted, (TickCompleted,), lambda _: "tick", fold_tick)
"""One row, `tick`: the last tick."""

RULE_SET = Projection("rule_set", 1, RuleSetActivated, (RuleSetActivated,), lambda _: "rule_set", fold_rule_set)
"""One row, `rule_set`: the rules in force."""

ACTIVITY = Projection("activity", 1, Activity, COUNTED, activity_key, fold_activity)
"""Counts for metrics: a row for each channel (`channel/NAME`), and `tick`."""

PROJECTIONS: tuple[Projection[Any], ...] = (
    ALERTS,
    RECOMMENDATIONS,
    UNADVISED,
    SOURCES,
    RESOURCES,
    SILENCES,
    INCIDENTS,
    ON_CALL,
    PAUSES,
    OUTBOX,
    DELIVERIES,
    ADVISED,
    SHOWN,
    RULES,
    TICK,
    RULE_SET,
    ACTIVITY,
)
