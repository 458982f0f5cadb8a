"""Messages about recommendations: what is proposed, what changed of it, and what became of it. Pure.

They go only to routes that name `kind="recommendation"` or `kind="failover"`, one message a recommendation, so that
those who are told of alerts aren't told twice.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft, observation
from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Message, Subject
from controlplane.model.payloads import (
    NotificationQueued,
    NotificationSuppressed,
    RecommendationProposed,
    RecommendationRevised,
)
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.routes import Node, Tree, names_kind
from controlplane.model.views import AdviceTold
from controlplane.notify.compose import runbook_of, short
from controlplane.notify.decide import delivery
from controlplane.notify.desk import Desk
from controlplane.notify.incident import RANK, cut, member

AT_ONCE = 20
"""The most recommendations that are told in one step; the others are told in the next ones, every five minutes."""
KINDS = (Subject.RECOMMENDATION, Subject.FAILOVER)


def asked(tree: Tree) -> bool:
    """Whether any route wants messages about recommendations."""
    return any(names_kind(route, {"kind": kind.value}) for route, _, _ in tree.walk() for kind in KINDS)


def kind_of(recommendation: Recommendation) -> Subject:
    """What routes know it as."""
    return Subject.FAILOVER if recommendation.proposal.kind == "failover" else Subject.RECOMMENDATION


def tell(
    desk: Desk,
    changes: Sequence[Draft],
    recommendations: Mapping[str, Recommendation],
    told: Mapping[str, AdviceTold],
    *,
    full: bool,
) -> list[Draft]:
    """What is queued or suppressed at the step: ends first, then what is new, the most urgent first.

    `changes` are the drafts about recommendations of the step, `told` what somebody was told of before; with `full`
    whatever is open and was held back is looked at, too.
    """
    drafts = list(_ended(desk, recommendations, told)) if changes or full else []
    causes = dict(_changed(changes))
    open_ = [one for one in recommendations.values() if one.status is Status.PROPOSED]
    wanted = [one for one in open_ if one.id in causes or (full and (one.id not in told or told[one.id].owed))]
    ready = [(desk.alerts[one.alert], one) for one in wanted if one.alert in desk.alerts]
    ready = [(alert, one) for alert, one in ready if alert.state is not AlertState.PENDING]
    count = 0
    for alert, one in sorted(ready, key=_urgency):
        to, why = _addressed(desk, alert, one)
        if to and count == AT_ONCE:
            to, why = [], f"{AT_ONCE} others are told at this step; it is told within five minutes"
        count += bool(to)
        message = _message(desk, alert, one, told.get(one.id)) if to else None
        for name in to:
            assert message is not None
            drafts.append(_queued(desk.at, name, message, causes.get(one.id)))
        if why and one.id in causes:
            payload = NotificationSuppressed(incident=one.id, channel="", reason=why)
            drafts.append(observation(f"recommendation:{one.id}", payload, desk.at, cause=causes[one.id]))
    return drafts


def _changed(changes: Sequence[Draft]) -> Iterator[tuple[str, UUID]]:
    """Recommendations that are new or materially different, with the event that says so."""
    for draft in changes:
        payload = draft.payload
        if not isinstance(payload, RecommendationProposed | RecommendationRevised):
            continue
        if isinstance(payload, RecommendationProposed) or set(payload.changed) - {"expires_at"}:
            yield payload.recommendation.id, draft.id


def _urgency(item: tuple[Alert, Recommendation]) -> tuple[int, bool, datetime, str]:
    alert, one = item
    return RANK[alert.severity], kind_of(one) is not Subject.FAILOVER, one.at, one.id


def _addressed(desk: Desk, alert: Alert, one: Recommendation) -> tuple[list[str], str]:
    """The channels that are told now, or why none is; neither where nobody wants to know."""
    labels = desk.rules.grouper.labels(alert) | {"kind": kind_of(one).value}
    nodes = [node for node in desk.rules.tree.of(labels) if node.channels]
    if not nodes:
        return [], ""
    if (by := desk.inhibited.get(alert.id)) is not None:
        return [], f"its alert is inhibited by alert {by}"
    if (silence := desk.silenced.get(alert.id)) is not None:
        return [], f"its alert is muted by {silence.kind} {silence.id} of {printable(silence.author, 60)}"
    awake = [node for node in nodes if desk.asleep(node) is None]
    to = reached(desk, awake)
    quiet = {name: why for name in to if (why := desk.answers.reach.quiet(name, alert.severity)) is not None}
    if to and len(quiet) == len(to):
        return [], f"quiet hours of {next(iter(quiet.values()))}"
    asleep = next((why for node in nodes if (why := desk.asleep(node)) is not None), None)
    return [name for name in to if name not in quiet], "" if to else asleep or "its route names no declared channel"


def reached(desk: Desk, nodes: Sequence[Node]) -> list[str]:
    """The declared channels that routes name, in their order."""
    wanted = {name for node in nodes for name in node.channels}
    return [name for name in desk.rules.channels if name in wanted]


def _message(desk: Desk, alert: Alert, one: Recommendation, before: AdviceTold | None) -> Message:
    rules = desk.rules
    key = _key(one.id)
    note = one.proposal.why if before is None else f"Revised to version {one.version}. {one.proposal.why}"
    return Message(
        action=Action.TRIGGER,
        subject=kind_of(one),
        incident=one.id,
        episode=one.id,
        dedup_key=key,
        title=cut(one.proposal.title),
        severity=alert.severity,
        platform=alert.platform,
        component=alert.component,
        rule=alert.rule,
        started_at=alert.active_at,
        at=desk.at,
        members=(member(alert),),
        firing=1,
        resolved=0,
        advice=(short(one),),
        note=cut(note),
        runbook=runbook_of(alert.runbook, rules.runbooks),
        environment=rules.environment,
    )


def _key(recommendation: str) -> str:
    return hashlib.sha256(f"recommendation|{recommendation}".encode()).hexdigest()


def _ended(
    desk: Desk, recommendations: Mapping[str, Recommendation], told: Mapping[str, AdviceTold]
) -> Iterator[Draft]:
    for name in sorted(told):
        row, one = told[name], recommendations.get(name)
        if one is not None and one.watched:
            continue
        message = row.message.model_copy(
            update={
                "action": Action.RESOLVE,
                "at": desk.at,
                "firing": 0,
                "resolved": 1,
                "advice": (),
                "note": cut(_outcome(one)),
            }
        )
        for channel in desk.rules.channels:
            if channel in row.channels:
                yield _queued(desk.at, channel, message, None)


_OUTCOMES = {
    Status.VERIFIED: "It worked",
    Status.INEFFECTIVE: "It was done, but nothing shows that it helped",
    Status.WITHDRAWN: "Withdrawn",
    Status.EXPIRED: "It expired",
    Status.REJECTED: "Rejected",
}


def _outcome(one: Recommendation | None) -> str:
    if one is None:
        return "It is no longer known."
    by = f" by {one.decided_by}" if one.status is Status.REJECTED and one.decided_by else ""
    return f"{_OUTCOMES.get(one.status, one.status.value)}{by}" + (f": {one.reason}" if one.reason else "") + "."


def _queued(at: datetime, channel: str, message: Message, cause: UUID | None) -> Draft:
    row = delivery(at, channel, message)
    return observation(f"delivery:{row.id}", NotificationQueued(delivery=row), at, cause=cause)
