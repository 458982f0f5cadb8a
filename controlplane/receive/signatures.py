"""Whether a request was signed with the secret that we share with a provider. Pure; compares in constant time."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

OLDEST = timedelta(minutes=5)
"""A request of Slack that is further away than this, in either direction, is refused (Slack documents five minutes)."""
_MOST = 20
"""Signatures of a header that are looked at; while keys rotate PagerDuty sends two."""
_SECONDS = re.compile(r"[0-9]{1,12}")


def pagerduty(secret: str, headers: Sequence[str], body: bytes) -> bool:
    """Whether one of the `v1=<hex>` signatures is the HMAC-SHA256 of the raw body (PagerDuty, Verifying Signatures).

    `headers` are the values of X-PagerDuty-Signature; each may hold several signatures, separated by commas.
    """
    expected = b"v1=" + _hmac(secret, body)
    given = [part.strip() for value in headers for part in value.split(",")][:_MOST]
    # All are compared, so that the time says nothing about which one it was.
    return sum(_same(part, expected) for part in given) > 0


def slack(secret: str, timestamps: Sequence[str], signatures: Sequence[str], body: bytes, now: datetime) -> bool:
    """Whether `v0=<hex>` is the HMAC-SHA256 of `v0:<timestamp>:<raw body>`, and the timestamp isn't old.

    Arguments are the values of X-Slack-Request-Timestamp (epoch seconds) and X-Slack-Signature, one each (Slack,
    Verifying requests from Slack).
    """
    if len(timestamps) != 1 or len(signatures) != 1 or not _SECONDS.fullmatch(timestamps[0]):
        return False
    expected = b"v0=" + _hmac(secret, b"v0:" + timestamps[0].encode("ascii") + b":" + body)
    return _same(signatures[0], expected) and abs(now.timestamp() - int(timestamps[0])) <= OLDEST.total_seconds()


def _hmac(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode("utf-8", "surrogateescape"), message, hashlib.sha256).hexdigest().encode("ascii")


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected)
