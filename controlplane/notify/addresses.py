"""URLs of channels: what kind of channel they lead to, and which parts of them are secret."""

import re
from enum import StrEnum
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SLACK = "slackops"
PAGERDUTY = "pdevents"


class Kind(StrEnum):
    """How a channel wants its messages: Slack blocks, PagerDuty events, or title and body as plain text."""

    SLACK = "slack"
    PAGERDUTY = "pagerduty"
    TEXT = "text"


_WORD = r"[A-Za-z0-9]+"
_TOKEN = r"xox[a-z](?:-[A-Za-z0-9]+)+"  # noqa: S105 - a pattern
_CHANNEL = r"(?:%23|#)?[A-Za-z0-9_-]+"
_REWRITES = (
    (re.compile(rf"https://hooks\.slack\.com/services/({_WORD})/({_WORD})/({_WORD})/?"), r"slackops://hooks/\1/\2/\3"),
    (re.compile(rf"slack://({_WORD})/({_WORD})/({_WORD})/?"), r"slackops://hooks/\1/\2/\3"),
    (re.compile(rf"slack://({_TOKEN})/({_CHANNEL})/?"), r"slackops://bot/\1/\2"),
    (re.compile(r"pagerduty://([A-Za-z0-9_-]+)@[^/?#]+(?:/[^?#]*)?(?:\?region=(us|eu))?"), r"pdevents://\1?region=\2"),
)


def own(url: str) -> str:
    """The URL under our own schema where it leads to Slack or PagerDuty, else the URL itself.

    The stock plugins take Slack's `ok: false` for success and open a new PagerDuty incident for every message.
    """
    url = url.strip()
    for pattern, replacement in _REWRITES:
        if match := pattern.fullmatch(url):
            return match.expand(replacement).removesuffix("?region=").replace("/#", "/%23")
    return url


def kind_of(url: str) -> Kind:
    """The kind of channel that a URL leads to."""
    schema = own(url).partition("://")[0].lower()
    return {SLACK: Kind.SLACK, PAGERDUTY: Kind.PAGERDUTY}.get(schema, Kind.TEXT)


def edits(url: str) -> bool:
    """Whether messages can be edited there: a Slack bot can, an incoming webhook can't."""
    return own(url).lower().startswith(f"{SLACK}://bot/")


def secrets_of(url: str) -> tuple[str, ...]:
    """Every part of a URL that could be a credential, as written and decoded: user, password, path, query values.

    Parts shorter than four characters are left out; hiding them would hide half of every sentence.
    """
    url = url.strip()
    parts = {url}
    try:
        split = urlsplit(url)
        fields = [split.netloc, *re.split(r"[@:]+", split.netloc), *split.path.split("/"), split.fragment]
        fields += [split.path.strip("/"), *(value for _, value in parse_qsl(split.query, keep_blank_values=True))]
        parts |= {form for field in fields for form in (field, unquote(field), quote(unquote(field), safe=""))}
    except ValueError:
        parts |= set(re.split(r"[/@:?&=#]+", url))
    if edits(url):
        # Where a bot posts is no secret, and it is part of the reference of every message.
        channel = own(url).rstrip("/").rpartition("/")[2]
        parts -= {form for name in (channel, unquote(channel)) for form in (name, name.lstrip("#"))}
    return tuple(sorted((part for part in parts if len(part) >= 4 and part not in _PUBLIC), key=len, reverse=True))


_PUBLIC = {"hooks", "hooks.slack.com", "services", "slack.com", "events.pagerduty.com"}
"""Parts of URLs that are no secret and are worth reading in an error."""


def scrub(text: str, secrets: tuple[str, ...]) -> str:
    """Text with every secret replaced by `***`; `secrets` longest first, as `secrets_of` gives them."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
