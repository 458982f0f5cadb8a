"""Who may take over a database cluster: Patroni's tests, as a failover method and derived signals share them."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from controlplane.model.base import Duration
from controlplane.model.methods.base import Parameters, Positive
from controlplane.model.sizes import Bytes


class Eligibility(BaseModel):
    """Tests that a member has to pass, and what bounds the loss (Patroni, ha.py)."""

    model_config = Parameters.model_config

    role: str | None = None
    """Role of the members in the inventory; absent = every resource of the cluster."""
    ttl: Duration = timedelta(seconds=30)
    """Life of the leader's key (Patroni: 30 s); what was written within it may be lost too."""
    maximum_lag: Annotated[Bytes, Field(ge=0)] = 2.0**20
    """Bytes of WAL that a candidate may be behind (Patroni maximum_lag_on_failover: 1 MiB)."""
    maximum_lag_time: Duration | None = None
    """Replication lag that a candidate may have had when the primary was last seen."""
    reachable_within: Positive = timedelta(minutes=1)
    """A member without a sample for this long doesn't count as reachable."""
    rate_over: Positive = timedelta(minutes=5)
    """The write rate of the primary is taken over this time before its last sample."""
    synchronous_only: bool = False
    """Only a synchronous standby may take over."""
