"""What a channel would be sent, without sending it."""

from typing import Any

from controlplane.model.notifications import Message
from controlplane.notify import digested
from controlplane.notify.addresses import Kind, kind_of
from controlplane.notify.pagerduty import pagerduty, resolve
from controlplane.notify.plain import ANY, Space, text
from controlplane.notify.slack import slack
from controlplane.settings import Channel

__all__ = ["Kind", "bodies", "kind_of", "render", "render_for"]


def render(kind: Kind, message: Message, *, buttons: bool = False, space: Space = ANY) -> dict[str, Any]:
    """The body for a kind of channel: JSON for Slack and PagerDuty, `title` and `body` within `space` for text."""
    if message.digest is not None and kind is not Kind.PAGERDUTY:
        return digested.slack(message.digest) if kind is Kind.SLACK else digested.text(message.digest, space)
    match kind:
        case Kind.SLACK:
            return slack(message, buttons=buttons)
        case Kind.PAGERDUTY:
            return pagerduty(message)
        case Kind.TEXT:
            return text(message, space)


def bodies(kind: Kind, message: Message, *, buttons: bool = False, space: Space = ANY) -> list[dict[str, Any]]:
    """Everything that is sent, in order: the message, and for PagerDuty the end of each page that it supersedes."""
    ended = [resolve(key) for key in message.superseded] if kind is Kind.PAGERDUTY else []
    return [render(kind, message, buttons=buttons, space=space), *ended]


def render_for(channel: Channel, message: Message) -> dict[str, Any]:
    """`kind` and `body` of what the channel would be sent; MissingSecret where its URL can't be read.

    The secrets themselves (routing key, token) are added when it is sent and are not part of it. Text is complete; what
    the channel has no room for is left out when it is sent.
    """
    kind = kind_of(channel.url.read())
    return {"channel": channel.name, "kind": kind.value, "body": render(kind, message)}
