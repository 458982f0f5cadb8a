"""How big it should be: demand → tolerance → stabilised → limited → clamped, with the reason at each stage. Pure."""

from collections.abc import Callable
from typing import Any

from controlplane.history import History
from controlplane.model.methods import (
    Brokers,
    ConsumerLag,
    Fleet,
    GrowthPlan,
    HostSpare,
    Ladder,
    Placement,
    Replicas,
    Reserve,
    RightSize,
    StorageGrowth,
)
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Inventory
from controlplane.scaling import (
    broker_advice,
    consumer_lag,
    fleet,
    growth_plan,
    host_spare,
    ladder,
    placement,
    replicas,
    reserve,
    right_size,
    storage_growth,
)

__all__ = ["METHODS"]

METHODS: dict[type, Callable[[History, Any, Inventory, PriceBook], Proposal]] = {
    ConsumerLag: consumer_lag.advise,
    Brokers: broker_advice.advise,
    Replicas: replicas.advise,
    StorageGrowth: storage_growth.advise,
    Reserve: reserve.advise,
    Placement: placement.advise,
    Fleet: fleet.advise,
    RightSize: right_size.advise,
    Ladder: ladder.advise,
    GrowthPlan: growth_plan.advise,
    HostSpare: host_spare.advise,
}
"""Model of the parameters → the method; AdviceError says what is missing where the inputs don't allow a proposal."""
