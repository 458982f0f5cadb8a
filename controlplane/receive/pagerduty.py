"""PagerDuty's V3 webhooks as answers to our pages. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from controlplane.model.base import Instant
from controlplane.model.labels import printable
from controlplane.model.payloads import Answered
from controlplane.receive.answers import NAME, Answer, NotUnderstood

_ANSWERS: dict[str, Answered] = {
    "incident.acknowledged": "acknowledged",
    "incident.unacknowledged": "unacknowledged",
    "incident.resolved": "resolved",
    "incident.reopened": "reopened",
}
_PEOPLE = frozenset({"user_reference", "user"})
_MERGED = "merge_resolve_reason"


class _Agent(BaseModel):
    id: str | None = None
    type: str | None = None
    summary: str | None = None


class _Event(BaseModel):
    id: str = Field(min_length=1, max_length=200)
    event_type: str
    occurred_at: Instant
    agent: _Agent | None = None
    data: Any = None


class _Webhook(BaseModel):
    event: _Event


class _Reason(BaseModel):
    type: str | None = None


class _Incident(BaseModel):
    incident_key: str | None = None
    """The dedup_key of the event that opened it."""
    resolve_reason: _Reason | None = None


def read(body: bytes, users: Mapping[str, str] | None = None) -> Answer | None:
    """The answer that a webhook tells of; None where it tells of something else. NotUnderstood says what is wrong.

    `users` are people by their name at PagerDuty (see `pagerduty_users`).
    """
    try:
        event = _Webhook.model_validate_json(body).event
        what = _ANSWERS.get(event.event_type)
        if what is None:
            return None
        incident = _Incident.model_validate(event.data)
    except ValidationError as error:
        raise NotUnderstood(_where(error)) from None
    if not incident.incident_key:
        return None
    if what == "resolved" and incident.resolve_reason is not None and incident.resolve_reason.type == _MERGED:
        # Nobody says that it is over: it goes on in the incident that it was merged into.
        return None
    return Answer(
        provider="pagerduty",
        event=event.id,
        what=what,
        dedup_key=incident.incident_key,
        actor=_actor(event.agent, users or {}),
        at=event.occurred_at,
        person=_is_person(event.agent),
    )


def _is_person(agent: _Agent | None) -> bool:
    return agent is not None and agent.type in _PEOPLE


def _actor(agent: _Agent | None, users: Mapping[str, str]) -> str:
    name = (agent.summary or agent.id or "").strip() if agent is not None else ""
    if _is_person(agent) and (known := users.get(name.casefold())) is not None:
        return known
    return f"pagerduty:{printable(name, NAME)}" if name else "pagerduty"


def _where(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return printable(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['type']}")
