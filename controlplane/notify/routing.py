"""Who is told what where the settings don't say: by severity and kind of channel."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Action, Subject
from controlplane.model.routes import Node, Route, Times, Tree, names_kind
from controlplane.model.severity import Severity
from controlplane.notify.addresses import PAGERDUTY, SLACK, own
from controlplane.settings import Channel, MissingSecret

URGENT = {
    "46elks",
    "atalk",
    "betterstack",
    "bulksms",
    "bulkvs",
    "burstsms",
    "clickatell",
    "clicksend",
    "cm",
    "d7sms",
    "dapnet",
    "eight00com",
    "elks",
    "exotel",
    "firehydrant",
    "freemobile",
    "goalert",
    "goalerts",
    "httpsms",
    "ilert",
    "incidentio",
    "infobip",
    "jira",
    "kaleyra",
    "kavenegar",
    "klr",
    "kudosity",
    "lfg",
    "mobilemessage",
    "mobilemsg",
    "msg91",
    "msgbird",
    "nexmo",
    "notifyre",
    "octopush",
    "opsgenie",
    "pagerduty",
    "pagertree",
    "pdevents",
    "plivo",
    "ringc",
    "serwersms",
    "seven",
    "sfr",
    "signl4",
    "sinch",
    "smpp",
    "smpps",
    "smsc",
    "smseagle",
    "smseagles",
    "smsmanager",
    "smsmgr",
    "smstunnel",
    "sns",
    "spike",
    "splunk",
    "squadcast",
    "telesign",
    "telnyx",
    "twilio",
    "victorops",
    "voipms",
    "vonage",
    "xmatters",
}
"""Schemes of apprise URLs that wake people: pagers and SMS."""


MAIL = {
    "brevo",
    "mailgun",
    "mailto",
    "mailtos",
    "o365",
    "postmark",
    "resend",
    "sendgrid",
    "ses",
    "smtp2go",
    "sparkpost",
}
"""Schemes of apprise URLs that send mail."""

DIGEST = {
    "kind": Subject.DIGEST.value,
    "severity": Severity.INFO.value,
    "platform": "controlplane",
    "component": "digest",
    "rule": "digest",
    "title": "Daily digest",
}
"""What routes see of the daily digest."""


def told_digest(
    tree: Tree, times: Mapping[str, Times], schemes: Mapping[str, str], at: datetime, *, always: bool = False
) -> tuple[list[str], str]:
    """The channels that get the digest at an instant, or why none does: those that routes name, else all mail.

    With `always` the times of routes don't matter.
    """
    if not any(names_kind(route, DIGEST) for route, _, _ in tree.walk()):
        mail = [name for name, scheme in schemes.items() if scheme in MAIL]
        return mail, "" if mail else NOWHERE
    nodes = tree.of(DIGEST)
    awake = [node for node in nodes if always or asleep(node, times, at) is None]
    wanted = {name for node in awake for name in node.channels}
    found = [name for name in schemes if name in wanted]
    if found or not nodes:
        return found, "" if found else NOWHERE
    why = [reason for node in nodes if not always and (reason := asleep(node, times, at)) is not None]
    return [], why[0] if why else "its route names no channel"


NOWHERE = 'no route that names kind="digest" takes it and no channel sends mail'


def asleep(node: Node, times: Mapping[str, Times], at: datetime) -> str | None:
    """Why a route tells nobody at an instant; None where it does."""
    for name in node.mute:
        if times[name].holds(at):
            return f"muted in the time {name}"
    if node.active and not any(times[name].holds(at) for name in node.active):
        return f"active only in the time {', '.join(node.active)}"
    return None


def schemes(channels: Iterable[Channel]) -> dict[str, str]:
    """Scheme of the URL of each channel; empty where it can't be read."""
    found = {}
    for channel in channels:
        try:
            found[channel.name] = own(channel.url.read()).partition("://")[0].lower()
        except MissingSecret:
            # It can't be told by now either, whichever kind it is.
            found[channel.name] = ""
    return found


def takes(scheme: str) -> frozenset[Action]:
    """What a channel whose URL has this scheme can be told."""
    return frozenset(Action) if scheme in {PAGERDUTY, SLACK} else frozenset({Action.TRIGGER, Action.RESOLVE})


def takers(schemes: Mapping[str, str]) -> frozenset[str]:
    """Channels, by name with their scheme, that are told of an acknowledgement."""
    return frozenset(name for name, scheme in schemes.items() if Action.ACKNOWLEDGE in takes(scheme))


def default_route(schemes: Mapping[str, str]) -> Route:
    """The root of a tree for channels by name with the scheme of their URL ("" where it isn't known).

    Critical alerts go to all channels, warnings to those that don't wake people, info to none.
    """
    every = tuple(schemes)
    calm = tuple(name for name, scheme in schemes.items() if scheme not in URGENT)
    return Route(
        channels=calm,
        routes=(
            Route(match=(_severity(Severity.CRITICAL),), channels=every),
            Route(match=(_severity(Severity.INFO),), channels=()),
        ),
    )


def _severity(severity: Severity) -> Matcher:
    return Matcher(label="severity", operator="=", value=severity.value)
