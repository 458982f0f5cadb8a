"""Who takes over, what is lost, and whether there is capacity. Pure."""

from collections.abc import Callable
from typing import Any

from controlplane.failover import active_standby, broker, cache, host, primary, region, standby, zone
from controlplane.history import History
from controlplane.model.methods import ActiveStandby, Broker, Cache, Host, Primary, Region, Standby, Zone
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Inventory

__all__ = ["METHODS"]

METHODS: dict[type, Callable[[History, Any, Inventory, PriceBook], Proposal]] = {
    Primary: primary.advise,
    Zone: zone.advise,
    Region: region.advise,
    Standby: standby.advise,
    ActiveStandby: active_standby.advise,
    Cache: cache.advise,
    Broker: broker.advise,
    Host: host.advise,
}
"""Model of the parameters → the method; AdviceError says what is missing where the inputs don't allow a proposal."""
