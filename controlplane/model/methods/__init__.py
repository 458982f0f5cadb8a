"""Parameters of the sizing and failover methods, as a rule writes them under `parameters`.

Every default that no source gives is this house's and says so; a pack overrides it where its documents speak.
"""

from typing import Any, Literal

from controlplane.model.methods.active_standby import ActiveStandby
from controlplane.model.methods.base import Parameters, Step
from controlplane.model.methods.brokers import Brokers
from controlplane.model.methods.failover import Load, Primary, Zone
from controlplane.model.methods.fleet import Fleet
from controlplane.model.methods.growth_plan import GrowthPlan
from controlplane.model.methods.host import Host, HostSpare
from controlplane.model.methods.ladder import Ladder
from controlplane.model.methods.member_load import MemberLoad
from controlplane.model.methods.readiness import Broker, Cache, Standby
from controlplane.model.methods.region import Measured, Region, Target, Tier
from controlplane.model.methods.replicas import Replicas
from controlplane.model.methods.reserve import Lag, Reserve
from controlplane.model.methods.right_size import RightSize
from controlplane.model.methods.scaling import ConsumerLag, Placement, StorageGrowth
from controlplane.model.sizes import Bytes, parse_bytes

__all__ = [
    "PARAMETERS",
    "ActiveStandby",
    "Broker",
    "Brokers",
    "Bytes",
    "Cache",
    "ConsumerLag",
    "FailoverMethod",
    "FailoverParameters",
    "Fleet",
    "GrowthPlan",
    "Host",
    "HostSpare",
    "Ladder",
    "Lag",
    "Load",
    "Measured",
    "MemberLoad",
    "Parameters",
    "Placement",
    "Primary",
    "Region",
    "Replicas",
    "Reserve",
    "RightSize",
    "ScalingMethod",
    "ScalingParameters",
    "Standby",
    "Step",
    "StorageGrowth",
    "Target",
    "Tier",
    "Zone",
    "check_parameters",
    "parse_bytes",
]

ScalingMethod = Literal[
    "consumer_lag",
    "brokers",
    "storage_growth",
    "placement",
    "fleet",
    "ladder",
    "right_size",
    "reserve",
    "replicas",
    "growth_plan",
    "host_spare",
]
ScalingParameters = (
    ConsumerLag
    | Brokers
    | StorageGrowth
    | Placement
    | Fleet
    | Ladder
    | RightSize
    | Reserve
    | Replicas
    | GrowthPlan
    | HostSpare
)
FailoverMethod = Literal["primary", "zone", "standby", "region", "active_standby", "cache", "broker", "host"]
FailoverParameters = Primary | Zone | Standby | Region | ActiveStandby | Cache | Broker | Host

PARAMETERS: dict[str, type[Parameters]] = {
    "consumer_lag": ConsumerLag,
    "brokers": Brokers,
    "storage_growth": StorageGrowth,
    "placement": Placement,
    "fleet": Fleet,
    "ladder": Ladder,
    "right_size": RightSize,
    "reserve": Reserve,
    "replicas": Replicas,
    "growth_plan": GrowthPlan,
    "active_standby": ActiveStandby,
    "primary": Primary,
    "zone": Zone,
    "region": Region,
    "standby": Standby,
    "cache": Cache,
    "broker": Broker,
    "host": Host,
    "host_spare": HostSpare,
}
"""Method → the model of its parameters."""


def check_parameters(method: str | None, value: Any) -> Any:
    """`value` as the model of the method; pydantic's ValidationError keeps the place of each finding in it.

    An unknown method leaves the value as it is: the error of the method is told already.
    """
    model = PARAMETERS.get(method or "")
    return value if model is None else model.model_validate(value)
