"""Who is told what where the settings don't say: by severity and kind of channel."""

from collections.abc import Mapping

from controlplane.model.matchers import Matcher
from controlplane.model.routes import Route
from controlplane.model.rules import Severity

URGENT = {
    "africas",
    "bulksms",
    "clicksend",
    "d7sms",
    "httpsms",
    "messagebird",
    "msg91",
    "nexmo",
    "opsgenie",
    "pagerduty",
    "pdevents",
    "plivo",
    "sinch",
    "sms",
    "sns",
    "splunk",
    "twilio",
    "vonage",
}
"""Schemes of apprise URLs that wake people: pagers and SMS."""


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
