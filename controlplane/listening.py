"""Settings of what listens: `/metrics` and `/healthz`, and the receiver of what providers send back."""

import ipaddress
import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from controlplane.model.base import Model
from controlplane.secret import Secret


class Serve(Model):
    """Where `/metrics` and `/healthz` are, and when a tick is late."""

    address: str | None = "127.0.0.1:10633"
    """host:port, or [host]:port for IPv6; null = they aren't served by `up`."""
    late_steps: int = Field(default=20, ge=1, le=10_000)
    """`/healthz` fails once the last tick is this many steps old."""

    @field_validator("address")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        if address is not None:
            host_and_port(address)
        return address


class PagerDutyWebhooks(Model):
    """Webhooks of a PagerDuty subscription (V3)."""

    secret: Secret
    """The secret that PagerDuty shows once, when the subscription is made."""


class SlackButtons(Model):
    """What people press in Slack."""

    signing_secret: Secret
    """Of the Slack app whose buttons they are."""


class Receive(Model):
    """Where providers tell of acknowledgements and resolutions made there; each endpoint needs a secret."""

    address: str | None = None
    """host:port, or [host]:port for IPv6; null = nothing is received."""
    pagerduty: PagerDutyWebhooks | None = None
    """`POST /pagerduty`; absent = there is no such endpoint."""
    slack: SlackButtons | None = None
    """`POST /slack`; absent = there is no such endpoint, and messages have no buttons."""

    @field_validator("address")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        if address is not None:
            host_and_port(address)
        return address

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.address is not None and self.pagerduty is None and self.slack is None:
            raise ValueError("address says where to listen, but there is nothing to receive; add pagerduty or slack")
        return self

    @property
    def endpoints(self) -> dict[str, Secret | None]:
        """Name of each endpoint that there may be → its secret; None = it isn't there."""
        return {
            "pagerduty": None if self.pagerduty is None else self.pagerduty.secret,
            "slack": None if self.slack is None else self.slack.signing_secret,
        }

    @property
    def buttons(self) -> bool:
        """Whether somebody listens to the buttons of messages."""
        return self.address is not None and self.slack is not None

    @property
    def local(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.address is None:
            return True
        host, _ = host_and_port(self.address)
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `host:port`, an IPv6 host in brackets; ValueError where it isn't one."""
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    good = bool(colon and bare) and (":" not in bare or bare != host) and re.fullmatch(r"[0-9]{1,5}", port)
    if not good or not 1 <= int(port) <= 65_535:
        raise ValueError(f"{address!r} is not host:port, such as 127.0.0.1:10633 or [::1]:10633")
    return bare, int(port)
