"""What a message says: members, numbers and the advice that goes with them."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from controlplane.model.alerts import Alert
from controlplane.model.money import human_money
from controlplane.model.notifications import Action, Advice, Chart, Incident, Member, Message
from controlplane.model.recommendations import Recommendation, Survival
from controlplane.notify.incident import MEMBERS, Told, cut, member, worst
from controlplane.notify.needs import News

ADVICE = 3
"""How many recommendations a message carries."""
HIDDEN = 5
"""How many of the alerts that it inhibits."""


_HOST = re.compile(r"\bHOST\b")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


def dedup_key(incident: Incident) -> str:
    """What a provider recognises the page by: sha256 of incident, episode and page, 64 hex digits."""
    return hashlib.sha256(f"{incident.id}|{incident.episode}|{incident.page}".encode()).hexdigest()


def compose(
    at: datetime,
    incident: Incident,
    told: Told,
    advice: Mapping[str, Sequence[Recommendation]],
    hidden: Sequence[Alert] = (),
    *,
    chart: Chart | None = None,
    impact: Sequence[str] = (),
    check: Callable[[str], str] = lambda _runbook: "",
    runbooks: str | None,
    environment: str,
) -> Message:
    """The message of an incident; `advice` holds the open recommendations by alert id, `hidden` what it inhibits,
    `chart` is of the worst alert that fires, `impact` says how far it reaches, `check` gives a runbook's first check.
    """
    members = [*(member(alert) for alert in told.firing), *told.gone][:MEMBERS]
    head = members[0] if members else None
    return Message(
        action=told.action,
        incident=incident.id,
        episode=incident.episode,
        dedup_key=dedup_key(incident),
        superseded=told.superseded,
        title=head.title if head else cut(incident.rule),
        severity=incident.severity,
        platform=incident.platform,
        component=incident.component,
        rule=incident.rule,
        started_at=incident.started_at,
        at=at,
        members=tuple(members),
        firing=told.count,
        resolved=told.ended,
        inhibited=len(hidden),
        hidden=tuple(member(alert) for alert in worst(hidden, HIDDEN)),
        repeated=told.news is News.REPEAT,
        advice=() if told.action is Action.RESOLVE else tuple(_advice(told.firing, incident, advice)),
        impact=tuple(impact) if told.action is not Action.RESOLVE else (),
        check=_check(head, check) if told.action is not Action.RESOLVE else "",
        chart=chart,
        runbook=runbook_of(head.runbook if head else None, runbooks),
        environment=environment,
    )


def _check(head: Member | None, check: Callable[[str], str]) -> str:
    """The first check of the runbook, about the host of the worst alert where it says HOST."""
    if head is None or head.runbook is None:
        return ""
    host = head.labels.get("host", "")
    # What is pasted into a shell holds no text of a label but a plain name.
    return _HOST.sub(host, check(head.runbook)) if _PLAIN.fullmatch(host) else check(head.runbook)


def _advice(
    firing: Sequence[Alert], incident: Incident, advice: Mapping[str, Sequence[Recommendation]]
) -> list[Advice]:
    # The worst members first, then whatever else of the incident has advice.
    listed = [alert.id for alert in firing]
    others = sorted((advice.keys() & set(incident.firing)).difference(listed))
    found = [recommendation for alert in (*listed, *others) for recommendation in advice.get(alert, ())]
    return [short(recommendation) for recommendation in found[:ADVICE]]


def short(recommendation: Recommendation) -> Advice:
    """A recommendation as a message carries it."""
    proposal = recommendation.proposal
    cost = proposal.cost
    return Advice(
        recommendation=recommendation.id,
        version=recommendation.version,
        title=cut(proposal.title),
        change=cut(f"{proposal.from_} → {proposal.to}"),
        per_month=human_money(cost.per_month, cost.currency),
        one_off=human_money(cost.one_off, cost.currency),
        survives=cut(survival(proposal.survives)),
        first_command=cut(proposal.commands[0]) if proposal.commands else "",
    )


def survival(verdicts: Sequence[Survival]) -> str:
    """The verdict in a line: the worst one and its reason, or the losses that are survived."""
    for ok, word in ((False, "no"), (None, "can't be told")):
        found = [verdict for verdict in verdicts if verdict.ok is ok]
        if found:
            return f"{word}, {found[0].loss}: {found[0].reason}"
    return f"yes, {', '.join(verdict.loss for verdict in verdicts)}" if verdicts else "not checked"


def runbook_of(name: str | None, runbooks: str | None) -> str | None:
    """The runbook's URL, or its name where it isn't known where runbooks are."""
    if name is None or runbooks is None:
        return name
    return f"{runbooks.rstrip('/')}/{name}"
