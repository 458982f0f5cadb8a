"""What a route would be sent, without sending it."""

from collections.abc import Callable
from typing import Any

from controlplane.model.notifications import Message
from controlplane.notify.addresses import Kind, kind_of
from controlplane.notify.message import text
from controlplane.notify.pagerduty import pagerduty
from controlplane.notify.slack import slack
from controlplane.settings import Route

__all__ = ["Kind", "kind_of", "render", "render_for"]

_RENDERERS: dict[Kind, Callable[[Message], dict[str, Any]]] = {
    Kind.SLACK: slack,
    Kind.PAGERDUTY: pagerduty,
    Kind.TEXT: text,
}


def render(kind: Kind, message: Message) -> dict[str, Any]:
    """The body for a kind of channel: JSON for Slack and PagerDuty, `title` and `body` for text."""
    return _RENDERERS[kind](message)


def render_for(route: Route, message: Message) -> dict[str, Any]:
    """`kind` and `body` of what the route would be sent; MissingSecret where its URL can't be read.

    The secrets themselves (routing key, token) are added when it is sent and are not part of it.
    """
    kind = kind_of(route.url.read())
    return {"route": route.name, "kind": kind.value, "body": render(kind, message)}
