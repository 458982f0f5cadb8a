"""Loads of members that share work, such as the brokers of a cluster or the replicas of a database."""

from typing import Literal

from pydantic import BaseModel, Field

from controlplane.model.base import SignalName
from controlplane.model.methods.base import Fraction, Parameters, Rate

DISK = "system.filesystem.utilization"


class MemberLoad(BaseModel):
    """A load of members that share it, and how much of their capacity it may take."""

    model_config = Parameters.model_config

    signal: SignalName
    limit: Fraction
    """Share of the capacity above which members are added."""
    capacity: Literal["share", "inventory"] | Rate = "share"
    """What 100 % is: the signal is a share already; the limit that the inventory has for the member (or the cluster,
    whose members share it); or this much for each member, in the unit of the signal."""
    per: Literal["member", "cluster"] = "member"
    """Whether there is a series for each member (label host) or for the whole cluster."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only series with exactly these labels, such as {mountpoint: /data}; absent for a cluster = its label cluster."""

    @property
    def stored(self) -> bool:
        """Whether it is what is kept on disk: that doesn't move to the others when a member is lost."""
        return self.signal == DISK
