"""Alerts, their events, recommendations and messages for the tests of notifications."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft
from controlplane.model.notifications import Action, Advice, Delivery, Incident, Member, Message
from controlplane.model.oncall import OnCall, Pause
from controlplane.model.payloads import (
    AlertFacts,
    AlertFired,
    AlertNoData,
    AlertResolved,
    IncidentChanged,
    NotificationQueued,
)
from controlplane.model.recommendations import CostLine, Proposal, Recommendation, Status, Survival, total
from controlplane.model.resources import Inventory, Resource
from controlplane.model.routes import Route, Tree
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.model.time import to_ms
from controlplane.notify.decide import Rules, decide, due
from controlplane.notify.groups import Grouper
from controlplane.notify.labels import Places
from controlplane.settings import Channel, Secret

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
RULE = "catalyst-kafka-consumer-lag"


def at(seconds: float) -> datetime:
    """The instant so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def alert(name: str, **changes: Any) -> Alert:
    """A firing alert whose id is its name."""
    known = {
        "id": name,
        "rule": RULE,
        "source": "prometheus",
        "platform": "catalyst",
        "component": "kafka",
        "labels": {"consumer_group": name},
        "state": AlertState.FIRING,
        "severity": Severity.CRITICAL,
        "title": "Kafka consumer group is behind",
        "summary": f"{name} is 412,000 messages behind",
        "value": 412_000.0,
        "threshold": "> 100000",
        "unit": "{message}",
        "active_at": START,
        "fired_at": START,
        "runbook": "kafka-consumer-lag",
    }
    return Alert(**{**known, **changes})


def facts(a: Alert) -> AlertFacts:
    """What an event tells of the alert."""
    return AlertFacts(
        alert=a.id,
        **{name: getattr(a, name) for name in AlertFacts.model_fields if name != "alert"},
    )


def fired(a: Alert, when: datetime) -> Draft:
    """The draft by which the alert fires at a step."""
    payload = AlertNoData(facts=facts(a)) if a.state is AlertState.NO_DATA else AlertFired(facts=facts(a))
    return Draft(stream=f"alert/{a.id}", key=str(to_ms(when)), payload=payload, occurred_at=when)


def resolved(a: Alert, when: datetime) -> Draft:
    """The draft by which the alert resolves at a step."""
    payload = AlertResolved(facts=facts(a), fired_at=START, reason="condition")
    return Draft(stream=f"alert/{a.id}", key=str(to_ms(when)), payload=payload, occurred_at=when)


def channel(name: str, env: str = "", **changes: Any) -> Channel:
    """A channel whose URL is in the named environment variable."""
    return Channel(name=name, url=Secret(env=env or f"URL_{name.upper()}"), **changes)


def tree(*channels: str, routes: Sequence[Any] = (), **changes: Any) -> Route:
    """The root of a tree to these channels, without any wait unless `changes` say so."""
    known = {"channels": channels, "group_wait": "0s", "group_interval": "5m", "routes": routes}
    return Route.model_validate(known | changes)


BY_SEVERITY = tree("slack", routes=[{"match": ["severity=critical"], "channels": ["slack", "pagerduty"]}])


def recommendation(a: Alert, name: str = "r1", per_month: str | None = "9702", **changes: Any) -> Recommendation:
    """An open recommendation for the alert."""
    line = CostLine(
        item="broker",
        price="broker",
        quantity=Decimal(1),
        unit="USD/mo",
        per_month=None if per_month is None else Decimal(per_month),
        per_month_reserved=Decimal(0),
        one_off=Decimal("1200.50"),
    )
    proposal = Proposal(
        kind="scale_out",
        target="consumer group billing",
        title="Add consumers to billing",
        from_="4 consumers",
        to="7 consumers",
        why="lag",
        cost=total((line,), "the backlog grows"),
        gain="3 consumers",
        survives=(Survival(loss="a zone", ok=True, reason="two zones are left"),),
        time_to_effect=timedelta(minutes=5),
        commands=("kubectl scale deployment/billing --replicas=7",),
    )
    known = {
        "id": name,
        "version": 2,
        "rule": "size-billing",
        "platform": a.platform,
        "alert": a.id,
        "status": Status.PROPOSED,
        "proposal": proposal,
        "at": START,
        "expires_at": at(3600),
    }
    return Recommendation(**{**known, **changes})


class Desk:
    """Decides step after step and keeps the incidents, as the event log does."""

    def __init__(
        self,
        root: Route | None = None,
        *,
        channels: Sequence[str] = ("slack", "pagerduty"),
        environment: str = "production",
        resources: Sequence[Resource] = (),
        **rules: Any,
    ) -> None:
        self.route(root or tree("slack"), channels, environment, resources, **rules)
        self.rows: dict[str, Incident] = {}
        self.alerts: dict[str, Alert] = {}
        self.silences: list[Silence] = []
        self.on_call: dict[str, OnCall] = {}
        self.pauses: dict[str, Pause] = {}
        self.behind = False

    def route(
        self,
        root: Route,
        channels: Sequence[str] = ("slack", "pagerduty"),
        environment: str = "production",
        resources: Sequence[Resource] = (),
        **rules: Any,
    ) -> None:
        """Take other rules from now on."""
        made = Tree(root)
        places = Places(Inventory(resources=tuple(resources)))
        grouper = Grouper(made, places, environment)
        self.rules = Rules(tree=made, grouper=grouper, channels=tuple(channels), environment=environment, **rules)

    @property
    def incidents(self) -> dict[str, Incident]:
        """The open ones."""
        return {key: incident for key, incident in self.rows.items() if incident.look_at is not None}

    def due(self, seconds: float) -> bool:
        """Whether something has to be looked at."""
        return due(self.rows, at(seconds), self.rules.tree, self.alerts)

    def step(
        self,
        seconds: float,
        *,
        fire: Iterable[Alert] = (),
        resolve: Iterable[str] = (),
        recommendations: Sequence[Recommendation] = (),
    ) -> list[Draft]:
        """The drafts of a step in which these alerts fire or resolve."""
        when = at(seconds)
        changes = [fired(a, when) for a in fire]
        changes += [resolved(self.alerts.pop(name), when) for name in resolve]
        self.alerts |= {draft.payload.facts.alert: a for draft, a in zip(changes, fire, strict=False)}
        drafts = self.decide(seconds, changes, recommendations)
        for draft in drafts:
            if isinstance(draft.payload, IncidentChanged):
                incident = draft.payload.incident
                self.rows.pop(incident.id, None)
                if incident.look_at is not None or incident.flaps:
                    self.rows[incident.id] = incident
        return drafts

    def until(self, seconds: float, *, every: float = 15, begin: float) -> list[tuple[float, list[tuple[str, ...]]]]:
        """Step on without changes wherever something is due; (second, members told as firing) of every message."""
        found = []
        now = begin
        while now <= seconds:
            if self.due(now):
                sent = queued(self.step(now))
                found += [(now, [m.alert for m in d.message.members if m.firing]) for d in sent]
            now += every
        return found

    def decide(
        self, seconds: float, changes: Sequence[Draft], recommendations: Sequence[Recommendation] = ()
    ) -> list[Draft]:
        """The decision for a step, without keeping it."""
        return decide(
            at(seconds),
            changes,
            rules=self.rules,
            incidents=self.rows,
            alerts=self.alerts,
            silences=self.silences,
            recommendations=recommendations,
            on_call=self.on_call,
            pauses=self.pauses,
            behind=self.behind,
        )


def queued(drafts: Iterable[Draft]) -> list[Delivery]:
    """The deliveries among the drafts."""
    return [draft.payload.delivery for draft in drafts if isinstance(draft.payload, NotificationQueued)]


def told(drafts: Iterable[Draft]) -> list[tuple[str, str, int, int]]:
    """(channel, action, firing, resolved) of every delivery."""
    return [(d.channel, d.message.action.value, d.message.firing, d.message.resolved) for d in queued(drafts)]


def message(**changes: Any) -> Message:
    """A trigger with one member and one recommendation."""
    known = {
        "action": Action.TRIGGER,
        "incident": "inc0123456789abc",
        "episode": "0b0c5a2e-0000-5000-8000-000000000000",
        "dedup_key": "d" * 64,
        "title": "Kafka consumer group is behind",
        "severity": Severity.CRITICAL,
        "platform": "catalyst",
        "component": "kafka",
        "rule": RULE,
        "started_at": START,
        "at": at(135),
        "members": (member("billing"),),
        "firing": 1,
        "resolved": 0,
        "advice": (advice(),),
        "runbook": "https://runbooks.example/kafka-consumer-lag",
        "environment": "production",
    }
    return Message(**{**known, **changes})


def member(name: str, **changes: Any) -> Member:
    """A firing member of a message."""
    known = {
        "alert": name,
        "labels": {"consumer_group": name},
        "summary": f"{name} is 412,000 messages behind",
        "value": 412_000.0,
        "threshold": "> 100000",
        "unit": "{message}",
        "active_at": START,
        "firing": True,
    }
    return Member(**{**known, **changes})


def advice(**changes: Any) -> Advice:
    """A short recommendation."""
    known = {
        "recommendation": "rec0123456789abc",
        "version": 2,
        "title": "Add consumers to billing",
        "change": "4 consumers → 7 consumers",
        "per_month": "$9,702",
        "one_off": "$0",
        "survives": "yes, loss of a zone",
        "first_command": "kubectl scale deployment/billing --replicas=7",
    }
    return Advice(**{**known, **changes})


def store(folder: Path) -> str:
    """URL of an event store in the folder."""
    return f"sqlite:///{folder / 'events.db'}"
