"""An evening on call as events, and an event log filled with it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from controlplane.eventlog.log import EventLog
from controlplane.model.alerts import Acknowledgement, Reading, alert_id
from controlplane.model.events import Draft
from controlplane.model.payloads import (
    AlertAcknowledged,
    AlertFacts,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    RecommendationProposed,
    SamplesIngested,
    SourceFailed,
    SourceRecovered,
    TickCompleted,
)
from controlplane.model.recommendations import (
    Cost,
    CostLine,
    Evidence,
    Proposal,
    Recommendation,
    Rejected,
    Stage,
    Status,
    Survival,
)
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms

NOW = datetime(2026, 3, 1, 19, 4, 20, tzinfo=UTC)
STEP = timedelta(seconds=15)
LAG = "catalyst-kafka-consumer-lag"


def facts(rule: str = LAG, source: str = "prom-eu1", **fields: Any) -> AlertFacts:
    """Facts of an alert whose id follows from rule, source and labels; `fields` replace the plain ones."""
    plain: dict[str, Any] = {
        "rule": rule,
        "source": source,
        "platform": "catalyst",
        "component": "kafka",
        "labels": {"consumer_group": "billing", "topic": "orders"},
        "severity": Severity.CRITICAL,
        "title": "Kafka consumer group is behind",
        "summary": "billing is 412,000 messages behind on orders",
        "value": 412_000.0,
        "threshold": "> 100000",
        "unit": "{message}",
        "active_at": NOW - timedelta(minutes=4, seconds=12),
        "runbook": "kafka-consumer-lag",
    }
    merged = plain | fields
    return AlertFacts(alert=fields.get("alert") or alert_id(rule, source, merged["labels"]), **merged)


def draft(payload: Any, at: datetime, *, stream: str | None = None, actor: str = "controlplane") -> Draft:
    """An event of the stream that its payload is about."""
    about = stream or f"alert:{getattr(getattr(payload, 'facts', None), 'alert', None) or payload.alert}"
    return Draft(stream=about, key=str(to_ms(at)), payload=payload, occurred_at=at, actor=actor)


def fired(found: AlertFacts, ago: timedelta) -> Draft:
    """The alert fired so long ago."""
    return draft(AlertFired(facts=found), NOW - ago)


def resolved(found: AlertFacts, at: datetime = NOW) -> Draft:
    """The alert ended."""
    return draft(AlertResolved(facts=found, fired_at=found.active_at, reason="condition"), at)


def taken(found: AlertFacts, by: Draft, actor: str, note: str, at: datetime) -> Draft:
    """Somebody acknowledged the firing `by`."""
    acknowledgement = Acknowledgement(actor=actor, at=at, note=note)
    payload = AlertAcknowledged(alert=found.alert, episode=str(by.id), acknowledgement=acknowledgement)
    return draft(payload, at, actor=actor)


def reading(found: AlertFacts, values: Sequence[float | None], at: datetime = NOW - timedelta(seconds=5)) -> Reading:
    """A reading with `values` as its history, one step apart."""
    first = to_ms(at) - 15_000 * (len(values) - 1)
    now = values[-1] if values else found.value
    return Reading.of(found.alert, at, now, [(first + 15_000 * index, value) for index, value in enumerate(values)])


def ingested(source: str, series: int, at: datetime = NOW) -> Draft:
    """A source answered up to `at`."""
    end = to_ms(at) - to_ms(at) % 15_000
    payload = SamplesIngested(
        source=source,
        start_ms=end - 15_000,
        end_ms=end,
        step_ms=15_000,
        rows=series,
        series=series,
        nan_rows=0,
        digest="0" * 64,
    )
    return draft(payload, at, stream=f"source:{source}")


def source_failed(source: str, error: str, remedy: str = "", at: datetime = NOW, signal: str | None = None) -> Draft:
    """A source, or a signal of it, gave no answer."""
    payload = SourceFailed(source=source, signal=signal, error=error, remedy=remedy)
    return draft(payload, at, stream=f"source:{source}")


def source_recovered(source: str, since: datetime, at: datetime = NOW) -> Draft:
    """A source answers again."""
    return draft(SourceRecovered(source=source, failed_since=since), at, stream=f"source:{source}")


def ticked(now: datetime = NOW, steps: int = 1) -> Draft:
    """A tick ended."""
    payload = TickCompleted(now=now, step_ms=15_000, steps=steps, transitions=0, recommendations=0, notifications=0)
    return draft(payload, now, stream="tick")


def proposed(recommendation: Recommendation) -> Draft:
    """A recommendation was made."""
    stream = f"recommendation:{recommendation.id}"
    return draft(RecommendationProposed(recommendation=recommendation), recommendation.at, stream=stream)


def scale_out(alert: str, **fields: Any) -> Recommendation:
    """More consumers for a lagging group."""
    cost = Cost(
        per_month=Decimal("496.40"),
        per_month_reserved=Decimal("312.00"),
        one_off=Decimal(0),
        known=True,
        lines=(
            CostLine(
                item="consumer instance c6i.xlarge",
                price="c6i-xlarge",
                quantity=Decimal(4),
                unit="USD/h",
                per_month=Decimal("496.40"),
                per_month_reserved=Decimal("312.00"),
                one_off=Decimal(0),
            ),
        ),
        do_nothing="The backlog grows by 9,800 messages a minute; orders are billed 40 minutes late by 19:45.",
    )
    proposal: dict[str, Any] = {
        "kind": "scale_out",
        "target": "consumer group billing",
        "title": "Add consumers to billing",
        "from": "6 consumers",
        "to": "10 consumers",
        "why": "Each consumer drains 1,450 messages/s; 13,900 messages/s arrive and 412,000 wait.",
        "inputs": {"lag": "412,000 messages", "arrival": "13,900 messages/s", "drain per consumer": "1,450 messages/s"},
        "stages": (
            Stage(name="raw", value=12.4, reason="(13,900 + 412,000 / 600 s) / 1,450 × 1.2 headroom"),
            Stage(name="stabilised", value=12.4, reason="largest of the last 5 minutes"),
            Stage(name="rate-limited", value=10, limit="+4 per 5m", reason="no more than 4 consumers at once"),
            Stage(name="clamped", value=10, reason="within 3 and 12 partitions"),
        ),
        "cost": cost,
        "gain": "Drains the backlog in 11m while 14,500 messages/s can be taken",
        "survives": (
            Survival(loss="one consumer", ok=True, reason="9 of 10 carry 13,050 messages/s"),
            Survival(loss="zone eu1-b", ok=False, reason="6 consumers would be left, 8,700 messages/s"),
            Survival(loss="broker kafka-2", ok=None, reason="the replication factor of orders is not known"),
        ),
        "time_to_effect": timedelta(minutes=3),
        "commands": (
            "kubectl -n billing scale deployment/billing-consumer --replicas=10",
            "kubectl -n billing rollout status deployment/billing-consumer --timeout=180s",
        ),
        "revert": ("kubectl -n billing scale deployment/billing-consumer --replicas=6",),
        "evidence": (
            Evidence(
                signal="kafka.consumer.lag",
                value=412_000,
                unit="{message}",
                at=NOW - timedelta(seconds=5),
                limit="100,000",
                trend=(None, None, *ramp(31_000, 412_000, 22)),
            ),
            Evidence(
                signal="kafka.producer.rate",
                value=13_900,
                unit="{message}/s",
                at=NOW - timedelta(seconds=5),
                verdict="contradicts the broker's own count by 8 %",
                trend=tuple(ramp(9_000, 13_900, 24, gaps=(7, 8))),
            ),
            Evidence(signal="kafka.partition.replicas", value=None, unit="1", at=NOW - timedelta(minutes=9)),
        ),
        "rejected": (Rejected(option="14 consumers", reason="orders has 12 partitions, two would idle"),),
    }
    plain: dict[str, Any] = {
        "id": f"rec-{alert}",
        "version": 1,
        "rule": "catalyst-kafka-consumers",
        "platform": "catalyst",
        "alert": alert,
        "status": Status.PROPOSED,
        "at": NOW - timedelta(minutes=2),
        "expires_at": NOW + timedelta(hours=3, minutes=40),
    }
    inner = fields.pop("proposal", {})
    return Recommendation(proposal=Proposal(**(proposal | inner)), **(plain | fields))


def failover(alert: str) -> Recommendation:
    """A replica takes over; its price is not known."""
    cost = Cost(
        per_month=None,
        per_month_reserved=None,
        one_off=Decimal("1250"),
        known=False,
        lines=(),
        do_nothing="Writes are refused until the primary is back; the last outage took 38 minutes.",
    )
    return scale_out(
        alert,
        id=f"failover-{alert}",
        rule="catalyst-postgres-failover",
        expires_at=NOW + timedelta(minutes=45),
        proposal={
            "kind": "failover",
            "target": "cluster billing-db",
            "from": "pg-1 (eu1-a)",
            "to": "pg-3 (eu1-c)",
            "why": "pg-1 doesn't answer; pg-3 is the most advanced replica that is in sync.",
            "inputs": {"RPO": "0 B (pg-3 is synchronous)", "RTO": "about 35 s", "lag of pg-2": "18.4 MB"},
            "stages": (),
            "cost": cost,
            "gain": "Writes are taken again",
            "survives": (Survival(loss="one more host", ok=True, reason="pg-2 and pg-3 remain"),),
            "commands": ("patronictl -c /etc/patroni.yml failover billing-db --candidate pg-3 --force",),
            "evidence": (),
        },
    )


def ramp(start: float, end: float, points: int = 120, gaps: Sequence[int] = ()) -> list[float | None]:
    """A history that wanders from one value to another."""
    values: list[float | None] = []
    for index in range(points):
        share = index / (points - 1)
        wave = ((index * 37) % 17 - 8) / 8 * abs(end - start) * 0.04
        values.append(None if index in gaps else round(start + (end - start) * share**2 + wave, 4))
    values[-1] = end
    return values


def evening() -> tuple[list[Draft], list[Reading]]:
    """Ten alerts of four platforms, two recommendations and three healthy sources."""
    minutes = timedelta(minutes=1)
    lag = facts()
    primary = facts(
        "catalyst-postgres-primary-down",
        component="postgresql",
        labels={"cluster": "billing-db", "host": "pg-1"},
        title="PostgreSQL primary doesn't answer",
        summary="pg-1 of billing-db has not answered for 90 s",
        value=0.0,
        threshold="< 1",
        unit="{primary}",
        runbook="postgres-failover",
        active_at=NOW - 3 * minutes,
    )
    disk = facts(
        "catalyst-disk-usage",
        component="elasticsearch",
        labels={"host": "es-07", "mountpoint": "/data"},
        severity=Severity.WARNING,
        title="Disk is nearly full",
        summary="es-07 /data is 91.2 % full",
        value=0.912,
        threshold="> 0.85",
        unit="1",
        runbook="disk-usage",
        active_at=NOW - 24 * minutes,
    )
    cross = facts(
        "prism-cross-az-ratio",
        "prom-us1",
        platform="prism",
        component="proxy",
        labels={"zone": "us-east-1b"},
        severity=Severity.WARNING,
        title="Cross-zone traffic is high",
        summary="us-east-1b sends 22.4 % of its traffic to other zones",
        value=0.224,
        threshold="> 0.2",
        unit="1",
        active_at=NOW - 72 * minutes,
    )
    memory = facts(
        "prism-redis-memory",
        "prom-us1",
        platform="prism",
        component="redis",
        labels={"shard": "s-118", "node": "r-0236"},
        severity=Severity.WARNING,
        title="Redis node is short of memory",
        summary="r-0236 uses 112.4 GB of 120 GB",
        value=112.4e9,
        threshold="> 108000000000",
        unit="By",
        active_at=NOW - 9 * minutes,
    )
    takeover = facts(
        "absmach-takeover-rate",
        "kafka-lag",
        platform="absmach",
        component="mqtt",
        labels={"node": "mqtt-2"},
        severity=Severity.CRITICAL,
        title="Session takeovers are too fast",
        summary="mqtt-2 takes over 131 sessions a second",
        value=131.0,
        threshold="> 100",
        unit="{session}/s",
        active_at=NOW - 41 * minutes,
    )
    gone = facts(
        "datalyptica-spark-executors",
        platform="datalyptica",
        component="spark",
        labels={"application": "nightly-load"},
        severity=Severity.WARNING,
        title="Spark executors can't be seen",
        summary="nightly-load reports no executors",
        value=None,
        threshold="< 4",
        unit="{executor}",
        active_at=NOW - 6 * minutes,
    )
    held = facts(
        "datalyptica-trino-queue",
        platform="datalyptica",
        component="trino",
        labels={"cluster": "adhoc"},
        severity=Severity.INFO,
        title="Trino queries are queueing",
        summary="adhoc has 46 queued queries",
        value=46.0,
        threshold="> 40",
        unit="{query}",
        active_at=NOW - 15 * minutes,
    )
    latency = facts(
        "catalyst-api-latency",
        component="gateway",
        labels={"route": "/v1/charge"},
        severity=Severity.WARNING,
        title="Requests are slow",
        summary="/v1/charge takes 812 ms at the 99th percentile",
        value=812.0,
        threshold="> 750",
        unit="ms",
        active_at=NOW - timedelta(seconds=45),
    )
    replica = facts(
        "catalyst-postgres-replication-lag",
        component="postgresql",
        labels={"cluster": "billing-db", "host": "pg-2"},
        severity=Severity.INFO,
        title="Replica is behind",
        summary="pg-2 is 18.4 MB behind",
        value=18.4e6,
        threshold="> 16000000",
        unit="By",
        active_at=NOW - 2 * minutes,
    )
    disk_fired = fired(disk, 22 * minutes)
    drafts = [
        *(ingested(name, series) for name, series in (("prom-eu1", 48_210), ("prom-us1", 131_877), ("kafka-lag", 640))),
        fired(takeover, 41 * minutes),
        fired(cross, 70 * minutes),
        disk_fired,
        taken(disk, disk_fired, "mira", "moving old indices to the cold tier", NOW - 20 * minutes),
        fired(held, 13 * minutes),
        draft(AlertHeld(alert=held.alert, why="keep_firing_for", since=NOW - 2 * minutes), NOW - 2 * minutes),
        fired(memory, 8 * minutes),
        draft(AlertNoData(facts=gone), NOW - 6 * minutes),
        fired(lag, timedelta(minutes=2, seconds=12)),
        fired(primary, timedelta(minutes=1, seconds=30)),
        fired(replica, timedelta(seconds=75)),
        draft(AlertPending(facts=latency), NOW - timedelta(seconds=45)),
        proposed(scale_out(lag.alert)),
        proposed(failover(primary.alert)),
        ticked(NOW - timedelta(seconds=2)),
    ]
    readings = [
        reading(lag, ramp(42_000, 412_000, gaps=range(40, 46))),
        reading(primary, [1.0] * 108 + [0.0] * 12),
        reading(disk, ramp(0.81, 0.912)),
        reading(cross, ramp(0.12, 0.224)),
        reading(memory, ramp(98e9, 112.4e9)),
        reading(takeover, ramp(40, 131)),
        reading(held, ramp(30, 38)),
        reading(latency, ramp(300, 812)),
        reading(replica, ramp(2e6, 18.4e6)),
    ]
    return drafts, readings


def open_log(folder: Path) -> EventLog:
    """A new event log on SQLite in `folder`."""
    return EventLog.open(f"sqlite:///{(folder / 'events.db').absolute()}")


def append(log: EventLog, drafts: Sequence[Draft], readings: Sequence[Reading] | None = None) -> None:
    """Append as a tick does."""
    log.append(drafts, recorded_at=NOW, readings=readings)
