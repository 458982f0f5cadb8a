"""Drafts of every type of event, for tests: one builder a payload, and hypothesis strategies over them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import uuid4

from hypothesis import strategies as st

from controlplane.model.alerts import Acknowledgement
from controlplane.model.events import Draft
from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Action, Delivery, Incident, Message, Shown
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AdviceFailed,
    AlertAcknowledged,
    AlertDropped,
    AlertFacts,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
    DigestQueued,
    EscalationPaused,
    EscalationResumed,
    EventPayload,
    IncidentChanged,
    NoteAdded,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
    OnCallChanged,
    PageAnswered,
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
    TelemetrySetAside,
    TickCompleted,
)
from controlplane.model.recommendations import Cost, CostLine, Proposal, Recommendation, Stage, Status
from controlplane.model.resources import Capacity, Resource, ResourceKind
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence

START = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)

PAYLOADS: tuple[type[Any], ...] = get_args(get_args(EventPayload)[0])
"""Every payload that there is."""

HOSTILE = (
    "\x00NUL\x00",
    "lone \ud800 surrogate \udfff",
    "'; DROP TABLE events; --",
    '"quotes" \\ and \\u0000 written out, %s %(x)s :name ?',
    "\x1b[31mred\x1b[0m \u202eright to left\u2066",
    "<@U1> <!channel> [link](http://x) ${jndi}",
    "日本語 😀 é e\u0301 \u2028",
    "x" * 10_000,
    "é" * 10_000,
)
"""Text that somebody may put into a label."""


def facts(alert: str = "a1", **fields: Any) -> AlertFacts:
    """Facts of an alert; `fields` replace the plain ones."""
    plain: dict[str, Any] = {
        "alert": alert,
        "rule": "catalyst-disk-usage",
        "source": "prometheus",
        "platform": "catalyst",
        "component": "disk",
        "labels": {"host": "h1", "mountpoint": "/data"},
        "severity": Severity.CRITICAL,
        "title": "A disk is nearly full",
        "summary": "h1 /data is 91 % full",
        "value": 0.91,
        "threshold": "> 0.85",
        "unit": "1",
        "active_at": START,
    }
    return AlertFacts(**(plain | fields))


def recommendation(id_: str = "r1", version: int = 1, status: Status = Status.PROPOSED) -> Recommendation:
    """A small recommendation with money and stages."""
    line = CostLine(item="volume", price="gp3", quantity=Decimal("1.50"), unit="USD/mo", per_month=Decimal("12.340"))
    return Recommendation(
        id=id_,
        version=version,
        rule="catalyst-storage-growth",
        platform="catalyst",
        alert="a1",
        status=status,
        proposal=Proposal(
            kind="add_storage",
            target="volume h1:/data",
            title="Add storage",
            from_="1 TB",
            to="2 TB",
            why="it grows",
            stages=(Stage(name="raw", value=1.7, reason="growth"),),
            cost=Cost(
                per_month=Decimal("12.340"),
                per_month_reserved=None,
                one_off=None,
                known=False,
                lines=(line,),
                do_nothing="full in 3 d",
            ),
            gain="1 TB",
            time_to_effect=timedelta(minutes=90),
        ),
        at=START,
        expires_at=START + timedelta(hours=4),
    )


def resource(id_: str = "h1", platform: str = "catalyst", **fields: Any) -> Resource:
    """A host."""
    return Resource(id=id_, platform=platform, kind=ResourceKind.HOST, capacity=Capacity(cores=16), **fields)


def delivery(id_: str = "d1", title: str = "Disk nearly full") -> Delivery:
    """A page for one route."""
    message = Message(
        action=Action.TRIGGER,
        incident="i1",
        episode="e1",
        dedup_key="k",
        title=title,
        severity=Severity.CRITICAL,
        platform="catalyst",
        component="disk",
        rule="catalyst-disk-usage",
        started_at=START,
        at=START,
        members=(),
        firing=1,
        resolved=0,
    )
    return Delivery(id=id_, channel="slack", lane="i1/slack", message=message, queued_at=START, next_attempt_at=START)


def incident(id_: str = "i1", firing: tuple[str, ...] = ("a1",)) -> Incident:
    """An incident in which `firing` alerts fire."""
    return Incident(
        id=id_,
        episode="e1",
        route="{}",
        group={"rule": "catalyst-disk-usage"},
        platform="catalyst",
        component="disk",
        rule="catalyst-disk-usage",
        severity=Severity.CRITICAL,
        started_at=START,
        told_at=START,
        told=("a1",),
        firing=firing,
        look_at=START if firing else None,
    )


def silence(id_: str = "s1", author: str = "ada", reason: str = "planned", minutes: int = 60) -> Silence:
    """Mutes a host for a while."""
    return Silence(
        id=id_,
        matchers=(Matcher(label="host", operator="=", value="h1"),),
        starts_at=START,
        ends_at=START + timedelta(minutes=minutes),
        author=author or "ada",
        reason=reason or "planned",
        created_at=START,
    )


def ingested(source: str = "prometheus", end_ms: int = 15_000, **fields: Any) -> SamplesIngested:
    """A batch of samples."""
    return SamplesIngested(
        **({"start_ms": 0, "step_ms": 15_000, "rows": 3, "series": 2, "nan_rows": 0, "digest": "ab"} | fields),
        source=source,
        end_ms=end_ms,
    )


def tick(**fields: Any) -> TickCompleted:
    """A completed tick."""
    plain = {"now": START, "step_ms": 15_000, "steps": 1, "transitions": 0, "recommendations": 0, "notifications": 0}
    return TickCompleted(**(plain | fields))


def draft(payload: Any, stream: str = "s", key: str | None = None, **fields: Any) -> Draft:
    """A draft of a payload, with an id of its own unless a key is given."""
    return Draft(
        **({"occurred_at": START} | fields),
        stream=stream,
        key=uuid4().hex if key is None else key,
        payload=payload,
    )


# Small pools, so that events meet the same rows again and again.
_ids = st.sampled_from(["x1", "x2", "x3", HOSTILE[0], HOSTILE[1]])
_text = st.one_of(st.sampled_from([text for text in HOSTILE if len(text) < 100]), st.text(max_size=20))
_floats = st.one_of(st.none(), st.floats())
_signals = st.one_of(st.none(), st.sampled_from(["catalyst/a.b", "prism/c.d"]))
_instants = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - as hypothesis asks
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - as hypothesis asks
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]),
)
_facts = st.builds(
    facts, _ids, labels=st.dictionaries(st.just("host"), _text), summary=_text, value=_floats, active_at=_instants
)
_resources = st.builds(resource, st.sampled_from(["h1", "h2"]), role=_text)
_recommendations = st.builds(recommendation, _ids, st.integers(1, 9), st.sampled_from(Status))
_counts = st.integers(0, 2**53)
_reasons = st.sampled_from(["condition", "missing", "rule_removed"])

BY_PAYLOAD: dict[type[Any], st.SearchStrategy[Any]] = {
    SamplesIngested: st.builds(
        ingested, _ids, _counts, behind=st.dictionaries(_text, _counts, max_size=2), warnings=st.tuples(_text)
    ),
    SourceFailed: st.builds(SourceFailed, source=_ids, signal=_signals, error=_text, remedy=_text),
    SourceRecovered: st.builds(SourceRecovered, source=_ids, signal=_signals, failed_since=_instants),
    TelemetrySetAside: st.builds(TelemetrySetAside, file=_text, error=_text),
    ResourceAdded: st.builds(ResourceAdded, source=_ids, resource=_resources),
    ResourceChanged: st.builds(ResourceChanged, source=_ids, resource=_resources, changed=st.tuples(_text)),
    ResourceRemoved: st.builds(ResourceRemoved, source=_ids, key=st.sampled_from(["catalyst/h1", "catalyst/h2"])),
    RuleSetActivated: st.builds(RuleSetActivated, digest=_text, rules=_counts, platforms=st.tuples(_text)),
    RuleFailed: st.builds(RuleFailed, rule=_ids, source=_ids, error=_text),
    RuleRecovered: st.builds(RuleRecovered, rule=_ids, source=_ids),
    AlertPending: st.builds(AlertPending, facts=_facts),
    AlertFired: st.builds(AlertFired, facts=_facts),
    AlertNoData: st.builds(AlertNoData, facts=_facts),
    AlertHeld: st.builds(AlertHeld, alert=_ids, why=st.sampled_from(["keep_firing_for", "missing"]), since=_instants),
    AlertReturned: st.builds(AlertReturned, alert=_ids, value=_floats),
    AlertResolved: st.builds(AlertResolved, facts=_facts, fired_at=_instants, reason=_reasons),
    AlertDropped: st.builds(AlertDropped, alert=_ids, rule=_text, labels=st.just({}), value=_floats, reason=_reasons),
    RecommendationProposed: st.builds(RecommendationProposed, recommendation=_recommendations),
    RecommendationRevised: st.builds(RecommendationRevised, recommendation=_recommendations, changed=st.tuples(_text)),
    RecommendationWithdrawn: st.builds(RecommendationWithdrawn, recommendation=_ids, reason=_text),
    RecommendationExpired: st.builds(RecommendationExpired, recommendation=_ids),
    **{
        kind: st.builds(kind, recommendation=_ids, version=_counts, actor=_text, reason=_text)
        for kind in (
            RecommendationApproved,
            RecommendationRejected,
            RecommendationReopened,
            RecommendationExecuted,
        )
    },
    RecommendationVerified: st.builds(RecommendationVerified, recommendation=_ids, reason=_text),
    RecommendationIneffective: st.builds(RecommendationIneffective, recommendation=_ids, reason=_text),
    AdviceFailed: st.builds(AdviceFailed, rule=_text, alert=_text, error=_text),
    AlertAcknowledged: st.builds(
        AlertAcknowledged,
        alert=_ids,
        episode=_ids,
        acknowledgement=st.builds(Acknowledgement, actor=_text, at=_instants, note=_text),
    ),
    AcknowledgementWithdrawn: st.builds(AcknowledgementWithdrawn, alert=_ids, actor=_text),
    PageAnswered: st.builds(
        PageAnswered,
        incident=_ids,
        dedup_key=_ids,
        provider=st.sampled_from(["pagerduty", "slack"]),
        event=_ids,
        answer=st.sampled_from(["acknowledged", "unacknowledged", "resolved", "reopened", "silenced"]),
        actor=_text,
        answered_at=_instants,
    ),
    NoteAdded: st.builds(NoteAdded, about=_ids, text=_text, actor=_text),
    SilenceCreated: st.builds(SilenceCreated, silence=st.builds(silence, _ids, _text, _text, st.integers(0, 9_999))),
    SilenceEnded: st.builds(SilenceEnded, silence=_ids, actor=_text),
    OnCallChanged: st.builds(
        OnCallChanged,
        schedule=_ids,
        people=st.sampled_from([(), ("mira",), ("jon", "mira")]),
        since=_instants,
        until=st.one_of(st.none(), _instants),
    ),
    EscalationPaused: st.builds(EscalationPaused, incident=_ids, page=_counts, until=_instants, actor=_text),
    EscalationResumed: st.builds(EscalationResumed, incident=_ids, actor=_text),
    SilenceWarned: st.builds(SilenceWarned, silence=_ids, matches=_counts, channels=st.tuples(_text)),
    DigestQueued: st.builds(
        DigestQueued, day=_text, start=_instants, end=_instants, channels=st.tuples(_text), reason=_text
    ),
    IncidentChanged: st.builds(
        IncidentChanged, incident=st.builds(incident, _ids, st.sampled_from([(), ("a1",), ("a1", "a2")]))
    ),
    NotificationQueued: st.builds(NotificationQueued, delivery=st.builds(delivery, _ids, _text)),
    NotificationSuppressed: st.builds(
        NotificationSuppressed, incident=_ids, channel=_text, reason=_text, delivery=st.one_of(st.just(""), _ids)
    ),
    NotificationDelivered: st.builds(
        NotificationDelivered,
        delivery=_ids,
        channel=_text,
        reference=_text,
        attempts=_counts,
        seconds=st.floats(min_value=0),
        detail=_text,
        shown=st.one_of(
            st.none(),
            st.builds(
                Shown,
                channel=_ids,
                dedup_key=_ids,
                reference=_text,
                action=st.sampled_from(Action),
                severity=st.sampled_from(Severity),
                firing=_counts,
                position=st.just(0),
            ),
        ),
    ),
    NotificationFailed: st.builds(
        NotificationFailed, delivery=_ids, channel=_text, attempts=_counts, error=_text, next_attempt_at=_instants
    ),
    NotificationDeadLettered: st.builds(
        NotificationDeadLettered, delivery=_ids, channel=_text, attempts=_counts, error=_text
    ),
    TickCompleted: st.builds(tick, now=_instants, steps=_counts),
}
"""A strategy for each payload."""

payloads: st.SearchStrategy[Any] = st.one_of(*BY_PAYLOAD.values())
"""Any payload."""

drafts: st.SearchStrategy[Draft] = st.builds(
    draft,
    payloads,
    st.sampled_from(["s", "t", HOSTILE[0], HOSTILE[3]]),
    key=st.uuids().map(lambda u: u.hex),
    occurred_at=_instants,
    actor=_text,
    correlation=_text,
    cause=st.one_of(st.none(), st.uuids()),
)
"""Any draft, in one of a few streams."""
