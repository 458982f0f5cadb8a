"""Readiness: if a thing died now, who takes over, what is lost, how long it takes, and whether the rest carries on."""

from typing import Literal

from controlplane.model.base import Instant, Model

Dying = Literal["primary", "cache", "broker", "zone", "region", "host"]
Takeover = Literal["automatic", "manual", "none"]


class Readiness(Model):
    """What the loss of one thing would mean at one instant; None = it can't be told, and the reason says why."""

    platform: str
    kind: Dying
    cell: str
    """What dies: the name of a cluster, a broker, a zone, a region or a host."""
    takes_over: str = ""
    """Who, or what, carries on; '' = nobody."""
    mode: Takeover
    rpo_bytes: float | None = None
    rpo_seconds: float | None = None
    """The most that is lost, in bytes and in seconds of writes."""
    rto_seconds: float | None = None
    """Until it works again."""
    rpo_target: float | None = None
    rto_target: float | None = None
    """Documented objectives, in seconds."""
    load_after: float | None = None
    """Load as a share of what the survivors can carry; above 1 they can't."""
    ready: bool | None
    reason: str
    """Why it is ready or isn't, or what is missing to tell."""
    remedy: str = ""
    """What makes it ready; '' where it is."""
    at: Instant
