"""What was pressed in Slack (interactivity, `block_actions`) as an answer to our page. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from controlplane.model.labels import printable
from controlplane.model.payloads import Answered
from controlplane.receive.answers import NAME, Answer, NotUnderstood

ACTIONS: dict[str, Answered] = {"acknowledge": "acknowledged", "silence_1h": "silenced"}
"""`action_id` of our buttons; their `value` is the dedup key of the page."""
_ANSWERS_AT = "hooks.slack.com"


class _User(BaseModel):
    id: str | None = None
    username: str | None = None
    name: str | None = None


class _Action(BaseModel):
    action_id: str | None = None
    value: str | None = None


class _Payload(BaseModel):
    type: str
    user: _User | None = None
    actions: tuple[_Action, ...] = ()
    response_url: str | None = None


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button that was pressed, and where to say what came of it."""

    answer: Answer
    reply_to: str | None
    """An address of Slack; None where the request names none, or one that isn't Slack's."""


def read(body: bytes, now: datetime, members: Mapping[str, str] | None = None) -> Pressed | None:
    """The button of ours that was pressed; None where it was something else. NotUnderstood says what is wrong.

    `members` are people by their id at Slack (see `slack_members`).
    """
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=20)
    except ValueError:
        raise NotUnderstood("body: not a form") from None
    found = fields.get("payload", [])
    if len(found) != 1:
        raise NotUnderstood("payload: there isn't exactly one")
    try:
        payload = _Payload.model_validate_json(found[0])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise NotUnderstood(printable(f"{'.'.join(('payload', *map(str, first['loc'])))}: {first['type']}")) from None
    pressed = next((one for one in payload.actions if one.action_id in ACTIONS and one.value), None)
    if payload.type != "block_actions" or pressed is None:
        return None
    assert pressed.action_id is not None
    assert pressed.value is not None
    answer = Answer(
        provider="slack",
        # A click has a trigger of its own, so two clicks differ and a repeated request doesn't.
        event=hashlib.sha256(body).hexdigest(),
        what=ACTIONS[pressed.action_id],
        dedup_key=pressed.value,
        actor=_actor(payload.user, members or {}),
        at=now,
    )
    return Pressed(answer, payload.response_url if payload.response_url and is_slack(payload.response_url) else None)


def is_slack(url: str) -> bool:
    """Whether the address is Slack's, over TLS and without a user, a port or a trick in it."""
    if not url.isascii() or not url.isprintable() or any(char in url for char in " \\"):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and parts.netloc == _ANSWERS_AT and parts.path.startswith("/")
    except ValueError:
        return False


def _actor(user: _User | None, members: Mapping[str, str]) -> str:
    if user is None:
        return "slack"
    if user.id is not None and user.id in members:
        return members[user.id]
    name = (user.username or user.name or user.id or "").strip()
    return f"slack:{printable(name, NAME)}" if name else "slack"
