"""Readiness by the parameters of the rules that know about a kind of thing."""

from collections.abc import Callable
from typing import Any

from controlplane.failover import broker_readiness, cache_readiness, cells, primary_readiness, region_readiness
from controlplane.failover.moment import Moment
from controlplane.model.methods import Broker, Cache, Primary, Region, Reserve
from controlplane.model.readiness import Readiness

ASSESS: dict[type, Callable[[Moment, Any], list[Readiness]]] = {
    Reserve: cells.assess,
    Primary: primary_readiness.assess,
    Cache: cache_readiness.assess,
    Broker: broker_readiness.assess,
    Region: region_readiness.assess,
}
"""Model of the parameters of a rule → the function that assesses what the rule is about."""
