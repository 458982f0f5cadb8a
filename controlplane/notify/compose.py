"""What a message says: members, numbers and the advice that goes with them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.money import human_money
from controlplane.model.notifications import Action, Advice, Incident, Member, Message
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Recommendation, Survival
from controlplane.notify.grouping import MEMBERS, Step
from controlplane.settings import Notify

ADVICE = 3
"""How many recommendations a message carries."""
_TEXT = 1_000
_LABELS = 40


def dedup_key(incident: Incident) -> str:
    """What a provider recognises the incident by: sha256 of incident and episode, 64 hex digits."""
    return hashlib.sha256(f"{incident.id}|{incident.episode}".encode()).hexdigest()


def compose(
    at: datetime, step: Step, advice: Mapping[str, Sequence[Recommendation]], notify: Notify, environment: str
) -> Message:
    """The message of a step; `advice` holds the open recommendations by alert id."""
    incident = step.after
    assert step.action is not None
    members = [_member(alert) for alert in step.firing]
    members += [_past_member(facts) for facts in step.gone[: MEMBERS - len(members)]]
    heads: list[Alert | AlertFacts] = [*step.firing[:1], *step.gone[:1]]
    head = heads[0] if heads else None
    return Message(
        action=step.action,
        incident=incident.id,
        episode=incident.episode,
        dedup_key=dedup_key(incident),
        title=_cut(head.title if head else incident.rule),
        severity=incident.severity,
        platform=incident.platform,
        component=incident.component,
        rule=incident.rule,
        started_at=incident.started_at,
        at=at,
        members=tuple(members),
        firing=len(incident.firing),
        resolved=step.resolved,
        advice=() if step.action is Action.RESOLVE else tuple(_advice(step, advice)),
        runbook=_runbook(head.runbook if head else None, notify),
        environment=environment,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {_cut(name): _cut(labels[name]) for name in sorted(labels)[:_LABELS]}


def _member(alert: Alert) -> Member:
    return Member(
        alert=alert.id,
        labels=_labels(alert.labels),
        summary=_cut(alert.summary),
        value=alert.value,
        threshold=_cut(alert.threshold),
        unit=_cut(alert.unit),
        active_at=alert.active_at,
        firing=True,
    )


def _past_member(facts: AlertFacts) -> Member:
    return Member(
        alert=facts.alert,
        labels=_labels(facts.labels),
        summary=_cut(facts.summary),
        value=facts.value,
        threshold=_cut(facts.threshold),
        unit=_cut(facts.unit),
        active_at=facts.active_at,
        firing=False,
    )


def _advice(step: Step, advice: Mapping[str, Sequence[Recommendation]]) -> list[Advice]:
    # The worst members first, then whatever else of the incident has advice.
    listed = [alert.id for alert in step.firing]
    others = sorted((advice.keys() & set(step.after.firing)).difference(listed))
    found = [recommendation for alert in (*listed, *others) for recommendation in advice.get(alert, ())]
    return [_short(recommendation) for recommendation in found[:ADVICE]]


def _short(recommendation: Recommendation) -> Advice:
    proposal = recommendation.proposal
    cost = proposal.cost
    return Advice(
        recommendation=recommendation.id,
        version=recommendation.version,
        title=_cut(proposal.title),
        change=_cut(f"{proposal.from_} → {proposal.to}"),
        per_month=human_money(cost.per_month, cost.currency),
        one_off=human_money(cost.one_off, cost.currency),
        survives=_cut(survival(proposal.survives)),
        first_command=_cut(proposal.commands[0]) if proposal.commands else "",
    )


def survival(verdicts: Sequence[Survival]) -> str:
    """The verdict in a line: the worst one and its reason, or the losses that are survived."""
    for ok, word in ((False, "no"), (None, "can't be told")):
        found = [verdict for verdict in verdicts if verdict.ok is ok]
        if found:
            return f"{word}, {found[0].loss}: {found[0].reason}"
    return f"yes, {', '.join(verdict.loss for verdict in verdicts)}" if verdicts else "not checked"


def _runbook(name: str | None, notify: Notify) -> str | None:
    if name is None or notify.runbooks is None:
        return name
    return f"{notify.runbooks.rstrip('/')}/{name}"
