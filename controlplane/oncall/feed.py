"""A calendar feed: fetched within bounds, and no part of its address in an error."""

from urllib.parse import urlsplit

from controlplane.oncall.calendar import MAX_BYTES
from controlplane.secret import Secret
from controlplane.telemetry.secret_request import RequestFailed, answer_of

TIMEOUT = 5.0
"""Seconds of one fetch, the answer included."""
_LOCAL = {"127.0.0.1", "::1", "localhost"}
_CHUNK = 65_536


def fetch(url: Secret) -> bytes:
    """The body of the feed, at most MAX_BYTES; RequestFailed says why not.

    A redirect isn't followed, and plain http only reaches this machine.
    """
    try:
        address = url.read().strip()
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        raise RequestFailed("what the settings name for it isn't an https URL") from None
    if any(char.isspace() for char in address) or not host:
        raise RequestFailed("what the settings name for it isn't an https URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOCAL):
        raise RequestFailed("its address isn't https; whoever listens in could say who is on call")
    body = bytearray()
    with answer_of("GET", address, TIMEOUT, accept="text/calendar, */*;q=0.1") as answer:
        for part in answer.iter_content(_CHUNK):
            body += part
            if len(body) > MAX_BYTES:
                raise RequestFailed(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    return bytes(body)
